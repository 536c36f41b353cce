package cli

import (
	"bufio"
	"bytes"
	"cmp"
	"encoding/csv"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/prism-data-layer/prism/pkg/iostreams"
)

// The output formats. The last three take an expression behind "=".
const (
	FormatTable    = "table"
	FormatWide     = "wide"
	FormatJSON     = "json"
	FormatJSONL    = "jsonl"
	FormatYAML     = "yaml"
	FormatName     = "name"
	FormatCSV      = "csv"
	FormatJSONPath = "jsonpath"
	FormatTemplate = "go-template"
	FormatColumns  = "custom-columns"
)

// Formats lists the values of --output as help shows them.
func Formats() []string {
	return []string{
		FormatTable, FormatWide, FormatJSON, FormatJSONL, FormatYAML, FormatName, FormatCSV,
		FormatJSONPath + "=…", FormatTemplate + "=…", FormatColumns + "=…",
	}
}

// An Output prints what a command found, in the format that was asked for.
type Output struct {
	IO    *iostreams.IOStreams
	Limit int  // --limit; 0: all that is paged by default
	All   bool // --all

	globals   *Globals
	kind      KindInfo
	fields    string // --json
	jq        string
	noHeaders bool
	sortBy    string

	format, expr string
	selected     []string
}

// AddOutput gives cmd the flags of a command that prints one thing of a kind,
// and checks them before the command runs.
func AddOutput(f *Factory, cmd *cobra.Command, kind KindInfo) *Output {
	o := &Output{IO: f.IO, globals: f.Globals, kind: kind}
	if !slices.ContainsFunc(f.kinds, func(k KindInfo) bool { return k.Name == kind.Name }) {
		f.kinds = append(f.kinds, kind)
	}
	flags := cmd.Flags()
	flags.StringVar(&o.fields, "json", "", "print only these `FIELDS` (a,b,c) as JSON")
	flags.StringVar(&o.jq, "jq", "", "filter the JSON with a jq `EXPRESSION`")
	SetDefault(cmd, "json", "all fields, with -o json")
	SetDefault(cmd, "jq", "no filter")
	if cmd.Annotations == nil {
		cmd.Annotations = map[string]string{}
	}
	cmd.Annotations[annotationKind] = kind.Name
	cmd.Annotations[annotationFields] = strings.Join(fieldNames(kind), ",")
	before := cmd.PreRunE
	cmd.PreRunE = func(c *cobra.Command, args []string) error {
		if err := o.Check(); err != nil {
			return err
		}
		if before != nil {
			return before(c, args)
		}
		return nil
	}
	return o
}

// AddListOutput is AddOutput for a command that prints many.
func AddListOutput(f *Factory, cmd *cobra.Command, kind KindInfo) *Output {
	o := AddOutput(f, cmd, kind)
	flags := cmd.Flags()
	flags.BoolVar(&o.noHeaders, "no-headers", false, "leave out the line of column names")
	flags.StringVar(&o.sortBy, "sort-by", "", "sort by this `FIELD`; -FIELD for the reverse")
	flags.IntVar(&o.Limit, "limit", 0, "print at most `N`")
	SetDefault(cmd, "sort-by", "the gateway's order")
	SetDefault(cmd, "limit", "0: all")
	cmd.Annotations[annotationList] = "true"
	return o
}

const (
	annotationKind = "prism.kind"
	annotationList = "prism.list"
)

// Check reads the format, so that a wrong one is refused before anything is
// asked or done.
func (o *Output) Check() error {
	format, expr, hasExpr := strings.Cut(o.globals.Output, "=")
	switch format {
	case "":
		format = FormatTable
	case FormatTable, FormatWide, FormatJSON, FormatJSONL, FormatYAML, FormatName, FormatCSV:
		if hasExpr {
			return Usage(oneOf(Formats()), "the output format %s takes no expression", format)
		}
	case FormatJSONPath, FormatTemplate, FormatColumns:
		if expr == "" {
			return Usage(formatExample(format), "the output format %s needs an expression", format)
		}
	default:
		return Usage(oneOf(Formats()), "unknown output format %q", format)
	}
	if o.globals.Quiet && o.globals.Output == "" {
		format = FormatName
	}
	o.format, o.expr = format, expr
	if err := o.checkFields(); err != nil {
		return err
	}
	if o.Limit < 0 {
		return Usage("pass 0 for all, or a positive number", "--limit must not be negative")
	}
	if name := strings.TrimPrefix(o.sortBy, "-"); name != "" && !slices.Contains(o.fieldNames(), name) {
		return Usage(oneOf(o.fieldNames()), "there is no field %q to sort by", name)
	}
	return o.checkExpression()
}

