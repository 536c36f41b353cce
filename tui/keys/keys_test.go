package keys_test

import (
	"testing"

	"github.com/prism-data-layer/prism/tui/keys"
)

func TestNoKeyMeansTwoThings(t *testing.T) {
	t.Parallel()
	if got := keys.Conflicts(keys.Global(), keys.List(), keys.Live()); got != nil {
		t.Errorf("conflicts: %q", got)
	}
}

func TestConflictsAreFound(t *testing.T) {
	t.Parallel()
	got := keys.Conflicts(keys.List(), keys.Table{{Action: keys.Quit, Keys: []string{"j"}}})
	if len(got) != 1 || got[0] != "j is down and quit" {
		t.Errorf("conflicts: %q", got)
	}
}

func TestEveryBindingExplainsItself(t *testing.T) {
	t.Parallel()
	for _, table := range []keys.Table{keys.Global(), keys.List(), keys.Live()} {
		for _, b := range table {
			if b.Help == "" || len(b.Keys) == 0 || b.Action == "" || b.Shown() == "" {
				t.Errorf("%+v lacks an action, a key or a sentence", b)
			}
			for _, k := range b.Keys {
				if got, ok := table.Find(k); !ok || got.Action != b.Action {
					t.Errorf("Find(%q) = %v, %v", k, got.Action, ok)
				}
			}
		}
	}
	if _, ok := keys.Global().Find("x"); ok {
		t.Error("x is bound to nothing")
	}
}

func TestKeysAreShownAsPeopleNameThem(t *testing.T) {
	t.Parallel()
	b := keys.Binding{Keys: []string{"up", "down", "left", "right", "pgup", "pgdown", "home", "end", "tab", "shift+tab", "enter", "esc", "ctrl+c", "g"}}
	const want = "↑/↓/←/→/PgUp/PgDn/Home/End/Tab/Shift-Tab/Enter/Esc/Ctrl-C/g"
	if got := b.Shown(); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}
