package sessions_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"strings"
	"testing"
	"time"

	tea "charm.land/bubbletea/v2"
	"go.uber.org/goleak"

	"github.com/prism-data-layer/prism/pkg/clock"
	"github.com/prism-data-layer/prism/pkg/prism"
	"github.com/prism-data-layer/prism/tui"
	"github.com/prism-data-layer/prism/tui/component/tail"
	"github.com/prism-data-layer/prism/tui/component/task"
	"github.com/prism-data-layer/prism/tui/component/toast"
	"github.com/prism-data-layer/prism/tui/keys"
	"github.com/prism-data-layer/prism/tui/page"
	"github.com/prism-data-layer/prism/tui/page/sessions"
	"github.com/prism-data-layer/prism/tui/theme"
	"github.com/prism-data-layer/prism/tui/tuitest"
)

var _ = flag.Bool("update", false, "write the golden files anew")

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// A gateway is a source that a test changes.
type gateway struct {
	err      error
	many     int
	empty    bool
	bad      string // in every text
	calls    []sessions.Call
	callsErr error

	looks   int
	asked   []int
	query   sessions.Query
	filters []sessions.CallFilter
	ran     [][]string
}

func (g *gateway) at() time.Time { return tuitest.Noon().Add(time.Duration(g.looks) * time.Second) }

func (g *gateway) session(id string) sessions.Session {
	return sessions.Session{
		ID: id, Principal: "user:dev" + g.bad, Client: "shop 1.4" + g.bad, Status: "active" + g.bad, Namespaces: []string{"kv", "orders" + g.bad},
		Created: tuitest.Noon().Add(-time.Hour), Active: g.at().Add(-5 * time.Second), Expires: tuitest.Noon().Add(time.Hour),
		Requests: 4200, Streams: 1, Sent: 9000, Received: 100,
	}
}

func (g *gateway) Sessions(_ context.Context, q sessions.Query, most int) (*sessions.List, error) {
	g.looks++
	g.asked, g.query = append(g.asked, most), q
	if g.err != nil {
		return nil, g.err
	}
	l := &sessions.List{Now: g.at()}
	switch {
	case g.empty:
	case g.many > 0:
		for i := range min(g.many, most) {
			x := g.session(fmt.Sprintf("s-%05d", i))
			x.Requests = int64(i)
			l.Sessions = append(l.Sessions, x)
		}
		l.More = int64(g.many - len(l.Sessions))
	default:
		l.Sessions = []sessions.Session{
			g.session("s-7f3a" + g.bad),
			{ID: "s-8b00", Principal: "service:checkout", Client: "implicit", Implicit: true, Status: "expiring", Created: tuitest.Noon().Add(-25 * time.Hour), Active: tuitest.Noon().Add(-time.Minute), Requests: 3},
		}
	}
	return l, nil
}

func (g *gateway) Session(_ context.Context, id string) (*sessions.One, error) {
	g.looks++
	if g.err != nil {
		return nil, g.err
	}
	return &sessions.One{Now: g.at(), Session: g.session(id)}, nil
}

func (g *gateway) Calls(_ context.Context, _ string, f sessions.CallFilter, to *tail.Sink[sessions.Call]) error {
	g.filters = append(g.filters, f)
	to.Open()
	for _, c := range g.calls {
		to.Send(c)
	}
	return g.callsErr
}

func (g *gateway) Run(_ context.Context, args []string, _ string, _ func(string)) (string, error) {
	g.ran = append(g.ran, args)
	return "done\n", g.err
}

func someCalls(bad string) []sessions.Call {
	at := tuitest.Noon()
	return []sessions.Call{
		{Began: at, Took: 410 * time.Microsecond, Method: "prism.keyvalue.v1.KeyValueService/Get", Namespace: "kv", Subject: "user/42", Operations: 1, Sent: 120, Received: 12, Trace: "0af7651916cd43dd8448eb211c80319c"},
		{Began: at.Add(time.Second), Took: 12 * time.Millisecond, Method: "prism.keyvalue.v1.KeyValueService/Pipeline", Namespace: "kv" + bad, Subject: "user/43" + bad, Operations: 12, Received: 4000},
		{Began: at.Add(2 * time.Second), Took: 2 * time.Second, Method: "prism.keyvalue.v1.KeyValueService/Set" + bad, Namespace: "kv", Subject: "user/44", Reason: "BACKEND_UNAVAILABLE" + bad, Operations: 1, Trace: "4bf92f3577b34da6a3ce929d0e0e4736"},
	}
}

