package keyvalue

import (
	"context"
	"time"

	"github.com/prism-data-layer/prism/pkg/driver"
)

// endings see to it that a watch learns once of each key that ends while it
// moves. Both stores end it, each when it comes to it, and a watch sees the
// history of the source up to the switch and that of the target from there on.
type endings struct {
	on   bool
	at   driver.Position // of the target's history
	last uint64          // what the source tells after this version counts as not told; 0: all counts

	late []driver.Change // what the source told after last

	// Versions that have ended, by key.
	told   map[string]uint64 // as the source has told since the lag was last copied
	target map[string]uint64 // as the target has told, or nobody yet, and the source has not
}

func newEndings(from, to *driver.Set) endings {
	return endings{
		on:   from.KeyValueWatch != nil && to.KeyValueWatch != nil,
		told: map[string]uint64{}, target: map[string]uint64{},
	}
}

// source notes what the source tells.
func (e *endings) source(c driver.Change) {
	switch {
	case !e.on:
	case e.last != 0 && c.Version > e.last:
		e.late = append(e.late, c)
	case c.Previous != 0: // that version, and all before it, have ended
		e.told[c.Key] = c.Previous
		if e.target[c.Key] <= c.Previous {
			delete(e.target, c.Key)
		}
	}
}

// release is called when a hold ended without a switch: what was told counts.
func (e *endings) release() {
	late := e.late
	e.last, e.late = 0, nil
	for _, c := range late {
		e.source(c)
	}
}

// gone notes which of the keys that the source does not have it has not told the
// end of, and returns those that are to be removed from the target: the others
// have ended there too.
func (e *endings) gone(ctx context.Context, m *Move, keys []string) ([]string, error) {
	if !e.on {
		return keys, nil
	}
	var extra, quiet []string
	for _, key := range keys {
		switch c := m.lag[key]; {
		case c.Kind == 0:
			quiet = append(quiet, key)
			continue
		case c.Kind == driver.ChangeSet:
			e.target[key] = c.Version
		case c.Kind == driver.ChangeExpire && e.last != 0 && c.Version > e.last:
			e.target[key] = c.Previous // told too late
		}
		extra = append(extra, key)
	}
	if len(quiet) == 0 {
		return extra, nil
	}
	p, err := m.To.KeyValueMove.Export(ctx, m.Namespace, quiet, nil)
	for i := range p.Entries {
		e.target[p.Entries[i].Key] = p.Entries[i].Version
		extra = append(extra, p.Entries[i].Key)
	}
	return extra, err
}

// alive notes that a key was stored on the target again.
func (e *endings) alive(key string) { delete(e.target, key) }

// settled is called when the lag was copied: what the source has told is gone
// from the target too.
func (e *endings) settled(ctx context.Context, m *Move) (err error) {
	if !e.on {
		return nil
	}
	e.at, err = m.changes(ctx, &m.To, e.at, func(c driver.Change) {
		if c.Kind == driver.ChangeExpire && c.Previous > e.told[c.Key] {
			e.target[c.Key] = c.Previous
		}
	})
	clear(e.told)
	return err
}

// retell lets the target tell again, after the position that it returns, what
// it has told and the source has not. It is called while writes are held.
func (e *endings) retell(ctx context.Context, m *Move) (driver.Position, error) {
	if !e.on {
		if m.To.KeyValueWatch == nil {
			return nil, nil
		}
		return m.changes(ctx, &m.To, nil, func(driver.Change) {})
	}
	if err := e.settled(ctx, m); err != nil {
		return nil, err
	}
	keys := make([]string, 0, len(e.target))
	for key := range e.target {
		keys = append(keys, key)
	}
	p, err := m.from.KeyValueMove.Export(ctx, m.Namespace, keys, nil)
	if err != nil {
		return nil, err
	}
	again := p.Entries // by the source's clock they have not ended yet
	for _, key := range absent(keys, p.Entries) {
		again = append(again, driver.ParcelEntry{Entry: driver.Entry{
			Key: key, Version: e.target[key], ExpiresAt: time.UnixMilli(1),
		}, TTL: time.Millisecond})
	}
	if len(again) == 0 {
		return e.at, nil
	}
	return e.at, m.To.KeyValueMove.Import(ctx, m.Namespace, driver.Parcel{Entries: again})
}
