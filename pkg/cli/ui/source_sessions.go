package ui

import (
	"context"
	"errors"
	"io"
	"time"

	"github.com/prism-data-layer/prism/pkg/cli"
	adminv1 "github.com/prism-data-layer/prism/proto/prism/admin/v1"
	"github.com/prism-data-layer/prism/tui/component/tail"
	"github.com/prism-data-layer/prism/tui/page/sessions"
)

// sessionSource answers the pages of sessions.
type sessionSource struct{ *source }

// Sessions asks for those that match.
func (s sessionSource) Sessions(ctx context.Context, q sessions.Query, most int) (*sessions.List, error) {
	out := &sessions.List{}
	var total int64
	err := s.together(ctx,
		func(ctx context.Context) (err error) { out.Now, _, err = s.clock(ctx); return err },
		func(ctx context.Context) error {
			_, err := cli.Pages(ctx, most, func(ctx context.Context, cursor string, size int32) (int, string, error) {
				r, err := s.client.ListSessions(ctx, &adminv1.ListSessionsRequest{Namespace: q.Namespace, Principal: q.Principal, Limit: size, Cursor: cursor})
				for _, x := range r.GetSessions() {
					out.Sessions = append(out.Sessions, sessionRow(x))
				}
				total = r.GetTotal()
				return len(r.GetSessions()), r.GetCursor(), err
			})
			return err
		})
	if err != nil {
		return nil, err
	}
	out.More = max(total-int64(len(out.Sessions)), 0)
	return out, nil
}

// Session asks for one.
func (s sessionSource) Session(ctx context.Context, id string) (*sessions.One, error) {
	out := &sessions.One{}
	err := s.together(ctx,
		func(ctx context.Context) (err error) { out.Now, _, err = s.clock(ctx); return err },
		func(ctx context.Context) error {
			r, err := s.client.GetSession(ctx, &adminv1.GetSessionRequest{SessionId: id})
			out.Session = sessionRow(r.GetSession())
			return err
		})
	if err != nil {
		return nil, err
	}
	return out, nil
}

func sessionRow(x *adminv1.Session) sessions.Session {
	m := x.GetMetrics()
	return sessions.Session{
		ID: x.GetSessionId(), Principal: x.GetPrincipal(), Client: program(x), Status: cli.EnumWord(x.GetStatus().String(), "SESSION_STATUS_"),
		Implicit: x.GetImplicit(), Namespaces: x.GetNamespaces(), Config: x.GetConfig(),
		Created: moment(x.GetCreatedAtMs()), Active: moment(x.GetLastActivityMs()), Expires: moment(x.GetExpiresAtMs()),
		Requests: m.GetRequestsProcessed(), Streams: int64(m.GetActiveStreams()), Sent: m.GetBytesSent(), Received: m.GetBytesReceived(),
	}
}

// Calls listens to the calls of a session.
func (s sessionSource) Calls(ctx context.Context, id string, f sessions.CallFilter, to *tail.Sink[sessions.Call]) error {
	s.reconnect(ctx)
	stream, err := s.client.TraceSession(ctx, &adminv1.TraceSessionRequest{SessionId: id, MinLatencyUs: f.Least.Microseconds(), Errors: f.Errors})
	if err != nil {
		return err
	}
	var missed int64
	for {
		r, err := stream.Recv()
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		}
		to.Open()
		to.Miss(r.GetDropped() - missed)
		missed = r.GetDropped()
		for _, c := range r.GetCalls() {
			to.Send(sessions.Call{
				Began: time.UnixMicro(c.GetTimeUs()), Took: time.Duration(c.GetLatencyUs()) * time.Microsecond, Method: c.GetMethod(), Namespace: c.GetNamespace(),
				Subject: c.GetSubject(), Operations: int(c.GetOperations()), Reason: c.GetReason(), Sent: c.GetSentBytes(), Received: c.GetReceivedBytes(), Trace: c.GetTraceId(),
			})
		}
	}
}