func factories(g *gateway) []page.Factory {
	return []page.Factory{sessions.ListFactory(g), sessions.OneFactory(g)}
}

func open(t testing.TB, g *gateway, view string, w, h int) *tuitest.Screen {
	t.Helper()
	return tuitest.Open(t, tui.Options{Pages: factories(g), View: view, Mode: theme.Mono}, w, h)
}

func dead() error {
	return prism.New(prism.ReasonUnavailable, "cannot reach the gateway at 127.0.0.1:8981 (context dev)").WithCause(errors.New("connection refused"))
}

func forbidden() error {
	return prism.New(prism.ReasonPermissionDenied, "permission denied: the call needs admin:operational")
}

func TestScreens(t *testing.T) {
	t.Parallel()
	for name, view := range map[string]string{"list": "sessions", "one": "session s-7f3a"} {
		tuitest.Screens(t, name, func(t *testing.T, mode theme.Mode, w, h int) *tuitest.Screen {
			return tuitest.Open(t, tui.Options{Pages: factories(&gateway{calls: someCalls("")}), View: view, Mode: mode}, w, h).Start().Pass(5).Keys("2")
		})
	}
	const bad = "\x1b[2J\x1b]0;x\a日本שלום\u202e\n"
	for name, draw := range map[string]func(*testing.T) *tuitest.Screen{
		"list-empty":  func(t *testing.T) *tuitest.Screen { return open(t, &gateway{empty: true}, "sessions", 80, 24).Start() },
		"list-failed": func(t *testing.T) *tuitest.Screen { return open(t, &gateway{err: dead()}, "sessions", 80, 24).Start() },
		"list-forbidden": func(t *testing.T) *tuitest.Screen {
			return open(t, &gateway{err: forbidden()}, "sessions", 80, 24).Start()
		},
		"list-narrow": func(t *testing.T) *tuitest.Screen { return open(t, &gateway{}, "sessions", 60, 15).Start().Pass(1) },
		"list-hostile": func(t *testing.T) *tuitest.Screen {
			return open(t, &gateway{bad: bad}, "sessions", 120, 40).Start().Pass(1)
		},
		"one-quiet": func(t *testing.T) *tuitest.Screen {
			return open(t, &gateway{}, "session s-7f3a", 80, 24).Start().Keys("t")
		},
		"one-forbidden": func(t *testing.T) *tuitest.Screen {
			return open(t, &gateway{callsErr: forbidden()}, "session s-7f3a", 80, 24).Start().Pass(1)
		},
		"one-gone": func(t *testing.T) *tuitest.Screen {
			return open(t, &gateway{err: prism.NotFound("session", "s-7f3a")}, "session s-7f3a", 80, 24).Start()
		},
		"one-narrow": func(t *testing.T) *tuitest.Screen {
			return open(t, &gateway{calls: someCalls("")}, "session s-7f3a", 60, 15).Start().Pass(1).Keys("2")
		},
		"one-hostile": func(t *testing.T) *tuitest.Screen {
			return open(t, &gateway{bad: bad, calls: someCalls(bad)}, "session s-7f3a", 120, 40).Start().Pass(1)
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

func TestEverySizeIsDrawn(t *testing.T) {
	t.Parallel()
	for _, view := range []string{"sessions", "session s-7f3a"} {
		for _, h := range []int{1, 15, 16, 24, 60, 100} {
			for _, w := range []int{1, 60, 61, 99, 300} {
				tuitest.CheckFrame(t, open(t, &gateway{calls: someCalls("")}, view, w, h).Start().Pass(2).Frame(), w, h)
			}
		}
	}
}

func TestTenThousandSessionsAreAskedForInPages(t *testing.T) {
	t.Parallel()
	g := &gateway{many: 10_000}
	s := open(t, g, "sessions", 80, 24).Start().Pass(2)
	if len(g.asked) < 2 || g.asked[0] != page.FirstReach || g.asked[len(g.asked)-1] != page.FirstReach {
		t.Errorf("asked for %v while nobody walks", g.asked)
	}
	s.Wants("Sessions 1000 of 10,000").Keys("end").Pass(1).Wants("Sessions 2000 of 10,000", "s-00999")
	s.Keys("s", "s", "s", "s", "s", "s", "s", "s").Pass(1).Keys("home").Wants("Sessions 10000", "s-09999")
}

// opened is a page without a root, that has had its first answer.
func opened(t testing.TB, g *gateway, name, arg string) page.Page {
	t.Helper()
	for _, f := range factories(g) {
		if f.Name == name {
			p := f.New(page.Env{Tasks: task.NewRunner(context.Background(), clock.NewFake(tuitest.Noon())), Refresh: time.Second, Command: "prismctl"}, arg)
			p.SetSize(100, 30)
			run(p, p.Init())
			t.Cleanup(p.Close)
			return p
		}
	}
	t.Fatal(name)
	return nil
}

// run performs a command of the page and what comes of it.
func run(p page.Page, cmd tea.Cmd) {
	if cmd == nil {
		return
	}
	switch msg := cmd().(type) {
	case nil:
	case tea.BatchMsg:
		for _, c := range msg {
			run(p, c)
		}
	default:
		run(p, p.Update(msg))
	}
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

func TestTerminatingSaysWhoseSessionItIs(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"sessions", "session"} {
		g := &gateway{}
		a := does(t, opened(t, g, name, "s-7f3a"), "x").(page.Ask)
		said := strings.Join(a.Lines, "\n")
		if !strings.Contains(said, "held by user:dev with shop 1.4") || !strings.Contains(said, "1 open stream will end") || a.Name != "s-7f3a" {
			t.Errorf("%+v", a)
		}
		if _, err := a.Do(t.Context(), nil); err != nil || a.Command != "prismctl session terminate s-7f3a" || fmt.Sprint(g.ran) != "[[session terminate s-7f3a --yes]]" {
			t.Errorf("%q, ran %q, %v", a.Command, g.ran, err)
		}
	}
}

func TestTheListIsNarrowedByTheGateway(t *testing.T) {
	t.Parallel()
	g := &gateway{}
	p := opened(t, g, "sessions", "")
	f := does(t, p, "f").(page.Form)
	v := map[string]string{"principal": "user:ann", "namespace": "kv"}
	if got := f.Command(v); got != "prismctl session list --principal user:ann --namespace kv" {
		t.Errorf("got %s", got)
	}
	if p := f.Check(map[string]string{"namespace": "No Name"}); len(p) != 1 {
		t.Errorf("problems: %v", p)
	}
	if _, err := f.Do(t.Context(), v, nil); err != nil {
		t.Fatal(err)
	}
	run(p, p.Update(page.Done{}))
	if g.query != (sessions.Query{Namespace: "kv", Principal: "user:ann"}) || !strings.Contains(p.View(), "Sessions in kv of user:ann") {
		t.Errorf("asked for %+v", g.query)
	}
	if !p.Back() || p.Back() {
		t.Error("Esc asks for all, once")
	}
	run(p, p.Beat(tuitest.Noon().Add(time.Second)))
	if g.query != (sessions.Query{}) {
		t.Errorf("asked for %+v", g.query)
	}
}

func TestCallsComeNewestFirst(t *testing.T) {
	t.Parallel()
	g := &gateway{calls: someCalls("")}
	p := opened(t, g, "session", "s-7f3a")
	does(t, p, "2")
	i, ok := p.Selected()
	if !ok || i.ID != "4bf92f3577b34da6a3ce929d0e0e4736" || i.Command != "prismctl trace 4bf92f3577b34da6a3ce929d0e0e4736" {
		t.Errorf("got %+v", i)
	}
	show := does(t, p, "enter").(page.Show)
	if _, err := show.Text(t.Context()); err != nil || fmt.Sprint(g.ran) != "[[trace 4bf92f3577b34da6a3ce929d0e0e4736]]" {
		t.Errorf("ran %q, %v", g.ran, err)
	}
	p.Do(keys.Down)
	if got, ok := does(t, p, "enter").(toast.Msg); !ok || got.Text != "this call has no trace" {
		t.Errorf("got %v", got)
	}
}

func TestOnlyTheNewestCallsAreKept(t *testing.T) {
	t.Parallel()
	g := &gateway{}
	for i := range 700 {
		g.calls = append(g.calls, sessions.Call{Method: "x/Get", Subject: fmt.Sprint("k", i), Reason: map[bool]string{true: "INTERNAL"}[i%100 == 0]})
	}
	s := open(t, g, "session s-7f3a", 120, 40).Start()
	s.Wants("Calls 700 · 7 failed")
	g.callsErr = errors.New("cut")
	s.Keys("t", "t").Wants("Calls 700", "✗ cut")
	for range 20 {
		s.Pass(1) // it is opened again, with a longer and longer wait
	}
	s.Wants("Calls 1000", "the newest of", "failed")
}

func TestSlowAndFailedCallsAreAskedFor(t *testing.T) {
	t.Parallel()
	g := &gateway{calls: someCalls("")}
	p := opened(t, g, "session", "s-7f3a")
	f := does(t, p, "f").(page.Form)
	v := map[string]string{"least": "100ms", "errors": "yes"}
	if got := f.Command(v); got != "prismctl session trace s-7f3a --min-latency 100ms --errors" {
		t.Errorf("got %s", got)
	}
	if p := f.Check(map[string]string{"least": "slow"}); len(p) != 1 {
		t.Errorf("problems: %v", p)
	}
	if _, err := f.Do(t.Context(), v, nil); err != nil {
		t.Fatal(err)
	}
	run(p, p.Update(page.Done{}))
	want := []sessions.CallFilter{{}, {Least: 100 * time.Millisecond, Errors: true}}
	if fmt.Sprint(g.filters) != fmt.Sprint(want) || !strings.Contains(p.View(), "Calls ≥ 100ms that failed 3") {
		t.Errorf("asked for %+v\n%s", g.filters, p.View())
	}
	run(p, p.Update(page.Done{}))
	if len(g.filters) != 2 {
		t.Error("the stream was opened again for nothing")
	}
}

func TestPagesLeadOn(t *testing.T) {
	t.Parallel()
	g := &gateway{}
	p := opened(t, g, "sessions", "")
	for _, k := range []string{"enter", "t", "d"} {
		if got := does(t, p, k); got != (page.Go{Name: "session", Arg: "s-7f3a"}) {
			t.Errorf("%s: %v", k, got)
		}
	}
	if i, ok := p.Selected(); !ok || i.Command != "prismctl session describe s-7f3a" {
		t.Errorf("got %+v", i)
	}
	for _, name := range []string{"sessions", "session"} {
		p := opened(t, g, name, "s-7f3a")
		if c := keys.Conflicts(keys.Global(), p.Keys()); len(c) > 0 {
			t.Errorf("%s: %v", name, c)
		}
		for _, b := range p.Keys() {
			run(p, p.Do(b.Action))
			p.View()
		}
	}
	g = &gateway{empty: true}
	for _, k := range []string{"enter", "x"} {
		if got, ok := does(t, opened(t, g, "sessions", ""), k).(toast.Msg); !ok {
			t.Errorf("%s on nothing: %v", k, got)
		}
	}
}

func BenchmarkAKeyAmong10000(b *testing.B) {
	s := open(b, &gateway{many: 10_000}, "sessions", 120, 40).Start().Keys("s").Pass(1)
	for b.Loop() {
		s.Keys("down")
		s.Frame()
	}
}

func BenchmarkAnAnswerOf10000(b *testing.B) {
	s := open(b, &gateway{many: 10_000}, "sessions", 120, 40).Start().Keys("s").Pass(1)
	for b.Loop() {
		s.Pass(1)
		s.Frame()
	}
}
