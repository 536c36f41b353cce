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
