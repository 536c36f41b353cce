package config

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/prism-data-layer/prism/pkg/prism"
)

const example = `apiVersion: prism/v1
kind: Gateway                        # optional; Project for prismctl's own file
listen: {data: "127.0.0.1:8980", admin: "127.0.0.1:8981", metrics: "127.0.0.1:auto"}
data_dir: ./data
auth: {mode: off}                    # off (loopback only) | required
backends:
  - {name: volatile, driver: memory}
  - {name: local, driver: pebble, options: {cache: 64MiB, levels: [1, 2.5, true, null, "x"], deep: {dir: "${DIR}/x", empty: {}, none: []}}}
  - {name: cache-1, driver: redis, options: {addrs: ["127.0.0.1:6379"], password: "${SECRET}"}}
namespaces:
  - name: orders
    model: keyvalue
    backend: local
    description: "${DIR} and $${DIR}"
    needs: {durability: strong, ttl: 30d, read_rps: 5000, size: 10GiB}
    limits: {request_rps: 10, burst: 20}
    default_ttl: 1h30m
    max_ttl: 30d
    access: {owners: ["team:shop"], consumers: [{service: "checkout.*", permissions: [read, write]}]}
  - {name: jobs, model: queue, backend: local, auto_create: false, default_kind: work, limits: {queues: 9, partitions: 8, groups: 7, message_bytes: 6KiB}}
configs:
  - {name: web, version: "1.0", pattern: keyvalue, namespace: orders, consistency: {level: strong, timeout: 5s}, cache: {enabled: true, ttl: 5m}, rate_limit: {request_rps: 1000, burst: 2000}}
`

func lookup(pairs ...string) func(string) (string, bool) {
	return func(name string) (string, bool) {
		for i := 0; i < len(pairs); i += 2 {
			if pairs[i] == name {
				return pairs[i+1], true
			}
		}
		return "", false
	}
}

func mustGateway(t *testing.T, text string) *Gateway {
	t.Helper()
	g, err := ParseGateway("prism.yaml", []byte(text), Load{Drivers: []string{"memory", "pebble", "redis", "sqlite"}, Lookup: lookup("DIR", "/srv", "SECRET", "CANARY", "RPS", "7")})
	if err != nil {
		t.Fatal(err)
	}
	return g
}

func TestExampleIsRead(t *testing.T) {
	t.Parallel()
	g := mustGateway(t, example)
	n, ok := g.Namespace("orders")
	if !ok || n.Needs.TTL != 30*day || n.Needs.ReadRPS != 5000 || n.Needs.Size != 10<<30 || n.Limits.RequestRPS != 10 || n.DefaultTTL != 90*time.Minute {
		t.Errorf("orders = %+v", n)
	}
	if q, _ := g.Namespace("jobs"); q.AutoCreate || !n.AutoCreate || q.DefaultKind != "work" || q.Limits.Queues != 9 || q.Limits.Partitions != 8 || q.Limits.Groups != 7 || q.Limits.MessageBytes != 6<<10 {
		t.Errorf("jobs = %+v, orders makes queues: %v", q, n.AutoCreate)
	}
	if n.Description != "/srv and ${DIR}" {
		t.Errorf("description = %q", n.Description)
	}
	if g.Listen.Metrics != "127.0.0.1:0" || g.Listen.Metrics.String() != "127.0.0.1:auto" {
		t.Errorf("metrics = %q, written %q", g.Listen.Metrics, g.Listen.Metrics.String())
	}
	if g.Sessions.Idle != 5*time.Minute || g.Limits.MaxMessageBytes != 4<<20 || n.Limits.Receipts != 1_000_000 || g.Drain.Timeout != 10*time.Second {
		t.Error("the defaults are not set")
	}
	if kind, who := n.Access.Consumers[0].Subject(); kind != "service" || who != "checkout.*" {
		t.Errorf("subject = %s %s", kind, who)
	}
	if kind, who := (Consumer{User: "ann"}).Subject(); kind != "user" || who != "ann" {
		t.Errorf("subject = %s %s", kind, who)
	}
	if kind, who := (Consumer{Team: "shop"}).Subject(); kind != "team" || who != "shop" {
		t.Errorf("subject = %s %s", kind, who)
	}
	if _, ok := g.Namespace("none"); ok {
		t.Error("a namespace that is not there was found")
	}
	if _, ok := g.Backend("none"); ok {
		t.Error("a backend that is not there was found")
	}
}

