package ui_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prism-data-layer/prism/pkg/cli"
	"github.com/prism-data-layer/prism/pkg/cli/clitest"
	"github.com/prism-data-layer/prism/pkg/cli/root"
	"github.com/prism-data-layer/prism/pkg/cli/ui"
	"github.com/prism-data-layer/prism/pkg/clock"
	"github.com/prism-data-layer/prism/tui"
	"github.com/prism-data-layer/prism/tui/component/figure"
	"github.com/prism-data-layer/prism/tui/component/task"
	"github.com/prism-data-layer/prism/tui/page"
	"github.com/prism-data-layer/prism/tui/theme"
	"github.com/prism-data-layer/prism/tui/tuitest"
)

// dashboards opens a page on a rig's gateway, in a root, with all commands.
func dashboards(t *testing.T, r *clitest.Rig, view string) *tuitest.Screen {
	t.Helper()
	f, _, _, _ := r.Factory()
	f.Globals.Timeout = 5 * time.Second
	root.New(f, root.Nouns())
	t.Cleanup(f.Close)
	pages, err := ui.Pages(t.Context(), f)
	if err != nil {
		t.Fatal(err)
	}
	return tuitest.Open(t, tui.Options{Pages: pages, View: view, Mode: theme.Mono}, 160, 50).Start()
}

// row is the line of the screen that begins with a name.
func row(t *testing.T, s *tuitest.Screen, name string) string {
	t.Helper()
	for _, l := range strings.Split(s.Text(), "\n") {
		if strings.HasPrefix(strings.TrimLeft(l, "▸ "), name+" ") {
			return l
		}
	}
	t.Fatalf("there is no row %s:\n%s", name, s.Text())
	return ""
}

// objects is what a list command prints as JSON.
func objects(t *testing.T, r *clitest.Rig, args ...string) []map[string]any {
	t.Helper()
	var list []map[string]any
	if err := json.Unmarshal([]byte(r.OK(append(args, "-o", "json")...)), &list); err != nil {
		t.Fatal(err)
	}
	if len(list) == 0 {
		t.Fatalf("%v prints nothing", args)
	}
	return list
}

// The numbers of a page are those of prismctl … -o json at the same moment.
func TestPagesShowTheNumbersOfTheCommands(t *testing.T) {
	t.Parallel()
	r := clitest.New(t)
	count := func(v any) string { return figure.Count(int64(v.(float64))) }
	micros := func(v any) string {
		if v == nil {
			return figure.None
		}
		return figure.Latency(time.Duration(v.(float64)) * time.Microsecond)
	}
	text := func(v any) string { return v.(string) }
	for _, c := range []struct {
		page    string
		command []string
		key     string
		fields  map[string]func(any) string
	}{
		{"namespaces", []string{"namespace", "list"}, "name", map[string]func(any) string{
			"model": text, "backend": text, "state": text, "keys": count, "size_bytes": func(v any) string { return figure.Bytes(int64(v.(float64))) },
		}},
		{"backends", []string{"backend", "list"}, "name", map[string]func(any) string{
			"driver": text, "health": text, "breaker": text, "p50_us": micros, "p99_us": micros, "in_flight": count, "errors": count,
			"namespaces": func(v any) string { return figure.Count(int64(len(v.([]any)))) },
		}},
		{"sessions", []string{"session", "list"}, "session_id", map[string]func(any) string{
			"principal": text, "status": text, "requests": count, "active_streams": count,
		}},
	} {
		s := dashboards(t, r, c.page)
		for _, o := range objects(t, r, c.command...) {
			cells := strings.Fields(row(t, s, o[c.key].(string)))
			for field, format := range c.fields {
				if want := strings.Fields(format(o[field])); !slices.Contains(cells, want[0]) {
					t.Errorf("%s: %s of %v is %v; the page shows %q", c.page, field, o[c.key], o[field], cells)
				}
			}
		}
	}
	s := dashboards(t, r, "audit")
	for _, o := range objects(t, r, "audit", "list") {
		line := ""
		for _, l := range strings.Split(s.Text(), "\n") {
			if strings.Contains(l, o["actor"].(string)) {
				line = l
			}
		}
		for _, field := range []string{"actor", "action", "resource", "peer"} {
			if !strings.Contains(line, o[field].(string)) {
				t.Errorf("audit: %s is %v; the page shows %q", field, o[field], line)
			}
		}
	}
}

