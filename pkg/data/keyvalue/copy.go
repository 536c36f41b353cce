package keyvalue

import (
	"bytes"
	"context"
	"time"

	"github.com/prism-data-layer/prism/pkg/driver"
	"github.com/prism-data-layer/prism/pkg/prism"
)

// Bounds of what a move looks at together.
const (
	pageKeys  = 500
	pageBytes = 4 << 20
	lagKeys   = 128 // of values whose size is not known

	pageReceipts = 2000
)

// walk calls each with the keys of a store, a part at a time, and takes over
// what was changed in between.
func (m *Move) walk(ctx context.Context, set *driver.Set, each func(context.Context, []string) error) error {
	var token []byte
	for {
		page, err := set.KeyValueScan.Scan(ctx, m.Namespace, driver.Query{KeysOnly: true, Limit: pageKeys, MaxBytes: pageBytes}, token)
		if err != nil {
			return err
		}
		for rest := page.Entries; len(rest) > 0; {
			var keys []string
			for size := 0; len(rest) > 0 && (len(keys) == 0 || size+rest[0].Size <= pageBytes); rest = rest[1:] {
				keys, size = append(keys, rest[0].Key), size+rest[0].Size
			}
			if err := each(ctx, keys); err != nil {
				return err
			}
			m.report()
		}
		if err := m.gather(ctx); err != nil {
			return err
		}
		if err := m.drain(ctx); err != nil {
			return err
		}
		if token = page.Next; token == nil {
			return nil
		}
	}
}

// copyKeys stores on the target what differs there: after an interruption that
// is what is missing.
func (m *Move) copyKeys(ctx context.Context, keys []string) error {
	here, there, err := m.both(ctx, keys)
	if err != nil {
		return err
	}
	var differ []driver.ParcelEntry
	size := 0
	for key, e := range here {
		if other, ok := there[key]; !ok || !same(&e, &other) {
			differ = append(differ, e)
			size += len(e.Value)
		}
	}
	m.progress.Seen += int64(len(keys))
	if err := m.store(ctx, differ); err != nil {
		return err
	}
	return m.pace(ctx, len(differ), size)
}

// both reads keys on both sides.
func (m *Move) both(ctx context.Context, keys []string) (here, there map[string]driver.ParcelEntry, err error) {
	p, err := m.from.KeyValueMove.Export(ctx, m.Namespace, keys, nil)
	if err != nil {
		return nil, nil, err
	}
	q, err := m.To.KeyValueMove.Export(ctx, m.Namespace, keys, nil)
	return byKey(p.Entries), byKey(q.Entries), err
}

func byKey(entries []driver.ParcelEntry) map[string]driver.ParcelEntry {
	m := make(map[string]driver.ParcelEntry, len(entries))
	for i := range entries {
		m[entries[i].Key] = entries[i]
	}
	return m
}

// same reports whether two entries cannot be told apart by any call.
func same(a, b *driver.ParcelEntry) bool {
	return a.Version == b.Version && a.ExpiresAt.UnixMilli() == b.ExpiresAt.UnixMilli() && a.ExpiresAt.IsZero() == b.ExpiresAt.IsZero() &&
		wholeMillis(a.TTL) == wholeMillis(b.TTL) && bytes.Equal(a.Value, b.Value)
}

// wholeMillis rounds up, as stores do that keep milliseconds.
func wholeMillis(d time.Duration) time.Duration {
	return (d + time.Millisecond - 1) / time.Millisecond
}

// pruneKeys removes from the target what the source has no more: it was deleted
// while an earlier try lay still.
func (m *Move) pruneKeys(ctx context.Context, keys []string) error {
	extra, err := m.extra(ctx, keys)
	if err != nil || len(extra) == 0 {
		return err
	}
	return m.sync(ctx, extra)
}

// extra are the keys that the source does not have.
func (m *Move) extra(ctx context.Context, keys []string) (extra []string, err error) {
	ops, results := make([]Op, len(keys)), make([]Result, len(keys))
	for i, key := range keys {
		ops[i] = Op{Kind: OpExists, Key: key}
	}
	if err := batchOn(ctx, m.from, m.Namespace, ops, results); err != nil {
		return nil, err
	}
	for i := range results {
		switch {
		case results[i].Err != nil:
			return nil, results[i].Err
		case !results[i].Found:
			extra = append(extra, keys[i])
		}
	}
	return extra, nil
}

