package toast_test

import (
	"testing"

	tea "charm.land/bubbletea/v2"

	"github.com/prism-data-layer/prism/tui/component/toast"
	"github.com/prism-data-layer/prism/tui/theme"
)

func TestToastsSayHowItWent(t *testing.T) {
	t.Parallel()
	if got := toast.Show("done")(); got != (toast.Msg{Text: "done", Role: theme.Good}) {
		t.Errorf("got %v", got)
	}
	if got := toast.Warn("no")(); got != (toast.Msg{Text: "no", Role: theme.Warn}) {
		t.Errorf("got %v", got)
	}
}

func TestCopyingIsSaid(t *testing.T) {
	t.Parallel()
	batch, ok := toast.Copy("orders", "orders")().(tea.BatchMsg)
	if !ok || len(batch) != 2 {
		t.Fatalf("got %v", batch)
	}
	if got := batch[1](); got != (toast.Msg{Text: "copied orders", Role: theme.Good}) {
		t.Errorf("got %v", got)
	}
}
