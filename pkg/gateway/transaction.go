package gateway

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"io"
	"time"

	"google.golang.org/grpc"

	"github.com/prism-data-layer/prism/pkg/data/keyvalue"
	"github.com/prism-data-layer/prism/pkg/prism"
	kvv1 "github.com/prism-data-layer/prism/proto/prism/keyvalue/v1"
)

type transactionStream = grpc.BidiStreamingServer[kvv1.TransactionRequest, kvv1.TransactionResponse]

func (k *keyValue) Transaction(st transactionStream) error {
	c, err := k.road.knock(st.Context(), k.transaction, "")
	if err != nil {
		return err
	}
	st = talking(&c, st)
	begin, err := beginning(&c, st)
	if err != nil {
		return c.refuse("", err)
	}
	if err := c.admit(begin.Namespace); err != nil {
		return err
	}
	return k.begun(&c, begin, st)
}

func (k *keyValue) begun(c *call, begin *kvv1.TransactionBegin, st transactionStream) (err error) {
	defer c.finish(&err)
	kv, err := c.target.KeyValue()
	if err != nil {
		return err
	}
	return k.transact(c, kv, begin, st)
}

// beginning reads the first message, which must be begin. A caller who leaves
// before it has asked for nothing.
func beginning(c *call, st transactionStream) (*kvv1.TransactionBegin, error) {
	var first kvv1.TransactionRequest
	if err := c.first(func() error { return st.RecvMsg(&first) }); err != nil {
		if errors.Is(err, io.EOF) {
			return nil, prism.InvalidField("begin", "must be the first message")
		}
		return nil, err
	}
	if first.GetBegin() == nil {
		return nil, prism.New(prism.ReasonFailedPrecond, "the first message must be begin")
	}
	return first.GetBegin(), nil
}

// transact runs an open transaction to its end.
func (k *keyValue) transact(c *call, kv *keyvalue.Store, begin *kvv1.TransactionBegin, st transactionStream) error {
	timeout := time.Duration(begin.TimeoutMs) * time.Millisecond
	switch {
	case begin.TimeoutMs < 0 || begin.TimeoutMs > keyvalue.MaxTransactionTime.Milliseconds():
		return prism.InvalidField("timeout_ms", "must be 0 to 60000")
	case timeout == 0:
		timeout = keyvalue.DefaultTransactionTime
	}
	tx, err := kv.Begin(c.principal(), begin.IdempotencyKey)
	if err != nil {
		return err
	}
	defer tx.Rollback()

	ctx, cancel := c.live(st.Context())
	defer cancel()
	ctx, stop := context.WithTimeoutCause(ctx, timeout, prism.New(prism.ReasonDeadlineExceeded, "the transaction was open for longer than %s", timeout))
	defer stop()

	var id [16]byte
	rand.Read(id[:]) //nolint:errcheck // crypto/rand does not fail
	err = st.Send(&kvv1.TransactionResponse{Step: &kvv1.TransactionResponse_Begun{Begun: &kvv1.TransactionBegun{
		TransactionId: hex.EncodeToString(id[:]), ExpiresAtMs: k.road.Clock.Now().Add(timeout).UnixMilli(),
	}}})
	if err != nil {
		return err
	}
	steps := receive(ctx, st)
	for {
		select {
		case s := <-steps:
			if s.err != nil {
				if errors.Is(s.err, io.EOF) {
					return nil // half-closed without commit: rolled back
				}
				return s.err
			}
			if s.req.GetCommit() != nil {
				if err := c.target.Pass(prism.ActionWrite); err != nil {
					return err
				}
			}
			resp, over, err := step(ctx, tx, s.req)
			if err != nil {
				return why(ctx, err)
			}
			if err := st.Send(resp); err != nil || over {
				return err
			}
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

type received struct {
	req *kvv1.TransactionRequest
	err error
}

// receive hands over the stream's messages one by one until ctx ends.
func receive(ctx context.Context, st transactionStream) <-chan received {
	steps := make(chan received)
	go func() {
		for {
			req, err := st.Recv()
			select {
			case steps <- received{req, err}:
				if err != nil {
					return
				}
			case <-ctx.Done():
				return
			}
		}
	}()
	return steps
}

// step runs one message of a transaction; over says that it was the last.
func step(ctx context.Context, tx *keyvalue.Tx, req *kvv1.TransactionRequest) (resp *kvv1.TransactionResponse, over bool, err error) {
	switch s := req.Step.(type) {
	case *kvv1.TransactionRequest_Get:
		e, found, err := tx.Get(ctx, s.Get.GetKey())
		if err != nil {
			return nil, false, err
		}
		return &kvv1.TransactionResponse{Step: &kvv1.TransactionResponse_Got{Got: &kvv1.TransactionGot{Found: found, Value: e.Value, Version: e.Version}}}, false, nil
	case *kvv1.TransactionRequest_Set:
		op := keyvalue.Op{Kind: keyvalue.OpSet, Key: s.Set.GetKey(), Value: s.Set.GetValue()}
		if err := ttlInto(&op, s.Set.TtlMs); err != nil {
			return nil, false, err
		}
		return buffered(tx.Write(op))
	case *kvv1.TransactionRequest_Delete:
		return buffered(tx.Write(keyvalue.Op{Kind: keyvalue.OpDelete, Key: s.Delete.GetKey()}))
	case *kvv1.TransactionRequest_Commit:
		written, err := tx.Commit(ctx)
		if err != nil {
			return nil, false, err
		}
		done := &kvv1.TransactionCommitted{Versions: make([]*kvv1.KeyVersion, len(written))}
		for i, w := range written {
			done.Versions[i] = &kvv1.KeyVersion{Key: w.Key, Version: w.Version}
		}
		return &kvv1.TransactionResponse{Step: &kvv1.TransactionResponse_Committed{Committed: done}}, true, nil
	case *kvv1.TransactionRequest_Rollback:
		tx.Rollback()
		return &kvv1.TransactionResponse{Step: &kvv1.TransactionResponse_RolledBack{RolledBack: &kvv1.TransactionRolledBack{}}}, true, nil
	case *kvv1.TransactionRequest_Begin:
		return nil, false, prism.New(prism.ReasonFailedPrecond, "the transaction has begun already")
	}
	return nil, false, prism.InvalidField("step", "must be set")
}

func buffered(writes int, err error) (*kvv1.TransactionResponse, bool, error) {
	if err != nil {
		return nil, false, err
	}
	return &kvv1.TransactionResponse{Step: &kvv1.TransactionResponse_Buffered{Buffered: &kvv1.TransactionBuffered{Writes: int32(writes)}}}, false, nil
}
