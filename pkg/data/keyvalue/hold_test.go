package keyvalue

import (
	"context"
	"testing"
	"time"
)

func held(t *testing.T, h *hold, timeout time.Duration, size int) chan error {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), timeout)
	t.Cleanup(cancel)
	done := make(chan error, 1)
	go func() { done <- h.wait(ctx, size) }()
	return done
}

func TestAHoldEndsBeforeACallerWouldFail(t *testing.T) {
	t.Parallel()
	h := newHold()
	waits := held(t, h, 2*time.Second, 1)
	<-h.short // long before the two seconds are over
	select {
	case err := <-waits:
		t.Errorf("the writer did not wait for the end: %v", err)
	default:
	}
	close(h.over)
	if err := <-waits; err != nil {
		t.Errorf("the writer failed: %v", err)
	}
}

func TestAHoldEndsWhenTooMuchWaits(t *testing.T) {
	t.Parallel()
	h := newHold()
	first, second := held(t, h, time.Hour, holdBytes), held(t, h, time.Hour, 1)
	<-h.short
	close(h.over)
	for _, c := range []chan error{first, second} {
		if err := <-c; err != nil {
			t.Errorf("a writer failed: %v", err)
		}
	}
	if h.calls.Load() != 0 || h.bytes.Load() != 0 {
		t.Errorf("%d calls and %d bytes wait after the end", h.calls.Load(), h.bytes.Load())
	}
}
