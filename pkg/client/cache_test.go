package client_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prism-data-layer/prism/pkg/client"
	"github.com/prism-data-layer/prism/pkg/prism"
	"github.com/prism-data-layer/prism/test/harness"
)

func TestEveryMethodOfCache(t *testing.T) {
	t.Parallel()
	c, ctx := dial(t, harness.Start(t, harness.Options{File: harness.Models})).Cache("cache"), t.Context()
	ok(t, c.Set(ctx, "k", []byte("v"), client.TTL(time.Hour)))
	e, found, err := c.Get(ctx, "k")
	if err != nil || !found || string(e.Value) != "v" || time.Until(e.ExpiresAt) < 59*time.Minute {
		t.Errorf("Get: %+v %v %v", e, found, err)
	}
	if e, found, err := c.Get(ctx, "none"); err != nil || found || !e.ExpiresAt.IsZero() {
		t.Errorf("Get of a missing entry: %+v %v %v", e, found, err)
	}
	for what, f := range map[string]func() (bool, error){
		"SetIfAbsent of an entry":         func() (bool, error) { return c.SetIfAbsent(ctx, "k", nil) },
		"SetIfPresent of a missing entry": func() (bool, error) { return c.SetIfPresent(ctx, "none", nil) },
		"Exists of a missing entry":       func() (bool, error) { return c.Exists(ctx, "none") },
		"Delete of a missing entry":       func() (bool, error) { return c.Delete(ctx, "none") },
	} {
		if yes, err := f(); err != nil || yes {
			t.Errorf("%s: %v %v, want false", what, yes, err)
		}
	}
	for _, f := range []func() (bool, error){
		func() (bool, error) { return c.SetIfPresent(ctx, "k", []byte("w")) },
		func() (bool, error) { return c.SetIfAbsent(ctx, "new", []byte("n"), client.TTL(time.Minute)) },
		func() (bool, error) { return c.Exists(ctx, "new") },
		func() (bool, error) { return c.Delete(ctx, "new") },
	} {
		if yes, err := f(); err != nil || !yes {
			t.Errorf("%v %v, want true", yes, err)
		}
	}
	if ends, found, err := c.Touch(ctx, "k"); err != nil || !found || time.Until(ends) > 16*time.Minute {
		t.Errorf("Touch: %v %v %v", ends, found, err)
	}
	if _, found, err := c.Touch(ctx, "none"); err != nil || found {
		t.Errorf("Touch of a missing entry: %v %v", found, err)
	}
	for i := range 3 {
		if n, err := c.Increment(ctx, "n", 1, 40, client.IdempotencyKey(fmt.Sprint(i/2))); err != nil || n != int64(41+i/2) {
			t.Errorf("Increment: %d %v", n, err)
		}
	}
	if s, err := c.Stats(ctx); err != nil || s.Hits != 1 || s.Misses != 1 || !s.Bounded || s.Entries != 2 || s.MaxBytes == 0 || s.Bytes == 0 {
		t.Errorf("Stats: %+v %v", s, err)
	}
	refused(t, "an option of key-value", c.Set(ctx, "k", nil, client.KeepTTL()), prism.ReasonInvalidArgument)
	_, _, err = c.Get(ctx, "")
	refused(t, "no key", err, prism.ReasonInvalidArgument)
	_, _, err = c.Touch(ctx, "")
	refused(t, "no key", err, prism.ReasonInvalidArgument)
	_, err = c.GetMulti(ctx, "k", "")
	refused(t, "no key among others", err, prism.ReasonInvalidArgument)
	other := dial(t, harness.Start(t, harness.Options{File: harness.Models})).Cache("none")
	_, err = other.Stats(ctx)
	refused(t, "no namespace", err, prism.ReasonNotFound)
}

// Concurrent calls share frames, and each gets its own answer; a namespace of
// each model has a stream of its own.
func TestCallsOnACacheShareFrames(t *testing.T) {
	t.Parallel()
	c := dial(t, harness.Start(t, harness.Options{File: harness.Models}))
	h, kv, ctx := c.Cache("cache"), c.KeyValue("mem"), t.Context()
	var wg sync.WaitGroup
	for n := range 64 {
		wg.Go(func() {
			for i := range 50 {
				key, value := fmt.Sprint(n), fmt.Sprintf("%d-%d", n, i)
				if err := h.Set(ctx, key, []byte(value)); err != nil {
					t.Errorf("Set %s: %v", key, err)
				}
				if e, found, err := h.Get(ctx, key); err != nil || !found || string(e.Value) != value || e.ExpiresAt.IsZero() {
					t.Errorf("Get %s: %+v %v %v, want %s", key, e, found, err, value)
				}
				if i%10 == 0 {
					if _, err := kv.Set(ctx, key, []byte("kv")); err != nil {
						t.Errorf("a key-value Set %s: %v", key, err)
					}
				}
			}
			if sum, err := h.Increment(ctx, "sum", 1, 0); err != nil || sum < 1 || sum > 64 {
				t.Errorf("Increment: %d %v", sum, err)
			}
		})
	}
	wg.Wait()
	if sum, err := h.Increment(ctx, "sum", 0, 0); err != nil || sum != 64 {
		t.Errorf("counted %d, %v, want 64", sum, err)
	}
	s := c.Stats()
	if s.Frames.Load() >= s.Attempts.Load() || s.Coalesced.Load() == 0 || s.Retries.Load() != 0 {
		t.Errorf("%d operations in %d frames, %d shared, %d again", s.Attempts.Load(), s.Frames.Load(), s.Coalesced.Load(), s.Retries.Load())
	}
}

