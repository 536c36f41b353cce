package dev

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/prism-data-layer/prism/pkg/cli"
	"github.com/prism-data-layer/prism/pkg/config"
)

func TestWatchBuildsOnlyACheckout(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	p := project{Place: config.Place{Root: filepath.Join(root, "examples", "shop")}, state: filepath.Join(root, "state")}
	for _, dir := range []string{p.Root, filepath.Join(root, "cmd", "prismd")} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	mod := filepath.Join(root, "go.mod")
	if err := os.WriteFile(mod, []byte("module example.com/other\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := findCheckout(p, "1.2.3"); cli.Code(err) != cli.ExitUsage {
		t.Errorf("outside of a checkout: %v", err)
	}
	if err := os.WriteFile(mod, []byte("module github.com/prism-data-layer/prism\n\ngo 1.26\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := findCheckout(p, "1.2.3")
	if err != nil || c.root != root || !strings.HasPrefix(c.program, p.state) {
		t.Fatalf("got %+v, %v", c, err)
	}
	r := c.rebuild()
	if r.Dir != root || !slices.Contains(r.Command, "-X main.version=1.2.3") || !slices.Contains(r.Command, c.program) || !slices.Contains(r.Paths, "pkg") {
		t.Errorf("got %+v", r)
	}
}
