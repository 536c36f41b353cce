package namespaces_test

import (
	"context"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	tea "charm.land/bubbletea/v2"

	"github.com/prism-data-layer/prism/pkg/clock"
	"github.com/prism-data-layer/prism/tui/component/task"
	"github.com/prism-data-layer/prism/tui/component/toast"
	"github.com/prism-data-layer/prism/tui/keys"
	"github.com/prism-data-layer/prism/tui/page"
	"github.com/prism-data-layer/prism/tui/page/namespaces"
	"github.com/prism-data-layer/prism/tui/tuitest"
)

// opened is a page without a root, that has had its first answer.
func opened(t testing.TB, g *gateway, name, arg string) page.Page {
	t.Helper()
	for _, f := range factories(g) {
		if f.Name == name {
			p := f.New(page.Env{Tasks: task.NewRunner(context.Background(), clock.NewFake(tuitest.Noon())), Refresh: time.Second, Command: "prismctl --context dev"}, arg)
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

func TestEnterOpensTheDataWhereThereIsAPageForIt(t *testing.T) {
	t.Parallel()
	p := opened(t, &gateway{}, "namespaces", "")
	if got := does(t, p, "enter"); got != (page.Go{Name: "data", Arg: "orders"}) {
		t.Errorf("got %v", got)
	}
	if got := does(t, p, "d"); got != (page.Go{Name: "namespace", Arg: "orders"}) {
		t.Errorf("got %v", got)
	}
	p.Do(keys.Down)
	if got := does(t, p, "enter"); got != (page.Go{Name: "namespace", Arg: "mail"}) {
		t.Errorf("got %v", got)
	}
}

func TestTheWizardMakesWhatItShows(t *testing.T) {
	t.Parallel()
	g := &gateway{}
	f := does(t, opened(t, g, "namespaces", ""), "n").(page.Form)
	for _, c := range []struct {
		values map[string]string
		want   string
	}{
		{map[string]string{"name": "shop", "model": "keyvalue", "backend": "(the gateway's choice)", "durability": "strong"}, "namespace create shop"},
		{map[string]string{"name": "shop", "model": "keyvalue", "backend": "local  pebble, healthy", "default-ttl": "30m", "retention": "90d", "description": "a b"}, "namespace create shop --backend local --description 'a b' --default-ttl 30m"},
		{map[string]string{"name": "jobs", "model": "queue", "auto-create": "no", "max-ttl": "1h", "durability": "relaxed"}, "namespace create jobs --model queue --durability relaxed --auto-create=false"},
		{map[string]string{"name": "m", "model": "timeseries", "retention": "90d", "request-rps": "100", "burst": "9"}, "namespace create m --model timeseries --retention 90d --request-rps 100 --burst 9"},
		{map[string]string{"name": "m", "model": "cache", "burst": "9"}, "namespace create m --model cache"},
	} {
		if got, want := f.Command(c.values), "prismctl --context dev "+c.want; got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
		if _, err := f.Do(t.Context(), c.values, nil); err != nil {
			t.Fatal(err)
		}
		if got := page.Env.Line(page.Env{Command: "prismctl"}, g.ran[len(g.ran)-1]...); got != "prismctl "+c.want {
			t.Errorf("it ran %s", got)
		}
	}
	problems := f.Check(map[string]string{"name": "Bad Name", "backend": "volatile  ✗ cannot: no queue_basic", "default-ttl": "soon", "request-rps": "many"})
	if len(problems) != 4 || !strings.Contains(problems["backend"], "no queue_basic") {
		t.Errorf("problems: %v", problems)
	}
	if p := f.Check(map[string]string{"name": "orders", "max-ttl": "1h30m", "retention": "90d"}); len(p) != 1 || !strings.Contains(p["name"], "there is a namespace") {
		t.Errorf("problems: %v", p)
	}
	if p := f.Check(map[string]string{"name": "new"}); len(p) != 0 {
		t.Errorf("problems: %v", p)
	}
	for _, field := range f.Fields {
		if field.Name == "backend" {
			got, err := field.Choices(t.Context(), map[string]string{"name": "jobs", "model": "queue"})
			want := []string{"(the gateway's choice)", "local  pebble, healthy, fsynced", "spare  memory, healthy, until it stops, without keyvalue_ttl", "volatile  ✗ cannot: no queue_basic"}
			if err != nil || !reflect.DeepEqual(got, want) {
				t.Errorf("choices %q, %v", got, err)
			}
		}
		for model, asked := range map[string]bool{"timeseries": true, "queue": false} {
			if field.Name == "retention" && field.When(map[string]string{"model": model}) != asked {
				t.Errorf("retention of %s", model)
			}
		}
	}
}

func TestDeletingSaysWhatIsLost(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"namespaces", "namespace"} {
		g := &gateway{}
		a := does(t, opened(t, g, name, "orders"), "x").(page.Ask)
		said := strings.Join(a.Lines, "\n")
		for _, part := range []string{"1,204,331 keys", "3 GiB", "on local", "2 sessions, 1 stream.", "cannot be undone"} {
			if !strings.Contains(said, part) {
				t.Errorf("%q is not said: %s", part, said)
			}
		}
		if a.Name != "orders" || a.Command != "prismctl --context dev namespace delete orders" {
			t.Errorf("%q, %q", a.Name, a.Command)
		}
		if _, err := a.Do(t.Context(), nil); err != nil || !reflect.DeepEqual(g.ran, [][]string{{"namespace", "delete", "orders", "--yes"}}) {
			t.Errorf("it ran %q, %v", g.ran, err)
		}
	}
}

func TestMovingAsksWhereTo(t *testing.T) {
	t.Parallel()
	g := &gateway{}
	f := does(t, opened(t, g, "namespace", "orders"), "v").(page.Form)
	got, err := f.Fields[0].Choices(t.Context(), nil)
	if err != nil || len(got) != 2 || !strings.HasPrefix(got[0], "spare  ") {
		t.Errorf("choices %q, %v: not the backend that it is on", got, err)
	}
	v := map[string]string{"to": got[0], "fewer": "yes", "keep": "1h"}
	if p := f.Check(map[string]string{"to": got[1], "keep": "long"}); len(p) != 2 {
		t.Errorf("problems: %v", p)
	}
	if got := f.Command(v); got != "prismctl --context dev namespace move orders --to spare --allow-fewer --keep-source 1h" {
		t.Errorf("got %s", got)
	}
	if out, err := f.Do(t.Context(), v, func(string) {}); err != nil || out != "done" {
		t.Errorf("%q, %v", out, err)
	}
	a := does(t, opened(t, g, "namespace", "orders"), "A").(page.Ask)
	if a.Command != "prismctl --context dev namespace move orders --abort" {
		t.Errorf("got %s", a.Command)
	}
}

func TestEditingIsExportAndApply(t *testing.T) {
	t.Parallel()
	g := &gateway{}
	e := does(t, opened(t, g, "namespace", "orders"), "e").(page.Edit)
	if _, err := e.Text(t.Context()); err != nil || e.Name != "orders.yaml" {
		t.Error(err, e.Name)
	}
	if _, err := e.Apply(t.Context(), "kind: Namespace\n"); err != nil || g.stdin != "kind: Namespace\n" || fmt.Sprint(g.ran) != "[[export namespace orders -o yaml] [apply -f -]]" {
		t.Errorf("%q with %q, %v", g.ran, g.stdin, err)
	}
}

func TestWhatIsUnderTheCursorCanBeCopied(t *testing.T) {
	t.Parallel()
	g := &gateway{}
	p := opened(t, g, "namespace", "orders")
	for _, c := range []struct{ pane, id, command string }{
		{"1", "orders", "prismctl --context dev namespace describe orders"},
		{"2", "s-7f3a", "prismctl --context dev session describe s-7f3a"},
		{"3", "4bf92f3577b34da6a3ce929d0e0e4736", "prismctl --context dev trace 4bf92f3577b34da6a3ce929d0e0e4736"},
		{"4", "orders", "prismctl --context dev namespace describe orders"},
	} {
		does(t, p, c.pane)
		i, ok := p.Selected()
		if !ok || i.ID != c.id || i.Command != c.command {
			t.Errorf("pane %s: %+v", c.pane, i)
		}
		if _, err := i.Object(t.Context()); err != nil || !strings.HasSuffix(strings.Join(g.ran[len(g.ran)-1], " "), "-o yaml") {
			t.Errorf("it ran %q, %v", g.ran, err)
		}
	}
	does(t, p, "2")
	if got := does(t, p, "enter"); got != (page.Go{Name: "session", Arg: "s-7f3a"}) {
		t.Errorf("got %v", got)
	}
}

func TestNothingUnderTheCursorIsSaid(t *testing.T) {
	t.Parallel()
	g := &gateway{shape: func(l *namespaces.List) { l.Namespaces = nil }}
	p := opened(t, g, "namespaces", "")
	for _, k := range []string{"enter", "d", "e", "v", "x", "A"} {
		if got, ok := does(t, p, k).(toast.Msg); !ok {
			t.Errorf("%s: %v", k, got)
		}
	}
	if _, ok := p.Selected(); ok {
		t.Error("something is selected")
	}
}

func TestKeysMeanOneThing(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"namespaces", "namespace"} {
		p := opened(t, &gateway{}, name, "orders")
		if c := keys.Conflicts(keys.Global(), p.Keys()); len(c) > 0 {
			t.Errorf("%s: %v", name, c)
		}
		for _, b := range p.Keys() {
			p.Do(b.Action)
			p.View()
		}
	}
}

func TestMoreNamespacesAreAskedForAsTheCursorNearsTheirEnd(t *testing.T) {
	t.Parallel()
	g := &gateway{many: 10_000}
	s := open(t, g, "namespaces", 80, 24).Start()
	s.Wants("Namespaces 1000 of 10,000")
	s.Keys("end").Pass(1).Wants("Namespaces 2000 of 10,000")
	s.Keys("/").Type("ns-09999").Keys("enter").Pass(1).Wants("1/10000")
	if last := g.asked[len(g.asked)-1]; last != page.MostReach {
		t.Errorf("a filter asked for %d", last)
	}
}

// A key among 10,000 rows is drawn within 50 ms; here with much room for a
// loaded machine.
func BenchmarkAKeyAmong10000(b *testing.B) {
	s := open(b, &gateway{many: 10_000}, "namespaces", 120, 40).Start().Keys("s").Pass(1)
	for b.Loop() {
		s.Keys("down")
		s.Frame()
	}
}

func BenchmarkAnAnswerOf10000(b *testing.B) {
	s := open(b, &gateway{many: 10_000}, "namespaces", 120, 40).Start().Keys("s").Pass(1)
	for b.Loop() {
		s.Pass(1)
		s.Frame()
	}
}
