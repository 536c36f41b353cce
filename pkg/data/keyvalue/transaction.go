package keyvalue

import (
	"context"
	"crypto/sha256"
	"time"

	"github.com/prism-data-layer/prism/pkg/data"
	"github.com/prism-data-layer/prism/pkg/driver"
	"github.com/prism-data-layer/prism/pkg/prism"
)

// Bounds of a transaction's life.
const (
	DefaultTransactionTime = 10 * time.Second
	MaxTransactionTime     = 60 * time.Second
)

// A Tx is an optimistic transaction: it remembers the version of each key that
// it read, absent keys too, and holds its writes until Commit. It is used by
// one caller at a time, and forgotten without a trace unless committed.
type Tx struct {
	store  *Store
	once   driver.Receipt
	checks []driver.Check
	read   map[string]struct{}
	writes []Op
	at     map[string]int // index in writes
	over   bool
}

// Begin starts a transaction. With an idempotency key, a commit that is sent
// again gets the first answer.
func (s *Store) Begin(principal, idempotencyKey string) (*Tx, error) {
	for _, c := range []string{"keyvalue_transactional", "keyvalue_basic"} {
		if err := s.Require(c); err != nil {
			return nil, err
		}
	}
	once, err := data.Receipt(principal, "Transaction", idempotencyKey, nil)
	if err != nil {
		return nil, err
	}
	return &Tx{store: s, once: once, read: map[string]struct{}{}, at: map[string]int{}}, nil
}

// Get returns the transaction's own write of the key if it has one, and
// otherwise what is stored.
func (t *Tx) Get(ctx context.Context, key string) (e Entry, found bool, err error) {
	if t.over {
		return Entry{}, false, over()
	}
	if i, ok := t.at[key]; ok {
		w := &t.writes[i]
		return Entry{Value: w.Value}, w.Kind == OpSet, nil
	}
	if err := prism.CheckKey("key", key); err != nil {
		return Entry{}, false, err
	}
	if len(t.checks) >= prism.MaxTransactionReads {
		return Entry{}, false, prism.InvalidField("reads", "must be at most 1000 keys in a transaction")
	}
	c := t.store.reading()
	defer c.leave()
	e, found, err = c.set.KeyValue.Get(ctx, t.store.key(key))
	if err != nil {
		return Entry{}, false, err
	}
	if _, again := t.read[key]; !again {
		t.read[key] = struct{}{}
		t.checks = append(t.checks, driver.Check{Key: key, Version: e.Version})
	}
	return e, found, nil
}

// Write holds a set or a delete; the last one of a key wins. It returns how
// many keys are written so far.
func (t *Tx) Write(op Op) (int, error) {
	if t.over {
		return 0, over()
	}
	if op.Kind != OpSet && op.Kind != OpDelete {
		return 0, prism.InvalidField("op", "must be a set or a delete in a transaction")
	}
	if err := t.store.Check(&op); err != nil {
		return 0, err
	}
	if i, ok := t.at[op.Key]; ok {
		t.writes[i] = op
		return len(t.writes), nil
	}
	if len(t.writes) == prism.MaxTransactionWrites {
		return 0, prism.InvalidField("writes", "must be at most 128 in a transaction")
	}
	t.at[op.Key] = len(t.writes)
	t.writes = append(t.writes, op)
	return len(t.writes), nil
}

// A Written key has this version after a commit.
type Written struct {
	Key     string
	Version uint64
}

// Commit applies all writes, or nothing and TRANSACTION_CONFLICT. Either way
// the transaction is over.
func (t *Tx) Commit(ctx context.Context) ([]Written, error) {
	if t.over {
		return nil, over()
	}
	t.over = true
	if !t.once.IsZero() {
		t.once.Body, t.once.Max = t.body(), t.store.policy.Receipts
	}
	c, err := t.store.enterAll(ctx, t.writes)
	if err != nil {
		return nil, err
	}
	defer c.leave()
	if err := c.require("keyvalue_transactional"); err != nil { // it has moved to where there is none
		return nil, err
	}
	results, err := c.set.KeyValueTransactional.Commit(ctx, t.store.ns, t.checks, t.writes, t.once)
	c.noteCommit(t.writes, t.once, results, err)
	if err != nil {
		return nil, err
	}
	written := make([]Written, min(len(t.writes), len(results)))
	for i := range written {
		written[i] = Written{t.writes[i].Key, results[i].Version}
	}
	return written, nil
}

// body covers the writes only: when a commit is sent again because its answer
// was lost, its reads see other versions, its own.
func (t *Tx) body() [16]byte {
	h := sha256.New()
	for i := range t.writes {
		b := bodyOf(&t.writes[i])
		h.Write(b[:])
	}
	return [16]byte(h.Sum(nil)[:16])
}

// Rollback ends the transaction without effect.
func (t *Tx) Rollback() { t.over = true }

func over() *prism.Error {
	return prism.New(prism.ReasonTransactionOver, "the transaction has ended")
}
