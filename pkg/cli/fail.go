package cli

import (
	"errors"
	"fmt"

	"github.com/prism-data-layer/prism/pkg/prism"
)

// A Failure adds to an error what only the command knows: the exit code, and
// what to type next.
type Failure struct {
	Err  error
	Exit int    // 0: what the error itself says
	Fix  string // "" : the reason's general remedy
	Docs string // a help topic
}

func (f *Failure) Error() string { return f.Err.Error() }
func (f *Failure) Unwrap() error { return f.Err }

// ExitCode is the exit code.
func (f *Failure) ExitCode() int {
	if f.Exit != 0 {
		return f.Exit
	}
	return Code(f.Err)
}

// Usage is a wrong command line: exit 2, and what would be right.
func Usage(fix, format string, args ...any) error {
	return &Failure{
		Err:  prism.New(prism.ReasonInvalidArgument, format, args...),
		Exit: ExitUsage,
		Fix:  fix,
		Docs: "prismctl help",
	}
}

// WithFix gives err a remedy that is better than its reason's. nil stays nil.
func WithFix(err error, format string, args ...any) error {
	if err == nil {
		return nil
	}
	return &Failure{Err: err, Fix: fmt.Sprintf(format, args...)}
}

// NotFoundFix adds what to type to see what is there, if err says that a thing
// is not.
func NotFoundFix(err error, fix string) error {
	if err != nil && errors.Is(err, prism.ReasonNotFound) {
		return &Failure{Err: err, Fix: fix}
	}
	return err
}

// Partial says that some of the work was done: exit 8.
func Partial(fix, format string, args ...any) error {
	return &Failure{Err: prism.New(prism.ReasonFailedPrecond, format, args...), Exit: ExitPartial, Fix: fix}
}

// ErrSilent ends a command with a code and without a message: the output has
// said it already.
type ErrSilent int

func (e ErrSilent) Error() string { return fmt.Sprintf("exit %d", int(e)) }

// ExitCode is the exit code.
func (e ErrSilent) ExitCode() int { return int(e) }
