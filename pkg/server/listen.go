package server

import (
	"context"
	"net"

	"golang.org/x/net/netutil"

	"github.com/prism-data-layer/prism/pkg/config"
	"github.com/prism-data-layer/prism/pkg/prism"
)

// listen takes the listeners that were handed over and opens the others.
func (s *Server) listen(ctx context.Context) error {
	l := s.o.Config.Listen
	for _, port := range []struct {
		name string
		addr config.Address
	}{{"data", l.Data}, {"admin", l.Admin}, {"metrics", l.Metrics}} {
		if ln := s.o.Listeners[port.name]; ln != nil {
			s.listeners[port.name] = s.bounded(ln)
			continue
		}
		ln, err := (&net.ListenConfig{}).Listen(ctx, "tcp", string(port.addr))
		if err != nil {
			return prism.New(prism.ReasonUnavailable, "cannot listen on %s for %s", port.addr, port.name).WithCause(err)
		}
		s.listeners[port.name] = s.bounded(ln)
	}
	return nil
}

// bounded lets callers over the limit of connections wait in the backlog.
func (s *Server) bounded(ln net.Listener) net.Listener {
	l := newSilentListener(netutil.LimitListener(ln, int(s.o.Config.Limits.MaxConnections)))
	s.silent = append(s.silent, l)
	return l
}
