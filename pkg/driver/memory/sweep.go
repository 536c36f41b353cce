package memory

import (
	"time"

	"github.com/prism-data-layer/prism/pkg/prism"
)

const (
	// sweepEvery bounds how often the sweeper wakes, and how late an expiry is
	// told of while it can keep up: half a million keys a second and more.
	sweepEvery = 100 * time.Millisecond
	// sweepIdle is how often it tidies history and receipts with nothing due.
	sweepIdle = time.Minute
	// sweepChunk is how many keys end under one hold of a lock.
	sweepChunk = 1000
	// never is a time after every expiry, in milliseconds.
	never = int64(1) << 62
)

// due tells the sweeper of an expiry; it is woken only for one before all others.
func (s *store) due(at int64) {
	for {
		next := s.next.Load()
		if at >= next {
			return
		}
		if s.next.CompareAndSwap(next, at) {
			break
		}
	}
	select {
	case s.poke <- struct{}{}:
	default:
	}
}

// sweep ends keys soon after their time, so that a watch learns of it. Readers
// do not depend on it: they look at the expiry themselves.
func (s *store) sweep() {
	defer close(s.done)
	last := time.Duration(s.now())
	for {
		now := time.Duration(s.now())
		wait := last + sweepIdle - now
		if next := s.next.Load(); next != never {
			wait = min(wait, max(time.Duration(next)*time.Millisecond, last+sweepEvery)-now)
		}
		timer := s.clock.NewTimer(wait)
		select {
		case <-timer.C:
			last = time.Duration(s.now())
			if !s.sweepOnce() {
				return
			}
		case <-s.poke:
			timer.Stop()
		case <-s.stop:
			timer.Stop()
			return
		}
	}
}

// sweepOnce ends what is due in every space; false when the store closes.
func (s *store) sweepOnce() bool {
	s.next.Store(never) // an expiry set from here on makes itself known
	for _, p := range s.parts {
		p.tidy()
	}
	open := true
	s.spaces.Range(func(_ prism.Namespace, sp *space) bool {
		for more := true; more && open; {
			more = sp.tidy()
			select {
			case <-s.stop:
				open = false
			default:
			}
		}
		return open
	})
	return open
}

// tidy is the sweeper's work on a space under one hold of the lock; true if
// there is more to do now.
func (sp *space) tidy() bool {
	sp.mu.Lock()
	defer sp.mu.Unlock()
	if sp.gone {
		return false
	}
	now := sp.store.now()
	if sp.sweepSome(now) {
		return true
	}
	sp.history.trim(now / 1e6)
	sp.receipts.sweep(now/1e6, 10_000)
	if sp.events != nil {
		sp.events.trim(now / 1e6)
	}
	if len(sp.queue) > 0 {
		sp.store.due(sp.queue[0].at)
	}
	return false
}

// sweepSome ends up to sweepChunk keys; true if more are due.
func (sp *space) sweepSome(now int64) bool {
	for range sweepChunk {
		if len(sp.queue) == 0 || !sp.queue[0].e.ended(now) {
			return false
		}
		sp.expire(sp.queue[0].e, now)
	}
	return true
}

// sweepAll ends all that is due, under the lock.
func (sp *space) sweepAll() {
	now := sp.store.now()
	for sp.sweepSome(now) {
	}
}
