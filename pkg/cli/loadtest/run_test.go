package loadtest_test

import (
	"context"
	"encoding/json"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prism-data-layer/prism/loadtest/report"
	"github.com/prism-data-layer/prism/pkg/cli"
	"github.com/prism-data-layer/prism/pkg/cli/clitest"
	adminv1 "github.com/prism-data-layer/prism/proto/prism/admin/v1"
	"github.com/prism-data-layer/prism/test/harness"
)

func TestMain(m *testing.M) { os.Exit(clitest.Main(m)) }

// gateway is a real one, and a rig that talks to it.
func gateway(t *testing.T) (*clitest.Rig, *harness.Gateway) {
	t.Helper()
	g := harness.Start(t, harness.Options{})
	r := clitest.Offline(t)
	r.Env["PRISM_DATA"], r.Env["PRISM_ADMIN"] = g.Addr("data"), g.Addr("admin")
	return r, g
}

// whenLoaded calls f once the load has begun: some reads of it were answered.
func whenLoaded(t *testing.T, g *harness.Gateway, f func()) {
	t.Helper()
	admin, ctx := g.Admin(t), harness.Context(t)
	go func() {
		for ctx.Err() == nil {
			stats, err := admin.GetStats(ctx, &adminv1.GetStatsRequest{})
			if err == nil && slices.ContainsFunc(stats.Namespaces, func(n *adminv1.NamespaceStats) bool { return n.Namespace == "mem" && n.Reads > 5 }) {
				f()
				return
			}
			time.Sleep(5 * time.Millisecond)
		}
	}()
}

// short is a run of a tenth of a second.
func short(more ...string) []string {
	return append([]string{"loadtest", "run", "kv", "-n", "mem", "--rate", "500", "--duration", "100ms", "--warm-up", "20ms", "--keys", "50", "--allow-shortfall"}, more...)
}

func TestReportIsJSONThatReadsBackAndNamesWhatRan(t *testing.T) {
	t.Parallel()
	r, _ := gateway(t)
	got := r.Want(0, []string{"setting 50 keys", "deleted the keys of this run under loadtest/"}, short("-o", "json", "--seed", "7")...)
	rep, err := report.ReadJSON(strings.NewReader(got.Out))
	if err != nil {
		t.Fatalf("%v\n%s", err, got.Out)
	}
	if rep.Workload != "kv" || rep.Requests.OK != 50 || rep.Requests.Failed != 0 || rep.Requests.Missed != 0 || rep.Response.P99Ms <= 0 || rep.Plan.Seed != 7 {
		t.Errorf("got %+v", rep.Requests)
	}
	if rep.Attempts == nil || rep.Attempts.Attempts < 45 {
		t.Errorf("attempts %+v; want those of 50 requests", rep.Attempts)
	}
	if e := rep.Environment.Extra; e["prismd"] != "test (none)" || e["namespace mem"] != "volatile (memory)" {
		t.Errorf("environment %v", e)
	}
	for _, part := range []string{"-n mem", "--rate 500", "--seed 7", "--keys 50", "--allow-shortfall"} {
		if !strings.Contains(rep.Command, part) {
			t.Errorf("the command %q lacks %q", rep.Command, part)
		}
	}
}

func TestTheCommandOfTheReportRunsTheSameTest(t *testing.T) {
	t.Parallel()
	r, _ := gateway(t)
	first, err := report.ReadJSON(strings.NewReader(r.OK(short("-o", "json", "--fail", "error_rate<1%", "--precise", "--value-size", "0B")...)))
	if err != nil {
		t.Fatal(err)
	}
	args := strings.Fields(strings.ReplaceAll(first.Command, "'", ""))[1:]
	again, err := report.ReadJSON(strings.NewReader(r.OK(append(args, "-o", "json")...)))
	if err != nil {
		t.Fatal(err)
	}
	if first.Plan != again.Plan || first.Options["value_bytes"] != "0" || first.Operations[0].OK != again.Operations[0].OK || len(again.Thresholds) != 1 {
		t.Errorf("%s\nran\n%+v\nand then\n%+v", first.Command, first.Plan, again.Plan)
	}
}

func TestKeysAreClearedUpAndNobodyElsesAreTouched(t *testing.T) {
	t.Parallel()
	r, _ := gateway(t)
	r.OK("kv", "set", "greeting", "hello", "-n", "mem")
	r.OK("kv", "set", "loadtest/mine", "hello", "-n", "mem")
	r.OK(short("--mix", "get=1,set=1,delete=1")...)
	if got := r.OK("kv", "scan", "-n", "mem", "-o", "name"); got != "greeting\nloadtest/mine\n" {
		t.Errorf("afterwards there are\n%s", got)
	}
	r.Want(0, []string{"left 50 keys in mem, under loadtest/"}, short("--keep", "--mix", "get=1")...)
	if n := strings.Count(r.OK("kv", "scan", "-n", "mem", "-o", "name"), "\n"); n != 52 {
		t.Errorf("with --keep there are %d keys; want 52", n)
	}
}

