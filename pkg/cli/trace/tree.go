package trace

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/clipperhouse/displaywidth"

	"github.com/prism-data-layer/prism/pkg/cli"
	"github.com/prism-data-layer/prism/pkg/iostreams"
	adminv1 "github.com/prism-data-layer/prism/proto/prism/admin/v1"
)

// A row is one line of the tree.
type row struct {
	left string // branches, service and name
	span *adminv1.Span
	more string // what stands before its attributes
}

// printTree shows which span called which. A span whose parent is somebody
// else's stands at the left.
func printTree(o *cli.Output, t trace, link string) error {
	p := o.IO.Palette(iostreams.Out)
	rows := rowsOf(t, branchesFor(o.IO.UTF8()))
	width := 0
	for _, r := range rows {
		width = max(width, displaywidth.String(r.left))
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s  %s, %s\n", p.Bold("trace"), iostreams.Escape(t.GetTraceId()), cli.Plural(len(t.GetSpans()), "span"), cli.Duration(span(t)))
	for _, r := range rows {
		pad := strings.Repeat(" ", width-displaywidth.String(r.left))
		fmt.Fprintf(&b, "%s%s  %8s", r.left, pad, cli.Duration(time.Duration(r.span.DurationUs)*time.Microsecond))
		if r.span.Error != "" {
			b.WriteString("  " + p.Bad(iostreams.Escape(r.span.Error)))
		}
		b.WriteByte('\n')
		var list []string
		for _, name := range names(r.span) {
			if name != "error.type" {
				list = append(list, iostreams.Escape(name+"="+r.span.Attributes[name]))
			}
		}
		fmt.Fprintf(&b, "%s%s\n", r.more, p.Faint(strings.Join(list, " ")))
	}
	if link != "" {
		fmt.Fprintf(&b, "open: %s\n", o.IO.Link(iostreams.Out, link, link))
	}
	page := o.IO.Pager()
	if _, err := page.Write([]byte(b.String())); err != nil {
		return err
	}
	return page.Close()
}

func names(s *adminv1.Span) []string { return slices.Sorted(maps.Keys(s.GetAttributes())) }

func rowsOf(t trace, branch branches) (rows []row) {
	known, below := map[string]bool{}, map[string][]*adminv1.Span{}
	for _, s := range t.GetSpans() {
		known[s.SpanId] = true
	}
	for _, s := range t.GetSpans() {
		parent := s.ParentSpanId
		if !known[parent] || parent == s.SpanId {
			parent = ""
		}
		below[parent] = append(below[parent], s)
	}
	var walk func(s *adminv1.Span, head, rest string)
	walk = func(s *adminv1.Span, head, rest string) {
		children := below[s.SpanId]
		delete(below, s.SpanId) // a circle ends here
		more := rest + branch.none
		if len(children) > 0 {
			more = rest + branch.down
		}
		rows = append(rows, row{left: head + iostreams.Escape(s.Service+"  "+s.Name), span: s, more: more})
		for i, c := range children {
			if i == len(children)-1 {
				walk(c, rest+branch.last, rest+branch.none)
			} else {
				walk(c, rest+branch.fork, rest+branch.down)
			}
		}
	}
	for _, s := range below[""] {
		walk(s, "", "")
	}
	return rows
}

type branches struct{ fork, last, down, none string }

func branchesFor(utf8 bool) branches {
	if utf8 {
		return branches{"├─ ", "└─ ", "│  ", "   "}
	}
	return branches{"|- ", "`- ", "|  ", "   "}
}
