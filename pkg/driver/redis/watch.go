package redis

import (
	"context"
	"encoding/binary"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/prism-data-layer/prism/pkg/driver"
	"github.com/prism-data-layer/prism/pkg/prism"
)

const (
	positionFormat = 1
	watchBatch     = 1000
	// watchEvery is how often a watch looks without having been woken.
	watchEvery = time.Second
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

// Watch reads the namespace's stream, which the scripts write together with
// what it tells of.
func (s *store) Watch(ctx context.Context, ns prism.Namespace, key string, after driver.Position) (driver.Watcher, error) {
	if err := s.enter(ctx); err != nil {
		return nil, err
	}
	defer s.leave()
	p := prefix(ns)
	w := &watcher{s: s, ns: ns, prefix: key, stream: p + kindChanges, meta: p + kindMeta, channel: s.channel(p), end: make(chan struct{})}
	last, used, err := w.marks(ctx, s.client.HMGet(ctx, w.meta, "c", "v"))
	if err != nil {
		return nil, err
	}
	w.at = last
	if after != nil {
		if w.at, err = parsePosition(after); err != nil {
			return nil, err
		}
		// One ahead of the server is from before it lost data.
		if w.at > used {
			return nil, compacted(ns)
		}
	}
	if err := s.news.follow(ctx, w.channel); err != nil {
		return nil, err
	}
	return w, nil
}

type watcher struct {
	s       *store
	ns      prism.Namespace
	prefix  string // of the keys that are told of
	stream  string
	meta    string
	channel string
	at      uint64 // the last version that was looked at
	begun   bool
	once    sync.Once
	end     chan struct{}
}

// marks reads the last change and the last version of the namespace.
func (w *watcher) marks(ctx context.Context, cmd *redis.SliceCmd) (last, used uint64, err error) {
	values, err := cmd.Result()
	if err != nil {
		return 0, 0, w.s.classify(ctx, err)
	}
	var n [2]uint64
	for i, v := range values {
		if text, ok := v.(string); ok {
			if n[i], err = strconv.ParseUint(text, 10, 64); err != nil {
				return 0, 0, w.s.classify(ctx, errRecord)
			}
		}
	}
	return n[0], n[1], nil
}

// Next asks the stream, and waits for news when there is nothing.
func (w *watcher) Next(ctx context.Context) (driver.Changes, error) {
	if err := w.s.enter(ctx); err != nil {
		return driver.Changes{}, err
	}
	defer w.s.leave()
	for {
		if err := ctx.Err(); err != nil {
			return driver.Changes{}, prism.From(err)
		}
		select {
		case <-w.end:
			return driver.Changes{}, prism.New(prism.ReasonUnavailable, "the watch is closed")
		case <-w.s.closing:
			return driver.Changes{}, w.s.closedError()
		default:
		}
		wake := w.s.news.next(w.channel)
		changes, more, err := w.read(ctx)
		if err != nil {
			return driver.Changes{}, err
		}
		if len(changes) > 0 || !w.begun && !more {
			w.begun = true
			return driver.Changes{Changes: changes, Position: position(w.at)}, nil
		}
		if more {
			continue
		}
		look := w.s.clock.NewTimer(watchEvery)
		select {
		case <-wake:
		case <-look.C:
		case <-w.end:
		case <-w.s.closing:
		case <-ctx.Done():
		}
		look.Stop()
	}
}

// read takes what stands in the stream after w.at; more tells that there may
// be more at once.
func (w *watcher) read(ctx context.Context) (changes []driver.Change, more bool, err error) {
	pipe := w.s.client.TxPipeline()
	entries := pipe.XRangeN(ctx, w.stream, "("+strconv.FormatUint(w.at, 10)+"-0", "+", watchBatch)
	marks := pipe.HMGet(ctx, w.meta, "c", "v")
	if _, err := pipe.Exec(ctx); err != nil {
		return nil, false, w.s.classify(ctx, err)
	}
	last, used, err := w.marks(ctx, marks)
	if err != nil {
		return nil, false, err
	}
	found := entries.Val()
	if w.at > used || len(found) == 0 && last > w.at {
		return nil, false, compacted(w.ns)
	}
	for _, x := range found {
		c, before, err := parseChange(x.ID, x.Values)
		if err != nil {
			return nil, false, w.s.classify(ctx, err)
		}
		if before > w.at {
			if len(changes) > 0 {
				return changes, true, nil // what is whole; the gap comes next
			}
			return nil, false, compacted(w.ns)
		}
		w.at = c.Version
		if strings.HasPrefix(c.Key, w.prefix) {
			changes = append(changes, c)
		}
	}
	return changes, len(found) == watchBatch, nil
}

// Close ends a Next that waits.
func (w *watcher) Close() error {
	w.once.Do(func() {
		close(w.end)
		w.s.news.unfollow(w.channel)
	})
	return nil
}
