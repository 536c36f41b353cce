package report

import (
	"fmt"
	"math"
	"time"

	hdr "github.com/HdrHistogram/hdrhistogram-go"
)

const (
	significantDigits = 3
	longest           = int64(time.Hour) // longer ones are recorded as this and counted apart
)

// A Histogram holds durations with three significant digits from 1 ns to 1 h,
// and their exact minimum, maximum and sum. Two of them merge exactly: the
// result is the one that a single histogram would have been. It is not safe for
// concurrent use.
type Histogram struct {
	h        *hdr.Histogram
	min, max int64
	sum      float64
	clamped  int64
}

// NewHistogram returns an empty histogram. It takes about a quarter of a MiB.
func NewHistogram() *Histogram {
	return &Histogram{h: hdr.New(1, longest, significantDigits), min: math.MaxInt64}
}

// Record adds d. Less than 0 counts as 0, more than an hour as an hour.
func (h *Histogram) Record(d time.Duration) {
	v := max(int64(d), 0)
	if v > longest {
		v = longest
		h.clamped++
	}
	if h.h.RecordValue(v) != nil {
		return // cannot be: v is in range
	}
	h.min, h.max = min(h.min, v), max(h.max, v)
	h.sum += float64(v)
}

// Merge adds all of from.
func (h *Histogram) Merge(from *Histogram) {
	if from == nil || from.Count() == 0 {
		return
	}
	h.h.Merge(from.h)
	h.min, h.max = min(h.min, from.min), max(h.max, from.max)
	h.sum += from.sum
	h.clamped += from.clamped
}

// Reset empties the histogram and keeps its memory.
func (h *Histogram) Reset() {
	if h.Count() == 0 {
		return
	}
	h.h.Reset()
	*h = Histogram{h: h.h, min: math.MaxInt64}
}

// Count is how many durations were recorded.
func (h *Histogram) Count() int64 { return h.h.TotalCount() }

// At is the value at percentile p (0 to 100): at most 0.1 % above the true one
// and never above the maximum. An empty histogram answers 0.
func (h *Histogram) At(p float64) time.Duration {
	if h.Count() == 0 {
		return 0
	}
	return time.Duration(min(h.h.ValueAtPercentile(p), h.max))
}

// Max is the exact maximum.
func (h *Histogram) Max() time.Duration { return time.Duration(h.max) }

// Min is the exact minimum; 0 when empty.
func (h *Histogram) Min() time.Duration {
	if h.Count() == 0 {
		return 0
	}
	return time.Duration(h.min)
}

// Mean is the exact mean; 0 when empty.
func (h *Histogram) Mean() time.Duration {
	if h.Count() == 0 {
		return 0
	}
	return time.Duration(h.sum / float64(h.Count()))
}

// Stdev is the standard deviation, from the buckets; 0 when empty.
func (h *Histogram) Stdev() time.Duration {
	if h.Count() == 0 {
		return 0
	}
	return time.Duration(h.h.StdDev())
}

// between counts the durations up to each bound and those above the last, to within a
// bucket's width.
func (h *Histogram) between(bounds []time.Duration) []int64 {
	counts := make([]int64, len(bounds)+1)
	for _, bar := range h.h.Distribution() {
		if bar.Count == 0 {
			continue
		}
		i := 0
		for i < len(bounds) && bar.From > int64(bounds[i]) {
			i++
		}
		counts[i] += bar.Count
	}
	return counts
}

// Buckets are durations counted by bounds: Counts[i] were at most bound i and
// more than the one before, the last more than all. Sum is exact.
type Buckets struct {
	Counts []int64
	Sum    time.Duration
}

// Buckets counts by bounds, to within a bucket's width of the histogram.
func (h *Histogram) Buckets(bounds []time.Duration) Buckets {
	return Buckets{Counts: h.between(bounds), Sum: time.Duration(h.sum)}
}

// Encode writes the buckets in HdrHistogram's V2 compressed form (base64, unit
// nanoseconds), which every HdrHistogram reader understands.
func (h *Histogram) Encode() (string, error) {
	b, err := h.h.EncodeV2()
	if err != nil {
		return "", fmt.Errorf("encode histogram: %w", err)
	}
	return string(b), nil
}

// Decode reads what [Histogram.Encode] wrote. Minimum, maximum and sum are then
// as exact as the buckets are.
func Decode(s string) (*Histogram, error) {
	d, err := hdr.Decode([]byte(s))
	if err != nil {
		return nil, fmt.Errorf("decode histogram: %w", err)
	}
	h := NewHistogram()
	h.h.Merge(d)
	if n := h.h.TotalCount(); n > 0 {
		h.min, h.max = h.h.Min(), h.h.Max()
		h.sum = h.h.Mean() * float64(n)
	}
	return h, nil
}
