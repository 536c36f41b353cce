package context_test

import (
	"os"
	"strings"
	"testing"

	"github.com/prism-data-layer/prism/pkg/cli"
	"github.com/prism-data-layer/prism/pkg/cli/clitest"
	"github.com/prism-data-layer/prism/pkg/config"
)

const file = `# mine
apiVersion: prism/v1
kind: User
current: prod
previous: lab
contexts:
  - name: prod # the real one
    data: "prism.example.com:8980"
    admin: "prism.example.com:8981"
    protected: true
  - name: lab
    data: "10.0.0.7:8980"
    insecure: true
`

func rig(t *testing.T) *clitest.Rig {
	r := clitest.Offline(t)
	delete(r.Env, "PRISM_DATA")
	delete(r.Env, "PRISM_ADMIN")
	r.Write(".config/prism/config.yaml", file)
	r.Each = func() { r.Write(".config/prism/config.yaml", file) }
	return r
}

func TestWhatIsPrinted(t *testing.T) {
	r := rig(t)
	for name, args := range map[string][]string{
		"list":           {"context", "list"},
		"list-wide":      {"ctx", "ls", "-o", "wide"},
		"list-json":      {"context", "list", "--json", "name,current"},
		"show":           {"context", "show"},
		"show-other":     {"context", "show", "lab", "-o", "yaml"},
		"show-missing":   {"context", "show", "nowhere"},
		"use":            {"context", "use", "lab"},
		"use-before":     {"context", "use", "-"},
		"use-missing":    {"context", "use", "nowhere"},
		"back":           {"context", "-"},
		"back-json":      {"context", "-", "-o", "json"},
		"back-format":    {"context", "-", "-o", "xml"},
		"add":            {"context", "add", "more", "--data", "h:1", "--admin", "h:2", "--insecure", "--protected", "-n", "orders"},
		"add-bad":        {"context", "add", "Not A Name"},
		"rm":             {"context", "rm", "lab"},
		"rm-missing":     {"context", "rm", "nowhere"},
		"rename":         {"context", "rename", "prod", "live"},
		"rename-taken":   {"context", "rename", "prod", "lab"},
		"rename-missing": {"context", "rename", "nowhere", "x"},
	} {
		t.Run(name, func(t *testing.T) { r.Golden(name, args...) })
	}
}

func TestEditsKeepComments(t *testing.T) {
	r := rig(t)
	r.OK("context", "use", "lab")
	r.OK("context", "add", "more", "--data", "h:1")
	r.OK("context", "rename", "more", "most")
	r.OK("context", "rm", "most")
	data, err := os.ReadFile(r.Dir + "/.config/prism/config.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"# mine", "# the real one", "current: lab"} {
		if !strings.Contains(string(data), want) {
			t.Errorf("%q is gone:\n%s", want, data)
		}
	}
}

func TestTheFirstContextMakesTheFile(t *testing.T) {
	r := clitest.Offline(t)
	r.OK("context", "add", "lab", "--data", "h:1")
	if out := r.OK("context", "list", "-q"); out != "lab\n" {
		t.Errorf("got %q", out)
	}
}

func TestTheContextChoosesTheAddress(t *testing.T) {
	r := rig(t)
	r.Env["PRISM_TIMEOUT"] = "1s"
	r.Write(".config/prism/config.yaml", "apiVersion: prism/v1\nkind: User\ncurrent: here\ncontexts:\n  - name: here\n    admin: \"127.0.0.1:1\"\n  - name: there\n    admin: \"127.0.0.1:2\"\n")
	r.Want(6, []string{"127.0.0.1:1 (context here)"}, "namespace", "list")
	r.Want(6, []string{"127.0.0.1:2 (context there)"}, "namespace", "list", "--context", "there")
	r.Env["PRISM_CONTEXT"] = "there"
	r.Want(6, []string{"127.0.0.1:2 (context there)"}, "namespace", "list")
	r.Want(6, []string{"127.0.0.1:3 (context there)"}, "--admin", "127.0.0.1:3", "namespace", "list")
	r.Want(3, []string{`context "nowhere" not found`, "prismctl context list"}, "namespace", "list", "--context", "nowhere")
}

func TestInADevFolderItsGatewayIsTheContext(t *testing.T) {
	r := rig(t)
	r.Prepare = func(f *cli.Factory) {
		f.Place.Dev = func(p config.Place, _ config.Dirs) (*config.Context, error) {
			return &config.Context{Name: "dev-shop-a1b2c3", Data: "127.0.0.1:8980", Admin: "127.0.0.1:8981"}, nil
		}
	}
	r.Golden("list-dev", "context", "list")
	r.Golden("show-dev", "context", "show")
}
