package memory_test

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"testing"
	"time"

	"github.com/prism-data-layer/prism/pkg/clock"
	"github.com/prism-data-layer/prism/pkg/driver"
	"github.com/prism-data-layer/prism/pkg/prism"
)

func cacheDo(t testing.TB, s driver.Set, ops ...driver.CacheOp) []driver.CacheResult {
	t.Helper()
	results := make([]driver.CacheResult, len(ops))
	if err := s.Cache.Do(context.Background(), "ns", ops, results); err != nil {
		t.Fatal(err)
	}
	return results
}

// eventually moves the fake clock on until f is true.
func eventually(t *testing.T, now *clock.Fake, what string, f func() bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); {
		if f() {
			return
		}
		now.Advance(time.Minute)
		time.Sleep(time.Millisecond) // for the sweeper, which runs beside us
	}
	t.Fatalf("%s: not within 20 s", what)
}

// Nobody reads what has ended: the memory comes back all the same.
func TestAnIdleCacheGivesBackWhatHasEnded(t *testing.T) {
	t.Parallel()
	now := clock.NewFake(time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC))
	s := open(t, now, nil)
	for i := range 1000 {
		cacheDo(t, s, driver.CacheOp{Kind: driver.CacheSet, Key: strconv.Itoa(i), Value: make([]byte, 100), TTL: time.Second})
	}
	cacheDo(t, s, driver.CacheOp{Kind: driver.CacheSet, Key: "stays", Value: make([]byte, 100)})
	eventually(t, now, "1000 entries that have ended are given back", func() bool {
		st, err := s.CacheBounded.Stats(t.Context(), "ns")
		if err != nil {
			t.Fatal(err)
		}
		return st.Entries == 1 && st.Evictions == 0
	})
	if h := s.Store.Health(t.Context()); h.Facts["bytes"] != strconv.Itoa(len("stays")+100) {
		t.Errorf("the store tells %v", h.Facts)
	}
}

func TestAnEntryLargerThanTheBoundIsNotKept(t *testing.T) {
	t.Parallel()
	s := open(t, nil, decode("cache_bytes: 100000"))
	if r := cacheDo(t, s, driver.CacheOp{Kind: driver.CacheSet, Key: "large", Value: make([]byte, 200_000)})[0]; !r.Applied || r.Err != nil {
		t.Errorf("setting it: %+v, want applied", r)
	}
	if st, err := s.CacheBounded.Stats(t.Context(), "ns"); err != nil || st.Bytes > 100_000 || st.Evictions != 1 {
		t.Errorf("%+v %v, want it evicted at once", st, err)
	}
}

func TestLocksAreBoundedAndEndedOnesMakeRoom(t *testing.T) {
	t.Parallel()
	now := clock.NewFake(time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC))
	s := open(t, now, nil)
	lock := func(name string) error {
		_, err := s.CacheLock.Lock(t.Context(), key(name), driver.LockOwner{1}, time.Hour)
		return err
	}
	for i := range 100_000 {
		if err := lock(fmt.Sprint(i)); err != nil {
			t.Fatalf("lock %d: %v", i, err)
		}
	}
	if err := lock("one more"); !errors.Is(err, prism.ReasonOverloaded) {
		t.Errorf("got %v, want OVERLOADED", err)
	}
	if err := lock("7"); err != nil {
		t.Errorf("a lock that its owner has already: %v", err)
	}
	now.Advance(time.Hour)
	if err := lock("one more"); err != nil {
		t.Errorf("after the others have ended: %v", err)
	}
}

func TestASmallResultSliceIsRefused(t *testing.T) {
	t.Parallel()
	s := open(t, nil, nil)
	err := s.Cache.Do(t.Context(), "ns", make([]driver.CacheOp, 2), make([]driver.CacheResult, 1))
	if !errors.Is(err, prism.ReasonInvalidArgument) {
		t.Errorf("got %v, want INVALID_ARGUMENT", err)
	}
}

func BenchmarkCache(b *testing.B) {
	s := open(b, nil, nil)
	for i := range 10_000 {
		cacheDo(b, s, driver.CacheOp{Kind: driver.CacheSet, Key: strconv.Itoa(i), Value: make([]byte, 100), TTL: time.Hour})
	}
	keys := make([]string, 10_000)
	for i := range keys {
		keys[i] = strconv.Itoa(i)
	}
	b.Run("Get", func(b *testing.B) {
		b.ReportAllocs()
		i := 0
		for b.Loop() {
			i++
			if _, found, err := s.Cache.Get(b.Context(), key(keys[i%len(keys)])); !found || err != nil {
				b.Fatal(found, err)
			}
		}
	})
	b.Run("Set", func(b *testing.B) {
		b.ReportAllocs()
		ops, results := make([]driver.CacheOp, 1), make([]driver.CacheResult, 1)
		value, i := make([]byte, 100), 0
		for b.Loop() {
			i++
			ops[0] = driver.CacheOp{Kind: driver.CacheSet, Key: keys[i%len(keys)], Value: value, TTL: time.Hour}
			if err := s.Cache.Do(b.Context(), "ns", ops, results); err != nil {
				b.Fatal(err)
			}
		}
	})
}
