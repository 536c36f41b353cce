package cli

import (
	"bytes"
	"fmt"
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
	Limit int // --limit, 0 with --all

	globals   *Globals
	kind      KindInfo
	fields    string // --json
	jq        string
	noHeaders bool
	all       bool
	sortBy    string

	format, expr string
	selected     []string
	live         *live // --watch
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
		f.patient = true
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
	flags.BoolVar(&o.all, "all", false, "all there are, whatever --limit says")
	SetDefault(cmd, "sort-by", "the gateway's order")
	SetDefault(cmd, "limit", "0: all")
	cmd.Annotations[annotationList] = "true"
	return o
}

// Refine says what is printed where flags decide on its columns. It comes
// before Check: the columns can be sorted by.
func (o *Output) Refine(kind KindInfo) { o.kind = kind }

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
		return Usage(Meant(format, Formats()), "unknown output format %q", format)
	}
	if o.globals.Quiet && o.globals.Output == "" {
		format = FormatName
	}
	o.format, o.expr = format, expr
	if err := o.checkFields(); err != nil {
		return err
	}
	if o.all {
		o.Limit = 0
	}
	if o.Limit < 0 {
		return Usage("pass 0 for all, or a positive number", "--limit must not be negative")
	}
	if name := strings.TrimPrefix(o.sortBy, "-"); name != "" && !slices.Contains(columnNames(o.kind), name) {
		return Usage(oneOf(columnNames(o.kind)), "there is no field %q to sort by", name)
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

// fieldNames are those of the object.
func fieldNames(k KindInfo) []string {
	var names []string
	for _, c := range k.Columns {
		if c.Part == "" {
			names = append(names, c.Name)
		}
	}
	return names
}

func columnNames(k KindInfo) []string {
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
		now: o.IO.Now(), times: o.globals.times(),
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
		describe(&b, o.style(), info, cells, o.IO.Width())
		page := o.IO.Pager()
		if _, err := page.Write(b.Bytes()); err != nil {
			return err
		}
		return page.Close()
	case FormatName:
		fmt.Fprintln(&b, o.safe(nameOf(cells)))
	case FormatCSV:
		w := newCSV(&b, o.safe)
		w.header(info.Columns)
		w.row(info.Columns, cells)
		w.flush()
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
