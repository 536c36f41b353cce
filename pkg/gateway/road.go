// Package gateway is the data plane's wire: one file for each service, and the
// road that every request takes. Services decode, walk the road, call the
// model and encode; they cannot reach a backend.
package gateway

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/netip"
	"runtime/debug"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"

	"github.com/prism-data-layer/prism/pkg/auth"
	"github.com/prism-data-layer/prism/pkg/clock"
	"github.com/prism-data-layer/prism/pkg/prism"
	"github.com/prism-data-layer/prism/pkg/route"
	"github.com/prism-data-layer/prism/pkg/session"
	"github.com/prism-data-layer/prism/pkg/telemetry"
	"github.com/prism-data-layer/prism/pkg/wire"
)

// A Road is the one way from the wire to a namespace.
type Road struct {
	Auth     *auth.Authenticator
	Sessions *session.Manager
	Router   *route.Router
	Metrics  *telemetry.Metrics
	Traces   *telemetry.Tracer // nil: none are kept
	Calls    *telemetry.Calls  // nil: nobody listens to them
	Clock    clock.Clock
	Log      *slog.Logger
	Draining <-chan struct{} // closed when long streams must end
	Deadline time.Duration   // of a unary call that brings none; 0: DefaultDeadline
}

// A call is a request that has walked the road: the session and the target
// prove it. Every call that was let in needs one leave.
type call struct {
	road    *Road
	method  *method
	session session.Session
	running session.Call
	target  route.Target
	start   time.Time
	note    *telemetry.Call      // the context to work in: what is noted of the call
	limit   *deadline            // nil: the caller brought one
	heard   *telemetry.EndedCall // nil: nobody listened when it began
	in, out int64                // bytes of its request and of its answer; a stream counts its messages itself
}

// bound returns the context to work in, with a deadline.
func (c *call) bound() context.Context {
	if _, ok := c.note.Deadline(); ok {
		return c.note
	}
	d := c.road.Deadline
	if d == 0 {
		d = DefaultDeadline
	}
	c.limit = withDeadline(c.note, c.start.Add(d))
	return c.limit
}

// enter walks the road: who are you, for how long and with what, may you and
// where. Each stage takes the proof of the one before. req is the message that
// came with the call.
func (r *Road) enter(ctx context.Context, m *method, namespace string, req any) (c call, err error) {
	if c, err = r.knock(ctx, m, namespace); err != nil {
		return c, err
	}
	c.in = int64(sizeOf(req))
	if err := c.admit(namespace); err != nil {
		return c, err
	}
	c.about(req)
	return c, nil
}

// knock walks the first half. A stream learns its namespace only from its first
// message, which nobody waits for without a credential.
func (r *Road) knock(ctx context.Context, m *method, namespace string) (c call, err error) {
	md := wire.MetadataOf(ctx)
	c = call{road: r, method: m, start: r.Clock.Now()}
	c.note = r.Traces.Begin(ctx, c.start, md.First(wire.RequestID), md.First(wire.Traceparent))
	if c.session, c.running, err = r.hold(ctx, m, md); err != nil {
		return c, c.refuse(namespace, err)
	}
	return c, nil
}

// admit walks the second half.
func (c *call) admit(namespace string) (err error) {
	if !c.method.namespaced {
		return nil
	}
	if c.target, err = c.road.Router.Resolve(c.note, c.session, namespace, c.method.Action, c.method.cost); err != nil {
		return c.refuse(namespace, err)
	}
	if c.method.Stream {
		if c.target, err = c.target.Stream(); err != nil {
			return c.refuse(namespace, err)
		}
	}
	return nil
}

// hold is the first half of the road: credential → principal → session.
func (r *Road) hold(ctx context.Context, m *method, md wire.Metadata) (session.Session, session.Call, error) {
	who, err := r.Auth.Authenticate(ctx, credential(ctx, md))
	if err != nil {
		return session.Session{}, session.Call{}, err
	}
	s, err := r.Sessions.Open(ctx, who, md.First(wire.SessionToken))
	if err != nil {
		return session.Session{}, session.Call{}, err
	}
	if err := checkDeadline(ctx, m); err != nil {
		return session.Session{}, session.Call{}, err
	}
	running, err := s.Begin(m.kind)
	return s, running, err
}

// principal is who calls, for receipts and cursors.
func (c *call) principal() string { return c.session.Principal().Name() }

// leave ends a call: it lets go of what enter took, counts, and turns err into
// the status that the caller gets.
func (c *call) leave(err error) error {
	return c.leaveStream(err, "")
}

// leaveStream is leave for a stream that can go on from position.
func (c *call) leaveStream(err error, position string) error {
	ns, took := c.target.Namespace(), c.road.Clock.Now().Sub(c.start)
	if ns != "" && !c.method.Stream {
		c.count(err != nil, took)
	}
	c.target.Release()
	if err != nil { // a status, and no answer
		c.out = 0
	}
	c.running.End(c.in, c.out)
	return c.done(ns, string(ns), took, err, position)
}

