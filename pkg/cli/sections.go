package cli

import (
	"bytes"
	"fmt"
	"slices"
	"strings"

	"github.com/clipperhouse/displaywidth"

	"github.com/prism-data-layer/prism/pkg/iostreams"
)

// describe prints one thing as lines of label and value. Lists of words are
// folded to the columns of a terminal; 0 folds nothing.
func describe(b *bytes.Buffer, st style, info KindInfo, cells []any, columns int) {
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
			fmt.Fprintf(b, "%s%s%s\n", st.palette.Bold(head), pad, fold(v, width+3, columns))
		case Object, []any:
			fmt.Fprintf(b, "%s\n", st.palette.Bold(head))
			nested(b, v, "  ")
		default:
			text := st.human(c.Type, v)
			if c.Type == TypeTime && st.times == TimesRelative {
				text += st.palette.Faint("  " + flat(machine(c.Type, v)))
			}
			fmt.Fprintf(b, "%s%s%s\n", st.palette.Bold(head), pad, st.paint(c.Type, v, text))
		}
	}
}

// fold joins words with commas, and goes on below the first where a line would
// be longer than the terminal.
func fold(words []string, indent, columns int) string {
	var b strings.Builder
	at := indent
	for i, w := range words {
		if w = iostreams.Escape(w); i < len(words)-1 {
			w += ","
		}
		n := displaywidth.String(w)
		switch {
		case i == 0:
		case columns > 0 && at+1+n > columns:
			b.WriteString("\n" + strings.Repeat(" ", indent))
			at = indent
		default:
			b.WriteByte(' ')
			at++
		}
		b.WriteString(w)
		at += n
	}
	return b.String()
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
