package report

import (
	"math"
	"time"
)

// A Latency is one distribution of durations, all in milliseconds.
type Latency struct {
	Count   int64   `json:"count"`
	MinMs   float64 `json:"min_ms"`
	MeanMs  float64 `json:"mean_ms"`
	StdevMs float64 `json:"stdev_ms"`
	P50Ms   float64 `json:"p50_ms"`
	P75Ms   float64 `json:"p75_ms"`
	P90Ms   float64 `json:"p90_ms"`
	P95Ms   float64 `json:"p95_ms"`
	P99Ms   float64 `json:"p99_ms"`
	P999Ms  float64 `json:"p99_9_ms"`
	P9999Ms float64 `json:"p99_99_ms"`
	MaxMs   float64 `json:"max_ms"`

	// Clamped counts durations of more than an hour, recorded as one hour.
	Clamped int64 `json:"clamped,omitempty"`
	// HDR is the whole distribution: HdrHistogram V2, base64, nanoseconds.
	// Reports are merged and compared by it.
	HDR string `json:"hdr_v2_ns,omitempty"`

	hist *Histogram
}

// NewLatency sums h up. It keeps h, which must not be recorded into any more.
func NewLatency(h *Histogram) Latency {
	if h == nil || h.Count() == 0 {
		return Latency{}
	}
	l := Latency{
		Count:   h.Count(),
		MinMs:   Millis(h.Min()),
		MeanMs:  Millis(h.Mean()),
		StdevMs: Millis(h.Stdev()),
		P50Ms:   Millis(h.At(50)),
		P75Ms:   Millis(h.At(75)),
		P90Ms:   Millis(h.At(90)),
		P95Ms:   Millis(h.At(95)),
		P99Ms:   Millis(h.At(99)),
		P999Ms:  Millis(h.At(99.9)),
		P9999Ms: Millis(h.At(99.99)),
		MaxMs:   Millis(h.Max()),
		Clamped: h.clamped,
		hist:    h,
	}
	// Without the buckets a report is still whole, only not comparable.
	l.HDR, _ = h.Encode()
	return l
}

// Histogram gives the buckets, also of a Latency that came out of JSON; nil
// when there are none.
func (l Latency) Histogram() *Histogram {
	if l.hist == nil && l.HDR != "" {
		h, err := Decode(l.HDR)
		if err != nil {
			return nil
		}
		// What buckets blur, the report has exactly.
		h.min, h.max = nanos(l.MinMs), nanos(l.MaxMs)
		h.sum, h.clamped = l.MeanMs*1e6*float64(l.Count), l.Clamped
		return h
	}
	return l.hist
}

func nanos(ms float64) int64 { return int64(math.Round(ms * 1e6)) }

// At is the value at any percentile from 0 to 100.
func (l Latency) At(p float64) time.Duration {
	if h := l.Histogram(); h != nil {
		return h.At(p)
	}
	return 0
}

// Millis is d in milliseconds.
func Millis(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
