package admin_test

import (
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"

	"github.com/prism-data-layer/prism/pkg/clock"
	"github.com/prism-data-layer/prism/pkg/prism"
	adminv1 "github.com/prism-data-layer/prism/proto/prism/admin/v1"
	kvv1 "github.com/prism-data-layer/prism/proto/prism/keyvalue/v1"
	"github.com/prism-data-layer/prism/test/harness"
)

// faulty is a gateway that allows faults.
const faulty = "faults: true\n" + harness.Small

func TestFaultsAreRefusedUnlessTheConfigurationAllowsThem(t *testing.T) {
	t.Parallel()
	_, a, ctx := start(t, harness.Options{})
	_, err := a.AddFault(ctx, &adminv1.AddFaultRequest{Backend: "volatile", ErrorShare: 1, DurationMs: 1000})
	if o := want(t, "a fault", err, codes.FailedPrecondition, prism.ReasonFailedPrecond); !strings.Contains(o.Message(), "faults: true") {
		t.Errorf("it is not told how: %s", o.Message())
	}
	if l, err := a.ListFaults(ctx, &adminv1.ListFaultsRequest{}); err != nil || l.Enabled || len(l.Faults) != 0 {
		t.Errorf("ListFaults: %v, %v", l, err)
	}
	if st, err := a.GetStatus(ctx, &adminv1.GetStatusRequest{}); err != nil || st.FaultsEnabled {
		t.Errorf("GetStatus: %v, %v", st, err)
	}
}

// A fault acts on its target alone, is seen where one looks, opens the breaker as
// the backend's own failures would, and leaves nothing behind.
func TestAFaultActsOnItsTargetAlone(t *testing.T) {
	t.Parallel()
	g, a, ctx := start(t, harness.Options{File: faulty})
	kv := g.KeyValue(t)
	set := func(ns string) error {
		_, err := kv.Set(ctx, &kvv1.SetRequest{Namespace: ns, Key: "k", Value: []byte("v")})
		return err
	}
	add := &adminv1.AddFaultRequest{Backend: "local", ErrorShare: 1, DurationMs: time.Minute.Milliseconds(), DryRun: true}
	dry, err := a.AddFault(ctx, add)
	ok(t, err)
	ok(t, set("disk"))
	if dry.Fault.FaultId != "" || dry.Fault.Calls != "all" || dry.Fault.Reason != "BACKEND_UNAVAILABLE" {
		t.Errorf("a dry run answers %v", dry.Fault)
	}
	add.DryRun = false
	made, err := a.AddFault(ctx, add)
	ok(t, err)
	ok(t, set("mem"))
	for range 5 {
		want(t, "a call of the target", set("disk"), codes.Unavailable, prism.ReasonBackendUnavailable)
	}
	b, err := a.GetBackend(ctx, &adminv1.GetBackendRequest{Name: "local"})
	ok(t, err)
	if len(b.Backend.Faults) != 1 || b.Backend.Faults[0].FaultId != made.Fault.FaultId || b.Backend.Faults[0].Failed < 5 || b.Backend.Breaker != "open" || b.Backend.ErrorsByReason["BACKEND_UNAVAILABLE"] < 5 {
		t.Errorf("the backend: %v", b.Backend)
	}
	h, err := a.CheckBackendHealth(ctx, &adminv1.CheckBackendHealthRequest{})
	ok(t, err)
	for _, b := range h.Backends {
		if harmed := b.Name == "local"; harmed != strings.Contains(b.Message, made.Fault.FaultId) || harmed != (b.Health == adminv1.HealthState_HEALTH_STATE_UNHEALTHY) {
			t.Errorf("health of %s: %s %q", b.Name, b.Health, b.Message)
		}
	}
	l, err := a.ListFaults(ctx, &adminv1.ListFaultsRequest{})
	if err != nil || len(l.Faults) != 1 || !l.Enabled || l.Faults[0].Actor != "dev" || l.Faults[0].EndsAtMs-l.Faults[0].StartedAtMs != add.DurationMs {
		t.Errorf("ListFaults: %v, %v", l, err)
	}
	_, err = a.RemoveFault(ctx, &adminv1.RemoveFaultRequest{FaultId: made.Fault.FaultId})
	ok(t, err)
	_, err = a.RemoveFault(ctx, &adminv1.RemoveFaultRequest{FaultId: made.Fault.FaultId})
	want(t, "once more", err, codes.NotFound, prism.ReasonNotFound)
	for deadline := time.Now().Add(20 * time.Second); set("disk") != nil; {
		if time.Now().After(deadline) {
			t.Fatal("the backend does not come back")
		}
		_, err := a.CheckBackendHealth(ctx, &adminv1.CheckBackendHealthRequest{Name: "local"}) // which lets the breaker close
		ok(t, err)
	}
	audit, err := a.ListAudit(ctx, &adminv1.ListAuditRequest{Resource: "local", Method: "prism.admin.v1.AdminService/AddFault"})
	if err != nil || len(audit.Records) != 2 {
		t.Errorf("the audit log: %v, %v", audit, err)
	}
}

