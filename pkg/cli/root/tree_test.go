package root_test

import (
	"bytes"
	"context"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"google.golang.org/grpc/metadata"

	"github.com/prism-data-layer/prism/pkg/cli"
	"github.com/prism-data-layer/prism/pkg/cli/clitest"
	"github.com/prism-data-layer/prism/pkg/cli/root"
)

// walk visits every command of the tree.
func walk(t *testing.T, visit func(*cobra.Command)) {
	t.Helper()
	f, _, _, _ := clitest.Offline(t).Factory()
	var each func(*cobra.Command)
	each = func(c *cobra.Command) {
		visit(c)
		for _, sub := range c.Commands() {
			each(sub)
		}
	}
	each(root.New(f, root.Nouns()))
}

func TestEveryCommandExplainsItself(t *testing.T) {
	walk(t, func(c *cobra.Command) {
		path := c.CommandPath()
		if c.Short == "" || strings.HasSuffix(c.Short, ".") || len(c.Short) > 60 {
			t.Errorf("%s: Short is %q: want a phrase of at most 60 bytes, no full stop", path, c.Short)
		}
		if c.Long == "" {
			t.Errorf("%s has no Long", path)
		}
		for _, l := range strings.Split(c.Long, "\n") {
			if len([]rune(l)) > 104 {
				t.Errorf("%s: a line of Long is longer than 104: %q", path, l)
			}
		}
		if n := len(examples(c)); n < 2 {
			t.Errorf("%s has %d examples, want two", path, n)
		}
	})
}

func TestEveryNounIsInAGroupOfHelp(t *testing.T) {
	walk(t, func(c *cobra.Command) {
		if c.HasParent() && !c.Parent().HasParent() && c.GroupID == "" {
			t.Errorf("%s is in no group", c.CommandPath())
		}
	})
}

func TestEveryFlagHasAPlaceholderAndADefault(t *testing.T) {
	walk(t, func(c *cobra.Command) {
		c.Flags().VisitAll(func(f *pflag.Flag) {
			if f.Name == "help" || f.Hidden {
				return
			}
			placeholder, usage := pflag.UnquoteUsage(f)
			typed := f.Value.Type()
			if typed != "bool" && typed != "count" && (placeholder == "" || strings.ToUpper(placeholder[:1]) != placeholder[:1]) {
				t.Errorf("%s --%s: the placeholder is %q, want a capital in back quotes", c.CommandPath(), f.Name, placeholder)
			}
			if usage == "" || cli.FlagDefault(f) == "" {
				t.Errorf("%s --%s: no sentence or no default", c.CommandPath(), f.Name)
			}
		})
	})
}

// examples are the command lines in a command's help, as words.
func examples(c *cobra.Command) [][]string {
	var list [][]string
	for _, l := range strings.Split(c.Example, "\n") {
		if l = strings.TrimSpace(l); l != "" {
			list = append(list, words(l))
		}
	}
	return list
}

// words splits a line as a shell would, with single quotes only.
func words(line string) []string {
	var out []string
	var b strings.Builder
	quoted, any := false, false
	for _, r := range line {
		switch {
		case r == '\'':
			quoted, any = !quoted, true
		case r == ' ' && !quoted:
			if any {
				out = append(out, b.String())
				b.Reset()
				any = false
			}
		default:
			b.WriteRune(r)
			any = true
		}
	}
	if any {
		out = append(out, b.String())
	}
	return out
}

// outside reports whether a command starts processes or takes the terminal:
// such nouns are tried for real in tests of their own, and only parsed here.
func outside(c *cobra.Command) bool {
	for ; c.HasParent(); c = c.Parent() {
		if !c.Parent().HasParent() {
			return c.GroupID == "local" || c.GroupID == "load" || c.Name() == "ui" || c.Name() == "top"
		}
	}
	return false
}

// ours is the part of a shell line that is prismctl's.
func ours(line []string) []string {
	for i, w := range line {
		if _, inside, ok := strings.Cut(w, "$("); ok {
			line = append([]string{inside}, line[i+1:]...)
			last := len(line) - 1
			line[last] = strings.TrimRight(line[last], `)"`)
			break
		}
	}
	if i := slices.IndexFunc(line, func(w string) bool { return w == "|" || w == ">" || w == "&&" }); i > 0 {
		line = line[:i]
	}
	return line
}

