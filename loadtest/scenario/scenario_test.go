package scenario_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/prism-data-layer/prism/loadtest/scenario"
	"github.com/prism-data-layer/prism/pkg/config"
)

const head = "apiVersion: prism/v1\nkind: LoadScenario\nname: checkout\n"

func TestCatalogueReadsAndPlans(t *testing.T) {
	t.Parallel()
	names := scenario.Names()
	if len(names) < 4 {
		t.Fatalf("the catalogue has only %v", names)
	}
	for _, name := range names {
		s, err := scenario.Find(name)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		p, err := s.Plan()
		if err != nil || p.Schedule.Total() == 0 || s.Name != name || s.About == "" || len(p.Thresholds) == 0 {
			t.Errorf("%s: got %+v, %v", name, p, err)
		}
		if _, err := s.Build("run", make([]any, len(s.Workloads))); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := scenario.Find("nope"); err == nil {
		t.Error("a scenario that is not there was found")
	}
}

func TestPhasesBecomeASchedule(t *testing.T) {
	t.Parallel()
	s, err := scenario.Parse("s.yaml", []byte(head+`phases:
  - {name: warm, rate: 100, for: 1m}
  - {name: up, from: 100, to: 5000, for: 5m}
  - {rate: 0, for: 10s}
warm_up: 2s
workloads:
  - {model: kv, value_size: "64B,1KiB"}
  - {model: kv, name: more, namespace: other, share: 3}
faults:
  - {at: 5s, for: 2s, backend: local, latency: 200ms, errors: 5%}
`))
	if err != nil {
		t.Fatal(err)
	}
	p, err := s.Plan()
	if err != nil {
		t.Fatal(err)
	}
	if p.Schedule.Length() != 370*time.Second || p.Schedule.Rate(0) != 100 || p.Schedule.Rate(210*time.Second) != 2550 || p.WarmUp != 2*time.Second {
		t.Errorf("got %s", p.Schedule)
	}
	w, err := s.Build("run", make([]any, 2))
	if err != nil || strings.Join(w.Operations(), " ") != "kv.get kv.set kv.delete more.get more.set more.delete" {
		t.Errorf("got %v, %v", w, err)
	}
	if f := s.Faults[0]; f.Errors != 5 || f.Latency != 200*time.Millisecond || f.Calls != "all" {
		t.Errorf("got %+v", f)
	}
}

// Each kind of mistake is told with line and column, and the nearest right word.
func TestMistakesAreToldWithTheirPlace(t *testing.T) {
	t.Parallel()
	const load, kv = "rate: 10\nduration: 1s\n", "workloads:\n  - {model: kv}\n"
	for name, c := range map[string]struct{ text, want, more string }{
		"unknown key":          {load + "rat: 5\n" + kv, "s.yaml:6:1: ", `did you mean "rate"?`},
		"wrong type":           {"rate: many\nduration: 1s\n" + kv, "s.yaml:4:7: ", "not a number"},
		"no unit":              {"rate: 1\nduration: 10\n" + kv, "s.yaml:5:11: ", "10"},
		"unknown profile":      {load + "profile: rampp\n" + kv, "s.yaml:6:10: ", `did you mean "ramp"?`},
		"unknown model":        {load + "workloads:\n  - {model: kw}\n", "s.yaml:7:13: ", `did you mean "kv"?`},
		"unknown operation":    {load + "workloads:\n  - {model: kv, mix: \"gett=1\"}\n", "s.yaml:7:22: ", `did you mean "get=1"?`},
		"not a share":          {load + "workloads:\n  - {model: kv, mix: get}\n", "s.yaml:7:22: ", "OPERATION=SHARE"},
		"unknown order":        {load + "workloads:\n  - {model: kv, order: random}\n", "s.yaml:7:24: ", "uniform"},
		"bad size":             {load + "workloads:\n  - {model: kv, value_size: 5KB-1KB}\n", "s.yaml:7:29: ", "smaller"},
		"too big":              {load + "workloads:\n  - {model: kv, value_size: 5GiB}\n", "s.yaml:7:29: ", "at most"},
		"no load":              {kv, "s.yaml:1:1: ", "no load"},
		"two loads":            {load + "closed: 5\n" + kv, "s.yaml:6:9: ", "give one"},
		"no duration":          {"rate: 5\n" + kv, "s.yaml:1:1: ", "duration"},
		"no workload":          {load, "s.yaml:1:1: ", "workloads"},
		"twice":                {load + "workloads:\n  - {model: kv}\n  - {model: kv}\n", "s.yaml:8:5: ", "two workloads"},
		"bad threshold":        {load + kv + "thresholds: [\"p99<20\"]\n", "s.yaml:8:", "unit"},
		"fault does nothing":   {load + kv + "faults:\n  - {at: 0s, for: 1s, backend: local}\n", "s.yaml:9:5: ", "does nothing"},
		"fault after the end":  {load + kv + "faults:\n  - {at: 5s, for: 1s, backend: local, errors: 5%}\n", "s.yaml:9:10: ", "over"},
		"fault without sign":   {load + kv + "faults:\n  - {at: 0s, for: 1s, backend: local, errors: 5}\n", "s.yaml:9:", "5%"},
		"negative rate":        {"phases:\n  - {rate: -5, for: 1s}\n" + kv, "s.yaml:5:12: ", "from 0"},
		"rate and line":        {"phases:\n  - {rate: 5, to: 3, for: 1s}\n" + kv, "s.yaml:5:12: ", "from one to another"},
		"not YAML":             {"rate: [", "s.yaml:4:", ""},
		"of another kind":      {"kind: Gateway\n" + kv, "s.yaml:", ""},
		"phase without length": {"phases:\n  - {rate: 5}\n" + kv, "s.yaml:5:5: ", "for"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			text := head + c.text
			if name == "of another kind" {
				text = "apiVersion: prism/v1\nname: x\n" + c.text
			}
			_, err := scenario.Parse("s.yaml", []byte(text))
			var e *config.Error
			if !errors.As(err, &e) {
				t.Fatalf("got %v; want problems", err)
			}
			got := e.Render()
			if !strings.Contains(got, c.want) || !strings.Contains(got, c.more) || name != "not YAML" && !strings.Contains(got, "^") {
				t.Errorf("got\n%s\nwant %s and %s", got, c.want, c.more)
			}
		})
	}
}
