package cli

import (
	"bufio"
	"bytes"
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"
)

// A List prints things as they come, where the format allows it.
type List[T any] struct {
	kind  Kind[T]
	rows  *rows
	cells []any
}

// NewList starts a list. empty is the hint for when nothing comes: why there
// is nothing, and what to type.
func NewList[T any](o *Output, k Kind[T], empty string) *List[T] {
	return &List[T]{kind: k, rows: newRows(o, k.Info(), empty)}
}

// Add prints v, now or at Close. An error means that the reader has gone.
func (l *List[T]) Add(v T) error {
	if l.rows.whole() {
		return l.rows.add(l.kind.cells(v))
	}
	if l.cells == nil {
		l.cells = make([]any, len(l.kind.Fields))
	}
	l.kind.fill(l.cells, v) // they are text before the next comes
	return l.rows.add(l.cells)
}

// Flush prints what is gathered, for lists that never end.
func (l *List[T]) Flush() error { return l.rows.flush() }

// Len is how many were added.
func (l *List[T]) Len() int { return l.rows.count }

// Close prints the rest.
func (l *List[T]) Close() error { return l.rows.close() }

// rows is a list in the making, without its type.
type rows struct {
	o     *Output
	info  KindInfo
	cols  []int // columns of the table
	empty string
	st    style

	out   *bufio.Writer
	page  io.WriteCloser
	table *table
	csv   *csvWriter
	held  [][]any // cells, where all must be known before any is printed
	count int

	text bytes.Buffer // of one row

	printed int // with --watch: all that were appended
}

// flushRows is how many rows a table gathers before it settles its widths.
const flushRows = 500

func newRows(o *Output, info KindInfo, empty string) *rows {
	r := &rows{o: o, info: info, empty: empty, st: o.style()}
	r.page = nopClose{o.IO.Out}
	if o.format == FormatTable || o.format == FormatWide {
		if o.live == nil {
			r.page = o.IO.Pager()
		}
		var cols []Column
		for i, c := range info.Columns {
			if c.Header != "" && (!c.Wide || o.format == FormatWide) {
				r.cols, cols = append(r.cols, i), append(cols, c)
			}
		}
		r.table = newTable(cols, !o.noHeaders)
	}
	r.out = bufio.NewWriterSize(r.page, 32<<10)
	return r
}

// whole reports whether the format needs all rows at once.
func (r *rows) whole() bool {
	if r.o.sortBy != "" || r.o.jq != "" || r.o.live != nil {
		return true
	}
	switch r.o.format {
	case FormatJSONPath, FormatTemplate, FormatColumns:
		return true
	}
	return false
}

func (r *rows) add(cells []any) error {
	r.count++
	if r.whole() {
		r.held = append(r.held, cells)
		return nil
	}
	return r.emit(cells, r.count)
}

func (r *rows) emit(cells []any, n int) error {
	switch r.o.format {
	case FormatTable, FormatWide:
		r.tabulate(cells)
		if len(r.table.rows) >= flushRows {
			return r.flush()
		}
		return nil
	case FormatName:
		r.out.WriteString(r.o.safe(nameOf(cells)))
		return r.out.WriteByte('\n')
	case FormatCSV:
		if r.csv == nil {
			r.csv = newCSV(r.out, r.o.safe)
			if !r.o.noHeaders {
				r.csv.header(r.info.Columns)
			}
		}
		return r.csv.row(r.info.Columns, cells)
	}
	b := &r.text
	b.Reset()
	obj := r.o.object(r.info, cells)
	switch r.o.format {
	case FormatJSON:
		b.WriteString(",\n  ")
		if n == 1 {
			b.Reset()
			b.WriteString("[\n  ")
		}
		writeJSON(b, obj, "  ", "  ")
	case FormatJSONL:
		writeJSON(b, obj, "", "")
		b.WriteByte('\n')
	case FormatYAML:
		writeYAML(b, []any{obj}, 0)
	}
	_, err := r.out.Write(b.Bytes())
	return err
}

func (r *rows) tabulate(cells []any) {
	if len(r.table.rows) == 0 {
		r.st.now = r.o.IO.Now() // a list may go on for hours
	}
	row := r.table.next()
	for i, at := range r.cols {
		t, v := r.info.Columns[at].Type, cells[at]
		row[i] = cell{text: r.st.cell(r.info.Columns[at], v)}
		if t == TypeState {
			row[i].paint = func(s string) string { return r.st.paint(t, v, s) }
		}
	}
	r.table.add(row)
}

