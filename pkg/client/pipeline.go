package client

import (
	"context"
	"io"
	"runtime"
	"slices"
	"sync"
	"time"

	"google.golang.org/grpc"

	"github.com/prism-data-layer/prism/pkg/prism"
	"github.com/prism-data-layer/prism/pkg/wire"
	"github.com/prism-data-layer/prism/pkg/wire/frame"
	cachev1 "github.com/prism-data-layer/prism/proto/prism/cache/v1"
	kvv1 "github.com/prism-data-layer/prism/proto/prism/keyvalue/v1"
)

// Bounds of a frame.
const (
	frameOps   = 256
	frameBytes = 64 << 10
	opOverhead = 64 // what an operation adds to a frame beside its key and values
)

// When a frame goes: at once while fewer than eager are open, or when it is full.
// Otherwise it gathers callers until an answer comes, so that many callers make
// few large frames; but it waits for no frame that has been open for patience
// already, so that slow operations hold nobody up.
const (
	eager    = 2
	patience = time.Millisecond
)

// A framed model has a Pipeline of its own.
type framed struct {
	model  *frame.Model
	method string
}

var (
	keyValueFrames = &framed{frame.KeyValue, kvv1.KeyValueService_Pipeline_FullMethodName}
	cacheFrames    = &framed{frame.Cache, cachev1.CacheService_Pipeline_FullMethodName}
)

type pipelineKey struct {
	of        *framed
	namespace string
	conn      *grpc.ClientConn
}

// A pipeline puts the concurrent calls on one namespace together on one stream
// of one connection. Its goroutines live while there are calls to answer.
//
// Whoever finds that a frame may go sends it: the caller that began it, the
// goroutine that reads answers, or, when that could block, the one that owns the
// stream. So a frame costs no more switches between goroutines than it must.
type pipeline struct {
	c *Client
	pipelineKey
	ctx  context.Context
	stop context.CancelFunc
	wake chan struct{} // to the owner of the stream: something may go

	mu      sync.Mutex
	queue   []*batch // the last is open: calls join it
	link    *link    // nil: no stream is open
	running bool
	closed  bool
}

// A link is one stream while it is open. The pipeline's mutex guards it.
type link struct {
	st      grpc.ClientStream
	last    uint64   // id of a frame
	open    []*batch // that wait for an answer, oldest first
	bytes   int      // that they hold
	sending bool     // one sends at a time
	crowd   bool     // callers have come together lately: it pays to let others join
	timer   *time.Timer
	armed   bool
}

// A batch is the calls that travel in one frame. They wait on one channel and read
// their results by index, so that answering them costs one wake-up for all. A
// caller that gives up leaves its operation behind: its answer goes nowhere.
type batch struct {
	frame    frame.Frame
	ops      int
	size     int
	born     time.Time
	sent     time.Time
	attempts int

	done    chan struct{} // closed when results or err is there
	results []frame.Result
	err     error
}

func (f *batch) full(size int) bool {
	return f.ops >= frameOps || f.ops > 0 && f.size+size > frameBytes
}

func (f *batch) fail(err error) {
	f.err = err
	close(f.done)
}

// An operation is what a caller asks for: a get, a plain set, or any other.
type operation struct {
	kind    frame.Kind
	key     string
	value   []byte
	once    string // the caller's idempotency key
	retryID []byte
	timeout int64  // in milliseconds
	trace   string // W3C traceparent
	other   frame.OpMessage
	size    int // of keys and values
}

func (o *operation) appendTo(f *frame.Frame) error {
	switch o.kind {
	case frame.Get:
		f.AppendGet(o.key, o.timeout, o.trace)
	case frame.Set:
		f.AppendSet(o.key, o.value, o.once, o.retryID, o.timeout, o.trace)
	default:
		return f.Append(o.other, o.retryID, o.timeout, o.trace)
	}
	return nil
}

