package keyvalue

import (
	"context"
	"unicode/utf8"

	"github.com/prism-data-layer/prism/pkg/driver"
	"github.com/prism-data-layer/prism/pkg/prism"
)

// A Watch hands out the changes of a namespace, oldest first.
type Watch struct {
	store   *Store
	watcher driver.Watcher
	values  bool
}

// A WatchEvent is a change; Value is there only if it was asked for and the
// key has not changed again since.
type WatchEvent struct {
	Change
	Value    []byte
	HasValue bool
}

// Watch starts after position, or now if it is empty.
func (s *Store) Watch(ctx context.Context, prefix, position string, values bool) (*Watch, error) {
	if s.set.KeyValueWatch == nil {
		return nil, s.missing("keyvalue_watch")
	}
	if values && s.set.KeyValue == nil {
		return nil, s.missing("keyvalue_basic")
	}
	switch {
	case len(prefix) > prism.MaxKeyBytes:
		return nil, prism.InvalidField("prefix", "must be at most 1024 bytes")
	case !utf8.ValidString(prefix):
		return nil, prism.InvalidField("prefix", "must be valid UTF-8")
	}
	var after driver.Position
	if position != "" {
		var err error
		if after, err = s.sealer.Open("position", position, "watch", string(s.ns)); err != nil {
			return nil, err
		}
	}
	w, err := s.set.KeyValueWatch.Watch(ctx, s.ns, prefix, after)
	if err != nil {
		return nil, err
	}
	return &Watch{store: s, watcher: w, values: values}, nil
}

// Next waits for changes and returns them with the position after them. The
// first time it returns at once, perhaps with none.
func (w *Watch) Next(ctx context.Context) ([]WatchEvent, string, error) {
	batch, err := w.watcher.Next(ctx)
	if err != nil {
		return nil, "", err
	}
	events := make([]WatchEvent, len(batch.Changes))
	for i, c := range batch.Changes {
		events[i].Change = c
	}
	if w.values {
		if err := w.attach(ctx, events); err != nil {
			return nil, "", err
		}
	}
	return events, w.store.sealer.Seal(batch.Position, "watch", string(w.store.ns)), nil
}

// changeBytes is what a change takes in a message at most, beside its key and
// its value: kind, two versions and a time, each with its tag.
const changeBytes = 64

// attach reads the values of keys that still have the version of their change,
// as many as fit a message with room for one more of the largest.
func (w *Watch) attach(ctx context.Context, events []WatchEvent) error {
	room := prism.MaxPageBytes - prism.MaxValueBytes
	for i := range events {
		room -= len(events[i].Key) + changeBytes
	}
	for i := range events {
		e := &events[i]
		if e.Kind != ChangeSet || room <= 0 {
			continue
		}
		got, found, err := w.store.set.KeyValue.Get(ctx, w.store.key(e.Key))
		if err != nil {
			return err
		}
		if found && got.Version == e.Version {
			e.Value, e.HasValue = got.Value, true
			room -= len(got.Value)
		}
	}
	return nil
}

// Close ends the watch.
func (w *Watch) Close() error { return w.watcher.Close() }
