package cache

import (
	"time"

	"github.com/prism-data-layer/prism/pkg/data"
	"github.com/prism-data-layer/prism/pkg/prism"
)

// rpcNames scope a receipt: one name for each RPC.
var rpcNames = [...]string{
	OpGet: "Get", OpExists: "Exists", OpSet: "Set", OpDelete: "Delete", OpTouch: "Touch", OpIncrement: "Increment",
}

// Check says what is wrong with an operation, every field at once, and gives it
// the namespace's time to live where it asks for none.
func (s *Store) Check(op *Op) error {
	if op.Kind == 0 || int(op.Kind) >= len(rpcNames) {
		return prism.InvalidField("op", "must be set")
	}
	if s.set.Cache == nil {
		return s.missing("cache_basic")
	}
	var e *prism.Error
	if err := prism.CheckKey("key", op.Key); err != nil {
		e = join(e, err)
	}
	if len(op.Value) > prism.MaxValueBytes {
		e = join(e, prism.InvalidField("value", "must be at most 1 MiB"))
	}
	switch op.Kind {
	case OpSet, OpTouch, OpIncrement:
		if err := s.checkTTL(&op.TTL); err != nil {
			e = join(e, err)
		}
	}
	if e != nil {
		return e
	}
	op.Receipt.Max = s.policy.Receipts
	return nil
}

func (s *Store) checkTTL(ttl *time.Duration) error {
	switch {
	case *ttl == 0:
		*ttl = s.ttl
	case *ttl < time.Millisecond || *ttl > MaxTTL:
		return prism.InvalidField("ttl_ms", "must be 1 ms to 10 years")
	case s.policy.MaxTTL > 0 && *ttl > s.policy.MaxTTL:
		return prism.InvalidField("ttl_ms", "must be at most the namespace's max_ttl of "+s.policy.MaxTTL.String())
	}
	return nil
}

// join adds the fields of err to e.
func join(e *prism.Error, err error) *prism.Error {
	next := prism.From(err)
	if e == nil {
		return next
	}
	e.Fields = append(e.Fields, next.Fields...)
	return e
}

// Once makes op happen once: key is the caller's idempotency key, retry an id
// that a client made; key wins. Both empty ask for nothing. It comes before
// Check, so that what the caller asked for is what counts.
func Once(op *Op, principal, key string, retry []byte) error {
	return OnceOf(&Series{Principal: principal}, op, key, retry)
}

// A Series is for operations that came together from one principal.
type Series = data.Series

// OnceOf is Once for one of a series.
func OnceOf(s *Series, op *Op, key string, retry []byte) error {
	switch {
	case key == "" && len(retry) == 0, op.Reads():
		return nil
	case int(op.Kind) >= len(rpcNames):
		return prism.InvalidField("op", "must be set")
	}
	r, err := s.Receipt(rpcNames[op.Kind], key, retry)
	if err != nil {
		return err
	}
	r.Body = bodyOf(op)
	op.Receipt = r
	return nil
}

// bodyOf hashes all that op asks for.
func bodyOf(op *Op) [16]byte {
	return data.NewBody().Number(uint64(op.Kind) | uint64(op.If)<<8).Number(uint64(op.Delta)).Number(uint64(op.Initial)).Number(uint64(op.TTL)).
		Bytes([]byte(op.Key)).Bytes(op.Value).Sum()
}
