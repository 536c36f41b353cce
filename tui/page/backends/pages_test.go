package backends_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	tea "charm.land/bubbletea/v2"
	"go.uber.org/goleak"

	"github.com/prism-data-layer/prism/pkg/clock"
	"github.com/prism-data-layer/prism/pkg/prism"
	"github.com/prism-data-layer/prism/tui"
	"github.com/prism-data-layer/prism/tui/component/task"
	"github.com/prism-data-layer/prism/tui/component/toast"
	"github.com/prism-data-layer/prism/tui/keys"
	"github.com/prism-data-layer/prism/tui/page"
	"github.com/prism-data-layer/prism/tui/page/backends"
	"github.com/prism-data-layer/prism/tui/theme"
	"github.com/prism-data-layer/prism/tui/tuitest"
)

var _ = flag.Bool("update", false, "write the golden files anew")

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// A gateway is a source that a test changes.
type gateway struct {
	err   error
	many  int
	cut   bool // the store behind local does not answer
	shape func(*backends.List)
	one   func(*backends.One)

	looks int
	ran   [][]string
}

func (g *gateway) at() time.Time { return tuitest.Noon().Add(time.Duration(g.looks) * time.Second) }

func (g *gateway) local() backends.Backend {
	n := int64(g.looks)
	b := backends.Backend{
		Name: "local", Driver: "pebble", Health: "healthy", Probe: 1240 * time.Microsecond, Checked: g.at(), Breaker: "closed", BreakerSince: tuitest.Noon().Add(-time.Hour), BreakerOpened: 1,
		InFlight: 3, Calls: 120_500 + 340*n, Errors: 4, RejectedOpen: 12, P50: 210 * time.Microsecond, P99: 1900 * time.Microsecond,
		LastError: "DISK_FULL: the disk of backend \"local\" is full", LastFailed: tuitest.Noon().Add(-time.Hour),
		Durability: "fsynced", Durable: true, Declared: "prism.yaml:8", Namespaces: []string{"kv", "orders"},
	}
	if g.cut {
		b.Health, b.Message, b.Breaker, b.Errors, b.RejectedOpen = "unhealthy", "no answer within 1s", "open", 4+9*n, 12+50*n
		b.LastError, b.LastFailed = "BACKEND_UNAVAILABLE: no answer within 1s", g.at()
	}
	return b
}

func (g *gateway) Backends(context.Context) (*backends.List, error) {
	g.looks++
	if g.err != nil {
		return nil, g.err
	}
	l := &backends.List{Now: g.at(), Started: tuitest.Noon().Add(-time.Hour), Backends: []backends.Backend{
		g.local(),
		{Name: "volatile", Driver: "memory", Health: "degraded", Message: "the memory is nearly full", Breaker: "half-open", Calls: 9, P50: 12 * time.Microsecond, P99: 40 * time.Microsecond, Durability: "until it stops", Declared: "prism.yaml:7"},
		{Name: "spare", Driver: "memory", Health: "healthy", Breaker: "closed", Added: true, Faults: []backends.Fault{{ID: "f-1", What: "reads: 200ms slower", By: "user:ann", Ends: tuitest.Noon().Add(time.Minute)}}},
	}}
	if g.many > 0 {
		l.Backends = nil
		for i := range g.many {
			l.Backends = append(l.Backends, backends.Backend{Name: fmt.Sprintf("be-%05d", i), Driver: "redis", Health: "healthy", Breaker: "closed", Calls: int64(i)})
		}
	}
	if g.shape != nil {
		g.shape(l)
	}
	return l, nil
}

func (g *gateway) Backend(_ context.Context, name string) (*backends.One, error) {
	g.looks++
	if g.err != nil {
		return nil, g.err
	}
	o := &backends.One{
		Now: g.at(), Started: tuitest.Noon().Add(-time.Hour), Backend: g.local(), Capabilities: []string{"keyvalue_basic", "keyvalue_scan", "keyvalue_ttl"},
		Missing: []backends.Missing{{Name: "cache_bounded", Why: "the driver pebble does not have it"}},
		Reasons: []backends.Count{{Name: "DISK_FULL", Of: 4}, {Name: "NOT_FOUND", Of: 31}},
		Facts:   []backends.Figure{{Name: "disk bytes", Value: "4096"}, {Name: "version", Value: "2"}}, FaultsOn: true,
	}
	o.Name = name
	if g.one != nil {
		g.one(o)
	}
	return o, nil
}

