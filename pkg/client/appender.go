package client

import (
	"context"
	"slices"
	"sync"
	"time"

	"google.golang.org/grpc"

	"github.com/prism-data-layer/prism/pkg/prism"
	"github.com/prism-data-layer/prism/pkg/wire"
	"github.com/prism-data-layer/prism/pkg/wire/frame"
	timeseriesv1 "github.com/prism-data-layer/prism/proto/prism/timeseries/v1"
)

// AppenderOptions say how events are put together. The zero value is good for
// throughput.
type AppenderOptions struct {
	Events   int           // of a batch; 0: 16,384
	Bytes    int           // of a batch, about; 0: 1 MiB, at most 2.5 MiB
	Age      time.Duration // of the first event of a batch when it goes; 0: 200 ms
	InFlight int           // batches that are not answered; 0: 8
	// Async is answered when a batch waits in the gateway's buffer.
	Async bool
	// Answered, if set, is told what became of each batch, in no order: its first
	// event is the first-th that was added. err is of the batch as a whole. It must
	// not call the appender.
	Answered func(first int64, a Appended, err *prism.Error)
}

func (o *AppenderOptions) defaults() {
	if o.Events <= 0 {
		o.Events = 16 << 10
	}
	o.Events = min(o.Events, prism.MaxEvents)
	if o.Bytes <= 0 {
		o.Bytes = 1 << 20
	}
	o.Bytes = min(o.Bytes, 5<<19)
	if o.Age <= 0 {
		o.Age = 200 * time.Millisecond
	}
	if o.InFlight <= 0 {
		o.InFlight = 8
	}
}

// Totals count events: what was sent is what was accepted, duplicates, rejected
// and failed together, once all is answered.
type Totals struct {
	Sent, Accepted, Duplicates, Rejected, Failed int64
}

// An Appender sends events over one stream: it puts them into columns, waits
// while enough are under way, and sends again what a break left unanswered. It is
// safe for concurrent use, and needs a Close.
type Appender struct {
	t      *TimeSeries
	o      AppenderOptions
	ctx    context.Context
	cancel context.CancelFunc
	slots  chan struct{} // one for each batch that is not answered
	wake   chan struct{} // holds one: there is something to send
	done   chan struct{} // closed when nothing is sent any more

	mu       sync.Mutex
	building frame.Builder
	first    int64  // event of it
	id       uint64 // of the last batch
	age      *time.Timer
	open     []*eventBatch // not answered, in their order
	totals   Totals
	last     *prism.Error  // why something failed, the last time
	over     *prism.Error  // why nothing is taken any more
	settled  chan struct{} // closed when the next batch is answered; nil: nobody waits
}

// An eventBatch is under way.
type eventBatch struct {
	req      *timeseriesv1.StreamEventsRequest
	id       uint64
	first    int64
	events   int64
	attempts int  // with an answer that asked for another
	sent     bool // on the stream of now
}

// Appender begins to append. Its stream ends with ctx, or with Close.
func (t *TimeSeries) Appender(ctx context.Context, o AppenderOptions) *Appender {
	o.defaults()
	a := &Appender{t: t, o: o, slots: make(chan struct{}, o.InFlight), wake: make(chan struct{}, 1), done: make(chan struct{})}
	a.ctx, a.cancel = context.WithCancel(ctx)
	go a.run()
	return a
}

// Add takes an event. It waits while enough batches are under way; an error says
// that this event was not taken.
func (a *Appender) Add(ctx context.Context, m Measurement) error {
	for {
		a.mu.Lock()
		switch {
		case a.over != nil:
			defer a.mu.Unlock()
			return a.over
		case !a.full():
			if m.addTo(&a.building); a.building.Len() == 1 {
				a.age = time.AfterFunc(a.o.Age, a.aged)
			}
			a.totals.Sent++
			a.mu.Unlock()
			return nil
		}
		a.mu.Unlock()
		if err := a.seal(ctx, a.full); err != nil {
			return err
		}
	}
}

// full reports whether what is being built must go.
func (a *Appender) full() bool {
	return a.building.Len() >= a.o.Events || a.building.Bytes() >= a.o.Bytes || a.building.Full()
}

// aged sends what has waited long enough.
func (a *Appender) aged() { _ = a.seal(a.ctx, always) }

func always() bool { return true }

