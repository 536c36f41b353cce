package remote_test

import (
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/prism-data-layer/prism/pkg/driver"
	"github.com/prism-data-layer/prism/pkg/driver/drivertest"
	"github.com/prism-data-layer/prism/pkg/driver/memory"
	"github.com/prism-data-layer/prism/pkg/prism"
	"github.com/prism-data-layer/prism/test/remote"
)

var key = prism.Key{Namespace: "orders", Name: "k"}

// behind gives set as seen through a socket, both ends in this process. wait
// returns when the serving end is done.
func behind(t *testing.T, set driver.Set) (far driver.Set, wait func()) {
	t.Helper()
	dir, err := os.MkdirTemp("", "prism")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	l, err := net.Listen("unix", filepath.Join(dir, "s"))
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- remote.Serve(l, set) }()
	far, err = remote.Dial(l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	wait = func() {
		t.Helper()
		_ = l.Close()
		if err := <-done; err != nil {
			t.Errorf("serve: %v", err)
		}
	}
	return far, wait
}

// odd is a driver whose few methods do what a test says.
type odd struct {
	driver.Store
	driver.KeyValue
	driver.KeyValueBatch
	driver.KeyValueWatch

	get    func(ctx context.Context) error
	after  func(driver.Position)
	closed chan struct{} // by its watcher
}

func (o *odd) Get(ctx context.Context, _ prism.Key) (driver.Entry, bool, error) {
	return driver.Entry{}, false, o.get(ctx)
}

func (o *odd) Watch(_ context.Context, _ prism.Namespace, _ string, after driver.Position) (driver.Watcher, error) {
	o.after(after)
	return o, nil
}

func (o *odd) Next(ctx context.Context) (driver.Changes, error) {
	<-ctx.Done()
	return driver.Changes{Position: driver.Position{}}, nil // it had something at the last moment
}

func (o *odd) Batch(_ context.Context, _ prism.Namespace, ops []driver.Op, results []driver.Result) error {
	for i := range ops {
		if ops[i].Kind != driver.OpGet {
			results[i].Err = prism.New(prism.ReasonNotANumber, "item %d", i)
		}
	}
	return nil
}

func (o *odd) Close() error { close(o.closed); return nil }

// keyValueOnly is what crosses the seam.
func keyValueOnly(s driver.Set) driver.Set {
	for _, name := range s.Names() {
		if !slices.Contains(s.NamesOf("keyvalue"), name) {
			s = s.Without(name)
		}
	}
	return s
}

func TestTheFarSetHasExactlyTheNearCapabilities(t *testing.T) {
	t.Parallel()
	near, err := memory.Spec().Open(t.Context(), driver.Config{Name: "m"})
	if err != nil {
		t.Fatal(err)
	}
	near = keyValueOnly(near)
	for _, without := range append(near.Names(), "") {
		set := near.Without(without)
		far, _ := behind(t, set)
		info := set.Info
		info.Instant = false // what is behind a wire waits for it
		if !slices.Equal(far.Names(), set.Names()) || !reflect.DeepEqual(far.Info, info) {
			t.Errorf("without %q: got %v %+v, want %v %+v", without, far.Names(), far.Info, set.Names(), info)
		}
	}
}

func TestAnErrorComesBackWithAllItsFields(t *testing.T) {
	t.Parallel()
	want := &prism.Error{
		Reason: prism.ReasonVersionMismatch, Message: "set k", Retry: time.Second, Namespace: "orders", Backend: "m",
		Fields: []prism.FieldError{{Field: "key", Message: "bad"}}, Quota: &prism.QuotaError{Subject: "s", Message: "m"},
		Meta: map[string]string{"current_version": "7"}, RequestID: "r", TraceID: "t", Err: errors.New("deep down"),
	}
	o := &odd{get: func(context.Context) error { return want }}
	far, _ := behind(t, driver.Fill(driver.Info{}, o))
	_, _, err := far.KeyValue.Get(t.Context(), key)
	if !reflect.DeepEqual(err, want) {
		t.Errorf("got %#v, want %#v", err, want)
	}
	o.get = func(context.Context) error { return errors.New("unknown") }
	if _, _, err := far.KeyValue.Get(t.Context(), key); !errors.Is(err, prism.ReasonInternal) || err.Error() != "internal error: unknown" {
		t.Errorf("got %v, want INTERNAL with its cause", err)
	}
	results := make([]driver.Result, 2)
	if err := far.KeyValueBatch.Batch(t.Context(), "orders", []driver.Op{{Kind: driver.OpGet}, {Kind: driver.OpSet}}, results); err != nil {
		t.Fatal(err)
	}
	if results[0].Err != nil || !errors.Is(results[1].Err, prism.ReasonNotANumber) {
		t.Errorf("items: got %v and %v", results[0].Err, results[1].Err)
	}
}

