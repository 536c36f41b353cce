package pebble

import (
	"errors"

	"github.com/cockroachdb/pebble/v2"

	"github.com/prism-data-layer/prism/pkg/driver"
	"github.com/prism-data-layer/prism/pkg/prism"
)

// queueReceipts are the receipts of a namespace's messages. Those that are kept
// equally long go in the order in which they came.
type queueReceipts struct {
	count int64
	heads map[int64]uint64 // per time kept, there are none before it
}

func (w *workQueues) receiptsOf(ns prism.Namespace) *queueReceipts {
	r := w.receipts[ns]
	if r == nil {
		r = &queueReceipts{heads: make(map[int64]uint64)}
		w.receipts[ns] = r
	}
	return r
}

// stored finds a receipt, also one that has ended.
func (g *queueGroup) receipt(ns prism.Namespace, id [16]byte) (k queueReceipt, ok bool, err error) {
	if k, ok := g.receipts[receiptKey{ns, id}]; ok {
		return k, k.expires != 0, nil
	}
	key := appendQueueReceiptKey(nil, ns, id)
	v, closer, err := g.w.s.db.Get(key)
	if errors.Is(err, pebble.ErrNotFound) {
		return queueReceipt{}, false, nil
	}
	if err != nil {
		return queueReceipt{}, false, err
	}
	k, err = parseQueueReceipt(keySum(key), v)
	return k, err == nil, errors.Join(err, closer.Close())
}

// replay finds the message that a receipt stands for.
func (g *queueGroup) replay(ns prism.Namespace, r driver.Receipt) (id uint64, found bool, err error) {
	k, ok, err := g.receipt(ns, r.ID)
	switch {
	case err != nil || !ok || k.expires <= g.nowMs:
		return 0, false, err
	case k.body != r.Body:
		return 0, false, prism.New(prism.ReasonKeyReused, "the idempotency key was used before with another request").WithNamespace(ns)
	}
	return k.message, true, nil
}

// keep stores a receipt, and drops the oldest over the bound.
func (g *queueGroup) keep(ns prism.Namespace, r driver.Receipt, id uint64) error {
	all := g.w.receiptsOf(ns)
	bound := g.w.s.options.Receipts
	if r.Max > 0 {
		bound = min(bound, r.Max)
	}
	if _, there, err := g.receipt(ns, r.ID); err != nil {
		return err
	} else if !there { // one that has ended is replaced
		all.count++
	}
	seq, keep := g.w.number(), r.Keep.Milliseconds()
	k := queueReceipt{body: r.Body, expires: max(1, g.after(r.Keep)), seq: seq, message: id}
	g.receipts[receiptKey{ns, r.ID}] = k
	g.key = appendQueueReceiptKey(g.key[:0], ns, r.ID)
	g.buf = k.append(g.buf[:0])
	g.set(g.key, g.buf)
	g.key = appendQueueOrderKey(g.key[:0], ns, keep, seq)
	_ = g.batch.Set(g.key, r.ID[:], nil)
	if _, ok := all.heads[keep]; !ok {
		all.heads[keep] = seq
	}
	for all.count > bound {
		if dropped, err := g.dropOldest(ns, all); err != nil || !dropped {
			return err // those of this group go with the next
		}
	}
	return nil
}

// A receiptKey tells a receipt from those of other namespaces.
type receiptKey struct {
	ns prism.Namespace
	id [16]byte
}

// A receiptPlace is where a receipt stands in the order.
type receiptPlace struct {
	keep int64
	seq  uint64
	id   [16]byte
}

// head finds the first receipt of those that are kept equally long.
func (g *queueGroup) head(ns prism.Namespace, keep int64, from uint64) (p receiptPlace, ok bool, err error) {
	lower := appendQueueOrderKey(nil, ns, keep, from)
	it, err := g.w.s.db.NewIter(&pebble.IterOptions{LowerBound: lower, UpperBound: appendQueueOrderKey(nil, ns, keep+1, 0)})
	if err != nil {
		return p, false, err
	}
	if it.First() {
		_, seq, err := cutNumber(it.Key()[len(lower)-16:])
		if n, _, e := cutNumber(seq); err == nil && e == nil && len(it.Value()) == 16 {
			p, ok = receiptPlace{keep, n, [16]byte(it.Value())}, true
		}
	}
	return p, ok, errors.Join(it.Error(), it.Close())
}

// drop removes a receipt that stands first, unless another has taken its place.
func (g *queueGroup) dropReceipt(ns prism.Namespace, all *queueReceipts, p receiptPlace) error {
	all.heads[p.keep] = p.seq + 1
	g.delete(appendQueueOrderKey(nil, ns, p.keep, p.seq))
	k, ok, err := g.receipt(ns, p.id)
	if err != nil || !ok || k.seq != p.seq {
		return err
	}
	g.receipts[receiptKey{ns, p.id}] = queueReceipt{}
	g.delete(appendQueueReceiptKey(nil, ns, p.id))
	all.count--
	return nil
}

func (g *queueGroup) dropOldest(ns prism.Namespace, all *queueReceipts) (dropped bool, err error) {
	var oldest receiptPlace
	for keep, from := range all.heads {
		p, ok, err := g.head(ns, keep, from)
		if err != nil {
			return false, err
		}
		if ok && (!dropped || p.seq < oldest.seq) {
			oldest, dropped = p, true
		}
	}
	if !dropped {
		return false, nil
	}
	return true, g.dropReceipt(ns, all, oldest)
}

// expireReceipts removes up to n receipts of each kind that have ended.
func (g *queueGroup) expireReceipts(ns prism.Namespace, n int) error {
	all := g.w.receiptsOf(ns)
	for keep := range all.heads {
		for range n {
			p, ok, err := g.head(ns, keep, all.heads[keep])
			if err != nil {
				return err
			}
			if !ok {
				break
			}
			if k, there, err := g.receipt(ns, p.id); err != nil {
				return err
			} else if there && k.seq == p.seq && k.expires > g.nowMs {
				break
			}
			if err := g.dropReceipt(ns, all, p); err != nil {
				return err
			}
		}
	}
	return nil
}
