package driver

import (
	"context"
	"time"

	"github.com/prism-data-layer/prism/pkg/prism"
)

// What holds for every key-value capability:
//
//   - Keys are any bytes, 1 to prism.MaxKeyBytes long, compared byte by byte.
//     Namespaces are any bytes too, and share nothing.
//   - A call that returned without error is visible to every later call.
//   - Values given to a driver may be reused by the caller once the call has
//     returned; values that a driver returns belong to the caller.
//   - A key whose expiry has passed is not there for any call; it leaves a
//     change of kind ChangeExpire within a second.
//   - A version is larger than any before it of its key, and is never used
//     again in its namespace: not after delete, expiry, Drop or restart.
//   - When the context ends before the effect is certain, the mutation has
//     happened entirely or not at all.

// KeyValue is capability keyvalue_basic.
type KeyValue interface {
	// Get returns the entry; found is false if there is none.
	Get(ctx context.Context, key prism.Key) (e Entry, found bool, err error)
	// Set stores value. The zero SetOptions clears any expiry.
	Set(ctx context.Context, key prism.Key, value []byte, o SetOptions, r Receipt) (Result, error)
	// Delete removes key; a key that is not there is no error (Found false).
	Delete(ctx context.Context, key prism.Key, r Receipt) (Result, error)
	Exists(ctx context.Context, key prism.Key) (bool, error)
}

// KeyValueVersioned is capability keyvalue_versioned: mutations on condition.
// A condition that does not hold changes nothing: FAILED_PRECONDITION, reason
// VERSION_MISMATCH, metadata current_version ("0" if the key is not there);
// for Condition.Absent, ALREADY_EXISTS.
type KeyValueVersioned interface {
	SetIf(ctx context.Context, key prism.Key, value []byte, c Condition, o SetOptions, r Receipt) (Result, error)
	DeleteIf(ctx context.Context, key prism.Key, c Condition, r Receipt) (Result, error)
}

// KeyValueTTL is capability keyvalue_ttl. With it, SetOptions.TTL and KeepTTL
// are honoured everywhere. The methods answer NOT_FOUND for a key that is not
// there, and none of them changes a version.
type KeyValueTTL interface {
	// Expire ends the key ttl from now (Result.ExpiresAt).
	Expire(ctx context.Context, key prism.Key, ttl time.Duration, r Receipt) (Result, error)
	// ExpiresAt is zero for a key that does not expire.
	ExpiresAt(ctx context.Context, key prism.Key) (time.Time, error)
	// Persist removes the expiry; Applied tells whether there was one.
	Persist(ctx context.Context, key prism.Key, r Receipt) (Result, error)
	// Touch starts the time to live the key was last given anew; a key
	// without one keeps none (Result.ExpiresAt zero).
	Touch(ctx context.Context, key prism.Key, r Receipt) (Result, error)
}

// KeyValueScan is capability keyvalue_scan: pages in an order of the store's
// own. A key that is there during the whole walk is seen exactly once; one
// written meanwhile may be seen or not.
type KeyValueScan interface {
	// Scan returns a page of entries with q.Prefix; token nil begins, and the
	// page's Next continues. Next nil is the end.
	Scan(ctx context.Context, ns prism.Namespace, q Query, token []byte) (Page, error)
	// Count counts what Scan would walk.
	Count(ctx context.Context, ns prism.Namespace, q Query) (int64, error)
}

// KeyValueOrderedScan is capability keyvalue_ordered_scan: with it, Scan and
// Count honour Query.Start, End and Reverse and walk in byte order.
type KeyValueOrderedScan interface {
	KeyValueScan
	// First returns the first entry in q's order: the smallest key, or the
	// largest when reversed.
	First(ctx context.Context, ns prism.Namespace, q Query) (e Entry, found bool, err error)
}

// KeyValueBatch is capability keyvalue_batch: many operations in one round
// trip to the store, not atomic. Operations on one key run in order; each has
// a result of its own in results[i], errors included. The returned error is
// for the batch as a whole, when no operation was tried.
type KeyValueBatch interface {
	Batch(ctx context.Context, ns prism.Namespace, ops []Op, results []Result) error
}

