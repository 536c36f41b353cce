package client_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prism-data-layer/prism/pkg/client"
	"github.com/prism-data-layer/prism/pkg/clock"
	"github.com/prism-data-layer/prism/pkg/prism"
	adminv1 "github.com/prism-data-layer/prism/proto/prism/admin/v1"
	"github.com/prism-data-layer/prism/test/harness"
)

const ns = "mem"

func dial(t *testing.T, g *harness.Gateway, opts ...client.Option) *client.Client {
	t.Helper()
	c, err := client.Dial(g.Addr("data"), opts...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// refused wants a prism error with that reason.
func refused(t *testing.T, what string, err error, reason prism.Reason) *prism.Error {
	t.Helper()
	var e *prism.Error
	if !errors.As(err, &e) || e.Reason != reason {
		t.Errorf("%s: got %v (%T), want %s", what, err, err, reason)
		return &prism.Error{}
	}
	return e
}

func ok(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatalf("unexpected error: %v", err)
	}
}

func TestEveryMethodOfKeyValue(t *testing.T) {
	t.Parallel()
	kv, ctx := dial(t, harness.Start(t, harness.Options{})).KeyValue(ns), t.Context()
	v1, err := kv.Set(ctx, "k", []byte("v"), client.TTL(time.Minute))
	ok(t, err)
	e, err := kv.Get(ctx, "k")
	if err != nil || string(e.Value) != "v" || e.Version != v1 || time.Until(e.ExpiresAt) < 50*time.Second {
		t.Errorf("Get: %+v, %v", e, err)
	}
	v2, err := kv.Set(ctx, "k", []byte("w"), client.KeepTTL(), client.IfVersion(v1))
	if err != nil || v2 <= v1 {
		t.Errorf("Set: %d, %v", v2, err)
	}
	_, err = kv.Set(ctx, "k", nil, client.IfVersion(v1))
	if e := refused(t, "IfVersion", err, prism.ReasonVersionMismatch); e.Meta["current_version"] != fmt.Sprint(v2) {
		t.Errorf("the present version is not told: %v", e.Meta)
	}
	_, err = kv.Set(ctx, "k", nil, client.CreateOnly())
	refused(t, "CreateOnly", err, prism.ReasonAlreadyExists)
	_, err = kv.Get(ctx, "none")
	refused(t, "Get", err, prism.ReasonNotFound)
	left, expires, err := kv.TTL(ctx, "k")
	if err != nil || !expires || left < 50*time.Second {
		t.Errorf("TTL: %v %v %v", left, expires, err)
	}
	at, err := kv.Expire(ctx, "k", time.Hour)
	if err != nil || time.Until(at) < 59*time.Minute {
		t.Errorf("Expire: %v %v", at, err)
	}
	if at, err = kv.Touch(ctx, "k"); err != nil || time.Until(at) < 59*time.Minute {
		t.Errorf("Touch: %v %v", at, err)
	}
	if removed, err := kv.Persist(ctx, "k"); err != nil || !removed {
		t.Errorf("Persist: %v %v", removed, err)
	}
	if _, expires, err := kv.TTL(ctx, "k"); err != nil || expires {
		t.Errorf("TTL after Persist: %v %v", expires, err)
	}
	if at, err = kv.Touch(ctx, "k"); err != nil || !at.IsZero() {
		t.Errorf("Touch of a key without end: %v %v", at, err)
	}
	last := v2
	// later wants a version that is the key's own and newer than those before.
	later := func(what, key string, version uint64) {
		t.Helper()
		if e, err := kv.Get(ctx, key); err != nil || e.Version != version || version <= last {
			t.Errorf("%s tells version %d after %d, the key has %d, %v", what, version, last, e.Version, err)
		}
		last = version
	}
	n, v, err := kv.Increment(ctx, "n", 7)
	if err != nil || n != 7 {
		t.Errorf("Increment: %d %v", n, err)
	}
	later("Increment", "n", v)
	size, v, err := kv.Append(ctx, "k", []byte("xyz"))
	if err != nil || size != 4 {
		t.Errorf("Append: %d %v", size, err)
	}
	later("Append", "k", v)
	if applied, v, err := kv.SetIfAbsent(ctx, "k", nil); err != nil || applied || v != last {
		t.Errorf("SetIfAbsent: %v %d %v", applied, v, err)
	}
	swapped, err := kv.GetAndSet(ctx, "k", []byte("new"))
	if err != nil || !swapped.Found || string(swapped.Previous) != "wxyz" {
		t.Errorf("GetAndSet: %+v %v", swapped, err)
	}
	later("GetAndSet", "k", swapped.Version)
	applied, v, err := kv.CompareAndSwap(ctx, "k", []byte("new"), []byte("swapped"))
	if err != nil || !applied {
		t.Errorf("CompareAndSwap: %v %d %v", applied, v, err)
	}
	later("CompareAndSwap", "k", v)
	if applied, v, err := kv.CompareAndDelete(ctx, "k", []byte("other")); err != nil || applied || v != last {
		t.Errorf("CompareAndDelete of another value: %v %d %v", applied, v, err)
	}
	if applied, v, err := kv.CompareAndDelete(ctx, "n", []byte("7")); err != nil || !applied || v <= last {
		t.Errorf("CompareAndDelete: %v %d %v", applied, v, err)
	}
	if there, err := kv.Exists(ctx, "k"); err != nil || !there {
		t.Errorf("Exists: %v %v", there, err)
	}
	found, gone, err := kv.Delete(ctx, "k", client.IdempotencyKey("d"))
	if err != nil || !found || gone <= last {
		t.Errorf("Delete: %v %d %v", found, gone, err)
	}
	if found, v, err := kv.Delete(ctx, "k", client.IdempotencyKey("d")); err != nil || !found || v != gone {
		t.Errorf("the same Delete again: %v %d %v", found, v, err)
	}
	if found, v, err := kv.Delete(ctx, "k"); err != nil || found || v != 0 {
		t.Errorf("Delete of a missing key: %v %d %v", found, v, err)
	}
	for _, err := range []error{
		second(kv.Expire(ctx, "none", time.Second)), third(kv.TTL(ctx, "none")), second(kv.Touch(ctx, "none")), second(kv.Persist(ctx, "none")),
	} {
		refused(t, "a missing key", err, prism.ReasonNotFound)
	}
	_, err = kv.Set(ctx, "", nil)
	if e := refused(t, "no key", err, prism.ReasonInvalidArgument); len(e.Fields) != 1 || e.Fields[0].Field != "key" {
		t.Errorf("the fields are %v", e.Fields)
	}
}

func second[A any](_ A, err error) error        { return err }
func third[A, B any](_ A, _ B, err error) error { return err }

func TestScansBatchesAndCounts(t *testing.T) {
	t.Parallel()
	kv, ctx := dial(t, harness.Start(t, harness.Options{})).KeyValue(ns), t.Context()
	var items []client.Item
	for i := range 25 {
		items = append(items, client.Item{Key: fmt.Sprintf("k%02d", i), Value: []byte{byte(i)}})
	}
	items = append(items, client.Item{Key: ""})
	results, err := kv.BatchSet(ctx, items...)
	ok(t, err)
	for i, r := range results[:25] {
		if r.Err != nil || r.Version == 0 {
			t.Errorf("item %d: %+v", i, r)
		}
	}
	refused(t, "a bad item", results[25].Err, prism.ReasonInvalidArgument)
	got, err := kv.BatchGet(ctx, "k03", "none", "k01")
	if err != nil || got[0].Entry.Value[0] != 3 || !got[2].Found || got[2].Entry.Key != "k01" {
		t.Errorf("BatchGet: %+v, %v", got, err)
	}
	refused(t, "a missing key", got[1].Err, prism.ReasonNotFound)

	var keys []string
	for e, err := range kv.Scan(ctx, client.Range{Start: "k05", End: "k20", Reverse: true, PageItems: 4}) {
		ok(t, err)
		keys = append(keys, e.Key)
	}
	if len(keys) != 15 || keys[0] != "k19" || !slices.IsSortedFunc(keys, func(a, b string) int { return strings.Compare(b, a) }) {
		t.Errorf("Scan: %q", keys)
	}
	n := 0
	for e, err := range kv.Keys(ctx, client.Range{Prefix: "k", PageItems: 3}) {
		ok(t, err)
		if n++; n == 5 {
			break // and no page more is asked for
		}
		if e.Size != 1 || e.Value != nil {
			t.Errorf("Keys: %+v", e)
		}
	}
	for _, err := range kv.Scan(ctx, client.Range{Cursor: "no"}) {
		refused(t, "a bad cursor", err, prism.ReasonInvalidCursor)
	}
	if n, err := kv.Count(ctx, client.Range{Prefix: "k1"}); err != nil || n != 10 {
		t.Errorf("Count: %d %v", n, err)
	}
	gone, err := kv.BatchDelete(ctx, "k00", "none")
	if err != nil || !gone[0].Found || gone[1].Found {
		t.Errorf("BatchDelete: %+v, %v", gone, err)
	}
}

// A scan that is broken off asks for no page more.
func TestAScanThatStopsEarlyAsksForNoMore(t *testing.T) {
	t.Parallel()
	c := dial(t, harness.Start(t, harness.Options{}))
	kv := c.KeyValue(ns)
	for i := range 10 {
		_, err := kv.Set(t.Context(), fmt.Sprint(i), nil)
		ok(t, err)
	}
	before := c.Stats().Attempts.Load()
	for range kv.Keys(t.Context(), client.Range{PageItems: 2}) {
		break
	}
	if n := c.Stats().Attempts.Load() - before; n != 1 {
		t.Errorf("%d pages were asked for", n)
	}
}

func TestConcurrentCallsShareFrames(t *testing.T) {
	t.Parallel()
	c := dial(t, harness.Start(t, harness.Options{}))
	kv := c.KeyValue(ns)
	_, err := kv.Set(t.Context(), "k", []byte("v"))
	ok(t, err)
	if s := c.Stats(); s.Attempts.Load() < 1 || s.Frames.Load() != 1 || s.Coalesced.Load() != 0 || s.Sessions.Load() != 1 {
		t.Errorf("after one call: %d attempts, %d frames, %d coalesced, %d sessions", s.Attempts.Load(), s.Frames.Load(), s.Coalesced.Load(), s.Sessions.Load())
	}
	var wg sync.WaitGroup
	const callers, each = 64, 50
	for range callers {
		wg.Go(func() {
			for range each {
				if _, err := kv.Get(t.Context(), "k"); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	s := c.Stats()
	if s.Coalesced.Load() == 0 || s.Frames.Load() >= callers*each || s.Attempts.Load() < callers*each {
		t.Errorf("%d calls in %d frames, %d coalesced", s.Attempts.Load(), s.Frames.Load(), s.Coalesced.Load())
	}
	if s.Retries.Load() != 0 {
		t.Errorf("%d retries without a reason", s.Retries.Load())
	}
}

func TestLargeCallsThroughOneStream(t *testing.T) {
	t.Parallel()
	kv := dial(t, harness.Start(t, harness.Options{})).KeyValue(ns)
	value := []byte(strings.Repeat("x", prism.MaxValueBytes))
	var wg sync.WaitGroup
	for i := range 20 {
		wg.Go(func() {
			k := fmt.Sprint(i)
			if _, err := kv.Set(t.Context(), k, value); err != nil {
				t.Errorf("set: %v", err)
			}
			for range 3 {
				if e, err := kv.Get(t.Context(), k); err != nil || len(e.Value) != len(value) {
					t.Errorf("get: %d bytes, %v", len(e.Value), err)
				}
			}
		})
	}
	wg.Wait()
	_, err := kv.Set(t.Context(), "k", append(value, 'x'))
	refused(t, "too large a value", err, prism.ReasonInvalidArgument)
}

// A caller that gives up leaves the others of its frame alone.
func TestACallerThatGivesUpAbandonsItsOperationOnly(t *testing.T) {
	t.Parallel()
	release, stuck := make(chan struct{}), make(chan string, 3)
	kv := dial(t, harness.Start(t, harness.Options{Drivers: harness.Faulty(func(_ context.Context, key string) error {
		if strings.HasPrefix(key, "slow") {
			stuck <- key
			<-release
		}
		return nil
	})})).KeyValue(ns)
	// Each goes when the one before is stuck: in one frame they would wait for
	// each other.
	slow := make(chan error, 1)
	go func() { _, err := kv.Get(t.Context(), "slow"); slow <- err }()
	<-stuck
	ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
	defer cancel()
	_, err := kv.Get(ctx, "slow too")
	refused(t, "out of time", err, prism.ReasonDeadlineExceeded)
	<-stuck
	ctx, cancel = context.WithCancel(t.Context())
	go func() { <-stuck; cancel() }()
	_, err = kv.Get(ctx, "slow as well")
	refused(t, "cancelled", err, prism.ReasonCancelled)
	if _, err := kv.Set(t.Context(), "quick", nil); err != nil {
		t.Errorf("beside them: %v", err)
	}
	close(release)
	refused(t, "the patient one", <-slow, prism.ReasonNotFound)
	gone, done := context.WithCancel(t.Context())
	done()
	_, err = kv.Set(gone, "never", nil)
	refused(t, "a context that had ended", err, prism.ReasonCancelled)
	if there, err := kv.Exists(t.Context(), "never"); err != nil || there {
		t.Errorf("it was written all the same: %v %v", there, err)
	}
}

// Behind frames that are not answered soon, callers gather for the client's
// patience and no longer: what is stuck holds nobody up.
func TestStuckOperationsHoldNobodyUp(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		patience time.Duration
		gathers  bool
	}{{200 * time.Millisecond, false}, {time.Hour, true}} {
		release := make(chan struct{})
		var stuck atomic.Int64
		kv := dial(t, harness.Start(t, harness.Options{Drivers: harness.Faulty(func(_ context.Context, key string) error {
			if strings.HasPrefix(key, "stuck") {
				stuck.Add(1)
				<-release
			}
			return nil
		})}), client.WithPatience(c.patience)).KeyValue(ns)
		var wg sync.WaitGroup
		for i := range client.Eager {
			wg.Go(func() {
				if _, err := kv.Set(t.Context(), fmt.Sprint("stuck", i), nil); err != nil {
					t.Errorf("a stuck one: %v", err)
				}
			})
			harness.Eventually(t, 10*time.Second, "it is stuck", func() bool { return stuck.Load() == int64(i+1) })
		}
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		if c.gathers {
			ctx, cancel = context.WithTimeout(t.Context(), 50*time.Millisecond)
		}
		_, err := kv.Set(ctx, "quick", nil)
		cancel()
		if gathers := errors.Is(err, prism.ReasonDeadlineExceeded); gathers != c.gathers || err != nil && !gathers {
			t.Errorf("patience of %s: %v", c.patience, err)
		}
		close(release)
		wg.Wait()
		if there, err := kv.Exists(t.Context(), "quick"); err != nil || !there {
			t.Errorf("patience of %s: what was abandoned must still be sent: %v, %v", c.patience, there, err)
		}
	}
}

func TestOnlyWhatIsSafeIsSentAgain(t *testing.T) {
	t.Parallel()
	var asked sync.Map
	g := harness.Start(t, harness.Options{Drivers: harness.Faulty(func(_ context.Context, key string) error {
		n, _ := asked.LoadOrStore(key, new(atomic.Int64))
		times := n.(*atomic.Int64).Add(1)
		switch {
		case key == "twice" && times <= 2:
			return prism.New(prism.ReasonBackendUnavailable, "down").WithRetryAfter(30 * time.Millisecond)
		case key == "always":
			return prism.New(prism.ReasonBackendUnavailable, "down").WithRetryAfter(time.Millisecond)
		case key == "final":
			return prism.New(prism.ReasonDataLoss, "damaged")
		}
		return nil
	})})
	c := dial(t, g)
	kv := c.KeyValue(ns)
	begun := time.Now()
	if _, err := kv.Set(t.Context(), "twice", nil); err != nil {
		t.Errorf("a store that comes back: %v", err)
	}
	if took := time.Since(begun); took < 60*time.Millisecond {
		t.Errorf("two retries took %v, the gateway asked for 30 ms each", took)
	}
	if n := c.Stats().Retries.Load(); n != 2 {
		t.Errorf("%d retries are counted, want 2", n)
	}
	count := func(key string) int64 {
		n, _ := asked.LoadOrStore(key, new(atomic.Int64))
		return n.(*atomic.Int64).Load()
	}
	_, err := kv.Get(t.Context(), "always")
	refused(t, "a store that stays away", err, prism.ReasonBackendUnavailable)
	if n := count("always"); n != 4 {
		t.Errorf("it was asked %d times, want 4", n)
	}
	_, err = kv.Get(t.Context(), "final")
	refused(t, "damage", err, prism.ReasonDataLoss)
	if n := count("final"); n != 1 {
		t.Errorf("damage was asked for %d times", n)
	}
	// The budget: not more than a fifth of the calls, once the first are spent.
	for range 40 {
		_, _ = kv.Get(t.Context(), "always")
	}
	before := count("always")
	for range 20 {
		_, _ = kv.Get(t.Context(), "always")
	}
	if n := count("always") - before; n > 20+20/4+2 {
		t.Errorf("20 calls became %d attempts", n)
	}
}

func TestCloseFailsCalls(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	defer close(release)
	c := dial(t, harness.Start(t, harness.Options{Drivers: harness.Faulty(func(context.Context, string) error { <-release; return nil })}))
	kv := c.KeyValue(ns)
	waiting := make(chan error, 1)
	go func() { _, err := kv.Get(t.Context(), "k"); waiting <- err }()
	harness.Eventually(t, 30*time.Second, "the call is on its way", func() bool { return c.Stats().Frames.Load() == 1 })
	ok(t, c.Close())
	select {
	case err := <-waiting:
		refused(t, "a call in flight", err, prism.ReasonCancelled)
	case <-time.After(30 * time.Second):
		t.Fatal("Close leaves a call waiting")
	}
	_, err := kv.Get(t.Context(), "k")
	refused(t, "a later call", err, prism.ReasonCancelled)
	ok(t, c.Close())
}

func TestSessionByItself(t *testing.T) {
	t.Parallel()
	now := clock.NewFake(time.Now())
	g := harness.Start(t, harness.Options{Clock: now})
	c := dial(t, g, client.WithID("shop", "1.2"), client.WithNamespaces(ns))
	kv, ctx := c.KeyValue(ns), t.Context()
	_, err := kv.Set(ctx, "k", nil)
	ok(t, err)
	id, err := c.SessionID(ctx)
	ok(t, err)
	s, err := g.Admin(t).GetSession(ctx, &adminv1.GetSessionRequest{SessionId: id})
	if err != nil || s.Session.ClientId != "shop" || s.Session.ClientVersion != "1.2" || s.Session.Namespaces[0] != ns {
		t.Errorf("the session is %v, %v", s, err)
	}
	_, err = c.KeyValue("none").Get(ctx, "k")
	refused(t, "outside of the session", err, prism.ReasonPermissionDenied)

	// One that has expired is made anew without a word.
	now.Advance(2 * time.Hour)
	if _, err := kv.Get(ctx, "k"); err != nil {
		t.Errorf("after the session's end: %v", err)
	}
	if _, err := kv.Count(ctx, client.Range{}); err != nil {
		t.Errorf("a unary call after it: %v", err)
	}
	again, err := c.SessionID(ctx)
	if err != nil || again == id || c.Stats().Sessions.Load() != 2 {
		t.Errorf("the session is %s again, %v, %d were made", again, err, c.Stats().Sessions.Load())
	}

	// An operator's word is final.
	if _, err := g.Admin(t).TerminateSession(ctx, &adminv1.TerminateSessionRequest{SessionId: again, Reason: "enough"}); err != nil {
		t.Fatal(err)
	}
	harness.Eventually(t, 30*time.Second, "the client hears of it", func() bool {
		now.Advance(time.Second)
		_, err = kv.Get(ctx, "k")
		return err != nil
	})
	if e := refused(t, "after the operator", err, prism.ReasonSessionRevoked); !strings.Contains(e.Message, "enough") {
		t.Errorf("why is not told: %v", e)
	}
	_, err = kv.Count(ctx, client.Range{})
	refused(t, "a unary call after the operator", err, prism.ReasonSessionRevoked)
}

func TestWithoutSession(t *testing.T) {
	t.Parallel()
	c := dial(t, harness.Start(t, harness.Options{}), client.WithoutSession(), client.WithConnections(3))
	for i := range 9 {
		_, err := c.KeyValue(ns).Set(t.Context(), fmt.Sprint(i), nil)
		ok(t, err)
	}
	if id, err := c.SessionID(t.Context()); id != "" || err != nil || c.Stats().Sessions.Load() != 0 {
		t.Errorf("there is a session %q, %v", id, err)
	}
	if n, err := c.KeyValue(ns).Count(t.Context(), client.Range{}); n != 9 || err != nil {
		t.Errorf("counted %d, %v", n, err)
	}
}

func TestCredentialsAndConfigurations(t *testing.T) {
	t.Parallel()
	g := harness.Start(t, harness.Options{File: strings.Replace(harness.Volatile, "mode: off", "mode: required", 1) + "configs:\n  - {name: shop, version: \"1\", pattern: keyvalue, namespace: mem}\n"})
	admin := adminKey(t, g)
	_, err := dial(t, g).KeyValue(ns).Get(t.Context(), "k")
	refused(t, "no key", err, prism.ReasonUnauthenticated)
	_, err = dial(t, g, client.WithAPIKey("wrong")).KeyValue(ns).Get(t.Context(), "k")
	refused(t, "a wrong key", err, prism.ReasonUnauthenticated)
	dev, _ := g.Key(t, admin, "user:dev")
	c := dial(t, g, client.WithAPIKey(dev), client.WithConfig("shop@1"))
	if _, err := c.KeyValue(ns).Set(t.Context(), "k", nil); err != nil {
		t.Errorf("with a key: %v", err)
	}
	_, err = dial(t, g, client.WithAPIKey(dev), client.WithConfig("none")).KeyValue(ns).Get(t.Context(), "k")
	refused(t, "no such configuration", err, prism.ReasonNotFound)
	if _, err := dial(t, g, client.WithAPIKey(dev), client.WithoutSession()).KeyValue(ns).Get(t.Context(), "k"); err != nil {
		t.Errorf("with a key and no session: %v", err)
	}
}

func TestFailFastTellsAtOnceThatNobodyIsThere(t *testing.T) {
	t.Parallel()
	g := harness.Start(t, harness.Options{})
	ok(t, g.Stop())
	g.Hang()
	begun := time.Now()
	kv := dial(t, g, client.WithFailFast()).KeyValue(ns)
	_, err := kv.Get(t.Context(), "k")
	refused(t, "nobody", err, prism.ReasonUnavailable)
	_, err = kv.Count(t.Context(), client.Range{})
	refused(t, "nobody, unary", err, prism.ReasonUnavailable)
	_, err = kv.Watch(t.Context(), client.WatchOptions{})
	refused(t, "nobody, watch", err, prism.ReasonUnavailable)
	if took := time.Since(begun); took > 6*time.Second {
		t.Errorf("it took %v", took)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	_, err = dial(t, g).KeyValue(ns).Get(ctx, "k")
	refused(t, "nobody, by a client that waits", err, prism.ReasonDeadlineExceeded)
	_, err = client.Dial("unknown-scheme://x/%zz")
	if err == nil {
		_, err = client.Dial("\x00")
	}
	refused(t, "no address", err, prism.ReasonInvalidArgument)
}
