package redis_test

import (
	"errors"
	"testing"
	"time"

	"github.com/prism-data-layer/prism/pkg/driver"
	"github.com/prism-data-layer/prism/pkg/driver/redis/redistest"
	"github.com/prism-data-layer/prism/pkg/prism"
)

func cacheDo(t *testing.T, s driver.Set, ops ...driver.CacheOp) []driver.CacheResult {
	t.Helper()
	results := make([]driver.CacheResult, len(ops))
	if err := s.Cache.Do(t.Context(), "cache", ops, results); err != nil {
		t.Fatal(err)
	}
	return results
}

func TestACacheRefusesWhatMeansNothing(t *testing.T) {
	t.Parallel()
	s := open(t, shared.get(t, redistest.Seven()), "")
	for i, r := range cacheDo(t, s,
		driver.CacheOp{},
		driver.CacheOp{Kind: driver.CacheIncrement + 1},
		driver.CacheOp{Kind: driver.CacheSet, Key: "wrong", TTL: -1},
		driver.CacheOp{Kind: driver.CacheSet, Key: "wrong", If: driver.CachePresent + 1},
		driver.CacheOp{Kind: driver.CacheTouch, Key: "wrong", TTL: -1},
	) {
		if !errors.Is(r.Err, prism.ReasonInvalidArgument) {
			t.Errorf("operation %d: %+v, want INVALID_ARGUMENT", i, r)
		}
	}
	if err := s.Cache.Do(t.Context(), "cache", make([]driver.CacheOp, 2), make([]driver.CacheResult, 1)); !errors.Is(err, prism.ReasonInvalidArgument) {
		t.Errorf("too few results: %v", err)
	}
	k := prism.Key{Namespace: "cache", Name: "wrong"}
	if _, err := s.CacheLock.Lock(t.Context(), k, driver.LockOwner{1}, 0); !errors.Is(err, prism.ReasonInvalidArgument) {
		t.Errorf("Lock for no time: %v", err)
	}
	if _, err := s.CacheLock.Fill(t.Context(), k, driver.LockOwner{1}, nil, -1); !errors.Is(err, prism.ReasonInvalidArgument) {
		t.Errorf("Fill that has ended: %v", err)
	}
	if _, found, err := s.Cache.Get(t.Context(), k); found || err != nil {
		t.Errorf("something was stored: %v", err)
	}
}

