package loadtest_test

import (
	"math"
	"testing"

	"github.com/prism-data-layer/prism/loadtest"
)

func TestZipfGivesEachRankItsShare(t *testing.T) {
	t.Parallel()
	const size, n = 1000, 400_000
	for _, s := range []float64{0.5, 0.99, 1, 1.5} {
		keys := loadtest.ZipfKeys(size, 7, s)
		counts := make([]int, size)
		for i := range uint64(n) {
			counts[keys.Index(i)]++
		}
		var sum float64
		for k := 1; k <= size; k++ {
			sum += math.Pow(float64(k), -s)
		}
		for _, k := range []int{1, 2, 3, 10, 100} {
			want := math.Pow(float64(k), -s) / sum * n
			if got := float64(counts[k-1]); math.Abs(got-want) > 5*math.Sqrt(want) {
				t.Errorf("zipf(%g): rank %d has %g of %d; want %.0f", s, k, got, n, want)
			}
		}
	}
	one := loadtest.ZipfKeys(1, 7, 1)
	if one.Index(5) != 0 {
		t.Error("of one key another was chosen")
	}
}

func TestOrdersAreReadByName(t *testing.T) {
	t.Parallel()
	for order, want := range map[string]string{
		"": "uniform", "uniform": "uniform", "sequential": "sequential", "zipf": "zipf(1)", "zipf(1.20)": "zipf(1.2)",
		"zipfy": "", "zipf(": "", "zipf(0)": "", "zipf(-1)": "", "zipf(9)": "", "zipf(x)": "", "zipf(NaN)": "", "random": "",
	} {
		k, err := loadtest.NewKeys(order, 10, 1)
		if want == "" != (err != nil) || err == nil && k.String() != want {
			t.Errorf("%q: got %v, %v; want %q", order, k, err, want)
		}
	}
}

func TestSizesAreDrawnEvenlyAndKept(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		sizes loadtest.Sizes
		mean  float64
		text  string
	}{
		{loadtest.FixedSize(128), 128, "128"},
		{loadtest.SizeList(0, 10, 10, 20), 10, "0,10,10,20"},
		{loadtest.SizeRange(100, 300), 200, "100-300"},
	} {
		v := loadtest.NewValues(3, c.sizes)
		var sum float64
		for n := range uint64(10_000) {
			sum += float64(len(v.Of(n)))
		}
		near(t, "mean size of "+c.text, sum/10_000, c.mean, 0.02)
		if c.sizes.String() != c.text || c.sizes.Check() != nil {
			t.Errorf("%s: %v", c.sizes, c.sizes.Check())
		}
	}
	if loadtest.SizeRange(3, 2).Check() == nil || loadtest.FixedSize(-1).Check() == nil || loadtest.SizeList(1, 1<<30).Check() == nil {
		t.Error("impossible sizes are not refused")
	}
}
