package nats

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/prism-data-layer/prism/pkg/driver"
	"github.com/prism-data-layer/prism/pkg/driver/broker"
	"github.com/prism-data-layer/prism/pkg/prism"
)

// A record is a durable subscription in the bucket. One of another epoch is of
// a log that was dropped, and is not there.
type record struct {
	Name    []byte `json:"name"`
	Pattern string `json:"pattern"`
	Created int64  `json:"created"` // in milliseconds
	Epoch   uint64 `json:"epoch"`
	Start   uint64 `json:"start"` // what came up to here is none of its business
	Acked   uint64 `json:"acked"` // 0: nothing yet
	Taken   uint64 `json:"taken"` // how often a reader took it
}

// at is the event after which a reader begins.
func (n *record) at() uint64 { return max(n.Start, n.Acked) }

// get reads a name: nil if it is not there, with what put needs all the same.
func (l *eventLog) get(ctx context.Context, name string) (*record, uint64, error) {
	entry, err := l.names.Get(ctx, nameKey(name))
	if errors.Is(err, jetstream.ErrKeyNotFound) {
		return nil, 0, nil
	}
	if err != nil {
		return nil, 0, err
	}
	n, err := l.decode(entry.Value())
	return n, entry.Revision(), err
}

func (l *eventLog) decode(b []byte) (*record, error) {
	n := new(record)
	if json.Unmarshal(b, n) != nil {
		return nil, errRecord
	}
	if n.Epoch != l.epoch {
		return nil, nil
	}
	return n, nil
}

// put writes a name if nobody did since get; ok is false if somebody did.
func (l *eventLog) put(ctx context.Context, name string, n *record, revision uint64) (next uint64, ok bool, err error) {
	b, err := json.Marshal(n)
	if err != nil {
		return 0, false, err
	}
	if revision == 0 {
		next, err = l.names.Create(ctx, nameKey(name), b)
	} else {
		next, err = l.names.Update(ctx, nameKey(name), b, revision)
	}
	if errors.Is(err, jetstream.ErrKeyExists) {
		return 0, false, nil
	}
	return next, err == nil, err
}

// change writes what f makes of a name, unless it says that nothing changed.
func (l *eventLog) change(ctx context.Context, name string, f func(*record) (bool, error)) error {
	for {
		n, revision, err := l.get(ctx, name)
		if err != nil {
			return err
		}
		if n == nil {
			return prism.NotFound("subscription", name)
		}
		if changed, err := f(n); err != nil || !changed {
			return err
		}
		if _, ok, err := l.put(ctx, name, n, revision); ok || err != nil {
			return err
		}
	}
}

// claim makes a reader the name's, and gives the event after which it begins
// and a number that is higher than those of readers before.
func (l *eventLog) claim(ctx context.Context, e broker.Extent, r driver.Replay) (after, turn uint64, err error) {
	for {
		n, revision, err := l.get(ctx, r.Name)
		if err != nil {
			return 0, 0, err
		}
		if n == nil {
			if after, err = l.start(ctx, e, r.Start); err != nil {
				return 0, 0, err
			}
			n = &record{Name: []byte(r.Name), Pattern: r.Pattern, Created: l.store.clock.Now().UnixMilli(), Epoch: l.epoch, Start: after}
		} else if n.Pattern != r.Pattern {
			return 0, 0, prism.InvalidField("pattern", "is not the one of the durable subscription, which is "+n.Pattern+": delete it first")
		}
		if after = n.at(); after < e.Floor {
			return 0, 0, broker.Compacted()
		}
		n.Taken++
		if turn, ok, err := l.put(ctx, r.Name, n, revision); ok || err != nil {
			return after, turn, err
		}
	}
}

// list reads all names.
func (l *eventLog) list(ctx context.Context) ([]*record, error) {
	w, err := l.names.WatchAll(ctx, jetstream.IgnoreDeletes())
	if err != nil {
		return nil, err
	}
	defer func() { _ = w.Stop() }()
	var names []*record
	for {
		select {
		case entry, ok := <-w.Updates():
			if !ok {
				return nil, l.store.lost()
			}
			if entry == nil {
				return names, nil
			}
			n, err := l.decode(entry.Value())
			if err != nil {
				return nil, err
			}
			if n != nil {
				names = append(names, n)
			}
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// Acknowledge moves a name forward.
func (s *store) Acknowledge(ctx context.Context, ns prism.Namespace, name string, p driver.Position) error {
	if err := s.enter(ctx); err != nil {
		return err
	}
	defer s.leave()
	bound, cancel := s.bound(ctx)
	defer cancel()
	l, extent, err := s.find(bound, ns, false)
	if err == nil && l == nil {
		return prism.NotFound("subscription", name)
	}
	if err != nil {
		return s.classify(ctx, err)
	}
	return s.classify(ctx, l.change(bound, name, func(n *record) (bool, error) {
		number, err := extent.Acked(p)
		if err != nil || number <= n.Acked {
			return false, err
		}
		n.Acked = number
		return true, nil
	}))
}

// Subscriptions lists names; their readers, wherever they are, are asked
// whether they are there.
func (s *store) Subscriptions(ctx context.Context, ns prism.Namespace) ([]driver.DurableSubscription, error) {
	if err := s.enter(ctx); err != nil {
		return nil, err
	}
	defer s.leave()
	bound, cancel := s.bound(ctx)
	defer cancel()
	l, extent, err := s.find(bound, ns, false)
	if l == nil || err != nil {
		return nil, s.classify(ctx, err)
	}
	names, err := l.list(bound)
	if err != nil {
		return nil, s.classify(ctx, err)
	}
	list := make([]driver.DurableSubscription, len(names))
	for i, n := range names {
		name := string(n.Name)
		list[i] = driver.DurableSubscription{
			Name: name, Pattern: n.Pattern, CreatedAt: time.UnixMilli(n.Created),
			Behind: int64(extent.Last - min(n.at(), extent.Last)),
		}
		if n.Acked > 0 {
			list[i].Acked = extent.Position(n.Acked)
		}
		// Without a reader the server says at once that nobody is there.
		_, err := s.conn.RequestWithContext(bound, s.nameSubject(ns, name), []byte(askWord))
		list[i].Active = err == nil
		if err := ctx.Err(); err != nil {
			return nil, prism.From(err)
		}
	}
	slices.SortFunc(list, func(a, b driver.DurableSubscription) int { return strings.Compare(a.Name, b.Name) })
	return list, nil
}

// DeleteSubscription leaves a small mark of the name in the bucket, until the
// name comes again or the namespace is dropped.
func (s *store) DeleteSubscription(ctx context.Context, ns prism.Namespace, name string) (bool, error) {
	if err := s.enter(ctx); err != nil {
		return false, err
	}
	defer s.leave()
	bound, cancel := s.bound(ctx)
	defer cancel()
	l, _, err := s.find(bound, ns, false)
	if l == nil || err != nil {
		return false, s.classify(ctx, err)
	}
	for {
		n, revision, err := l.get(bound, name)
		if n == nil || err != nil {
			return false, s.classify(ctx, err)
		}
		err = l.names.Purge(bound, nameKey(name), jetstream.LastRevision(revision))
		if errors.Is(err, jetstream.ErrKeyExists) {
			continue // it was changed meanwhile
		}
		if err == nil {
			err = s.conn.Publish(s.nameSubject(ns, name), []byte(goneWord))
		}
		return err == nil, s.classify(ctx, err)
	}
}