func TestThresholdsDecideTheExitCode(t *testing.T) {
	t.Parallel()
	r, _ := gateway(t)
	got := r.Want(99, []string{"error: 1 threshold failed: p99<"}, short("--fail", "p99<0.001ms", "--fail", "error_rate<1%")...)
	if !strings.Contains(got.Out, "FAIL") {
		t.Errorf("the report does not show the failed threshold:\n%s", got.Out)
	}
	r.Want(0, nil, short("--fail", "p99<10s")...)
}

func TestShortfallFails(t *testing.T) {
	t.Parallel()
	r, _ := gateway(t)
	args := []string{"loadtest", "run", "kv", "-n", "mem", "--rate", "400000", "--duration", "20ms", "--warm-up", "0", "--keys", "10", "--max-in-flight", "1"}
	r.Want(1, []string{"error: the load test failed: ", "achieved"}, args...)
	r.Want(0, nil, append(args, "--allow-shortfall")...)
}

func TestClosedLoopOverSeveralConnections(t *testing.T) {
	t.Parallel()
	r, _ := gateway(t)
	rep, err := report.ReadJSON(strings.NewReader(r.OK("loadtest", "run", "kv", "-n", "mem", "--closed", "3", "--connections", "2", "--duration", "50ms", "--warm-up", "0", "--keys", "10", "-o", "json")))
	if err != nil {
		t.Fatal(err)
	}
	if rep.Plan.Model != report.Closed || rep.Plan.Workers != 3 || rep.Requests.OK == 0 || !strings.Contains(rep.Command, "--closed 3") || strings.Contains(rep.Command, "--rate") {
		t.Errorf("got %+v, %s", rep.Plan, rep.Command)
	}
}

func TestCtrlCPrintsWhatRanAndClearsUp(t *testing.T) {
	t.Parallel()
	r, g := gateway(t)
	ctx, cancel := context.WithCancelCause(t.Context())
	r.Context = ctx
	whenLoaded(t, g, func() { cancel(cli.Interrupt{}) })
	got := r.Want(130, []string{"cancelled", "deleted the keys"}, "loadtest", "run", "kv", "-n", "mem", "--rate", "200", "--duration", "1h", "--warm-up", "0", "--keys", "10", "-o", "json")
	rep, err := report.ReadJSON(strings.NewReader(got.Out))
	if err != nil || !rep.Aborted || rep.AbortReason != report.Interrupted || rep.Requests.OK == 0 {
		t.Errorf("got %v\n%s", err, got.Out)
	}
	r.Context = t.Context()
	if left := r.OK("kv", "scan", "-n", "mem", "-o", "name"); left != "" {
		t.Errorf("left\n%s", left)
	}
}

func TestRestartOfTheGatewayIsNotTheLoadsBusiness(t *testing.T) {
	t.Parallel()
	r, g := gateway(t)
	again := make(chan error, 1)
	whenLoaded(t, g, func() {
		err := g.Stop()
		g.Run(t)
		again <- err
	})
	rep, err := report.ReadJSON(strings.NewReader(r.OK("loadtest", "run", "kv", "-n", "mem", "--rate", "300", "--duration", "1s", "--warm-up", "0", "--keys", "10", "--allow-shortfall", "-o", "json")))
	if err != nil || rep.Requests.Failed != 0 {
		t.Errorf("%v, %+v, %+v; want no failure", err, rep.Requests, rep.Errors)
	}
	if err := <-again; err != nil {
		t.Error(err)
	}
}

