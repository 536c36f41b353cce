package audit_test

import (
	"strings"
	"testing"

	"github.com/prism-data-layer/prism/pkg/cli/clitest"
)

func TestWhatIsPrinted(t *testing.T) {
	r := clitest.New(t)
	for name, args := range map[string][]string{
		"list":        {"audit", "list"},
		"list-wide":   {"audit", "list", "-o", "wide"},
		"list-json":   {"audit", "list", "--actor", "user:ann", "-o", "json"},
		"list-since":  {"audit", "list", "--since", "30m", "--until", "2026-03-01T12:00:00Z", "-q"},
		"list-bad":    {"audit", "list", "--since", "yesterday"},
		"list-bad-to": {"audit", "list", "--until", "tomorrow"},
		"list-none":   {"audit", "list", "--since", "2026-03-02"},
		"list-limit":  {"audit", "list", "--limit", "1"},
	} {
		t.Run(name, func(t *testing.T) { r.Golden(name, args...) })
	}
}

func TestAGatewayThatIsNotThereIsExit6(t *testing.T) {
	clitest.Offline(t).Want(6, []string{"cannot reach the gateway"}, strings.Fields("audit list")...)
}
