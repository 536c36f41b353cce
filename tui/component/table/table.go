// Package table is a list of rows that a person can walk through, sort and
// filter. It draws as many rows as there is room for, however many there are.
package table

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/prism-data-layer/prism/tui/component/text"
	"github.com/prism-data-layer/prism/tui/keys"
	"github.com/prism-data-layer/prism/tui/theme"
)

// A Column is one field of the rows.
type Column struct {
	Title string
	Min   int  // cells that it needs; it grows as its content asks, while there is room
	Max   int  // cells that it takes at most; 0: no bound
	Right bool // numbers stand at the right, and sort by Order
	Drop  int  // the column with the highest Drop goes first when there is no room; 0: never
}

// A Cell is one value. Text is clean (text.Clean).
type Cell struct {
	Text  string
	Role  theme.Role
	Order float64 // for columns that stand at the right; NaN is last
}

// A Row is one line. ID stays the same while the data changes: the cursor
// follows it.
type Row struct {
	ID      string
	Command string // the prismctl command that shows it
	Cells   []Cell
	Labels  map[string]string // what -l filters by
}

// A Model is a table. The zero Model has no columns.
type Model struct {
	columns []Column
	rows    []Row
	shown   []int // of rows, in order
	sortBy  int   // -1: as given
	desc    bool
	filter  filter
	before  string // the filter before the one that is typed
	typing  bool
	cursor  int // in shown
	id      string
	top     int
	page    int
	drawn   []int // the widths of the last View
}

// New makes an empty table.
func New(columns ...Column) *Model { return &Model{columns: columns, sortBy: -1, page: 1} }

// SetRows replaces the rows. The cursor stays on its row, if that is still
// there.
func (m *Model) SetRows(rows []Row) {
	m.rows = rows
	m.arrange()
}

// arrange filters and sorts.
func (m *Model) arrange() {
	m.shown = m.shown[:0]
	for i := range m.rows {
		if m.filter.keeps(m.rows[i]) {
			m.shown = append(m.shown, i)
		}
	}
	if m.sortBy >= 0 {
		col, right := m.sortBy, m.columns[m.sortBy].Right
		slices.SortStableFunc(m.shown, func(a, b int) int {
			return compare(m.rows[a].Cells[col], m.rows[b].Cells[col], right, m.desc)
		})
	}
	if at := m.find(m.id); at >= 0 {
		m.move(at)
	} else {
		m.move(m.cursor)
	}
}

func compare(a, b Cell, numbers, desc bool) int {
	if !numbers {
		c := strings.Compare(a.Text, b.Text)
		if desc {
			return -c
		}
		return c
	}
	x, y := math.IsNaN(a.Order), math.IsNaN(b.Order)
	switch {
	case x && y, a.Order == b.Order:
		return 0
	case x:
		return 1
	case y:
		return -1
	case a.Order < b.Order != desc:
		return -1
	}
	return 1
}

func (m *Model) find(id string) int {
	if m.cursor < len(m.shown) && m.rows[m.shown[m.cursor]].ID == id {
		return m.cursor
	}
	return slices.IndexFunc(m.shown, func(i int) bool { return m.rows[i].ID == id })
}

func (m *Model) move(to int) {
	m.cursor = max(min(to, len(m.shown)-1), 0)
	if len(m.shown) > 0 {
		m.id = m.rows[m.shown[m.cursor]].ID
	}
}

// Do performs one of the actions of keys.List; false for any other.
func (m *Model) Do(a keys.Action) bool {
	switch a {
	case keys.Up:
		m.move(m.cursor - 1)
	case keys.Down:
		m.move(m.cursor + 1)
	case keys.PageUp:
		m.move(m.cursor - m.page)
	case keys.PageDown:
		m.move(m.cursor + m.page)
	case keys.Top:
		m.move(0)
	case keys.Bottom:
		m.move(len(m.shown) - 1)
	case keys.Sort:
		m.SortBy(m.sortBy + 1)
	case keys.Reverse:
		if m.sortBy >= 0 {
			m.desc = !m.desc
			m.arrange()
		}
	case keys.Filter:
		m.typing, m.before = true, m.filter.typed
	default:
		return false
	}
	return true
}

// SortBy sorts by a column, numbers from the largest; past the last column the
// order is the given one again.
func (m *Model) SortBy(column int) {
	if column >= len(m.columns) {
		column = -1
	}
	m.sortBy = column
	m.desc = column >= 0 && m.columns[column].Right
	m.arrange()
}

// Typing reports whether keys belong to the filter.
func (m *Model) Typing() bool { return m.typing }

// Type gives the filter a key: text, or backspace, enter, esc, ctrl+u.
func (m *Model) Type(key, chars string) {
	typed := m.filter.typed
	switch key {
	case "enter":
		m.typing = false
		return
	case "esc":
		m.typing = false
		typed = m.before
	case "backspace":
		if typed == "" {
			m.typing = false
			return
		}
		r := []rune(typed)
		typed = string(r[:len(r)-1])
	case "ctrl+u":
		typed = ""
	default:
		typed += text.Clean(chars)
	}
	m.SetFilter(typed)
}

// SetFilter shows only the rows that match. A pattern that cannot be read shows
// all of them.
func (m *Model) SetFilter(typed string) {
	m.filter = parseFilter(typed)
	m.arrange()
}

