package dialog_test

import (
	"strings"
	"testing"

	"github.com/charmbracelet/x/ansi"

	"github.com/prism-data-layer/prism/tui/component/dialog"
	"github.com/prism-data-layer/prism/tui/theme"
)

func TestNoIsTheDefault(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		keys string
		want dialog.Answer
	}{
		{"enter", dialog.No},
		{"esc", dialog.No},
		{"q", dialog.No},
		{"n", dialog.No},
		{"x", dialog.Open},
		{"y", dialog.Yes},
		{"tab enter", dialog.Yes},
		{"right left enter", dialog.No},
	} {
		m := &dialog.Model{Title: "Delete", Verb: "Delete"}
		got := dialog.Open
		for _, k := range strings.Fields(c.keys) {
			got = m.Press(k, k)
		}
		if got != c.want {
			t.Errorf("%s: %d, want %d", c.keys, got, c.want)
		}
	}
}

func TestANameMustBeTyped(t *testing.T) {
	t.Parallel()
	m := &dialog.Model{Verb: "Delete", Type: "yes"}
	for _, k := range []string{"y", "e"} {
		if m.Press(k, k) != dialog.Open || m.Press("enter", "") != dialog.Open {
			t.Fatal("half a name is enough")
		}
	}
	if m.Press("", "s") != dialog.Open || m.Press("enter", "") != dialog.Yes {
		t.Error("the whole name is not enough")
	}
	if (&dialog.Model{Type: "x"}).Press("enter", "") != dialog.No {
		t.Error("Enter alone is not No")
	}
	view := ansi.Strip(strings.Join(m.View(theme.New(theme.Mono), 60), "\n"))
	if !strings.Contains(view, "type yes and Enter to delete: yes▏") {
		t.Errorf("got\n%s", view)
	}
}
