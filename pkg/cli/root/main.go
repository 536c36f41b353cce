package root

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"runtime/debug"
	"strings"
	"syscall"
	"time"

	"github.com/prism-data-layer/prism/pkg/cli"
	"github.com/prism-data-layer/prism/pkg/cli/dev"
	"github.com/prism-data-layer/prism/pkg/iostreams"
)

// Main runs one command line and returns the exit code. It is the whole of
// prismctl but for the process itself, so that tests start it too.
func Main(ctx context.Context, f *cli.Factory, args []string) (code int) {
	return Run(ctx, f, Nouns(), args)
}

// Run is Main with a tree of the caller's.
func Run(ctx context.Context, f *cli.Factory, nouns []Noun, args []string) (code int) {
	defer f.Close()
	path := "prismctl"
	defer func() {
		if r := recover(); r != nil {
			code = crashed(f, path, r, debug.Stack())
		}
	}()
	cmd := New(f, nouns)
	cmd.SetArgs(append([]string{}, args...)) // never nil: that would mean the process's own
	f.Globals.Output = guessOutput(args)
	traced, own := withTrace(ctx)
	ran, err := cmd.ExecuteContextC(traced)
	own.end(err)
	if ran != nil {
		path = ran.CommandPath()
	}
	if cause := context.Cause(ctx); err != nil && ctx.Err() != nil && cli.Code(err) != cli.ExitPartial {
		err = cause // whatever broke, it broke because we were told to stop
	}
	if out := f.IO.OutErr(); iostreams.IsBrokenPipe(out) || err != nil && iostreams.IsBrokenPipe(err) {
		return cli.ExitOK // the reader has seen enough
	} else if out != nil && err == nil {
		err = out
	}
	if out := f.IO.OutErr(); out != nil && errors.Is(err, out) {
		err = fmt.Errorf("the output cannot be written: %w", out)
	}
	f.PrintError(err)
	return cli.Code(err)
}

// guessOutput finds -o before flags are parsed, so that even an error about a
// flag has the form that was asked for. Parsing sets it again.
func guessOutput(args []string) string {
	for i, a := range args {
		switch {
		case a == "--":
			return ""
		case (a == "-o" || a == "--output") && i+1 < len(args):
			return args[i+1]
		case strings.HasPrefix(a, "--output="):
			return a[len("--output="):]
		case strings.HasPrefix(a, "-o") && len(a) > 2:
			return strings.TrimPrefix(a[2:], "=")
		}
	}
	return ""
}

// crashed writes what is known of a panic to a file. Arguments are left out:
// they may hold values.
func crashed(f *cli.Factory, path string, r any, stack []byte) int {
	now := f.Clock.Now().UTC()
	text := fmt.Sprintf("prismctl %s (%s) crashed at %s\ncommand: %s\npanic: %v\n\n%s",
		f.Build.Version, f.Build.Commit, now.Format("2006-01-02T15:04:05Z"), path, r, stack)
	name := "crash-" + now.Format("20060102T150405") + ".txt"
	for _, dir := range []string{filepath.Join(f.Dirs().State, "crash"), f.Place.Temp} {
		if os.MkdirAll(dir, 0o700) != nil {
			continue
		}
		file := filepath.Join(dir, name)
		if os.WriteFile(file, []byte(text), 0o600) == nil {
			f.PrintError(&cli.Failure{Err: errors.New("prismctl crashed: this is a bug of ours"), Exit: cli.ExitCrash, Fix: "report it with the file " + file, Docs: "prismctl help errors"})
			return cli.ExitCrash
		}
	}
	f.PrintError(&cli.Failure{Err: errors.New("prismctl crashed, and the report could not be written"), Exit: cli.ExitCrash})
	return cli.ExitCrash
}

// oneSignal is the time within which a signal that comes twice is one: no
// person is that fast.
const oneSignal = 50 * time.Millisecond

// Signals returns a context that ends with the first SIGINT or SIGTERM. The
// second one ends the process at once; a command that owns its children
// (dev up) asks for signals of its own.
func Signals(ctx context.Context, exit func(int)) (context.Context, func()) {
	ctx, cancel := context.WithCancelCause(ctx)
	got := make(chan os.Signal, 2)
	done := make(chan struct{})
	signal.Notify(got, os.Interrupt, syscall.SIGTERM)
	go func() {
		var first time.Time
		for {
			select {
			case <-done:
				return
			case s := <-got:
				why := cli.Interrupt{Terminated: s == syscall.SIGTERM}
				switch {
				case first.IsZero():
					first = time.Now()
					cancel(why)
				case time.Since(first) > oneSignal: // timeout(1) signals a process, then its group
					exit(cli.Code(why))
					return
				}
			}
		}
	}()
	return ctx, func() {
		signal.Stop(got)
		close(done)
		cancel(nil)
	}
}

// Process is Main for a process of its own: its streams, its folder, its
// signals. cmd/prismctl ends with what it returns.
func Process(build cli.Build) int {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(400) // a command lives for moments: it has little to collect
	}
	f := cli.NewFactory(iostreams.System(), build)
	f.Place = cli.SystemPlace()
	f.Place.Dev = dev.Context
	ctx, stop := Signals(context.Background(), os.Exit)
	defer stop()
	return Main(ctx, f, os.Args[1:])
}
