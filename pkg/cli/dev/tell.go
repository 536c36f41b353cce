package dev

import (
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/prism-data-layer/prism/pkg/clock"
	"github.com/prism-data-layer/prism/pkg/iostreams"
	"github.com/prism-data-layer/prism/pkg/supervise"
)

// The forms of progress.
const (
	progressAuto  = "auto"
	progressPlain = "plain"
	progressJSON  = "json"
)

// A teller tells what happens to the services while they start: as a table that
// is redrawn in place on a terminal, as a line for each change elsewhere, as
// JSON lines for programs. Once it is settled, every later change is a line.
type teller struct {
	io   *iostreams.IOStreams
	clk  clock.Clock
	form string
	look func() (supervise.Status, error) // what the table shows

	mu    sync.Mutex
	told  map[string]supervise.State // of each service, the last one
	table *screen                    // nil when there is none, or no more
	quit  chan struct{}
	gone  chan struct{}
}

// redrawEvery is how often the table is drawn when nothing happens: elapsed
// times go on.
const redrawEvery = 250 * time.Millisecond

func newTeller(io *iostreams.IOStreams, clk clock.Clock, form string, look func() (supervise.Status, error)) *teller {
	t := &teller{io: io, clk: clk, form: form, look: look, told: map[string]supervise.State{}}
	if form != progressAuto || !io.Animated() {
		return t
	}
	t.table = &screen{io: io, begun: clk.Now()}
	t.quit, t.gone = make(chan struct{}), make(chan struct{})
	go func() {
		defer close(t.gone)
		for {
			timer := clk.NewTimer(redrawEvery)
			select {
			case <-t.quit:
				timer.Stop()
				return
			case <-timer.C:
				t.redraw()
			}
		}
	}()
	return t
}

func (t *teller) redraw() {
	st, err := t.look()
	if err != nil {
		return // it will be told otherwise
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.table != nil {
		t.table.draw(st, t.clk.Now())
	}
}

// event tells of a change.
func (t *teller) event(e supervise.Event) {
	t.mu.Lock()
	if e.Service != "" {
		t.told[e.Service] = e.State
	}
	drawn := t.table != nil
	if !drawn {
		t.line(e)
	}
	t.mu.Unlock()
	if drawn {
		t.redraw()
	}
}

// catchUp tells the states that no event has told.
func (t *teller) catchUp(st supervise.Status) {
	for _, s := range st.Services {
		t.mu.Lock()
		known := t.told[s.Name] == s.State
		t.mu.Unlock()
		if !known {
			t.event(supervise.Event{Time: s.Since, Service: s.Name, State: s.State, PID: s.PID, Message: s.Message})
		}
	}
}

func (t *teller) line(e supervise.Event) {
	if t.form == progressJSON {
		_ = json.NewEncoder(t.io.ErrOut).Encode(e) //nolint:errcheck // IOStreams keeps it
		return
	}
	fmt.Fprintln(t.io.ErrOut, eventLine(e))
}

// settle draws the table for the last time: what comes is told in lines.
func (t *teller) settle() {
	t.mu.Lock()
	table := t.table
	t.mu.Unlock()
	if table == nil {
		return
	}
	t.redraw()
	t.mu.Lock()
	t.table = nil
	t.mu.Unlock()
	close(t.quit)
	<-t.gone
}

// stateSkipped is what becomes of a stack that cannot run here. It is no state
// of the supervisor's, which does not know it.
const stateSkipped = "skipped"

// tellJSON tells something as a line of JSON.
func (o *upOptions) tellJSON(v any) {
	_ = json.NewEncoder(o.IO.ErrOut).Encode(v) //nolint:errcheck // IOStreams keeps it
}

// skips tells loudly what cannot run here, and what would help.
func (o *upOptions) skips(pl *plan) {
	for _, s := range pl.skipped {
		if o.Progress == progressJSON {
			o.tellJSON(map[string]any{"time": o.Clock.Now(), "service": s.Name, "state": stateSkipped, "message": s.Why, "fix": s.Fix})
			continue
		}
		fmt.Fprintf(o.IO.ErrOut, "skipped %s: %s\n", s.Name, iostreams.Escape(s.Why))
		if s.Fix != "" {
			fmt.Fprintf(o.IO.ErrOut, "  fix: %s\n", iostreams.Escape(s.Fix))
		}
	}
	for _, w := range pl.warnings {
		if o.Progress == progressJSON {
			o.tellJSON(supervise.Event{Time: o.Clock.Now(), Message: w})
			continue
		}
		fmt.Fprintln(o.IO.ErrOut, "warning: "+iostreams.Escape(w))
	}
}

// eventLine is a change in one line: when, what, which state, and why.
func eventLine(e supervise.Event) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s  ", e.Time.Format("15:04:05.000"))
	if e.Service != "" {
		fmt.Fprintf(&b, "%-14s %-10s", e.Service, e.State)
	}
	if e.PID != 0 {
		fmt.Fprintf(&b, " pid %d", e.PID)
	}
	if e.Message != "" {
		fmt.Fprintf(&b, "  %s", iostreams.Escape(e.Message))
	}
	return strings.TrimRight(b.String(), " ")
}
