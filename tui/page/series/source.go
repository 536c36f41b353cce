package series

import (
	"context"
	"time"
)

// A Source answers aggregates over time and the newest events of a namespace.
type Source interface {
	Series(ctx context.Context, q Query) (Snapshot, error)
}

// A Query is what the chart shows.
type Query struct {
	Namespace string
	Function  string // one of Functions
	Metric    string // of which; "" for count
	Type      string // only events of this type; "" for all
	Where     string // only where a dimension has a value, "host=a"; "" for all
	By        string // a line for each value of this: type, source or a dimension; "": one line
	Range     time.Duration
	Buckets   int // into how many the range is cut
}

// Functions are what can be made of a metric.
func Functions() []string { return []string{"count", "sum", "avg", "min", "max", "p50", "p95", "p99"} }

// MaxEvents is how many of the newest events are shown.
const MaxEvents = 200

// MaxLines is how many lines a chart has at most.
const MaxLines = 4

// A Snapshot is one look.
type Snapshot struct {
	Of     Query
	End    time.Time // of the last bucket
	Lines  []Line    // the largest first, at most MaxLines
	More   int       // lines that there are beyond
	Source string    // of what it was made: "raw", "hour", "day"
	Events []Event   // the newest first
	Stored int64     // events of the namespace; -1: not known
}

// A Line is one group over time: a value for each bucket, NaN where there is
// none.
type Line struct {
	Name   string
	Values []float64
}

// An Event is a row below the chart.
type Event struct {
	ID, Type, Source string
	Time             time.Time
	Metrics          map[string]float64
	Dimensions       map[string]string
	Payload          []byte // at most value.MaxBytes of it
	Size             int64
}
