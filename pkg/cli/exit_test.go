package cli

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/prism-data-layer/prism/pkg/prism"
)

func TestCode(t *testing.T) {
	for _, c := range []struct {
		err  error
		want int
	}{
		{nil, 0},
		{errors.New("anything"), 1},
		{Usage("", "wrong"), 2},
		{fmt.Errorf("wrapped: %w", prism.NotFound("key", "a")), 3},
		{prism.New(prism.ReasonPermissionDenied, ""), 4},
		{prism.New(prism.ReasonAlreadyExists, ""), 5},
		{prism.New(prism.ReasonUnavailable, ""), 6},
		{prism.New(prism.ReasonRateLimited, ""), 6},
		{prism.New(prism.ReasonQuotaExceeded, ""), 1},
		{prism.InvalidField("key", "must be there"), 7},
		{Partial("", "half"), 8},
		{ErrSilent(99), 99},
		{Interrupt{}, 130},
		{fmt.Errorf("x: %w", Interrupt{Terminated: true}), 143},
		{context.Canceled, 130},
		{context.DeadlineExceeded, 6},
		{WithFix(prism.NotFound("a", "b"), "do"), 3},
		{&Failure{Err: errors.New("x"), Exit: 70}, 70},
	} {
		if got := Code(c.err); got != c.want {
			t.Errorf("%v: got %d, want %d", c.err, got, c.want)
		}
	}
}

func TestEveryExitCodeHasAMeaningAndIsListedOnce(t *testing.T) {
	seen := map[int]bool{}
	for _, c := range ExitCodes() {
		if seen[c.Code] || c.Meaning == "" {
			t.Errorf("%+v", c)
		}
		seen[c.Code] = true
	}
	for _, code := range []int{0, 1, 2, 3, 4, 5, 6, 7, 8, 70, 99, 130, 143} {
		if !seen[code] {
			t.Errorf("%d is not listed", code)
		}
	}
}

func TestFixesKeepNil(t *testing.T) {
	if WithFix(nil, "x") != nil || NotFoundFix(nil, "x") != nil {
		t.Error("nil became an error")
	}
	if ErrSilent(3).Error() != "exit 3" {
		t.Error(ErrSilent(3).Error())
	}
}
