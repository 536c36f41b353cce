// Package admin is the operator's API and its short road: credential →
// principal → role → handler. Every call leaves an audit record, refused ones
// too.
package admin

import (
	"cmp"
	"context"
	"log/slog"
	"net/netip"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"
	"google.golang.org/protobuf/proto"

	"github.com/prism-data-layer/prism/pkg/auth"
	"github.com/prism-data-layer/prism/pkg/clock"
	"github.com/prism-data-layer/prism/pkg/control"
	"github.com/prism-data-layer/prism/pkg/prism"
	"github.com/prism-data-layer/prism/pkg/telemetry"
	"github.com/prism-data-layer/prism/pkg/wire"
	adminv1 "github.com/prism-data-layer/prism/proto/prism/admin/v1"
	optionsv1 "github.com/prism-data-layer/prism/proto/prism/options/v1"
)

// A Road lets operators in.
type Road struct {
	Auth    *auth.Authenticator
	Control *control.Store
	Metrics *telemetry.Metrics
	Traces  *telemetry.Tracer // nil: none are kept
	Calls   *telemetry.Calls
	Clock   clock.Clock
	Log     *slog.Logger
	// Draining is closed when streams must end.
	Draining <-chan struct{}

	methods map[string]*wire.Method
}

// Interceptor is the road. A method without options, or with no admin
// permission, is denied to everyone.
func (r *Road) Interceptor() grpc.UnaryServerInterceptor {
	r.methods = wire.Methods()
	for name := range r.methods {
		r.Metrics.Register(name)
	}
	return r.walk
}

type principalKey struct{}

// caller is the principal that the road has proved.
func caller(ctx context.Context) auth.Principal {
	who, _ := ctx.Value(principalKey{}).(auth.Principal)
	return who
}

func (r *Road) walk(ctx context.Context, req any, info *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (resp any, err error) {
	if strings.HasPrefix(info.FullMethod, "/grpc.health.") {
		return handler(ctx, req) // it says SERVING and nothing else, to anybody
	}
	start := r.Clock.Now()
	note := r.Traces.Begin(ctx, start, first(ctx, wire.RequestID), first(ctx, wire.Traceparent))
	ctx = note
	record := entryOf(ctx, start, info.FullMethod)
	record.Resource = resourceOf(req)
	who, err := r.enter(ctx, info.FullMethod, req)
	record.Actor = who.Name()
	if err == nil {
		record.Decision = "allowed"
		resp, err = r.handle(context.WithValue(ctx, principalKey{}, who), req, handler)
	}
	return resp, r.leave(note, record, start, err)
}

// entryOf begins the audit record of a call.
func entryOf(ctx context.Context, start time.Time, fullMethod string) control.AuditRecord {
	return control.AuditRecord{
		Time: start, Method: fullMethod[1:], Decision: "denied", Peer: peerOf(ctx),
		RequestID: telemetry.RequestID(ctx), TraceID: telemetry.TraceID(ctx),
	}
}

// enter proves who calls and that the role allows it.
func (r *Road) enter(ctx context.Context, fullMethod string, req any) (auth.Principal, error) {
	who, err := r.Auth.Authenticate(ctx, auth.Credential{Authorization: first(ctx, wire.Authorization), Peer: addrOf(ctx)})
	if err != nil {
		return who, err
	}
	m := r.methods[fullMethod]
	if m == nil || !m.Self && !who.May(m.Action) {
		return who, prism.New(prism.ReasonPermissionDenied, "permission denied: the call needs %s", actionOf(m))
	}
	if msg, ok := req.(proto.Message); ok {
		return who, wire.Validate(msg)
	}
	return who, nil
}

func actionOf(m *wire.Method) prism.Action {
	if m == nil {
		return prism.ActionNone
	}
	return m.Action
}

func (r *Road) handle(ctx context.Context, req any, handler grpc.UnaryHandler) (resp any, err error) {
	err = r.contain(ctx, func() (err error) {
		resp, err = handler(ctx, req)
		return err
	})
	return resp, err
}

// leave writes the audit record before the answer: a call that cannot be
// recorded is not answered as if it was.
func (r *Road) leave(ctx *telemetry.Call, record control.AuditRecord, start time.Time, err error) error {
	err = r.count(ctx, &record, telemetry.Ending{Method: record.Method, Took: r.Clock.Now().Sub(start)}, err)
	if auditErr := r.audit(ctx, record); auditErr != nil && err == nil {
		err = wire.ToStatus(auditErr).Err()
	}
	return err
}

// count adds a call that has ended to the figures and to its record, and turns
// err into the status that the caller gets.
func (r *Road) count(ctx *telemetry.Call, record *control.AuditRecord, end telemetry.Ending, err error) error {
	record.Latency, record.Result = end.Took, "OK"
	code := codes.OK
	if err != nil {
		e := *prism.From(err)
		e.RequestID, e.TraceID = record.RequestID, record.TraceID
		record.Result = string(e.Reason)
		end.Reason = e.Reason
		code = wire.Code(e.Reason)
		r.Metrics.Error(&e)
		if e.Reason == prism.ReasonInternal || e.Reason == prism.ReasonDataLoss {
			r.Log.ErrorContext(ctx, "admin call failed", "method", record.Method, "error", e.Error())
		}
		err = wire.ToStatus(&e).Err()
	}
	r.Metrics.Method(record.Method).Observe(code, end.Took)
	ctx.Finish(end)
	return err
}

func (r *Road) audit(ctx context.Context, record control.AuditRecord) error {
	write := r.Control.Audit
	if m := r.methods["/"+record.Method]; m != nil && m.Idempotency == optionsv1.Idempotency_IDEMPOTENCY_READ && !m.Stream && record.Result == "OK" {
		write = r.Control.AuditRead
	}
	err := write(context.WithoutCancel(ctx), record)
	if err != nil {
		r.Log.ErrorContext(ctx, "cannot write the audit record", "error", err)
	}
	return err
}

// resourceOf names what a request is about, for the audit record.
func resourceOf(req any) string {
	switch r := req.(type) {
	case *adminv1.TraceSessionRequest:
		return cmp.Or(r.GetSessionId(), r.GetNamespace())
	case interface{ GetName() string }:
		return r.GetName()
	case interface{ GetSessionId() string }:
		return r.GetSessionId()
	case interface{ GetKeyId() string }:
		return r.GetKeyId()
	case interface{ GetPrincipal() string }:
		return r.GetPrincipal()
	case interface{ GetOperationId() string }:
		return r.GetOperationId()
	case interface{ GetBackend() string }:
		return r.GetBackend()
	case interface{ GetFaultId() string }:
		return r.GetFaultId()
	case interface{ GetNamespace() string }:
		return r.GetNamespace()
	}
	return specName(req)
}

func first(ctx context.Context, name string) string {
	if v := metadata.ValueFromIncomingContext(ctx, name); len(v) > 0 {
		return v[0]
	}
	return ""
}

func addrOf(ctx context.Context) netip.Addr {
	if p, ok := peer.FromContext(ctx); ok {
		if a, ok := p.Addr.(interface{ AddrPort() netip.AddrPort }); ok {
			return a.AddrPort().Addr()
		}
	}
	return netip.Addr{}
}

func peerOf(ctx context.Context) string {
	if p, ok := peer.FromContext(ctx); ok {
		return p.Addr.String()
	}
	return ""
}