func TestWrongCommandLinesAreRefusedBeforeAnythingIsAsked(t *testing.T) {
	t.Parallel()
	r := clitest.Offline(t) // no gateway: asking would be exit 6
	for _, c := range []struct {
		args []string
		want []string
	}{
		{[]string{"kw"}, []string{`no workload or scenario "kw"`, "did you mean kv?"}},
		{[]string{"kv", "-o", "yaml"}, []string{`unknown output format "yaml"`, "use one of: text, json, csv, md, html"}},
		{[]string{"kv", "--mix", "scan=1"}, []string{`unknown operation "scan"`, "get, set, delete"}},
		{[]string{"kv", "--rate", "0"}, nil},
		{[]string{"kv", "--rate", "-5"}, nil},
		{[]string{"kv", "--rate", "many"}, []string{"--rate"}},
		{[]string{"kv", "--duration", "0"}, []string{"--duration"}},
		{[]string{"kv", "--keys", "0"}, []string{"--keys"}},
		{[]string{"kv", "--value-size", "64"}, []string{"--value-size"}},
		{[]string{"kv", "--value-size", "2MiB"}, []string{"1048576"}},
		{[]string{"kv", "--order", "zipfy"}, []string{"uniform, zipf, sequential"}},
		{[]string{"kv", "--connections", "0"}, []string{"--connections"}},
		{[]string{"kv", "--fail", "p99"}, []string{"no comparison"}},
		{[]string{"kv", "--fail", "fast<2ms"}, nil},
		{[]string{"kv", "--closed", "2", "--rate", "5"}, []string{"closed", "rate"}},
		{[]string{"kv", "--profile", "wave"}, []string{"constant, ramp, step, spike, burst, soak"}},
		{[]string{"kv", "--sessions", "0"}, []string{"--sessions"}},
		{[]string{"kv", "--report", "a.doc"}, []string{"--report", ".html"}},
		{[]string{"kv", "--save", "A B"}, []string{"--save"}},
		{[]string{"kv", "--ui"}, []string{"--ui needs a terminal"}},
		{[]string{"pubsub", "--mix", "publish=1"}, []string{"--mix"}},
		{[]string{"event-fanout", "--mix", "publish=1"}, []string{"--mix is of a workload"}},
		{nil, []string{"needs WORKLOAD"}},
	} {
		r.Want(2, c.want, append([]string{"loadtest", "run"}, c.args...)...)
	}
}

func TestWhatIsMissingIsToldBeforeTheLoadStarts(t *testing.T) {
	t.Parallel()
	r, _ := gateway(t)
	r.Want(3, []string{`namespace "nope" not found`, "prismctl namespace create nope --model keyvalue"}, "loadtest", "run", "kv", "-n", "nope")
	off := clitest.Offline(t)
	begun := time.Now()
	off.Want(6, []string{"cannot reach the gateway"}, "loadtest", "run", "kv")
	if took := time.Since(begun); took > 5*time.Second {
		t.Errorf("it took %s to say that nothing is there", took)
	}
}

func TestProtectedContextIsRefusedUnlessMeant(t *testing.T) {
	t.Parallel()
	r, g := gateway(t)
	delete(r.Env, "PRISM_DATA")
	delete(r.Env, "PRISM_ADMIN")
	r.Write(".config/prism/config.yaml", "apiVersion: prism/v1\nkind: User\ncurrent: prod\ncontexts:\n  - {name: prod, protected: true, insecure: true, data: \""+g.Addr("data")+"\", admin: \""+g.Addr("admin")+"\"}\n")
	r.Want(2, []string{"the context prod is protected", "--i-know"}, short()...)
	r.Want(0, nil, short("--i-know")...)
	if out := r.OK(short("--dry-run")...); !strings.Contains(out, "(context prod)") {
		t.Errorf("the plan does not name the context:\n%s", out)
	}
}

func TestDryRunPrintsThePlanAndAsksNobody(t *testing.T) {
	t.Parallel()
	r := clitest.Offline(t)
	r.Golden("dry-run", "loadtest", "run", "kv", "--rate", "5000", "--duration", "10s", "--mix", "get=90,set=10", "--fail", "p99<20ms", "--dry-run")
	r.Golden("dry-run-closed", "loadtest", "run", "kv", "--closed", "1", "--keep", "--connections", "2", "--warm-up", "0", "--plan")
	var p map[string]any
	if err := json.Unmarshal([]byte(r.OK("loadtest", "run", "kv", "--dry-run", "-o", "json")), &p); err != nil || p["kind"] != "LoadPlan" || p["workloads"].([]any)[0].(map[string]any)["namespace"] != "kv" {
		t.Errorf("got %v, %v", p, err)
	}
}

func TestHelp(t *testing.T) {
	t.Parallel()
	r := clitest.Offline(t)
	r.Golden("help", "loadtest", "--help")
	r.Golden("help-run", "loadtest", "run", "--help")
}

func TestLiveDisplayLeavesNoTrace(t *testing.T) {
	t.Parallel()
	r, _ := gateway(t)
	r.TTY = true
	var got clitest.Result
	for _, length := range []string{"600ms", "3s", "15s"} { // a busy machine draws late
		got = r.Run("loadtest", "run", "kv", "-n", "mem", "--rate", "200", "--duration", length, "--warm-up", "0", "--keys", "10", "--allow-shortfall")
		if got.Code != 0 {
			t.Fatalf("exit %d: %s", got.Code, got.ErrOut)
		}
		if strings.Contains(got.ErrOut, "running") {
			break
		}
	}
	if !strings.Contains(got.ErrOut, "running") || !strings.Contains(got.ErrOut, "\x1b[J") || strings.Contains(got.Out, "\x1b[J") {
		t.Errorf("the display was\n%q", got.ErrOut)
	}
}
