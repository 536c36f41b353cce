package gateway_test

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"

	"github.com/prism-data-layer/prism/pkg/clock"
	"github.com/prism-data-layer/prism/pkg/prism"
	adminv1 "github.com/prism-data-layer/prism/proto/prism/admin/v1"
	kvv1 "github.com/prism-data-layer/prism/proto/prism/keyvalue/v1"
	sessionv1 "github.com/prism-data-layer/prism/proto/prism/session/v1"
	"github.com/prism-data-layer/prism/test/harness"
)

type watchStream = grpc.ServerStreamingClient[kvv1.WatchResponse]

// watching starts a watch and returns it with the position it starts from.
func watching(t *testing.T, kv kvv1.KeyValueServiceClient, ctx context.Context, r *kvv1.WatchRequest) (watchStream, *kvv1.WatchResponse) {
	t.Helper()
	if r.Namespace == "" {
		r.Namespace = ns
	}
	st, err := kv.Watch(ctx, r)
	if err != nil {
		t.Fatal(err)
	}
	first, err := st.Recv()
	if err != nil {
		t.Fatalf("the first message: %v", err)
	}
	return st, first
}

func session(t *testing.T, g *harness.Gateway, ctx context.Context) (id, token string) {
	t.Helper()
	r, err := g.Sessions(t).CreateSession(ctx, &sessionv1.CreateSessionRequest{ClientId: "test"})
	if err != nil {
		t.Fatal(err)
	}
	return r.SessionId, r.SessionToken
}

func TestWatchStartsAtOnceAndTellsChanges(t *testing.T) {
	t.Parallel()
	_, kv, ctx := start(t, harness.Options{})
	set(t, kv, "before", "x")
	st, first := watching(t, kv, ctx, &kvv1.WatchRequest{Prefix: "k", IncludeValues: true})
	if len(first.Changes) != 0 || first.Position == "" {
		t.Errorf("the first message is %v", first)
	}
	v1 := set(t, kv, "k1", "one")
	set(t, kv, "other", "x")
	v2 := set(t, kv, "k1", "")
	if _, err := kv.Delete(ctx, &kvv1.DeleteRequest{Namespace: ns, Key: "k1"}); err != nil {
		t.Fatal(err)
	}
	var changes []*kvv1.Change
	for len(changes) < 3 {
		r, err := st.Recv()
		if err != nil {
			t.Fatal(err)
		}
		changes = append(changes, r.Changes...)
	}
	if c := changes[0]; c.Kind != kvv1.ChangeKind_CHANGE_KIND_SET || c.Version != v1 || c.PreviousVersion != 0 || c.Key != "k1" || c.TimeMs == 0 {
		t.Errorf("the first change is %v", c)
	}
	if c := changes[1]; c.Version != v2 || c.PreviousVersion != v1 {
		t.Errorf("the second change is %v", c)
	}
	if c := changes[2]; c.Kind != kvv1.ChangeKind_CHANGE_KIND_DELETE || c.PreviousVersion != v2 || c.Value != nil {
		t.Errorf("the third change is %v", c)
	}
	set(t, kv, "k2", "")
	r, err := st.Recv()
	if err != nil || len(r.Changes) != 1 || r.Changes[0].Value == nil {
		t.Errorf("an empty value is absent: %v, %v", r, err)
	}
}

