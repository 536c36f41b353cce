// Package clitest is for tests of commands: a gateway in memory behind real
// gRPC on a free port, and a rig that runs the real command line against it,
// as in a pipe and as on a terminal.
package clitest

import (
	"context"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/health"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/proto"

	"github.com/prism-data-layer/prism/pkg/iostreams"
	"github.com/prism-data-layer/prism/pkg/prism"
	"github.com/prism-data-layer/prism/pkg/wire"
	adminv1 "github.com/prism-data-layer/prism/proto/prism/admin/v1"
	cachev1 "github.com/prism-data-layer/prism/proto/prism/cache/v1"
	keyvaluev1 "github.com/prism-data-layer/prism/proto/prism/keyvalue/v1"
	pubsubv1 "github.com/prism-data-layer/prism/proto/prism/pubsub/v1"
	queuev1 "github.com/prism-data-layer/prism/proto/prism/queue/v1"
	sessionv1 "github.com/prism-data-layer/prism/proto/prism/session/v1"
	timeseriesv1 "github.com/prism-data-layer/prism/proto/prism/timeseries/v1"
)

// A Gateway answers the admin API and those of the data models from memory. Its fields may
// be changed between calls.
type Gateway struct {
	adminv1.UnimplementedAdminServiceServer
	keyvaluev1.UnimplementedKeyValueServiceServer

	// Fail, if set, is asked before every call.
	Fail func(method string, md metadata.MD) error
	// Rewrite, if set, may change each message that is sent; it gets a copy.
	Rewrite func(proto.Message)
	// Watch, if set, answers watches.
	OnWatch func(*keyvaluev1.WatchRequest, grpc.ServerStreamingServer[keyvaluev1.WatchResponse]) error

	Addr   string
	PubSub *PubSub

	Queues Queues
	Series Series
	Operate

	mu         sync.Mutex
	now        time.Time
	namespaces []*adminv1.Namespace
	backends   []*adminv1.Backend
	sessions   []*adminv1.Session
	keys       []*adminv1.Key
	audit      []*adminv1.AuditRecord
	operation  *adminv1.Operation
	state      string
	version    uint64
	looks      int64 // of GetStats
	data       map[string]map[string]*keyvaluev1.Entry
	cache      map[string]*cachev1.GetResponse
	calls      []string
	tokens     []string
}

// Start runs a gateway with a few things in it until the test ends.
func Start(t testing.TB) *Gateway {
	t.Helper()
	g := &Gateway{now: iostreams.TestTime(), version: 100, data: map[string]map[string]*keyvaluev1.Entry{"kv": {}}}
	g.seed()
	g.PubSub = newPubSub(g)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	g.Addr = l.Addr().String()
	s := grpc.NewServer(grpc.UnaryInterceptor(g.unary), grpc.StreamInterceptor(g.stream), grpc.ForceServerCodecV2(wire.Codec()))
	adminv1.RegisterAdminServiceServer(s, g)
	keyvaluev1.RegisterKeyValueServiceServer(s, g)
	pubsubv1.RegisterPubSubServiceServer(s, g.PubSub)
	queuev1.RegisterWorkQueueServiceServer(s, &g.Queues)
	queuev1.RegisterQueueServiceServer(s, Logs{q: &g.Queues})
	cachev1.RegisterCacheServiceServer(s, caches{g: g})
	timeseriesv1.RegisterTimeSeriesServiceServer(s, &g.Series)
	healthv1.RegisterHealthServer(s, health.NewServer()) // the SDK asks
	go func() { _ = s.Serve(l) }()
	t.Cleanup(s.Stop)
	return g
}

// Now is what the gateway takes the time to be.
func (g *Gateway) Now() time.Time { return g.now }

// SetState makes the gateway say that it is Running, Draining or Stopping.
func (g *Gateway) SetState(state string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.state = state
}

// Reset puts everything back to how it started.
func (g *Gateway) Reset() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.looks = 0
	g.version, g.data, g.calls, g.tokens, g.operation = 100, map[string]map[string]*keyvaluev1.Entry{"kv": {}}, nil, nil, nil
	g.seed()
	g.PubSub.reset()
}

func (g *Gateway) ago(d time.Duration) int64 { return g.now.Add(-d).UnixMilli() }

