package config

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// What a file says must survive being written and read again; what cannot be
// read must be refused with a place, and nothing may panic or take long.
func FuzzConfigYAML(f *testing.F) {
	files, _ := filepath.Glob("testdata/broken/*.yaml")
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	for _, s := range []string{
		example, defaultGateway,
		"apiVersion: prism/v1\nkind: User\ncurrent: a\ncontexts:\n  - {name: a, data: \"h:1\", insecure: true}\n",
		"apiVersion: prism/v1\nkind: Project\nports: {data: auto}\nservices:\n  - {name: a, command: [\"$(x)\"], env: {\"a b\": \"${HOME}\"}, mounts: [\"a:b\"]}\n",
		strings.Repeat("[", 200), strings.Repeat("- ", 200), strings.Repeat("a: {", 100), "a: &a [*a]\n", "{", "\"", "---\n---\n", "!!x", "<<: *a", "a:\n  - b\n c",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		name := "fuzz.yaml"
		v, err := parseAny(name, data, testLoad())
		if err != nil {
			broken, ok := err.(*Error)
			if !ok {
				t.Fatalf("%T: %v", err, err)
			}
			for _, p := range broken.Problems {
				if p.Line < 1 || p.Col < 1 || p.File != name || p.Message == "" {
					t.Fatalf("no place: %+v", p)
				}
				if strings.ContainsAny(p.Render(), "\x1b\r\x07") {
					t.Fatalf("not safe for a terminal: %q", p.Render())
				}
			}
			return
		}
		out := Marshal(v)
		again := newOf(kindOf(name, out))
		if err := parse(name, out, kindOf(name, out), again, testLoad()); err != nil {
			t.Fatalf("%q\nprinted:\n%s\ncannot be read back: %v", data, out, err)
		}
		if got := Marshal(again); string(got) != string(out) {
			t.Fatalf("%q\nprinted:\n%s\nagain:\n%s", data, out, got)
		}
	})
}