func (r *rows) flush() error {
	if r.table != nil {
		var b strings.Builder
		r.table.flush(&b, r.o.IO.Width(), r.st.symbols.Ellipsis, r.st.palette)
		r.out.WriteString(b.String())
	}
	if r.csv != nil {
		if err := r.csv.flush(); err != nil {
			return err
		}
	}
	return r.out.Flush()
}

func (r *rows) close() error {
	if r.o.live != nil {
		r.sort()
		return r.o.live.take(r)
	}
	err := r.finish()
	if e := r.flush(); err == nil {
		err = e
	}
	if e := r.page.Close(); err == nil {
		err = e
	}
	if err == nil && r.count == 0 && r.empty != "" && !r.o.globals.Quiet {
		fmt.Fprintln(r.o.IO.ErrOut, r.empty)
	}
	return err
}

func (r *rows) finish() error {
	if !r.whole() {
		switch {
		case r.o.format == FormatJSON && r.count == 0, r.o.format == FormatYAML && r.count == 0:
			r.out.WriteString("[]\n")
		case r.o.format == FormatJSON:
			r.out.WriteString("\n]\n")
		}
		return nil
	}
	r.sort()
	switch {
	case r.o.jq != "", r.o.format == FormatJSONPath, r.o.format == FormatTemplate, r.o.format == FormatColumns:
		list := make([]any, len(r.held))
		for i, cells := range r.held {
			list[i] = r.o.object(r.info, cells)
		}
		var b bytes.Buffer
		if err := r.o.render(&b, list); err != nil {
			return err
		}
		_, err := r.out.Write(b.Bytes())
		return err
	}
	by := r.o.sortBy
	r.o.sortBy = "" // sorted: from here on each can be printed
	defer func() { r.o.sortBy = by }()
	for i, cells := range r.held {
		if err := r.emit(cells, i+1); err != nil {
			return err
		}
	}
	return r.finish()
}

// lines are the rows as a table, or the hint that there are none.
func (r *rows) lines() []string {
	if len(r.held) == 0 {
		return []string{r.st.palette.Faint(r.empty)}
	}
	for _, cells := range r.held {
		r.tabulate(cells)
	}
	var b strings.Builder
	r.table.flush(&b, r.o.IO.Width(), r.st.symbols.Ellipsis, r.st.palette)
	return strings.Split(strings.TrimSuffix(b.String(), "\n"), "\n")
}

// sort orders what is held by --sort-by, and keeps the first of it.
func (r *rows) sort() {
	name, down := strings.CutPrefix(r.o.sortBy, "-")
	at := slices.IndexFunc(r.info.Columns, func(c Column) bool { return c.Name == name })
	if at < 0 {
		return
	}
	slices.SortStableFunc(r.held, func(a, b []any) int {
		c := compare(a[at], b[at])
		if down {
			return -c
		}
		return c
	})
	if limit := r.o.Limit; limit > 0 && len(r.held) > limit {
		r.held = r.held[:limit]
	}
}

// compare orders cells of one column; nothing comes first.
func compare(a, b any) int {
	switch a := a.(type) {
	case int64:
		if b, ok := b.(int64); ok {
			return cmp.Compare(a, b)
		}
	case uint64:
		if b, ok := b.(uint64); ok {
			return cmp.Compare(a, b)
		}
	case float64:
		if b, ok := b.(float64); ok {
			return cmp.Compare(a, b)
		}
	case []string:
		if b, ok := b.([]string); ok {
			return slices.Compare(a, b)
		}
	case string:
		if b, ok := b.(string); ok {
			return cmp.Compare(a, b)
		}
	case bool:
		if b, ok := b.(bool); ok && a != b {
			if b {
				return -1
			}
			return 1
		}
	case nil:
		if b != nil {
			return -1
		}
	}
	if a != nil && b == nil {
		return 1
	}
	return 0
}

type nopClose struct{ io.Writer }

func (nopClose) Close() error { return nil }

func nameOf(cells []any) string {
	if s, ok := cells[0].(string); ok {
		return s
	}
	return scalar(cells[0])
}