func TestValuesKnowWhereTheyStand(t *testing.T) {
	t.Parallel()
	g := mustGateway(t, example)
	n, _ := g.Namespace("orders")
	for got, want := range map[string]string{
		n.At("model").String():                    "prism.yaml:12:12",
		n.Needs.At("ttl").String():                "prism.yaml:15:38",
		n.Needs.At("write_rps").String():          n.Needs.Pos().String(), // not written: where it would be
		n.Access.At("owners[0]").String():         "prism.yaml:19:23",
		n.Pos().String():                          "prism.yaml:11:5",
		g.At("data_dir").String():                 "prism.yaml:4:11",
		Where{}.Pos().String():                    "",
		n.Access.Consumers[0].Path():              "namespaces[0].access.consumers[0]",
		fmt.Sprint(n.Needs.Declared("ttl")):       "true",
		fmt.Sprint(n.Needs.Declared("write_rps")): "false",
	} {
		if got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	b, _ := g.Backend("local")
	err := NewError(b.Problem("driver", "memory", "the driver %q cannot be opened", "pebble"))
	want := "prism.yaml:8:27: the driver \"pebble\" cannot be opened\n" +
		"    8 |   - {name: local, driver: pebble, options: {cache: 64MiB, levels: [1, 2.5, true, null, \"x\"], deep: {\n" +
		"      |                           ^^^^^^ did you mean \"memory\"?\n" +
		"      = see docs/config.md#backends\n"
	if got := err.(*Error).Render(); got != want {
		t.Errorf("got:\n%s\nwant:\n%s", got, want)
	}
	if NewError() != nil {
		t.Error("no problems make an error")
	}
}

func TestErrorIsInvalidConfig(t *testing.T) {
	t.Parallel()
	_, err := ParseGateway("/srv/secret-place/prism.yaml", []byte("apiVersion: prism/v1\nbakends: []\nlog: {level: x}\n"), Load{})
	if !errors.Is(err, prism.ReasonInvalidConfig) {
		t.Fatalf("%v is not INVALID_CONFIG", err)
	}
	e := prism.From(err)
	if len(e.Fields) != 2 || e.Fields[0].Field != "bakends" || e.Fields[1].Field != "log.level" {
		t.Errorf("fields = %+v", e.Fields)
	}
	if strings.Contains(fmt.Sprint(e.Message, e.Fields), "secret-place") {
		t.Errorf("the folder is shown: %v %v", e.Message, e.Fields)
	}
	if got := err.Error(); strings.Count(got, "\n") != 1 || !strings.HasPrefix(got, "/srv/secret-place/prism.yaml:2:1: unknown key") {
		t.Errorf("Error() = %q", got)
	}
}

func TestManyProblemsAreCut(t *testing.T) {
	t.Parallel()
	text := "apiVersion: prism/v1\n"
	for i := range 250 {
		text += fmt.Sprintf("unknown%d: 1\n", i)
	}
	_, err := ParseGateway("prism.yaml", []byte(text), Load{})
	e := err.(*Error)
	if len(e.Problems) != maxProblems || e.More != 150 || !strings.HasSuffix(e.Render(), "and 150 more\n") || !strings.HasSuffix(e.Error(), "and 150 more") {
		t.Errorf("%d problems and %d more", len(e.Problems), e.More)
	}
}

func TestOptionsPassThrough(t *testing.T) {
	t.Parallel()
	type pebbleOptions struct {
		Cache  Size      `yaml:"cache" default:"8MiB" doc:"x"`
		Sync   bool      `yaml:"sync" default:"true" doc:"x"`
		Ratio  float64   `yaml:"ratio" default:"0.5" doc:"x"`
		Levels []float64 `yaml:"levels" doc:"x"`
		Deep   struct {
			Dir string `yaml:"dir" check:"required" doc:"x"`
		} `yaml:"deep" doc:"x"`
	}
	parse := func(options string) (Options, pebbleOptions, error) {
		g := mustGateway(t, "apiVersion: prism/v1\nbackends:\n  - name: a\n    driver: pebble\n    options: "+options+"\n")
		var o pebbleOptions
		return g.Backends[0].Options, o, g.Backends[0].Options.Decode(&o)
	}
	g := mustGateway(t, "apiVersion: prism/v1\nbackends:\n  - name: a\n    driver: pebble\n    options: {cache: 64MiB, ratio: 2, levels: [1, 2.5], deep: {dir: \"${DIR}/x\"}}\n")
	var o pebbleOptions
	if err := g.Backends[0].Options.Decode(&o); err != nil {
		t.Fatal(err)
	}
	if o.Cache != 64<<20 || !o.Sync || o.Ratio != 2 || o.Levels[1] != 2.5 || o.Deep.Dir != "/srv/x" {
		t.Errorf("options = %+v", o)
	}
	_, _, err := parse("{cash: 64MiB, ratio: .nan, sync: maybe, deep: 3, levels: {}}")
	for _, want := range []string{
		`prism.yaml:5:15: unknown key "cash" in backends[0].options`, `prism.yaml:5:35: ".nan" is not a number`,
		`"maybe" is neither true nor false`, `backends[0].options.deep takes a mapping, not a number`, `takes a list, not a mapping`,
	} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v\nwant %s", err, want)
		}
	}
	raw, _, _ := parse("{a: [1, 2.5, true, null, \"x\"], b: \"${DIR}\", c: 0x10, d: {e: 1}}")
	want := map[string]any{"a": []any{int64(1), 2.5, true, nil, "x"}, "b": "/srv", "c": "0x10", "d": map[string]any{"e": int64(1)}}
	if got := raw.Map(); !reflect.DeepEqual(got, want) {
		t.Errorf("Map() = %#v, want %#v", got, want)
	}
	if got := strings.Join(raw.Keys(), " "); got != "a b c d" {
		t.Errorf("Keys() = %q", got)
	}
	if p := raw.Problem("b", "", "no such folder"); p.Line != 5 || p.Path != "backends[0].options.b" {
		t.Errorf("problem = %+v", p)
	}
	var zero Options
	if err := zero.Decode(&struct {
		A int `yaml:"a" default:"3"`
	}{}); err != nil || !zero.IsZero() || len(zero.Map()) != 0 || zero.Keys() != nil || zero.Pos().IsValid() {
		t.Errorf("the zero Options is not empty: %v", err)
	}
	if err := zero.Decode(pebbleOptions{}); err == nil {
		t.Error("decoding into a value that is no pointer works")
	}
	if p := zero.Problem("x", "", "y"); p.Message != "y" {
		t.Errorf("problem = %+v", p)
	}
}

