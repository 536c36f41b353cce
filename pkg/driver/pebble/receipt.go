package pebble

import (
	"errors"
	"slices"

	"github.com/cockroachdb/pebble/v2"

	"github.com/prism-data-layer/prism/pkg/driver"
	"github.com/prism-data-layer/prism/pkg/prism"
)

// A lane is the receipts of a namespace that are kept equally long, in the
// order in which they go. It knows all of them by their ids: most operations
// ask for one that is not there, and must not pay for looking.
type lane struct {
	keep int64
	low  uint64 // those up to it are gone
	ids  map[[16]byte]uint64
}

// lane finds or makes the lane of a time kept.
func (n *namespace) lane(keep int64) *lane {
	for _, l := range n.lanes {
		if l.keep == keep {
			return l
		}
	}
	l := &lane{keep: keep, ids: make(map[[16]byte]uint64)}
	n.lanes = append(n.lanes, l)
	return l
}

// find tells where the receipt of an id is, nil if there is none.
func (n *namespace) find(id [16]byte) (in *lane, seq uint64) {
	for _, l := range n.lanes {
		if s, ok := l.ids[id]; ok && s >= seq {
			in, seq = l, s
		}
	}
	return in, seq
}

// entered is a change to what a lane knows, so that it can be taken back, and
// the receipt itself while the store does not show it.
type entered struct {
	lane   *lane
	id     [16]byte
	before uint64 // 0: none
	seq    uint64 // 0: taken out

	body    [16]byte
	expires int64
	answers []byte
}

// enter changes what a lane knows of an id, which was before up to now.
func (g *group) enter(before uint64, e entered) {
	e.before = before
	if e.seq == 0 {
		delete(e.lane.ids, e.id)
	} else {
		e.lane.ids[e.id] = e.seq
	}
	g.entered = append(g.entered, e)
}

// leave takes back what the group entered.
func (g *group) leave() {
	for _, e := range slices.Backward(g.entered) {
		if e.before == 0 {
			delete(e.lane.ids, e.id)
		} else {
			e.lane.ids[e.id] = e.before
		}
	}
	g.entered = g.entered[:0]
}

// replay finds the answers that were given before for a receipt, if any.
func (g *group) replay(ns *namespace, r driver.Receipt) (answers []driver.Result, found bool, err error) {
	l, seq := ns.find(r.ID)
	if l == nil {
		return nil, false, nil
	}
	body, expires, blob, err := g.receipt(ns, l, seq)
	if err != nil || expires <= g.nowMs {
		return nil, false, err
	}
	if body != r.Body {
		return nil, false, prism.New(prism.ReasonKeyReused, "the idempotency key was used before with another request").WithNamespace(ns.name)
	}
	answers, err = parseAnswers(blob)
	return answers, err == nil, err
}

// receipt reads the receipt with a sequence.
func (g *group) receipt(ns *namespace, l *lane, seq uint64) (body [16]byte, expires int64, answers []byte, err error) {
	for i := range g.entered {
		if e := &g.entered[i]; e.seq == seq {
			return e.body, e.expires, e.answers, nil
		}
	}
	found := false
	err = g.s.receipts(ns.name, l.keep, seq, func(p *pieceReader, _ uint64, failed error) (bool, error) {
		for failed == nil && p.next() {
			if k, ok := p.kept(); ok && p.seq == seq {
				body, expires, answers, found = k.body, p.stamp, slices.Clone(k.answers), true
				break
			}
		}
		return false, failed
	})
	if err == nil && !found {
		err = errRecord
	}
	return body, expires, answers, err
}

