// Package keys is the one table of what keys do. The footer, the help of a
// view and the dispatch are all made from it, so that none of them can be
// wrong alone.
package keys

import (
	"fmt"
	"slices"
	"strconv"
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
)

// The actions of the pages that show live data in panes.
const (
	Refresh  Action = "refresh"
	Pause    Action = "pause"
	NextPane Action = "next-pane"
	PrevPane Action = "prev-pane"
)

// The actions that work everywhere.
const (
	Help    Action = "help"
	Back    Action = "back"
	Quit    Action = "quit"
	Kill    Action = "kill"
	Suspend Action = "suspend"
	Palette Action = "palette"
	Errors  Action = "errors"
	CopyID  Action = "copy-id"
	CopyObj Action = "copy-object"
	CopyCmd Action = "copy-command"
	Mouse   Action = "mouse"
	Earlier Action = "earlier"
	Later   Action = "later"
)

// A Binding gives an action its keys, named as Bubble Tea names them.
type Binding struct {
	Action Action
	Keys   []string
	Label  string // two words at most, for the footer; "" keeps it out of there
	Help   string // a sentence, for the help of a view
	// Changes says that the action changes something: it is refused where
	// nothing may be changed.
	Changes bool
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

// Of returns the binding of an action.
func (t Table) Of(a Action) (Binding, bool) {
	i := slices.IndexFunc(t, func(b Binding) bool { return b.Action == a })
	if i < 0 {
		return Binding{}, false
	}
	return t[i], true
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
	case "space":
		return "Space"
	}
	if rest, ok := strings.CutPrefix(k, "alt+"); ok {
		return "Alt-" + rest
	}
	if rest, ok := strings.CutPrefix(k, "ctrl+"); ok {
		return "Ctrl-" + strings.ToUpper(rest)
	}
	return k
}

// Global is what works in every view.
func Global() Table {
	return Table{
		{Action: Help, Keys: []string{"?"}, Label: "help", Help: "show these keys; Enter runs the chosen one"},
		{Action: Palette, Keys: []string{":"}, Label: "go to", Help: "go to a page, or run an action, by a few letters of it"},
		{Action: Back, Keys: []string{"esc"}, Help: "go back: close what is open, clear a filter, leave the page"},
		{Action: Quit, Keys: []string{"q"}, Label: "quit", Help: "close this view; quit from the first one"},
		{Action: CopyID, Keys: []string{"y"}, Label: "copy", Help: "copy the name or id of the row"},
		{Action: CopyObj, Keys: []string{"Y"}, Help: "copy the row as YAML"},
		{Action: CopyCmd, Keys: []string{"c"}, Label: "command", Help: "copy the prismctl command that shows the row"},
		{Action: Errors, Keys: []string{"!"}, Help: "the errors that were told"},
		{Action: Earlier, Keys: []string{"["}, Help: "the page that was open before"},
		{Action: Later, Keys: []string{"]"}, Help: "the page that was open after"},
		{Action: Mouse, Keys: []string{"m"}, Help: "turn the mouse off or on: while it is off, the terminal selects"},
		{Action: Kill, Keys: []string{"ctrl+c"}, Help: "quit at once"},
		{Action: Suspend, Keys: []string{"ctrl+z"}, Help: "go to the shell; fg comes back"},
	}
}

// List is what works in every list.
func List() Table {
	return Table{
		{Action: Up, Keys: []string{"up", "k"}, Help: "one row up"},
		{Action: Down, Keys: []string{"down", "j"}, Help: "one row down"},
		{Action: PageUp, Keys: []string{"pgup", "ctrl+b"}, Help: "one page up"},
		{Action: PageDown, Keys: []string{"pgdown", "ctrl+f"}, Help: "one page down"},
		{Action: Top, Keys: []string{"home", "g"}, Help: "the first row"},
		{Action: Bottom, Keys: []string{"end", "G"}, Help: "the last row"},
		{Action: Filter, Keys: []string{"/"}, Label: "filter", Help: "show only rows that match a regular expression; ! inverts, -f letters, -l labels"},
		{Action: Sort, Keys: []string{"s"}, Label: "sort", Help: "sort by the next column"},
		{Action: Reverse, Keys: []string{"S"}, Help: "turn the order round"},
	}
}

// Panes is what works on a page of so many panes, at most nine.
func Panes(n int) Table {
	t := Table{
		{Action: NextPane, Keys: []string{"tab", "right", "l"}, Label: "pane", Help: "the next pane"},
		{Action: PrevPane, Keys: []string{"shift+tab", "left", "h"}, Help: "the pane before"},
	}
	names := [...]string{"first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth"}
	for i, name := range names[:min(n, len(names))] {
		t = append(t, Binding{Action: paneAction(i), Keys: []string{strconv.Itoa(i + 1)}, Help: "the " + name + " pane"})
	}
	return t
}

func paneAction(i int) Action { return Action("pane-" + strconv.Itoa(i+1)) }

// PaneOf is the pane that an action of Panes goes to, counted from 0.
func PaneOf(a Action) (int, bool) {
	rest, ok := strings.CutPrefix(string(a), "pane-")
	n, err := strconv.Atoi(rest)
	return n - 1, ok && err == nil && n > 0
}

// Live is what works on a page of live data.
func Live() Table {
	return Table{
		{Action: Refresh, Keys: []string{"r"}, Label: "refresh", Help: "ask the gateway now"},
		{Action: Pause, Keys: []string{"p"}, Label: "pause", Help: "stop or go on asking the gateway"},
	}
}
