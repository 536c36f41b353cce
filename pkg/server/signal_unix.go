//go:build unix

package server

import (
	"context"
	"os"
	"os/signal"
	"syscall"
)

// hangups are the SIGHUPs from now on: from the first moment, since one that
// nobody has asked for ends a process.
func hangups() <-chan os.Signal {
	hup := make(chan os.Signal, 1)
	signal.Notify(hup, syscall.SIGHUP)
	return hup
}

// reloadOn reads the configuration again on each signal.
func (s *Server) reloadOn(ctx context.Context, hup <-chan os.Signal) {
	for {
		select {
		case <-hup:
			s.Reload(ctx)
		case <-ctx.Done():
			return
		}
	}
}
