package ui

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"sync"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/prism-data-layer/prism/pkg/cli"
	adminv1 "github.com/prism-data-layer/prism/proto/prism/admin/v1"
	optionsv1 "github.com/prism-data-layer/prism/proto/prism/options/v1"
	"github.com/prism-data-layer/prism/tui/page/audit"
)

// auditSource answers the page of the audit record.
type auditSource struct{ *source }

// Audit asks for the newest records. Those of changes are asked for call by
// call: the many records of dashboards that only look would hide them.
func (s auditSource) Audit(ctx context.Context, f audit.Filter, most int) (*audit.List, error) {
	out := &audit.List{}
	if err := s.together(ctx, func(ctx context.Context) (err error) { out.Now, _, err = s.clock(ctx); return err }); err != nil {
		return nil, err
	}
	req := &adminv1.ListAuditRequest{Actor: f.Actor, Resource: f.Resource}
	if f.Since != "" {
		at, err := cli.ParseMoment(f.Since, out.Now)
		if err != nil {
			return nil, cli.Usage("write how long ago (90m, 7d) or a time", "since: %q is not a time", f.Since)
		}
		req.SinceMs = at.UnixMilli()
	}
	methods := []string{""}
	switch {
	case f.Call != "":
		methods = []string{cli.AdminMethod(f.Call)}
	case !f.Reads:
		methods = changingMethods()
	}
	var mu sync.Mutex
	seen := map[int64]bool{}
	parts := make([]func(context.Context) error, len(methods))
	for i, method := range methods {
		parts[i] = func(ctx context.Context) error {
			records, more, err := s.records(ctx, req, method, most)
			mu.Lock()
			defer mu.Unlock()
			for _, r := range records {
				if !seen[r.ID] {
					seen[r.ID] = true
					out.Records = append(out.Records, r)
				}
			}
			out.More = out.More || more
			return err
		}
	}
	if err := s.together(ctx, parts...); err != nil {
		return nil, err
	}
	slices.SortFunc(out.Records, func(a, b audit.Record) int { return cmp.Compare(b.ID, a.ID) })
	if len(out.Records) > most {
		out.Records, out.More = out.Records[:most], true
	}
	return out, nil
}

func (s auditSource) records(ctx context.Context, of *adminv1.ListAuditRequest, method string, most int) (list []audit.Record, more bool, err error) {
	req := proto.CloneOf(of)
	req.Method = method
	next, err := cli.Pages(ctx, most, func(ctx context.Context, cursor string, size int32) (int, string, error) {
		req.Cursor, req.Limit = cursor, size
		r, err := s.client.ListAudit(ctx, req)
		for _, a := range r.GetRecords() {
			list = append(list, audit.Record{
				ID: a.GetId(), Time: moment(a.GetTimeMs()), Actor: a.GetActor(), Call: a.GetMethod()[strings.LastIndexByte(a.GetMethod(), '/')+1:], Method: a.GetMethod(),
				Resource: a.GetResource(), Decision: a.GetDecision(), Result: a.GetResult(), Took: time.Duration(a.GetLatencyUs()) * time.Microsecond,
				Peer: a.GetPeer(), Request: a.GetRequestId(), Trace: a.GetTraceId(), Calls: a.GetCalls(), Detail: a.GetDetail(),
			})
		}
		return len(r.GetRecords()), r.GetCursor(), err
	})
	return list, next != "", err
}

// changingMethods are the calls of the admin API that do not only read, and
// what the gateway does by itself.
func changingMethods() []string {
	list := []string{"gateway/FaultEnded"}
	methods := adminv1.File_prism_admin_v1_admin_proto.Services().ByName("AdminService").Methods()
	for i := range methods.Len() {
		m := methods.Get(i)
		if how, _ := proto.GetExtension(m.Options(), optionsv1.E_Idempotency).(optionsv1.Idempotency); how != optionsv1.Idempotency_IDEMPOTENCY_READ {
			list = append(list, cli.AdminMethod(string(m.Name())))
		}
	}
	return list
}
