package admin_test

import (
	"testing"

	"google.golang.org/grpc/codes"

	"github.com/prism-data-layer/prism/pkg/prism"
	adminv1 "github.com/prism-data-layer/prism/proto/prism/admin/v1"
	"github.com/prism-data-layer/prism/test/harness"
)

// Reads share a record while they come; what asks for a change, or fails, has one
// each.
func TestOnlyReadsThatWereAnsweredShareARecord(t *testing.T) {
	t.Parallel()
	_, a, ctx := start(t, harness.Options{})
	for range 3 {
		_, err := a.GetStatus(ctx, &adminv1.GetStatusRequest{})
		ok(t, err)
		_, err = a.CreateNamespace(ctx, &adminv1.CreateNamespaceRequest{Spec: &adminv1.NamespaceSpec{Name: "new", Backend: "volatile"}, DryRun: true})
		ok(t, err)
		_, err = a.GetNamespace(ctx, &adminv1.GetNamespaceRequest{Name: "none"})
		want(t, "one that is not there", err, codes.NotFound, prism.ReasonNotFound)
	}
	for method, records := range map[string]int{"GetStatus": 1, "CreateNamespace": 3, "GetNamespace": 3} {
		l, err := a.ListAudit(ctx, &adminv1.ListAuditRequest{Method: "prism.admin.v1.AdminService/" + method})
		ok(t, err)
		if len(l.Records) != records {
			t.Errorf("%s: %d records, want %d", method, len(l.Records), records)
		}
	}
}
