package server

import (
	"runtime"
	"sync/atomic"
	"testing"
	"time"
)

func TestABusySmallHeapCollectsSeldom(t *testing.T) {
	for _, c := range []struct {
		what      string
		allocated uint64
		in        time.Duration
		live      uint64
		want      int
	}{
		{"busy and small", 16 << 20, 50 * time.Millisecond, 4 << 20, 3100},
		{"less busy: once a second", 40 << 20, time.Second, 4 << 20, 1000},
		{"busy and nothing alive", 16 << 20, 50 * time.Millisecond, 0, 12_700},
		{"busy and large", 400 << 20, 50 * time.Millisecond, 200 << 20, gcPercent},
		{"quiet and small", 16 << 20, time.Minute, 4 << 20, gcPercent},
		{"no time at all", 1 << 20, 0, 4 << 20, 3100},
	} {
		if got := percentFor(c.allocated, c.in, c.live); got != c.want {
			t.Errorf("%s: %d, want %d", c.what, got, c.want)
		}
	}
}

// released is what the heap has given back to the system.
func released() uint64 {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapReleased
}

func TestAQuietHeapGivesBackWhatItDoesNotNeed(t *testing.T) {
	kept := make([][]byte, 2*quietHeap>>20)
	for i := range kept {
		kept[i] = make([]byte, 1<<20)
		kept[i][0] = 1
	}
	runtime.GC()
	before := released()
	trim()
	if after := released(); after > before+quietHeap/2 {
		t.Errorf("%d bytes were given back though all live", after-before)
	}
	runtime.KeepAlive(kept)
	kept = nil
	runtime.GC()
	before = released()
	trim()
	if after := released(); after < before+quietHeap {
		t.Errorf("%d bytes were given back, want at least %d", int64(after-before), quietHeap)
	}
}

func TestEveryCollectionIsSeen(t *testing.T) {
	var seen atomic.Int64
	afterEach(func() { seen.Add(1) })
	for i := range int64(3) {
		runtime.GC()
		for end := time.Now().Add(10 * time.Second); seen.Load() <= i && time.Now().Before(end); {
			runtime.Gosched()
		}
		if seen.Load() <= i {
			t.Fatalf("collection %d was not seen", i+1)
		}
	}
}