func (g *gateway) Run(_ context.Context, args []string, _ string, _ func(string)) (string, error) {
	g.ran = append(g.ran, args)
	return "MODEL  STEP\n", g.err
}

func factories(g *gateway) []page.Factory {
	return []page.Factory{backends.ListFactory(g), backends.OneFactory(g)}
}

func open(t testing.TB, g *gateway, view string, w, h int) *tuitest.Screen {
	t.Helper()
	return tuitest.Open(t, tui.Options{Pages: factories(g), View: view, Mode: theme.Mono}, w, h)
}

func dead() error {
	return prism.New(prism.ReasonUnavailable, "cannot reach the gateway at 127.0.0.1:8981 (context dev)").WithCause(errors.New("connection refused"))
}

func forbidden() error {
	return prism.New(prism.ReasonPermissionDenied, "permission denied: the call needs admin:read")
}

func TestScreens(t *testing.T) {
	t.Parallel()
	for name, view := range map[string]string{"list": "backends", "one": "backend local"} {
		tuitest.Screens(t, name, func(t *testing.T, mode theme.Mode, w, h int) *tuitest.Screen {
			g := &gateway{}
			s := tuitest.Open(t, tui.Options{Pages: factories(g), View: view, Mode: mode}, w, h).Start().Pass(40)
			return s
		})
	}
	bad := "evil\x1b[2J\x1b]0;x\a日本שלום\u202e\n"
	hostile := backends.Backend{Name: bad, Driver: bad, Health: bad, Message: bad, Breaker: bad, LastError: bad, Durability: bad, Declared: bad, Namespaces: []string{bad}, Faults: []backends.Fault{{ID: bad, What: bad, By: bad}}}
	for name, draw := range map[string]func(*testing.T) *tuitest.Screen{
		"list-cut": func(t *testing.T) *tuitest.Screen {
			g := &gateway{}
			s := open(t, g, "backends", 80, 24).Start().Pass(3)
			g.cut = true
			return s.Pass(2)
		},
		"one-cut": func(t *testing.T) *tuitest.Screen {
			g := &gateway{}
			s := open(t, g, "backend local", 120, 40).Start().Pass(30)
			g.cut = true
			return s.Pass(10)
		},
		"list-empty": func(t *testing.T) *tuitest.Screen {
			return open(t, &gateway{shape: func(l *backends.List) { l.Backends = nil }}, "backends", 80, 24).Start()
		},
		"list-failed": func(t *testing.T) *tuitest.Screen { return open(t, &gateway{err: dead()}, "backends", 80, 24).Start() },
		"list-forbidden": func(t *testing.T) *tuitest.Screen {
			return open(t, &gateway{err: forbidden()}, "backends", 80, 24).Start()
		},
		"list-narrow": func(t *testing.T) *tuitest.Screen { return open(t, &gateway{}, "backends", 60, 15).Start().Pass(2) },
		"one-narrow": func(t *testing.T) *tuitest.Screen {
			return open(t, &gateway{}, "backend local", 60, 15).Start().Pass(2)
		},
		"one-gone": func(t *testing.T) *tuitest.Screen {
			return open(t, &gateway{err: prism.NotFound("backend", "local")}, "backend local", 80, 24).Start()
		},
		"list-hostile": func(t *testing.T) *tuitest.Screen {
			return open(t, &gateway{shape: func(l *backends.List) { l.Backends = append(l.Backends, hostile) }}, "backends", 120, 40).Start().Pass(1)
		},
		"one-hostile": func(t *testing.T) *tuitest.Screen {
			return open(t, &gateway{one: func(o *backends.One) {
				o.Backend, o.Capabilities, o.Missing = hostile, []string{bad}, []backends.Missing{{Name: bad, Why: bad}}
				o.Reasons, o.Facts = []backends.Count{{Name: bad, Of: 1}}, []backends.Figure{{Name: bad, Value: bad}}
			}}, "backend local", 120, 40).Start().Pass(1)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := draw(t)
			tuitest.Golden(t, name, s.Frame())
			tuitest.CheckFrame(t, s.Frame(), 120, 40)
		})
	}
}

