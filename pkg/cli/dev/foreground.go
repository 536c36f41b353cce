package dev

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/prism-data-layer/prism/pkg/cli"
	"github.com/prism-data-layer/prism/pkg/prism"
	"github.com/prism-data-layer/prism/pkg/supervise"
)

// supervise runs in the foreground until it is told to stop.
func (o *upOptions) supervise(ctx context.Context, s *supervise.Supervisor, pl *plan, start time.Time) error {
	err := pl.makeDataDir()
	if err == nil {
		err = pl.prepare()
	}
	if err == nil {
		err = pl.checkCompose(ctx)
	}
	if err == nil && ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	if err != nil {
		s.Close()
		return err
	}
	signal.Reset(os.Interrupt, syscall.SIGTERM, syscall.SIGHUP) // from here they are ours
	tell := newTeller(o.IO, o.Clock, o.Progress, func() (supervise.Status, error) { return s.Status(), nil })
	restore := supervise.OnSignals(s, func(_ os.Signal, again bool) {
		tell.settle()
		if again {
			fmt.Fprintln(o.IO.ErrOut, "killing")
			return
		}
		fmt.Fprintln(o.IO.ErrOut, "stopping; Ctrl-C again to kill")
	})
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	var refusal atomic.Int32
	go o.narrate(s, tell, s.Events(ctx), &refusal)
	go func() {
		err := s.WaitReady(ctx)
		st := s.Status()
		tell.settle()
		switch {
		case err == nil:
			o.announce(pl, st, o.Clock.Now().Sub(start), "Ctrl-C stops, prismctl dev logs -f follows")
		case late(st):
			o.complain("not ready: "+prism.From(err).Message, st)
		}
	}()
	err = s.Run(ctx)
	tell.settle()
	switch sig := restore(); {
	case err != nil:
		return err
	case refusal.Load() != 0:
		return cli.ErrSilent(refusal.Load())
	case sig == os.Interrupt:
		return cli.ErrSilent(cli.ExitInterrupted)
	case sig != nil:
		return cli.ErrSilent(cli.ExitTerminated)
	}
	return nil // told to stop by dev down
}

// narrate tells each change. A gateway that never was ready and says that it
// never will be is not started again: everything stops, and its exit code
// becomes ours.
func (o *upOptions) narrate(s *supervise.Supervisor, tell *teller, events <-chan supervise.Event, refusal *atomic.Int32) {
	wasReady := false
	for e := range events {
		tell.event(e)
		wasReady = wasReady || e.Service == gateway && e.State == supervise.Ready
		switch e.State {
		case supervise.CrashLoop:
			tell.settle()
			o.complain(e.Service+" crashes again and again; prismctl dev up or prismctl dev restart tries once more", s.Status())
		case supervise.Crashed:
			st := s.Status()
			if one := st.Service(gateway); !wasReady && refuses(one) && refusal.CompareAndSwap(0, int32(one.Exit.Code)) {
				tell.settle()
				o.complain("prismd refuses to start", st)
				s.Stop()
			}
		}
	}
}

// refuses reports whether the last run ended by a decision that the next one
// would take again: a wrong command line, a folder in use, a wrong file.
func refuses(s *supervise.ServiceStatus) bool {
	return s != nil && s.Exit != nil && s.Exit.Signal == "" && slices.Contains([]int{cli.ExitUsage, cli.ExitConflict, cli.ExitInvalid}, s.Exit.Code)
}

func looping(st supervise.Status) bool {
	return slices.ContainsFunc(st.Services, func(s supervise.ServiceStatus) bool { return s.State == supervise.CrashLoop })
}

// late reports whether something is not ready within its time and still tries.
func late(st supervise.Status) bool {
	return slices.ContainsFunc(st.Services, func(s supervise.ServiceStatus) bool {
		return s.Late && (s.State == supervise.Starting || s.State == supervise.Degraded || s.State == supervise.Crashed)
	})
}
