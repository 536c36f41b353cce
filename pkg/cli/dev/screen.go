package dev

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/clipperhouse/displaywidth"

	"github.com/prism-data-layer/prism/pkg/iostreams"
	"github.com/prism-data-layer/prism/pkg/supervise"
)

// A screen is the table of a start, drawn over itself.
type screen struct {
	io    *iostreams.IOStreams
	begun time.Time
	drawn int // lines to go up before drawing
}

const (
	wrapOff    = "\x1b[?7l"
	wrapOn     = "\x1b[?7h"
	clearToEnd = "\x1b[K"
	clearBelow = "\x1b[J"
)

// draw puts the table where the last one was. What does not fit on the screen
// is counted: a line that scrolled away could not be drawn again.
func (s *screen) draw(st supervise.Status, now time.Time) {
	lines := s.lines(st, now)
	if room := max(s.io.Height()-1, 2); len(lines) > room {
		more := len(lines) - (room - 1)
		lines = append(lines[:room-1], fmt.Sprintf("%s %d more", s.io.Symbols().Ellipsis, more))
	}
	var b strings.Builder
	b.WriteString(wrapOff)
	if s.drawn > 0 {
		fmt.Fprintf(&b, "\x1b[%dA", s.drawn)
	}
	b.WriteByte('\r')
	for _, l := range lines {
		b.WriteString(l + clearToEnd + "\n")
	}
	b.WriteString(clearBelow + wrapOn)
	s.drawn = len(lines)
	s.io.ErrOut.Write([]byte(b.String())) //nolint:errcheck // IOStreams keeps it
}

// lines are the table's: the head, and one for each service.
func (s *screen) lines(st supervise.Status, now time.Time) []string {
	rows := [][]string{{"SERVICE", "STATE", "ELAPSED", "PORT", "RESTARTS", ""}}
	for _, one := range st.Services {
		rows = append(rows, []string{
			one.Name, string(one.State), s.elapsed(one, now), strings.Join(portList(one.Listen), ","),
			strconv.Itoa(one.Restarts), iostreams.Escape(one.Message),
		})
	}
	widths := make([]int, len(rows[0]))
	for _, row := range rows {
		for i, text := range row {
			widths[i] = max(widths[i], displaywidth.String(text))
		}
	}
	widths[3] = min(widths[3], 20)
	palette, mark, width := s.io.Palette(iostreams.Err), s.io.Symbols().Ellipsis, s.io.Width()
	var out []string
	for n, row := range rows {
		var b strings.Builder
		room := width
		for i, text := range row {
			if i < len(row)-1 {
				text = displaywidth.TruncateString(text, widths[i], mark)
				text += strings.Repeat(" ", widths[i]-displaywidth.String(text)+2)
			}
			if text = displaywidth.TruncateString(text, max(room, 0), mark); room <= 0 {
				text = ""
			}
			room -= displaywidth.String(text)
			switch {
			case n == 0:
				text = palette.Bold(text)
			case i == 1:
				text = paintState(palette, st.Services[n-1].State)(text)
			}
			b.WriteString(text)
		}
		out = append(out, b.String())
	}
	return out
}

// elapsed is how long the service took to be ready, or has taken.
func (s *screen) elapsed(one supervise.ServiceStatus, now time.Time) string {
	took := now.Sub(s.begun)
	if one.State.Up() {
		took = time.Duration(one.ReadyMS) * time.Millisecond
	}
	return fmt.Sprintf("%.1fs", max(took, 0).Seconds())
}

func paintState(p iostreams.Palette, st supervise.State) func(string) string {
	switch st {
	case supervise.Ready, supervise.Done:
		return p.Good
	case supervise.Crashed, supervise.CrashLoop:
		return p.Bad
	case supervise.Degraded:
		return p.Warn
	}
	return p.Faint
}

// portList are the ports of addresses, smallest first.
func portList(listen map[string]string) []string {
	var list []int
	for _, addr := range listen {
		if n, err := strconv.Atoi(addr[strings.LastIndexByte(addr, ':')+1:]); err == nil {
			list = append(list, n)
		}
	}
	slices.Sort(list)
	out := make([]string, len(list))
	for i, n := range list {
		out[i] = strconv.Itoa(n)
	}
	return out
}
