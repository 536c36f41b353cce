package wire

import (
	"context"
	"time"

	"github.com/prism-data-layer/prism/pkg/driver"
	"github.com/prism-data-layer/prism/pkg/prism"
	kvv1 "github.com/prism-data-layer/prism/proto/prism/keyvalue/v1"
)

// Commit runs a transaction that reads the checked keys, writes and commits.
func (s *Stub) Commit(ctx context.Context, ns prism.Namespace, checks []driver.Check, writes []driver.Op, r driver.Receipt) ([]driver.Result, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	st, err := s.kv.Transaction(ctx)
	if err != nil {
		return nil, failed(err)
	}
	step := func(req *kvv1.TransactionRequest) (*kvv1.TransactionResponse, error) {
		_ = st.Send(req) // Recv says why it failed
		resp, err := st.Recv()
		return resp, failed(err)
	}
	if _, err := step(&kvv1.TransactionRequest{Step: &kvv1.TransactionRequest_Begin{Begin: &kvv1.TransactionBegin{Namespace: string(ns), IdempotencyKey: keyOf(r)}}}); err != nil {
		return nil, err
	}
	for _, c := range checks {
		got, err := step(&kvv1.TransactionRequest{Step: &kvv1.TransactionRequest_Get{Get: &kvv1.TransactionGet{Key: c.Key}}})
		if err != nil {
			return nil, err
		}
		// A commit that is sent again reads what it wrote the first time.
		if v := got.GetGot().GetVersion(); v != c.Version && !s.sent(ns, r) {
			return nil, prism.New(prism.ReasonConflict, "key %q has version %d, not %d", c.Key, v, c.Version)
		}
	}
	for _, w := range writes {
		req, err := s.write(ctx, ns, w)
		if err != nil {
			return nil, err
		}
		if _, err := step(req); err != nil {
			return nil, err
		}
	}
	done, err := step(&kvv1.TransactionRequest{Step: &kvv1.TransactionRequest_Commit{Commit: &kvv1.TransactionCommit{}}})
	if err != nil {
		return nil, err
	}
	results := make([]driver.Result, len(done.GetCommitted().GetVersions()))
	for i, v := range done.GetCommitted().GetVersions() {
		results[i] = driver.Result{Version: v.Version, Found: writes[i].Kind == driver.OpDelete && v.Version != 0}
	}
	replayed := s.again(ns, r, results...)
	for i := range results {
		results[i].Replayed = replayed
	}
	return results, nil
}

func (s *Stub) write(ctx context.Context, ns prism.Namespace, w driver.Op) (*kvv1.TransactionRequest, error) {
	if w.Kind == driver.OpDelete {
		return &kvv1.TransactionRequest{Step: &kvv1.TransactionRequest_Delete{Delete: &kvv1.TransactionDelete{Key: w.Key}}}, nil
	}
	if w.Options.KeepTTL {
		var err error
		if w.Options.TTL, err = s.left(ctx, prism.Key{Namespace: ns, Name: w.Key}); err != nil {
			return nil, err
		}
	}
	return &kvv1.TransactionRequest{Step: &kvv1.TransactionRequest_Set{Set: &kvv1.TransactionSet{Key: w.Key, Value: w.Value, TtlMs: ttlOf(w.Options)}}}, nil
}

// left is the time to live that a key has, 0 for none.
func (s *Stub) left(ctx context.Context, key prism.Key) (time.Duration, error) {
	at, err := s.ExpiresAt(ctx, key)
	switch e := prism.From(err); {
	case e != nil && e.Reason == prism.ReasonNotFound:
		return 0, nil
	case err != nil || at.IsZero():
		return 0, err
	}
	return at.Sub(s.now()), nil
}
