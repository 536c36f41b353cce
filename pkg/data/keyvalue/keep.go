package keyvalue

import (
	"context"
	"time"

	"github.com/prism-data-layer/prism/pkg/prism"
)

// end is the time to live of a key that a write makes without asking for one.
func (s *Store) end() time.Duration {
	if s.policy.DefaultTTL > 0 {
		return s.policy.DefaultTTL
	}
	return s.policy.MaxTTL
}

// keeps reports whether op keeps the expiry of a key that is there and must
// give one to a key that it makes.
func (s *Store) keeps(op *Op) bool {
	return op.Kind == OpSet && op.Options.KeepTTL && s.end() > 0
}

// checkKeep says what a write with keep_ttl needs where keys must end. A write
// that can only make its key has nothing to keep, and gets an end at once.
func (s call) checkKeep(op *Op) error {
	switch {
	case !op.Options.KeepTTL || op.Options.TTL != 0 || s.end() == 0:
		return nil
	case op.Kind == OpSetIfAbsent, op.Kind == OpSetIf && op.If.Absent:
		op.Options = SetOptions{TTL: s.end()}
		return nil
	case op.Kind == OpGetAndSet: // no request asks for it
		return prism.InvalidField("keep_ttl", "must not be set where the namespace ends its keys")
	case s.set.KeyValueVersioned == nil:
		return s.missing("keyvalue_versioned")
	}
	return nil
}

// keep sets a value on the condition that the key is as it was found, and looks
// again when it is not: so no key is made without an end, whoever deletes it
// meanwhile. A refused condition leaves no receipt, and one that was kept is
// answered before any condition is looked at.
func (s call) keep(ctx context.Context, op *Op) (Result, error) {
	key := s.key(op.Key)
	for {
		e, found, err := s.set.KeyValue.Get(ctx, key)
		if err != nil {
			return Result{}, err
		}
		c, o := Condition{Version: e.Version}, op.Options
		if !found {
			c, o = Condition{Absent: true}, SetOptions{TTL: s.end()}
		}
		r, err := s.set.KeyValueVersioned.SetIf(ctx, key, op.Value, c, o, op.Receipt)
		if err == nil {
			return r, nil
		}
		if why := prism.From(err).Reason; why != prism.ReasonVersionMismatch && why != prism.ReasonAlreadyExists {
			return Result{}, err
		}
	}
}

// batch runs operations that were found valid, as few batches as there can be:
// those that keep stand alone between them, so that the order on a key holds.
func (s call) batch(ctx context.Context, ops []Op, results []Result) error {
	if s.end() == 0 {
		return s.set.KeyValueBatch.Batch(ctx, s.ns, ops, results)
	}
	for from := 0; from < len(ops); {
		if s.keeps(&ops[from]) {
			results[from], results[from].Err = s.keep(ctx, &ops[from])
			from++
			continue
		}
		to := from + 1
		for to < len(ops) && !s.keeps(&ops[to]) {
			to++
		}
		if err := s.set.KeyValueBatch.Batch(ctx, s.ns, ops[from:to], results[from:to]); err != nil {
			if from == 0 {
				return err // nothing was tried
			}
			for i := range results[from:to] {
				results[from+i] = Result{Err: err}
			}
		}
		from = to
	}
	return nil
}
