package ui

import (
	"encoding/json"
	"os"
	"path/filepath"

	"github.com/prism-data-layer/prism/pkg/cli"
	"github.com/prism-data-layer/prism/pkg/config"
	"github.com/prism-data-layer/prism/tui"
)

// maxState bounds the file: what is larger is not ours.
const maxState = 1 << 20

// A store keeps what the dashboards were like when they were left.
type store struct{ file string }

func newStore(f *cli.Factory) store { return store{filepath.Join(f.Dirs().State, "ui.json")} }

// load reads the state. A file that is not there, or is broken, is none: it
// says what was looked at last, and nobody is to be bothered with it.
func (s store) load() (state tui.State, found bool) {
	info, err := os.Stat(s.file)
	if err != nil || info.Size() > maxState {
		return tui.State{}, false
	}
	data, err := os.ReadFile(s.file)
	if err != nil || json.Unmarshal(data, &state) != nil {
		return tui.State{}, false
	}
	return state, true
}

func (s store) save(state tui.State) error {
	data, err := json.MarshalIndent(state, "", "  ")
	if err != nil {
		return err
	}
	return config.WriteFile(s.file, append(data, '\n'))
}
