package pubsub

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"sync"
	"testing"

	"go.uber.org/goleak"

	"github.com/prism-data-layer/prism/pkg/prism"
	"github.com/prism-data-layer/prism/tui"
	"github.com/prism-data-layer/prism/tui/component/tail"
	"github.com/prism-data-layer/prism/tui/keys"
	"github.com/prism-data-layer/prism/tui/page"
	"github.com/prism-data-layer/prism/tui/theme"
	"github.com/prism-data-layer/prism/tui/tuitest"
)

var _ = flag.Bool("update", false, "write the golden files anew")

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

type store struct {
	mu     sync.Mutex
	subs   []Subscription
	events []Event
	err    error
	broken error // of the stream
	sent   []string
}

func (s *store) Subscriptions(context.Context, string) ([]Subscription, error) { return s.subs, s.err }

func (s *store) Events(_ context.Context, _, pattern string, to *tail.Sink[Event]) error {
	for _, e := range s.events {
		if pattern == ">" || pattern == e.Topic {
			to.Send(e)
		}
	}
	return s.broken
}

func (s *store) Publish(_ context.Context, ns, topic string, payload []byte, persistent bool) (string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sent = append(s.sent, fmt.Sprint(ns, " ", topic, " ", string(payload), " ", persistent))
	return "published to " + topic, nil
}

func topics() *store {
	event := func(topic, payload string, attributes map[string]string) Event {
		return Event{Topic: topic, Time: tuitest.Noon(), Payload: []byte(payload), Size: int64(len(payload)), Attributes: attributes}
	}
	return &store{
		subs: []Subscription{
			{ID: "s1", Pattern: "orders.>", Group: "workers", Active: true, Sent: 4200, Dropped: 7, Principal: "service:mail"},
			{ID: "audit", Pattern: ">", Durable: "audit", Behind: 12},
		},
		events: []Event{
			event("orders.created", `{"id":7,"lines":[1,2]}`, map[string]string{"region": "eu"}),
			event("evil.\x1b[2J", "\x1b]52;c;\x07\u202e", nil),
			event("日本", "\x00\x01\xfe\xff", nil),
		},
	}
}

func open(t testing.TB, s *store, mode theme.Mode, w, h int) *tuitest.Screen {
	return tuitest.Open(t, tui.Options{Pages: []page.Factory{Factory(s)}, View: "pubsub shop", Mode: mode}, w, h).Start().Pass(1)
}

func TestScreens(t *testing.T) {
	t.Parallel()
	tuitest.Screens(t, "events", func(t *testing.T, mode theme.Mode, w, h int) *tuitest.Screen {
		return open(t, topics(), mode, w, h).Keys("G")
	})
	for name, draw := range map[string]func() *tuitest.Screen{
		"hostile": func() *tuitest.Screen { return open(t, topics(), theme.Mono, 80, 24) },
		"empty":   func() *tuitest.Screen { return open(t, &store{}, theme.Mono, 80, 24) },
		"failed": func() *tuitest.Screen {
			return open(t, &store{err: prism.New(prism.ReasonNotFound, "namespace shop not found"), broken: errors.New("no")}, theme.Mono, 80, 24)
		},
		"broken": func() *tuitest.Screen {
			s := topics()
			s.broken = prism.New(prism.ReasonUnavailable, "the gateway ended the stream")
			return open(t, s, theme.Mono, 80, 24)
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := draw()
			tuitest.CheckFrame(t, s.Frame(), 80, 24)
			tuitest.Golden(t, name, s.Frame())
		})
	}
}

func TestAPatternIsListenedToAndAnEventPublished(t *testing.T) {
	t.Parallel()
	s := topics()
	sc := open(t, s, theme.Mono, 120, 40)
	sc.Wants("Events of > 3", "orders.created", "2 Subscriptions 2 · 7 dropped")
	m := New(tuitest.Env(), "shop", s)
	form := m.publish()
	v := map[string]string{"topic": "orders.created", "payload": "a b", "persistent": "yes"}
	if got, want := form.Command(v), "prismctl pubsub publish orders.created 'a b' --persistent -n shop"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	_, _ = form.Do(t.Context(), v, nil)
	if len(s.sent) != 1 || s.sent[0] != "shop orders.created a b true" {
		t.Errorf("got %q", s.sent)
	}
	sc.Keys("z").Wants("Events of > 0")
	sc.Keys("f", "ctrl+u").Type("orders.created").Keys("ctrl+s").Wants("Events of orders.created 1").Lacks("日本")
	sc.Keys("p").Wants("‖ paused")
}

func TestOfManyEventsTheNewestAreHeld(t *testing.T) {
	t.Parallel()
	s := &store{}
	for i := range 5000 {
		s.events = append(s.events, Event{Topic: fmt.Sprintf("t.%04d", i), Payload: []byte("x"), Size: 1})
	}
	sc := open(t, s, theme.Mono, 120, 40)
	sc.Wants("t.4999", "not shown").Lacks("t.0001 ")
}

func TestNoKeyMeansTwoThings(t *testing.T) {
	t.Parallel()
	sc := open(t, topics(), theme.Mono, 80, 24)
	_ = sc
	f := Factory(topics())
	if c := keys.Conflicts(keys.Global(), f.New(tuitest.Env(), "shop").Keys()); c != nil {
		t.Error(c)
	}
}

func TestEventsAndSubscriptionsAreCopiedWhole(t *testing.T) {
	t.Parallel()
	s := open(t, topics(), theme.Mono, 100, 24).Keys("Y", "G", "Y", "2", "G", "Y") // the newest event first
	if len(s.Copied) != 3 {
		t.Fatalf("copied %q", s.Copied)
	}
	var e struct {
		Topic      string            `json:"topic"`
		Payload    *string           `json:"payload"`
		Base64     []byte            `json:"payload_base64"`
		Attributes map[string]string `json:"attributes"`
	}
	if err := json.Unmarshal([]byte(s.Copied[0]), &e); err != nil || e.Topic != "日本" || e.Payload != nil || string(e.Base64) != "\x00\x01\xfe\xff" {
		t.Errorf("%v: copied %s", err, s.Copied[0])
	}
	if err := json.Unmarshal([]byte(s.Copied[1]), &e); err != nil || e.Topic != "orders.created" || e.Payload == nil || *e.Payload != `{"id":7,"lines":[1,2]}` || e.Attributes["region"] != "eu" {
		t.Errorf("%v: copied %s", err, s.Copied[1])
	}
	var sub struct {
		ID     string `json:"subscription_id"`
		Behind int64  `json:"behind"`
	}
	if err := json.Unmarshal([]byte(s.Copied[2]), &sub); err != nil || sub.ID != "audit" || sub.Behind != 12 {
		t.Errorf("%v: copied %s", err, s.Copied[2])
	}
}
