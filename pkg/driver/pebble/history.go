package pebble

import (
	"github.com/cockroachdb/pebble/v2"
)

// trim forgets the oldest changes that the store shows: n of them, and more
// that are older than before (Unix milliseconds). It reports whether it met
// its limit.
//
// Errors stop it: history that stays a little longer hurts nobody.
func (g *group) trim(ns *namespace, n, before int64) (more bool) {
	const limit = 4096
	t := g.touch(ns)
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
		seq, _, err := cutNumber(it.Key()[span:])
		if err != nil {
			break
		}
		if gone >= n {
			_, _, at, _, err := parseLogged(keySum(it.Key()), it.Value())
			if err == nil && at >= before {
				break
			}
		}
		low = seq
		gone++
	}
	if gone == 0 {
		return false
	}
	_ = g.batch.DeleteRange(from, appendChangeKey(nil, ns.name, low+1), nil)
	t.ns.meta.low = low
	t.ns.meta.changes -= gone
	// Watchers look at low after they have opened their iterator, so it may
	// be published before the batch: what they then miss they do not hand out.
	ns.low.Store(low)
	return ok
}
