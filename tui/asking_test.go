package tui_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	tea "charm.land/bubbletea/v2"

	"github.com/prism-data-layer/prism/pkg/prism"
	"github.com/prism-data-layer/prism/tui"
	"github.com/prism-data-layer/prism/tui/component/pane"
	"github.com/prism-data-layer/prism/tui/component/table"
	"github.com/prism-data-layer/prism/tui/component/told"
	"github.com/prism-data-layer/prism/tui/keys"
	"github.com/prism-data-layer/prism/tui/page"
	"github.com/prism-data-layer/prism/tui/page/overview"
	"github.com/prism-data-layer/prism/tui/theme"
	"github.com/prism-data-layer/prism/tui/tuitest"
)

// A shop is a page of three rows with an action of each kind.
type shop struct {
	*page.Board[[]string]
	arg   string
	asked map[keys.Action]any
	done  []error
	clock *[]string // clicks
}

func (s *shop) Keys() keys.Table {
	return append(keys.Table{
		{Action: "ask", Keys: []string{"x"}, Label: "end", Help: "end the row", Changes: true},
		{Action: "form", Keys: []string{"n"}, Label: "new", Help: "make a row", Changes: true},
		{Action: "edit", Keys: []string{"e"}, Help: "edit the row", Changes: true},
		{Action: "show", Keys: []string{"t"}, Help: "show a text"},
	}, s.Board.Keys()...)
}

func (s *shop) Do(a keys.Action) tea.Cmd {
	if what, ok := s.asked[a]; ok {
		return page.Do(what)
	}
	return s.Board.Do(a)
}

func (s *shop) Update(msg tea.Msg) tea.Cmd {
	if d, ok := msg.(page.Done); ok {
		s.done = append(s.done, d.Err)
	}
	return s.Board.Update(msg)
}

func (s *shop) Mouse(m page.Mouse) tea.Cmd {
	*s.clock = append(*s.clock, fmt.Sprint(m))
	return s.Board.Mouse(m)
}

// open makes a root with the overview and the shop; the shop is on top.
func openShop(t testing.TB, asked map[keys.Action]any, shape func(*tui.Options)) (*screen, **shop) {
	t.Helper()
	var last *shop
	f := page.Factory{
		Name: "shop", Aliases: []string{"s"}, About: "three rows", Arg: "TOWN", ArgOptional: true,
		Complete: func(context.Context) ([]string, error) { return []string{"berlin", "bern", "rome"}, nil },
		New: func(e page.Env, arg string) page.Page {
			p := &pane.Pane{Title: "Rows", Table: table.New(table.Column{Title: "NAME", Min: 10}, table.Column{Title: "WORD", Min: 10})}
			last = &shop{arg: arg, asked: asked, clock: new([]string)}
			last.Board = page.NewBoard(e, func(context.Context) ([]string, error) { return []string{"one", "two 日本語", "three"}, nil }, func(list []string) {
				var rows []table.Row
				for _, n := range list {
					rows = append(rows, table.Row{ID: n, Command: "prismctl shop describe " + n, Cells: []table.Cell{{Text: n}, {Text: "word of " + n}}})
				}
				p.Table.SetRows(rows)
			}, p)
			last.Item = func() (page.Item, bool) {
				r, ok := p.Table.Selected()
				return page.Item{ID: r.ID, Command: r.Command, Object: func(context.Context) (string, error) { return "name: " + r.ID + "\n", nil }}, ok
			}
			return last
		},
	}
	o := tui.Options{Pages: []page.Factory{overview.Factory(&gateway{now: noon()}), f}, View: "shop", Mode: theme.Mono, Told: &told.Log{}}
	if shape != nil {
		shape(&o)
	}
	return tuitest.Open(t, o, 100, 30).Start(), &last
}

func ending(do func(context.Context, func(string)) (string, error)) map[keys.Action]any {
	return map[keys.Action]any{"ask": page.Ask{
		Title: "Terminate ses_1", Lines: []string{"Its 3 streams end, its requests are refused."}, Verb: "Terminate", Name: "ses_1",
		Job: page.Job{Command: "prismctl session terminate ses_1", Do: do},
	}}
}

