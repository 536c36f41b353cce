package attack_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"
	reflectionv1 "google.golang.org/grpc/reflection/grpc_reflection_v1"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/prism-data-layer/prism/pkg/prism"
	"github.com/prism-data-layer/prism/pkg/wire"
	adminv1 "github.com/prism-data-layer/prism/proto/prism/admin/v1"
	kvv1 "github.com/prism-data-layer/prism/proto/prism/keyvalue/v1"
	sessionv1 "github.com/prism-data-layer/prism/proto/prism/session/v1"
	"github.com/prism-data-layer/prism/test/harness"
)

// conns are connections by the port that serves a method.
func (r *rig) conns(t *testing.T) func(m *wire.Method) []*grpc.ClientConn {
	data, admin := r.Dial(t, "data"), r.Dial(t, "admin")
	return func(m *wire.Method) []*grpc.ClientConn {
		switch {
		case strings.Contains(m.Service, "admin"):
			return []*grpc.ClientConn{admin}
		case strings.Contains(m.Service, "config"):
			return []*grpc.ClientConn{data, admin}
		}
		return []*grpc.ClientConn{data}
	}
}

// No credential, on every method there is.
func TestAttack_A1(t *testing.T) {
	t.Parallel()
	var entered atomic.Int64
	r := start(t, harness.Options{Drivers: harness.Faulty(func(context.Context, string) error { entered.Add(1); return nil })})
	conns := r.conns(t)
	text := ""
	for name, m := range wire.Methods() {
		for _, conn := range conns(m) {
			for what, ctx := range map[string]context.Context{
				"nothing": harness.Context(t), "a word": as(t, "word"), "another's shape": as(t, "prism_000000000000_00000000000000000000000000000000000000"),
			} {
				o := refused(t, name+" with "+what, knock(ctx, conn, m, nil), codes.Unauthenticated)
				if text == "" {
					text = o.Message()
				}
				if o.Message() != text {
					t.Errorf("%s with %s says %q, others %q", name, what, o.Message(), text)
				}
			}
		}
	}
	if n := entered.Load(); n != 0 {
		t.Errorf("the store was asked %d times", n)
	}
	// Nor is anybody told what there is, who may not call it.
	for _, port := range []string{"data", "admin"} {
		st, err := reflectionv1.NewServerReflectionClient(r.Dial(t, port)).ServerReflectionInfo(harness.Context(t))
		if err != nil {
			t.Fatal(err)
		}
		_ = st.Send(&reflectionv1.ServerReflectionRequest{MessageRequest: &reflectionv1.ServerReflectionRequest_ListServices{}})
		_, err = st.Recv()
		refused(t, "reflection on "+port, err, codes.Unauthenticated)
		h, err := healthv1.NewHealthClient(r.Dial(t, port)).Check(harness.Context(t), &healthv1.HealthCheckRequest{})
		if err != nil || h.Status != healthv1.HealthCheckResponse_SERVING {
			t.Errorf("health on %s: %v, %v", port, h, err)
		}
	}
	st, err := reflectionv1.NewServerReflectionClient(r.Dial(t, "data")).ServerReflectionInfo(as(t, r.a))
	if err != nil {
		t.Fatal(err)
	}
	_ = st.Send(&reflectionv1.ServerReflectionRequest{MessageRequest: &reflectionv1.ServerReflectionRequest_ListServices{}})
	if _, err := st.Recv(); err != nil {
		t.Errorf("reflection with a key: %v", err)
	}
}

// Tenant A on every call with the namespace of B, and with one of nobody.
func TestAttack_A24(t *testing.T) {
	t.Parallel()
	r := start(t, harness.Options{})
	conn := r.Dial(t, "data")
	for _, m := range models() {
		theirs := refused(t, m.Name+" of b", knock(as(t, r.a), conn, m, namespaced("b")), codes.PermissionDenied)
		for _, name := range []string{"c", "bb", "b-", "b0", "zzz", "a0", "default", "kv", "system", "b-b", "aa", "x"} {
			o := refused(t, m.Name+" of "+name, knock(as(t, r.a), conn, m, namespaced(name)), codes.PermissionDenied)
			if o.Message() != theirs.Message() || len(o.Details()) != len(theirs.Details()) || len(o.Proto().String()) != len(theirs.Proto().String()) {
				t.Errorf("%s tells b from %s: %q and %q", m.Name, name, theirs.Proto(), o.Proto())
			}
		}
	}
}

