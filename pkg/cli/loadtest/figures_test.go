package loadtest_test

import (
	"strings"
	"testing"

	"github.com/prism-data-layer/prism/loadtest/report"
	"github.com/prism-data-layer/prism/pkg/cli/clitest"
	"github.com/prism-data-layer/prism/pkg/telemetry/telemetrytest"
)

func TestFiguresGoToACollectorWithTheWordOfTheRun(t *testing.T) {
	t.Parallel()
	r, _ := gateway(t)
	sink := telemetrytest.Start(t)
	r.Env["OTEL_EXPORTER_OTLP_ENDPOINT"], r.Env["PRISM_RUN_URL"] = sink.Endpoint, "http://ui/run/{run}"
	for _, where := range []string{sink.Endpoint, "env"} {
		before := len(sink.Reports())
		got := r.Run(short("--otlp", where, "-o", "json")...)
		rep, err := report.ReadJSON(strings.NewReader(got.Out))
		if err != nil || got.Code != 0 {
			t.Fatalf("exit %d, %v\n%s%s", got.Code, err, got.Out, got.ErrOut)
		}
		counted := map[string]int64{} // by phase: the last counts most
		for _, m := range sink.Reports()[before:] {
			a := telemetrytest.Attributes(m.Resource.Attributes)
			if a["service.name"] != "prismctl-loadtest" || a["prism.run.id"] != rep.RunID || a["prism.loadtest.scenario"] != "kv" {
				t.Errorf("the resource is %v; the run is %s", a, rep.RunID)
			}
			for _, metric := range m.ScopeMetrics[0].Metrics {
				var ok int64
				for _, p := range metric.GetSum().GetDataPoints() {
					if metric.Name == "prism.loadtest.requests" && telemetrytest.Attributes(p.Attributes)["outcome"] == "ok" {
						ok += p.GetAsInt()
					}
				}
				counted[a["prism.loadtest.phase"]] = max(counted[a["prism.loadtest.phase"]], ok)
			}
		}
		var all uint64
		for _, n := range counted {
			all += uint64(n)
		}
		if all != rep.Requests.OK || all == 0 {
			t.Errorf("the collector counts %v requests; the report %d", counted, rep.Requests.OK)
		}
		if link := "figures: http://ui/run/" + rep.RunID + " with prism.run.id = " + rep.RunID; !strings.Contains(got.ErrOut, link) || strings.Contains(rep.Command, "otlp") {
			t.Errorf("no %q in\n%s\nor --otlp in %q", link, got.ErrOut, rep.Command)
		}
	}
	before := len(sink.Reports())
	if r.OK(short()...); len(sink.Reports()) != before {
		t.Error("figures were sent without --otlp")
	}
}

func TestACollectorThatIsAwayIsToldOnceAndFailsNothing(t *testing.T) {
	t.Parallel()
	r, _ := gateway(t)
	r.Env["PRISM_RUN_URL"] = "http://ui/run/{run}"
	got := r.Want(0, []string{"warning: the collector http://127.0.0.1:1 did not take ", " reports of figures: "}, short("--otlp", "127.0.0.1:1")...)
	if strings.Count(got.ErrOut, "collector") != 1 || strings.Contains(got.ErrOut, "figures: http") {
		t.Errorf("it is told more than once, or there is a link to nothing:\n%s", got.ErrOut)
	}
}

func TestAWrongCollectorIsRefused(t *testing.T) {
	t.Parallel()
	r := clitest.Offline(t)
	r.Want(2, []string{"--otlp: ", "localhost:4317"}, short("--otlp", "nowhere")...)
	r.Want(2, []string{"OTEL_EXPORTER_OTLP_ENDPOINT is not set"}, short("--otlp", "env")...)
}
