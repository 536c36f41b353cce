package pebble

import (
	"github.com/cockroachdb/pebble/v2"
)

// trimPart is the part of a bound that goes at once when it is met, so that
// the search for the oldest is paid for by many.
const trimPart = 1024

// boundHistory trims the history that a namespace has too much of.
func (g *group) boundHistory(t *touch) {
	bound := g.s.options.History
	if over := t.ns.meta.changes - bound; over > bound/trimPart {
		g.trim(t.ns, over, 0)
	}
}

// trim forgets the oldest changes that the store shows, in whole pieces: up to
// n of them, and more that are older than before (Unix milliseconds). It
// reports whether it met its limit.
//
// Errors stop it: history that stays a little longer hurts nobody.
func (g *group) trim(ns *namespace, n, before int64) (more bool) {
	const limit = 4096
	from := appendChangeKey(nil, ns.name, ns.meta.low+1)
	it, err := g.s.db.NewIter(&pebble.IterOptions{LowerBound: from, UpperBound: appendSpanEnd(nil, kindChange, ns.name)})
	if err != nil {
		return false
	}
	defer it.Close()
	span := len(from) - 8
	low, gone := ns.meta.low, int64(0)
	ok := it.First()
	for ; ok && gone < limit; ok = it.Next() {
		last, _, err := cutNumber(it.Key()[span:])
		if err != nil {
			break
		}
		p, err := parsePiece(keySum(it.Key()), it.Value())
		if err != nil {
			p = pieceReader{count: 1} // it is of no use to anybody
		}
		if gone+int64(p.count) > n && p.stamp >= before {
			break
		}
		low = last
		gone += int64(p.count)
	}
	if low == ns.meta.low {
		return false
	}
	t := g.touch(ns)
	_ = g.batch.DeleteRange(from, appendChangeKey(nil, ns.name, low+1), nil)
	t.ns.meta.low = low
	t.ns.meta.changes -= gone
	// Watchers look at low after they have opened their iterator, so it may
	// be published before the batch: what they then miss they do not hand out.
	ns.low.Store(low)
	return ok
}
