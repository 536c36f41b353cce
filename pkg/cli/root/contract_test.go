package root_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"go/scanner"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/prism-data-layer/prism/pkg/cli"
	"github.com/prism-data-layer/prism/pkg/cli/clitest"
	"github.com/prism-data-layer/prism/pkg/config"
)

// The same verb is the same word on every noun, with the same short form.
func TestVerbsAreTheSameOnEveryNoun(t *testing.T) {
	t.Parallel()
	short := map[string]string{"list": "ls", "delete": "rm", "remove": "rm"}
	nouns := map[string][]string{ // what each noun that is managed must have
		"namespace": {"list", "describe", "create", "update", "delete"},
		"backend":   {"list", "describe", "add", "remove"},
		"session":   {"list", "describe", "terminate"},
		"key":       {"list", "create", "revoke"},
		"context":   {"list", "show", "add", "use", "rename"},
	}
	seen := map[string][]string{}
	walk(t, func(c *cobra.Command) {
		if c.HasParent() {
			seen[c.Parent().Name()] = append(seen[c.Parent().Name()], c.Name())
		}
		if alias := short[c.Name()]; alias != "" && !slices.Contains(c.Aliases, alias) {
			t.Errorf("%s is not also %s", c.CommandPath(), alias)
		}
		for _, other := range []string{"get-all", "ls", "rm", "show-all", "info-all", "destroy", "new", "modify", "edit-all"} {
			if c.Name() == other && c.CommandPath() != "prismctl context rm" {
				t.Errorf("%s has a verb of its own", c.CommandPath())
			}
		}
	})
	for noun, verbs := range nouns {
		for _, v := range verbs {
			if !slices.Contains(seen[noun], v) {
				t.Errorf("%s has no %s", noun, v)
			}
		}
	}
	r := clitest.New(t)
	if a, b := r.OK("ns", "ls"), r.OK("namespace", "list"); a != b {
		t.Errorf("ns ls: got\n%s\nwant\n%s", a, b)
	}
}

// What is short for one thing today would be short for two tomorrow.
func TestNothingIsAbbreviated(t *testing.T) {
	t.Parallel()
	walk(t, func(c *cobra.Command) {
		path := strings.Fields(c.CommandPath())[1:]
		if c.Name() == "help" {
			return
		}
		if c.HasParent() {
			known := slices.ContainsFunc(c.Parent().Commands(), func(o *cobra.Command) bool {
				return o.Name() == c.Name()[:len(c.Name())-1] || o.HasAlias(c.Name()[:len(c.Name())-1])
			})
			if cut := append(slices.Clone(path[:len(path)-1]), path[len(path)-1][:len(c.Name())-1]); !known && cut[len(cut)-1] != "" {
				clitest.Offline(t).Want(2, []string{"error: "}, cut...)
			}
		}
		if c.HasSubCommands() {
			return
		}
		c.Flags().VisitAll(func(f *pflag.Flag) {
			name := f.Name[:len(f.Name)-1]
			if name == "" || c.Flags().Lookup(name) != nil {
				return
			}
			if err := c.Flags().Parse([]string{"--" + name + "=1"}); err == nil || !strings.Contains(err.Error(), "unknown flag") {
				t.Errorf("%s takes --%s for --%s: %v", c.CommandPath(), name, f.Name, err)
			}
		})
	})
}

// ownVariable is a variable that prismctl or what it starts reads.
var ownVariable = regexp.MustCompile(`^PRISM_[A-Z_]+$`)