func (g *Gateway) seed() {
	g.Queues.reset(g.now.UnixMilli())
	g.Series.reset(g.now)
	g.state, g.maintenance = "Running", nil
	g.cache = map[string]*cachev1.GetResponse{}
	caps := []string{"keyvalue_basic", "keyvalue_scan", "keyvalue_ttl"}
	g.namespaces = []*adminv1.Namespace{
		{
			Spec:  &adminv1.NamespaceSpec{Name: "kv", Model: "keyvalue", Backend: "local", Description: "Keys and values", Access: &adminv1.Access{Owners: []string{"user:dev"}}},
			State: adminv1.NamespaceState_NAMESPACE_STATE_ACTIVE, BoundBackend: "local", BoundDriver: "pebble", Capabilities: caps,
			CreatedAtMs: g.ago(50 * time.Hour), UpdatedAtMs: g.ago(3 * time.Minute), Revision: 3, DeclaredIn: "prism.yaml:14", Durability: "fsynced before it is answered",
			Usage: &adminv1.NamespaceUsage{Keys: 1200, SizeBytes: 1 << 20, Receipts: 7, ReceiptsLimit: 1_000_000, ActiveSessions: 2, ActiveStreams: 1},
		},
		{
			Spec:  &adminv1.NamespaceSpec{Name: "scratch", Model: "keyvalue", Backend: "volatile"},
			State: adminv1.NamespaceState_NAMESPACE_STATE_DEGRADED, BoundBackend: "local", BoundDriver: "pebble", Capabilities: caps,
			CreatedAtMs: g.ago(time.Hour), UpdatedAtMs: g.ago(time.Hour), Revision: 1, Notes: []string{"the file wishes backend volatile; the data is on local"},
			Usage: &adminv1.NamespaceUsage{},
		},
	}
	g.seedBackends(caps)
	g.sessions = []*adminv1.Session{
		{SessionId: "s-7f3a", Principal: "user:dev", ClientId: "shop", ClientVersion: "1.4", Status: sessionv1.SessionStatus_SESSION_STATUS_ACTIVE, CreatedAtMs: g.ago(time.Hour), ExpiresAtMs: g.ago(-time.Hour), LastActivityMs: g.ago(5 * time.Second), Namespaces: []string{"kv"}, Metrics: &sessionv1.SessionMetrics{RequestsProcessed: 4200, BytesSent: 9000, BytesReceived: 100, ActiveStreams: 1}},
		{SessionId: "s-8b00", Principal: "service:checkout", Status: sessionv1.SessionStatus_SESSION_STATUS_EXPIRING, CreatedAtMs: g.ago(25 * time.Hour), ExpiresAtMs: g.ago(-time.Minute), LastActivityMs: g.ago(time.Minute), Implicit: true},
	}
	g.keys = []*adminv1.Key{
		{KeyId: "k-19ab", Principal: "service:checkout", Description: "the checkout", CreatedAtMs: g.ago(240 * time.Hour), ExpiresAtMs: g.ago(-480 * time.Hour), LastUsedMs: g.ago(time.Minute)},
		{KeyId: "k-20cd", Principal: "user:ann", Roles: []string{"admin", "operator"}, CreatedAtMs: g.ago(24 * time.Hour)},
	}
	g.audit = []*adminv1.AuditRecord{
		{Id: 2, TimeMs: g.ago(time.Minute), Actor: "user:ann", Method: "prism.admin.v1.AdminService/CreateNamespace", Resource: "namespace:kv", Decision: "allowed", Result: "OK", RequestId: "r-2", TraceId: "4bf92f3577b34da6a3ce929d0e0e4736", Peer: "127.0.0.1", LatencyUs: 910, Calls: 1},
		{Id: 1, TimeMs: g.ago(time.Hour), Actor: "service:checkout", Method: "prism.admin.v1.AdminService/ListKeys", Decision: "denied", Result: "PERMISSION_DENIED", RequestId: "r-1", Peer: "10.0.0.9", LatencyUs: 90, Calls: 1},
	}
}

// Calls lists the methods that were called, without their service.
func (g *Gateway) Calls() []string {
	g.mu.Lock()
	defer g.mu.Unlock()
	return slices.Clone(g.calls)
}

// Tokens lists the credentials that came with the calls.
func (g *Gateway) Tokens() []string {
	g.mu.Lock()
	defer g.mu.Unlock()
	return slices.Clone(g.tokens)
}

