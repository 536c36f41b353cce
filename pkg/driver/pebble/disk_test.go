package pebble_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"github.com/prism-data-layer/prism/pkg/driver"
	"github.com/prism-data-layer/prism/pkg/driver/pebble"
	"github.com/prism-data-layer/prism/pkg/prism"
)

// tightDisk says how much is free.
type tightDisk struct {
	vfs.FS
	free atomic.Uint64
}

func (d *tightDisk) GetDiskUsage(string) (vfs.DiskUsage, error) {
	return vfs.DiskUsage{AvailBytes: d.free.Load(), TotalBytes: 1 << 30}, nil
}

func TestTheReserveOfAFullDiskIsForDeletes(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	disk := &tightDisk{FS: vfs.NewMem()}
	disk.free.Store(1 << 29)
	set := openOn(t, disk, "/d", "reserve: 16MiB")
	for _, name := range []string{"a", "b", "c"} {
		put(t, set, name, "v")
	}
	receipt := driver.Receipt{ID: [16]byte{1}, Keep: time.Hour}
	kept, err := set.KeyValue.Set(ctx, key("kept"), nil, driver.SetOptions{}, receipt)
	if err != nil {
		t.Fatal(err)
	}
	disk.free.Store(10 << 20)
	ops := []driver.Op{{Kind: driver.OpGet, Key: "a"}, {Kind: driver.OpSet, Key: "a"}, {Kind: driver.OpDelete, Key: "a"}}
	results := make([]driver.Result, len(ops))
	if err := set.KeyValueBatch.Batch(ctx, "ns", ops, results); err != nil {
		t.Fatal(err)
	}
	if results[0].Err != nil || !errors.Is(results[1].Err, prism.ReasonDiskFull) || results[2].Err != nil || !results[2].Found {
		t.Errorf("get, set and delete in a batch give %+v, want a value, DISK_FULL and found", results)
	}
	if again, err := set.KeyValue.Set(ctx, key("kept"), nil, driver.SetOptions{}, receipt); err != nil || !again.Replayed || again.Version != kept.Version {
		t.Errorf("a replay gives %+v, %v; want the first answer", again, err)
	}
	if _, err := set.KeyValue.Set(ctx, key("new"), nil, driver.SetOptions{}, driver.Receipt{ID: [16]byte{2}, Keep: time.Hour}); !errors.Is(err, prism.ReasonDiskFull) {
		t.Errorf("a write with a receipt: %v, want DISK_FULL", err)
	}
	if _, err := set.KeyValueTransactional.Commit(ctx, "ns", nil, []driver.Op{{Kind: driver.OpSet, Key: "x"}}, driver.Receipt{}); !errors.Is(err, prism.ReasonDiskFull) {
		t.Errorf("a transaction: %v, want DISK_FULL", err)
	}
	if h := set.Store.Health(ctx); h.State != driver.Degraded || h.Facts["disk_free_bytes"] != fmt.Sprint(10<<20) {
		t.Errorf("health is %+v", h)
	}
	// Even what frees space needs some.
	disk.free.Store(0)
	once := driver.Receipt{ID: [16]byte{3}, Keep: time.Hour}
	if _, err := set.KeyValue.Delete(ctx, key("b"), once); !errors.Is(err, prism.ReasonDiskFull) {
		t.Errorf("a delete without any space: %v, want DISK_FULL", err)
	}
	if _, err := set.KeyValueTransactional.Commit(ctx, "ns", nil, []driver.Op{{Kind: driver.OpDelete, Key: "b"}}, driver.Receipt{}); !errors.Is(err, prism.ReasonDiskFull) {
		t.Errorf("a transaction of deletes without any space: %v, want DISK_FULL", err)
	}
	if v, found := get(t, set, "b"); !found || v != "v" {
		t.Errorf("what could not be deleted reads %q %v", v, found)
	}
	if u, err := set.Store.Usage(ctx, "ns"); err != nil || u.Keys != 3 || u.Receipts != 1 {
		t.Errorf("usage is %+v, %v; want the three that are there", u, err)
	}
	disk.free.Store(1 << 29)
	if r, err := set.KeyValue.Delete(ctx, key("b"), once); err != nil || !r.Found || r.Replayed {
		t.Errorf("the delete that was refused, again: %+v, %v; want it done", r, err)
	}
	put(t, set, "b", "again")
}

