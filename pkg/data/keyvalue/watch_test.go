package keyvalue_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/prism-data-layer/prism/pkg/data/keyvalue"
	"github.com/prism-data-layer/prism/pkg/driver"
	"github.com/prism-data-layer/prism/pkg/prism"
	"github.com/prism-data-layer/prism/pkg/wire"
	kvv1 "github.com/prism-data-layer/prism/proto/prism/keyvalue/v1"
)

// watch starts after position and takes the first batch.
func watch(t testing.TB, s *keyvalue.Store, prefix, position string, values bool) (*keyvalue.Watch, []keyvalue.WatchEvent, string) {
	t.Helper()
	w, err := s.Watch(t.Context(), prefix, position, values)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.Close() })
	events, position := next(t, w)
	return w, events, position
}

func next(t testing.TB, w *keyvalue.Watch) ([]keyvalue.WatchEvent, string) {
	t.Helper()
	events, position, err := w.Next(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return events, position
}

// story is what events tell, in a word each.
func story(events []keyvalue.WatchEvent) string {
	var words []string
	for _, e := range events {
		kind := map[bool]string{true: "="}[e.Kind == keyvalue.ChangeSet]
		if e.Kind == keyvalue.ChangeDelete {
			kind = "-"
		}
		word := e.Key + kind
		if e.HasValue {
			word += string(e.Value)
		}
		words = append(words, word)
	}
	return strings.Join(words, " ")
}

func TestAWatchGoesOnFromItsPosition(t *testing.T) {
	t.Parallel()
	s := fresh(t)
	set(t, s, "before", "x")
	w, events, position := watch(t, s, "", "", false)
	if len(events) != 0 || position == "" {
		t.Errorf("at the start: %v at %q", events, position)
	}
	a := set(t, s, "a", "1")
	do(t, s, keyvalue.Op{Kind: keyvalue.OpDelete, Key: "a"})
	events, middle := next(t, w)
	if story(events) != "a= a-" || events[0].Version != a.Version || events[1].Previous != a.Version {
		t.Errorf("got %s: %+v", story(events), events)
	}
	set(t, s, "b", "2")
	if _, events, _ := watch(t, s, "", position, false); story(events) != "a= a- b=" {
		t.Errorf("from the start: %s", story(events))
	}
	if _, events, _ := watch(t, s, "", middle, false); story(events) != "b=" {
		t.Errorf("from the middle: %s", story(events))
	}
	if _, events, _ := watch(t, s, "b", position, false); story(events) != "b=" {
		t.Errorf("with a prefix: %s", story(events))
	}
}

func TestPositionsAreSealed(t *testing.T) {
	t.Parallel()
	s := fresh(t)
	_, _, position := watch(t, s, "", "", false)
	for i := range position {
		for _, bad := range []string{position[:i] + "~" + position[i+1:], position[:i]} {
			if bad == "" {
				continue // no position: from now
			}
			_, err := s.Watch(t.Context(), "", bad, false)
			wants(t, err, prism.ReasonInvalidCursor, "position")
		}
	}
}

// A value is the one that belongs to the change: of a key that has changed
// again since, the later change will bring it.
func TestValuesComeWithTheLatestVersionOnly(t *testing.T) {
	t.Parallel()
	s := fresh(t)
	_, _, position := watch(t, s, "", "", false)
	set(t, s, "a", "1")
	set(t, s, "a", "2")
	set(t, s, "gone", "3")
	do(t, s, keyvalue.Op{Kind: keyvalue.OpDelete, Key: "gone"})
	set(t, s, "empty", "")
	_, events, _ := watch(t, s, "", position, true)
	if got, want := story(events), "a= a=2 gone= gone- empty="; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if last := events[len(events)-1]; !last.HasValue || len(last.Value) != 0 {
		t.Errorf("an empty value: %+v", last)
	}
	if _, events, _ := watch(t, s, "", position, false); story(events) != "a= a= gone= gone- empty=" {
		t.Errorf("without values: %s", story(events))
	}
}

// replyOf is the message that the gateway makes of events.
func replyOf(events []keyvalue.WatchEvent, position string) *kvv1.WatchResponse {
	r := &kvv1.WatchResponse{Position: position}
	for i := range events {
		e := &events[i]
		c := &kvv1.Change{Kind: kvv1.ChangeKind(e.Kind), Key: e.Key, Version: e.Version, PreviousVersion: e.Previous, TimeMs: e.Time.UnixMilli()}
		if e.HasValue {
			c.Value = e.Value
		}
		r.Changes = append(r.Changes, c)
	}
	return r
}

func TestABatchWithValuesFitsAMessage(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ keys, key, value, least int }{
		"large values":             {10, 10, prism.MaxValueBytes, 3},
		"small values":             {1000, 10, 100, 1000},
		"long keys":                {1000, prism.MaxKeyBytes, 10, 1000},
		"long keys, middle values": {1000, prism.MaxKeyBytes, 2100, 900},
	} {
		s := fresh(t)
		_, _, position := watch(t, s, "", "", false)
		for i := range c.keys {
			key := fmt.Sprintf("%04d", i)
			set(t, s, key+strings.Repeat("k", c.key-len(key)), strings.Repeat("v", c.value))
		}
		_, events, position := watch(t, s, "", position, true)
		with := 0
		for _, e := range events {
			if e.HasValue {
				with++
			}
		}
		size := proto.Size(replyOf(events, position))
		if len(events) != c.keys || with < c.least || size > wire.MaxMessageBytes {
			t.Errorf("%s: %d events, %d with a value, in %d bytes", name, len(events), with, size)
		}
	}
}

func TestAWatchIsRefusedWhatIsWrongOrMissing(t *testing.T) {
	t.Parallel()
	s := fresh(t)
	for prefix, ok := range map[string]bool{strings.Repeat("k", 1024): true, strings.Repeat("k", 1025): false, "\xff": false} {
		w, err := s.Watch(t.Context(), prefix, "", false)
		if ok {
			if err != nil {
				t.Fatal(err)
			}
			w.Close()
			continue
		}
		wants(t, err, prism.ReasonInvalidArgument, "prefix")
	}
	_, err := fresh(t, "keyvalue_watch").Watch(t.Context(), "", "", false)
	wants(t, err, prism.ReasonCapabilityMissing)
	_, err = fresh(t, "keyvalue_basic").Watch(t.Context(), "", "", true)
	wants(t, err, prism.ReasonCapabilityMissing)
}

// reader is a store that no longer reads, under a watch that still goes on.
type reader struct{ driver.KeyValue }

func (reader) Get(context.Context, prism.Key) (driver.Entry, bool, error) {
	return driver.Entry{}, false, errBroken
}

func TestAWatchEndsWithItsCallerItsStoreAndItsClose(t *testing.T) {
	t.Parallel()
	s := fresh(t)
	w, _, _ := watch(t, s, "", "", false)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, _, err := w.Next(ctx)
	wants(t, err, prism.ReasonCancelled)
	if err := w.Close(); err != nil {
		t.Error(err)
	}
	_, _, err = w.Next(t.Context())
	wants(t, err, prism.ReasonUnavailable)

	set := open(t, nil)
	set.KeyValue = reader{set.KeyValue}
	broken := on(set, none)
	w, err = broken.Watch(t.Context(), "", "", true)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	next(t, w)
	do(t, broken, keyvalue.Op{Kind: keyvalue.OpSet, Key: "k"})
	if _, _, err := w.Next(t.Context()); !errors.Is(err, errBroken) {
		t.Errorf("values cannot be read: %v", err)
	}
}
