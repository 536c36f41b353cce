package cli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/prism-data-layer/prism/pkg/clock"
	"github.com/prism-data-layer/prism/pkg/iostreams"
	"github.com/prism-data-layer/prism/pkg/prism"
)

const (
	watchEvery  = 2 * time.Second
	watchFloor  = 100 * time.Millisecond // more often would load the gateway for nobody
	clearToEnd  = "\x1b[K"
	clearBelow  = "\x1b[J"
	wrapOff     = "\x1b[?7l"
	wrapOn      = "\x1b[?7h"
	watchStatus = 1 // lines below the list
)

// AddWatch lets a list command look again and again. On a terminal the table is
// redrawn in place; elsewhere what is new or has changed is appended, as JSON
// lines unless another format was asked for. Call it after cmd has its RunE.
func AddWatch(f *Factory, cmd *cobra.Command, o *Output) {
	var on bool
	every := DurationFlag(watchEvery)
	flags := cmd.Flags()
	flags.BoolVarP(&on, "watch", "w", false, "look again and again, until Ctrl-C")
	flags.Var(&every, "interval", "with --watch: look every `DURATION`")
	SetDefault(cmd, "interval", Duration(watchEvery))
	once := cmd.RunE
	cmd.RunE = func(c *cobra.Command, args []string) error {
		switch {
		case !on && flags.Changed("interval"):
			return Usage("add --watch", "--interval is for --watch")
		case !on:
			return once(c, args)
		case time.Duration(every) < watchFloor:
			return Usage("pass "+Duration(watchFloor)+" or more", "--interval is too short")
		}
		l, err := newLive(o, f.Clock, time.Duration(every))
		if err != nil {
			return err
		}
		o.live = l
		return l.run(c.Context(), func() error { return once(c, args) })
	}
}

// A live list is one that is asked for again and again.
type live struct {
	o      *Output
	clock  clock.Clock
	every  time.Duration
	screen bool // redraw in place

	frame []string // the lines that are on the screen, without the status
	drawn int      // lines to go up before drawing

	out  *rows           // what is appended to
	seen map[string]bool // what the last look found, as JSON
	away time.Time       // since when the gateway has not answered; zero: it does
}

func newLive(o *Output, c clock.Clock, every time.Duration) (*live, error) {
	table := o.format == FormatTable || o.format == FormatWide
	l := &live{o: o, clock: c, every: every}
	l.screen = table && o.IO.IsTTY(iostreams.Out) && o.IO.Env("TERM") != "dumb"
	if table && o.globals.Output == "" && !o.IO.IsTTY(iostreams.Out) {
		o.format = FormatJSON
	}
	if o.format == FormatJSON && o.jq == "" {
		o.format = FormatJSONL
	}
	if o.jq != "" || o.format == FormatJSONPath || o.format == FormatTemplate || o.format == FormatColumns {
		return nil, Usage("filter -o jsonl in a pipe", "--watch takes no expression")
	}
	return l, nil
}

// run looks until ctx ends. A gateway that answered once is waited for when it
// goes away.
func (l *live) run(ctx context.Context, look func() error) error {
	for first := true; ; first = false {
		err := look()
		switch {
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case err == nil:
			l.back()
		case !first && (errors.Is(err, prism.ReasonUnavailable) || errors.Is(err, prism.ReasonDeadlineExceeded)):
			l.gone()
		default:
			return err
		}
		if l.screen {
			if err := l.draw(); err != nil {
				return err
			}
		}
		timer := l.clock.NewTimer(l.every)
		select {
		case <-ctx.Done():
			timer.Stop()
			return context.Cause(ctx)
		case <-timer.C:
		}
	}
}

func (l *live) gone() {
	if !l.away.IsZero() {
		return
	}
	l.away = l.clock.Now()
	if !l.screen {
		l.o.Note("the gateway is away; waiting to go on")
	}
}

func (l *live) back() {
	if l.away.IsZero() {
		return
	}
	l.away = time.Time{}
	if !l.screen {
		l.o.Note("the gateway is back")
	}
}

// take gets what one look has found.
func (l *live) take(r *rows) error {
	if l.screen {
		l.frame = r.lines()
		return nil
	}
	if l.out == nil {
		l.out = r
	}
	before := l.seen
	l.seen = make(map[string]bool, len(r.held))
	for _, cells := range r.held {
		var b bytes.Buffer
		writeJSON(&b, l.o.object(r.info, cells), "", "")
		if l.seen[b.String()] = true; before[b.String()] {
			continue
		}
		l.out.printed++
		if err := l.out.emit(cells, l.out.printed); err != nil {
			return err
		}
	}
	return l.out.flush()
}

// draw puts the frame where the last one was. What does not fit is counted, not
// scrolled: a line that left the screen could not be drawn again.
func (l *live) draw() error {
	room := max(l.o.IO.Height()-1-watchStatus, 1)
	shown, more := l.frame, 0
	if len(shown) > room {
		more = len(shown) - (room - 1)
		shown = shown[:room-1]
	}
	var b strings.Builder
	b.WriteString(wrapOff)
	if l.drawn > 0 {
		fmt.Fprintf(&b, "\x1b[%dA", l.drawn)
	}
	b.WriteByte('\r')
	for _, line := range shown {
		b.WriteString(line + clearToEnd + "\n")
	}
	l.drawn = len(shown) + watchStatus
	palette := l.o.IO.Palette(iostreams.Out)
	if more > 0 {
		fmt.Fprintf(&b, "%s%s\n", palette.Faint(fmt.Sprintf("%s %d more", l.o.IO.Symbols().Ellipsis, more)), clearToEnd)
		l.drawn++
	}
	b.WriteString(l.status(palette) + clearToEnd + "\n" + clearBelow + wrapOn)
	_, err := l.o.IO.Out.Write([]byte(b.String()))
	return err
}

func (l *live) status(p iostreams.Palette) string {
	if !l.away.IsZero() {
		return p.Warn(fmt.Sprintf("%s the gateway is away for %s; trying again", l.o.IO.Symbols().Warn, Duration(l.clock.Now().Sub(l.away))))
	}
	return p.Faint("every " + Duration(l.every) + ", until Ctrl-C")
}

// NewWatch makes the verb watch of a noun out of its list: the same list, looked
// at again and again.
func NewWatch(list *cobra.Command, noun, example string) *cobra.Command {
	list.Use, list.Aliases = "watch", nil
	list.Short = "Watch " + noun + " change"
	list.Long = "Lists again and again, until Ctrl-C: redrawn in place on a terminal, and what is new or has changed\nas JSON lines elsewhere. A gateway that goes away is waited for. It is list --watch."
	list.Example = example
	on := list.Flags().Lookup("watch")
	on.Hidden = true
	run := list.RunE
	list.RunE = func(c *cobra.Command, args []string) error {
		if err := on.Value.Set("true"); err != nil {
			return err
		}
		return run(c, args)
	}
	return list
}
