// Package rates turns counters that only grow into rates, and distributions
// that only grow into quantiles of what came between two looks at them. It
// computes and knows nothing of screens or gateways.
package rates

import (
	"slices"
	"time"
)

// A Histogram is a distribution since some start: Counts[i] values were at
// most BoundsUS[i] microseconds and more than the bound before; the last count,
// one more than there are bounds, is of those above them all.
type Histogram struct {
	BoundsUS []int64
	Counts   []int64
}

// valid: rising bounds, one more count than bounds, nothing negative.
func (h Histogram) valid() bool {
	if len(h.BoundsUS) == 0 || len(h.Counts) != len(h.BoundsUS)+1 {
		return false
	}
	for i, b := range h.BoundsUS {
		if b < 0 || i > 0 && b <= h.BoundsUS[i-1] {
			return false
		}
	}
	return !slices.ContainsFunc(h.Counts, func(c int64) bool { return c < 0 })
}

// Total is the number of values.
func (h Histogram) Total() int64 {
	var n int64
	for _, c := range h.Counts {
		n += c
	}
	return n
}

// Quantile estimates the value below which the share q of the values lie, by
// interpolation inside its bucket. over says that it lies above every bound,
// and the highest bound is answered. ok is false without values.
func (h Histogram) Quantile(q float64) (v time.Duration, over, ok bool) {
	total := h.Total()
	if total <= 0 || !h.valid() {
		return 0, false, false
	}
	rank := q * float64(total)
	var seen float64
	for i, c := range h.Counts {
		if c == 0 || seen+float64(c) < rank {
			seen += float64(c)
			continue
		}
		if i == len(h.BoundsUS) {
			break
		}
		var low int64
		if i > 0 {
			low = h.BoundsUS[i-1]
		}
		us := float64(low) + float64(h.BoundsUS[i]-low)*(rank-seen)/float64(c)
		return time.Duration(us * float64(time.Microsecond)), false, true
	}
	return time.Duration(h.BoundsUS[len(h.BoundsUS)-1]) * time.Microsecond, true, true
}

// Plus is both distributions as one. Where their bounds differ the result has
// the bounds of both, and a value is counted at its upper bound.
func (h Histogram) Plus(o Histogram) Histogram {
	switch {
	case !o.valid():
		return h
	case !h.valid():
		return o
	case slices.Equal(h.BoundsUS, o.BoundsUS):
		sum := slices.Clone(h.Counts)
		for i, c := range o.Counts {
			sum[i] += c
		}
		return Histogram{h.BoundsUS, sum}
	}
	bounds := slices.Concat(h.BoundsUS, o.BoundsUS)
	slices.Sort(bounds)
	bounds = slices.Compact(bounds)
	sum := Histogram{bounds, make([]int64, len(bounds)+1)}
	for _, x := range []Histogram{h, o} {
		for i, c := range x.Counts {
			at := len(bounds)
			if i < len(x.BoundsUS) {
				at, _ = slices.BinarySearch(bounds, x.BoundsUS[i])
			}
			sum.Counts[at] += c
		}
	}
	return sum
}

// minus is what came after before; false when before is no earlier state of h.
func (h Histogram) minus(before Histogram) (Histogram, bool) {
	if !h.valid() {
		return Histogram{}, false
	}
	if len(before.BoundsUS) == 0 {
		return h, true
	}
	if !slices.Equal(h.BoundsUS, before.BoundsUS) || len(before.Counts) != len(h.Counts) {
		return Histogram{}, false
	}
	d := slices.Clone(h.Counts)
	for i, c := range before.Counts {
		if d[i] -= c; d[i] < 0 {
			return Histogram{}, false
		}
	}
	return Histogram{h.BoundsUS, d}, true
}

// A Counter counts since some start.
type Counter struct {
	Calls, Errors int64
	Latency       Histogram
}

// Plus is both counters as one.
func (c Counter) Plus(o Counter) Counter {
	return Counter{c.Calls + o.Calls, c.Errors + o.Errors, c.Latency.Plus(o.Latency)}
}

// A Rate is what a counter did in an interval. The zero Rate is not known.
type Rate struct {
	Known     bool
	PerSecond float64
	Errors    float64 // a second
	Timed     bool    // whether there are latencies
	P50       time.Duration
	P95       time.Duration
	P99       time.Duration
	Over      bool // P99 is above the highest bound, which it shows
}

// Between is the rate from one look to the next. It is not known when no time
// passed, or when a counter went back: then the gateway was started again, and
// what came between cannot be told.
func Between(before, after Counter, elapsed time.Duration) Rate {
	calls, errs := after.Calls-before.Calls, after.Errors-before.Errors
	if elapsed <= 0 || calls < 0 || errs < 0 {
		return Rate{}
	}
	r := Rate{Known: true, PerSecond: float64(calls) / elapsed.Seconds(), Errors: float64(errs) / elapsed.Seconds()}
	h, ok := after.Latency.minus(before.Latency)
	if !ok {
		return r
	}
	if r.P99, r.Over, r.Timed = h.Quantile(0.99); r.Timed {
		r.P50, _, _ = h.Quantile(0.50)
		r.P95, _, _ = h.Quantile(0.95)
	}
	return r
}

// A Snapshot is one look at all counters.
type Snapshot struct {
	At    time.Time // on the clock of whoever counts
	Total Counter
	Of    map[string]Counter // by namespace
}

// A Change is what happened between two snapshots.
type Change struct {
	Total Rate
	Of    map[string]Rate
}

// Compare is the change from one snapshot to the next. What is new in after
// counts from zero.
func Compare(before, after Snapshot) Change {
	elapsed := after.At.Sub(before.At)
	c := Change{Total: Between(before.Total, after.Total, elapsed), Of: make(map[string]Rate, len(after.Of))}
	if before.At.IsZero() {
		return Change{}
	}
	for name, x := range after.Of {
		c.Of[name] = Between(before.Of[name], x, elapsed)
	}
	return c
}
