package e2e_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/goccy/go-yaml"

	"github.com/prism-data-layer/prism/pkg/client"
	"github.com/prism-data-layer/prism/pkg/driver/redis/redistest"
	"github.com/prism-data-layer/prism/pkg/prism"
	kvv1 "github.com/prism-data-layer/prism/proto/prism/keyvalue/v1"
	"github.com/prism-data-layer/prism/test/harness"
)

// everyMetric is the configuration of a gateway that has something to tell of
// everything.
func everyMetric(redis string) string {
	var b strings.Builder
	fmt.Fprintf(&b, `apiVersion: prism/v1
auth: {mode: off}
backends:
  - {name: volatile, driver: memory}
  - {name: redis, driver: redis, options: {addrs: [%q]}, guard: {failures: 1}}
namespaces:
  - {name: kv-redis, model: keyvalue, backend: redis, access: {owners: ["user:dev"]}}
`, redis)
	for _, model := range []string{"keyvalue", "cache", "queue", "pubsub", "timeseries"} {
		fmt.Fprintf(&b, "  - {name: %s, model: %s, backend: volatile, access: {owners: [\"user:dev\"]}}\n", model, model)
	}
	return b.String() + "telemetry: {otlp: {endpoint: \"127.0.0.1:1\"}}\ndrain: {timeout: 5s}\n"
}

// A scrape is what a gateway's /metrics has: of each series' name the labels.
type scrape map[string]map[string]bool

