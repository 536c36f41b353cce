package pebble_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	cockroach "github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"github.com/prism-data-layer/prism/pkg/clock"
	"github.com/prism-data-layer/prism/pkg/driver"
	"github.com/prism-data-layer/prism/pkg/driver/pebble"
	"github.com/prism-data-layer/prism/pkg/prism"
)

func cacheDo(ctx context.Context, set driver.Set, op driver.CacheOp) driver.CacheResult {
	var r [1]driver.CacheResult
	if err := set.Cache.Do(ctx, "ns", []driver.CacheOp{op}, r[:]); err != nil {
		r[0].Err = err
	}
	return r[0]
}

func cachePut(t testing.TB, set driver.Set, name, value string, ttl time.Duration) {
	t.Helper()
	if r := cacheDo(context.Background(), set, driver.CacheOp{Kind: driver.CacheSet, Key: name, Value: []byte(value), TTL: ttl}); r.Err != nil {
		t.Fatal(r.Err)
	}
}

func cacheGet(t testing.TB, set driver.Set, name string) (string, bool) {
	t.Helper()
	e, found, err := set.Cache.Get(context.Background(), key(name))
	if err != nil {
		t.Fatal(err)
	}
	return string(e.Value), found
}

func usage(t testing.TB, set driver.Set) driver.Usage {
	t.Helper()
	u, err := set.Store.Usage(context.Background(), "ns")
	if err != nil {
		t.Fatal(err)
	}
	return u
}

// stored counts all keys of the cache in the closed store under dir.
func stored(t *testing.T, dir string) (n int) {
	t.Helper()
	db, err := cockroach.Open(filepath.Join(dir, "store"), &cockroach.Options{Logger: quietLog{}})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	it, err := db.NewIter(&cockroach.IterOptions{LowerBound: []byte("k"), UpperBound: []byte("l")})
	if err != nil {
		t.Fatal(err)
	}
	defer it.Close()
	for ok := it.First(); ok; ok = it.Next() {
		n++
	}
	return n
}

// What ended is removed with its places in the index, its receipts too, although
// nobody reads it and the worker is never idle.
func TestABusyCacheIsSwept(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	now := clock.NewFake(time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC))
	c := configOf(dir, "")
	c.Clock = now
	set, err := pebble.Spec().Open(context.Background(), c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = set.Store.Close() })
	const many = 5000 // more than one sweep
	ops, results := make([]driver.CacheOp, many), make([]driver.CacheResult, many)
	for i := range ops {
		ops[i] = driver.CacheOp{Kind: driver.CacheSet, Key: fmt.Sprint("short-", i), Value: []byte("v"), TTL: time.Minute}
		ops[i].Receipt = driver.Receipt{ID: [16]byte{byte(i), byte(i >> 8)}, Keep: time.Minute}
	}
	if err := set.Cache.Do(context.Background(), "ns", ops, results); err != nil {
		t.Fatal(err)
	}
	cachePut(t, set, "moved", "v", time.Minute)
	if r := cacheDo(context.Background(), set, driver.CacheOp{Kind: driver.CacheTouch, Key: "moved", TTL: 100 * 24 * time.Hour}); !r.Found {
		t.Fatal(r)
	}
	if u := usage(t, set); u.Keys != many+1 || u.Receipts != many {
		t.Fatalf("usage is %+v", u)
	}
	now.Advance(time.Minute)
	eventually(t, "the sweep", func() bool {
		cachePut(t, set, "busy", "v", 0)
		now.Advance(100 * time.Millisecond)
		u := usage(t, set)
		return u.Keys == 2 && u.Receipts == 0
	})
	if _, found := cacheGet(t, set, "moved"); !found {
		t.Error("an entry that was touched went with the others")
	}
	if err := set.Store.Close(); err != nil {
		t.Fatal(err)
	}
	// What is known of it, two entries, one end.
	if n := stored(t, dir); n != 4 {
		t.Errorf("%d keys are left in the store, want 4", n)
	}
}

