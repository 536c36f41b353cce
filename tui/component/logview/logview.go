// Package logview shows lines of logs: it follows what comes, or stays where a
// person reads; it searches, filters by level and source, wraps. What it holds
// is bounded in lines and in bytes.
package logview

import (
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/prism-data-layer/prism/tui/component/text"
)

// Bounds of what is held; the oldest lines go first.
const (
	MaxLines = 100_000
	MaxBytes = 32 << 20
	maxText  = 16 << 10 // of one line: more of it is no line for people
)

// A Level is how grave a line is.
type Level uint8

// The levels. None is a line that names none.
const (
	None Level = iota
	Debug
	Info
	Warn
	Error
)

// String is the level's word.
func (l Level) String() string { return [...]string{"all", "debug", "info", "warn", "error"}[l] }

// A Line is one line of a log.
type Line struct {
	Time   time.Time
	Source string
	Level  Level
	Text   string
	Cut    int // bytes that are left out of Text
}

// LevelOf finds the level that a line names near its beginning.
func LevelOf(s string) Level {
	for _, word := range strings.FieldsFunc(s[:min(len(s), 160)], func(r rune) bool { return !unicode.IsLetter(r) }) {
		switch strings.ToLower(word) {
		case "debug", "dbg", "trace":
			return Debug
		case "info", "inf", "notice":
			return Info
		case "warn", "warning", "wrn":
			return Warn
		case "error", "err", "fatal", "panic", "critical":
			return Error
		}
	}
	return None
}

// A Model is the lines and what is seen of them. The zero Model follows.
type Model struct {
	lines []Line
	gone  int64 // lines that were held once: lines[0] is line number gone
	bytes int

	shown  []int64 // numbers of the lines that the filters let through
	level  Level   // this one and graver; None: all
	source string  // "": all

	wrap  bool
	times bool
	left  int // cells that are scrolled away at the left

	held   bool  // not following
	top    int   // in shown, while held
	since  int64 // lines that had come when it was held
	first  int   // in shown, of the last View
	height int
	broken bool // more was above than there was room for

	search  string
	pattern *regexp.Regexp
	problem error
	hits    []int64
	hit     int // in hits; -1: none is chosen
	unread  int // of shown, those that were not searched yet: the first ones
	sought  bool

	sources []string
}

// New makes a model that follows, with times and without wrapping.
func New() *Model { return &Model{times: true, hit: -1, height: 1} }

// Append adds lines; texts that are longer than a screen can show are cut.
func (m *Model) Append(lines ...Line) {
	for _, l := range lines {
		if len(l.Text) > maxText {
			l.Cut += len(l.Text) - maxText
			l.Text = strings.Clone(l.Text[:maxText])
		}
		if l.Level == None {
			l.Level = LevelOf(l.Text)
		}
		if !slices.Contains(m.sources, l.Source) {
			m.sources = append(m.sources, l.Source)
			slices.Sort(m.sources)
		}
		no := m.gone + int64(len(m.lines))
		m.lines = append(m.lines, l)
		m.bytes += len(l.Text)
		if m.passes(l) {
			m.shown = append(m.shown, no)
			if m.pattern != nil && m.pattern.MatchString(l.Text) {
				m.hits = append(m.hits, no)
			}
		}
	}
	m.evict()
}

// evict lets the oldest lines go, many at a time: each time costs a copy.
func (m *Model) evict() {
	if len(m.lines) <= MaxLines && m.bytes <= MaxBytes {
		return
	}
	n := 0
	for n < len(m.lines) && (len(m.lines)-n > MaxLines*9/10 || m.bytes > MaxBytes*9/10) {
		m.bytes -= len(m.lines[n].Text)
		n++
	}
	m.lines = slices.Delete(m.lines, 0, n)
	m.gone += int64(n)
	drop := func(list []int64) ([]int64, int) {
		i, _ := slices.BinarySearch(list, m.gone)
		return slices.Delete(list, 0, i), i
	}
	var lost int
	m.shown, lost = drop(m.shown)
	m.top, m.unread = max(m.top-lost, 0), max(m.unread-lost, 0)
	m.hits, lost = drop(m.hits)
	if m.hit >= 0 {
		m.hit = max(m.hit-lost, -1)
	}
}

func (m *Model) passes(l Line) bool {
	return (m.level == None || l.Level >= m.level) && (m.source == "" || l.Source == m.source)
}