func TestExamplesParse(t *testing.T) {
	walk(t, func(c *cobra.Command) {
		for _, line := range examples(c) {
			line = ours(line)
			if line[0] != "prismctl" {
				t.Errorf("%s: the example %q is not of prismctl", c.CommandPath(), line)
				continue
			}
			c.Root().InitDefaultHelpCmd()
			found, rest, err := c.Root().Find(line[1:])
			if err != nil || found == c.Root() {
				t.Errorf("%s: the example %q names no command", c.CommandPath(), line)
				continue
			}
			if err := found.ParseFlags(rest); err != nil {
				t.Errorf("%s: the example %q: %v", c.CommandPath(), line, err)
				continue
			}
			if err := found.ValidateArgs(found.Flags().Args()); err != nil {
				t.Errorf("%s: the example %q: %v", c.CommandPath(), line, err)
			}
		}
	})
}

func TestExamplesWorkAsTyped(t *testing.T) {
	var lines [][]string
	walk(t, func(c *cobra.Command) {
		if c.HasParent() && !outside(c) {
			lines = append(lines, examples(c)...)
		}
	})
	for _, line := range lines {
		t.Run(strings.Join(line, " "), func(t *testing.T) {
			t.Parallel()
			r := clitest.New(t)
			r.Gateway.Put("kv", "greeting", "hello")
			r.Gateway.CachePut("greeting", "hello", time.Minute)
			r.Write("prism.yaml", "apiVersion: prism/v1\nkind: Gateway\nbackends:\n  - {name: local, driver: pebble}\nnamespaces:\n  - {name: kv, model: keyvalue, backend: local}\n")
			r.Write(".prism.yaml", "apiVersion: prism/v1\nkind: Project\n")
			r.Write("sessions.jsonl", `{"key":"session-1","value":"a"}`+"\n")
			r.Write(".config/prism/config.yaml", "apiVersion: prism/v1\nkind: User\ncurrent: prod\nprevious: lab\ncontexts:\n  - name: prod\n  - name: lab\n")
			r.Write("events.csv", "time,host,ms\n1772366400,web-1,12.5\n")
			r.Write("namespaces.yaml", namespaces)
			r.Write("backends.yaml", backends)
			r.Write("objects.yaml", backends+"---\n"+namespaces)
			for i, w := range line {
				switch w {
				case "prism.yaml", ".prism.yaml", "sessions.jsonl", "events.csv", "namespaces.yaml", "backends.yaml", "objects.yaml":
					line[i] = r.Dir + "/" + w
				}
			}
			args := ours(line)[1:]
			if slices.Contains([]string{"terminate", "revoke"}, at(args, 1)) && !slices.Contains(args, "--yes") {
				args = append(args, "--yes") // here a person would be asked
			}
			if at(args, 1) == "watch" && at(args, 0) != "kv" { // it has no end
				ctx, cancel := context.WithCancel(context.Background())
				r.Context = ctx
				r.Gateway.Fail = func(string, metadata.MD) error {
					cancel()
					return nil
				}
				r.Want(130, nil, args...)
				return
			}
			r.OK(args...)
		})
	}
}

func at(list []string, i int) string {
	if i < len(list) {
		return list[i]
	}
	return ""
}

