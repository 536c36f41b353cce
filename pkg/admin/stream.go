package admin

import (
	"context"
	"runtime/debug"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/prism-data-layer/prism/pkg/control"
	"github.com/prism-data-layer/prism/pkg/prism"
	"github.com/prism-data-layer/prism/pkg/telemetry"
	"github.com/prism-data-layer/prism/pkg/wire"
)

// StreamInterceptor is the road of calls that are answered by a stream. Such a
// call is recorded when it is answered the first time, or refused: not when an
// operator has seen enough.
func (r *Road) StreamInterceptor() grpc.StreamServerInterceptor { return r.walkStream }

// A talk is a stream on the road.
type talk struct {
	grpc.ServerStream
	road     *Road
	ctx      context.Context
	record   control.AuditRecord
	recorded bool
}

func (t *talk) Context() context.Context { return t.ctx }

func (t *talk) RecvMsg(m any) error {
	if err := t.ServerStream.RecvMsg(m); err != nil {
		return err
	}
	t.record.Resource = resourceOf(m)
	if msg, ok := m.(proto.Message); ok {
		return wire.Validate(msg)
	}
	return nil
}

func (t *talk) SendMsg(m any) error {
	if !t.recorded {
		t.record.Latency, t.record.Result = t.road.Clock.Now().Sub(t.record.Time), "OK"
		t.recorded = true
		if err := t.road.audit(t.ctx, t.record); err != nil {
			return err
		}
	}
	return t.ServerStream.SendMsg(m)
}

func (r *Road) walkStream(srv any, st grpc.ServerStream, info *grpc.StreamServerInfo, handler grpc.StreamHandler) error {
	if strings.HasPrefix(info.FullMethod, "/grpc.") {
		return handler(srv, st) // it has a guard of its own
	}
	start, in := r.Clock.Now(), st.Context()
	note := r.Traces.Begin(in, start, first(in, wire.RequestID), first(in, wire.Traceparent))
	t := &talk{ServerStream: st, road: r, record: entryOf(note, start, info.FullMethod)}
	who, err := r.enter(note, info.FullMethod, nil)
	t.record.Actor = who.Name()
	if err == nil {
		ctx, cancel := context.WithCancelCause(context.WithValue(note, principalKey{}, who))
		go r.watch(ctx, cancel, info.FullMethod)
		t.ctx, t.record.Decision = ctx, "allowed"
		err = r.contain(ctx, func() error { return handler(srv, t) })
		cancel(nil)
	}
	if _, grpcs := status.FromError(err); err != nil && grpcs { // the caller has left, or sent what cannot be read
		err = wire.FromStatus(err)
	}
	record := t.record
	err = r.count(note, &record, telemetry.Ending{Method: record.Method, Took: r.Clock.Now().Sub(start), Stream: true}, err)
	if !t.recorded {
		if auditErr := r.audit(note, record); auditErr != nil && err == nil {
			err = wire.ToStatus(auditErr).Err()
		}
	}
	return err
}

// watchEvery is how often it is looked whether a stream's caller still may.
const watchEvery = time.Second

// watch ends a stream, with the reason as the cause of its context, when the
// gateway drains or its caller has lost the right to it.
func (r *Road) watch(ctx context.Context, cancel context.CancelCauseFunc, fullMethod string) {
	for {
		again := r.Clock.NewTimer(watchEvery)
		select {
		case <-again.C:
			if _, err := r.enter(ctx, fullMethod, nil); err != nil && ctx.Err() == nil {
				cancel(err)
			}
		case <-r.Draining:
			cancel(prism.New(prism.ReasonDraining, "the gateway is about to stop"))
		case <-ctx.Done():
		}
		again.Stop()
		if ctx.Err() != nil {
			return
		}
	}
}

// contain turns a panic of a handler into an error of its call.
func (r *Road) contain(ctx context.Context, do func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			r.Log.ErrorContext(ctx, "panic in a handler", "panic", p, "stack", string(debug.Stack()))
			err = prism.Internal(nil)
		}
	}()
	return do()
}