// Clear forgets all lines.
func (m *Model) Clear() {
	m.gone += int64(len(m.lines))
	m.lines, m.shown, m.hits, m.hit, m.bytes, m.top, m.held = nil, nil, nil, -1, 0, 0, false
	m.unread = 0
}

// Len is how many lines are held, Shown how many the filters let through.
func (m *Model) Len() int { return len(m.lines) }

// Shown is how many lines the filters let through.
func (m *Model) Shown() int { return len(m.shown) }

// Lines are those that the filters let through, the oldest first.
func (m *Model) Lines() []Line {
	out := make([]Line, len(m.shown))
	for i, no := range m.shown {
		out[i] = m.line(no)
	}
	return out
}

func (m *Model) line(no int64) Line { return m.lines[no-m.gone] }

// Sources are those that lines came from, by name.
func (m *Model) Sources() []string { return m.sources }

// Following reports whether the newest line is shown.
func (m *Model) Following() bool { return !m.held }

// New is how many lines came since it stopped following.
func (m *Model) New() int64 {
	if !m.held {
		return 0
	}
	return m.gone + int64(len(m.lines)) - m.since
}

// Level is the filter by level; Source that by source.
func (m *Model) Level() Level { return m.level }

// Source is the filter by source; "" for all.
func (m *Model) Source() string { return m.source }

// SetFilter shows the lines of a level or a graver one, and of a source.
func (m *Model) SetFilter(level Level, source string) {
	var at int64 = -1
	if m.held && m.top < len(m.shown) {
		at = m.shown[m.top]
	}
	m.level, m.source, m.shown = level, source, nil
	for i, l := range m.lines {
		if m.passes(l) {
			m.shown = append(m.shown, m.gone+int64(i))
		}
	}
	if at >= 0 {
		m.top, _ = slices.BinarySearch(m.shown, at)
	}
	m.find()
}

// Search looks for a regular expression; small letters match large ones too.
// "" ends the search.
func (m *Model) Search(pattern string) {
	m.search, m.pattern, m.problem = pattern, nil, nil
	if pattern != "" {
		expr := pattern
		if strings.IndexFunc(pattern, unicode.IsUpper) < 0 {
			expr = "(?i)" + expr
		}
		m.pattern, m.problem = regexp.Compile(expr)
	}
	m.sought = true
	m.find()
}

// Searching is the pattern; "" for none.
func (m *Model) Searching() string { return m.search }

// Hits are how many lines match, and which of them is chosen, from 1; 0: none.
func (m *Model) Hits() (chosen, of int) { return m.hit + 1, len(m.hits) }

// Problem is why the pattern cannot be read.
func (m *Model) Problem() error { return m.problem }

// atOnce is how many lines are searched before the screen is drawn again.
const atOnce = 5_000

func (m *Model) find() {
	m.hits, m.hit, m.unread = nil, -1, 0
	if m.pattern != nil {
		m.unread = len(m.shown)
		m.More()
	}
}

// More searches on, from the newest lines to the oldest; false when all of them
// were. It is called until then: a search of all at once would be felt.
func (m *Model) More() bool {
	if m.unread == 0 {
		return false
	}
	from := max(m.unread-atOnce, 0)
	var found []int64
	for _, no := range m.shown[from:m.unread] {
		if m.pattern.MatchString(m.line(no).Text) {
			found = append(found, no)
		}
	}
	m.unread = from
	m.hits = append(found, m.hits...)
	switch {
	case m.hit >= 0:
		m.hit += len(found)
	case m.sought && len(m.hits) > 0: // the newest is the one that is meant
		m.hit, m.sought = len(m.hits)-1, false
		m.reveal()
	}
	return m.unread > 0
}

// Step goes to the next match, or with -1 to the one before, around the ends.
func (m *Model) Step(by int) {
	if n := len(m.hits); n > 0 {
		m.hit = ((max(m.hit, 0)+by)%n + n) % n
		m.reveal()
	}
}

// reveal holds the view where the chosen match is seen.
func (m *Model) reveal() {
	at, _ := slices.BinarySearch(m.shown, m.hits[m.hit])
	if !m.held {
		m.hold()
	}
	if at < m.top || at >= m.top+m.height {
		m.top = max(at-m.height/2, 0)
	}
}

func (m *Model) hold() {
	m.held, m.top, m.since = true, m.first, m.gone+int64(len(m.lines))
}

// clean is what is drawn of a text: its first cells are enough.
func clean(s string, limit int) string {
	s = strings.ReplaceAll(strings.TrimRight(s[:min(len(s), limit)], "\r\n"), "\t", "    ")
	return text.Clean(s)
}
