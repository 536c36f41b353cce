//go:build unix

package handover

import (
	"errors"
	"net"
	"os"
	"syscall"
)

// listener takes descriptor fd, which must be a listening socket. The result
// has a descriptor of its own with close-on-exec set; the inherited one is
// closed, so that it does not leak into children.
func listener(fd uintptr, name string) (net.Listener, error) {
	// Look before touching: os.NewFile would register, and later close, a
	// descriptor that belongs to somebody else.
	on, err := syscall.GetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_ACCEPTCONN)
	if err != nil {
		return nil, os.NewSyscallError("getsockopt", err)
	}
	if on == 0 {
		return nil, errors.New("is a socket that does not listen")
	}
	f := os.NewFile(fd, name)
	defer f.Close()
	return net.FileListener(f)
}
