package client

import (
	"context"
	"errors"

	"google.golang.org/grpc"

	"github.com/prism-data-layer/prism/pkg/prism"
	kvv1 "github.com/prism-data-layer/prism/proto/prism/keyvalue/v1"
)

// A Tx is an open transaction; it lives only during the function that
// [KeyValue.Transaction] was given.
type Tx struct {
	st     grpc.BidiStreamingClient[kvv1.TransactionRequest, kvv1.TransactionResponse]
	writes []*kvv1.TransactionRequest
	sent   bool // the commit
}

// Versions says which version each key got that a transaction wrote: of the
// value, or of the deletion (0: there was nothing to delete).
type Versions map[string]uint64

// Transaction runs f in a transaction and commits when it returns nil; any
// error rolls back and is returned. When another writer was faster it runs f
// again, up to four times in all, so f must have no effect besides the
// transaction. It is run again too when the answer to its commit was lost; what
// it reads then may be its own, and the commit still happens once.
func (k *KeyValue) Transaction(ctx context.Context, f func(tx *Tx) error) (Versions, error) {
	ctx, cancel := bound(ctx)
	defer cancel()
	key := "prism-go-" + hexOf(k.c.ids.next()) // a commit whose answer was lost is not run twice
	var lost [][]*kvv1.TransactionRequest      // of commits under this key
	for attempt := 1; ; attempt++ {
		var written Versions
		tx := &Tx{}
		err := k.c.once(ctx, func(ctx context.Context) (err error) {
			written, err = k.transact(ctx, key, tx, f)
			return err
		})
		if err == nil {
			return written, nil
		}
		e := prism.From(err)
		if tx.sent && e.Reason == prism.ReasonKeyReused && len(lost) > 0 {
			return k.recall(ctx, key, lost)
		}
		if tx.sent {
			lost = append(lost, tx.writes)
		}
		if attempt == maxAttempts || !e.Retryable() || !sleep(ctx, delay(attempt, e)) {
			return nil, err
		}
		if e.Reason == prism.ReasonConflict { // nothing was applied: the next one is another
			key, lost = "prism-go-"+hexOf(k.c.ids.next()), nil
		}
		k.c.stats.Retries.Add(1)
	}
}

// recall gets the answer to a commit that took effect and whose answer was lost,
// when f has written something else since: the key is known, so whatever is sent
// under it now is answered or refused, and writes nothing.
func (k *KeyValue) recall(ctx context.Context, key string, lost [][]*kvv1.TransactionRequest) (written Versions, err error) {
	for _, writes := range lost {
		err = k.c.call(ctx, true, func(ctx context.Context) (err error) {
			written, err = k.transact(ctx, key, &Tx{}, func(tx *Tx) error {
				for _, w := range writes {
					if _, err := tx.step(w); err != nil {
						return err
					}
				}
				return nil
			})
			return err
		})
		if !errors.Is(err, prism.ReasonKeyReused) {
			break
		}
	}
	return written, err
}

func (k *KeyValue) transact(ctx context.Context, key string, tx *Tx, f func(tx *Tx) error) (Versions, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel() // leaving is a rollback
	k.c.stats.Attempts.Add(1)
	st, err := kvv1.NewKeyValueServiceClient(k.c.Conn()).Transaction(ctx)
	if err != nil {
		return nil, err
	}
	tx.st = st
	if _, err := tx.step(&kvv1.TransactionRequest{Step: &kvv1.TransactionRequest_Begin{Begin: &kvv1.TransactionBegin{Namespace: k.ns, IdempotencyKey: key}}}); err != nil {
		return nil, err
	}
	if err := f(tx); err != nil {
		return nil, err
	}
	tx.sent = true
	done, err := tx.step(&kvv1.TransactionRequest{Step: &kvv1.TransactionRequest_Commit{Commit: &kvv1.TransactionCommit{}}})
	if err != nil {
		return nil, err
	}
	written := make(Versions, len(done.GetCommitted().GetVersions()))
	for _, v := range done.GetCommitted().GetVersions() {
		written[v.Key] = v.Version
	}
	return written, nil
}

func (t *Tx) step(req *kvv1.TransactionRequest) (*kvv1.TransactionResponse, error) {
	sendErr := t.st.Send(req) // if it fails, Recv says why
	resp, err := t.st.Recv()
	if err != nil {
		return nil, asError(err)
	}
	if sendErr != nil {
		return nil, asError(sendErr)
	}
	return resp, nil
}

// Get reads a key as the transaction sees it: its own writes first, whose
// version is 0 because they have none yet. ExpiresAt is not told here.
func (t *Tx) Get(key string) (e Entry, found bool, err error) {
	r, err := t.step(&kvv1.TransactionRequest{Step: &kvv1.TransactionRequest_Get{Get: &kvv1.TransactionGet{Key: key}}})
	g := r.GetGot()
	return Entry{Value: g.GetValue(), Version: g.GetVersion()}, g.GetFound(), err
}

// Set writes a key when the transaction commits. Of the options only TTL has a
// meaning here.
func (t *Tx) Set(key string, value []byte, opts ...WriteOption) error {
	return t.write(&kvv1.TransactionRequest{Step: &kvv1.TransactionRequest_Set{Set: &kvv1.TransactionSet{Key: key, Value: value, TtlMs: writeOf(opts).ttlMs}}})
}

// Delete removes a key when the transaction commits.
func (t *Tx) Delete(key string) error {
	return t.write(&kvv1.TransactionRequest{Step: &kvv1.TransactionRequest_Delete{Delete: &kvv1.TransactionDelete{Key: key}}})
}

func (t *Tx) write(req *kvv1.TransactionRequest) error {
	t.writes = append(t.writes, req)
	_, err := t.step(req)
	return err
}
