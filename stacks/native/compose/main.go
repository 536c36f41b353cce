// Prism-compose runs stacks in containers by the Compose library: for prismctl
// dev, which talks to it as README.md says. It is a program of its own so that
// the library is in nobody's memory but that of those who run containers.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/sirupsen/logrus"
)

const usage = `prism-compose: stacks in containers, for prismctl dev

  prism-compose info|check|list|remove|image|pull   the request as JSON on standard input, answers as JSON lines
  prism-compose run --request FILE                  brings a stack up, copies its lines, takes it down on SIGTERM
`

func main() {
	signal.Ignore(syscall.SIGPIPE) // whoever read our lines may be gone before the containers are
	logrus.SetOutput(io.Discard)   // the library's warnings are nothing that its user could do something about
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	os.Exit(execute(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}

// execute is the program: its exit code is 0, 1 for a failure, 2 for a command
// line that it does not know.
func execute(ctx context.Context, args []string, in io.Reader, out, errs io.Writer) int {
	if len(args) == 0 {
		_, _ = io.WriteString(errs, usage)
		return 2
	}
	name, args := args[0], args[1:]
	if name == "run" {
		return runCommand(ctx, args, out, errs)
	}
	do, ok := commands()[name]
	if !ok || len(args) > 0 {
		_, _ = io.WriteString(errs, usage)
		return 2
	}
	answers := json.NewEncoder(out)
	answers.SetEscapeHTML(false)
	err := answer(ctx, do, in, func(a Answer) { _ = answers.Encode(a) })
	if err != nil {
		_ = answers.Encode(Answer{Error: asFailure(err)})
		return 1
	}
	return 0
}

func answer(ctx context.Context, do verb, in io.Reader, say func(Answer)) error {
	var r Request
	d := json.NewDecoder(io.LimitReader(in, maxRequest))
	d.DisallowUnknownFields()
	if err := d.Decode(&r); err != nil {
		return fail(kindUsage, "the request cannot be read: %v", err)
	}
	return do(ctx, r, say)
}

type verb func(ctx context.Context, r Request, say func(Answer)) error

func commands() map[string]verb {
	return map[string]verb{
		"info":   withEngine(info),
		"check":  check,
		"list":   withEngine(list),
		"remove": withEngine(remove),
		"image":  withEngine(image),
		"pull":   withEngine(pull),
	}
}

// withEngine finds the engine first.
func withEngine(do func(ctx context.Context, e *engine, r Request, say func(Answer)) error) verb {
	return func(ctx context.Context, r Request, say func(Answer)) error {
		e, err := connect(ctx)
		if err != nil {
			return err
		}
		defer e.close()
		return do(ctx, e, r, say)
	}
}

func check(ctx context.Context, r Request, _ func(Answer)) error {
	_, err := load(ctx, r)
	return err
}

func runCommand(ctx context.Context, args []string, out, errs io.Writer) int {
	flags := flag.NewFlagSet("run", flag.ContinueOnError)
	flags.SetOutput(errs)
	file := flags.String("request", "", "`file` of the request")
	if err := flags.Parse(args); err != nil || *file == "" || flags.NArg() > 0 {
		if !errors.Is(err, flag.ErrHelp) {
			_, _ = io.WriteString(errs, usage)
		}
		return 2
	}
	lines := newLines(out)
	defer lines.close()
	err := runFile(ctx, *file, lines)
	if err == nil {
		return 0
	}
	f := asFailure(err)
	lines.lastNote(f.Message)
	_, _ = fmt.Fprintln(errs, "prism-compose:", f.Message)
	if f.Fix != "" {
		_, _ = fmt.Fprintln(errs, "  fix:", f.Fix)
	}
	return 1
}

func runFile(ctx context.Context, file string, lines *lines) error {
	f, err := os.Open(file)
	if err != nil {
		return fail(kindUsage, "the request cannot be read: %v", err)
	}
	defer func() { _ = f.Close() }()
	return answer(ctx, func(ctx context.Context, r Request, _ func(Answer)) error {
		return run(ctx, r, lines)
	}, f, nil)
}
