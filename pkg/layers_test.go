// Package pkg_test holds the house to its plan: who may import whom.
package pkg_test

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// layers says who may import whom; the same lines stand in docs/design.md.
// Names are folders, those without a top-level folder of the repository below
// pkg/; * is one name. A room is held by the row that names it most exactly.
// Rows of rooms that are not built yet hold the first file that is put there.
const layers = `
everyone            → prism clock
prism               → nothing
clock               → nothing
proto/prism/*/v1    → proto/prism/*/v1
cmd/prismd          → server bench driver/all pattern/all
cmd/prismctl        → cli cli/root supervise
server              → config telemetry auth session session/* route gateway admin control guard plan driver pattern supervise/handover wire proto/prism/*/v1
wire                → proto/prism/*/v1 wire/frame
wire/frame          → proto/prism/*/v1
config              → nothing
iostreams           → nothing
telemetry           → nothing
telemetry/telemetrytest → nothing
auth                → nothing
session             → auth
session/*           → session
control             → auth session pattern sqlitefile
sqlitefile          → nothing
route               → auth session plan control data data/* pattern driver driver/around guard fault telemetry
gateway             → proto/prism/*/v1 wire wire/frame telemetry auth session route data/*
admin               → proto/prism/*/v1 wire telemetry auth session route control plan driver fault
plan                → driver pattern
guard               → driver driver/around telemetry
fault               → driver driver/around
bench               → config driver data data/* guard loadtest loadtest/pace loadtest/report loadtest/scenario loadtest/workload/*
data                → driver
data/*              → driver data
pattern             → driver
pattern/*           → pattern driver
pattern/all         → pattern pattern/*
driver              → nothing
driver/*            → driver
driver/lease        → driver
driver/broker       → driver
driver/series       → driver
driver/memory       → driver driver/broker driver/lease driver/series
driver/nats         → driver driver/broker
driver/pebble       → driver driver/broker driver/lease
driver/redis        → driver driver/lease
driver/sqlite       → driver driver/series sqlitefile
driver/around       → driver
driver/around/gen   → nothing
driver/drivertest   → driver driver/around
driver/redis/redistest → nothing
driver/nats/natstest → nothing
driver/clickhouse/clickhousetest → nothing
driver/all          → driver driver/*
client              → proto/prism/*/v1 wire wire/frame
client/admin        → proto/prism/*/v1 wire client
cli                 → proto/prism/*/v1 wire client client/admin config iostreams
cli/*               → proto/prism/*/v1 wire client client/admin config iostreams cli
cli/tracing         → nothing
cli/manifest        → proto/prism/*/v1 wire client client/admin config iostreams cli
cli/namespace       → proto/prism/*/v1 wire client client/admin config iostreams cli cli/manifest
cli/backend         → proto/prism/*/v1 wire client client/admin config iostreams cli cli/manifest
cli/checkup         → config iostreams cli
cli/doctor          → proto/prism/*/v1 wire client client/admin config iostreams cli cli/checkup
cli/root            → cli cli/* config iostreams
cli/ui              → proto/prism/*/v1 wire client client/admin config iostreams cli tui tui/page tui/page/* tui/component/* tui/theme tui/keys loadtest loadtest/report supervise stacks
cli/dev             → proto/prism/*/v1 wire client client/admin config iostreams cli supervise supervise/handover stacks stacks/engine cli/checkup
cli/loadtest        → proto/prism/*/v1 wire client client/admin config iostreams cli loadtest loadtest/otlp loadtest/pace loadtest/report loadtest/scenario loadtest/workload/*
cli/clitest         → proto/prism/*/v1 wire cli cli/root iostreams
supervise           → supervise/handover
supervise/handover  → nothing
tui                 → tui/page tui/component/* tui/theme tui/keys
tui/tuitest         → tui tui/page tui/component/* tui/theme tui/keys
tui/page            → tui/component/* tui/theme tui/keys
tui/page/*          → tui/page tui/component/* tui/theme tui/keys
tui/component/*     → tui/component/* tui/theme tui/keys
tui/theme           → nothing
tui/keys            → nothing
stacks              → stacks/engine stacks/catalog stacks/probe supervise config
stacks/engine       → nothing
stacks/catalog      → nothing
stacks/probe        → nothing
stacks/native/*     → nothing
loadtest            → loadtest/pace loadtest/report
loadtest/pace       → nothing
loadtest/report     → nothing
loadtest/otlp       → loadtest/report
loadtest/scenario   → loadtest loadtest/pace loadtest/report loadtest/workload/* config
loadtest/workload/* → loadtest loadtest/pace loadtest/report
docs/gen            → cli cli/root config iostreams server bench driver driver/all driver/drivertest stacks
test/*              → anything
test/*/*            → anything
tools/*             → nothing
pkg                 → nothing
`

