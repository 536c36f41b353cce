package driver

import (
	"context"
	"time"

	"github.com/prism-data-layer/prism/pkg/prism"
)

// What holds for every cache capability:
//
//   - Keys and namespaces are any bytes, as for key-value, and share nothing
//     with the keys of any other model.
//   - An entry may be evicted at any time, where the store has cache_bounded;
//     without eviction, an entry is there from the call that stored it until
//     its expiry, and a call that returned is seen by every later call.
//   - Values given may be reused by the caller once the call has returned;
//     values returned belong to the caller.
//   - An entry whose expiry has passed is not there for any call.
//   - A cache has no versions and no history.

// Cache is capability cache_basic.
type Cache interface {
	// Get returns the entry; found is false if there is none.
	Get(ctx context.Context, key prism.Key) (e CacheEntry, found bool, err error)
	// Do runs many operations in one round trip to the store, not atomic.
	// Operations on one key run in order; each has a result of its own in
	// results[i], errors included. The returned error is for all of them, when
	// none was tried.
	Do(ctx context.Context, ns prism.Namespace, ops []CacheOp, results []CacheResult) error
}

// CacheBounded is capability cache_bounded: a namespace takes no more memory
// than its bound, and what is used least makes room.
type CacheBounded interface {
	Stats(ctx context.Context, ns prism.Namespace) (CacheStats, error)
}

// CacheLock is capability cache_lock: a lock on a missing entry, so that one
// caller computes it while the others wait. A Set or Increment that changes the
// key ends the lock, and so does a Delete, even of a key that is not there: a
// value that was computed before the change is then not stored. Locks need not
// outlive a restart.
type CacheLock interface {
	// Lock returns the entry if it is there, and otherwise takes the lock for
	// hold, unless another owner has it (Locked false: wait and ask again). The
	// same owner may ask again; its lock starts anew.
	Lock(ctx context.Context, key prism.Key, owner LockOwner, hold time.Duration) (CacheLease, error)
	// Fill stores value and lets go of the lock, if owner still has it
	// (applied). Otherwise it changes nothing.
	Fill(ctx context.Context, key prism.Key, owner LockOwner, value []byte, ttl time.Duration) (applied bool, err error)
	// Unlock lets go without a value; released tells whether owner had it.
	Unlock(ctx context.Context, key prism.Key, owner LockOwner) (released bool, err error)
}

// A CacheEntry is what is stored under a key.
type CacheEntry struct {
	Value     []byte
	ExpiresAt time.Time // zero: never
}

// A LockOwner is 128 random bits of whoever asks for a lock.
type LockOwner [16]byte

// A CacheLease is the answer of Lock.
type CacheLease struct {
	Entry  CacheEntry
	Found  bool // Entry is there; nothing was locked
	Locked bool // the caller has the lock
	// Until is when the lock ends by itself, whoever has it.
	Until time.Time
}

// CacheStats are figures of a namespace since the store was opened.
type CacheStats struct {
	Entries   int64
	Bytes     int64 // keys, values and what holds them; may be an estimate
	MaxBytes  int64 // the bound
	Evictions int64
	Hits      int64
	Misses    int64
}

// CacheOpKind is what a CacheOp does.
type CacheOpKind uint8

const (
	CacheGet CacheOpKind = iota + 1
	CacheExists
	CacheSet
	CacheDelete
	CacheTouch
	CacheIncrement
)

// Reads reports whether k changes nothing.
func (k CacheOpKind) Reads() bool { return k <= CacheExists }

// CacheIf is the condition of a CacheSet.
type CacheIf uint8

const (
	CacheAlways  CacheIf = iota
	CacheAbsent          // only if the key is not there: NX
	CachePresent         // only if it is: XX
)

// A CacheOp is one operation of Do.
type CacheOp struct {
	Kind  CacheOpKind
	Key   string
	Value []byte  // of CacheSet
	If    CacheIf // of CacheSet
	// TTL of CacheSet, of CacheTouch, and of a key that CacheIncrement makes (a
	// key that is there keeps its expiry); 0: none.
	TTL     time.Duration
	Delta   int64 // of CacheIncrement
	Initial int64 // what a missing key counts as, before Delta is added
	Receipt Receipt
}

// Reads reports whether o changes nothing.
func (o *CacheOp) Reads() bool { return o.Kind.Reads() }

// A CacheResult is the answer of a CacheOp. CacheGet sets Found, Value and
// ExpiresAt; CacheExists and CacheDelete set Found, CacheTouch also ExpiresAt;
// CacheSet sets Applied; CacheIncrement sets Number (OVERFLOW and NOT_A_NUMBER as for
// key-value, nothing changed).
type CacheResult struct {
	Found     bool
	Applied   bool
	Value     []byte
	ExpiresAt time.Time
	Number    int64
	Replayed  bool // the first answer to this receipt
	Err       error
}
