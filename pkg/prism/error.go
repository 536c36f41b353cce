package prism

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
)

// Error is the one error type of the project. It is built by the builder below
// ([New] and the With methods), becomes a gRPC status in package wire, and
// comes back as the same Error in package client.
type Error struct {
	Reason  Reason        // the identity; see the table in reasons.go
	Message string        // what was being done, to what, and why: lower case, at most 200 bytes on the wire
	Fields  []FieldError  // every wrong field of the request at once
	Quota   *QuotaError   // which quota, for RESOURCE_EXHAUSTED
	Retry   time.Duration // how long to wait before trying again; 0: the reason's default

	Namespace string            // where it happened, if anywhere
	Backend   string            // the backend's name, if it was at fault
	Meta      map[string]string // facts for programs: "current_version", "limit", …
	RequestID string
	TraceID   string

	// Err is the cause. It stays on this side of the wire, where it may hold
	// addresses and paths; only causes that are Errors themselves travel.
	Err error
}

// A FieldError says which field of a request is wrong and what it must be.
type FieldError struct {
	Field   string // path in the request, such as "items[3].key"
	Message string // "must be at most 1024 bytes"
}

// A QuotaError says which limit was met.
type QuotaError struct {
	Subject string // "namespace:orders", "principal:dev"
	Message string
}

// New starts an error with the given reason. The result is usable as it is.
func New(r Reason, format string, args ...any) *Error {
	if len(args) == 0 {
		return &Error{Reason: r, Message: format}
	}
	return &Error{Reason: r, Message: fmt.Sprintf(format, args...)}
}

// InvalidField is an INVALID_ARGUMENT on one field.
func InvalidField(field, message string) *Error {
	return New(ReasonInvalidArgument, "%s %s", field, message).WithField(field, message)
}

// NotFound is the error for a thing that is not there.
func NotFound(kind, name string) *Error { return New(ReasonNotFound, "%s %q not found", kind, name) }

// Internal wraps an error that only a bug of ours explains. The cause is
// logged, never sent.
func Internal(err error) *Error {
	return New(ReasonInternal, "internal error").WithCause(err)
}

func (e *Error) WithField(field, message string) *Error {
	e.Fields = append(e.Fields, FieldError{field, message})
	return e
}

func (e *Error) WithCause(err error) *Error            { e.Err = err; return e }
func (e *Error) WithNamespace(ns Namespace) *Error     { e.Namespace = string(ns); return e }
func (e *Error) WithBackend(name string) *Error        { e.Backend = name; return e }
func (e *Error) WithRetryAfter(d time.Duration) *Error { e.Retry = d; return e }

func (e *Error) WithQuota(subject, message string) *Error {
	e.Quota = &QuotaError{subject, message}
	return e
}

func (e *Error) WithMeta(key, value string) *Error {
	if e.Meta == nil {
		e.Meta = make(map[string]string, 2)
	}
	e.Meta[key] = value
	return e
}

func (e *Error) Error() string {
	if e.Err == nil {
		return e.Message
	}
	return e.Message + ": " + e.Err.Error()
}

func (e *Error) Unwrap() error { return e.Err }

// Is makes errors.Is(err, ReasonX) work: a Reason is itself an error value.
func (e *Error) Is(target error) bool {
	r, ok := target.(Reason)
	return ok && r == e.Reason
}

// Code is the stable code, such as "PRISM-40401".
func (e *Error) Code() string { return e.Reason.Info().Code() }

// Retryable reports whether the same call may succeed later. A mutation also
// needs a receipt for it to be safe; the client knows which calls have one.
func (e *Error) Retryable() bool { return e.Reason.Info().Retryable }

// RetryAfter is the wait the server asks for before a retry.
func (e *Error) RetryAfter() time.Duration {
	if e.Retry > 0 {
		return e.Retry
	}
	return e.Reason.Info().RetryAfter
}

// From returns err as an *Error. Context errors keep their meaning; anything
// unknown becomes INTERNAL with a generic text. From(nil) is nil.
func From(err error) *Error {
	if err == nil {
		return nil
	}
	var e *Error
	if errors.As(err, &e) {
		return e
	}
	var r Reason
	switch {
	case errors.As(err, &r):
		return New(r, "%s", r.Info().Summary)
	case errors.Is(err, context.Canceled):
		return New(ReasonCancelled, "the caller cancelled")
	case errors.Is(err, context.DeadlineExceeded):
		return New(ReasonDeadlineExceeded, "the deadline passed")
	}
	return Internal(err)
}

// Error lets a Reason stand as a target of errors.Is.
func (r Reason) Error() string { return strings.ToLower(strings.ReplaceAll(string(r), "_", " ")) }
