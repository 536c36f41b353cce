//go:build linux

package supervise

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

// noisy is a service that is never ready and says what it is told to.
func noisy(lines ...string) Spec {
	s := childSpec("app", "notes", strings.Join(lines, "|"))
	s.Notes = true
	s.Ready = Probe{Name: "a question", Check: func(context.Context, Instance) error { return errors.New("no answer") }}
	return s
}

func TestNoteIsTheMessageAndNoLogLine(t *testing.T) {
	t.Parallel()
	r := supervise(t, Options{Services: []Spec{noisy("before", "note:pulls redis:8", "", "note:pulls redis:8 12 of 40 MB", "after")}})
	until(t, "the note is the message", func() bool { return r.Status().Service("app").Message == "pulls redis:8 12 of 40 MB" })
	until(t, "the rest is in the log", func() bool { return strings.Join(r.service("app").logs.last(9), "|") == "before||after" })
}

func TestNoteThatIsTakenBackUncoversTheProbe(t *testing.T) {
	t.Parallel()
	r := supervise(t, Options{Services: []Spec{noisy("note:pulls", "note:")}})
	until(t, "the probe is the message", func() bool {
		return r.Status().Service("app").Message == "waits for a question: no answer"
	})
}

func TestLateServiceSaysItsNoteBesideTheProbe(t *testing.T) {
	t.Parallel()
	s := noisy("note:pulls redis:8")
	s.Ready.Timeout = 10 * time.Millisecond
	r := supervise(t, Options{Services: []Spec{s}})
	want := "not ready after 10ms: a question: no answer; its last word: pulls redis:8"
	until(t, "both are said", func() bool { return r.Status().Service("app").Message == want })
}

func TestNotesOfAReadyServiceAreNoMessage(t *testing.T) {
	t.Parallel()
	s := noisy("note:is still here", "end")
	s.Ready = Probe{}
	r := supervise(t, Options{Services: []Spec{s}})
	r.ready()
	until(t, "it has said all", func() bool { return strings.Join(r.service("app").logs.last(9), "|") == "end" })
	if got := r.Status().Service("app"); got.Message != "" {
		t.Errorf("got %q", got.Message)
	}
}

func TestWhoMaySendNoNotesPrintsThem(t *testing.T) {
	t.Parallel()
	s := noisy("note:I am root")
	s.Notes = false
	r := supervise(t, Options{Services: []Spec{s}})
	until(t, "it is a line", func() bool { return strings.Join(r.service("app").logs.last(9), "|") == NotePrefix+"I am root" })
	if got := r.Status().Service("app"); strings.Contains(got.Message, "root") {
		t.Errorf("got %q", got.Message)
	}
}

func TestHostileNotesAreShortCleanAndFewEvents(t *testing.T) {
	t.Parallel()
	lines := []string{"note:\x1b[2J\x07clear " + strings.Repeat("ä", 5000)}
	for i := range 2000 {
		lines = append(lines, fmt.Sprintf("note:step %d", i))
	}
	r := supervise(t, Options{Services: []Spec{noisy(lines...)}})
	events := r.Events(t.Context())
	began := time.Now()
	n := 0
	for e := range events {
		if !strings.HasPrefix(e.Message, "waits") {
			n++
		}
		if strings.ContainsAny(e.Message, "\x1b\x07\x00") || len(e.Message) > maxNoteBytes {
			t.Fatalf("got %q", e.Message)
		}
		if e.Message == "step 1999" {
			break
		}
		if time.Since(began) > patience {
			t.Fatal("the last note was no event")
		}
	}
	// The start, one at once, and then five a second.
	if most := 3 + int(time.Since(began)/noteEvery); n > most {
		t.Errorf("%d events, at most %d are allowed", n, most)
	}
}

func TestNoteIsOneLine(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"pulls":                          "pulls",
		" two\nlines\tof it ":            "two lines of it",
		"\x1b[31mred\x00":                "[31mred",
		"exe\u202etxt\u200b":             "exe txt",
		"":                               "",
		"\xff\xfe":                       "\uFFFD\uFFFD",
		strings.Repeat("x", 1000):        strings.Repeat("x", maxNoteBytes-3) + "…",
		strings.Repeat("ä", 1000) + "\n": strings.Repeat("ä", (maxNoteBytes-3)/2) + "…",
	} {
		var b bytes.Buffer
		if err := Note(&b, in); err != nil || b.String() != NotePrefix+want+"\n" {
			t.Errorf("%.20q: got %q", in, b.String())
		}
	}
}

func FuzzNote(f *testing.F) {
	f.Add("pulls redis:8 12 of 40 MB")
	f.Add("\x1b[2J\n" + NotePrefix)
	f.Add(strings.Repeat("ä", maxNoteBytes))
	f.Fuzz(func(t *testing.T, text string) {
		var b bytes.Buffer
		if err := Note(&b, text); err != nil {
			t.Fatal(err)
		}
		line, rest, ok := bytes.Cut(b.Bytes(), []byte{'\n'})
		got, is := noteIn(line)
		if !ok || len(rest) > 0 || !is || len(got) > maxNoteBytes || !utf8.ValidString(got) || strings.ContainsAny(got, "\x00\x1b\r") || got != oneLine(got) {
			t.Fatalf("%q became %q", text, b.String())
		}
	})
}
