package memory

import (
	"context"
	"encoding/binary"
	"slices"
	"time"

	"github.com/prism-data-layer/prism/pkg/driver"
	"github.com/prism-data-layer/prism/pkg/prism"
)

// Export copies under one hold of the lock.
func (s *store) Export(ctx context.Context, ns prism.Namespace, keys []string, receipts []driver.ReceiptID) (driver.Parcel, error) {
	sp, err := s.find(ctx, ns)
	if err != nil {
		return driver.Parcel{}, err
	}
	p := driver.Parcel{Version: s.seq.Load()}
	if sp == nil {
		return p, nil
	}
	if len(keys)+len(receipts) == 0 {
		sp.mu.Lock()
		if !sp.gone {
			sp.sweepAll()
		}
		sp.mu.Unlock()
	}
	sp.mu.RLock()
	defer sp.mu.RUnlock()
	if sp.gone {
		return driver.Parcel{}, s.goneError()
	}
	now := s.now()
	for _, key := range keys {
		if e := sp.keys[key]; e != nil && !e.ended(now) {
			p.Entries = append(p.Entries, s.parcelled(e))
		}
	}
	for _, id := range receipts {
		if i, ok := sp.receipts.index[id]; ok {
			if k, live := sp.receipts.kept(i, now/1e6); live {
				p.Receipts = append(p.Receipts, s.shownReceipt(k))
			}
		}
	}
	p.Version = s.seq.Load()
	return p, nil
}

func (s *store) parcelled(e *entry) driver.ParcelEntry {
	out := driver.ParcelEntry{Entry: driver.Entry{
		Key: e.key, Value: clone(e.value), Size: len(e.value), Version: e.version, ExpiresAt: s.shown(e.at),
	}}
	if e.due != nil {
		out.TTL = time.Duration(e.due.ttl)
	}
	return out
}

// ExportReceipts walks the slabs: a receipt keeps its place in them.
func (s *store) ExportReceipts(ctx context.Context, ns prism.Namespace, token []byte, limit int) (p driver.Parcel, next []byte, err error) {
	sp, err := s.find(ctx, ns)
	if sp == nil || err != nil {
		return p, nil, err
	}
	var from uint32
	if token != nil {
		if len(token) != 4 {
			return p, nil, prism.New(prism.ReasonInvalidCursor, "the token is not one of this store")
		}
		from = binary.BigEndian.Uint32(token)
	}
	sp.mu.RLock()
	defer sp.mu.RUnlock()
	for i := int32(from); i < sp.receipts.used; i++ {
		if len(p.Receipts) == limit {
			return p, binary.BigEndian.AppendUint32(nil, uint32(i)), nil
		}
		if k, live := sp.receipts.kept(i, s.now()/1e6); live {
			p.Receipts = append(p.Receipts, s.shownReceipt(k))
		}
	}
	return p, nil, nil
}

func (s *store) shownReceipt(k driver.KeptReceipt) driver.KeptReceipt {
	k.Ends = s.shown(k.Ends.UnixMilli())
	return k
}

// Import writes under one hold of the lock.
func (s *store) Import(ctx context.Context, ns prism.Namespace, p driver.Parcel) error {
	sp, err := s.lock(ctx, ns)
	if err != nil {
		return err
	}
	defer sp.mu.Unlock()
	used := p.UsedUp()
	for seq := s.seq.Load(); seq < used; seq = s.seq.Load() {
		s.seq.CompareAndSwap(seq, used)
	}
	for i := range p.Entries {
		sp.take(&p.Entries[i])
	}
	now := s.now() / 1e6
	for i := range p.Receipts {
		k := &p.Receipts[i]
		if j, ok := sp.receipts.index[k.ID]; ok {
			sp.receipts.drop(j)
		}
		if left := s.stored(k.Ends) - now; left > 0 {
			r := driver.Receipt{ID: k.ID, Body: k.Body, Keep: time.Duration(left) * time.Millisecond}
			sp.receipts.keep(r, now, answersOf(k.Answers)...)
		}
	}
	return nil
}

// take stores an entry of a parcel, without a version and a change of its own.
func (sp *space) take(p *driver.ParcelEntry) {
	e := sp.keys[p.Key]
	if e == nil {
		e = &entry{key: p.Key}
		sp.keys[e.key] = e
		sp.sorted.insert(e)
		sp.bytes += int64(len(e.key))
	}
	sp.bytes += int64(len(p.Value) - len(e.value))
	e.value, e.version = clone(p.Value), p.Version
	if p.ExpiresAt.IsZero() {
		sp.persist(e)
		return
	}
	if e.due == nil {
		e.due = &due{index: -1}
	}
	e.due.ttl, e.at = int64(p.TTL), sp.store.stored(p.ExpiresAt)
	sp.queue.set(e, e.at)
	sp.store.due(e.at)
}

// stored turns the wall clock's time into store time; shown is the way back.
func (s *store) stored(at time.Time) int64 {
	ms := at.UnixMilli()
	return max(ms-(s.shown(ms).UnixMilli()-ms), 1)
}

// kept is a receipt with its answers; its end is in store time.
func (r *receipts) kept(i int32, nowMS int64) (k driver.KeptReceipt, live bool) {
	rec := r.at(i)
	if rec.expires <= nowMS {
		return k, false
	}
	answers, _, _ := r.replay(driver.Receipt{ID: rec.id, Body: rec.body}, nowMS)
	answers = answersOf(answers)
	for j := range answers {
		answers[j].Replayed = false
	}
	return driver.KeptReceipt{ID: rec.id, Body: rec.body, Ends: time.UnixMilli(rec.expires), Answers: answers}, true
}

// answersOf copies answers with their values.
func answersOf(answers []driver.Result) []driver.Result {
	answers = slices.Clone(answers)
	for i := range answers {
		if v := answers[i].Value; v != nil {
			answers[i].Value = clone(v)
		}
	}
	return answers
}
