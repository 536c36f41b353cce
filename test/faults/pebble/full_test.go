//go:build linux

package faults_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prism-data-layer/prism/pkg/driver"
	"github.com/prism-data-layer/prism/pkg/prism"
	"github.com/prism-data-layer/prism/test/faults/powercut"
)

// F6: the disk is full. On a memory disk of 8 MiB of which a filler takes a
// part, writers go on until they are refused; then the filler goes.
func TestFault_F6_DiskFull(t *testing.T) {
	powercut.Need(t, powercut.Available())
	rounds := 2
	if powercut.Full() {
		rounds = 20
	}
	seed := seedOf(t)
	report := powercut.Begin("F6", seed)
	var slowest time.Duration
	for ; report.Rounds < rounds; report.Rounds++ {
		slowest = max(slowest, diskFull(t, report))
	}
	report.More["accepts_again_ms"] = slowest.Milliseconds()
	report.Print()
	if report.Lost != 0 || report.Phantom != 0 {
		t.Errorf("lost %d, phantom %d", report.Lost, report.Phantom)
	}
	if slowest > 5*time.Second {
		t.Errorf("writes were accepted again after %v, want within 5s", slowest)
	}
}

func diskFull(t *testing.T, report *powercut.Report) (again time.Duration) {
	mount := t.TempDir()
	unmount, err := powercut.Small(mount, 8<<20)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := unmount(); err != nil {
			t.Error(err)
		}
	}()
	filler := filepath.Join(mount, "filler")
	if err := os.WriteFile(filler, make([]byte, 3<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(mount, "data")
	set, err := open(dir, nil)
	if err != nil {
		t.Fatal(err)
	}
	closed := false
	defer func() {
		if !closed {
			_ = set.Store.Close()
		}
	}()
	acked := make([]uint32, writers)
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()

	// fill writes until every writer was refused.
	fill := func() {
		var wg sync.WaitGroup
		var refused atomic.Int32
		for w := range writers {
			wg.Add(1)
			go func() {
				defer wg.Done()
				for refused.Load() < writers {
					err := write(ctx, set, report.Seed, w, int(acked[w]))
					switch {
					case err == nil:
						acked[w]++
					case errors.Is(err, prism.ReasonDiskFull):
						refused.Add(1)
						return
					default:
						t.Errorf("a write on a full disk failed with %v, want DISK_FULL", err)
						return
					}
				}
			}()
		}
		wg.Wait()
	}
	readAll := func(set driver.Set, when string) {
		t.Helper()
		found, err := readBack(set, report.Seed, acked, acked)
		if err != nil {
			t.Fatalf("%s: %v", when, err)
		}
		report.Lost += found.Lost
		report.Phantom += found.Phantom
	}
	fill()
	if powercut.Total(acked) == 0 {
		t.Fatal("nothing was written before the disk was full")
	}
	if h := set.Store.Health(ctx); h.State != driver.Degraded {
		t.Errorf("health on a full disk is %v (%s), want degraded", h.State, h.Message)
	}
	readAll(set, "while the disk is full")
	// Deleting is how a client frees space: a part of the reserve is for it,
	// once the store's own work has given back what it took.
	for begun := time.Now(); ; time.Sleep(10 * time.Millisecond) {
		_, err := set.KeyValue.Delete(ctx, prism.Key{Namespace: "other", Name: "k"}, driver.Receipt{})
		if err == nil {
			break
		}
		if !errors.Is(err, prism.ReasonDiskFull) || time.Since(begun) > 5*time.Second {
			t.Errorf("a delete on a full disk failed: %v", err)
			break
		}
	}
	if err := os.Remove(filler); err != nil {
		t.Fatal(err)
	}
	begun := time.Now()
	for {
		err := write(ctx, set, report.Seed, 0, int(acked[0]))
		if err == nil {
			acked[0]++
			break
		}
		if time.Since(begun) > 10*time.Second {
			t.Fatalf("still refused 10s after space is back: %v", err)
		}
		time.Sleep(5 * time.Millisecond)
	}
	again = time.Since(begun)
	fill()
	readAll(set, "after it was filled again")
	report.Acked += powercut.Total(acked)
	if err := set.Store.Close(); err != nil {
		t.Fatalf("close on a full disk: %v", err)
	}
	closed = true
	reopened, err := open(dir, nil)
	if err != nil {
		t.Fatalf("open on a full disk: %v", err)
	}
	readAll(reopened, "after reopening")
	if err := reopened.Store.Close(); err != nil {
		t.Fatal(fmt.Errorf("close after reopening: %w", err))
	}
	return again
}

// F6 again, with the reserve eaten by somebody else, so that the store's own
// files meet the full disk.
func TestFault_F6_DiskFullByOthers(t *testing.T) {
	powercut.Need(t, powercut.Available())
	report := powercut.Begin("F6-others", seedOf(t))
	report.Rounds = 1
	mount := t.TempDir()
	unmount, err := powercut.Small(mount, 8<<20)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := unmount(); err != nil {
			t.Error(err)
		}
	}()
	set, err := open(filepath.Join(mount, "data"), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer set.Store.Close()
	var mu sync.Mutex
	acked, attempted := make([]uint32, writers), make([]uint32, writers)
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	var refused atomic.Int64
	var wg sync.WaitGroup
	for w := range writers {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for n := 0; ctx.Err() == nil; {
				call, done := context.WithTimeout(ctx, 2*time.Second)
				err := write(call, set, report.Seed, w, n)
				done()
				mu.Lock()
				attempted[w] = uint32(n + 1)
				if err == nil {
					acked[w] = uint32(n + 1)
				}
				mu.Unlock()
				switch {
				case err == nil:
					n++ // a write that was not acked is tried again under its number
				case errors.Is(err, prism.ReasonDiskFull), errors.Is(err, prism.ReasonDeadlineExceeded), ctx.Err() != nil:
					refused.Add(1)
					time.Sleep(10 * time.Millisecond)
				default:
					t.Errorf("a write failed with %v", err)
					return
				}
			}
		}()
	}
	count := func() int64 {
		mu.Lock()
		defer mu.Unlock()
		return powercut.Total(acked)
	}
	until := func(what string, good func() bool) {
		t.Helper()
		for end := time.Now().Add(20 * time.Second); !good(); time.Sleep(time.Millisecond) {
			if time.Now().After(end) {
				t.Fatalf("waited for %s in vain", what)
			}
		}
	}
	until("the first writes", func() bool { return count() > 200 })
	filler, err := os.Create(filepath.Join(mount, "filler"))
	if err != nil {
		t.Fatal(err)
	}
	eat := time.NewTicker(2 * time.Millisecond)
	defer eat.Stop()
	until("refusals", func() bool {
		<-eat.C
		_, _ = filler.Write(make([]byte, 64<<10))
		return refused.Load() > 50
	})
	if _, found, err := set.KeyValue.Get(ctx, prism.Key{Namespace: namespace, Name: keyOf(0, 0)}); err != nil || !found {
		t.Errorf("read on a full disk: found %v, error %v", found, err)
	}
	if err := errors.Join(filler.Close(), os.Remove(filler.Name())); err != nil {
		t.Fatal(err)
	}
	begun, was := time.Now(), count()
	until("new acks", func() bool { return count() > was+writers })
	again := time.Since(begun)
	cancel()
	wg.Wait()
	found, err := readBack(set, report.Seed, acked, attempted)
	if err != nil {
		t.Fatal(err)
	}
	report.Acked, report.Lost, report.Phantom = powercut.Total(acked), found.Lost, found.Phantom
	report.More["accepts_again_ms"] = again.Milliseconds()
	report.Print()
	if found.Lost != 0 || found.Phantom != 0 {
		t.Errorf("lost %d, phantom %d", found.Lost, found.Phantom)
	}
	if again > 5*time.Second {
		t.Errorf("writes were accepted again after %v, want within 5s", again)
	}
}
