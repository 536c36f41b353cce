// Package ts is the workload of a time series: requests append batches of
// events, read a source's latest ones and aggregate them.
package ts

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/prism-data-layer/prism/loadtest"
	"github.com/prism-data-layer/prism/loadtest/report"
	"github.com/prism-data-layer/prism/pkg/clock"
	"github.com/prism-data-layer/prism/pkg/prism"
)

// A Target is the namespace under test. Its methods are called from many
// goroutines at once.
type Target interface {
	Append(ctx context.Context, events []Event) error
	// Query answers how many events it read, the latest first and at most so
	// many.
	Query(ctx context.Context, source string, from, to time.Time, most int) (int, error)
	// Aggregate answers how many buckets of the mean it got.
	Aggregate(ctx context.Context, source string, from, to time.Time, bucket time.Duration) (int, error)
}

// An Event is one measurement of the metric [Metric].
type Event struct {
	Time   time.Time
	Type   string
	Source string
	Value  float64
}

// What every event carries.
const (
	Type   = "load"
	Metric = "value"
)

// A Counter is a Target that counts what it makes of the calls.
type Counter interface {
	Stats() report.Attempts
}

// Operations are the calls of this workload.
func Operations() []string { return []string{"append", "query", "aggregate"} }

// Defaults of a [Config].
const (
	DefaultMix     = "append=90,query=5,aggregate=5"
	DefaultSources = 100
	DefaultBatch   = 100
	DefaultPrefix  = "load-"
)

const (
	maxBatch = 10_000
	// window is what queries look back on.
	window  = time.Minute
	buckets = 6
)

// A Config sets the workload up. Every zero value has a default.
type Config struct {
	Mix     string
	Sources uint64
	Order   string // of sources, see [loadtest.NewKeys]
	Prefix  string // of sources
	Batch   int    // events that an append carries, and a query reads at most
	Seed    uint64
	Clock   clock.Clock
}

// New sets up the workload on target.
func New(target Target, c Config) (*Workload, error) {
	if c.Mix == "" {
		c.Mix = DefaultMix
	}
	if c.Sources == 0 {
		c.Sources = DefaultSources
	}
	if c.Prefix == "" {
		c.Prefix = DefaultPrefix
	}
	if c.Batch == 0 {
		c.Batch = DefaultBatch
	}
	if c.Batch < 1 || c.Batch > maxBatch {
		return nil, prism.InvalidField("batch", fmt.Sprintf("must be from 1 to %d", maxBatch))
	}
	if c.Clock == nil {
		c.Clock = clock.Real()
	}
	mix, err := loadtest.ParseMix(c.Mix, Operations())
	if err != nil {
		return nil, err
	}
	keys, err := loadtest.NewKeys(c.Order, c.Sources, c.Seed)
	if err != nil {
		return nil, err
	}
	return &Workload{target: target, config: c, mix: mix.Seeded(c.Seed), sources: keys}, nil
}

// A Workload is a [loadtest.Workload] on a time-series namespace.
type Workload struct {
	target  Target
	config  Config
	mix     loadtest.Mix
	sources loadtest.Keys
}

var (
	_ loadtest.Workload = (*Workload)(nil)
	_ loadtest.Counter  = (*Workload)(nil)
)

func (w *Workload) Name() string         { return "ts" }
func (w *Workload) Operations() []string { return Operations() }

func (w *Workload) Options() map[string]string {
	return map[string]string{
		"mix":     w.mix.String(),
		"sources": strconv.FormatUint(w.config.Sources, 10),
		"order":   w.sources.String(),
		"batch":   strconv.Itoa(w.config.Batch),
	}
}

// Attempts asks the target, if it counts.
func (w *Workload) Attempts() (report.Attempts, bool) {
	c, ok := w.target.(Counter)
	if !ok {
		return report.Attempts{}, false
	}
	return c.Stats(), true
}

func (w *Workload) Do(ctx context.Context, n uint64) loadtest.Outcome {
	o := loadtest.Outcome{Operation: w.mix.Pick(n)}
	source := w.config.Prefix + strconv.FormatUint(w.sources.Index(n), 10)
	now := w.config.Clock.Now()
	var found int
	switch o.Operation {
	case 0:
		o.Items = w.config.Batch
		o.Err = w.target.Append(ctx, w.events(n, source, now))
		return o
	case 1:
		found, o.Err = w.target.Query(ctx, source, now.Add(-window), now, w.config.Batch)
	default:
		found, o.Err = w.target.Aggregate(ctx, source, now.Add(-window), now, window/buckets)
	}
	o.Missed, o.Items = o.Err == nil && found == 0, found
	return o
}

// events are of one source, a microsecond apart and none in the future.
func (w *Workload) events(n uint64, source string, now time.Time) []Event {
	all := make([]Event, w.config.Batch)
	for i := range all {
		all[i] = Event{
			Time: now.Add(-time.Duration(len(all)-i) * time.Microsecond), Type: Type, Source: source,
			Value: float64(loadtest.Hash(w.config.Seed^n, uint64(i)) % 1000),
		}
	}
	return all
}
