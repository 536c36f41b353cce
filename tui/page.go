package tui

import (
	"time"

	tea "charm.land/bubbletea/v2"

	"github.com/prism-data-layer/prism/tui/component/feed"
	"github.com/prism-data-layer/prism/tui/keys"
	"github.com/prism-data-layer/prism/tui/theme"
)

// A page fills the screen between the title line and the footer. Pages live in
// tui/page and do not know this package; a new one is a folder there and a line
// in New.
type page interface {
	Name() string
	// Init asks for the page's data for the first time.
	Init() tea.Cmd
	// Beat tells the time, once a second or so.
	Beat(now time.Time) tea.Cmd
	// Update takes what the page's commands answered, and keys while it is
	// Typing.
	Update(tea.Msg) tea.Cmd
	// View draws the page into the place that SetSize gave it.
	View() string
	SetSize(width, height int)
	SetTheme(theme.Theme)

	// Keys is what keys do on the page, beside keys.Global, and Do does it.
	Keys() keys.Table
	Do(keys.Action) tea.Cmd
	// Back undoes one step into something; false when there is none left.
	Back() bool
	// Typing reports whether keys are text for the line that Prompt draws.
	Typing() bool
	Prompt() string

	// Feed is how the page's data is; Gateway and Notice are what the gateway
	// says of itself.
	Feed() *feed.Feed
	Countdown() string
	Gateway() string
	Notice() string
}
