// Package drivertest is the driver contract as tests: a list of promises per
// capability, each run on every driver and on every wrapper.
//
// A driver's own test is one call:
//
//	func TestConformance(t *testing.T) { drivertest.Run(t, drivertest.Driver(memory.Spec())) }
//
// A driver is asked for what its Set has; the rest is n/a. RunModel compares
// two drivers operation by operation, and Check runs the promises without a
// *testing.T, for the matrix and for the tests of this package itself.
package drivertest

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/goccy/go-yaml"

	"github.com/prism-data-layer/prism/pkg/clock"
	"github.com/prism-data-layer/prism/pkg/driver"
	"github.com/prism-data-layer/prism/pkg/prism"
)

// TB is what a harness may ask of the test it opens a store for. *testing.T
// has it, and so has a promise that runs without one.
type TB interface {
	Helper()
	Logf(format string, args ...any)
	Errorf(format string, args ...any)
	Fatalf(format string, args ...any)
	Cleanup(func())
	TempDir() string
}

// A Harness opens stores of one backend for the promises.
type Harness struct {
	// Name is the backend's column in the matrix.
	Name string
	// Open gives a store, fresh or shared: every promise works in namespaces
	// of its own. What it opens, it closes in t.Cleanup.
	Open func(t TB, o Options) Opened
	// Bounds is true if Open honours Options.
	Bounds bool
	// Wire is true if names travel: namespaces are then [a-z][a-z0-9-]{0,62}
	// and keys valid UTF-8.
	Wire bool
	// Async is true if events may still be on their way to subscriptions when
	// Publish has returned.
	Async bool
	// Forgets is true if the receipts and ids of events are kept by the driver's
	// process and gone with it, whatever becomes of the events.
	Forgets bool
	// Patience is how long a promise waits for what must come; 0: 10 s.
	Patience time.Duration
	// Second is what a promise takes for a second where time is real; 0: 200 ms.
	// On a loaded machine a store in another process wants more.
	Second time.Duration
	// Serial keeps the promises from running side by side.
	Serial bool
}

// Options bound a store so that a test can meet the bounds; zero: the default.
type Options struct {
	Receipts int // kept per namespace
	History  int // changes a watch can go back
	// CacheBytes is what a namespace's cache takes, where it is bounded.
	CacheBytes int
	Events     int // persistent events that are kept
}

// Opened is a store for one promise.
type Opened struct {
	Set driver.Set
	// Clock moves the store's time; nil if that is the real time.
	Clock Clock
	// Reopen closes the store as a restart would and opens it again; nil if
	// data does not outlive the process.
	Reopen func() driver.Set
	// Namespace makes a namespace that is ready and empty; nil: any unused
	// name will do.
	Namespace func() prism.Namespace
}

// A Clock is time in the hands of a test; *clock.Fake is one.
type Clock interface {
	Now() time.Time
	Advance(d time.Duration)
}

// Driver is the harness of an embedded driver: a store and a clock for every
// promise. Its options must have the names `receipts` and `history`, and where it
// has what they bound `cache_bytes` and `pubsub_events`.
func Driver(spec driver.Spec) Harness {
	return Harness{Name: spec.Name, Bounds: true, Open: func(t TB, o Options) Opened {
		t.Helper()
		now := clock.NewFake(time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC))
		c := driver.Config{
			Name: spec.Name, Dir: t.TempDir(), Clock: now,
			Log: slog.New(slog.DiscardHandler), Options: o.decode,
		}
		open := func() driver.Set {
			set, err := spec.Open(context.Background(), c)
			if err != nil {
				t.Fatalf("open %s: %v", spec.Name, err)
			}
			return set
		}
		opened := Opened{Set: open(), Clock: now}
		store := opened.Set.Store
		t.Cleanup(func() {
			if err := store.Close(); err != nil {
				t.Errorf("close %s: %v", spec.Name, err)
			}
		})
		if !spec.Volatile {
			opened.Reopen = func() driver.Set {
				if err := store.Close(); err != nil {
					t.Fatalf("close %s: %v", spec.Name, err)
				}
				set := open()
				store = set.Store
				return set
			}
		}
		return opened
	}}
}

func (o Options) decode(into any) error {
	var b strings.Builder
	if o.Receipts > 0 {
		fmt.Fprintf(&b, "receipts: %d\n", o.Receipts)
	}
	if o.History > 0 {
		fmt.Fprintf(&b, "history: %d\n", o.History)
	}
	if o.CacheBytes > 0 {
		fmt.Fprintf(&b, "cache_bytes: %d\n", o.CacheBytes)
	}
	if o.Events > 0 {
		fmt.Fprintf(&b, "pubsub_events: %d\n", o.Events)
	}
	if b.Len() == 0 {
		return nil
	}
	return yaml.Unmarshal([]byte(b.String()), into)
}

// Wrapped is h with every Set passed through wrap, under another name.
func (h Harness) Wrapped(name string, wrap func(driver.Set) driver.Set) Harness {
	open := h.Open
	h.Name = name
	h.Open = func(t TB, o Options) Opened {
		t.Helper()
		opened := open(t, o)
		opened.Set = wrap(opened.Set)
		if reopen := opened.Reopen; reopen != nil {
			opened.Reopen = func() driver.Set { return wrap(reopen()) }
		}
		return opened
	}
	return h
}

func (h Harness) patience() time.Duration {
	if h.Patience > 0 {
		return h.Patience
	}
	return 10 * time.Second
}
