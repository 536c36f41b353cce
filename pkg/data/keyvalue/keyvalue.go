// Package keyvalue is what key-value means on every backend: what is valid,
// when a value ends, how a page is cut, what a receipt covers. The gateway
// calls it with what came over the wire, the in-process bench calls it
// directly; below it are only drivers and the wrappers around them.
package keyvalue

import (
	"context"
	"time"
	"unicode/utf8"

	"github.com/prism-data-layer/prism/pkg/clock"
	"github.com/prism-data-layer/prism/pkg/data"
	"github.com/prism-data-layer/prism/pkg/driver"
	"github.com/prism-data-layer/prism/pkg/prism"
)

// The types of the contract, so that the gateway need not know drivers.
type (
	Op         = driver.Op
	OpKind     = driver.OpKind
	Result     = driver.Result
	Entry      = driver.Entry
	Change     = driver.Change
	SetOptions = driver.SetOptions
	Condition  = driver.Condition
)

// The kinds of operations; Op and Result say what each reads and answers.
const (
	OpGet              = driver.OpGet
	OpExists           = driver.OpExists
	OpExpiresAt        = driver.OpExpiresAt
	OpSet              = driver.OpSet
	OpSetIf            = driver.OpSetIf
	OpDelete           = driver.OpDelete
	OpDeleteIf         = driver.OpDeleteIf
	OpExpire           = driver.OpExpire
	OpPersist          = driver.OpPersist
	OpTouch            = driver.OpTouch
	OpIncrement        = driver.OpIncrement
	OpAppend           = driver.OpAppend
	OpSetIfAbsent      = driver.OpSetIfAbsent
	OpGetAndSet        = driver.OpGetAndSet
	OpCompareAndSwap   = driver.OpCompareAndSwap
	OpCompareAndDelete = driver.OpCompareAndDelete
)

// Kinds of changes.
const (
	ChangeSet    = driver.ChangeSet
	ChangeDelete = driver.ChangeDelete
	ChangeExpire = driver.ChangeExpire
)

// MaxTTL is the longest time to live.
const MaxTTL = 10 * 365 * 24 * time.Hour

// A Policy is what a namespace says of all its keys.
type Policy struct {
	DefaultTTL time.Duration // given to a write that asks for none; 0: none
	MaxTTL     time.Duration // refuses longer; 0: no bound
	Receipts   int64         // idempotency keys that are kept; 0: the store's bound
}

// A Store is one key-value namespace.
type Store struct {
	place  *Place
	ns     prism.Namespace
	policy Policy
	sealer *data.Sealer
	clock  clock.Clock
}

// New returns the namespace ns of set. The sealer authenticates its cursors
// and positions.
func New(set driver.Set, ns prism.Namespace, p Policy, s *data.Sealer, c clock.Clock) *Store {
	return At(NewPlace(set), ns, p, s, c)
}

// At is New for a namespace whose data may move.
func At(place *Place, ns prism.Namespace, p Policy, s *data.Sealer, c clock.Clock) *Store {
	return &Store{place: place, ns: ns, policy: p, sealer: s, clock: c}
}

// Do checks and runs one operation. A missing key of a Get is NOT_FOUND.
func (s *Store) Do(ctx context.Context, op *Op) (Result, error) {
	c, err := s.enter(ctx, op)
	if err != nil {
		return Result{}, err
	}
	defer c.leave()
	if err := c.check(op); err != nil {
		return Result{}, err
	}
	r, err := c.run(ctx, op)
	c.note(op, &r, err)
	if err != nil {
		return Result{}, err
	}
	if op.Kind == OpGet && !r.Found {
		return Result{}, notFound(op.Key)
	}
	return r, nil
}

// Get is Do for the most frequent operation, without an Op.
func (s *Store) Get(ctx context.Context, key string) (Entry, error) {
	if err := prism.CheckKey("key", key); err != nil {
		return Entry{}, err
	}
	c := s.reading()
	defer c.leave()
	if c.set.KeyValue == nil {
		return Entry{}, c.missing("keyvalue_basic")
	}
	e, found, err := c.set.KeyValue.Get(ctx, s.key(key))
	if err != nil {
		return Entry{}, err
	}
	if !found {
		return Entry{}, notFound(key)
	}
	return e, nil
}

// Batch runs many operations, each with a result of its own. Operations on one
// key run in order. The error is for the batch as a whole.
func (s *Store) Batch(ctx context.Context, ops []Op, results []Result) error {
	if len(ops) > prism.MaxBatchItems {
		return prism.InvalidField("items", "must be at most 1000")
	}
	c, err := s.enterAll(ctx, ops)
	if err != nil {
		return err
	}
	defer c.leave()
	err = c.checkAndRun(ctx, ops, results)
	c.noteAll(ops, results, err)
	if err != nil {
		return err
	}
	for i := range ops {
		if r := &results[i]; r.Err == nil && ops[i].Kind == OpGet && !r.Found {
			r.Err = notFound(ops[i].Key)
		}
	}
	return nil
}

