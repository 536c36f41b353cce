//go:build unix

package handover

import (
	"os"
	"syscall"
	"testing"
)

// dupRaw gives a descriptor that no os.File owns, as after an exec.
func dupRaw(t *testing.T, f *os.File) uintptr {
	t.Helper()
	fd, err := syscall.Dup(int(f.Fd()))
	if err != nil {
		t.Fatal(err)
	}
	return uintptr(fd)
}