func scraped(t *testing.T, g *harness.Gateway) scrape {
	t.Helper()
	res, err := http.Get("http://" + g.Addr("metrics") + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	s := scrape{}
	line := regexp.MustCompile(`^([a-zA-Z_:][\w:]*)(?:\{(.*)\})? `)
	label := regexp.MustCompile(`(\w+)="(?:[^"\\]|\\.)*"`)
	for in := bufio.NewScanner(res.Body); in.Scan(); {
		m := line.FindStringSubmatch(in.Text())
		if m == nil {
			continue
		}
		if s[m[1]] == nil {
			s[m[1]] = map[string]bool{}
		}
		for _, l := range label.FindAllStringSubmatch(m[2], -1) {
			s[m[1]][l[1]] = true
		}
	}
	return s
}

// busy uses each model of the gateway once, and then takes its Redis away.
func busy(t *testing.T) *harness.Gateway {
	t.Helper()
	redis := redistest.Seven().Start(t)
	g := harness.Start(t, harness.Options{File: everyMetric(redis.Addr)})
	c, err := client.Dial(g.Addr("data"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	check := func(_ any, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	check(c.KeyValue("keyvalue").Set(ctx, "k", []byte("v")))
	check(nil, c.Cache("cache").Set(ctx, "k", []byte("v")))
	_, _, err = c.Cache("cache").Get(ctx, "k")
	check(nil, err)
	check(c.PubSub("pubsub").Publish(ctx, client.Event{Topic: "t"}))
	check(c.TimeSeries("timeseries").Append(ctx, client.Measurement{Time: time.Now(), Type: "t", Metrics: map[string]float64{"m": 1}}))
	jobs := c.WorkQueue("queue", "jobs")
	check(jobs.Publish(ctx, client.Message{Payload: []byte("m")}))
	check(jobs.Receive(ctx, client.ReceiveOptions{}))
	check(c.Log("queue").Publish(ctx, "topic", client.LogMessage{Payload: []byte("m")}))
	member, err := c.Log("queue").Subscribe(ctx, "topic", "group", client.LogOptions{})
	check(nil, err)
	t.Cleanup(member.Close)
	check(member.Next())

	if _, err := g.KeyValue(t).Get(ctx, &kvv1.GetRequest{Namespace: "nobody's", Key: "k"}); err == nil {
		t.Fatal("a namespace that is not there answers")
	}

	kv := c.KeyValue("kv-redis")
	check(kv.Set(ctx, "k", []byte("v")))
	if err := redis.Kill(); err != nil {
		t.Fatal(err)
	}
	for {
		_, err := kv.Set(ctx, "k", []byte("v"))
		var e *prism.Error
		if errors.As(err, &e) && e.Meta["breaker"] != "" {
			return g
		}
		if ctx.Err() != nil {
			t.Fatalf("the breaker does not open: %v", err)
		}
	}
}

// Everything that the rules and the dashboard name is there, and each alert has
// its page in the runbook.
func TestAlertsAndDashboardNameWhatAGatewayTells(t *testing.T) {
	t.Parallel()
	told := scraped(t, busy(t))
	told["up"] = map[string]bool{} // by Prometheus itself
	if len(told) < 60 {
		t.Fatalf("the gateway tells only %d series", len(told))
	}
	rules := readRules(t)
	for _, r := range rules {
		for _, problem := range told.problems(r.Expr, labelsOf(r.Annotations["summary"], `\$labels\.(\w+)`)) {
			t.Errorf("%s: %s", r.Alert, problem)
		}
	}
	panels, queries := readDashboard(t)
	for _, p := range panels {
		for _, q := range p.Targets {
			for _, problem := range told.problems(q.Expr, labelsOf(q.LegendFormat, `\{\{(\w+)\}\}`)) {
				t.Errorf("panel %q: %s", p.Title, problem)
			}
		}
	}
	for _, q := range queries {
		m := regexp.MustCompile(`^label_values\((\w+), (\w+)\)$`).FindStringSubmatch(q)
		if m == nil || told[m[1]] == nil || !told.has(m[1], m[2]) {
			t.Errorf("variable: %s asks for what is not there", q)
		}
	}
}

func TestEachAlertHasARunbookAndEachRunbookAnAlert(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../docs/alerts/README.md")
	if err != nil {
		t.Fatal(err)
	}
	pages := map[string]string{}
	for _, part := range strings.Split(string(text), "\n### ")[1:] {
		name, page, _ := strings.Cut(part, "\n")
		page, _, _ = strings.Cut(page, "\n## ")
		pages[name] = page
	}
	for _, r := range readRules(t) {
		page, ok := pages[r.Alert]
		if !ok {
			t.Errorf("%s has no runbook", r.Alert)
		}
		delete(pages, r.Alert)
		for _, part := range []string{"Meaning", "Impact", "Look", "Do"} {
			if ok && strings.Count(page, "- **"+part+".** ") != 1 {
				t.Errorf("the runbook of %s does not say once: %s", r.Alert, part)
			}
		}
		if want := "docs/alerts/README.md#" + strings.ToLower(r.Alert); !strings.HasSuffix(r.Annotations["runbook_url"], want) {
			t.Errorf("%s: its runbook_url is %q, want it to end with %s", r.Alert, r.Annotations["runbook_url"], want)
		}
		if !slices.Contains([]string{"critical", "warning", "info"}, r.Labels["severity"]) {
			t.Errorf("%s: severity %q", r.Alert, r.Labels["severity"])
		}
	}
	for name := range pages {
		t.Errorf("the runbook %s belongs to no alert", name)
	}
	for _, m := range regexp.MustCompile("`prismctl ([a-z]+)(?: ([a-z]+))?([^`]*)`").FindAllStringSubmatch(string(text), -1) {
		reference, err := os.ReadFile(filepath.Join("..", "..", "docs", "reference", m[1]+".md"))
		if err != nil || m[2] != "" && !strings.Contains(string(reference), "\n## prismctl "+m[1]+" "+m[2]+"\n") {
			t.Errorf("there is no command prismctl %s %s", m[1], m[2])
		}
		for _, flag := range regexp.MustCompile(` (--[a-z-]+)`).FindAllStringSubmatch(m[3], -1) {
			if err == nil && flag[1] != "--jq" && !strings.Contains(string(reference), flag[1]+" ") {
				t.Errorf("prismctl %s %s has no flag %s", m[1], m[2], flag[1])
			}
		}
	}
}

// The check itself can fail.
func TestAWrongRuleIsSeen(t *testing.T) {
	t.Parallel()
	told := scrape{"prism_errors_total": {"code": true}, "prism_request_duration_seconds_bucket": {"method": true, "le": true}}
	for _, c := range []struct{ expr, label, want string }{
		{`rate(prism_errors_total{code="PRISM-50001"}[5m]) > 0`, "code", ""},
		{`histogram_quantile(0.9, sum by (method, le) (rate(prism_request_duration_seconds_bucket[5m])))`, "method", ""},
		{`rate(prism_error_total[5m]) > 0`, "", "prism_error_total is not told"},
		{`prism_errors_total{codes="x"} > 0`, "", "prism_errors_total has no label codes"},
		{`sum by (backend) (prism_errors_total)`, "", "no label backend"},
		{`sum by (instance) (prism_errors_total)`, "code", "no label code"},
		{`prism_errors_total{code="PRISM-99999"} > 0`, "", "there is no error PRISM-99999"},
		{`prism_errors_total{code=~"OK|NONSENSE"} > 0`, "", "there is no reason or status NONSENSE"},
		{`summe(prism_errors_total)`, "", "summe is no function"},
	} {
		var labels []string
		if c.label != "" {
			labels = []string{c.label}
		}
		got := strings.Join(told.problems(c.expr, labels), "\n")
		if c.want == "" && got != "" || !strings.Contains(got, c.want) {
			t.Errorf("%s: got %q, want %q", c.expr, got, c.want)
		}
	}
}

type rule struct {
	Alert       string            `yaml:"alert"`
	Expr        string            `yaml:"expr"`
	For         string            `yaml:"for"`
	Labels      map[string]string `yaml:"labels"`
	Annotations map[string]string `yaml:"annotations"`
}

func readRules(t *testing.T) (all []rule) {
	t.Helper()
	text, err := os.ReadFile("../../docs/alerts/rules.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var file struct {
		Groups []struct {
			Name  string `yaml:"name"`
			Rules []rule `yaml:"rules"`
		} `yaml:"groups"`
	}
	if err := yaml.UnmarshalWithOptions(text, &file, yaml.Strict()); err != nil {
		t.Fatal(err)
	}
	for _, g := range file.Groups {
		all = append(all, g.Rules...)
	}
	if len(all) < 30 {
		t.Fatalf("read only %d rules", len(all))
	}
	return all
}

type panel struct {
	Title   string `json:"title"`
	Type    string `json:"type"`
	Targets []struct {
		Expr         string `json:"expr"`
		LegendFormat string `json:"legendFormat"`
	} `json:"targets"`
}

// readDashboard gives the panels, and the queries of the variables.
func readDashboard(t *testing.T) (panels []panel, queries []string) {
	t.Helper()
	text, err := os.ReadFile("../../docs/alerts/dashboard.json")
	if err != nil {
		t.Fatal(err)
	}
	var board struct {
		Panels     []panel `json:"panels"`
		Templating struct {
			List []struct {
				Type       string `json:"type"`
				Definition string `json:"definition"`
			} `json:"list"`
		} `json:"templating"`
	}
	if err := json.Unmarshal(text, &board); err != nil {
		t.Fatal(err)
	}
	for _, p := range board.Panels {
		if (len(p.Targets) == 0) != (p.Type == "row") {
			t.Errorf("panel %q of type %s asks %d questions", p.Title, p.Type, len(p.Targets))
		}
	}
	for _, v := range board.Templating.List {
		if v.Type == "query" {
			queries = append(queries, v.Definition)
		}
	}
	return board.Panels, queries
}

// labelsOf are the labels that a text shows.
func labelsOf(text, pattern string) (labels []string) {
	for _, m := range regexp.MustCompile(pattern).FindAllStringSubmatch(text, -1) {
		labels = append(labels, m[1])
	}
	return labels
}

// has says whether a series can have a label: instance and job are Prometheus's.
func (s scrape) has(series, label string) bool {
	return s[series][label] || label == "instance" || label == "job"
}

var (
	functions = strings.Fields("sum max min rate increase changes histogram_quantile min_over_time and or unless by on ignoring offset group_left")
	selector  = regexp.MustCompile(`([a-zA-Z_][\w]*)(\{[^}]*\})?`)
	grouping  = regexp.MustCompile(`\b(by|on|ignoring|group_left) ?\(([^)]*)\)`)
	matcher   = regexp.MustCompile(`(\w+)(?:=~|!~|!=|=)"([^"]*)"`)
	ranges    = regexp.MustCompile(`\[[^\]]*\]|offset \w+`)
)

// problems says what an expression, and a text that shows labels of its result,
// name that is not told.
func (s scrape) problems(expr string, shown []string) (all []string) {
	bad := func(format string, args ...any) { all = append(all, fmt.Sprintf(format, args...)) }
	expr = ranges.ReplaceAllString(expr, "")
	var grouped []string
	sums := false
	for _, m := range grouping.FindAllStringSubmatch(expr, -1) {
		names := strings.FieldsFunc(m[2], func(r rune) bool { return r == ',' || r == ' ' })
		grouped = append(grouped, names...)
		sums = sums || m[1] == "by"
	}
	known := map[string]bool{"instance": true, "job": true}
	for _, m := range selector.FindAllStringSubmatch(grouping.ReplaceAllString(expr, ""), -1) {
		name := m[1]
		if slices.Contains(functions, name) {
			continue
		}
		labels, ok := s[name]
		switch {
		case ok:
		case strings.Contains(name, "_"):
			bad("%s is not told", name)
			continue
		default:
			bad("%s is no function", name)
			continue
		}
		for l := range labels {
			known[l] = true
		}
		for _, l := range matcher.FindAllStringSubmatch(m[2], -1) {
			if !s.has(name, l[1]) {
				bad("%s has no label %s", name, l[1])
			}
			all = append(all, valueProblems(l[2])...)
		}
	}
	for _, l := range grouped {
		if !known[l] {
			bad("no label %s", l)
		}
	}
	for _, l := range shown {
		if !known[l] || sums && !slices.Contains(grouped, l) {
			bad("the result has no label %s", l)
		}
	}
	return all
}

// valueProblems looks for codes, reasons and statuses that there are none of.
func valueProblems(value string) (all []string) {
	codes := map[string]bool{"OK": true, "UNKNOWN": true}
	for _, i := range prism.Infos() {
		codes[i.Code()], codes[string(i.Reason)] = true, true
	}
	for _, v := range strings.Split(value, "|") {
		switch {
		case codes[v]:
		case strings.HasPrefix(v, "PRISM-"):
			all = append(all, "there is no error "+v)
		case v != "" && strings.ToUpper(v) == v && strings.ToLower(v) != v && !strings.HasPrefix(v, "$"):
			all = append(all, "there is no reason or status "+v)
		}
	}
	return all
}
