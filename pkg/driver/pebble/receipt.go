package pebble

import (
	"cmp"
	"encoding/binary"
	"errors"
	"slices"

	"github.com/cockroachdb/pebble/v2"

	"github.com/prism-data-layer/prism/pkg/driver"
	"github.com/prism-data-layer/prism/pkg/prism"
)

// replay finds the answers that were given before for a receipt, if any.
func (g *group) replay(ns *namespace, r driver.Receipt) (answers []driver.Result, found bool, err error) {
	k, ok, err := g.receipt(ns, r.ID)
	if err != nil || !ok || k.expires <= g.nowMs {
		return nil, false, err
	}
	if k.body != r.Body {
		return nil, false, prism.New(prism.ReasonKeyReused, "the idempotency key was used before with another request").WithNamespace(ns.name)
	}
	answers = make([]driver.Result, len(k.answers))
	copy(answers, k.answers)
	for i := range answers {
		answers[i].Replayed = true
		answers[i].Value = cloneValue(answers[i].Value)
	}
	return answers, true, nil
}

func (g *group) receipt(ns *namespace, id [16]byte) (k kept, ok bool, err error) {
	if k, ok := g.receipts[receiptKey{ns.name, id}]; ok {
		return k, k.expires != 0, nil
	}
	if ns.ids != nil {
		if _, ok := ns.ids[id]; !ok {
			return kept{}, false, nil
		}
	}
	g.key = appendReceiptKey(g.key[:0], ns.name, id)
	v, closer, err := g.s.db.Get(g.key)
	if errors.Is(err, pebble.ErrNotFound) {
		return kept{}, false, nil
	}
	if err != nil {
		return kept{}, false, err
	}
	k, err = parseKept(keySum(g.key), v)
	return k, err == nil, errors.Join(err, closer.Close())
}

// keep stores a receipt with its answers, and drops the oldest over the bound.
func (g *group) keep(ns *namespace, r driver.Receipt, answers []driver.Result) error {
	g.touch(ns)
	if _, there, err := g.receipt(ns, r.ID); err != nil || !there {
		ns.meta.receipts++ // one that is there has expired or is damaged, and is replaced
	}
	g.s.seq++
	k := kept{body: r.Body, expires: g.expiry(r.Keep), seq: g.s.seq, answers: answers}
	for i := range answers { // the caller owns the values in its results
		if answers[i].Value != nil {
			k.answers = slices.Clone(answers)
			k.answers[i].Value = cloneValue(answers[i].Value)
		}
	}
	g.key = appendReceiptKey(g.key[:0], ns.name, r.ID)
	g.buf = k.append(g.buf[:0])
	seal(keySum(g.key), g.buf)
	_ = g.batch.Set(g.key, g.buf, nil)
	g.receipts[receiptKey{ns.name, r.ID}] = k
	if ns.ids != nil {
		ns.ids[r.ID] = struct{}{}
	}

	g.key = appendOrderKey(g.key[:0], ns.name, ttlMillis(r.Keep), k.seq)
	g.buf = append(g.buf[:0], r.ID[:]...)
	g.buf = binary.BigEndian.AppendUint64(g.buf, uint64(k.expires))
	_ = g.batch.Set(g.key, g.buf, nil)
	bound := g.s.options.Receipts
	if r.Max > 0 {
		bound = min(bound, r.Max)
	}
	if ns.meta.receipts > bound {
		return g.evict(ns, ns.meta.receipts-bound+bound/trimPart)
	}
	return nil
}

// forgotten is a receipt that is gone once the group is applied.
type forgotten struct {
	ns *namespace
	id [16]byte
}

// trimPart is the part of a bound that goes at once when it is met, so that
// the search for the oldest is paid for by many.
const trimPart = 1024

// turn is a receipt's place in the order of those kept as long.
type turn struct {
	keep int64
	seq  uint64
	id   [16]byte
}

// evict drops the n oldest receipts.
func (g *group) evict(ns *namespace, n int64) error {
	var oldest []turn
	err := g.turns(ns, int(n), func(turn, int64) bool { return true }, func(t turn) { oldest = append(oldest, t) })
	if err != nil {
		return err
	}
	slices.SortFunc(oldest, func(a, b turn) int { return cmp.Compare(a.seq, b.seq) })
	return g.forget(ns, oldest[:min(len(oldest), int(n))])
}

// expireReceipts drops up to limit receipts whose time is over, and says how
// many it dropped.
func (g *group) expireReceipts(ns *namespace, limit int) (int, error) {
	var over []turn
	err := g.turns(ns, limit, func(_ turn, expires int64) bool { return expires <= g.nowMs }, func(t turn) { over = append(over, t) })
	if err != nil {
		return 0, err
	}
	return len(over), g.forget(ns, over)
}

// turns walks the receipts that the store shows, for each time kept from the
// oldest on, at most limit each and while want says so.
func (g *group) turns(ns *namespace, limit int, want func(t turn, expires int64) bool, each func(turn)) error {
	span := appendSpan(nil, kindOrder, ns.name)
	it, err := g.s.db.NewIter(&pebble.IterOptions{LowerBound: span, UpperBound: appendSpanEnd(nil, kindOrder, ns.name)})
	if err != nil {
		return err
	}
	defer it.Close()
	for ok := it.SeekGE(span); ok; {
		keep, _, err := cutNumber(it.Key()[len(span):])
		if err != nil {
			return err
		}
		ok = it.SeekGE(appendOrderKey(nil, ns.name, int64(keep), ns.heads[int64(keep)]))
		for n := 0; ok && n < limit; n++ {
			k, rest, err := cutNumber(it.Key()[len(span):])
			if err != nil || k != keep {
				break
			}
			seq, _, err := cutNumber(rest)
			if v := it.Value(); err == nil && len(v) == 24 {
				t := turn{int64(keep), seq, [16]byte(v)}
				if !want(t, int64(binary.BigEndian.Uint64(v[16:]))) {
					break
				}
				each(t)
			}
			ok = it.Next()
		}
		ok = it.SeekGE(appendOrderKey(nil, ns.name, int64(keep)+1, 0))
	}
	return it.Error()
}

// forget removes receipts that are first in their order.
func (g *group) forget(ns *namespace, turns []turn) error {
	for _, t := range turns {
		g.touch(ns)
		g.key = appendOrderKey(g.key[:0], ns.name, t.keep, t.seq)
		_ = g.batch.Delete(g.key, nil)
		ns.heads[t.keep] = max(ns.heads[t.keep], t.seq+1)
		k, ok, err := g.receipt(ns, t.id)
		if ok && k.seq != t.seq {
			continue // the id was used again; that one has a later turn
		}
		if ok || err != nil {
			ns.meta.receipts--
			g.key = appendReceiptKey(g.key[:0], ns.name, t.id)
			_ = g.batch.Delete(g.key, nil)
			g.receipts[receiptKey{ns.name, t.id}] = kept{}
			g.forgotten = append(g.forgotten, forgotten{ns, t.id})
		}
	}
	return nil
}
