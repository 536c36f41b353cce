package admin

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	"google.golang.org/grpc"

	"github.com/prism-data-layer/prism/pkg/auth"
	"github.com/prism-data-layer/prism/pkg/control"
	"github.com/prism-data-layer/prism/pkg/prism"
	"github.com/prism-data-layer/prism/pkg/route"
	"github.com/prism-data-layer/prism/pkg/session"
	"github.com/prism-data-layer/prism/pkg/telemetry"
	adminv1 "github.com/prism-data-layer/prism/proto/prism/admin/v1"
	configv1 "github.com/prism-data-layer/prism/proto/prism/config/v1"
	sessionv1 "github.com/prism-data-layer/prism/proto/prism/session/v1"
)

// A Service answers operators.
type Service struct {
	adminv1.UnimplementedAdminServiceServer
	road     *Road
	sessions *session.Manager
	router   *route.Router
	server   Server

	// change is held over what changes namespaces, so that the control store
	// and the router agree.
	change sync.Mutex
	work   sync.WaitGroup // operations under way

	moves   movings
	drains  sync.Map        // *route.Drain by the id of its operation, while it runs
	leaving sync.Mutex      // one backend is left at a time
	life    context.Context // of moves; they go on after the next start
	end     context.CancelFunc
}

// A Server is asked for what only it knows.
type Server struct {
	Status func() *adminv1.GetStatusResponse
	// Backend judges a backend with options given as text, as one in a file.
	Backend func(name, driver string, options map[string]string) (route.Backend, error)
}

// New returns the service.
func New(r *Road, sessions *session.Manager, router *route.Router, server Server) *Service {
	s := &Service{road: r, sessions: sessions, router: router, server: server}
	s.life, s.end = context.WithCancel(context.Background())
	return s
}

// Register serves the operator's API; its server must use the road's
// interceptor.
func (s *Service) Register(to grpc.ServiceRegistrar, configs *Configs) {
	adminv1.RegisterAdminServiceServer(to, s)
	configv1.RegisterConfigServiceServer(to, configs)
}

// Stop interrupts moves, which go on after the next start, and returns when all
// other operations under way have ended.
func (s *Service) Stop() {
	s.end()
	s.work.Wait()
}

// GetStatus answers what this gateway is and how it does.
func (s *Service) GetStatus(ctx context.Context, _ *adminv1.GetStatusRequest) (*adminv1.GetStatusResponse, error) {
	st := s.server.Status()
	namespaces, err := s.road.Control.CountNamespaces(ctx)
	if err != nil {
		return nil, err
	}
	counts := s.sessions.Stats()
	st.NowMs = s.road.Clock.Now().UnixMilli()
	st.AuthMode = string(s.road.Auth.Mode())
	st.Namespaces = namespaces
	st.Backends = int64(len(s.router.Backends()))
	st.Sessions = int64(counts.Explicit + counts.Implicit)
	st.ActiveStreams = int64(counts.Streams)
	st.Principal = caller(ctx).Name()
	if m, on := s.router.Maintenance(); on {
		st.Maintenance = maintenanceOf(m)
	}
	return st, nil
}

// GetStats answers counters since the start.
func (s *Service) GetStats(context.Context, *adminv1.GetStatsRequest) (*adminv1.GetStatsResponse, error) {
	snap := s.road.Metrics.Snapshot()
	resp := &adminv1.GetStatsResponse{TimeMs: s.road.Clock.Now().UnixMilli()}
	for _, m := range snap.Methods {
		resp.Methods = append(resp.Methods, &adminv1.MethodStats{Method: m.Method, Calls: m.Calls, Errors: m.Errors, Latency: latency(m.Latency)})
	}
	for _, n := range snap.Namespaces {
		resp.Namespaces = append(resp.Namespaces, &adminv1.NamespaceStats{
			Namespace: string(n.Namespace), Reads: n.Reads, Writes: n.Writes, Errors: n.Errors, Latency: latency(n.Latency),
		})
	}
	return resp, nil
}

func latency(l telemetry.Latency) *adminv1.LatencyHistogram {
	return &adminv1.LatencyHistogram{BoundsUs: l.BoundsUS, Counts: l.Counts, SumUs: l.SumUS}
}

