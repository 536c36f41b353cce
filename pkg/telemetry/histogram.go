package telemetry

import (
	"math/bits"
	"math/rand/v2"
	"runtime"
	"sync/atomic"
	"time"
)

// Latencies are counted in two buckets an octave, 16 µs to 16.8 s: a quantile
// read from them is off by a fifth at most.
const (
	firstOctave = 4 // 16 µs
	lastOctave  = 24
	boundCount  = 2*(lastOctave-firstOctave) + 1
	bucketCount = boundCount + 1
)

// boundUS is the upper bound of bucket i in microseconds, inclusive: 16, 24,
// 32, 48, 64, …
func boundUS(i int) int64 {
	b := int64(1) << (firstOctave + i/2)
	return b + int64(i%2)*b/2
}

// bucket finds the first bound that is not below us.
func bucket(us int64) int {
	if us <= 1<<firstOctave {
		return 0
	}
	// us-1 lies in octave [2^o, 2^(o+1)), in its lower or upper half.
	x := uint64(us - 1)
	o := bits.Len64(x) - 1
	i := 2*(o-firstOctave) + 1 + int(x>>(o-1)&1)
	return min(i, boundCount)
}

// codes are the gRPC status codes that a counter keeps apart.
const codes = 17

// shard is one core's share of a recorder's numbers.
type shard struct {
	buckets [bucketCount]atomic.Int64
	sumUS   atomic.Int64
	codes   [codes]atomic.Int64 // by gRPC code; of a namespace: reads, writes, errors
	_       [64]byte            // the next shard's lines are another core's
}

// recorder counts and times. Writers spread over shards at random, so that
// cores seldom meet on a cache line; readers add the shards up.
type recorder struct {
	shards []shard
	mask   uint32
}

func newRecorder() recorder {
	n := 1
	for n < runtime.GOMAXPROCS(0) && n < 16 {
		n *= 2
	}
	return recorder{make([]shard, n), uint32(n - 1)}
}

func (r *recorder) shard() *shard {
	if r.mask == 0 {
		return &r.shards[0]
	}
	return &r.shards[rand.Uint32()&r.mask]
}

func (s *shard) observe(d time.Duration) {
	us := d.Microseconds()
	s.buckets[bucket(us)].Add(1)
	s.sumUS.Add(us)
}

// Latency is a distribution since the start: Counts[i] calls took at most
// BoundsUS[i] microseconds and more than the bound before; the last count is
// of those above every bound.
type Latency struct {
	BoundsUS []int64
	Counts   []int64
	SumUS    int64
}

// Total is the number of calls.
func (l Latency) Total() int64 {
	var n int64
	for _, c := range l.Counts {
		n += c
	}
	return n
}

// Quantile estimates the latency below which the share q of the calls stayed,
// by interpolation inside a bucket; 0 without calls.
func (l Latency) Quantile(q float64) time.Duration {
	rank := q * float64(l.Total())
	if rank <= 0 {
		return 0
	}
	var seen float64
	for i, c := range l.Counts {
		if seen+float64(c) < rank || c == 0 {
			seen += float64(c)
			continue
		}
		if i == len(l.BoundsUS) {
			break
		}
		var low int64
		if i > 0 {
			low = l.BoundsUS[i-1]
		}
		us := float64(low) + float64(l.BoundsUS[i]-low)*(rank-seen)/float64(c)
		return time.Duration(us * float64(time.Microsecond))
	}
	return time.Duration(l.BoundsUS[len(l.BoundsUS)-1]) * time.Microsecond
}

// read adds the shards up.
func (r *recorder) read() (l Latency, byCode [codes]int64) {
	l = Latency{BoundsUS: make([]int64, boundCount), Counts: make([]int64, bucketCount)}
	for i := range l.BoundsUS {
		l.BoundsUS[i] = boundUS(i)
	}
	for s := range r.shards {
		for i := range l.Counts {
			l.Counts[i] += r.shards[s].buckets[i].Load()
		}
		l.SumUS += r.shards[s].sumUS.Load()
		for i := range byCode {
			byCode[i] += r.shards[s].codes[i].Load()
		}
	}
	return l, byCode
}