func TestNothingIsDoneWithoutAYes(t *testing.T) {
	t.Parallel()
	calls := 0
	s, shop := openShop(t, ending(func(context.Context, func(string)) (string, error) { calls++; return "ses_1 is ended", nil }), nil)
	for _, no := range [][]string{{"enter"}, {"esc"}, {"n"}, {"q"}, {"tab", "tab", "enter"}} {
		s.Keys("x").Wants("Terminate ses_1", "Its 3 streams end", "$ prismctl session terminate ses_1", "▸ No")
		if s.Keys(no...).Lacks("Its 3 streams"); calls != 0 || s.Quit {
			t.Fatalf("%q does it", no)
		}
	}
	s.Keys("x").Send(tea.PasteMsg{Content: "y"})
	s.Wants("Its 3 streams end")
	s.Keys("y").Wants("✓ ses_1 is ended").Lacks("Its 3 streams")
	if calls != 1 || len((*shop).done) != 1 || (*shop).done[0] != nil {
		t.Errorf("%d calls, told %v", calls, (*shop).done)
	}
}

func TestAProtectedGatewayWantsTheNameTyped(t *testing.T) {
	t.Parallel()
	calls := 0
	s, _ := openShop(t, ending(func(context.Context, func(string)) (string, error) { calls++; return "", nil }), func(o *tui.Options) { o.Protected, o.Context = true, "prod" })
	s.Wants("prod PROTECTED").Keys("x").Wants("! prod is protected", "type ses_1 and Enter to terminate")
	s.Type("y").Keys("enter").Wants("type ses_1")
	s.Keys("backspace").Type("ses_1").Keys("enter").Wants("✓ Terminate ses_1: done")
	if calls != 1 {
		t.Errorf("%d calls", calls)
	}
}

func TestAFailureIsToldAndKept(t *testing.T) {
	t.Parallel()
	boom := prism.New(prism.ReasonPermissionDenied, "you may not end sessions")
	var log *told.Log
	s, shop := openShop(t, ending(func(context.Context, func(string)) (string, error) { return "", boom }), func(o *tui.Options) { log = o.Told })
	s.Keys("x", "y").Wants("✗ you may not end sessions").Keys("esc").Lacks("✗")
	if len((*shop).done) != 1 || (*shop).done[0] != boom {
		t.Errorf("told %v", (*shop).done)
	}
	if got := log.List(); len(got) != 1 || got[0].What != "you may not end sessions" || got[0].Page != "shop" {
		t.Errorf("kept %+v", got)
	}
}

// A job that waits is run beside the screen.
func TestALongJobShowsProgressAndIsCancelled(t *testing.T) {
	t.Parallel()
	said, ended := make(chan struct{}), make(chan error, 1)
	s, shop := openShop(t, ending(func(ctx context.Context, say func(string)) (string, error) {
		say("moved 1 of 9")
		close(said)
		<-ctx.Done()
		ended <- ctx.Err()
		return "", ctx.Err()
	}), nil)
	s.Keys("x")
	answers := make(chan tea.Msg, 4)
	beside := func(msg tea.Msg) {
		_, cmd := s.Model.Update(msg)
		batch := tea.BatchMsg{cmd}
		if cmd == nil {
			return
		}
		if name := fmt.Sprintf("%T", msg); strings.Contains(name, "KeyPress") {
			batch, _ = cmd().(tea.BatchMsg)
		}
		for _, c := range batch {
			go func() { answers <- c() }()
		}
	}
	next := func(kind string) tea.Msg {
		t.Helper()
		for {
			select {
			case m := <-answers:
				if strings.HasSuffix(fmt.Sprintf("%T", m), kind) {
					return m
				}
			case <-time.After(10 * time.Second):
				t.Fatal(kind, "never comes")
			}
		}
	}
	beside(tuitest.Press("y"))
	<-said
	beside(next("jobSaid"))
	s.Wants("moved 1 of 9 · 0s", "Esc cancels")
	s.Clock.Advance(3 * time.Second)
	s.Send(tui.Beat(s.Clock.Now())).Wants("moved 1 of 9 · 3s", "Rows 3")
	s.Keys("esc").Wants("cancelling", "Esc looks away")
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("it ended with %v", err)
	}
	s.Keys("esc").Lacks("cancelling")
	s.Send(next("jobDone")).Wants("✗")
	if len((*shop).done) != 1 {
		t.Errorf("told %v", (*shop).done)
	}
}

