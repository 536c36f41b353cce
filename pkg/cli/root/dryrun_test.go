package root_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/prism-data-layer/prism/pkg/cli/clitest"
)

// What a gateway would be changed by, with the admin calls that a dry run may
// make because they say dry_run themselves.
var mutations = map[string]string{
	"namespace create made":                          "CreateNamespace",
	"namespace update kv --description new":          "UpdateNamespace",
	"namespace delete kv":                            "DeleteNamespace",
	"session terminate s-7f3a":                       "",
	"maintenance on":                                 "SetMaintenanceMode",
	"maintenance off":                                "SetMaintenanceMode",
	"drain -n kv":                                    "DrainConnections",
	"fault add --backend local --errors 5% --for 1m": "AddFault",
	"fault remove f-19ab0001":                        "",
	"key create user:ann":                            "",
	"key revoke k-19ab":                              "",
	"kv set greeting hello":                          "",
	"kv set made hello --create-only":                "",
	"kv delete greeting none":                        "",
	"kv delete greeting --if-version 101 -o jsonl":   "",
	"kv import lines.jsonl":                          "",
	"queue create new":                               "",
	"queue create new --log":                         "",
	"queue publish mail hello":                       "",
	"queue publish orders hello":                     "",
	"queue redrive mail":                             "",
	"queue seek orders --group billing --to latest":  "",
}

// A dry run says what would happen, asks nobody, and calls nothing that changes
// anything.
func TestEveryMutationHasADryRun(t *testing.T) {
	for line, allowed := range mutations {
		t.Run(line, func(t *testing.T) {
			r := clitest.New(t)
			r.Gateway.Put("kv", "greeting", "hello")
			file := r.Write("lines.jsonl", `{"key":"a","value":"b"}`+"\n")
			got := r.Run(append(strings.Fields(strings.ReplaceAll(line, "lines.jsonl", file)), "--dry-run")...)
			if got.Code != 0 || got.Out == "" {
				t.Fatalf("exit %d, %q\n%s", got.Code, got.Out, got.ErrOut)
			}
			for _, call := range r.Gateway.Calls() {
				reads := slices.ContainsFunc([]string{"Get", "List", "Exists", "Peek", "Read"}, func(p string) bool { return strings.HasPrefix(call, p) })
				if !reads && call != allowed {
					t.Errorf("a dry run calls %s", call)
				}
			}
		})
	}
}

func TestADryRunMeetsWhatTheRealOneWould(t *testing.T) {
	r := clitest.New(t)
	r.Gateway.Put("kv", "greeting", "hello")
	for line, code := range map[string]int{
		"kv set greeting x --create-only":   5,
		"kv set greeting x --if-version 7":  5,
		"kv delete greeting --if-version 7": 5,
		"session terminate s-0000":          3,
		"key revoke k-0000":                 3,
		"namespace delete none":             3,
		"kv set greeting x -n none":         3,
		"queue create orders":               5,
		"queue publish mail x -n none":      3,
		"queue redrive none":                3,
	} {
		r.Want(code, []string{"error: "}, append(strings.Fields(line), "--dry-run")...)
	}
}
