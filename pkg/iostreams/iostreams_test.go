package iostreams_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/prism-data-layer/prism/pkg/clock"
	"github.com/prism-data-layer/prism/pkg/iostreams"
)

func TestColourPrecedence(t *testing.T) {
	for _, c := range []struct {
		name string
		mode iostreams.ColorMode
		env  map[string]string
		tty  bool
		want bool
	}{
		{"a pipe has none", iostreams.ColorAuto, nil, false, false},
		{"a terminal has", iostreams.ColorAuto, nil, true, true},
		{"--color=always over NO_COLOR", iostreams.ColorAlways, map[string]string{"NO_COLOR": "1"}, false, true},
		{"--color=never over CLICOLOR_FORCE", iostreams.ColorNever, map[string]string{"CLICOLOR_FORCE": "1"}, true, false},
		{"NO_COLOR over FORCE_COLOR", iostreams.ColorAuto, map[string]string{"NO_COLOR": "1", "FORCE_COLOR": "1"}, true, false},
		{"an empty NO_COLOR says nothing", iostreams.ColorAuto, map[string]string{"NO_COLOR": ""}, true, true},
		{"CLICOLOR_FORCE over a pipe", iostreams.ColorAuto, map[string]string{"CLICOLOR_FORCE": "1"}, false, true},
		{"FORCE_COLOR over CLICOLOR=0", iostreams.ColorAuto, map[string]string{"FORCE_COLOR": "true", "CLICOLOR": "0"}, false, true},
		{"FORCE_COLOR=0 forces nothing", iostreams.ColorAuto, map[string]string{"FORCE_COLOR": "0"}, false, false},
		{"CLICOLOR=0", iostreams.ColorAuto, map[string]string{"CLICOLOR": "0"}, true, false},
		{"CLICOLOR=1 does not colour a pipe", iostreams.ColorAuto, map[string]string{"CLICOLOR": "1"}, false, false},
		{"TERM=dumb", iostreams.ColorAuto, map[string]string{"TERM": "dumb"}, true, false},
		{"CLICOLOR_FORCE over TERM=dumb", iostreams.ColorAuto, map[string]string{"CLICOLOR_FORCE": "1", "TERM": "dumb"}, true, true},
	} {
		s, _, _, _ := iostreams.Test()
		s.SetEnv(c.env)
		s.SetTTY(false, c.tty, false)
		s.SetColor(c.mode)
		if got := s.ColorEnabled(iostreams.Out); got != c.want {
			t.Errorf("%s: got %v", c.name, got)
		}
	}
}

func TestColourIsDecidedForEachStream(t *testing.T) {
	s, _, _, _ := iostreams.Test()
	s.SetTTY(true, false, true)
	if s.ColorEnabled(iostreams.Out) || !s.ColorEnabled(iostreams.Err) {
		t.Error("the terminal of one stream colours the other")
	}
	if s.Palette(iostreams.Out).Bad("x") != "x" || s.Palette(iostreams.Err).Bad("x") != "\x1b[31mx\x1b[0m" {
		t.Error("the palettes do not follow")
	}
	p := s.Palette(iostreams.Err)
	for _, paint := range []func(string) string{p.Good, p.Warn, p.Accent, p.Bold, p.Faint} {
		if got := paint("x"); !strings.HasPrefix(got, "\x1b[") || !strings.HasSuffix(got, "x\x1b[0m") {
			t.Errorf("got %q", got)
		}
		if paint("") != "" {
			t.Error("nothing is painted")
		}
	}
}

func TestParseColorMode(t *testing.T) {
	for word, want := range map[string]iostreams.ColorMode{"": iostreams.ColorAuto, "auto": iostreams.ColorAuto, "always": iostreams.ColorAlways, "never": iostreams.ColorNever} {
		if got, err := iostreams.ParseColorMode(word); err != nil || got != want {
			t.Errorf("%q: got %v, %v", word, got, err)
		}
	}
	if _, err := iostreams.ParseColorMode("yes"); err == nil {
		t.Error("yes is a mode")
	}
}

func TestSymbolsAreASCIIUnlessTheLocaleIsUTF8(t *testing.T) {
	for _, c := range []struct {
		env  map[string]string
		utf8 bool
	}{
		{map[string]string{"LANG": "en_US.UTF-8"}, true},
		{map[string]string{"LANG": "de_DE.utf8"}, true},
		{map[string]string{"LANG": "C"}, false},
		{map[string]string{"LANG": ""}, false},
		{map[string]string{"LANG": "en_US.UTF-8", "LC_ALL": "C"}, false},
		{map[string]string{"LANG": "C", "LC_CTYPE": "C.UTF-8"}, true},
	} {
		s, _, _, _ := iostreams.Test()
		s.SetEnv(c.env)
		if s.UTF8() != c.utf8 {
			t.Errorf("%v: got %v", c.env, s.UTF8())
		}
		y := s.Symbols()
		ascii := strings.IndexFunc(y.Good+y.Warn+y.Bad+y.Dot+y.Ellipsis+y.Arrow+strings.Join(y.Spinner, ""), func(r rune) bool { return r > 126 }) < 0
		if ascii == c.utf8 {
			t.Errorf("%v: symbols %+v", c.env, y)
		}
	}
}

