package pebble

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"github.com/prism-data-layer/prism/pkg/driver"
	"github.com/prism-data-layer/prism/pkg/prism"
)

// Export reads keys past the committer, as Get does, and asks the committer,
// which knows where receipts are.
func (s *store) Export(ctx context.Context, ns prism.Namespace, keys []string, receipts []driver.ReceiptID) (p driver.Parcel, err error) {
	if err := s.enter(); err != nil {
		return p, err
	}
	defer s.leave()
	if len(keys)+len(receipts) == 0 {
		if err := s.expireNamespace(ctx, ns); err != nil {
			return p, err
		}
	}
	for _, name := range keys {
		e, found, err := s.parcelled(ctx, prism.Key{Namespace: ns, Name: name})
		if err != nil {
			return p, classify(s.name, err)
		}
		if found {
			p.Entries = append(p.Entries, e)
		}
	}
	var kept []driver.KeptReceipt
	var version uint64
	err = s.share(ctx, func(g *group) error {
		n := g.namespace(ns)
		for _, id := range receipts {
			k, found, err := g.exported(n, id)
			if err != nil {
				return err
			}
			if found {
				kept = append(kept, k)
			}
		}
		version = g.s.seq
		return nil
	})
	if err != nil {
		return driver.Parcel{}, err
	}
	p.Receipts, p.Version = kept, version
	return p, nil
}

func (s *store) parcelled(ctx context.Context, key prism.Key) (p driver.ParcelEntry, found bool, err error) {
	at := appendDataKey(nil, key)
	hash := keySum(at)
	c, err := s.look(at, hash, true)
	if err == nil && c.damaged != nil {
		err = s.damaged(key, c.damaged)
	}
	if err == nil {
		err = s.dirty.settle(ctx, hash)
	}
	c.lapse(s.clock.Now().UnixMilli())
	if err != nil || !c.live() {
		return p, false, err
	}
	p.Entry = driver.Entry{Key: key.Name, Value: append([]byte{}, c.value...), Size: c.size, Version: c.version, ExpiresAt: timeOf(c.expires)}
	p.TTL = time.Duration(c.ttl) * time.Millisecond
	return p, true, nil
}

// exported is a receipt with its answers.
func (g *group) exported(ns *namespace, id [16]byte) (k driver.KeptReceipt, found bool, err error) {
	l, seq := ns.find(id)
	if l == nil {
		return k, false, nil
	}
	body, expires, blob, err := g.receipt(ns, l, seq)
	if err != nil || expires <= g.nowMs {
		return k, false, err
	}
	k, err = keptReceipt(id, body, expires, blob)
	return k, err == nil, err
}

func keptReceipt(id, body [16]byte, expires int64, blob []byte) (driver.KeptReceipt, error) {
	answers, err := parseAnswers(blob)
	for i := range answers {
		answers[i].Replayed = false
	}
	return driver.KeptReceipt{ID: id, Body: body, Ends: timeOf(expires), Answers: answers}, err
}

// ExportReceipts walks the pieces as they stand in the store: what was pushed
// out and not yet deleted may be among them.
func (s *store) ExportReceipts(ctx context.Context, ns prism.Namespace, token []byte, limit int) (p driver.Parcel, next []byte, err error) {
	if err := s.enter(); err != nil {
		return p, nil, err
	}
	defer s.leave()
	if err := ctx.Err(); err != nil {
		return p, nil, prism.From(err)
	}
	span := appendSpan(nil, kindReceipt, ns)
	it, err := s.db.NewIter(&pebble.IterOptions{LowerBound: append(slices.Clone(span), token...), UpperBound: appendSpanEnd(nil, kindReceipt, ns)})
	if err != nil {
		return p, nil, classify(s.name, err)
	}
	defer it.Close()
	now := s.clock.Now().UnixMilli()
	for ok := it.First(); ok; ok = it.Next() {
		if len(p.Receipts) >= limit {
			return p, slices.Clone(it.Key()[len(span):]), nil
		}
		piece, err := parsePiece(keySum(it.Key()), it.Value())
		if err != nil || piece.stamp <= now {
			continue // damaged ones were told of when the store was opened
		}
		for piece.next() {
			if k, ok := piece.kept(); ok {
				kept, err := keptReceipt(k.id, k.body, piece.stamp, k.answers)
				if err != nil {
					return p, nil, classify(s.name, err)
				}
				p.Receipts = append(p.Receipts, kept)
			}
		}
	}
	return p, nil, classify(s.name, it.Error())
}

// Import is one group, and so one pebble batch.
func (s *store) Import(ctx context.Context, ns prism.Namespace, p driver.Parcel) error {
	return s.alone(ctx, func(g *group) error {
		if g.full && len(p.Entries)+len(p.Receipts) > 0 {
			return g.s.refuseFull()
		}
		if err := g.useUp(p.UsedUp()); err != nil {
			return err
		}
		n := g.namespace(ns)
		for i := range p.Entries {
			if err := g.take(n, &p.Entries[i]); err != nil {
				return err
			}
		}
		kept := slices.Clone(p.Receipts)
		slices.SortFunc(kept, func(a, b driver.KeptReceipt) int { return cmp.Compare(a.Ends.UnixMilli(), b.Ends.UnixMilli()) })
		for i := range kept {
			g.takeReceipt(n, &kept[i])
		}
		return nil
	})
}

// useUp gives out no version up to this one. What is beyond the reserved block
// must be reserved before anything is numbered after it.
func (g *group) useUp(version uint64) error {
	if version <= g.s.seq {
		return nil
	}
	if g.s.reserved < version+sequenceMargin {
		if err := g.s.reserve(version + sequenceBlock); err != nil {
			return err
		}
	}
	g.s.seq = version
	return nil
}

// take stores an entry of a parcel, without a version and a change of its own.
func (g *group) take(ns *namespace, p *driver.ParcelEntry) error {
	key := prism.Key{Namespace: ns.name, Name: p.Key}
	c, err := g.load(key, false)
	if err != nil {
		return err
	}
	d := data{value: p.Value, version: p.Version}
	if !p.ExpiresAt.IsZero() {
		d.expires, d.ttl = max(p.ExpiresAt.UnixMilli(), 1), ttlMillis(p.TTL)
	}
	t := g.touch(ns)
	if !c.stored {
		ns.meta.keys++
		ns.meta.bytes += int64(len(key.Name))
	}
	ns.meta.bytes += int64(len(p.Value) - c.size)
	hash := g.put(key, &d)
	g.reindex(t, key, &c, d.expires)
	g.remember(ns, key, hash, cell{data: d, stored: true, size: len(p.Value)})
	return nil
}

// Receipts of a parcel go into the lane of those that are kept about as long:
// they stand there in the order in which they end, and a piece, whose receipts
// have one end, holds those that end within a second.
const (
	shortLane = 10 * time.Minute
	longLane  = 24 * time.Hour
	pieceSpan = 1000 // milliseconds
)

func (g *group) takeReceipt(ns *namespace, k *driver.KeptReceipt) {
	ends := k.Ends.UnixMilli()
	if ends <= g.nowMs {
		return
	}
	keep := longLane
	if ends-g.nowMs <= shortLane.Milliseconds() {
		keep = shortLane
	}
	l := ns.lane(keep.Milliseconds())
	t := g.touch(ns)
	if p := t.lanePiece(l); p.count > 0 && ends/pieceSpan != p.stamp/pieceSpan {
		g.writeReceipts(t, p)
		p.entries = nil // what was entered points there
	}
	g.keepIn(ns, l, driver.Receipt{ID: k.ID, Body: k.Body}, ends, k.Answers)
}
