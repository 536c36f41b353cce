package harness

import (
	"context"

	"github.com/prism-data-layer/prism/pkg/driver"
	"github.com/prism-data-layer/prism/pkg/driver/memory"
	"github.com/prism-data-layer/prism/pkg/prism"
)

// A Before is asked before a call of the store: by the key, it may wait, fail
// or panic.
type Before func(ctx context.Context, key string) error

// Faulty are the drivers of a build whose memory driver asks before first.
func Faulty(before Before) driver.Registry {
	spec := memory.Spec()
	open := spec.Open
	spec.Open = func(ctx context.Context, c driver.Config) (driver.Set, error) {
		set, err := open(ctx, c)
		set.Info.Instant = false // before may wait
		set.KeyValue = faultyKeyValue{set.KeyValue, before}
		set.KeyValueBatch = faultyBatch{set.KeyValueBatch, before}
		set.TimeSeries = faultySeries{set.TimeSeries, before}
		return set, err
	}
	return driver.Registry{spec}
}

// Lacking are the drivers of a build whose memory driver lacks capabilities.
func Lacking(names ...string) driver.Registry {
	spec := memory.Spec()
	open := spec.Open
	spec.Open = func(ctx context.Context, c driver.Config) (driver.Set, error) {
		set, err := open(ctx, c)
		return set.Without(names...), err
	}
	return driver.Registry{spec}
}

type faultyKeyValue struct {
	driver.KeyValue
	before Before
}

func (f faultyKeyValue) Get(ctx context.Context, key prism.Key) (driver.Entry, bool, error) {
	if err := f.before(ctx, key.Name); err != nil {
		return driver.Entry{}, false, err
	}
	return f.KeyValue.Get(ctx, key)
}

func (f faultyKeyValue) Set(ctx context.Context, key prism.Key, value []byte, o driver.SetOptions, r driver.Receipt) (driver.Result, error) {
	if err := f.before(ctx, key.Name); err != nil {
		return driver.Result{}, err
	}
	return f.KeyValue.Set(ctx, key, value, o, r)
}

type faultySeries struct {
	driver.TimeSeries
	before Before
}

// AppendEvents is told by its namespace.
func (f faultySeries) AppendEvents(ctx context.Context, ns prism.Namespace, b *driver.EventBatch, r driver.Receipt) (driver.AppendResult, error) {
	if err := f.before(ctx, string(ns)); err != nil {
		return driver.AppendResult{}, err
	}
	return f.TimeSeries.AppendEvents(ctx, ns, b, r)
}

type faultyBatch struct {
	driver.KeyValueBatch
	before Before
}

// Batch lets the operations after a failed one run.
func (f faultyBatch) Batch(ctx context.Context, ns prism.Namespace, ops []driver.Op, results []driver.Result) error {
	for i := range ops {
		if err := f.before(ctx, ops[i].Key); err != nil {
			results[i] = driver.Result{Err: err}
			continue
		}
		if err := f.KeyValueBatch.Batch(ctx, ns, ops[i:i+1], results[i:i+1]); err != nil {
			return err
		}
	}
	return nil
}