// outside says who alone may import a module that decides what a room is.
// A module that no row names is free, except for the rooms of bare.
const outside = `
github.com/cockroachdb/pebble/v2     → driver/pebble
modernc.org/sqlite                   → sqlitefile
github.com/maypok86/otter/v2         → driver/memory
github.com/ClickHouse/clickhouse-go/v2 → driver/clickhouse
github.com/ClickHouse/ch-go          → driver/clickhouse
github.com/redis/go-redis/v9         → driver/redis
github.com/nats-io/nats.go           → driver/nats
github.com/prometheus/client_golang  → telemetry
github.com/goccy/go-yaml             → config driver/drivertest
github.com/spf13/cobra               → cli cli/* docs/gen
charm.land/bubbletea/v2              → tui tui/tuitest tui/page tui/page/* tui/component/* cli/ui
charm.land/lipgloss/v2               → tui tui/page tui/page/* tui/component/* tui/theme cli/ui
go.opentelemetry.io/otel/sdk         → telemetry cli/tracing loadtest/otlp
go.opentelemetry.io/otel/exporters   → telemetry cli/tracing loadtest/otlp
go.opentelemetry.io/contrib          → telemetry
go.opentelemetry.io/proto/otlp       → telemetry/telemetrytest
google.golang.org/grpc               → proto/prism/*/v1 wire gateway admin server telemetry telemetry/telemetrytest client client/admin cli cli/*
`

// bare lists the rooms that make do with the standard library.
const bare = `prism clock auth session driver driver/around data data/* route tui/keys`

// prismctlKnowsNot lists what must not be linked into prismctl: the wire is a wall.
const prismctlKnowsNot = `driver driver/* data data/* pattern pattern/* gateway admin route session control server guard fault plan`

const module = "github.com/prism-data-layer/prism"

// A room is one folder with Go files in it.
type room struct {
	name    string              // folder, slash-separated, relative to the root
	imports map[string][]string // import path → the files that name it, without tests
	inits   []string            // files with a func init, without generated ones
}

func TestLayers(t *testing.T) {
	t.Parallel()
	rules := parse(layers)
	rooms := readHouse(t)
	if len(rooms) < 30 {
		t.Fatalf("read only %d folders with Go files: is this the root of the repository?", len(rooms))
	}
	for _, problem := range check(rooms, rules, parse(outside), strings.Fields(bare)) {
		t.Error(problem)
	}
}

func TestLayersPrismctlKnowsOnlyTheWire(t *testing.T) {
	t.Parallel()
	rooms := readHouse(t)
	if _, ok := rooms["cmd/prismctl"]; !ok {
		t.Fatal("cmd/prismctl is not there")
	}
	for _, problem := range forbidden(rooms, "cmd/prismctl", strings.Fields(prismctlKnowsNot)) {
		t.Error(problem)
	}
}

func TestLayersNoInit(t *testing.T) {
	t.Parallel()
	for _, r := range readHouse(t) {
		for _, file := range r.inits {
			t.Errorf("%s has a func init: wire it in main or in a factory", file)
		}
	}
}

