package gateway_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"

	"github.com/prism-data-layer/prism/pkg/prism"
	adminv1 "github.com/prism-data-layer/prism/proto/prism/admin/v1"
	kvv1 "github.com/prism-data-layer/prism/proto/prism/keyvalue/v1"
	"github.com/prism-data-layer/prism/test/harness"
)

type txStream = grpc.BidiStreamingClient[kvv1.TransactionRequest, kvv1.TransactionResponse]

func beginOf(b *kvv1.TransactionBegin) *kvv1.TransactionRequest {
	return &kvv1.TransactionRequest{Step: &kvv1.TransactionRequest_Begin{Begin: b}}
}

func txGet(key string) *kvv1.TransactionRequest {
	return &kvv1.TransactionRequest{Step: &kvv1.TransactionRequest_Get{Get: &kvv1.TransactionGet{Key: key}}}
}

func txSet(key, value string) *kvv1.TransactionRequest {
	return &kvv1.TransactionRequest{Step: &kvv1.TransactionRequest_Set{Set: &kvv1.TransactionSet{Key: key, Value: []byte(value)}}}
}

func txDelete(key string) *kvv1.TransactionRequest {
	return &kvv1.TransactionRequest{Step: &kvv1.TransactionRequest_Delete{Delete: &kvv1.TransactionDelete{Key: key}}}
}

func commit() *kvv1.TransactionRequest {
	return &kvv1.TransactionRequest{Step: &kvv1.TransactionRequest_Commit{Commit: &kvv1.TransactionCommit{}}}
}

func rollback() *kvv1.TransactionRequest {
	return &kvv1.TransactionRequest{Step: &kvv1.TransactionRequest_Rollback{Rollback: &kvv1.TransactionRollback{}}}
}

func begin(t *testing.T, kv kvv1.KeyValueServiceClient, ctx context.Context, b *kvv1.TransactionBegin) txStream {
	t.Helper()
	st, err := kv.Transaction(ctx)
	if err != nil {
		t.Fatal(err)
	}
	b.Namespace = ns
	r := step(t, st, beginOf(b))
	if len(r.GetBegun().GetTransactionId()) != 32 {
		t.Fatalf("begin is answered with %v, want an id of 128 bits", r)
	}
	return st
}

func step(t *testing.T, st txStream, req *kvv1.TransactionRequest) *kvv1.TransactionResponse {
	t.Helper()
	_ = st.Send(req)
	r, err := st.Recv()
	if err != nil {
		t.Fatalf("%v: %v", req, err)
	}
	return r
}

func lacks(t *testing.T, kv kvv1.KeyValueServiceClient, key string) {
	t.Helper()
	r, err := kv.Exists(harness.Context(t), &kvv1.ExistsRequest{Namespace: ns, Key: key})
	if err != nil || r.Exists {
		t.Errorf("%q is there: %v %v", key, r, err)
	}
}

func has(t *testing.T, kv kvv1.KeyValueServiceClient, key, value string) {
	t.Helper()
	r, err := kv.Get(harness.Context(t), &kvv1.GetRequest{Namespace: ns, Key: key})
	if err != nil || string(r.Value) != value {
		t.Errorf("%q is %q, %v, want %q", key, r.GetValue(), err, value)
	}
}

func TestTransactionSeesItsOwnWritesAndNobodyElseDoes(t *testing.T) {
	t.Parallel()
	_, kv, ctx := start(t, harness.Options{})
	v := set(t, kv, "a", "1")
	set(t, kv, "c", "3")
	st := begin(t, kv, ctx, &kvv1.TransactionBegin{})
	if g := step(t, st, txGet("a")).GetGot(); !g.Found || string(g.Value) != "1" || g.Version != v {
		t.Errorf("get: %v", g)
	}
	if g := step(t, st, txGet("b")).GetGot(); g.Found || g.Version != 0 {
		t.Errorf("get of a missing key: %v", g)
	}
	for i, req := range []*kvv1.TransactionRequest{txSet("b", "2"), txDelete("c"), txSet("b", "2 again")} {
		if n := step(t, st, req).GetBuffered().GetWrites(); n != []int32{1, 2, 2}[i] {
			t.Errorf("%d writes are held after step %d", n, i)
		}
	}
	if g := step(t, st, txGet("b")).GetGot(); !g.Found || string(g.Value) != "2 again" || g.Version != 0 {
		t.Errorf("its own write: %v", g)
	}
	if g := step(t, st, txGet("c")).GetGot(); g.Found {
		t.Errorf("its own delete: %v", g)
	}
	lacks(t, kv, "b")
	has(t, kv, "c", "3")
	c := step(t, st, commit()).GetCommitted()
	if len(c.Versions) != 2 || c.Versions[0].Key != "b" || c.Versions[1].Key != "c" || c.Versions[0].Version == 0 {
		t.Errorf("committed: %v", c)
	}
	if _, err := st.Recv(); !errors.Is(err, io.EOF) {
		t.Errorf("after the commit the stream ends with %v", err)
	}
	has(t, kv, "b", "2 again")
	lacks(t, kv, "c")
}

