package pebble

import (
	"context"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"github.com/prism-data-layer/prism/pkg/driver"
	"github.com/prism-data-layer/prism/pkg/prism"
)

const (
	// sweepNap is the longest sleep while something is to expire, so that a
	// wall clock that was set is noticed in time.
	sweepNap = 500 * time.Millisecond
	// chores is how often old history and receipts are looked for.
	chores = 10 * time.Second
	// relaxedSync is how much `durability: relaxed` may lose.
	relaxedSync = time.Second
	// sweepStep is how much one group removes.
	sweepStep = 2048
)

func (s *store) wakeSweeper() {
	select {
	case s.sweeps <- struct{}{}:
	default:
	}
}

// sweepLoop ends what has expired, trims history and receipts by age, and
// syncs a relaxed store.
func (s *store) sweepLoop() {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	go func() {
		select {
		case <-s.closing:
		case <-s.failed:
		}
		cancel()
	}()
	var nextChores, nextSync time.Time
	var synced uint64
	for ctx.Err() == nil {
		now := s.clock.Now()
		next := s.expireAll(ctx, now)
		if s.options.Durability == relaxed && !now.Before(nextSync) {
			synced = s.syncRelaxed(synced)
			nextSync = now.Add(relaxedSync)
		}
		if s.streams.over.Swap(false) || !now.Before(nextChores) {
			s.streams.tidy(ctx, now)
		}
		if !now.Before(nextChores) {
			s.doChores(ctx, now)
			s.pubsub.tidy(ctx, now)
			nextChores = now.Add(chores)
		}
		wait := nextChores.Sub(now)
		if next != never {
			wait = min(wait, sweepNap, time.UnixMilli(next).Sub(now))
		}
		if s.options.Durability == relaxed {
			wait = min(wait, relaxedSync)
		}
		timer := s.clock.NewTimer(max(wait, time.Millisecond))
		// The clock may have moved before the timer was set.
		if s.clock.Now().UnixMilli() < next {
			select {
			case <-timer.C:
			case <-s.sweeps:
			case <-ctx.Done():
			}
		}
		timer.Stop()
	}
}

func (s *store) listNamespaces() []*namespace {
	s.namespacesMu.RLock()
	defer s.namespacesMu.RUnlock()
	list := make([]*namespace, 0, len(s.namespaces))
	for _, n := range s.namespaces {
		list = append(list, n)
	}
	return list
}

// expireAll ends what is due, and says when something is next.
func (s *store) expireAll(ctx context.Context, now time.Time) (next int64) {
	next = never
	ms := now.UnixMilli()
	for _, n := range s.listNamespaces() {
		if err := s.expire(ctx, n, ms); err != nil {
			if ctx.Err() == nil && s.failure.Load() == nil {
				s.log.Warn("expired keys could not be swept; they are not served, and it is tried again", "namespace", string(n.name), "error", err)
			}
			next = min(next, ms+sweepNap.Milliseconds())
		}
		if due := n.due.Load(); due > ms {
			next = min(next, due)
		}
	}
	return next
}

// expire ends what is due in a namespace.
func (s *store) expire(ctx context.Context, n *namespace, ms int64) error {
	var from []byte
	for more := n.due.Load() <= ms; more && ctx.Err() == nil; {
		err := s.alone(ctx, func(g *group) (err error) {
			from, more, err = g.expireDue(n, from)
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// expireNamespace ends what is due in a namespace, if it is there.
func (s *store) expireNamespace(ctx context.Context, ns prism.Namespace) error {
	s.namespacesMu.RLock()
	n := s.namespaces[ns]
	s.namespacesMu.RUnlock()
	if n == nil {
		return nil
	}
	return s.expire(ctx, n, s.clock.Now().UnixMilli())
}

// expireDue ends up to sweepStep keys that are due, beginning at from in the
// expiry index, and says where to go on.
func (g *group) expireDue(ns *namespace, from []byte) (rest []byte, more bool, err error) {
	span := appendSpan(nil, kindExpiry, ns.name)
	if from == nil {
		from = appendExpiryKey(nil, prism.Key{Namespace: ns.name}, ns.due.Load())
	}
	it, err := g.s.db.NewIter(&pebble.IterOptions{LowerBound: from, UpperBound: appendSpanEnd(nil, kindExpiry, ns.name)})
	if err != nil {
		return from, false, err
	}
	defer it.Close()
	next := int64(never)
	n := 0
	for ok := it.First(); ok; ok = it.Next() {
		at, name, err := cutNumber(it.Key()[len(span):])
		if err != nil {
			return from, false, err
		}
		if int64(at) > g.nowMs {
			next = int64(at)
			break
		}
		if n == sweepStep || g.batch.Len() > groupBytes {
			return append(from[:0], it.Key()...), true, nil
		}
		n++
		if err := g.expireOne(ns, prism.Key{Namespace: ns.name, Name: string(name)}, int64(at)); err != nil {
			return from, false, err
		}
	}
	if err := it.Error(); err != nil {
		return from, false, err
	}
	if n > 0 { // the counters follow with the sync
		ns.ending.Add(1)
		over := func() { ns.ending.Add(-1) }
		g.undo, g.synced = append(g.undo, over), append(g.synced, over)
	}
	// Only the committer lowers it otherwise, and that is us.
	ns.due.Store(next)
	return from, false, nil
}

// expireOne ends the key that an index entry names, if it is still so.
func (g *group) expireOne(ns *namespace, key prism.Key, at int64) error {
	c, err := g.load(key, false)
	if err != nil {
		return err
	}
	if c.lapsed && c.expires == at {
		_, err := g.remove(ns, key, &c, driver.ChangeExpire)
		return err
	}
	g.key = appendExpiryKey(g.key[:0], key, at)
	return g.batch.Delete(g.key, nil)
}

// doChores trims by age; by number is done by whoever adds.
func (s *store) doChores(ctx context.Context, now time.Time) {
	before := now.Add(-driver.HistoryAge).UnixMilli()
	for _, n := range s.listNamespaces() {
		for more := n.changes.Load() > 0; more && ctx.Err() == nil; {
			err := s.alone(ctx, func(g *group) error {
				more = g.trim(n, 0, before) && g.batch.Count() > 0
				return nil
			})
			if err != nil {
				break
			}
		}
		for more := n.receipts.Load() > 0; more && ctx.Err() == nil; {
			err := s.alone(ctx, func(g *group) error {
				over, err := g.expireReceipts(n, sweepStep)
				more = over > 0
				return err
			})
			if err != nil {
				break
			}
		}
	}
}

// syncRelaxed syncs what was applied since it last did.
func (s *store) syncRelaxed(last uint64) uint64 {
	now := s.dirty.applied.Load()
	if now != last {
		if err := s.db.LogData(nil, pebble.Sync); err != nil {
			s.fail(err)
		}
	}
	return now
}
