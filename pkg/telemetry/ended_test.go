package telemetry_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/prism-data-layer/prism/pkg/prism"
	"github.com/prism-data-layer/prism/pkg/telemetry"
)

func listen(t *testing.T, c *telemetry.Calls, f telemetry.CallFilter) *telemetry.Listener {
	t.Helper()
	l, err := c.Listen(f)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// heard reads what is there, without waiting.
func heard(t *testing.T, l *telemetry.Listener) (methods string, dropped int64) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	var names []string
	for {
		calls, d, err := l.Next(ctx)
		if err != nil {
			return strings.Join(names, " "), dropped
		}
		dropped = d
		for _, e := range calls {
			names = append(names, e.Method)
		}
	}
}

func TestListenersAreToldWhatTheyAskedFor(t *testing.T) {
	t.Parallel()
	c := new(telemetry.Calls)
	if c.Heard() || (*telemetry.Calls)(nil).Heard() {
		t.Error("somebody listens before anybody does")
	}
	filters := map[string]telemetry.CallFilter{
		"a b c": {}, "a c": {Session: "s1"}, "b": {Namespace: "n2"}, "b c": {MinLatency: 2 * time.Millisecond}, "c": {Errors: true},
		"": {Session: "s1", Namespace: "n2"},
	}
	listeners := map[string]*telemetry.Listener{}
	for want, f := range filters {
		listeners[want] = listen(t, c, f)
	}
	for _, e := range []telemetry.EndedCall{
		{Method: "a", Session: "s1", Namespace: "n1", Took: time.Millisecond},
		{Method: "b", Session: "s2", Namespace: "n2", Took: 2 * time.Millisecond},
		{Method: "c", Session: "s1", Namespace: "n1", Took: 3 * time.Millisecond, Reason: prism.ReasonNotFound},
	} {
		c.Tell(&e)
	}
	for want, l := range listeners {
		if got, dropped := heard(t, l); got != want || dropped != 0 {
			t.Errorf("%+v: heard %q, %d dropped, want %q", filters[want], got, dropped, want)
		}
		l.Close()
	}
	if c.Heard() {
		t.Error("somebody still listens")
	}
}

// Whoever does not read loses calls; the one who tells never waits.
func TestASlowListenerIsBoundedAndToldSo(t *testing.T) {
	t.Parallel()
	c := new(telemetry.Calls)
	l := listen(t, c, telemetry.CallFilter{})
	defer l.Close()
	const room, more = 4096, 100
	for range room + more {
		c.Tell(&telemetry.EndedCall{Method: "m"})
	}
	got, dropped := heard(t, l)
	if n := len(strings.Fields(got)); n != room || dropped != more {
		t.Errorf("%d calls and %d dropped, want %d and %d", n, dropped, room, more)
	}
	c.Tell(&telemetry.EndedCall{Method: "next"})
	if got, dropped := heard(t, l); got != "next" || dropped != more {
		t.Errorf("after it was read: %q, %d", got, dropped)
	}
}

func TestListenersAreBounded(t *testing.T) {
	t.Parallel()
	c := new(telemetry.Calls)
	var all []*telemetry.Listener
	for range 16 {
		all = append(all, listen(t, c, telemetry.CallFilter{}))
	}
	if _, err := c.Listen(telemetry.CallFilter{}); !errors.Is(err, prism.ReasonTooManyStreams) {
		t.Errorf("one more: %v", err)
	}
	all[3].Close()
	listen(t, c, telemetry.CallFilter{})
}

func TestAListenerThatWaitsIsWokenAndEnded(t *testing.T) {
	t.Parallel()
	c := new(telemetry.Calls)
	l := listen(t, c, telemetry.CallFilter{})
	defer l.Close()
	over := errors.New("over")
	ctx, cancel := context.WithCancelCause(t.Context())
	var wg sync.WaitGroup
	defer wg.Wait()
	wg.Go(func() { c.Tell(&telemetry.EndedCall{Method: "one"}) })
	if calls, _, err := l.Next(ctx); err != nil || len(calls) != 1 || calls[0].Method != "one" {
		t.Errorf("got %v, %v", calls, err)
	}
	c.Tell(&telemetry.EndedCall{Method: "last"})
	cancel(over)
	if calls, _, err := l.Next(ctx); err != nil || len(calls) != 1 {
		t.Errorf("what came before the end: %v, %v", calls, err)
	}
	if _, _, err := l.Next(ctx); !errors.Is(err, over) {
		t.Errorf("the end is %v", err)
	}
}

func TestSubjectsAreCut(t *testing.T) {
	t.Parallel()
	if got := telemetry.Subject("orders/1"); got != "orders/1" {
		t.Errorf("%q", got)
	}
	for _, long := range []string{strings.Repeat("x", 65), strings.Repeat("ä", 600), strings.Repeat("漢", 40), strings.Repeat("\x80", 70)} {
		got := telemetry.Subject(long)
		if len(got) > 64 || !strings.HasSuffix(got, "…") || utf8.ValidString(long) && !utf8.ValidString(got) {
			t.Errorf("%q became %q", long, got)
		}
	}
}
