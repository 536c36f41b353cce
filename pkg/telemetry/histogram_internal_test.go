package telemetry

import (
	"testing"
	"time"
)

func TestABucketHoldsLatenciesUpToItsBoundInclusive(t *testing.T) {
	t.Parallel()
	for i := range boundCount {
		if got := bucket(boundUS(i)); got != i {
			t.Errorf("%d µs: bucket %d, want %d", boundUS(i), got, i)
		}
		if got := bucket(boundUS(i) + 1); got != i+1 {
			t.Errorf("%d µs: bucket %d, want %d", boundUS(i)+1, got, i+1)
		}
	}
	for us, want := range map[int64]int{-5: 0, 0: 0, 1: 0, 1 << 62: boundCount} {
		if got := bucket(us); got != want {
			t.Errorf("%d µs: bucket %d, want %d", us, got, want)
		}
	}
}

func TestShardsAreReadAsOne(t *testing.T) {
	t.Parallel()
	r := recorder{make([]shard, 4), 3}
	for range 1000 {
		r.shard().observe(100 * time.Microsecond)
	}
	l, _ := r.read()
	if l.Total() != 1000 || l.SumUS != 100_000 || l.Counts[bucket(100)] != 1000 {
		t.Errorf("got %d calls, %d µs", l.Total(), l.SumUS)
	}
	for i := range r.shards {
		if r.shards[i].sumUS.Load() == 0 {
			t.Errorf("shard %d was never used", i)
		}
	}
}