func formatExample(format string) string {
	switch format {
	case FormatJSONPath:
		return `write -o jsonpath='{[*].name}'`
	case FormatTemplate:
		return `write -o go-template='{{range .}}{{.name}}{{"\n"}}{{end}}'`
	}
	return `write -o custom-columns=NAME:.name,STATE:.state`
}

func (o *Output) checkFields() error {
	if o.fields != "" {
		o.selected = strings.Split(o.fields, ",")
		for i, name := range o.selected {
			o.selected[i] = strings.TrimSpace(name)
			if !slices.Contains(o.fieldNames(), o.selected[i]) {
				return o.unknownField(o.selected[i])
			}
		}
	}
	if o.fields != "" || o.jq != "" {
		switch {
		case o.globals.Output == "" || o.format == FormatJSON || o.format == FormatJSONL:
			if o.format != FormatJSONL {
				o.format = FormatJSON
			}
		default:
			return Usage("leave out -o "+o.globals.Output, "--json and --jq print JSON")
		}
	}
	return nil
}

func (o *Output) unknownField(name string) error {
	fix := oneOf(o.fieldNames())
	if hint := didYouMean(name, o.fieldNames()); hint != "" {
		fix = hint + " " + fix
	}
	return Usage(fix, "%s has no field %q", o.kind.Name, name)
}

func (o *Output) fieldNames() []string { return fieldNames(o.kind) }

func fieldNames(k KindInfo) []string {
	names := make([]string, len(k.Columns))
	for i, c := range k.Columns {
		names[i] = c.Name
	}
	return names
}

// Machine reports whether the format is for programs, so that a command prints
// the object rather than a sentence about it.
func (o *Output) Machine() bool {
	return o.format != FormatTable && o.format != FormatWide && o.format != FormatName
}

// Quiet reports whether only names are wanted.
func (o *Output) Quiet() bool { return o.format == FormatName }

// Asked reports whether any format was asked for.
func (o *Output) Asked() bool {
	return o.globals.Output != "" || o.fields != "" || o.jq != "" || o.globals.Quiet
}

// object selects the fields that --json names.
func (o *Output) object(info KindInfo, cells []any) Object {
	all := objectOf(info, cells)
	if o.selected == nil {
		return all
	}
	some := make(Object, 0, len(o.selected))
	for _, name := range o.selected {
		if v, ok := all.Get(name); ok {
			some = append(some, Member{name, v})
		}
	}
	return some
}

func (o *Output) style() style {
	return style{
		now: o.IO.Now(), utc: o.globals.UTC,
		palette: o.IO.Palette(iostreams.Out), symbols: o.IO.Symbols(), glyphs: o.IO.IsTTY(iostreams.Out),
	}
}

// safe escapes text for a terminal, and leaves it alone in a pipe.
func (o *Output) safe(s string) string {
	if o.IO.IsTTY(iostreams.Out) {
		return iostreams.Escape(s)
	}
	return s
}

// PrintOne prints one thing: as sections for people, as an object for programs.
func PrintOne[T any](o *Output, k Kind[T], v T) error {
	return o.one(k.Info(), k.cells(v))
}

// PrintList prints many things that are all at hand.
func PrintList[T any](o *Output, k Kind[T], items []T, empty string) error {
	l := NewList(o, k, empty)
	for _, v := range items {
		if err := l.Add(v); err != nil {
			return err
		}
	}
	return l.Close()
}

func (o *Output) one(info KindInfo, cells []any) error {
	var b bytes.Buffer
	switch o.format {
	case FormatTable, FormatWide:
		describe(&b, o.style(), info, cells)
	case FormatName:
		fmt.Fprintln(&b, o.safe(nameOf(cells)))
	case FormatCSV:
		w := newCSV(&b, o.safe)
		w.header(info.Columns)
		w.row(info.Columns, cells)
	default:
		if err := o.render(&b, o.object(info, cells)); err != nil {
			return err
		}
	}
	_, err := o.IO.Out.Write(b.Bytes())
	return err
}