func TestTransactionEndsWithoutEffect(t *testing.T) {
	t.Parallel()
	_, kv, ctx := start(t, harness.Options{})
	set(t, kv, "read", "1")

	st := begin(t, kv, ctx, &kvv1.TransactionBegin{})
	step(t, st, txSet("rollback", "x"))
	if step(t, st, rollback()).GetRolledBack() == nil {
		t.Error("rollback is not answered")
	}
	if err := ends(t, 30*time.Second, st.Recv); err != nil {
		t.Errorf("rollback ends with %v", err)
	}

	st = begin(t, kv, ctx, &kvv1.TransactionBegin{})
	step(t, st, txSet("half-close", "x"))
	_ = st.CloseSend()
	if err := ends(t, 30*time.Second, st.Recv); err != nil {
		t.Errorf("half-close ends with %v", err)
	}

	leaving, leave := context.WithCancel(ctx)
	st = begin(t, kv, leaving, &kvv1.TransactionBegin{})
	step(t, st, txSet("leave", "x"))
	leave()

	st = begin(t, kv, ctx, &kvv1.TransactionBegin{TimeoutMs: 50})
	_ = st.Send(txSet("timeout", "x")) // on a slow machine its time is over before
	want(t, "its time is over", ends(t, 30*time.Second, st.Recv), codes.DeadlineExceeded, prism.ReasonDeadlineExceeded)

	st = begin(t, kv, ctx, &kvv1.TransactionBegin{})
	step(t, st, txGet("read"))
	step(t, st, txSet("conflict", "x"))
	set(t, kv, "read", "2")
	_ = st.Send(commit())
	_, err := st.Recv()
	o := want(t, "another writer was faster", err, codes.Aborted, prism.ReasonConflict)
	if o.Retry == nil {
		t.Error("a conflict may be tried again, and does not say so")
	}
	for _, key := range []string{"rollback", "half-close", "leave", "timeout", "conflict"} {
		lacks(t, kv, key)
	}
}