// batchOn runs operations on a backend itself: deletions and questions whether a
// key is there.
func batchOn(ctx context.Context, set *driver.Set, ns prism.Namespace, ops []Op, results []Result) error {
	if set.KeyValueBatch != nil {
		return set.KeyValueBatch.Batch(ctx, ns, ops, results)
	}
	for i := range ops {
		key := prism.Key{Namespace: ns, Name: ops[i].Key}
		if ops[i].Kind == OpDelete {
			results[i], results[i].Err = set.KeyValue.Delete(ctx, key, driver.Receipt{})
			continue
		}
		results[i].Found, results[i].Err = set.KeyValue.Exists(ctx, key)
	}
	return nil
}

// copyReceipts takes over the receipts from before the move began; later ones
// are in its tail.
func (m *Move) copyReceipts(ctx context.Context) error {
	var token []byte
	for {
		p, next, err := m.from.KeyValueMove.ExportReceipts(ctx, m.Namespace, token, pageReceipts)
		if err != nil {
			return err
		}
		n := len(p.Receipts)
		m.receipts = append(m.receipts, p.Receipts...)
		if err := m.takeReceipts(ctx); err != nil {
			return err
		}
		if err := m.pace(ctx, n, 0); err != nil {
			return err
		}
		if token = next; token == nil {
			return nil
		}
	}
}

// verify compares everything, both ways. What differs may have changed just
// now: it is looked at again when writes are held.
func (m *Move) verify(ctx context.Context) error {
	m.phase(Verifying)
	m.progress.Seen, m.progress.Verified = 0, 0
	if err := m.walk(ctx, m.from, m.verifyKeys); err != nil {
		return err
	}
	if err := m.walk(ctx, &m.To, func(ctx context.Context, keys []string) error {
		extra, err := m.extra(ctx, keys)
		for _, key := range extra {
			m.suspects[key] = struct{}{}
		}
		return err
	}); err != nil {
		return err
	}
	// Under the hold there is little time: most of them are the same by now.
	return m.compareSuspects(ctx)
}

func (m *Move) verifyKeys(ctx context.Context, keys []string) error {
	here, there, err := m.both(ctx, keys)
	if err != nil {
		return err
	}
	m.progress.Seen += int64(len(keys))
	for _, key := range keys {
		a, ok := here[key]
		b, too := there[key]
		if ok && too && same(&a, &b) {
			m.progress.Verified++
			continue
		}
		m.suspects[key] = struct{}{}
	}
	return nil
}

// compareSuspects drops those that are the same on both sides.
func (m *Move) compareSuspects(ctx context.Context) error {
	keys := make([]string, 0, len(m.suspects))
	for key := range m.suspects {
		keys = append(keys, key)
	}
	for ; len(keys) > 0; keys = keys[min(len(keys), lagKeys):] {
		part := keys[:min(len(keys), lagKeys)]
		here, there, err := m.both(ctx, part)
		if err != nil {
			return err
		}
		for _, key := range part {
			a, ok := here[key]
			b, too := there[key]
			switch {
			case ok && too && !same(&a, &b):
			case ok && !too && !m.ending(&a), too && !ok && !m.ending(&b):
			default:
				delete(m.suspects, key)
			}
		}
	}
	return nil
}

// ending reports whether an entry is about to end: one store, by its own clock,
// may have ended it a moment before the other.
func (m *Move) ending(e *driver.ParcelEntry) bool {
	return !e.ExpiresAt.IsZero() && e.ExpiresAt.Before(m.Clock.Now().Add(time.Second))
}

// pace is what a copy has done so far, for its rate.
type pace struct{ keys, bytes int64 }

// pace waits until the copy may go on.
func (m *Move) pace(ctx context.Context, keys, size int) error {
	m.paced.keys += int64(keys)
	m.paced.bytes += int64(size)
	due := max(share(m.paced.keys, m.KeysPerSecond), share(m.paced.bytes, m.BytesPerSecond))
	for {
		left := due - m.Clock.Now().Sub(m.begun)
		if left <= 0 {
			return nil
		}
		t := m.Clock.NewTimer(min(left, time.Second))
		select {
		case <-t.C:
		case <-ctx.Done():
			t.Stop()
			return prism.From(ctx.Err())
		}
		if err := m.gather(ctx); err != nil { // so that the history does not run away
			return err
		}
	}
}

// share is the time that n take at a rate.
func share(n, perSecond int64) time.Duration {
	if perSecond <= 0 {
		return 0
	}
	return time.Duration(float64(n) / float64(perSecond) * float64(time.Second))
}
