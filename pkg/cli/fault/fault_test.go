package fault_test

import (
	"strings"
	"testing"

	"github.com/prism-data-layer/prism/pkg/cli/clitest"
)

func TestWhatIsPrinted(t *testing.T) {
	r := clitest.New(t)
	r.Each = r.Gateway.Reset
	for name, args := range map[string][]string{
		"list":           {"fault", "list"},
		"list-wide":      {"fault", "list", "-o", "wide"},
		"list-json":      {"fault", "list", "volatile", "-o", "json"},
		"list-none":      {"fault", "list", "local"},
		"list-missing":   {"fault", "list", "none"},
		"add":            {"fault", "add", "--backend", "local", "--latency", "200ms", "--jitter", "50ms", "--errors", "5%", "--calls", "read", "--for", "60s"},
		"add-json":       {"fault", "add", "--backend", "local", "--errors", "0.5", "--reason", "DISK_FULL", "--for", "1h", "-o", "json"},
		"add-dry":        {"fault", "add", "--backend", "local", "--latency", "1s", "--for", "60s", "--dry-run"},
		"add-missing":    {"fault", "add", "--backend", "none", "--latency", "1s", "--for", "60s"},
		"add-no-backend": {"fault", "add", "--latency", "1s", "--for", "60s"},
		"add-no-end":     {"fault", "add", "--backend", "local", "--latency", "1s"},
		"add-bad-share":  {"fault", "add", "--backend", "local", "--errors", "500%", "--for", "60s"},
		"remove":         {"fault", "remove", "f-19ab0001"},
		"remove-dry":     {"fault", "remove", "f-19ab0001", "--dry-run"},
		"remove-missing": {"fault", "remove", "f-0"},
	} {
		t.Run(name, func(t *testing.T) { r.Golden(name, args...) })
	}
}

func TestAGatewayThatAllowsNoneSaysHow(t *testing.T) {
	r := clitest.New(t)
	r.Gateway.NoFaults = true
	r.Want(5, []string{"does not allow faults", "fix: write faults: true into the gateway's file"}, "fault", "add", "--backend", "local", "--latency", "1s", "--for", "1m")
	r.Want(0, []string{"this gateway allows none"}, "fault", "list", "local")
}

func TestAGatewayThatIsNotThereIsExit6(t *testing.T) {
	r := clitest.Offline(t)
	for _, line := range []string{"fault list", "fault remove f-1", "fault add --backend local --latency 1s --for 1m"} {
		r.Want(6, []string{"cannot reach the gateway"}, strings.Fields(line)...)
	}
}