// receipts walks the pieces of a lane that the store shows, from the one that
// holds a sequence on, while each says so. each is told the sequence of the
// piece's last receipt, and if the piece cannot be read.
func (s *store) receipts(ns prism.Namespace, keep int64, from uint64, each func(p *pieceReader, last uint64, failed error) (bool, error)) error {
	lower := appendReceiptKey(nil, ns, keep, from)
	it, err := s.db.NewIter(&pebble.IterOptions{LowerBound: lower, UpperBound: appendReceiptKey(nil, ns, keep+1, 0)})
	if err != nil {
		return err
	}
	defer it.Close()
	for more := it.First(); more; more = more && it.Next() {
		last, _, err := cutNumber(it.Key()[len(lower)-8:])
		if err != nil {
			return err
		}
		p, failed := parsePiece(keySum(it.Key()), it.Value())
		if more, err = each(&p, last, failed); err != nil {
			return err
		}
	}
	return it.Error()
}

// keep adds a receipt with its answers to what the group writes.
func (g *group) keep(ns *namespace, r driver.Receipt, answers []driver.Result) {
	g.keepIn(ns, ns.lane(ttlMillis(r.Keep)), r, g.expiry(r.Keep), answers)
}

// keepIn adds a receipt that ends at a time, with all others of the group in
// this lane, or before those that come after.
func (g *group) keepIn(ns *namespace, l *lane, r driver.Receipt, ends int64, answers []driver.Result) {
	t := g.touch(ns)
	before := uint64(0)
	switch in, seq := ns.find(r.ID); in {
	case nil:
		ns.meta.receipts++
	case l: // it has expired, and is replaced
		before = seq
	default:
		g.enter(seq, entered{lane: in, id: r.ID})
	}
	if t.receiptsMax == 0 {
		t.receiptsMax = g.s.options.Receipts
	}
	if r.Max > 0 {
		t.receiptsMax = min(t.receiptsMax, r.Max)
	}
	g.s.seq++
	p := t.lanePiece(l)
	p.stamp = ends
	p.begin(g.s.seq)
	g.buf = appendAnswers(g.buf[:0], answers)
	k := kept{id: r.ID, body: r.Body, answers: g.buf}
	p.entries = k.append(p.entries)
	g.enter(before, entered{
		lane: l, id: r.ID, seq: g.s.seq, body: r.Body, expires: p.stamp,
		answers: p.entries[len(p.entries)-len(g.buf):],
	})
	if len(p.entries) >= pieceBytes {
		g.writeReceipts(t, p)
		p.entries = nil // what was entered points there
	}
}

// A lanePiece is what a group adds to a lane.
type lanePiece struct {
	piece
	lane *lane
}

func (t *touch) lanePiece(l *lane) *lanePiece {
	for i := range t.receipts {
		if t.receipts[i].lane == l {
			return &t.receipts[i]
		}
	}
	if n := len(t.receipts); n < cap(t.receipts) {
		t.receipts = t.receipts[:n+1] // with the buffer it had
	} else {
		t.receipts = append(t.receipts, lanePiece{})
	}
	p := &t.receipts[len(t.receipts)-1]
	p.lane = l
	p.reset()
	return p
}

func (g *group) writeReceipts(t *touch, p *lanePiece) {
	if p.count > 0 {
		g.key = appendReceiptKey(g.key[:0], t.ns.name, p.lane.keep, p.last)
		g.writePiece(&p.piece)
	}
}

// boundReceipts drops the oldest receipts of a namespace that has too many.
func (g *group) boundReceipts(t *touch) error {
	if over := t.ns.meta.receipts - t.receiptsMax; t.receiptsMax > 0 && over > 0 {
		return g.evict(t.ns, over+t.receiptsMax/trimPart)
	}
	return nil
}

// evict drops the n oldest receipts that the store shows.
func (g *group) evict(ns *namespace, n int64) error {
	upTo := ^uint64(0)
	if len(ns.lanes) > 1 {
		var oldest []uint64
		for _, l := range ns.lanes {
			found := int64(0)
			err := g.s.receipts(ns.name, l.keep, l.low+1, func(p *pieceReader, _ uint64, failed error) (bool, error) {
				for failed == nil && found < n && p.next() {
					if k, ok := p.kept(); ok && p.seq > l.low && l.ids[k.id] == p.seq {
						oldest = append(oldest, p.seq)
						found++
					}
				}
				return found < n, nil
			})
			if err != nil {
				return err
			}
		}
		slices.Sort(oldest)
		if int64(len(oldest)) > n {
			upTo = oldest[n-1]
		}
	}
	for _, l := range ns.lanes {
		gone, err := g.forget(ns, l, n, func(_ *pieceReader, seq uint64) bool { return seq <= upTo })
		if err != nil {
			return err
		}
		n -= gone
	}
	return nil
}

