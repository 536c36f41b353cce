package supervise

import (
	"io/fs"
	"os"
)

// privateDir makes dir, or checks that it is ours alone, and closes it to
// everyone else.
func privateDir(dir string) error {
	mode, err := ownDir(dir)
	if err == nil && mode.Perm()&0o077 != 0 {
		err = os.Chmod(dir, 0o700)
	}
	return err
}

// ownDir makes dir 0700, or checks that it is a real folder of ours in which
// nobody else can plant anything. What is there keeps its mode: it may be a
// folder with other uses, such as XDG_RUNTIME_DIR.
func ownDir(dir string) (fs.FileMode, error) {
	// A dangling link makes MkdirAll fail; what it is, Lstat says better.
	made := os.MkdirAll(dir, 0o700)
	fi, err := os.Lstat(dir)
	switch {
	case err == nil && fi.Mode()&fs.ModeSymlink != 0:
		return 0, planted(dir, "is a symbolic link")
	case made != nil:
		return 0, made
	case err != nil:
		return 0, err
	case !isOurs(fi):
		return 0, planted(dir, "belongs to another user")
	case sharedWithOthers(fi):
		return 0, planted(dir, "can be written by other users")
	}
	return fi.Mode(), nil
}
