package admin_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/prism-data-layer/prism/pkg/prism"
	"github.com/prism-data-layer/prism/pkg/wire"
	adminv1 "github.com/prism-data-layer/prism/proto/prism/admin/v1"
	configv1 "github.com/prism-data-layer/prism/proto/prism/config/v1"
	kvv1 "github.com/prism-data-layer/prism/proto/prism/keyvalue/v1"
	sessionv1 "github.com/prism-data-layer/prism/proto/prism/session/v1"
	"github.com/prism-data-layer/prism/test/harness"
)

func start(t *testing.T, o harness.Options) (*harness.Gateway, adminv1.AdminServiceClient, context.Context) {
	t.Helper()
	g := harness.Start(t, o)
	return g, g.Admin(t), harness.Context(t)
}

func want(t *testing.T, what string, err error, code codes.Code, reason prism.Reason, fields ...string) harness.Outcome {
	t.Helper()
	o := harness.Read(err)
	if o.Code() != code || o.Info.GetReason() != string(reason) || len(fields) > 0 && !slices.Equal(o.Fields(), fields) {
		t.Errorf("%s: got %v %q, want %s %s %q", what, err, o.Fields(), code, reason, fields)
	}
	return o
}

func ok(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatalf("unexpected error: %v", err)
	}
}

func TestANamespaceOfQueuesHasSettingsOfItsOwn(t *testing.T) {
	t.Parallel()
	_, a, ctx := start(t, harness.Options{File: harness.Small})
	jobs, err := a.CreateNamespace(ctx, &adminv1.CreateNamespaceRequest{Spec: &adminv1.NamespaceSpec{
		Name: "jobs", Model: "queue", NoAutoCreate: true, DefaultKind: "log",
		Limits: &adminv1.NamespaceLimits{Queues: 1, Partitions: 2, Groups: 3, MessageBytes: 4},
	}})
	ok(t, err)
	if s := jobs.Namespace.Spec; !s.NoAutoCreate || s.DefaultKind != "log" || s.Limits.Queues != 1 || s.Limits.Partitions != 2 || s.Limits.Groups != 3 || s.Limits.MessageBytes != 4 {
		t.Errorf("made: %v", s)
	}
	u, err := a.UpdateNamespace(ctx, &adminv1.UpdateNamespaceRequest{Spec: &adminv1.NamespaceSpec{Name: "jobs"}, UpdateMask: []string{"no_auto_create", "default_kind"}})
	if err != nil || u.Namespace.Spec.NoAutoCreate || u.Namespace.Spec.DefaultKind != "" {
		t.Errorf("updated: %v, %v", u, err)
	}
	_, err = a.UpdateNamespace(ctx, &adminv1.UpdateNamespaceRequest{
		Spec:       &adminv1.NamespaceSpec{Name: "jobs", DefaultKind: "both", Limits: &adminv1.NamespaceLimits{Queues: 1_000_001, MessageBytes: prism.MaxValueBytes + 1}},
		UpdateMask: []string{"default_kind", "limits"},
	})
	want(t, "bounds of queues", err, codes.InvalidArgument, prism.ReasonInvalidArgument, "default_kind", "limits.queues", "limits.message_bytes")
}

