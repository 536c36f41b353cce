package key_test

import (
	"strings"
	"testing"

	"github.com/prism-data-layer/prism/pkg/cli/clitest"
)

func TestWhatIsPrinted(t *testing.T) {
	r := clitest.New(t)
	r.Each = r.Refresh
	for name, args := range map[string][]string{
		"create":         {"key", "create", "service:checkout", "--ttl", "30d", "--role", "viewer", "--description", "x"},
		"create-json":    {"key", "create", "service:checkout", "-o", "json"},
		"create-quiet":   {"key", "create", "service:checkout", "-q"},
		"create-nobody":  {"key", "create"},
		"list":           {"key", "list"},
		"list-json":      {"key", "list", "-o", "json", "--limit", "1"},
		"revoke":         {"key", "revoke", "k-19ab", "--yes"},
		"revoke-json":    {"key", "revoke", "k-19ab", "--yes", "-o", "json"},
		"revoke-missing": {"key", "revoke", "k-0000", "--yes"},
	} {
		t.Run(name, func(t *testing.T) { r.Golden(name, args...) })
	}
}

func TestTheSecretAloneIsOnStandardOutput(t *testing.T) {
	got := clitest.New(t).Run("key", "create", "user:ann")
	if got.Out != "prism_k21ef_canary\n" {
		t.Errorf("got %q, want the secret and nothing else", got.Out)
	}
}

func TestASecretIsNeverInDebugOutput(t *testing.T) {
	r := clitest.New(t)
	r.Env["PRISM_TOKEN"] = "canary-of-the-caller"
	got := r.Want(0, []string{"CreateKey OK"}, "key", "create", "user:ann", "--debug", "-vv")
	if strings.Contains(got.ErrOut, "canary") {
		t.Errorf("a secret is in the debug output:\n%s", got.ErrOut)
	}
	if tokens := r.Gateway.Tokens(); len(tokens) != 1 || tokens[0] != "Bearer canary-of-the-caller" {
		t.Errorf("the gateway got %q", tokens)
	}
}

func TestRevokeAsks(t *testing.T) {
	r := clitest.New(t)
	r.Want(2, []string{"pass --yes"}, "key", "revoke", "k-19ab")
	r.TTY, r.Stdin = true, "y\n"
	r.Want(0, nil, "key", "revoke", "k-19ab")
}

func TestAGatewayThatIsNotThereIsExit6(t *testing.T) {
	r := clitest.Offline(t)
	for _, line := range []string{"key list", "key create x", "key revoke x --yes"} {
		r.Want(6, []string{"cannot reach the gateway"}, strings.Fields(line)...)
	}
}