// A log that meets the full disk waits, and what is queued behind it is
// refused; nobody else notices, and it goes on by itself.
func TestALogThatMeetsAFullDiskGoesOn(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	memory := vfs.NewCrashableMem()
	var full atomic.Bool
	met := make(chan struct{}, 1000)
	disk := errorfs.Wrap(memory, errorfs.InjectorFunc(func(op errorfs.Op) error {
		if full.Load() && op.Kind == errorfs.OpFileWrite && strings.HasSuffix(op.Path, ".log") {
			select {
			case met <- struct{}{}:
			default:
			}
			return syscall.ENOSPC
		}
		return nil
	}))
	set := openOn(t, disk, "/d", "")
	put(t, set, "before", "v")
	full.Store(true)
	first := make(chan error, 1)
	go func() {
		_, err := set.KeyValue.Set(ctx, key("first"), []byte("v"), driver.SetOptions{}, driver.Receipt{})
		first <- err
	}()
	<-met
	eventually(t, "refusals", func() bool {
		short, cancel := context.WithTimeout(ctx, time.Second)
		defer cancel()
		_, err := set.KeyValue.Set(short, key("second"), nil, driver.SetOptions{}, driver.Receipt{})
		return errors.Is(err, prism.ReasonDiskFull)
	})
	if v, found := get(t, set, "before"); !found || v != "v" {
		t.Errorf("a read gives %q %v", v, found)
	}
	full.Store(false)
	if err := <-first; err != nil {
		t.Errorf("the write that waited: %v", err)
	}
	put(t, set, "after", "v")
	again := openOn(t, memory.CrashClone(vfs.CrashCloneCfg{}), "/d", "")
	for _, name := range []string{"before", "first", "after"} {
		if _, found := get(t, again, name); !found {
			t.Errorf("%s is lost", name)
		}
	}
}

// A flush that finds no room is tried again; until then writes are refused.
func TestAFlushThatMeetsAFullDiskIsTriedAgain(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	var full atomic.Bool
	disk := errorfs.Wrap(vfs.NewMem(), errorfs.InjectorFunc(func(op errorfs.Op) error {
		if full.Load() && op.Kind.ReadOrWrite() == errorfs.OpIsWrite && op.Kind != errorfs.OpRemove && strings.HasSuffix(op.Path, ".sst") {
			return syscall.ENOSPC
		}
		return nil
	}))
	set := openOn(t, disk, "/d", "memtable: 64KiB")
	full.Store(true)
	acked := 0
	eventually(t, "a refusal", func() bool {
		// One may be in pebble's hands when it takes no more.
		short, cancel := context.WithTimeout(ctx, 500*time.Millisecond)
		defer cancel()
		_, err := set.KeyValue.Set(short, key(fmt.Sprint(acked)), make([]byte, 4096), driver.SetOptions{}, driver.Receipt{})
		if err == nil {
			acked++
		} else if !errors.Is(err, prism.ReasonDiskFull) && !errors.Is(err, prism.ReasonDeadlineExceeded) {
			t.Fatal(err)
		}
		return errors.Is(err, prism.ReasonDiskFull)
	})
	if h := set.Store.Health(ctx); h.State != driver.Degraded {
		t.Errorf("health is %+v, want degraded", h)
	}
	full.Store(false)
	eventually(t, "writes to be accepted", func() bool {
		_, err := set.KeyValue.Set(ctx, key("again"), nil, driver.SetOptions{}, driver.Receipt{})
		return err == nil
	})
	for i := range acked {
		if _, found := get(t, set, fmt.Sprint(i)); !found {
			t.Fatalf("%d of %d is lost", i, acked)
		}
	}
}

func TestAFullDiskAtOpenIsSaid(t *testing.T) {
	t.Parallel()
	disk := errorfs.Wrap(vfs.NewMem(), errorfs.InjectorFunc(func(op errorfs.Op) error {
		if op.Kind == errorfs.OpFileWrite && strings.HasSuffix(op.Path, "FORMAT.new") {
			return syscall.ENOSPC
		}
		return nil
	}))
	if _, err := pebble.SpecOn(disk).Open(context.Background(), configOf("/d", "")); !errors.Is(err, prism.ReasonDiskFull) {
		t.Errorf("error is %v, want DISK_FULL", err)
	}
	tight := &tightDisk{FS: vfs.NewMem()}
	ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer cancel()
	if _, err := pebble.SpecOn(tight).Open(ctx, configOf("/d", "")); !errors.Is(err, prism.ReasonDiskFull) {
		t.Errorf("without any space: %v, want DISK_FULL", err)
	}
	tight.free.Store(1 << 29)
	set := openOn(t, tight, "/d", "")
	put(t, set, "k", "v")
}

// A store that was made again in a folder does not take positions and versions
// of the one before for its own.
func TestANewStoreDoesNotKnowOldPositions(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	old := openOn(t, vfs.NewMem(), "/d", "")
	version := put(t, old, "k", "v")
	w, err := old.KeyValueWatch.Watch(ctx, "ns", "", nil)
	if err != nil {
		t.Fatal(err)
	}
	c, err := w.Next(ctx)
	if err != nil {
		t.Fatal(err)
	}
	time.Sleep(2 * time.Millisecond)
	set := openOn(t, vfs.NewMem(), "/d", "")
	if again := put(t, set, "k", "v"); again <= version {
		t.Errorf("version %d after %d", again, version)
	}
	if _, err := set.KeyValueWatch.Watch(ctx, "ns", "", c.Position); !errors.Is(err, prism.ReasonCompacted) {
		t.Errorf("an old position: %v, want COMPACTED", err)
	}
	if _, err := set.KeyValueWatch.Watch(ctx, "ns", "", driver.Position("x")); !errors.Is(err, prism.ReasonInvalidArgument) {
		t.Errorf("no position at all: %v, want INVALID_ARGUMENT", err)
	}
}
