package keyvalue

import (
	"context"
	"encoding/binary"
	"errors"
	"unicode/utf8"

	"github.com/prism-data-layer/prism/pkg/data"
	"github.com/prism-data-layer/prism/pkg/driver"
	"github.com/prism-data-layer/prism/pkg/prism"
)

// A Watch hands out the changes of a namespace, oldest first. It goes along
// when the namespace moves: it tells what happened on the backend that is left,
// and then what happens on the new one.
type Watch struct {
	store  *Store
	prefix string
	values bool

	moves   int64 // of the namespace when it was where watcher is
	watcher driver.Watcher
	after   driver.Position // of what was handed out; nil: nothing yet
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
	c := s.reading()
	defer c.leave()
	if c.set.KeyValueWatch == nil {
		return nil, c.missing("keyvalue_watch")
	}
	if values && c.set.KeyValue == nil {
		return nil, c.missing("keyvalue_basic")
	}
	switch {
	case len(prefix) > prism.MaxKeyBytes:
		return nil, prism.InvalidField("prefix", "must be at most 1024 bytes")
	case !utf8.ValidString(prefix):
		return nil, prism.InvalidField("prefix", "must be valid UTF-8")
	}
	w := &Watch{store: s, prefix: prefix, values: values, moves: c.at.moves}
	set := c.set
	if position != "" {
		var err error
		if w.after, w.moves, err = s.openPosition(position); err != nil {
			return nil, err
		}
		if w.moves != c.at.moves {
			f := c.at.before
			if f == nil || f.set == nil || w.moves+1 != c.at.moves {
				return nil, movedOn(s.ns)
			}
			set = f.set
		}
	}
	var err error
	w.watcher, err = set.KeyValueWatch.Watch(ctx, s.ns, prefix, w.after)
	if err != nil {
		return nil, err
	}
	return w, nil
}

func movedOn(ns prism.Namespace) error {
	return prism.New(prism.ReasonCompacted, "the position is from before the namespace moved, and the history there is gone").WithNamespace(ns)
}

// Positions of a namespace that has never moved are the driver's own; later
// ones begin with how often it has moved.
func (s *Store) sealPosition(p driver.Position, moves int64) string {
	if moves == 0 {
		return s.sealer.Seal(p, "watch", string(s.ns))
	}
	return s.sealer.Seal(append(binary.AppendUvarint(nil, uint64(moves)), p...), "watch", "moved", string(s.ns))
}

func (s *Store) openPosition(position string) (p driver.Position, moves int64, err error) {
	if p, err = s.sealer.Open("position", position, "watch", string(s.ns)); err == nil {
		return p, 0, nil
	}
	b, err := s.sealer.Open("position", position, "watch", "moved", string(s.ns))
	if err != nil {
		return nil, 0, err
	}
	n, size := binary.Uvarint(b)
	if size <= 0 {
		return nil, 0, prism.Internal(errors.New("a sealed position is malformed"))
	}
	return b[size:], int64(n), nil
}

// Next waits for changes and returns them with the position after them. The
// first time it returns at once, perhaps with none.
func (w *Watch) Next(ctx context.Context) ([]WatchEvent, string, error) {
	changes, err := w.next(ctx)
	if err != nil {
		return nil, "", err
	}
	events := make([]WatchEvent, len(changes))
	for i, c := range changes {
		events[i].Change = c
	}
	if w.values {
		if err := w.attach(ctx, events); err != nil {
			return nil, "", err
		}
	}
	return events, w.store.sealPosition(w.after, w.moves), nil
}

// next is Next for the changes alone.
func (w *Watch) next(ctx context.Context) ([]Change, error) {
	for {
		st := w.store.place.now.Load()
		if st.moves != w.moves {
			changes, done, err := w.follow(ctx, st)
			if err != nil || done {
				return changes, err
			}
			continue
		}
		batch, err := w.wait(ctx, st)
		if err != nil {
			if st.here.Err() != nil && ctx.Err() == nil {
				continue // the namespace has moved
			}
			return nil, err
		}
		told, err := w.told(ctx, batch)
		if err != nil {
			return nil, err
		}
		if len(told) == 0 && len(batch.Changes) > 0 {
			continue // the new backend tells of them
		}
		w.after = batch.Position
		return told, nil
	}
}

// wait asks the watcher, until the namespace leaves.
func (w *Watch) wait(ctx context.Context, st *stay) (driver.Changes, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(st.here, cancel)()
	return w.watcher.Next(ctx)
}

// told leaves out what the new backend tells again. While writes are held it is
// not known yet whether there will be one: keys may end meanwhile.
func (w *Watch) told(ctx context.Context, batch driver.Changes) ([]Change, error) {
	st := w.store.place.now.Load()
	if st.moves == w.moves && st.hold != nil {
		select {
		case <-st.hold.over:
		case <-ctx.Done():
			return nil, prism.From(ctx.Err())
		}
		st = w.store.place.now.Load()
	}
	if st.moves == w.moves {
		return batch.Changes, nil
	}
	return st.before.upTo(batch.Changes), nil
}

// upTo are the changes that were made before the namespace left.
func (f *former) upTo(changes []Change) []Change {
	for i := range changes {
		if changes[i].Version > f.version {
			return changes[:i]
		}
	}
	return changes
}

// follow hands out what is left of the history on the former backend, and then
// goes on to the new one.
func (w *Watch) follow(ctx context.Context, st *stay) (changes []Change, done bool, err error) {
	f := st.before
	if f.set == nil || st.moves != w.moves+1 {
		return nil, false, movedOn(w.store.ns)
	}
	if w.after != nil {
		rest, err := w.rest(ctx, f)
		if err != nil {
			return nil, false, err
		}
		if changes = f.upTo(rest.Changes); len(changes) > 0 {
			w.after = rest.Position
			return changes, true, nil
		}
	}
	if st.set.KeyValueWatch == nil {
		return nil, false, data.Missing(st.set, w.store.ns, "keyvalue_watch")
	}
	start := f.start
	if w.after == nil {
		start = nil // it has not begun, and begins now
	}
	next, err := st.set.KeyValueWatch.Watch(ctx, w.store.ns, w.prefix, start)
	if err != nil {
		return nil, false, err
	}
	_ = w.watcher.Close()
	w.watcher, w.moves, w.after = next, st.moves, start
	return nil, false, nil
}

// rest is what a watch that begins after what was handed out tells at once.
func (w *Watch) rest(ctx context.Context, f *former) (driver.Changes, error) {
	old, err := f.set.KeyValueWatch.Watch(ctx, w.store.ns, w.prefix, w.after)
	if err != nil {
		return driver.Changes{}, err
	}
	defer old.Close()
	return old.Next(ctx)
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
	c := w.store.reading()
	defer c.leave()
	for i := range events {
		e := &events[i]
		if e.Kind != ChangeSet || room <= 0 {
			continue
		}
		got, found, err := c.set.KeyValue.Get(ctx, w.store.key(e.Key))
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