func TestACutIsRedAtTheNextLook(t *testing.T) {
	t.Parallel()
	g := &gateway{}
	s := tuitest.Open(t, tui.Options{Pages: factories(g), View: "backends", Mode: theme.Dark}, 120, 40).Start().Pass(1).Keys("down")
	s.Lacks("unhealthy")
	g.cut = true
	s.Pass(1).Wants("✗ unhealthy", "✗ open", "1 degraded, 1 unhealthy", "no answer within 1s")
	red := theme.New(theme.Dark).Paint(theme.Bad, "✗ unhealthy")
	if red = strings.TrimSuffix(red, "\x1b[m"); !strings.Contains(s.Frame(), red) {
		t.Errorf("it is not red:\n%q", s.Frame())
	}
}

func TestEverySizeIsDrawn(t *testing.T) {
	t.Parallel()
	for _, view := range []string{"backends", "backend local"} {
		for _, h := range []int{1, 15, 16, 24, 60, 100} {
			for _, w := range []int{1, 60, 61, 99, 300} {
				tuitest.CheckFrame(t, open(t, &gateway{}, view, w, h).Start().Pass(2).Frame(), w, h)
			}
		}
	}
}

func TestTenThousandBackends(t *testing.T) {
	t.Parallel()
	open(t, &gateway{many: 10_000}, "backends", 80, 24).Start().Keys("end").Wants("be-09999", "Backends 10000").Keys("/").Type("be-0777").Wants("10/10000")
}

// opened is a page without a root, that has had its first answer.
func opened(t testing.TB, g *gateway, name, arg string) page.Page {
	t.Helper()
	for _, f := range factories(g) {
		if f.Name == name {
			p := f.New(page.Env{Tasks: task.NewRunner(context.Background(), clock.NewFake(tuitest.Noon())), Refresh: time.Second, Command: "prismctl"}, arg)
			p.SetSize(100, 30)
			p.Update(p.Init()())
			return p
		}
	}
	t.Fatal(name)
	return nil
}

// does presses a key and answers what the page asks the root for.
func does(t testing.TB, p page.Page, key string) tea.Msg {
	t.Helper()
	b, ok := p.Keys().Find(key)
	if !ok {
		t.Fatalf("%s does nothing", key)
	}
	cmd := p.Do(b.Action)
	if cmd == nil {
		return nil
	}
	return cmd()
}

func TestTestingAndProbingShowWhatTheCommandPrints(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"backends", "backend"} {
		g := &gateway{}
		p := opened(t, g, name, "local")
		for _, c := range []struct{ key, want string }{{"t", "backend test local"}, {"P", "backend health local"}} {
			show := does(t, p, c.key).(page.Show)
			got, err := show.Text(t.Context())
			if err != nil || got != "MODEL  STEP\n" || strings.Join(g.ran[len(g.ran)-1], " ") != c.want {
				t.Errorf("%s: %q, %v, ran %q", c.key, got, err, g.ran)
			}
			g.err = errors.New("it failed\x1b[2J")
			if got, err := show.Text(t.Context()); err != nil || got != "MODEL  STEP\n\n✗ it failed\\x1b[2J\n" {
				t.Errorf("what was printed before the error is lost: %q, %v", got, err)
			}
			g.err = nil
		}
	}
}

func TestOnlyWhatWasAddedAndIsEmptyCanBeRemoved(t *testing.T) {
	t.Parallel()
	g := &gateway{}
	p := opened(t, g, "backends", "")
	if got := does(t, p, "x").(toast.Msg); !strings.Contains(got.Text, "declared in prism.yaml:8") {
		t.Errorf("got %q", got.Text)
	}
	p.Do(keys.Bottom)
	a := does(t, p, "x").(page.Ask)
	if _, err := a.Do(t.Context(), nil); err != nil || a.Command != "prismctl backend remove spare" || fmt.Sprint(g.ran) != "[[backend remove spare --yes]]" {
		t.Errorf("%q, ran %q, %v", a.Command, g.ran, err)
	}
	g.one = func(o *backends.One) { o.Added, o.Declared = true, "" }
	if got := does(t, opened(t, g, "backend", "spare"), "x").(toast.Msg); !strings.Contains(got.Text, "2 namespaces") {
		t.Errorf("got %q", got.Text)
	}
}

