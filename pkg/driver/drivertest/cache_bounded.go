package drivertest

import (
	"fmt"
	"strconv"
	"time"

	"github.com/prism-data-layer/prism/pkg/driver"
	"github.com/prism-data-layer/prism/pkg/prism"
)

var cacheBoundedPromises = []promise{
	{"a cache takes no more than its bound and tells what it evicts", testCacheBound, "cache_basic bounds"},
	{"what is used often stays when much is used once", testCacheOften, "cache_basic bounds"},
	{"the bound is each namespace's own", testCacheBoundOwn, "cache_basic bounds"},
	{"below its bound a cache evicts nothing", testCacheBelowBound, "cache_basic bounds"},
	{"what has ended makes room", testCacheEndedRoom, "cache_basic bounds clock"},
	{"Stats count hits and misses", testCacheHits, "cache_basic"},
	{"Stats of a namespace without a cache are nothing but the bound", testCacheStatsEmpty, ""},
	{"Stats begin anew after Drop", testCacheStatsDrop, "cache_basic"},
}

const cacheBound = 256 << 10

func (t *T) cacheStats() driver.CacheStats {
	t.Helper()
	s, err := t.set().CacheBounded.Stats(t.Ctx, t.namespace())
	t.must(err)
	return s
}

// cacheFlood sets n entries of a kilobyte.
func (t *T) cacheFlood(ns prism.Namespace, n int) {
	t.Helper()
	for i := range n {
		t.must(t.cacheIn(ns, driver.CacheOp{Kind: driver.CacheSet, Key: "flood-" + strconv.Itoa(i), Value: []byte(pattern(1000, i))}).Err)
	}
}

func testCacheBound(t *T) {
	t.open(Options{CacheBytes: cacheBound})
	for range 4 {
		t.cacheFlood(t.namespace(), 500)
		s := t.cacheStats()
		if s.MaxBytes != cacheBound || s.Bytes > cacheBound {
			t.Errorf("%d bytes are taken, the bound is told to be %d and is %d", s.Bytes, s.MaxBytes, cacheBound)
		}
		if s.Entries < 100 || s.Entries > cacheBound/1000 {
			t.Errorf("%d entries of a kilobyte under a bound of %d", s.Entries, cacheBound)
		}
		if s.Evictions < 500-cacheBound/1000 {
			t.Errorf("%d evictions of at least %d", s.Evictions, 500-cacheBound/1000)
		}
	}
}

func testCacheOften(t *T) {
	t.open(Options{CacheBytes: cacheBound})
	const loved = 20
	use := func() (found int) {
		for i := range loved {
			name := "loved-" + strconv.Itoa(i)
			if t.cacheOK(driver.CacheOp{Kind: driver.CacheGet, Key: name}).Found {
				found++
				continue
			}
			t.cacheSet(name, pattern(1000, i), 0)
		}
		return found
	}
	once := 0
	flood := func(n int) {
		for range n {
			once++
			t.cacheSet("once-"+strconv.Itoa(once), pattern(1000, once), 0)
		}
	}
	flood(300) // full, so that it begins to choose
	for range 50 {
		use()
		flood(20)
	}
	flood(600) // more than twice what it holds
	if found := use(); found < loved*3/4 {
		t.Errorf("%d of %d entries that were used all the time are left", found, loved)
	}
}

func testCacheBoundOwn(t *T) {
	t.open(Options{CacheBytes: cacheBound})
	t.cacheSet("k", "v", 0)
	t.cacheFlood(t.another(), 1000)
	t.cacheHas("k", "v")
	if s := t.cacheStats(); s.Evictions != 0 || s.Entries != 1 {
		t.Errorf("a full cache beside it changed %+v", s)
	}
}

func testCacheBelowBound(t *T) {
	t.open(Options{CacheBytes: 4 * cacheBound})
	t.cacheFlood(t.namespace(), 500)
	for i := range 500 {
		t.cacheHas("flood-"+strconv.Itoa(i), pattern(1000, i))
	}
	if s := t.cacheStats(); s.Evictions != 0 || s.Entries != 500 {
		t.Errorf("%+v, want 500 entries and no eviction", s)
	}
}

func testCacheEndedRoom(t *T) {
	t.open(Options{CacheBytes: 2 * cacheBound})
	for round := range 5 {
		for i := range 200 {
			t.cacheSet(fmt.Sprint(round, "-", i), pattern(1000, i), time.Second)
		}
		t.pass(time.Minute)
	}
	t.cacheFlood(t.namespace(), 200)
	if s := t.cacheStats(); s.Evictions != 0 {
		t.Errorf("%d evictions, and all but 200 of 500 entries had ended", s.Evictions)
	}
}

func testCacheHits(t *T) {
	t.cacheSet("k", "v", 0)
	for range 3 {
		_, _, err := t.set().Cache.Get(t.Ctx, t.key("k"))
		t.must(err)
		t.cacheOK(driver.CacheOp{Kind: driver.CacheGet, Key: "k"})
	}
	_, _, err := t.set().Cache.Get(t.Ctx, t.key("missing"))
	t.must(err)
	t.cacheOK(driver.CacheOp{Kind: driver.CacheGet, Key: "missing"})
	t.cacheOK(driver.CacheOp{Kind: driver.CacheExists, Key: "k"})
	if s := t.cacheStats(); s.Hits != 6 || s.Misses != 2 || s.Entries != 1 || s.Evictions != 0 || s.Bytes < 2 {
		t.Errorf("%+v, want 6 hits, 2 misses, 1 entry", s)
	}
}

func testCacheStatsEmpty(t *T) {
	s := t.cacheStats()
	if s.MaxBytes <= 0 {
		t.Errorf("the bound is %d", s.MaxBytes)
	}
	s.MaxBytes = 0
	if s != (driver.CacheStats{}) {
		t.Errorf("%+v, want nothing", s)
	}
}

func testCacheStatsDrop(t *T) {
	t.cacheSet("k", "v", 0)
	t.cacheHas("k", "v")
	t.must(t.set().Store.Drop(t.Ctx, t.namespace()))
	if s := t.cacheStats(); s.Entries != 0 || s.Bytes != 0 || s.Hits != 0 {
		t.Errorf("after Drop: %+v", s)
	}
}
