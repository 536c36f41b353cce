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

func drawCacheOp(r *rapid.T, keys []string, ttls []time.Duration) driver.CacheOp {
	op := driver.CacheOp{
		Kind: driver.CacheOpKind(rapid.IntRange(int(driver.CacheGet), int(driver.CacheIncrement)).Draw(r, "kind")),
		Key:  rapid.SampledFrom(keys).Draw(r, "key"),
		TTL:  rapid.SampledFrom(ttls).Draw(r, "ttl"),
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

// sameCacheResult compares errors by their reason, and when things end by sameEnd.
func sameCacheResult(a, b driver.CacheResult, sameEnd func(a, b time.Time) bool) bool {
	if a.Err != nil || b.Err != nil {
		return a.Err != nil && b.Err != nil && reasonText(a.Err) == reasonText(b.Err)
	}
	return a.Found == b.Found && a.Applied == b.Applied && a.Replayed == b.Replayed && a.Number == b.Number &&
		bytes.Equal(a.Value, b.Value) && sameEnd(a.ExpiresAt, b.ExpiresAt)
}

// sameEnd compares when something ends: to the millisecond, or, where a side
// lives in real time, by the hours that are left on its clock.
func (m *cachePair) sameEnd(a, b time.Time) bool {
	if !m.real || a.IsZero() || b.IsZero() {
		return sameTime(a, b)
	}
	return a.Sub(m.now(0)).Round(time.Hour) == b.Sub(m.now(1)).Round(time.Hour)
}

func reasonText(err error) string {
	if r, ok := err.(prism.Reason); ok {
		return string(r)
	}
	return string(prism.From(err).Reason)
}

// RunCacheModel drives the caches of two stores through the same random calls,
// locks and receipts among them, and compares every answer. Both need cache_basic
// and cache_lock, and must evict nothing meanwhile. Time is moved by the test; where
// a side has no clock to move, things last an hour or end before the next call: see
// lapse. A store that can reopen does so now and then, unless a lock is held, for
// locks need not outlive that.
func RunCacheModel(t *testing.T, a, b Harness) {
	t.Helper()
	defer rapidFlags(t)()
	rapid.Check(t, func(r *rapid.T) {
		m := &cachePair{T: r, ctx: context.Background(), ns: modelNamespace(), locked: map[string]time.Time{}}
		for i, h := range []Harness{a, b} {
			m.side[i] = h.Open(modelTB{r}, Options{})
			m.real = m.real || m.side[i].Clock == nil
			m.apart = m.apart || h.Apart
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
	ns     prism.Namespace
	side   [2]Opened
	real   bool                 // a side has no clock to move
	apart  bool                 // a side keeps a receipt with its key
	locked map[string]time.Time // when what may be a lock ends, by the clock of side 0
}

// now is the time of a side.
func (m *cachePair) now(i int) time.Time {
	if m.side[i].Clock == nil {
		return time.Now()
	}
	return m.side[i].Clock.Now()
}

// ttls are the times to live that are drawn.
func (m *cachePair) ttls() []time.Duration {
	if m.real {
		return realTTLs
	}
	return modelTTLs
}

// holds are how long locks and receipts last.
func (m *cachePair) holds(fake ...time.Duration) []time.Duration {
	if m.real {
		return []time.Duration{time.Hour}
	}
	return fake
}

func (m *cachePair) key(name string) prism.Key { return prism.Key{Namespace: m.ns, Name: name} }

// both runs f on each side.
func (m *cachePair) both(f func(s *Opened) error) {
	for i := range m.side {
		if err := f(&m.side[i]); err != nil {
			m.Fatalf("side %d: %v", i, err)
		}
	}
}

func (m *cachePair) ops(r *rapid.T) {
	keep := m.holds(10 * time.Second)[0]
	ops := rapid.SliceOfN(rapid.Custom(func(r *rapid.T) driver.CacheOp { return drawCacheOp(r, modelKeys, m.ttls()) }), 1, 5).Draw(r, "ops")
	for i := range ops {
		if n := rapid.IntRange(0, 9).Draw(r, "receipt"); n < 3 && !ops[i].Reads() {
			ops[i].Receipt = driver.Receipt{ID: [16]byte{byte(n + 1)}, Body: [16]byte{byte(ops[i].Kind)}, Keep: keep}
			if m.apart {
				copy(ops[i].Receipt.ID[1:], ops[i].Key)
			}
		}
	}
	var results [2][]driver.CacheResult
	for i := range m.side {
		results[i] = make([]driver.CacheResult, len(ops))
		if err := m.side[i].Set.Cache.Do(m.ctx, m.ns, ops, results[i]); err != nil {
			m.Fatalf("side %d: %v", i, err)
		}
	}
	for i := range ops {
		if !sameCacheResult(results[0][i], results[1][i], m.sameEnd) {
			m.Fatalf("%+v: %+v and %+v", ops[i], results[0][i], results[1][i])
		}
	}
}

func drawOwner(r *rapid.T) driver.LockOwner {
	return driver.LockOwner{byte(rapid.IntRange(1, 3).Draw(r, "owner"))}
}

func (m *cachePair) lock(r *rapid.T) {
	key := rapid.SampledFrom(modelKeys).Draw(r, "key")
	owner, hold := drawOwner(r), rapid.SampledFrom(m.holds(time.Second, time.Minute)).Draw(r, "hold")
	var got []driver.CacheLease
	m.both(func(s *Opened) error {
		l, err := s.Set.CacheLock.Lock(m.ctx, m.key(key), owner, hold)
		got = append(got, l)
		return err
	})
	a, b := got[0], got[1]
	if a.Found != b.Found || a.Locked != b.Locked || !m.sameEnd(a.Until, b.Until) || !bytes.Equal(a.Entry.Value, b.Entry.Value) || !m.sameEnd(a.Entry.ExpiresAt, b.Entry.ExpiresAt) {
		m.Fatalf("Lock %q: %+v and %+v", key, a, b)
	}
	m.locked[key] = a.Until
}

func (m *cachePair) fill(r *rapid.T) {
	key := rapid.SampledFrom(modelKeys).Draw(r, "key")
	owner, value := drawOwner(r), []byte(rapid.SampledFrom(modelValues).Draw(r, "value"))
	ttl := rapid.SampledFrom(m.ttls()).Draw(r, "ttl")
	m.same("Fill", func(s *Opened) (bool, error) {
		return s.Set.CacheLock.Fill(m.ctx, m.key(key), owner, value, ttl)
	})
}

func (m *cachePair) unlock(r *rapid.T) {
	key, owner := rapid.SampledFrom(modelKeys).Draw(r, "key"), drawOwner(r)
	m.same("Unlock", func(s *Opened) (bool, error) {
		return s.Set.CacheLock.Unlock(m.ctx, m.key(key), owner)
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
	if m.real {
		m.lapse(r)
		return
	}
	d := rapid.SampledFrom([]time.Duration{time.Millisecond, time.Second, time.Minute}).Draw(r, "by")
	for i := range m.side {
		m.side[i].Clock.Advance(d)
	}
}

// blink is how long something lasts that ends before the next call.
const blink = time.Millisecond

// lapse lets an entry end, or a lock, where time cannot be moved: it is given a
// moment to live, and the next call comes when it is gone on both sides.
func (m *cachePair) lapse(r *rapid.T) {
	key := rapid.SampledFrom(modelKeys).Draw(r, "key")
	if rapid.Bool().Draw(r, "of a lock") {
		m.lapseLock(r, key)
		return
	}
	kind := rapid.SampledFrom([]driver.CacheOpKind{driver.CacheSet, driver.CacheTouch}).Draw(r, "by")
	op := driver.CacheOp{Kind: kind, Key: key, Value: []byte("ends"), TTL: blink}
	found := m.do(op)[0].Found
	m.gone("the entry "+key, func(s *Opened) (bool, error) {
		_, there, err := s.Set.Cache.Get(m.ctx, m.key(key))
		return !there, err
	}, kind == driver.CacheSet || found)
}

func (m *cachePair) lapseLock(r *rapid.T, key string) {
	owner, next := drawOwner(r), driver.LockOwner{0xff}
	locked := true
	m.same("Lock", func(s *Opened) (bool, error) {
		l, err := s.Set.CacheLock.Lock(m.ctx, m.key(key), owner, blink)
		locked = locked && l.Locked
		return l.Locked, err
	})
	m.gone("the lock on "+key, func(s *Opened) (bool, error) {
		l, err := s.Set.CacheLock.Lock(m.ctx, m.key(key), next, time.Hour)
		return l.Locked, err
	}, locked)
	if locked {
		m.locked[key] = m.now(0).Add(time.Hour)
	}
}

// gone waits until ended is true of both sides, if anything ends at all.
func (m *cachePair) gone(what string, ended func(s *Opened) (bool, error), ends bool) {
	if !ends {
		return
	}
	m.both(func(s *Opened) error {
		if s.Clock != nil {
			s.Clock.Advance(blink)
		}
		for late := time.Now().Add(10 * time.Second); ; {
			yes, err := ended(s)
			switch {
			case yes, err != nil:
				return err
			case time.Now().After(late):
				m.Fatalf("%s does not end", what)
			}
			time.Sleep(time.Millisecond)
		}
	})
}

// do runs one operation on both sides.
func (m *cachePair) do(op driver.CacheOp) (results [2]driver.CacheResult) {
	for i := range m.side {
		if err := m.side[i].Set.Cache.Do(m.ctx, m.ns, []driver.CacheOp{op}, results[i:i+1]); err != nil {
			m.Fatalf("side %d: %v", i, err)
		}
	}
	if op.Kind != driver.CacheTouch && !sameCacheResult(results[0], results[1], m.sameEnd) || results[0].Found != results[1].Found {
		m.Fatalf("%+v: %+v and %+v", op, results[0], results[1])
	}
	return results
}

func (m *cachePair) reopen(*rapid.T) {
	for _, until := range m.locked {
		if until.After(m.now(0)) {
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
	m.both(func(s *Opened) error { return s.Set.Store.Drop(m.ctx, m.ns) })
	clear(m.locked)
}
