package supervise

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"
)

// listSilence is how long List waits for a supervisor that says nothing.
const listSilence = time.Second

// List tells of every project that has its folder in dir, running or not, by
// ID. All supervisors are asked at once, each with a deadline; of one that does
// not answer, and of a damaged file, its Status says so.
func List(dir string) ([]Status, error) {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	all := make([]Status, len(entries))
	var wg sync.WaitGroup
	for i, e := range entries {
		wg.Go(func() { all[i] = look(filepath.Join(dir, e.Name()), e.Type()) })
	}
	wg.Wait()
	// Of a folder in which nothing was ever started there is nothing to tell.
	all = slices.DeleteFunc(all, func(st Status) bool { return st.ID == "" })
	slices.SortStableFunc(all, func(a, b Status) int { return strings.Compare(a.ID, b.ID) })
	return all, nil
}

// look asks the supervisor of a project's folder, or reads what it has left.
func look(dir string, kind fs.FileMode) Status {
	name := filepath.Base(dir)
	if kind&fs.ModeSymlink != 0 {
		return Status{ID: name, Warnings: []string{planted(dir, "is a symbolic link").Message}}
	}
	if !kind.IsDir() {
		return Status{}
	}
	file, err := readState(dir)
	if err == nil && file != nil {
		if st, err := askBriefly(file.Socket); err == nil {
			return st
		}
	}
	st, err := Inspect(dir)
	if err != nil {
		st.Warnings = append(st.Warnings, err.Error())
	}
	if st.ID == "" && len(st.Warnings) > 0 {
		st.ID = name
		if h, ok := readHolder(filepath.Join(dir, "lock")); ok && h.Alive() {
			st.Supervisor = h.PID
		}
	}
	return st
}

func askBriefly(socket string) (Status, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 2*listSilence)
	defer cancel()
	c := &Client{path: socket, Silence: listSilence}
	return c.Status(ctx)
}
