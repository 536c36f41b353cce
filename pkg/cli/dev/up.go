package dev

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/prism-data-layer/prism/pkg/cli"
	"github.com/prism-data-layer/prism/pkg/iostreams"
	"github.com/prism-data-layer/prism/pkg/prism"
	"github.com/prism-data-layer/prism/pkg/supervise"
)

type upOptions struct {
	IO      *iostreams.IOStreams
	Project func() (project, error)
	Version string

	Program    string
	AllowSkew  bool
	Detach     bool
	Plan       bool
	AutoPorts  bool
	PortOffset int
	Wait       time.Duration

	child bool // the supervisor that --detach has started
	flags []string
}

func newUp(f *cli.Factory, run func(context.Context, *upOptions) error) *cobra.Command {
	o := &upOptions{IO: f.IO, Version: f.Build.Version, Project: func() (project, error) { return find(f) }}
	cmd := &cobra.Command{
		Use:   "up",
		Short: "Start the gateway and keep it running",
		Long: "Starts prismd as a child of this process and keeps it running: it is ready when a value was written\nand read back through its data API. Ctrl-C stops it; a second Ctrl-C does not wait. When it runs\nalready, up changes nothing.\n\n" +
			"The listening sockets belong to the supervisor, so a restart refuses no connection.",
		Example: "  prismctl dev up\n  prismctl dev up --detach\n  prismctl dev up --plan\n  prismctl dev up --port-offset 100",
		Args:    cli.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			o.Wait = f.Globals.Timeout
			if o.AutoPorts && o.PortOffset != 0 {
				return cli.Usage("leave one of them out", "--auto-ports and --port-offset contradict each other")
			}
			return run(cmd.Context(), o)
		},
	}
	cmd.Flags().BoolVarP(&o.Detach, "detach", "d", false, "return when it is ready, and leave it running")
	cmd.Flags().BoolVar(&o.Plan, "plan", false, "print what would be started, and start nothing")
	cmd.Flags().StringVar(&o.Program, "prismd", "", "the gateway `FILE`")
	cli.SetDefault(cmd, "prismd", "beside prismctl, then on PATH")
	cmd.Flags().BoolVar(&o.AllowSkew, "allow-skew", false, "take a prismd of another version")
	cmd.Flags().BoolVar(&o.AutoPorts, "auto-ports", false, "let the system choose free ports")
	cmd.Flags().IntVar(&o.PortOffset, "port-offset", 0, "add `N` to every port, for a second project beside this one")
	cmd.Flags().BoolVar(&o.child, "supervisor", false, "")
	_ = cmd.Flags().MarkHidden("supervisor")
	return cmd
}

func runUp(ctx context.Context, o *upOptions) error {
	start := time.Now()
	p, err := o.Project()
	if err != nil {
		return err
	}
	if !o.Plan {
		if done, err := o.already(ctx, p); done {
			return err
		}
	}
	pl, err := makePlan(ctx, o, p)
	if err != nil {
		return err
	}
	switch {
	case o.Plan:
		return o.printPlan(pl)
	case o.Detach && !o.child:
		return o.detach(ctx, pl, start)
	}
	opts := p.options()
	opts.Services = pl.specs
	s, err := supervise.Open(opts)
	for held := (*supervise.Held)(nil); errors.As(err, &held); s, err = supervise.Open(opts) {
		// Another up was faster. It has the lock and will answer soon, or die.
		if done, err := o.already(ctx, p); done {
			return err
		}
		if time.Since(start) > o.Wait || !pause(ctx) {
			break
		}
	}
	if err != nil {
		return stateAdvice(portAdvice(err))
	}
	return o.supervise(ctx, s, pl, start)
}

// pollEvery is how often a supervisor that will answer soon is asked.
const pollEvery = 20 * time.Millisecond

func pause(ctx context.Context) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(pollEvery):
		return true
	}
}