// Names that are not of the one form.
func TestAttack_A25(t *testing.T) {
	t.Parallel()
	r := start(t, harness.Options{})
	conn := r.Dial(t, "data")
	for _, m := range models() {
		for _, name := range []string{
			"a/../b", "a%2fb", "A", "a\x00b", "\u00e1", "a\u0301", "\u0430", "", strings.Repeat("a", 4096), ".", "__system", strings.Repeat("a", 64), "a ", " a", "a\n", "-a", "0a", "a_b", "a.b",
		} {
			for who, key := range map[string]string{"a": r.a, "admin": r.admin} {
				o := refused(t, fmt.Sprintf("%s of %.20q by %s", m.Name, name, who), knock(as(t, key), conn, m, namespaced(name)), codes.InvalidArgument)
				if f := o.Fields(); len(f) == 0 || f[0] != "namespace" {
					t.Errorf("%s of %.20q names %q", m.Name, name, f)
				}
			}
		}
	}
}

// One request id: same body, other body, other tenant, a hundred at once.
func TestAttack_A27(t *testing.T) {
	t.Parallel()
	r := start(t, harness.Options{})
	kv := r.KeyValue(t)
	inc := func(key, ns string, delta int64) (*kvv1.IncrementResponse, error) {
		return kv.Increment(as(t, key), &kvv1.IncrementRequest{Namespace: ns, Key: "n", Delta: delta, IdempotencyKey: "id"})
	}
	var wg sync.WaitGroup
	var replays, aborted atomic.Int64
	for range 100 {
		wg.Go(func() {
			got, err := inc(r.a, "a", 1)
			switch {
			case err == nil && got.Value == 1:
				replays.Add(1)
			case harness.Read(err).Code() == codes.Aborted:
				aborted.Add(1)
			default:
				t.Errorf("%v, %v", got, err)
			}
		})
	}
	wg.Wait()
	if replays.Load()+aborted.Load() != 100 || replays.Load() == 0 {
		t.Errorf("%d answered alike, %d aborted", replays.Load(), aborted.Load())
	}
	_, err := inc(r.a, "a", 2)
	if o := refused(t, "another body", err, codes.InvalidArgument); o.Info.GetReason() != string(prism.ReasonKeyReused) {
		t.Errorf("another body: %v", o.Info)
	}
	if got, err := inc(r.b, "b", 2); err != nil || got.Value != 2 {
		t.Errorf("another tenant: %v, %v", got, err)
	}
}

// What A was given, in the hands of B.
func TestAttack_A28(t *testing.T) {
	t.Parallel()
	r := start(t, harness.Options{File: strings.Replace(tenants, `["service:a"]`, `["service:a", "service:b"]`, 1)})
	kv, sessions := r.KeyValue(t), r.Sessions(t)
	for i := range 5 {
		if _, err := kv.Set(as(t, r.a), &kvv1.SetRequest{Namespace: "a", Key: fmt.Sprint(i)}); err != nil {
			t.Fatal(err)
		}
	}
	page, err := kv.Scan(as(t, r.a), &kvv1.ScanRequest{Namespace: "a", Limit: 2})
	if err != nil {
		t.Fatal(err)
	}
	_, err = kv.Scan(as(t, r.b), &kvv1.ScanRequest{Namespace: "a", Limit: 2, Cursor: page.Cursor})
	stolen := refused(t, "a cursor of another", err, codes.InvalidArgument)
	_, err = kv.Scan(as(t, r.b), &kvv1.ScanRequest{Namespace: "a", Limit: 2, Cursor: "AQAAAAAAAAAAAAAAAAAAAAAAAAAA"})
	made := refused(t, "a cursor of nobody", err, codes.InvalidArgument)
	if stolen.Message() != made.Message() {
		t.Errorf("%q and %q can be told apart", stolen.Message(), made.Message())
	}

	s, err := sessions.CreateSession(as(t, r.a), &sessionv1.CreateSessionRequest{})
	if err != nil {
		t.Fatal(err)
	}
	if len(s.SessionToken) < 32 || len(s.SessionId) < 22 {
		t.Errorf("id %q and token of %d characters: too few bits", s.SessionId, len(s.SessionToken))
	}
	texts := map[string]bool{}
	last := s.SessionToken[len(s.SessionToken)-1]
	for what, token := range map[string]string{
		"another's token": s.SessionToken, "the next token": s.SessionToken[:len(s.SessionToken)-1] + string(last^1),
		"the public id": s.SessionId, "nobody's token": "prism_session_" + strings.Repeat("0", 32),
	} {
		_, err := sessions.GetSession(harness.In(as(t, r.b), token), &sessionv1.GetSessionRequest{})
		texts[refused(t, what, err, codes.Unauthenticated).Message()] = true
	}
	if len(texts) != 1 {
		t.Errorf("they can be told apart: %v", texts)
	}
	if _, err := sessions.GetSession(harness.In(as(t, r.a), s.SessionToken), &sessionv1.GetSessionRequest{}); err != nil {
		t.Errorf("its owner: %v", err)
	}

	// A position is of a namespace: it opens no other.
	w, err := kv.Watch(as(t, r.a), &kvv1.WatchRequest{Namespace: "a"})
	if err != nil {
		t.Fatal(err)
	}
	first, err := w.Recv()
	if err != nil {
		t.Fatal(err)
	}
	w, err = kv.Watch(as(t, r.b), &kvv1.WatchRequest{Namespace: "b", Position: first.Position})
	if err == nil {
		_, err = w.Recv()
	}
	refused(t, "a position of another namespace", err, codes.InvalidArgument)

	ids := map[string]bool{}
	for range 20 {
		st, err := kv.Transaction(as(t, r.a))
		if err != nil {
			t.Fatal(err)
		}
		_ = st.Send(&kvv1.TransactionRequest{Step: &kvv1.TransactionRequest_Begin{Begin: &kvv1.TransactionBegin{Namespace: "a"}}})
		begun, err := st.Recv()
		if err != nil {
			t.Fatal(err)
		}
		id := begun.GetBegun().TransactionId
		if len(id) != 32 || ids[id] || ids[id[:16]] {
			t.Errorf("transaction id %q", id)
		}
		ids[id], ids[id[:16]] = true, true
		_ = st.CloseSend()
	}
}

