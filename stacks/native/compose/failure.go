package main

import (
	"context"
	"errors"
	"fmt"
)

// Kinds of failures, which programs tell apart.
const (
	kindUsage     = "usage"
	kindMissing   = "engine_missing"   // no engine is there
	kindStopped   = "engine_stopped"   // it does not answer
	kindForbidden = "engine_forbidden" // we may not speak to it
	kindOld       = "engine_old"
	kindEngine    = "engine_failed" // it answered with an error
	kindInvalid   = "compose_invalid"
	kindRefused   = "compose_refused"
	kindImage     = "image_missing"
	kindForeign   = "foreign"
	kindPort      = "port_taken"
	kindEnded     = "container_ended"
	kindLeft      = "left"
)

// A Failure is an error with its kind and the next thing to type.
type Failure struct {
	Kind    string `json:"kind"`
	Message string `json:"message"`
	Fix     string `json:"fix,omitempty"`
}

func (f *Failure) Error() string { return f.Message }

func fail(kind, format string, args ...any) *Failure {
	return &Failure{Kind: kind, Message: fmt.Sprintf(format, args...)}
}

func (f *Failure) fix(format string, args ...any) *Failure {
	f.Fix = fmt.Sprintf(format, args...)
	return f
}

// asFailure gives any error a kind: what has none came from the engine.
func asFailure(err error) *Failure {
	var f *Failure
	switch {
	case errors.As(err, &f):
		if whole := err.Error(); whole != f.Message { // something was joined to it
			return &Failure{Kind: f.Kind, Message: whole, Fix: f.Fix}
		}
		return f
	case errors.Is(err, context.Canceled):
		return fail(kindEngine, "interrupted")
	}
	return fail(kindEngine, "the container engine says: %v", err)
}
