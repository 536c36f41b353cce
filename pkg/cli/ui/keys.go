package ui

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/prism-data-layer/prism/tui/keys"
)

// KeyHelp is the page of help that lists the keys of `prismctl ui`, made from
// the table that they are dispatched by.
func KeyHelp() string {
	var b strings.Builder
	b.WriteString("Keys of prismctl ui. In it, ? shows those of the view, and Enter runs one.\n")
	for _, part := range []struct {
		title string
		table keys.Table
	}{{"Everywhere", keys.Global()}, {"In lists", keys.List()}, {"On pages with live data", keys.Live()}} {
		fmt.Fprintf(&b, "\n%s\n", part.title)
		width := 0
		for _, k := range part.table {
			width = max(width, utf8.RuneCountInString(k.Shown()))
		}
		for _, k := range part.table {
			fmt.Fprintf(&b, "  %s%s  %s\n", k.Shown(), strings.Repeat(" ", width-utf8.RuneCountInString(k.Shown())), k.Help)
		}
	}
	return b.String()
}
