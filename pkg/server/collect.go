package server

import (
	"os"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"time"
)

// Memory settings, unless the environment says otherwise: collecting less
// often buys a fifth of the throughput, and the limit bounds what it costs.
const (
	gcPercent   = 400
	memoryLimit = 400 << 20
	// A busy gateway with little in memory would collect many times a second: it
	// may fill the heap for as long first, up to a bound.
	busyEvery = time.Second
	busyHeap  = 128 << 20
	// When it has been quiet for so long, and as much is held for nothing, that
	// goes back to the system: the next collection may be minutes away.
	quietAfter = 3 * time.Second
	quietHeap  = 32 << 20
)

// Tune sets the garbage collector as the program does.
func Tune() {
	if os.Getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(memoryLimit)
	}
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(gcPercent)
		c := &collections{percent: gcPercent, last: time.Now()}
		c.quiet = time.AfterFunc(quietAfter, trim)
		afterEach(c.seen)
	}
}

// collections follow how fast garbage is made.
type collections struct {
	percent   int
	last      time.Time
	allocated uint64 // since the start
	quiet     *time.Timer
}

// seen is called after each collection.
func (c *collections) seen() {
	m := []metrics.Sample{{Name: "/gc/heap/live:bytes"}, {Name: "/gc/heap/allocs:bytes"}}
	metrics.Read(m)
	live, allocated, now := m[0].Value.Uint64(), m[1].Value.Uint64(), time.Now()
	percent := percentFor(allocated-c.allocated, now.Sub(c.last), live)
	c.last, c.allocated = now, allocated
	// Setting it stops the world: not for little.
	if percent*4 < c.percent*3 || percent*3 > c.percent*4 {
		c.percent = percent
		debug.SetGCPercent(percent)
	}
	c.quiet.Reset(quietAfter)
}

// trim gives back what the heap holds beside what lives, if that is much.
func trim() {
	m := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}, {Name: "/memory/classes/heap/free:bytes"}, {Name: "/gc/heap/live:bytes"}}
	metrics.Read(m)
	if m[0].Value.Uint64()+m[1].Value.Uint64() > m[2].Value.Uint64()+quietHeap {
		debug.FreeOSMemory()
	}
}

// percentFor is how much garbage may come on top of what lives, when so much was
// allocated in that time.
func percentFor(allocated uint64, in time.Duration, live uint64) int {
	live = max(live, 1<<20)
	garbage := float64(allocated) / max(in.Seconds(), 1e-3) * busyEvery.Seconds()
	percent := min(garbage, max(busyHeap-float64(live), 0)) / float64(live) * 100
	return max(gcPercent, int(percent))
}

// afterEach calls f after every collection: an object that nobody holds is found
// by each.
func afterEach(f func()) {
	type mark struct{ _ *mark } // with a pointer: small objects without share a block
	var again func(*mark)
	again = func(m *mark) {
		f()
		runtime.SetFinalizer(m, again)
	}
	runtime.SetFinalizer(new(mark), again)
}