// already answers for a project that runs: a second up changes nothing.
func (o *upOptions) already(ctx context.Context, p project) (done bool, err error) {
	c, err := supervise.Dial(p.socket)
	if err != nil {
		return !notRunning(err), err
	}
	st, err := c.Status(ctx)
	if err != nil {
		return true, err
	}
	fmt.Fprintf(o.IO.ErrOut, "already running (supervisor pid %d)\n", st.Supervisor)
	if !st.Ready {
		ctx, cancel := context.WithTimeout(ctx, o.Wait)
		defer cancel()
		if st, err = o.awaitReady(ctx, p, nil); err != nil {
			o.complain("it goes on trying; prismctl dev down ends it", st)
			return true, err
		}
	}
	o.printReady(st)
	return true, nil
}

// supervise runs in the foreground until it is told to stop.
func (o *upOptions) supervise(ctx context.Context, s *supervise.Supervisor, pl *plan, start time.Time) error {
	signal.Reset(os.Interrupt, syscall.SIGTERM, syscall.SIGHUP) // from here they are ours
	restore := supervise.OnSignals(s, func(_ os.Signal, again bool) {
		if again {
			fmt.Fprintln(o.IO.ErrOut, "killing")
			return
		}
		fmt.Fprintln(o.IO.ErrOut, "stopping; Ctrl-C again to kill")
	})
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	if err := pl.makeDataDir(); err != nil {
		s.Close()
		return err
	}
	var refusal atomic.Int32
	go o.narrate(s, s.Events(ctx), &refusal)
	go func() {
		if err := s.WaitReady(ctx); err != nil {
			if st := s.Status(); ctx.Err() == nil && refusal.Load() == 0 && !looping(st) {
				o.complain("not ready: "+prism.From(notReady(st)).Message, st)
			}
			return
		}
		o.printReady(s.Status())
		fmt.Fprintf(o.IO.ErrOut, "ready in %.1f s with %s; Ctrl-C stops, prismctl dev logs -f follows\n", time.Since(start).Seconds(), pl.origin)
	}()
	err := s.Run(ctx)
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

// narrate prints a line for each change. A gateway that never was ready and
// says that it never will be is not started again: everything stops, and its
// exit code becomes ours.
func (o *upOptions) narrate(s *supervise.Supervisor, events <-chan supervise.Event, refusal *atomic.Int32) {
	wasReady := false
	for e := range events {
		fmt.Fprintln(o.IO.ErrOut, eventLine(e))
		wasReady = wasReady || e.State == supervise.Ready
		switch e.State {
		case supervise.CrashLoop:
			o.complain(e.Service+" crashes again and again; prismctl dev restart tries once more", s.Status())
		case supervise.Crashed:
			st := s.Status()
			if one := st.Service(gateway); !wasReady && refuses(one) && refusal.CompareAndSwap(0, int32(one.Exit.Code)) {
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

// eventLine is a change in one line: when, what, which state, and why.
func eventLine(e supervise.Event) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s  ", e.Time.Format("15:04:05.000"))
	if e.Service != "" {
		fmt.Fprintf(&b, "%-8s %-10s", e.Service, e.State)
	}
	if e.PID != 0 {
		fmt.Fprintf(&b, " pid %d", e.PID)
	}
	if e.Message != "" {
		fmt.Fprintf(&b, "  %s", iostreams.Escape(e.Message))
	}
	return strings.TrimRight(b.String(), " ")
}

// printReady prints where everything is.
func (o *upOptions) printReady(st supervise.Status) {
	for _, s := range st.Services {
		for _, name := range []string{"data", "admin", "metrics"} {
			if addr := s.Listen[name]; addr != "" {
				fmt.Fprintf(o.IO.Out, "%-8s %-8s %s\n", s.Name, name, addressOf(name, addr))
			}
		}
	}
}

func addressOf(name, addr string) string {
	if name == "metrics" {
		return "http://" + addr + "/metrics"
	}
	return addr
}

// complain says what is wrong, and with it the last lines of whoever is not
// ready.
func (o *upOptions) complain(what string, st supervise.Status) {
	fmt.Fprintln(o.IO.ErrOut, iostreams.Escape(what))
	for _, s := range st.Services {
		for _, l := range s.LastLog {
			if l = strings.TrimRight(l, " \t\r\n"); l == "" {
				continue
			}
			fmt.Fprintf(o.IO.ErrOut, "  %s | %s\n", s.Name, iostreams.Escape(l))
		}
	}
}

// notReady says which service is not ready and why.
func notReady(st supervise.Status) error {
	for _, s := range st.Services {
		if s.State != supervise.Ready {
			text := string(s.State)
			if s.Message != "" {
				text += ": " + s.Message
			}
			return cli.WithFix(prism.New(prism.ReasonUnavailable, "%s is %s", s.Name, text), "prismctl dev logs %s", s.Name)
		}
	}
	return nil
}

func portAdvice(err error) error {
	var e *prism.Error
	if errors.As(err, &e) && e.Meta["kind"] == "port_taken" {
		return cli.WithFix(err, "stop that process, or choose other ports with --port-offset N or --auto-ports")
	}
	return err
}

func (o *upOptions) printPlan(pl *plan) error {
	fmt.Fprintf(o.IO.Out, "project  %s (%s)\nsettings %s\ndata     %s\nstate    %s\n", pl.Root, pl.ID, pl.origin, pl.data, pl.state)
	for _, s := range pl.specs {
		fmt.Fprintf(o.IO.Out, "start    %s: %s %s\n", s.Name, s.Path, strings.Join(s.Args, " "))
		for _, l := range s.Listen {
			fmt.Fprintf(o.IO.Out, "listen   %-8s %s (%s)\n", l.Name, l.Addr, l.Origin)
		}
		fmt.Fprintf(o.IO.Out, "ready    %s\n", s.Ready.Name)
	}
	return nil
}

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

func stateAdvice(err error) error {
	if errors.Is(err, fs.ErrPermission) || errors.Is(err, syscall.EROFS) {
		return cli.WithFix(prism.New(prism.ReasonFailedPrecond, "the folder for the state of services cannot be made").WithCause(err), "set HOME or XDG_STATE_HOME to a place that can be written to")
	}
	return err
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
	st, err := o.awaitReady(ctx, pl.project, ended)
	switch {
	case err != nil && st.Services == nil: // it ended, or never answered
		if text, readErr := io.ReadAll(io.NewSectionReader(told, 0, 16<<10)); readErr == nil {
			o.IO.ErrOut.Write(text) //nolint:errcheck // it is the error that counts
		}
		os.Remove(told.Name())
		return err
	case err != nil:
		o.complain("it goes on trying; prismctl dev down ends it", st)
	}
	if e := os.Rename(told.Name(), filepath.Join(pl.state, "supervisor.out")); err == nil {
		err = e
	}
	if err != nil {
		return err
	}
	o.printReady(st)
	fmt.Fprintf(o.IO.ErrOut, "ready in %.1f s with %s; prismctl dev down stops it\n", time.Since(start).Seconds(), pl.origin)
	return nil
}

// childArgs are those of the supervisor: the same up, in the background.
func (o *upOptions) childArgs(pl *plan) []string {
	args := []string{"dev", "up", "--supervisor", "--prismd", pl.program}
	if o.AllowSkew {
		args = append(args, "--allow-skew")
	}
	if o.AutoPorts {
		args = append(args, "--auto-ports")
	}
	if o.PortOffset != 0 {
		args = append(args, fmt.Sprintf("--port-offset=%d", o.PortOffset))
	}
	return args
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
			if s.State == supervise.CrashLoop || s.Late {
				return st, notReady(st)
			}
		}
	}
}