func TestSizes(t *testing.T) {
	s, _, _, _ := iostreams.Test()
	if s.Width() != 0 || s.Height() != 0 {
		t.Error("a pipe has a size")
	}
	s.SetTTY(true, true, true)
	if s.Width() != 80 || s.Height() != 24 {
		t.Errorf("a terminal without a size is %dx%d", s.Width(), s.Height())
	}
	s.SetSize(120, 40)
	if s.Width() != 120 || s.Height() != 40 {
		t.Errorf("got %dx%d", s.Width(), s.Height())
	}
}

func TestNobodyIsAskedWhereNobodyIs(t *testing.T) {
	s, _, _, _ := iostreams.Test()
	if s.CanPrompt() {
		t.Error("a pipe can be asked")
	}
	s.SetTTY(true, true, true)
	if !s.CanPrompt() {
		t.Error("a terminal cannot be asked")
	}
	s.SetNoInput(true)
	if s.CanPrompt() {
		t.Error("--no-input can be asked")
	}
	s.SetNoInput(false)
	for ci, can := range map[string]bool{"true": false, "1": false, "false": true, "0": true, "": true} {
		s.SetEnv(map[string]string{"CI": ci})
		if s.CanPrompt() != can {
			t.Errorf("CI=%s: %v", ci, !can)
		}
	}
}

func TestAsk(t *testing.T) {
	s, in, _, errOut := iostreams.Test()
	in.WriteString("  yes \nmore")
	if got, err := s.Ask(context.Background(), "sure? "); err != nil || got != "yes" {
		t.Errorf("got %q, %v", got, err)
	}
	if errOut.String() != "sure? " {
		t.Errorf("asked %q", errOut.String())
	}
	s, in, _, _ = iostreams.Test()
	in.WriteString("no line feed")
	if got, err := s.Ask(context.Background(), "?"); err != nil || got != "no line feed" {
		t.Errorf("got %q, %v", got, err)
	}
	s, _, _, _ = iostreams.Test()
	if _, err := s.Ask(context.Background(), "?"); err != io.EOF {
		t.Errorf("got %v, want EOF", err)
	}
	s.In, _ = io.Pipe()
	ctx, cancel := context.WithCancelCause(context.Background())
	why := errors.New("ctrl-c")
	cancel(why)
	if _, err := s.Ask(ctx, "?"); err != why {
		t.Errorf("got %v, want the cause", err)
	}
}

func TestEscapeLeavesNothingThatMovesACursor(t *testing.T) {
	for in, want := range map[string]string{
		"plain":          "plain",
		"käse 猫 🐈":       "käse 猫 🐈",
		"👩\u200d💻":       "👩\u200d💻",
		"a\x1b[31mb":     `a\x1b[31mb`,
		"a\nb\tc\rd":     `a\nb\tc\rd`,
		"a\x00b\x7f":     `a\x00b\x7f`,
		"a\u009bb":       `a\u009bb`,
		"a\u202eb\u2066": `a\u202eb\u2066`,
		"a\u2028b":       `a\u2028b`,
		"\xff\xfe":       `\xff\xfe`,
		"\ufffd":         "\ufffd",
		"\ufeff":         `\ufeff`,
	} {
		if got := iostreams.Escape(in); got != want {
			t.Errorf("%q: got %q, want %q", in, got, want)
		}
	}
	if got := iostreams.EscapeLines("a\nb\tc\rd\x1b"); got != "a\nb\tc\\rd\\x1b" {
		t.Errorf("got %q", got)
	}
}

func FuzzEscape(f *testing.F) {
	f.Add("a\x1b[0m\xff\u202e\u009b")
	f.Fuzz(func(t *testing.T, s string) {
		for _, r := range iostreams.Escape(s) {
			if r < ' ' || r >= 0x7f && r < 0xa0 || r >= 0x202a && r <= 0x202e || r >= 0x2066 && r <= 0x2069 {
				t.Errorf("%q lets %U through", s, r)
			}
		}
	})
}