func TestTransactionRefusesWhatIsOutOfOrder(t *testing.T) {
	t.Parallel()
	_, kv, ctx := start(t, harness.Options{})
	ttl := int64(0)
	open := beginOf(&kvv1.TransactionBegin{Namespace: ns})
	var many []*kvv1.TransactionRequest
	many = append(many, open)
	for i := range prism.MaxTransactionWrites + 1 {
		many = append(many, txSet(fmt.Sprint(i), "v"))
	}
	for _, c := range []struct {
		what   string
		send   []*kvv1.TransactionRequest
		code   codes.Code
		reason prism.Reason
		fields []string
	}{
		{"nothing at all", nil, codes.InvalidArgument, prism.ReasonInvalidArgument, []string{"begin"}},
		{"a get first", []*kvv1.TransactionRequest{txGet("k")}, codes.FailedPrecondition, prism.ReasonFailedPrecond, nil},
		{"a commit first", []*kvv1.TransactionRequest{commit()}, codes.FailedPrecondition, prism.ReasonFailedPrecond, nil},
		{"an empty message first", []*kvv1.TransactionRequest{{}}, codes.FailedPrecondition, prism.ReasonFailedPrecond, nil},
		{"a second begin", []*kvv1.TransactionRequest{open, open}, codes.FailedPrecondition, prism.ReasonFailedPrecond, nil},
		{"an empty message", []*kvv1.TransactionRequest{open, {}}, codes.InvalidArgument, prism.ReasonInvalidArgument, []string{"step"}},
		{"no key to get", []*kvv1.TransactionRequest{open, txGet("")}, codes.InvalidArgument, prism.ReasonInvalidArgument, []string{"key"}},
		{"no key to set", []*kvv1.TransactionRequest{open, txSet("", "v")}, codes.InvalidArgument, prism.ReasonInvalidArgument, []string{"key"}},
		{"no key to delete", []*kvv1.TransactionRequest{open, txDelete("")}, codes.InvalidArgument, prism.ReasonInvalidArgument, []string{"key"}},
		{"no time to live", []*kvv1.TransactionRequest{open, {Step: &kvv1.TransactionRequest_Set{Set: &kvv1.TransactionSet{Key: "k", TtlMs: &ttl}}}}, codes.InvalidArgument, prism.ReasonInvalidArgument, []string{"ttl_ms"}},
		{"a timeout below 0", []*kvv1.TransactionRequest{beginOf(&kvv1.TransactionBegin{Namespace: ns, TimeoutMs: -1})}, codes.InvalidArgument, prism.ReasonInvalidArgument, []string{"timeout_ms"}},
		{"a timeout over a minute", []*kvv1.TransactionRequest{beginOf(&kvv1.TransactionBegin{Namespace: ns, TimeoutMs: 60_001})}, codes.InvalidArgument, prism.ReasonInvalidArgument, []string{"timeout_ms"}},
		{"a long idempotency key", []*kvv1.TransactionRequest{beginOf(&kvv1.TransactionBegin{Namespace: ns, IdempotencyKey: string(make([]byte, 129))})}, codes.InvalidArgument, prism.ReasonInvalidArgument, []string{"idempotency_key"}},
		{"a bad namespace", []*kvv1.TransactionRequest{beginOf(&kvv1.TransactionBegin{Namespace: "A"})}, codes.InvalidArgument, prism.ReasonInvalidArgument, []string{"namespace"}},
		{"129 writes", many, codes.InvalidArgument, prism.ReasonInvalidArgument, []string{"writes"}},
	} {
		st, err := kv.Transaction(ctx)
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range c.send {
			if st.Send(r) != nil {
				break
			}
		}
		_ = st.CloseSend()
		want(t, c.what, ends(t, 30*time.Second, st.Recv), c.code, c.reason, c.fields...)
	}
}

// A commit that is sent again with its key is answered as the first time.
func TestTransactionCommitsOnceForAKey(t *testing.T) {
	t.Parallel()
	_, kv, ctx := start(t, harness.Options{})
	set(t, kv, "n", "1")
	run := func(value string) (*kvv1.TransactionCommitted, error) {
		st := begin(t, kv, ctx, &kvv1.TransactionBegin{IdempotencyKey: "once"})
		step(t, st, txGet("n"))
		step(t, st, txSet("n", value))
		_ = st.Send(commit())
		r, err := st.Recv()
		return r.GetCommitted(), err
	}
	first := must[*kvv1.TransactionCommitted](t)(run("2"))
	again := must[*kvv1.TransactionCommitted](t)(run("2"))
	if first.Versions[0].Version != again.Versions[0].Version {
		t.Errorf("committed twice: %v and %v", first, again)
	}
	_, err := run("3")
	want(t, "another body", err, codes.InvalidArgument, prism.ReasonKeyReused)
	has(t, kv, "n", "2")
}

func TestTransactionEndsOnDrainAndRevocation(t *testing.T) {
	t.Parallel()
	g, kv, ctx := start(t, harness.Options{})
	s, token := session(t, g, ctx)
	st := begin(t, kv, harness.In(ctx, token), &kvv1.TransactionBegin{})
	step(t, st, txSet("revoked", "x"))
	if _, err := g.Admin(t).TerminateSession(ctx, &adminv1.TerminateSessionRequest{SessionId: s}); err != nil {
		t.Fatal(err)
	}
	want(t, "a terminated session", ends(t, time.Second, st.Recv), codes.Unauthenticated, prism.ReasonSessionRevoked)

	st = begin(t, kv, ctx, &kvv1.TransactionBegin{})
	step(t, st, txSet("drained", "x"))
	stopped := g.Draining()
	want(t, "a drain", ends(t, 30*time.Second, st.Recv), codes.Unavailable, prism.ReasonDraining)
	if err := <-stopped; err != nil {
		t.Errorf("the drain was not clean: %v", err)
	}
}