func TestVariablesStandInTextOnly(t *testing.T) {
	t.Parallel()
	g := mustGateway(t, "apiVersion: prism/v1\nbackends: [{name: a, driver: memory}]\nnamespaces:\n  - name: x\n    model: keyvalue\n    backend: a\n    description: a${DIR}b$DIR$(DIR)$$\n    needs:\n      read_rps: ${RPS}\n")
	if n := g.Namespaces[0]; n.Description != "a/srvb$DIR$(DIR)$$" || n.Needs.ReadRPS != 7 {
		t.Errorf("namespace = %+v", n)
	}
	_, err := ParseGateway("x", []byte("apiVersion: prism/v1\ndata_dir: \"${BAD}\"\nlog: {level: \"${BAD}\"}\ndrain:\n  timeout: ${BAD}\nauth:\n  mode: \"${\"\n"), Load{Lookup: lookup("BAD", "../CANARY")})
	if err == nil || strings.Contains(err.(*Error).Render(), "CANARY") || len(err.(*Error).Problems) != 4 {
		t.Errorf("the value of a variable is shown, or not all is refused:\n%v", err)
	}
	for text, want := range map[string]string{"$${A}": "${A}", "$$": "$$", "${A}${A}": "11", "x${A}$${A}y": "x1${A}y"} {
		if got, f := expand(text, lookup("A", "1")); f != nil || got != want {
			t.Errorf("expand(%q) = %q, %v; want %q", text, got, f, want)
		}
	}
}