func (s call) checkAndRun(ctx context.Context, ops []Op, results []Result) error {
	bad := 0
	for i := range ops {
		results[i] = Result{}
		if err := s.check(&ops[i]); err != nil {
			results[i].Err = err
			bad++
		}
	}
	switch {
	case bad == len(ops):
	case s.set.KeyValueBatch == nil:
		for i := range ops {
			if results[i].Err == nil {
				results[i], results[i].Err = s.run(ctx, &ops[i])
			}
		}
	case bad == 0:
		return s.batch(ctx, ops, results)
	default:
		return s.batchGood(ctx, ops, results, len(ops)-bad)
	}
	return nil
}

// batchGood runs only the operations that were found valid.
func (s call) batchGood(ctx context.Context, ops []Op, results []Result, n int) error {
	good, at := make([]Op, 0, n), make([]int, 0, n)
	for i := range ops {
		if results[i].Err == nil {
			good, at = append(good, ops[i]), append(at, i)
		}
	}
	answers := make([]Result, n)
	if err := s.batch(ctx, good, answers); err != nil {
		return err
	}
	for j, i := range at {
		results[i] = answers[j]
	}
	return nil
}

func (s call) run(ctx context.Context, op *Op) (r Result, err error) {
	key := s.key(op.Key)
	switch op.Kind {
	case OpGet:
		var e Entry
		e, r.Found, err = s.set.KeyValue.Get(ctx, key)
		r.Value, r.Version, r.ExpiresAt = e.Value, e.Version, e.ExpiresAt
		return r, err
	case OpExists:
		r.Found, err = s.set.KeyValue.Exists(ctx, key)
		return r, err
	case OpExpiresAt:
		r.ExpiresAt, err = s.set.KeyValueTTL.ExpiresAt(ctx, key)
		return r, err
	case OpSet:
		if s.keeps(op) {
			return s.keep(ctx, op)
		}
		return s.set.KeyValue.Set(ctx, key, op.Value, op.Options, op.Receipt)
	case OpSetIf:
		return s.set.KeyValueVersioned.SetIf(ctx, key, op.Value, op.If, op.Options, op.Receipt)
	case OpDelete:
		return s.set.KeyValue.Delete(ctx, key, op.Receipt)
	case OpDeleteIf:
		return s.set.KeyValueVersioned.DeleteIf(ctx, key, op.If, op.Receipt)
	case OpExpire:
		return s.set.KeyValueTTL.Expire(ctx, key, op.Options.TTL, op.Receipt)
	case OpPersist:
		return s.set.KeyValueTTL.Persist(ctx, key, op.Receipt)
	case OpTouch:
		return s.set.KeyValueTTL.Touch(ctx, key, op.Receipt)
	case OpIncrement, OpAppend:
		if op.Options.TTL > 0 {
			return s.alone(ctx, op)
		}
		if op.Kind == OpAppend {
			return s.set.KeyValueAtomic.Append(ctx, key, op.Value, op.Receipt)
		}
		return s.set.KeyValueAtomic.Increment(ctx, key, op.Delta, op.Receipt)
	case OpSetIfAbsent:
		return s.set.KeyValueAtomic.SetIfAbsent(ctx, key, op.Value, op.Options, op.Receipt)
	case OpGetAndSet:
		return s.set.KeyValueAtomic.GetAndSet(ctx, key, op.Value, op.Options, op.Receipt)
	case OpCompareAndSwap:
		return s.set.KeyValueCAS.CompareAndSwap(ctx, key, op.Expected, op.Value, op.Options, op.Receipt)
	default: // Check has let nothing else through
		return s.set.KeyValueCAS.CompareAndDelete(ctx, key, op.Expected, op.Receipt)
	}
}

// alone runs an operation as a batch of one: for what the single method has no
// argument for.
func (s call) alone(ctx context.Context, op *Op) (Result, error) {
	var results [1]Result
	if err := s.set.KeyValueBatch.Batch(ctx, s.ns, []Op{*op}, results[:]); err != nil {
		return Result{}, err
	}
	return results[0], results[0].Err
}

// TTLLeft turns an expiry into what is left of it, at least a millisecond: a
// key that is there has not ended.
func (s *Store) TTLLeft(at time.Time) time.Duration {
	return max(at.Sub(s.clock.Now()), time.Millisecond)
}

// Instant reports whether the store never waits; see driver.Info.
func (s *Store) Instant() bool { return s.here().set.Info.Instant }

func (s *Store) key(name string) prism.Key { return prism.Key{Namespace: s.ns, Name: name} }

// notFound names the key as far as a message can.
func notFound(key string) *prism.Error {
	const longest = 64
	if len(key) > longest {
		end := longest
		for end > 0 && !utf8.RuneStart(key[end]) {
			end--
		}
		key = key[:end] + "…"
	}
	return prism.NotFound("key", key)
}
