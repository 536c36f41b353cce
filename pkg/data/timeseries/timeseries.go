// Package timeseries is what events in time mean on every backend: what is
// valid, which events of a batch are refused, how long they are seen, what waits
// for the store and is counted, how answers are paged, ordered and filled.
package timeseries

import (
	"context"
	"encoding/binary"
	"math"
	"time"

	"github.com/prism-data-layer/prism/pkg/clock"
	"github.com/prism-data-layer/prism/pkg/data"
	"github.com/prism-data-layer/prism/pkg/driver"
	"github.com/prism-data-layer/prism/pkg/prism"
)

// The types of the contract, so that the gateway need not know drivers.
type (
	Batch             = driver.EventBatch
	Coded             = driver.Coded
	Dimension         = driver.Dimension
	Metric            = driver.Metric
	Blobs             = driver.Blobs
	Selection         = driver.Selection
	Filter            = driver.Filter
	FilterClause      = driver.FilterClause
	FilterOp          = driver.FilterOp
	GroupKey          = driver.GroupKey
	Aggregate         = driver.Aggregate
	AggregateFunction = driver.AggregateFunction
	AggregateRow      = driver.AggregateRow
)

// What events are grouped by.
const (
	GroupType      = driver.GroupType
	GroupSource    = driver.GroupSource
	GroupDimension = driver.GroupDimension
)

// A Policy is what a namespace says of all its events.
type Policy struct {
	Receipts  int64         // idempotency keys that are kept; 0: the store's bound
	Retention time.Duration // 0: for ever
	Buffer    int64         // bytes of events that wait for the store; 0: DefaultBuffer
}

// A Store is one namespace.
type Store struct {
	set    driver.Set
	ns     prism.Namespace
	policy Policy
	sealer *data.Sealer
	clock  clock.Clock
	intake *Intake
}

// New returns the namespace ns of set. The sealer authenticates its cursors and
// positions; the intake holds what waits for the store, and is the same for all
// versions of the namespace.
func New(set driver.Set, ns prism.Namespace, p Policy, s *data.Sealer, c clock.Clock, in *Intake) *Store {
	return &Store{set: set, ns: ns, policy: p, sealer: s, clock: c, intake: in}
}

func (s *Store) missing(capability string) error { return data.Missing(&s.set, s.ns, capability) }

// Intake holds what waits for the store.
func (s *Store) Intake() *Intake { return s.intake }

// horizon is the first time that is not over by retention.
func (s *Store) horizon() int64 {
	if s.policy.Retention <= 0 {
		return 1
	}
	return max(1, s.clock.Now().Add(-s.policy.Retention).UnixNano())
}

// An Incoming is a batch as it came.
type Incoming struct {
	Batch
	Rows bool // it came as rows, whose names may be many together
	// Async answers when the batch waits in the buffer. Patient waits for room
	// where a call in a hurry is refused.
	Async, Patient bool
	Receipt        driver.Receipt
}

// Once makes a batch happen once: key is the caller's idempotency key, retry an
// id that a client made; key wins. It comes before Append, which may change the
// batch.
func Once(in *Incoming, principal, key string, retry []byte) error {
	r, err := data.Receipt(principal, "AppendEvents", key, retry)
	if err != nil || r.IsZero() {
		return err
	}
	body := data.NewBody()
	numbersOf(body, len(in.Times), func(i int) uint64 { return uint64(in.Times[i]) })
	if key != "" { // a client does not use an id of its own for something else
		bodyOf(body, &in.Batch)
	}
	r.Body = body.Sum()
	in.Receipt = r
	return nil
}

// bodyOf adds all but the times.
func bodyOf(b data.Body, batch *Batch) {
	codedOf(b, &batch.Types)
	codedOf(b, &batch.Sources)
	for i := range batch.Dimensions {
		b.Bytes([]byte(batch.Dimensions[i].Name))
		codedOf(b, &batch.Dimensions[i].Values)
	}
	for i := range batch.Metrics {
		m := &batch.Metrics[i]
		b.Bytes([]byte(m.Name)).Bytes(m.Present)
		numbersOf(b, len(m.Values), func(i int) uint64 { return math.Float64bits(m.Values[i]) })
	}
	for _, blobs := range []*Blobs{&batch.Payloads, &batch.IDs} {
		numbersOf(b, len(blobs.Ends), func(i int) uint64 { return uint64(blobs.Ends[i]) })
		b.Bytes(blobs.Data)
	}
}