func wizard(do func(map[string]string) (string, error)) map[keys.Action]any {
	return map[keys.Action]any{"form": page.Form{
		Title: "Create a row", Verb: "Create",
		Fields: []page.Field{
			{Name: "name", Label: "Name", Help: "small letters", Required: true},
			{Name: "model", Label: "Model", Value: "kv", Options: []string{"kv", "cache"}},
			{Name: "ttl", Label: "TTL", When: func(v map[string]string) bool { return v["model"] == "cache" }},
			{Name: "backend", Label: "Backend", Choices: func(_ context.Context, v map[string]string) ([]string, error) {
				if v["model"] == "cache" {
					return nil, errors.New("no backend can be a cache")
				}
				return []string{"local", "redis"}, nil
			}},
		},
		Check: func(v map[string]string) map[string]string { return map[string]string{"name": problemOf(v["name"])} },
		Command: func(v map[string]string) string {
			return "prismctl shop create " + v["name"] + " --model " + v["model"]
		},
		Do: func(_ context.Context, v map[string]string, _ func(string)) (string, error) { return do(v) },
	}}
}

func problemOf(name string) string {
	if name != strings.ToLower(name) {
		return "has large letters"
	}
	return ""
}

func TestAFormIsFilledInAndCarriedOut(t *testing.T) {
	t.Parallel()
	var got []map[string]string
	fail := true
	s, shop := openShop(t, wizard(func(v map[string]string) (string, error) {
		got = append(got, v)
		if fail {
			return "", errors.New("the name is taken")
		}
		return v["name"] + " is made", nil
	}), nil)
	s.Keys("n").Wants("Create a row", "▸ Name*", "small letters", "$ prismctl shop create  --model kv")
	s.Keys("ctrl+s").Wants("✗ is needed")
	s.Send(tea.PasteMsg{Content: "Orders\x1b[2J"})
	s.Wants("Orders[2J▏", "✗ has large letters")
	s.Keys("ctrl+u").Type("orders").Keys("enter", "down").Wants("▸ cache", "TTL").Keys("enter", "enter").Wants("! no backend can be a cache")
	s.Keys("up", "up").Type("k").Keys("enter").Wants("▸ Backend", "local", "redis").Keys("down", "enter", "enter").Wants("✗ the name is taken", "orders")
	if fail = false; len((*shop).done) != 1 {
		t.Errorf("told %v", (*shop).done)
	}
	s.Keys("enter").Wants("✓ orders is made").Lacks("Create a row")
	if len(got) != 2 || fmt.Sprint(got[1]) != "map[backend:local model:kv name:orders]" {
		t.Errorf("got %v", got)
	}
	s.Keys("esc", "n").Type("half").Keys("esc").Wants("Esc again drops what you typed", "half▏").Keys("esc").Lacks("Create a row")
	if s.Quit {
		t.Error("a key of the form quit")
	}
}

func TestReadOnlyRefusesAndHides(t *testing.T) {
	t.Parallel()
	calls := 0
	s, _ := openShop(t, ending(func(context.Context, func(string)) (string, error) { calls++; return "", nil }), func(o *tui.Options) { o.ReadOnly = true })
	s.Wants("read-only  ").Lacks("x end", "n new")
	s.Keys("x").Wants("read-only: nothing may be changed here").Keys("esc", "?").Lacks("end the row").Keys("esc")
	s.Send(page.Ask{Title: "Sneaky"}).Lacks("Sneaky")
	s.Keys("esc", ":").Type("end").Lacks("end the row")
	if calls != 0 {
		t.Error("it was done")
	}
}