func TestACallersEndReachesTheDriver(t *testing.T) {
	t.Parallel()
	begun := make(chan struct{}, 3) // a place for each of the calls
	o := &odd{get: func(ctx context.Context) error {
		begun <- struct{}{}
		<-ctx.Done()
		return ctx.Err()
	}}
	far, _ := behind(t, driver.Fill(driver.Info{}, o))

	ctx, cancel := context.WithCancel(t.Context())
	go func() { <-begun; cancel() }()
	if _, _, err := far.KeyValue.Get(ctx, key); !errors.Is(err, context.Canceled) || !errors.Is(err, prism.ReasonCancelled) {
		t.Errorf("cancelled: got %v", err)
	}
	ctx, cancel = context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if _, _, err := far.KeyValue.Get(ctx, key); !errors.Is(err, context.DeadlineExceeded) || !errors.Is(err, prism.ReasonDeadlineExceeded) {
		t.Errorf("deadline: got %v", err)
	}
	// The second may have ended on its way on a busy machine; the third never
	// sets out. The other side's clock may have ended the second a moment early.
	<-ctx.Done()
	came := len(begun)
	if _, _, err := far.KeyValue.Get(ctx, key); !errors.Is(err, context.DeadlineExceeded) || len(begun) != came {
		t.Errorf("ended before: got %v, %d calls reached the driver", err, len(begun)-came)
	}

	ctx, cancel = context.WithTimeout(t.Context(), time.Hour)
	defer cancel()
	o.get = func(ctx context.Context) error {
		if d, ok := ctx.Deadline(); !ok || time.Until(d) > time.Hour || time.Until(d) < time.Minute {
			t.Errorf("the driver's deadline: %v %v", d, ok)
		}
		return prism.New(prism.ReasonOverloaded, "x")
	}
	if _, _, err := far.KeyValue.Get(ctx, key); !errors.Is(err, prism.ReasonOverloaded) {
		t.Errorf("got %v", err)
	}
}

func TestACancelledNextLosesNothing(t *testing.T) {
	t.Parallel()
	var got []driver.Position
	o := &odd{after: func(p driver.Position) { got = append(got, p) }}
	far, _ := behind(t, driver.Fill(driver.Info{}, o))
	for _, after := range []driver.Position{nil, {}, {1}} {
		w, err := far.KeyValueWatch.Watch(t.Context(), "orders", "", after)
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancelled := time.AfterFunc(time.Millisecond, cancel)
		c, err := w.Next(ctx)
		cancelled.Stop()
		cancel()
		// It may also have been cancelled before it was sent.
		if err == nil && c.Position == nil {
			t.Error("the position became nil on its way")
		} else if err != nil && !errors.Is(err, context.Canceled) {
			t.Errorf("got %v", err)
		}
	}
	if want := []driver.Position{nil, {}, {1}}; !reflect.DeepEqual(got, want) {
		t.Errorf("the driver was asked for positions %v, want %v", got, want)
	}
}

func TestWhatACallerLeavesOpenEndsWithItsConnection(t *testing.T) {
	t.Parallel()
	o := &odd{after: func(driver.Position) {}, closed: make(chan struct{})}
	set := driver.Fill(driver.Info{}, o)
	set.Store = nopStore{}
	far, wait := behind(t, set)
	if _, err := far.KeyValueWatch.Watch(t.Context(), "orders", "", nil); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := far.Store.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	}
	wait()
	<-o.closed
	if _, _, err := far.KeyValue.Get(t.Context(), key); !errors.Is(err, prism.ReasonUnavailable) {
		t.Errorf("after Close: got %v, want UNAVAILABLE", err)
	}
}

type nopStore struct{ driver.Store }

func (nopStore) Close() error { return nil }

func TestAWaitingCallHoldsUpNoOther(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	o := &odd{
		get: func(context.Context) error { close(release); return nil }, after: func(driver.Position) {},
	}
	far, _ := behind(t, driver.Fill(driver.Info{}, o))
	w, err := far.KeyValueWatch.Watch(t.Context(), "orders", "", nil)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_, _ = w.Next(ctx)
	}()
	if _, _, err := far.KeyValue.Get(t.Context(), key); err != nil {
		t.Fatal(err)
	}
	<-release
	cancel()
	<-ended
}

func TestCallsFailWhenTheOtherProcessIsKilled(t *testing.T) {
	t.Parallel()
	c := startChild(t)
	socket := c.socket()
	if err := c.tell(command{Socket: socket, Options: drivertest.Options{Receipts: 10}}); err != nil {
		t.Fatal(err)
	}
	far, err := remote.Dial(socket)
	if err != nil {
		t.Fatal(err)
	}
	w, err := far.KeyValueWatch.Watch(t.Context(), key.Namespace, "", nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Next(t.Context()); err != nil { // the starting position
		t.Fatal(err)
	}
	waiting := make(chan error, 1)
	go func() {
		_, err := w.Next(t.Context())
		waiting <- err
	}()
	if err := c.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := <-waiting; !errors.Is(err, prism.ReasonUnavailable) {
		t.Errorf("the waiting call: got %v, want UNAVAILABLE", err)
	}
	if _, err := far.KeyValue.Set(t.Context(), key, nil, driver.SetOptions{}, driver.Receipt{}); !errors.Is(err, prism.ReasonUnavailable) {
		t.Errorf("a new call: got %v, want UNAVAILABLE", err)
	}
	if h := far.Store.Health(t.Context()); h.State != driver.Unhealthy {
		t.Errorf("health: got %v", h.State)
	}
	if err := far.Store.Close(); err != nil {
		t.Errorf("close: %v", err)
	}
	if _, err := remote.Dial(socket); err == nil {
		t.Error("a dead process was reached")
	}
}