func TestNamespaceLife(t *testing.T) {
	t.Parallel()
	g, a, ctx := start(t, harness.Options{File: harness.Small})
	kv := g.KeyValue(t)
	spec := func() *adminv1.NamespaceSpec {
		return &adminv1.NamespaceSpec{
			Name: "orders", Description: "what was ordered", Needs: &adminv1.Needs{Durability: "strong", ReadRps: 10},
			Limits: &adminv1.NamespaceLimits{RequestRps: 1000, Burst: 2000, Receipts: 500},
			Access: &adminv1.Access{Owners: []string{"team:shop"}, Consumers: []*adminv1.Grant{{Principal: "service:checkout.*", Permissions: []string{"read", "write"}}}},
		}
	}
	dry, err := a.CreateNamespace(ctx, &adminv1.CreateNamespaceRequest{Spec: spec(), DryRun: true})
	if err != nil || dry.Namespace.BoundBackend != "local" {
		t.Errorf("a dry run: %v, %v", dry, err)
	}
	_, err = a.GetNamespace(ctx, &adminv1.GetNamespaceRequest{Name: "orders"})
	want(t, "after a dry run", err, codes.NotFound, prism.ReasonNotFound)
	made, err := a.CreateNamespace(ctx, &adminv1.CreateNamespaceRequest{Spec: spec()})
	ok(t, err)
	n := made.Namespace
	if n.State != adminv1.NamespaceState_NAMESPACE_STATE_ACTIVE || n.BoundBackend != "local" || n.BoundDriver != "pebble" || n.Revision != 1 || n.Spec.Model != "keyvalue" ||
		n.Usage.ReceiptsLimit != 500 || n.Durability == "" || len(n.Capabilities) == 0 || n.CreatedAtMs == 0 || n.Spec.Access.Consumers[0].Principal != "service:checkout.*" {
		t.Errorf("made: %v", n)
	}
	_, err = a.CreateNamespace(ctx, &adminv1.CreateNamespaceRequest{Spec: spec()})
	want(t, "made twice", err, codes.AlreadyExists, prism.ReasonAlreadyExists)
	_, err = a.CreateNamespace(ctx, &adminv1.CreateNamespaceRequest{Spec: spec(), DryRun: true})
	want(t, "made twice, dry", err, codes.AlreadyExists, prism.ReasonAlreadyExists)
	if _, err := kv.Set(ctx, &kvv1.SetRequest{Namespace: "orders", Key: "k", Value: []byte("v")}); err != nil {
		t.Errorf("it is not served at once: %v", err)
	}

	next := spec()
	next.Description, next.DefaultTtlMs, next.MaxTtlMs = "changed", 1000, 2000
	for _, mask := range [][]string{{"description"}, {"default_ttl_ms", "max_ttl_ms"}, {"needs", "limits", "access"}} {
		_, err := a.UpdateNamespace(ctx, &adminv1.UpdateNamespaceRequest{Spec: next, UpdateMask: mask, DryRun: true})
		ok(t, err)
		u, err := a.UpdateNamespace(ctx, &adminv1.UpdateNamespaceRequest{Spec: next, UpdateMask: mask})
		if err != nil || mask[0] == "description" && u.Namespace.Spec.DefaultTtlMs != 0 {
			t.Errorf("update of %v: %v, %v", mask, u, err)
		}
	}
	_, err = a.UpdateNamespace(ctx, &adminv1.UpdateNamespaceRequest{Spec: next, UpdateMask: []string{"description"}, IfRevision: 1})
	if c := harness.Read(err).Code(); c != codes.FailedPrecondition && c != codes.Aborted {
		t.Errorf("an old revision: %v", err)
	}
	bad := spec()
	bad.DefaultTtlMs, bad.MaxTtlMs = 2000, 1000
	_, err = a.UpdateNamespace(ctx, &adminv1.UpdateNamespaceRequest{Spec: bad, UpdateMask: []string{"default_ttl_ms", "max_ttl_ms"}})
	want(t, "a default over the most", err, codes.InvalidArgument, prism.ReasonInvalidArgument, "default_ttl_ms")
	bad.Access = &adminv1.Access{Owners: []string{"nobody"}, Consumers: []*adminv1.Grant{{Principal: "*:x"}, {Principal: "user:a", Permissions: []string{"own"}}}}
	bad.Needs = &adminv1.Needs{Durability: "some"}
	_, err = a.UpdateNamespace(ctx, &adminv1.UpdateNamespaceRequest{Spec: bad, UpdateMask: []string{"access", "needs"}})
	want(t, "rules that are none", err, codes.InvalidArgument, prism.ReasonInvalidArgument,
		"needs.durability", "access.owners[0]", "access.consumers[0].principal", "access.consumers[0].permissions", "access.consumers[1].permissions[0]")
	_, err = a.UpdateNamespace(ctx, &adminv1.UpdateNamespaceRequest{
		Spec: &adminv1.NamespaceSpec{Name: "orders", NoAutoCreate: true, DefaultKind: "log"}, UpdateMask: []string{"no_auto_create", "default_kind"},
	})
	want(t, "of queues", err, codes.InvalidArgument, prism.ReasonInvalidArgument, "no_auto_create", "default_kind")
	for field, s := range map[string]*adminv1.NamespaceSpec{"model": {Name: "x", Model: "graph"}, "backend": {Name: "x", Backend: "none"}} {
		_, err = a.CreateNamespace(ctx, &adminv1.CreateNamespaceRequest{Spec: s})
		want(t, field, err, codes.InvalidArgument, prism.ReasonInvalidArgument, field)
	}
	_, err = a.UpdateNamespace(ctx, &adminv1.UpdateNamespaceRequest{Spec: &adminv1.NamespaceSpec{Name: "none"}, UpdateMask: []string{"description"}})
	want(t, "no such namespace", err, codes.NotFound, prism.ReasonNotFound)

	// Pages, by name.
	var names []string
	cursor := ""
	for {
		l, err := a.ListNamespaces(ctx, &adminv1.ListNamespacesRequest{Limit: 1, Cursor: cursor})
		ok(t, err)
		for _, n := range l.Namespaces {
			names = append(names, n.Spec.Name)
		}
		if cursor = l.Cursor; cursor == "" {
			break
		}
	}
	if fmt.Sprint(names) != "[disk mem orders]" {
		t.Errorf("ListNamespaces: %v", names)
	}

	if d, err := a.DeleteNamespace(ctx, &adminv1.DeleteNamespaceRequest{Name: "orders", DryRun: true}); err != nil || d.Operation.Resource != "orders" {
		t.Errorf("a dry deletion: %v, %v", d, err)
	}
	d, err := a.DeleteNamespace(ctx, &adminv1.DeleteNamespaceRequest{Name: "orders"})
	ok(t, err)
	harness.Eventually(t, 10*time.Second, "the deletion is over", func() bool {
		o, err := a.GetOperation(ctx, &adminv1.GetOperationRequest{OperationId: d.Operation.OperationId})
		return err == nil && o.Operation.State == adminv1.OperationState_OPERATION_STATE_DONE
	})
	_, err = kv.Get(ctx, &kvv1.GetRequest{Namespace: "orders", Key: "k"})
	want(t, "its data", err, codes.NotFound, prism.ReasonNotFound)
	_, err = a.DeleteNamespace(ctx, &adminv1.DeleteNamespaceRequest{Name: "orders"})
	want(t, "deleted twice", err, codes.NotFound, prism.ReasonNotFound)
	_, err = a.GetOperation(ctx, &adminv1.GetOperationRequest{OperationId: "none"})
	want(t, "no such operation", err, codes.NotFound, prism.ReasonNotFound)

	// The history outlives it, the newest first, in pages.
	var kinds []string
	for cursor = ""; ; {
		h, err := a.ListNamespaceHistory(ctx, &adminv1.ListNamespaceHistoryRequest{Name: "orders", Limit: 2, Cursor: cursor})
		ok(t, err)
		for _, e := range h.Events {
			kinds = append(kinds, e.Kind)
			if e.Actor != "dev" || e.TimeMs == 0 {
				t.Errorf("event: %v", e)
			}
		}
		if cursor = h.Cursor; cursor == "" {
			break
		}
	}
	if len(kinds) != 5 || kinds[0] != "deleted" || kinds[len(kinds)-1] != "created" {
		t.Errorf("history: %v", kinds)
	}
	// And it may be made again, empty.
	_, err = a.CreateNamespace(ctx, &adminv1.CreateNamespaceRequest{Spec: spec()})
	ok(t, err)
	_, err = kv.Get(ctx, &kvv1.GetRequest{Namespace: "orders", Key: "k"})
	want(t, "made again", err, codes.NotFound, prism.ReasonNotFound)
}

