package nats

import (
	"errors"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/prism-data-layer/prism/pkg/driver"
	"github.com/prism-data-layer/prism/pkg/prism"
)

func TestAnEventComesBackAsItWasAndNoPartOfItPassesForOne(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		text := rapid.String()
		e := driver.Event{
			ID: text.Draw(r, "id"), Topic: "a.b", Payload: rapid.SliceOf(rapid.Byte()).Draw(r, "payload"),
			Attributes:    rapid.MapOfN(text, text, 1, 5).Draw(r, "attributes"),
			CorrelationID: text.Draw(r, "correlation"), ReplyTo: text.Draw(r, "reply"), OrderingKey: text.Draw(r, "key"),
			Time: time.UnixMilli(rapid.Int64Range(0, 1<<42).Draw(r, "time")), Receipt: driver.Receipt{Body: [16]byte{1, 2, 3}},
		}
		data := message("x", &e).Data
		got, err := parse("a.b", data)
		if err != nil {
			r.Fatal(err)
		}
		if got.ID != e.ID || string(got.Payload) != string(e.Payload) || got.CorrelationID != e.CorrelationID || got.ReplyTo != e.ReplyTo ||
			got.OrderingKey != e.OrderingKey || !got.Time.Equal(e.Time) || got.Receipt.Body != e.Receipt.Body || len(got.Attributes) != len(e.Attributes) {
			r.Fatalf("got %+v, want %+v", got, e)
		}
		for k, v := range e.Attributes {
			if got.Attributes[k] != v {
				r.Fatalf("attribute %q is %q, want %q", k, got.Attributes[k], v)
			}
		}
		short := rapid.IntRange(0, len(data)-len(e.Payload)-1).Draw(r, "cut")
		if _, err := parse("a.b", data[:short]); !errors.Is(err, errRecord) {
			r.Fatalf("%d bytes of %d pass for an event: %v", short, len(data), err)
		}
	})
}

func TestTokensOfNamespacesAreOneTokenAndNeverTheSame(t *testing.T) {
	seen := map[string]prism.Namespace{}
	for _, ns := range []prism.Namespace{"", "a", "n-a", "a.b", "a*", ">", "\x00", "\xff", "a b", "h-a", "-", "A", "a/b"} {
		name := token(ns)
		if !plain.MatchString(name) && len(name) > 66 {
			t.Errorf("%q has the token %q", ns, name)
		}
		if other, ok := seen[name]; ok {
			t.Errorf("%q and %q have one token", ns, other)
		}
		seen[name] = ns
	}
}

func TestAStreamThatIsNotOursHasNoEpoch(t *testing.T) {
	for _, subjects := range [][]string{nil, {"a", "b"}, {"orders.>"}, {"prism.log.n-a.!.>"}} {
		if _, err := epochOf(subjects); !errors.Is(err, errRecord) {
			t.Errorf("%q: %v", subjects, err)
		}
	}
}

func TestOlderServersAreKnown(t *testing.T) {
	for version, want := range map[string]bool{"2.8.4": true, "1.4.1": true, "2.9.0": false, "2.10.1-beta": false, "3.0.0": false, "x": false} {
		if older(version) != want {
			t.Errorf("%s: %v", version, !want)
		}
	}
}
