// Package kv is the key-value workload: gets, sets and deletes over a space of
// keys, in given shares. It drives a small interface that the client and the
// data layer both satisfy, so that the same test runs through a gateway and
// without one.
package kv

import (
	"context"
	"fmt"
	"strconv"
	"sync"
	"sync/atomic"

	"github.com/prism-data-layer/prism/loadtest"
	"github.com/prism-data-layer/prism/loadtest/report"
	"github.com/prism-data-layer/prism/pkg/prism"
)

// A Target is the store under test. Its methods are called from many goroutines
// at once.
type Target interface {
	// Get answers found false, without an error, when the key is not there.
	Get(ctx context.Context, key string) (value []byte, found bool, err error)
	// Set must neither keep nor change value after it returns.
	Set(ctx context.Context, key string, value []byte) error
	// Delete of a key that is not there is not an error.
	Delete(ctx context.Context, key string) error
}

// A Counter is a Target that counts what it makes of the calls. Attempts are
// sends, first ones and repeated ones; the count may lag behind.
type Counter interface {
	Stats() report.Attempts
}

// Operations are the calls of this workload; a mix names them.
func Operations() []string { return []string{"get", "set", "delete"} }

const (
	get = iota
	set
	del
)

// Defaults of a [Config].
const (
	DefaultMix        = "get=90,set=10"
	DefaultKeys       = 10_000
	DefaultValueBytes = 128
	DefaultPrefix     = "load-"
)

// preparers is how many calls fill the store at once: enough to be coalesced
// well, too few to be refused.
const preparers = 64

// A Config sets the workload up. Every zero value has a default.
type Config struct {
	Model  string // its name in the report: "kv" (default), or "cache", whose calls are the same
	Mix    string // "get=90,set=10,delete=0"
	Keys   uint64 // size of the key space
	Values loadtest.Sizes
	Prefix string // of every key
	Order  string // see [loadtest.NewKeys]
	Seed   uint64
	// Empty leaves the store as it is. Otherwise every key is set before the
	// run, so that gets find something.
	Empty bool
}

// New sets up the workload on target.
func New(target Target, c Config) (*Workload, error) {
	if c.Model == "" {
		c.Model = "kv"
	}
	if c.Mix == "" {
		c.Mix = DefaultMix
	}
	if c.Keys == 0 {
		c.Keys = DefaultKeys
	}
	if c.Prefix == "" {
		c.Prefix = DefaultPrefix
	}
	if c.Values.IsZero() {
		c.Values = loadtest.FixedSize(DefaultValueBytes)
	}
	if err := c.Values.Check(); err != nil {
		return nil, err
	}
	if err := prism.CheckKey("prefix", c.Prefix+strconv.FormatUint(c.Keys, 10)); err != nil {
		return nil, err
	}
	mix, err := loadtest.ParseMix(c.Mix, Operations())
	if err != nil {
		return nil, err
	}
	keys, err := loadtest.NewKeys(c.Order, c.Keys, c.Seed)
	if err != nil {
		return nil, err
	}
	return &Workload{target: target, config: c, mix: mix.Seeded(c.Seed), keys: keys, values: loadtest.NewValues(c.Seed, c.Values)}, nil
}

// A Workload is a [loadtest.Workload] on a key-value store.
type Workload struct {
	target Target
	config Config
	mix    loadtest.Mix
	keys   loadtest.Keys
	values loadtest.Values
}

var (
	_ loadtest.Workload = (*Workload)(nil)
	_ loadtest.Preparer = (*Workload)(nil)
	_ loadtest.Counter  = (*Workload)(nil)
)

func (w *Workload) Name() string         { return w.config.Model }
func (w *Workload) Operations() []string { return Operations() }

func (w *Workload) Options() map[string]string {
	return map[string]string{
		"mix":         w.mix.String(),
		"keys":        strconv.FormatUint(w.config.Keys, 10),
		"order":       w.keys.String(),
		"prefix":      w.config.Prefix,
		"value_bytes": w.config.Values.String(),
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

func (w *Workload) key(i uint64) string {
	// On the stack but for the string itself, which the target may keep.
	b := make([]byte, 0, 64)
	b = append(b, w.config.Prefix...)
	return string(strconv.AppendUint(b, i, 10))
}

func (w *Workload) Do(ctx context.Context, n uint64) loadtest.Outcome {
	key := w.key(w.keys.Index(n))
	o := loadtest.Outcome{Operation: w.mix.Pick(n), SentBytes: len(key)}
	switch o.Operation {
	case get:
		var value []byte
		var found bool
		value, found, o.Err = w.target.Get(ctx, key)
		o.ReceivedBytes, o.Missed = len(value), !found
	case set:
		value := w.values.Of(n)
		o.SentBytes += len(value)
		o.Err = w.target.Set(ctx, key, value)
	default:
		o.Err = w.target.Delete(ctx, key)
	}
	return o
}

// Prepare sets every key once. It stops at the first error.
func (w *Workload) Prepare(ctx context.Context) error {
	if w.config.Empty {
		return nil
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var next atomic.Uint64
	var all sync.WaitGroup
	for range min(preparers, w.config.Keys) {
		all.Go(func() {
			for ctx.Err() == nil {
				i := next.Add(1) - 1
				if i >= w.config.Keys {
					return
				}
				if err := w.target.Set(ctx, w.key(i), w.values.Of(i)); err != nil {
					cancel(fmt.Errorf("set key %d of %d: %w", i+1, w.config.Keys, err))
				}
			}
		})
	}
	all.Wait()
	return context.Cause(ctx)
}
