// Package screens_test looks at a real gateway through the pages of prismctl
// ui, by the commands that a person types.
package screens_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/prism-data-layer/prism/pkg/cli"
	"github.com/prism-data-layer/prism/pkg/cli/root"
	"github.com/prism-data-layer/prism/pkg/clock"
	"github.com/prism-data-layer/prism/pkg/iostreams"
	"github.com/prism-data-layer/prism/test/harness"
	"github.com/prism-data-layer/prism/tui/component/figure"
)

const file = `apiVersion: prism/v1
faults: true
backends:
  - {name: volatile, driver: memory}
  - {name: spare, driver: memory}
namespaces:
  - {name: kv, model: keyvalue, backend: volatile}
`

// A person types commands.
type person struct {
	t    *testing.T
	g    *harness.Gateway
	home string
}

func (p person) types(args ...string) string {
	p.t.Helper()
	ios, _, out, errOut := iostreams.Test()
	ios.SetEnv(map[string]string{"PRISM_ADMIN": p.g.Addr("admin"), "PRISM_DATA": p.g.Addr("data")})
	ios.SetClock(clock.Real())
	f := cli.NewFactory(ios, cli.Build{Version: "test"})
	f.Place = cli.Place{Dir: p.home, Home: p.home, Temp: p.home}
	if code := root.Main(p.t.Context(), f, args); code != 0 {
		p.t.Fatalf("prismctl %s: exit %d\n%s%s", strings.Join(args, " "), code, out, errOut)
	}
	return out.String()
}

// looks at a page.
func (p person) looks(view string) string {
	p.t.Helper()
	return p.types("ui", "--snapshot", "--view", view, "--refresh", "100ms", "--size", "160x40")
}

func (p person) sees(view string, parts ...string) {
	p.t.Helper()
	frame := p.looks(view)
	for _, part := range parts {
		if !strings.Contains(frame, part) {
			p.t.Errorf("%s: %q is not there:\n%s", view, part, frame)
		}
	}
}

func TestPagesOfARealGateway(t *testing.T) {
	p := person{t, harness.Start(t, harness.Options{File: file}), t.TempDir()}
	for _, key := range []string{"a", "b", "c"} {
		p.types("kv", "set", key, strings.Repeat("x", 1000))
	}
	var list []struct {
		Name      string
		Keys      int64
		SizeBytes int64 `json:"size_bytes"`
	}
	if err := json.Unmarshal([]byte(p.types("namespace", "list", "-o", "json")), &list); err != nil {
		t.Fatal(err)
	}
	for _, n := range list {
		p.sees("namespaces", n.Name, figure.Count(n.Keys), figure.Bytes(n.SizeBytes))
	}
	p.sees("namespace kv", "✓ active", "keyvalue", "volatile (memory)", "created")
	p.sees("backend spare", "✓ healthy", "✓ closed")

	p.types("namespace", "create", "orders", "--backend", "spare")
	p.sees("namespaces", "orders")
	p.sees("audit", "CreateNamespace", "orders", "✓ OK")
	if got := p.types("audit", "list", "--method", "CreateNamespace"); !strings.Contains(got, "orders") {
		t.Errorf("the command does not find it:\n%s", got)
	}
	if strings.Contains(p.looks("audit"), "ListAudit") {
		t.Error("calls that only read stand among the changes")
	}
	var sessions []struct {
		ID string `json:"session_id"`
	}
	if err := json.Unmarshal([]byte(p.types("session", "list", "-o", "json")), &sessions); err != nil || len(sessions) == 0 {
		t.Fatalf("%v, %v", sessions, err)
	}
	p.sees("sessions", sessions[0].ID)
	p.sees("session "+sessions[0].ID, "listening", "status")
}

// A store that fails is red on the page within five seconds.
func TestACutIsRedWithinFiveSeconds(t *testing.T) {
	p := person{t, harness.Start(t, harness.Options{File: file}), t.TempDir()}
	p.sees("backends", "✓ healthy")
	p.types("fault", "add", "--backend", "volatile", "--errors", "100%", "--for", "60s")
	began := time.Now()
	for !strings.Contains(p.looks("backends"), "✗ unhealthy") {
		if since := time.Since(began); since > 30*time.Second {
			t.Fatalf("it is not red after %v:\n%s", since, p.looks("backends"))
		}
	}
	took := time.Since(began)
	t.Logf("red after %v", took)
	if took > 5*time.Second {
		t.Errorf("red after %v", took)
	}
	p.sees("backend volatile", "✗ unhealthy", "100% fail with BACKEND_UNAVAILABLE", "a fault acts")
	p.sees("audit", "AddFault", "volatile")
}
