package wire

import (
	"context"
	"sync"
	"time"

	"github.com/prism-data-layer/prism/pkg/driver"
	"github.com/prism-data-layer/prism/pkg/prism"
	cachev1 "github.com/prism-data-layer/prism/proto/prism/cache/v1"
)

// held are locks by their owners: on the wire a lock is a token.
type held struct {
	mu     sync.Mutex
	tokens map[lockOf]string
}

type lockOf struct {
	key   prism.Key
	owner driver.LockOwner
}

func (h *held) put(key prism.Key, owner driver.LockOwner, token string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.tokens == nil {
		h.tokens = map[lockOf]string{}
	}
	h.tokens[lockOf{key, owner}] = token
}

func (h *held) of(key prism.Key, owner driver.LockOwner) string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.tokens[lockOf{key, owner}]
}

// Stats calls GetStats.
func (s *CacheStub) Stats(ctx context.Context, ns prism.Namespace) (driver.CacheStats, error) {
	a, err := s.c.GetStats(ctx, &cachev1.GetStatsRequest{Namespace: string(ns)})
	return driver.CacheStats{
		Entries: a.GetEntries(), Bytes: a.GetSizeBytes(), MaxBytes: a.GetMaxSizeBytes(), Evictions: a.GetEvictions(), Hits: a.GetHits(), Misses: a.GetMisses(),
	}, failed(err)
}

// Lock calls GetOrLock, which tells nobody else when the lock ends.
func (s *CacheStub) Lock(ctx context.Context, key prism.Key, owner driver.LockOwner, hold time.Duration) (driver.CacheLease, error) {
	a, err := s.c.GetOrLock(ctx, &cachev1.GetOrLockRequest{Namespace: string(key.Namespace), Key: key.Name, LockMs: hold.Milliseconds()})
	if err != nil {
		return driver.CacheLease{}, failed(err)
	}
	switch o := a.Outcome.(type) {
	case *cachev1.GetOrLockResponse_Entry:
		return driver.CacheLease{Found: true, Entry: driver.CacheEntry{Value: o.Entry.Value, ExpiresAt: s.end(o.Entry.ExpiresAtMs)}}, nil
	case *cachev1.GetOrLockResponse_Lock:
		s.held.put(key, owner, o.Lock)
		return driver.CacheLease{Locked: true, Until: s.now().Add(hold)}, nil
	}
	return driver.CacheLease{Until: s.now().Add(time.Duration(a.GetRetryAfterMs()) * time.Millisecond)}, nil
}

// Fill calls Set with the owner's lock.
func (s *CacheStub) Fill(ctx context.Context, key prism.Key, owner driver.LockOwner, value []byte, ttl time.Duration) (bool, error) {
	lock := s.held.of(key, owner)
	if lock == "" {
		return false, failed(s.knock(ctx, key))
	}
	a, err := s.c.Set(ctx, &cachev1.SetRequest{Namespace: string(key.Namespace), Key: key.Name, Value: value, TtlMs: ttlOf(driver.SetOptions{TTL: ttl}), Lock: lock})
	return a.GetApplied(), failed(err)
}

// Unlock calls Unlock with the owner's lock.
func (s *CacheStub) Unlock(ctx context.Context, key prism.Key, owner driver.LockOwner) (bool, error) {
	lock := s.held.of(key, owner)
	if lock == "" {
		return false, failed(s.knock(ctx, key))
	}
	a, err := s.c.Unlock(ctx, &cachev1.UnlockRequest{Namespace: string(key.Namespace), Key: key.Name, Lock: lock})
	return a.GetReleased(), failed(err)
}

// knock asks whether the gateway is there, for a call that needs no more.
func (s *CacheStub) knock(ctx context.Context, key prism.Key) error {
	_, err := s.c.Exists(ctx, &cachev1.ExistsRequest{Namespace: string(key.Namespace), Key: key.Name})
	return err
}
