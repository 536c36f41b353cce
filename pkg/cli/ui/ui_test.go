package ui

import (
	"context"
	"errors"
	"flag"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
	"google.golang.org/grpc"

	"github.com/prism-data-layer/prism/pkg/cli"
	"github.com/prism-data-layer/prism/pkg/clock"
	"github.com/prism-data-layer/prism/pkg/iostreams"
	"github.com/prism-data-layer/prism/pkg/prism"
	"github.com/prism-data-layer/prism/pkg/supervise"
	"github.com/prism-data-layer/prism/pkg/wire"
	adminv1 "github.com/prism-data-layer/prism/proto/prism/admin/v1"
	sessionv1 "github.com/prism-data-layer/prism/proto/prism/session/v1"
	"github.com/prism-data-layer/prism/tui/page/overview"
)

var update = flag.Bool("update", false, "write the golden files anew")

// TestMain makes this binary the watcher of a supervisor too.
func TestMain(m *testing.M) {
	if code, ran := supervise.Reexec(os.Args); ran {
		os.Exit(code)
	}
	goleak.VerifyTestMain(m)
}

// A gateway answers the admin API with three namespaces, two backends and more
// sessions than are asked for.
type gateway struct {
	adminv1.UnimplementedAdminServiceServer
	mu       sync.Mutex
	calls    int64
	idle     bool
	denied   map[string]bool
	sessions int
	stall    chan struct{}
}

func (g *gateway) enter(part string) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.denied[part] {
		return wire.ToStatus(prism.New(prism.ReasonPermissionDenied, "you may not list %s", part)).Err()
	}
	return nil
}

func (g *gateway) set(f func()) {
	g.mu.Lock()
	defer g.mu.Unlock()
	f()
}

func now() time.Time { return iostreams.TestTime() }

func (g *gateway) GetStatus(context.Context, *adminv1.GetStatusRequest) (*adminv1.GetStatusResponse, error) {
	g.mu.Lock()
	stall := g.stall
	g.mu.Unlock()
	if stall != nil {
		<-stall
	}
	if err := g.enter("status"); err != nil {
		return nil, err
	}
	return &adminv1.GetStatusResponse{
		Version: "0.1.0", State: "Running", StartedAtMs: now().Add(-time.Hour).UnixMilli(), NowMs: now().UnixMilli(), Namespaces: 3,
		ConfigProblem: "prism.yaml:3:1: unknown key",
		Maintenance:   &adminv1.Maintenance{Refuses: "all", Message: "a disk is changed", EndsAtMs: now().Add(time.Hour).UnixMilli()},
	}, nil
}

