package drain_test

import (
	"strings"
	"testing"

	"github.com/prism-data-layer/prism/pkg/cli/clitest"
	adminv1 "github.com/prism-data-layer/prism/proto/prism/admin/v1"
)

func TestWhatIsPrinted(t *testing.T) {
	r := clitest.New(t)
	for name, args := range map[string][]string{
		"drain":         {"drain", "-n", "kv", "--yes"},
		"drain-all":     {"drain", "--yes", "-o", "json"},
		"drain-dry":     {"drain", "-n", "kv", "--dry-run"},
		"drain-missing": {"drain", "-n", "none", "--yes"},
	} {
		t.Run(name, func(t *testing.T) { r.Golden(name, args...) })
	}
}

func TestTheContextsNamespaceDoesNotNarrowTheDrain(t *testing.T) {
	r := clitest.New(t)
	r.Env["PRISM_NAMESPACE"] = "kv"
	if got := r.OK("drain", "--dry-run"); !strings.Contains(got, "would end 4 streams of all namespaces") {
		t.Errorf("got %q", got)
	}
}

func TestDrainAsks(t *testing.T) {
	r := clitest.New(t)
	r.Want(2, []string{"pass --yes"}, "drain")
	r.TTY, r.Stdin = true, "no\n"
	r.Want(1, []string{"end the streams of namespace kv in", "nothing was changed"}, "drain", "-n", "kv")
}

func TestADrainThatDoesNotEndIsExit6(t *testing.T) {
	r := clitest.New(t)
	r.Gateway.SetOperation(&adminv1.Operation{
		OperationId: "op-3", Kind: "drain", State: adminv1.OperationState_OPERATION_STATE_FAILED, Message: "1 of 4 streams have not ended within 30s",
	})
	r.Want(6, []string{"1 of 4 streams have not ended", "allow more time with --timeout"}, "drain", "--yes")
}

func TestAGatewayThatIsNotThereIsExit6(t *testing.T) {
	clitest.Offline(t).Want(6, []string{"cannot reach the gateway"}, "drain", "--yes")
}
