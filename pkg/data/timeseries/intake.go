package timeseries

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prism-data-layer/prism/pkg/clock"
	"github.com/prism-data-layer/prism/pkg/driver"
	"github.com/prism-data-layer/prism/pkg/prism"
)

// Bounds of what waits for the store, of one namespace.
const (
	DefaultBuffer = 64 << 20
	BufferEvents  = 4_000_000
)

// How the buffer is worked off: so many batches at a time, that a store may put
// them together; each is tried again while that may help, for so long after it
// came, and is then dropped.
const (
	workers      = 8
	Patience     = 30 * time.Second
	firstBackoff = 50 * time.Millisecond
	lastBackoff  = time.Second
	lastWait     = 2 * time.Second
)

// Figures count events. What was sent is what was stored, duplicates, rejected,
// dropped and buffered together, at any time; a call that fails as a whole has
// sent nothing.
type Figures struct {
	Sent, Stored, Duplicates, Rejected, Dropped, Buffered int64
}

func (f Figures) plus(o Figures) Figures {
	return Figures{
		Sent: f.Sent + o.Sent, Stored: f.Stored + o.Stored, Duplicates: f.Duplicates + o.Duplicates,
		Rejected: f.Rejected + o.Rejected, Dropped: f.Dropped + o.Dropped, Buffered: f.Buffered + o.Buffered,
	}
}

// An Intake is what waits for the store, of all versions of a namespace: calls
// that are answered when their events are stored, and the buffer of those that
// were answered before. Both have room of it until they are stored.
type Intake struct {
	clock clock.Clock
	// held counts what must end before the namespace may be dropped.
	held   *atomic.Int64
	ctx    context.Context // ends when nothing more is tried
	cancel context.CancelFunc
	retain keeper

	mu       sync.Mutex
	figures  Figures
	lastDrop string
	bytes    int64 // that have room
	events   int64
	roomier  chan struct{} // closed when something leaves; nil: nobody waits
	queue    []pending
	working  int
	closed   bool
	idle     chan struct{} // closed when all is worked off; nil: nobody waits
}

// A pending batch was answered, and is to be stored.
type pending struct {
	store driver.TimeSeries
	ns    prism.Namespace
	in    *Incoming
	since time.Time
}

// NewIntake returns an empty one. held is counted up for as long as something is
// on its way to the store.
func NewIntake(c clock.Clock, held *atomic.Int64) *Intake {
	ctx, cancel := context.WithCancel(context.Background())
	return &Intake{clock: c, held: held, ctx: ctx, cancel: cancel}
}

// Figures tells the numbers, and why events were dropped the last time.
func (in *Intake) Figures() (Figures, string) {
	in.mu.Lock()
	defer in.mu.Unlock()
	return in.figures, in.lastDrop
}

// Bytes is what waits for the store.
func (in *Intake) Bytes() int64 {
	in.mu.Lock()
	defer in.mu.Unlock()
	return in.bytes
}

func (in *Intake) count(f Figures) {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.figures = in.figures.plus(f)
}