// A transaction, a batch and a pipeline of A that reach for B.
func TestAttack_A30(t *testing.T) {
	t.Parallel()
	r := start(t, harness.Options{})
	kv := r.KeyValue(t)
	if _, err := kv.Set(as(t, r.b), &kvv1.SetRequest{Namespace: "b", Key: "k", Value: []byte("theirs")}); err != nil {
		t.Fatal(err)
	}
	st, err := kv.Transaction(as(t, r.a))
	if err != nil {
		t.Fatal(err)
	}
	_ = st.Send(&kvv1.TransactionRequest{Step: &kvv1.TransactionRequest_Begin{Begin: &kvv1.TransactionBegin{Namespace: "b"}}})
	_, err = st.Recv()
	refused(t, "a transaction on b", err, codes.PermissionDenied)

	// One that has begun on a stays there: a second begin ends it.
	st, err = kv.Transaction(as(t, r.a))
	if err != nil {
		t.Fatal(err)
	}
	for _, req := range []*kvv1.TransactionRequest{
		{Step: &kvv1.TransactionRequest_Begin{Begin: &kvv1.TransactionBegin{Namespace: "a"}}},
		{Step: &kvv1.TransactionRequest_Set{Set: &kvv1.TransactionSet{Key: "k", Value: []byte("mine")}}},
	} {
		_ = st.Send(req)
		if _, err := st.Recv(); err != nil {
			t.Fatal(err)
		}
	}
	_ = st.Send(&kvv1.TransactionRequest{Step: &kvv1.TransactionRequest_Begin{Begin: &kvv1.TransactionBegin{Namespace: "b"}}})
	_, err = st.Recv()
	refused(t, "a second begin", err, codes.FailedPrecondition)

	batch, err := kv.BatchSet(as(t, r.a), &kvv1.BatchSetRequest{Namespace: "a", Items: []*kvv1.SetRequest{{Namespace: "b", Key: "k", Value: []byte("mine")}}})
	if err != nil || batch.Results[0].GetError() == nil {
		t.Errorf("a batch item on b: %v, %v", batch, err)
	}
	p, err := kv.Pipeline(as(t, r.a))
	if err != nil {
		t.Fatal(err)
	}
	_ = p.Send(&kvv1.PipelineRequest{Message: &kvv1.PipelineRequest_Open{Open: &kvv1.PipelineOpen{Namespace: "a"}}})
	_ = p.Send(&kvv1.PipelineRequest{Message: &kvv1.PipelineRequest_Frame{Frame: &kvv1.PipelineFrame{Id: 1, Ops: []*kvv1.PipelineOp{
		{Op: &kvv1.PipelineOp_Set{Set: &kvv1.SetRequest{Namespace: "b", Key: "k", Value: []byte("mine")}}},
		{Op: &kvv1.PipelineOp_Delete{Delete: &kvv1.DeleteRequest{Namespace: "b", Key: "k"}}},
		{Op: &kvv1.PipelineOp_Get{Get: &kvv1.GetRequest{Namespace: "b", Key: "k"}}},
	}}}})
	_, _ = p.Recv()
	a, err := p.Recv()
	if err != nil {
		t.Fatal(err)
	}
	for i, res := range a.Results {
		if res.GetError() == nil {
			t.Errorf("operation %d on b: %v", i, res)
		}
	}
	got, err := kv.Get(as(t, r.b), &kvv1.GetRequest{Namespace: "b", Key: "k"})
	if err != nil || string(got.Value) != "theirs" {
		t.Errorf("b has %v, %v", got, err)
	}
	there, err := kv.Exists(as(t, r.a), &kvv1.ExistsRequest{Namespace: "a", Key: "k"})
	if err != nil || there.Exists {
		t.Errorf("a has the key of what was refused: %v, %v", there, err)
	}
}

