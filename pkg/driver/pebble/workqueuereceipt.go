package pebble

import (
	"bytes"
	"encoding/binary"
	"errors"
	"maps"
	"slices"

	"github.com/cockroachdb/pebble/v2"

	"github.com/prism-data-layer/prism/pkg/driver"
	"github.com/prism-data-layer/prism/pkg/prism"
)

// queueReceipts are the receipts of a namespace's messages. Those that are kept
// equally long go in the order in which they came.
type queueReceipts struct {
	count int64
	heads map[int64]*queueHead // per time kept, in milliseconds
}

// A queueHead is where the receipts that are kept equally long begin.
type queueHead struct {
	from uint64    // there is no run before it
	gone int       // receipts of the run at from that have gone already
	run  *queueRun // the first; nil: not read
}

func (w *workQueues) receiptsOf(ns prism.Namespace) *queueReceipts {
	r := w.receipts[ns]
	if r == nil {
		r = &queueReceipts{heads: make(map[int64]*queueHead)}
		w.receipts[ns] = r
	}
	return r
}

// A queueRun is receipts whose ids follow one another, as those of the messages
// do that a client publishes together. Runs of a namespace share no id.
type queueRun struct {
	ns      prism.Namespace
	first   [16]byte
	keep    int64  // in milliseconds
	expires int64  // all at once
	seq     uint64 // in the order in which they came
	list    []queueReceipt
}

// runLen bounds a run, and runSpan is how many ids share a bucket.
const (
	runLen  = prism.MaxBatchItems
	runSpan = 1 << 10
)

// runIndex is how far an id is after the first of a run, if it can be of it.
func runIndex(first, id [16]byte) (i uint64, ok bool) {
	a, b := binary.BigEndian.Uint64(first[8:]), binary.BigEndian.Uint64(id[8:])
	return b - a, [8]byte(first[:8]) == [8]byte(id[:8]) && b >= a
}

func (r *queueRun) index(ns prism.Namespace, id [16]byte) (i int, ok bool) {
	n, ok := runIndex(r.first, id)
	return int(n), ok && n < uint64(len(r.list)) && r.ns == ns
}

// idAt is the id of a receipt.
func (r *queueRun) idAt(i int) [16]byte {
	id := r.first
	binary.BigEndian.PutUint64(id[8:], binary.BigEndian.Uint64(id[8:])+uint64(i))
	return id
}

// A runBucket finds the runs of a group that may have an id.
type runBucket struct {
	ns    prism.Namespace
	begin [8]byte
	span  uint64
}

func bucketOf(ns prism.Namespace, id [16]byte) runBucket {
	return runBucket{ns, [8]byte(id[:8]), binary.BigEndian.Uint64(id[8:]) / runSpan}
}

// groupReceipts are what a group knows of receipts that the store does not show
// yet, and what it has found in the store.
type groupReceipts struct {
	open    *queueRun                 // the next receipt may join it
	runs    map[runBucket][]*queueRun // that the group writes
	hidden  map[receiptKey]bool       // runs of the store that it has removed
	touched map[*queueHead]bool       // of which more receipts have gone
	dropped map[prism.Namespace]bool  // of which the store shows what is gone
	store   *runReader
}

// A receiptKey tells a receipt from those of other namespaces.
type receiptKey struct {
	ns prism.Namespace
	id [16]byte
}

// findReceipt finds the run that has an id, and the receipt's place in it.
func (g *queueGroup) findReceipt(ns prism.Namespace, id [16]byte) (r *queueRun, i int, err error) {
	if o := g.receipts.open; o != nil {
		if i, ok := o.index(ns, id); ok {
			return o, i, nil
		}
	}
	for _, r := range g.receipts.runs[bucketOf(ns, id)] {
		if i, ok := r.index(ns, id); ok {
			return r, i, nil
		}
	}
	if g.receipts.dropped[ns] {
		return nil, 0, nil
	}
	if r, err = g.storedRun(ns, id); err != nil || r == nil || g.receipts.hidden[receiptKey{ns, r.first}] {
		return nil, 0, err
	}
	i, _ = r.index(ns, id)
	return r, i, nil
}