func TestAFaultEndsByItself(t *testing.T) {
	t.Parallel()
	g, a, ctx := start(t, harness.Options{File: faulty})
	kv := g.KeyValue(t)
	_, err := a.AddFault(ctx, &adminv1.AddFaultRequest{Backend: "volatile", Calls: "read", LatencyUs: 1000, ErrorShare: 1, Reason: "DISK_FULL", DurationMs: 300})
	ok(t, err)
	_, err = kv.Get(ctx, &kvv1.GetRequest{Namespace: "mem", Key: "k"})
	want(t, "while it acts", err, codes.ResourceExhausted, prism.ReasonDiskFull)
	for deadline := time.Now().Add(20 * time.Second); ; {
		_, err = kv.Get(ctx, &kvv1.GetRequest{Namespace: "mem", Key: "k"})
		if harness.Read(err).Code() == codes.NotFound {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("it does not end: %v", err)
		}
	}
	if l, err := a.ListFaults(ctx, &adminv1.ListFaultsRequest{Backend: "volatile"}); err != nil || len(l.Faults) != 0 {
		t.Errorf("ListFaults: %v, %v", l, err)
	}
	for field, r := range map[string]*adminv1.AddFaultRequest{
		"duration_ms": {Backend: "volatile", ErrorShare: 1, DurationMs: 1 << 62},
		"latency_us":  {Backend: "volatile", LatencyUs: 1 << 62, DurationMs: 1},
		"reason":      {Backend: "volatile", ErrorShare: 1, Reason: "NOT_FOUND", DurationMs: 1},
		"calls":       {Backend: "volatile", ErrorShare: 1, Calls: "no", DurationMs: 1},
	} {
		_, err := a.AddFault(ctx, r)
		want(t, field, err, codes.InvalidArgument, prism.ReasonInvalidArgument, field)
	}
}

// A fault whose time is over leaves a record: who had added it, when it was over
// and how often it acted.
func TestAFaultThatIsOverIsRecorded(t *testing.T) {
	t.Parallel()
	now := clock.NewFake(time.Now())
	g, a, ctx := start(t, harness.Options{File: faulty, Clock: now})
	made, err := a.AddFault(ctx, &adminv1.AddFaultRequest{Backend: "volatile", Calls: "read", ErrorShare: 1, DurationMs: 10_000})
	ok(t, err)
	for range 3 {
		_, err := g.KeyValue(t).Get(ctx, &kvv1.GetRequest{Namespace: "mem", Key: "k"})
		want(t, "while it acts", err, codes.Unavailable, prism.ReasonBackendUnavailable)
	}
	ended := func() []*adminv1.AuditRecord {
		l, err := a.ListAudit(ctx, &adminv1.ListAuditRequest{Resource: "volatile", Method: "gateway/FaultEnded"})
		ok(t, err)
		return l.Records
	}
	if list := ended(); len(list) != 0 {
		t.Errorf("before it is over: %v", list)
	}
	now.Advance(10 * time.Second)
	_, err = a.ListFaults(ctx, &adminv1.ListFaultsRequest{}) // or the next call or probe
	ok(t, err)
	list := ended()
	if len(list) != 1 || list[0].Actor != "dev" || list[0].TimeMs != made.Fault.EndsAtMs || list[0].LatencyUs != 10_000_000 ||
		!strings.Contains(list[0].Detail, made.Fault.FaultId) || !strings.Contains(list[0].Detail, "failed 3") {
		t.Errorf("the record: %v", list)
	}
}
