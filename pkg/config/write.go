package config

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/prism-data-layer/prism/pkg/prism"
)

// WriteFile puts data at path all at once: after a crash the file is the old
// one or the new one, whole. A new file is for its owner's eyes only; an old
// one keeps its mode, without what others could do with it. A symbolic link is
// refused: the rename would replace it, and what it points to may not be ours.
func WriteFile(path string, data []byte) (err error) {
	mode := fs.FileMode(0o600)
	switch info, err := os.Lstat(path); {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return cannotWrite(path, err)
	case !info.Mode().IsRegular():
		return prism.New(prism.ReasonPermissionDenied, "%s is a link or no file: change what it points to yourself", filepath.Base(path))
	default:
		mode = info.Mode().Perm() & 0o700
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return cannotWrite(path, err)
	}
	random := make([]byte, 8)
	rand.Read(random) //nolint:errcheck // never fails
	temp := filepath.Join(filepath.Dir(path), "."+filepath.Base(path)+"."+hex.EncodeToString(random))
	f, err := os.OpenFile(temp, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode|0o600) // O_EXCL follows no link
	if err != nil {
		return cannotWrite(path, err)
	}
	defer func() {
		if err != nil {
			_ = os.Remove(temp)
			err = cannotWrite(path, err)
		}
	}()
	_, err = f.Write(data)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	if err = os.Rename(temp, path); err != nil {
		return err
	}
	if dir, err := os.Open(filepath.Dir(path)); err == nil { // best effort: not every system can
		_ = dir.Sync()
		_ = dir.Close()
	}
	return nil
}

// cannotWrite names the file, not the one beside it that was to become it.
func cannotWrite(path string, err error) error {
	var p *fs.PathError
	if errors.As(err, &p) {
		err = &fs.PathError{Op: p.Op, Path: path, Err: p.Err}
	}
	return prism.New(prism.ReasonFailedPrecond, "%s cannot be written", filepath.Base(path)).WithCause(err)
}
