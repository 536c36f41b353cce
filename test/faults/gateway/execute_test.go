package faults_test

import (
	"context"
	"math/rand/v2"
	"sync"
	"sync/atomic"

	"github.com/prism-data-layer/prism/pkg/driver"
	"github.com/prism-data-layer/prism/pkg/driver/all"
	"github.com/prism-data-layer/prism/pkg/prism"
)

// An executor is a store that does what it is asked for, and then now and then
// says that it did not answer.
type executor struct {
	share float64 // of calls
	mu    sync.Mutex
	rand  *rand.Rand
	lied  atomic.Int64
}

// stop has it tell the truth from now on.
func (x *executor) stop() {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.share = 0
}

// after is the error of a call that went well.
func (x *executor) after() error {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.rand.Float64() >= x.share {
		return nil
	}
	if x.lied.Add(1)%2 == 0 {
		return prism.New(prism.ReasonDeadlineExceeded, "the answer did not come in time")
	}
	return prism.New(prism.ReasonBackendUnavailable, "the connection was lost")
}

// drivers are those of this build, whose stores execute and time out.
func (x *executor) drivers() driver.Registry {
	list := all.Drivers()
	for i, spec := range list {
		open := spec.Open
		list[i].Open = func(ctx context.Context, c driver.Config) (driver.Set, error) {
			set, err := open(ctx, c)
			if err == nil {
				set = x.wrap(set)
			}
			return set, err
		}
	}
	return list
}

func (x *executor) wrap(s driver.Set) driver.Set {
	s.Info.Instant = false
	if s.KeyValue != nil {
		s.KeyValue = lyingKeyValue{s.KeyValue, x}
		s.KeyValueVersioned = lyingVersioned{s.KeyValueVersioned, x}
		s.KeyValueAtomic = lyingAtomic{s.KeyValueAtomic, x}
		s.KeyValueCAS = lyingCAS{s.KeyValueCAS, x}
		s.KeyValueBatch = lyingBatch{s.KeyValueBatch, x}
	}
	if s.Queue != nil {
		s.Queue = lyingQueue{s.Queue, x}
	}
	if s.Stream != nil {
		s.Stream = lyingStream{s.Stream, x}
	}
	if s.TimeSeries != nil {
		s.TimeSeries = lyingSeries{s.TimeSeries, x}
	}
	return s
}

// lie gives the answer of a call, or hides it.
func lie[R any](x *executor, r R, err error) (R, error) {
	if err == nil {
		if err = x.after(); err != nil {
			var none R
			return none, err
		}
	}
	return r, err
}

type (
	lyingKeyValue struct {
		driver.KeyValue
		x *executor
	}
	lyingVersioned struct {
		driver.KeyValueVersioned
		x *executor
	}
	lyingAtomic struct {
		driver.KeyValueAtomic
		x *executor
	}
	lyingCAS struct {
		driver.KeyValueCAS
		x *executor
	}
	lyingBatch struct {
		driver.KeyValueBatch
		x *executor
	}
	lyingQueue struct {
		driver.Queue
		x *executor
	}
	lyingStream struct {
		driver.Stream
		x *executor
	}
	lyingSeries struct {
		driver.TimeSeries
		x *executor
	}
)

func (l lyingKeyValue) Set(ctx context.Context, k prism.Key, v []byte, o driver.SetOptions, r driver.Receipt) (driver.Result, error) {
	res, err := l.KeyValue.Set(ctx, k, v, o, r)
	return lie(l.x, res, err)
}

func (l lyingKeyValue) Delete(ctx context.Context, k prism.Key, r driver.Receipt) (driver.Result, error) {
	res, err := l.KeyValue.Delete(ctx, k, r)
	return lie(l.x, res, err)
}

func (l lyingVersioned) SetIf(ctx context.Context, k prism.Key, v []byte, c driver.Condition, o driver.SetOptions, r driver.Receipt) (driver.Result, error) {
	res, err := l.KeyValueVersioned.SetIf(ctx, k, v, c, o, r)
	return lie(l.x, res, err)
}

func (l lyingAtomic) Increment(ctx context.Context, k prism.Key, delta int64, r driver.Receipt) (driver.Result, error) {
	res, err := l.KeyValueAtomic.Increment(ctx, k, delta, r)
	return lie(l.x, res, err)
}

func (l lyingAtomic) Append(ctx context.Context, k prism.Key, v []byte, r driver.Receipt) (driver.Result, error) {
	res, err := l.KeyValueAtomic.Append(ctx, k, v, r)
	return lie(l.x, res, err)
}

func (l lyingAtomic) SetIfAbsent(ctx context.Context, k prism.Key, v []byte, o driver.SetOptions, r driver.Receipt) (driver.Result, error) {
	res, err := l.KeyValueAtomic.SetIfAbsent(ctx, k, v, o, r)
	return lie(l.x, res, err)
}

func (l lyingCAS) CompareAndSwap(ctx context.Context, k prism.Key, was, v []byte, o driver.SetOptions, r driver.Receipt) (driver.Result, error) {
	res, err := l.KeyValueCAS.CompareAndSwap(ctx, k, was, v, o, r)
	return lie(l.x, res, err)
}

func (l lyingBatch) Batch(ctx context.Context, ns prism.Namespace, ops []driver.Op, results []driver.Result) error {
	err := l.KeyValueBatch.Batch(ctx, ns, ops, results)
	for i := range ops {
		if err == nil && results[i].Err == nil {
			if lied := l.x.after(); lied != nil {
				results[i] = driver.Result{Err: lied}
			}
		}
	}
	return err
}

func (l lyingQueue) Publish(ctx context.Context, ns prism.Namespace, queue string, messages []driver.QueueMessage, results []driver.QueueResult) error {
	err := l.Queue.Publish(ctx, ns, queue, messages, results)
	for i := range messages {
		if err == nil && results[i].Err == nil {
			results[i].Err = l.x.after()
		}
	}
	return err
}

func (l lyingStream) Append(ctx context.Context, ns prism.Namespace, topic string, messages []driver.StreamMessage, results []driver.StreamResult) error {
	err := l.Stream.Append(ctx, ns, topic, messages, results)
	for i := range messages {
		if err == nil && results[i].Err == nil {
			results[i].Err = l.x.after()
		}
	}
	return err
}

func (l lyingSeries) AppendEvents(ctx context.Context, ns prism.Namespace, b *driver.EventBatch, r driver.Receipt) (driver.AppendResult, error) {
	res, err := l.TimeSeries.AppendEvents(ctx, ns, b, r)
	return lie(l.x, res, err)
}
