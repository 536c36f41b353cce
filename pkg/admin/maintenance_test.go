package admin_test

import (
	"context"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"

	"github.com/prism-data-layer/prism/pkg/prism"
	adminv1 "github.com/prism-data-layer/prism/proto/prism/admin/v1"
	kvv1 "github.com/prism-data-layer/prism/proto/prism/keyvalue/v1"
	sessionv1 "github.com/prism-data-layer/prism/proto/prism/session/v1"
	"github.com/prism-data-layer/prism/test/harness"
)

// watch opens a watch of a namespace that stands.
func watch(t *testing.T, ctx context.Context, kv kvv1.KeyValueServiceClient, ns string) func() (*kvv1.WatchResponse, error) {
	t.Helper()
	w, err := kv.Watch(ctx, &kvv1.WatchRequest{Namespace: ns})
	ok(t, err)
	_, err = w.Recv()
	ok(t, err)
	return w.Recv
}

func TestMaintenanceRefusesWrites(t *testing.T) {
	t.Parallel()
	g, a, ctx := start(t, harness.Options{File: harness.Small})
	kv := g.KeyValue(t)
	set := func() error {
		_, err := kv.Set(ctx, &kvv1.SetRequest{Namespace: "disk", Key: "k"})
		return err
	}
	ok(t, set())
	p, err := kv.Pipeline(ctx)
	ok(t, err)
	ok(t, p.Send(&kvv1.PipelineRequest{Message: &kvv1.PipelineRequest_Open{Open: &kvv1.PipelineOpen{Namespace: "disk"}}}))
	_, err = p.Recv()
	ok(t, err)

	on := &adminv1.SetMaintenanceModeRequest{Enabled: true, Message: "the disk is changed", DurationMs: time.Hour.Milliseconds(), DryRun: true}
	_, err = a.SetMaintenanceMode(ctx, on)
	ok(t, err)
	ok(t, set())
	on.DryRun = false
	r, err := a.SetMaintenanceMode(ctx, on)
	ok(t, err)
	if m := r.Maintenance; m.Refuses != "writes" || m.Actor != "dev" || m.EndsAtMs-m.StartedAtMs != on.DurationMs || r.ActiveSessions != 1 {
		t.Errorf("it answers %v", r)
	}
	o := want(t, "a write", set(), codes.Unavailable, prism.ReasonMaintenance)
	if !strings.Contains(o.Message(), "the disk is changed") || o.Retry.GetRetryDelay().AsDuration() < 59*time.Minute {
		t.Errorf("the refusal is %q, retry %v", o.Message(), o.Retry)
	}
	_, err = kv.Get(ctx, &kvv1.GetRequest{Namespace: "disk", Key: "k"})
	ok(t, err)
	ok(t, p.Send(&kvv1.PipelineRequest{Message: &kvv1.PipelineRequest_Frame{Frame: &kvv1.PipelineFrame{Id: 1, Ops: []*kvv1.PipelineOp{
		{Op: &kvv1.PipelineOp_Get{Get: &kvv1.GetRequest{Key: "k"}}}, {Op: &kvv1.PipelineOp_Set{Set: &kvv1.SetRequest{Key: "k"}}},
	}}}}))
	answer, err := p.Recv()
	ok(t, err)
	if answer.Results[0].GetGet() == nil || answer.Results[1].GetError().GetReason() != string(prism.ReasonMaintenance) {
		t.Errorf("a frame: %v", answer)
	}
	st, err := a.GetStatus(ctx, &adminv1.GetStatusRequest{})
	if err != nil || st.Maintenance.GetRefused() != 2 || st.Maintenance.Message != on.Message {
		t.Errorf("the status: %v, %v", st, err)
	}
	g.Restart(t)
	ctx = harness.Context(t)
	want(t, "a write after a restart", set(), codes.Unavailable, prism.ReasonMaintenance)
	_, err = a.SetMaintenanceMode(ctx, &adminv1.SetMaintenanceModeRequest{})
	ok(t, err)
	ok(t, set())
	g.Restart(t)
	ok(t, set())
	_, err = a.SetMaintenanceMode(ctx, &adminv1.SetMaintenanceModeRequest{Enabled: true, Refuses: "some"})
	want(t, "another word", err, codes.InvalidArgument, prism.ReasonInvalidArgument, "refuses")
}