func TestMarshalIsReadBack(t *testing.T) {
	t.Parallel()
	opts := Load{Drivers: []string{"memory", "pebble", "redis", "sqlite"}, Lookup: lookup("DIR", "/srv", "SECRET", "CANARY")}
	for _, text := range []string{example, defaultGateway, "apiVersion: prism/v1\n"} {
		g := mustGateway(t, text)
		out := Marshal(g)
		if strings.Contains(string(out), "CANARY") {
			t.Errorf("a secret is shown:\n%s", out)
		}
		again, err := ParseGateway("out", out, opts)
		if err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		if got := Marshal(again); string(got) != string(out) {
			t.Errorf("got:\n%s\nwant:\n%s", got, out)
		}
		if !reflect.DeepEqual(g.Namespaces, again.Namespaces) && len(g.Namespaces) > 0 && again.Namespaces[0].Needs.TTL != g.Namespaces[0].Needs.TTL {
			t.Error("the namespaces differ")
		}
	}
	p, err := ParseProject(ProjectFile, []byte("apiVersion: prism/v1\nports: {data: auto, admin: 9000}\nservices:\n  - {name: a, command: [\"sh\", \"-c\", \"x: y\"], env: {B: \"1\", A: \"no\"}, after: []}\n"), opts)
	if err != nil {
		t.Fatal(err)
	}
	out := string(Marshal(p))
	if _, err := ParseProject(ProjectFile, []byte(out), opts); err != nil || !strings.Contains(out, "data: auto") || !strings.Contains(out, "admin: 9000") {
		t.Errorf("%v\n%s", err, out)
	}
}

func TestOriginsAreShown(t *testing.T) {
	t.Parallel()
	out := string(MarshalOrigins(mustGateway(t, "apiVersion: prism/v1\ndata_dir: ./d\n")))
	for _, want := range []string{"data_dir: ./d  # prism.yaml:2:11\n", "  level: info  # default\n"} {
		if !strings.Contains(out, want) {
			t.Errorf("%q is not in:\n%s", want, out)
		}
	}
}

func TestDefaultIsUsable(t *testing.T) {
	t.Parallel()
	g := Default()
	if _, ok := g.Namespace("kv"); !ok || len(g.Backends) != 3 || g.Backends[1].Driver != "pebble" || g.Auth.Mode != AuthOff {
		t.Errorf("default = %+v", g)
	}
	if at := g.Namespaces[0].At("backend").String(); !strings.HasPrefix(at, DefaultName+":") {
		t.Errorf("it stands at %s", at)
	}
}

func TestAnchorsAndMergesAreResolved(t *testing.T) {
	t.Parallel()
	g := mustGateway(t, `apiVersion: prism/v1
backends:
  - &base {name: a, driver: memory}
  - {<<: *base, name: b}
namespaces:
  - name: x
    model: &m keyvalue
    backend: a
    description: |
      two
      lines
  - {name: y, model: *m, backend: b, description: 'it''s'}
`)
	if len(g.Backends) != 2 || g.Backends[1].Name != "b" || g.Backends[1].Driver != "memory" || g.Namespaces[1].Model != "keyvalue" || g.Namespaces[0].Description != "two\nlines\n" || g.Namespaces[1].Description != "it's" {
		t.Errorf("gateway = %+v", g)
	}
}

func TestEveryKindIsValidated(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	for text, want := range map[string]any{"kind: Gateway\n": &Gateway{}, "kind: Project\n": &Project{}, "kind: User\n": &User{}, "": &Gateway{}} {
		got, err := Validate(write("f.yaml", "apiVersion: prism/v1\n"+text), Load{})
		if err != nil || reflect.TypeOf(got) != reflect.TypeOf(want) {
			t.Errorf("%q: got %T, %v; want %T", text, got, err, want)
		}
	}
	if got, err := Validate(write(ProjectFile, "apiVersion: prism/v1\n"), Load{}); err != nil || reflect.TypeOf(got) != reflect.TypeFor[*Project]() {
		t.Errorf("got %T, %v", got, err)
	}
	if _, err := ParseGateway("x", []byte("apiVersion: prism/v1\nkind: Project\n"), Load{}); err == nil || !strings.Contains(err.Error(), "this is a file of kind Project") {
		t.Errorf("got %v", err)
	}
	if New("gateway") == nil || New("nothing") != nil {
		t.Error("New does not know its kinds")
	}
	if _, err := Validate(filepath.Join(dir, "none"), Load{}); !errors.Is(err, fs.ErrNotExist) || !errors.Is(err, prism.ReasonInvalidConfig) {
		t.Errorf("a file that is not there: %v", err)
	}
	if _, err := LoadGateway(dir, Load{}); !errors.Is(err, prism.ReasonInvalidConfig) {
		t.Errorf("a folder: %v", err)
	}
	if _, err := LoadProject(filepath.Join(dir, "none"), Load{}); err == nil {
		t.Error("a project that is not there was read")
	}
	if p, err := LoadProject(filepath.Join(dir, ProjectFile), Load{}); err != nil || p.Gateway != "prism.yaml" || p.Ports.Data != 8980 {
		t.Errorf("project = %+v, %v", p, err)
	}
	if u, err := LoadUser(filepath.Join(dir, "none"), Load{}); err != nil || len(u.Contexts) != 0 {
		t.Errorf("user = %+v, %v", u, err)
	}
	if _, err := LoadUser(dir, Load{}); err == nil {
		t.Error("a folder was read")
	}
}

