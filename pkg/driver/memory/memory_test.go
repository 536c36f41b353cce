package memory_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/prism-data-layer/prism/pkg/clock"
	"github.com/prism-data-layer/prism/pkg/driver"
	"github.com/prism-data-layer/prism/pkg/driver/drivertest"
	"github.com/prism-data-layer/prism/pkg/driver/memory"
	"github.com/prism-data-layer/prism/pkg/prism"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestConformance(t *testing.T) { drivertest.Run(t, drivertest.Driver(memory.Spec())) }

// Against itself the model shows that it asks nothing that chance decides.
func TestModel(t *testing.T) {
	h := drivertest.Driver(memory.Spec())
	drivertest.RunModel(t, h, h)
}

func TestCacheModel(t *testing.T) {
	h := drivertest.Driver(memory.Spec())
	drivertest.RunCacheModel(t, h, h)
}

var none driver.Receipt

func open(t testing.TB, c clock.Clock, options func(any) error) driver.Set {
	t.Helper()
	s, err := memory.Spec().Open(context.Background(), driver.Config{Name: "m", Clock: c, Options: options})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Store.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func key(name string) prism.Key { return prism.Key{Namespace: "ns", Name: name} }

func set(t testing.TB, s driver.Set, name, value string, ttl time.Duration) driver.Result {
	t.Helper()
	res, err := s.KeyValue.Set(t.Context(), key(name), []byte(value), driver.SetOptions{TTL: ttl}, none)
	if err != nil {
		t.Fatal(err)
	}
	return res
}

func TestEveryCapabilityIsThere(t *testing.T) {
	t.Parallel()
	s := open(t, nil, nil)
	for _, c := range driver.Capabilities() {
		if !c.Has(&s) {
			t.Errorf("no %s", c.Name)
		}
	}
	if s.Info.Durable || !memory.Spec().Volatile {
		t.Errorf("memory claims to last")
	}
}

func TestOptionsMustBePositive(t *testing.T) {
	t.Parallel()
	fields := []string{"receipts", "history", "history_age", "cache_bytes", "pubsub_events", "pubsub_age"}
	yaml := "{receipts: -1, history: -1, history_age: -1s, cache_bytes: -1, pubsub_events: -1, pubsub_age: -1s}"
	_, err := memory.Spec().Open(t.Context(), driver.Config{Name: "m", Options: decode(yaml)})
	var got []string
	for _, f := range prism.From(err).Fields {
		got = append(got, strings.TrimPrefix(f.Field, "options."))
	}
	if !errors.Is(err, prism.ReasonInvalidConfig) || !slices.Equal(got, fields) {
		t.Errorf("got %v, want INVALID_CONFIG that names all", err)
	}
	broken := errors.New("line 3")
	if _, err := memory.Spec().Open(t.Context(), driver.Config{Options: func(any) error { return broken }}); !errors.Is(err, broken) {
		t.Errorf("got %v, want the decoder's error", err)
	}
}

func TestVersionsBeginAtTheTimeOfOpening(t *testing.T) {
	t.Parallel()
	now := time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)
	first := set(t, open(t, clock.NewFake(now), nil), "k", "v", 0).Version
	if first <= uint64(now.UnixMicro()) {
		t.Errorf("version %d, want above %d", first, now.UnixMicro())
	}
	if next := set(t, open(t, clock.NewFake(now.Add(time.Second)), nil), "k", "v", 0).Version; next <= first {
		t.Errorf("version %d after a restart, %d before", next, first)
	}
}

func TestAPositionFromBeforeARestartIsCompacted(t *testing.T) {
	t.Parallel()
	now := clock.NewFake(time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC))
	position := func(s driver.Set) driver.Position {
		w, err := s.KeyValueWatch.Watch(t.Context(), "ns", "", nil)
		if err != nil {
			t.Fatal(err)
		}
		c, err := w.Next(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return c.Position
	}
	s := open(t, now, nil)
	set(t, s, "k", "v", 0)
	old := position(s)
	now.Advance(time.Second)
	later := open(t, now, nil)
	for name, c := range map[string]struct {
		set      driver.Set
		position driver.Position
		reason   prism.Reason
	}{
		"older":    {later, old, prism.ReasonCompacted},
		"newer":    {s, position(later), prism.ReasonCompacted},
		"nonsense": {s, driver.Position("x"), prism.ReasonInvalidArgument},
	} {
		if _, err := c.set.KeyValueWatch.Watch(t.Context(), "ns", "", c.position); !errors.Is(err, c.reason) {
			t.Errorf("%s: got %v, want %s", name, err, c.reason)
		}
	}
}

