package figure_test

import (
	"math"
	"testing"
	"time"

	"github.com/prism-data-layer/prism/tui/component/figure"
)

func TestCounts(t *testing.T) {
	t.Parallel()
	for n, want := range map[int64]string{
		0: "0", 999: "999", 1000: "1,000", 1234567: "1,234,567", 9_999_999: "9,999,999", 12_345_678: "12.3M",
		1e12: "1T", -5: "-5", math.MaxInt64: "9.22E", math.MinInt64: "-9.22E",
	} {
		if got := figure.Count(n); got != want {
			t.Errorf("Count(%d) = %q, want %q", n, got, want)
		}
	}
}

func TestRates(t *testing.T) {
	t.Parallel()
	for f, want := range map[float64]string{0: "0", 0.04: "<0.1", 0.5: "0.5", 2: "2", 9.94: "9.9", 9.96: "10", 1234.4: "1,234", math.Inf(1): "1E", -1: "0"} {
		if got := figure.Rate(f); got != want {
			t.Errorf("Rate(%v) = %q, want %q", f, got, want)
		}
	}
	if figure.Rate(math.NaN()) != figure.None {
		t.Error("what is not known has a number")
	}
}

func TestLatencies(t *testing.T) {
	t.Parallel()
	for d, want := range map[time.Duration]string{
		0: "<1µs", 85 * time.Microsecond: "85µs", 1240 * time.Microsecond: "1.24ms", 12 * time.Millisecond: "12ms", 999 * time.Millisecond: "999ms",
		1500 * time.Millisecond: "1.5s", 3 * time.Minute: "3m",
	} {
		if got := figure.Latency(d); got != want {
			t.Errorf("Latency(%v) = %q, want %q", d, got, want)
		}
	}
	for d, want := range map[time.Duration]string{
		0: "–", time.Microsecond: "<20ms", 12400 * time.Microsecond: "<20ms", 20 * time.Millisecond: "<50ms", 60 * time.Millisecond: "<100ms", 500 * time.Millisecond: "<1s", 2400 * time.Millisecond: "2s",
	} {
		if got := figure.Probe(d); got != want {
			t.Errorf("Probe(%v) = %q, want %q", d, got, want)
		}
	}
}

func TestAges(t *testing.T) {
	t.Parallel()
	for d, want := range map[time.Duration]string{-5: "<1m", 59 * time.Second: "<1m", time.Minute: "1m", 90 * time.Minute: "1h", 50 * time.Hour: "2d"} {
		if got := figure.Age(d); got != want {
			t.Errorf("Age(%v) = %q, want %q", d, got, want)
		}
	}
}