func TestLayersStandInTheDesignPage(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile(filepath.Join("..", "docs", "design.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, table := range []string{layers, outside} {
		for line := range strings.Lines(strings.TrimSpace(table)) {
			if !strings.Contains(string(page), "\n"+strings.TrimRight(line, "\n")+"\n") {
				t.Errorf("docs/design.md lacks the line\n\t%s", line)
			}
		}
	}
}

// The checks themselves can fail: houses with one wrong stone each.
func TestLayersSeeAWrongStone(t *testing.T) {
	t.Parallel()
	house := func(name string, imports ...string) map[string]room {
		r := room{name: name, imports: map[string][]string{}}
		for _, p := range imports {
			r.imports[p] = []string{name + "/x.go"}
		}
		return map[string]room{name: r}
	}
	for _, c := range []struct {
		rooms map[string]room
		want  string
	}{
		{house("pkg/gateway", module+"/pkg/route", module+"/pkg/data/keyvalue", "google.golang.org/grpc/codes"), ""},
		{house("pkg/driver/all", module+"/pkg/driver/pebble"), ""},
		{house("test/e2e", module+"/pkg/server"), ""},
		{house("pkg/gateway", module+"/pkg/driver"), "pkg/gateway may not import pkg/driver"},
		{house("pkg/driver/redis", module+"/pkg/driver/memory"), "pkg/driver/redis may not import pkg/driver/memory"},
		{house("pkg/driver/redis/deep", "fmt"), "pkg/driver/redis/deep is not on the map"},
		{house("pkg/util", "fmt"), "pkg/util is not on the map"},
		{house("pkg/route", module+"/test/remote"), "pkg/route may not import test/remote"},
		{house("pkg/prism", "github.com/google/uuid"), "pkg/prism makes do with the standard library"},
		{house("pkg/gateway", "modernc.org/sqlite/lib"), "pkg/gateway may not import modernc.org/sqlite"},
	} {
		got := strings.Join(check(c.rooms, parse(layers), parse(outside), strings.Fields(bare)), "\n")
		if c.want == "" && got != "" || !strings.Contains(got, c.want) {
			t.Errorf("house %v: got %q, want %q", slices.Collect(maps.Keys(c.rooms)), got, c.want)
		}
	}
	through := house("cmd/prismctl", module+"/pkg/cli/root")
	maps.Copy(through, house("pkg/cli/root", module+"/pkg/route"))
	maps.Copy(through, house("pkg/route", "fmt"))
	got := strings.Join(forbidden(through, "cmd/prismctl", strings.Fields(prismctlKnowsNot)), "\n")
	if want := "cmd/prismctl → pkg/cli/root → pkg/route"; !strings.Contains(got, want) {
		t.Errorf("a wall with a hole: got %q, want %q", got, want)
	}
}

// check gives one sentence per import or folder that the tables do not allow.
func check(rooms map[string]room, rules, modules map[string][]string, bare []string) []string {
	var problems []string
	for _, name := range slices.Sorted(maps.Keys(rooms)) {
		row, ok := rowOf(rules, name)
		if !ok {
			problems = append(problems, name+" is not on the map: give it a row in pkg/layers_test.go and docs/design.md")
			continue
		}
		allowed := slices.Concat(rules[row], rules[folder("everyone")])
		for _, imp := range slices.Sorted(maps.Keys(rooms[name].imports)) {
			files := strings.Join(rooms[name].imports[imp], ", ")
			if ours, ok := strings.CutPrefix(imp, module+"/"); ok {
				if !matches(allowed, ours) && !matches(allowed, "pkg/anything") {
					problems = append(problems, fmt.Sprintf("%s may not import %s (row %q): %s", name, ours, row, files))
				}
				continue
			}
			if standard(imp) {
				continue
			}
			if matches(rooted(bare), name) {
				problems = append(problems, fmt.Sprintf("%s makes do with the standard library, not %s: %s", name, imp, files))
			}
			for mod, who := range modules {
				mod = strings.TrimPrefix(mod, "pkg/")
				if (imp == mod || strings.HasPrefix(imp, mod+"/")) && !matches(who, name) && !strings.HasPrefix(name, "test/") {
					problems = append(problems, fmt.Sprintf("%s may not import %s: %s", name, mod, files))
				}
			}
		}
	}
	return problems
}

// forbidden walks what from links and gives the way to each room that it must not.
func forbidden(rooms map[string]room, from string, not []string) []string {
	var problems []string
	ways := map[string]string{from: from}
	for queue := []string{from}; len(queue) > 0; queue = queue[1:] {
		for _, imp := range slices.Sorted(maps.Keys(rooms[queue[0]].imports)) {
			next, ok := strings.CutPrefix(imp, module+"/")
			if _, seen := ways[next]; !ok || seen {
				continue
			}
			ways[next] = ways[queue[0]] + " → " + next
			queue = append(queue, next)
			if matches(rooted(not), next) {
				problems = append(problems, "prismctl must not link this: "+ways[next])
			}
		}
	}
	return problems
}

// rowOf finds the row that names a folder most exactly.
func rowOf(rules map[string][]string, name string) (string, bool) {
	best, stars := "", -1
	for row := range rules {
		if ok, _ := path.Match(row, name); ok && (stars < 0 || strings.Count(row, "*") < stars) {
			best, stars = row, strings.Count(row, "*")
		}
	}
	return best, stars >= 0
}

func matches(patterns []string, name string) bool {
	return slices.ContainsFunc(patterns, func(p string) bool {
		ok, _ := path.Match(p, name)
		return ok
	})
}

// parse reads rows of NAME → NAMES, as folders.
func parse(table string) map[string][]string {
	rules := map[string][]string{}
	for line := range strings.Lines(strings.TrimSpace(table)) {
		left, right, ok := strings.Cut(line, "→")
		if !ok {
			panic("no arrow in " + strconv.Quote(line))
		}
		rules[folder(strings.TrimSpace(left))] = rooted(strings.Fields(right))
	}
	return rules
}

func rooted(names []string) []string {
	out := make([]string, len(names))
	for i, n := range names {
		out[i] = folder(n)
	}
	return out
}

// folder gives the path of a name in the tables.
func folder(name string) string {
	top, _, _ := strings.Cut(name, "/")
	switch top {
	case "cmd", "docs", "loadtest", "pkg", "proto", "stacks", "test", "tools", "tui":
		return name
	}
	return "pkg/" + name
}

func standard(imp string) bool {
	first, _, _ := strings.Cut(imp, "/")
	return !strings.Contains(first, ".")
}

// readHouse reads the imports of every Go file itself: an answer of go list
// would come from the test cache.
func readHouse(t *testing.T) map[string]room {
	t.Helper()
	rooms := map[string]room{}
	root := ".."
	err := filepath.WalkDir(root, func(file string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name := d.Name()
		if d.IsDir() {
			if file != root && (strings.HasPrefix(name, ".") || strings.HasPrefix(name, "_") || name == "testdata" || name == "bin" || name == "dist") {
				return filepath.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(name, ".go") {
			return nil
		}
		rel, err := filepath.Rel(root, file)
		if err != nil {
			return err
		}
		rel = filepath.ToSlash(rel)
		r, ok := rooms[path.Dir(rel)]
		if !ok {
			r = room{name: path.Dir(rel), imports: map[string][]string{}}
		}
		if !strings.HasSuffix(name, "_test.go") {
			err = r.read(file, rel)
		}
		rooms[path.Dir(rel)] = r
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return rooms
}

// read adds one file. Files behind build tags count too: they are linked on
// some machine; only "never" is never.
func (r *room) read(file, rel string) error {
	f, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		return err
	}
	for _, c := range f.Comments {
		if c.Pos() < f.Package && strings.HasPrefix(c.List[0].Text, "//go:build never") {
			return nil
		}
	}
	for _, imp := range f.Imports {
		p, err := strconv.Unquote(imp.Path.Value)
		if err != nil {
			return err
		}
		r.imports[p] = append(r.imports[p], rel)
	}
	if ast.IsGenerated(f) {
		return nil
	}
	for _, d := range f.Decls {
		if fn, ok := d.(*ast.FuncDecl); ok && fn.Recv == nil && fn.Name.Name == "init" {
			r.inits = append(r.inits, rel)
		}
	}
	return nil
}
