package pace

import (
	"context"
	"runtime"
	"time"

	"github.com/prism-data-layer/prism/pkg/clock"
)

// A Sleep waits for d or until ctx ends; false means that ctx ended.
type Sleep func(ctx context.Context, d time.Duration) bool

// Timer sleeps by the clock's timers. With the machine's clock it wakes up to
// about 1 ms late and costs little; the generator then catches up in a burst,
// each request with its own intended start.
func Timer(c clock.Clock) Sleep {
	return func(ctx context.Context, d time.Duration) bool {
		t := c.NewTimer(d)
		select {
		case <-t.C:
			return true
		case <-ctx.Done():
			t.Stop()
			return false
		}
	}
}

// spinFor is how much of a precise sleep is spent in a loop.
const spinFor = 100 * time.Microsecond

// Precise sleeps with the machine's clock to within some microseconds, for half
// a core and more: it hands the last stretch to the kernel's own sleep where
// there is one, and spins the last 100 µs.
func Precise() Sleep {
	coarse := Timer(clock.Real())
	return func(ctx context.Context, d time.Duration) bool {
		end := time.Now().Add(d)
		// The timer may wake 1 ms late, so it is asked to wake 2 ms early.
		if early := d - 2*time.Millisecond; early > 0 && !coarse(ctx, early) {
			return false
		}
		if left := time.Until(end) - spinFor; left > 0 {
			kernelSleep(left)
		}
		for time.Now().Before(end) {
			runtime.Gosched()
		}
		return ctx.Err() == nil
	}
}
