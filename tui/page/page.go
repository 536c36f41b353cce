// Package page says what a page of the dashboards is: what it is given, what the
// root asks of it, and what it may ask of the root. Pages are the folders below
// it. None knows another: what leads from one to the next is a Go.
package page

import (
	"context"
	"time"

	tea "charm.land/bubbletea/v2"

	"github.com/prism-data-layer/prism/tui/component/feed"
	"github.com/prism-data-layer/prism/tui/component/task"
	"github.com/prism-data-layer/prism/tui/keys"
	"github.com/prism-data-layer/prism/tui/theme"
)

// Env is what every page is given.
type Env struct {
	Tasks   task.Runner
	Refresh time.Duration
	Charset theme.Charset
	// Command begins every command that is copied: "prismctl", with the flags
	// that lead to the same gateway.
	Command string
	// ReadOnly says that nothing may be changed. The root refuses actions of
	// bindings that say Changes; a page need only not offer more.
	ReadOnly bool
	// Protected gateways ask for a name to be typed before something is lost.
	Protected bool
}

// A Factory makes a page. Whoever starts the dashboards brings the list of
// them, each with the source that its page asks.
type Factory struct {
	Name    string   // in the breadcrumb, the palette and --view: "namespaces"
	Aliases []string // "ns"
	About   string   // a sentence for the palette
	// Arg says what the page is about, such as "NAMESPACE"; "": it takes none.
	Arg string
	// ArgOptional: without one the page shows all, or lets choose.
	ArgOptional bool
	// Complete offers arguments; nil: none. It is given a deadline.
	Complete func(ctx context.Context) ([]string, error)
	New      func(e Env, arg string) Page
}

// A Page fills the screen between the title line and the footer. Only the page
// on top is given beats and keys; an answer goes to the page that asked for it.
type Page interface {
	// Init asks for the page's data for the first time.
	Init() tea.Cmd
	// Beat tells the time, once a second or so. What depends on the time hangs
	// on it, so that an idle screen costs nothing.
	Beat(now time.Time) tea.Cmd
	// Update takes what the page's commands answered, Done, and keys and pastes
	// while it is Typing.
	Update(tea.Msg) tea.Cmd
	// View draws the page into the place that SetSize gave it.
	View() string
	SetSize(width, height int)
	SetTheme(theme.Theme)
	// Close ends what the page has open, when it is left.
	Close()

	// Keys is what keys do on the page, beside keys.Global, and Do does it.
	Keys() keys.Table
	Do(keys.Action) tea.Cmd
	// Back undoes one step into something; false when there is none left.
	Back() bool
	// Typing reports whether keys are text for the line that Prompt draws.
	Typing() bool
	Prompt() string

	// Selected is what the cursor is on, for what the root does with it: copy
	// its id, its command, its object.
	Selected() (Item, bool)
	// Panes are the parts in which a mouse selects text, in cells of the page.
	Panes() []Rect
	// Mouse is a click or a turn of the wheel in the page.
	Mouse(Mouse) tea.Cmd

	// Feed is how the page's data is; Countdown, Gateway and Notice are what
	// the title and the banners say of it.
	Feed() *feed.Feed
	Countdown() string
	Gateway() string
	Notice() string

	// View state that is kept from one start to the next: order, filter.
	Memory() map[string]string
	Remember(map[string]string)
}

// An Item is what the cursor is on.
type Item struct {
	ID      string
	Command string // the prismctl command that shows it
	// Object is it as prismctl shows it with -o yaml; nil: it has no such form.
	Object func(context.Context) (string, error)
}

// A Rect is a place on the page, in cells from its upper left corner.
type Rect struct{ X, Y, W, H int }

// Mouse is a click (Wheel 0) or the wheel: lines down, negative up.
type Mouse struct{ X, Y, Wheel int }

// What a page may ask of the root: a message that a command answers.
type (
	// Go opens a page on top of this one.
	Go struct{ Name, Arg string }

	// Ask asks before something is done. The default is No.
	Ask struct {
		Title string
		Lines []string // what will happen, and what will be lost
		Verb  string   // "Terminate"
		Type  string   // must be typed first; "": only where the gateway is protected, and then Name
		Name  string   // of what is lost
		Job
	}

	// Form asks for values, and then does something with them.
	Form struct {
		Title  string
		Fields []Field
		// Check answers the problems by field; it must not wait.
		Check func(values map[string]string) map[string]string
		// Command is the prismctl command that does the same.
		Command func(values map[string]string) string
		Verb    string
		Do      func(ctx context.Context, values map[string]string, say func(string)) (string, error)
	}

	// Edit opens a text in $EDITOR, and again with the error as long as it is
	// refused and the person goes on.
	Edit struct {
		Name  string // of the file: "orders.yaml"
		Text  func(context.Context) (string, error)
		Apply func(ctx context.Context, text string) (string, error)
	}

	// Show opens a text to look at and copy from.
	Show struct {
		Title string
		Text  func(context.Context) (string, error)
	}
)

// A Job is something that is done on a person's word. The root shows what it
// says while it works, cancels it on Esc, and tells its result or its error;
// then the page is told Done.
type Job struct {
	Command string // the prismctl command that does the same
	Do      func(ctx context.Context, say func(string)) (string, error)
}

// Done says that something that the page asked for has been done, or failed.
type Done struct{ Err error }

// A Field is one question of a Form.
type Field struct {
	Name     string
	Label    string
	Help     string // below it while it is asked
	Value    string // the default
	Options  []string
	Choices  func(ctx context.Context, values map[string]string) ([]string, error) // options that must be asked for
	Required bool
	Secret   bool
	// When says whether the question is asked, given the answers so far; nil: always.
	When func(values map[string]string) bool
}

// Do is a command that asks the root for one of the above.
func Do(what any) tea.Cmd { return func() tea.Msg { return what } }