// storedRun reads the run of the store that has an id, nil if there is none.
func (g *queueGroup) storedRun(ns prism.Namespace, id [16]byte) (*queueRun, error) {
	if s := g.receipts.store; s == nil || s.ns != ns {
		if err := s.close(); err != nil {
			return nil, err
		}
		s, err := g.w.runReader(ns)
		if err != nil {
			return nil, err
		}
		g.receipts.store = s
	}
	return g.receipts.store.find(id)
}

// A runReader finds runs of a namespace as the store has them. What is asked for
// mostly follows what was asked for before: then nothing is read.
type runReader struct {
	ns     prism.Namespace
	prefix int
	it     *pebble.Iterator
	key    []byte

	free bool // no run has an id from low on, up to high: nil is the end
	low  [16]byte
	high []byte
}

func (w *workQueues) runReader(ns prism.Namespace) (*runReader, error) {
	lower := appendQueuePart(nil, ns, queuePartReceipt)
	it, err := w.s.db.NewIter(&pebble.IterOptions{LowerBound: lower, UpperBound: successor(bytes.Clone(lower), 0)})
	return &runReader{ns: ns, prefix: len(lower), it: it}, err
}

func (s *runReader) close() error {
	if s == nil || s.it == nil {
		return nil
	}
	return s.it.Close()
}

func (s *runReader) find(id [16]byte) (*queueRun, error) {
	if s.free && bytes.Compare(id[:], s.low[:]) >= 0 && (s.high == nil || bytes.Compare(id[:], s.high) < 0) {
		return nil, nil
	}
	s.free = false
	s.key = append(appendQueueReceiptKey(s.key[:0], s.ns, id), 0) // after the key of id
	if s.it.SeekLT(s.key) {
		first := s.it.Key()[s.prefix:]
		if len(first) != 16 {
			return nil, errKey
		}
		r, err := parseRun(s.ns, [16]byte(first), keySum(s.it.Key()), s.it.Value())
		switch n, near := runIndex([16]byte(first), id); {
		case err != nil && near && n < runLen: // damaged, and may have it
			return nil, err
		case err == nil:
			if _, ok := r.index(s.ns, id); ok {
				return r, nil
			}
		}
		s.it.Next()
	} else {
		s.it.First()
	}
	s.free, s.low, s.high = true, id, nil
	if s.it.Valid() {
		s.high = bytes.Clone(s.it.Key()[s.prefix:])
	}
	return nil, s.it.Error()
}

// replay finds the message that a receipt stands for. What has ended, or has
// gone because there are too many, makes room for another under its id.
func (g *queueGroup) replay(ns prism.Namespace, r driver.Receipt) (id uint64, found bool, err error) {
	run, i, err := g.findReceipt(ns, r.ID)
	if err != nil || run == nil {
		return 0, false, err
	}
	head := g.w.receiptsOf(ns).head(run.keep)
	switch {
	case run.expires <= g.nowMs:
		g.dropRun(head, run)
		return 0, false, nil
	case run.seq == head.from && i < head.gone:
		g.cutRun(head, run)
		return 0, false, nil
	case run.list[i].body != r.Body:
		return 0, false, prism.New(prism.ReasonKeyReused, "the idempotency key was used before with another request").WithNamespace(ns)
	}
	return run.list[i].message, true, nil
}

