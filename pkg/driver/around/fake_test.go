package around_test

import (
	"context"
	"time"

	"github.com/prism-data-layer/prism/pkg/driver"
	"github.com/prism-data-layer/prism/pkg/prism"
)

// fake has every capability and does nothing. It notes the context that the
// last call saw, answers err, and panics if told to.
type fake struct {
	ctx    context.Context
	called string
	err    error
	panics bool
}

func (f *fake) note(ctx context.Context, method string) error {
	f.ctx, f.called = ctx, method
	if f.panics {
		panic("fake panics")
	}
	return f.err
}

func (f *fake) Health(context.Context) driver.Health {
	f.called = "Health"
	return driver.Health{State: driver.Healthy}
}
func (f *fake) Close() error { f.called = "Close"; return nil }

func (f *fake) Usage(ctx context.Context, _ prism.Namespace) (driver.Usage, error) {
	return driver.Usage{}, f.note(ctx, "Usage")
}

func (f *fake) Drop(ctx context.Context, _ prism.Namespace) error { return f.note(ctx, "Drop") }

func (f *fake) Get(ctx context.Context, _ prism.Key) (driver.Entry, bool, error) {
	return driver.Entry{Version: 7}, true, f.note(ctx, "Get")
}

func (f *fake) Set(ctx context.Context, _ prism.Key, _ []byte, _ driver.SetOptions, _ driver.Receipt) (driver.Result, error) {
	return driver.Result{Version: 7}, f.note(ctx, "Set")
}

func (f *fake) Delete(ctx context.Context, _ prism.Key, _ driver.Receipt) (driver.Result, error) {
	return driver.Result{}, f.note(ctx, "Delete")
}

func (f *fake) Exists(ctx context.Context, _ prism.Key) (bool, error) {
	return true, f.note(ctx, "Exists")
}

func (f *fake) SetIf(ctx context.Context, _ prism.Key, _ []byte, _ driver.Condition, _ driver.SetOptions, _ driver.Receipt) (driver.Result, error) {
	return driver.Result{}, f.note(ctx, "SetIf")
}

func (f *fake) DeleteIf(ctx context.Context, _ prism.Key, _ driver.Condition, _ driver.Receipt) (driver.Result, error) {
	return driver.Result{}, f.note(ctx, "DeleteIf")
}

func (f *fake) Expire(ctx context.Context, _ prism.Key, _ time.Duration, _ driver.Receipt) (driver.Result, error) {
	return driver.Result{}, f.note(ctx, "Expire")
}

func (f *fake) ExpiresAt(ctx context.Context, _ prism.Key) (time.Time, error) {
	return time.Time{}, f.note(ctx, "ExpiresAt")
}

func (f *fake) Persist(ctx context.Context, _ prism.Key, _ driver.Receipt) (driver.Result, error) {
	return driver.Result{}, f.note(ctx, "Persist")
}

func (f *fake) Touch(ctx context.Context, _ prism.Key, _ driver.Receipt) (driver.Result, error) {
	return driver.Result{}, f.note(ctx, "Touch")
}

func (f *fake) Scan(ctx context.Context, _ prism.Namespace, _ driver.Query, _ []byte) (driver.Page, error) {
	return driver.Page{}, f.note(ctx, "Scan")
}

func (f *fake) Count(ctx context.Context, _ prism.Namespace, _ driver.Query) (int64, error) {
	return 0, f.note(ctx, "Count")
}

func (f *fake) First(ctx context.Context, _ prism.Namespace, _ driver.Query) (driver.Entry, bool, error) {
	return driver.Entry{}, false, f.note(ctx, "First")
}

func (f *fake) Batch(ctx context.Context, _ prism.Namespace, _ []driver.Op, _ []driver.Result) error {
	return f.note(ctx, "Batch")
}

func (f *fake) Increment(ctx context.Context, _ prism.Key, _ int64, _ driver.Receipt) (driver.Result, error) {
	return driver.Result{}, f.note(ctx, "Increment")
}

func (f *fake) Append(ctx context.Context, _ prism.Key, _ []byte, _ driver.Receipt) (driver.Result, error) {
	return driver.Result{}, f.note(ctx, "Append")
}

func (f *fake) SetIfAbsent(ctx context.Context, _ prism.Key, _ []byte, _ driver.SetOptions, _ driver.Receipt) (driver.Result, error) {
	return driver.Result{}, f.note(ctx, "SetIfAbsent")
}

func (f *fake) GetAndSet(ctx context.Context, _ prism.Key, _ []byte, _ driver.SetOptions, _ driver.Receipt) (driver.Result, error) {
	return driver.Result{}, f.note(ctx, "GetAndSet")
}

func (f *fake) CompareAndSwap(ctx context.Context, _ prism.Key, _, _ []byte, _ driver.SetOptions, _ driver.Receipt) (driver.Result, error) {
	return driver.Result{}, f.note(ctx, "CompareAndSwap")
}

func (f *fake) CompareAndDelete(ctx context.Context, _ prism.Key, _ []byte, _ driver.Receipt) (driver.Result, error) {
	return driver.Result{}, f.note(ctx, "CompareAndDelete")
}

func (f *fake) Commit(ctx context.Context, _ prism.Namespace, _ []driver.Check, _ []driver.Op, _ driver.Receipt) ([]driver.Result, error) {
	return nil, f.note(ctx, "Commit")
}

func (f *fake) Watch(ctx context.Context, _ prism.Namespace, _ string, _ driver.Position) (driver.Watcher, error) {
	if err := f.note(ctx, "Watch"); err != nil {
		return nil, err
	}
	return (*fakeWatcher)(f), nil
}

type fakeWatcher fake

func (f *fakeWatcher) Next(ctx context.Context) (driver.Changes, error) {
	return driver.Changes{}, (*fake)(f).note(ctx, "Next")
}
func (f *fakeWatcher) Close() error { f.called = "Watcher.Close"; return nil }
