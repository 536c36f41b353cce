package logview

import (
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/charmbracelet/x/ansi"

	"github.com/prism-data-layer/prism/tui/keys"
	"github.com/prism-data-layer/prism/tui/theme"
)

func noon() time.Time { return time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC) }

func line(i int, s string) Line {
	return Line{Time: noon().Add(time.Duration(i) * time.Second), Source: "prismd", Text: s}
}

func filled(n int) *Model {
	m := New()
	for i := range n {
		m.Append(line(i, fmt.Sprintf("level=%s request %04d", []string{"INFO", "DEBUG", "WARN", "ERROR"}[i%4], i)))
	}
	return m
}

func view(m *Model, w, h int) string {
	return ansi.Strip(strings.Join(m.View(theme.New(theme.Mono), w, h), "\n"))
}

func TestItFollowsUntilSomebodyReads(t *testing.T) {
	t.Parallel()
	m := filled(100)
	if got := view(m, 80, 10); !strings.HasSuffix(got, "request 0099") {
		t.Errorf("it does not follow:\n%s", got)
	}
	m.Do(keys.Up)
	m.Append(line(100, "one more"), line(101, "and one"))
	if got := view(m, 80, 10); !strings.HasSuffix(got, "request 0098") || !strings.Contains(m.Status(), "↓ 2 new") || m.Following() {
		t.Errorf("%s\n%s", m.Status(), got)
	}
	m.Do(keys.Bottom)
	if got := view(m, 80, 10); !strings.HasSuffix(got, "and one") || strings.Contains(m.Status(), "new") {
		t.Errorf("%s\n%s", m.Status(), got)
	}
	m.Do(keys.Top)
	if got := view(m, 80, 10); !strings.Contains(got, "request 0000") {
		t.Errorf("not the first line:\n%s", got)
	}
	for range 20 { // down to the end, it follows again
		m.Do(keys.PageDown)
		view(m, 80, 10)
	}
	if !m.Following() {
		t.Error("it does not follow again at the end")
	}
	m = filled(3)
	view(m, 80, 10)
	if m.Do(keys.Up); !m.Following() {
		t.Error("there is nothing above")
	}
}

func TestSearchGoesFromMatchToMatch(t *testing.T) {
	t.Parallel()
	m := filled(1000)
	view(m, 80, 10)
	m.Search("ERROR.*7$")
	if chosen, of := m.Hits(); chosen != 50 || of != 50 {
		t.Fatalf("%d of %d", chosen, of)
	}
	if got := view(m, 80, 10); !strings.Contains(got, "request 0987") || !strings.Contains(m.Status(), "match 50/50") {
		t.Errorf("%s\n%s", m.Status(), got)
	}
	m.Do(Next)
	if got := view(m, 80, 10); !strings.Contains(got, "request 0007") {
		t.Errorf("it does not go round:\n%s", got)
	}
	m.Do(Prev)
	m.Do(Prev)
	if chosen, _ := m.Hits(); chosen != 49 {
		t.Errorf("match %d", chosen)
	}
	m.Append(line(1000, "ERROR 7"))
	if _, of := m.Hits(); of != 51 {
		t.Errorf("%d matches after one more", of)
	}
	m.Search("[")
	if m.Problem() == nil || !strings.Contains(m.Status(), "cannot be read") {
		t.Error("a wrong pattern is not told")
	}
	m.Search("")
	if _, of := m.Hits(); of != 0 {
		t.Error("the search has not ended")
	}
}

func TestLevelsAndSourcesFilter(t *testing.T) {
	t.Parallel()
	m := filled(40)
	m.Append(Line{Time: noon(), Source: "redis", Text: "ready to accept connections"})
	want := map[Level]int{None: 41, Debug: 40, Info: 30, Warn: 20, Error: 10}
	for range 5 {
		if m.Shown() != want[m.Level()] {
			t.Errorf("%s: %d lines, want %d", m.Level(), m.Shown(), want[m.Level()])
		}
		m.Do(Graver)
	}
	m.Do(Sources)
	m.Do(Sources)
	if m.Shown() != 1 || m.Source() != "redis" || !strings.Contains(m.Status(), "1 of 41 lines · of redis") {
		t.Errorf("%d lines of %q: %s", m.Shown(), m.Source(), m.Status())
	}
	m.Do(Sources)
	if m.Shown() != 41 || len(m.Lines()) != 41 {
		t.Errorf("%d lines of %q", m.Shown(), m.Source())
	}
}

func TestLinesAreWrappedOrCut(t *testing.T) {
	t.Parallel()
	m := New()
	m.Append(line(0, strings.Repeat("0123456789", 30)))
	m.Do(Times)
	if got := view(m, 50, 4); strings.Count(got, "0123456789") != 4 || !strings.Contains(got, "…") {
		t.Errorf("not cut:\n%s", got)
	}
	m.Do(Right)
	if got := view(m, 50, 4); !strings.HasPrefix(got, "0123456789") || strings.Count(got, "0123456789") != 5 {
		t.Errorf("not to the right:\n%s", got)
	}
	m.Do(Wrap)
	if got := view(m, 50, 10); strings.Count(got, "0123456789") != 30 {
		t.Errorf("not wrapped:\n%s", got)
	}
}