func TestATextIsShown(t *testing.T) {
	t.Parallel()
	s, _ := openShop(t, map[keys.Action]any{"show": page.Show{Title: "a text", Text: func(context.Context) (string, error) { return strings.Repeat("line\n", 50) + "needle\n", nil }}}, nil)
	s.Keys("t").Wants("shop › a text", "lines 1–").Keys("/").Type("needle").Keys("enter").Wants("needle", "1/1")
	s.Keys("y", "esc", "esc").Lacks("a text")
	if len(s.Copied) != 1 || !strings.HasSuffix(s.Copied[0], "needle\n") {
		t.Errorf("copied %d texts", len(s.Copied))
	}
	s, _ = openShop(t, map[keys.Action]any{"show": page.Show{Title: "a text", Text: func(context.Context) (string, error) { return "", dead() }}}, nil)
	s.Keys("t").Wants("✗ cannot reach the gateway")
}

func TestEditing(t *testing.T) {
	t.Parallel()
	var file string
	var applied []string
	refuse := true
	s, shop := openShop(t, map[keys.Action]any{"edit": page.Edit{
		Name: "one.yaml", Text: func(context.Context) (string, error) { return "name: one\n", nil },
		Apply: func(_ context.Context, text string) (string, error) {
			applied = append(applied, text)
			if refuse {
				return "", errors.New("line 2: unknown key")
			}
			return "one is updated", nil
		},
	}}, func(o *tui.Options) { o.Editor = func(f string) *exec.Cmd { file = f; return exec.Command("true", f) } })
	left := func(write func(string) string) {
		t.Helper()
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if info, _ := os.Stat(file); info.Mode().Perm() != 0o600 {
			t.Errorf("others may read %s: %v", file, info.Mode())
		}
		if err := os.WriteFile(file, []byte(write(string(data))), 0o600); err != nil {
			t.Fatal(err)
		}
		s.Send(tui.Edited(s.Model))
	}
	s.Keys("e")
	if left(func(s string) string { return s }); len(applied) != 0 {
		t.Error("what was not changed is applied")
	}
	s.Wants("nothing was changed")
	s.Keys("e")
	left(func(s string) string { return s + "bad: key\n" })
	s.Wants("one.yaml was refused", "✗ line 2: unknown key", "▸ Edit again")
	s.Keys("enter")
	refuse = false
	left(func(s string) string {
		if !strings.HasPrefix(s, "# ✗ line 2: unknown key\n# ✗ ") || !strings.HasSuffix(s, "\nname: one\nbad: key\n") {
			t.Errorf("the editor shows %q", s)
		}
		return strings.Replace(s, "bad: key", "good: key", 1)
	})
	s.Wants("✓ one is updated")
	if want := "[name: one\nbad: key\n name: one\ngood: key\n]"; fmt.Sprint(applied) != want {
		t.Errorf("applied %q", applied)
	}
	if _, err := os.Stat(file); !os.IsNotExist(err) {
		t.Errorf("the file stays: %v", err)
	}
	if len((*shop).done) != 2 {
		t.Errorf("told %v", (*shop).done)
	}
}

func TestGoingAnywhere(t *testing.T) {
	t.Parallel()
	s, shop := openShop(t, nil, func(o *tui.Options) {
		o.Commands = []tui.Command{{Name: "policy", About: "who may what", Help: func() string { return "Policies say who may what." }}}
	})
	s.Keys(":").Wants("▸ overview", "three rows").Type("shop ").Wants("berlin", "rome").Type("ber").Wants("bern").Lacks("rome").Type("l").Keys("enter")
	s.Wants("prism › shop › shop berlin")
	if (*shop).arg != "berlin" {
		t.Errorf("opened %q", (*shop).arg)
	}
	s.Keys(":").Wants("shop berlin").Keys("esc", ":").Type("over").Keys("enter").Wants("1 Namespaces").Keys("[").Wants("shop berlin")
	s.Keys("]").Wants("1 Namespaces").Keys("[", "[").Wants("prism › shop  ").Keys("[").Wants("there is no page to go back to")
	s.Keys(":").Type("policy").Keys("enter").Wants("Policies say who may what.").Keys("q")
	s.Keys(":").Type("theme light").Keys("enter")
	if got := s.Model.State(); got.Theme != "light" || got.History[0] != "theme light" || got.View != "shop" || !got.Seen {
		t.Errorf("kept %+v", got)
	}
	s.Keys(":").Type("nothing at all").Wants("no page and no action").Keys("enter", "esc")
	s.Keys(":").Type("refresh").Keys("enter").Wants("Rows 3")
	if s.Keys(":", "q", "enter"); !s.Quit {
		t.Error(":q does not quit")
	}
}