// keep stores a receipt, and drops the oldest over the bound.
func (g *queueGroup) keep(ns prism.Namespace, r driver.Receipt, message uint64) error {
	keep, expires := r.Keep.Milliseconds(), max(1, g.after(r.Keep))
	o := g.receipts.open
	if o != nil {
		i, near := runIndex(o.first, r.ID)
		if !near || i != uint64(len(o.list)) || len(o.list) == runLen || o.ns != ns || o.keep != keep || o.expires != expires {
			g.closeRun()
			o = nil
		}
	}
	if o == nil {
		o = &queueRun{ns: ns, first: r.ID, keep: keep, expires: expires, seq: g.w.number()}
		g.receipts.open = o
	}
	o.list = append(o.list, queueReceipt{r.Body, message})
	all := g.w.receiptsOf(ns)
	all.count++
	all.head(keep)
	bound := g.w.s.options.Receipts
	if r.Max > 0 {
		bound = min(bound, r.Max)
	}
	for all.count > bound {
		if dropped, err := g.dropOldest(ns, all); err != nil || !dropped {
			return err // those of this group go with the next
		}
	}
	return nil
}

// closeRun writes the open run.
func (g *queueGroup) closeRun() {
	if r := g.receipts.open; r != nil {
		g.receipts.open = nil
		g.writeRun(r, 0)
	}
}

// writeRun writes a run, of which some receipts have gone.
func (g *queueGroup) writeRun(r *queueRun, gone int) {
	if g.receipts.runs == nil {
		g.receipts.runs = make(map[runBucket][]*queueRun)
	}
	first, last := bucketOf(r.ns, r.first), bucketOf(r.ns, r.idAt(len(r.list)-1))
	g.receipts.runs[first] = append(g.receipts.runs[first], r)
	if last != first {
		g.receipts.runs[last] = append(g.receipts.runs[last], r)
	}
	g.key = appendQueueReceiptKey(g.key[:0], r.ns, r.first)
	g.buf = r.append(g.buf[:0])
	g.set(g.key, g.buf)
	g.writePlace(r, gone)
}

// writePlace writes where a run stands in the order.
func (g *queueGroup) writePlace(r *queueRun, gone int) {
	g.key = appendQueueOrderKey(g.key[:0], r.ns, r.keep, r.seq)
	g.buf = binary.AppendUvarint(append(g.buf[:0], r.first[:]...), uint64(gone))
	_ = g.batch.Set(g.key, g.buf, nil)
}

// hide keeps a run that is removed from the rest of the group.
func (g *queueGroup) hide(r *queueRun) {
	if g.receipts.hidden == nil {
		g.receipts.hidden = make(map[receiptKey]bool)
	}
	g.receipts.hidden[receiptKey{r.ns, r.first}] = true
	for _, b := range [...]runBucket{bucketOf(r.ns, r.first), bucketOf(r.ns, r.idAt(len(r.list)-1))} {
		if list := g.receipts.runs[b]; len(list) > 0 {
			g.receipts.runs[b] = slices.DeleteFunc(list, func(x *queueRun) bool { return x.seq == r.seq })
		}
	}
}

func (all *queueReceipts) head(keep int64) *queueHead {
	h := all.heads[keep]
	if h == nil {
		h = &queueHead{}
		all.heads[keep] = h
	}
	return h
}

// dropRun removes what is left of a run.
func (g *queueGroup) dropRun(h *queueHead, r *queueRun) {
	left := len(r.list)
	if r.seq == h.from {
		left -= h.gone
	}
	g.w.receiptsOf(r.ns).count -= int64(left)
	g.removeRun(r)
	if r.seq == h.from {
		*h = queueHead{from: r.seq + 1}
	}
}

func (g *queueGroup) removeRun(r *queueRun) {
	g.hide(r)
	g.delete(appendQueueReceiptKey(nil, r.ns, r.first))
	g.delete(appendQueueOrderKey(nil, r.ns, r.keep, r.seq))
}

// cutRun takes out of the first run what has gone from it, so that its ids can
// be used again.
func (g *queueGroup) cutRun(h *queueHead, r *queueRun) {
	g.removeRun(r)
	rest := *r
	rest.first, rest.list = r.idAt(h.gone), r.list[h.gone:]
	*h = queueHead{from: r.seq, run: &rest}
	g.writeRun(&rest, 0)
}

