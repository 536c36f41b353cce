package drivertest

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/prism-data-layer/prism/pkg/driver"
	"github.com/prism-data-layer/prism/pkg/prism"
)

// A T is what a promise works with: a store that is opened when first asked
// for, a namespace of its own, and the store's time.
type T struct {
	*recorder
	Ctx context.Context

	harness Harness
	opened  *Opened
	ns      prism.Namespace
}

// open opens the store with bounds. Without a call, the first use opens it with
// the defaults.
func (t *T) open(o Options) {
	t.Helper()
	if t.opened != nil {
		t.Fatalf("drivertest: the store is open already")
	}
	opened := t.harness.Open(t, o)
	t.opened = &opened
}

func (t *T) store() *Opened {
	if t.opened == nil {
		t.open(Options{})
	}
	return t.opened
}

// set is the store's capabilities.
func (t *T) set() *driver.Set { return &t.store().Set }

// reopen restarts the store.
func (t *T) reopen() {
	o := t.store()
	o.Set = o.Reopen()
}

// namespace is the promise's own.
func (t *T) namespace() prism.Namespace {
	if t.ns == "" {
		t.ns = t.another()
	}
	return t.ns
}

// another makes one more namespace.
func (t *T) another() prism.Namespace {
	if make := t.store().Namespace; make != nil {
		return make()
	}
	return prism.Namespace("t" + strings.ToLower(rand.Text()))
}

func (t *T) key(name string) prism.Key { return prism.Key{Namespace: t.namespace(), Name: name} }

// now is the store's time.
func (t *T) now() time.Time {
	if c := t.store().Clock; c != nil {
		return c.Now()
	}
	return time.Now()
}

// second is a second of the promise: a whole one where time is in our hands,
// else what the harness says, or a fifth, so that nobody waits long.
func (t *T) second() time.Duration {
	switch {
	case t.store().Clock != nil:
		return time.Second
	case t.harness.Second > 0:
		return t.harness.Second
	}
	return 200 * time.Millisecond
}

// pass lets d go by.
func (t *T) pass(d time.Duration) {
	if c := t.store().Clock; c != nil {
		c.Advance(d)
		return
	}
	time.Sleep(d)
}

// eventually waits until f is true. A store's time goes on meanwhile, in steps,
// since its background work sleeps by its clock.
func (t *T) eventually(what string, f func() bool) {
	t.Helper()
	for deadline := time.Now().Add(t.harness.patience()); time.Now().Before(deadline); {
		if f() {
			return
		}
		if c := t.store().Clock; c != nil {
			c.Advance(50 * time.Millisecond)
		}
		time.Sleep(2 * time.Millisecond)
	}
	t.Fatalf("%s: not within %v", what, t.harness.patience())
}

// together calls f n times at once and reports every error and panic.
func (t *T) together(n int, f func(i int) error) {
	t.Helper()
	t.store() // not from the goroutines
	t.namespace()
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() {
			defer func() {
				if p := recover(); p != nil {
					t.Errorf("panic in goroutine %d: %v", i, p)
				}
			}()
			if err := f(i); err != nil {
				t.Errorf("goroutine %d: %v", i, err)
			}
		})
	}
	wg.Wait()
}

// must ends the promise on an error.
func (t *T) must(err error) {
	t.Helper()
	if err != nil {
		t.Fatalf("unexpected error: %v%s", err, reasonOf(err))
	}
}

func reasonOf(err error) string {
	var e *prism.Error
	if errors.As(err, &e) {
		return fmt.Sprintf(" (%s)", e.Reason)
	}
	return fmt.Sprintf(" (not a prism error but %T)", err)
}

// refused wants an error with that reason.
func (t *T) refused(what string, err error, reason prism.Reason) {
	t.Helper()
	switch {
	case err == nil:
		t.Errorf("%s: no error, want %s", what, reason)
	case !errors.Is(err, reason):
		t.Errorf("%s: got %v%s, want %s", what, err, reasonOf(err), reason)
	}
}

// dropped wants the error of who waited in a namespace that is dropped. Over the
// wire that is a namespace that is going.
func (t *T) dropped(what string, err error) {
	t.Helper()
	if !t.harness.Wire || !errors.Is(err, prism.ReasonNamespaceBusy) {
		t.refused(what, err, prism.ReasonNotFound)
	}
}

// unavailable wants an error of status UNAVAILABLE.
func (t *T) unavailable(what string, err error) {
	t.Helper()
	if !isUnavailable(err) {
		t.Errorf("%s: got %v, want an UNAVAILABLE", what, err)
	}
}

func isUnavailable(err error) bool {
	var e *prism.Error
	return errors.As(err, &e) && e.Reason.Info().Status == "UNAVAILABLE"
}