// Change runs f while no call is answered.
func (g *Gateway) Change(f func(*State)) {
	g.mu.Lock()
	defer g.mu.Unlock()
	f(&State{&g.namespaces, &g.backends, &g.sessions, &g.keys, &g.audit, g.data})
}

// State is what a gateway holds.
type State struct {
	Namespaces *[]*adminv1.Namespace
	Backends   *[]*adminv1.Backend
	Sessions   *[]*adminv1.Session
	Keys       *[]*adminv1.Key
	Audit      *[]*adminv1.AuditRecord
	Data       map[string]map[string]*keyvaluev1.Entry
}

// Put stores an entry without a call.
func (g *Gateway) Put(ns, key, value string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.put(ns, &keyvaluev1.Entry{Key: key, Value: []byte(value)})
}

func (g *Gateway) put(ns string, e *keyvaluev1.Entry) uint64 {
	g.version++
	e.Version = g.version
	g.data[ns][e.Key] = e
	return g.version
}

func (g *Gateway) before(ctx context.Context, method string) error {
	md, _ := metadata.FromIncomingContext(ctx)
	g.mu.Lock()
	g.calls = append(g.calls, method[strings.LastIndexByte(method, '/')+1:])
	g.tokens = append(g.tokens, md.Get(wire.Authorization)...)
	fail := g.Fail
	g.mu.Unlock()
	_ = grpc.SetHeader(ctx, metadata.Pairs(wire.RequestID, "r-test"))
	if fail == nil {
		return nil
	}
	return fail(method, md)
}

func failed(err error) error {
	if err == nil {
		return nil
	}
	e := prism.From(err)
	if e.RequestID == "" {
		e.RequestID = "r-test"
	}
	return wire.ToStatus(e).Err()
}

func (g *Gateway) unary(ctx context.Context, req any, info *grpc.UnaryServerInfo, handle grpc.UnaryHandler) (any, error) {
	if err := g.before(ctx, info.FullMethod); err != nil {
		return nil, failed(err)
	}
	r, err := handle(ctx, req)
	return g.rewritten(r), failed(err)
}

func (g *Gateway) rewritten(m any) any {
	if p, ok := m.(proto.Message); ok && g.Rewrite != nil && p.ProtoReflect().IsValid() {
		p = proto.Clone(p)
		g.Rewrite(p)
		return p
	}
	return m
}

// A rewriter is a stream whose messages are rewritten.
type rewriter struct {
	grpc.ServerStream
	g *Gateway
}

func (s rewriter) SendMsg(m any) error { return s.ServerStream.SendMsg(s.g.rewritten(m)) }

func (g *Gateway) stream(srv any, s grpc.ServerStream, info *grpc.StreamServerInfo, handle grpc.StreamHandler) error {
	if err := g.before(s.Context(), info.FullMethod); err != nil {
		return failed(err)
	}
	return handle(srv, rewriter{s, g})
}

func (g *Gateway) find(name string) (*adminv1.Namespace, error) {
	for _, n := range g.namespaces {
		if n.Spec.Name == name {
			return n, nil
		}
	}
	return nil, prism.NotFound("namespace", name).WithMeta("kind", "namespace")
}

// page cuts one page of a list; the cursor is the index.
func page[T any](all []T, limit int32, cursor string) ([]T, string) {
	from := len(cursor)
	if limit <= 0 {
		limit = 100
	}
	to := min(from+int(limit), len(all))
	if to == len(all) {
		return all[from:to], ""
	}
	return all[from:to], strings.Repeat("x", to)
}

// ListNamespaces and the calls below answer as the admin API would.
func (g *Gateway) ListNamespaces(_ context.Context, r *adminv1.ListNamespacesRequest) (*adminv1.ListNamespacesResponse, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	list, next := page(g.namespaces, r.Limit, r.Cursor)
	return &adminv1.ListNamespacesResponse{Namespaces: list, Cursor: next}, nil
}

func (g *Gateway) GetNamespace(_ context.Context, r *adminv1.GetNamespaceRequest) (*adminv1.GetNamespaceResponse, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	n, err := g.find(r.Name)
	return &adminv1.GetNamespaceResponse{Namespace: n}, err
}

