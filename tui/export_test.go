package tui

import (
	"context"
	"time"

	tea "charm.land/bubbletea/v2"

	"github.com/prism-data-layer/prism/pkg/clock"
	"github.com/prism-data-layer/prism/tui/component/task"
)

// ToastEnd is the message that ends a toast.
func ToastEnd(no int) tea.Msg { return toastEnd(no) }

// Tasks is a runner on a clock that stands still.
func Tasks(ctx context.Context) task.Runner {
	return task.NewRunner(ctx, clock.NewFake(time.Unix(0, 0)))
}

// Edited is what comes when the person leaves the editor.
func Edited(m *Model) tea.Msg { return edited{editing: m.editing} }
