package client

import (
	"context"
	"io"
	"runtime"
	"sync"
	"time"

	"google.golang.org/grpc"

	"github.com/prism-data-layer/prism/pkg/prism"
	"github.com/prism-data-layer/prism/pkg/wire"
	kvv1 "github.com/prism-data-layer/prism/proto/prism/keyvalue/v1"
)

// Bounds of a frame. There is no timer: a frame takes what is queued, so a
// lone caller waits for nobody and many callers share.
const (
	frameOps   = 256
	frameBytes = 64 << 10
	opOverhead = 64 // what an operation adds to a frame beside its key and values
)

type pipelineKey struct {
	namespace string
	conn      *grpc.ClientConn
}

// A pipeline puts the concurrent calls on one namespace together on one stream
// of one connection. Its goroutines live while there are calls to answer.
type pipeline struct {
	c         *Client
	namespace string
	conn      *grpc.ClientConn
	ctx       context.Context
	stop      context.CancelFunc

	mu      sync.Mutex
	queue   []*call
	running bool
	closed  bool
	wake    chan struct{}
}

// A call is one operation on its way. A caller that gives up leaves it behind:
// its answer goes nowhere.
type call struct {
	op       *kvv1.PipelineOp
	size     int
	attempts int
	done     chan answer // buffered: nobody waits for the caller
}

type answer struct {
	result *kvv1.PipelineResult
	err    error
}

var calls = sync.Pool{New: func() any { return &call{done: make(chan answer, 1)} }}

// pipeline returns the pipeline of a namespace on the next connection.
func (c *Client) pipeline(namespace string) (*pipeline, error) {
	key := pipelineKey{namespace, c.Conn()}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return nil, errClosed()
	}
	p := c.pipelines[key]
	if p == nil {
		ctx, stop := context.WithCancel(context.Background())
		p = &pipeline{c: c, namespace: namespace, conn: key.conn, ctx: ctx, stop: stop, wake: make(chan struct{}, 1)}
		c.pipelines[key] = p
	}
	return p, nil
}

// do sends op and waits for its answer. Its mutations carry a retry id, so the
// pipeline may send it again when a stream is lost.
func (p *pipeline) do(ctx context.Context, op *kvv1.PipelineOp, size int) (*kvv1.PipelineResult, error) {
	k := calls.Get().(*call)
	k.op, k.size, k.attempts = op, size+opOverhead, 0
	p.mu.Lock()
	if p.closed {
		p.mu.Unlock()
		return nil, errClosed()
	}
	p.queue = append(p.queue, k)
	start := !p.running
	p.running = true
	p.mu.Unlock()
	if start {
		go p.run()
	} else {
		p.nudge()
	}
	select {
	case a := <-k.done:
		k.op = nil
		calls.Put(k)
		return a.result, a.err
	case <-ctx.Done():
		return nil, prism.From(ctx.Err())
	}
}

func (p *pipeline) nudge() {
	select {
	case p.wake <- struct{}{}:
	default:
	}
}

func (p *pipeline) close() {
	p.mu.Lock()
	p.closed = true
	queue := p.queue
	p.queue = nil
	p.mu.Unlock()
	p.stop()
	for _, k := range queue {
		k.done <- answer{err: errClosed()}
	}
}

// run opens streams one after another until the pipeline is closed, each
// starting with what the one before left unanswered.
func (p *pipeline) run() {
	for attempt := 1; p.ctx.Err() == nil; {
		left, worked, err := p.stream()
		if p.ctx.Err() != nil {
			fail(left, errClosed())
			return
		}
		if worked {
			attempt = 1
		}
		if !repeatable(err) {
			fail(left, err)
			p.failQueue(err)
			if !p.rest() {
				return
			}
			continue
		}
		p.requeue(left, err)
		if !p.busy() && !p.rest() {
			return
		}
		sleep(p.ctx, delay(min(attempt, maxAttempts), err))
		attempt++
	}
}

// rest ends the goroutine unless calls have come meanwhile.
func (p *pipeline) rest() (goOn bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.running = len(p.queue) > 0
	return p.running
}

func (p *pipeline) busy() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.queue) > 0
}

// requeue puts unanswered calls back in front, in order. One that has been
// tried often enough is answered with the error.
func (p *pipeline) requeue(left []*call, err *prism.Error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	all := append(left, p.queue...)
	p.queue = nil
	for _, k := range all {
		k.attempts++
		if k.attempts >= maxAttempts && p.c.o.failFast || p.closed {
			k.done <- answer{err: err}
			continue
		}
		p.queue = append(p.queue, k)
	}
	p.c.stats.Retries.Add(int64(len(left)))
}

func (p *pipeline) failQueue(err error) {
	p.mu.Lock()
	queue := p.queue
	p.queue = nil
	p.mu.Unlock()
	fail(queue, err)
}

func fail(list []*call, err error) {
	for _, k := range list {
		k.done <- answer{err: err}
	}
}

