package cli

import (
	"bufio"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// diskFix is what to do where the machine's own disk refuses to be written to;
// "" for every other error.
func diskFix(err error) string {
	switch {
	case errors.Is(err, syscall.EROFS):
		return "name a place that can be written to, or mount that disk for writing"
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		return "make room on that disk, or name a place on another"
	}
	return ""
}

// Replace writes a file that appears, or takes the place of an old one, only
// when it is complete. What is no file, such as a pipe or a terminal, is
// written to as it is. An error names path.
func Replace(path string, mode fs.FileMode, write func(io.Writer) error) (err error) {
	info, err := os.Stat(path)
	if err == nil && !info.Mode().IsRegular() {
		f, err := os.OpenFile(path, os.O_WRONLY, 0)
		if err != nil {
			return err
		}
		return errors.Join(write(f), f.Close())
	}
	if err == nil {
		mode = info.Mode().Perm()
		if path, err = filepath.EvalSymlinks(path); err != nil { // a link stays one
			return err
		}
	}
	part, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+"-*")
	if err != nil {
		return named(path, err)
	}
	defer func() {
		if err != nil {
			_ = os.Remove(part.Name())
			err = named(path, err)
		}
	}()
	out := bufio.NewWriterSize(part, 64<<10)
	err = write(out)
	if err == nil {
		err = out.Flush()
	}
	if err = errors.Join(err, part.Chmod(mode), part.Sync(), part.Close()); err != nil {
		return err
	}
	return os.Rename(part.Name(), path)
}

// named puts the name that a person gave in place of the one that the file had
// until it was complete.
func named(path string, err error) error {
	var p *fs.PathError
	var l *os.LinkError
	switch {
	case errors.As(err, &p):
		return &fs.PathError{Op: p.Op, Path: path, Err: p.Err}
	case errors.As(err, &l):
		return &fs.PathError{Op: l.Op, Path: path, Err: l.Err}
	}
	return err
}
