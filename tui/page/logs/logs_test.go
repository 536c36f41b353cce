package logs

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"
	"time"

	tea "charm.land/bubbletea/v2"

	"go.uber.org/goleak"

	"github.com/prism-data-layer/prism/pkg/prism"
	"github.com/prism-data-layer/prism/tui"
	"github.com/prism-data-layer/prism/tui/component/logview"
	"github.com/prism-data-layer/prism/tui/component/tail"
	"github.com/prism-data-layer/prism/tui/keys"
	"github.com/prism-data-layer/prism/tui/page"
	"github.com/prism-data-layer/prism/tui/theme"
	"github.com/prism-data-layer/prism/tui/tuitest"
)

var _ = flag.Bool("update", false, "write the golden files anew")

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

type store struct {
	mu    sync.Mutex
	lines []logview.Line
	err   error
	since []time.Time
	of    []string
	saved bytes.Buffer
	path  string
}

func (s *store) Logs(_ context.Context, service string, since time.Time, to *tail.Sink[logview.Line]) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.since, s.of = append(s.since, since), append(s.of, service)
	for _, l := range s.lines {
		if service == "" || l.Source == service {
			to.Send(l)
		}
	}
	return s.err
}

func (s *store) Save(_ context.Context, path string, write func(io.Writer) error) (string, error) {
	s.path = path
	return "saved to " + path, write(&s.saved)
}

func written() *store {
	s := &store{}
	put := func(i int, source, text string) {
		s.lines = append(s.lines, logview.Line{Time: tuitest.Noon().Add(time.Duration(i) * 10 * time.Millisecond), Source: source, Text: text})
	}
	for i := range 60 {
		put(i, []string{"prismd", "redis"}[i%2], fmt.Sprintf("level=%s msg=\"request %02d\" took=%dµs", []string{"INFO", "DEBUG", "WARN"}[i%3], i, i*7))
	}
	put(60, "worker", "level=ERROR \x1b[2J\x1b]0;x\x07 日本 שלום \u202e cannot reach the gateway")
	put(61, "worker", "long "+strings.Repeat("0123456789 ", 40))
	return s
}

func open(t testing.TB, s *store, view string, mode theme.Mode, w, h int) *tuitest.Screen {
	return tuitest.Open(t, tui.Options{Pages: []page.Factory{Factory(s)}, View: view, Mode: mode}, w, h).Start().Pass(1)
}

func TestScreens(t *testing.T) {
	t.Parallel()
	tuitest.Screens(t, "logs", func(t *testing.T, mode theme.Mode, w, h int) *tuitest.Screen {
		return open(t, written(), "logs", mode, w, h)
	})
	for name, draw := range map[string]func() *tuitest.Screen{
		"wrapped": func() *tuitest.Screen { return open(t, written(), "logs", theme.Mono, 80, 24).Keys("w") },
		"search": func() *tuitest.Screen {
			return open(t, written(), "logs", theme.Mono, 80, 24).Keys("/").Type("request 2").Keys("enter", "N")
		},
		"errors": func() *tuitest.Screen { return open(t, written(), "logs", theme.Mono, 80, 24).Keys("v", "v", "v", "v") },
		"none": func() *tuitest.Screen {
			return open(t, written(), "logs redis", theme.Mono, 80, 24).Keys("v", "v", "v", "v")
		},
		"empty": func() *tuitest.Screen { return open(t, &store{}, "logs", theme.Mono, 80, 24) },
		"failed": func() *tuitest.Screen {
			return open(t, &store{err: prism.New(prism.ReasonPermissionDenied, "the control socket belongs to another user")}, "logs", theme.Mono, 80, 24)
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := draw()
			tuitest.CheckFrame(t, s.Frame(), 80, 24)
			tuitest.Golden(t, name, s.Frame())
		})
	}
}

func TestReadingStopsFollowing(t *testing.T) {
	t.Parallel()
	sc := open(t, written(), "logs", theme.Mono, 100, 30).Wants("62 lines", "worker", "nothing more comes")
	sc.Keys("up").Wants("stays here: End follows").Keys("end").Lacks("stays here")
	sc.Keys("/").Type("[").Keys("enter").Wants("the search cannot be read").Keys("esc").Lacks("the search")
	sc.Keys("s").Wants("30 of 62 lines · of prismd")
}

func TestLogsAreReadAgainSinceATimeAndSaved(t *testing.T) {
	t.Parallel()
	s := written()
	sc := open(t, s, "logs prismd", theme.Mono, 100, 30).Wants("Logs of prismd · 30 lines")
	sc.Keys("i").Type("soon").Keys("ctrl+s").Wants("write it as 10m or 2h")
	sc.Keys("ctrl+u").Type("10m").Keys("ctrl+s").Pass(1)
	if n := len(s.since); n != 2 || !s.since[1].Equal(tuitest.Noon().Add(-10*time.Minute+time.Second)) || s.of[1] != "prismd" {
		t.Errorf("read since %v of %q", s.since, s.of)
	}
	sc.Keys("o", "ctrl+u").Type("all.txt").Keys("ctrl+s").Pass(1)
	if n := strings.Count(s.saved.String(), "\n"); s.path != "all.txt" || n != 30 || !strings.HasPrefix(s.saved.String(), "2026-03-01T12:00:00Z prismd | level=INFO") {
		t.Errorf("%d lines in %q:\n%.200s", n, s.path, s.saved.String())
	}
}

func TestLogsThatHaveEndedStandStill(t *testing.T) {
	t.Parallel()
	sc := open(t, written(), "logs", theme.Mono, 80, 24).Wants("nothing more comes", "all of it")
	frame := sc.Frame()
	for range 120 {
		if sc.Pass(1); sc.Frame() != frame {
			t.Fatalf("what has ended changes:\n%s", sc.Text())
		}
	}
}

func TestAFullBatchIsTaken(t *testing.T) {
	t.Parallel()
	s := &store{}
	for i := range 9000 { // what one batch may hold: more waits for the next
		s.lines = append(s.lines, logview.Line{Time: tuitest.Noon(), Source: "prismd", Text: fmt.Sprintf("line %d", i)})
	}
	open(t, s, "logs", theme.Mono, 80, 24).Wants("9,000 lines", "line 8999")
}

func TestNoKeyMeansTwoThings(t *testing.T) {
	t.Parallel()
	if c := keys.Conflicts(keys.Global(), New(tuitest.Env(), "", &store{}).Keys()); c != nil {
		t.Error(c)
	}
}

func TestTheWheelReadsAndTheCommandIsThatOfTheLogs(t *testing.T) {
	t.Parallel()
	m := New(tuitest.Env(), "prismd", written())
	m.SetSize(100, 20)
	if i, ok := m.Selected(); !ok || !strings.Contains(i.Command, "dev logs prismd") {
		t.Errorf("got %+v, %v", i, ok)
	}
	if len(m.Panes()) == 0 {
		t.Error("the mouse selects nowhere")
	}
	m.Remember(m.Memory())
	m.Close()

	sc := open(t, written(), "logs", theme.Mono, 100, 30).Wants("62 lines")
	sc.Send(tea.MouseWheelMsg{X: 5, Y: 10, Button: tea.MouseWheelUp})
	sc.Wants("stays here: End follows")
	sc.Keys("/").Type("job").Wants("/job", "Enter searches")
}