func TestHistoryEndsAtItsAge(t *testing.T) {
	t.Parallel()
	now := clock.NewFake(time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC))
	s := open(t, now, decode("history_age: 1m"))
	w, err := s.KeyValueWatch.Watch(t.Context(), "ns", "", nil)
	if err != nil {
		t.Fatal(err)
	}
	begin, err := w.Next(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	set(t, s, "k", "v", 0)
	now.Advance(59 * time.Second)
	set(t, s, "k", "w", 0)
	if _, err := s.KeyValueWatch.Watch(t.Context(), "ns", "", begin.Position); err != nil {
		t.Errorf("after 59 s of a minute: %v", err)
	}
	now.Advance(2 * time.Second)
	set(t, s, "k", "x", 0)
	if _, err := s.KeyValueWatch.Watch(t.Context(), "ns", "", begin.Position); !errors.Is(err, prism.ReasonCompacted) {
		t.Errorf("after 61 s of a minute: got %v, want COMPACTED", err)
	}
	// A slow watcher learns of it too, where it would have a gap.
	if _, err := w.Next(t.Context()); !errors.Is(err, prism.ReasonCompacted) {
		t.Errorf("a slow watcher got %v, want COMPACTED", err)
	}
}

func TestDropEndsAWaitingWatch(t *testing.T) {
	t.Parallel()
	s := open(t, nil, nil)
	w, err := s.KeyValueWatch.Watch(t.Context(), "ns", "", nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Next(t.Context()); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() {
		_, err := w.Next(t.Context())
		ended <- err
	}()
	if err := s.Store.Drop(t.Context(), "ns"); err != nil {
		t.Fatal(err)
	}
	if err := <-ended; !errors.Is(err, prism.ReasonCompacted) {
		t.Errorf("got %v, want COMPACTED", err)
	}
}

// Keys that end together are all told of at once, as fast as they can be read.
func TestExpiriesKeepUp(t *testing.T) {
	t.Parallel()
	const n = 50_000
	now := clock.NewFake(time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC))
	s := open(t, now, decode(fmt.Sprintf("history: %d", 3*n)))
	w, err := s.KeyValueWatch.Watch(t.Context(), "ns", "", nil)
	if err != nil {
		t.Fatal(err)
	}
	ends := now.Now().Add(time.Minute)
	ops := make([]driver.Op, 1000)
	results := make([]driver.Result, len(ops))
	for i := range n {
		ops[i%1000] = driver.Op{
			Kind: driver.OpSet, Key: fmt.Sprintf("k%d", i), Value: []byte("v"),
			Options: driver.SetOptions{TTL: time.Minute},
		}
		if i%1000 == 999 {
			if err := s.KeyValueBatch.Batch(t.Context(), "ns", ops, results); err != nil {
				t.Fatal(err)
			}
		}
	}
	for deadline := time.Now().Add(10 * time.Second); now.Timers() == 0 && time.Now().Before(deadline); {
		time.Sleep(time.Millisecond)
	}
	now.Advance(time.Minute)
	began := time.Now()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	sets, expired := 0, 0
	for expired < n {
		c, err := w.Next(ctx)
		if err != nil {
			t.Fatalf("after %d of %d: %v", expired, n, err)
		}
		for _, c := range c.Changes {
			switch c.Kind {
			case driver.ChangeSet:
				sets++
			case driver.ChangeExpire:
				if expired++; c.Time.Before(ends) {
					t.Fatalf("%s ended at %v, its time was %v", c.Key, c.Time, ends)
				}
			}
		}
		if len(c.Changes) == 0 {
			continue
		}
		// The sweeper may have slept by an earlier look at the clock.
		now.Advance(time.Millisecond)
	}
	if sets != n {
		t.Errorf("%d sets told, want %d", sets, n)
	}
	t.Logf("%d expiries were told of within %v", n, time.Since(began))
	if h := s.Store.Health(t.Context()); h.Facts["keys"] != "0" || h.Facts["namespaces"] != "1" || h.Facts["bytes"] != "0" {
		t.Errorf("left is %v", h.Facts)
	}
}

func TestGetAllocatesTheValueOnly(t *testing.T) {
	s := open(t, nil, nil)
	set(t, s, "k", "some value", 0)
	set(t, s, "timed", "some value", time.Hour)
	ctx := context.Background()
	for name, want := range map[string]float64{"k": 1, "timed": 1, "missing": 0} {
		k := key(name)
		if got := testing.AllocsPerRun(100, func() { _, _, _ = s.KeyValue.Get(ctx, k) }); got > want {
			t.Errorf("Get of %s allocates %v times, want %v", name, got, want)
		}
	}
	k := key("k")
	if got := testing.AllocsPerRun(100, func() { _, _ = s.KeyValue.Exists(ctx, k) }); got != 0 {
		t.Errorf("Exists allocates %v times", got)
	}
}

