package workqueue_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prism-data-layer/prism/pkg/clock"
	"github.com/prism-data-layer/prism/pkg/data"
	"github.com/prism-data-layer/prism/pkg/data/workqueue"
	"github.com/prism-data-layer/prism/pkg/driver"
	"github.com/prism-data-layer/prism/pkg/driver/memory"
	"github.com/prism-data-layer/prism/pkg/prism"
)

var secret = []byte("0123456789abcdef0123456789abcdef")

// open is the namespace q of a store in memory without some capabilities.
func open(t *testing.T, without ...string) (*workqueue.Store, *clock.Fake) {
	t.Helper()
	now := clock.NewFake(time.Now())
	set, err := memory.Spec().Open(context.Background(), driver.Config{Name: "m", Clock: now})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = set.Store.Close() })
	return workqueue.New(set.Without(without...), "q", workqueue.Policy{Receipts: 100}, data.NewSealer(secret), now, data.NewNames()), now
}

func refused(t *testing.T, what string, err error, reason prism.Reason, fields ...string) {
	t.Helper()
	var e *prism.Error
	if !errors.As(err, &e) || e.Reason != reason {
		t.Errorf("%s: got %v, want %s", what, err, reason)
		return
	}
	var got []string
	for _, f := range e.Fields {
		got = append(got, f.Field)
	}
	if len(fields) > 0 && !slices.Equal(got, fields) {
		t.Errorf("%s: names %q, want %q", what, got, fields)
	}
}

func publish(t *testing.T, s *workqueue.Store, messages ...workqueue.Message) []workqueue.Result {
	t.Helper()
	results := make([]workqueue.Result, len(messages))
	if err := s.Publish(t.Context(), "mail", messages, results); err != nil {
		t.Fatal(err)
	}
	return results
}