// An update that reaches for what it may not change.
func TestAttack_A32(t *testing.T) {
	t.Parallel()
	r := start(t, harness.Options{})
	admin := r.Admin(t)
	if _, err := admin.CreateNamespace(as(t, r.admin), &adminv1.CreateNamespaceRequest{Spec: &adminv1.NamespaceSpec{Name: "made"}}); err != nil {
		// No durable backend: name one.
		if _, err := admin.CreateNamespace(as(t, r.admin), &adminv1.CreateNamespaceRequest{Spec: &adminv1.NamespaceSpec{Name: "made", Backend: "volatile"}}); err != nil {
			t.Fatal(err)
		}
	}
	spec := &adminv1.NamespaceSpec{Name: "made", Description: "changed", Model: "queue", Backend: "other", Access: &adminv1.Access{Owners: []string{"service:a"}}}
	for _, mask := range []string{"*", "", "name", "model", "backend", "revision", "created_at_ms", "created_by", "state", "declared_in", "bound_backend", "usage", "access.owners", "spec", "Description"} {
		_, err := admin.UpdateNamespace(as(t, r.admin), &adminv1.UpdateNamespaceRequest{Spec: spec, UpdateMask: []string{"description", mask}})
		refused(t, "mask "+mask, err, codes.InvalidArgument)
	}
	_, err := admin.UpdateNamespace(as(t, r.admin), &adminv1.UpdateNamespaceRequest{Spec: spec})
	refused(t, "no mask", err, codes.InvalidArgument)
	n, err := admin.UpdateNamespace(as(t, r.admin), &adminv1.UpdateNamespaceRequest{Spec: spec, UpdateMask: []string{"description"}})
	if err != nil {
		t.Fatal(err)
	}
	if s := n.Namespace.Spec; s.Description != "changed" || s.Model != "keyvalue" || len(s.Access.GetOwners()) != 1 || s.Access.Owners[0] != "user:admin" || n.Namespace.BoundBackend != "volatile" {
		t.Errorf("more than the mask was changed: %v", n)
	}
	// The lesser roles may not change anything, and nobody makes himself more.
	for _, role := range []string{"viewer", "operator"} {
		key, _ := r.Key(t, r.admin, "user:"+role, role)
		_, err := admin.UpdateNamespace(as(t, key), &adminv1.UpdateNamespaceRequest{Spec: spec, UpdateMask: []string{"access"}})
		refused(t, role+" updates", err, codes.PermissionDenied)
		_, err = admin.CreateKey(as(t, key), &adminv1.CreateKeyRequest{Principal: "user:me", Roles: []string{"admin"}})
		refused(t, role+" makes a key", err, codes.PermissionDenied)
	}
	for _, principal := range []string{"dev", "user:*", "root:x", "user:", "user:a b", "user:a\nb"} {
		_, err := admin.CreateKey(as(t, r.admin), &adminv1.CreateKeyRequest{Principal: principal})
		refused(t, "a key for "+principal, err, codes.InvalidArgument)
	}
}

// A data credential on the admin API, and the admin API on the data port.
func TestAttack_A33(t *testing.T) {
	t.Parallel()
	r := start(t, harness.Options{})
	data, admin := r.Dial(t, "data"), r.Dial(t, "admin")
	for name, m := range wire.Methods() {
		if m.Service != adminv1.AdminService_ServiceDesc.ServiceName && m.Name != "RegisterConfig" {
			continue
		}
		refused(t, name+" by a tenant", knock(as(t, r.a), admin, m, nil), codes.PermissionDenied)
		refused(t, name+" on the data port by a tenant", knock(as(t, r.a), data, m, nil), codes.Unimplemented)
		refused(t, name+" on the data port by an admin", knock(as(t, r.admin), data, m, nil), codes.Unimplemented)
	}
	for _, m := range models() {
		refused(t, m.Name+" on the admin port", knock(as(t, r.admin), admin, m, func(msg protoreflect.Message) { namespaced("a")(msg) }), codes.Unimplemented)
	}
	// Every refusal stands in the audit trail.
	list, err := r.Admin(t).ListAudit(as(t, r.admin), &adminv1.ListAuditRequest{Actor: "service:a", Limit: 1000})
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for _, a := range list.Records {
		if a.Decision != "denied" || a.Result != "PERMISSION_DENIED" || time.Since(time.UnixMilli(a.TimeMs)) > time.Minute {
			t.Errorf("audit: %v", a)
		}
		seen[a.Method] = true
	}
	for name, m := range wire.Methods() {
		if m.Service == adminv1.AdminService_ServiceDesc.ServiceName && !seen[name[1:]] {
			t.Errorf("no audit record of the refused %s", name)
		}
	}
}
