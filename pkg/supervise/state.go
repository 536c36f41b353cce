package supervise

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/prism-data-layer/prism/pkg/prism"
)

// stateFormat is the version of the state file. A newer file is kept aside,
// never guessed at.
const stateFormat = 1

// maxStateBytes bounds what is read of a state file.
const maxStateBytes = 1 << 20

// A state is what outlives a supervisor: who it was and what it had started.
type state struct {
	Format     int       `json:"format"`
	ID         string    `json:"id"`
	Saved      time.Time `json:"saved"`
	Supervisor Process   `json:"supervisor"`
	Watcher    Process   `json:"watcher,omitzero"`
	Socket     string    `json:"socket,omitempty"`
	Processes  []Process `json:"processes"`
	Status     Status    `json:"status"` // as it was when this was saved
}

func statePath(dir string) string { return filepath.Join(dir, "state.json") }

// errState says that a state file is there and cannot be used.
type errState struct{ why string }

func (e *errState) Error() string { return "state file " + e.why }

// readState reads dir's state file. Nothing there is (nil, nil); one that
// cannot be used is an *errState; a symbolic link is refused.
func readState(dir string) (*state, error) {
	b, err := readRegular(statePath(dir), maxStateBytes)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, nil
	case errors.Is(err, prism.ReasonPermissionDenied):
		return nil, err
	case err != nil:
		return nil, &errState{err.Error()}
	}
	return decodeState(b)
}

func decodeState(b []byte) (*state, error) {
	if len(b) == 0 {
		return nil, &errState{"is empty"}
	}
	var head struct{ Format int }
	if err := json.Unmarshal(b, &head); err != nil {
		return nil, &errState{"is damaged: " + err.Error()}
	}
	if head.Format != stateFormat {
		return nil, &errState{fmt.Sprintf("has format %d, this version knows %d", head.Format, stateFormat)}
	}
	var st state
	if err := json.Unmarshal(b, &st); err != nil {
		return nil, &errState{"is damaged: " + err.Error()}
	}
	return &st, nil
}

// setAside keeps an unusable state file for whoever wants to look, as .bad.
func setAside(dir string) error {
	path := statePath(dir)
	if err := os.RemoveAll(path + ".bad"); err != nil {
		return err
	}
	return os.Rename(path, path+".bad")
}

// writeState replaces dir's state file in one step: after a crash there is the
// old one or the new one, whole.
func writeState(dir string, st *state) error {
	b, err := json.MarshalIndent(st, "", "  ")
	if err != nil {
		return err
	}
	f, err := os.CreateTemp(dir, unfinished) // O_EXCL, 0600: follows no link
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	_, err = f.Write(append(b, '\n'))
	err = errors.Join(err, f.Sync(), f.Close())
	if err != nil {
		return err
	}
	// Rename replaces a symbolic link itself, not what it points to.
	if err := os.Rename(f.Name(), statePath(dir)); err != nil {
		return err
	}
	return syncDir(dir)
}

// unfinished is the pattern of state files that are being written.
const unfinished = ".state-*"

// removeUnfinished removes what a supervisor that was killed was writing. The
// caller holds the lock.
func removeUnfinished(dir string) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return
	}
	for _, e := range entries {
		// Not Glob: the folder's own name may be a pattern.
		if ok, _ := filepath.Match(unfinished, e.Name()); ok {
			os.Remove(filepath.Join(dir, e.Name()))
		}
	}
}

// readRegular reads a file that must be one: no link, no pipe, not too long.
func readRegular(path string, limit int64) ([]byte, error) {
	f, err := openRegular(path, os.O_RDONLY)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err == nil && int64(len(b)) > limit {
		err = fmt.Errorf("is longer than %d bytes", limit)
	}
	return b, err
}

// openRegular opens path without following a link in its last part.
func openRegular(path string, flag int) (*os.File, error) {
	// Not blocking: a named pipe planted here would hold us for ever.
	f, err := os.OpenFile(path, flag|noFollow, 0o600)
	if err != nil {
		if isLink(err) {
			return nil, planted(path, "is a symbolic link")
		}
		return nil, err
	}
	if fi, err := f.Stat(); err != nil || !fi.Mode().IsRegular() {
		f.Close()
		if err == nil {
			err = fmt.Errorf("%s is not a regular file", path)
		}
		return nil, err
	}
	return f, nil
}

func planted(path, what string) *prism.Error {
	return prism.New(prism.ReasonPermissionDenied, "%s %s; it is not used: look who put it there and remove it", path, what).WithMeta("path", path)
}
