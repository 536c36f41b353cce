package cli

import (
	"slices"
	"strings"

	"github.com/clipperhouse/displaywidth"

	"github.com/prism-data-layer/prism/pkg/iostreams"
)

// How narrow columns get on a small terminal, and how narrow where only that
// saves one from being left out.
const (
	minColumn   = 8
	leastColumn = 6
)

// columnGap stands between two columns.
const columnGap = "  "

// A table lays out rows without borders. On a terminal the widest columns give
// way until a row fits, and if that is not enough the last ones go; in a pipe
// nothing is ever cut.
type table struct {
	headers []string
	numeric []bool
	widths  []int // the widest cell so far
	rows    [][]cell
	room    []cell // for flushRows rows; used again after a flush
	written bool
}

type cell struct {
	text  string
	paint func(string) string
}

func newTable(cols []Column, showHeader bool) *table {
	t := &table{numeric: make([]bool, len(cols)), widths: make([]int, len(cols))}
	for i, c := range cols {
		switch c.Type {
		case TypeInt, TypeNumber, TypeBytes, TypeMillis, TypeMicros:
			t.numeric[i] = true
		}
		if showHeader {
			t.headers = append(t.headers, c.Header)
			t.widths[i] = displaywidth.String(c.Header)
		}
	}
	return t
}

// next is room for a row.
func (t *table) next() []cell {
	n, at := len(t.widths), len(t.rows)*len(t.widths)
	if at >= flushRows*n {
		return make([]cell, n)
	}
	if t.room == nil {
		t.room = make([]cell, flushRows*n)
	}
	return t.room[at : at+n : at+n]
}

func (t *table) add(row []cell) {
	for i, c := range row {
		t.widths[i] = max(t.widths[i], displaywidth.String(c.text))
	}
	t.rows = append(t.rows, row)
}

// flush writes what was gathered; width 0 cuts nothing.
func (t *table) flush(b *strings.Builder, width int, ellipsis string, header iostreams.Palette) {
	if len(t.rows) == 0 {
		return
	}
	widths, cut := fit(t.widths, width, displaywidth.String(ellipsis))
	b.Grow(len(t.rows) * (rowWidth(widths) + 1))
	line := func(row []cell) {
		row = row[:len(widths)]
		for i, c := range row {
			text := c.text
			if width > 0 {
				text = displaywidth.TruncateString(text, widths[i], ellipsis)
			}
			pad := widths[i] - displaywidth.String(text)
			if c.paint != nil {
				text = c.paint(text)
			}
			if i > 0 {
				b.WriteString(columnGap)
			}
			switch {
			case pad <= 0:
				b.WriteString(text)
			case t.numeric[i]:
				blank(b, pad)
				b.WriteString(text)
			case i == len(row)-1:
				b.WriteString(text)
			default:
				b.WriteString(text)
				blank(b, pad)
			}
		}
		b.WriteByte('\n')
	}
	if !t.written && t.headers != nil {
		row := make([]cell, len(t.headers))
		for i, h := range t.headers {
			row[i] = cell{h, header.Bold}
		}
		line(row)
		if cut { // say in the head that there are more
			text := strings.TrimSuffix(b.String(), "\n")
			b.Reset()
			b.WriteString(text + columnGap + ellipsis + "\n")
		}
	}
	for _, r := range t.rows {
		line(r)
	}
	t.rows, t.written = t.rows[:0], true
}

func blank(b *strings.Builder, n int) {
	const blanks = "                                "
	for ; n > len(blanks); n -= len(blanks) {
		b.WriteString(blanks)
	}
	b.WriteString(blanks[:n])
}

// fit narrows columns until a row has room. What has none even then is left
// out, and room kept for a mark that says so.
func fit(natural []int, width, mark int) (widths []int, cut bool) {
	if width <= 0 {
		return natural, false
	}
	for _, least := range []int{minColumn, leastColumn} {
		if widths = squeeze(natural, width, least); rowWidth(widths) <= width {
			return widths, false
		}
	}
	widths = squeeze(natural, width, minColumn)
	for room := width - len(columnGap) - mark; len(widths) > 1 && rowWidth(widths) > room; cut = true {
		widths = widths[:len(widths)-1]
	}
	return widths, cut
}

// squeeze takes from the widest column, one at a time, but none below least.
func squeeze(natural []int, width, least int) []int {
	widths := slices.Clone(natural)
	for total := rowWidth(widths); total > width; total-- {
		widest := 0
		for i, w := range widths {
			if w > widths[widest] {
				widest = i
			}
		}
		if widths[widest] <= least {
			break
		}
		widths[widest]--
	}
	return widths
}

func rowWidth(widths []int) int {
	total := len(columnGap) * (len(widths) - 1)
	for _, w := range widths {
		total += w
	}
	return total
}
