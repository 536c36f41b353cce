package main

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// lines is how many lines each section of interface.md must have.
var lines = map[string]int{"Commands": 64, "Dashboards": 36, "Load-test output": 18}

var named = regexp.MustCompile("`([a-z0-9/]+)\\.(Test\\w+)(?:/[^`]*)?`")

// Each line has the tests that hold it, or says why not; and the tests exist.
func TestInterfaceNamesTestsThatExist(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile(filepath.Join("..", "interface.md"))
	if err != nil {
		t.Fatal(err)
	}
	for section, want := range lines {
		_, text, ok := strings.Cut(string(page), "\n## "+section+"\n")
		if !ok {
			t.Errorf("there is no section %s", section)
			continue
		}
		text, _, _ = strings.Cut(text, "\n## ")
		n := 0
		for row := range strings.Lines(text) {
			if !strings.HasPrefix(row, fmt.Sprintf("| %d | ", n+1)) {
				continue
			}
			n++
			cells := strings.Split(strings.TrimSpace(row), " | ")
			held := strings.TrimSpace(strings.TrimSuffix(cells[len(cells)-1], "|"))
			if len(cells) < 3 && section == "Commands" || held == "" && section == "Commands" {
				t.Errorf("%s %d has no test and no reason", section, n)
			}
			if section == "Commands" && !named.MatchString(held) && !strings.HasPrefix(held, "not yet: ") {
				t.Errorf("%s %d: %q names no test and is no reason", section, n, held)
			}
		}
		if n != want {
			t.Errorf("%s has %d lines in a row, want %d", section, n, want)
		}
	}
	for _, m := range named.FindAllStringSubmatch(string(page), -1) {
		if !hasTest(t, m[1], m[2]) {
			t.Errorf("there is no %s in %s", m[2], m[1])
		}
	}
}

func hasTest(t *testing.T, dir, name string) bool {
	t.Helper()
	files, err := filepath.Glob(filepath.Join("..", "..", filepath.FromSlash(dir), "*_test.go"))
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		src, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(src), "\nfunc "+name+"(t *testing.T)") {
			return true
		}
	}
	return false
}