// KeyValueAtomic is capability keyvalue_atomic. All keep the key's expiry
// except where they take one.
type KeyValueAtomic interface {
	// Increment adds delta to a decimal int64, a missing key counting as 0
	// (Result.Number). Overflow: OUT_OF_RANGE, reason OVERFLOW; a value that
	// is no number: FAILED_PRECONDITION, reason NOT_A_NUMBER. Neither changes
	// anything.
	Increment(ctx context.Context, key prism.Key, delta int64, r Receipt) (Result, error)
	// Append adds to the value's end; Number is its size. A result over
	// prism.MaxValueBytes is INVALID_ARGUMENT.
	Append(ctx context.Context, key prism.Key, value []byte, r Receipt) (Result, error)
	// SetIfAbsent stores value if the key is not there (Applied); Version is
	// the key's in either case.
	SetIfAbsent(ctx context.Context, key prism.Key, value []byte, o SetOptions, r Receipt) (Result, error)
	// GetAndSet stores value and returns the one before (Found, Value).
	GetAndSet(ctx context.Context, key prism.Key, value []byte, o SetOptions, r Receipt) (Result, error)
}

// KeyValueCAS is capability keyvalue_cas. Applied tells whether the present
// value equalled expected; a missing key never does.
type KeyValueCAS interface {
	// CompareAndSwap keeps the expiry unless o.TTL is set. Version is the
	// key's afterwards in either case, 0 if it is not there.
	CompareAndSwap(ctx context.Context, key prism.Key, expected, value []byte, o SetOptions, r Receipt) (Result, error)
	CompareAndDelete(ctx context.Context, key prism.Key, expected []byte, r Receipt) (Result, error)
}

// KeyValueTransactional is capability keyvalue_transactional.
type KeyValueTransactional interface {
	// Commit applies all writes (OpSet, OpDelete; at most one a key) if every
	// check holds, or none of them: ABORTED, reason TRANSACTION_CONFLICT. The
	// results stand in the order of writes. A replayed receipt gives back the
	// first results.
	Commit(ctx context.Context, ns prism.Namespace, checks []Check, writes []Op, r Receipt) ([]Result, error)
}

// KeyValueWatch is capability keyvalue_watch.
type KeyValueWatch interface {
	// Watch follows changes of a namespace in commit order. After is a
	// Position from an earlier batch; nil starts now. A position older than
	// the history: OUT_OF_RANGE, reason COMPACTED.
	Watch(ctx context.Context, ns prism.Namespace, prefix string, after Position) (Watcher, error)
}

// KeyValueMove is capability keyvalue_move: taking a namespace to another store
// as it is, so that whoever holds a version, an expiry or an idempotency key of
// it does not notice. Nothing of it leaves a change in the history.
type KeyValueMove interface {
	// Export returns what stands under these keys, in their order, and the
	// receipts with these ids; what is not there is left out. Asked for nothing it
	// first tells of every key that has ended, so that Version is past those ends.
	Export(ctx context.Context, ns prism.Namespace, keys []string, receipts []ReceiptID) (Parcel, error)
	// ExportReceipts returns a page of the receipts, in an order of the store's
	// own; token nil begins, next nil is the end. One that is there during the
	// whole walk is seen.
	ExportReceipts(ctx context.Context, ns prism.Namespace, token []byte, limit int) (p Parcel, next []byte, err error)
	// Import stores a parcel over what is there. An entry that has ended is
	// stored all the same: like any other it is not there for any call, and
	// leaves its ChangeExpire. Versions up to p.UsedUp are used up.
	Import(ctx context.Context, ns prism.Namespace, p Parcel) error
}

// A Parcel is what one store hands to another.
type Parcel struct {
	Entries  []ParcelEntry
	Receipts []KeptReceipt
	// Version is at least as large as every version that the namespace has given
	// out; each change after it has a larger one.
	Version uint64
}

// UsedUp is the largest version that a parcel tells of.
func (p *Parcel) UsedUp() uint64 {
	v := p.Version
	for i := range p.Entries {
		v = max(v, p.Entries[i].Version)
	}
	return v
}

