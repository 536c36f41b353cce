// Package logs is the page of what the services of this folder write.
package logs

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	tea "charm.land/bubbletea/v2"

	"github.com/prism-data-layer/prism/tui/component/feed"
	"github.com/prism-data-layer/prism/tui/component/logview"
	"github.com/prism-data-layer/prism/tui/component/pane"
	"github.com/prism-data-layer/prism/tui/component/tail"
	"github.com/prism-data-layer/prism/tui/component/text"
	"github.com/prism-data-layer/prism/tui/keys"
	"github.com/prism-data-layer/prism/tui/page"
	"github.com/prism-data-layer/prism/tui/theme"
)

// Name is the page's name.
const Name = "logs"

// A Source gives what services write.
type Source interface {
	// Logs gives the lines since a time (zero: all that are kept) of one
	// service or of all (""), and then what comes.
	Logs(ctx context.Context, service string, since time.Time, to *tail.Sink[logview.Line]) error
	// Save makes a new file, and says where it is.
	Save(ctx context.Context, path string, write func(io.Writer) error) (string, error)
}

// The actions of the page, beside those of logs.
const (
	actSearch keys.Action = "logs-search"
	actSince  keys.Action = "logs-since"
	actSave   keys.Action = "logs-save"
)

// batch is how many lines wait for the page at most.
const batch = 10_000

// Model is the page.
type Model struct {
	env     page.Env
	service string
	source  Source
	since   page.Question[time.Duration] // 0: all that is kept
	begun   time.Duration                // the since that is shown

	stream *tail.Model[logview.Line]
	view   *logview.Model
	theme  theme.Theme

	width, height int
	typing        bool
	typed         string
}

// Factory makes the page of a source.
func Factory(s Source) page.Factory {
	return page.Factory{
		Name: Name, About: "what the services of this folder write", Arg: "SERVICE", ArgOptional: true,
		New: func(e page.Env, arg string) page.Page { return New(e, arg, s) },
	}
}

// New makes the page of a service; "": of all. It asks for nothing before Init.
func New(e page.Env, service string, s Source) *Model {
	m := &Model{env: e, service: service, source: s, view: logview.New(), theme: theme.New(theme.Dark)}
	m.stream = tail.New(e.Tasks, tail.Options{Buffer: batch, Patient: true}, func(ctx context.Context, to *tail.Sink[logview.Line]) error {
		var since time.Time
		if d := m.since.Get(); d > 0 {
			since = e.Tasks.Now().Add(-d)
		}
		return s.Logs(ctx, service, since, to)
	}, func(lines []logview.Line) { m.view.Append(lines...) })
	return m
}

// Init begins to read.
func (m *Model) Init() tea.Cmd { return m.stream.Start() }

// Beat tells the time.
func (m *Model) Beat(now time.Time) tea.Cmd {
	if m.stream.Feed().Err() != nil && m.stream.Feed().Due(now) {
		m.view.Clear() // what is kept comes again
	}
	return m.stream.Beat(now)
}

// searchOn asks for another part of a search.
type searchOn struct{}

// Update takes lines, and what is typed into the search.
func (m *Model) Update(msg tea.Msg) tea.Cmd {
	if cmd, ok := m.stream.Update(msg); ok {
		return cmd
	}
	switch msg := msg.(type) {
	case page.Done:
		if d := m.since.Get(); d != m.begun {
			m.begun = d
			m.view.Clear()
			return m.stream.Start()
		}
	case searchOn:
		return m.searchOn()
	case tea.PasteMsg:
		m.typed += text.Clean(msg.Content)
	case tea.KeyPressMsg:
		return m.key(msg)
	}
	return nil
}

func (m *Model) searchOn() tea.Cmd {
	if m.view.More() {
		return func() tea.Msg { return searchOn{} }
	}
	return nil
}

func (m *Model) key(k tea.KeyPressMsg) tea.Cmd {
	switch k.String() {
	case "enter":
		m.typing = false
		m.view.Search(m.typed)
		return m.searchOn()
	case "esc":
		m.typing = false
	case "backspace":
		if r := []rune(m.typed); len(r) > 0 {
			m.typed = string(r[:len(r)-1])
		} else {
			m.typing = false
		}
	case "ctrl+u":
		m.typed = ""
	default:
		m.typed += text.Clean(k.Text)
	}
	return nil
}

// Keys is what keys do on the page.
func (m *Model) Keys() keys.Table {
	t := keys.Table{{Action: actSearch, Keys: []string{"/"}, Label: "search", Help: "search for a regular expression; n and N go from match to match"}}
	t = append(t, logview.Keys()...)
	return append(t,
		keys.Binding{Action: actSince, Keys: []string{"i"}, Label: "since", Help: "read again, since a time"},
		keys.Binding{Action: actSave, Keys: []string{"o"}, Label: "save", Help: "save the lines that are shown to a file"},
		keys.Binding{Action: keys.Refresh, Keys: []string{"r"}, Help: "read again"},
		keys.Binding{Action: keys.Pause, Keys: []string{"p"}, Help: "stop or go on reading"})
}

