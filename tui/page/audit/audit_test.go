package audit_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"slices"
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
	"github.com/prism-data-layer/prism/tui/page/audit"
	"github.com/prism-data-layer/prism/tui/theme"
	"github.com/prism-data-layer/prism/tui/tuitest"
)

var _ = flag.Bool("update", false, "write the golden files anew")

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// A gateway is a source that a test changes.
type gateway struct {
	err   error
	many  int
	empty bool
	bad   string // in every text

	asked   []int
	filters []audit.Filter
	ran     [][]string
}

func (g *gateway) Audit(_ context.Context, f audit.Filter, most int) (*audit.List, error) {
	g.asked, g.filters = append(g.asked, most), append(g.filters, f)
	if g.err != nil {
		return nil, g.err
	}
	l := &audit.List{Now: tuitest.Noon()}
	record := func(id int64, actor, call, resource, result string) audit.Record {
		return audit.Record{
			ID: id, Time: tuitest.Noon().Add(time.Duration(id-3) * time.Minute), Actor: actor + g.bad, Call: call + g.bad, Method: "prism.admin.v1.AdminService/" + call + g.bad,
			Resource: resource + g.bad, Decision: "allowed", Result: result + g.bad, Took: 910 * time.Microsecond, Peer: "127.0.0.1" + g.bad, Request: "r-1" + g.bad, Trace: "4bf92f3577b34da6a3ce929d0e0e4736" + g.bad,
			Calls: 1, Detail: "all well" + g.bad,
		}
	}
	switch {
	case g.empty:
	case g.many > 0:
		for i := range min(g.many, most) {
			l.Records = append(l.Records, record(int64(g.many-i), "user:ann", "CreateNamespace", fmt.Sprintf("ns-%05d", i), "OK"))
		}
		if f.Reads { // the others are of one call
			l.Records = slices.Insert(l.Records, 0, record(int64(g.many+1), "user:ann", "GetStatus", "", "OK"))
			l.Records[0].Calls = 12
		}
		l.More = g.many > most
	default:
		l.Records = []audit.Record{record(3, "user:ann", "CreateNamespace", "orders", "OK"), record(2, "user:ann", "CreateNamespace", "kv", "ALREADY_EXISTS"), record(1, "service:checkout", "TerminateSession", "s-7f3a", "PERMISSION_DENIED")}
		l.Records[2].Decision, l.Records[2].Trace = "denied", ""
	}
	return l, nil
}

func (g *gateway) Run(_ context.Context, args []string, _ string, _ func(string)) (string, error) {
	g.ran = append(g.ran, args)
	return "done\n", g.err
}

func open(t testing.TB, g *gateway, w, h int) *tuitest.Screen {
	t.Helper()
	return tuitest.Page(t, audit.Factory(g), "", w, h)
}

