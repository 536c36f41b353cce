package admin_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"

	"github.com/prism-data-layer/prism/pkg/prism"
	adminv1 "github.com/prism-data-layer/prism/proto/prism/admin/v1"
	"github.com/prism-data-layer/prism/test/harness"
)

// A stream is recorded once: when it is answered the first time, or refused. It
// ends when its caller has lost the right to it.
func TestAStreamIsAudited(t *testing.T) {
	t.Parallel()
	g, a, ctx := start(t, harness.Options{File: strings.Replace(harness.Volatile, "auth: {mode: off}", "auth: {mode: required}", 1)})
	key := strings.TrimSpace(string(must(os.ReadFile(filepath.Join(g.Dir, "data", "admin.key")))))
	ctx = harness.As(ctx, key)
	operator, id := g.Key(t, key, "user:op", "operator")
	viewer, _ := g.Key(t, key, "user:vi", "viewer")
	listen := func(secret string, r *adminv1.TraceSessionRequest) (grpc.ServerStreamingClient[adminv1.TraceSessionResponse], error) {
		st, err := a.TraceSession(harness.As(harness.Context(t), secret), r)
		ok(t, err)
		_, err = st.Recv()
		return st, err
	}
	_, err := listen(viewer, &adminv1.TraceSessionRequest{})
	want(t, "a viewer", err, codes.PermissionDenied, prism.ReasonPermissionDenied)
	_, err = listen(operator, &adminv1.TraceSessionRequest{Namespace: "none"})
	want(t, "a namespace that is not there", err, codes.NotFound, prism.ReasonNotFound)
	st, err := listen(operator, &adminv1.TraceSessionRequest{Namespace: "mem"})
	ok(t, err)
	l, err := a.ListAudit(ctx, &adminv1.ListAuditRequest{Method: "prism.admin.v1.AdminService/TraceSession"})
	ok(t, err)
	var got []string
	for _, r := range l.Records {
		got = append(got, strings.Join([]string{r.Actor, r.Resource, r.Decision, r.Result}, " "))
	}
	if wanted := []string{"user:op mem allowed OK", "user:op none allowed NOT_FOUND", "user:vi  denied PERMISSION_DENIED"}; !slices.Equal(got, wanted) {
		t.Errorf("the audit trail is\n%q, want\n%q", got, wanted)
	}
	_, err = a.RevokeKey(ctx, &adminv1.RevokeKeyRequest{KeyId: id})
	ok(t, err)
	_, err = st.Recv()
	want(t, "after the key was revoked", err, codes.Unauthenticated, prism.ReasonUnauthenticated)
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}