// first reads the run that stands first at a head, nil if there is none that the
// store shows.
func (g *queueGroup) firstRun(ns prism.Namespace, keep int64, h *queueHead) (*queueRun, error) {
	if h.run != nil {
		return h.run, nil
	}
	lower := appendQueueOrderKey(nil, ns, keep, h.from)
	it, err := g.w.s.db.NewIter(&pebble.IterOptions{LowerBound: lower, UpperBound: appendQueueOrderKey(nil, ns, keep+1, 0)})
	if err != nil {
		return nil, err
	}
	var r *queueRun
	for ok := it.First(); ok && r == nil && err == nil; ok = it.Next() {
		if r, err = g.runAt(ns, it.Key()[len(lower)-8:], it.Value()); r == nil && err == nil {
			g.delete(bytes.Clone(it.Key())) // its run is not there any more
		}
	}
	if err = errors.Join(err, it.Error(), it.Close()); err != nil || r == nil {
		return nil, err
	}
	if r.seq != h.from {
		h.from, h.gone = r.seq, 0
	}
	h.run = r
	return r, nil
}

// runAt reads the run of a place in the order, nil if it is not there.
func (g *queueGroup) runAt(ns prism.Namespace, seq, value []byte) (*queueRun, error) {
	first, _, err := parsePlace(value)
	if err != nil {
		return nil, err
	}
	if g.receipts.dropped[ns] || g.receipts.hidden[receiptKey{ns, first}] {
		return nil, nil
	}
	key := appendQueueReceiptKey(nil, ns, first)
	v, closer, err := g.w.s.db.Get(key)
	if errors.Is(err, pebble.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	r, err := parseRun(ns, first, keySum(key), v)
	if err == nil && r.seq != binary.BigEndian.Uint64(seq) {
		r = nil
	}
	return r, errors.Join(err, closer.Close())
}

// dropOldest removes the receipt that came first.
func (g *queueGroup) dropOldest(ns prism.Namespace, all *queueReceipts) (dropped bool, err error) {
	var oldest *queueHead
	var run *queueRun
	for keep, h := range all.heads {
		r, err := g.firstRun(ns, keep, h)
		if err != nil {
			return false, err
		}
		if r != nil && (run == nil || r.seq < run.seq) {
			oldest, run = h, r
		}
	}
	if run == nil {
		return false, nil
	}
	if oldest.gone+1 == len(run.list) {
		g.dropRun(oldest, run)
		return true, nil
	}
	oldest.gone++
	all.count--
	if g.receipts.touched == nil {
		g.receipts.touched = make(map[*queueHead]bool)
	}
	g.receipts.touched[oldest] = true
	return true, nil
}

// forgetReceipts removes those of a namespace that is dropped.
func (g *queueGroup) forgetReceipts(ns prism.Namespace) {
	known := &g.receipts
	g.closeRun()
	maps.DeleteFunc(known.runs, func(b runBucket, _ []*queueRun) bool { return b.ns == ns })
	maps.DeleteFunc(known.touched, func(h *queueHead, _ bool) bool { return h.run == nil || h.run.ns == ns })
	if known.dropped == nil {
		known.dropped = make(map[prism.Namespace]bool)
	}
	known.dropped[ns] = true
	delete(g.w.receipts, ns)
}

// endReceipts writes what is left to write of a group's receipts.
func (g *queueGroup) endReceipts() error {
	g.closeRun()
	for h := range g.receipts.touched {
		if h.gone > 0 { // else its run has gone meanwhile
			g.writePlace(h.run, h.gone)
		}
	}
	return g.receipts.store.close()
}

// expireReceipts removes up to n runs of each kind that have ended.
func (g *queueGroup) expireReceipts(ns prism.Namespace, n int) error {
	for keep, h := range g.w.receiptsOf(ns).heads {
		for range n {
			r, err := g.firstRun(ns, keep, h)
			if err != nil {
				return err
			}
			if r == nil || r.expires > g.nowMs {
				break
			}
			g.dropRun(h, r)
		}
	}
	return nil
}