func TestScreens(t *testing.T) {
	t.Parallel()
	tuitest.Screens(t, "list", func(t *testing.T, mode theme.Mode, w, h int) *tuitest.Screen {
		return tuitest.Open(t, tui.Options{Pages: []page.Factory{audit.Factory(&gateway{})}, Mode: mode}, w, h).Start().Pass(5)
	})
	dead := prism.New(prism.ReasonUnavailable, "cannot reach the gateway at 127.0.0.1:8981 (context dev)").WithCause(errors.New("connection refused"))
	forbidden := prism.New(prism.ReasonPermissionDenied, "permission denied: the call needs admin:audit")
	for name, draw := range map[string]func(*testing.T) *tuitest.Screen{
		"empty":     func(t *testing.T) *tuitest.Screen { return open(t, &gateway{empty: true}, 80, 24).Start() },
		"failed":    func(t *testing.T) *tuitest.Screen { return open(t, &gateway{err: dead}, 80, 24).Start() },
		"forbidden": func(t *testing.T) *tuitest.Screen { return open(t, &gateway{err: forbidden}, 80, 24).Start() },
		"narrow":    func(t *testing.T) *tuitest.Screen { return open(t, &gateway{}, 60, 15).Start() },
		"all-calls": func(t *testing.T) *tuitest.Screen { return open(t, &gateway{many: 2000}, 80, 24).Start().Keys("a") },
		"hostile": func(t *testing.T) *tuitest.Screen {
			return open(t, &gateway{bad: "\x1b[2J\x1b]0;x\a日本שלום\u202e\n"}, 120, 40).Start()
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
	for _, h := range []int{1, 15, 16, 24, 60, 100} {
		for _, w := range []int{1, 60, 61, 99, 300} {
			tuitest.CheckFrame(t, open(t, &gateway{}, w, h).Start().Pass(2).Frame(), w, h)
		}
	}
}

func TestOlderRecordsAreAskedForAsTheCursorNearsTheirEnd(t *testing.T) {
	t.Parallel()
	g := &gateway{many: 10_000}
	s := open(t, g, 80, 24).Start().Wants("Changes 1000 · there are more")
	s.Keys("end").Pass(1).Wants("Changes 2000 · there are more")
	s.Keys("/").Type("ns-09999").Keys("enter").Pass(1).Wants("1/10000")
}

func TestItIsAskedForSeldom(t *testing.T) {
	t.Parallel()
	g := &gateway{}
	open(t, g, 80, 24).Start().Pass(20)
	if n := len(g.asked); n > 5 {
		t.Errorf("asked %d times in 20 s: each question leaves a record", n)
	}
}

// opened is a page without a root, that has had its first answer.
func opened(t testing.TB, g *gateway) page.Page {
	t.Helper()
	p := audit.Factory(g).New(page.Env{Tasks: task.NewRunner(context.Background(), clock.NewFake(tuitest.Noon())), Refresh: time.Second, Command: "prismctl"}, "")
	p.SetSize(100, 30)
	run(p, p.Init())
	return p
}

func run(p page.Page, cmd tea.Cmd) {
	if cmd != nil {
		run(p, p.Update(cmd()))
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

func TestARecordInFull(t *testing.T) {
	t.Parallel()
	g := &gateway{bad: "\x1b[2J"}
	p := opened(t, g)
	got, err := does(t, p, "enter").(page.Show).Text(t.Context())
	if err != nil || strings.Contains(got, "\x1b") {
		t.Errorf("%q, %v", got, err)
	}
	for _, part := range []string{"2026-03-01T12:00:00.000Z", "user:ann", "AdminService/CreateNamespace", "orders", "allowed", "OK", "910µs", "127.0.0.1", "r-1", "4bf92f35", "all well"} {
		if !strings.Contains(got, part) {
			t.Errorf("%q is not told:\n%s", part, got)
		}
	}
	g = &gateway{}
	p = opened(t, g)
	i, ok := p.Selected()
	want := "prismctl audit list --actor user:ann --method prism.admin.v1.AdminService/CreateNamespace --since 2026-03-01T12:00:00.000Z --until 2026-03-01T12:00:00.001Z"
	if !ok || i.ID != "3" || i.Command != want {
		t.Errorf("got %+v", i)
	}
	if _, err := does(t, p, "t").(page.Show).Text(t.Context()); err != nil || g.ran[0][0] != "trace" {
		t.Errorf("ran %q, %v", g.ran, err)
	}
	p.Do(keys.Bottom)
	if got, ok := does(t, p, "t").(toast.Msg); !ok {
		t.Errorf("got %v", got)
	}
}

func TestTheRecordsAreNarrowedByTheGateway(t *testing.T) {
	t.Parallel()
	g := &gateway{}
	p := opened(t, g)
	f := does(t, p, "f").(page.Form)
	v := map[string]string{"actor": "user:ann", "call": "CreateNamespace", "resource": "orders", "since": "24h"}
	if got := f.Command(v); got != "prismctl audit list --actor user:ann --method CreateNamespace --resource orders --since 24h" {
		t.Errorf("got %s", got)
	}
	if _, err := f.Do(t.Context(), v, nil); err != nil {
		t.Fatal(err)
	}
	run(p, p.Update(page.Done{}))
	want := audit.Filter{Actor: "user:ann", Call: "CreateNamespace", Resource: "orders", Since: "24h"}
	if got := g.filters[len(g.filters)-1]; got != want || !strings.Contains(p.View(), "Changes by user:ann of CreateNamespace to orders since 24h") {
		t.Errorf("asked for %+v\n%s", got, p.View())
	}
	does(t, p, "a")
	g.err = errors.New("\"soon\" is not a time")
	if _, err := f.Do(t.Context(), map[string]string{"since": "soon"}, nil); err == nil {
		t.Error("a time that is none is taken")
	}
	g.err = nil
	if !p.Back() || p.Back() {
		t.Error("Esc asks for all, once")
	}
	if c := keys.Conflicts(keys.Global(), p.Keys()); len(c) > 0 {
		t.Error(c)
	}
	p = opened(t, &gateway{empty: true})
	if got, ok := does(t, p, "enter").(toast.Msg); !ok {
		t.Errorf("got %v", got)
	}
}