// printers are the command lines that print something of a kind, by path.
func printers() map[string][]string {
	return map[string][]string{
		"namespace list":     {"namespace", "list"},
		"namespace describe": {"namespace", "describe", "kv"},
		"namespace create":   {"namespace", "create", "orders"},
		"namespace update":   {"namespace", "update", "kv", "--description", "new"},
		"namespace delete":   {"namespace", "delete", "kv", "--yes"},
		"namespace move":     {"namespace", "move", "kv", "--to", "volatile"},
		"namespace history":  {"namespace", "history", "kv"},
		"namespace apply":    {"namespace", "apply", "-f", "NAMESPACES"},
		"namespace diff":     {"namespace", "diff", "-f", "NAMESPACES"},
		"backend apply":      {"backend", "apply", "-f", "BACKENDS"},
		"backend diff":       {"backend", "diff", "-f", "BACKENDS"},
		"apply":              {"apply", "-f", "BACKENDS"},
		"diff":               {"diff", "-f", "BACKENDS"},
		"doctor":             {"doctor"},
		"metrics summary":    {"metrics", "summary"},
		"metrics namespace":  {"metrics", "namespace", "kv"},
		"backend list":       {"backend", "list"},
		"backend describe":   {"backend", "describe", "local"},
		"backend health":     {"backend", "health"},
		"backend stats":      {"backend", "stats"},
		"backend test":       {"backend", "test", "local"},
		"backend add":        {"backend", "add", "more", "--driver", "memory", "--option", "receipts=10"},
		"backend remove":     {"backend", "remove", "spare", "--yes"},
		"session list":       {"session", "list"},
		"session describe":   {"session", "describe", "s-7f3a"},
		"session terminate":  {"session", "terminate", "s-7f3a", "--yes"},
		"session trace":      {"session", "trace", "--limit", "2"},
		"fault add":          {"fault", "add", "--backend", "local", "--errors", "5%", "--for", "1m"},
		"fault list":         {"fault", "list"},
		"fault remove":       {"fault", "remove", "f-19ab0001"},
		"maintenance on":     {"maintenance", "on", "--yes"},
		"maintenance off":    {"maintenance", "off"},
		"maintenance status": {"maintenance", "status"},
		"drain":              {"drain", "--yes"},
		"key create":         {"key", "create", "user:ann"},
		"key list":           {"key", "list"},
		"key revoke":         {"key", "revoke", "k-19ab", "--yes"},
		"audit list":         {"audit", "list"},
		"config view":        {"config", "view"},
		"config validate":    {"config", "validate", "FILE"},
		"context list":       {"context", "list"},
		"context show":       {"context", "show"},
		"context add":        {"context", "add", "more", "--data", "h:1"},
		"context use":        {"context", "use", "lab"},
		"context rm":         {"context", "rm", "lab"},
		"context rename":     {"context", "rename", "lab", "bench"},
		"kv get":             {"kv", "get", "greeting"},
		"kv set":             {"kv", "set", "greeting", "hello"},
		"kv delete":          {"kv", "delete", "greeting"},
		"kv scan":            {"kv", "scan"},
		"kv watch":           {"kv", "watch", "--limit", "2", "--values"},
		"kv import":          {"kv", "import", "LINES"},
		"kv export":          {"kv", "export", "-f", "OUT"},
		"queue publish":      {"queue", "publish", "mail", "hello"},
		"queue subscribe":    {"queue", "subscribe", "mail", "--max", "2"},
		"queue peek":         {"queue", "peek", "mail"},
		"queue info":         {"queue", "info", "mail"},
		"queue list":         {"queue", "list"},
		"queue create":       {"queue", "create", "other"},
		"queue groups":       {"queue", "groups", "orders"},
		"queue seek":         {"queue", "seek", "orders", "--group", "billing", "--to", "earliest"},
		"queue dlq":          {"queue", "dlq", "mail"},
		"queue redrive":      {"queue", "redrive", "mail"},
		"cache get":          {"cache", "get", "greeting"},
		"cache set":          {"cache", "set", "greeting", "hello"},
		"cache delete":       {"cache", "delete", "greeting"},
		"cache exists":       {"cache", "exists", "greeting"},
		"cache incr":         {"cache", "incr", "visits"},
		"cache stats":        {"cache", "stats"},
		"ts append":          {"ts", "append", "--type", "http_request"},
		"ts query":           {"ts", "query"},
		"ts aggregate":       {"ts", "aggregate", "--bucket", "1m", "--by", "host", "--select", "count, avg(ms), max(other)"},
		"ts info":            {"ts", "info"},
		"pubsub publish":     {"pubsub", "publish", "a.b", "hello"},
		"pubsub tail":        {"pubsub", "tail", "--limit", "2"},

		"pubsub subscriptions": {"pubsub", "subscriptions"},
		"pubsub unsubscribe":   {"pubsub", "unsubscribe", "audit"},
		"errors list":          {"errors", "list"},
		"errors lookup":        {"errors", "lookup", "PRISM-40401"},
		"health":               {"health"},
		"trace":                {"trace", "4bf92f3577b34da6a3ce929d0e0e4736"},
		"trace list":           {"trace", "list"},
		"version":              {"version"},
	}
}