func TestWhatLinesHoldIsDrawnSafely(t *testing.T) {
	t.Parallel()
	for _, s := range []string{
		"\x1b[2J\x1b]0;x\x07red", strings.Repeat("日本語👩‍👩‍👧", 300), "\u202eRTL שלום", "tab\there\r", "\xff\xfe\x00", strings.Repeat("x", 1<<20),
	} {
		m := New()
		m.Append(Line{Source: "a\x1b[2J", Text: s}, Line{Source: "日本", Text: s})
		for range 2 {
			for _, w := range []int{8, 20, 80, 200} {
				for _, l := range m.View(theme.New(theme.Mono), w, 6) {
					if strings.ContainsAny(l, "\x1b\x07\r\t\u202e") || ansi.StringWidth(l) > w {
						t.Fatalf("%.20q at %d: %q", s, w, l)
					}
				}
			}
			m.Do(Wrap)
		}
	}
}

func TestALineOfAMegabyteIsCutAndSaysSo(t *testing.T) {
	t.Parallel()
	m := New()
	m.Append(line(0, strings.Repeat("x", 1<<20)))
	if m.bytes > maxText || m.lines[0].Cut != 1<<20-maxText {
		t.Errorf("%d bytes are held, %d cut", m.bytes, m.lines[0].Cut)
	}
	m.Do(Wrap)
	if got := view(m, 300, 70); !strings.Contains(got, "1008 KiB more") {
		t.Errorf("it is not said:\n%.500s", got)
	}
}

func TestTheOldestGoAndThePlaceStays(t *testing.T) {
	t.Parallel()
	m := filled(MaxLines)
	view(m, 80, 10)
	m.Search("request 0500$")
	if !m.More() {
		t.Error("all was searched at once")
	}
	for m.More() {
	}
	if chosen, of := m.Hits(); chosen != 1 || of != 1 {
		t.Errorf("match %d of %d", chosen, of)
	}
	m.Do(keys.Top)
	m.Do(keys.PageDown)
	before := m.top
	m.Append(line(0, "one more"))
	if m.Len() > MaxLines || m.gone == 0 {
		t.Errorf("%d lines are held, %d gone", m.Len(), m.gone)
	}
	if _, of := m.Hits(); of != 0 || m.top > before {
		t.Errorf("%d matches, at %d", of, m.top)
	}
	view(m, 80, 10)
	m = filled(MaxLines)
	view(m, 80, 10)
	m.Scroll(-MaxLines / 2)
	want := view(m, 80, 10)
	m.Append(line(0, "one more"))
	if got := view(m, 80, 10); m.gone == 0 || got != want {
		t.Errorf("the place has moved:\n%s\nwas\n%s", got, want)
	}
	big := New()
	for i := range 4000 {
		big.Append(line(i, strings.Repeat("y", maxText)))
	}
	if big.bytes > MaxBytes {
		t.Errorf("%d bytes are held", big.bytes)
	}
}

func TestLevelOf(t *testing.T) {
	t.Parallel()
	for s, want := range map[string]Level{
		`time=2026 level=WARN msg=x`: Warn, `{"level":"error"}`: Error, "INFO: ready": Info, "nothing": None, "[DBG] x": Debug, "information": None, "": None,
	} {
		if got := LevelOf(s); got != want {
			t.Errorf("%q is %s, want %s", s, got, want)
		}
	}
}

// A hundred thousand lines take less than 50 MB.
func TestAHundredThousandLinesFit(t *testing.T) {
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	m := New()
	for i := range MaxLines {
		m.Append(line(i, fmt.Sprintf("time=2026-03-01T12:00:00Z level=INFO msg=request method=/prism.keyvalue.v1.KeyValueService/Get n=%d took=120µs", i)))
	}
	m.Search("n=4")
	runtime.GC()
	runtime.ReadMemStats(&after)
	if got := int64(after.HeapAlloc) - int64(before.HeapAlloc); got > 50<<20 {
		t.Errorf("%d MB for %d lines", got>>20, m.Len())
	}
	runtime.KeepAlive(m)
}

func BenchmarkView100k(b *testing.B) {
	m := filled(MaxLines)
	m.Search("error")
	th := theme.New(theme.Dark)
	for b.Loop() {
		m.View(th, 120, 40)
		m.Do(keys.Up)
	}
}

func BenchmarkSearch100k(b *testing.B) {
	m := filled(MaxLines)
	for b.Loop() {
		m.Search("error.*99")
	}
}

func BenchmarkAppendAtTheBound(b *testing.B) {
	m := filled(MaxLines)
	l := line(0, "level=INFO one more line of a usual length, as they come")
	for b.Loop() {
		m.Append(l)
	}
}

func BenchmarkViewOfAMegabyteLine(b *testing.B) {
	m := New()
	m.Append(line(0, strings.Repeat("日本 x", 1<<18)))
	m.Do(Wrap)
	th := theme.New(theme.Dark)
	for b.Loop() {
		m.View(th, 120, 40)
	}
}
