package config

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the golden files anew")

// testLoad is a build with three drivers and an environment of one variable.
func testLoad() Load {
	return Load{
		Drivers: []string{"memory", "pebble", "redis"},
		Stacks:  []string{"redis", "clickhouse", "dex"},
		Lookup: func(name string) (string, bool) {
			if name == "HOME" {
				return "/home/ann", true
			}
			return "", false
		},
	}
}

func parseAny(name string, data []byte, opts Load) (any, error) {
	v := newOf(kindOf(name, data))
	return v, parse(name, data, kindOf(name, data), v, opts)
}

// wants reads what advice each broken file must be given.
func wants(t *testing.T) map[string][]string {
	t.Helper()
	data, err := os.ReadFile("testdata/broken/want.txt")
	if err != nil {
		t.Fatal(err)
	}
	out := map[string][]string{}
	for _, line := range strings.Split(string(data), "\n") {
		if name, advice, ok := strings.Cut(line, "\t"); ok {
			out[name] = append(out[name], advice)
		}
	}
	return out
}

func TestBrokenFilesAreExplained(t *testing.T) {
	t.Parallel()
	files, _ := filepath.Glob("testdata/broken/*.yaml")
	want := wants(t)
	right := 0
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".yaml")
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		_, err = parseAny(filepath.Base(file), data, testLoad())
		broken, ok := err.(*Error)
		if !ok {
			t.Errorf("%s: was read without a problem (%v)", name, err)
			continue
		}
		compareGolden(t, strings.TrimSuffix(file, ".yaml")+".golden", broken.Render())
		if advised(t, name, broken, want[name]) {
			right++
		}
		for _, p := range broken.Problems {
			if p.Line < 1 || p.Col < 1 || p.File != filepath.Base(file) || p.Doc == "" || p.Message == "" {
				t.Errorf("%s: a problem without place, message or page: %+v", name, p)
			}
			if strings.Contains(p.Render(), "CANARY") || strings.Contains(p.Word, "CANARY") {
				t.Errorf("%s: the secret is shown:\n%s", name, p.Render())
			}
		}
	}
	if len(files) < 60 {
		t.Errorf("%d broken files, want at least 60", len(files))
	}
	if right*60 < len(files)*55 {
		t.Errorf("the advice is right for %d of %d files, want 55 of 60", right, len(files))
	}
	t.Logf("%d files, advice right for %d", len(files), right)
}

// advised reports whether a file was given exactly the advice it should have.
func advised(t *testing.T, name string, got *Error, want []string) bool {
	t.Helper()
	ok := len(want) > 0 && len(got.Problems) == len(want)
	for i := 0; ok && i < len(want); i++ {
		ok = strings.Contains(got.Problems[i].advice(), want[i])
	}
	if !ok {
		t.Errorf("%s: wrong advice, got:\n%s\nwant: %q", name, got.Render(), want)
	}
	return ok
}

func compareGolden(t *testing.T, path, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s\ngot:\n%s\nwant:\n%s", path, got, want)
	}
}
