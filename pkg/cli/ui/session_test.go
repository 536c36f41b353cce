//go:build unix

package ui

import (
	"context"
	"encoding/base64"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/prism-data-layer/prism/pkg/cli"
	"github.com/prism-data-layer/prism/tui"
	"github.com/prism-data-layer/prism/tui/component/told"
	"github.com/prism-data-layer/prism/tui/theme"
	"github.com/prism-data-layer/prism/tui/tuitest"
)

func TestWhatWasLookedAtIsKept(t *testing.T) {
	t.Parallel()
	address, _ := start(t, &gateway{}, "")
	f, _, errOut := rig(t, address, map[string]string{"TERM": "xterm-256color"})
	file := newStore(f).file
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte("{broken"), 0o600); err != nil {
		t.Fatal(err)
	}
	x := onTerminalOf(t, f, errOut, 100, 30)
	x.shows("service:checkout", "first time here?")
	x.types("2/vol\r:theme light\r")
	x.shows("1/2")
	x.types("!")
	x.shows("prism › overview › errors")
	x.types("\x03")
	if err := x.ends(); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(file)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the file: %v, %v", info, err)
	}
	x = onTerminalOf(t, f, errOut, 100, 30)
	x.shows("prism › overview › errors")
	x.types("q")
	x.shows("━▶ 2 Backends 1/2 · 1 unhealthy · /vol")
	if strings.Contains(x.text(), "first time here?") {
		t.Error("the hint comes again")
	}
	x.types("\x03")
	if err := x.ends(); err != nil {
		t.Error(err)
	}
	if s, _ := newStore(f).load(); s.Theme != "light" || s.History[0] != "theme light" {
		t.Errorf("kept %+v", s)
	}
}

func TestAStateThatCannotBeKeptIsNoFailure(t *testing.T) {
	t.Parallel()
	address, _ := start(t, &gateway{}, "")
	f, _, errOut := rig(t, address, map[string]string{"TERM": "xterm"})
	file := newStore(f).file
	if err := os.MkdirAll(file, 0o700); err != nil { // a folder where the file should be
		t.Fatal(err)
	}
	x := onTerminalOf(t, f, errOut, 80, 24)
	x.shows("service:checkout")
	x.types("q")
	if err := x.ends(); err != nil || !strings.Contains(errOut.String(), "is not kept") {
		t.Errorf("%v, %q", err, errOut)
	}
}

