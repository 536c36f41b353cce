package maintenance_test

import (
	"strings"
	"testing"

	"github.com/prism-data-layer/prism/pkg/cli/clitest"
)

func TestWhatIsPrinted(t *testing.T) {
	r := clitest.New(t)
	for _, c := range []struct {
		name string
		args []string
	}{
		{"status-off", []string{"maintenance", "status"}},
		{"status-off-json", []string{"maintenance", "status", "-o", "json"}},
		{"on-dry", []string{"maintenance", "on", "--dry-run"}},
		{"on", []string{"maintenance", "on", "--message", "the disk is changed", "--for", "10m", "--yes"}},
		{"status", []string{"maintenance", "status"}},
		{"on-all", []string{"maintenance", "on", "--all", "--yes", "-o", "json"}},
		{"off-dry", []string{"maintenance", "off", "--dry-run"}},
		{"off", []string{"maintenance", "off"}},
		{"off-again", []string{"maintenance", "off", "-o", "yaml"}},
	} {
		r.Golden(c.name, c.args...)
	}
}

func TestMaintenanceAsks(t *testing.T) {
	r := clitest.New(t)
	r.Want(2, []string{"pass --yes"}, "maintenance", "on")
	r.TTY, r.Stdin = true, "no\n"
	r.Want(1, []string{"refuse all data calls in", "nothing was changed"}, "maintenance", "on", "--all")
	if r.OK("maintenance", "status", "--json", "state", "--jq", ".state") == "on" {
		t.Error("it is on all the same")
	}
}

func TestAGatewayThatIsNotThereIsExit6(t *testing.T) {
	r := clitest.Offline(t)
	for _, line := range []string{"maintenance status", "maintenance off", "maintenance on --yes"} {
		r.Want(6, []string{"cannot reach the gateway"}, strings.Fields(line)...)
	}
}
