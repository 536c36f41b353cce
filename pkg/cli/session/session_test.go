package session_test

import (
	"context"
	"strings"
	"testing"

	"google.golang.org/grpc"

	"github.com/prism-data-layer/prism/pkg/cli"
	"github.com/prism-data-layer/prism/pkg/cli/clitest"
	"github.com/prism-data-layer/prism/pkg/clock"
	adminv1 "github.com/prism-data-layer/prism/proto/prism/admin/v1"
)

func TestWhatIsPrinted(t *testing.T) {
	r := clitest.New(t)
	for name, args := range map[string][]string{
		"list":              {"session", "list"},
		"list-wide":         {"session", "list", "-o", "wide"},
		"list-json":         {"session", "list", "-n", "kv", "-o", "json"},
		"list-none":         {"session", "list", "--principal", "user:nobody"},
		"describe":          {"session", "describe", "s-7f3a"},
		"describe-missing":  {"session", "describe", "s-0000"},
		"terminate":         {"session", "terminate", "s-7f3a", "--reason", "key leaked", "--yes"},
		"terminate-missing": {"session", "terminate", "s-0000", "--yes"},
		"terminate-json":    {"session", "terminate", "s-7f3a", "--yes", "-o", "json"},
		"trace":             {"session", "trace", "s-7f3a"},
		"trace-wide":        {"session", "trace", "-o", "wide"},
		"trace-jsonl":       {"session", "trace", "--errors", "-o", "jsonl"},
		"trace-slow":        {"session", "trace", "-n", "kv", "--min-latency", "100ms"},
		"trace-limit":       {"session", "trace", "--limit", "1", "-o", "json"},
		"trace-none":        {"session", "trace", "-n", "kv", "--errors"},
		"trace-missing":     {"session", "trace", "s-0000"},
	} {
		t.Run(name, func(t *testing.T) { r.Golden(name, args...) })
	}
}

func TestTheContextsNamespaceDoesNotNarrowTheList(t *testing.T) {
	r := clitest.New(t)
	r.Env["PRISM_NAMESPACE"] = "orders"
	if n := len(strings.Fields(r.OK("session", "list", "-q"))); n != 2 {
		t.Errorf("listed %d sessions, want both", n)
	}
}

// A trace ends with Ctrl-C or when its time is over, and then tells how the calls
// did; what was dropped is told at once.
func TestATraceEndsWithASummary(t *testing.T) {
	for _, c := range []struct {
		code int
		args []string
	}{{130, []string{"session", "trace"}}, {0, []string{"session", "trace", "--duration", "500ms"}}} {
		r := clitest.New(t)
		ctx, stop := context.WithCancelCause(t.Context())
		r.Context = ctx
		r.Prepare = func(f *cli.Factory) {
			f.Clock = clock.Real()
			if c.code == 130 {
				f.IO.Redirect(reader(func(text string) {
					if strings.Contains(text, "NOT_FOUND") { // the last that is told
						stop(cli.Interrupt{})
					}
				}))
			}
		}
		r.Gateway.OnTrace = func(_ *adminv1.TraceSessionRequest, st grpc.ServerStreamingServer[adminv1.TraceSessionResponse]) error {
			for i, calls := range [][]*adminv1.TracedCall{nil, r.Gateway.TracedCalls()[:2], r.Gateway.TracedCalls()[2:]} {
				if err := st.Send(&adminv1.TraceSessionResponse{Calls: calls, Dropped: int64(7 * (i / 2))}); err != nil {
					return err
				}
			}
			<-st.Context().Done()
			return nil
		}
		r.Want(c.code, []string{"7 calls dropped", "3 calls, 66.7% succeeded, 43.5ms on average, p99 130ms, 7 dropped"}, c.args...)
	}
}

// A reader is told what a command prints.
type reader func(text string)

func (r reader) Write(p []byte) (int, error) {
	r(string(p))
	return len(p), nil
}

func TestTerminateAsks(t *testing.T) {
	r := clitest.New(t)
	r.Want(2, []string{"pass --yes"}, "session", "terminate", "s-7f3a")
	r.TTY, r.Stdin = true, "no\n"
	r.Want(1, []string{"end session s-7f3a in", "nothing was changed"}, "session", "terminate", "s-7f3a")
}

func TestAGatewayThatIsNotThereIsExit6(t *testing.T) {
	r := clitest.Offline(t)
	for _, line := range []string{"session list", "session describe x", "session terminate x --yes", "session trace"} {
		r.Want(6, []string{"cannot reach the gateway"}, strings.Fields(line)...)
	}
}
