package tui

import (
	"context"
	"fmt"
	"sync"
	"time"

	tea "charm.land/bubbletea/v2"

	"github.com/prism-data-layer/prism/tui/component/text"
	"github.com/prism-data-layer/prism/tui/component/toast"
	"github.com/prism-data-layer/prism/tui/page"
	"github.com/prism-data-layer/prism/tui/theme"
)

// A job is something that goes on while the screen stays alive.
type job struct {
	m         *Model
	title     string
	command   string
	began     time.Time
	cancel    context.CancelFunc
	cancelled bool
	then      func(result string, err error) tea.Cmd

	news chan struct{} // holds one when there is something new; closed at the end
	mu   sync.Mutex
	last string // what it said last
	line string // what is shown of it
}

type (
	jobSaid struct{ job *job }
	jobDone struct {
		job    *job
		result string
		err    error
	}
)

// start runs do; then is called with its result, on the screen's thread.
func (m *Model) start(title, command string, do func(context.Context, func(string)) (string, error), then func(string, error) tea.Cmd) (*job, tea.Cmd) {
	j := &job{m: m, title: title, command: command, began: m.tasks.Now(), then: then, news: make(chan struct{}, 1)}
	cmd, cancel := m.tasks.Start(func(ctx context.Context) tea.Msg {
		defer close(j.news)
		result, err := do(ctx, j.say)
		return jobDone{j, result, err}
	})
	j.cancel = cancel
	return j, tea.Batch(cmd, j.listen())
}

// say may be called from anywhere, as often as there is something to say: the
// screen shows the newest.
func (j *job) say(s string) {
	j.mu.Lock()
	j.last = s
	j.mu.Unlock()
	select {
	case j.news <- struct{}{}:
	default:
	}
}

// listen waits for news.
func (j *job) listen() tea.Cmd {
	return func() tea.Msg {
		if _, ok := <-j.news; ok {
			return jobSaid{j}
		}
		return nil
	}
}

func (j *job) heard() tea.Cmd {
	j.mu.Lock()
	j.line = j.last
	j.mu.Unlock()
	return j.listen()
}

func (j *job) crumb() string { return j.title }
func (j *job) wheel(int)     {}
func (j *job) whole() bool   { return false }

// press cancels on the first Esc and looks away on the second: the end is told
// in any case.
func (j *job) press(key, _ string) tea.Cmd {
	if key != "esc" {
		return nil
	}
	if j.cancelled {
		j.m.close(j)
		return nil
	}
	j.cancelled = true
	j.cancel()
	return nil
}

// progress is what it does now, and for how long.
func (j *job) progress() string {
	say := "working"
	if j.line != "" {
		say = j.line
	}
	if j.cancelled {
		say = "cancelling"
	}
	return fmt.Sprintf("%s · %s", say, j.m.now.Sub(j.began).Truncate(time.Second))
}

func (j *job) view(th theme.Theme, width, _ int) []string {
	out := []string{"", "  " + text.Cut("… "+text.Clean(j.progress()), width-2)}
	if j.command != "" {
		out = append(out, "", "  "+th.Paint(theme.Faint, text.Cut("$ "+text.Clean(j.command), width-2)))
	}
	return append(out, "")
}

func (j *job) footer(width int) string {
	if j.cancelled {
		return text.Cut("Esc looks away: how it ends is told", width)
	}
	return text.Cut("Esc cancels", width)
}

// finished tells how a page's job ended, and tells the page.
func (m *Model) finished(from int, title, result string, err error) tea.Cmd {
	var tell tea.Cmd
	switch {
	case err != nil:
		tell = toast.Fail(err)
	case result != "":
		tell = toast.Show("✓ " + text.Clean(result))
	default:
		tell = toast.Show("✓ " + text.Clean(title) + ": done")
	}
	return tea.Batch(tell, m.tellDone(from, err))
}

// tellDone tells the page that asked.
func (m *Model) tellDone(from int, err error) tea.Cmd {
	for _, p := range m.pages {
		if p.no == from {
			return p.from(p.page.Update(page.Done{Err: err}))
		}
	}
	return nil
}