// Filter is the filter as it was typed.
func (m *Model) Filter() string { return m.filter.typed }

// Prompt is the line in which the filter is typed.
func (m *Model) Prompt() string {
	line := "/" + m.filter.typed + "▏  " + m.Count()
	if m.filter.err != nil {
		return line + "  not a pattern yet"
	}
	return line
}

// Count is "340" or, filtered, "12/340".
func (m *Model) Count() string {
	if m.filter.active() {
		return fmt.Sprintf("%d/%d", len(m.shown), len(m.rows))
	}
	return fmt.Sprint(len(m.rows))
}

// Len is the number of rows, shown or not.
func (m *Model) Len() int { return len(m.rows) }

// Shown is the number of rows that the filter lets through.
func (m *Model) Shown() int { return len(m.shown) }

// Selected is the row under the cursor.
func (m *Model) Selected() (Row, bool) {
	if m.cursor >= len(m.shown) {
		return Row{}, false
	}
	return m.rows[m.shown[m.cursor]], true
}

// gutter holds the mark of the selected row, which shows without colour.
const gutter = 2

// View draws the header and rows into width × height cells. Only a focused
// table shows its cursor.
func (m *Model) View(th theme.Theme, width, height int, focused bool) []string {
	if height <= 0 || width <= gutter {
		return nil
	}
	m.page = max(height-1, 1)
	m.scroll(height - 1)
	visible := m.shown[m.top:min(m.top+height-1, len(m.shown))]
	widths := m.widths(width-gutter, visible)
	m.drawn = widths
	lines := make([]string, 0, height)
	lines = append(lines, strings.Repeat(" ", gutter)+th.Paint(theme.Header, m.header(widths)))
	for i, at := range visible {
		lines = append(lines, m.line(th, m.rows[at], widths, focused && m.top+i == m.cursor))
	}
	return lines
}

func (m *Model) scroll(rows int) {
	if m.cursor < m.top {
		m.top = m.cursor
	}
	if m.cursor >= m.top+rows {
		m.top = m.cursor - rows + 1
	}
	m.top = max(min(m.top, len(m.shown)-rows), 0)
}

// widths gives each column its cells; 0: there is no room for it. A column is
// as wide as what it shows now asks.
func (m *Model) widths(room int, visible []int) []int {
	want := make([]int, len(m.columns))
	on := make([]bool, len(m.columns))
	for i, c := range m.columns {
		want[i], on[i] = max(c.Min, text.Width(c.Title)+1), true
		for _, at := range visible {
			want[i] = max(want[i], text.Width(m.rows[at].Cells[i].Text))
		}
		if c.Max > 0 {
			want[i] = min(want[i], max(c.Max, c.Min))
		}
	}
	need := func() int {
		n := -1
		for i, c := range m.columns {
			if on[i] {
				n += c.Min + 1
			}
		}
		return n
	}
	for need() > room {
		worst := -1
		for i, c := range m.columns {
			if on[i] && c.Drop > 0 && (worst < 0 || c.Drop > m.columns[worst].Drop) {
				worst = i
			}
		}
		if worst < 0 {
			break
		}
		on[worst] = false
	}
	out := make([]int, len(m.columns))
	left := room - need()
	for i, c := range m.columns {
		if !on[i] {
			continue
		}
		out[i] = c.Min
		if left < 0 { // not even the columns that stay have room
			out[i] = max(c.Min+left, 1)
			left += c.Min - out[i]
		}
	}
	for i, c := range m.columns { // a number that is cut is a wrong number
		if grow := min(want[i]-out[i], left); on[i] && c.Right && grow > 0 {
			out[i] += grow
			left -= grow
		}
	}
	for grew := true; grew && left > 0; { // words share what is left
		grew = false
		for i := range m.columns {
			if on[i] && out[i] < want[i] && left > 0 {
				out[i]++
				left--
				grew = true
			}
		}
	}
	return out
}

func (m *Model) header(widths []int) string {
	var parts []string
	for i, c := range m.columns {
		if widths[i] == 0 {
			continue
		}
		title := c.Title
		if i == m.sortBy {
			arrow := "▲"
			if m.desc {
				arrow = "▼"
			}
			title = text.Cut(title, widths[i]-1) + arrow
		}
		parts = append(parts, place(title, widths[i], c.Right))
	}
	return strings.TrimRight(strings.Join(parts, " "), " ")
}

func place(s string, w int, right bool) string {
	if right {
		return text.FitRight(s, w)
	}
	return text.Fit(s, w)
}

func (m *Model) line(th theme.Theme, r Row, widths []int, selected bool) string {
	var b strings.Builder
	if !selected {
		b.WriteString(strings.Repeat(" ", gutter))
	}
	first := true
	for i, c := range m.columns {
		if widths[i] == 0 {
			continue
		}
		if !first {
			b.WriteByte(' ')
		}
		first = false
		cell := place(r.Cells[i].Text, widths[i], c.Right)
		if !selected {
			cell = th.Paint(r.Cells[i].Role, cell)
		}
		b.WriteString(cell)
	}
	if selected {
		return th.Paint(theme.Selected, "▸ "+b.String())
	}
	return strings.TrimRight(b.String(), " ")
}

// Left is how many rows there are below the cursor.
func (m *Model) Left() int { return len(m.shown) - 1 - m.cursor }

// At is the row that the cursor is on, of those that are shown.
func (m *Model) At() int { return m.cursor }