// A crash may take the last of a cache, and then as a whole: entries, receipts
// and counters belong together. A drop stays.
func TestACrashLeavesACacheInItself(t *testing.T) {
	t.Parallel()
	memory := vfs.NewCrashableMem()
	set := openOn(t, memory, "/d", "")
	for i := range 500 {
		r := cacheDo(context.Background(), set, driver.CacheOp{
			Kind: driver.CacheIncrement, Key: "n", Delta: 1,
			Receipt: driver.Receipt{ID: [16]byte{byte(i), byte(i >> 8)}, Keep: time.Hour},
		})
		if r.Number != int64(i+1) {
			t.Fatalf("%+v", r)
		}
		if i == 200 {
			put(t, set, "synced", "v") // and what came before with it
		}
	}
	for seed := range uint64(5) {
		crashed := memory.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: 50, RNG: rand.New(rand.NewPCG(seed, 0))})
		again := openOn(t, crashed, "/d", "")
		value, _ := cacheGet(t, again, "n")
		n, err := strconv.Atoi(value)
		if err != nil || n < 201 || n > 500 {
			t.Fatalf("seed %d: after the crash it counts %q", seed, value)
		}
		if u := usage(t, again); u.Receipts != int64(n) || u.Keys != 2 {
			t.Errorf("seed %d: it counts %d, and usage is %+v", seed, n, u)
		}
		for i := range 500 {
			r := cacheDo(context.Background(), again, driver.CacheOp{
				Kind: driver.CacheIncrement, Key: "n", Delta: 1,
				Receipt: driver.Receipt{ID: [16]byte{byte(i), byte(i >> 8)}, Keep: time.Hour},
			})
			if r.Err != nil || r.Replayed != (i < n) || r.Number != int64(i+1) {
				t.Fatalf("seed %d: call %d sent again after a crash at %d: %+v", seed, i, n, r)
			}
		}
		t.Logf("seed %d: %d of 500 outlived it", seed, n)
	}
}

func TestADropOfACacheOutlivesACrash(t *testing.T) {
	t.Parallel()
	memory := vfs.NewCrashableMem()
	set := openOn(t, memory, "/d", "")
	cachePut(t, set, "k", "v", time.Hour)
	put(t, set, "synced", "v")
	if err := set.Store.Drop(context.Background(), "ns"); err != nil {
		t.Fatal(err)
	}
	again := openOn(t, memory.CrashClone(vfs.CrashCloneCfg{}), "/d", "")
	if v, found := cacheGet(t, again, "k"); found {
		t.Errorf("%q came back", v)
	}
	if u := usage(t, again); u.Keys != 0 {
		t.Errorf("usage is %+v", u)
	}
}

