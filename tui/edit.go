package tui

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"

	tea "charm.land/bubbletea/v2"

	"github.com/prism-data-layer/prism/tui/component/dialog"
	"github.com/prism-data-layer/prism/tui/component/problem"
	"github.com/prism-data-layer/prism/tui/component/toast"
	"github.com/prism-data-layer/prism/tui/page"
)

// remark begins the lines above a text that tell why it was refused; they are
// taken off before it is applied.
const remark = "# ✗ "

// An editing is a text in the person's editor, until it is applied or dropped.
type editing struct {
	m    *Model
	from int
	page.Edit
	dir    string
	before string // as it was
	text   string // as the person left it
}

// edited says that the editor was left.
type edited struct {
	editing *editing
	err     error
}

// edit asks for a page's text and opens the editor on it.
func (m *Model) edit(from int, q page.Edit) tea.Cmd {
	switch {
	case m.opts.ReadOnly:
		return readOnly()
	case m.opts.Editor == nil:
		return toast.Warn("there is no editor: set EDITOR")
	}
	e := &editing{m: m, from: from, Edit: q}
	var running *job
	running, cmd := m.start("reading "+q.Name, "", func(ctx context.Context, _ func(string)) (string, error) {
		ctx, cancel := context.WithTimeout(ctx, readLimit)
		defer cancel()
		return q.Text(ctx)
	}, func(text string, err error) tea.Cmd {
		m.close(running)
		switch {
		case err != nil:
			return toast.Fail(err)
		case running.cancelled:
			return nil
		}
		e.before = text
		return e.open(text, nil)
	})
	m.show(running)
	return cmd
}

// open puts a text into a file that only the person may read, and the editor
// on it.
func (e *editing) open(text string, why error) tea.Cmd {
	if e.dir == "" {
		dir, err := os.MkdirTemp("", "prismctl-edit-")
		if err != nil {
			return toast.Fail(err)
		}
		e.dir = dir
	}
	if why != nil {
		what, cause, fix := problem.Explain(why)
		var head strings.Builder
		for _, l := range []string{what, cause, fix} {
			if l != "" {
				head.WriteString(remark + l + "\n")
			}
		}
		text = head.String() + text
	}
	if err := os.WriteFile(e.file(), []byte(text), 0o600); err != nil {
		return tea.Batch(e.drop(), toast.Fail(err))
	}
	e.m.editing = e
	return tea.ExecProcess(e.m.opts.Editor(e.file()), func(err error) tea.Msg { return edited{e, err} })
}

func (e *editing) file() string { return filepath.Join(e.dir, filepath.Base(e.Name)) }

func (e *editing) drop() tea.Cmd {
	_ = os.RemoveAll(e.dir) // a folder of ours below the temporary one
	e.dir = ""
	return nil
}

// left goes on when the editor was left: what changed is applied.
func (e *editing) left(err error) tea.Cmd {
	if err != nil {
		return tea.Batch(e.drop(), toast.Fail(errors.New("the editor failed: "+err.Error())))
	}
	data, err := os.ReadFile(e.file())
	if err != nil {
		return tea.Batch(e.drop(), toast.Fail(err))
	}
	e.text = withoutRemarks(string(data))
	if e.text == e.before {
		return tea.Batch(e.drop(), toast.Show("nothing was changed"))
	}
	var running *job
	running, cmd := e.m.start("applying "+e.Name, "", func(ctx context.Context, _ func(string)) (string, error) { return e.Apply(ctx, e.text) },
		func(result string, err error) tea.Cmd {
			e.m.close(running)
			if err != nil {
				e.refused(err)
				e.m.keep(e.from, err)
				return e.m.tellDone(e.from, err)
			}
			return tea.Batch(e.drop(), e.m.finished(e.from, e.Name, result, nil))
		})
	e.m.show(running)
	return cmd
}

// refused asks whether to go on.
func (e *editing) refused(err error) {
	what, why, fix := problem.Explain(err)
	d := &dialog.Model{Title: e.Name + " was refused", Lines: []string{"✗ " + what}, Verb: "Edit again"}
	for _, l := range []string{why, fix} {
		if l != "" {
			d.Lines = append(d.Lines, l)
		}
	}
	d.Lines = append(d.Lines, "No drops your changes.")
	d.Mark()
	e.m.show(&ask{m: e.m, dialog: d, yes: func() tea.Cmd { return e.open(e.text, err) }, no: func() tea.Cmd { return tea.Batch(e.drop(), toast.Warn("the changes were dropped")) }})
}

func withoutRemarks(s string) string {
	for strings.HasPrefix(s, remark) {
		_, rest, _ := strings.Cut(s, "\n")
		s = rest
	}
	return s
}
