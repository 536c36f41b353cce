package manifest_test

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"google.golang.org/grpc/metadata"

	"github.com/prism-data-layer/prism/pkg/cli"
	"github.com/prism-data-layer/prism/pkg/cli/clitest"
	"github.com/prism-data-layer/prism/pkg/clock"
	"github.com/prism-data-layer/prism/pkg/prism"
	adminv1 "github.com/prism-data-layer/prism/proto/prism/admin/v1"
	"github.com/prism-data-layer/prism/test/harness"
)

const gatewayFile = `apiVersion: prism/v1
listen: {data: "127.0.0.1:auto", admin: "127.0.0.1:auto", metrics: "127.0.0.1:auto"}
backends:
  - {name: volatile, driver: memory}
namespaces:
  - {name: fixed, model: keyvalue, backend: volatile, default_ttl: 5m}
`

// rig is a command line and a real gateway.
func rig(t *testing.T) (*clitest.Rig, *harness.Gateway) {
	t.Helper()
	g := harness.Start(t, harness.Options{File: gatewayFile})
	r := clitest.Offline(t)
	r.Env["PRISM_DATA"], r.Env["PRISM_ADMIN"] = g.Addr("data"), g.Addr("admin")
	return r, g
}

const objects = `# The namespace stands first, and is made last.
apiVersion: prism/v1
kind: Namespace
name: orders
model: keyvalue
backend: hot
description: what was ordered
needs: {ttl: 30d}
limits: {request_rps: 500}
default_ttl: 1h
access:
  owners: [team:shop]
  consumers:
    - {service: checkout.*, permissions: [read, write]}
---
apiVersion: prism/v1
kind: Backend
name: hot
driver: memory
options: {cache_bytes: 1000000}
`

func changes(t *testing.T, out string) map[string][2]string {
	t.Helper()
	var list []struct{ Resource, Action, State string }
	if err := json.Unmarshal([]byte(out), &list); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	got := map[string][2]string{}
	for _, c := range list {
		got[c.Resource] = [2]string{c.Action, c.State}
	}
	return got
}

func namespace(t *testing.T, g *harness.Gateway, name string) *adminv1.Namespace {
	t.Helper()
	r, err := g.Admin(t).GetNamespace(harness.Context(t), &adminv1.GetNamespaceRequest{Name: name})
	if err != nil {
		t.Fatal(err)
	}
	return r.GetNamespace()
}

func TestApplyMakesWhatFilesSay(t *testing.T) {
	t.Parallel()
	r, g := rig(t)
	file := r.Write("objects.yaml", objects)
	dry := r.Run("apply", "-f", file, "--dry-run")
	if dry.Code != 0 || !strings.Contains(dry.Out, "create namespace/orders (objects.yaml:2:1)\n  + model: keyvalue\n  + backend: hot\n") ||
		!strings.Contains(dry.Out, "  + access.consumers.service:checkout.*: read, write\n") || !strings.Contains(dry.ErrOut, "would create 2 and change 0") {
		t.Errorf("the dry run: exit %d\n%s%s", dry.Code, dry.Out, dry.ErrOut)
	}
	if got := r.Run("diff", "-f", file); got.Code != 1 || got.Out != dry.Out {
		t.Errorf("diff: exit %d\n%s%s", got.Code, got.Out, got.ErrOut)
	}
	out := r.Run("apply", "-f", file)
	if want := "RESOURCE          ACTION  STATE  CHANGED  FROM\nbackend/hot       create  done   -        objects.yaml:16:1\nnamespace/orders  create  done   -        objects.yaml:2:1\n"; out.Code != 0 || out.Out != want {
		t.Fatalf("apply: exit %d\n%s%s", out.Code, out.Out, out.ErrOut)
	}
	n := namespace(t, g, "orders")
	if s := n.GetSpec(); n.GetBoundBackend() != "hot" || s.GetNeeds().GetTtlMs() != 30*24*3600_000 || s.GetLimits().GetRequestRps() != 500 || s.GetDefaultTtlMs() != 3600_000 ||
		s.GetAccess().GetConsumers()[0].GetPrincipal() != "service:checkout.*" {
		t.Errorf("the namespace is %v", n)
	}

	// Again: nothing to do, and diff says so too.
	if got := changes(t, r.OK("apply", "-f", file, "-o", "json")); got["namespace/orders"] != [2]string{"none", "unchanged"} || got["backend/hot"] != [2]string{"none", "unchanged"} {
		t.Errorf("the second apply: %v", got)
	}
	if got := r.Run("diff", "-f", file); got.Code != 0 || got.Out != "" || got.ErrOut != "nothing differs\n" {
		t.Errorf("diff after apply: exit %d\n%s%s", got.Code, got.Out, got.ErrOut)
	}

	// A change is one of the keys that differ; what is left out has its default,
	// but for access.
	r.Write("objects.yaml", "apiVersion: prism/v1\nkind: Namespace\nname: orders\nmodel: keyvalue\nlimits: {request_rps: 900}\n")
	if got := r.OK("namespace", "apply", "-f", file, "--json", "resource,fields", "--jq", ".[0].fields|join(\" \")"); got != "description needs limits default_ttl\n" {
		t.Errorf("changed were %q", got)
	}
	s := namespace(t, g, "orders").GetSpec()
	if s.GetLimits().GetRequestRps() != 900 || s.GetDescription() != "" || s.GetDefaultTtlMs() != 0 || len(s.GetAccess().GetOwners()) != 1 {
		t.Errorf("after the change: %v", s)
	}
	r.Write("objects.yaml", "apiVersion: prism/v1\nkind: Namespace\nname: orders\nmodel: keyvalue\nlimits: {request_rps: 900}\naccess: {}\n")
	r.OK("apply", "-f", file)
	if s := namespace(t, g, "orders").GetSpec(); len(s.GetAccess().GetOwners()) != 0 {
		t.Errorf("access is not empty: %v", s)
	}
}

