package auth

import (
	"context"
	"crypto/subtle"
	"errors"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prism-data-layer/prism/pkg/clock"
	"github.com/prism-data-layer/prism/pkg/prism"
)

// A Mode says whether callers must prove who they are.
type Mode string

const (
	// Off takes a caller of this machine without a credential for dev. A
	// credential that is presented all the same is checked: a valid one is
	// honoured, an invalid one refused, so that a client's mistake shows here
	// and not in production.
	Off Mode = "off"
	// Required refuses every call without a valid credential. Any mode but Off
	// means this one.
	Required Mode = "required"
)

// A Credential is what a caller brought.
type Credential struct {
	Authorization string     // the authorization metadata: "Bearer prism_…"
	Peer          netip.Addr // where the call comes from; not valid: not known
}

// An Authenticator turns credentials into principals.
//
// It keeps the records of keys that were used, and asks the store again as soon
// as any key changed, so a revoked key is refused by the next call. It is safe
// for concurrent use.
type Authenticator struct {
	mode  Mode
	keys  Keys
	clock clock.Clock
	dev   *identity

	mu    sync.RWMutex
	known map[string]*entry // only keys that were proved, so bounded by their number
}

// An entry is a key that was proved at least once.
type entry struct {
	identity   *identity
	hash       Hash
	generation uint64       // of Keys when the record was read
	used       atomic.Int64 // Unix milliseconds
	noted      int64        // the use that the store was told; owned by Flush
}

// New returns an Authenticator. keys may be nil with Off: no key is then valid.
func New(mode Mode, keys Keys, c clock.Clock) *Authenticator {
	return &Authenticator{mode: mode, keys: keys, clock: c, dev: newDev(), known: make(map[string]*entry)}
}

// Mode tells how callers are taken.
func (a *Authenticator) Mode() Mode { return a.mode }

// Authenticate proves who brings c. Every refusal is UNAUTHENTICATED with one
// text; [CauseOf] tells them apart. A store that cannot be asked is
// UNAVAILABLE: nobody is let in on a guess.
func (a *Authenticator) Authenticate(ctx context.Context, c Credential) (Principal, error) {
	if c.Authorization == "" {
		return a.anonymous(c.Peer)
	}
	token, ok := bearer(c.Authorization)
	if !ok {
		return Principal{}, refuse(CauseScheme, "")
	}
	id, hash, ok := parseKey(token)
	if !ok {
		return Principal{}, refuse(CauseMalformed, "")
	}
	if a.keys == nil {
		return Principal{}, refuse(CauseUnknown, id)
	}
	return a.proveKey(ctx, id, hash)
}

// anonymous is a call without any credential. The listeners are on loopback
// when authentication is off; that a peer from elsewhere is refused as well is
// for the day when someone forwards the port.
func (a *Authenticator) anonymous(peer netip.Addr) (Principal, error) {
	switch {
	case a.mode != Off:
		return Principal{}, refuse(CauseNone, "")
	case peer.IsValid() && !peer.Unmap().IsLoopback():
		return Principal{}, refuse(CausePeer, "")
	}
	return Principal{a.dev}, nil
}

// bearer takes the token out of "Bearer TOKEN". The scheme has no case.
func bearer(authorization string) (string, bool) {
	const scheme = "bearer "
	if len(authorization) <= len(scheme) || !strings.EqualFold(authorization[:len(scheme)], scheme) {
		return "", false
	}
	return authorization[len(scheme):], true
}

func (a *Authenticator) proveKey(ctx context.Context, id string, hash Hash) (Principal, error) {
	for {
		// The generation is read before the record, so that a change in between
		// makes the entry stale and not wrong.
		generation := a.keys.KeyGeneration()
		e := a.remembered(id)
		if e == nil || e.generation != generation {
			var err error
			if e, err = a.load(ctx, id, hash, generation); err != nil {
				return Principal{}, err
			}
		}
		if subtle.ConstantTimeCompare(e.hash[:], hash[:]) != 1 {
			return Principal{}, refuse(CauseMismatch, id)
		}
		now := a.clock.Now()
		if (Principal{e.identity}).Live(now) {
			// Once a second is enough, and keeps two processors off one cache line.
			if ms := now.UnixMilli(); ms-e.used.Load() >= 1000 {
				e.used.Store(ms)
			}
			return Principal{e.identity}, nil
		}
		// An entry that was replaced or forgotten since it was read says nothing
		// about the key: only the one in force may refuse.
		if !e.identity.ended.Load() || a.remembered(id) == e {
			return Principal{}, refuse(deadCause(e.identity), id)
		}
	}
}

func (a *Authenticator) remembered(id string) *entry {
	a.mu.RLock()
	defer a.mu.RUnlock()
	return a.known[id]
}

func deadCause(id *identity) Cause {
	if id.ended.Load() {
		return CauseRevoked
	}
	return CauseExpired
}