// expireReceipts drops receipts whose time is over, about limit of each time
// kept, and says how many it dropped.
func (g *group) expireReceipts(ns *namespace, limit int64) (n int64, err error) {
	for _, l := range ns.lanes {
		gone, err := g.forget(ns, l, limit, func(p *pieceReader, _ uint64) bool { return p.stamp <= g.nowMs })
		if err != nil {
			return n, err
		}
		n += gone
	}
	return n, nil
}

// forget drops the first receipts of a lane, n at most, while want says so.
// Pieces go when all in them is gone. What cannot be read goes too.
func (g *group) forget(ns *namespace, l *lane, n int64, want func(p *pieceReader, seq uint64) bool) (gone int64, err error) {
	low, whole := l.low, uint64(0)
	err = g.s.receipts(ns.name, l.keep, low+1, func(p *pieceReader, last uint64, failed error) (bool, error) {
		for failed == nil && p.next() {
			k, ok := p.kept()
			switch {
			case !ok:
				failed = errRecord
			case p.seq <= l.low:
			case l.ids[k.id] != p.seq: // the id was used again; that one has a later turn
				low = p.seq
			case gone == n || !want(p, p.seq):
				return false, nil
			default:
				g.enter(p.seq, entered{lane: l, id: k.id})
				gone++
				low = p.seq
			}
		}
		if failed != nil {
			gone += g.lost(ns, l, low, last, failed)
		}
		low, whole = last, last
		return true, nil
	})
	if err != nil || low == l.low {
		return gone, err
	}
	g.touch(ns)
	ns.meta.receipts -= gone
	if whole != 0 {
		g.key = appendReceiptKey(g.key[:0], ns.name, l.keep, l.low)
		err = g.batch.DeleteRange(g.key, appendReceiptKey(nil, ns.name, l.keep, whole+1), nil)
	}
	l.low = low
	return gone, err
}

// lost takes out what a damaged piece held, and says how much that is.
func (g *group) lost(ns *namespace, l *lane, after, last uint64, err error) (gone int64) {
	g.s.damage.Add(1)
	g.s.log.Error("receipts are damaged; what they answered may be done again", "namespace", string(ns.name), "error", err)
	for id, seq := range l.ids {
		if seq > after && seq <= last {
			g.enter(seq, entered{lane: l, id: id})
			gone++
		}
	}
	return gone
}

// loadReceipts learns which receipts a namespace has.
func (s *store) loadReceipts(n *namespace) error {
	span := appendSpan(nil, kindReceipt, n.name)
	it, err := s.db.NewIter(&pebble.IterOptions{LowerBound: span, UpperBound: appendSpanEnd(nil, kindReceipt, n.name)})
	if err != nil {
		return err
	}
	defer it.Close()
	for ok := it.First(); ok; ok = it.Next() {
		keep, _, err := cutNumber(it.Key()[len(span):])
		if err != nil {
			return err
		}
		l := n.lane(int64(keep))
		p, err := parsePiece(keySum(it.Key()), it.Value())
		for err == nil && p.next() {
			if k, ok := p.kept(); ok {
				l.ids[k.id] = p.seq
			}
		}
		if err = errors.Join(err, p.end()); err != nil {
			s.damage.Add(1)
			s.log.Error("receipts are damaged; what they answered may be done again", "namespace", string(n.name), "error", err)
		}
	}
	n.meta.receipts = 0
	for _, l := range n.lanes {
		for id, seq := range l.ids {
			if len(n.lanes) == 1 {
				break
			}
			if _, last := n.find(id); last != seq { // it was used again in another lane
				delete(l.ids, id)
			}
		}
		n.meta.receipts += int64(len(l.ids))
	}
	n.publish(&n.meta)
	return it.Error()
}