// What the gateway has already, as files.
const (
	namespaces = "apiVersion: prism/v1\nkind: Namespace\nname: scratch\nmodel: keyvalue\n"
	backends   = "apiVersion: prism/v1\nkind: Backend\nname: spare\ndriver: memory\n"
)

// line readies a rig for a printer.
func line(t *testing.T, path string) (*clitest.Rig, []string) {
	r := clitest.New(t)
	r.Gateway.Put("kv", "greeting", "hello")
	r.Gateway.Put("kv", "猫", "ねこ 🐈")
	r.Gateway.CachePut("greeting", "hello", time.Minute)
	r.Write(".config/prism/config.yaml", contexts)
	args := slices.Clone(printers()[path])
	for i, w := range args {
		switch w {
		case "FILE":
			args[i] = r.Write("prism.yaml", "apiVersion: prism/v1\nkind: Gateway\n")
		case "LINES":
			args[i] = r.Write("lines.jsonl", `{"key":"a","value":"b"}`+"\n")
		case "OUT":
			args[i] = r.Dir + "/out.jsonl"
		case "NAMESPACES":
			args[i] = r.Write("namespaces.yaml", namespaces)
		case "BACKENDS":
			args[i] = r.Write("backends.yaml", backends)
		}
	}
	return r, args
}

func TestEveryPrinterTakesEveryFormat(t *testing.T) {
	seen := map[string]bool{}
	walk(t, func(c *cobra.Command) {
		path := strings.TrimPrefix(c.CommandPath(), "prismctl ")
		if cli.KindOf(c) == "" || outside(c) || watches(path) {
			return
		}
		seen[path] = true
		if printers()[path] == nil {
			t.Errorf("%s prints a %s and is not tried here", path, cli.KindOf(c))
			return
		}
		list := cli.IsList(c)
		t.Run(path, func(t *testing.T) {
			t.Parallel()
			for _, format := range []string{"table", "wide", "json", "jsonl", "yaml", "name", "csv", "jsonpath={..kind}", `go-template={{printf "%T" .}}`, "custom-columns=KIND:.kind"} {
				r, args := line(t, path)
				out := r.OK(append(args, "-o", format)...)
				if out == "" {
					t.Errorf("-o %s printed nothing", format)
				}
				if strings.Contains(out, "\x1b") {
					t.Errorf("-o %s printed an escape into a pipe", format)
				}
				if err := wellFormed(format, out, list && !endless(path)); err != nil {
					t.Errorf("-o %s: %v\n%s", format, err, out)
				}
			}
		})
	})
	for path := range printers() {
		if !seen[path] {
			t.Errorf("there is no printer %s any more", path)
		}
	}
}

// endless are the lists that come to no end by themselves: their JSON is lines.
func endless(path string) bool {
	return path == "kv watch" || path == "pubsub tail" || path == "session trace"
}

// watches are lists that are looked at again and again, as list --watch is.
func watches(path string) bool { return path == "namespace watch" || path == "backend watch" }

func wellFormed(format, out string, list bool) error {
	switch format {
	case "json":
		var v any
		if err := json.Unmarshal([]byte(strings.SplitAfter(out, "}\n{")[0]), &v); err != nil && list {
			return err
		}
		if _, isList := v.([]any); list && !isList {
			return fmt.Errorf("not an array")
		}
	case "jsonl":
		for _, l := range strings.Split(strings.TrimSpace(out), "\n") {
			var v map[string]any
			if err := json.Unmarshal([]byte(l), &v); err != nil {
				return err
			}
			if v["apiVersion"] != "prism/v1" || v["kind"] == "" {
				return fmt.Errorf("no apiVersion or kind: %s", l)
			}
		}
	case "csv":
		_, err := csv.NewReader(strings.NewReader(out)).ReadAll()
		return err
	}
	return nil
}