// stream runs one stream to its end and returns the calls that it left
// unanswered, oldest first, and why it ended.
func (p *pipeline) stream() (left []*call, worked bool, why *prism.Error) {
	ctx, cancel := context.WithCancel(p.ctx)
	defer cancel()
	ctx, sess, err := p.c.session.attach(ctx)
	if err != nil {
		return nil, false, prism.From(err)
	}
	st, err := kvv1.NewKeyValueServiceClient(p.conn).Pipeline(ctx)
	if err == nil {
		err = st.Send(&kvv1.PipelineRequest{Message: &kvv1.PipelineRequest_Open{Open: &kvv1.PipelineOpen{Namespace: p.namespace}}})
	}
	if err == nil || err == io.EOF { // the reason comes with the answer
		_, err = st.Recv()
	}
	if err != nil {
		return nil, false, p.ended(sess, err)
	}

	open := &frames{slots: make(chan struct{}, prism.MaxPipelineFrames), byID: map[uint64][]*call{}}
	ended := make(chan error, 1)
	go func() { ended <- open.receive(st) }()
	err = p.send(st, open, ended)
	cancel()
	return open.unanswered(), true, p.ended(sess, err)
}

// ended turns the end of a stream into what to do about it: a lost session is
// as good as a lost connection.
func (p *pipeline) ended(sess *session, err error) *prism.Error {
	e := wire.FromStatus(err)
	if err == nil || err == io.EOF {
		e = prism.New(prism.ReasonUnavailable, "the gateway ended the stream")
	}
	if p.c.session.lost(sess, e) {
		return prism.New(prism.ReasonUnavailable, "the session was lost").WithCause(e)
	}
	return e
}

// send makes frames of what is queued until the stream ends.
func (p *pipeline) send(st grpc.BidiStreamingClient[kvv1.PipelineRequest, kvv1.PipelineResponse], open *frames, ended <-chan error) error {
	frame := &kvv1.PipelineFrame{}
	req := &kvv1.PipelineRequest{Message: &kvv1.PipelineRequest_Frame{Frame: frame}}
	for {
		select {
		case open.slots <- struct{}{}:
		case err := <-ended:
			return err
		}
		batch := p.take()
		for batch == nil {
			select {
			case <-p.wake:
				runtime.Gosched() // let the callers that are ready join this frame
				batch = p.take()
			case err := <-ended:
				return err
			case <-p.ctx.Done():
				return p.ctx.Err()
			}
		}
		frame.Ops = frame.Ops[:0]
		for _, k := range batch {
			frame.Ops = append(frame.Ops, k.op)
		}
		frame.Id = open.add(batch)
		p.count(len(batch))
		if err := st.Send(req); err != nil {
			return <-ended // Send says only that the stream is over; Recv says why
		}
	}
}

func (p *pipeline) count(ops int) {
	s := &p.c.stats
	s.Attempts.Add(int64(ops))
	s.Frames.Add(1)
	if ops > 1 {
		s.Coalesced.Add(int64(ops))
	}
	p.c.retry.earn(ops)
}

// take removes a frame's worth from the queue.
func (p *pipeline) take() []*call {
	p.mu.Lock()
	defer p.mu.Unlock()
	n, size := 0, 0
	for n < len(p.queue) && n < frameOps && (n == 0 || size+p.queue[n].size <= frameBytes) {
		size += p.queue[n].size
		n++
	}
	if n == 0 {
		return nil
	}
	batch := p.queue[:n:n]
	if n == len(p.queue) {
		p.queue = nil
	} else {
		p.queue = p.queue[n:]
	}
	return batch
}

// frames are those that wait for an answer.
type frames struct {
	slots chan struct{} // one for each open frame

	mu   sync.Mutex
	last uint64
	byID map[uint64][]*call
}

func (f *frames) add(batch []*call) uint64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.last++
	f.byID[f.last] = batch
	return f.last
}

// answered removes the next n calls of a frame, or all that are left when no
// more will follow.
func (f *frames) answered(id uint64, n int, more bool) []*call {
	f.mu.Lock()
	defer f.mu.Unlock()
	batch := f.byID[id]
	if more && n < len(batch) {
		f.byID[id] = batch[n:]
		return batch[:n]
	}
	delete(f.byID, id)
	return batch
}

// receive hands out answers until the stream ends. Large results come in
// several messages.
func (f *frames) receive(st grpc.BidiStreamingClient[kvv1.PipelineRequest, kvv1.PipelineResponse]) error {
	for {
		resp, err := st.Recv()
		if err != nil {
			return err
		}
		batch := f.answered(resp.Id, len(resp.Results), resp.More)
		if len(batch) != len(resp.Results) {
			return prism.New(prism.ReasonInternal, "the gateway answered %d operations of a frame with %d results", len(batch), len(resp.Results))
		}
		if !resp.More {
			<-f.slots
		}
		for i, k := range batch {
			k.done <- answer{result: resp.Results[i]}
		}
	}
}

// unanswered empties f, oldest frame first.
func (f *frames) unanswered() []*call {
	f.mu.Lock()
	defer f.mu.Unlock()
	var left []*call
	for id := uint64(1); id <= f.last && len(f.byID) > 0; id++ {
		if batch, ok := f.byID[id]; ok {
			left = append(left, batch...)
			delete(f.byID, id)
		}
	}
	return left
}

func errClosed() *prism.Error {
	return prism.New(prism.ReasonCancelled, "the client is closed")
}

// millis is a duration for the wire, rounded up so that none becomes zero.
func millis(d time.Duration) int64 {
	return int64((d + time.Millisecond - 1) / time.Millisecond)
}