func receive(t *testing.T, s *workqueue.Store, who string, n int32) []workqueue.Delivery {
	t.Helper()
	out, err := s.Receive(t.Context(), who, "mail", workqueue.Receive{Max: n})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func leases(out []workqueue.Delivery) (l []string) {
	for i := range out {
		l = append(l, out[i].Lease)
	}
	return l
}

func text(s string) workqueue.Message { return workqueue.Message{Payload: []byte(s)} }

func TestCreateFillsInTheDefaults(t *testing.T) {
	t.Parallel()
	s, _ := open(t)
	for want, o := range map[workqueue.Settings]workqueue.Settings{
		{Lease: workqueue.DefaultLease, MaxAttempts: 5, Retention: workqueue.DefaultRetention}: {},
		{Lease: time.Minute, MaxAttempts: 1000, Retention: time.Hour}:                          {Lease: time.Minute, MaxAttempts: 5000, Retention: time.Hour},
	} {
		name := fmt.Sprintf("q%d", want.MaxAttempts)
		created, err := s.Create(t.Context(), name, o)
		if err != nil || !created {
			t.Fatalf("create: %v %v", created, err)
		}
		i, err := s.Info(t.Context(), name)
		if err != nil || i.Options != want {
			t.Errorf("settings are %+v (%v), want %+v", i.Options, err, want)
		}
	}
}

func TestPublishMakesAQueueThatIsNotThere(t *testing.T) {
	t.Parallel()
	s, _ := open(t)
	_, err := s.Receive(t.Context(), "ann", "mail", workqueue.Receive{})
	refused(t, "Receive", err, prism.ReasonNotFound)
	publish(t, s, text("a"))
	if out := receive(t, s, "ann", 0); len(out) != 1 || string(out[0].Payload) != "a" {
		t.Errorf("received %+v", out)
	}
	refused(t, "a bad name", s.Publish(t.Context(), "Mail", []workqueue.Message{text("a")}, make([]workqueue.Result, 1)), prism.ReasonInvalidArgument, "queue")
}

func TestEveryWrongFieldOfAMessageIsNamedAndOthersArePublished(t *testing.T) {
	t.Parallel()
	s, _ := open(t)
	many := map[string]string{}
	for i := range prism.MaxAttributes + 1 {
		many[fmt.Sprint(i)] = "v"
	}
	results := publish(t, s,
		text("good"),
		workqueue.Message{Payload: make([]byte, prism.MaxValueBytes+1), Key: strings.Repeat("k", prism.MaxKeyBytes+1), Attributes: many, Delay: workqueue.MaxDelay + 1, Priority: 10},
		workqueue.Message{Key: "\xff", Attributes: map[string]string{"": "v"}, Delay: -1, Priority: -1},
		workqueue.Message{Attributes: map[string]string{"n": "\xff"}},
		workqueue.Message{Payload: make([]byte, prism.MaxValueBytes), Key: strings.Repeat("k", prism.MaxKeyBytes), Priority: 9},
	)
	for i, fields := range [][]string{nil, {"payload", "key", "attributes", "delay_ms", "priority"}, {"key", "attributes", "delay_ms", "priority"}, {"attributes"}, nil} {
		if fields == nil {
			if results[i].Err != nil {
				t.Errorf("message %d: %v", i, results[i].Err)
			}
			continue
		}
		refused(t, fmt.Sprintf("message %d", i), results[i].Err, prism.ReasonInvalidArgument, fields...)
	}
	if i, err := s.Info(t.Context(), "mail"); err != nil || i.Ready != 2 {
		t.Errorf("%d are ready, %v, want 2", i.Ready, err)
	}
	if r := publish(t, s, workqueue.Message{Priority: 10}); r[0].Err == nil {
		t.Errorf("a single bad message was taken")
	}
}

func TestWhatTheBackendLacksIsRefused(t *testing.T) {
	t.Parallel()
	s, _ := open(t, "queue_delayed", "queue_priority", "queue_visibility", "queue_dead_letter")
	results := publish(t, s, text("a"), workqueue.Message{Delay: 1}, workqueue.Message{Priority: 1})
	if results[0].Err != nil {
		t.Error(results[0].Err)
	}
	ctx := t.Context()
	calls := map[string]error{"a delay": results[1].Err, "a priority": results[2].Err}
	_, calls["Extend"] = s.Extend(ctx, "ann", "mail", nil, time.Minute)
	_, calls["Release"] = s.Release(ctx, "ann", "mail", nil, 0, "")
	_, calls["Release with a delay"] = s.Release(ctx, "ann", "mail", nil, time.Minute, "")
	_, calls["Reject"] = s.Reject(ctx, "ann", "mail", nil, "")
	_, calls["Redrive"] = s.Redrive(ctx, "mail", nil, 0)
	_, calls["Purge"] = s.Purge(ctx, "mail", nil)
	for what, err := range calls {
		refused(t, what, err, prism.ReasonCapabilityMissing)
	}
	if i, err := s.Info(ctx, "mail"); err != nil || i.ReadyByPriority != nil || !i.NextDue.IsZero() {
		t.Errorf("Info: %+v, %v", i, err)
	}
	if got := s.Capabilities(); !slices.Equal(got, []string{"queue_basic"}) {
		t.Errorf("capabilities %q", got)
	}
	none, _ := open(t, "queue_basic")
	calls = map[string]error{"Publish": none.Publish(ctx, "mail", nil, nil)}
	_, calls["Create"] = none.Create(ctx, "mail", workqueue.Settings{})
	_, _, calls["List"] = none.List(ctx, "ann", 0, "")
	_, calls["Info"] = none.Info(ctx, "mail")
	_, calls["Receive"] = none.Receive(ctx, "ann", "mail", workqueue.Receive{})
	_, calls["Acknowledge"] = none.Acknowledge(ctx, "ann", "mail", nil)
	_, _, calls["Peek"] = none.Peek(ctx, "ann", "mail", 0, 0, "")
	for what, err := range calls {
		refused(t, what, err, prism.ReasonCapabilityMissing)
	}
}

// A lease in other hands is one that never was: the answer is the same, and
// nothing changes.
func TestALeaseIsWorthNothingInOtherHands(t *testing.T) {
	t.Parallel()
	s, _ := open(t)
	publish(t, s, text("a"))
	out := receive(t, s, "ann", 1)
	lease := out[0].Lease
	over := func(what, who, queue, token string) string {
		t.Helper()
		var said string
		for name, do := range map[string]func() ([]workqueue.Result, error){
			"Acknowledge": func() ([]workqueue.Result, error) { return s.Acknowledge(t.Context(), who, queue, []string{token}) },
			"Extend": func() ([]workqueue.Result, error) {
				return s.Extend(t.Context(), who, queue, []string{token}, time.Minute)
			},
			"Release": func() ([]workqueue.Result, error) {
				return s.Release(t.Context(), who, queue, []string{token}, 0, "")
			},
			"Reject": func() ([]workqueue.Result, error) { return s.Reject(t.Context(), who, queue, []string{token}, "") },
		} {
			r, err := do()
			if err != nil {
				t.Fatalf("%s of %s: %v", name, what, err)
			}
			refused(t, name+" of "+what, r[0].Err, prism.ReasonLeaseLost)
			said = r[0].Err.Error()
		}
		return said
	}
	other, err := s.Create(t.Context(), "other", workqueue.Settings{})
	if err != nil || !other {
		t.Fatal(err)
	}
	texts := map[string]bool{
		over("another's lease", "bob", "mail", lease):            true,
		over("a lease of another queue", "ann", "other", lease):  true,
		over("a cut lease", "ann", "mail", lease[:len(lease)-1]): true,
		over("no lease", "ann", "mail", "x"):                     true,
		over("an empty lease", "ann", "mail", ""):                true,
		over("a changed lease", "ann", "mail", "B"+lease[1:]):    true,
	}
	if r, err := s.Acknowledge(t.Context(), "ann", "mail", []string{lease}); err != nil || r[0].Err != nil {
		t.Errorf("its owner: %v, %v", r, err)
	}
	texts[over("a lease that is over", "ann", "mail", lease)] = true
	if len(texts) != 1 {
		t.Errorf("the answers differ: %v", texts)
	}
}

func TestSettling(t *testing.T) {
	t.Parallel()
	s, now := open(t)
	publish(t, s, text("a"), text("b"), text("c"))
	out := receive(t, s, "ann", 3)
	ctx := t.Context()
	r, err := s.Extend(ctx, "ann", "mail", leases(out[:1]), time.Hour)
	if err != nil || r[0].Err != nil || r[0].Until.Sub(now.Now()).Round(time.Second) != time.Hour {
		t.Errorf("Extend: %+v, %v", r, err)
	}
	for _, d := range []time.Duration{0, workqueue.MinLease - 1, workqueue.MaxLease + 1} {
		_, err := s.Extend(ctx, "ann", "mail", leases(out[:1]), d)
		refused(t, "a lease of "+d.String(), err, prism.ReasonInvalidArgument, "lease_ms")
	}
	for _, d := range []time.Duration{-1, workqueue.MaxDelay + 1} {
		_, err := s.Release(ctx, "ann", "mail", leases(out[:1]), d, "")
		refused(t, "a delay of "+d.String(), err, prism.ReasonInvalidArgument, "delay_ms")
	}
	long := strings.Repeat("r", workqueue.MaxReason+1)
	_, err = s.Release(ctx, "ann", "mail", leases(out[:1]), 0, long)
	refused(t, "a long reason", err, prism.ReasonInvalidArgument, "reason")
	_, err = s.Reject(ctx, "ann", "mail", leases(out[:1]), long)
	refused(t, "a long reason", err, prism.ReasonInvalidArgument, "reason")

	if r, err = s.Release(ctx, "ann", "mail", leases(out[1:2]), time.Minute, "busy"); err != nil || r[0].Err != nil || r[0].Dead {
		t.Errorf("Release: %+v, %v", r, err)
	}
	if r, err = s.Reject(ctx, "ann", "mail", leases(out[2:]), "bad"); err != nil || !r[0].Dead {
		t.Errorf("Reject: %+v, %v", r, err)
	}
	i, err := s.Info(ctx, "mail")
	if err != nil || i.Ready != 0 || i.Delayed != 1 || i.Leased != 1 || i.Dead != 1 || i.NextDue.Sub(now.Now()).Round(time.Second) != time.Minute {
		t.Errorf("Info: %+v, %v", i, err)
	}
	_, err = s.Acknowledge(ctx, "ann", "missing", leases(out))
	refused(t, "a queue that is not there", err, prism.ReasonNotFound)
	dead, _, err := s.Peek(ctx, "ann", "mail", workqueue.Dead, 10, "")
	if err != nil || len(dead) != 1 || dead[0].Reason != "bad" {
		t.Fatalf("dead letters: %+v, %v", dead, err)
	}
	// What is no id names no message.
	if n, err := s.Redrive(ctx, "mail", []string{"x", "", "01", "99"}, 0); err != nil || n != 0 {
		t.Errorf("Redrive of no ids: %d, %v", n, err)
	}
	if n, err := s.Purge(ctx, "mail", []string{"x"}); err != nil || n != 0 {
		t.Errorf("Purge of no ids: %d, %v", n, err)
	}
	if n, err := s.Redrive(ctx, "mail", []string{workqueue.ID(dead[0].ID)}, 0); err != nil || n != 1 {
		t.Errorf("Redrive: %d, %v", n, err)
	}
	if n, err := s.Purge(ctx, "mail", nil); err != nil || n != 0 {
		t.Errorf("Purge: %d, %v", n, err)
	}
}

func TestOnceCoversAllThatIsAskedFor(t *testing.T) {
	t.Parallel()
	s, _ := open(t)
	message := func() workqueue.Message {
		return workqueue.Message{Payload: []byte("a"), Key: "k", Attributes: map[string]string{"a": "1", "b": "2"}, Delay: time.Second, Priority: 1}
	}
	send := func(m workqueue.Message, who, queue, key string, retry []byte) workqueue.Result {
		t.Helper()
		if err := workqueue.Once(&m, &workqueue.Series{Principal: who}, queue, key, retry); err != nil {
			t.Fatal(err)
		}
		results := make([]workqueue.Result, 1)
		if err := s.Publish(t.Context(), queue, []workqueue.Message{m}, results); err != nil {
			t.Fatal(err)
		}
		return results[0]
	}
	first := send(message(), "ann", "mail", "once", nil)
	if r := send(message(), "ann", "mail", "once", []byte("the key wins")); !r.Replayed || r.ID != first.ID {
		t.Errorf("again: %+v, first %+v", r, first)
	}
	if r := send(message(), "bob", "mail", "once", nil); r.Replayed || r.Err != nil {
		t.Errorf("another's key: %+v", r)
	}
	for what, change := range map[string]func(*workqueue.Message){
		"payload":   func(m *workqueue.Message) { m.Payload = []byte("b") },
		"key":       func(m *workqueue.Message) { m.Key = "" },
		"attribute": func(m *workqueue.Message) { m.Attributes["a"] = "2" },
		"delay":     func(m *workqueue.Message) { m.Delay = 0 },
		"priority":  func(m *workqueue.Message) { m.Priority = 2 },
	} {
		m := message()
		change(&m)
		refused(t, "another "+what, send(m, "ann", "mail", "once", nil).Err, prism.ReasonKeyReused)
	}
	refused(t, "another queue", send(message(), "ann", "other", "once", nil).Err, prism.ReasonKeyReused)
	m := message()
	refused(t, "a long key", workqueue.Once(&m, &workqueue.Series{Principal: "ann"}, "mail", strings.Repeat("k", 129), nil), prism.ReasonInvalidArgument, "idempotency_key")
	if err := workqueue.Once(&m, &workqueue.Series{Principal: "ann"}, "mail", "", nil); err != nil || !m.Receipt.IsZero() {
		t.Errorf("nothing asked for: %+v, %v", m.Receipt, err)
	}
}

func TestListsArePagedWithCursorsOfTheirOwn(t *testing.T) {
	t.Parallel()
	s, _ := open(t)
	ctx := t.Context()
	for _, name := range []string{"c", "a", "b"} {
		if _, err := s.Create(ctx, name, workqueue.Settings{}); err != nil {
			t.Fatal(err)
		}
	}
	names, next, err := s.List(ctx, "ann", 2, "")
	if err != nil || !slices.Equal(names, []string{"a", "b"}) || next == "" {
		t.Fatalf("List: %q %q %v", names, next, err)
	}
	rest, end, err := s.List(ctx, "ann", 2, next)
	if err != nil || !slices.Equal(rest, []string{"c"}) || end != "" {
		t.Errorf("List: %q %q %v", rest, end, err)
	}
	_, _, err = s.List(ctx, "bob", 2, next)
	refused(t, "another's cursor", err, prism.ReasonInvalidCursor, "cursor")

	publish(t, s, text("1"), text("2"), text("3"))
	page, cursor, err := s.Peek(ctx, "ann", "mail", 0, 2, "")
	if err != nil || len(page) != 2 || cursor == "" {
		t.Fatalf("Peek: %d %q %v", len(page), cursor, err)
	}
	page, end, err = s.Peek(ctx, "ann", "mail", workqueue.Ready, 0, cursor)
	if err != nil || len(page) != 1 || string(page[0].Payload) != "3" || end != "" {
		t.Errorf("Peek: %+v %q %v", page, end, err)
	}
	for what, f := range map[string]func() error{
		"another's cursor":          func() error { _, _, err := s.Peek(ctx, "bob", "mail", 0, 2, cursor); return err },
		"a cursor of another state": func() error { _, _, err := s.Peek(ctx, "ann", "mail", workqueue.Dead, 2, cursor); return err },
		"a cursor of another queue": func() error { _, _, err := s.Peek(ctx, "ann", "a", 0, 2, cursor); return err },
		"a lease as a cursor": func() error {
			_, _, err := s.Peek(ctx, "ann", "mail", 0, 2, receive(t, s, "ann", 1)[0].Lease)
			return err
		},
	} {
		refused(t, what, f(), prism.ReasonInvalidCursor)
	}
}

func TestAWaitEndsBeforeTheCallDoes(t *testing.T) {
	t.Parallel()
	s, now := open(t)
	publish(t, s, text("a"))
	receive(t, s, "ann", 1)
	_, err := s.Receive(t.Context(), "ann", "mail", workqueue.Receive{Wait: workqueue.MaxWait + 1})
	refused(t, "a long wait", err, prism.ReasonInvalidArgument, "wait_ms")
	ctx, cancel := context.WithDeadline(t.Context(), now.Now().Add(20*time.Second))
	defer cancel()
	answer := make(chan error, 1)
	go func() {
		out, err := s.Receive(ctx, "ann", "mail", workqueue.Receive{Wait: time.Minute})
		if len(out) > 0 {
			err = fmt.Errorf("got %+v", out)
		}
		answer <- err
	}()
	for waited := false; ; {
		select {
		case err := <-answer:
			if err != nil {
				t.Errorf("the wait ended with %v, want none and no error", err)
			}
			return
		default:
			if !waited && now.Timers() > 1 { // the sweeper's is the other
				waited = true
				now.Advance(19*time.Second + time.Millisecond)
			}
			time.Sleep(time.Millisecond)
		}
	}
}

func TestFiguresAreBounded(t *testing.T) {
	t.Parallel()
	s, _ := open(t)
	for _, name := range []string{"a", "b", "c", "d"} {
		if err := s.Publish(t.Context(), name, []workqueue.Message{text("1"), {Delay: time.Hour}}, make([]workqueue.Result, 2)); err != nil {
			t.Fatal(err)
		}
	}
	got := map[string]string{}
	s.Figures(t.Context(), 2, "_other", func(queue string, i workqueue.Info) {
		got[queue] = fmt.Sprint(i.Ready, i.Delayed, i.Published)
	})
	if want := "map[_other:2 2 4 a:1 1 2 b:1 1 2]"; fmt.Sprint(got) != want {
		t.Errorf("figures are %v, want %v", got, want)
	}
	none, _ := open(t, "queue_basic")
	none.Figures(t.Context(), 2, "_other", func(string, workqueue.Info) { t.Error("a backend without queues has figures") })
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	s.Figures(ended, 2, "_other", func(string, workqueue.Info) { t.Error("figures after the end of the context") })
}