func TestMaintenanceRefusesAllAndEndsByItself(t *testing.T) {
	t.Parallel()
	g, a, ctx := start(t, harness.Options{})
	kv := g.KeyValue(t)
	recv := watch(t, ctx, kv, "mem")
	_, err := a.SetMaintenanceMode(ctx, &adminv1.SetMaintenanceModeRequest{Enabled: true, Refuses: "all", DurationMs: 1500})
	ok(t, err)
	_, err = recv()
	if o := want(t, "a watch", err, codes.Unavailable, prism.ReasonMaintenance); o.Resume.GetPosition() == "" {
		t.Error("the watch has no position to go on from")
	}
	_, err = kv.Get(ctx, &kvv1.GetRequest{Namespace: "mem", Key: "k"})
	want(t, "a read", err, codes.Unavailable, prism.ReasonMaintenance)
	_, err = g.Sessions(t).CreateSession(ctx, &sessionv1.CreateSessionRequest{})
	want(t, "a new session", err, codes.Unavailable, prism.ReasonMaintenance)
	for deadline := time.Now().Add(20 * time.Second); ; {
		if _, err := kv.Set(ctx, &kvv1.SetRequest{Namespace: "mem", Key: "k"}); err == nil {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("it does not end")
		}
	}
	watch(t, ctx, kv, "mem")
	if st, err := a.GetStatus(ctx, &adminv1.GetStatusRequest{}); err != nil || st.Maintenance != nil {
		t.Errorf("the status: %v, %v", st, err)
	}
}

// A drain ends the streams of its namespace, each with a position, and nothing
// else: not the streams of others, and not one call.
func TestADrainEndsTheStreamsOfItsNamespace(t *testing.T) {
	t.Parallel()
	g, a, ctx := start(t, harness.Options{File: harness.Small})
	kv := g.KeyValue(t)
	drained, other := watch(t, ctx, kv, "mem"), watch(t, ctx, kv, "disk")

	stop, failed := make(chan struct{}), make(chan error, 1)
	go func() {
		for {
			if _, err := kv.Set(ctx, &kvv1.SetRequest{Namespace: "mem", Key: "k"}); err != nil {
				failed <- err
				return
			}
			select {
			case <-stop:
				failed <- nil
				return
			default:
			}
		}
	}()
	dry, err := a.DrainConnections(ctx, &adminv1.DrainConnectionsRequest{Namespace: "mem", DryRun: true})
	if err != nil || dry.InitialCount != 1 || dry.Operation != nil {
		t.Errorf("a dry run: %v, %v", dry, err)
	}
	r, err := a.DrainConnections(ctx, &adminv1.DrainConnectionsRequest{Namespace: "mem"})
	ok(t, err)
	if r.InitialCount != 1 || r.DrainedCount+r.RemainingCount != 1 || r.Operation.Kind != "drain" || r.Operation.Resource != "mem" {
		t.Errorf("it answers %v", r)
	}
	for {
		if _, err = drained(); err != nil {
			break
		}
	}
	if o := want(t, "its stream", err, codes.Unavailable, prism.ReasonDraining); o.Resume.GetPosition() == "" {
		t.Error("it has no position to go on from")
	}
	for done := false; !done; {
		o, err := a.GetOperation(ctx, &adminv1.GetOperationRequest{OperationId: r.Operation.OperationId})
		ok(t, err)
		done = o.Operation.State == adminv1.OperationState_OPERATION_STATE_DONE
	}
	for err = errors.New("none"); err != nil; { // the namespace lets streams in again, a moment later at most
		var w interface {
			Recv() (*kvv1.WatchResponse, error)
		}
		if w, err = kv.Watch(ctx, &kvv1.WatchRequest{Namespace: "mem"}); err == nil {
			_, err = w.Recv()
		}
		if err != nil && harness.Reason(err) != string(prism.ReasonDraining) {
			t.Fatal(err)
		}
	}
	close(stop)
	ok(t, <-failed)
	_, err = kv.Set(ctx, &kvv1.SetRequest{Namespace: "disk", Key: "k"})
	ok(t, err)
	if c, err := other(); err != nil || len(c.Changes) != 1 {
		t.Errorf("the stream of another namespace: %v, %v", c, err)
	}
	_, err = a.DrainConnections(ctx, &adminv1.DrainConnectionsRequest{Namespace: "none"})
	want(t, "a namespace that is not there", err, codes.NotFound, prism.ReasonNotFound)
	all, err := a.DrainConnections(ctx, &adminv1.DrainConnectionsRequest{})
	if err != nil || all.InitialCount < 1 {
		t.Errorf("all: %v, %v", all, err)
	}
	if _, err := other(); errors.Is(err, io.EOF) || harness.Reason(err) != string(prism.ReasonDraining) {
		t.Errorf("the other stream: %v", err)
	}
}
