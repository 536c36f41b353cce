package pebble

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/prism-data-layer/prism/pkg/prism"
)

// The format of everything on disk. It is raised when an older build could no
// longer read the folder. Format 1, with a record for each change and receipt,
// was of no release and is not read.
const (
	formatVersion = 2
	formatOldest  = 2
	formatFile    = "FORMAT"
	formatName    = "prism-pebble"
	storeFolder   = "store"
)

// checkFormat reads the folder's format and touches nothing. fresh is true for
// a folder that holds no store yet.
func checkFormat(fs vfs.FS, dir, backend string) (fresh bool, err error) {
	text, err := readSmall(fs, fs.PathJoin(dir, formatFile))
	if errors.Is(err, os.ErrNotExist) {
		if _, err := fs.Stat(fs.PathJoin(dir, storeFolder)); err == nil {
			return false, prism.New(prism.ReasonDataLoss, "backend %q: folder %s holds a store, but its %s file is missing", backend, dir, formatFile).WithBackend(backend)
		}
		return true, nil
	}
	if err != nil {
		return false, err
	}
	name, number, _ := strings.Cut(strings.TrimSpace(string(text)), " ")
	v, err := strconv.Atoi(number)
	switch {
	case name != formatName || err != nil || v < 1:
		return false, prism.New(prism.ReasonDataLoss, "backend %q: %s in folder %s is not a format of this driver", backend, formatFile, dir).WithBackend(backend)
	case v > formatVersion:
		return false, newerFormat(backend, dir, number)
	case v < formatOldest:
		return false, prism.New(prism.ReasonFailedPrecond, "backend %q: folder %s has format %d, which was of no release; this build reads from %d on; nothing was changed", backend, dir, v, formatOldest).WithBackend(backend)
	}
	return false, nil
}

func newerFormat(backend, dir, found string) error {
	return prism.New(prism.ReasonNewerFormat, "backend %q: folder %s has format %s, this build reads up to %d; nothing was changed", backend, dir, found, formatVersion).
		WithBackend(backend).WithMeta("found_format", found).WithMeta("known_format", strconv.Itoa(formatVersion))
}

// writeFormat marks a fresh folder, durably, before anything else is in it.
func writeFormat(fs vfs.FS, dir string) (err error) {
	if err := makeDir(fs, dir); err != nil {
		return err
	}
	name := fs.PathJoin(dir, formatFile)
	f, err := fs.Create(name+".new", vfs.WriteCategoryUnspecified)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(f, "%s %d\n", formatName, formatVersion)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	if err := fs.Rename(name+".new", name); err != nil {
		return err
	}
	return syncDir(fs, dir)
}

// makeDir makes dir and sees to it that each new folder on the way is durable
// in its parent.
func makeDir(fs vfs.FS, dir string) error {
	if _, err := fs.Stat(dir); err == nil {
		return nil
	}
	parent := fs.PathDir(dir)
	if parent != dir {
		if err := makeDir(fs, parent); err != nil {
			return err
		}
	}
	if err := fs.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	return syncDir(fs, parent)
}

func syncDir(fs vfs.FS, dir string) error {
	d, err := fs.OpenDir(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

func readSmall(fs vfs.FS, name string) ([]byte, error) {
	f, err := fs.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var b bytes.Buffer
	_, err = io.Copy(&b, io.LimitReader(f, 4096))
	return b.Bytes(), err
}
