package client

import (
	"context"
	"math/rand/v2"
	"sync/atomic"
	"time"

	"github.com/prism-data-layer/prism/pkg/prism"
)

// How a client tries again: the server's word first, then an exponential
// backoff with jitter, and never more than a fifth of its calls.
const (
	maxAttempts  = 4
	firstBackoff = 50 * time.Millisecond
	lastBackoff  = 500 * time.Millisecond

	budgetPerCall  = 20  // hundredths of a retry that a call earns
	budgetPerRetry = 100 // what a retry costs
	budgetMost     = 1000
)

// A retrier decides whether and when a call is sent again.
type retrier struct {
	budget *atomic.Int64
	stats  *Stats
}

func newRetrier(s *Stats) retrier {
	r := retrier{budget: new(atomic.Int64), stats: s}
	r.budget.Store(budgetMost)
	return r
}

// do runs call until it succeeds, must not be repeated, or the budget, the
// attempts or ctx end. safe says that repeating it cannot do harm.
func (r retrier) do(ctx context.Context, safe bool, call func(context.Context) error) error {
	r.earn(1)
	for attempt := 1; ; attempt++ {
		r.stats.Attempts.Add(1)
		err := call(ctx)
		if err == nil {
			return nil
		}
		e := prism.From(err)
		if !safe || attempt == maxAttempts || !repeatable(e) || !r.spend() {
			return e
		}
		if !sleep(ctx, delay(attempt, e)) {
			return e
		}
		r.stats.Retries.Add(1)
	}
}

// repeatable reports whether e may pass by itself. A transaction conflict is
// retryable too, but only as a whole, by the caller.
func repeatable(e *prism.Error) bool {
	return e.Retryable() && e.Reason != prism.ReasonConflict
}

// earn adds what n calls are worth to the budget.
func (r retrier) earn(n int) {
	if b := r.budget.Load(); b < budgetMost {
		r.budget.Add(int64(n) * budgetPerCall)
	}
}

func (r retrier) spend() bool {
	if r.budget.Add(-budgetPerRetry) >= 0 {
		return true
	}
	r.budget.Add(budgetPerRetry)
	return false
}

// delay is the wait before attempt+1: at least what the server asks for.
func delay(attempt int, e *prism.Error) time.Duration {
	d := min(firstBackoff<<(attempt-1), lastBackoff)
	d = d/2 + rand.N(d/2+1)
	return max(d, e.RetryAfter())
}

func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}