// Do performs an action of Keys.
func (m *Model) Do(a keys.Action) tea.Cmd {
	switch a {
	case actSearch:
		m.typing, m.typed = true, m.view.Searching()
	case actSince:
		return page.Do(m.askSince())
	case actSave:
		return page.Do(m.save())
	case keys.Refresh:
		m.view.Clear()
		return m.stream.Start()
	case keys.Pause:
		cmd, _ := m.stream.Do(a)
		return cmd
	default:
		m.view.Do(a)
		return m.searchOn()
	}
	return nil
}

func (m *Model) askSince() page.Form {
	parse := func(s string) (time.Duration, error) {
		if s == "" {
			return 0, nil
		}
		return time.ParseDuration(s)
	}
	return page.Form{
		Title: "Read the logs again", Verb: "Read",
		Fields: []page.Field{{Name: "since", Label: "Since", Help: "such as 10m or 2h ago; empty: all that is kept"}},
		Check: func(v map[string]string) map[string]string {
			if d, err := parse(v["since"]); err != nil || d < 0 {
				return map[string]string{"since": "write it as 10m or 2h"}
			}
			return nil
		},
		Command: func(v map[string]string) string {
			if v["since"] == "" {
				return m.command()
			}
			return m.command() + " --since " + text.Quote(v["since"])
		},
		Do: func(_ context.Context, v map[string]string, _ func(string)) (string, error) {
			d, err := parse(v["since"])
			m.since.Set(d)
			return "", err
		},
	}
}

func (m *Model) save() page.Form {
	lines := m.view.Lines() // as they are now
	return page.Form{
		Title: fmt.Sprintf("Save %d lines", len(lines)), Verb: "Save",
		Fields:  []page.Field{{Name: "path", Label: "File", Required: true, Value: "prism-logs.txt", Help: "a new file; one that is there is left as it is"}},
		Command: func(v map[string]string) string { return m.command() + " > " + text.Quote(v["path"]) },
		Do: func(ctx context.Context, v map[string]string, _ func(string)) (string, error) {
			return m.source.Save(ctx, v["path"], func(w io.Writer) error {
				for _, l := range lines {
					if _, err := fmt.Fprintf(w, "%s %s | %s\n", l.Time.Format(time.RFC3339Nano), l.Source, l.Text); err != nil {
						return err
					}
				}
				return nil
			})
		},
	}
}

// command prints what is shown.
func (m *Model) command() string {
	if m.service == "" {
		return m.env.Line("dev", "logs")
	}
	return m.env.Line("dev", "logs", m.service)
}

// View draws the lines below a rule that says how they are seen.
func (m *Model) View() string {
	if m.view.Len() == 0 && m.Feed().Got().IsZero() {
		return strings.Join(page.Waiting(m.theme, m.Feed(), m.env.Tasks.Now(), m.Countdown(), m.width, m.height), "\n")
	}
	title := "Logs"
	if m.service != "" {
		title += " of " + text.Clean(m.service)
	}
	title += " · " + m.view.Status()
	if m.stream.Over() {
		title += " · nothing more comes"
	}
	out := []string{pane.Rule(m.theme, title, theme.Plain, m.width, true)}
	if m.view.Shown() == 0 {
		say := "nothing was written yet"
		if m.view.Len() > 0 {
			say = "no line passes the filter: v and s change it"
		}
		return out[0] + "\n  " + say
	}
	return strings.Join(append(out, m.view.View(m.theme, m.width, m.height-1)...), "\n")
}

// Selected is the logs as a whole.
func (m *Model) Selected() (page.Item, bool) {
	return page.Item{ID: m.service, Command: m.command()}, true
}

// Back ends a search.
func (m *Model) Back() bool {
	if m.view.Searching() == "" {
		return false
	}
	m.view.Search("")
	return true
}

// Prompt is the line in which the search is typed.
func (m *Model) Prompt() string { return "/" + m.typed + "▏  Enter searches" }

// Mouse scrolls.
func (m *Model) Mouse(x page.Mouse) tea.Cmd {
	if x.Wheel != 0 {
		m.view.Scroll(x.Wheel)
	}
	return nil
}

// Memory is nothing: logs begin anew.
func (m *Model) Memory() map[string]string  { return nil }
func (m *Model) Remember(map[string]string) {}
func (m *Model) Close()                     { m.stream.Close() }
func (m *Model) Typing() bool               { return m.typing }
func (m *Model) Feed() *feed.Feed           { return m.stream.Feed() }
func (m *Model) Countdown() string          { return m.stream.Countdown() }
func (m *Model) Gateway() string            { return "" }
func (m *Model) Notice() string             { return "" }
func (m *Model) SetSize(w, h int)           { m.width, m.height = w, h }
func (m *Model) SetTheme(t theme.Theme)     { m.theme = t }
func (m *Model) Panes() []page.Rect {
	return []page.Rect{{X: 0, Y: 1, W: m.width, H: max(m.height-1, 0)}}
}
