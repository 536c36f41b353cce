package drivertest

import (
	"bytes"
	"context"
	"math"
	"strconv"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/prism-data-layer/prism/pkg/driver"
	"github.com/prism-data-layer/prism/pkg/prism"
)

// A cacheModel is what a cache without eviction does, as a map.
type cacheModel map[string]cacheModelEntry

type cacheModelEntry struct {
	value string
	ends  time.Time // zero: never
}

func (m cacheModel) do(op *driver.CacheOp, now time.Time) (r driver.CacheResult) {
	e, there := m[op.Key]
	if there && !e.ends.IsZero() && !e.ends.After(now) {
		delete(m, op.Key)
		e, there = cacheModelEntry{}, false
	}
	end := func() (at time.Time) {
		if op.TTL > 0 {
			at = now.Add(op.TTL)
		}
		return at
	}
	switch op.Kind {
	case driver.CacheGet:
		if r.Found = there; there {
			r.Value, r.ExpiresAt = []byte(e.value), e.ends
		}
	case driver.CacheExists:
		r.Found = there
	case driver.CacheSet:
		if r.Applied = op.If == driver.CacheAlways || (op.If == driver.CachePresent) == there; r.Applied {
			m[op.Key] = cacheModelEntry{string(op.Value), end()}
		}
	case driver.CacheDelete:
		r.Found = there
		delete(m, op.Key)
	case driver.CacheTouch:
		if r.Found = there; there {
			r.ExpiresAt = end()
			m[op.Key] = cacheModelEntry{e.value, r.ExpiresAt}
		}
	case driver.CacheIncrement:
		n := op.Initial
		if there {
			var err error
			if n, err = strconv.ParseInt(e.value, 10, 64); err != nil {
				return driver.CacheResult{Err: prism.ReasonNotANumber}
			}
		} else {
			e.ends = end()
		}
		if op.Delta > 0 && n > math.MaxInt64-op.Delta || op.Delta < 0 && n < math.MinInt64-op.Delta {
			return driver.CacheResult{Err: prism.ReasonOverflow}
		}
		r.Number = n + op.Delta
		m[op.Key] = cacheModelEntry{strconv.FormatInt(r.Number, 10), e.ends}
	}
	return r
}

func drawCacheOp(r *rapid.T) driver.CacheOp {
	op := driver.CacheOp{
		Kind: driver.CacheOpKind(rapid.IntRange(int(driver.CacheGet), int(driver.CacheIncrement)).Draw(r, "kind")),
		Key:  rapid.SampledFrom(modelKeys).Draw(r, "key"),
		TTL:  rapid.SampledFrom(modelTTLs).Draw(r, "ttl"),
	}
	switch op.Kind {
	case driver.CacheSet:
		op.Value = []byte(rapid.SampledFrom(modelValues).Draw(r, "value"))
		op.If = driver.CacheIf(rapid.IntRange(0, 2).Draw(r, "if"))
	case driver.CacheIncrement:
		op.Delta = rapid.SampledFrom([]int64{0, 1, -3, math.MaxInt64}).Draw(r, "delta")
		op.Initial = rapid.SampledFrom([]int64{0, 40, math.MinInt64}).Draw(r, "initial")
	}
	return op
}

// sameCacheResult compares errors by their reason.
func sameCacheResult(a, b driver.CacheResult) bool {
	if a.Err != nil || b.Err != nil {
		return a.Err != nil && b.Err != nil && reasonText(a.Err) == reasonText(b.Err)
	}
	return a.Found == b.Found && a.Applied == b.Applied && a.Replayed == b.Replayed && a.Number == b.Number &&
		bytes.Equal(a.Value, b.Value) && sameTime(a.ExpiresAt, b.ExpiresAt)
}

func reasonText(err error) string {
	if r, ok := err.(prism.Reason); ok {
		return string(r)
	}
	return string(prism.From(err).Reason)
}

// RunCacheModel drives the caches of two stores through the same random calls,
// locks and receipts among them, and compares every answer. Both need cache_basic, cache_lock
// and a clock in the test's hands; a store that can reopen does so now and then, unless a
// lock is held, for locks need not outlive that.
func RunCacheModel(t *testing.T, a, b Harness) {
	t.Helper()
	defer rapidFlags(t)()
	rapid.Check(t, func(r *rapid.T) {
		m := &cachePair{T: r, ctx: context.Background(), locked: map[string]time.Time{}}
		for i, h := range []Harness{a, b} {
			m.side[i] = h.Open(modelTB{r}, Options{})
			if m.side[i].Clock == nil {
				t.Fatalf("%s has no clock to move", h.Name)
			}
		}
		r.Repeat(map[string]func(*rapid.T){
			"ops": m.ops, "ops again": m.ops, "lock": m.lock, "fill": m.fill, "unlock": m.unlock,
			"pass": m.pass, "reopen": m.reopen, "drop": m.drop, "": func(*rapid.T) {},
		})
	})
}

