//go:build unix

package server

import (
	"context"
	"os"
	"os/signal"
	"syscall"
)

// reloadOnSignal reads the configuration again on each SIGHUP.
func (s *Server) reloadOnSignal(ctx context.Context) {
	hup := make(chan os.Signal, 1)
	signal.Notify(hup, syscall.SIGHUP)
	defer signal.Stop(hup)
	for {
		select {
		case <-hup:
			s.Reload(ctx)
		case <-ctx.Done():
			return
		}
	}
}