// A deletion that a stop interrupts goes on at the next start.
func TestADeletionOutlivesARestart(t *testing.T) {
	t.Parallel()
	g, a, ctx := start(t, harness.Options{File: harness.Small})
	kv := g.KeyValue(t)
	_, err := a.CreateNamespace(ctx, &adminv1.CreateNamespaceRequest{Spec: &adminv1.NamespaceSpec{Name: "made", Backend: "local"}})
	ok(t, err)
	// An open transaction holds the namespace for a while.
	tx, err := kv.Transaction(ctx)
	ok(t, err)
	ok(t, tx.Send(&kvv1.TransactionRequest{Step: &kvv1.TransactionRequest_Begin{Begin: &kvv1.TransactionBegin{Namespace: "made"}}}))
	_, err = tx.Recv()
	ok(t, err)
	d, err := a.DeleteNamespace(ctx, &adminv1.DeleteNamespaceRequest{Name: "made"})
	ok(t, err)
	g.Restart(t)
	harness.Eventually(t, 10*time.Second, "the deletion is over", func() bool {
		o, err := a.GetOperation(ctx, &adminv1.GetOperationRequest{OperationId: d.Operation.OperationId})
		return err == nil && o.Operation.State == adminv1.OperationState_OPERATION_STATE_DONE
	})
	_, err = a.GetNamespace(ctx, &adminv1.GetNamespaceRequest{Name: "made"})
	want(t, "it", err, codes.NotFound, prism.ReasonNotFound)
}

