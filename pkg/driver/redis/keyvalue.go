package redis

import (
	"context"
	"encoding/binary"
	"time"

	"github.com/prism-data-layer/prism/pkg/driver"
	"github.com/prism-data-layer/prism/pkg/prism"
)

// Get is one GET: the record's head tells version and expiry.
func (s *store) Get(ctx context.Context, key prism.Key) (driver.Entry, bool, error) {
	if err := s.enter(ctx); err != nil {
		return driver.Entry{}, false, err
	}
	defer s.leave()
	raw, err := s.singles.get(ctx, s.valueKey(key))
	if missing(err) {
		return driver.Entry{}, false, nil
	}
	if err != nil {
		return driver.Entry{}, false, s.classify(ctx, err)
	}
	e, _, err := parseRecord(bytesOf(raw))
	if err != nil {
		return driver.Entry{}, false, s.classify(ctx, err)
	}
	return e, true, nil
}

func (s *store) Exists(ctx context.Context, key prism.Key) (bool, error) {
	if err := s.enter(ctx); err != nil {
		return false, err
	}
	defer s.leave()
	n, err := s.client.Exists(ctx, s.valueKey(key)).Result()
	return n == 1, s.classify(ctx, err)
}

func (s *store) ExpiresAt(ctx context.Context, key prism.Key) (time.Time, error) {
	if err := s.enter(ctx); err != nil {
		return time.Time{}, err
	}
	defer s.leave()
	at, err := s.client.PExpireTime(ctx, s.valueKey(key)).Result()
	if err != nil {
		return time.Time{}, s.classify(ctx, err)
	}
	return expiry(at, key.Name)
}

// expiry reads what PEXPIRETIME says: the last millisecond of a key, -1 for one
// without an end, -2 for one that is not there.
func expiry(at time.Duration, key string) (time.Time, error) {
	switch {
	case at == -2:
		return time.Time{}, notFound(key)
	case at < 0:
		return time.Time{}, nil
	}
	return time.UnixMilli(at.Milliseconds() + 1), nil
}

// do is one mutation.
func (s *store) do(ctx context.Context, ns prism.Namespace, op driver.Op) (driver.Result, error) {
	if err := s.enter(ctx); err != nil {
		return driver.Result{}, err
	}
	defer s.leave()
	if err := checkOp(&op); err != nil && op.Receipt.IsZero() {
		return driver.Result{}, err
	}
	answer, err := s.singles.change(ctx, batchScript, s.home(ns, op.Key), appendOp(nil, &op))
	if err != nil {
		return driver.Result{}, s.classify(ctx, err)
	}
	return s.result(answer, &op)
}

// appendOp adds an operation to the arguments of a script.
func appendOp(args []any, op *driver.Op) []any {
	var extra any = op.Expected
	if op.Kind == driver.OpIncrement {
		extra = op.Delta
	}
	return append(args, appendWhat(nil, op), op.Key, op.Value, extra)
}

// result reads the answer of a script to an operation.
func (s *store) result(answer string, op *driver.Op) (driver.Result, error) {
	if len(answer) == 0 || answer[0] == 'E' {
		return driver.Result{}, s.refused(answer, op)
	}
	r, err := parseAnswer([]byte(answer[1:]))
	if err != nil {
		return driver.Result{}, s.classify(context.Background(), err)
	}
	r.Replayed = answer[0] == 'P'
	return r, nil
}

// checkOp refuses what no store could do. An operation with a receipt goes to
// the server all the same: whether the receipt was used comes first.
func checkOp(op *driver.Op) error {
	if op.Kind.Reads() || int(op.Kind) >= len(letters) {
		return errKind()
	}
	switch o := op.Options; {
	case o.TTL < 0, op.Kind == driver.OpExpire && o.TTL == 0:
		return prism.InvalidField("ttl", "must be positive")
	case o.TTL > 0 && o.KeepTTL:
		return prism.InvalidField("keep_ttl", "cannot be set together with ttl")
	case (op.Kind == driver.OpSetIf || op.Kind == driver.OpDeleteIf) && op.If.Absent == (op.If.Version != 0):
		return prism.InvalidField("if", "must be either absent or a version")
	}
	return nil
}

// Commit is one script: checks first, then all writes.
func (s *store) Commit(ctx context.Context, ns prism.Namespace, checks []driver.Check, writes []driver.Op, r driver.Receipt) ([]driver.Result, error) {
	if err := s.enter(ctx); err != nil {
		return nil, err
	}
	defer s.leave()
	wrong := checkWrites(writes)
	if wrong != nil && r.IsZero() {
		return nil, wrong
	}
	var receipt []byte
	if !r.IsZero() {
		receipt = appendReceipt(nil, r)
	}
	p := prefix(ns)
	args := s.common(p, receipt)
	if wrong != nil {
		args = append(args, string(letterInvalid))
	} else {
		args = appendCommit(args, checks, writes)
	}
	answers, err := s.run(ctx, commitScript, s.keys(commitScript, p, s.touched(checks, writes)...), args...).StringSlice()
	if err != nil {
		return nil, s.classify(ctx, err)
	}
	if len(answers) != 1 || len(answers[0]) == 0 {
		return nil, s.classify(ctx, errAnswer)
	}
	switch {
	case answers[0] == refusedInvalid:
		return nil, wrong
	case answers[0][0] == 'E':
		return nil, s.refused(answers[0], &driver.Op{})
	}
	results, err := parseAnswers([]byte(answers[0][1:]))
	if err != nil {
		return nil, s.classify(ctx, err)
	}
	for i := range results {
		results[i].Replayed = answers[0][0] == 'P'
	}
	return results, nil
}

// touched are the keys of a transaction, which only a cluster is told.
func (s *store) touched(checks []driver.Check, writes []driver.Op) (names []string) {
	if s.slots == nil {
		return nil
	}
	for _, c := range checks {
		names = append(names, c.Key)
	}
	for i := range writes {
		names = append(names, writes[i].Key)
	}
	return names
}

func appendCommit(args []any, checks []driver.Check, writes []driver.Op) []any {
	args = append(args, len(checks))
	for _, c := range checks {
		args = append(args, c.Key, binary.BigEndian.AppendUint64(nil, c.Version))
	}
	for i := range writes {
		w := writes[i]
		w.Receipt = driver.Receipt{}
		args = append(args, appendWhat(nil, &w), w.Key, w.Value)
	}
	return args
}

// checkWrites refuses before anything is asked of the server.
func checkWrites(writes []driver.Op) error {
	seen := make(map[string]struct{}, len(writes))
	for i := range writes {
		w := &writes[i]
		if w.Kind != driver.OpSet && w.Kind != driver.OpDelete {
			return prism.InvalidField("writes", "must be sets and deletes")
		}
		if _, ok := seen[w.Key]; ok {
			return prism.InvalidField("writes", "must hold a key at most once")
		}
		seen[w.Key] = struct{}{}
		if err := checkOp(w); err != nil {
			return err
		}
	}
	return nil
}
