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
	"github.com/prism-data-layer/prism/pkg/wire/frame"
	kvv1 "github.com/prism-data-layer/prism/proto/prism/keyvalue/v1"
)

// Bounds of a frame. There is no timer: a frame takes what has come together
// while the one before was sent, so a lone caller waits for nobody and many
// callers share.
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
	queue   []*batch // the last is open: calls join it
	running bool
	closed  bool
	wake    chan struct{}
}

// A batch is the calls that travel in one frame. They wait on one channel and read
// their results by index, so that answering them costs one wake-up for all. A
// caller that gives up leaves its operation behind: its answer goes nowhere.
type batch struct {
	ops      []*kvv1.PipelineOp
	size     int
	born     time.Time
	attempts int

	done    chan struct{} // closed when results or err is there
	results []frame.Result
	err     error
}

func (f *batch) full(size int) bool {
	return len(f.ops) >= frameOps || len(f.ops) > 0 && f.size+size > frameBytes
}

func (f *batch) fail(err error) {
	f.err = err
	close(f.done)
}

// pipeline returns the pipeline of a namespace on the next connection.
func (c *Client) pipeline(namespace string) (*pipeline, error) {
	key := pipelineKey{namespace, c.Conn()}
	c.mu.RLock()
	p, closed := c.pipelines[key], c.closed
	c.mu.RUnlock()
	if p != nil && !closed {
		return p, nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return nil, errClosed()
	}
	if p = c.pipelines[key]; p == nil {
		ctx, stop := context.WithCancel(context.Background())
		p = &pipeline{c: c, namespace: namespace, conn: key.conn, ctx: ctx, stop: stop, wake: make(chan struct{}, 1)}
		c.pipelines[key] = p
	}
	return p, nil
}

// do sends op and waits for its answer. Mutations carry a retry id, so the
// pipeline may send a frame again when a stream is lost.
func (p *pipeline) do(ctx context.Context, op *kvv1.PipelineOp, size int) (frame.Result, error) {
	f, i, err := p.join(op, size+opOverhead)
	if err != nil {
		return frame.Result{}, err
	}
	if quit := ctx.Done(); quit == nil {
		<-f.done
	} else {
		select {
		case <-f.done:
		case <-quit:
			return frame.Result{}, prism.From(ctx.Err())
		}
	}
	if f.err != nil {
		return frame.Result{}, f.err
	}
	return f.results[i], nil
}

// join adds op to the open frame and tells its place there.
func (p *pipeline) join(op *kvv1.PipelineOp, size int) (f *batch, i int, err error) {
	p.mu.Lock()
	if p.closed {
		p.mu.Unlock()
		return nil, 0, errClosed()
	}
	if n := len(p.queue); n > 0 && !p.queue[n-1].full(size) && p.queue[n-1].attempts == 0 {
		f = p.queue[n-1]
	} else {
		f = &batch{done: make(chan struct{}), ops: make([]*kvv1.PipelineOp, 0, 16), born: time.Now()}
		p.queue = append(p.queue, f)
	}
	i = len(f.ops)
	f.ops = append(f.ops, op)
	f.size += size
	start := !p.running
	p.running = true
	p.mu.Unlock()
	switch {
	case start:
		go p.run()
	case i == 0: // whoever opens a frame calls the sender; the others only join
		select {
		case p.wake <- struct{}{}:
		default:
		}
	}
	return f, i, nil
}

// take removes the first frame of the queue.
func (p *pipeline) take() *batch {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.queue) == 0 {
		return nil
	}
	f := p.queue[0]
	p.queue = p.queue[1:]
	return f
}

func (p *pipeline) close() {
	p.mu.Lock()
	p.closed = true
	p.mu.Unlock()
	p.stop()
	p.failQueue(errClosed())
}

func (p *pipeline) failQueue(err error) {
	p.mu.Lock()
	queue := p.queue
	p.queue = nil
	p.mu.Unlock()
	for _, f := range queue {
		f.fail(err)
	}
}

