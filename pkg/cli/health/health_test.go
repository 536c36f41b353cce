package health_test

import (
	"testing"

	"google.golang.org/grpc/metadata"

	"github.com/prism-data-layer/prism/pkg/cli/clitest"
	"github.com/prism-data-layer/prism/pkg/prism"
	adminv1 "github.com/prism-data-layer/prism/proto/prism/admin/v1"
)

func TestWhatIsPrinted(t *testing.T) {
	r := clitest.New(t)
	r.Golden("health", "health")
	r.Golden("health-json", "health", "-o", "json")
}

func TestMaintenanceIsShown(t *testing.T) {
	r := clitest.New(t)
	r.Want(0, nil, "maintenance", "on", "--yes")
	r.Golden("health-maintenance", "health", "--json", "state,maintenance")
	r.Want(0, nil, "maintenance", "on", "--all", "--yes")
	r.Golden("health-maintenance-all", "health")
}

func TestAnUnhealthyBackendIsExit6(t *testing.T) {
	r := clitest.New(t)
	r.Gateway.Change(func(s *clitest.State) { (*s.Backends)[1].Health = adminv1.HealthState_HEALTH_STATE_UNHEALTHY })
	r.Want(6, []string{"a backend is unhealthy", "prismctl backend health"}, "health")
}

func TestAGatewayThatDrainsIsExit6(t *testing.T) {
	r := clitest.New(t)
	r.Gateway.SetState("Draining")
	r.Want(6, []string{"the gateway is draining"}, "health")
}

func TestAGatewayThatIsNotThereIsExit6(t *testing.T) {
	clitest.Offline(t).Want(6, []string{"cannot reach the gateway"}, "health")
}

func TestWhoMayNotAskIsExit4(t *testing.T) {
	r := clitest.New(t)
	r.Gateway.Fail = func(string, metadata.MD) error { return prism.New(prism.ReasonUnauthenticated, "no credential") }
	r.Want(4, []string{"no credential", "PRISM-40101"}, "health")
}