func TestTheFirstWriteErrorIsKept(t *testing.T) {
	s, _, _, _ := iostreams.Test()
	r, w := io.Pipe()
	r.Close()
	s.Redirect(w)
	if s.OutErr() != nil {
		t.Error("an error before a write")
	}
	for range 2 {
		if _, err := s.Out.Write([]byte("x")); !iostreams.IsBrokenPipe(err) {
			t.Errorf("got %v", err)
		}
	}
	if !iostreams.IsBrokenPipe(s.OutErr()) {
		t.Errorf("got %v", s.OutErr())
	}
	if !iostreams.IsBrokenPipe(syscall.EPIPE) || iostreams.IsBrokenPipe(io.EOF) {
		t.Error("EPIPE is a broken pipe, EOF is none")
	}
}

func TestTheSystemsStreamsAreNoTerminalsInATest(t *testing.T) {
	t.Setenv("PRISM_TEST_VARIABLE", "x")
	s := iostreams.System()
	if s.Env("PRISM_TEST_VARIABLE") != "x" {
		t.Error("the environment is not the process's")
	}
	if _, set := s.LookupEnv("PRISM_TEST_NOTHING"); set {
		t.Error("a variable that is not set is set")
	}
	if s.Now().IsZero() || s.Clock() == nil {
		t.Error("there is no clock")
	}
	if s.IsTTY(iostreams.In) && s.Width() == 0 {
		t.Error("a terminal without a width")
	}
}

// eventually polls until ok.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(5 * time.Second); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("never: %s", what)
		}
	}
}

func progress(t *testing.T, tty bool, env map[string]string) (*iostreams.IOStreams, *clock.Fake, *iostreams.Buffer) {
	s, _, _, errOut := iostreams.Test()
	c := clock.NewFake(iostreams.TestTime())
	s.SetClock(c)
	s.SetTTY(tty, tty, tty)
	s.SetSize(60, 20)
	s.SetEnv(env)
	return s, c, errOut
}

func TestQuickWorkIsNotAnnounced(t *testing.T) {
	for _, tty := range []bool{true, false} {
		s, c, errOut := progress(t, tty, nil)
		p := s.StartProgress("working")
		c.Advance(299 * time.Millisecond)
		p.Stop()
		p.Stop() // twice does no harm
		if errOut.String() != "" {
			t.Errorf("terminal %v: got %q", tty, errOut.String())
		}
	}
}

func TestOnATerminalProgressIsOneLineThatGoesAway(t *testing.T) {
	s, c, errOut := progress(t, true, nil)
	p := s.StartProgress("working")
	if s.StartProgress("second") != nil {
		t.Error("two at once")
	}
	c.Advance(300 * time.Millisecond)
	eventually(t, "the first frame", func() bool { return strings.HasSuffix(errOut.String(), "⠋ working 0s") })
	eventually(t, "the next timer", func() bool { return c.Timers() == 1 })
	c.Advance(2 * time.Second)
	eventually(t, "the elapsed time", func() bool { return strings.HasSuffix(errOut.String(), "working 2s") })
	p.Detail("pulling layer\x1b 3")
	p.Phase("starting")
	eventually(t, "the next timer", func() bool { return c.Timers() == 1 })
	c.Advance(9 * time.Second)
	eventually(t, "the phase", func() bool { return strings.HasSuffix(errOut.String(), "starting 9s") })
	p.Detail("still\x1b here and a line that is far too long for sixty columns of terminal")
	eventually(t, "the next timer", func() bool { return c.Timers() == 1 })
	c.Advance(2 * time.Second)
	eventually(t, "the detail, cut", func() bool { return strings.Contains(errOut.String(), `starting 11s  still\x1b here and a line`) })
	if !strings.HasSuffix(errOut.String(), "…") {
		t.Errorf("the line is not cut: %q", errOut.String())
	}
	s.ErrOut.Write([]byte("note\n"))
	p.Stop()
	if got := errOut.String(); !strings.Contains(got, "\r\x1b[Knote\n") {
		t.Errorf("the line was not erased before other words: %q", got)
	}
}

func TestProgressSaysHowFarItHasCome(t *testing.T) {
	s, c, errOut := progress(t, true, nil)
	p := s.StartProgress("importing")
	p.Measure(func() string { return "7 events\x1b, 3%" })
	c.Advance(300 * time.Millisecond)
	eventually(t, "the measure", func() bool { return strings.HasSuffix(errOut.String(), `importing 0s  7 events\x1b, 3%`) })
	p.Phase("closing")
	eventually(t, "the next timer", func() bool { return c.Timers() == 1 })
	c.Advance(2 * time.Second)
	eventually(t, "the next phase, without it", func() bool { return strings.HasSuffix(errOut.String(), "closing 2s") })
	p.Stop()
}

