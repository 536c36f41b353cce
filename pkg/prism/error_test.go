package prism_test

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"testing"
	"time"

	"github.com/prism-data-layer/prism/pkg/prism"
)

func TestTheBuilderFillsEveryPart(t *testing.T) {
	t.Parallel()
	cause := errors.New("the disk")
	got := prism.New(prism.ReasonRateLimited, "too fast by %d", 2).
		WithField("a", "must be b").WithField("c", "must be d").
		WithQuota("namespace:orders", "5 a second").
		WithRetryAfter(time.Second).
		WithNamespace("orders").WithBackend("local").
		WithMeta("limit", "5").WithMeta("have", "7").
		WithCause(cause)
	want := &prism.Error{
		Reason: prism.ReasonRateLimited, Message: "too fast by 2",
		Fields:    []prism.FieldError{{Field: "a", Message: "must be b"}, {Field: "c", Message: "must be d"}},
		Quota:     &prism.QuotaError{Subject: "namespace:orders", Message: "5 a second"},
		Retry:     time.Second,
		Namespace: "orders", Backend: "local",
		Meta: map[string]string{"limit": "5", "have": "7"},
		Err:  cause,
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
	if !errors.Is(got, cause) || errors.Unwrap(got) != cause {
		t.Error("the cause is not found")
	}
	if s := got.Error(); s != "too fast by 2: the disk" {
		t.Errorf("reads %q", s)
	}
}

func TestShortcuts(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		err     *prism.Error
		reason  prism.Reason
		message string
		fields  int
	}{
		{prism.InvalidField("key", "must not be empty"), prism.ReasonInvalidArgument, "key must not be empty", 1},
		{prism.NotFound("namespace", "a\nb"), prism.ReasonNotFound, `namespace "a\nb" not found`, 0},
		{prism.Internal(errors.New("secret")), prism.ReasonInternal, "internal error", 0},
	} {
		if c.err.Reason != c.reason || c.err.Message != c.message || len(c.err.Fields) != c.fields {
			t.Errorf("got %+v, want %s %q with %d fields", c.err, c.reason, c.message, c.fields)
		}
	}
}

func TestWhenToTryAgain(t *testing.T) {
	t.Parallel()
	e := prism.New(prism.ReasonUnavailable, "x")
	if !e.Retryable() || e.RetryAfter() != 100*time.Millisecond {
		t.Errorf("default: %v, %s", e.Retryable(), e.RetryAfter())
	}
	if got := e.WithRetryAfter(3 * time.Second).RetryAfter(); got != 3*time.Second {
		t.Errorf("own: %s", got)
	}
	if prism.New(prism.ReasonNotFound, "x").Retryable() {
		t.Error("NOT_FOUND is retryable")
	}
	if got := e.Code(); got != "PRISM-50301" {
		t.Errorf("code %s", got)
	}
}

func TestFromKeepsMeaning(t *testing.T) {
	t.Parallel()
	own := prism.NotFound("key", "k")
	if prism.From(nil) != nil {
		t.Error("From(nil) is not nil")
	}
	if got := prism.From(fmt.Errorf("while reading: %w", own)); got != own {
		t.Errorf("a wrapped Error became %+v", got)
	}
	for _, c := range []struct {
		err     error
		reason  prism.Reason
		message string
	}{
		{context.Canceled, prism.ReasonCancelled, "the caller cancelled"},
		{fmt.Errorf("dial 10.0.0.1: %w", context.DeadlineExceeded), prism.ReasonDeadlineExceeded, "the deadline passed"},
		{fmt.Errorf("dial 10.0.0.1: %w", prism.ReasonDiskFull), prism.ReasonDiskFull, prism.ReasonDiskFull.Info().Summary},
		{errors.New("dial 10.0.0.1: refused"), prism.ReasonInternal, "internal error"},
	} {
		got := prism.From(c.err)
		if got.Reason != c.reason || got.Message != c.message {
			t.Errorf("From(%v): got %s %q, want %s %q", c.err, got.Reason, got.Message, c.reason, c.message)
		}
	}
}

// A cause may be an Error too; errors.Is then finds either.
func TestIsLooksThroughCauses(t *testing.T) {
	t.Parallel()
	e := prism.New(prism.ReasonBackendUnavailable, "x").WithCause(prism.New(prism.ReasonDiskFull, "y"))
	if !errors.Is(e, prism.ReasonBackendUnavailable) || !errors.Is(e, prism.ReasonDiskFull) || errors.Is(e, prism.ReasonNotFound) {
		t.Error("want BACKEND_UNAVAILABLE and DISK_FULL, and nothing else")
	}
	if e.Is(errors.New("x")) {
		t.Error("an Error is any error")
	}
}
