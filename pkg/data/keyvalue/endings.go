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

	// Ends that only one side has told, as versions by key.
	told   map[string]uint64 // the source
	target map[string]uint64 // the target, or nobody yet
}

func newEndings(from, to *driver.Set) endings {
	return endings{
		on:   from.KeyValueWatch != nil && to.KeyValueWatch != nil,
		told: map[string]uint64{}, target: map[string]uint64{},
	}
}

func (e *endings) listen(ctx context.Context, m *Move) (err error) {
	if e.on {
		e.at, err = m.changes(ctx, &m.To, nil, func(driver.Change) {})
	}
	return err
}

// source notes what the source tells.
func (e *endings) source(c driver.Change) {
	switch {
	case !e.on:
	case e.last != 0 && c.Version > e.last:
		e.late = append(e.late, c)
	case c.Previous != 0 && e.target[c.Key] == c.Previous:
		delete(e.target, c.Key)
	case c.Kind == driver.ChangeExpire:
		e.told[c.Key] = c.Previous
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
// end of: they are about to be removed from the target, where they may never
// have been.
func (e *endings) gone(ctx context.Context, m *Move, keys []string) error {
	if !e.on {
		return nil
	}
	var quiet []string
	for _, key := range keys {
		switch c := m.lag[key]; c.Kind {
		case driver.ChangeSet:
			e.target[key] = c.Version
		case 0:
			quiet = append(quiet, key)
		}
	}
	if len(quiet) == 0 {
		return nil
	}
	p, err := m.To.KeyValueMove.Export(ctx, m.Namespace, quiet, nil)
	for i := range p.Entries {
		e.target[p.Entries[i].Key] = p.Entries[i].Version
	}
	return err
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
		if c.Kind == driver.ChangeExpire && e.told[c.Key] != c.Previous {
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
	var again []driver.ParcelEntry
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
