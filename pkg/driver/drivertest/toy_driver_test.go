package drivertest_test

import (
	"bytes"
	"context"
	"sync"
	"time"

	"github.com/prism-data-layer/prism/pkg/driver"
	"github.com/prism-data-layer/prism/pkg/prism"
)

// A toy is a map behind a mutex: keyvalue_basic and nothing else.
type toy struct {
	mu       sync.Mutex
	closed   bool
	version  uint64
	entries  map[prism.Key]driver.Entry
	receipts map[prism.Namespace]map[[16]byte]toyReceipt
}

type toyReceipt struct {
	body   [16]byte
	answer driver.Result
}

func newToy() *toy {
	return &toy{
		version:  uint64(time.Now().UnixMicro()),
		entries:  map[prism.Key]driver.Entry{},
		receipts: map[prism.Namespace]map[[16]byte]toyReceipt{},
	}
}

func (y *toy) begin(ctx context.Context) (end func(), err error) {
	if err := ctx.Err(); err != nil {
		return func() {}, prism.From(err)
	}
	y.mu.Lock()
	if y.closed {
		err = prism.New(prism.ReasonBackendUnavailable, "the toy is closed")
	}
	return y.mu.Unlock, err
}

func (y *toy) once(ctx context.Context, k prism.Key, r driver.Receipt, f func() driver.Result) (driver.Result, error) {
	end, err := y.begin(ctx)
	defer end()
	if err != nil {
		return driver.Result{}, err
	}
	if first, ok := y.receipts[k.Namespace][r.ID]; ok && !r.IsZero() {
		if first.body != r.Body {
			return driver.Result{}, prism.New(prism.ReasonKeyReused, "the key was used before")
		}
		first.answer.Replayed = true
		return first.answer, nil
	}
	res := f()
	if !r.IsZero() {
		if y.receipts[k.Namespace] == nil {
			y.receipts[k.Namespace] = map[[16]byte]toyReceipt{}
		}
		y.receipts[k.Namespace][r.ID] = toyReceipt{r.Body, res}
	}
	return res, nil
}

func (y *toy) Get(ctx context.Context, k prism.Key) (driver.Entry, bool, error) {
	end, err := y.begin(ctx)
	defer end()
	e, found := y.entries[k]
	e.Value = bytes.Clone(e.Value)
	return e, found && err == nil, err
}

func (y *toy) Exists(ctx context.Context, k prism.Key) (bool, error) {
	_, found, err := y.Get(ctx, k)
	return found, err
}

func (y *toy) Set(ctx context.Context, k prism.Key, value []byte, _ driver.SetOptions, r driver.Receipt) (driver.Result, error) {
	return y.once(ctx, k, r, func() driver.Result {
		y.version++
		y.entries[k] = driver.Entry{Value: bytes.Clone(value), Version: y.version}
		return driver.Result{Version: y.version}
	})
}

func (y *toy) Delete(ctx context.Context, k prism.Key, r driver.Receipt) (driver.Result, error) {
	return y.once(ctx, k, r, func() driver.Result {
		if _, found := y.entries[k]; !found {
			return driver.Result{}
		}
		delete(y.entries, k)
		y.version++
		return driver.Result{Found: true, Version: y.version}
	})
}

func (y *toy) Health(ctx context.Context) driver.Health {
	end, err := y.begin(ctx)
	defer end()
	if err != nil {
		return driver.Health{State: driver.Unhealthy, Message: err.Error()}
	}
	return driver.Health{State: driver.Healthy}
}

func (y *toy) Usage(ctx context.Context, ns prism.Namespace) (driver.Usage, error) {
	end, err := y.begin(ctx)
	defer end()
	u := driver.Usage{Receipts: int64(len(y.receipts[ns]))}
	for k, e := range y.entries {
		if k.Namespace == ns {
			u.Keys, u.Bytes = u.Keys+1, u.Bytes+int64(len(k.Name)+len(e.Value))
		}
	}
	return u, err
}

func (y *toy) Drop(ctx context.Context, ns prism.Namespace) error {
	end, err := y.begin(ctx)
	defer end()
	for k := range y.entries {
		if k.Namespace == ns && err == nil {
			delete(y.entries, k)
		}
	}
	delete(y.receipts, ns)
	return err
}

func (y *toy) Close() error {
	y.mu.Lock()
	defer y.mu.Unlock()
	y.closed = true
	return nil
}
