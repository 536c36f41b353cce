package cli

import (
	"context"
	"errors"

	"github.com/prism-data-layer/prism/pkg/prism"
)

// The exit codes. ExitCodes says what they mean.
const (
	ExitOK          = 0
	ExitFailure     = 1
	ExitUsage       = 2
	ExitNotFound    = 3
	ExitAuth        = 4
	ExitConflict    = 5
	ExitUnavailable = 6
	ExitInvalid     = 7
	ExitPartial     = 8
	ExitCrash       = 70
	ExitThreshold   = 99
	ExitInterrupted = 130
	ExitTerminated  = 143
)

// An ExitCode is a row of the help topic "exit-codes".
type ExitCode struct {
	Code    int
	Meaning string
}

// ExitCodes lists every code that prismctl ends with.
func ExitCodes() []ExitCode {
	return []ExitCode{
		{ExitOK, "done"},
		{ExitFailure, "failed"},
		{ExitUsage, "usage: a wrong command, flag or argument"},
		{ExitNotFound, "not found"},
		{ExitAuth, "not signed in, or not allowed"},
		{ExitConflict, "conflict: it exists already, or has changed"},
		{ExitUnavailable, "unavailable, or timed out"},
		{ExitInvalid, "invalid configuration or input"},
		{ExitPartial, "partly done"},
		{ExitCrash, "prismctl crashed: a bug of ours"},
		{ExitThreshold, "a load threshold failed"},
		{ExitInterrupted, "interrupted (Ctrl-C)"},
		{ExitTerminated, "terminated"},
	}
}

// An Interrupt is the cause of a context that a signal ended.
type Interrupt struct{ Terminated bool }

func (i Interrupt) Error() string {
	if i.Terminated {
		return "terminated"
	}
	return "cancelled"
}

// Is makes an Interrupt a kind of context.Canceled.
func (i Interrupt) Is(target error) bool { return target == context.Canceled }

// Code is the one switch from an error to an exit code.
func Code(err error) int {
	var (
		failure *Failure
		silent  ErrSilent
		i       Interrupt
	)
	switch {
	case err == nil:
		return ExitOK
	case errors.As(err, &failure):
		return failure.ExitCode()
	case errors.As(err, &silent):
		return silent.ExitCode()
	case errors.As(err, &i):
		if i.Terminated {
			return ExitTerminated
		}
		return ExitInterrupted
	case errors.Is(err, context.Canceled):
		return ExitInterrupted
	}
	if diskFix(err) != "" {
		return ExitFailure
	}
	info := prism.From(err).Reason.Info()
	switch info.Class {
	case 401, 403:
		return ExitAuth
	case 404:
		return ExitNotFound
	case 409, 410, 412:
		return ExitConflict
	case 400, 422:
		if info.Reason == prism.ReasonCancelled {
			return ExitInterrupted
		}
		return ExitInvalid
	case 503, 504, 600:
		return ExitUnavailable
	case 429, 507:
		if info.Retryable {
			return ExitUnavailable
		}
	}
	return ExitFailure
}
