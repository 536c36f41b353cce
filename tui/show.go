package tui

import (
	"context"
	"time"

	tea "charm.land/bubbletea/v2"

	"github.com/prism-data-layer/prism/tui/component/text"
	"github.com/prism-data-layer/prism/tui/component/toast"
	"github.com/prism-data-layer/prism/tui/component/viewer"
	"github.com/prism-data-layer/prism/tui/page"
	"github.com/prism-data-layer/prism/tui/theme"
)

// readLimit is how long a text may take to come.
const readLimit = 10 * time.Second

// A reading is a text that is looked at.
type reading struct {
	m     *Model
	title string
	text  *viewer.Model
}

// read asks for a page's text and shows it.
func (m *Model) read(_ int, q page.Show) tea.Cmd {
	var running *job
	running, cmd := m.start(q.Title, "", func(ctx context.Context, _ func(string)) (string, error) {
		ctx, cancel := context.WithTimeout(ctx, readLimit)
		defer cancel()
		return q.Text(ctx)
	}, func(whole string, err error) tea.Cmd {
		if m.over != running && m.over != nil {
			return nil // the person went on to something else
		}
		m.close(running)
		if err != nil {
			return toast.Fail(err)
		}
		if !running.cancelled {
			m.show(&reading{m: m, title: q.Title, text: viewer.New(whole)})
		}
		return nil
	})
	m.show(running)
	return cmd
}

func (r *reading) crumb() string   { return text.Clean(r.title) }
func (r *reading) whole() bool     { return true }
func (r *reading) wheel(lines int) { r.text.Scroll(lines) }

func (r *reading) press(key, chars string) tea.Cmd {
	if r.text.Typing() {
		r.text.Type(key, chars)
		return nil
	}
	switch b, _ := r.m.opts.Keys.On(viewer.Keys()).Find(key); {
	case key == "esc" && r.text.Back():
	case key == "esc" || key == "q":
		r.m.close(r)
	case b.Action == viewer.Copy:
		return r.m.copy(r.text.Whole(), "the whole text")
	default:
		r.text.Do(b.Action)
	}
	return nil
}

func (r *reading) view(th theme.Theme, width, height int) []string {
	return r.text.View(th, width, height)
}

func (r *reading) footer(width int) string {
	if r.text.Typing() {
		return r.text.Prompt(width)
	}
	return text.Cut(r.text.Status()+"   / search  n/N next, before  w wrap  y copy  Esc back", width)
}