func TestPagesOfOneShowWhatDescribeShows(t *testing.T) {
	t.Parallel()
	r := clitest.New(t)
	dashboards(t, r, "namespace kv").Wants("kv", "local (pebble)", "1,200 keys, 1 MiB", "2 sessions, 1 stream", "7 of 1,000,000", "fsynced", "prism.yaml:14", "user:dev",
		"s-7f3a", "BACKEND_UNAVAILABLE", "KeyValueService/Get")
	dashboards(t, r, "namespace scratch").Wants("volatile", "the file wishes backend volatile; the data is on local")
	dashboards(t, r, "backend local").Wants("✓ healthy", "closed", "120,500, 3 under way", "12 by the open breaker", "DISK_FULL", "cache_bounded", "disk bytes", "scratch")
	dashboards(t, r, "session s-7f3a").Wants("user:dev", "shop 1.4", "4,200", "8.79 KiB")
	dashboards(t, r, "namespace nothing").Wants("✗ namespace", "not found")
}

func TestANamespaceIsMadeAndDeletedOnTheScreen(t *testing.T) {
	t.Parallel()
	r := clitest.New(t)
	s := dashboards(t, r, "namespaces").Keys("n").Type("shop").Wants("prismctl namespace create shop").Keys("ctrl+s").Pass(1)
	s.Wants("created namespace shop on backend local", "shop")
	if got := r.OK("namespace", "list", "-q"); !strings.Contains(got, "shop\n") {
		t.Errorf("the gateway has %q", got)
	}
	s.Keys("/").Type("shop").Keys("enter", "x").Wants("Delete namespace shop", "prismctl namespace delete shop", "cannot be undone").Keys("enter").Pass(1)
	if got := r.OK("namespace", "list", "-q"); !strings.Contains(got, "shop\n") {
		t.Error("Enter alone is no: it is gone")
	}
	s.Keys("x", "y").Pass(1).Wants("deleted namespace shop")
	if got := r.OK("namespace", "list", "-q"); strings.Contains(got, "shop\n") {
		t.Errorf("the gateway has %q", got)
	}
	dashboards(t, r, "namespaces").Keys("n").Type("kv").Wants("there is a namespace of this name")
}

func TestBackendsAreTestedAndRemovedOnTheScreen(t *testing.T) {
	t.Parallel()
	r := clitest.New(t)
	dashboards(t, r, "backend local").Keys("t").Wants("Test of local", "read back", "1.45ms")
	s := dashboards(t, r, "backends").Keys("x").Wants("declared in prism.yaml:8").Keys("end", "x").Wants("Remove backend spare").Keys("y").Pass(1).Wants("removed backend spare")
	s.Keys("esc").Lacks("▸ spare")
}

func TestASessionIsTerminatedOnTheScreen(t *testing.T) {
	t.Parallel()
	r := clitest.New(t)
	dashboards(t, r, "sessions").Keys("x").Wants("Terminate session s-7f3a", "held by user:dev").Keys("y").Wants("ended session s-7f3a (2 operations still running)")
	if !slices.Contains(r.Gateway.Calls(), "TerminateSession") {
		t.Error("the gateway was not asked")
	}
}

func TestYAMLIsWhatPrismctlPrints(t *testing.T) {
	t.Parallel()
	r := clitest.New(t)
	want := r.OK("namespace", "describe", "kv", "-o", "yaml")
	s := dashboards(t, r, "namespaces").Keys("Y")
	if len(s.Copied) == 0 || strings.TrimSpace(s.Copied[0]) != strings.TrimSpace(want) {
		t.Errorf("copied %q\nwant %q", s.Copied, want)
	}
}

