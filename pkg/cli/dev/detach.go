package dev

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/prism-data-layer/prism/pkg/cli"
	"github.com/prism-data-layer/prism/pkg/prism"
	"github.com/prism-data-layer/prism/pkg/supervise"
)

// openTold opens a file of this up's own for what its supervisor says, so that
// another up that comes too late does not write into it.
func openTold(state string) (*os.File, error) {
	err := os.MkdirAll(state, 0o700)
	var told *os.File
	if err == nil {
		told, err = os.CreateTemp(state, "supervisor-*.out")
	}
	return told, stateAdvice(err)
}

// verdictAfter is how much longer than a call it may take until a service that
// crashes at once is called a crash loop.
const verdictAfter = 30 * time.Second

// detach starts a supervisor of its own session and waits until it is ready.
func (o *upOptions) detach(ctx context.Context, pl *plan, start time.Time) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	told, err := openTold(pl.state)
	if err != nil {
		return err
	}
	defer told.Close()
	cmd := exec.Command(self, o.childArgs(pl)...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = pl.Root, told, told
	supervise.Detach(cmd)
	if err := cmd.Start(); err != nil {
		os.Remove(told.Name())
		return err
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	ctx, cancel := context.WithTimeout(ctx, o.Wait+verdictAfter)
	defer cancel()
	tell := newTeller(o.IO, o.Clock, o.Progress, func() (supervise.Status, error) { return running(ctx, pl.project) })
	follow, stop := context.WithCancel(ctx)
	defer stop()
	followed := make(chan struct{})
	go func() {
		defer close(followed)
		o.follow(follow, pl.project, tell)
	}()
	st, err := o.awaitReady(ctx, pl.project, ended)
	stop()
	<-followed
	tell.catchUp(st)
	tell.settle()
	switch {
	case errors.Is(err, context.Canceled):
		fmt.Fprintln(o.IO.ErrOut, "it goes on starting; prismctl dev down stops it")
	case err != nil && st.Services == nil: // it ended, or never answered
		if text, readErr := io.ReadAll(io.NewSectionReader(told, 0, 16<<10)); readErr == nil {
			o.IO.ErrOut.Write(text) //nolint:errcheck // it is the error that counts
		}
		os.Remove(told.Name())
		return err
	case err != nil:
		o.complain(goesOn(st), st)
	}
	if e := os.Rename(told.Name(), filepath.Join(pl.state, "supervisor.out")); err == nil {
		err = e
	}
	if err != nil {
		return err
	}
	o.announce(pl, st, o.Clock.Now().Sub(start), "prismctl dev down stops it")
	return skippedError(pl.Skipped)
}

// running asks the supervisor, which must answer.
func running(ctx context.Context, p project) (supervise.Status, error) {
	c, err := supervise.Dial(p.socket)
	if err != nil {
		return supervise.Status{}, err
	}
	return c.Status(ctx)
}

// follow tells what the supervisor does, as soon as there is one.
func (o *upOptions) follow(ctx context.Context, p project, tell *teller) {
	for ctx.Err() == nil {
		if c, err := supervise.Dial(p.socket); err == nil {
			_ = c.Events(ctx, func(st supervise.Status) error { // what has happened before we came
				tell.catchUp(st)
				return nil
			}, func(e supervise.Event) error { tell.event(e); return nil }) //nolint:errcheck // awaitReady says it
			return
		}
		if !pause(ctx) {
			return
		}
	}
}

// childArgs are those of the supervisor: the same up, in the background.
func (o *upOptions) childArgs(pl *plan) []string {
	args := []string{"dev", "up", "--supervisor", "--progress", progressPlain, "--prismd", pl.program}
	if o.AllowSkew {
		args = append(args, "--allow-skew")
	}
	if o.Watch {
		args = append(args, "--watch")
	}
	return append(args, o.args()...)
}

// awaitReady asks the supervisor until all is ready or will not be. ended tells
// when a new one that was started for this has ended; nil: it runs already.
func (o *upOptions) awaitReady(ctx context.Context, p project, ended <-chan error) (last supervise.Status, err error) {
	gone := ended == nil
	for {
		select {
		case err := <-ended:
			var exit *exec.ExitError
			if errors.As(err, &exit) {
				return supervise.Status{}, cli.ErrSilent(exit.ExitCode()) // it has said why
			}
			ended, gone = nil, true // another up was faster: its supervisor answers
		case <-ctx.Done():
			if err := context.Cause(ctx); !errors.Is(err, context.DeadlineExceeded) {
				return supervise.Status{}, err
			}
			if err := notReady(last); err != nil {
				return last, err
			}
			return last, prism.New(prism.ReasonDeadlineExceeded, "it was not ready in time")
		case <-time.After(pollEvery):
		}
		c, err := supervise.Dial(p.socket)
		if err != nil {
			if gone {
				return supervise.Status{}, prism.New(prism.ReasonUnavailable, "the supervisor has stopped")
			}
			continue
		}
		st, err := c.Status(ctx)
		if err != nil {
			continue
		}
		if last = st; st.Ready {
			return st, nil
		}
		for _, s := range st.Services {
			if s.State == supervise.CrashLoop || s.Late && !s.State.Up() {
				return st, notReady(st)
			}
		}
	}
}
