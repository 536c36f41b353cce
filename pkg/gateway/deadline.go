package gateway

import (
	"context"
	"sync"
	"time"
)

// A deadline gives a call without one the gateway's. Its timer starts only when
// somebody waits on Done, so that a call which never waits pays for no timer.
type deadline struct {
	context.Context
	at time.Time

	mu     sync.Mutex
	timer  context.Context
	cancel context.CancelFunc
}

func withDeadline(ctx context.Context, at time.Time) *deadline {
	return &deadline{Context: ctx, at: at}
}

func (d *deadline) Deadline() (time.Time, bool) { return d.at, true }

func (d *deadline) Done() <-chan struct{} {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.timer == nil {
		d.timer, d.cancel = context.WithDeadline(d.Context, d.at)
	}
	return d.timer.Done()
}

func (d *deadline) Err() error {
	d.mu.Lock()
	timer := d.timer
	d.mu.Unlock()
	if timer != nil {
		return timer.Err()
	}
	if err := d.Context.Err(); err != nil {
		return err
	}
	if !time.Now().Before(d.at) {
		return context.DeadlineExceeded
	}
	return nil
}

// stop releases the timer, if there is one.
func (d *deadline) stop() {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.cancel != nil {
		d.cancel()
	}
}
