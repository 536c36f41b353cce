package route

import (
	"fmt"
	"sync"
	"time"

	"github.com/prism-data-layer/prism/pkg/prism"
)

// A limiter is a token bucket; nil limits nothing.
type limiter struct {
	name  string
	rate  float64 // a second
	burst float64

	mu     sync.Mutex
	tokens float64
	last   time.Time
}

func newLimiter(name string, rps, burst int64, now time.Time) *limiter {
	if rps <= 0 {
		return nil
	}
	if burst <= 0 {
		burst = rps
	}
	return &limiter{name: name, rate: float64(rps), burst: float64(burst), tokens: float64(burst), last: now}
}

// take takes n tokens, or says when they will be there. More than the burst at
// once is let through when the bucket is full, and paid for afterwards.
func (l *limiter) take(now time.Time, n int) *prism.Error {
	if l == nil || n == 0 {
		return nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if d := now.Sub(l.last).Seconds(); d > 0 {
		l.tokens = min(l.burst, l.tokens+d*l.rate)
		l.last = now
	}
	need := min(float64(n), l.burst)
	if l.tokens >= need {
		l.tokens -= float64(n)
		return nil
	}
	wait := time.Duration((need - l.tokens) / l.rate * float64(time.Second))
	return prism.New(prism.ReasonRateLimited, "namespace %q takes %g requests a second", l.name, l.rate).
		WithQuota("namespace:"+l.name, fmt.Sprintf("%g requests a second", l.rate)).
		WithRetryAfter(max(wait, time.Millisecond))
}
