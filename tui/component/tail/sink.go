package tail

import (
	"context"
	"sync"
)

// A Sink takes what a stream brings. Its methods may be called by several
// goroutines.
type Sink[T any] struct {
	o Options

	mu      sync.Mutex
	items   []T
	dropped int64
	open    bool
	ended   bool
	cancel  context.CancelFunc // of the stream; nil before it began
	change  chan struct{}      // closed at the next change of the above
}

func newSink[T any](o Options) *Sink[T] { return &Sink[T]{o: o, change: make(chan struct{})} }

// changed wakes who waits. The lock is held.
func (s *Sink[T]) changed() {
	close(s.change)
	s.change = make(chan struct{})
}

// Open says that the stream is open, though nothing came yet.
func (s *Sink[T]) Open() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.open = true
}

// Send gives one item. It waits for room when the sink is patient, until the
// stream is closed.
func (s *Sink[T]) Send(item T) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.open = true
	for len(s.items) >= s.o.Buffer && s.o.Patient && !s.ended {
		change := s.change
		s.mu.Unlock()
		<-change
		s.mu.Lock()
	}
	if s.ended {
		return
	}
	if len(s.items) >= s.o.Buffer {
		// Half of them at once: to move all for each would cost a busy stream dear.
		n := max(s.o.Buffer/2, 1)
		s.items = append(s.items[:0], s.items[n:]...)
		s.dropped += int64(n)
	}
	s.items = append(s.items, item)
	if len(s.items) == 1 {
		s.changed()
	}
}

// Miss counts items that the stream's sender has dropped itself.
func (s *Sink[T]) Miss(n int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.dropped += n
}

// begin notes how the stream is cancelled; false when it was closed before it
// began.
func (s *Sink[T]) begin(cancel context.CancelFunc) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.cancel = cancel
	return !s.ended
}

// end notes that the stream is over; what came can still be drained.
func (s *Sink[T]) end() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ended, s.open = true, false
	s.changed()
}

func (s *Sink[T]) close() {
	s.end()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.cancel != nil {
		s.cancel()
	}
}

func (s *Sink[T]) isOpen() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.open
}

// wait waits for an item; false when none will come.
func (s *Sink[T]) wait(ctx context.Context) bool {
	for {
		s.mu.Lock()
		change, some, ended := s.change, len(s.items) > 0, s.ended
		s.mu.Unlock()
		switch {
		case some:
			return true
		case ended:
			return false
		}
		select {
		case <-change:
		case <-ctx.Done():
			return false
		}
	}
}

func (s *Sink[T]) drain() (items []T, dropped int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	items, dropped = s.items, s.dropped
	s.items, s.dropped = nil, 0
	s.changed()
	return items, dropped
}
