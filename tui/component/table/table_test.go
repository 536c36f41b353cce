package table_test

import (
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/charmbracelet/x/ansi"
	"pgregory.net/rapid"

	"github.com/prism-data-layer/prism/tui/component/table"
	"github.com/prism-data-layer/prism/tui/component/text"
	"github.com/prism-data-layer/prism/tui/keys"
	"github.com/prism-data-layer/prism/tui/theme"
)

func row(name, state string, ops float64) table.Row {
	return table.Row{ID: name, Cells: []table.Cell{{Text: name}, {Text: state, Role: theme.Good}, {Text: fmt.Sprint(ops), Order: ops}}}
}

func stores(rows ...table.Row) *table.Model {
	m := table.New(table.Column{Title: "NAME", Min: 6}, table.Column{Title: "STATE", Min: 6, Drop: 1}, table.Column{Title: "OPS/S", Min: 6, Right: true, Drop: 2})
	m.SetRows(rows)
	return m
}

func three() *table.Model {
	return stores(row("beta", "active", 5), row("alpha", "degraded", 50), row("Gamma", "active", math.NaN()))
}

func view(m *table.Model, w, h int) string {
	return ansi.Strip(strings.Join(m.View(theme.New(theme.Dark), w, h, true), "\n"))
}

func names(m *table.Model) string {
	var out []string
	for _, l := range strings.Split(view(m, 60, 100), "\n")[1:] {
		out = append(out, strings.Fields(strings.TrimPrefix(l, "▸"))[0])
	}
	return strings.Join(out, " ")
}

func TestATableIsDrawn(t *testing.T) {
	t.Parallel()
	const want = "" +
		"  NAME   STATE     OPS/S\n" +
		"▸ beta   active        5\n" +
		"  alpha  degraded     50\n" +
		"  Gamma  active      NaN"
	if got := view(three(), 40, 10); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestNarrowTablesDropColumnsInOrder(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		width int
		want  string
	}{{22, "  NAME   STATE   OPS/S"}, {16, "  NAME   STATE"}, {9, "  NAME"}, {5, "  NA…"}} {
		if got := strings.Split(view(three(), c.width, 3), "\n")[0]; got != c.want {
			t.Errorf("%d cells: %q, want %q", c.width, got, c.want)
		}
	}
	if three().View(theme.New(theme.Mono), 2, 3, true) != nil || three().View(theme.New(theme.Mono), 9, 0, true) != nil {
		t.Error("no room is no table")
	}
}

func TestSortingByColumn(t *testing.T) {
	t.Parallel()
	m := three()
	for _, want := range []string{"Gamma alpha beta", "beta Gamma alpha", "alpha beta Gamma", "beta alpha Gamma"} {
		m.Do(keys.Sort)
		if got := names(m); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	m.SortBy(2)
	if !strings.Contains(view(m, 60, 5), "OPS/S▼") {
		t.Errorf("the arrow is missing:\n%s", view(m, 60, 5))
	}
	m.Do(keys.Reverse)
	if got := names(m); got != "beta alpha Gamma" {
		t.Errorf("reversed: %q; what is unknown stays last", got)
	}
	m.SortBy(0)
	m.Do(keys.Reverse)
	if got := names(m); got != "beta alpha Gamma" {
		t.Errorf("by name reversed: %q", got)
	}
}

func TestFilters(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ typed, want, count string }{
		{"", "beta alpha Gamma", "3"},
		{"!", "beta alpha Gamma", "3"},
		{"^a", "beta alpha Gamma", "3/3"}, // active begins with a
		{"eta|gam", "beta Gamma", "2/3"},
		{"G", "Gamma", "1/3"},
		{"!active", "alpha", "1/3"},
		{"(", "beta alpha Gamma", "3"},
		{"-f", "beta alpha Gamma", "3"},
		{"-f gm", "Gamma", "1/3"},
		{"-f dgd", "alpha", "1/3"},
		{"!-f gm", "beta alpha", "2/3"},
		{"-l ", "beta alpha Gamma", "3"},
		{"-l team=shop", "beta", "1/3"},
		{"-l team", "beta alpha", "2/3"},
		{"-l !team", "Gamma", "1/3"},
		{"-l team!=shop", "alpha Gamma", "2/3"},
		{"-l team,tier=1", "alpha", "1/3"},
		{"!-l team", "Gamma", "1/3"},
	} {
		beta, alpha := row("beta", "active", 5), row("alpha", "degraded", 50)
		beta.Labels, alpha.Labels = map[string]string{"team": "shop"}, map[string]string{"team": "pay", "tier": "1"}
		m := stores(beta, alpha, row("Gamma", "active", math.NaN()))
		m.SetFilter(c.typed)
		if got := names(m); got != c.want || m.Count() != c.count {
			t.Errorf("/%s: %q %s, want %q %s", c.typed, got, m.Count(), c.want, c.count)
		}
	}
}