// framed runs one operation over the namespace's pipeline. A context without a
// deadline costs no timer: the pipeline gives up on what it could not send in
// time.
func (c *Client) framed(ctx context.Context, of *framed, namespace string, op *operation) (frame.Result, error) {
	if err := ctx.Err(); err != nil { // what has ended is not begun
		return frame.Result{}, prism.From(err)
	}
	if d, ok := ctx.Deadline(); ok {
		op.timeout = max(millis(time.Until(d)), 1)
	} else {
		op.timeout = DefaultTimeout.Milliseconds()
	}
	p, err := c.pipeline(of, namespace)
	if err != nil {
		return frame.Result{}, err
	}
	for attempt := 1; ; attempt++ {
		r, err := p.do(ctx, op)
		if err != nil {
			return frame.Result{}, err
		}
		if r.Error == nil {
			return r, nil
		}
		e := wire.FromItem(r.Error)
		if attempt == maxAttempts || !repeatable(e) || !c.retry.spend() || !sleep(ctx, delay(attempt, e)) {
			return frame.Result{}, e
		}
		c.stats.Retries.Add(1)
	}
}

// pipeline returns the pipeline of a namespace on the next connection.
func (c *Client) pipeline(of *framed, namespace string) (*pipeline, error) {
	key := pipelineKey{of, namespace, c.Conn()}
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
		p = &pipeline{c: c, pipelineKey: key, ctx: ctx, stop: stop, wake: make(chan struct{}, 1)}
		c.pipelines[key] = p
	}
	return p, nil
}

