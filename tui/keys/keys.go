// Package keys is the one table of what keys do. The footer, the help of a
// view and the dispatch are all made from it, so that none of them can be
// wrong alone.
package keys

import (
	"fmt"
	"slices"
	"strings"
)

// An Action is what a key asks for.
type Action string

// The actions that every list understands.
const (
	Up       Action = "up"
	Down     Action = "down"
	PageUp   Action = "page-up"
	PageDown Action = "page-down"
	Top      Action = "top"
	Bottom   Action = "bottom"
	Filter   Action = "filter"
	Sort     Action = "sort"
	Reverse  Action = "reverse"
	CopyID   Action = "copy-id"
	CopyCmd  Action = "copy-command"
)

// The actions of the pages that show live data in panes.
const (
	Refresh  Action = "refresh"
	Pause    Action = "pause"
	NextPane Action = "next-pane"
	PrevPane Action = "prev-pane"
	Pane1    Action = "pane-1"
	Pane2    Action = "pane-2"
	Pane3    Action = "pane-3"
)

// The actions that work everywhere.
const (
	Help    Action = "help"
	Back    Action = "back"
	Quit    Action = "quit"
	Kill    Action = "kill"
	Suspend Action = "suspend"
	Run     Action = "run"
)

// A Binding gives an action its keys, named as Bubble Tea names them.
type Binding struct {
	Action Action
	Keys   []string
	Label  string // two words at most, for the footer; "" keeps it out of there
	Help   string // a sentence, for the help of a view
}

// A Table is the bindings of a view, in the order of its help.
type Table []Binding

// Find returns the binding of a key.
func (t Table) Find(key string) (Binding, bool) {
	for _, b := range t {
		if slices.Contains(b.Keys, key) {
			return b, true
		}
	}
	return Binding{}, false
}

// Conflicts lists the keys that mean two things in views that are active
// together.
func Conflicts(together ...Table) []string {
	seen := map[string]Action{}
	var out []string
	for _, t := range together {
		for _, b := range t {
			for _, k := range b.Keys {
				if was, ok := seen[k]; ok {
					out = append(out, fmt.Sprintf("%s is %s and %s", k, was, b.Action))
				}
				seen[k] = b.Action
			}
		}
	}
	return out
}

// Shown is how people read the keys: "↑/k".
func (b Binding) Shown() string {
	words := make([]string, len(b.Keys))
	for i, k := range b.Keys {
		words[i] = glyph(k)
	}
	return strings.Join(words, "/")
}

func glyph(k string) string {
	switch k {
	case "up":
		return "↑"
	case "down":
		return "↓"
	case "left":
		return "←"
	case "right":
		return "→"
	case "pgup":
		return "PgUp"
	case "pgdown":
		return "PgDn"
	case "home":
		return "Home"
	case "end":
		return "End"
	case "tab":
		return "Tab"
	case "shift+tab":
		return "Shift-Tab"
	case "enter":
		return "Enter"
	case "esc":
		return "Esc"
	}
	if rest, ok := strings.CutPrefix(k, "ctrl+"); ok {
		return "Ctrl-" + strings.ToUpper(rest)
	}
	return k
}

// Global is what works in every view.
func Global() Table {
	return Table{
		{Help, []string{"?"}, "help", "show these keys; Enter runs the chosen one"},
		{Back, []string{"esc"}, "", "go back: close help, clear a filter"},
		{Quit, []string{"q"}, "quit", "close this view; quit from the first one"},
		{Kill, []string{"ctrl+c"}, "", "quit at once"},
		{Suspend, []string{"ctrl+z"}, "", "go to the shell; fg comes back"},
	}
}

// List is what works in every list.
func List() Table {
	return Table{
		{Up, []string{"up", "k"}, "", "one row up"},
		{Down, []string{"down", "j"}, "", "one row down"},
		{PageUp, []string{"pgup", "ctrl+b"}, "", "one page up"},
		{PageDown, []string{"pgdown", "ctrl+f"}, "", "one page down"},
		{Top, []string{"home", "g"}, "", "the first row"},
		{Bottom, []string{"end", "G"}, "", "the last row"},
		{Filter, []string{"/"}, "filter", "show only rows that match a regular expression; ! in front inverts"},
		{Sort, []string{"s"}, "sort", "sort by the next column"},
		{Reverse, []string{"S"}, "", "turn the order round"},
	}
}

// Live is what works on a page of panes with live data.
func Live() Table {
	return Table{
		{NextPane, []string{"tab", "right", "l"}, "pane", "the next pane"},
		{PrevPane, []string{"shift+tab", "left", "h"}, "", "the pane before"},
		{Pane1, []string{"1"}, "", "the first pane"},
		{Pane2, []string{"2"}, "", "the second pane"},
		{Pane3, []string{"3"}, "", "the third pane"},
		{CopyID, []string{"y"}, "copy", "copy the name or id of the row"},
		{CopyCmd, []string{"c"}, "command", "copy the prismctl command that shows the row"},
		{Refresh, []string{"r"}, "refresh", "ask the gateway now"},
		{Pause, []string{"p"}, "pause", "stop or go on asking the gateway"},
	}
}