func (g *Gateway) CreateNamespace(_ context.Context, r *adminv1.CreateNamespaceRequest) (*adminv1.CreateNamespaceResponse, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if _, err := prism.ParseNamespace(r.Spec.GetName()); err != nil {
		return nil, prism.InvalidField("spec.name", "must match [a-z][a-z0-9-]{0,62}")
	}
	if _, err := g.find(r.Spec.Name); err == nil {
		return nil, prism.New(prism.ReasonAlreadyExists, "namespace %q is there already", r.Spec.Name)
	}
	backend := r.Spec.Backend
	if backend == "" {
		backend = "local"
	}
	n := &adminv1.Namespace{
		Spec: r.Spec, State: adminv1.NamespaceState_NAMESPACE_STATE_ACTIVE, BoundBackend: backend, BoundDriver: "pebble",
		CreatedAtMs: g.now.UnixMilli(), UpdatedAtMs: g.now.UnixMilli(), Revision: 1, Usage: &adminv1.NamespaceUsage{},
	}
	if !r.DryRun {
		g.namespaces = append(g.namespaces, n)
		g.data[r.Spec.Name] = map[string]*keyvaluev1.Entry{}
	}
	return &adminv1.CreateNamespaceResponse{Namespace: n}, nil
}

func (g *Gateway) UpdateNamespace(_ context.Context, r *adminv1.UpdateNamespaceRequest) (*adminv1.UpdateNamespaceResponse, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	n, err := g.find(r.Spec.Name)
	if err != nil {
		return nil, err
	}
	if r.IfRevision != 0 && r.IfRevision != n.Revision {
		return nil, prism.New(prism.ReasonVersionMismatch, "namespace %q has another revision", r.Spec.Name)
	}
	after := &adminv1.Namespace{
		Spec: r.Spec, State: n.State, BoundBackend: n.BoundBackend, BoundDriver: n.BoundDriver, Capabilities: n.Capabilities,
		CreatedAtMs: n.CreatedAtMs, UpdatedAtMs: g.now.UnixMilli(), Revision: n.Revision + 1, DeclaredIn: n.DeclaredIn, Notes: n.Notes, Usage: n.Usage, Durability: n.Durability,
	}
	if !r.DryRun {
		g.namespaces[slices.Index(g.namespaces, n)] = after
	}
	return &adminv1.UpdateNamespaceResponse{Namespace: after}, nil
}

func (g *Gateway) DeleteNamespace(_ context.Context, r *adminv1.DeleteNamespaceRequest) (*adminv1.DeleteNamespaceResponse, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	n, err := g.find(r.Name)
	if err != nil {
		return nil, err
	}
	op := &adminv1.Operation{OperationId: "op-1", Kind: "namespace.delete", Resource: "namespace:" + r.Name, State: adminv1.OperationState_OPERATION_STATE_RUNNING, StartedAtMs: g.now.UnixMilli()}
	if !r.DryRun {
		g.namespaces = slices.DeleteFunc(g.namespaces, func(x *adminv1.Namespace) bool { return x == n })
		op.State, op.EndedAtMs = adminv1.OperationState_OPERATION_STATE_DONE, g.now.UnixMilli()
	}
	if g.operation != nil {
		op = g.operation
	}
	return &adminv1.DeleteNamespaceResponse{Operation: op}, nil
}

func (g *Gateway) MoveNamespace(_ context.Context, r *adminv1.MoveNamespaceRequest) (*adminv1.MoveNamespaceResponse, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	n, err := g.find(r.Name)
	if err != nil {
		return nil, err
	}
	if n.Spec.Model == "queue" {
		return nil, prism.New(prism.ReasonFailedPrecond, "namespace %q is of model queue, whose messages cannot be moved", r.Name)
	}
	resp := &adminv1.MoveNamespaceResponse{Notes: []string{"acknowledged writes are less safe on " + r.To}}
	if r.To == "narrow" {
		if !r.AllowFewer {
			return nil, prism.New(prism.ReasonFailedPrecond, "on backend %q namespace %q would lack keyvalue_watch", r.To, r.Name).WithMeta("fewer", "keyvalue_watch")
		}
		resp.Fewer = []string{"keyvalue_watch"}
	}
	resp.Operation = &adminv1.Operation{OperationId: "op-2", Kind: "namespace.move", Resource: r.Name, State: adminv1.OperationState_OPERATION_STATE_RUNNING, StartedAtMs: g.now.UnixMilli()}
	if !r.DryRun {
		resp.Operation.State, resp.Operation.EndedAtMs = adminv1.OperationState_OPERATION_STATE_DONE, g.now.UnixMilli()
		resp.Operation.Message = "3 keys and 1 receipts copied, 3 verified"
	}
	if g.operation != nil {
		resp.Operation = g.operation
	}
	return resp, nil
}

