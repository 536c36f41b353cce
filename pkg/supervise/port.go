package supervise

import (
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"syscall"

	"github.com/prism-data-layer/prism/pkg/prism"
)

// A holder is who has a port that we want.
type holder struct {
	PID     int    // 0: it could not be seen
	Command string // its command line, shortened
	Addr    string // where it listens
}

func (h holder) String() string {
	switch {
	case h.PID == 0 && h.Addr == "":
		return "a process that cannot be seen from here"
	case h.PID == 0:
		return "a process of another user on " + h.Addr
	}
	return fmt.Sprintf("pid %d (%s) on %s", h.PID, h.Command, h.Addr)
}

// A socket is a listening socket of a service. The supervisor never accepts
// from it and keeps it open over all runs of the child.
type socket struct {
	file *os.File
	addr string // with the real port
}

// openSockets opens every socket of every spec, or none. The error names each
// taken port with its holder and with the place where it was configured.
func openSockets(specs []Spec) (map[string][]socket, error) {
	out := map[string][]socket{}
	var taken []*prism.Error
	var errs []error
	for _, s := range specs {
		for _, l := range s.Listen {
			sock, err := openSocket(l)
			if err == nil {
				out[s.Name] = append(out[s.Name], sock)
				continue
			}
			if busy := (*portTaken)(nil); errors.As(err, &busy) {
				taken = append(taken, takenError(s.Name, l, busy.by))
				continue
			}
			errs = append(errs, prism.New(prism.ReasonInvalidConfig, "cannot listen on %s (%s.%s%s)", l.Addr, s.Name, l.Name, from(l)).WithCause(err))
		}
	}
	if len(taken) == 0 && len(errs) == 0 {
		return out, nil
	}
	closeSockets(out)
	if len(taken) > 0 {
		// One error a person can read, with every port in it: they are all in
		// the way, and finding them one start at a time is no fun.
		first := taken[0]
		for _, t := range taken[1:] {
			first.Message += "; " + t.Message
		}
		return nil, first
	}
	return nil, errs[0]
}

func takenError(service string, l ListenSpec, by holder) *prism.Error {
	return prism.New(prism.ReasonFailedPrecond, "address %s (%s.%s%s) is taken by %s", l.Addr, service, l.Name, from(l), by).
		WithMeta("kind", "port_taken").
		WithMeta("address", l.Addr).
		WithMeta("origin", l.Origin).
		WithMeta("holder_pid", strconv.Itoa(by.PID)).
		WithMeta("holder_command", by.Command)
}

func from(l ListenSpec) string {
	if l.Origin == "" {
		return ""
	}
	return ", from " + l.Origin
}

// portTaken is the error of openSocket for an address in use.
type portTaken struct{ by holder }

func (e *portTaken) Error() string { return "taken by " + e.by.String() }

// openSocket listens where spec says. A port in TIME_WAIT is not taken: Go sets
// SO_REUSEADDR on every listener.
func openSocket(spec ListenSpec) (socket, error) {
	addr := spec.Addr
	l, err := net.Listen("tcp", addr)
	if err != nil {
		if addrInUse(err) {
			return socket{}, &portTaken{by: findHolder(addr)}
		}
		return socket{}, err
	}
	defer l.Close()
	// Whoever types localhost may be sent to the other family: a stranger on
	// [::1]:8980 beside our 127.0.0.1:8980 would get half of our callers.
	if other, ok := holderOfTwin(addr); ok {
		return socket{}, &portTaken{by: other}
	}
	if spec.Own || !canHandOver {
		return socket{addr: l.Addr().String()}, nil // the child listens by itself
	}
	f, err := l.(*net.TCPListener).File()
	if err != nil {
		return socket{}, err
	}
	return socket{file: f, addr: l.Addr().String()}, nil
}

func addrInUse(err error) bool {
	if errors.Is(err, syscall.EADDRINUSE) {
		return true
	}
	// WSAEADDRINUSE; errors.Is does not map it on windows.
	var no syscall.Errno
	return errors.As(err, &no) && uintptr(no) == 10048
}

func closeSockets(m map[string][]socket) {
	for _, ss := range m {
		for _, s := range ss {
			if s.file != nil {
				s.file.Close()
			}
		}
	}
}

// shorten makes a command line fit an error message.
func shorten(cmdline string) string {
	s := strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, cmdline)
	s = strings.Join(strings.Fields(s), " ")
	if r := []rune(s); len(r) > 60 {
		return string(r[:59]) + "…"
	}
	return s
}
