package pebble

import (
	"context"
	"time"

	"github.com/prism-data-layer/prism/pkg/driver"
	"github.com/prism-data-layer/prism/pkg/prism"
)

// oldest is when the first message of a partition was put, looked up once for
// each floor.
type oldest struct {
	known bool
	floor int64
	stamp int64
}

// tidy takes away what the retention of topics no longer covers. The place is
// found here, on what is synced; the committer only writes it down.
func (m *streams) tidy(ctx context.Context, now time.Time) {
	for _, t := range m.list(func(prism.Namespace) bool { return true }) {
		r := t.set().Retention
		if t.damaged != nil || r == (driver.Retention{}) {
			continue
		}
		for n := range t.partitions {
			if ctx.Err() != nil {
				return
			}
			if err := m.tidyPartition(ctx, &t.partitions[n], r, now); err != nil && ctx.Err() == nil && m.failure.Load() == nil {
				m.log.Warn("old messages could not be removed; it is tried again", "namespace", string(t.ns), "topic", t.name, "error", err)
			}
		}
	}
}

func (m *streams) tidyPartition(ctx context.Context, p *partition, r driver.Retention, now time.Time) error {
	before := int64(-1) // what has this time or an earlier one is over
	if r.Age > 0 {
		before = now.UnixMilli() - r.Age.Milliseconds()
	}
	e := p.synced()
	large := r.Bytes > 0 && e.bytes-e.base > r.Bytes
	if e.floor == e.next || !large && (before < 0 || !m.older(p, e, before)) {
		return nil
	}
	kept := func(s place) bool { return s.stamp > before && (r.Bytes <= 0 || s.before >= e.bytes-r.Bytes) }
	to, err := m.lookup(p, kept)
	if err != nil {
		return err
	}
	return m.alone(ctx, func(g *group) error { return p.raise(g, to) })
}

// older reports whether the first message was put at a time or before.
func (m *streams) older(p *partition, e extent, at int64) bool {
	if o := &p.oldest; !o.known || o.floor != e.floor {
		first, err := m.lookup(p, func(place) bool { return true })
		if err != nil {
			return false
		}
		*o = oldest{known: true, floor: first.offset, stamp: first.stamp}
	}
	return p.oldest.stamp <= at
}

// lookup is search as a call on the store.
func (m *streams) lookup(p *partition, past func(place) bool) (place, error) {
	if err := m.enter(); err != nil {
		return place{}, err
	}
	defer m.leave()
	return m.search(p, past)
}
