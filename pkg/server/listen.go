package server

import (
	"context"
	"net"

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
			s.listeners[port.name] = ln
			continue
		}
		ln, err := (&net.ListenConfig{}).Listen(ctx, "tcp", port.addr.String())
		if err != nil {
			return prism.New(prism.ReasonUnavailable, "cannot listen on %s for %s", port.addr, port.name).WithCause(err)
		}
		s.listeners[port.name] = ln
	}
	return nil
}
