package page

import "sync"

// A Question is what a page asks its source for: Update changes it, and the
// command that asks reads it.
type Question[Q any] struct {
	mu sync.Mutex
	q  Q
}

// Get is the question as it is now.
func (q *Question[Q]) Get() Q {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.q
}

// Set replaces it.
func (q *Question[Q]) Set(to Q) { q.Change(func(old *Q) { *old = to }) }

// Change lets f change it.
func (q *Question[Q]) Change(f func(*Q)) {
	q.mu.Lock()
	defer q.mu.Unlock()
	f(&q.q)
}