func TestElsewhereProgressIsOnePlainLineForEachPhase(t *testing.T) {
	for name, env := range map[string]map[string]string{"a pipe": nil, "CI": {"CI": "true"}, "words": {"PRISM_NO_SPINNER": "1"}, "a dumb terminal": {"TERM": "dumb"}} {
		s, c, errOut := progress(t, name != "a pipe", env)
		p := s.StartProgress("working")
		c.Advance(300 * time.Millisecond)
		eventually(t, name, func() bool { return errOut.String() == "working\n" })
		p.Phase("starting")
		p.Phase("probing")
		p.Stop()
		if got := errOut.String(); got != "working\nstarting\nprobing\n" {
			t.Errorf("%s: got %q", name, got)
		}
	}
}

func TestANilProgressDoesNothing(t *testing.T) {
	var p *iostreams.Progress
	p.Phase("x")
	p.Detail("x")
	p.Measure(nil)
	p.Stop()
}

func paged(t *testing.T, env map[string]string, lines int) (out string, started string) {
	t.Helper()
	s, _, buf, _ := iostreams.Test()
	s.SetTTY(true, true, true)
	s.SetSize(80, 5)
	s.SetEnv(env)
	var read bytes.Buffer
	s.SetPager(func(command string, _, _ io.Writer) (io.WriteCloser, func() error, error) {
		started = command
		if command == "absent" {
			return nil, nil, os.ErrNotExist
		}
		return closer{&read}, func() error { return nil }, nil
	})
	w := s.Pager()
	for range lines {
		if _, err := w.Write([]byte("line\n")); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(buf.String()+read.String(), "line\n"); n != lines {
		t.Errorf("%d lines came out of %d", n, lines)
	}
	return buf.String(), started
}

type closer struct{ io.Writer }

func (closer) Close() error { return nil }

func TestOnlyWhatIsLongerThanAScreenIsPaged(t *testing.T) {
	if out, started := paged(t, nil, 4); started != "" || out == "" {
		t.Errorf("a short text started %q", started)
	}
	if out, started := paged(t, nil, 9); started != "less" || out != "" {
		t.Errorf("a long text started %q", started)
	}
	for _, c := range []struct {
		env  map[string]string
		want string
	}{
		{map[string]string{"PAGER": "more"}, "more"},
		{map[string]string{"PAGER": "more", "PRISM_PAGER": "most -w"}, "most -w"},
		{map[string]string{"PAGER": "more", "PRISM_PAGER": ""}, ""},
		{map[string]string{"PAGER": "cat"}, ""},
		{map[string]string{"CI": "1"}, ""},
		{map[string]string{"TERM": "dumb"}, ""},
		{map[string]string{"PAGER": "absent"}, "absent"},
	} {
		if _, started := paged(t, c.env, 9); started != c.want {
			t.Errorf("%v started %q, want %q", c.env, started, c.want)
		}
	}
}

func TestAPipeAndNoPagerAreNotPaged(t *testing.T) {
	s, _, out, _ := iostreams.Test()
	s.SetPager(func(string, io.Writer, io.Writer) (io.WriteCloser, func() error, error) {
		t.Error("a pager was started")
		return nil, nil, os.ErrNotExist
	})
	for _, tty := range []bool{false, true} {
		s.SetTTY(tty, tty, tty)
		s.SetNoPager(tty)
		w := s.Pager()
		w.Write([]byte(strings.Repeat("x\n", 100)))
		w.Close()
	}
	if n := strings.Count(out.String(), "x\n"); n != 200 {
		t.Errorf("%d lines", n)
	}
}

func TestARealPagerGetsTheText(t *testing.T) {
	s, _, out, _ := iostreams.Test()
	s.SetTTY(true, true, true)
	s.SetSize(80, 3)
	s.SetEnv(map[string]string{"PRISM_PAGER": "sed s/x/y/"})
	s.SetPager(nil)
	w := s.Pager()
	w.Write([]byte("x\nx\nx\nx\n"))
	w.Write([]byte("x\n"))
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if got := out.String(); got != "y\ny\ny\ny\ny\n" {
		t.Errorf("got %q", got)
	}
	s.SetEnv(map[string]string{"PRISM_PAGER": "there-is-no-such-program"})
	w = s.Pager()
	w.Write([]byte("x\nx\nx\nx\n"))
	w.Write([]byte("z\n"))
	w.Close()
	if got := out.String(); !strings.HasSuffix(got, "x\nx\nx\nx\nz\n") {
		t.Errorf("without the program: got %q", got)
	}
}

func TestBufferResets(t *testing.T) {
	var b iostreams.Buffer
	b.WriteString("x")
	b.Reset()
	if b.String() != "" {
		t.Error("not empty")
	}
}
