package cache

import (
	"sync"
	"sync/atomic"
)

// waiters are those of this gateway who wait for a missing entry. A change of
// its key wakes them all: one of them finds the entry or gets the lock, and the
// others look once.
type waiters struct {
	n  atomic.Int64 // who wait: a change costs nothing when nobody does
	mu sync.Mutex
	on map[string]*waiter
}

// A waiter is all who wait for one key.
type waiter struct {
	mu    sync.Mutex
	n     int // guarded by waiters.mu
	woken chan struct{}
}

func (w *waiters) join(key string) *waiter {
	w.n.Add(1)
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.on == nil {
		w.on = make(map[string]*waiter)
	}
	x := w.on[key]
	if x == nil {
		x = &waiter{woken: make(chan struct{})}
		w.on[key] = x
	}
	x.n++
	return x
}

func (w *waiters) leave(key string, x *waiter) {
	w.mu.Lock()
	if x.n--; x.n == 0 {
		delete(w.on, key)
	}
	w.mu.Unlock()
	w.n.Add(-1)
}

func (w *waiters) wake(key string) {
	if w.n.Load() == 0 {
		return
	}
	w.mu.Lock()
	x := w.on[key]
	w.mu.Unlock()
	if x != nil {
		x.mu.Lock()
		close(x.woken)
		x.woken = make(chan struct{})
		x.mu.Unlock()
	}
}

// next is closed by the next change of the key.
func (x *waiter) next() <-chan struct{} {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.woken
}