// The Resume detail of a stream's end is all that a client needs to go on.
func TestWatchResumesFromTheDetailOfItsEnd(t *testing.T) {
	t.Parallel()
	for what, end := range map[string]struct {
		do     func(t *testing.T, g *harness.Gateway, session string)
		code   codes.Code
		reason prism.Reason
		again  func(t *testing.T, g *harness.Gateway)
	}{
		"drain": {
			func(t *testing.T, g *harness.Gateway, _ string) { go func() { _ = g.Stop() }() },
			codes.Unavailable, prism.ReasonDraining,
			func(t *testing.T, g *harness.Gateway) {
				if err := g.Stop(); err != nil {
					t.Errorf("stop: %v", err)
				}
				harness.Eventually(t, 30*time.Second, "the gateway has stopped", func() bool { return g.Server.State().String() == "Stopped" })
				g.Run(t)
			},
		},
		"terminate": {
			func(t *testing.T, g *harness.Gateway, id string) {
				if _, err := g.Admin(t).TerminateSession(harness.Context(t), &adminv1.TerminateSessionRequest{SessionId: id, Reason: "enough"}); err != nil {
					t.Error(err)
				}
			},
			codes.Unauthenticated, prism.ReasonSessionRevoked, nil,
		},
		"close": {
			func(t *testing.T, g *harness.Gateway, id string) {},
			codes.Unauthenticated, prism.ReasonInvalidSession, nil,
		},
		"access": {
			func(t *testing.T, g *harness.Gateway, _ string) {
				if _, err := g.Admin(t).UpdateNamespace(harness.Context(t), &adminv1.UpdateNamespaceRequest{
					Spec: &adminv1.NamespaceSpec{Name: "made", Access: &adminv1.Access{Owners: []string{"user:new"}}}, UpdateMask: []string{"access"},
				}); err != nil {
					t.Error(err)
				}
			},
			codes.Unavailable, prism.ReasonMoved, nil,
		},
		"delete": {
			func(t *testing.T, g *harness.Gateway, _ string) {
				if _, err := g.Admin(t).DeleteNamespace(harness.Context(t), &adminv1.DeleteNamespaceRequest{Name: "made"}); err != nil {
					t.Error(err)
				}
			},
			codes.FailedPrecondition, prism.ReasonNamespaceBusy, nil,
		},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			g, kv, ctx := start(t, harness.Options{File: harness.Small})
			if _, err := g.Admin(t).CreateNamespace(ctx, &adminv1.CreateNamespaceRequest{Spec: &adminv1.NamespaceSpec{Name: "made", Backend: "local"}}); err != nil {
				t.Fatal(err)
			}
			id, token := session(t, g, ctx)
			st, first := watching(t, kv, harness.In(ctx, token), &kvv1.WatchRequest{Namespace: "made"})
			if _, err := kv.Set(ctx, &kvv1.SetRequest{Namespace: "made", Key: "seen"}); err != nil {
				t.Fatal(err)
			}
			seen, err := st.Recv()
			if err != nil || len(seen.Changes) != 1 {
				t.Fatalf("%v, %v", seen, err)
			}
			begun := time.Now()
			if what == "close" {
				if _, err := g.Sessions(t).CloseSession(harness.In(ctx, token), &sessionv1.CloseSessionRequest{Force: true}); err != nil {
					t.Fatal(err)
				}
			}
			end.do(t, g, id)
			o := want(t, what, ends(t, 30*time.Second, st.Recv), end.code, end.reason)
			if took := time.Since(begun); took > 1500*time.Millisecond {
				t.Errorf("the stream ended after %v, want a second", took)
			}
			if o.Resume.GetPosition() != seen.Position || seen.Position == first.Position {
				t.Errorf("Resume is %v, want the position after what was seen", o.Resume)
			}
			if what == "terminate" && !strings.Contains(o.Message(), "enough") {
				t.Errorf("the operator's reason is not told: %q", o.Message())
			}
			if what == "delete" {
				return
			}
			if end.again != nil {
				end.again(t, g)
			}
			harness.Eventually(t, 30*time.Second, "a write is taken again", func() bool {
				_, err := kv.Set(ctx, &kvv1.SetRequest{Namespace: "made", Key: "missed"})
				return err == nil
			})
			st, r := watching(t, kv, ctx, &kvv1.WatchRequest{Namespace: "made", Position: o.Resume.Position})
			for len(r.Changes) == 0 {
				if r, err = st.Recv(); err != nil {
					t.Fatal(err)
				}
			}
			if len(r.Changes) != 1 || r.Changes[0].Key != "missed" {
				t.Errorf("after the resumption came %v", r.Changes)
			}
		})
	}
}

func TestWatchEndsWithItsKey(t *testing.T) {
	t.Parallel()
	g, kv, ctx := start(t, harness.Options{File: secured})
	admin := adminKey(t, g)
	key, id := g.Key(t, admin, "user:owner")
	st, _ := watching(t, kv, harness.As(ctx, key), &kvv1.WatchRequest{})
	if _, err := g.Admin(t).RevokeKey(harness.As(ctx, admin), &adminv1.RevokeKeyRequest{KeyId: id}); err != nil {
		t.Fatal(err)
	}
	want(t, "a revoked key", ends(t, 30*time.Second, st.Recv), codes.Unauthenticated, prism.ReasonUnauthenticated)
	_, err := kv.Exists(harness.As(ctx, key), &kvv1.ExistsRequest{Namespace: ns, Key: "k"})
	want(t, "the next call", err, codes.Unauthenticated, prism.ReasonUnauthenticated)
}

// A reader that does not read holds up neither writers nor, once it reads
// again, loses anything.
func TestWatchOfASlowReader(t *testing.T) {
	t.Parallel()
	// The gateway's time stands still: it has no reason to give the reader up.
	_, kv, ctx := start(t, harness.Options{Clock: clock.NewFake(time.Now())})
	st, _ := watching(t, kv, ctx, &kvv1.WatchRequest{IncludeValues: true})
	value := bytes.Repeat([]byte("x"), 100<<10)
	const n = 200 // 20 MiB: more than the windows hold
	for i := range n {
		if _, err := kv.Set(ctx, &kvv1.SetRequest{Namespace: ns, Key: fmt.Sprint(i), Value: value}); err != nil {
			t.Fatal(err)
		}
	}
	seen := 0
	for seen < n {
		r, err := st.Recv()
		if err != nil {
			t.Fatalf("after %d changes: %v", seen, err)
		}
		for _, c := range r.Changes {
			if c.Key != fmt.Sprint(seen) {
				t.Fatalf("change %d is of key %s", seen, c.Key)
			}
			seen++
		}
	}
}
