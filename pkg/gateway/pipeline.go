package gateway

import (
	"context"
	"errors"
	"io"
	"maps"
	"sync"
	"time"

	"google.golang.org/grpc"

	"github.com/prism-data-layer/prism/pkg/data/keyvalue"
	"github.com/prism-data-layer/prism/pkg/prism"
	kvv1 "github.com/prism-data-layer/prism/proto/prism/keyvalue/v1"
)

type pipelineStream = grpc.BidiStreamingServer[kvv1.PipelineRequest, kvv1.PipelineResponse]

func (k *keyValue) Pipeline(st pipelineStream) (err error) {
	namespace, err := opening(st)
	c, enterErr := k.road.enter(st.Context(), k.pipeline, namespace)
	if enterErr != nil {
		return enterErr
	}
	defer c.finish(st.Context(), &err)
	if err != nil {
		return err
	}
	kv, err := c.target.KeyValue()
	if err != nil {
		return err
	}
	if err := st.Send(&kvv1.PipelineResponse{}); err != nil { // id 0: the stream is open
		return err
	}
	ctx, cancel := c.live(st.Context())
	defer cancel()
	p := &pipeline{k: k, c: &c, kv: kv, st: st, ctx: ctx, cancel: cancel, slots: make(chan struct{}, prism.MaxPipelineFrames)}
	return p.run()
}

// opening reads the first message, which must open a namespace.
func opening(st pipelineStream) (namespace string, err error) {
	first, err := st.Recv()
	if err != nil {
		if errors.Is(err, io.EOF) {
			return "", prism.InvalidField("open", "must be the first message")
		}
		return "", err
	}
	if first.GetOpen() == nil {
		return "", prism.New(prism.ReasonFailedPrecond, "the first message must be open")
	}
	return first.GetOpen().Namespace, nil
}

// A pipeline is one stream of frames. One goroutine reads; each frame runs in
// one of its own, after the frames before it that touch the same keys.
type pipeline struct {
	k      *keyValue
	c      *call
	kv     *keyvalue.Store
	st     pipelineStream
	ctx    context.Context
	cancel context.CancelFunc
	slots  chan struct{} // one for each open frame
	frames sync.WaitGroup

	lanes lanes

	mu  sync.Mutex // held to send
	err error      // the first failure to send
}

// run reads frames until the stream ends, then waits for those that are open:
// what was taken is answered.
func (p *pipeline) run() error {
	incoming := make(chan *kvv1.PipelineRequest)
	ended := make(chan error, 1)
	go func() {
		for {
			req, err := p.st.Recv()
			if err != nil {
				ended <- err
				return
			}
			select {
			case incoming <- req:
			case <-p.ctx.Done():
				return
			}
		}
	}()
	err := p.serve(incoming, ended)
	p.frames.Wait()
	if p.err != nil {
		return p.err
	}
	if errors.Is(err, io.EOF) {
		return nil
	}
	return err
}

func (p *pipeline) serve(incoming <-chan *kvv1.PipelineRequest, ended <-chan error) error {
	for {
		select {
		case req := <-incoming:
			if err := p.start(req); err != nil {
				return err
			}
		case err := <-ended:
			return err
		case <-p.ctx.Done():
			return context.Cause(p.ctx)
		}
	}
}

// start takes a frame and lets it run.
func (p *pipeline) start(req *kvv1.PipelineRequest) error {
	frame := req.GetFrame()
	switch {
	case frame == nil:
		return prism.New(prism.ReasonFailedPrecond, "the stream is open already: send frames")
	case frame.Id == 0:
		return prism.InvalidField("frame.id", "must be at least 1")
	case len(frame.Ops) > prism.MaxBatchItems:
		return prism.InvalidField("frame.ops", "must have at most 1000 items")
	}
	select {
	case p.slots <- struct{}{}:
	case <-p.ctx.Done():
		return context.Cause(p.ctx)
	}
	f := p.lanes.enter(frame)
	p.frames.Go(func() {
		defer func() {
			p.lanes.leave(f)
			<-p.slots
		}()
		f.wait()
		p.answer(frame)
	})
	return nil
}

// What one message of results may hold, and how many operations run before it
// is looked at: a frame of large reads is never in memory as a whole.
const (
	answerBytes = 1 << 20
	answerOps   = 128
)

// answer runs a frame and sends its results.
func (p *pipeline) answer(frame *kvv1.PipelineFrame) {
	// Not the stream's context: a frame that was taken is finished, and a
	// drain waits for it.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(p.ctx), timeoutOf(frame))
	defer cancel()
	resp := &kvv1.PipelineResponse{Id: frame.Id, Results: make([]*kvv1.PipelineResult, 0, len(frame.Ops))}
	size := 0
	for rest := frame.Ops; len(rest) > 0; {
		n := min(len(rest), answerOps)
		size += p.part(ctx, rest[:n], resp)
		if rest = rest[n:]; size > answerBytes && len(rest) > 0 {
			resp.More = true
			p.send(resp)
			resp, size = &kvv1.PipelineResponse{Id: frame.Id}, 0
		}
	}
	p.send(resp)
}

