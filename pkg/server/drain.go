package server

import (
	"context"
	"errors"
	"sync"
	"time"

	healthv1 "google.golang.org/grpc/health/grpc_health_v1"

	"github.com/prism-data-layer/prism/pkg/prism"
)

// notice is how long the gateway has said NOT_SERVING before it says GOAWAY, so
// that clients which watch its health go elsewhere first.
const notice = 50 * time.Millisecond

// ErrForced is what Run returns when calls had to be cut off.
var ErrForced = prism.New(prism.ReasonDraining, "calls were still running when the gateway had to stop")

// stop drains: no new calls, running ones finish, long streams end with a
// position to resume from; then the stores close. Draining → Stopping →
// Stopped.
func (s *Server) stop(force <-chan struct{}) error {
	s.state.Store(int32(Draining))
	s.log.Info("draining", "timeout", s.o.Config.Drain.Timeout)
	s.health.SetServingStatus("", healthv1.HealthCheckResponse_NOT_SERVING)

	timeout := s.clock.NewTimer(s.o.Config.Drain.Timeout)
	defer timeout.Stop()
	select {
	case <-s.clock.NewTimer(notice).C:
	case <-force:
	}
	close(s.draining)
	done := make(chan struct{})
	go func() {
		defer close(done)
		var wg sync.WaitGroup
		wg.Go(s.data.GracefulStop)
		wg.Go(s.ops.GracefulStop)
		wg.Wait()
	}()
	quiet := time.AfterFunc(patience, func() {
		for _, l := range s.silent {
			l.closeSilent()
		}
	})
	defer quiet.Stop()
	go s.hangUp(done)
	var err error
	select {
	case <-done:
	case <-timeout.C:
		err = ErrForced
	case <-force:
		err = ErrForced
	}
	s.flush(err != nil, timeout.C, force)
	s.state.Store(int32(Stopping))
	if err != nil {
		s.log.Warn("cutting off the calls that still run")
		// A handler that hears nothing must not hold the process: what it has
		// not committed is not acknowledged either.
		go s.data.Stop()
		go s.ops.Stop()
	}
	s.stopTelemetry()
	err = errors.Join(err, s.letGo(err != nil))
	s.state.Store(int32(Stopped))
	s.log.Info("stopped")
	return err
}

// flush stores the events that were acked and wait, in what is left of the
// drain's time; late says that nothing is.
func (s *Server) flush(late bool, timeout <-chan time.Time, force <-chan struct{}) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	if late {
		cancel()
	}
	go func() {
		select {
		case <-timeout:
		case <-force:
		case <-ctx.Done():
		}
		cancel()
	}()
	if n := s.router.FlushEvents(ctx); n > 0 {
		s.log.Error("events that were acked could not be stored in time", "dropped", n)
	}
}

// unread is how long a drain waits for what nobody reads: a message that a
// stream cannot get rid of, and answers that stand in a connection after the
// last call has ended.
const unread = 2 * time.Second

// hangUp closes the data port's connections once no call has run for a while:
// what their clients have not read by then holds up nobody.
func (s *Server) hangUp(done <-chan struct{}) {
	const look = 50 * time.Millisecond
	tick := time.NewTicker(look)
	defer tick.Stop()
	for quiet := time.Duration(0); quiet < unread; {
		select {
		case <-done:
			return
		case <-tick.C:
		}
		if quiet += look; s.sessions.Stats().Pending > 0 {
			quiet = 0
		}
	}
	s.data.Stop()
}

// lastWait is how long the stores may take to close when calls had to be cut
// off.
const lastWait = 2 * time.Second

// letGo gives back everything. A store waits for its calls, and one that hears
// nothing would keep the process for ever: after calls were cut off it is left
// as a crash would leave it, which it survives.
func (s *Server) letGo(cut bool) error {
	if !cut {
		return s.release()
	}
	done := make(chan error, 1)
	go func() { done <- s.release() }()
	select {
	case err := <-done:
		return err
	case <-time.After(lastWait):
		s.log.Error("a call does not end: leaving the stores as they are")
		return nil
	}
}

// release gives back everything, in the reverse order of its making.
func (s *Server) release() error {
	s.stopWork()
	s.background.Wait()
	if s.http != nil {
		s.http.Close()
	}
	s.stopTelemetry() // of a server that never ran
	var errs []error
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	if s.admin != nil {
		s.admin.Stop()
	}
	if s.router != nil {
		errs = append(errs, s.router.Close())
	}
	if s.control != nil {
		if s.sessions != nil {
			errs = append(errs, s.sessions.Flush(ctx))
		}
		if s.auth != nil {
			errs = append(errs, s.auth.Flush(ctx))
		}
		errs = append(errs, s.control.Close())
	}
	for _, l := range s.listeners {
		l.Close()
	}
	if s.lock != nil {
		s.lock.Close()
	}
	return errors.Join(errs...)
}
