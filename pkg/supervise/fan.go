package supervise

import (
	"context"
	"sync"
)

// A fan gives each value to every subscriber. A subscriber that does not keep
// up loses values rather than hold up the sender: a log reader must never be
// able to block a child.
type fan[T any] struct {
	mu     sync.Mutex
	subs   map[chan T]*int
	closed bool
}

// subscribe returns a channel that is closed when ctx ends or the fan closes.
func (f *fan[T]) subscribe(ctx context.Context, buffer int) <-chan T {
	c := make(chan T, buffer)
	f.mu.Lock()
	if f.closed {
		f.mu.Unlock()
		close(c)
		return c
	}
	if f.subs == nil {
		f.subs = map[chan T]*int{}
	}
	f.subs[c] = new(int)
	f.mu.Unlock()
	context.AfterFunc(ctx, func() { f.drop(c) })
	return c
}

func (f *fan[T]) drop(c chan T) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if _, ok := f.subs[c]; ok {
		delete(f.subs, c)
		close(c)
	}
}

// send never blocks. lost, if not nil, writes into v how many values the
// subscriber missed before this one.
func (f *fan[T]) send(v T, lost func(*T, int)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for c, missed := range f.subs {
		w := v
		if *missed > 0 && lost != nil {
			lost(&w, *missed)
		}
		select {
		case c <- w:
			*missed = 0
		default:
			*missed++
		}
	}
}

func (f *fan[T]) close() {
	f.mu.Lock()
	defer f.mu.Unlock()
	for c := range f.subs {
		close(c)
	}
	f.subs, f.closed = nil, true
}
