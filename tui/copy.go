package tui

import (
	"context"
	"fmt"
	"strings"

	tea "charm.land/bubbletea/v2"

	"github.com/prism-data-layer/prism/tui/component/text"
	"github.com/prism-data-layer/prism/tui/component/toast"
	"github.com/prism-data-layer/prism/tui/keys"
)

// copied is an object that is to be put on the clipboard.
type copied struct {
	what, text string
	err        error
}

// copySelected copies what the cursor is on: its id, its object, its command.
func (m *Model) copySelected(a keys.Action) tea.Cmd {
	item, ok := m.page().Selected()
	switch {
	case !ok:
		return toast.Warn("there is no row to copy")
	case a == keys.CopyCmd && item.Command == "":
		return toast.Warn("no command shows this")
	case a == keys.CopyCmd:
		return m.copy(item.Command, "the command: "+text.Clean(item.Command))
	case a == keys.CopyObj && item.Object == nil:
		return toast.Warn("this has no form as YAML: y copies its name")
	case a == keys.CopyObj:
		return m.tasks.Call(readLimit, func(ctx context.Context) tea.Msg {
			s, err := item.Object(ctx)
			return copied{text.Clean(item.ID) + " as YAML", s, err}
		})
	}
	// Clean: what is pasted into a shell must not act.
	id := text.Clean(item.ID)
	return m.copy(id, id)
}

// copy puts text on the clipboard: of whoever sits at the terminal, near or far
// (OSC 52), and of this machine where it has one.
func (m *Model) copy(s, what string) tea.Cmd {
	cmd := toast.Copy(s, what)
	if m.opts.Clipboard == nil {
		return cmd
	}
	return tea.Batch(cmd, func() tea.Msg {
		m.opts.Clipboard(s) // one of both is enough
		return nil
	})
}

func (c copied) tell(m *Model) tea.Cmd {
	if c.err != nil {
		return toast.Fail(c.err)
	}
	return m.copy(c.text, fmt.Sprintf("%s (%d lines)", c.what, strings.Count(strings.TrimRight(c.text, "\n"), "\n")+1))
}
