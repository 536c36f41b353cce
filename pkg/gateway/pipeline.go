package gateway

import (
	"context"
	"errors"
	"hash/maphash"
	"io"
	"maps"
	"runtime/debug"
	"sync"
	"time"

	"google.golang.org/grpc"

	"github.com/prism-data-layer/prism/pkg/data/keyvalue"
	"github.com/prism-data-layer/prism/pkg/prism"
	"github.com/prism-data-layer/prism/pkg/route"
	"github.com/prism-data-layer/prism/pkg/telemetry"
	"github.com/prism-data-layer/prism/pkg/wire/frame"
)

// A framed is what a Pipeline must know of its model: how an operation O is
// read from a frame, how many of them are run, how a result R is written.
type framed[O, R any] struct {
	model   *frame.Model
	pool    *opsPool[O, R]
	instant func() bool // see driver.Info

	// decode also tells the idempotency key and the namespace that f names.
	decode  func(f *frame.Op) (op O, key, namespace string, err error)
	keyOf   func(op O) string // what it touches
	reads   func(op *O) bool  // whether it changes nothing
	once    func(s *series, op *O, key string, retry []byte) error
	run     func(ctx context.Context, ops []O, results []R) error
	outcome func(r *R) (size int, err error) // size of the value
	encode  func(f *frame.Op, r *R) frame.Result
}

type series = keyvalue.Series // of receipts, the same for each model

// pipe serves a Pipeline of the model that of picks.
func pipe[O, R any](st grpc.ServerStream, r *Road, m *method, of func(route.Target) (framed[O, R], error)) (err error) {
	c, err := r.knock(st.Context(), m, "")
	if err != nil {
		return err
	}
	st = c.counted(st)
	namespace, err := opening(&c, st)
	if err != nil {
		return c.refuse("", err)
	}
	if err := c.admit(namespace); err != nil {
		return err
	}
	defer c.finish(&err)
	model, err := of(c.target)
	if err != nil {
		return err
	}
	if err := st.SendMsg(&frame.Response{}); err != nil { // id 0: the stream is open
		return err
	}
	ctx, cancel := c.live(st.Context())
	defer cancel()
	p := &pipeline[O, R]{
		framed: model, road: r, c: &c, st: st, ctx: ctx, cancel: cancel, slots: make(chan struct{}, prism.MaxPipelineFrames),
		principal: c.principal(), mayWrite: c.target.May(prism.ActionWrite), figures: r.Metrics.Namespace(c.target.Namespace()),
	}
	return p.serve()
}

// opening reads the first message, which must open a namespace.
func opening(c *call, st grpc.ServerStream) (namespace string, err error) {
	var first frame.Request
	if err := c.first(func() error { return st.RecvMsg(&first) }); err != nil {
		if errors.Is(err, io.EOF) {
			return "", prism.InvalidField("open", "must be the first message")
		}
		return "", err
	}
	if first.Open == nil {
		return "", prism.New(prism.ReasonFailedPrecond, "the first message must be open")
	}
	return first.Open.Namespace, nil
}

// A pipeline is one stream of frames. One goroutine reads; each frame runs in
// one of its own, after the frames before it that touch the same keys. On a
// store that never waits it runs where it was read: a goroutine would cost more
// than the frame, and there is nothing that others could wait for.
type pipeline[O, R any] struct {
	framed[O, R]
	road   *Road
	c      *call
	st     grpc.ServerStream
	ctx    context.Context
	cancel context.CancelFunc
	slots  chan struct{} // one for each open frame

	// waits is set once the store was seen to be one that waits: a namespace may
	// move to such a one. Frames then go by lanes, and never past them again.
	waits bool

	principal string
	mayWrite  error // nil: the caller may
	figures   *telemetry.Namespace

	lanes lanes

	taking sync.Mutex // held to begin a frame
	over   bool       // no more are begun
	frames sync.WaitGroup

	mu  sync.Mutex // held to send
	err error      // the first failure to send
}

// serve reads frames until the stream ends, then waits for those that are open:
// what was taken is answered.
func (p *pipeline[O, R]) serve() error {
	ended := make(chan error, 1)
	go func() { ended <- p.read() }()
	var err error
	select {
	case err = <-ended:
	case <-p.ctx.Done():
		err = context.Cause(p.ctx)
	}
	p.taking.Lock()
	p.over = true
	p.taking.Unlock()
	p.frames.Wait()
	if p.err != nil {
		return p.err
	}
	if errors.Is(err, io.EOF) {
		return nil
	}
	return err
}

func (p *pipeline[O, R]) read() error {
	for {
		req := requests.Get().(*frame.Request)
		req.Model = p.model
		if err := p.st.RecvMsg(req); err != nil {
			return err
		}
		if err := p.start(req); err != nil {
			return err
		}
	}
}

