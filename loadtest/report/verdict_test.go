package report

import (
	"strings"
	"testing"
)

func TestVerdictsNameTheCause(t *testing.T) {
	t.Parallel()
	// A sound open run, which each case spoils in one way.
	sound := func() *Report {
		return &Report{
			Plan:     Plan{Model: Open, MaxInFlight: 64, MaxBacklog: 1000},
			Requests: Requests{Scheduled: 1000, Started: 1000, OK: 1000}, TargetRPS: 100, AchievedRPS: 100, AchievedPct: 100,
			Response:    Latency{Count: 1000, P50Ms: 5, P95Ms: 8, P99Ms: 10},
			Service:     Latency{Count: 1000, P50Ms: 5, P95Ms: 8, P99Ms: 10},
			Generator:   Generator{Lag: Latency{Count: 1000, P99Ms: 0.5}, CPUPct: 20},
			Environment: Environment{Cores: 2},
		}
	}
	for _, c := range []struct {
		name  string
		spoil func(*Report)
		want  string
		exit  int
	}{
		{"sound", func(*Report) {}, "", ExitOK},
		{"within ten per cent", func(r *Report) { r.Response.P99Ms = 11; r.Requests.Waited = 50 }, "", ExitOK},
		{"slots ran out", func(r *Report) { r.Response.P99Ms = 30; r.Requests.Waited = 10 }, "saturated:warn", ExitOK},
		{"slots ran out for too few to matter", func(r *Report) { r.Response.P50Ms = 6; r.Requests.Waited = 10 }, "timer-lag:note", ExitOK},
		{"timers wake late", func(r *Report) { r.Response.P50Ms = 6; r.Generator.Lag.P99Ms = 1.1 }, "timer-lag:note", ExitOK},
		{"generator starved", func(r *Report) { r.Response.P99Ms = 30; r.Generator.Lag.P99Ms = 21 }, "generator-bottleneck:warn", ExitOK},
		{"lag that does not matter", func(r *Report) { r.Generator.Lag.P99Ms = 3; r.Response.P99Ms = 500; r.Service.P99Ms = 499 }, "", ExitOK},
		{"process took the machine", func(r *Report) { r.Generator.CPUPct = 97 }, "generator-bottleneck:warn", ExitOK},
		{"shortfall", func(r *Report) { r.AchievedPct = 94.9 }, "shortfall:fail", ExitFailed},
		{"shortfall allowed", func(r *Report) { r.AchievedPct = 81; r.Plan.AllowShortfall = true }, "shortfall:warn", ExitOK},
		{"just enough", func(r *Report) { r.AchievedPct = 95 }, "", ExitOK},
		{"drops", func(r *Report) { r.Requests.Dropped = 1 }, "dropped:warn", ExitOK},
		{"interrupted", func(r *Report) { r.Aborted, r.AbortReason = true, Interrupted }, "aborted:warn", ExitInterrupted},
		{"too many errors", func(r *Report) { r.Aborted, r.AbortReason = true, "50 errors" }, "aborted:fail", ExitFailed},
		{"nothing came", func(r *Report) { r.Requests.OK = 0 }, "nothing-finished:fail", ExitFailed},
		{"all failed", func(r *Report) { r.Requests.OK, r.Requests.Failed = 0, 1000 }, "nothing-succeeded:fail", ExitFailed},
		{"retries", func(r *Report) { r.Attempts = &Attempts{Retries: 1} }, "retried:note", ExitOK},
		{"no retries", func(r *Report) { r.Attempts = &Attempts{Attempts: 1000} }, "", ExitOK},
		{"threshold first", func(r *Report) { r.AchievedPct = 50; r.Thresholds = []ThresholdCheck{{}} }, "shortfall:fail", ExitThreshold},
		{"closed", func(r *Report) { r.Plan.Model = Closed; r.AchievedPct = 0; r.Response.P99Ms = 99 }, "closed-loop:note", ExitOK},
	} {
		r := sound()
		c.spoil(r)
		r.Verdicts = r.Judge()
		var got []string
		for _, v := range r.Verdicts {
			got = append(got, v.Code+":"+string(v.Severity))
			if v.Text == "" || strings.Contains(v.Text, "%!") {
				t.Errorf("%s: text %q", c.name, v.Text)
			}
		}
		if s := strings.Join(got, " "); s != c.want || r.ExitCode() != c.exit {
			t.Errorf("%s: verdicts %q, exit %d; want %q, %d", c.name, s, r.ExitCode(), c.want, c.exit)
		}
	}
}