// run opens streams one after another until there is nothing to answer, each
// starting with what the one before left unanswered.
func (p *pipeline) run() {
	for attempt := 1; ; attempt++ {
		left, worked, why := p.stream()
		if worked {
			attempt = 1
		}
		switch {
		case p.ctx.Err() != nil:
			failAll(left, errClosed())
			p.failQueue(errClosed())
			return
		case !repeatable(why):
			failAll(left, why)
			p.failQueue(why)
		default:
			p.requeue(left, why)
		}
		if !p.goOn() {
			return
		}
		if repeatable(why) {
			sleep(p.ctx, delay(min(attempt, maxAttempts), why))
		}
	}
}

func failAll(list []*batch, err error) {
	for _, f := range list {
		f.fail(err)
	}
}

// goOn reports whether there is something to send; if not, the next call
// starts another goroutine.
func (p *pipeline) goOn() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.running = len(p.queue) > 0
	return p.running
}

// requeue puts unanswered frames back in front, in order. Those that have been
// tried often enough, or for too long, are answered with the error.
func (p *pipeline) requeue(left []*batch, why *prism.Error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	all := append(left, p.queue...)
	p.queue = nil
	for _, f := range all {
		f.attempts++
		if p.closed || f.attempts >= maxAttempts && p.c.o.failFast || time.Since(f.born) > DefaultTimeout {
			f.fail(why)
			continue
		}
		p.queue = append(p.queue, f)
	}
	for _, f := range left {
		p.c.stats.Retries.Add(int64(len(f.ops)))
	}
}

// stream runs one stream to its end and returns the frames that it left
// unanswered, oldest first, and why it ended.
func (p *pipeline) stream() (left []*batch, worked bool, why *prism.Error) {
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

	open := &openFrames{slots: make(chan struct{}, prism.MaxPipelineFrames), byID: map[uint64]*batch{}}
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

type pipelineStream = grpc.BidiStreamingClient[kvv1.PipelineRequest, kvv1.PipelineResponse]

// send sends what is queued until the stream ends, and returns why it did.
func (p *pipeline) send(st pipelineStream, open *openFrames, ended <-chan error) error {
	message := &kvv1.PipelineFrame{}
	req := &kvv1.PipelineRequest{Message: &kvv1.PipelineRequest_Frame{Frame: message}}
	for {
		select {
		case open.slots <- struct{}{}:
		case err := <-ended:
			return err
		}
		f := p.take()
		for f == nil {
			select {
			case <-p.wake:
				runtime.Gosched() // let the callers that are ready join this frame
				f = p.take()
			case err := <-ended:
				return err
			}
		}
		message.Id, message.Ops = open.add(f), f.ops
		p.count(len(f.ops))
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

// openFrames are those that wait for an answer.
type openFrames struct {
	slots chan struct{} // one for each

	mu   sync.Mutex
	last uint64
	byID map[uint64]*batch
}

func (o *openFrames) add(f *batch) uint64 {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.last++
	o.byID[o.last] = f
	return o.last
}

// receive hands out answers until the stream ends. Large results come in
// several messages.
func (o *openFrames) receive(st pipelineStream) error {
	for {
		resp := &frame.Response{}
		if err := st.RecvMsg(resp); err != nil {
			return err
		}
		if err := o.answered(resp); err != nil {
			return err
		}
	}
}

func (o *openFrames) answered(resp *frame.Response) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	f := o.byID[resp.ID]
	if f == nil {
		return prism.New(prism.ReasonInternal, "the gateway answered a frame that was not sent")
	}
	if f.results == nil {
		f.results = resp.Results
	} else {
		f.results = append(f.results, resp.Results...)
	}
	if resp.More && len(f.results) < len(f.ops) {
		return nil
	}
	if len(f.results) != len(f.ops) {
		f.results = nil
		return prism.New(prism.ReasonInternal, "the gateway answered a frame of %d operations with another number of results", len(f.ops))
	}
	delete(o.byID, resp.ID)
	close(f.done)
	<-o.slots
	return nil
}

// unanswered empties o, oldest frame first.
func (o *openFrames) unanswered() []*batch {
	o.mu.Lock()
	defer o.mu.Unlock()
	var left []*batch
	for id := uint64(1); id <= o.last && len(o.byID) > 0; id++ {
		if f := o.byID[id]; f != nil {
			f.results = nil // what came of it comes again
			left = append(left, f)
			delete(o.byID, id)
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
