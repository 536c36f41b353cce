package cache

import (
	"context"
	"crypto/rand"
	"time"

	"github.com/prism-data-layer/prism/pkg/driver"
	"github.com/prism-data-layer/prism/pkg/prism"
)

const (
	// DefaultHold is how long a lock holds that asks for no time.
	DefaultHold = time.Second
	// MaxHold bounds a lock, and how long one may wait for it.
	MaxHold = time.Hour

	// The wait between two looks at what another gateway may have filled; what
	// this one fills wakes its waiters at once.
	firstLook = 50 * time.Millisecond
	lastLook  = time.Second
	// soonest and latest are when a caller who does not wait is told to ask again.
	soonest = time.Millisecond
	latest  = 100 * time.Millisecond
)

// An Outcome is the answer of GetOrLock: the entry, a lock for the caller to fill
// it, or how long to wait before asking again.
type Outcome struct {
	Entry      Entry
	Found      bool
	Lock       string // a token; empty: another has it
	RetryAfter time.Duration
}

// GetOrLock returns the entry of a key, or a lock for hold, so that one caller
// computes it. The others wait for that, for wait at most or until stop is
// closed. The lock belongs to the principal.
func (s *Store) GetOrLock(ctx context.Context, principal, key string, hold, wait time.Duration, stop <-chan struct{}) (Outcome, error) {
	if err := s.checkLock(key, &hold, wait); err != nil {
		return Outcome{}, err
	}
	var owner driver.LockOwner
	rand.Read(owner[:]) //nolint:errcheck // crypto/rand does not fail
	lease, err := s.set.CacheLock.Lock(ctx, s.key(key), owner, hold)
	if err != nil {
		return Outcome{}, err
	}
	s.count(lease.Found)
	if !lease.Found && !lease.Locked && wait > 0 {
		if lease, err = s.await(ctx, key, owner, hold, wait, stop); err != nil {
			return Outcome{}, err
		}
	}
	switch {
	case lease.Found:
		return Outcome{Entry: lease.Entry, Found: true}, nil
	case lease.Locked:
		return Outcome{Lock: s.sealer.Seal(owner[:], s.owner(principal, key)...)}, nil
	}
	return Outcome{RetryAfter: min(s.left(lease), latest)}, nil
}

// await asks for a lock that another has, until there is something to answer or
// the wait is over.
func (s *Store) await(ctx context.Context, key string, owner driver.LockOwner, hold, wait time.Duration, stop <-chan struct{}) (driver.CacheLease, error) {
	w := s.live.waiters.join(key)
	defer s.live.waiters.leave(key, w)
	end := s.clock.Now().Add(wait)
	for look := firstLook; ; look = min(2*look, lastLook) {
		woken := w.next() // before the look: what comes after it is not missed
		lease, err := s.set.CacheLock.Lock(ctx, s.key(key), owner, hold)
		left := end.Sub(s.clock.Now())
		if err != nil || lease.Found || lease.Locked || left <= 0 {
			return lease, err
		}
		timer := s.clock.NewTimer(min(left, s.left(lease), look))
		select {
		case <-woken:
		case <-timer.C:
		case <-stop:
			timer.Stop()
			return lease, nil
		case <-ctx.Done():
			timer.Stop()
			return lease, prism.From(ctx.Err())
		}
		timer.Stop()
	}
}

// left is when a lock ends by itself: its holder may be gone.
func (s *Store) left(l driver.CacheLease) time.Duration {
	return max(l.Until.Sub(s.clock.Now()), soonest)
}

func (s *Store) checkLock(key string, hold *time.Duration, wait time.Duration) error {
	if s.set.CacheLock == nil {
		return s.missing("cache_lock")
	}
	var e *prism.Error
	if err := prism.CheckKey("key", key); err != nil {
		e = join(e, err)
	}
	if *hold < 0 || *hold > MaxHold {
		e = join(e, prism.InvalidField("lock_ms", "must be 0 to 1 hour"))
	}
	if wait < 0 || wait > MaxHold {
		e = join(e, prism.InvalidField("wait_ms", "must be 0 to 1 hour"))
	}
	if e != nil {
		return e
	}
	if *hold == 0 {
		*hold = DefaultHold
	}
	return nil
}

// owner is whom a lock belongs to.
func (s *Store) owner(principal, key string) []string {
	return []string{"cache lock", string(s.ns), principal, key}
}

func (s *Store) open(principal, key, lock string) (owner driver.LockOwner, err error) {
	token, err := s.sealer.Open("lock", lock, s.owner(principal, key)...)
	if err != nil || len(token) != len(owner) {
		return owner, prism.New(prism.ReasonInvalidArgument, "lock is not one that GetOrLock gave for this key").
			WithField("lock", "must be the lock that GetOrLock gave for this key")
	}
	return driver.LockOwner(token), nil
}

// Fill stores a value under the lock that GetOrLock gave, if it still holds.
func (s *Store) Fill(ctx context.Context, principal, lock string, op *Op) (applied bool, err error) {
	if s.set.CacheLock == nil {
		return false, s.missing("cache_lock")
	}
	if err := s.Check(op); err != nil {
		return false, err
	}
	owner, err := s.open(principal, op.Key, lock)
	if err != nil {
		return false, err
	}
	applied, err = s.set.CacheLock.Fill(ctx, s.key(op.Key), owner, op.Value, op.TTL)
	if applied {
		s.live.waiters.wake(op.Key)
	}
	return applied, err
}

// Unlock lets go of a lock without a value; released tells whether it was held.
func (s *Store) Unlock(ctx context.Context, principal, key, lock string) (released bool, err error) {
	if s.set.CacheLock == nil {
		return false, s.missing("cache_lock")
	}
	if err := prism.CheckKey("key", key); err != nil {
		return false, err
	}
	owner, err := s.open(principal, key, lock)
	if err != nil {
		return false, err
	}
	released, err = s.set.CacheLock.Unlock(ctx, s.key(key), owner)
	if released {
		s.live.waiters.wake(key)
	}
	return released, err
}