func TestKeysOfThePersonsFile(t *testing.T) {
	t.Parallel()
	address, _ := start(t, &gateway{}, "")
	for _, c := range []struct{ keys, want string }{
		{"{refresh: [f5], filter: [ctrl+r]}", ""},
		{"{refresh: [j]}", "j is down and refresh"},
		{"{refersh: [f5]}", `there is no action "refersh"`},
		{"{back: []}", "back needs a key"},
	} {
		f, out, _ := rig(t, address, nil)
		realTime(f)
		file := filepath.Join(t.TempDir(), "config.yaml")
		if err := os.WriteFile(file, []byte("apiVersion: prism/v1\nkind: User\nkeys: "+c.keys+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		f.Globals.Config = file
		err := execute(t.Context(), f, "--snapshot", "--refresh", "100ms", "--size", "120x30")
		if c.want == "" {
			if err != nil || !strings.Contains(out.String(), "F5 refresh") && !strings.Contains(out.String(), "f5 refresh") {
				t.Errorf("%s: %v\n%s", c.keys, err, out)
			}
			continue
		}
		if cli.Code(err) != cli.ExitInvalid || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: exit %d, %v", c.keys, cli.Code(err), err)
		}
	}
}

func TestTerminals(t *testing.T) {
	t.Parallel()
	address, _ := start(t, &gateway{}, "")
	for _, env := range []map[string]string{
		{"TERM": "xterm"},
		{"TERM": "xterm-256color", "COLORTERM": "truecolor"},
		{"TERM": "screen-256color", "STY": "1.x"},
		{"TERM": "tmux-256color", "TMUX": "/tmp/tmux,1,0"},
		{"TERM": "linux"},
		{"TERM": "vt100"},
		{"TERM": "xterm-kitty"},
		{"TERM": "alacritty", "SSH_TTY": "/dev/pts/9"},
		{"TERM": "xterm-256color", "WT_SESSION": "x"},
		{"TERM": "xterm-256color", "NO_COLOR": "1"},
		{"TERM": "xterm-16color"},
		{"TERM": "no-such-terminal"},
	} {
		t.Run(env["TERM"], func(t *testing.T) {
			t.Parallel()
			env["LANG"] = "C.UTF-8"
			f, _, errOut := rig(t, address, env)
			x := onTerminalOf(t, f, errOut, 80, 24, "--refresh", "100ms")
			x.shows("prism › overview", "service:checkout")
			x.types("?")
			x.shows("› keys")
			x.types("\x1b")
			x.shows("1 Namespaces")
			x.types("q")
			if err := x.ends(); err != nil {
				t.Error(err)
			}
			if env["NO_COLOR"] != "" && strings.Contains(x.written(), "\x1b[38;") {
				t.Error("NO_COLOR has colours")
			}
			x.writes("\x1b[?1049l", "\x1b[?25h") // the terminal is restored
		})
	}
}

func TestTheMouseSelectsWithinAPane(t *testing.T) {
	t.Parallel()
	address, _ := start(t, &gateway{}, "")
	f, _, errOut := rig(t, address, map[string]string{"TERM": "xterm-256color"})
	x := onTerminalOf(t, f, errOut, 100, 30, "--view", "overview")
	x.shows("service:checkout")
	row := 0
	for i, l := range strings.Split(x.text(), "\n") {
		if strings.Contains(l, "service:checkout") {
			row = i + 1
		}
	}
	at := func(button, col, row int, end string) string {
		return "\x1b[<" + strings.Join([]string{itoa(button), itoa(col), itoa(row)}, ";") + end
	}
	x.types(at(0, 3, row, "M") + at(32, 7, row, "M") + at(0, 7, row, "m"))
	x.shows("copied 5 characters")
	x.writes("\x1b]52;c;" + base64.StdEncoding.EncodeToString([]byte("ses_a")))
	x.types(at(0, 3, row, "M") + at(0, 3, row, "m")) // a click
	x.shows("━▶ 3 Sessions")
	x.types("m")
	x.shows("the mouse is off")
	x.writes("\x1b[?1002l")
	x.types("q")
	if err := x.ends(); err != nil {
		t.Error(err)
	}
}

func itoa(n int) string {
	if n < 10 {
		return string(rune('0' + n))
	}
	return itoa(n/10) + string(rune('0'+n%10))
}

func TestAccessibleFramesAreWords(t *testing.T) {
	t.Parallel()
	address, _ := start(t, &gateway{}, "")
	f, out, _ := rig(t, address, map[string]string{"PRISM_ACCESSIBLE": "1", "LANG": "C.UTF-8"})
	realTime(f)
	if err := execute(t.Context(), f, "--snapshot", "--size", "100x30", "--refresh", "100ms"); err != nil {
		t.Fatal(err)
	}
	for _, r := range out.String() {
		if r >= 0x2500 && r <= 0x259f || r >= 0x2800 && r <= 0x28ff {
			t.Fatalf("%q is drawn:\n%s", r, out)
		}
	}
	if strings.Contains(out.String(), "\n\n") || !strings.Contains(out.String(), "1 Namespaces 3") || !strings.Contains(out.String(), "req/s") {
		t.Errorf("got\n%s", out)
	}
}

func TestTopIsTheOverview(t *testing.T) {
	t.Parallel()
	address, _ := start(t, &gateway{}, "")
	f, out, _ := rig(t, address, nil)
	realTime(f)
	cmd := NewTop(f)
	cmd.SetArgs([]string{"--snapshot", "--refresh", "100ms"})
	if err := cmd.ExecuteContext(context.Background()); err != nil || !strings.HasPrefix(out.String(), "prism › overview") {
		t.Errorf("%v\n%s", err, out)
	}
}

// TestEveryPageAtAnySize opens all pages that there are, on a gateway that
// answers and with keys that may be anything.
func TestEveryPageAtAnySize(t *testing.T) {
	t.Parallel()
	address, _ := start(t, &gateway{}, "")
	f, _, _ := rig(t, address, nil)
	s, err := newSource(t.Context(), f)
	if err != nil {
		t.Fatal(err)
	}
	log := &told.Log{}
	all := pages(s, log)
	anyKey := []string{"j", "k", "G", "g", "tab", "/", "?", ":", "n", "x", "e", "s", "S", "esc", "enter", "d", "1", "2", "w", "[", "]", "!", "y", "c", "m", "日", "backspace", "down", "up"}
	// A third of the pages at a time: each check asks a real gateway.
	for third := range 3 {
		t.Run(fmt.Sprint("third ", third), func(t *testing.T) {
			t.Parallel()
			rapid.Check(t, func(rt *rapid.T) {
				page := all[min(3*rapid.IntRange(0, len(all)/3).Draw(rt, "page")+third, len(all)-1)]
				view := page.Name
				if page.Arg != "" {
					view += " kv"
				}
				w, h := rapid.IntRange(1, 300).Draw(rt, "w"), rapid.IntRange(1, 100).Draw(rt, "h")
				s := tuitest.Open(t, tui.Options{
					Pages: all, Told: log, View: view, Mode: theme.Mode(rapid.IntRange(1, 3).Draw(rt, "mode")),
					Charset: theme.Charset(rapid.IntRange(0, 2).Draw(rt, "charset")), Accessible: rapid.Bool().Draw(rt, "accessible"),
				}, w, h)
				defer s.Model.Close()
				if rapid.Bool().Draw(rt, "answered") {
					s.Start()
				}
				tuitest.CheckFrame(rt, s.Frame(), w, h)
				for _, k := range rapid.SliceOfN(rapid.SampledFrom(anyKey), 0, 5).Draw(rt, "keys") {
					s.Keys(k)
					tuitest.CheckFrame(rt, s.Frame(), w, h)
				}
			})
		})
	}
}
