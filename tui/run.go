package tui

import (
	"context"
	"errors"
	"io"
	"strings"
	"time"

	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/colorprofile"
	"github.com/charmbracelet/x/ansi"

	"github.com/prism-data-layer/prism/tui/theme"
)

// framesPerSecond shows a key within 42 ms. The renderer wakes up as often even
// when nothing changes: the default, 60, is most of what an idle screen costs.
const framesPerSecond = 24

// A Terminal is where the dashboards are drawn.
type Terminal struct {
	In  io.Reader
	Out io.Writer
	Env []string
	// The size of an Out that is no terminal, for tests.
	Width, Height int
}

// Run draws the dashboards until the person leaves or ctx ends, which is told
// as ctx's cause. Nothing that it started runs on.
func Run(ctx context.Context, o Options, t Terminal) error {
	inner, cancel := context.WithCancel(ctx)
	defer cancel()
	opts := []tea.ProgramOption{
		tea.WithContext(inner), tea.WithInput(t.In), tea.WithOutput(t.Out), tea.WithEnvironment(t.Env),
		tea.WithFPS(framesPerSecond), tea.WithWindowSize(t.Width, t.Height),
		tea.WithoutSignalHandler(), // signals end ctx
	}
	if o.Mode == theme.Mono {
		opts = append(opts, tea.WithColorProfile(colorprofile.ASCII))
	}
	g := &guarded{Model: New(inner, o)}
	_, err := tea.NewProgram(g, opts...).Run()
	if crash := g.crashed(); crash != nil {
		return crash
	}
	g.Close()
	if o.Save != nil {
		if serr := o.Save(g.State()); err == nil {
			err = serr
		}
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if errors.Is(err, tea.ErrProgramPanic) {
		return errors.New("the dashboards crashed")
	}
	return err
}

// Snapshot is one frame as plain text, drawn after the gateway was asked twice
// with an interval between: two answers make a rate. When the gateway does not
// answer, the frame that says so comes with the error.
func Snapshot(ctx context.Context, o Options, width, height int) (string, error) {
	o.Mode = theme.Mono
	outer := ctx
	ctx, cancel := context.WithCancel(ctx) // of what a page listens to
	defer cancel()
	m := New(ctx, o)
	m.Update(tea.WindowSizeMsg{Width: width, Height: height})
	p := m.page()
	m.settle(ctx, m.top().init())
	if p.Feed().Err() == nil {
		if m.tasks.After(m.opts.Refresh, func(t time.Time) tea.Msg { return t })() == nil {
			return "", context.Cause(ctx)
		}
		m.settle(ctx, m.top().init())
	}
	if outer.Err() != nil {
		return "", context.Cause(outer)
	}
	lines := strings.Split(ansi.Strip(m.Frame()), "\n")
	for i, l := range lines {
		lines[i] = strings.TrimRight(l, " ")
	}
	return strings.Join(lines, "\n") + "\n", p.Feed().Err()
}

// settle performs a command of the page until the page's question is answered.
// What else the page has begun by then, such as to listen, is not waited for.
func (m *Model) settle(ctx context.Context, cmd tea.Cmd) {
	msgs := make(chan tea.Msg)
	var begin func(tea.Cmd)
	begin = func(cmd tea.Cmd) {
		go func() {
			msg := cmd()
			if batch, ok := msg.(tea.BatchMsg); ok {
				for _, c := range batch {
					begin(c)
				}
				return
			}
			select {
			case msgs <- msg:
			case <-ctx.Done():
			}
		}()
	}
	f := m.page().Feed()
	if cmd == nil {
		return
	}
	begin(cmd)
	if !f.Asking() {
		m.Update(<-msgs)
	}
	for limit := time.After(f.Limit() + time.Second); f.Asking(); {
		select {
		case msg := <-msgs:
			_, next := m.Update(msg)
			if next != nil {
				begin(next)
			}
		case <-limit:
			return
		case <-ctx.Done():
			return
		}
	}
}
