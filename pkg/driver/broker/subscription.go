package broker

import (
	"context"
	"sync"

	"github.com/prism-data-layer/prism/pkg/driver"
	"github.com/prism-data-layer/prism/pkg/prism"
)

// batchMax is the most that Next hands out at once.
const batchMax = 1000

// A subscription is one reader of live events.
type subscription struct {
	space     *space
	pattern   string
	filter    driver.Filter
	limit     int
	slow      driver.SlowPolicy
	group     *group
	groupName string

	wake chan struct{}
	once sync.Once

	mu      sync.Mutex
	ring    []*driver.Event // a power of two, at most what limit needs
	first   int
	n       int
	dropped int64
	waiting bool  // the reader asked to be woken
	err     error // why nothing more comes
	closed  bool
}

// outcome is what became of an event.
type outcome uint8

const (
	refused outcome = iota // the filter, or the end
	noRoom                 // and nothing was done
	pushed
	pushedAndWake
)

// push puts e into the ring. Without room, try leaves everything as it is, and
// otherwise the policy decides.
func (s *subscription) push(e *driver.Event, try bool) outcome {
	if len(s.filter) > 0 && !s.filter.Match(e.Attributes) {
		return refused
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.closed || s.err != nil:
		return refused
	case s.n < s.limit:
	case try:
		return noRoom
	case s.slow == driver.SlowDisconnect:
		s.err = prism.New(prism.ReasonSlowConsumer, "%d events wait and the reader does not keep up", s.n)
		return refused
	default:
		s.dropped++
		return refused
	}
	if s.n == len(s.ring) {
		s.grow()
	}
	s.ring[(s.first+s.n)&(len(s.ring)-1)] = e
	s.n++
	if s.waiting {
		s.waiting = false
		return pushedAndWake
	}
	return pushed
}

func (s *subscription) grow() {
	ring := make([]*driver.Event, max(2*len(s.ring), 16))
	for i := range s.n {
		ring[i] = s.ring[(s.first+i)&(len(s.ring)-1)]
	}
	s.ring, s.first = ring, 0
}

func (s *subscription) pop() *driver.Event {
	e := s.ring[s.first]
	s.ring[s.first] = nil
	s.first = (s.first + 1) & (len(s.ring) - 1)
	s.n--
	return e
}

// empty takes what was not read.
func (s *subscription) empty() []*driver.Event {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	rest := make([]*driver.Event, 0, s.n)
	for s.n > 0 {
		rest = append(rest, s.pop())
	}
	s.ring = nil
	return rest
}

func (s *subscription) signal() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// end lets the reader know that nothing more comes.
func (s *subscription) end(err error) {
	s.mu.Lock()
	if s.err == nil {
		s.err = err
	}
	s.mu.Unlock()
	s.signal()
}

// Next hands out what waits.
func (s *subscription) Next(ctx context.Context) (driver.Events, error) {
	for {
		if err := ctx.Err(); err != nil {
			return driver.Events{}, prism.From(err)
		}
		out, err := s.take()
		if err != nil || len(out.Events) > 0 {
			return out, err
		}
		select {
		case <-s.wake:
		case <-ctx.Done():
		}
	}
}

func (s *subscription) take() (out driver.Events, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.closed:
		return out, prism.New(prism.ReasonUnavailable, "the subscription is closed")
	case s.n > 0:
		out.Events = make([]driver.Event, min(s.n, batchMax))
		for i := range out.Events {
			out.Events[i] = *s.pop()
		}
		out.Dropped, s.dropped = s.dropped, 0
		if s.n == 0 && len(s.ring) > batchMax {
			s.ring = nil // a burst is over
		}
	case s.err != nil:
		return out, s.err
	default:
		s.waiting = true
	}
	return out, nil
}

// Close ends the subscription; a Next that waits fails.
func (s *subscription) Close() error {
	s.once.Do(func() { s.space.b.leave(s) })
	s.signal()
	return nil
}