// render writes a whole value in one of the formats for programs.
func (o *Output) render(b *bytes.Buffer, v any) error {
	switch {
	case o.jq != "":
		return o.renderJQ(b, v)
	case o.format == FormatJSON:
		writeJSON(b, v, "", "  ")
		b.WriteByte('\n')
	case o.format == FormatJSONL:
		writeJSON(b, v, "", "")
		b.WriteByte('\n')
	case o.format == FormatYAML:
		writeYAML(b, v, 0)
	case o.format == FormatJSONPath:
		return o.renderJSONPath(b, v)
	case o.format == FormatTemplate:
		return o.renderTemplate(b, v)
	case o.format == FormatColumns:
		return o.renderColumns(b, v)
	}
	return nil
}

func nameOf(cells []any) string {
	if s, ok := cells[0].(string); ok {
		return s
	}
	return scalar(cells[0])
}

// A List prints things as they come, where the format allows it.
type List[T any] struct {
	kind Kind[T]
	rows *rows
}

// NewList starts a list. empty is the hint for when nothing comes: why there
// is nothing, and what to type.
func NewList[T any](o *Output, k Kind[T], empty string) *List[T] {
	return &List[T]{k, newRows(o, k.Info(), empty)}
}

// Add prints v, now or at Close. An error means that the reader has gone.
func (l *List[T]) Add(v T) error { return l.rows.add(l.kind.cells(v)) }

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
}

// flushRows is how many rows a table gathers before it settles its widths.
const flushRows = 500

