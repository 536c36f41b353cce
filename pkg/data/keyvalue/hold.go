package keyvalue

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prism-data-layer/prism/pkg/prism"
)

// Bounds of a hold of writes. What would exceed them ends the hold instead of
// being refused, and the move tries again later.
const (
	holdTime  = time.Second
	holdCalls = 10_000
	holdBytes = 64 << 20
)

// A hold keeps writes waiting while a move switches.
type hold struct {
	over  chan struct{} // closed when writes go on
	short chan struct{} // closed when they should, switched or not
	once  sync.Once

	calls, bytes atomic.Int64 // that wait
}

func newHold() *hold { return &hold{over: make(chan struct{}), short: make(chan struct{})} }

// wait returns when the hold is over. A caller half of whose time has gone by
// asks for its end, so that no call fails for having been held.
func (h *hold) wait(ctx context.Context, size int) error {
	calls, bytes := h.calls.Add(1), h.bytes.Add(int64(size))
	defer h.calls.Add(-1)
	defer h.bytes.Add(-int64(size))
	if calls > holdCalls || bytes > holdBytes {
		h.hurry()
	}
	var half <-chan time.Time
	if deadline, ok := ctx.Deadline(); ok {
		t := time.NewTimer(time.Until(deadline) / 2)
		defer t.Stop()
		half = t.C
	}
	for {
		select {
		case <-h.over:
			return nil
		case <-half:
			h.hurry()
			half = nil
		case <-ctx.Done():
			return prism.From(ctx.Err())
		}
	}
}

func (h *hold) hurry() { h.once.Do(func() { close(h.short) }) }
