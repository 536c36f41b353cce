package client

import (
	"context"
	"runtime"
	"sync"
	"time"

	"github.com/prism-data-layer/prism/pkg/prism"
)

// A gather puts the items of concurrent calls into shared requests. A lone
// caller's goes at once; otherwise a request takes what comes together while
// the one before is under way, but waits for that no longer than a few
// milliseconds, unless there are many already.
type gather[T, R any] struct {
	// send sends a request until it is answered, and gives a result for each
	// item.
	send func(ctx context.Context, items []T) ([]R, error)

	mu      sync.Mutex
	open    *gathered[T, R] // calls join it
	senders int
}

// Bounds of a request and of the requests under way.
const (
	gatherItems    = 256
	gatherBytes    = 1 << 20
	gatherSenders  = 4
	gatherPatience = 5 * time.Millisecond
)

// A gathered is the items that travel in one request.
type gathered[T, R any] struct {
	items []T
	size  int
	late  *time.Timer // nil: it need not wait

	done    chan struct{} // closed when results or err is there
	results []R
	err     error
}

// do sends an item of about size bytes with those of others, and waits for its
// result. An item whose caller gives up is sent all the same.
func (g *gather[T, R]) do(ctx context.Context, item T, size int) (result R, err error) {
	if err := ctx.Err(); err != nil { // what has ended is not begun
		return result, prism.From(err)
	}
	b, i := g.join(item, size)
	select {
	case <-b.done:
	case <-ctx.Done():
		return result, prism.From(ctx.Err())
	}
	if b.err != nil {
		return result, b.err
	}
	return b.results[i], nil
}

// join adds an item to the open request and tells its place there.
func (g *gather[T, R]) join(item T, size int) (b *gathered[T, R], i int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if b = g.open; b == nil || len(b.items) >= gatherItems || b.size+size > gatherBytes {
		if b != nil { // full: it goes by a sender of its own
			g.senders++
			go g.run(b)
		}
		b = &gathered[T, R]{done: make(chan struct{})}
		g.open = b
	}
	i = len(b.items)
	b.items, b.size = append(b.items, item), b.size+size
	switch {
	case i > 0:
	case g.senders == 0:
		g.senders++
		go g.run(nil)
	default:
		b.late = time.AfterFunc(gatherPatience, func() { g.late(b) })
	}
	return b, i
}

// late sends a request that has waited for long enough.
func (g *gather[T, R]) late(b *gathered[T, R]) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.open == b && g.senders < gatherSenders {
		g.senders++
		go g.run(nil)
	}
}

// run sends b, and then what is open until nothing is.
func (g *gather[T, R]) run(b *gathered[T, R]) {
	runtime.Gosched() // let the callers that are ready join
	for {
		if b == nil {
			g.mu.Lock()
			if b, g.open = g.open, nil; b == nil {
				g.senders--
				g.mu.Unlock()
				return
			}
			g.mu.Unlock()
		}
		if b.late != nil {
			b.late.Stop()
		}
		b.results, b.err = g.send(context.Background(), b.items)
		if b.err == nil && len(b.results) != len(b.items) {
			b.err = prism.New(prism.ReasonInternal, "the gateway answered %d items with another number of results", len(b.items))
		}
		close(b.done)
		b = nil
	}
}