func TestCopyingWhatIsSelected(t *testing.T) {
	t.Parallel()
	native := ""
	s, _ := openShop(t, nil, func(o *tui.Options) { o.Clipboard = func(s string) { native = s } })
	s.Keys("G", "y").Wants("copied three").Keys("c", "Y").Wants("copied three as YAML (1 lines)")
	if want := []string{"three", "prismctl shop describe three", "name: three\n"}; fmt.Sprint(s.Copied) != fmt.Sprint(want) || native != want[2] {
		t.Errorf("copied %q and %q", s.Copied, native)
	}
}

func TestDraggingCopiesWhatIsMarked(t *testing.T) {
	t.Parallel()
	s, shop := openShop(t, nil, nil)
	y := 0
	for i, l := range strings.Split(s.Text(), "\n") {
		if strings.Contains(l, "two 日本語") {
			y = i
		}
	}
	s.Send(tea.MouseClickMsg{X: 2, Y: y, Button: tea.MouseLeft})
	s.Send(tea.MouseMotionMsg{X: 11, Y: y, Button: tea.MouseLeft})
	if marked := s.Frame(); !strings.Contains(marked, "\x1b[7mtwo 日本語\x1b[m") {
		t.Errorf("nothing is marked:\n%q", marked)
	}
	tuitest.CheckFrame(t, s.Frame(), 100, 30)
	s.Send(tea.MouseReleaseMsg{X: 11, Y: y, Button: tea.MouseLeft})
	// Up over the top of the pane: its title is not taken.
	s.Send(tea.MouseClickMsg{X: 20, Y: y, Button: tea.MouseLeft})
	s.Send(tea.MouseMotionMsg{X: 0, Y: 0, Button: tea.MouseLeft})
	s.Send(tea.MouseReleaseMsg{X: 0, Y: 0, Button: tea.MouseLeft})
	if len(s.Copied) != 2 || s.Copied[0] != "two 日本語" || !strings.HasPrefix(s.Copied[1], "  NAME") || strings.Contains(s.Copied[1], "Rows") {
		t.Errorf("copied %q", s.Copied)
	}
	s.Send(tea.MouseClickMsg{X: 5, Y: y + 1, Button: tea.MouseLeft})
	s.Send(tea.MouseReleaseMsg{X: 5, Y: y + 1, Button: tea.MouseLeft})
	s.Send(tea.MouseWheelMsg{X: 5, Y: y, Button: tea.MouseWheelUp})
	if got := fmt.Sprint(*(*shop).clock); got != fmt.Sprintf("[{5 %d 0} {5 %d -3}]", y, y-1) {
		t.Errorf("the page was told %s", got)
	}
	if s.Keys("m"); s.Model.View().MouseMode != tea.MouseModeNone {
		t.Error("the mouse is still on")
	}
	if s.Keys("m"); s.Model.View().MouseMode == tea.MouseModeNone {
		t.Error("the mouse is still off")
	}
}

func TestKeysAreRemapped(t *testing.T) {
	t.Parallel()
	s, _ := openShop(t, nil, func(o *tui.Options) {
		o.Keys = keys.Remap{keys.Help: {"f1"}, keys.Down: {"down", "z"}, keys.CopyID: {}}
	})
	s.Wants("f1 help").Keys("?").Lacks("› keys").Keys("z", "y").Lacks("copied")
	s.Keys("c").Wants("prismctl shop describe two")
	if got := s.Model.CheckKeys(); got != nil {
		t.Errorf("%q", got)
	}
}