func TestBackendsSessionsKeysAndStats(t *testing.T) {
	t.Parallel()
	g, a, ctx := start(t, harness.Options{File: harness.Small})
	kv := g.KeyValue(t)
	for i := range 5 {
		_, err := kv.Set(ctx, &kvv1.SetRequest{Namespace: "mem", Key: fmt.Sprint(i)})
		ok(t, err)
	}
	_, _ = kv.Get(ctx, &kvv1.GetRequest{Namespace: "mem", Key: "none"})

	checked, err := a.CheckBackendHealth(ctx, &adminv1.CheckBackendHealthRequest{})
	if err != nil || len(checked.Backends) != 2 {
		t.Fatalf("CheckBackendHealth: %v, %v", checked, err)
	}
	l, err := a.ListBackends(ctx, &adminv1.ListBackendsRequest{})
	ok(t, err)
	for i, name := range []string{"local", "volatile"} {
		if b := l.Backends[i]; b.Name != name || b.Health != adminv1.HealthState_HEALTH_STATE_HEALTHY || b.CheckedAtMs == 0 || len(b.Capabilities) == 0 || len(b.Namespaces) != 1 || !strings.HasPrefix(b.DeclaredIn, "prism.yaml:") || b.Durability == "" {
			t.Errorf("backend: %v", b)
		}
	}
	b, err := a.GetBackend(ctx, &adminv1.GetBackendRequest{Name: "local"})
	if err != nil || b.Backend.Driver != "pebble" {
		t.Errorf("GetBackend: %v, %v", b, err)
	}
	_, err = a.GetBackend(ctx, &adminv1.GetBackendRequest{Name: "none"})
	want(t, "no such backend", err, codes.NotFound, prism.ReasonNotFound)
	_, err = a.CheckBackendHealth(ctx, &adminv1.CheckBackendHealthRequest{Name: "none"})
	want(t, "no such backend to probe", err, codes.NotFound, prism.ReasonNotFound)

	for i := range 3 {
		_, err := g.Sessions(t).CreateSession(ctx, &sessionv1.CreateSessionRequest{ClientId: fmt.Sprint("client", i), ClientVersion: "1", Namespaces: []string{"mem"}})
		ok(t, err)
	}
	var ids []string
	for cursor := ""; ; {
		s, err := a.ListSessions(ctx, &adminv1.ListSessionsRequest{Namespace: "mem", Principal: "dev", Limit: 2, Cursor: cursor})
		ok(t, err)
		for _, x := range s.Sessions {
			ids = append(ids, x.SessionId)
		}
		if cursor = s.Cursor; cursor == "" {
			break
		}
	}
	if len(ids) < 3 {
		t.Errorf("sessions: %v", ids)
	}
	s, err := a.GetSession(ctx, &adminv1.GetSessionRequest{SessionId: ids[0]})
	if err != nil || s.Session.Principal != "dev" {
		t.Errorf("GetSession: %v, %v", s, err)
	}
	_, err = a.TerminateSession(ctx, &adminv1.TerminateSessionRequest{SessionId: ids[0], Reason: "enough"})
	ok(t, err)
	_, err = a.TerminateSession(ctx, &adminv1.TerminateSessionRequest{SessionId: ids[0]})
	want(t, "terminated twice", err, codes.NotFound, prism.ReasonNotFound)

	k, err := a.CreateKey(ctx, &adminv1.CreateKeyRequest{Principal: "service:shop", Roles: []string{"viewer"}, Description: "for the shop", TtlMs: 60_000})
	if err != nil || k.Secret == "" || k.Key.ExpiresAtMs == 0 || k.Key.Description != "for the shop" {
		t.Fatalf("CreateKey: %v, %v", k, err)
	}
	_, err = a.CreateKey(ctx, &adminv1.CreateKeyRequest{Principal: "x", Roles: []string{"king"}})
	want(t, "a bad key", err, codes.InvalidArgument, prism.ReasonInvalidArgument, "principal", "roles[0]")
	if st, err := a.GetStatus(harness.As(ctx, k.Secret), &adminv1.GetStatusRequest{}); err != nil || st.Principal != "service:shop" {
		t.Errorf("a viewer's status: %v, %v", st, err)
	}
	_, err = a.ListAudit(harness.As(ctx, k.Secret), &adminv1.ListAuditRequest{})
	want(t, "a viewer's audit", err, codes.PermissionDenied, prism.ReasonPermissionDenied)
	r, err := a.RevokeKey(ctx, &adminv1.RevokeKeyRequest{KeyId: k.Key.KeyId})
	if err != nil || r.Key.RevokedAtMs == 0 {
		t.Errorf("RevokeKey: %v, %v", r, err)
	}
	_, err = a.GetStatus(harness.As(ctx, k.Secret), &adminv1.GetStatusRequest{})
	want(t, "a revoked key", err, codes.Unauthenticated, prism.ReasonUnauthenticated)
	for revoked, n := range map[bool]int{false: 0, true: 1} {
		if l, err := a.ListKeys(ctx, &adminv1.ListKeysRequest{IncludeRevoked: revoked}); err != nil || len(l.Keys) != n {
			t.Errorf("ListKeys: %v, %v", l, err)
		}
	}
	_, err = a.RevokeKey(ctx, &adminv1.RevokeKeyRequest{KeyId: "none"})
	want(t, "no such key", err, codes.NotFound, prism.ReasonNotFound)

	stats, err := a.GetStats(ctx, &adminv1.GetStatsRequest{})
	ok(t, err)
	found := false
	for _, m := range stats.Methods {
		if strings.HasSuffix(m.Method, "KeyValueService/Set") {
			found = m.Calls == 5 && m.Errors == 0 && m.Latency.SumUs > 0
		}
	}
	if !found || len(stats.Namespaces) == 0 || stats.Namespaces[0].Writes != 5 {
		t.Errorf("GetStats: %v", stats)
	}
}