// load reads the record of id and remembers it if hash proves it, or if it was
// known before: a caller without the secret cannot fill the memory.
func (a *Authenticator) load(ctx context.Context, id string, hash Hash, generation uint64) (*entry, error) {
	record, err := a.keys.Key(ctx, id)
	switch {
	case errors.Is(err, prism.ReasonNotFound):
		a.Forget(id)
		return nil, refuse(CauseUnknown, id)
	case err != nil && ctx.Err() != nil:
		return nil, prism.From(ctx.Err())
	case err != nil:
		return nil, prism.New(prism.ReasonUnavailable, "credentials cannot be checked now").WithCause(err)
	}

	a.mu.Lock()
	defer a.mu.Unlock()
	old := a.known[id]
	if old != nil && old.generation > generation {
		return old, nil // someone read a newer record meanwhile
	}
	e := &entry{hash: record.Hash, generation: generation}
	if old != nil && sameIdentity(old.identity, record) {
		e.identity = old.identity
	} else {
		e.identity = newIdentity(record.Principal, record.ID, record.Roles, record.ExpiresAt)
		if old != nil {
			old.identity.ended.Store(true) // streams that hold the old rights end
		}
	}
	if !record.RevokedAt.IsZero() {
		e.identity.ended.Store(true)
	}
	if !record.LastUsedAt.IsZero() {
		e.used.Store(record.LastUsedAt.UnixMilli())
		e.noted = e.used.Load()
	}
	if old != nil {
		e.used.Store(old.used.Load())
		e.noted = old.noted
	}
	if old != nil || subtle.ConstantTimeCompare(record.Hash[:], hash[:]) == 1 {
		// Not id, which is a part of the header and would keep the secret alive.
		a.known[record.ID] = e
	}
	return e, nil
}

// sameIdentity reports whether a record read again gives the same rights, so
// that the Principal of running streams stays the one of new calls.
func sameIdentity(id *identity, r KeyRecord) bool {
	fresh := newIdentity(r.Principal, r.ID, r.Roles, r.ExpiresAt)
	return id.name == fresh.name && id.actions == fresh.actions && id.lists == fresh.lists && id.expires == fresh.expires && !id.ended.Load()
}

// Forget drops what is remembered of a key and ends the principals that it
// proved. A revocation needs no call of it: the store's generation tells.
func (a *Authenticator) Forget(id string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if e := a.known[id]; e != nil {
		e.identity.ended.Store(true)
		delete(a.known, id)
	}
}

// Periods of Run: how soon a stream notices that its key was revoked, and how
// far "last used" is behind.
const (
	watchPeriod = 250 * time.Millisecond
	flushPeriod = 30 * time.Second
)

// Run notices revocations for streams that call nothing more, and tells the
// store when keys were used, until ctx ends; then it tells it once more.
func (a *Authenticator) Run(ctx context.Context) error {
	if a.keys == nil {
		<-ctx.Done()
		return nil
	}
	var seen uint64
	flushed := a.clock.Now()
	for {
		t := a.clock.NewTimer(watchPeriod)
		select {
		case <-ctx.Done():
			t.Stop()
			return a.Flush(context.WithoutCancel(ctx))
		case now := <-t.C:
			if g := a.keys.KeyGeneration(); g != seen && a.recheck(ctx, g) {
				seen = g
			}
			if now.Sub(flushed) >= flushPeriod {
				flushed = now
				// The uses stay unnoted and go with the next batch.
				_ = a.Flush(ctx)
			}
		}
	}
}

// recheck reads the known keys again; false if the store could not answer.
func (a *Authenticator) recheck(ctx context.Context, generation uint64) bool {
	a.mu.RLock()
	stale := make(map[string]Hash)
	for id, e := range a.known {
		if e.generation != generation {
			stale[id] = e.hash
		}
	}
	a.mu.RUnlock()
	complete := true
	for id, hash := range stale {
		if _, err := a.load(ctx, id, hash, generation); err != nil && CauseOf(err) == "" {
			complete = false
		}
	}
	return complete
}

// Flush tells the store when keys were used since the last time.
func (a *Authenticator) Flush(ctx context.Context) error {
	if a.keys == nil {
		return nil
	}
	at := make(map[string]time.Time)
	a.mu.Lock()
	for id, e := range a.known {
		if used := e.used.Load(); used > e.noted && used > 0 {
			at[id] = time.UnixMilli(used)
		}
	}
	a.mu.Unlock()
	if len(at) == 0 {
		return nil
	}
	if err := a.keys.KeysUsed(ctx, at); err != nil {
		return err
	}
	a.mu.Lock()
	for id, t := range at {
		if e := a.known[id]; e != nil {
			e.noted = t.UnixMilli()
		}
	}
	a.mu.Unlock()
	return nil
}