// A folder, standard input, and verbs of one kind.
func TestWhatIsRead(t *testing.T) {
	t.Parallel()
	r, _ := rig(t)
	parts := strings.Split(objects, "---\n")
	r.Write("d/b.yml", parts[0])
	r.Write("d/a.yaml", parts[1])
	r.Write("d/.hidden.yaml", "no: object\n")
	r.Write("d/readme.md", "no object\n")
	if got := changes(t, r.OK("apply", "-f", "d", "--dry-run", "-o", "json")); len(got) != 2 {
		t.Errorf("a folder: %v", got)
	}
	r.Stdin = objects
	if got := changes(t, r.OK("apply", "-f", "-", "--dry-run", "-o", "json")); len(got) != 2 {
		t.Errorf("standard input: %v", got)
	}
	r.Want(7, []string{"standard input:2:1: this is a Namespace, and only backends are wanted here"}, "backend", "apply", "-f", "-")
	r.Want(2, []string{"no file is named"}, "apply")
	r.Want(3, []string{`file "`}, "apply", "-f", "none.yaml")
	r.Write("empty/x.txt", "")
	r.Want(3, []string{"there is no .yaml file in empty"}, "diff", "-f", "empty")
	r.TTY = true
	r.Want(2, []string{"standard input is a terminal"}, "apply", "-f", "-")
}

func TestBadFilesChangeNothing(t *testing.T) {
	t.Parallel()
	r, g := rig(t)
	for text, want := range map[string][]string{
		strings.Replace(objects, "model: keyvalue", "modle: keyvalue", 1):                {"objects.yaml:5:1: unknown key \"modle\"\n    5 | modle: keyvalue\n      | ^^^^^ did you mean \"model\"?", "nothing was changed"},
		strings.Replace(objects, "driver: memory", "driver: memry", 1):                   {"objects.yaml:19:9:", `did you mean "memory"?`},
		strings.Replace(objects, "backend: hot", "backend: volatil", 1):                  {"objects.yaml:6:10: unknown backend \"volatil\"", `did you mean "volatile"?`},
		strings.Replace(objects, "permissions: [read, write]", "permissions: [raed]", 1): {`did you mean "read"?`},
		objects + "---\n" + strings.Split(objects, "---\n")[1]:                           {"objects.yaml:24:7: two backends are called \"hot\"", "the other is at objects.yaml:18:7"},
		gatewayFile: {"missing key \"kind\""},
	} {
		file := r.Write("objects.yaml", text)
		r.Want(7, want, "apply", "-f", file)
		r.Want(7, want, "diff", "-f", file)
	}
	all, err := g.Admin(t).ListNamespaces(harness.Context(t), &adminv1.ListNamespacesRequest{})
	if err != nil || len(all.GetNamespaces()) != 1 {
		t.Errorf("there are %v (%v)", all, err)
	}
}

