//go:build !unix

package handover

import (
	"errors"
	"net"
)

// Windows has no inheritable sockets that Go can adopt: prismd listens by itself.
func listener(uintptr, string) (net.Listener, error) {
	return nil, errors.New("listener hand-over is not supported on this system")
}