func TestTheRestIsRemembered(t *testing.T) {
	t.Parallel()
	s, _ := openShop(t, nil, func(o *tui.Options) {
		o.View = ""
		o.State = tui.State{View: "shop rome", Seen: true, Pages: map[string]map[string]string{"shop": {"filter-0": "two", "sort-0": "-NAME"}}}
		o.Hint = true
	})
	s.Wants("overview › shop rome", "Rows 1/3 · /two", "NAME▼").Lacks("first time")
	s.Keys("esc", "esc").Wants("1 Namespaces")
	if got := s.Model.State().Pages["shop"]; got["filter-0"] != "" || got["sort-0"] != "-NAME" {
		t.Errorf("kept %v", got)
	}
	s, _ = openShop(t, nil, func(o *tui.Options) { o.Hint = true })
	s.Wants("first time here? ? lists the keys").Keys("?", "esc").Lacks("first time")
}

func TestWhatIsMineIsDrawn(t *testing.T) {
	t.Parallel()
	asked := ending(nil)
	for k, v := range wizard(func(map[string]string) (string, error) { return "", errors.New("the name is taken") }) {
		asked[k] = v
	}
	asked["show"] = page.Show{Title: "a text", Text: func(context.Context) (string, error) { return "one\ntwo\n", nil }}
	for name, press := range map[string][]string{
		"ask": {"x"}, "form": {"n", "a", "tab"}, "palette": {":", "t", "h"}, "text": {"t"}, "keys": {"?"},
	} {
		tuitest.Screens(t, "root-"+name, func(t *testing.T, mode theme.Mode, w, h int) *screen {
			s, _ := openShop(t, asked, func(o *tui.Options) { o.Mode = mode })
			s.Send(tea.WindowSizeMsg{Width: w, Height: h})
			return s.Keys(press...)
		})
	}
}

func TestACrashRestoresTheScreenAndIsReturned(t *testing.T) {
	t.Parallel()
	for name, boom := range map[string]func() tea.Cmd{
		"update":  func() tea.Cmd { panic("boom") },
		"command": func() tea.Cmd { return func() tea.Msg { panic("boom") } },
		"nested":  func() tea.Cmd { return tea.Batch(func() tea.Msg { panic("boom") }, nil, func() tea.Msg { return nil }) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			out := &ticker{}
			in, keyboard := io.Pipe()
			defer keyboard.Close()
			done := make(chan error, 1)
			f := page.Factory{Name: "bad", New: func(e page.Env, _ string) page.Page {
				return &bad{Board: page.NewBoard(e, func(context.Context) (int, error) { return 1, nil }, func(int) {}, &pane.Pane{Title: "bad", Table: table.New(table.Column{Title: "X", Min: 4})}), boom: boom}
			}}
			go func() {
				done <- tui.Run(t.Context(), tui.Options{Pages: []page.Factory{f}, Refresh: tui.MinRefresh}, tui.Terminal{In: in, Out: out, Env: []string{"TERM=xterm"}, Width: 80, Height: 24})
			}()
			eventually(t, "the first frame", func() bool { _, s := out.writes(); return strings.Contains(s, "bad") })
			keyboard.Write([]byte("b"))
			var crash *tui.Crash
			select {
			case err := <-done:
				if !errors.As(err, &crash) || crash.Value != "boom" || !strings.Contains(crash.Error(), "asking_test.go") {
					t.Errorf("got %v", err)
				}
			case <-time.After(10 * time.Second):
				t.Fatal("it does not end")
			}
			if _, s := out.writes(); !strings.Contains(s, "\x1b[?1049l") || strings.Contains(s, "goroutine") {
				t.Error("the terminal is not restored, or has the stack on it")
			}
		})
	}
}

type bad struct {
	*page.Board[int]
	boom func() tea.Cmd
}

func (b *bad) Keys() keys.Table {
	return keys.Table{{Action: "boom", Keys: []string{"b"}, Help: "break"}}
}

func (b *bad) Do(keys.Action) tea.Cmd { return b.boom() }