func TestDataDirStaysInside(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	outside := t.TempDir()
	if err := errors.Join(os.Symlink(outside, filepath.Join(dir, "link")), os.Symlink(filepath.Join(outside, "later"), filepath.Join(dir, "dangling")),
		os.Symlink("loop", filepath.Join(dir, "loop")), os.Mkdir(filepath.Join(dir, "data"), 0o700), os.WriteFile(filepath.Join(dir, "file"), nil, 0o600),
		os.Symlink("data", filepath.Join(dir, "inner"))); err != nil {
		t.Fatal(err)
	}
	for path, ok := range map[string]bool{
		"data": true, "./data/deep/er": true, "inner/x": true, ".": true, outside: true,
		"link": false, "link/x": false, "dangling": false, "dangling/x": false, "loop/x": false, "file": false, "../x": false,
	} {
		file := filepath.Join(dir, "prism.yaml")
		_ = os.WriteFile(file, []byte("apiVersion: prism/v1\ndata_dir: "+path+"\n"), 0o600)
		g, err := LoadGateway(file, Load{})
		if (err == nil) != ok {
			t.Errorf("data_dir %s: %v", path, err)
		}
		if _, err2 := g.ResolveDataDir(dir); (err2 == nil) != ok {
			t.Errorf("ResolveDataDir %s: %v", path, err2)
		}
	}
}

func TestReferenceHasEveryAnchor(t *testing.T) {
	t.Parallel()
	page := strings.ToLower(Reference())
	goldens, _ := filepath.Glob("testdata/broken/*.golden")
	for _, g := range goldens {
		data, _ := os.ReadFile(g)
		for _, line := range strings.Split(string(data), "\n") {
			if _, anchor, ok := strings.Cut(line, "= see "+docPage+"#"); ok && !strings.Contains(page, "\n## "+anchor+"\n") {
				t.Errorf("%s: there is no section %q", g, anchor)
			}
		}
	}
}

func TestEveryFieldIsDescribed(t *testing.T) {
	t.Parallel()
	var visit func(typ reflect.Type, path string)
	visit = func(typ reflect.Type, path string) {
		for _, f := range fieldsOf(typ) {
			if f.doc == "" || !strings.HasSuffix(f.doc, ".") {
				t.Errorf("%s.%s has no sentence", path, f.key)
			}
			for _, r := range f.rules {
				switch r.name {
				case "required", "example", "min", "max":
				default:
					if rules[r.name] == nil {
						t.Errorf("%s.%s: there is no rule %q", path, f.key, r.name)
					}
				}
			}
			if f.def != "" {
				d := &decoder{report: &report{}}
				if bad := d.text(f.def, reflect.New(f.typ).Elem(), f); bad != nil {
					t.Errorf("%s.%s: the default is wrong: %s", path, f.key, bad.message)
				}
			}
			if e := f.element(); e != nil {
				visit(e, path+"."+f.key)
			}
		}
	}
	for _, k := range kinds {
		visit(reflect.TypeOf(newOf(k)).Elem(), k)
		if _, err := json.Marshal(JSONSchema(k, newOf(k))); err != nil {
			t.Error(err)
		}
	}
	s := JSONSchema(KindGateway, &Gateway{})
	backend := s["properties"].(map[string]any)["backends"].(map[string]any)["items"].(map[string]any)
	if s["additionalProperties"] != false || fmt.Sprint(backend["required"]) != "[name driver]" {
		t.Errorf("schema = %v", backend)
	}
}

func TestSecretsAreHiddenInQuotedLines(t *testing.T) {
	t.Parallel()
	for line, want := range map[string]string{
		"  password: CANARY":              "  password: ********",
		"  - {a: 1, api_key: CANARY}":     "  - {a: 1, api_key: ********",
		"\"token\": CANARY # c":           "\"token\": ********",
		"url: redis://u:CANARY@host/0":    "url: redis://u:********@host/0",
		"password: ${PASSWORD}":           "password: ${PASSWORD}",
		"url: redis://u:${P}@host/0":      "url: redis://u:${P}@host/0",
		"token_file: /run/token":          "token_file: /run/token",
		"auth: {mode: off}":               "auth: {mode: off}",
		"  cache-password :   CANARY two": "  cache-password :   ********",
	} {
		if got := hideSecrets(line); got != want {
			t.Errorf("hideSecrets(%q) = %q, want %q", line, got, want)
		}
	}
}

