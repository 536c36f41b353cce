package driver

import (
	"context"
	"time"

	"github.com/prism-data-layer/prism/pkg/prism"
)

// What holds for every time-series capability:
//
//   - Namespaces, event types, sources, names and values are any bytes, and
//     namespaces share nothing. Times are nanoseconds since 1970, exact.
//   - An event that was acked is read by every later query of its range, until
//     its retention is over, restarts included where acked data outlive them.
//   - Times are 0 to prism.MaxEventTime. A type or source that is empty is none;
//     a dimension may have an empty value, which is not the same as having none.
//     Names of dimensions and metrics are never empty.
//   - A range includes its start and not its end.
//   - Floats are finite; what makes one of several, such as a sum, is right
//     within the rounding of adding up in any order.

// TimeSeries is capability timeseries_basic.
type TimeSeries interface {
	// AppendEvents stores a batch whole, or fails and has stored nothing that
	// the store can still take back; then its ids and receipt are not known
	// either. Events whose id was stored within
	// DedupeWindow, or stands before in the batch, are left out and counted. The
	// batch is the caller's again when the call returns. A driver whose store
	// wants large blocks lets concurrent calls share one.
	AppendEvents(ctx context.Context, ns prism.Namespace, batch *EventBatch, r Receipt) (AppendResult, error)
	// QueryEvents reads a range in order of time; events of one time come in an
	// order of the store's, the same for every query of them.
	QueryEvents(ctx context.Context, ns prism.Namespace, q EventQuery) (EventReader, error)
}

// TimeSeriesAggregation is capability timeseries_aggregation.
type TimeSeriesAggregation interface {
	// AggregateEvents computes figures by bucket and group, at most q.Max rows:
	// more are INVALID_ARGUMENT on field bucket_ns. Buckets and groups without
	// events are left out; rows come in no order.
	AggregateEvents(ctx context.Context, ns prism.Namespace, q AggregateQuery) (Aggregates, error)
}

// TimeSeriesRetention is capability timeseries_retention.
type TimeSeriesRetention interface {
	// RetainEvents says how long events are kept after their time; 0: for ever.
	// What is over goes when the store gets to it; who reads bounds his range.
	// It holds for what is there too, lasts, and may be called again.
	RetainEvents(ctx context.Context, ns prism.Namespace, age time.Duration) error
}

// DedupeWindow and DedupeIDs are how far back an event id is looked for, from
// its arrival, whichever is less: a store may be asked by options to remember
// more ids.
const (
	DedupeWindow = 10 * time.Minute
	DedupeIDs    = 1_000_000
)

// An EventBatch is events in columns, which have as many entries as Times, or
// none. What is in it is changed by nobody while a call has it.
type EventBatch struct {
	Times      []int64 // nanoseconds since 1970
	Types      Coded
	Sources    Coded
	Dimensions []Dimension // each name once
	Metrics    []Metric    // each name once
	Payloads   Blobs
	IDs        Blobs // an empty one is none
}

// Len is the number of events.
func (b *EventBatch) Len() int { return len(b.Times) }

// Coded is a column of strings that repeat.
type Coded struct {
	Dictionary []string
	// Codes are 1 plus the index in Dictionary for each event, 0 where it has
	// none. Nil: all have Dictionary[0], or none if that is empty.
	Codes []uint32
}

// At is the string of event i; ok is false where it has none.
func (c *Coded) At(i int) (s string, ok bool) {
	code := uint32(1)
	if c.Codes != nil {
		code = c.Codes[i]
	}
	if code == 0 || len(c.Dictionary) == 0 {
		return "", false
	}
	return c.Dictionary[code-1], true
}

// A Dimension is what events are about.
type Dimension struct {
	Name   string
	Values Coded
}

// A Metric is what was measured.
type Metric struct {
	Name   string
	Values []float64
	// Present has a bit for each event, the lowest of each byte first: whether
	// it has the metric. Nil: all have it.
	Present []byte
}

// At is the value of event i; ok is false where it has none.
func (m *Metric) At(i int) (v float64, ok bool) {
	if m.Present != nil && m.Present[i>>3]&(1<<(i&7)) == 0 {
		return 0, false
	}
	return m.Values[i], true
}

// Blobs is a column of bytes that do not repeat: entry i lies in Data up to
// Ends[i], from where the one before ends. No Ends: all entries are empty.
type Blobs struct {
	Ends []uint32
	Data []byte
}

// At is entry i, part of Data.
func (b *Blobs) At(i int) []byte {
	if len(b.Ends) == 0 {
		return nil
	}
	start := uint32(0)
	if i > 0 {
		start = b.Ends[i-1]
	}
	return b.Data[start:b.Ends[i]:b.Ends[i]]
}

// AppendResult tells what became of a batch.
type AppendResult struct {
	Stored     int64
	Duplicates int64 // left out
	Replayed   bool  // the first answer to this receipt
}

// A Selection says which events are meant: those in the range for which every
// condition holds.
type Selection struct {
	Start, End int64    // nanoseconds since 1970; Start < End
	Types      []string // any of them, "" for events that have none; no entry: all
	Sources    []string
	Dimensions Filter // Attribute is the dimension's name
}

// An EventQuery says what to read.
type EventQuery struct {
	Selection
	Descending bool
	After      Position // of a page of the same query; nil: from the beginning
	Limit      int64    // of all pages of this reader together; 0: no bound
	Page       int      // events in a page at most, positive
}

// An EventReader hands out events when asked. It is used by one caller at a
// time.
type EventReader interface {
	// Page returns the next one; one without events is the end. A page may be
	// shorter than asked for, and is the caller's until the next call.
	Page(ctx context.Context) (EventPage, error)
	Close() error
}

// An EventPage is part of an answer; Position is after it.
type EventPage struct {
	Events   EventBatch
	Position Position
}

// An AggregateQuery says what to compute.
type AggregateQuery struct {
	Selection
	// Bucket is a length in nanoseconds; buckets begin at its multiples since
	// 1970. 0: one bucket, which begins at Start.
	Bucket int64
	Groups []GroupKey
	Values []Aggregate // at least one
	Max    int         // rows; positive
}

// A GroupKey is what events are grouped by.
type GroupKey struct {
	Kind GroupKind
	Name string // of a dimension
}

// GroupKind is the kind of a GroupKey.
type GroupKind uint8

const (
	GroupType GroupKind = iota + 1
	GroupSource
	GroupDimension
)

// An Aggregate is one figure.
type Aggregate struct {
	Function AggregateFunction
	Metric   string  // empty for a count of events
	Quantile float64 // 0 to 1, of AggregateQuantile
}

// AggregateFunction is how a figure is computed, over the events that have the
// metric.
type AggregateFunction uint8

const (
	AggregateCount AggregateFunction = iota + 1
	AggregateSum
	AggregateAvg
	AggregateMin
	AggregateMax
	// AggregateQuantile is exact: of n values in order the one at
	// min(floor(q*n), n-1).
	AggregateQuantile
)

// Aggregates is the answer to an AggregateQuery.
type Aggregates struct {
	Rows   []AggregateRow
	Source string // what was read: "raw", or a rollup such as "1m"
}

// An AggregateRow is the figures of one bucket and group.
type AggregateRow struct {
	Bucket int64          // its start, also where the range begins later
	Group  []OptionalText // as AggregateQuery.Groups
	Values []OptionalFloat
}

// OptionalText is a string that may be missing.
type OptionalText struct {
	Value string
	Valid bool
}

// OptionalFloat is a number that may be missing: no event had the metric. A
// count is never missing.
type OptionalFloat struct {
	Value float64
	Valid bool
}
