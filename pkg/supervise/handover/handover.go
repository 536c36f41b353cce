// Package handover is the receiving side of the listener hand-over: a program
// that was started by `prismctl dev up`, or by systemd, takes the sockets that
// were opened for it. It imports only the standard library, so that prismd's
// server can use it without the supervisor.
//
// The protocol is systemd's: the sockets are file descriptors 3 and up,
// LISTEN_FDS says how many, LISTEN_FDNAMES names them with colons between, and
// LISTEN_PID says for which process they are meant. The last one matters: the
// variables are inherited by grandchildren, whose descriptors 3 and up are
// something else.
package handover

import (
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
)

// The variables of the protocol.
const (
	EnvPID   = "LISTEN_PID"
	EnvFDs   = "LISTEN_FDS"
	EnvNames = "LISTEN_FDNAMES"
)

// FirstFD is the descriptor of the first socket.
const FirstFD = 3

// maxSockets bounds what a broken environment can make us touch.
const maxSockets = 256

// Listeners returns the sockets meant for this process, by name, and removes
// the variables from the environment, so that a child of ours is not confused.
// Without a hand-over, or with variables meant for another process, the map is
// empty and err is nil: the caller then listens by itself. A second call
// returns nothing. An error means that the hand-over is for us but broken; then
// no socket is kept open.
func Listeners() (map[string]net.Listener, error) {
	names, err := announced(os.Getenv, os.Getpid())
	for _, v := range []string{EnvPID, EnvFDs, EnvNames} {
		os.Unsetenv(v)
	}
	if err != nil || len(names) == 0 {
		return nil, err
	}
	return adopt(names, FirstFD)
}

// Env is what a supervisor puts into the environment for sockets with these
// names, all but [EnvPID], which only the started process itself can know.
func Env(names []string) []string {
	return []string{
		EnvFDs + "=" + strconv.Itoa(len(names)),
		EnvNames + "=" + strings.Join(names, ":"),
	}
}

// announced reads the variables: the names of the sockets, in order.
func announced(getenv func(string) string, pid int) ([]string, error) {
	if getenv(EnvPID) != strconv.Itoa(pid) {
		return nil, nil
	}
	n, err := strconv.Atoi(getenv(EnvFDs))
	if err != nil || n < 0 || n > maxSockets {
		return nil, fmt.Errorf("%s=%q is not a number from 0 to %d", EnvFDs, getenv(EnvFDs), maxSockets)
	}
	names := make([]string, n)
	given := strings.Split(getenv(EnvNames), ":")
	seen := make(map[string]bool, n)
	for i := range names {
		// systemd's own default for a socket without a name.
		names[i] = "unknown"
		if i < len(given) && given[i] != "" {
			names[i] = given[i]
		}
		if seen[names[i]] {
			return nil, fmt.Errorf("%s names two sockets %q", EnvNames, names[i])
		}
		seen[names[i]] = true
	}
	return names, nil
}

// adopt makes listeners of the descriptors from first on.
func adopt(names []string, first uintptr) (map[string]net.Listener, error) {
	out := make(map[string]net.Listener, len(names))
	var errs []error
	for i, name := range names {
		fd := first + uintptr(i)
		l, err := listener(fd, name)
		if err != nil {
			errs = append(errs, fmt.Errorf("socket %q (descriptor %d): %w", name, fd, err))
			continue
		}
		out[name] = l
	}
	if len(errs) > 0 {
		for _, l := range out {
			l.Close()
		}
		return nil, errors.Join(errs...)
	}
	return out, nil
}
