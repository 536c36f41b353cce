package data

import (
	"context"
	"time"

	tea "charm.land/bubbletea/v2"

	"github.com/prism-data-layer/prism/pkg/prism"
	"github.com/prism-data-layer/prism/tui/component/toast"
	"github.com/prism-data-layer/prism/tui/keys"
	"github.com/prism-data-layer/prism/tui/page"
	"github.com/prism-data-layer/prism/tui/theme"
)

// A door asks for the model of a namespace, and then is the page of that model.
type door struct {
	page.Page // a board that waits, then the page

	env       page.Env
	namespace string
	models    Models
	model     string // "" while it is not known

	width, height int
	theme         theme.Theme
	memory        map[string]string
}

func newDoor(e page.Env, namespace string, s Source, models Models) *door {
	d := &door{env: e, namespace: namespace, models: models, theme: theme.New(theme.Dark)}
	d.Page = &waiting{page.NewBoard(e, func(ctx context.Context) (string, error) {
		model, err := s.Model(ctx, namespace)
		if _, ok := models[model]; err == nil && !ok {
			return "", prism.New(prism.ReasonUnimplemented, "there is no page for the model %s of namespace %s yet", model, namespace)
		}
		return model, err
	}, func(model string) { d.model = model })}
	return d
}

// A waiting page has no panes.
type waiting struct{ *page.Board[string] }

func (w *waiting) Keys() keys.Table            { return keys.Live() }
func (w *waiting) Typing() bool                { return false }
func (w *waiting) Prompt() string              { return "" }
func (w *waiting) Back() bool                  { return false }
func (w *waiting) Selected() (page.Item, bool) { return page.Item{}, false }
func (w *waiting) Memory() map[string]string   { return nil }
func (w *waiting) Remember(map[string]string)  {}
func (w *waiting) Mouse(page.Mouse) tea.Cmd    { return nil }
func (w *waiting) Panes() []page.Rect          { return []page.Rect{{X: 0, Y: 0, W: w.Width, H: w.Height}} }
func (w *waiting) Update(msg tea.Msg) tea.Cmd  { w.Live.Update(msg); return nil }
func (w *waiting) Beat(now time.Time) tea.Cmd  { return w.Live.Beat(now) }

func (w *waiting) Do(a keys.Action) tea.Cmd {
	if cmd, ok := w.Live.Do(a); ok {
		return cmd
	}
	return toast.Warn("there is nothing here yet")
}

// Update takes the answer that says which page this is.
func (d *door) Update(msg tea.Msg) tea.Cmd {
	cmd := d.Page.Update(msg)
	if _, ok := d.Page.(*waiting); !ok || d.model == "" {
		return cmd
	}
	d.Page = d.models[d.model].New(d.env, d.namespace)
	d.SetTheme(d.theme)
	d.SetSize(d.width, d.height)
	d.Page.Remember(d.memory)
	return tea.Batch(cmd, d.Page.Init())
}

func (d *door) SetSize(width, height int) {
	d.width, d.height = width, height
	d.Page.SetSize(width, height)
}

func (d *door) SetTheme(t theme.Theme) {
	d.theme = t
	d.Page.SetTheme(t)
}

func (d *door) Remember(m map[string]string) {
	d.memory = m
	d.Page.Remember(m)
}
