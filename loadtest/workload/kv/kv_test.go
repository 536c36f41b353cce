package kv_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prism-data-layer/prism/loadtest"
	"github.com/prism-data-layer/prism/loadtest/pace"
	"github.com/prism-data-layer/prism/loadtest/report"
	"github.com/prism-data-layer/prism/loadtest/workload/kv"
	"github.com/prism-data-layer/prism/pkg/prism"
)

// store is a map that remembers what it was asked.
type store struct {
	mu    sync.Mutex
	data  map[string][]byte
	asked []string
	fail  func(op, key string) error
}

func newStore() *store { return &store{data: make(map[string][]byte)} }

func (s *store) ask(op, key string) error {
	s.asked = append(s.asked, op+" "+key)
	if s.fail != nil {
		return s.fail(op, key)
	}
	return nil
}

func (s *store) Get(_ context.Context, key string) ([]byte, bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	v, ok := s.data[key]
	return v, ok, s.ask("get", key)
}

func (s *store) Set(_ context.Context, key string, value []byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.data[key] = value
	return s.ask("set", key)
}

func (s *store) Delete(_ context.Context, key string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.data, key)
	return s.ask("delete", key)
}

type counting struct {
	*store
	n atomic.Uint64
}

func (c *counting) Get(ctx context.Context, key string) ([]byte, bool, error) {
	c.n.Add(1)
	return c.store.Get(ctx, key)
}
func (c *counting) Stats() report.Attempts { return report.Attempts{Attempts: c.n.Load()} }

func plan(t *testing.T, rate float64) loadtest.Plan {
	t.Helper()
	s, err := pace.Constant(rate, time.Second)
	if err != nil {
		t.Fatal(err)
	}
	return loadtest.Plan{Schedule: s}
}

func TestMixKeysAndSizesReachTheStore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStore()
		w, err := kv.New(s, kv.Config{Mix: "get=80,set=15,delete=5", Keys: 50, Values: loadtest.FixedSize(100), Seed: 3})
		if err != nil {
			t.Fatal(err)
		}
		r, err := loadtest.Run(t.Context(), plan(t, 1000), w)
		if err != nil {
			t.Fatal(err)
		}
		for i, want := range []float64{80, 15, 5} {
			if got := r.Operations[i].SharePct; got < want-0.5 || got > want+0.5 {
				t.Errorf("%s has %g %%, want %g", r.Operations[i].Name, got, want)
			}
		}
		gets := r.Operations[0]
		if gets.Missed == 0 || gets.Missed > gets.OK || gets.ReceivedBytes != (gets.OK-gets.Missed)*100 {
			t.Errorf("%d of %d gets missed, %d bytes; want some after the deletes, 100 bytes each", gets.Missed, gets.OK, gets.ReceivedBytes)
		}
		for k, v := range s.data {
			if !strings.HasPrefix(k, kv.DefaultPrefix) || len(v) != 100 {
				t.Fatalf("stored %q with %d bytes; want load-… with 100", k, len(v))
			}
		}
		if r.Options["mix"] != "get=80,set=15,delete=5" || r.Options["keys"] != "50" || r.Options["order"] != "uniform" || r.Attempts != nil {
			t.Errorf("options %v, attempts %v", r.Options, r.Attempts)
		}
	})
}

func TestEveryKeyIsThereBeforeTheRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &counting{store: newStore()}
		w, err := kv.New(s, kv.Config{Mix: "get=1", Keys: 300})
		if err != nil {
			t.Fatal(err)
		}
		r, err := loadtest.Run(t.Context(), plan(t, 200), w)
		if err != nil {
			t.Fatal(err)
		}
		if len(s.data) != 300 || r.Requests.Missed != 0 || r.Requests.OK != 200 {
			t.Errorf("%d keys, %d of %d gets missed; want 300, none of 200", len(s.data), r.Requests.Missed, r.Requests.OK)
		}
		if r.Attempts == nil || r.Attempts.Attempts != 200 {
			t.Errorf("attempts %+v; want 200", r.Attempts)
		}

		empty := newStore()
		w, _ = kv.New(empty, kv.Config{Mix: "get=1", Keys: 300, Empty: true})
		if r, err = loadtest.Run(t.Context(), plan(t, 200), w); err != nil || r.Requests.Missed != 200 || r.Requests.Failed != 0 {
			t.Errorf("on an empty store: %+v, %v; want 200 misses and no failure", r, err)
		}
	})
}

