package root_test

import (
	"strings"
	"testing"

	"github.com/prism-data-layer/prism/pkg/cli/clitest"
	"github.com/prism-data-layer/prism/pkg/cli/root"
)

func TestACommandRunsInsideAnother(t *testing.T) {
	t.Parallel()
	r := clitest.New(t)
	f, _, out, errOut := r.Factory()
	f.Globals.Admin = r.Gateway.Addr
	defer f.Close()
	root.New(f, root.Nouns())
	run := func(args ...string) (string, []string, error) {
		var said []string
		got, err := f.Execute(t.Context(), args, "", func(s string) { said = append(said, s) })
		return got, said, err
	}
	got, said, err := run("namespace", "create", "orders")
	if err != nil || got != "created namespace orders on backend local\n" || len(said) == 0 || !strings.Contains(said[len(said)-1], "next: prismctl kv set") {
		t.Errorf("%q, %q, %v", got, said, err)
	}
	if got, _, err := run("namespace", "describe", "orders", "-o", "yaml"); err != nil || !strings.Contains(got, "name: orders\n") {
		t.Errorf("%q, %v", got, err)
	}
	if got, said, err := run("namespace", "delete", "orders"); err == nil || !strings.Contains(err.Error(), "needs a confirmation") || got != "" {
		t.Errorf("%q, %q, %v: nobody may be asked", got, said, err)
	}
	if got, said, err := run("namespace", "delete", "orders", "--yes"); err != nil || !strings.Contains(got, "deleted namespace orders") || !strings.Contains(strings.Join(said, "|"), "deleting namespace orders") {
		t.Errorf("%q, %q, %v", got, said, err)
	}
	if out.String()+errOut.String() != "" {
		t.Errorf("it printed %q and %q into the command around it", out, errOut)
	}
}
