package backend_test

import (
	"testing"

	"github.com/prism-data-layer/prism/pkg/cli/clitest"
	adminv1 "github.com/prism-data-layer/prism/proto/prism/admin/v1"
)

func TestWhatIsPrinted(t *testing.T) {
	r := clitest.New(t)
	for name, args := range map[string][]string{
		"list":             {"backend", "list"},
		"list-wide":        {"be", "ls", "-o", "wide"},
		"list-json":        {"backend", "list", "--limit", "1", "-o", "json"},
		"describe":         {"backend", "describe", "local"},
		"describe-missing": {"backend", "describe", "locl"},
		"health":           {"backend", "health"},
		"health-one":       {"backend", "health", "volatile", "-o", "jsonl"},
		"health-missing":   {"backend", "health", "nope"},
	} {
		t.Run(name, func(t *testing.T) { r.Golden(name, args...) })
	}
}

func TestAnUnhealthyBackendIsExit6AndSaysWhy(t *testing.T) {
	r := clitest.New(t)
	r.Gateway.Change(func(s *clitest.State) {
		(*s.Backends)[0].Health = adminv1.HealthState_HEALTH_STATE_UNHEALTHY
		(*s.Backends)[0].Message = "disk full"
	})
	r.Golden("health-unhealthy", "backend", "health")
}

func TestNoBackendsIsAnEmptyArrayAndAHint(t *testing.T) {
	r := clitest.New(t)
	r.Gateway.Change(func(s *clitest.State) { *s.Backends = nil })
	got := r.Want(0, []string{"there are no backends"}, "backend", "list", "-o", "json")
	if got.Out != "[]\n" {
		t.Errorf("got %q, want []", got.Out)
	}
	if got := r.Want(0, []string{"there are no backends"}, "backend", "list"); got.Out != "" {
		t.Errorf("a header without rows: %q", got.Out)
	}
}

func TestAGatewayThatIsNotThereIsToldWithItsAddressAndWhatToDo(t *testing.T) {
	r := clitest.Offline(t)
	for _, verb := range [][]string{{"list"}, {"describe", "local"}, {"health"}} {
		r.Want(6, []string{"cannot reach the gateway at 127.0.0.1:1", "connection refused", "prismctl dev up"}, append([]string{"backend"}, verb...)...)
	}
}