func TestFaultsAreMadeAndEnded(t *testing.T) {
	t.Parallel()
	g := &gateway{}
	p := opened(t, g, "backend", "local")
	f := does(t, p, "f").(page.Form)
	v := map[string]string{"latency": "200ms", "jitter": "50ms", "errors": "10%", "reason": "BACKEND_UNAVAILABLE", "calls": "read", "for": "1m"}
	want := "prismctl fault add --backend local --for 1m --latency 200ms --jitter 50ms --errors 10% --calls read"
	if got := f.Command(v); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if _, err := f.Do(t.Context(), v, nil); err != nil || "prismctl "+strings.Join(g.ran[0], " ") != want {
		t.Errorf("ran %q, %v", g.ran, err)
	}
	if p := f.Check(map[string]string{"for": "long"}); len(p) != 2 {
		t.Errorf("problems: %v", p)
	}
	if got := does(t, p, "F").(toast.Msg); !strings.Contains(got.Text, "no fault acts") {
		t.Errorf("got %q", got.Text)
	}
	l := opened(t, g, "backends", "")
	l.Do(keys.Bottom)
	a := does(t, l, "F").(page.Ask)
	if out, err := a.Do(t.Context(), nil); err != nil || out != "ended 1 fault" || fmt.Sprint(g.ran[len(g.ran)-1]) != "[fault remove f-1]" {
		t.Errorf("%q, ran %q, %v", out, g.ran, err)
	}
	g.one = func(o *backends.One) { o.FaultsOn = false }
	if got := does(t, opened(t, g, "backend", "local"), "f").(toast.Msg); !strings.Contains(got.Text, "faults: true") {
		t.Errorf("got %q", got.Text)
	}
}

func TestABackendIsAdded(t *testing.T) {
	t.Parallel()
	g := &gateway{}
	f := does(t, opened(t, g, "backends", ""), "n").(page.Form)
	v := map[string]string{"name": "archive", "driver": "pebble", "options": "cache=64MiB  durability=relaxed"}
	if got, want := f.Command(v), "prismctl backend add archive --driver pebble --option cache=64MiB --option durability=relaxed"; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if p := f.Check(map[string]string{"name": "local", "options": "x"}); len(p) != 2 {
		t.Errorf("problems: %v", p)
	}
	if p := f.Check(map[string]string{"name": "A"}); len(p) != 1 {
		t.Errorf("problems: %v", p)
	}
}

func TestPagesLeadOn(t *testing.T) {
	t.Parallel()
	g := &gateway{}
	if got := does(t, opened(t, g, "backends", ""), "enter"); got != (page.Go{Name: "backend", Arg: "local"}) {
		t.Errorf("got %v", got)
	}
	p := opened(t, g, "backend", "local")
	does(t, p, "3")
	if got := does(t, p, "enter"); got != (page.Go{Name: "namespace", Arg: "kv"}) {
		t.Errorf("got %v", got)
	}
	if i, ok := p.Selected(); !ok || i.Command != "prismctl namespace describe kv" {
		t.Errorf("got %+v", i)
	}
	for _, name := range []string{"backends", "backend"} {
		if c := keys.Conflicts(keys.Global(), opened(t, g, name, "local").Keys()); len(c) > 0 {
			t.Errorf("%s: %v", name, c)
		}
	}
	names, err := backends.OneFactory(g).Complete(t.Context())
	if err != nil || !reflect.DeepEqual(names, []string{"local", "volatile", "spare"}) {
		t.Errorf("completes %q, %v", names, err)
	}
	g = &gateway{shape: func(l *backends.List) { l.Backends = nil }}
	for _, k := range []string{"enter", "t", "x", "f", "F", "P"} {
		if got, ok := does(t, opened(t, g, "backends", ""), k).(toast.Msg); !ok {
			t.Errorf("%s on nothing: %v", k, got)
		}
	}
}