// put sets a key and gives its version.
func (t *T) put(name, value string, o ...driver.SetOptions) uint64 {
	t.Helper()
	var options driver.SetOptions
	if len(o) > 0 {
		options = o[0]
	}
	res, err := t.set().KeyValue.Set(t.Ctx, t.key(name), []byte(value), options, driver.Receipt{})
	t.must(err)
	if res.Version == 0 {
		t.Fatalf("Set %q gave version 0", name)
	}
	if res.Replayed {
		t.Errorf("Set %q without a receipt is Replayed", name)
	}
	return res.Version
}

// get wants a key to be there.
func (t *T) get(name string) driver.Entry {
	t.Helper()
	e, found, err := t.set().KeyValue.Get(t.Ctx, t.key(name))
	t.must(err)
	if !found {
		t.Fatalf("Get %q: not found", name)
	}
	return e
}

// has wants a key with that value.
func (t *T) has(name, value string) {
	t.Helper()
	if e := t.get(name); string(e.Value) != value {
		t.Errorf("Get %q: got %s, want %s", name, short(e.Value), short([]byte(value)))
	}
}

// lacks wants a key not to be there.
func (t *T) lacks(name string) {
	t.Helper()
	e, found, err := t.set().KeyValue.Get(t.Ctx, t.key(name))
	t.must(err)
	if found {
		t.Errorf("Get %q: found %s, want nothing", name, short(e.Value))
	}
	there, err := t.set().KeyValue.Exists(t.Ctx, t.key(name))
	t.must(err)
	if there {
		t.Errorf("Exists %q: true, want false", name)
	}
}

func (t *T) delete(name string) driver.Result {
	t.Helper()
	res, err := t.set().KeyValue.Delete(t.Ctx, t.key(name), driver.Receipt{})
	t.must(err)
	return res
}

// receipt asks for an effect once. Two receipts with one id are the same call
// sent again only if their bodies are the same, and then the promises make the
// same call: over the wire the gateway computes the body itself.
func (t *T) receipt(id, body string) driver.Receipt {
	r := driver.Receipt{Keep: 24 * time.Hour}
	sum := sha256.Sum256([]byte(string(t.namespace()) + "\x00" + id))
	copy(r.ID[:], sum[:])
	sum = sha256.Sum256([]byte(body))
	copy(r.Body[:], sum[:])
	return r
}

// same wants two answers to be equal, the second a replay of the first.
func (t *T) replays(what string, first, second driver.Result) {
	t.Helper()
	if first.Replayed {
		t.Errorf("%s: the first answer is marked as replayed", what)
	}
	if !second.Replayed {
		t.Errorf("%s: the second answer is not marked as replayed", what)
	}
	second.Replayed = first.Replayed
	if diff := differ(first, second); diff != "" {
		t.Errorf("%s: the replayed answer differs: %s", what, diff)
	}
}

// differ tells two results apart.
func differ(a, b driver.Result) string {
	switch {
	case a.Version != b.Version:
		return fmt.Sprintf("version %d and %d", a.Version, b.Version)
	case a.Found != b.Found:
		return fmt.Sprintf("found %v and %v", a.Found, b.Found)
	case a.Applied != b.Applied:
		return fmt.Sprintf("applied %v and %v", a.Applied, b.Applied)
	case a.Replayed != b.Replayed:
		return fmt.Sprintf("replayed %v and %v", a.Replayed, b.Replayed)
	case a.Number != b.Number:
		return fmt.Sprintf("number %d and %d", a.Number, b.Number)
	case !bytes.Equal(a.Value, b.Value):
		return fmt.Sprintf("value %s and %s", short(a.Value), short(b.Value))
	case !sameTime(a.ExpiresAt, b.ExpiresAt):
		return fmt.Sprintf("expiry %v and %v", a.ExpiresAt, b.ExpiresAt)
	}
	return ""
}

// sameTime compares to the millisecond, which is what the wire carries.
func sameTime(a, b time.Time) bool {
	if a.IsZero() || b.IsZero() {
		return a.IsZero() == b.IsZero()
	}
	return a.Sub(b).Abs() <= time.Millisecond
}

// short shows a value in a message.
func short(b []byte) string {
	if len(b) > 40 {
		return fmt.Sprintf("%q… (%d bytes)", b[:40], len(b))
	}
	return fmt.Sprintf("%q", b)
}

// pattern is n bytes that are told apart by seed and place.
func pattern(n, seed int) string {
	var b strings.Builder
	b.Grow(n)
	for i := range n {
		b.WriteByte(byte(i*7 + i>>8 + seed*31))
	}
	return b.String()
}