// begin counts a frame as open, unless the stream is over.
func (p *pipeline[O, R]) begin() error {
	p.taking.Lock()
	defer p.taking.Unlock()
	if p.over { // by its context: otherwise nobody reads any more
		return context.Cause(p.ctx)
	}
	p.frames.Add(1)
	return nil
}

// requests are reused: a stream reads many.
var requests = sync.Pool{New: func() any { return new(frame.Request) }}

// start takes a frame and lets it run.
func (p *pipeline[O, R]) start(req *frame.Request) error {
	switch {
	case !req.Set:
		return prism.New(prism.ReasonFailedPrecond, "the stream is open already: send frames")
	case req.ID == 0:
		return prism.InvalidField("frame.id", "must be at least 1")
	case len(req.Ops) > prism.MaxBatchItems:
		return prism.InvalidField("frame.ops", "must have at most 1000 items")
	}
	if p.waits = p.waits || !p.instant(); !p.waits {
		if err := p.begin(); err != nil {
			return err
		}
		p.work(req)
		return nil
	}
	select {
	case p.slots <- struct{}{}:
	case <-p.ctx.Done():
		return context.Cause(p.ctx)
	}
	if err := p.begin(); err != nil {
		return err
	}
	f := p.lanes.enter(req.Ops, p.key)
	go func() {
		f.wait()
		p.work(req)
		p.lanes.leave(f)
		<-p.slots
	}()
	return nil
}

// work runs a frame that has begun.
func (p *pipeline[O, R]) work(req *frame.Request) {
	defer func() {
		p.contain(recover())
		p.frames.Done()
	}()
	p.answer(req)
	req.Reset()
	requests.Put(req)
}

// What one message of results may hold, and how many operations run before it
// is looked at: a frame of large reads is never in memory as a whole.
const (
	answerBytes = 1 << 20
	answerOps   = 128
)

// answer runs a frame and sends its results.
func (p *pipeline[O, R]) answer(req *frame.Request) {
	// Not the stream's context: a frame that was taken is finished, and a
	// drain waits for it.
	note := p.road.Traces.Begin(context.WithoutCancel(p.ctx), p.road.Clock.Now(), "", "")
	ctx := withDeadline(note, time.Now().Add(timeoutOf(req.Ops)))
	defer ctx.stop()
	resp := responses.Get().(*frame.Response)
	resp.Model, resp.ID = p.model, req.ID
	size := 0
	end := telemetry.Ending{Method: p.c.method.rpc, Namespace: p.c.target.Namespace(), Ops: len(req.Ops)}
	for rest := req.Ops; len(rest) > 0; {
		n := min(len(rest), answerOps)
		size = p.part(ctx, note, rest[:n], resp, size, &end)
		rest = rest[n:]
	}
	end.Took = p.road.Clock.Now().Sub(note.Start())
	note.Finish(end)
	p.send(resp)
	clear(resp.Results)
	*resp = frame.Response{Results: resp.Results[:0]}
	responses.Put(resp)
}

var responses = sync.Pool{New: func() any { return new(frame.Response) }}

// part runs some operations of a frame and adds their results to resp, which
// holds size bytes. When it is full it is sent, with the word that more follows.
func (p *pipeline[O, R]) part(
	ctx context.Context, note *telemetry.Call, ops []frame.Op, resp *frame.Response, size int, end *telemetry.Ending,
) int {
	start := p.road.Clock.Now()
	b := p.pool.get(len(ops))
	defer b.free()
	reads, writes := p.gather(b, ops)
	results, err := p.take(ctx, b)
	took := p.road.Clock.Now().Sub(start)
	failed := err != nil
	heard := p.road.Calls.Heard()
	for i := range ops {
		if err != nil {
			p.note(note, &ops[i], err, took, end)
			if heard {
				p.tell(note, &ops[i], p.keyOf(b.list[i]), start, took, 0, err)
			}
			resp.Results = append(resp.Results, failedResult(err))
			continue
		}
		n, bad := p.outcome(&results[i])
		if size > 0 && size+n > answerBytes {
			resp.More = true
			p.send(resp)
			clear(resp.Results)
			resp.More, resp.Results, size = false, resp.Results[:0], 0
		}
		size += n
		p.note(note, &ops[i], bad, took, end)
		if heard {
			p.tell(note, &ops[i], p.keyOf(b.list[i]), start, took, n, bad)
		}
		if bad != nil {
			failed = true
			resp.Results = append(resp.Results, failedResult(bad))
			continue
		}
		resp.Results = append(resp.Results, p.encode(&ops[i], &results[i]))
	}
	p.figures.Observe(reads, writes, failed, p.road.Clock.Now().Sub(start))
	p.c.running.Add(int64(len(ops)), 0, 0)
	return size
}

