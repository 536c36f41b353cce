package pebble

import (
	"context"
	"errors"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"github.com/prism-data-layer/prism/pkg/driver"
	"github.com/prism-data-layer/prism/pkg/driver/lease"
	"github.com/prism-data-layer/prism/pkg/prism"
)

func (w *workQueues) Redrive(ctx context.Context, ns prism.Namespace, queue string, ids []uint64, limit int) (moved int64, err error) {
	if limit < 0 {
		return 0, prism.InvalidField("limit", "must not be negative")
	}
	err = w.do(ctx, &queueJob{frees: true, work: func(g *queueGroup) error {
		q, err := g.find(ns, queue)
		if err != nil {
			return err
		}
		for _, s := range q.Dead(ids, limit) {
			id := w.engine.ID(s)
			m, err := w.read(q.Name, id)
			if err != nil {
				return err
			}
			q.Revive(s, m.key, g.nowMs)
			g.putState(q, id, workState{state: driver.QueueReady, born: q.Born(s)})
			moved++
		}
		g.serve(q)
		return nil
	}})
	return moved, err
}

func (w *workQueues) Purge(ctx context.Context, ns prism.Namespace, queue string, ids []uint64) (removed int64, err error) {
	err = w.do(ctx, &queueJob{frees: true, work: func(g *queueGroup) error {
		q, err := g.find(ns, queue)
		if err != nil {
			return err
		}
		for _, s := range q.Dead(ids, 0) {
			g.erase(q, w.engine.ID(s), q.Size(s))
			q.Purge(s)
			removed++
		}
		return nil
	}})
	return removed, err
}

// look runs a job that only reads: it is answered after what it saw is durable.
func (w *workQueues) look(ctx context.Context, ns prism.Namespace, queue string, f func(g *queueGroup, q *lease.Queue) error) error {
	return w.do(ctx, &queueJob{frees: true, work: func(g *queueGroup) error {
		q, err := g.find(ns, queue)
		if err != nil {
			return err
		}
		return f(g, q)
	}})
}

func (w *workQueues) Peek(ctx context.Context, ns prism.Namespace, queue string, p driver.QueuePeek) (page driver.QueuePage, err error) {
	var found []lease.Peeked
	var passed map[uint64]string
	if err := w.look(ctx, ns, queue, func(_ *queueGroup, q *lease.Queue) (err error) {
		found, page.Next, err = q.Peek(p)
		if p.State == driver.QueueDead {
			passed = make(map[uint64]string, len(found))
			for _, f := range found {
				passed[f.ID] = q.Passed(f.Slot)
			}
		}
		return err
	}); err != nil {
		return driver.QueuePage{}, err
	}
	name := lease.Name{Namespace: ns, Queue: queue}
	for _, f := range found {
		m, err := w.read(name, f.ID)
		switch {
		case errors.Is(err, pebble.ErrNotFound): // gone meanwhile
			continue
		case err != nil:
			return driver.QueuePage{}, classify(w.s.name, err)
		}
		s := m.stored(f.ID, p.State, f.Priority, f.Attempts, f.At)
		switch state, err := w.readState(name, f.ID); {
		case errors.Is(err, pebble.ErrNotFound): // never delivered
		case err != nil:
			return driver.QueuePage{}, classify(w.s.name, err)
		case p.State == driver.QueueDead && state.state == driver.QueueLeased:
			s.Reason = passed[f.ID]
		default:
			s.Reason = state.reason
		}
		page.Messages = append(page.Messages, s)
	}
	return page, nil
}

func (w *workQueues) Info(ctx context.Context, ns prism.Namespace, queue string) (info driver.QueueInfo, err error) {
	var oldest uint64
	if err := w.look(ctx, ns, queue, func(_ *queueGroup, q *lease.Queue) error {
		info = q.Info()
		if s, ok := q.Oldest(); ok {
			oldest = w.engine.ID(s)
		}
		return nil
	}); err != nil {
		return driver.QueueInfo{}, err
	}
	if oldest != 0 {
		if m, err := w.read(lease.Name{Namespace: ns, Queue: queue}, oldest); err == nil { // else it is gone meanwhile
			info.Oldest = time.UnixMilli(m.published)
		}
	}
	return info, nil
}

func (w *workQueues) Queues(ctx context.Context, ns prism.Namespace) (names []string, err error) {
	err = w.do(ctx, &queueJob{frees: true, work: func(*queueGroup) error {
		for _, q := range w.engine.Queues(ns) {
			names = append(names, q.Queue)
		}
		return nil
	}})
	return names, err
}

func (w *workQueues) Delayed(ctx context.Context, ns prism.Namespace, queue string) (n int64, next time.Time, err error) {
	err = w.look(ctx, ns, queue, func(_ *queueGroup, q *lease.Queue) error {
		n = q.Counts(driver.QueueLater)
		if at, ok := q.NextDue(); ok {
			next = time.UnixMilli(at)
		}
		return nil
	})
	return n, next, err
}

func (w *workQueues) Priorities(ctx context.Context, ns prism.Namespace, queue string) (counts []int64, err error) {
	err = w.look(ctx, ns, queue, func(_ *queueGroup, q *lease.Queue) error {
		counts = q.Priorities()
		return nil
	})
	return counts, err
}

// usage counts each message as a key.
func (w *workQueues) usage(ns prism.Namespace) (u driver.Usage) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, q := range w.engine.Queues(ns) {
		u.Keys += q.Len()
		u.Bytes += q.Bytes()
	}
	if r := w.receipts[ns]; r != nil {
		u.Receipts = r.count
	}
	return u
}

// drop removes the queues of a namespace; whoever waits learns of it.
func (w *workQueues) drop(ctx context.Context, ns prism.Namespace) error {
	return w.do(ctx, &queueJob{frees: true, work: func(g *queueGroup) error {
		for _, q := range w.engine.Queues(ns) {
			refuseParked(q, prism.NotFound("queue", q.Queue))
			w.engine.Remove(q, func(lease.Slot) {})
		}
		g.forgetReceipts(ns)
		g.key = appendSpan(g.key[:0], kindQueue, ns)
		return g.batch.DeleteRange(g.key, appendSpanEnd(nil, kindQueue, ns), nil)
	}})
}