// part runs some operations of a frame, adds their results to resp and returns
// how many bytes those hold.
func (p *pipeline) part(ctx context.Context, ops []*kvv1.PipelineOp, resp *kvv1.PipelineResponse) (size int) {
	start := p.k.road.Clock.Now()
	b := newOps(len(ops))
	defer b.free()
	reads, writes := p.decode(b, ops)
	results, err := p.take(ctx, b)
	failed := err != nil
	for i, op := range ops {
		if err != nil {
			resp.Results = append(resp.Results, failedResult(err))
			continue
		}
		r := &results[i]
		resp.Results = append(resp.Results, resultOf(p.kv, op, r))
		size += len(r.Value)
		failed = failed || r.Err != nil
	}
	p.k.road.Metrics.Namespace(p.c.target.Namespace()).Observe(reads, writes, failed, p.k.road.Clock.Now().Sub(start))
	p.c.running.Add(int64(len(ops)), 0, 0)
	return size
}

// take runs the operations if the rate limit has room for them.
func (p *pipeline) take(ctx context.Context, b *ops) ([]keyvalue.Result, error) {
	if err := p.c.target.Take(p.k.road.Clock.Now(), len(b.list)); err != nil {
		return nil, err
	}
	return b.run(ctx, p.kv)
}

func (p *pipeline) send(resp *kvv1.PipelineResponse) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.err == nil {
		if p.err = p.st.Send(resp); p.err != nil {
			p.cancel()
		}
	}
}

// decode turns them into operations and counts them by kind.
func (p *pipeline) decode(b *ops, ops []*kvv1.PipelineOp) (reads, writes int) {
	principal := p.c.principal()
	for _, f := range ops {
		op, key, namespace, err := opOf(f)
		switch {
		case err != nil:
		case namespace != "" && namespace != string(p.c.target.Namespace()):
			err = prism.InvalidField("namespace", "must be empty or the stream's")
		case op.Kind.Reads():
			reads++
		default:
			writes++
			if err = p.c.target.May(prism.ActionWrite); err == nil {
				err = keyvalue.Once(&op, principal, key, f.RetryId)
			}
		}
		b.add(op, err)
	}
	return reads, writes
}

// timeoutOf is the longest time that an operation of the frame allows; one
// that gives up earlier is the caller's to forget.
func timeoutOf(frame *kvv1.PipelineFrame) time.Duration {
	var longest int64
	for _, op := range frame.Ops {
		if op.TimeoutMs <= 0 {
			return defaultFrameTime
		}
		longest = max(longest, op.TimeoutMs)
	}
	return min(time.Duration(longest)*time.Millisecond, maxFrameTime)
}

// How long a frame may take: without word of its caller, and at most.
const (
	defaultFrameTime = 30 * time.Second
	maxFrameTime     = time.Hour
)

// lanes keep operations on one key in their order over frames that run side by
// side. Only the reading goroutine enters.
type lanes struct {
	last map[string]*lane // of each key, the last frame that touches it

	mu   sync.Mutex
	open int
}

// A lane is an open frame.
type lane struct {
	after []*lane
	done  chan struct{}
}

func (l *lanes) enter(frame *kvv1.PipelineFrame) *lane {
	f := &lane{done: make(chan struct{})}
	l.mu.Lock()
	alone := l.open == 0
	l.open++
	l.mu.Unlock()
	switch {
	case alone || l.last == nil:
		clear(l.last) // nothing is open that this frame could come after
		if l.last == nil {
			l.last = make(map[string]*lane, len(frame.Ops))
		}
	case len(l.last) > 2*prism.MaxPipelineFrames*prism.MaxBatchItems:
		maps.DeleteFunc(l.last, func(_ string, f *lane) bool { return f.over() })
	}
	for _, op := range frame.Ops {
		key := keyOf(op)
		if before := l.last[key]; before != nil && before != f {
			f.after = append(f.after, before)
		}
		l.last[key] = f
	}
	return f
}

func (l *lanes) leave(f *lane) {
	close(f.done)
	l.mu.Lock()
	l.open--
	l.mu.Unlock()
}

func (f *lane) over() bool {
	select {
	case <-f.done:
		return true
	default:
		return false
	}
}

// wait returns when the frames before on the same keys are done.
func (f *lane) wait() {
	for _, before := range f.after {
		<-before.done
	}
	f.after = nil
}
