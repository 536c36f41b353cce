package backend_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/prism-data-layer/prism/pkg/cli"
	"github.com/prism-data-layer/prism/pkg/cli/clitest"
	"github.com/prism-data-layer/prism/pkg/clock"
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
		"describe-json":    {"backend", "describe", "local", "-o", "json"},
		"stats":            {"backend", "stats"},
		"stats-wide":       {"backend", "stats", "local", "-o", "wide"},
		"stats-json":       {"backend", "stats", "local", "-o", "json"},
		"stats-missing":    {"backend", "stats", "nope"},
		"test":             {"backend", "test", "local"},
		"test-json":        {"backend", "test", "local", "-o", "jsonl"},
		"test-missing":     {"backend", "test", "nope"},
		"add-declared":     {"backend", "add", "local", "--driver", "pebble"},
		"add-unknown":      {"backend", "add", "more", "--driver", "rediss", "--option", "addrs=[a:1]"},
		"add-no-driver":    {"backend", "add", "more"},
		"add-no-value":     {"backend", "add", "more", "--driver", "memory", "--option", "receipts"},
		"add-twice":        {"backend", "add", "more", "--driver", "memory", "--option", "receipts=1", "--option", "receipts=2"},
		"remove-declared":  {"backend", "remove", "local", "--yes"},
		"remove-missing":   {"backend", "remove", "nope", "--yes"},
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

func TestABackendThatFailsItsTestIsExit6(t *testing.T) {
	r := clitest.New(t)
	r.Gateway.Change(func(s *clitest.State) {
		(*s.Backends)[0].Health = adminv1.HealthState_HEALTH_STATE_UNHEALTHY
	})
	r.Golden("test-failed", "backend", "test", "local")
}

func TestABackendIsAddedAndRemoved(t *testing.T) {
	r := clitest.New(t)
	r.Each = r.Refresh
	r.Golden("add", "backend", "add", "more", "--driver", "memory", "--option", "receipts=10")
	r.Golden("add-json", "backend", "add", "more", "--driver", "memory", "-o", "json")
	r.Golden("remove", "backend", "remove", "spare", "--yes")
	r.Want(2, []string{"pass --yes"}, "backend", "remove", "spare")
}

func TestAWatchTellsTheRate(t *testing.T) {
	r := clitest.New(t)
	ctx, stop := context.WithCancelCause(t.Context())
	r.Context = ctx
	now := clock.NewFake(time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC))
	r.Prepare = func(f *cli.Factory) { f.Clock = now }
	go func() {
		for look := int64(1); ctx.Err() == nil; look++ {
			for now.Timers() == 0 && ctx.Err() == nil {
				time.Sleep(time.Millisecond)
			}
			if look == 3 {
				stop(context.Canceled)
			}
			r.Gateway.Change(func(s *clitest.State) { (*s.Backends)[0].Calls += 500 })
			now.Advance(2 * time.Second)
		}
	}()
	got := r.Run("backend", "stats", "local", "--watch", "-o", "jsonl")
	for _, want := range []string{`"calls_per_second":null`, `"calls_per_second":250`} {
		if !strings.Contains(got.Out, want) {
			t.Errorf("no %s in\n%s%s", want, got.Out, got.ErrOut)
		}
	}
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
	for _, verb := range [][]string{{"list"}, {"describe", "local"}, {"health"}, {"stats"}, {"test", "local"}, {"add", "x", "--driver", "memory"}, {"remove", "x", "--yes"}} {
		r.Want(6, []string{"cannot reach the gateway at 127.0.0.1:1", "connection refused", "prismctl dev up"}, append([]string{"backend"}, verb...)...)
	}
}