type cachePair struct {
	*rapid.T
	ctx    context.Context
	side   [2]Opened
	locked map[string]time.Time // when what may be a lock ends
}

const cacheModelNamespace prism.Namespace = "model"

// both runs f on each side.
func (m *cachePair) both(f func(s *Opened) error) {
	for i := range m.side {
		if err := f(&m.side[i]); err != nil {
			m.Fatalf("side %d: %v", i, err)
		}
	}
}

func (m *cachePair) ops(r *rapid.T) {
	ops := rapid.SliceOfN(rapid.Custom(drawCacheOp), 1, 5).Draw(r, "ops")
	for i := range ops {
		if n := rapid.IntRange(0, 9).Draw(r, "receipt"); n < 3 && !ops[i].Reads() {
			ops[i].Receipt = driver.Receipt{ID: [16]byte{byte(n + 1)}, Body: [16]byte{byte(ops[i].Kind)}, Keep: 10 * time.Second}
		}
	}
	var results [2][]driver.CacheResult
	for i := range m.side {
		results[i] = make([]driver.CacheResult, len(ops))
		if err := m.side[i].Set.Cache.Do(m.ctx, cacheModelNamespace, ops, results[i]); err != nil {
			m.Fatalf("side %d: %v", i, err)
		}
	}
	for i := range ops {
		if !sameCacheResult(results[0][i], results[1][i]) {
			m.Fatalf("%+v: %+v and %+v", ops[i], results[0][i], results[1][i])
		}
	}
}

func drawOwner(r *rapid.T) driver.LockOwner {
	return driver.LockOwner{byte(rapid.IntRange(1, 3).Draw(r, "owner"))}
}

func (m *cachePair) lock(r *rapid.T) {
	key := rapid.SampledFrom(modelKeys).Draw(r, "key")
	owner, hold := drawOwner(r), rapid.SampledFrom([]time.Duration{time.Second, time.Minute}).Draw(r, "hold")
	var got []driver.CacheLease
	m.both(func(s *Opened) error {
		l, err := s.Set.CacheLock.Lock(m.ctx, prism.Key{Namespace: cacheModelNamespace, Name: key}, owner, hold)
		got = append(got, l)
		return err
	})
	a, b := got[0], got[1]
	if a.Found != b.Found || a.Locked != b.Locked || !sameTime(a.Until, b.Until) || !bytes.Equal(a.Entry.Value, b.Entry.Value) || !sameTime(a.Entry.ExpiresAt, b.Entry.ExpiresAt) {
		m.Fatalf("Lock %q: %+v and %+v", key, a, b)
	}
	m.locked[key] = a.Until
}

func (m *cachePair) fill(r *rapid.T) {
	key := rapid.SampledFrom(modelKeys).Draw(r, "key")
	owner, value := drawOwner(r), []byte(rapid.SampledFrom(modelValues).Draw(r, "value"))
	ttl := rapid.SampledFrom(modelTTLs).Draw(r, "ttl")
	m.same("Fill", func(s *Opened) (bool, error) {
		return s.Set.CacheLock.Fill(m.ctx, prism.Key{Namespace: cacheModelNamespace, Name: key}, owner, value, ttl)
	})
}

func (m *cachePair) unlock(r *rapid.T) {
	key, owner := rapid.SampledFrom(modelKeys).Draw(r, "key"), drawOwner(r)
	m.same("Unlock", func(s *Opened) (bool, error) {
		return s.Set.CacheLock.Unlock(m.ctx, prism.Key{Namespace: cacheModelNamespace, Name: key}, owner)
	})
}

func (m *cachePair) same(what string, f func(s *Opened) (bool, error)) {
	var got []bool
	m.both(func(s *Opened) error {
		ok, err := f(s)
		got = append(got, ok)
		return err
	})
	if got[0] != got[1] {
		m.Fatalf("%s: %v and %v", what, got[0], got[1])
	}
}

func (m *cachePair) pass(r *rapid.T) {
	d := rapid.SampledFrom([]time.Duration{time.Millisecond, time.Second, time.Minute}).Draw(r, "by")
	for i := range m.side {
		m.side[i].Clock.Advance(d)
	}
}

func (m *cachePair) reopen(*rapid.T) {
	for _, until := range m.locked {
		if until.After(m.side[0].Clock.Now()) {
			return
		}
	}
	for i := range m.side {
		if m.side[i].Reopen != nil {
			m.side[i].Set = m.side[i].Reopen()
		}
	}
}

func (m *cachePair) drop(*rapid.T) {
	m.both(func(s *Opened) error { return s.Set.Store.Drop(m.ctx, cacheModelNamespace) })
	clear(m.locked)
}
