// Package cell makes the cells of tables from what sources tell: every text is
// made safe, every state has a glyph, a word and a colour.
package cell

import (
	"math"
	"strings"
	"time"

	"github.com/prism-data-layer/prism/tui/component/figure"
	"github.com/prism-data-layer/prism/tui/component/table"
	"github.com/prism-data-layer/prism/tui/component/text"
	"github.com/prism-data-layer/prism/tui/theme"
)

// Wellness says by word how good a state is.
func Wellness(word string) theme.Role {
	switch strings.ReplaceAll(word, "_", " ") {
	case "active", "healthy", "ready", "ok", "running", "done":
		return theme.Good
	case "degraded", "expiring", "read only", "deleting", "terminating", "moving", "stopping", "draining":
		return theme.Warn
	case "unhealthy", "crashed", "failed", "error":
		return theme.Bad
	}
	return theme.Faint
}

// Glyph is the mark of a role.
func Glyph(r theme.Role) string {
	switch r {
	case theme.Good:
		return "✓"
	case theme.Warn:
		return "!"
	case theme.Bad:
		return "✗"
	}
	return "◌"
}

// State is a glyph, a word and a colour: any one of them is enough.
func State(word string) table.Cell {
	word = strings.ReplaceAll(word, "_", " ")
	role := Wellness(word)
	return table.Cell{Text: Glyph(role) + " " + text.Clean(word), Role: role}
}

// Words is any text.
func Words(s string) table.Cell { return table.Cell{Text: text.Clean(s)} }

// Number is a whole number.
func Number(n int64) table.Cell { return table.Cell{Text: figure.Count(n), Order: float64(n)} }

// None stands where there is no number.
func None() table.Cell {
	return table.Cell{Text: figure.None, Role: theme.Faint, Order: math.NaN()}
}

// Latency is a measured time; None when it is not known.
func Latency(d time.Duration, known bool) table.Cell {
	if !known {
		return None()
	}
	return table.Cell{Text: figure.Latency(d), Order: float64(d)}
}

// At is when t was: the time of day, on another day the date; None for the zero
// time. An age would be drawn anew each minute, with nobody doing anything.
func At(t, now time.Time) table.Cell {
	if t.IsZero() {
		return None()
	}
	t = t.In(now.Location())
	text := t.Format("15:04")
	if t.Format(time.DateOnly) != now.Format(time.DateOnly) {
		text = t.Format("01-02")
	}
	return table.Cell{Text: text, Order: float64(t.UnixMilli())}
}
