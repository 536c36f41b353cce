package admin

import (
	"context"
	"errors"
	"time"

	"google.golang.org/grpc"

	"github.com/prism-data-layer/prism/pkg/prism"
	"github.com/prism-data-layer/prism/pkg/telemetry"
	adminv1 "github.com/prism-data-layer/prism/proto/prism/admin/v1"
)

// errSessionOver ends a trace whose session has ended.
var errSessionOver = errors.New("the session has ended")

// TraceSession tells of calls as they end.
func (s *Service) TraceSession(r *adminv1.TraceSessionRequest, st grpc.ServerStreamingServer[adminv1.TraceSessionResponse]) error {
	ctx, cancel := context.WithCancelCause(st.Context())
	defer cancel(nil)
	if r.SessionId != "" {
		if _, err := s.sessions.Get(ctx, r.SessionId); err != nil {
			return err
		}
		go s.untilOver(ctx, cancel, r.SessionId)
	}
	if r.Namespace != "" {
		if _, err := s.road.Control.Namespace(ctx, r.Namespace); err != nil {
			return err
		}
	}
	l, err := s.road.Calls.Listen(telemetry.CallFilter{
		Session: r.SessionId, Namespace: prism.Namespace(r.Namespace),
		MinLatency: time.Duration(r.MinLatencyUs) * time.Microsecond, Errors: r.Errors,
	})
	if err != nil {
		return err
	}
	defer l.Close()
	if err := st.Send(&adminv1.TraceSessionResponse{}); err != nil {
		return err
	}
	for {
		calls, dropped, err := l.Next(ctx)
		switch {
		case errors.Is(err, errSessionOver):
			return nil
		case err != nil:
			return err
		}
		if err := st.Send(&adminv1.TraceSessionResponse{Calls: tracedOf(calls), Dropped: dropped}); err != nil {
			return err
		}
	}
}

// untilOver ends a trace when its session has.
func (s *Service) untilOver(ctx context.Context, cancel context.CancelCauseFunc, id string) {
	for {
		again := s.road.Clock.NewTimer(watchEvery)
		select {
		case <-again.C:
		case <-ctx.Done():
			again.Stop()
			return
		}
		if _, err := s.sessions.Get(ctx, id); errors.Is(err, prism.ReasonNotFound) {
			cancel(errSessionOver)
			return
		}
	}
}

func tracedOf(calls []telemetry.EndedCall) []*adminv1.TracedCall {
	list := make([]*adminv1.TracedCall, len(calls))
	for i := range calls {
		c := &calls[i]
		list[i] = &adminv1.TracedCall{
			TimeUs: c.Start.UnixMicro(), LatencyUs: c.Took.Microseconds(), Method: c.Method, SessionId: c.Session, Principal: c.Principal,
			Namespace: string(c.Namespace), Subject: c.Subject, Operations: int32(c.Ops), Reason: string(c.Reason),
			ReceivedBytes: int64(c.Received), SentBytes: int64(c.Sent), TraceId: c.Trace,
		}
	}
	return list
}
