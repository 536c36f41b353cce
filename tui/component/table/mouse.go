package table

import "strings"

// Scroll moves the cursor by lines, as a wheel does.
func (m *Model) Scroll(lines int) { m.move(m.cursor + lines) }

// Click is a click at a cell of the last View: on the header it sorts by that
// column, or turns its order round; on a row it puts the cursor there.
func (m *Model) Click(x, line int) {
	if line > 0 {
		if at := m.top + line - 1; at < len(m.shown) {
			m.move(at)
		}
		return
	}
	left := gutter
	for i, w := range m.drawn {
		if w == 0 {
			continue
		}
		if x >= left && x < left+w {
			if i != m.sortBy {
				m.SortBy(i)
			} else {
				m.desc = !m.desc
				m.arrange()
			}
			return
		}
		left += w + 1
	}
}

// Order is the column that sorts, by its title, with - in front when the order
// is turned round; "" for the given order.
func (m *Model) Order() string {
	switch {
	case m.sortBy < 0:
		return ""
	case m.desc:
		return "-" + m.columns[m.sortBy].Title
	}
	return m.columns[m.sortBy].Title
}

// SetOrder takes what Order gave; what it does not know is the given order.
func (m *Model) SetOrder(order string) {
	title, desc := strings.CutPrefix(order, "-")
	m.sortBy, m.desc = -1, false
	for i, c := range m.columns {
		if c.Title == title {
			m.sortBy, m.desc = i, desc
		}
	}
	m.arrange()
}
