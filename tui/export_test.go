package tui

import (
	"time"

	tea "charm.land/bubbletea/v2"
)

// Beat is the message of the heart beat.
func Beat(t time.Time) tea.Msg { return beat(t) }