func TestADeadGatewayIsToldOnEveryPage(t *testing.T) {
	t.Parallel()
	r := clitest.Offline(t)
	for _, view := range []string{"namespaces", "namespace kv", "backends", "backend local", "sessions", "session s-1", "audit"} {
		dashboards(t, r, view).Wants("cannot reach the gateway", "prismctl dev up")
	}
}

func TestAnEditedNamespaceIsCheckedByTheGateway(t *testing.T) {
	t.Parallel()
	r := clitest.New(t)
	f, _, _, _ := r.Factory()
	f.Globals.Timeout = 5 * time.Second
	root.New(f, root.Nouns())
	t.Cleanup(f.Close)
	pages, err := ui.Pages(t.Context(), f)
	if err != nil {
		t.Fatal(err)
	}
	i := slices.IndexFunc(pages, func(p page.Factory) bool { return p.Name == "namespace" })
	p := pages[i].New(page.Env{Tasks: task.NewRunner(t.Context(), f.Clock), Refresh: time.Second, Command: "prismctl"}, "scratch")
	p.Update(p.Init()())
	b, _ := p.Keys().Find("e")
	edit := p.Do(b.Action)().(page.Edit)
	text, err := edit.Text(t.Context())
	if err != nil || !strings.Contains(text, "kind: Namespace") || !strings.Contains(text, "name: scratch") {
		t.Fatalf("%q, %v", text, err)
	}
	if out, err := edit.Apply(t.Context(), text); err != nil {
		t.Errorf("what was not changed is refused: %q, %v", out, err)
	}
	changed := text + "description: for trials\n"
	if out, err := edit.Apply(t.Context(), changed); err != nil {
		t.Errorf("%q, %v\n%s", out, err, changed)
	}
	if got := r.OK("namespace", "describe", "scratch", "-o", "yaml"); !strings.Contains(got, "description: \"for trials\"") {
		t.Errorf("it was not changed:\n%s\n%s", changed, got)
	}
	if _, err := edit.Apply(t.Context(), strings.Replace(changed, "description", "descriptoin", 1)); err == nil || !strings.Contains(err.Error(), "descriptoin") {
		t.Errorf("a wrong field is taken: %v", err)
	}
}

func TestASnapshotOfAPageThatListens(t *testing.T) {
	t.Parallel()
	r := clitest.New(t)
	r.Prepare = func(f *cli.Factory) { f.IO.SetClock(clock.Real()) }
	got := r.OK("ui", "--snapshot", "--view", "session s-7f3a", "--refresh", "100ms", "--size", "100x30")
	if !strings.Contains(got, "user:dev") || !strings.Contains(got, "4,200") {
		t.Errorf("got\n%s", got)
	}
}

func TestCallsOfASessionAreShownAsTheyEnd(t *testing.T) {
	t.Parallel()
	r := clitest.New(t)
	s := dashboards(t, r, "session s-7f3a")
	s.Keys("2").Wants("Calls 2", "Set", "orders/1", "412µs", "BatchGet ×20", "130ms").Lacks("NOT_FOUND")
	s.Keys("f").Type("100ms").Wants("prismctl session trace s-7f3a --min-latency 100ms").Keys("ctrl+s").Pass(1).Wants("Calls ≥ 100ms 1", "BatchGet").Lacks("412µs")
}

func TestAFaultIsMadeAndEndedOnTheScreen(t *testing.T) {
	t.Parallel()
	r := clitest.New(t)
	s := dashboards(t, r, "backends").Keys("f").Type("200ms").Wants("prismctl fault add --backend local --for 1m --latency 200ms").Keys("ctrl+s").Pass(1)
	s.Wants("a fault acts: all calls: 200ms slower")
	if got := r.OK("fault", "list"); !strings.Contains(got, "local") {
		t.Errorf("the gateway has %q", got)
	}
	s.Keys("F").Wants("End 1 fault of local", "all calls: 200ms slower").Keys("y").Pass(1).Wants("ended 1 fault", "00: DISK_FULL").Lacks("all calls: 200ms")
}
