package trace_test

import (
	"strings"
	"testing"

	"github.com/prism-data-layer/prism/pkg/cli/clitest"
)

const failed = "4bf92f3577b34da6a3ce929d0e0e4736"

func TestWhatIsPrinted(t *testing.T) {
	r := clitest.New(t)
	for name, args := range map[string][]string{
		"show":         {"trace", failed},
		"show-json":    {"trace", strings.ToUpper(failed), "-o", "json"},
		"show-missing": {"trace", strings.Repeat("0", 31) + "1"},
		"show-word":    {"trace", "lst"},
		"show-two":     {"trace", failed, failed},
		"list":         {"trace", "list"},
		"list-wide":    {"trace", "list", "-o", "wide"},
		"list-errors":  {"trace", "list", "--errors", "-q"},
		"list-slow":    {"trace", "list", "--slow", "--json", "trace_id,duration_us,error"},
		"list-limit":   {"trace", "list", "--limit", "1"},
		"list-none":    {"trace", "list", "--errors", "--slow"},
	} {
		t.Run(name, func(t *testing.T) { r.Golden(name, args...) })
	}
}

func TestALinkIsToldWhereTracesCanBeSeen(t *testing.T) {
	r := clitest.New(t)
	r.Env["PRISM_TRACE_URL"] = "http://localhost:8080/trace/{trace}"
	const link = "http://localhost:8080/trace/TRACE" // the rig stands that in for ids
	if out := r.OK("trace", failed); !strings.Contains(out, "open: "+link) {
		t.Errorf("no link in\n%s", out)
	}
	if out := r.OK("trace", failed, "--jq", ".url"); strings.Trim(out, "\"\n") != link {
		t.Errorf("got %s", out)
	}
	r.Want(3, []string{"open: http://localhost:8080/trace/"}, "kv", "get", "absent")
}
