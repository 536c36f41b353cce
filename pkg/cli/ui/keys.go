package ui

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/prism-data-layer/prism/tui/component/viewer"
	"github.com/prism-data-layer/prism/tui/keys"
)

// KeyHelp is the page of help that lists the keys of `prismctl ui`, made from
// the tables that they are dispatched by.
func KeyHelp() string {
	var b strings.Builder
	b.WriteString("Keys of prismctl ui. In it, ? shows those of the page, and Enter runs one.\n")
	parts := []struct {
		title string
		table keys.Table
	}{{"Everywhere", keys.Global()}, {"In lists", keys.List()}, {"On pages of several panes", keys.Panes(1)}, {"On pages with live data", keys.Live()}, {"In a text", viewer.Keys()}}
	width, name := 0, 0
	for _, part := range parts {
		for _, k := range part.table {
			width, name = max(width, utf8.RuneCountInString(k.Shown())), max(name, len(k.Action))
		}
	}
	for _, part := range parts {
		fmt.Fprintf(&b, "\n%s\n", part.title)
		for _, k := range part.table {
			fmt.Fprintf(&b, "  %s%s  %-*s  %s\n", k.Shown(), strings.Repeat(" ", width-utf8.RuneCountInString(k.Shown())), name, k.Action, k.Help)
		}
	}
	b.WriteString(keysFooter)
	return b.String()
}

const keysFooter = `
Give an action other keys in your file (prismctl config view shows where it is):

  keys:
    refresh: [f5, r]
    mouse: []

A key that would mean two things on a page, and an action that there is not,
are told at the start. Ctrl-C always quits.
`