func TestJSONHoldsEveryColumnOfTheTable(t *testing.T) {
	walk(t, func(c *cobra.Command) {
		path := strings.TrimPrefix(c.CommandPath(), "prismctl ")
		if cli.KindOf(c) == "" || outside(c) || !cli.IsList(c) || endless(path) || watches(path) || path == "kv delete" || path == "cache delete" {
			return
		}
		t.Run(path, func(t *testing.T) {
			t.Parallel()
			r, args := line(t, path)
			var objects []map[string]any
			if err := json.Unmarshal([]byte(r.OK(append(args, "-o", "json")...)), &objects); err != nil {
				t.Fatal(err)
			}
			f, _, _, _ := r.Factory()
			root.New(f, root.Nouns())
			i := slices.IndexFunc(f.Kinds(), func(k cli.KindInfo) bool { return k.Name == cli.KindOf(c) })
			for _, col := range f.Kinds()[i].Columns {
				for _, o := range objects {
					if _, ok := o[col.Name]; !ok {
						t.Errorf("the JSON lacks %s (column %s)", col.Name, col.Header)
					}
				}
			}
		})
	})
}

func TestFieldNamesSayTheirUnits(t *testing.T) {
	f, _, _, _ := clitest.Offline(t).Factory()
	root.New(f, root.Nouns())
	for _, k := range f.Kinds() {
		for _, c := range k.Columns {
			want := map[cli.Type]string{cli.TypeMillis: "_ms", cli.TypeMicros: "_us", cli.TypeBytes: "_bytes"}[c.Type]
			if !strings.HasSuffix(c.Name, want) {
				t.Errorf("%s.%s is a %s: its name must end in %s", k.Name, c.Name, c.Type, want)
			}
			if (c.Type == cli.TypeTime || c.Type == cli.TypeNanos) && c.Name != "time" && c.Name != "since" && !strings.HasSuffix(c.Name, "_at") {
				t.Errorf("%s.%s is a time: its name must be time or since, or end in _at", k.Name, c.Name)
			}
			if c.Header != strings.ToUpper(c.Header) {
				t.Errorf("%s: header %q is not in capitals", k.Name, c.Header)
			}
			if c.Doc == "" {
				t.Errorf("%s.%s is not documented", k.Name, c.Name)
			}
		}
	}
}

func TestEverySchemaIsJSONAndNamesItsFields(t *testing.T) {
	r := clitest.Offline(t)
	for _, kind := range strings.Fields(r.OK("schema")) {
		var s struct {
			Properties map[string]any
			Required   []string
		}
		if err := json.NewDecoder(bytes.NewReader([]byte(r.OK("schema", kind)))).Decode(&s); err != nil {
			t.Errorf("%s: %v", kind, err)
		}
		if len(s.Properties) != len(s.Required) || len(s.Required) < 3 {
			t.Errorf("%s: %d properties, %d required", kind, len(s.Properties), len(s.Required))
		}
	}
}

func TestHelpIsTheSameHoweverItIsAskedFor(t *testing.T) {
	r := clitest.Offline(t)
	walk(t, func(c *cobra.Command) {
		path := strings.Fields(c.CommandPath())[1:]
		if c.Name() == "help" {
			return
		}
		want := r.OK(append(path, "--help")...)
		ways := [][]string{append(slices.Clone(path), "-h"), append([]string{"help"}, path...)}
		if c.HasSubCommands() {
			ways = append(ways, append(slices.Clone(path), "help"))
			if len(path) > 0 {
				ways = append(ways, path)
			}
		}
		for _, args := range ways {
			if got := r.OK(args...); got != want {
				t.Errorf("prismctl %s differs from --help", strings.Join(args, " "))
			}
		}
	})
}

func TestNoCommandPrintsAnEscapeIntoAPipe(t *testing.T) {
	r := clitest.Offline(t)
	r.Env["FORCE_COLOR"] = ""
	walk(t, func(c *cobra.Command) {
		if got := r.Run(append(strings.Fields(c.CommandPath())[1:], "--help")...); strings.Contains(got.Out+got.ErrOut, "\x1b") {
			t.Errorf("%s --help has an escape", c.CommandPath())
		}
	})
}