// What cannot come about is refused before anything is done, each with its way
// out; what the gateway's own file declares, by the keys it owns.
func TestRefusals(t *testing.T) {
	t.Parallel()
	r, _ := rig(t)
	file := r.Write("objects.yaml", objects)
	r.OK("apply", "-f", file)
	for text, want := range map[string][]string{
		"kind: Namespace\nname: fixed\nmodel: keyvalue\ndefault_ttl: 6m\nlimits: {burst: 5, request_rps: 5}\n": {"default_ttl, limits of namespace \"fixed\": the gateway's own file declares it, prism.yaml:6", "change it in prism.yaml:6"},
		"kind: Backend\nname: volatile\ndriver: memory\noptions: {receipts: 5}\n":                              {"options of backend \"volatile\": the gateway's own file declares it, prism.yaml:4"},
		"kind: Backend\nname: hot\ndriver: memory\n":                                                           {"backend \"hot\" must be replaced: it is open with another options", "fix: prismctl namespace move orders --to BACKEND, then prismctl backend remove hot, and apply again"},
		"kind: Namespace\nname: orders\nmodel: cache\n":                                                        {"is of model keyvalue and cannot become cache", "write model: keyvalue"},
		"kind: Namespace\nname: orders\nmodel: keyvalue\nbackend: volatile\n":                                  {"the data of namespace \"orders\" is on backend hot, not on volatile", "prismctl namespace move orders --to volatile"},
	} {
		file := r.Write("more.yaml", "apiVersion: prism/v1\n"+text+"---\napiVersion: prism/v1\nkind: Namespace\nname: other\nmodel: keyvalue\n")
		got := r.Want(5, append(want, "nothing was changed"), "apply", "-f", file)
		if !strings.Contains(got.Out, "refused") {
			t.Errorf("the table does not say that it is refused:\n%s", got.Out)
		}
		r.Want(3, nil, "namespace", "describe", "other")
		r.Want(1, []string{"apply would refuse it"}, "diff", "-f", file)
	}
	// A backend is replaced by a person: apply says so before it does anything.
	more := r.Write("more.yaml", "apiVersion: prism/v1\nkind: Backend\nname: hot\ndriver: memory\n")
	for _, args := range [][]string{{"diff"}, {"apply", "--dry-run"}, {"apply"}} {
		if got := r.Run(append(args, "-f", more, "-o", "json")...); !strings.Contains(got.Out, `"action": "replace"`) || !strings.Contains(got.Out, `"state": "refused"`) {
			t.Errorf("%v: %s%s", args, got.Out, got.ErrOut)
		}
	}
	// Only the description of a declared namespace is not the file's.
	more = r.Write("more.yaml", "apiVersion: prism/v1\nkind: Namespace\nname: fixed\nmodel: keyvalue\nbackend: volatile\ndefault_ttl: 5m\ndescription: mine\n")
	if got := changes(t, r.OK("apply", "-f", more, "-o", "json")); got["namespace/fixed"] != [2]string{"update", "done"} {
		t.Errorf("a description: %v", got)
	}
	// What only the gateway knows is refused in a dry run too.
	more = r.Write("more.yaml", "apiVersion: prism/v1\nkind: Namespace\nname: late\nmodel: graph\n")
	r.Want(7, nil, "apply", "-f", more, "--dry-run")
	more = r.Write("more.yaml", "apiVersion: prism/v1\nkind: Namespace\nname: late\nmodel: vector\n")
	if got := r.Run("apply", "-f", more, "--dry-run"); got.Code == 0 {
		t.Errorf("a model that the gateway lacks: %s%s", got.Out, got.ErrOut)
	}
}

