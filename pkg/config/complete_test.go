package config

import (
	"os"
	"path/filepath"
	"testing"
)

func TestAFileThatOnlyListensGetsTheBuiltInStores(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]int{
		"apiVersion: prism/v1\nlog: {level: warn}\n":                       len(Default().Namespaces),
		"apiVersion: prism/v1\nbackends: [{name: mine, driver: memory}]\n": 0,
	} {
		path := filepath.Join(t.TempDir(), "prism.yaml")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		g, err := LoadGateway(path, Load{})
		if err != nil {
			t.Fatal(err)
		}
		if len(g.Namespaces) != want {
			t.Errorf("%q: %d namespaces, want %d", text, len(g.Namespaces), want)
		}
	}
}