func TestTypingAFilter(t *testing.T) {
	t.Parallel()
	m := three()
	m.SetFilter("beta")
	m.Do(keys.Filter)
	m.Type("ctrl+u", "")
	for _, k := range []string{"d", "e", "x"} {
		m.Type(k, k)
	}
	m.Type("backspace", "")
	if got := m.Prompt(); got != "/de▏  1/3" || !m.Typing() || m.Shown() != 1 {
		t.Errorf("prompt %q", got)
	}
	m.Type("(", "(")
	if got := m.Prompt(); !strings.HasSuffix(got, "not a pattern yet") || m.Shown() != 3 {
		t.Errorf("prompt %q", got)
	}
	m.Type("esc", "")
	if m.Typing() || m.Filter() != "beta" {
		t.Errorf("esc leaves %q", m.Filter())
	}
	m.Do(keys.Filter)
	m.Type("", "\x1b[31m")
	if strings.Contains(m.Filter(), "\x1b") {
		t.Error("a pasted escape sequence is kept")
	}
	m.Type("enter", "")
	m.Do(keys.Filter)
	m.Type("ctrl+u", "")
	m.Type("backspace", "")
	if m.Typing() || m.Filter() != "" {
		t.Error("backspace in an empty filter leaves it")
	}
}

func TestTheCursorStaysOnItsRow(t *testing.T) {
	t.Parallel()
	m := three()
	m.Do(keys.Down)
	m.SortBy(0)
	m.SetRows([]table.Row{row("new", "active", 1), row("zeta", "active", 2), row("alpha", "active", 3)})
	if r, ok := m.Selected(); !ok || r.ID != "alpha" {
		t.Errorf("selected %q", r.ID)
	}
	m.SetRows([]table.Row{row("only", "active", 1)})
	if r, ok := m.Selected(); !ok || r.ID != "only" {
		t.Errorf("selected %q", r.ID)
	}
	m.SetRows(nil)
	if _, ok := m.Selected(); ok || m.Len() != 0 {
		t.Error("an empty table has a selection")
	}
}

func TestWalking(t *testing.T) {
	t.Parallel()
	var rows []table.Row
	for i := range 100 {
		rows = append(rows, row(fmt.Sprintf("r%02d", i), "active", float64(i)))
	}
	m := stores(rows...)
	view(m, 60, 11)
	for _, c := range []struct {
		do   keys.Action
		want string
	}{
		{keys.Down, "r01"},
		{keys.PageDown, "r11"},
		{keys.Up, "r10"},
		{keys.Bottom, "r99"},
		{keys.Down, "r99"},
		{keys.PageUp, "r89"},
		{keys.Top, "r00"},
		{keys.Up, "r00"},
	} {
		if !m.Do(c.do) {
			t.Fatalf("%s is not understood", c.do)
		}
		r, _ := m.Selected()
		if r.ID != c.want || !strings.Contains(view(m, 60, 11), "▸ "+c.want) {
			t.Errorf("%s: at %s, want %s\n%s", c.do, r.ID, c.want, view(m, 60, 11))
		}
	}
	if m.Do(keys.Quit) {
		t.Error("a table cannot quit")
	}
}

func TestLinesNeverOverflow(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		names := rapid.SliceOfN(rapid.StringOf(rapid.SampledFrom([]rune("ab日\u0301א👍"))), 0, 8).Draw(t, "names")
		var rows []table.Row
		for _, n := range names {
			rows = append(rows, row(text.Clean(n), "active", 1))
		}
		m := stores(rows...)
		w, h := rapid.IntRange(0, 50).Draw(t, "w"), rapid.IntRange(0, 12).Draw(t, "h")
		for range rapid.IntRange(0, 3).Draw(t, "sorts") {
			m.Do(keys.Sort)
		}
		lines := m.View(theme.New(theme.Mono), w, h, true)
		if len(lines) > h {
			t.Fatalf("%d lines of %d", len(lines), h)
		}
		for _, l := range lines {
			if text.Width(l) > w {
				t.Fatalf("%q is wider than %d", l, w)
			}
		}
	})
}

func BenchmarkFrameOfTenThousandRows(b *testing.B) {
	var rows []table.Row
	for i := range 10_000 {
		rows = append(rows, row(fmt.Sprintf("session-%05d", i), "active", float64(i*7919%10_000)))
	}
	m := stores(rows...)
	m.SortBy(2)
	th := theme.New(theme.Dark)
	b.Run("refresh", func(b *testing.B) {
		for b.Loop() {
			m.SetRows(rows)
			m.View(th, 120, 40, true)
		}
	})
	b.Run("key", func(b *testing.B) {
		for b.Loop() {
			m.Do(keys.Down)
			m.View(th, 120, 40, true)
		}
	})
}
