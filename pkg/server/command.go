package server

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"

	"github.com/prism-data-layer/prism/pkg/config"
	"github.com/prism-data-layer/prism/pkg/driver"
	"github.com/prism-data-layer/prism/pkg/prism"
	"github.com/prism-data-layer/prism/pkg/supervise/handover"
	"github.com/prism-data-layer/prism/pkg/telemetry"
)

// A Build is what a program knows of itself.
type Build struct {
	Version, Commit string
	Drivers         driver.Registry
}

// Exit codes of prismd; prismctl's are the same where both have them.
const (
	exitOK      = 0
	exitFailed  = 1
	exitUsage   = 2
	exitBusy    = 5
	exitConfig  = 7
	exitUnclean = 143 // stopped, but calls had to be cut off
)

// Main is the prismd program: it returns the exit code.
func Main(args []string, stdout, stderr io.Writer, b Build) int {
	o, done, code := parse(args, stdout, stderr, b)
	if done {
		return code
	}
	Tune()
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	force := make(chan struct{})
	signals := make(chan os.Signal, 2) // room for both: the second may follow at once
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	defer signal.Stop(signals)
	hup := hangups()
	go func() {
		<-signals
		stop()
		<-signals // the second signal does not wait
		close(force)
	}()
	s, err := New(ctx, o)
	switch {
	case err != nil && ctx.Err() != nil: // told to stop before it was ready
		return exitOK
	case err != nil:
		return report(stderr, err)
	}
	go s.reloadOn(ctx, hup)
	if err := s.Run(ctx, force); err != nil {
		report(stderr, err)
		if errors.Is(err, ErrForced) {
			return exitUnclean
		}
		return exitFailed
	}
	return exitOK
}

// parse reads the command line and the file. done says that there is nothing
// more to do.
func parse(args []string, stdout, stderr io.Writer, b Build) (o Options, done bool, code int) {
	f := flag.NewFlagSet("prismd", flag.ContinueOnError)
	f.SetOutput(stderr)
	f.Usage = func() {
		fmt.Fprint(stderr, "prismd is the Prism gateway.\n\nUsage: prismd [--config FILE] [flags]\n       prismd bench MODEL [flags]\n\n")
		f.PrintDefaults()
		fmt.Fprint(stderr, "\nExit codes: 0 stopped cleanly, 1 failed, 2 usage, 5 data folder in use, 7 invalid configuration, 143 stopped with calls cut off.\n")
	}
	file := f.String("config", "", "the configuration `file`; without it the built-in settings hold")
	dir := f.String("data-dir", "", "the `folder` for data, instead of the one in the file")
	data := f.String("data", "", "the `address` of the data API, instead of the one in the file")
	ops := f.String("admin", "", "the `address` of the admin API")
	metrics := f.String("metrics", "", "the `address` of metrics, health and profiles")
	faults := f.Bool("faults", false, "let operators do harm to backends (prismctl fault), whatever the file says")
	check := f.Bool("check", false, "check the configuration and stop")
	version := f.Bool("version", false, "print the version and stop")
	switch err := f.Parse(args); {
	case errors.Is(err, flag.ErrHelp):
		return o, true, exitOK
	case err != nil:
		return o, true, exitUsage
	case f.NArg() > 0:
		fmt.Fprintf(stderr, "error: unexpected argument %q\n", f.Arg(0))
		return o, true, exitUsage
	case *version:
		fmt.Fprintf(stdout, "prismd %s %s\n", b.Version, b.Commit)
		return o, true, exitOK
	}
	o = Options{File: *file, Drivers: b.Drivers, Version: b.Version, Commit: b.Commit}
	var err error
	if o.Config, o.Dir, err = load(*file, b.Drivers.Names()); err != nil {
		return o, true, report(stderr, err)
	}
	if *dir != "" {
		if o.Config.DataDir, err = filepath.Abs(*dir); err != nil {
			return o, true, report(stderr, err)
		}
	}
	for addr, field := range map[string]*config.Address{*data: &o.Config.Listen.Data, *ops: &o.Config.Listen.Admin, *metrics: &o.Config.Listen.Metrics} {
		if addr != "" {
			*field = config.Address(addr)
			if o.Config.Auth.Mode == config.AuthOff && !field.Loopback() {
				return o, true, report(stderr, prism.New(prism.ReasonInvalidConfig, "authentication is off, so %s must be on loopback", addr))
			}
		}
	}
	o.Config.Faults = o.Config.Faults || *faults
	if t := &o.Config.Telemetry.OTLP; t.Endpoint == "" {
		t.Endpoint = os.Getenv(config.EnvOTLP)
	}
	if *check {
		fmt.Fprintln(stdout, "the configuration is valid")
		return o, true, exitOK
	}
	level, err := telemetry.ParseLevel(o.Config.Log.Level)
	if err != nil {
		return o, true, report(stderr, err)
	}
	if o.Log, err = telemetry.NewLogger(stderr, telemetry.LogOptions{Level: level, Format: o.Config.Log.Format}); err != nil {
		return o, true, report(stderr, err)
	}
	if o.Listeners, err = handover.Listeners(); err != nil {
		return o, true, report(stderr, err)
	}
	return o, false, 0
}

// load reads the file, or the built-in settings; dir is where relative paths
// start.
func load(file string, drivers []string) (c *config.Gateway, dir string, err error) {
	if file == "" {
		dir, err = os.Getwd()
		return config.Default(), dir, err
	}
	abs, err := filepath.Abs(file)
	if err != nil {
		return nil, "", err
	}
	dir = filepath.Dir(abs)
	c, err = config.LoadGateway(file, config.Load{Drivers: drivers, Dir: dir})
	return c, dir, err
}

// report prints an error for a person and returns the exit code.
func report(stderr io.Writer, err error) int {
	var invalid *config.Error
	if errors.As(err, &invalid) {
		fmt.Fprintln(stderr, invalid.Render())
		return exitConfig
	}
	e := prism.From(err)
	fmt.Fprintf(stderr, "error: %s\n", e.Message)
	if e.Err != nil {
		fmt.Fprintf(stderr, "  cause: %s\n", e.Err)
	}
	if errors.Is(err, syscall.EROFS) {
		fmt.Fprintln(stderr, "  fix: let data_dir name a folder that can be written to")
		return exitFailed
	}
	fmt.Fprintf(stderr, "  fix: %s\n", e.Reason.Info().Fix)
	switch e.Reason {
	case prism.ReasonInvalidConfig, prism.ReasonNewerFormat:
		return exitConfig
	case prism.ReasonFailedPrecond:
		return exitBusy
	}
	return exitFailed
}
