package admin_test

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"

	"github.com/prism-data-layer/prism/pkg/prism"
	adminv1 "github.com/prism-data-layer/prism/proto/prism/admin/v1"
	kvv1 "github.com/prism-data-layer/prism/proto/prism/keyvalue/v1"
	"github.com/prism-data-layer/prism/test/harness"
)

// movable has two backends that can take each other's namespaces, and one of
// each model.
const movable = `apiVersion: prism/v1
auth: {mode: off}
backends:
  - {name: volatile, driver: memory}
  - {name: local, driver: pebble, options: {memtable: 1MiB, cache: 1MiB}}
namespaces:
  - {name: kv, model: keyvalue, backend: local, access: {owners: ["user:dev"]}}
  - {name: jobs, model: queue, backend: local}
  - {name: events, model: pubsub, backend: local}
  - {name: cache, model: cache, backend: volatile}
`

func moveDone(ctx context.Context, t *testing.T, a adminv1.AdminServiceClient, id string) *adminv1.Operation {
	t.Helper()
	var o *adminv1.Operation
	harness.Eventually(t, time.Minute, "the move has ended", func() bool {
		r, err := a.GetOperation(ctx, &adminv1.GetOperationRequest{OperationId: id})
		ok(t, err)
		o = r.Operation
		return o.State != adminv1.OperationState_OPERATION_STATE_RUNNING
	})
	return o
}

func bound(ctx context.Context, t *testing.T, a adminv1.AdminServiceClient, name string) *adminv1.Namespace {
	t.Helper()
	r, err := a.GetNamespace(ctx, &adminv1.GetNamespaceRequest{Name: name})
	ok(t, err)
	return r.Namespace
}

func TestAMoveIsRefusedWhereItWouldLose(t *testing.T) {
	t.Parallel()
	_, a, ctx := start(t, harness.Options{File: movable})
	move := func(name, to string) error {
		_, err := a.MoveNamespace(ctx, &adminv1.MoveNamespaceRequest{Name: name, To: to, DryRun: true})
		return err
	}
	want(t, "no such namespace", move("none", "local"), codes.NotFound, prism.ReasonNotFound)
	want(t, "no such backend", move("kv", "none"), codes.NotFound, prism.ReasonNotFound)
	want(t, "where it is", move("kv", "local"), codes.FailedPrecondition, prism.ReasonFailedPrecond)
	want(t, "a queue", move("jobs", "volatile"), codes.FailedPrecondition, prism.ReasonFailedPrecond)
	o := want(t, "fewer capabilities", move("cache", "local"), codes.FailedPrecondition, prism.ReasonFailedPrecond)
	if fewer := o.Info.GetMetadata()["fewer"]; fewer != "cache_bounded" {
		t.Errorf("a cache on pebble lacks %q", fewer)
	}
	r, err := a.MoveNamespace(ctx, &adminv1.MoveNamespaceRequest{Name: "kv", To: "volatile", DryRun: true})
	if err != nil || len(r.Fewer) > 0 || len(r.Notes) != 1 || !strings.Contains(r.Notes[0], "less safe") {
		t.Errorf("a dry run: %v, %v", r, err)
	}
	if n := bound(ctx, t, a, "kv"); n.BoundBackend != "local" {
		t.Errorf("after dry runs it is on %s", n.BoundBackend)
	}
	_, err = a.AbortMove(ctx, &adminv1.AbortMoveRequest{Name: "kv"})
	want(t, "nothing to abort", err, codes.FailedPrecondition, prism.ReasonFailedPrecond)
}

