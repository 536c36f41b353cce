package report

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestMergingShardsIsTheSameAsOneHistogram(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		one, merged := NewHistogram(), NewHistogram()
		shards := []*Histogram{NewHistogram(), NewHistogram(), NewHistogram()}
		n := rapid.IntRange(0, 400).Draw(rt, "n")
		rnd := rand.New(rand.NewPCG(rapid.Uint64().Draw(rt, "seed"), 1))
		for range n {
			d := time.Duration(math.Exp(rnd.Float64() * 28)) // 1 ns to 24 min
			one.Record(d)
			shards[rnd.IntN(len(shards))].Record(d)
		}
		for _, s := range shards {
			merged.Merge(s)
		}
		merged.Merge(nil)
		if !one.h.Equals(merged.h) || one.Count() != merged.Count() || one.Max() != merged.Max() || one.Min() != merged.Min() {
			rt.Fatalf("merged: %d values %s..%s; want %d values %s..%s", merged.Count(), merged.Min(), merged.Max(), one.Count(), one.Min(), one.Max())
		}
		if math.Abs(one.sum-merged.sum) > 1e-9*one.sum {
			rt.Fatalf("sums differ: %g and %g", one.sum, merged.sum)
		}
	})
}

func TestPercentilesAreWithinThreeDigitsOfTheTruth(t *testing.T) {
	t.Parallel()
	rnd := rand.New(rand.NewPCG(1, 2))
	h := NewHistogram()
	var all []time.Duration
	var sum float64
	for range 100_000 {
		d := time.Duration(math.Exp(rnd.NormFloat64()+13) + 1) // about half a millisecond, long tail
		h.Record(d)
		all = append(all, d)
		sum += float64(d)
	}
	slices.Sort(all)
	for _, p := range []float64{50, 75, 90, 95, 99, 99.9, 99.99} {
		want := all[int(math.Ceil(p/100*float64(len(all))-1e-6))-1]
		got := h.At(p)
		if got < want || float64(got) > 1.001*float64(want) {
			t.Errorf("p%g is %s, want %s to within 0.1 %%", p, got, want)
		}
	}
	if h.Max() != all[len(all)-1] || h.Min() != all[0] || h.At(100) != h.Max() {
		t.Errorf("min %s max %s p100 %s; want %s, %s", h.Min(), h.Max(), h.At(100), all[0], all[len(all)-1])
	}
	if mean := time.Duration(sum / float64(len(all))); (h.Mean() - mean).Abs() > 1 {
		t.Errorf("mean %s, want %s", h.Mean(), mean)
	}
	var squares float64
	for _, d := range all {
		squares += math.Pow(float64(d)-sum/float64(len(all)), 2)
	}
	if want := math.Sqrt(squares / float64(len(all))); math.Abs(float64(h.Stdev())-want) > 0.001*want {
		t.Errorf("stdev %s, want %s", h.Stdev(), time.Duration(want))
	}
}

func TestExtremesAreKeptAndCounted(t *testing.T) {
	t.Parallel()
	h := NewHistogram()
	h.Record(-time.Second)
	h.Record(0)
	h.Record(3 * time.Hour)
	l := NewLatency(h)
	if l.Count != 3 || l.MinMs != 0 || l.MaxMs != 3_600_000 || l.Clamped != 1 {
		t.Errorf("got %+v; want 3 values from 0 to one hour, one of them clamped", l)
	}
	h.Reset()
	if h.Count() != 0 || h.Max() != 0 || h.Min() != 0 || h.Mean() != 0 || h.Stdev() != 0 || h.At(50) != 0 || h.clamped != 0 {
		t.Error("something is left after Reset")
	}
	if l := NewLatency(nil); l.Count != 0 || l.At(50) != 0 {
		t.Errorf("no histogram gives %+v", l)
	}
}

func TestDecodeGivesTheSameBuckets(t *testing.T) {
	t.Parallel()
	h := NewHistogram()
	for i := range 5000 {
		h.Record(time.Duration(i*i) * time.Microsecond)
	}
	s, err := h.Encode()
	if err != nil {
		t.Fatal(err)
	}
	d, err := Decode(s)
	if err != nil {
		t.Fatal(err)
	}
	if !d.h.Equals(h.h) || d.Count() != h.Count() {
		t.Errorf("decoded %d values, want the same %d", d.Count(), h.Count())
	}
	if math.Abs(float64(d.Max())/float64(h.Max())-1) > 0.001 || math.Abs(float64(d.Mean())/float64(h.Mean())-1) > 0.001 {
		t.Errorf("max %s mean %s; want %s, %s to within 0.1 %%", d.Max(), d.Mean(), h.Max(), h.Mean())
	}
	if _, err := Decode("nonsense"); err == nil {
		t.Error("nonsense was decoded")
	}
}
