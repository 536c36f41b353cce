package rates_test

import (
	"math"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/prism-data-layer/prism/tui/component/rates"
)

func bounds() []int64 { return []int64{100, 200, 400, 800} }

func TestTwoLooksMakeARate(t *testing.T) {
	t.Parallel()
	before := rates.Counter{Calls: 1000, Errors: 4, Latency: rates.Histogram{BoundsUS: bounds(), Counts: []int64{1000, 0, 0, 0, 0}}}
	after := rates.Counter{Calls: 1200, Errors: 8, Latency: rates.Histogram{BoundsUS: bounds(), Counts: []int64{1000, 100, 90, 10, 0}}}
	got := rates.Between(before, after, 2*time.Second)
	want := rates.Rate{Known: true, PerSecond: 100, Errors: 2, Timed: true, P50: 200 * time.Microsecond, P95: 400 * time.Microsecond, P99: 720 * time.Microsecond}
	// 90 of 200 lie in (200,400]: p95 is the 190th value, the bucket's last.
	if got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

func TestARestartIsNoRate(t *testing.T) {
	t.Parallel()
	if got := rates.Between(rates.Counter{Calls: 10}, rates.Counter{Calls: 3}, time.Second); got.Known {
		t.Errorf("a counter that went back has a rate: %+v", got)
	}
	if got := rates.Between(rates.Counter{}, rates.Counter{Calls: 3}, 0); got.Known {
		t.Errorf("no time has a rate: %+v", got)
	}
	if got := rates.Compare(rates.Snapshot{}, rates.Snapshot{At: time.Unix(1, 0), Of: map[string]rates.Counter{"a": {}}}); got.Of != nil || got.Total.Known {
		t.Errorf("one look is a rate: %+v", got)
	}
}

func TestQuietIsKnownAndHasNoLatency(t *testing.T) {
	t.Parallel()
	c := rates.Counter{Calls: 10, Latency: rates.Histogram{BoundsUS: bounds(), Counts: []int64{10, 0, 0, 0, 0}}}
	if got, want := rates.Between(c, c, time.Second), (rates.Rate{Known: true}); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

func TestWhatIsNewCountsFromZero(t *testing.T) {
	t.Parallel()
	at := time.Unix(100, 0)
	got := rates.Compare(
		rates.Snapshot{At: at},
		rates.Snapshot{At: at.Add(time.Second), Of: map[string]rates.Counter{"new": {Calls: 5, Latency: rates.Histogram{BoundsUS: bounds(), Counts: []int64{5, 0, 0, 0, 0}}}}},
	)
	if r := got.Of["new"]; r.PerSecond != 5 || !r.Timed {
		t.Errorf("got %+v", r)
	}
}

func TestAboveEveryBoundIsSaid(t *testing.T) {
	t.Parallel()
	h := rates.Histogram{BoundsUS: bounds(), Counts: []int64{0, 0, 0, 0, 7}}
	if v, over, ok := h.Quantile(0.5); v != 800*time.Microsecond || !over || !ok {
		t.Errorf("got %v, %v, %v", v, over, ok)
	}
}

func TestMalformedHistogramsHaveNoQuantile(t *testing.T) {
	t.Parallel()
	for _, h := range []rates.Histogram{
		{},
		{BoundsUS: bounds()},
		{BoundsUS: bounds(), Counts: []int64{1, 2}},
		{BoundsUS: []int64{5, 5}, Counts: []int64{1, 2, 3}},
		{BoundsUS: []int64{-1}, Counts: []int64{1, 2}},
		{BoundsUS: []int64{1}, Counts: []int64{9, -2}},
		{Counts: []int64{1}},
	} {
		if _, _, ok := h.Quantile(0.5); ok {
			t.Errorf("%+v has a quantile", h)
		}
		if r := rates.Between(rates.Counter{}, rates.Counter{Calls: 1, Latency: h}, time.Second); r.Timed || !r.Known {
			t.Errorf("%+v: %+v", h, r)
		}
	}
	ok := rates.Histogram{BoundsUS: bounds(), Counts: []int64{1, 0, 0, 0, 0}}
	if r := rates.Between(rates.Counter{Latency: rates.Histogram{BoundsUS: []int64{1}, Counts: []int64{0, 0}}}, rates.Counter{Calls: 1, Latency: ok}, time.Second); r.Timed {
		t.Errorf("other bounds were subtracted: %+v", r)
	}
	if r := rates.Between(rates.Counter{Latency: rates.Histogram{BoundsUS: bounds(), Counts: []int64{2, 0, 0, 0, 0}}}, rates.Counter{Calls: 1, Latency: ok}, time.Second); r.Timed {
		t.Errorf("a bucket that went back was used: %+v", r)
	}
}

func TestSumsOfDistributionsLoseNothing(t *testing.T) {
	t.Parallel()
	gen := rapid.Custom(func(t *rapid.T) rates.Histogram {
		b := rapid.SliceOfNDistinct(rapid.Int64Range(1, 50), 1, 6, rapid.ID).Draw(t, "bounds")
		slices.Sort(b)
		return rates.Histogram{BoundsUS: b, Counts: rapid.SliceOfN(rapid.Int64Range(0, 9), len(b)+1, len(b)+1).Draw(t, "counts")}
	})
	rapid.Check(t, func(t *rapid.T) {
		a, b := gen.Draw(t, "a"), gen.Draw(t, "b")
		sum := rates.Counter{Latency: a}.Plus(rates.Counter{Latency: b}).Latency
		if sum.Total() != a.Total()+b.Total() {
			t.Fatalf("%+v + %+v = %+v", a, b, sum)
		}
		if back := b.Plus(a); !slices.Equal(back.Counts, sum.Counts) {
			t.Fatalf("the order matters: %+v, %+v", sum, back)
		}
		last := time.Duration(-1)
		for q := 0.0; q <= 1; q += 0.1 {
			v, _, ok := sum.Quantile(q)
			if ok != (sum.Total() > 0) || ok && v < last {
				t.Fatalf("quantile %.1f of %+v is %v after %v", q, sum, v, last)
			}
			last = max(last, v)
		}
	})
}

func TestPlusPassesOverWhatIsBroken(t *testing.T) {
	t.Parallel()
	good := rates.Histogram{BoundsUS: bounds(), Counts: []int64{1, 0, 0, 0, 0}}
	bad := rates.Histogram{BoundsUS: bounds()}
	if good.Plus(bad).Total() != 1 || bad.Plus(good).Total() != 1 {
		t.Error("a broken distribution spoils a good one")
	}
	if v, _, _ := good.Quantile(1); math.Abs(float64(v-100*time.Microsecond)) > 1 {
		t.Errorf("got %v", v)
	}
}
