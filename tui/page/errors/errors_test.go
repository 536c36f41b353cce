package errors_test

import (
	stderrors "errors"
	"flag"
	"fmt"
	"strings"
	"testing"

	"github.com/prism-data-layer/prism/pkg/prism"
	"github.com/prism-data-layer/prism/tui"
	"github.com/prism-data-layer/prism/tui/component/told"
	"github.com/prism-data-layer/prism/tui/page"
	"github.com/prism-data-layer/prism/tui/page/errors"
	"github.com/prism-data-layer/prism/tui/theme"
	"github.com/prism-data-layer/prism/tui/tuitest"
)

var _ = flag.Bool("update", false, "write the golden files anew")

func log() *told.Log {
	l := &told.Log{}
	l.Add(tuitest.Noon(), "overview", prism.New(prism.ReasonUnavailable, "cannot reach the gateway at 127.0.0.1:8981").WithCause(stderrors.New("connection refused")))
	l.Add(tuitest.Noon(), "sessions", prism.New(prism.ReasonPermissionDenied, "you may not end sessions"))
	l.Add(tuitest.Noon(), "sessions", stderrors.New("\x1b[2Jevil 日本語"))
	l.Add(tuitest.Noon(), "sessions", stderrors.New("\x1b[2Jevil 日本語"))
	return l
}

func open(t *testing.T, l *told.Log, mode theme.Mode, w, h int) *tuitest.Screen {
	return tuitest.Open(t, tui.Options{Pages: []page.Factory{errors.Factory(l)}, Told: l, Mode: mode}, w, h).Start()
}

func TestScreens(t *testing.T) {
	t.Parallel()
	tuitest.Screens(t, "errors", func(t *testing.T, mode theme.Mode, w, h int) *tuitest.Screen { return open(t, log(), mode, w, h) })
	tuitest.Golden(t, "empty", open(t, &told.Log{}, theme.Mono, 80, 24).Frame())
	tuitest.Golden(t, "one", open(t, log(), theme.Mono, 80, 24).Keys("G", "enter").Frame())
}

func TestErrorsAreReadCopiedAndForgotten(t *testing.T) {
	t.Parallel()
	l := log()
	s := open(t, l, theme.Mono, 120, 40)
	s.Keys("G", "enter").Wants("cannot reach the gateway", "connection refused", "prismctl dev up", "on overview, 1 times")
	s.Keys("esc", "y", "Y", "g", "y")
	if len(s.Copied) != 3 || s.Copied[0] != "cannot reach the gateway at 127.0.0.1:8981: connection refused" || !strings.Contains(s.Copied[1], "cause: 'connection refused'") {
		t.Errorf("copied %q", s.Copied)
	}
	if strings.Contains(fmt.Sprint(s.Copied), "\x1b") {
		t.Errorf("an escape sequence is copied: %q", s.Copied)
	}
	s.Keys("x").Wants("no errors were told")
	s.Keys("enter").Wants("there is no error to read")
	if len(l.List()) != 0 {
		t.Error("they are not forgotten")
	}
}
