package keyvalue

import (
	"time"

	"github.com/prism-data-layer/prism/pkg/data"
	"github.com/prism-data-layer/prism/pkg/prism"
)

// needs is the capability of each kind of operation.
var needs = [...]string{
	OpGet:              "keyvalue_basic",
	OpExists:           "keyvalue_basic",
	OpExpiresAt:        "keyvalue_ttl",
	OpSet:              "keyvalue_basic",
	OpSetIf:            "keyvalue_versioned",
	OpDelete:           "keyvalue_basic",
	OpDeleteIf:         "keyvalue_versioned",
	OpExpire:           "keyvalue_ttl",
	OpPersist:          "keyvalue_ttl",
	OpTouch:            "keyvalue_ttl",
	OpIncrement:        "keyvalue_atomic",
	OpAppend:           "keyvalue_atomic",
	OpSetIfAbsent:      "keyvalue_atomic",
	OpGetAndSet:        "keyvalue_atomic",
	OpCompareAndSwap:   "keyvalue_cas",
	OpCompareAndDelete: "keyvalue_cas",
}

// Check says what is wrong with an operation, every field at once, and gives a
// write the namespace's default time to live where it asks for none.
func (s *Store) Check(op *Op) error { return s.here().check(op) }

func (s call) check(op *Op) error {
	if int(op.Kind) >= len(needs) || needs[op.Kind] == "" {
		return prism.InvalidField("op", "must be set")
	}
	if !s.has(op.Kind) {
		return s.missing(needs[op.Kind])
	}
	var e *prism.Error
	if err := prism.CheckKey("key", op.Key); err != nil {
		e = join(e, err)
	}
	if len(op.Value) > prism.MaxValueBytes {
		e = join(e, prism.InvalidField("value", "must be at most 1 MiB"))
	}
	if len(op.Expected) > prism.MaxValueBytes {
		e = join(e, prism.InvalidField("expected", "must be at most 1 MiB"))
	}
	if err := s.checkExpiry(op); err != nil {
		e = join(e, err)
	}
	if e != nil {
		return e
	}
	op.Receipt.Max = s.policy.Receipts
	return nil
}

// has reports whether the backend can do k; the usual answer is one load.
func (s call) has(k OpKind) bool {
	switch k {
	case OpGet, OpExists, OpSet, OpDelete:
		return s.set.KeyValue != nil
	case OpSetIf, OpDeleteIf:
		return s.set.KeyValueVersioned != nil
	case OpExpiresAt, OpExpire, OpPersist, OpTouch:
		return s.set.KeyValueTTL != nil
	case OpIncrement, OpAppend, OpSetIfAbsent, OpGetAndSet:
		return s.set.KeyValueAtomic != nil
	default:
		return s.set.KeyValueCAS != nil
	}
}

func (s call) checkExpiry(op *Op) error {
	o := &op.Options
	switch op.Kind {
	case OpSet, OpSetIf, OpSetIfAbsent, OpGetAndSet:
		if o.TTL == 0 && !o.KeepTTL {
			o.TTL = s.policy.DefaultTTL
		}
		if err := s.checkKeep(op); err != nil {
			return err
		}
	case OpIncrement, OpAppend: // only a key that they make needs an end
		o.TTL = s.end()
		if o.TTL > 0 && s.set.KeyValueBatch == nil {
			return s.missing("keyvalue_batch")
		}
		return nil
	case OpCompareAndSwap, OpExpire:
	case OpPersist:
		if s.policy.MaxTTL > 0 {
			return prism.New(prism.ReasonFailedPrecond, "keys of namespace %q must expire within %s", s.ns, s.policy.MaxTTL)
		}
		return nil
	default:
		return nil
	}
	switch {
	case o.TTL == 0 && op.Kind == OpExpire:
		return prism.InvalidField("ttl_ms", "must be 1 ms to 10 years")
	case o.TTL == 0 && s.policy.MaxTTL > 0 && !o.KeepTTL && op.Kind != OpCompareAndSwap:
		o.TTL = s.policy.MaxTTL // what asks for no end gets the latest there may be
	case o.TTL == 0 && !o.KeepTTL:
		return nil
	case o.TTL == 0: // what is to be kept must be known
	case o.TTL < time.Millisecond || o.TTL > MaxTTL:
		return prism.InvalidField("ttl_ms", "must be 1 ms to 10 years")
	case s.policy.MaxTTL > 0 && o.TTL > s.policy.MaxTTL:
		return prism.InvalidField("ttl_ms", "must be at most the namespace's max_ttl of "+s.policy.MaxTTL.String())
	case o.KeepTTL && op.Kind != OpExpire:
		return prism.InvalidField("keep_ttl", "must not be set together with ttl_ms")
	}
	if s.set.KeyValueTTL == nil {
		return s.missing("keyvalue_ttl")
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

// missing is the refusal of a call that the backend cannot serve.
func (s call) missing(capability string) *prism.Error {
	return data.Missing(s.set, s.ns, capability)
}

// Require refuses when the backend lacks a capability: for fields that ask for
// more than their method.
func (s *Store) Require(capability string) error { return s.here().require(capability) }

func (s call) require(capability string) error {
	if !s.set.Has(capability) {
		return s.missing(capability)
	}
	return nil
}

// Capabilities lists what the namespace can do.
func (s *Store) Capabilities() []string { return s.here().set.NamesOf("keyvalue") }
