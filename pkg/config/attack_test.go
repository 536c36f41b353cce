package config

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/prism-data-layer/prism/pkg/prism"
)

// A hostile file is refused with its line, quickly, and reaches nothing.
func TestAttack_A50_HostileFiles(t *testing.T) {
	t.Parallel()
	bomb := "apiVersion: prism/v1\na0: &a0 [x, x, x, x, x, x, x, x, x, x]\n"
	for i := 1; i <= 9; i++ {
		bomb += fmt.Sprintf("a%d: &a%d [%s]\n", i, i, strings.TrimSuffix(strings.Repeat(fmt.Sprintf("*a%d, ", i-1), 10), ", "))
	}
	header := "apiVersion: prism/v1\n"
	for name, c := range map[string]struct {
		text, want string
	}{
		"name leads out":      {header + "backends:\n  - {name: ../../x, driver: memory}\n", "3:12: "},
		"namespace leads out": {header + "namespaces:\n  - {name: ../../x, model: keyvalue}\n", "3:12: "},
		"data leads out":      {header + "data_dir: ../../x\n", "2:11: "},
		"alias bomb":          {bomb, "holds more than 100000 values, aliases put in"},
		"anchor loop":         {header + "a: &x {b: *x}\n", "stands inside what it means"},
		"anchors loop":        {header + "a: &x [*y]\nb: &y [*x]\n", "there is no anchor &y"},
		"many aliases":        {header + "a: &x 1\nb: [" + strings.Repeat("*x, ", 101) + "]\n", "more than 100 aliases"},
		"many anchors":        {header + "b: [" + strings.Repeat("&x 1, ", 101) + "]\n", "more than 100 anchors"},
		"deep brackets":       {strings.Repeat("[", 100_000), "levels deep"},
		"deep braces":         {strings.Repeat("{a: ", 50_000), "levels deep"},
		"deep dashes":         {strings.Repeat("- ", 100_000), "levels deep"},
		"deep flow keys":      {"{" + strings.Repeat("a: ", 50_000), "never closed"},
		"deep keys":           {deepKeys(400), "levels deep"},
		"tag":                 {header + "data_dir: !!binary aGk=\n", "tags"},
		"mount":               {header + "kind: Project\nservices: [{name: a, command: [x], mounts: [\"/:/host\"]}]\n", "reaches out of the project"},
		"mount of parent":     {header + "kind: Project\nservices: [{name: a, command: [x], mounts: [\"../..:/host\"]}]\n", "reaches out of the project"},
		"privileged":          {header + "kind: Project\nservices: [{name: a, command: [x], privileged: true}]\n", "asks for privileges"},
		"shell":               {header + "kind: Project\nservices: [{name: a, command: $(reboot)}]\n", "takes a list"},
		"service folder":      {header + "kind: Project\nservices: [{name: a, command: [x], dir: ../..}]\n", "leads out"},
		"gateway file":        {header + "kind: Project\ngateway: ../../etc/passwd\n", "leads out"},
		"many keys":           {strings.Repeat("a: |\n", 50_000), "more than 5000 keys"},
		"many values":         {"a: [" + strings.Repeat("1,", 160_000) + "]", "holds more than 100000 values"},
		"huge":                {header + strings.Repeat("# padding padding padding padding\n", 100_000), ":1: the file is larger than 1 MiB"},
	} {
		start := time.Now()
		_, err := parseAny("prism.yaml", []byte(c.text), Load{Lookup: lookup()})
		if err == nil || !errors.Is(err, prism.ReasonInvalidConfig) || !strings.Contains(err.Error(), c.want) || !strings.HasPrefix(err.Error(), "prism.yaml:") {
			t.Errorf("%s: got %.300v\nwant %s", name, err, c.want)
		}
		if d := time.Since(start); d > 30*time.Second {
			t.Errorf("%s: took %s", name, d)
		}
	}
	// With the flags that ask for it, the same file is read; a dollar in argv
	// stays a dollar.
	p, err := ParseProject("p", []byte(header+"services: [{name: a, command: [echo, \"$(reboot)\"], mounts: [\"/:/host\"], privileged: true}]\n"), Load{AllowHostMounts: true, AllowPrivileged: true})
	if err != nil || p.Services[0].Command[1] != "$(reboot)" {
		t.Errorf("got %+v, %v", p.Services, err)
	}
}

// A file is read no further than its limit, and only if it is a file.
func TestAttack_A50_HugeAndStrangeFiles(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	huge := filepath.Join(dir, "huge.yaml")
	if err := os.WriteFile(huge, []byte("apiVersion: prism/v1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(huge, 100<<20); err != nil {
		t.Fatal(err)
	}
	data, err := ReadFile(huge)
	if err != nil || len(data) != MaxFileBytes+1 {
		t.Errorf("read %d bytes, %v", len(data), err)
	}
	if _, err := LoadGateway(huge, Load{}); err == nil || !strings.Contains(err.Error(), "larger than 1 MiB") {
		t.Errorf("got %v", err)
	}
	for _, path := range []string{"/dev/zero", dir} {
		if _, err := ReadFile(path); !errors.Is(err, prism.ReasonInvalidConfig) {
			t.Errorf("%s: %v", path, err)
		}
	}
}

func deepKeys(n int) string {
	var b strings.Builder
	for i := range n {
		b.WriteString(strings.Repeat(" ", i) + "a:\n")
	}
	return b.String()
}

func TestLimitsHoldExactly(t *testing.T) {
	t.Parallel()
	nest := func(depth int) string { // the root and backends and its item and options make four
		return "apiVersion: prism/v1\nbackends:\n  - name: a\n    driver: memory\n    options:\n      x: " + strings.Repeat("[", depth-4) + strings.Repeat("]", depth-4) + "\n"
	}
	pad := func(size int) string {
		head := "apiVersion: prism/v1\n# "
		return head + strings.Repeat("x", size-len(head)-1) + "\n"
	}
	aliases := func(n int) string {
		return "apiVersion: prism/v1\nbackends:\n  - name: a\n    driver: memory\n    options:\n      y: &y 1\n      x: [" + strings.Repeat("*y, ", n) + "]\n"
	}
	for name, c := range map[string]struct {
		text string
		ok   bool
	}{
		"depth 31": {nest(MaxDepth - 1), true}, "depth 32": {nest(MaxDepth), true}, "depth 33": {nest(MaxDepth + 1), false},
		"size -1": {pad(MaxFileBytes - 1), true}, "size": {pad(MaxFileBytes), true}, "size +1": {pad(MaxFileBytes + 1), false},
		"99 aliases": {aliases(MaxAliases - 1), true}, "100 aliases": {aliases(MaxAliases), true}, "101 aliases": {aliases(MaxAliases + 1), false},
	} {
		_, err := ParseGateway("x", []byte(c.text), Load{})
		if (err == nil) != c.ok {
			t.Errorf("%s: %v", name, err)
		}
	}
}