// enter takes room for a batch: of so many bytes in all, 0 for the default. Who
// is patient waits for it.
func (in *Intake) enter(ctx context.Context, bound int64, b *Incoming) error {
	bound = cmp.Or(bound, DefaultBuffer)
	for {
		wait, err := in.tryEnter(bound, b)
		if wait == nil {
			return err
		}
		select {
		case <-wait:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// tryEnter takes room if there is some; wait, if not nil, is closed when there
// may be. A batch that is larger than all the room goes in alone.
func (in *Intake) tryEnter(bound int64, b *Incoming) (wait <-chan struct{}, err error) {
	size, n := sizeOf(&b.Batch), int64(b.Len())
	in.mu.Lock()
	defer in.mu.Unlock()
	switch {
	case in.closed:
		return nil, prism.New(prism.ReasonDraining, "the gateway is about to stop")
	case in.events == 0 || in.bytes+size <= bound && in.events+n <= BufferEvents:
		in.bytes += size
		in.events += n
		in.held.Add(1)
		return nil, nil
	case !b.Patient:
		return nil, prism.New(prism.ReasonBufferFull, "%d events of %d bytes wait for the store, which is as many as may", in.events, in.bytes)
	}
	if in.roomier == nil {
		in.roomier = make(chan struct{})
	}
	return in.roomier, nil
}

// leave gives the room of a batch back.
func (in *Intake) leave(b *Incoming) {
	in.mu.Lock()
	in.bytes -= sizeOf(&b.Batch)
	in.events -= int64(b.Len())
	if in.roomier != nil {
		close(in.roomier)
		in.roomier = nil
	}
	in.mu.Unlock()
	in.held.Add(-1)
}

// later keeps a batch, which has room, for the workers.
func (in *Intake) later(store driver.TimeSeries, ns prism.Namespace, b *Incoming, came Figures) {
	came.Buffered = int64(b.Len())
	in.mu.Lock()
	defer in.mu.Unlock()
	in.figures = in.figures.plus(came)
	in.queue = append(in.queue, pending{store: store, ns: ns, in: b, since: in.clock.Now()})
	if in.working < workers {
		in.working++
		go in.work()
	}
}

// work stores batches until none waits.
func (in *Intake) work() {
	for {
		in.mu.Lock()
		if len(in.queue) == 0 {
			in.working--
			if in.working == 0 && in.idle != nil {
				close(in.idle)
				in.idle = nil
			}
			in.queue = nil // with the room that it took
			in.mu.Unlock()
			return
		}
		p := in.queue[0]
		in.queue[0] = pending{}
		in.queue = in.queue[1:]
		in.mu.Unlock()
		in.settle(&p)
	}
}

// settle stores a batch, or counts it as dropped.
func (in *Intake) settle(p *pending) {
	result, err := in.store(p)
	n := int64(p.in.Len())
	f := Figures{Buffered: -n}
	if err == nil {
		f = f.plus(stored(n, result))
	} else {
		f.Dropped = n
	}
	in.mu.Lock()
	in.figures = in.figures.plus(f)
	if err != nil {
		e := prism.From(err)
		in.lastDrop = string(e.Reason) + ": " + e.Message
	}
	in.mu.Unlock()
	in.leave(p.in)
}

// store tries until it is done, must not be tried again, or the time is over.
func (in *Intake) store(p *pending) (driver.AppendResult, error) {
	for backoff := firstBackoff; ; backoff = min(2*backoff, lastBackoff) {
		result, err := in.try(p)
		if err == nil {
			return result, nil
		}
		e := prism.From(err)
		wait := max(backoff, e.RetryAfter())
		if !mayPass(e) || in.clock.Now().Add(wait).Sub(p.since) > Patience || !in.sleep(wait) {
			return result, e
		}
	}
}

// try calls the store once. A panic of it is an error of this batch alone.
func (in *Intake) try(p *pending) (result driver.AppendResult, err error) {
	ctx, cancel := context.WithTimeout(in.ctx, Patience)
	defer cancel()
	defer func() {
		if v := recover(); v != nil {
			err = prism.Internal(fmt.Errorf("panic: %v", v))
		}
	}()
	return p.store.AppendEvents(ctx, p.ns, &p.in.Batch, p.in.Receipt)
}

// mayPass reports whether trying again may help.
func mayPass(e *prism.Error) bool {
	return e.Retryable() || errors.Is(e, prism.ReasonDeadlineExceeded)
}

// sleep waits, unless nothing more is tried.
func (in *Intake) sleep(d time.Duration) bool {
	t := in.clock.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-in.ctx.Done():
		return false
	}
}

// Close takes no more, and returns when what waits is stored; when ctx ends, the
// rest is dropped and counted.
func (in *Intake) Close(ctx context.Context) {
	in.retain.stop()
	in.mu.Lock()
	in.closed = true
	if in.roomier != nil {
		close(in.roomier)
		in.roomier = nil
	}
	var idle chan struct{}
	if in.working > 0 {
		if in.idle == nil {
			in.idle = make(chan struct{})
		}
		idle = in.idle
	}
	in.mu.Unlock()
	if idle != nil {
		select {
		case <-idle:
		case <-ctx.Done():
			in.cancel() // the workers now fail at once, batch by batch
			select {
			case <-idle:
			case <-time.After(lastWait): // a store that hears nothing
			}
		}
	}
	in.cancel()
}

// sizeOf is about how much memory a batch takes.
func sizeOf(b *Batch) int64 {
	n := 8*len(b.Times) + codedSize(&b.Types) + codedSize(&b.Sources) + 4*len(b.Payloads.Ends) + len(b.Payloads.Data) + 4*len(b.IDs.Ends) + len(b.IDs.Data)
	for i := range b.Dimensions {
		n += codedSize(&b.Dimensions[i].Values)
	}
	for i := range b.Metrics {
		n += 8*len(b.Metrics[i].Values) + len(b.Metrics[i].Present)
	}
	return int64(n)
}

func codedSize(c *Coded) int {
	n := 4 * len(c.Codes)
	for _, s := range c.Dictionary {
		n += 16 + len(s)
	}
	return n
}