// count adds a unary call to the figures of its namespace; a stream counts what
// it carries.
func (c *call) count(failed bool, took time.Duration) {
	reads, writes := 1, 0
	if c.method.Action == prism.ActionWrite {
		reads, writes = 0, 1
	}
	c.road.Metrics.Namespace(c.target.Namespace()).Observe(reads, writes, failed, took)
}

// refuse ends a call that was not let in.
func (c *call) refuse(ns string, err error) error {
	c.running.End(c.in, 0)
	if !prism.ValidName(ns) {
		ns = ""
	}
	return c.done("", ns, c.road.Clock.Now().Sub(c.start), err, "")
}

// done ends the call: on is the namespace that it was let into, ns the one that
// it named.
func (c *call) done(on prism.Namespace, ns string, took time.Duration, err error, position string) error {
	end := telemetry.Ending{Method: c.method.rpc, Namespace: on, Took: took, Stream: c.method.Stream}
	if err == nil {
		c.method.meter.Observe(codes.OK, took)
		c.note.Finish(end)
		if c.road.Calls.Heard() {
			c.tell(&end, ns)
		}
		return nil
	}
	e := *causeOf(err)
	if e.Namespace == "" && e.Reason != prism.ReasonPermissionDenied {
		e.Namespace = ns
	}
	e.RequestID, e.TraceID = telemetry.RequestID(c.note), telemetry.TraceID(c.note)
	c.method.meter.Observe(wire.Code(e.Reason), took)
	c.road.Metrics.Error(&e)
	c.log(ns, &e, took)
	end.Reason = e.Reason
	c.note.Finish(end)
	if c.road.Calls.Heard() {
		c.tell(&end, ns)
	}
	if position != "" {
		return wire.ToStatusResume(&e, position).Err()
	}
	return wire.ToStatus(&e).Err()
}

// causeOf is prism.From that also knows what gRPC says of a stream: that its
// caller has left is no bug of ours, nor is a message that cannot be read.
func causeOf(err error) *prism.Error {
	var own *prism.Error
	st, ok := status.FromError(err)
	switch {
	case errors.As(err, &own), !ok:
		return prism.From(err)
	case st.Code() == codes.Internal:
		return prism.New(prism.ReasonInvalidArgument, "the message cannot be read")
	}
	return wire.FromStatus(err)
}

// log writes what an operator must see: our bugs and damaged data loudly, the
// rest only when asked for.
func (c *call) log(ns string, e *prism.Error, took time.Duration) {
	level := slog.LevelDebug
	switch e.Reason {
	case prism.ReasonInternal, prism.ReasonDataLoss:
		level = slog.LevelError
	case prism.ReasonUnauthenticated, prism.ReasonPermissionDenied:
		level = slog.LevelInfo
	}
	if !c.road.Log.Enabled(c.note, level) {
		return
	}
	c.road.Log.LogAttrs(c.note, level, "call failed",
		slog.String("method", c.method.FullName), slog.String("namespace", ns),
		slog.String("reason", string(e.Reason)), slog.String("error", e.Error()),
		slog.String("principal", c.session.Principal().Name()), slog.String("session", c.session.ID()),
		slog.Duration("took", took))
}

// finish is leave for a deferred call: a panic of the handler becomes an error
// of this call alone.
func (c *call) finish(err *error) {
	if c.limit != nil {
		c.limit.stop()
	}
	if p := recover(); p != nil {
		c.road.Log.ErrorContext(c.note, "panic in a handler", "method", c.method.FullName, "panic", p, "stack", string(debug.Stack()))
		*err = prism.Internal(nil)
	}
	*err = c.leave(*err)
}

// credential is what the caller brought. Where it calls from matters only to a
// caller without one.
func credential(ctx context.Context, md wire.Metadata) auth.Credential {
	c := auth.Credential{Authorization: md.First(wire.Authorization)}
	if c.Authorization != "" {
		return c
	}
	if p, ok := peer.FromContext(ctx); ok {
		switch a := p.Addr.(type) {
		case *net.TCPAddr: // nearly always
			c.Peer = a.AddrPort().Addr()
		case interface{ AddrPort() netip.AddrPort }:
			c.Peer = a.AddrPort().Addr()
		}
	}
	return c
}

// DefaultDeadline bounds a unary call that brings none.
const DefaultDeadline = 30 * time.Second

// checkDeadline refuses a unary call that would wait for more than an hour.
func checkDeadline(ctx context.Context, m *method) error {
	if m.Stream {
		return nil
	}
	if d, ok := ctx.Deadline(); ok && time.Until(d) > wire.MaxTimeout {
		return prism.InvalidField("grpc-timeout", "must be at most 1 hour")
	}
	return nil
}