func TestAMoveIsToldInHistoryAndTheOldDataGoes(t *testing.T) {
	t.Parallel()
	g, a, ctx := start(t, harness.Options{File: movable})
	kv := g.KeyValue(t)
	_, err := kv.Set(ctx, &kvv1.SetRequest{Namespace: "kv", Key: "k", Value: []byte("v")})
	ok(t, err)
	r, err := a.MoveNamespace(ctx, &adminv1.MoveNamespaceRequest{Name: "kv", To: "volatile", KeepSourceMs: 1})
	ok(t, err)
	if o := moveDone(ctx, t, a, r.Operation.OperationId); o.State != adminv1.OperationState_OPERATION_STATE_DONE || !strings.Contains(o.Message, "1 keys") {
		t.Fatalf("the move: %v", o)
	}
	if n := bound(ctx, t, a, "kv"); n.BoundBackend != "volatile" || n.Revision != 2 {
		t.Errorf("after the move: %v", n)
	}
	if e, err := kv.Get(ctx, &kvv1.GetRequest{Namespace: "kv", Key: "k"}); err != nil || string(e.GetValue()) != "v" {
		t.Errorf("it holds %v, %v", e, err)
	}
	h, err := a.ListNamespaceHistory(ctx, &adminv1.ListNamespaceHistoryRequest{Name: "kv"})
	ok(t, err)
	if e := h.Events[0]; e.Kind != "moved" || e.Detail != "from local to volatile" || e.Revision != 2 {
		t.Errorf("the history begins with %v", e)
	}
	harness.Eventually(t, 20*time.Second, "the old data is gone", func() bool {
		return !slices.ContainsFunc(bound(ctx, t, a, "kv").Notes, func(n string) bool { return strings.Contains(n, "still holds") })
	})
}

func TestAnAbortedMoveLeavesEverythingWhereItIs(t *testing.T) {
	t.Parallel()
	g, a, ctx := start(t, harness.Options{File: movable})
	kv := g.KeyValue(t)
	for _, k := range []string{"a", "b", "c", "d"} {
		_, err := kv.Set(ctx, &kvv1.SetRequest{Namespace: "kv", Key: k, Value: []byte(k)})
		ok(t, err)
	}
	r, err := a.MoveNamespace(ctx, &adminv1.MoveNamespaceRequest{Name: "kv", To: "volatile", BytesPerSecond: 1, KeysPerSecond: 1})
	ok(t, err)
	_, err = a.MoveNamespace(ctx, &adminv1.MoveNamespaceRequest{Name: "kv", To: "volatile"})
	want(t, "moved twice", err, codes.FailedPrecondition, prism.ReasonNamespaceBusy)
	if n := bound(ctx, t, a, "kv"); !slices.ContainsFunc(n.Notes, func(n string) bool { return strings.HasPrefix(n, "moving to backend volatile") }) {
		t.Errorf("its notes tell of no move: %q", n.Notes)
	}
	x, err := a.AbortMove(ctx, &adminv1.AbortMoveRequest{Name: "kv"})
	if err != nil || x.Operation.OperationId != r.Operation.OperationId || x.Operation.State != adminv1.OperationState_OPERATION_STATE_FAILED || !strings.Contains(x.Operation.Message, "aborted") {
		t.Errorf("aborted: %v, %v", x, err)
	}
	if n := bound(ctx, t, a, "kv"); n.BoundBackend != "local" || n.Usage.Keys != 4 {
		t.Errorf("after the abort: %v", n)
	}
	// Nothing was left behind: the same move is not refused.
	r, err = a.MoveNamespace(ctx, &adminv1.MoveNamespaceRequest{Name: "kv", To: "volatile"})
	ok(t, err)
	if o := moveDone(ctx, t, a, r.Operation.OperationId); o.State != adminv1.OperationState_OPERATION_STATE_DONE {
		t.Errorf("the second move: %v", o)
	}
}

func TestACacheAndLiveEventsAreSwitchedAtOnce(t *testing.T) {
	t.Parallel()
	_, a, ctx := start(t, harness.Options{File: movable})
	for name, to := range map[string]string{"cache": "local", "events": "volatile"} {
		r, err := a.MoveNamespace(ctx, &adminv1.MoveNamespaceRequest{Name: name, To: to, AllowFewer: true})
		if err != nil || r.Operation.State != adminv1.OperationState_OPERATION_STATE_DONE || len(r.Notes) == 0 {
			t.Errorf("%s: %v, %v", name, r, err)
		}
		if n := bound(ctx, t, a, name); n.BoundBackend != to {
			t.Errorf("%s is on %s, want %s", name, n.BoundBackend, to)
		}
	}
}