// seal sends what is being built if it still should when there is a slot.
func (a *Appender) seal(ctx context.Context, should func() bool) error {
	if err := a.slot(ctx); err != nil {
		return err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.building.Len() == 0 || !should() || a.over != nil {
		<-a.slots
		return nil
	}
	if a.age != nil {
		a.age.Stop()
	}
	n := int64(a.building.Len())
	columns, ok := a.building.Columns()
	first := a.first
	a.first += n
	if !ok {
		<-a.slots
		a.fail(first, n, errScattered())
		return nil
	}
	a.enqueue(&columns, first, n)
	return nil
}

// AddColumns takes events in columns, which go as they are, as one batch. They
// are not to be changed until it is answered.
func (a *Appender) AddColumns(ctx context.Context, columns *Columns) error {
	for {
		if err := a.seal(ctx, always); err != nil {
			return err
		}
		if err := a.slot(ctx); err != nil {
			return err
		}
		a.mu.Lock()
		if a.over != nil || a.building.Len() == 0 {
			break
		}
		a.mu.Unlock() // what came in between goes first
		<-a.slots
	}
	defer a.mu.Unlock()
	if a.over != nil {
		<-a.slots
		return a.over
	}
	n, first := int64(len(columns.Times)), a.first
	a.first += n
	a.totals.Sent += n
	a.enqueue(columns, first, n)
	return nil
}

func (a *Appender) slot(ctx context.Context) error {
	select {
	case a.slots <- struct{}{}:
		return nil
	case <-ctx.Done():
		return prism.From(ctx.Err())
	case <-a.done:
		a.mu.Lock()
		defer a.mu.Unlock()
		return a.over
	}
}

// enqueue hands a batch, which has a slot, to the stream. With the lock held.
func (a *Appender) enqueue(columns *Columns, first, n int64) {
	a.id++
	b := &eventBatch{id: a.id, first: first, events: n}
	b.req = &timeseriesv1.StreamEventsRequest{Message: &timeseriesv1.StreamEventsRequest_Batch{Batch: &timeseriesv1.EventBatch{
		Id: b.id, RetryId: a.t.c.ids.next(), Events: &timeseriesv1.EventBatch_Columns{Columns: columns.Proto()},
	}}}
	a.open = append(a.open, b)
	a.t.c.retry.earn(1)
	a.rouse()
}

func (a *Appender) rouse() {
	select {
	case a.wake <- struct{}{}:
	default:
	}
}

// Totals are the numbers so far.
func (a *Appender) Totals() Totals {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.totals
}

// Flush sends what was added and waits for its answers. The error is why events
// failed, the last time, if any did.
func (a *Appender) Flush(ctx context.Context) (Totals, error) {
	if err := a.seal(ctx, always); err != nil {
		return a.Totals(), err
	}
	for {
		a.mu.Lock()
		if len(a.open) == 0 || a.over != nil {
			defer a.mu.Unlock()
			if a.last == nil {
				return a.totals, nil
			}
			return a.totals, a.last
		}
		if a.settled == nil {
			a.settled = make(chan struct{})
		}
		settled := a.settled
		a.mu.Unlock()
		select {
		case <-settled:
		case <-ctx.Done():
			return a.Totals(), prism.From(ctx.Err())
		}
	}
}

// Close is Flush, and the end: what is not answered when ctx ends has failed.
func (a *Appender) Close(ctx context.Context) (Totals, error) {
	totals, err := a.Flush(ctx)
	a.cancel()
	<-a.done
	if err != nil {
		totals = a.Totals()
	}
	return totals, err
}

// fail counts events that were not stored, as far as we know. With the lock held.
func (a *Appender) fail(first, n int64, why *prism.Error) {
	a.totals.Failed += n
	a.last = why
	if a.o.Answered != nil {
		a.o.Answered(first, Appended{}, why)
	}
}

// answered settles a batch, unless it is to be sent again.
func (a *Appender) answered(r *timeseriesv1.BatchResult) {
	a.mu.Lock()
	defer a.mu.Unlock()
	i := slices.IndexFunc(a.open, func(b *eventBatch) bool { return b.id == r.Id })
	if i < 0 {
		return
	}
	b := a.open[i]
	if r.GetError() == nil {
		x := appendedOf(r.GetAppended())
		a.totals.Accepted += x.Accepted
		a.totals.Duplicates += x.Duplicates
		a.totals.Rejected += x.Rejected
		a.settle(i)
		if a.o.Answered != nil {
			a.o.Answered(b.first, x, nil)
		}
		return
	}
	e := wire.FromItem(r.GetError())
	if b.attempts++; b.attempts < maxAttempts && repeatable(e) && a.t.c.retry.spend() {
		a.t.c.stats.Retries.Add(1)
		time.AfterFunc(delay(b.attempts, e), func() {
			a.mu.Lock()
			b.sent = false
			a.mu.Unlock()
			a.rouse()
		})
		return
	}
	a.settle(i)
	a.fail(b.first, b.events, e)
}

// settle takes a batch out. With the lock held.
func (a *Appender) settle(i int) {
	a.open = slices.Delete(a.open, i, i+1)
	<-a.slots
	if a.settled != nil {
		close(a.settled)
		a.settled = nil
	}
}

// run keeps a stream open until the appender is closed or going on is
// impossible; what is open then has failed.
func (a *Appender) run() {
	defer close(a.done)
	err := a.keep()
	a.mu.Lock()
	defer a.mu.Unlock()
	a.over = err
	for len(a.open) > 0 {
		b := a.open[0]
		a.settle(0)
		a.fail(b.first, b.events, err)
	}
	if n := int64(a.building.Len()); n > 0 {
		a.building.Reset()
		a.fail(a.first, n, err)
	}
	if a.settled != nil {
		close(a.settled)
		a.settled = nil
	}
}

// keep opens streams, one after the other. It returns why there is none any
// more.
func (a *Appender) keep() *prism.Error {
	for fails := 1; ; fails++ {
		select {
		case <-a.wake:
		case <-a.ctx.Done():
		}
		sess, worked, err := a.stream()
		if a.ctx.Err() != nil {
			return prism.New(prism.ReasonCancelled, "the appender is closed")
		}
		e, resume := wire.FromStream(err)
		if worked {
			fails = 1
		}
		lost := a.t.c.session.lost(sess, e)
		if !lost && !e.Retryable() && resume == nil || fails >= maxAttempts && a.t.c.o.failFast || fails > 1 && !a.t.c.retry.spend() {
			return e
		}
		a.t.c.stats.Resumes.Add(1)
		if !sleep(a.ctx, delay(min(fails, maxAttempts), e)) {
			return prism.New(prism.ReasonCancelled, "the appender is closed")
		}
		a.again()
	}
}

// again sends everything that is open on the next stream.
func (a *Appender) again() {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, b := range a.open {
		b.sent = false
	}
	a.rouse()
}

type eventStream = grpc.BidiStreamingClient[timeseriesv1.StreamEventsRequest, timeseriesv1.StreamEventsResponse]

// stream sends batches and reads answers until the stream breaks; worked says
// whether any answer came.
func (a *Appender) stream() (sess *session, worked bool, err error) {
	ctx, cancel := context.WithCancel(a.ctx)
	defer cancel()
	attached, sess, err := a.t.c.session.attach(ctx)
	if err != nil {
		return sess, false, err
	}
	a.t.c.stats.Attempts.Add(1)
	st, err := a.t.rpc().StreamEvents(attached)
	if err != nil {
		return sess, false, err
	}
	open := &timeseriesv1.OpenStream{Namespace: a.t.ns, Async: a.o.Async}
	if err := st.Send(&timeseriesv1.StreamEventsRequest{Message: &timeseriesv1.StreamEventsRequest_Open{Open: open}}); err != nil {
		_, err = st.Recv() // what it was ended with
		return sess, false, err
	}
	ended := make(chan error, 1)
	go func() { ended <- a.receive(st, &worked) }()
	a.rouse()
	for {
		b := a.nextUnsent()
		if b != nil {
			if st.Send(b.req) != nil {
				err := <-ended // what it was ended with
				return sess, worked, err
			}
			continue
		}
		select {
		case <-a.wake:
		case err := <-ended:
			return sess, worked, err
		}
	}
}

func (a *Appender) nextUnsent() *eventBatch {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, b := range a.open {
		if !b.sent {
			b.sent = true
			return b
		}
	}
	return nil
}

func (a *Appender) receive(st eventStream, worked *bool) error {
	for {
		resp, err := st.Recv()
		if err != nil {
			return err
		}
		*worked = true
		for _, r := range resp.Results {
			a.answered(r)
		}
	}
}
