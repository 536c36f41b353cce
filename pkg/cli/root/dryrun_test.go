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
	"apply -f objects.yaml":                          "CreateNamespace",
	"namespace apply -f objects.yaml":                "CreateNamespace",
	"context add more --data h:1":                    "",
	"context use lab":                                "",
	"context rm lab":                                 "",
	"context rename lab bench":                       "",
}

// A dry run says what would happen, asks nobody, and calls nothing that changes
// anything.
func TestEveryMutationHasADryRun(t *testing.T) {
	for line, allowed := range mutations {
		t.Run(line, func(t *testing.T) {
			r := clitest.New(t)
			r.Gateway.Put("kv", "greeting", "hello")
			file := r.Write("lines.jsonl", `{"key":"a","value":"b"}`+"\n")
			r.Write("objects.yaml", "apiVersion: prism/v1\nkind: Namespace\nname: new\nmodel: keyvalue\n")
			r.Write(".config/prism/config.yaml", contexts)
			before := held(r)
			earlier := len(r.Gateway.Calls())
			got := r.Run(append(strings.Fields(strings.ReplaceAll(line, "lines.jsonl", file)), "--dry-run")...)
			if got.Code != 0 || got.Out == "" {
				t.Fatalf("exit %d, %q\n%s", got.Code, got.Out, got.ErrOut)
			}
			calls := r.Gateway.Calls()[earlier:]
			if after := held(r); after != before {
				t.Errorf("it changed the gateway: from\n%s\nto\n%s", before, after)
			}
			for _, call := range calls {
				reads := slices.ContainsFunc([]string{"Get", "List", "Exists", "Peek", "Read"}, func(p string) bool { return strings.HasPrefix(call, p) })
				if !reads && call != allowed {
					t.Errorf("a dry run calls %s", call)
				}
			}
		})
	}
}

const contexts = "apiVersion: prism/v1\nkind: User\ncurrent: prod\ncontexts:\n  - name: prod\n  - name: lab\n    data: \"lab:1\"\n"

// held is what a gateway and a person's file hold, as far as it can be listed.
func held(r *clitest.Rig) string {
	var b strings.Builder
	for _, line := range []string{"namespace list", "session list", "key list", "kv scan", "queue list", "queue groups orders", "context list"} {
		b.WriteString(r.OK(append(strings.Fields(line), "-o", "jsonl")...))
	}
	return b.String()
}

func TestADryRunMeetsWhatTheRealOneWould(t *testing.T) {
	r := clitest.New(t)
	r.Gateway.Put("kv", "greeting", "hello")
	r.Write(".config/prism/config.yaml", contexts)
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
		"context use none":                  3,
		"context rm none":                   3,
		"context rename none x":             3,
		"context rename lab prod":           5,
		"context add UPPER":                 7,
	} {
		r.Want(code, []string{"error: "}, append(strings.Fields(line), "--dry-run")...)
	}
}