func TestConfigurations(t *testing.T) {
	t.Parallel()
	g, _, ctx := start(t, harness.Options{})
	c := configv1.NewConfigServiceClient(g.Dial(t, "admin"))
	one := func(version string) *configv1.ClientConfig {
		return &configv1.ClientConfig{
			Name: "shop", Version: version, Pattern: configv1.AccessPattern_ACCESS_PATTERN_KEY_VALUE, Namespace: "mem",
			Backend:     &configv1.BackendConfig{Name: "volatile", Options: map[string]string{"a": "b"}},
			Consistency: &configv1.ConsistencyConfig{Level: configv1.ConsistencyLevel_CONSISTENCY_LEVEL_STRONG, TimeoutMs: 100},
			Cache:       &configv1.CacheConfig{Enabled: true, TtlSeconds: 10, MaxSizeMb: 1}, RateLimit: &configv1.RateLimitConfig{RequestsPerSecond: 5, Burst: 6},
		}
	}
	for _, version := range []string{"1", "2"} {
		r, err := c.RegisterConfig(ctx, &configv1.RegisterConfigRequest{Config: one(version)})
		if err != nil || r.Replaced {
			t.Fatalf("RegisterConfig: %v, %v", r, err)
		}
	}
	_, err := c.RegisterConfig(ctx, &configv1.RegisterConfigRequest{Config: one("1")})
	want(t, "registered twice", err, codes.AlreadyExists, prism.ReasonAlreadyExists)
	if r, err := c.RegisterConfig(ctx, &configv1.RegisterConfigRequest{Config: one("1"), Overwrite: true}); err != nil || !r.Replaced {
		t.Errorf("overwritten: %v, %v", r, err)
	}
	got, err := c.GetConfig(ctx, &configv1.GetConfigRequest{Name: "shop", Version: "1"})
	if err != nil || got.Config.Cache.TtlSeconds != 10 || got.Config.Consistency.TimeoutMs != 100 || got.Config.RateLimit.Burst != 6 || got.Config.Backend.Options["a"] != "b" {
		t.Errorf("GetConfig: %v, %v", got, err)
	}
	_, err = c.GetConfig(ctx, &configv1.GetConfigRequest{Name: "none"})
	want(t, "no such configuration", err, codes.NotFound, prism.ReasonNotFound)
	if l, err := c.ListConfigs(ctx, &configv1.ListConfigsRequest{Pattern: configv1.AccessPattern_ACCESS_PATTERN_KEY_VALUE, Namespace: "mem"}); err != nil || len(l.Configs) != 2 {
		t.Errorf("ListConfigs: %v, %v", l, err)
	}
	bad := one("3")
	bad.Pattern, bad.Version = 0, ""
	if v, err := c.ValidateConfig(ctx, &configv1.ValidateConfigRequest{Config: bad}); err != nil || v.Valid || len(v.Errors) == 0 {
		t.Errorf("ValidateConfig: %v, %v", v, err)
	}
	if _, err := c.RegisterConfig(ctx, &configv1.RegisterConfigRequest{Config: bad}); harness.Read(err).Code() != codes.InvalidArgument {
		t.Errorf("a bad one is registered: %v", err)
	}
}