func codedOf(b data.Body, c *Coded) {
	b.Number(uint64(len(c.Dictionary)))
	for _, s := range c.Dictionary {
		b.Bytes([]byte(s))
	}
	numbersOf(b, len(c.Codes), func(i int) uint64 { return uint64(c.Codes[i]) })
}

// numbersOf adds n numbers, many at a time.
func numbersOf(b data.Body, n int, at func(i int) uint64) {
	b.Number(uint64(n))
	var part [4096]byte
	for i := 0; i < n; {
		p := part[:0]
		for ; i < n && len(p) < len(part); i++ {
			p = binary.LittleEndian.AppendUint64(p, at(i))
		}
		b.Bytes(p)
	}
}

// An Appended is what became of a batch.
type Appended struct {
	Accepted   int64
	Duplicates int64
	Rejected   int64
	Rejections []Rejection // the first MaxRejections
}

// A Rejection is why an event was refused.
type Rejection struct {
	Index int
	Err   *prism.Error
}

// MaxRejections is how many are listed.
const MaxRejections = 100

// Append is Admit and Store.
func (s *Store) Append(ctx context.Context, in *Incoming) (Appended, error) {
	a, err := s.Admit(ctx, in)
	if err != nil {
		return Appended{}, err
	}
	return a.Store(ctx)
}

// An Admitted batch has room, and waits to be stored. Every one needs a Store or a Give.
type Admitted struct {
	s        *Store
	in       *Incoming
	appended Appended
}

// Admit refuses what is wrong with single events, one by one, and takes room for
// the others. The batch is the store's from now on.
func (s *Store) Admit(ctx context.Context, in *Incoming) (*Admitted, error) {
	if s.set.TimeSeries == nil {
		return nil, s.missing("timeseries_basic")
	}
	bad, err := check(&in.Batch, in.Rows, s.horizon())
	if err != nil {
		return nil, err
	}
	a := &Admitted{s: s, in: in, appended: Appended{Rejected: int64(bad.count)}}
	if bad.count > 0 || bad.untidy {
		a.appended.Rejections = bad.list(&in.Batch)
		compact(&in.Batch, bad)
	}
	in.Receipt.Max = s.policy.Receipts
	if in.Len() == 0 {
		return a, nil
	}
	return a, s.intake.enter(ctx, s.policy.Buffer, in)
}

// Give gives the room back: the batch is not to be stored.
func (a *Admitted) Give() {
	if a.in.Len() > 0 {
		a.s.intake.leave(a.in)
	}
}

// Store stores the batch whole, or with Async leaves it to the workers.
func (a *Admitted) Store(ctx context.Context) (Appended, error) {
	s, in, n := a.s, a.in, int64(a.in.Len())
	came := Figures{Sent: n + a.appended.Rejected, Rejected: a.appended.Rejected}
	switch {
	case n == 0:
		s.intake.count(came)
		return a.appended, nil
	case in.Async:
		a.appended.Accepted = n
		s.intake.later(s.set.TimeSeries, s.ns, in, came)
		return a.appended, nil
	}
	defer s.intake.leave(in)
	result, err := s.set.TimeSeries.AppendEvents(ctx, s.ns, &in.Batch, in.Receipt)
	if err != nil {
		return Appended{}, err
	}
	a.appended.Accepted, a.appended.Duplicates = result.Stored, result.Duplicates
	s.intake.count(came.plus(stored(n, result)))
	return a.appended, nil
}

// stored is what a batch of n events adds. What a store answers a second time it
// has not stored a second time.
func stored(n int64, r driver.AppendResult) Figures {
	if r.Replayed {
		return Figures{Duplicates: n}
	}
	return Figures{Stored: n - r.Duplicates, Duplicates: r.Duplicates}
}

// A Description tells what a namespace holds and what became of what was sent.
type Description struct {
	Events, Bytes int64
	Retention     time.Duration
	Figures
	LastDrop string
}

// Describe tells of the namespace.
func (s *Store) Describe(ctx context.Context) (Description, error) {
	if s.set.TimeSeries == nil {
		return Description{}, s.missing("timeseries_basic")
	}
	u, err := s.set.Store.Usage(ctx, s.ns)
	if err != nil {
		return Description{}, err
	}
	d := Description{Events: u.Keys, Bytes: u.Bytes, Retention: s.policy.Retention}
	d.Figures, d.LastDrop = s.intake.Figures()
	return d, nil
}
