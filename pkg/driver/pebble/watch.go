package pebble

import (
	"context"
	"encoding/binary"
	"errors"
	"strings"
	"sync/atomic"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"github.com/prism-data-layer/prism/pkg/driver"
	"github.com/prism-data-layer/prism/pkg/prism"
)

const (
	positionFormat = 1
	watchBatch     = 1000
	// watchBreath bounds the changes read at once for a prefix that few have.
	watchBreath = 20_000
)

// A position is a format byte and the last version that was looked at.
func position(version uint64) driver.Position {
	return binary.BigEndian.AppendUint64(driver.Position{positionFormat}, version)
}

func parsePosition(p driver.Position) (uint64, error) {
	if len(p) != 9 || p[0] != positionFormat {
		return 0, prism.InvalidField("position", "is not one of this store")
	}
	return binary.BigEndian.Uint64(p[1:]), nil
}

func compacted(ns prism.Namespace) error {
	return prism.New(prism.ReasonCompacted, "the position is older than the history that is kept").WithNamespace(ns)
}

// Watch reads the change log, from which a position never goes away by itself:
// it stays good over a restart.
func (s *store) Watch(ctx context.Context, ns prism.Namespace, prefix string, after driver.Position) (driver.Watcher, error) {
	if err := s.enter(); err != nil {
		return nil, err
	}
	defer s.leave()
	if err := ctx.Err(); err != nil {
		return nil, prism.From(err)
	}
	w := &watcher{s: s, ns: s.namespace(ns), prefix: prefix, end: make(chan struct{})}
	if after == nil {
		// Whatever was answered before this call is synced, and so is its
		// version; what is applied but not synced may come or not.
		w.at = s.dirty.version.Load()
		return w, nil
	}
	var err error
	if w.at, err = parsePosition(after); err != nil {
		return nil, err
	}
	if w.at < w.ns.low.Load() || w.at > s.dirty.version.Load() {
		return nil, compacted(ns)
	}
	return w, nil
}

type watcher struct {
	s      *store
	ns     *namespace
	prefix string
	at     uint64
	begun  bool
	closed atomic.Bool
	end    chan struct{}
}

// Next asks the log, and waits for a sync when there is nothing new.
func (w *watcher) Next(ctx context.Context) (driver.Changes, error) {
	if err := w.s.enter(); err != nil {
		return driver.Changes{}, err
	}
	defer w.s.leave()
	for {
		if err := ctx.Err(); err != nil {
			return driver.Changes{}, prism.From(err)
		}
		if w.closed.Load() {
			return driver.Changes{}, prism.New(prism.ReasonUnavailable, "the watch is closed")
		}
		if e := w.s.failure.Load(); e != nil {
			return driver.Changes{}, e
		}
		wake := w.ns.changed.wait()
		changes, more, err := w.read()
		if err != nil {
			return driver.Changes{}, classify(w.s.name, err)
		}
		if len(changes) > 0 || !w.begun && !more {
			w.begun = true
			return driver.Changes{Changes: changes, Position: position(w.at)}, nil
		}
		if more {
			continue
		}
		select {
		case <-wake:
		case <-w.end:
		case <-w.s.closing:
			return driver.Changes{}, closedError(w.s.name)
		case <-w.s.failed:
		case <-ctx.Done():
		}
	}
}

// read takes what the log has after w.at and is synced; more tells that it
// stopped for breath.
func (w *watcher) read() (changes []driver.Change, more bool, err error) {
	synced := w.s.dirty.version.Load()
	if w.at >= synced {
		if w.at < w.ns.low.Load() {
			return nil, false, compacted(w.ns.name)
		}
		return nil, false, nil
	}
	from := appendChangeKey(nil, w.ns.name, w.at+1)
	it, err := w.s.db.NewIter(&pebble.IterOptions{
		LowerBound: from, UpperBound: appendChangeKey(nil, w.ns.name, synced+1),
	})
	if err != nil {
		return nil, false, err
	}
	defer it.Close()
	// After the iterator is open: what it sees was not trimmed before it.
	if w.at < w.ns.low.Load() {
		return nil, false, compacted(w.ns.name)
	}
	n := 0
	for ok := it.First(); ok; ok = it.Next() {
		p, err := parsePiece(keySum(it.Key()), it.Value())
		for err == nil && p.next() {
			l, ok := p.logged()
			if !ok || p.seq <= w.at {
				continue // it ends, or was seen
			}
			if n++; n > watchBreath || len(changes) == watchBatch {
				return changes, true, nil
			}
			w.at = p.seq
			if strings.HasPrefix(string(l.key), w.prefix) {
				changes = append(changes, driver.Change{
					Kind: l.kind, Key: string(l.key), Version: p.seq, Previous: l.previous, Time: time.UnixMilli(p.stamp),
				})
			}
		}
		if err = errors.Join(err, p.end()); err != nil {
			w.s.damage.Add(1)
			return nil, false, err
		}
	}
	if err := it.Error(); err != nil {
		return nil, false, err
	}
	w.at = synced // nothing else up to there
	return changes, false, nil
}

// Close ends a Next that waits.
func (w *watcher) Close() error {
	if !w.closed.Swap(true) {
		close(w.end)
	}
	return nil
}