func TestACacheCountsAndLocks(t *testing.T) {
	t.Parallel()
	for _, v := range redistest.Versions() {
		t.Run(v.Name, func(t *testing.T) {
			s := open(t, shared.get(t, v), "")
			k := prism.Key{Namespace: "cache", Name: "n"}
			owner := driver.LockOwner{1}
			r := cacheDo(t, s,
				driver.CacheOp{Kind: driver.CacheDelete, Key: "n"},
				driver.CacheOp{Kind: driver.CacheIncrement, Key: "n", Delta: 2, Initial: 40, TTL: time.Hour, Receipt: kept},
				driver.CacheOp{Kind: driver.CacheIncrement, Key: "n", Delta: 2, Initial: 40, TTL: time.Hour, Receipt: kept},
				driver.CacheOp{Kind: driver.CacheExists, Key: "n"},
				driver.CacheOp{Kind: driver.CacheGet, Key: "n"},
				driver.CacheOp{Kind: driver.CacheTouch, Key: "n"},
				driver.CacheOp{Kind: driver.CacheGet, Key: "n"},
				driver.CacheOp{Kind: driver.CacheIncrement, Key: "n", Delta: 1<<63 - 1},
				driver.CacheOp{Kind: driver.CacheDelete, Key: "n"},
			)
			switch {
			case r[1].Number != 42 || r[2].Number != 42 || !r[2].Replayed:
				t.Errorf("counted %+v, then %+v", r[1], r[2])
			case !r[3].Found || string(r[4].Value) != "42" || r[4].ExpiresAt.IsZero():
				t.Errorf("there is %+v, %+v", r[3], r[4])
			case !r[5].Found || !r[6].ExpiresAt.IsZero():
				t.Errorf("Touch without a time: %+v, %+v", r[5], r[6])
			case !errors.Is(r[7].Err, prism.ReasonOverflow) || !r[8].Found:
				t.Errorf("past the end: %+v, then %+v", r[7], r[8])
			}
			l, err := s.CacheLock.Lock(t.Context(), k, owner, time.Hour)
			if err != nil || !l.Locked {
				t.Fatalf("Lock: %+v %v", l, err)
			}
			cacheDo(t, s, driver.CacheOp{Kind: driver.CacheDelete, Key: "n"})
			if done, err := s.CacheLock.Fill(t.Context(), k, owner, []byte("old"), 0); done || err != nil {
				t.Errorf("a Fill from before the Delete: %v %v", done, err)
			}
			if l, err = s.CacheLock.Lock(t.Context(), k, owner, time.Hour); err != nil || !l.Locked {
				t.Fatalf("Lock: %+v %v", l, err)
			}
			if done, err := s.CacheLock.Fill(t.Context(), k, owner, []byte("new"), 0); !done || err != nil {
				t.Errorf("Fill: %v %v", done, err)
			}
			if done, err := s.CacheLock.Unlock(t.Context(), k, owner); done || err != nil {
				t.Errorf("Unlock after Fill: %v %v", done, err)
			}
			if e, found, err := s.Cache.Get(t.Context(), k); !found || string(e.Value) != "new" || err != nil {
				t.Errorf("Get: %+v %v %v", e, found, err)
			}
			if u, err := s.Store.Usage(t.Context(), "cache"); err != nil || u.Keys < 1 || u.Bytes < 4 || u.Receipts < 1 {
				t.Errorf("Usage: %+v %v", u, err)
			}
		})
	}
}

func TestAFullServerRefusesCacheEntries(t *testing.T) {
	t.Parallel()
	server := redistest.Seven().Start(t, "--maxmemory-policy", "noeviction")
	s := open(t, server, "")
	cacheDo(t, s, driver.CacheOp{Kind: driver.CacheSet, Key: "k"})
	fill(t, raw(t, server))
	if err := cacheDo(t, s, driver.CacheOp{Kind: driver.CacheSet, Key: "new"})[0].Err; !errors.Is(err, prism.ReasonQuotaExceeded) {
		t.Errorf("Set: %v, want QUOTA_EXCEEDED", err)
	}
	if r := cacheDo(t, s, driver.CacheOp{Kind: driver.CacheDelete, Key: "k"})[0]; !r.Found || r.Err != nil {
		t.Errorf("Delete on a full server: %+v", r)
	}
}

func TestDamagedCacheEntriesAreDataLoss(t *testing.T) {
	t.Parallel()
	server := redistest.Seven().Start(t, "--appendonly", "no")
	s := open(t, server, "")
	if err := raw(t, server).Set(t.Context(), "{p1:5:cache:0}hk", "short", 0).Err(); err != nil {
		t.Fatal(err)
	}
	_, _, err := s.Cache.Get(t.Context(), prism.Key{Namespace: "cache", Name: "k"})
	_, locked := s.CacheLock.Lock(t.Context(), prism.Key{Namespace: "cache", Name: "k"}, driver.LockOwner{1}, time.Hour)
	r := cacheDo(t, s, driver.CacheOp{Kind: driver.CacheGet, Key: "k"}, driver.CacheOp{Kind: driver.CacheIncrement, Key: "k"})
	for i, err := range []error{err, locked, r[0].Err, r[1].Err} {
		if !errors.Is(err, prism.ReasonDataLoss) {
			t.Errorf("call %d: %v, want DATA_LOSS", i, err)
		}
	}
	if r := cacheDo(t, s, driver.CacheOp{Kind: driver.CacheSet, Key: "k", Value: []byte("v")})[0]; !r.Applied || r.Err != nil {
		t.Errorf("Set over it: %+v", r)
	}
}