func (g *gateway) GetStats(context.Context, *adminv1.GetStatsRequest) (*adminv1.GetStatsResponse, error) {
	if err := g.enter("rates"); err != nil {
		return nil, err
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if !g.idle || g.calls == 0 {
		g.calls++
	}
	n := g.calls * 100
	latency := &adminv1.LatencyHistogram{BoundsUs: []int64{100, 200, 400}, Counts: []int64{n / 2, n / 4, n / 4, 0}}
	return &adminv1.GetStatsResponse{
		TimeMs: now().UnixMilli() + g.calls*1000,
		Namespaces: []*adminv1.NamespaceStats{
			{Namespace: "kv", Reads: n * 3, Writes: n, Errors: g.calls, Latency: latency},
			{Namespace: "orders", Reads: 0, Writes: 0},
		},
		Methods: []*adminv1.MethodStats{
			{Method: "prism.keyvalue.v1.KeyValueService/Get", Calls: n, Errors: 5 * g.calls},
			{Method: "prism.admin.v1.AdminService/GetStats", Calls: n, Errors: 1000 * g.calls},
		},
	}, nil
}

func (g *gateway) ListNamespaces(context.Context, *adminv1.ListNamespacesRequest) (*adminv1.ListNamespacesResponse, error) {
	if err := g.enter("namespaces"); err != nil {
		return nil, err
	}
	return &adminv1.ListNamespacesResponse{Namespaces: []*adminv1.Namespace{
		{Spec: &adminv1.NamespaceSpec{Name: "kv", Model: "keyvalue"}, State: adminv1.NamespaceState_NAMESPACE_STATE_ACTIVE, BoundBackend: "local", Usage: &adminv1.NamespaceUsage{Keys: 1234567, Estimated: true}},
		{Spec: &adminv1.NamespaceSpec{Name: "orders", Model: "keyvalue"}, State: adminv1.NamespaceState_NAMESPACE_STATE_DEGRADED, BoundBackend: "local"},
		{Spec: &adminv1.NamespaceSpec{Name: "evil\x1b[2J", Model: "keyvalue"}, State: adminv1.NamespaceState(99), BoundBackend: "volatile"},
	}}, nil
}

func (g *gateway) ListBackends(context.Context, *adminv1.ListBackendsRequest) (*adminv1.ListBackendsResponse, error) {
	if err := g.enter("backends"); err != nil {
		return nil, err
	}
	return &adminv1.ListBackendsResponse{Backends: []*adminv1.Backend{
		{Name: "local", Driver: "pebble", Health: adminv1.HealthState_HEALTH_STATE_HEALTHY, LatencyUs: 90, Durability: "fsynced", LastError: "long ago"},
		{Name: "volatile", Driver: "memory", Health: adminv1.HealthState_HEALTH_STATE_UNHEALTHY, LatencyUs: 4200, LastError: "out of memory"},
	}}, nil
}

func (g *gateway) ListSessions(_ context.Context, r *adminv1.ListSessionsRequest) (*adminv1.ListSessionsResponse, error) {
	if err := g.enter("sessions"); err != nil {
		return nil, err
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.sessions > 0 {
		out := &adminv1.ListSessionsResponse{Total: int64(g.sessions), Cursor: "more"}
		for range r.GetLimit() {
			out.Sessions = append(out.Sessions, &adminv1.Session{SessionId: "ses"})
		}
		return out, nil
	}
	return &adminv1.ListSessionsResponse{Total: 3, Sessions: []*adminv1.Session{
		{SessionId: "ses_a", Principal: "service:checkout", ClientId: "go", ClientVersion: "0.1.0", Status: sessionv1.SessionStatus_SESSION_STATUS_ACTIVE, CreatedAtMs: now().Add(-time.Hour).UnixMilli(), LastActivityMs: now().UnixMilli(), Metrics: &sessionv1.SessionMetrics{RequestsProcessed: 99}},
		{SessionId: "ses_b", Principal: "user:ann", Implicit: true, Status: sessionv1.SessionStatus_SESSION_STATUS_READ_ONLY},
		{SessionId: "ses_c", Principal: "user:bob", ClientId: "curl"},
	}}, nil
}

// start serves g on an address; "": any. The address is free again after stop.
func start(t *testing.T, g *gateway, address string) (where string, stop func()) {
	t.Helper()
	if address == "" {
		address = "127.0.0.1:0"
	}
	l, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	s := grpc.NewServer(grpc.ForceServerCodecV2(wire.Codec()))
	adminv1.RegisterAdminServiceServer(s, g)
	done := make(chan struct{})
	go func() { defer close(done); _ = s.Serve(l) }()
	var once sync.Once
	stop = func() { once.Do(func() { s.Stop(); <-done }) }
	t.Cleanup(stop)
	return l.Addr().String(), stop
}

// rig is a factory in an empty folder, aimed at an address.
func rig(t *testing.T, address string, env map[string]string) (f *cli.Factory, out, errOut *iostreams.Buffer) {
	t.Helper()
	ios, _, out, errOut := iostreams.Test()
	ios.SetEnv(env)
	f = cli.NewFactory(ios, cli.Build{Version: "0.1.0"})
	dir := t.TempDir()
	f.Place = cli.Place{Dir: dir, Home: dir, Temp: dir}
	f.Globals.Admin, f.Globals.Timeout = address, 5*time.Second
	t.Cleanup(f.Close)
	return f, out, errOut
}

// realTime lets the clock of a rig go, so that the interval between two
// questions passes.
func realTime(f *cli.Factory) { f.IO.SetClock(clock.Real()) }

func execute(ctx context.Context, f *cli.Factory, args ...string) error {
	cmd := New(f)
	cmd.SilenceErrors, cmd.SilenceUsage = true, true
	cmd.SetFlagErrorFunc(cli.UnknownFlag) // as the root does
	cmd.SetArgs(args)
	return cmd.ExecuteContext(ctx)
}

func TestASnapshotShowsTheGateway(t *testing.T) {
	t.Parallel()
	address, _ := start(t, &gateway{}, "")
	f, out, errOut := rig(t, address, nil)
	realTime(f)
	if err := execute(t.Context(), f, "--snapshot", "--size", "110x34", "--refresh", "100ms"); err != nil {
		t.Fatal(err, errOut)
	}
	got := strings.ReplaceAll(out.String(), address, "127.0.0.1:8981")
	local := func(t time.Time) string { return t.Local().Format("15:04") }
	got = strings.NewReplacer("until "+local(now().Add(time.Hour)), "until 13:00", // wherever this runs
		local(now().Add(-time.Hour)), "11:00", local(now()), "12:00").Replace(got)
	got = strings.Split(got, "\n")[0][:20] + got[strings.Index(got, "\n"):] // the port's length differs
	file := filepath.Join("testdata", "snapshot.golden")
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s differs (-update writes it anew); got\n%s\nwant\n%s", file, got, want)
	}
}

func TestADeadGatewayIsDrawnAndEndsInUnavailable(t *testing.T) {
	t.Parallel()
	address, stop := start(t, &gateway{}, "")
	stop()
	f, out, _ := rig(t, address, nil)
	err := execute(t.Context(), f, "--snapshot")
	if cli.Code(err) != cli.ExitUnavailable {
		t.Errorf("exit %d, want %d: %v", cli.Code(err), cli.ExitUnavailable, err)
	}
	if !strings.Contains(out.String(), "cannot reach the gateway at "+address) || !strings.Contains(out.String(), "connection refused") {
		t.Errorf("got\n%s", out)
	}
}

func TestWhatCannotWorkIsRefused(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		args []string
		tty  bool
		term string
		want string
	}{
		{nil, false, "xterm", "need a terminal"},
		{nil, true, "dumb", "TERM is dumb"},
		{[]string{"--snapshot", "--size", "12"}, false, "", "not the size of a screen"},
		{[]string{"--snapshot", "--size", "0x5"}, false, "", "not the size of a screen"},
		{[]string{"--snapshot", "--size", "9999x5"}, false, "", "not the size of a screen"},
		{[]string{"--size", "80x24"}, true, "xterm", "--size is for --snapshot"},
		{[]string{"--theme", "pink"}, true, "xterm", "--theme"},
		{[]string{"--view", "nothing"}, true, "xterm", "--view"},
		{[]string{"--refresh", "1ms"}, true, "xterm", "--refresh"},
		{[]string{"extra"}, true, "xterm", "does not take"},
	} {
		f, out, _ := rig(t, "127.0.0.1:1", map[string]string{"TERM": c.term})
		f.IO.SetTTY(c.tty, c.tty, c.tty)
		err := execute(t.Context(), f, c.args...)
		if cli.Code(err) != cli.ExitUsage || !strings.Contains(err.Error(), c.want) || out.String() != "" {
			t.Errorf("%q: exit %d, %v, %q", c.args, cli.Code(err), err, out)
		}
		var failure *cli.Failure
		if errors.As(err, &failure) && c.term == "dumb" && !strings.Contains(failure.Fix, "--snapshot") {
			t.Errorf("the way out is not named: %q", failure.Fix)
		}
	}
}

