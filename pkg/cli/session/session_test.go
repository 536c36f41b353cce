package session_test

import (
	"strings"
	"testing"

	"github.com/prism-data-layer/prism/pkg/cli/clitest"
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

func TestTerminateAsks(t *testing.T) {
	r := clitest.New(t)
	r.Want(2, []string{"pass --yes"}, "session", "terminate", "s-7f3a")
	r.TTY, r.Stdin = true, "no\n"
	r.Want(1, []string{"end session s-7f3a in", "nothing was changed"}, "session", "terminate", "s-7f3a")
}

func TestAGatewayThatIsNotThereIsExit6(t *testing.T) {
	r := clitest.Offline(t)
	for _, line := range []string{"session list", "session describe x", "session terminate x --yes"} {
		r.Want(6, []string{"cannot reach the gateway"}, strings.Fields(line)...)
	}
}