func (g *Gateway) AbortMove(_ context.Context, r *adminv1.AbortMoveRequest) (*adminv1.AbortMoveResponse, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if _, err := g.find(r.Name); err != nil {
		return nil, err
	}
	if g.operation == nil {
		return nil, prism.New(prism.ReasonFailedPrecond, "namespace %q is not being moved", r.Name)
	}
	return &adminv1.AbortMoveResponse{Operation: g.operation}, nil
}

// SetOperation makes deletions and moves answer with op.
func (g *Gateway) SetOperation(op *adminv1.Operation) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.operation = op
}

func (g *Gateway) GetOperation(context.Context, *adminv1.GetOperationRequest) (*adminv1.GetOperationResponse, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	return &adminv1.GetOperationResponse{Operation: g.operation}, nil
}

func (g *Gateway) ListNamespaceHistory(_ context.Context, r *adminv1.ListNamespaceHistoryRequest) (*adminv1.ListNamespaceHistoryResponse, error) {
	if r.Name == "nothing" {
		return nil, prism.NotFound("namespace", r.Name)
	}
	all := []*adminv1.NamespaceEvent{
		{Revision: 3, TimeMs: g.ago(3 * time.Minute), Kind: "updated", Actor: "user:ann", Detail: "limits"},
		{Revision: 2, TimeMs: g.ago(49 * time.Hour), Kind: "bound", Actor: "gateway", Detail: "backend local"},
		{Revision: 1, TimeMs: g.ago(50 * time.Hour), Kind: "created", Actor: "prism.yaml:14"},
	}
	list, next := page(all, r.Limit, r.Cursor)
	return &adminv1.ListNamespaceHistoryResponse{Events: list, Cursor: next}, nil
}

func (g *Gateway) ListSessions(_ context.Context, r *adminv1.ListSessionsRequest) (*adminv1.ListSessionsResponse, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	var all []*adminv1.Session
	for _, s := range g.sessions {
		if (r.Namespace == "" || slices.Contains(s.Namespaces, r.Namespace)) && (r.Principal == "" || s.Principal == r.Principal) {
			all = append(all, s)
		}
	}
	list, next := page(all, r.Limit, r.Cursor)
	return &adminv1.ListSessionsResponse{Sessions: list, Cursor: next, Total: int64(len(all))}, nil
}

func (g *Gateway) GetSession(_ context.Context, r *adminv1.GetSessionRequest) (*adminv1.GetSessionResponse, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, s := range g.sessions {
		if s.SessionId == r.SessionId {
			return &adminv1.GetSessionResponse{Session: s}, nil
		}
	}
	return nil, prism.NotFound("session", r.SessionId)
}

func (g *Gateway) TerminateSession(ctx context.Context, r *adminv1.TerminateSessionRequest) (*adminv1.TerminateSessionResponse, error) {
	if _, err := g.GetSession(ctx, &adminv1.GetSessionRequest{SessionId: r.SessionId}); err != nil {
		return nil, err
	}
	return &adminv1.TerminateSessionResponse{PendingOperations: 2}, nil
}

func (g *Gateway) CreateKey(_ context.Context, r *adminv1.CreateKeyRequest) (*adminv1.CreateKeyResponse, error) {
	k := &adminv1.Key{KeyId: "k-21ef", Principal: r.Principal, Roles: r.Roles, Description: r.Description, CreatedAtMs: g.now.UnixMilli()}
	if r.TtlMs > 0 {
		k.ExpiresAtMs = g.now.UnixMilli() + r.TtlMs
	}
	return &adminv1.CreateKeyResponse{Key: k, Secret: "prism_k21ef_canary"}, nil
}

func (g *Gateway) ListKeys(context.Context, *adminv1.ListKeysRequest) (*adminv1.ListKeysResponse, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	return &adminv1.ListKeysResponse{Keys: g.keys}, nil
}

func (g *Gateway) RevokeKey(_ context.Context, r *adminv1.RevokeKeyRequest) (*adminv1.RevokeKeyResponse, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, k := range g.keys {
		if k.KeyId == r.KeyId {
			k.RevokedAtMs = g.now.UnixMilli()
			return &adminv1.RevokeKeyResponse{Key: k}, nil
		}
	}
	return nil, prism.NotFound("key", r.KeyId)
}