func TestEveryVariableThatIsReadIsInItsTopic(t *testing.T) {
	t.Parallel()
	topic := clitest.Offline(t).OK("help", "environment")
	for _, v := range config.Variables() {
		if !strings.Contains(topic, "  "+v.Name+" ") {
			t.Errorf("the topic lacks %s", v.Name)
		}
	}
	given := []string{ // to others, or between our own processes: nobody sets them for us
		"PRISM_METRICS", "PRISM_PROJECT", "PRISM_OIDC_ISSUER", "PRISM_SUPERVISE_NONCE", "PRISM_SUPERVISE_PROJECT",
	}
	for _, dir := range []string{"cmd", "pkg/cli", "pkg/config", "pkg/iostreams", "pkg/supervise", "tui", "loadtest"} {
		err := filepath.WalkDir(filepath.Join("..", "..", "..", dir), func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") || strings.Contains(path, "clitest") {
				return err
			}
			for _, lit := range literals(t, path) {
				if ownVariable.MatchString(lit) && !strings.Contains(topic, "  "+lit) && !slices.Contains(given, lit) {
					t.Errorf("%s knows %s, which help environment does not", path, lit)
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}

// literals are the strings in a Go file.
func literals(t *testing.T, path string) (list []string) {
	t.Helper()
	src, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var s scanner.Scanner
	files := token.NewFileSet()
	s.Init(files.AddFile(path, -1, len(src)), src, nil, 0)
	for {
		_, tok, lit := s.Scan()
		switch tok {
		case token.EOF:
			return list
		case token.STRING:
			if text, err := strconv.Unquote(lit); err == nil {
				list = append(list, text)
			}
		}
	}
}

// What a command prints for programs is what schema KIND promises: no more, no
// less, of the type that it says.
func TestOutputsFollowTheirSchemas(t *testing.T) {
	walk(t, func(c *cobra.Command) {
		kind := cli.KindOf(c)
		path := strings.TrimPrefix(c.CommandPath(), "prismctl ")
		if kind == "" || printers()[path] == nil {
			return
		}
		t.Run(path, func(t *testing.T) {
			t.Parallel()
			r, args := line(t, path)
			out := r.OK(append(args, "-o", "jsonl")...)
			var schema schema
			if err := json.Unmarshal([]byte(r.OK("schema", kind)), &schema); err != nil {
				t.Fatal(err)
			}
			for d := json.NewDecoder(strings.NewReader(out)); d.More(); {
				var object map[string]json.RawMessage
				if err := d.Decode(&object); err != nil {
					t.Fatalf("%v\n%s", err, out)
				}
				if path == "ts aggregate" { // its columns are asked for
					schema.AdditionalProperties = true
				}
				for _, complaint := range schema.check(object) {
					t.Errorf("%s: %s", kind, complaint)
				}
			}
		})
	})
}

type schema struct {
	Properties map[string]struct {
		Type  any
		Const *string
	}
	Required             []string
	AdditionalProperties bool
}

func (s schema) check(object map[string]json.RawMessage) (complaints []string) {
	for _, name := range s.Required {
		if _, ok := object[name]; !ok {
			complaints = append(complaints, "lacks "+name)
		}
	}
	for name, raw := range object {
		p, known := s.Properties[name]
		switch {
		case !known && !s.AdditionalProperties:
			complaints = append(complaints, "has "+name+", which is not in the schema")
		case p.Const != nil && string(raw) != strconv.Quote(*p.Const):
			complaints = append(complaints, fmt.Sprintf("%s is %s, want %q", name, raw, *p.Const))
		case p.Type != nil && !slices.Contains(types(p.Type), typeOf(raw)) && !(typeOf(raw) == "integer" && slices.Contains(types(p.Type), "number")):
			complaints = append(complaints, fmt.Sprintf("%s is %s, want %v", name, raw, p.Type))
		}
	}
	return complaints
}

func types(t any) (list []string) {
	switch t := t.(type) {
	case string:
		return []string{t}
	case []any:
		for _, e := range t {
			list = append(list, fmt.Sprint(e))
		}
	}
	return list
}

func typeOf(raw json.RawMessage) string {
	raw = bytes.TrimSpace(raw)
	switch raw[0] {
	case '{':
		return "object"
	case '[':
		return "array"
	case '"':
		return "string"
	case 't', 'f':
		return "boolean"
	case 'n':
		return "null"
	}
	if bytes.ContainsAny(raw, ".eE") {
		return "number"
	}
	return "integer"
}

// Whoever changed something is told what, and what could be typed next.
func TestEveryMutationSaysWhatChangedAndWhatIsNext(t *testing.T) {
	t.Parallel()
	last := []string{"delete", "remove", "rm", "terminate", "revoke", "import", "unsubscribe"} // after them there is nothing to look at
	for line := range mutations {
		t.Run(line, func(t *testing.T) {
			t.Parallel()
			r := clitest.New(t)
			r.Gateway.Put("kv", "greeting", "hello")
			r.Write(".config/prism/config.yaml", contexts)
			file := r.Write("lines.jsonl", `{"key":"a","value":"b"}`+"\n")
			objects := r.Write("objects.yaml", "apiVersion: prism/v1\nkind: Namespace\nname: new\nmodel: keyvalue\n")
			args := strings.Fields(strings.NewReplacer("lines.jsonl", file, "objects.yaml", objects, " --if-version 101 -o jsonl", "").Replace(line))
			if verb := args[1]; slices.Contains([]string{"terminate", "revoke", "on"}, verb) || verb == "delete" && args[0] == "namespace" || args[0] == "drain" {
				args = append(args, "--yes")
			}
			got := r.Run(args...)
			if got.Code != 0 || got.Out == "" {
				t.Fatalf("exit %d, %q\n%s", got.Code, got.Out, got.ErrOut)
			}
			if !slices.Contains(last, args[1]) && !strings.Contains(got.ErrOut, "next: ") {
				t.Errorf("it does not say what is next:\n%s%s", got.Out, got.ErrOut)
			}
		})
	}
}