// note tells how an operation ended: to the trace that its caller has sent with
// it, and, where it failed, to the frame's.
func (p *pipeline[O, R]) note(note *telemetry.Call, f *frame.Op, err error, took time.Duration, whole *telemetry.Ending) {
	if err == nil && f.Traceparent == "" {
		return
	}
	end := telemetry.Ending{Namespace: whole.Namespace, Took: took, Ops: whole.Ops}
	if err != nil {
		end.Reason = prism.From(err).Reason
		if !telemetry.Failure(whole.Reason) {
			whole.Reason = end.Reason
		}
	}
	if f.Traceparent != "" {
		end.Method = p.c.method.Service + "/" + f.Name()
		note.FinishOp(f.Traceparent, end)
	}
}

func failedResult(err error) frame.Result {
	return frame.Result{Kind: frame.Failed, Error: itemError(err)}
}

// take runs the operations if the rate limit has room for them.
func (p *pipeline[O, R]) take(ctx context.Context, b *ops[O, R]) ([]R, error) {
	if err := p.c.target.Take(p.road.Clock.Now(), len(b.list)); err != nil {
		return nil, err
	}
	return b.run(ctx, p.run)
}

func (p *pipeline[O, R]) send(resp *frame.Response) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.err == nil {
		if p.err = p.st.SendMsg(resp); p.err != nil {
			p.cancel()
		}
	}
}

// contain ends the stream, and nothing else, after a panic in a frame.
func (p *pipeline[O, R]) contain(panicked any) {
	if panicked == nil {
		return
	}
	p.road.Log.ErrorContext(p.ctx, "panic in a frame", "panic", panicked, "stack", string(debug.Stack()))
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.err == nil {
		p.err = prism.Internal(nil)
	}
	p.cancel()
}

// gather decodes operations and counts them by kind.
func (p *pipeline[O, R]) gather(b *ops[O, R], ops []frame.Op) (reads, writes int) {
	b.series = series{Principal: p.principal}
	for i := range ops {
		f := &ops[i]
		op, key, namespace, err := p.decode(f)
		b.add(op)
		switch op := &b.list[i]; {
		case err != nil:
		case f.TimeoutMs < 0 || f.TimeoutMs > maxFrameTime.Milliseconds():
			err = prism.InvalidField("timeout_ms", "must be 0 to 1 hour")
		case namespace != "" && namespace != string(p.c.target.Namespace()):
			err = prism.InvalidField("namespace", "must be empty or the stream's")
		case p.reads(op):
			reads++
			err = p.c.target.Pass(prism.ActionRead)
		default:
			writes++
			if err = p.mayWrite; err == nil {
				err = p.c.target.Pass(prism.ActionWrite)
			}
			if err == nil {
				err = p.once(&b.series, op, key, f.RetryID)
			}
		}
		if err != nil {
			b.fail(i, err)
		}
	}
	return reads, writes
}

// key is the key that an operation touches.
func (p *pipeline[O, R]) key(f *frame.Op) string {
	if f.Kind != frame.Other {
		return f.Key
	}
	op, _, _, _ := p.decode(f) //nolint:errcheck // one that is wrong touches nothing
	return p.keyOf(op)
}

// timeoutOf is the longest time that an operation of the frame allows; one
// that gives up earlier is the caller's to forget.
func timeoutOf(ops []frame.Op) time.Duration {
	var longest int64
	for i := range ops {
		if ops[i].TimeoutMs <= 0 {
			return defaultFrameTime
		}
		longest = max(longest, ops[i].TimeoutMs)
	}
	return min(time.Duration(min(longest, maxFrameTime.Milliseconds()))*time.Millisecond, maxFrameTime)
}

// How long a frame may take: without word of its caller, and at most.
const (
	defaultFrameTime = 30 * time.Second
	maxFrameTime     = time.Hour
)

// lanes keep operations on one key in their order over frames that run side by
// side. Only the reading goroutine enters.
type lanes struct {
	seed maphash.Seed
	last map[uint64]*lane // of each key's hash, the last frame that touches it

	mu   sync.Mutex
	open int
}

// A lane is an open frame.
type lane struct {
	after []*lane
	done  chan struct{}
}

// enter says after which frames this one comes. Two keys with one hash only
// wait without need.
func (l *lanes) enter(ops []frame.Op, keyOf func(*frame.Op) string) *lane {
	f := &lane{done: make(chan struct{})}
	l.mu.Lock()
	alone := l.open == 0
	l.open++
	l.mu.Unlock()
	switch {
	case l.last == nil:
		l.seed, l.last = maphash.MakeSeed(), make(map[uint64]*lane, len(ops))
	case alone:
		clear(l.last) // nothing is open that this frame could come after
	case len(l.last) > 2*prism.MaxPipelineFrames*prism.MaxBatchItems:
		maps.DeleteFunc(l.last, func(_ uint64, f *lane) bool { return f.over() })
	}
	for i := range ops {
		key := maphash.String(l.seed, keyOf(&ops[i]))
		if before := l.last[key]; before != nil && before != f && !before.over() {
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