func TestHugeTimesToLiveDoNotWrap(t *testing.T) {
	t.Parallel()
	s := open(t, nil, nil)
	set(t, s, "k", "v", math.MaxInt64)
	at, err := s.KeyValueTTL.ExpiresAt(t.Context(), key("k"))
	if err != nil || at.Before(time.Now().Add(200*365*24*time.Hour)) {
		t.Errorf("ends at %v (%v), want centuries from now", at, err)
	}
}

func TestABatchNeedsRoomForItsResults(t *testing.T) {
	t.Parallel()
	s := open(t, nil, nil)
	err := s.KeyValueBatch.Batch(t.Context(), "ns", []driver.Op{{Kind: driver.OpSet, Key: "k"}}, nil)
	if !errors.Is(err, prism.ReasonInvalidArgument) {
		t.Errorf("got %v, want INVALID_ARGUMENT", err)
	}
	results := make([]driver.Result, 1)
	if err := s.KeyValueBatch.Batch(t.Context(), "ns", []driver.Op{{Kind: 99, Key: "k"}}, results); err != nil || !errors.Is(results[0].Err, prism.ReasonInvalidArgument) {
		t.Errorf("an unknown operation: %v %v", err, results[0].Err)
	}
}

func TestQueriesMustBeBounded(t *testing.T) {
	t.Parallel()
	s := open(t, nil, nil)
	for _, q := range []driver.Query{{MaxBytes: 1}, {Limit: 1}, {Limit: -1, MaxBytes: 1}} {
		if _, err := s.KeyValueScan.Scan(t.Context(), "ns", q, nil); !errors.Is(err, prism.ReasonInvalidArgument) {
			t.Errorf("%+v: got %v, want INVALID_ARGUMENT", q, err)
		}
	}
}

func TestCloseTwiceIsOnce(t *testing.T) {
	t.Parallel()
	s := open(t, nil, nil)
	set(t, s, "k", "v", time.Hour)
	for range 2 {
		if err := s.Store.Close(); err != nil {
			t.Error(err)
		}
	}
	if _, err := s.KeyValue.Set(t.Context(), key("k"), nil, driver.SetOptions{}, none); !errors.Is(err, prism.ReasonBackendUnavailable) {
		t.Errorf("got %v", err)
	}
}

// BenchmarkFootprint tells the bytes that a key costs beyond its own bytes and
// its value's, history included.
func BenchmarkFootprint(b *testing.B) {
	const n = 1_000_000
	for b.Loop() {
		before := heap()
		s := open(b, nil, nil)
		value := make([]byte, 32)
		for i := range n {
			if _, err := s.KeyValue.Set(b.Context(), key(fmt.Sprintf("key-%012d", i*7919%n)), value, driver.SetOptions{}, none); err != nil {
				b.Fatal(err)
			}
		}
		b.ReportMetric(float64(heap()-before)/n-48, "overhead-B/key")
		runtime.KeepAlive(s)
	}
}

func heap() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

func BenchmarkGet(b *testing.B) {
	s := filled(b)
	k := keys()
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		if _, found, err := s.KeyValue.Get(context.Background(), k[i%len(k)]); !found || err != nil {
			b.Fatal(found, err)
		}
	}
}

func BenchmarkSet(b *testing.B) {
	s := filled(b)
	k := keys()
	value := make([]byte, 64)
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		if _, err := s.KeyValue.Set(context.Background(), k[i%len(k)], value, driver.SetOptions{}, none); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkSetWithReceipt(b *testing.B) {
	s := filled(b)
	k := keys()
	value := make([]byte, 64)
	b.ReportAllocs()
	for i := uint64(1); b.Loop(); i++ {
		r := driver.Receipt{Keep: time.Minute}
		for n := range 8 {
			r.ID[n] = byte(i >> (8 * n))
		}
		if _, err := s.KeyValue.Set(context.Background(), k[i%uint64(len(k))], value, driver.SetOptions{}, r); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkScanPage(b *testing.B) {
	s := filled(b)
	q := driver.Query{Limit: 100, MaxBytes: 1 << 20}
	b.ReportAllocs()
	for b.Loop() {
		if p, err := s.KeyValueScan.Scan(context.Background(), "ns", q, nil); err != nil || len(p.Entries) != 100 {
			b.Fatal(err)
		}
	}
}

func keys() []prism.Key {
	k := make([]prism.Key, 10_000)
	for i := range k {
		k[i] = key(fmt.Sprintf("key-%012d", i))
	}
	return k
}

func filled(b *testing.B) driver.Set {
	b.Helper()
	s := open(b, nil, nil)
	for _, k := range keys() {
		if _, err := s.KeyValue.Set(b.Context(), k, make([]byte, 64), driver.SetOptions{}, none); err != nil {
			b.Fatal(err)
		}
	}
	return s
}

func TestPubSubLikeAPlainModel(t *testing.T) {
	drivertest.RunPubSubModel(t, drivertest.Driver(memory.Spec()))
}
