package gateway

import (
	"context"
	"errors"
	"io"
	"runtime/debug"
	"sync"
	"time"

	"google.golang.org/grpc"

	"github.com/prism-data-layer/prism/pkg/data/timeseries"
	"github.com/prism-data-layer/prism/pkg/prism"
	"github.com/prism-data-layer/prism/pkg/wire/frame"
	timeseriesv1 "github.com/prism-data-layer/prism/proto/prism/timeseries/v1"
)

// openBatches is how many batches of a stream are on their way to the store: as
// many share a block as the store likes. Their bytes are bounded by the
// namespace's buffer, for whose room a stream waits.
const openBatches = 16

// appendTime bounds a batch of a stream once it has room.
const appendTime = 30 * time.Second

func (t *timeSeries) StreamEvents(st grpc.BidiStreamingServer[timeseriesv1.StreamEventsRequest, timeseriesv1.StreamEventsResponse]) (err error) {
	c, err := t.road.knock(st.Context(), t.streamEvents, "")
	if err != nil {
		return err
	}
	st = talking(&c, st)
	open, err := openingEvents(&c, st)
	if err != nil {
		return c.refuse("", err)
	}
	if err := c.admit(open.Namespace); err != nil {
		return err
	}
	defer c.finish(&err)
	store, err := c.target.TimeSeries()
	if err != nil {
		return err
	}
	ctx, cancel := c.live(st.Context())
	defer cancel()
	in := &ingest{
		c: &c, st: st, store: store, async: open.Async, ctx: ctx, cancel: cancel,
		slots: make(chan struct{}, openBatches), principal: c.principal(),
	}
	return in.serve()
}

// openingEvents reads the first message, which must open a namespace.
func openingEvents(c *call, st grpc.ServerStream) (*frame.OpenEvents, error) {
	var first frame.EventsRequest
	if err := c.first(func() error { return st.RecvMsg(&first) }); err != nil {
		if errors.Is(err, io.EOF) {
			return nil, prism.InvalidField("open", "must be the first message")
		}
		return nil, err
	}
	if first.Open == nil {
		return nil, prism.New(prism.ReasonFailedPrecond, "the first message must be open")
	}
	return first.Open, nil
}

// An ingest is one stream of batches. One goroutine reads, and waits for room for
// what it has read; each batch is then stored by one of its own and answered
// when it is.
type ingest struct {
	c         *call
	st        grpc.ServerStream
	store     *timeseries.Store
	async     bool
	principal string
	ctx       context.Context
	cancel    context.CancelFunc
	slots     chan struct{} // one for each open batch

	taking  sync.Mutex // held to begin a batch
	over    bool       // no more are begun
	batches sync.WaitGroup

	mu  sync.Mutex // held to send
	err error      // the first failure to send
}

// serve reads batches until the stream ends, then waits for those that are open:
// what was taken is answered.
func (in *ingest) serve() error {
	ended := make(chan error, 1)
	go func() { ended <- in.read() }()
	var err error
	select {
	case err = <-ended:
	case <-in.ctx.Done():
		err = context.Cause(in.ctx)
	}
	in.taking.Lock()
	in.over = true
	in.taking.Unlock()
	in.batches.Wait()
	if in.err != nil {
		return in.err
	}
	if errors.Is(err, io.EOF) {
		return nil
	}
	return err
}

func (in *ingest) read() (err error) {
	defer func() { in.contain(recover()) }()
	for {
		var r frame.EventsRequest
		if err := in.st.RecvMsg(&r); err != nil {
			return err
		}
		if r.Batch == nil {
			return prism.New(prism.ReasonFailedPrecond, "the stream is open already: send batches")
		}
		select {
		case in.slots <- struct{}{}:
		case <-in.ctx.Done():
			return context.Cause(in.ctx)
		}
		if err := in.take(r.Batch); err != nil {
			return err
		}
	}
}

// take lets a batch be stored once there is room for it. A batch for which there
// is none before the stream's end was never taken, and has no answer.
func (in *ingest) take(b *frame.EventBatch) error {
	start, n := in.c.road.Clock.Now(), len(b.Columns.Times)
	admitted, err := in.admit(b)
	if cause := context.Cause(in.ctx); err != nil && cause != nil {
		return cause
	}
	if bad := in.begin(); bad != nil {
		if err == nil {
			admitted.Give()
		}
		return bad
	}
	if err != nil {
		in.answer(b.ID, n, start, nil, err)
		in.leave()
		return nil
	}
	go func() {
		defer in.leave()
		defer func() { in.contain(recover()) }()
		// Not the stream's context: a batch that was taken is finished, and a
		// drain waits for it.
		ctx := withDeadline(context.WithoutCancel(in.ctx), time.Now().Add(appendTime))
		defer ctx.stop()
		resp, err := appended(admitted.Store(ctx))
		in.answer(b.ID, n, start, resp, err)
	}()
	return nil
}

func (in *ingest) admit(b *frame.EventBatch) (*timeseries.Admitted, error) {
	if err := in.c.target.Pass(prism.ActionWrite); err != nil {
		return nil, err
	}
	if err := in.c.target.Take(in.c.road.Clock.Now(), requestsOf(len(b.Columns.Times))); err != nil {
		return nil, err
	}
	batch, err := incoming(b, in.principal)
	if err != nil {
		return nil, err
	}
	batch.Async, batch.Patient = in.async, true
	return in.store.Admit(in.ctx, batch)
}

// begin counts a batch as open, unless the stream is over.
func (in *ingest) begin() error {
	in.taking.Lock()
	defer in.taking.Unlock()
	if in.over {
		return context.Cause(in.ctx)
	}
	in.batches.Add(1)
	return nil
}

// leave ends a batch that has begun.
func (in *ingest) leave() {
	<-in.slots
	in.batches.Done()
}

// answer tells what became of a batch of n events.
func (in *ingest) answer(id uint64, n int, start time.Time, resp *timeseriesv1.AppendEventsResponse, err error) {
	in.c.road.Metrics.Namespace(in.c.target.Namespace()).Observe(0, requestsOf(n), err != nil, in.c.road.Clock.Now().Sub(start))
	in.c.running.Add(int64(n), 0, 0)
	in.tell(n, start, err)
	result := &timeseriesv1.BatchResult{Id: id, Result: &timeseriesv1.BatchResult_Appended{Appended: resp}}
	if err != nil {
		result.Result = &timeseriesv1.BatchResult_Error{Error: itemError(err)}
	}
	in.send(&timeseriesv1.StreamEventsResponse{Results: []*timeseriesv1.BatchResult{result}})
}

func (in *ingest) send(resp *timeseriesv1.StreamEventsResponse) {
	in.mu.Lock()
	defer in.mu.Unlock()
	if in.err == nil {
		if in.err = in.st.SendMsg(resp); in.err != nil {
			in.cancel()
		}
	}
}

// contain ends the stream, and nothing else, after a panic in a batch.
func (in *ingest) contain(panicked any) {
	if panicked == nil {
		return
	}
	in.c.road.Log.ErrorContext(in.ctx, "panic in a batch", "panic", panicked, "stack", string(debug.Stack()))
	in.mu.Lock()
	defer in.mu.Unlock()
	if in.err == nil {
		in.err = prism.Internal(nil)
	}
	in.cancel()
}