func (g *Gateway) ListAudit(_ context.Context, r *adminv1.ListAuditRequest) (*adminv1.ListAuditResponse, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	var all []*adminv1.AuditRecord
	for _, a := range g.audit {
		if (r.Actor == "" || a.Actor == r.Actor) && a.TimeMs >= r.SinceMs && (r.UntilMs == 0 || a.TimeMs <= r.UntilMs) {
			all = append(all, a)
		}
	}
	list, next := page(all, r.Limit, r.Cursor)
	return &adminv1.ListAuditResponse{Records: list, Cursor: next}, nil
}

// traces are what the gateway keeps: one that failed at its backend, and a slow one.
func (g *Gateway) traces() []*adminv1.Trace {
	at := g.now.UnixMicro()
	return []*adminv1.Trace{
		{TraceId: "4bf92f3577b34da6a3ce929d0e0e4736", Spans: []*adminv1.Span{
			{SpanId: "00f067aa0ba902b7", ParentSpanId: "b7ad6b7169203331", Name: "prism.keyvalue.v1.KeyValueService/Get", Service: "prismd", StartUs: at - 60_000_000, DurationUs: 4210, Error: "BACKEND_UNAVAILABLE", Attributes: map[string]string{"rpc.system.name": "grpc", "rpc.response.status_code": "UNAVAILABLE", "prism.namespace": "kv", "error.type": "BACKEND_UNAVAILABLE"}},
			{SpanId: "1000000000000001", ParentSpanId: "00f067aa0ba902b7", Name: "Get hot", Service: "prismd", StartUs: at - 59_999_900, DurationUs: 910, Attributes: map[string]string{"db.system.name": "redis", "prism.backend": "hot"}},
			{SpanId: "1000000000000002", ParentSpanId: "00f067aa0ba902b7", Name: "Get local", Service: "prismd", StartUs: at - 59_998_000, DurationUs: 2000, Error: "BACKEND_UNAVAILABLE", Attributes: map[string]string{"db.system.name": "pebble", "prism.backend": "local", "error.type": "BACKEND_UNAVAILABLE"}},
		}},
		{TraceId: "0af7651916cd43dd8448eb211c80319c", Spans: []*adminv1.Span{
			{SpanId: "2000000000000001", Name: "prism.keyvalue.v1.KeyValueService/Scan", Service: "prismd", StartUs: at - 3_600_000_000, DurationUs: 1_300_000, Slow: true, Attributes: map[string]string{"prism.namespace": "kv"}},
		}},
	}
}

func (g *Gateway) GetTrace(_ context.Context, r *adminv1.GetTraceRequest) (*adminv1.GetTraceResponse, error) {
	for _, t := range g.traces() {
		if t.TraceId == r.TraceId {
			return &adminv1.GetTraceResponse{Trace: t}, nil
		}
	}
	return nil, prism.NotFound("trace", r.TraceId)
}

func (g *Gateway) ListTraces(_ context.Context, r *adminv1.ListTracesRequest) (*adminv1.ListTracesResponse, error) {
	resp := &adminv1.ListTracesResponse{}
	for _, t := range g.traces() {
		if r.Errors && t.Spans[0].Error == "" || r.Slow && !t.Spans[0].Slow {
			continue
		}
		if len(resp.Traces) == int(r.Limit) {
			resp.More = true
			break
		}
		resp.Traces = append(resp.Traces, t)
	}
	return resp, nil
}

func (g *Gateway) GetStatus(context.Context, *adminv1.GetStatusRequest) (*adminv1.GetStatusResponse, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	return &adminv1.GetStatusResponse{
		Version: "0.1.0", Commit: "abc123", GoVersion: "go1.26.8", State: g.state, StartedAtMs: g.ago(time.Hour), NowMs: g.now.UnixMilli(),
		DataAddress: "127.0.0.1:8980", AdminAddress: "127.0.0.1:8981", MetricsAddress: "127.0.0.1:9090", AuthMode: "off",
		RssBytes: 31 << 20, Goroutines: 42, Namespaces: 2, Backends: 2, Sessions: 2, CpuSeconds: 1.5, Pid: 4242, Principal: "dev",
		Maintenance: g.maintenance, FaultsEnabled: !g.NoFaults,
	}, nil
}