// One after another, so that the order in which the store is asked is that of
// the requests.
func TestOneSeedAsksTheSameInTheSameOrder(t *testing.T) {
	t.Parallel()
	ask := func(seed uint64) []string {
		s := newStore()
		w, err := kv.New(s, kv.Config{Mix: "get=5,set=4,delete=1", Seed: seed, Keys: 1000})
		if err != nil {
			t.Fatal(err)
		}
		for n := range uint64(200) {
			o := w.Do(t.Context(), n)
			s.asked[n] += fmt.Sprint(o.SentBytes, string(s.data[strings.Fields(s.asked[n])[1]]))
		}
		return s.asked
	}
	first, second, other := ask(1), ask(1), ask(2)
	var differ int
	for n := range first {
		if first[n] != second[n] {
			t.Fatalf("request %d was %q, then %q under one seed", n, first[n], second[n])
		}
		if first[n] != other[n] {
			differ++
		}
	}
	if differ < 100 {
		t.Errorf("another seed changes %d of 200 requests", differ)
	}
}

func TestSequentialOrder(t *testing.T) {
	t.Parallel()
	s := newStore()
	w, err := kv.New(s, kv.Config{Mix: "set=1", Keys: 3, Order: "sequential", Prefix: "p", Values: loadtest.FixedSize(0)})
	if err != nil {
		t.Fatal(err)
	}
	for n := range uint64(4) {
		w.Do(t.Context(), n)
	}
	if got := strings.Join(s.asked, ","); got != "set p0,set p1,set p2,set p0" || len(s.data["p0"]) != 0 {
		t.Errorf("asked %s; want p0 p1 p2 p0 with empty values", got)
	}
}

func TestFailuresReachTheReport(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStore()
		w, _ := kv.New(s, kv.Config{Mix: "get=1,set=1", Keys: 10})
		var preparing atomic.Bool
		preparing.Store(true)
		s.fail = func(op, key string) error {
			if preparing.Load() && op == "set" && key == "load-5" {
				return prism.New(prism.ReasonDiskFull, "disk full")
			}
			return nil
		}
		if _, err := loadtest.Run(t.Context(), plan(t, 10), w); !errors.Is(err, prism.ReasonDiskFull) || !strings.Contains(err.Error(), "set key") {
			t.Errorf("preparing: got %v; want DISK_FULL", err)
		}
		preparing.Store(false)
		s.fail = func(op, _ string) error {
			if op == "set" && len(s.asked) > 30 {
				return prism.New(prism.ReasonDiskFull, "disk full")
			}
			return nil
		}
		r, err := loadtest.Run(t.Context(), plan(t, 100), w)
		if err != nil || r.Operations[1].Failed == 0 || r.Operations[0].Failed != 0 || r.Errors[0].Reason != "DISK_FULL" {
			t.Errorf("got %+v, %v; want failed sets", r, err)
		}
	})
}

func TestCtrlCWhileTheStoreIsFilled(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	s := newStore()
	s.fail = func(string, string) error { cancel(); return nil }
	w, _ := kv.New(s, kv.Config{Keys: 1_000_000})
	if _, err := loadtest.Run(ctx, plan(t, 10), w); !errors.Is(err, context.Canceled) || len(s.asked) > 1000 {
		t.Errorf("got %v after %d sets; want a cancel soon", err, len(s.asked))
	}
}

func TestWrongConfigurationsAreRefused(t *testing.T) {
	t.Parallel()
	for field, c := range map[string]kv.Config{
		"mix":         {Mix: "scan=1"},
		"value_bytes": {Values: loadtest.FixedSize(prism.MaxValueBytes + 1)},
		"prefix":      {Prefix: strings.Repeat("x", prism.MaxKeyBytes)},
		"order":       {Order: "zipf(0)"},
	} {
		_, err := kv.New(newStore(), c)
		var e *prism.Error
		if !errors.As(err, &e) || e.Fields[0].Field != field {
			t.Errorf("%s: got %v", field, err)
		}
	}
}