// A ParcelEntry is an entry with the time to live that it was last given.
type ParcelEntry struct {
	Entry
	TTL time.Duration // 0: none
}

// A KeptReceipt is a receipt with the answers that it gives: one, or those of a
// transaction.
type KeptReceipt struct {
	ID      ReceiptID
	Body    [16]byte
	Ends    time.Time
	Answers []Result
}

// A Watcher hands out changes when asked. It is used by one caller at a time.
type Watcher interface {
	// Next returns what is ready, waiting for at least one change, the first
	// time none: the first batch comes at once with the starting position and
	// may be empty. Batches hold at most 1,000 changes.
	Next(ctx context.Context) (Changes, error)
	Close() error
}

// A Position is a place in a namespace's history: opaque, comparable for
// equality only, valid across restarts of a durable store.
type Position []byte

// Changes are in commit order; Position is after them.
type Changes struct {
	Changes  []Change
	Position Position
}

// A Change tells that a key got a new version, or ended.
type Change struct {
	Kind     ChangeKind
	Key      string
	Version  uint64
	Previous uint64 // of the change of this key before, 0: none
	Time     time.Time
}

// ChangeKind says what happened to a key.
type ChangeKind uint8

const (
	ChangeSet ChangeKind = iota + 1
	ChangeDelete
	ChangeExpire
)

// An Entry is what is stored under a key. Key is set by scans only.
type Entry struct {
	Key       string
	Value     []byte
	Size      int // of the value; set by scans, also those of keys only
	Version   uint64
	ExpiresAt time.Time // zero: never
}

// SetOptions say when a value ends.
type SetOptions struct {
	TTL     time.Duration // 0: none
	KeepTTL bool          // keep the expiry there is; not with TTL
}

// A Condition guards a mutation. Exactly one field is set.
type Condition struct {
	Absent  bool   // the key is not there
	Version uint64 // the key has this version
}

// A Check is a version that a transaction has read; 0: the key was not there.
type Check struct {
	Key     string
	Version uint64
}

// A Query bounds a scan. Limit and MaxBytes bound a page and are positive; a
// single entry over MaxBytes still makes a page. A page may be shorter.
type Query struct {
	Prefix   string
	Start    string // inclusive; empty: unbounded
	End      string // exclusive; empty: unbounded
	Reverse  bool
	KeysOnly bool // leave Entry.Value nil
	Limit    int
	MaxBytes int
}

// A Page is part of a scan.
type Page struct {
	Entries []Entry
	Next    []byte // nil: the end
}

// OpKind is what an Op does.
type OpKind uint8

const (
	OpGet OpKind = iota + 1
	OpExists
	OpExpiresAt
	OpSet
	OpSetIf
	OpDelete
	OpDeleteIf
	OpExpire
	OpPersist
	OpTouch
	OpIncrement
	OpAppend
	OpSetIfAbsent
	OpGetAndSet
	OpCompareAndSwap
	OpCompareAndDelete
)

// Reads reports whether k changes nothing.
func (k OpKind) Reads() bool { return k <= OpExpiresAt }

// An Op is one operation of a batch or a transaction: the method of the same
// name with its arguments. Get, Exists and ExpiresAt have no receipt.
type Op struct {
	Kind     OpKind
	Key      string
	Value    []byte
	Expected []byte
	Delta    int64
	Options  SetOptions // TTL also for Expire; for Increment and Append, of a key that they make
	If       Condition
	Receipt  Receipt
}

// Reads reports whether o changes nothing.
func (o *Op) Reads() bool { return o.Kind.Reads() }

// A Result is the answer of an operation; each method says which fields it
// sets. Receipts keep it, so it holds only what can be stored.
type Result struct {
	Version   uint64    // of the key afterwards; of the deletion for Delete (0: nothing was there)
	Found     bool      // Get, Exists, Delete, GetAndSet
	Applied   bool      // SetIfAbsent, CompareAndSwap, CompareAndDelete, Persist
	Replayed  bool      // the answer of an earlier call with the same receipt
	Number    int64     // Increment, Append
	Value     []byte    // Get; before, for GetAndSet
	ExpiresAt time.Time // Get, ExpiresAt, Expire, Touch
	Err       error     // in a batch only
}