func TestADamagedEntryOfACacheIsTakenForMissing(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	dir := t.TempDir()
	set := openOn(t, vfs.Default, dir, "")
	receipt := driver.Receipt{ID: [16]byte{7}, Keep: time.Hour}
	for _, name := range []string{"a", "b", "n"} {
		cachePut(t, set, name, strings.Repeat("7", 15), time.Hour)
	}
	if r := cacheDo(ctx, set, driver.CacheOp{Kind: driver.CacheDelete, Key: "none", Receipt: receipt}); r.Err != nil {
		t.Fatal(r.Err)
	}
	if err := set.Store.Close(); err != nil {
		t.Fatal(err)
	}
	db, err := cockroach.Open(filepath.Join(dir, "store"), &cockroach.Options{Logger: quietLog{}})
	if err != nil {
		t.Fatal(err)
	}
	for _, k := range []string{"k\x02nsdb", "k\x02nsdn", "k\x02ns\x00", "k\x02nsr" + string(receipt.ID[:])} {
		v, closer, err := db.Get([]byte(k))
		if err != nil {
			t.Fatalf("%q: %v", k, err)
		}
		damaged := bytes.Clone(v)
		closer.Close()
		damaged[len(damaged)-1] ^= 0x10
		if err := db.Set([]byte(k), damaged, cockroach.Sync); err != nil {
			t.Fatal(err)
		}
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	set = openOn(t, vfs.Default, dir, "")
	if v, found := cacheGet(t, set, "b"); found {
		t.Errorf("damaged, and served as %q", v)
	}
	if v, found := cacheGet(t, set, "a"); !found || v != strings.Repeat("7", 15) {
		t.Errorf("a neighbour is %q %v", v, found)
	}
	if r := cacheDo(ctx, set, driver.CacheOp{Kind: driver.CacheIncrement, Key: "n", Delta: 1}); r.Err != nil || r.Number != 1 {
		t.Errorf("counting on a damaged entry: %+v, want it to begin anew", r)
	}
	if r := cacheDo(ctx, set, driver.CacheOp{Kind: driver.CacheDelete, Key: "none", Receipt: receipt}); r.Err != nil || r.Replayed {
		t.Errorf("a damaged receipt gives %+v", r)
	}
	if h := set.Store.Health(ctx); h.State != driver.Degraded || h.Facts["damaged"] == "" {
		t.Errorf("health is %+v, want degraded", h)
	}
	cachePut(t, set, "b", "new", 0)
	if v, _ := cacheGet(t, set, "b"); v != "new" {
		t.Errorf("after a set it is %q", v)
	}
}

func TestACacheLeavesTheReserveOfAFullDiskAlone(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	disk := &tightDisk{FS: vfs.NewMem()}
	disk.free.Store(1 << 29)
	set := openOn(t, disk, "/d", "reserve: 16MiB")
	for _, name := range []string{"a", "b", "c"} {
		cachePut(t, set, name, "v", 0)
	}
	if _, err := set.CacheLock.Lock(ctx, key("locked"), driver.LockOwner{1}, time.Hour); err != nil {
		t.Fatal(err)
	}
	disk.free.Store(10 << 20)
	for _, op := range []driver.CacheOp{{Kind: driver.CacheSet, Key: "a"}, {Kind: driver.CacheIncrement, Key: "n"}, {Kind: driver.CacheTouch, Key: "a"}} {
		if r := cacheDo(ctx, set, op); !errors.Is(r.Err, prism.ReasonDiskFull) {
			t.Errorf("%+v: %+v, want DISK_FULL", op, r)
		}
	}
	if _, err := set.CacheLock.Fill(ctx, key("locked"), driver.LockOwner{1}, nil, 0); !errors.Is(err, prism.ReasonDiskFull) {
		t.Errorf("a fill: %v, want DISK_FULL", err)
	}
	if r := cacheDo(ctx, set, driver.CacheOp{Kind: driver.CacheDelete, Key: "a"}); r.Err != nil || !r.Found {
		t.Errorf("a delete: %+v", r)
	}
	disk.free.Store(0)
	if r := cacheDo(ctx, set, driver.CacheOp{Kind: driver.CacheDelete, Key: "b"}); !errors.Is(r.Err, prism.ReasonDiskFull) {
		t.Errorf("a delete without any space: %+v, want DISK_FULL", r)
	}
	if v, found := cacheGet(t, set, "b"); !found || v != "v" {
		t.Errorf("what could not be deleted reads %q %v", v, found)
	}
	if u := usage(t, set); u.Keys != 2 {
		t.Errorf("usage is %+v, want the two that are there", u)
	}
	disk.free.Store(1 << 29)
	cachePut(t, set, "b", "again", 0)
	if applied, err := set.CacheLock.Fill(ctx, key("locked"), driver.LockOwner{1}, []byte("v"), 0); err != nil || !applied {
		t.Errorf("the fill, tried again: %v %v", applied, err)
	}
}

// A store whose disk failed answers every call, and closes.
func TestAFailedDiskStopsTheCacheToo(t *testing.T) {
	ctx := context.Background()
	memory := vfs.NewCrashableMem()
	var broken atomic.Bool
	fs := errorfs.Wrap(memory, errorfs.InjectorFunc(func(op errorfs.Op) error {
		if broken.Load() && (op.Kind == errorfs.OpFileSyncData || op.Kind == errorfs.OpFileSync) {
			return syscall.EIO
		}
		return nil
	}))
	set := openOn(t, fs, "/d", "")
	cachePut(t, set, "k", "v", 0)
	broken.Store(true)
	if _, err := set.KeyValue.Set(ctx, key("lost"), nil, driver.SetOptions{}, driver.Receipt{}); !errors.Is(err, prism.ReasonBackendUnavailable) {
		t.Errorf("a write that could not be synced: %v", err)
	}
	if _, _, err := set.Cache.Get(ctx, key("k")); !errors.Is(err, prism.ReasonBackendUnavailable) {
		t.Errorf("a read after that: %v", err)
	}
	if r := cacheDo(ctx, set, driver.CacheOp{Kind: driver.CacheSet, Key: "k"}); !errors.Is(r.Err, prism.ReasonBackendUnavailable) {
		t.Errorf("a write after that: %+v", r)
	}
	if err := set.Store.Close(); err != nil {
		t.Errorf("close: %v", err)
	}
}