// Every call leaves a record of who, what and how it came out.
func TestAudit(t *testing.T) {
	t.Parallel()
	_, a, ctx := start(t, harness.Options{File: harness.Small})
	marked := metadata.AppendToOutgoingContext(ctx, wire.RequestID, "audited-1")
	_, err := a.CreateNamespace(marked, &adminv1.CreateNamespaceRequest{Spec: &adminv1.NamespaceSpec{Name: "made"}})
	ok(t, err)
	_, _ = a.GetNamespace(ctx, &adminv1.GetNamespaceRequest{Name: "none"})
	_, _ = a.GetBackend(ctx, &adminv1.GetBackendRequest{Name: "BAD"})
	_, _ = a.GetStatus(harness.As(ctx, "wrong"), &adminv1.GetStatusRequest{})
	l, err := a.ListAudit(ctx, &adminv1.ListAuditRequest{Limit: 10})
	ok(t, err)
	type row struct{ method, actor, resource, decision, result string }
	var got []row
	for _, r := range l.Records {
		got = append(got, row{r.Method[strings.LastIndexByte(r.Method, '/')+1:], r.Actor, r.Resource, r.Decision, r.Result})
		if r.Peer == "" || r.RequestId == "" || r.TimeMs == 0 {
			t.Errorf("record: %v", r)
		}
	}
	wanted := []row{
		{"GetStatus", "", "", "denied", "UNAUTHENTICATED"},
		{"GetBackend", "dev", "BAD", "denied", "INVALID_ARGUMENT"},
		{"GetNamespace", "dev", "none", "allowed", "NOT_FOUND"},
		{"CreateNamespace", "dev", "made", "allowed", "OK"},
	}
	if !slices.Equal(got, wanted) {
		t.Errorf("the audit trail is\n%v, want\n%v", got, wanted)
	}
	if l.Records[3].RequestId != "audited-1" {
		t.Errorf("the request's id is %q", l.Records[3].RequestId)
	}
	f, err := a.ListAudit(ctx, &adminv1.ListAuditRequest{Actor: "dev", Method: l.Records[3].Method, Resource: "made", SinceMs: time.Now().Add(-time.Minute).UnixMilli(), UntilMs: time.Now().Add(time.Minute).UnixMilli(), Limit: 1})
	if err != nil || len(f.Records) != 1 || f.Records[0].Resource != "made" {
		t.Errorf("filtered: %v, %v", f, err)
	}
}