// ListSessions pages through the sessions, the newest first.
func (s *Service) ListSessions(ctx context.Context, r *adminv1.ListSessionsRequest) (*adminv1.ListSessionsResponse, error) {
	filter := session.Filter{Namespace: prism.Namespace(r.Namespace), Principal: r.Principal}
	infos, next, total, err := s.sessions.List(ctx, filter, session.Page{Limit: int(r.Limit), After: r.Cursor})
	if err != nil {
		return nil, err
	}
	resp := &adminv1.ListSessionsResponse{Cursor: next, Total: int64(total)}
	for _, i := range infos {
		resp.Sessions = append(resp.Sessions, sessionOf(i))
	}
	return resp, nil
}

// GetSession describes one session.
func (s *Service) GetSession(ctx context.Context, r *adminv1.GetSessionRequest) (*adminv1.GetSessionResponse, error) {
	i, err := s.sessions.Get(ctx, r.SessionId)
	if err != nil {
		return nil, err
	}
	return &adminv1.GetSessionResponse{Session: sessionOf(i)}, nil
}

// TerminateSession ends a session at once.
func (s *Service) TerminateSession(ctx context.Context, r *adminv1.TerminateSessionRequest) (*adminv1.TerminateSessionResponse, error) {
	pending, err := s.sessions.Terminate(ctx, r.SessionId, r.Reason)
	if err != nil {
		return nil, err
	}
	return &adminv1.TerminateSessionResponse{PendingOperations: int32(pending)}, nil
}

func sessionOf(i session.Info) *adminv1.Session {
	out := &adminv1.Session{
		SessionId: i.ID, Principal: i.Principal, ClientId: i.ClientID, ClientVersion: i.ClientVersion,
		Status: sessionv1.SessionStatus(i.Status), CreatedAtMs: millis(i.CreatedAt), ExpiresAtMs: millis(i.ExpiresAt),
		LastActivityMs: millis(i.LastActivity), Implicit: i.Implicit,
		Metrics: &sessionv1.SessionMetrics{RequestsProcessed: i.Requests, BytesSent: i.BytesOut, BytesReceived: i.BytesIn, ActiveStreams: i.Streams},
	}
	if out.Config = i.Config.Name; i.Config.Version != "" {
		out.Config += "@" + i.Config.Version
	}
	for _, ns := range i.Namespaces {
		out.Namespaces = append(out.Namespaces, string(ns))
	}
	return out
}

// CreateKey makes an API key; its secret is in this answer and nowhere else.
func (s *Service) CreateKey(ctx context.Context, r *adminv1.CreateKeyRequest) (*adminv1.CreateKeyResponse, error) {
	e := prism.New(prism.ReasonInvalidArgument, "the key cannot be made")
	if !auth.ValidPrincipal(r.Principal) {
		e.WithField("principal", "must be user:NAME, service:NAME, team:NAME or group:NAME")
	}
	for i, role := range r.Roles {
		if !auth.ValidRole(role) {
			e.WithField(fmt.Sprintf("roles[%d]", i), "must be admin, operator or viewer")
		}
	}
	if len(e.Fields) > 0 {
		e.Message = e.Fields[0].Field + " " + e.Fields[0].Message
		return nil, e
	}
	record, secret, err := auth.NewKey(r.Principal, r.Roles, time.Duration(r.TtlMs)*time.Millisecond, s.road.Clock.Now())
	if err != nil {
		return nil, err
	}
	record.Description = r.Description
	if err := s.road.Control.CreateKey(ctx, record); err != nil {
		return nil, err
	}
	return &adminv1.CreateKeyResponse{Key: keyOf(record), Secret: secret}, nil
}

// ListKeys lists the keys, without their secrets.
func (s *Service) ListKeys(ctx context.Context, r *adminv1.ListKeysRequest) (*adminv1.ListKeysResponse, error) {
	records, err := s.road.Control.Keys(ctx, r.IncludeRevoked)
	if err != nil {
		return nil, err
	}
	resp := &adminv1.ListKeysResponse{}
	for _, k := range records {
		resp.Keys = append(resp.Keys, keyOf(k))
	}
	return resp, nil
}

