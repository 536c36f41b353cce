package config_test

import (
	"strings"
	"testing"

	"github.com/prism-data-layer/prism/pkg/cli/clitest"
)

const gateway = `apiVersion: prism/v1
kind: Gateway
backends:
  - {name: local, driver: pebble}
namespaces:
  - name: kv
    model: keyvalue
    backend: local
`

func TestWhatIsPrinted(t *testing.T) {
	r := clitest.Offline(t)
	r.Write(".prism.yaml", "apiVersion: prism/v1\nkind: Project\ndefaults:\n  namespace: orders\n")
	r.Write(".config/prism/config.yaml", "apiVersion: prism/v1\nkind: User\ncontexts:\n  - name: prod\n    data: \"prod:1\"\n")
	r.Env["PRISM_TOKEN"] = "canary"
	good := r.Write("good.yaml", gateway)
	bad := r.Write("bad.yaml", strings.Replace(gateway, "driver: pebble", "drivr: peble", 1))
	for name, args := range map[string][]string{
		"view":             {"config", "view", "-o", "csv"},
		"view-origin":      {"config", "view", "--show-origin", "--context", "prod", "-o", "csv"},
		"view-json":        {"config", "view", "-o", "json", "--limit", "3"},
		"show-file":        {"config", "show", good},
		"show-origin":      {"config", "show", good, "--show-origin"},
		"show-missing":     {"config", "show", "absent.yaml"},
		"validate":         {"config", "validate", good},
		"validate-json":    {"config", "validate", good, "-o", "json"},
		"validate-bad":     {"config", "validate", bad},
		"validate-bad-js":  {"config", "validate", bad, "-o", "json"},
		"validate-missing": {"config", "validate", "absent.yaml"},
		"validate-project": {"config", "validate", r.Dir + "/.prism.yaml"},
		"validate-user":    {"config", "validate", r.Dir + "/.config/prism/config.yaml"},
		"view-bad-context": {"config", "view", "--context", "prd"},
	} {
		t.Run(name, func(t *testing.T) { r.Golden(name, args...) })
	}
}

func TestShowIsTheProjectsGatewayElseTheBuiltIn(t *testing.T) {
	r := clitest.Offline(t)
	if out := r.OK("config", "show"); !strings.Contains(out, "name: kv") {
		t.Errorf("the built-in settings lack a namespace kv:\n%s", out)
	}
	if out := r.OK("config", "view", "--jq", `.[] | select(.name == "gateway") | .value`); out != "built-in\n" {
		t.Errorf("view says the gateway is %q", out)
	}
	r.Write("prism.yaml", strings.ReplaceAll(gateway, "name: kv", "name: orders"))
	if out := r.OK("config", "show"); !strings.Contains(out, "name: orders") {
		t.Errorf("the project's file is not shown:\n%s", out)
	}
}

func TestASecretIsNotShown(t *testing.T) {
	r := clitest.Offline(t)
	r.Env["PRISM_TOKEN"] = "canary"
	for _, format := range []string{"table", "wide", "json", "yaml", "csv"} {
		if out := r.OK("config", "view", "--show-origin", "-o", format); strings.Contains(out, "canary") {
			t.Errorf("-o %s shows the token:\n%s", format, out)
		}
	}
}

func TestABrokenFileStopsViewButNotValidate(t *testing.T) {
	r := clitest.Offline(t)
	path := r.Write(".config/prism/config.yaml", "apiVersion: prism/v1\nkind: User\ncontext: []\n")
	for _, args := range [][]string{{"config", "view"}, {"namespace", "list"}} {
		got := r.Want(7, nil, args...)
		if !strings.HasPrefix(got.ErrOut, "/home/ann/.config/prism/config.yaml:3:1: ") {
			t.Errorf("the error does not begin with its place:\n%s", got.ErrOut)
		}
	}
	r.Want(7, []string{":3:1: "}, "config", "validate", path)
	r.Write(".prism.yaml", "apiVersion: prism/v2\n")
	r.Want(7, []string{".prism.yaml:1:13: "}, "config", "view")
	r.Want(7, []string{".prism.yaml:1:13: "}, "config", "show")
}