// TestBadValuesOfEveryField drives every bad value of every rule through every
// field of the operator's API, from the descriptors.
func TestBadValuesOfEveryField(t *testing.T) {
	t.Parallel()
	g := harness.Start(t, harness.Options{})
	conn := g.Dial(t, "admin")
	for _, file := range []protoreflect.FileDescriptor{adminv1.File_prism_admin_v1_admin_proto, configv1.File_prism_config_v1_config_proto} {
		s := file.Services().Get(0)
		for i := range s.Methods().Len() {
			m := s.Methods().Get(i)
			for _, v := range harness.Values(m.Input()) {
				var reply []byte
				ctx, cancel := context.WithCancel(harness.Context(t))
				st, err := conn.NewStream(ctx, &grpc.StreamDesc{ServerStreams: true}, "/"+string(s.FullName())+"/"+string(m.Name()), harness.Raw())
				ok(t, err)
				ok(t, st.SendMsg(v.Raw))
				ok(t, st.CloseSend())
				err = st.RecvMsg(&reply) // the first message tells
				cancel()
				o := harness.Read(err)
				named := slices.ContainsFunc(o.Fields(), func(f string) bool { return f == v.Field || strings.HasPrefix(f, v.Field+"[") })
				switch {
				case o.Code() == codes.Internal || o.Code() == codes.Unknown:
					t.Errorf("%s: %s = %s: %v", m.Name(), v.Field, v.What, err)
				case v.Good && named:
					t.Errorf("%s: %s = %s is refused: %v", m.Name(), v.Field, v.What, err)
				case !v.Good && (o.Code() != codes.InvalidArgument || !named):
					t.Errorf("%s: %s = %s is not refused with the field: %v %q", m.Name(), v.Field, v.What, err, o.Fields())
				}
			}
		}
	}
}

// Events of a namespace that says how long they are kept are never kept for ever
// without a word.
func TestARetentionThatNoBackendPutsInForceIsRefused(t *testing.T) {
	t.Parallel()
	_, a, ctx := start(t, harness.Options{Drivers: harness.Lacking("timeseries_retention")})
	series := func(retention time.Duration) *adminv1.NamespaceSpec {
		return &adminv1.NamespaceSpec{Name: "series", Model: "timeseries", Backend: "volatile", RetentionMs: retention.Milliseconds()}
	}
	refused := func(what string, err error) {
		t.Helper()
		o := want(t, what, err, codes.Unimplemented, prism.ReasonCapabilityMissing)
		if !strings.Contains(o.Message(), "timeseries_retention") || o.Info.GetMetadata()["missing"] != "timeseries_retention" {
			t.Errorf("%s: the reason is not told: %s, %v", what, o.Message(), o.Info)
		}
	}
	for _, dry := range []bool{true, false} {
		_, err := a.CreateNamespace(ctx, &adminv1.CreateNamespaceRequest{Spec: series(time.Hour), DryRun: dry})
		refused(fmt.Sprintf("create, dry run %v", dry), err)
	}
	_, err := a.CreateNamespace(ctx, &adminv1.CreateNamespaceRequest{Spec: series(0)})
	ok(t, err)
	for _, dry := range []bool{true, false} {
		_, err := a.UpdateNamespace(ctx, &adminv1.UpdateNamespaceRequest{Spec: series(time.Hour), UpdateMask: []string{"retention_ms"}, DryRun: dry})
		refused(fmt.Sprintf("update, dry run %v", dry), err)
	}
	_, err = a.UpdateNamespace(ctx, &adminv1.UpdateNamespaceRequest{Spec: &adminv1.NamespaceSpec{Name: "series", Description: "x"}, UpdateMask: []string{"description"}})
	ok(t, err)
	file := strings.Replace(harness.Models, "model: timeseries,", "model: timeseries, retention: 1h,", 1)
	if _, err := harness.TryStart(t, harness.Options{Drivers: harness.Lacking("timeseries_retention"), File: file}); err == nil || !strings.Contains(err.Error(), "timeseries_retention") {
		t.Errorf("a file that asks for it: %v", err)
	}
}