// RevokeKey ends a key: the next call with it is refused.
func (s *Service) RevokeKey(ctx context.Context, r *adminv1.RevokeKeyRequest) (*adminv1.RevokeKeyResponse, error) {
	k, err := s.road.Control.RevokeKey(ctx, r.KeyId)
	if err != nil {
		return nil, err
	}
	return &adminv1.RevokeKeyResponse{Key: keyOf(k)}, nil
}

func keyOf(k auth.KeyRecord) *adminv1.Key {
	return &adminv1.Key{
		KeyId: k.ID, Principal: k.Principal, Roles: k.Roles, Description: k.Description,
		CreatedAtMs: millis(k.CreatedAt), ExpiresAtMs: millis(k.ExpiresAt), LastUsedMs: millis(k.LastUsedAt), RevokedAtMs: millis(k.RevokedAt),
	}
}

// ListAudit answers the newest records first.
func (s *Service) ListAudit(ctx context.Context, r *adminv1.ListAuditRequest) (*adminv1.ListAuditResponse, error) {
	if err := s.road.Control.FlushAudit(ctx); err != nil {
		return nil, err
	}
	filter := control.AuditFilter{Actor: r.Actor, Method: r.Method, Resource: r.Resource, Since: timeOf(r.SinceMs), Until: timeOf(r.UntilMs)}
	records, next, err := s.road.Control.AuditRecords(ctx, filter, control.Page{Limit: pageLimit(r.Limit), After: r.Cursor})
	if err != nil {
		return nil, err
	}
	resp := &adminv1.ListAuditResponse{Cursor: next}
	for _, a := range records {
		resp.Records = append(resp.Records, &adminv1.AuditRecord{
			Id: a.ID, TimeMs: millis(a.Time), Actor: a.Actor, Method: a.Method, Resource: a.Resource, Decision: a.Decision,
			Result: a.Result, RequestId: a.RequestID, TraceId: a.TraceID, Peer: a.Peer, LatencyUs: a.Latency.Microseconds(), Calls: a.Calls, Detail: a.Detail,
		})
	}
	return resp, nil
}

// GetOperation tells how far an operation is.
func (s *Service) GetOperation(ctx context.Context, r *adminv1.GetOperationRequest) (*adminv1.GetOperationResponse, error) {
	o, err := s.road.Control.Operation(ctx, r.OperationId)
	if err != nil {
		return nil, err
	}
	resp := &adminv1.GetOperationResponse{Operation: operationOf(o)}
	if m := s.moves.find(o.Resource); m != nil && m.operation.ID == o.ID && o.State == control.Running {
		resp.Operation.Move = progressOf(m)
		resp.Operation.Message = m.now().String()
	}
	if d, running := s.drains.Load(o.ID); running {
		d := d.(*route.Drain)
		resp.Operation.Drain = &adminv1.DrainProgress{InitialCount: d.Initial, RemainingCount: d.Remaining()}
	}
	return resp, nil
}

func operationOf(o control.Operation) *adminv1.Operation {
	return &adminv1.Operation{
		OperationId: o.ID, Kind: o.Kind, Resource: o.Resource, State: adminv1.OperationState(o.State),
		Message: o.Message, StartedAtMs: millis(o.StartedAt), EndedAtMs: millis(o.EndedAt),
	}
}

// specName is the namespace that a request describes.
func specName(req any) string {
	switch r := req.(type) {
	case interface{ GetSpec() *adminv1.NamespaceSpec }:
		return r.GetSpec().GetName()
	case interface{ GetConfig() *configv1.ClientConfig }:
		return strings.TrimSuffix(r.GetConfig().GetName()+"@"+r.GetConfig().GetVersion(), "@")
	}
	return ""
}

// defaultPage is how long a page is when nothing is asked for.
const defaultPage = 100

func pageLimit(n int32) int {
	if n <= 0 {
		return defaultPage
	}
	return int(n)
}

func millis(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMilli()
}

func timeOf(ms int64) time.Time {
	if ms == 0 {
		return time.Time{}
	}
	return time.UnixMilli(ms)
}