// do sends op and waits for its answer. Mutations carry a retry id, so the
// pipeline may send a frame again when a stream is lost.
func (p *pipeline) do(ctx context.Context, op *operation) (frame.Result, error) {
	f, i, err := p.join(op)
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

// join adds op to the open frame, tells its place there, and sends the frame if
// it may go.
func (p *pipeline) join(op *operation) (f *batch, i int, err error) {
	size := op.size + opOverhead
	p.mu.Lock()
	if p.closed {
		p.mu.Unlock()
		return nil, 0, errClosed()
	}
	if n := len(p.queue); n > 0 && !p.queue[n-1].full(size) && p.queue[n-1].attempts == 0 {
		f = p.queue[n-1]
	} else {
		f = &batch{done: make(chan struct{}), born: time.Now()}
		p.queue = append(p.queue, f)
	}
	if err := op.appendTo(&f.frame); err != nil {
		p.mu.Unlock()
		return nil, 0, prism.New(prism.ReasonInvalidArgument, "the operation cannot be coded").WithCause(err)
	}
	i = f.ops
	f.ops++
	f.size += size
	start := !p.running
	p.running = true
	var l *link
	if i == 0 || f.full(opOverhead) { // the others only join
		l = p.claim()
	}
	p.mu.Unlock()
	if start {
		go p.run()
	}
	if l != nil {
		p.flush(l)
	}
	return f, i, nil
}

// claim makes the caller, who holds the lock, the one that sends, if a frame may
// go and sending it cannot block: everything that is not answered yet fits into
// what the connection takes. Otherwise it leaves that to the owner of the stream.
func (p *pipeline) claim() *link {
	l := p.link
	if l == nil || l.sending || !p.ready(l) {
		return nil
	}
	if l.bytes+p.queue[0].size > frameBytes {
		p.poke()
		return nil
	}
	l.sending = true
	return l
}

func (p *pipeline) poke() {
	select {
	case p.wake <- struct{}{}:
	default:
	}
}

// ready reports whether the first frame of the queue may go now; p.mu is held.
func (p *pipeline) ready(l *link) bool {
	n := len(l.open)
	switch {
	case len(p.queue) == 0 || n >= prism.MaxPipelineFrames:
		return false
	case n < eager || len(p.queue) > 1 || p.queue[0].full(opOverhead):
		return true
	}
	wait := p.c.o.patience - time.Since(l.open[n-eager].sent)
	if wait <= 0 {
		return true
	}
	if !l.armed {
		l.armed = true
		l.timer.Reset(wait)
	}
	return false
}

// flush sends the first frame of the queue for whoever has claimed l, and lets
// callers that are about to call join it first.
func (p *pipeline) flush(l *link) {
	p.mu.Lock()
	crowd := l.crowd
	p.mu.Unlock()
	if crowd {
		runtime.Gosched()
	}
	p.mu.Lock()
	var f *batch
	var message frame.Frame // of its own: should the stream be lost meanwhile, f goes again
	if p.link == l && len(p.queue) > 0 {
		f = p.queue[0]
		p.queue[0] = nil
		p.queue = p.queue[1:]
		l.last++
		f.frame.ID, f.sent = l.last, time.Now()
		message = f.frame
		l.open = append(l.open, f)
		l.bytes += f.size
	}
	p.mu.Unlock()
	if f != nil {
		p.count(f.ops)
		l.st.SendMsg(&message) //nolint:errcheck // it says only that the stream is over; Recv says why
	}
	p.mu.Lock()
	l.sending = false
	if p.link == l && p.ready(l) {
		p.poke()
	}
	p.mu.Unlock()
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
		p.c.stats.Retries.Add(int64(f.ops))
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
	st, err := p.conn.NewStream(ctx, &grpc.StreamDesc{ClientStreams: true, ServerStreams: true}, p.of.method)
	if err == nil {
		err = st.SendMsg(&frame.Open{Namespace: p.namespace})
	}
	if err == nil || err == io.EOF { // the reason comes with the answer
		err = st.RecvMsg(&frame.Response{Model: p.of.model})
	}
	if err != nil {
		return nil, false, p.ended(sess, err)
	}

	l := &link{st: st}
	l.timer = time.AfterFunc(time.Hour, func() { p.late(l) })
	defer l.timer.Stop()
	p.mu.Lock()
	p.link = l
	p.mu.Unlock()
	ended := make(chan error, 1)
	go func() { ended <- p.receive(l) }()
	err = p.send(l, ended)
	cancel()
	return p.unlink(l), true, p.ended(sess, err)
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

// send sends what nobody else does until the stream ends, and returns why it did.
func (p *pipeline) send(l *link, ended <-chan error) error {
	for {
		p.mu.Lock()
		may := !l.sending && p.ready(l)
		if may {
			l.sending = true
		}
		p.mu.Unlock()
		if may {
			p.flush(l)
			continue
		}
		select {
		case <-p.wake:
		case err := <-ended:
			return err
		}
	}
}

// late is called when a frame has gathered callers for long enough.
func (p *pipeline) late(l *link) {
	p.mu.Lock()
	defer p.mu.Unlock()
	l.armed = false
	if p.link == l && !l.sending && p.ready(l) {
		p.poke()
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

// receive hands out answers until the stream ends. Large results come in
// several messages.
func (p *pipeline) receive(l *link) error {
	for {
		resp := &frame.Response{Model: p.of.model}
		if err := l.st.RecvMsg(resp); err != nil {
			return err
		}
		if err := p.answered(l, resp); err != nil {
			return err
		}
	}
}

func (p *pipeline) answered(l *link, resp *frame.Response) error {
	p.mu.Lock()
	at := slices.IndexFunc(l.open, func(f *batch) bool { return f.frame.ID == resp.ID })
	if at < 0 {
		p.mu.Unlock()
		return prism.New(prism.ReasonInternal, "the gateway answered a frame that was not sent")
	}
	f := l.open[at]
	if f.results == nil {
		f.results = resp.Results
	} else {
		f.results = append(f.results, resp.Results...)
	}
	if resp.More && len(f.results) < f.ops {
		p.mu.Unlock()
		return nil
	}
	if len(f.results) != f.ops {
		p.mu.Unlock()
		return prism.New(prism.ReasonInternal, "the gateway answered a frame of %d operations with another number of results", f.ops)
	}
	l.open = slices.Delete(l.open, at, at+1)
	l.bytes -= f.size
	l.crowd = f.ops > 1
	next := p.claim()
	p.mu.Unlock()
	f.frame.Ops = nil
	close(f.done)
	if next != nil {
		p.flush(next)
	}
	return nil
}

// unlink ends a link and returns the frames without an answer, oldest first.
func (p *pipeline) unlink(l *link) []*batch {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.link = nil
	for _, f := range l.open {
		f.results = nil // what came of it comes again
	}
	return l.open
}

func errClosed() *prism.Error {
	return prism.New(prism.ReasonCancelled, "the client is closed")
}

// millis is a duration for the wire, rounded up so that none becomes zero.
func millis(d time.Duration) int64 {
	return int64((d + time.Millisecond - 1) / time.Millisecond)
}
