package metrics_test

import (
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
	"testing"

	"google.golang.org/grpc/metadata"

	"github.com/prism-data-layer/prism/pkg/cli"
	"github.com/prism-data-layer/prism/pkg/cli/clitest"
	"github.com/prism-data-layer/prism/pkg/clock"
	adminv1 "github.com/prism-data-layer/prism/proto/prism/admin/v1"
	kvv1 "github.com/prism-data-layer/prism/proto/prism/keyvalue/v1"
	"github.com/prism-data-layer/prism/test/harness"
)

func TestWhatIsPrinted(t *testing.T) {
	for name, args := range map[string][]string{
		"summary":           {"metrics", "summary"},
		"summary-wide":      {"metrics", "summary", "-o", "wide"},
		"summary-of-one":    {"metrics", "summary", "-n", "kv", "-o", "json"},
		"summary-of-none":   {"metrics", "summary", "-n", "none"},
		"namespace":         {"metrics", "namespace", "kv"},
		"namespace-unused":  {"metrics", "namespace", "scratch", "-o", "yaml"},
		"namespace-missing": {"metrics", "namespace", "none"},
		"export":            {"metrics", "export", "--include-metadata"},
		"export-json":       {"metrics", "export", "--format", "json", "--include-metadata"},
		"export-format":     {"metrics", "export", "--format", "xml"},
	} {
		t.Run(name, func(t *testing.T) {
			r := clitest.New(t)
			r.Each = r.Refresh
			r.Golden(name, args...)
		})
	}
}

// With --since it looks twice, and tells of what was between.
func TestSinceIsWaitedFor(t *testing.T) {
	t.Parallel()
	r := clitest.New(t)
	r.Prepare = func(f *cli.Factory) { f.Clock = clock.Real() }
	var list []struct {
		Name     string
		Requests int64
		Rate     float64 `json:"requests_per_second"`
		Seconds  float64
	}
	if err := json.Unmarshal([]byte(r.OK("metrics", "summary", "--since", "20ms", "-o", "json")), &list); err != nil {
		t.Fatal(err)
	}
	if g := list[0]; g.Name != "gateway" || g.Requests != 150 || g.Seconds != 1 || g.Rate != 150 {
		t.Errorf("between two looks: %+v", g)
	}
	looks := 0
	for _, c := range r.Gateway.Calls() {
		if c == "GetStats" {
			looks++
		}
	}
	if looks != 2 {
		t.Errorf("%d looks", looks)
	}
}

// A gateway that was started anew in between is told of from its start.
func TestCountersThatBeganAnew(t *testing.T) {
	t.Parallel()
	r := clitest.New(t)
	r.Prepare = func(f *cli.Factory) { f.Clock = clock.Real() }
	r.Gateway.Fail = func(method string, _ metadata.MD) error {
		if strings.HasSuffix(method, "/GetStats") && len(r.Gateway.Calls()) > 3 {
			r.Gateway.Reset()
		}
		return nil
	}
	if got := r.OK("metrics", "summary", "--since", "20ms", "-o", "json"); strings.Contains(got, ": -") {
		t.Errorf("a negative number:\n%s", got)
	}
}

// The figures of a real gateway are those of the calls that were made, and its
// export is what its own metrics port says.
func TestARealGateway(t *testing.T) {
	t.Parallel()
	g := harness.Start(t, harness.Options{})
	r := clitest.Offline(t)
	r.Env["PRISM_DATA"], r.Env["PRISM_ADMIN"] = g.Addr("data"), g.Addr("admin")
	ctx, kv := harness.Context(t), g.KeyValue(t)
	all, err := g.Admin(t).ListNamespaces(ctx, &adminv1.ListNamespacesRequest{})
	if err != nil {
		t.Fatal(err)
	}
	ns := all.GetNamespaces()[0].GetSpec().GetName()
	for i := range 20 {
		if _, err := kv.Set(ctx, &kvv1.SetRequest{Namespace: ns, Key: fmt.Sprint(i)}); err != nil {
			t.Fatal(err)
		}
	}
	for range 4 {
		_, _ = kv.Get(ctx, &kvv1.GetRequest{Namespace: ns, Key: "none"}) //nolint:errcheck // it is to fail
	}
	var one struct {
		Requests, Reads, Writes int64
		P50                     int64 `json:"p50_us"`
	}
	if err := json.Unmarshal([]byte(r.OK("metrics", "namespace", ns, "-o", "json")), &one); err != nil {
		t.Fatal(err)
	}
	if one.Requests != 24 || one.Reads != 4 || one.Writes != 20 || one.P50 <= 0 {
		t.Errorf("the namespace: %+v", one)
	}
	text := r.OK("metrics", "export")
	if !strings.Contains(text, `prism_method_calls_total{method="prism.keyvalue.v1.KeyValueService/Set"} 20`+"\n") {
		t.Errorf("the export:\n%s", text)
	}
	for _, line := range strings.Split(strings.TrimSpace(text), "\n") {
		if !regexp.MustCompile(`^prism_[a-z_]+\{[a-z]+="[^"]*"(,[a-z]+="[^"]*")*\} [0-9.e+-]+$`).MatchString(line) {
			t.Errorf("not a line of the format: %s", line)
		}
	}
}
