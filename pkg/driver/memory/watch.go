package memory

import (
	"context"
	"encoding/binary"
	"strings"
	"sync"

	"github.com/prism-data-layer/prism/pkg/driver"
	"github.com/prism-data-layer/prism/pkg/prism"
)

const (
	positionFormat = 1
	batchMax       = 1000
	// scanMax bounds the changes looked at under one hold of the lock, for a
	// prefix that few of them have.
	scanMax = 20_000
)

func position(version uint64) driver.Position {
	return binary.BigEndian.AppendUint64(driver.Position{positionFormat}, version)
}

func parsePosition(p driver.Position) (uint64, error) {
	if len(p) != 9 || p[0] != positionFormat {
		return 0, prism.InvalidField("position", "is not one of this store")
	}
	return binary.BigEndian.Uint64(p[1:]), nil
}

func compacted() error {
	return prism.New(prism.ReasonCompacted, "the position is older than the history that is kept")
}

// Watch begins at a version: a position is the last one that was handed out.
func (s *store) Watch(ctx context.Context, ns prism.Namespace, prefix string, after driver.Position) (driver.Watcher, error) {
	sp, err := s.lock(ctx, ns)
	if err != nil {
		return nil, err
	}
	defer sp.mu.Unlock()
	at := sp.history.last
	if after != nil {
		if at, err = parsePosition(after); err != nil {
			return nil, err
		}
		// A position ahead of the store was given out by an earlier opening.
		if at < sp.history.floor || at > s.seq.Load() {
			return nil, compacted()
		}
	}
	return &watcher{space: sp, prefix: prefix, at: at, first: true, closed: make(chan struct{})}, nil
}

type watcher struct {
	space  *space
	prefix string
	at     uint64 // the last version that was looked at
	first  bool
	closed chan struct{}
	once   sync.Once
}

// Next waits on a channel that the next change closes.
func (w *watcher) Next(ctx context.Context) (driver.Changes, error) {
	for {
		if err := ctx.Err(); err != nil {
			return driver.Changes{}, prism.From(err)
		}
		select {
		case <-w.closed:
			return driver.Changes{}, prism.New(prism.ReasonUnavailable, "the watch is closed")
		default:
		}
		changes, wake, err := w.ready()
		if err != nil {
			return driver.Changes{}, err
		}
		if len(changes) > 0 || w.first && wake != nil {
			w.first = false
			return driver.Changes{Changes: changes, Position: position(w.at)}, nil
		}
		if wake == nil {
			continue // it stopped for breath
		}
		select {
		case <-wake:
		case <-w.closed:
		case <-ctx.Done():
		}
	}
}

// ready collects what is there; wake is set if it looked at everything.
func (w *watcher) ready() (changes []driver.Change, wake chan struct{}, err error) {
	sp := w.space
	sp.mu.Lock()
	defer sp.mu.Unlock()
	switch {
	case sp.gone && sp.store.closed.Load():
		return nil, nil, sp.store.unavailable()
	case sp.gone || w.at < sp.history.floor:
		return nil, nil, compacted()
	}
	h := &sp.history
	i := h.after(w.at)
	for end := min(h.n, i+scanMax); i < end && len(changes) < batchMax; i++ {
		c := h.at(i)
		w.at = c.version
		if strings.HasPrefix(c.key, w.prefix) {
			changes = append(changes, driver.Change{
				Kind: c.kind(), Key: c.key, Version: c.version, Previous: c.previous, Time: c.time(),
			})
		}
	}
	if i < h.n {
		return changes, nil, nil
	}
	if sp.wake == nil {
		sp.wake = make(chan struct{})
	}
	return changes, sp.wake, nil
}

func (w *watcher) Close() error {
	w.once.Do(func() { close(w.closed) })
	return nil
}