func newRows(o *Output, info KindInfo, empty string) *rows {
	r := &rows{o: o, info: info, empty: empty, st: o.style()}
	r.page = nopClose{o.IO.Out}
	if o.format == FormatTable || o.format == FormatWide {
		r.page = o.IO.Pager()
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
	if r.o.sortBy != "" || r.o.jq != "" {
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
		row := make([]cell, len(r.cols))
		for i, at := range r.cols {
			t, v := r.info.Columns[at].Type, cells[at]
			row[i] = cell{r.st.human(t, v), func(s string) string { return r.st.paint(t, v, s) }}
		}
		r.table.add(row)
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
	var b bytes.Buffer
	obj := r.o.object(r.info, cells)
	switch r.o.format {
	case FormatJSON:
		b.WriteString(",\n  ")
		if n == 1 {
			b.Reset()
			b.WriteString("[\n  ")
		}
		writeJSON(&b, obj, "  ", "  ")
	case FormatJSONL:
		writeJSON(&b, obj, "", "")
		b.WriteByte('\n')
	case FormatYAML:
		writeYAML(&b, []any{obj}, 0)
	}
	_, err := r.out.Write(b.Bytes())
	return err
}

func (r *rows) flush() error {
	if r.table != nil {
		var b strings.Builder
		r.table.flush(&b, r.o.IO.Width(), r.st.symbols.Ellipsis, r.st.palette)
		r.out.WriteString(b.String())
	}
	return r.out.Flush()
}

func (r *rows) close() error {
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

// csvWriter writes every field of a kind, raw, with JSON names on top.
type csvWriter struct {
	w    *csv.Writer
	safe func(string) string
}

func newCSV(w io.Writer, safe func(string) string) *csvWriter {
	return &csvWriter{csv.NewWriter(w), safe}
}

func (c *csvWriter) header(cols []Column) {
	names := make([]string, len(cols))
	for i, col := range cols {
		names[i] = col.Name
	}
	_ = c.w.Write(names)
}

func (c *csvWriter) row(cols []Column, cells []any) error {
	row := make([]string, len(cells))
	for i, v := range cells {
		row[i] = c.safe(flat(machine(cols[i].Type, v)))
	}
	if err := c.w.Write(row); err != nil {
		return err
	}
	c.w.Flush()
	return c.w.Error()
}

// flat is a machine value as one field of text.
func flat(v any) string {
	switch v := v.(type) {
	case nil:
		return ""
	case string:
		return v
	case []any:
		parts := make([]string, len(v))
		for i, e := range v {
			parts[i] = flat(e)
		}
		return strings.Join(parts, " ")
	case Object:
		var b bytes.Buffer
		writeJSON(&b, v, "", "")
		return b.String()
	}
	return scalar(v)
}

// describe prints one thing as lines of label and value.
func describe(b *bytes.Buffer, st style, info KindInfo, cells []any) {
	width := 0
	for _, c := range info.Columns {
		width = max(width, len(label(c.Name)))
	}
	for i, c := range info.Columns {
		v := cells[i]
		if isNothing(v) {
			continue
		}
		head := label(c.Name) + ":"
		pad := strings.Repeat(" ", width+2-len(head)+1)
		switch v := v.(type) {
		case []string:
			fmt.Fprintf(b, "%s%s%s\n", st.palette.Bold(head), pad, iostreams.Escape(strings.Join(v, ", ")))
		case Object, []any:
			fmt.Fprintf(b, "%s\n", st.palette.Bold(head))
			nested(b, v, "  ")
		default:
			text := st.human(c.Type, v)
			if c.Type == TypeTime && !st.utc {
				text += st.palette.Faint("  " + flat(machine(c.Type, v)))
			}
			fmt.Fprintf(b, "%s%s%s\n", st.palette.Bold(head), pad, st.paint(c.Type, v, text))
		}
	}
}

func isNothing(v any) bool {
	switch v := v.(type) {
	case nil:
		return true
	case string:
		return v == ""
	case []string:
		return len(v) == 0
	}
	return isEmpty(v)
}

func nested(b *bytes.Buffer, v any, indent string) {
	switch v := v.(type) {
	case Object:
		for _, m := range v {
			if isNothing(m.Value) {
				continue
			}
			if isCompound(m.Value) && !allScalar(m.Value) {
				fmt.Fprintf(b, "%s%s:\n", indent, iostreams.Escape(m.Name))
				nested(b, m.Value, indent+"  ")
				continue
			}
			fmt.Fprintf(b, "%s%s: %s\n", indent, iostreams.Escape(m.Name), iostreams.Escape(flat(m.Value)))
		}
	case []any:
		for _, e := range v {
			if o, ok := e.(Object); ok {
				var parts []string
				for _, m := range o {
					if !isNothing(m.Value) {
						parts = append(parts, iostreams.Escape(m.Name+": "+flat(m.Value)))
					}
				}
				fmt.Fprintf(b, "%s- %s\n", indent, strings.Join(parts, ", "))
				continue
			}
			fmt.Fprintf(b, "%s- %s\n", indent, iostreams.Escape(flat(e)))
		}
	}
}

func allScalar(v any) bool {
	list, ok := v.([]any)
	if !ok {
		return false
	}
	return !slices.ContainsFunc(list, isCompound)
}

// label is a field's name for people: "created_at" is "Created".
func label(name string) string {
	for _, unit := range []string{"_at", "_ms", "_us", "_bytes"} {
		if s := strings.TrimSuffix(name, unit); s != name && s != "" {
			name = s
			break
		}
	}
	words := strings.ReplaceAll(name, "_", " ")
	if words == "" {
		return words
	}
	switch words {
	case "ttl", "id", "rss", "pid":
		return strings.ToUpper(words)
	}
	return strings.ToUpper(words[:1]) + words[1:]
}

// Endless prepares the output of a command that does not end by itself: JSON
// becomes one object a line, and what needs all rows at once is refused.
func (o *Output) Endless() error {
	if o.format == FormatJSON && o.jq == "" {
		o.format = FormatJSONL
	}
	if o.sortBy != "" || o.jq != "" || o.format == FormatJSONPath || o.format == FormatTemplate || o.format == FormatColumns {
		if o.Limit == 0 {
			return Usage("add --limit N, or filter -o jsonl in a pipe", "sorting and expressions need an end")
		}
	}
	return nil
}

// Quote makes a word safe to paste into a shell.
func Quote(word string) string {
	plain := word != ""
	for _, r := range word {
		if !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("_-./:,=@+", r)) {
			plain = false
		}
	}
	if plain {
		return word
	}
	return "'" + strings.ReplaceAll(iostreams.Escape(word), "'", `'\''`) + "'"
}