// Some of it fails: the rest is done, both are named, and running it again goes
// on.
func TestAPartialFailureIsNamed(t *testing.T) {
	t.Parallel()
	r, g := rig(t)
	blocked := filepath.Join(g.Dir, "data", "backends", "bad")
	if err := os.MkdirAll(filepath.Dir(blocked), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(blocked, nil, 0o600); err != nil { // pebble cannot open its folder
		t.Fatal(err)
	}
	file := r.Write("objects.yaml", objects+`---
apiVersion: prism/v1
kind: Backend
name: bad
driver: pebble
---
apiVersion: prism/v1
kind: Namespace
name: lost
model: keyvalue
backend: bad
`)
	got := r.Want(8, []string{"partly done: not backend/bad, namespace/lost, but backend/hot, namespace/orders", "cause: "}, "apply", "-f", file, "-o", "csv")
	for _, want := range []string{"backend/hot,create,done", "backend/bad,create,failed", "namespace/lost,create,not done", "namespace/orders,create,done"} {
		if !strings.Contains(got.Out, want) {
			t.Errorf("%q is not told:\n%s", want, got.Out)
		}
	}
	if err := os.Remove(blocked); err != nil {
		t.Fatal(err)
	}
	if got := changes(t, r.OK("apply", "-f", file, "-o", "json")); got["backend/bad"][1] != "done" || got["namespace/lost"][1] != "done" || got["namespace/orders"][1] != "unchanged" {
		t.Errorf("the second apply: %v", got)
	}
}

// A gateway that goes away in the middle, and Ctrl-C, take the rest.
func TestTheRestIsNotDone(t *testing.T) {
	t.Parallel()
	text := ""
	for _, name := range []string{"a", "b", "c"} {
		text += "---\napiVersion: prism/v1\nkind: Namespace\nname: " + name + "\nmodel: keyvalue\n"
	}
	for what, code := range map[string]int{"gone": 8, "cancelled": 130} {
		r := clitest.New(t)
		ctx, cancel := context.WithCancel(context.Background())
		r.Context = ctx
		made := 0
		r.Gateway.Fail = func(method string, _ metadata.MD) error {
			if !strings.HasSuffix(method, "/CreateNamespace") {
				return nil
			}
			if made++; made == 2 {
				if what == "cancelled" {
					cancel()
					return nil
				}
				return prism.New(prism.ReasonUnavailable, "gone")
			}
			return nil
		}
		got := r.Want(code, nil, "apply", "-f", r.Write("three.yaml", text), "-o", "csv")
		if !strings.Contains(got.Out, "namespace/a,create,done") || !strings.Contains(got.Out, "namespace/c,create,not done") || made != 2 {
			t.Errorf("%s: %d calls\n%s%s", what, made, got.Out, got.ErrOut)
		}
		cancel()
	}
}

func TestExport(t *testing.T) {
	t.Parallel()
	r, _ := rig(t)
	r.OK("apply", "-f", r.Write("objects.yaml", objects))
	want := `apiVersion: prism/v1
kind: Namespace
name: orders
model: keyvalue
backend: hot
description: "what was ordered"
needs:
  ttl: 30d
limits:
  request_rps: 500
default_ttl: 1h
access:
  owners: ["team:shop"]
  consumers:
    - service: "checkout.*"
      permissions: [read, write]
`
	for _, args := range [][]string{{"export", "namespace", "orders"}, {"export", "ns", "orders", "-o", "yaml"}, {"namespace", "export", "orders"}} {
		if got := r.OK(args...); got != want {
			t.Errorf("%v: got\n%s\nwant\n%s", args, got, want)
		}
	}
	if got := r.OK("backend", "export", "hot"); got != "apiVersion: prism/v1\nkind: Backend\nname: hot\ndriver: memory\noptions:\n  cache_bytes: 1000000\n" {
		t.Errorf("the backend: %s", got)
	}
	all := r.OK("export")
	if !strings.Contains(all, "---\n# Declared in prism.yaml:6, and changed there.\napiVersion: prism/v1\nkind: Namespace\nname: fixed\n") {
		t.Errorf("what is declared is not marked:\n%s", all)
	}
	r.Want(3, []string{`backend "none" not found`}, "export", "backend", "none")
	r.Want(3, []string{`namespace "none" not found`}, "namespace", "export", "none")
	r.Want(2, []string{"is not a kind"}, "export", "sessions")
	r.Want(2, []string{"export writes YAML, not json"}, "export", "-o", "json")

	// On another gateway all of it is made, and is then the same.
	other, _ := rig(t)
	file := other.Write("all.yaml", all)
	if got := changes(t, other.OK("apply", "-f", file, "-o", "json")); got["backend/volatile"][0] != "none" || got["namespace/orders"][0] != "create" || got["namespace/fixed"][0] != "none" {
		t.Errorf("on another gateway: %v", got)
	}
	if got := other.OK("export"); got != all {
		t.Errorf("the copy differs: got\n%s\nwant\n%s", got, all)
	}
}

func TestWatchVerbs(t *testing.T) {
	t.Parallel()
	for _, noun := range []string{"namespace", "backend"} {
		r := clitest.New(t)
		ctx, cancel := context.WithCancel(context.Background())
		r.Context = ctx
		r.Prepare = func(f *cli.Factory) { f.Clock = clock.Real() }
		looks := 0
		r.Gateway.Fail = func(string, metadata.MD) error {
			if looks++; looks == 2 {
				cancel()
			}
			return nil
		}
		got := r.Want(130, nil, noun, "watch", "--interval", "100ms")
		if !strings.Contains(got.Out, `"name":"`) || slices.Contains(r.Gateway.Calls(), "Update") {
			t.Errorf("%s watch: %s%s", noun, got.Out, got.ErrOut)
		}
	}
}