func TestRenderIsSafeForTerminals(t *testing.T) {
	t.Parallel()
	_, err := ParseGateway("x", []byte("apiVersion: prism/v1\n\"a\\u001b[2Jb\": 1\nlog: {level: \"\\u202e\"}\n"+strings.Repeat("x", 300)+": 1\n"), Load{})
	out := err.(*Error).Render()
	if strings.ContainsAny(out, "\x1b\u202e") {
		t.Errorf("%q", out)
	}
	for _, line := range strings.Split(out, "\n") {
		if strings.Contains(line, " | xxx") && len(line) > quoteWidth+10 {
			t.Errorf("a line of %d columns", len(line))
		}
	}
}

func TestSyntaxMistakesAreExplained(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"%YAML 1.2\n---\na: 1\n":                           "1:1: directives are not used",
		"? a\n: b\n":                                       "1:1: a key must be a plain word",
		"a: \x01\n":                                        "1:4: the file holds the control character U+0001",
		"a: \xff\n":                                        "1:4: the file holds bytes that are not UTF-8",
		"- a\nb: 1\n":                                      `2:1: wrong indent: "b"`,
		"a: {b: 1, c: [1,2}\n":                             `"[" is never closed`,
		"a: `x\n":                                          "cannot begin with",
		"data_dir: a: b\n":                                 "1:11: ",
		"<<: 3\n":                                          "takes an alias of a mapping",
		"a: &x [*x]\n":                                     "stands inside what it means",
		"a: |\n  x\n b: 1\n":                               "x:",
		"namespaces:\n  - \n  - name: a\n":                 "2:4: namespaces[0] is empty",
		"listen: {data: [1]}\n":                            "takes an address",
		"namespaces: [{limits: {burst: 1.5}}]":             "is not a whole number",
		"namespaces: [{limits: {burst: 0}}]":               "must be at least 1",
		"apiVersion: [1]\nkind: {}\n":                      "takes text, not a list",
		"data_dir: \"\"\n":                                 "the path is empty",
		"data_dir: \"a\\0b\"\n":                            "holds a NUL",
		"listen: {data: nonsense}\n":                       "has no port",
		"listen: {data: \"a b:1\"}\n":                      "is not the name of a host",
		"listen: {data: \"a:b\"}\n":                        `"b" is not a port`,
		"listen: {data: \"[::1\"}\n":                       "is not an address",
		"configs: [{name: a, version: \"é\"}]":             "is not a version",
		"sessions: {idle: 24h, max: 1h}":                   "idle 1d is longer than max 1h",
		"namespaces: [{default_ttl: 2h, max_ttl: 1h}]":     "default_ttl 2h is longer",
		"namespaces: [{access: {consumers: [{team: é}]}}]": "is not a name or a pattern",
		"namespaces: [{access: {consumers: [{}]}}]":        "names 0 subjects",
		"backends: [{options: {a: 1, a: 2}}]":              `duplicate key "a"`,
		"backends: [{options: [1]}]":                       "takes a mapping, not a list",
		"backends: [{options: {tokens: {token: [a]}}}]":    `the secret "token"`,
		"backends: [{options: {token: 1234}}]":             `the secret "token"`,
		"kind: Widget\n":                                   `the kind "Widget" is not known`,
		"apiVersion: prism/vX\n":                           `apiVersion "prism/vX" is not known`,
	} {
		_, err := ParseGateway("x", []byte(text), Load{Lookup: lookup()})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q\n got: %v\nwant: %s", text, err, want)
		}
	}
	_, err := ParseProject("x", []byte("apiVersion: prism/v1\nservices:\n  - {name: a, command: [\"\"], mounts: [x], env: {A: \"1\", A: \"2\"}}\n  - {name: b, command: []}\n  - {name: c, command: [d], env: {T: null}}\n"), Load{})
	for _, want := range []string{`"a" has no program`, `"x" is not a mount`, `duplicate key "A"`, `"b" has no program`, "env.T has no value"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v\nwant %s", err, want)
		}
	}
}