func TestTheSourceReadsEveryPart(t *testing.T) {
	t.Parallel()
	address, _ := start(t, &gateway{}, "")
	f, _, _ := rig(t, address, nil)
	s, err := newSource(t.Context(), f)
	if err != nil {
		t.Fatal(err)
	}
	got, err := s.Overview(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if got.Namespaces[0] != (overview.Namespace{Name: "kv", Model: "keyvalue", Backend: "local", State: "active", Keys: 1234567, KeysKnown: true, Estimated: true}) || len(got.Namespaces) != 3 {
		t.Errorf("namespaces: %+v", got.Namespaces)
	}
	if got.Backends[0].Error != "" || got.Backends[1].Error != "out of memory" || got.Backends[1].Health != "unhealthy" {
		t.Errorf("backends: %+v", got.Backends)
	}
	if x := got.Sessions; x[0].Client != "go 0.1.0" || x[1].Client != "implicit" || x[2].Client != "curl" || x[0].Requests != 99 || x[1].Status != "read_only" || !x[1].Created.IsZero() {
		t.Errorf("sessions: %+v", x)
	}
	if got.Stats.Total.Calls != 400 || got.Stats.Total.Errors != 5 || got.Stats.Total.Latency.Total() != 100 {
		t.Errorf("stats: %+v", got.Stats)
	}
	if x := got.Maintenance; x == nil || x.Refuses != "all" || x.Message != "a disk is changed" || !x.Ends.Equal(now().Add(time.Hour)) {
		t.Errorf("maintenance is %+v", x)
	}
	if len(got.Problems) != 0 || len(got.More) != 0 || !strings.Contains(got.Notice, "prism.yaml:3:1") || !got.Now.Equal(now()) {
		t.Errorf("got %+v", got)
	}
}

func TestAPartThatFailsLeavesTheOthers(t *testing.T) {
	t.Parallel()
	g := &gateway{denied: map[string]bool{"sessions": true, "rates": true, "backends": true, "namespaces": true}}
	address, _ := start(t, g, "")
	f, _, _ := rig(t, address, nil)
	s, err := newSource(t.Context(), f)
	if err != nil {
		t.Fatal(err)
	}
	got, err := s.Overview(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range []overview.Part{overview.PartSessions, overview.PartStats, overview.PartBackends, overview.PartNamespaces} {
		if err := got.Problems[p]; err == nil || !strings.Contains(err.Error(), "you may not list "+string(p)) {
			t.Errorf("%s: %v", p, err)
		}
	}
	g.set(func() { g.denied = map[string]bool{"status": true} })
	if _, err := s.Overview(t.Context()); !errors.Is(err, prism.ReasonPermissionDenied) {
		t.Errorf("got %v", err)
	}
}

func TestManySessionsAreCutAndCounted(t *testing.T) {
	t.Parallel()
	address, _ := start(t, &gateway{sessions: 10_000}, "")
	f, _, _ := rig(t, address, nil)
	s, err := newSource(t.Context(), f)
	if err != nil {
		t.Fatal(err)
	}
	got, err := s.Overview(t.Context())
	if err != nil || len(got.Sessions) != maxRows || got.More[overview.PartSessions] != 10_000-maxRows {
		t.Errorf("%d sessions, %d more, %v", len(got.Sessions), got.More[overview.PartSessions], err)
	}
}

func TestASlowGatewayIsNamed(t *testing.T) {
	t.Parallel()
	g := &gateway{stall: make(chan struct{})}
	address, _ := start(t, g, "")
	defer close(g.stall)
	f, _, _ := rig(t, address, nil)
	s, err := newSource(t.Context(), f)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err = s.Overview(ctx); err == nil || !strings.Contains(err.Error(), "does not answer") {
		t.Errorf("got %v", err)
	}
}

func TestAGatewayThatComesBackIsFoundAtOnce(t *testing.T) {
	t.Parallel()
	address, stop := start(t, &gateway{}, "")
	f, _, _ := rig(t, address, nil)
	s, err := newSource(t.Context(), f)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Overview(t.Context()); err != nil {
		t.Fatal(err)
	}
	stop()
	for i := range 6 { // gRPC's own wait is past ten seconds by then
		if _, err := s.Overview(t.Context()); !errors.Is(err, prism.ReasonUnavailable) {
			t.Fatalf("attempt %d: %v", i, err)
		}
	}
	start(t, &gateway{}, address)
	if _, err := s.Overview(t.Context()); err != nil {
		t.Errorf("the gateway is back: %v", err)
	}
}

func TestCopiedCommandsReachTheSameGateway(t *testing.T) {
	t.Parallel()
	f, _, _ := rig(t, "127.0.0.1:1", nil)
	f.Globals.Context = "prod"
	o := &options{Globals: f.Globals}
	if got, want := o.command(), "prismctl --context prod --admin 127.0.0.1:1"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestColourIsDecidedAsEverywhere(t *testing.T) {
	t.Parallel()
	f, _, _ := rig(t, "127.0.0.1:1", map[string]string{"TERM": "xterm", "NO_COLOR": "1", "TMUX": "x"})
	f.IO.SetTTY(true, true, true)
	var o *options
	cmd := newUI(f, func(_ context.Context, given *options) error { o = given; return nil })
	cmd.SetArgs([]string{"--theme", "light"})
	if err := cmd.Execute(); err != nil {
		t.Fatal(err)
	}
	got, err := o.dashboards()
	if err != nil || got.Mode.String() != "mono" {
		t.Errorf("mode %v, %v", got.Mode, err)
	}
	for _, e := range o.environment() {
		if strings.HasPrefix(e, "NO_COLOR") {
			t.Error("NO_COLOR would be judged twice")
		}
	}
}
