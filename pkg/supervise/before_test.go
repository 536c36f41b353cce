//go:build linux

package supervise

import (
	"errors"
	"sync/atomic"
	"testing"
)

func TestBeforeIsCalledWhenNothingOfTheServiceRuns(t *testing.T) {
	t.Parallel()
	var calls, alive atomic.Int32
	mark := newMark()
	spec := server("gateway")
	spec.Env = append(spec.Env, mark.env())
	spec.Before = func() error {
		alive.Add(int32(len(mark.living())))
		if calls.Add(1) == 2 {
			return errors.New("not yet")
		}
		return nil
	}
	r := supervise(t, Options{Services: []Spec{spec}})
	r.ready()
	if err := r.Restart(t.Context(), "gateway"); err == nil && calls.Load() == 2 {
		t.Error("a start whose Before failed is ready")
	}
	r.ready() // the failed start was tried again
	if n := calls.Load(); n != 3 {
		t.Errorf("Before was called %d times, want 3", n)
	}
	if n := alive.Load(); n != 0 {
		t.Errorf("%d processes ran at a Before", n)
	}
}