// More keys than fit a call, and more bytes than fit a reply.
func TestGetMultiBringsEverything(t *testing.T) {
	t.Parallel()
	c, ctx := dial(t, harness.Start(t, harness.Options{File: harness.Models})).Cache("cache"), t.Context()
	big := []byte(strings.Repeat("x", prism.MaxValueBytes))
	keys := []string{}
	for i := range 1500 {
		key := fmt.Sprint(i)
		keys = append(keys, key)
		if i%150 == 0 {
			ok(t, c.Set(ctx, key, big))
		}
	}
	got, err := c.GetMulti(ctx, keys...)
	ok(t, err)
	if len(got) != 10 {
		t.Errorf("%d entries, want 10", len(got))
	}
	for key, e := range got {
		if len(e.Value) != len(big) || e.Key != key || e.ExpiresAt.IsZero() {
			t.Errorf("%s: %d bytes, key %q", key, len(e.Value), e.Key)
		}
	}
}

func TestGetOrFillFillsOnce(t *testing.T) {
	t.Parallel()
	g := harness.Start(t, harness.Options{File: harness.Models})
	a, b, ctx := dial(t, g).Cache("cache"), dial(t, g).Cache("cache"), t.Context()
	var filled atomic.Int64
	started := make(chan struct{})
	fill := func(context.Context) ([]byte, error) {
		if filled.Add(1) == 1 {
			<-started
		}
		return []byte("v"), nil
	}
	var wg sync.WaitGroup
	for i := range 50 {
		c := a
		if i%2 == 0 {
			c = b
		}
		wg.Go(func() {
			if v, err := c.GetOrFill(ctx, "hot", time.Minute, fill, client.TTL(time.Hour)); err != nil || string(v) != "v" {
				t.Errorf("%q %v", v, err)
			}
		})
	}
	close(started)
	wg.Wait()
	if n := filled.Load(); n != 1 {
		t.Errorf("filled %d times", n)
	}
	if e, _, err := a.Get(ctx, "hot"); err != nil || time.Until(e.ExpiresAt) < 59*time.Minute {
		t.Errorf("the entry ends %v, %v", e.ExpiresAt, err)
	}
}

// A fill that fails lets go of the lock: the next caller need not wait for its end.
func TestAFillThatFailsHoldsUpNobody(t *testing.T) {
	t.Parallel()
	c, ctx := dial(t, harness.Start(t, harness.Options{File: harness.Models})).Cache("cache"), t.Context()
	broken := errors.New("the database is down")
	if _, err := c.GetOrFill(ctx, "k", time.Hour, func(context.Context) ([]byte, error) { return nil, broken }); !errors.Is(err, broken) {
		t.Errorf("got %v, want the fill's error", err)
	}
	func() {
		defer func() { _ = recover() }()
		_, _ = c.GetOrFill(ctx, "k", time.Hour, func(context.Context) ([]byte, error) { panic("a bug") })
	}()
	if v, err := c.GetOrFill(ctx, "k", time.Hour, func(context.Context) ([]byte, error) { return []byte("v"), nil }); err != nil || string(v) != "v" {
		t.Errorf("the next: %q %v", v, err)
	}
	_, err := c.GetOrFill(ctx, "", time.Hour, nil)
	refused(t, "no key", err, prism.ReasonInvalidArgument)
}

// What was computed before a change is returned and not stored.
func TestAFillThatWasOvertakenIsNotStored(t *testing.T) {
	t.Parallel()
	c, ctx := dial(t, harness.Start(t, harness.Options{File: harness.Models})).Cache("cache"), t.Context()
	v, err := c.GetOrFill(ctx, "k", time.Hour, func(ctx context.Context) ([]byte, error) {
		return []byte("old"), c.Set(ctx, "k", []byte("new"))
	})
	if err != nil || string(v) != "old" {
		t.Errorf("the fill: %q %v", v, err)
	}
	if e, _, err := c.Get(ctx, "k"); err != nil || string(e.Value) != "new" {
		t.Errorf("the entry is %q, %v", e.Value, err)
	}
}

// A waiter whose context ends does not wait on.
func TestAWaiterGivesUpWithItsContext(t *testing.T) {
	t.Parallel()
	c := dial(t, harness.Start(t, harness.Options{File: harness.Models})).Cache("cache")
	_, err := c.GetOrFill(t.Context(), "k", time.Hour, func(ctx context.Context) ([]byte, error) {
		short, cancel := context.WithTimeout(ctx, 300*time.Millisecond)
		defer cancel()
		_, err := c.GetOrFill(short, "k", time.Hour, nil)
		return nil, err
	})
	var e *prism.Error
	if !errors.As(err, &e) || e.Reason != prism.ReasonDeadlineExceeded {
		t.Errorf("got %v, want DEADLINE_EXCEEDED", err)
	}
}

// A restart of the gateway is invisible; what was in memory is missing after it.
func TestACacheGoesOnAfterARestart(t *testing.T) {
	t.Parallel()
	g := harness.Start(t, harness.Options{File: harness.Models})
	c, ctx := dial(t, g).Cache("cache"), t.Context()
	ok(t, c.Set(ctx, "k", []byte("v")))
	g.Restart(t)
	if _, found, err := c.Get(ctx, "k"); err != nil || found {
		t.Errorf("after a restart: %v %v", found, err)
	}
	if n, err := c.Increment(ctx, "n", 1, 0); err != nil || n != 1 {
		t.Errorf("after a restart: %d %v", n, err)
	}
}
