package page

import (
	"sync/atomic"

	"github.com/prism-data-layer/prism/tui/component/table"
)

// How many rows a list asks for at first, and at most: a person who has walked
// through twenty thousand wants a filter of the gateway's.
const (
	FirstReach = 1000
	MostReach  = 20_000
)

// A Reach is how many rows of a long list are asked for: more as the cursor
// comes near their end, and all of them to be sorted or filtered. Questions
// read it while the page changes it.
type Reach struct{ rows atomic.Int64 }

// Rows is how many to ask for.
func (r *Reach) Rows() int { return max(int(r.rows.Load()), FirstReach) }

// Follow looks at where the cursor is, and whether there are more rows, and
// reports whether to ask for more than before.
func (r *Reach) Follow(t *table.Model, more bool) bool {
	was, want := r.Rows(), FirstReach
	switch {
	case t.Filter() != "" || t.Order() != "":
		want = MostReach
	case more && t.Left() < FirstReach/4:
		want = was + FirstReach
	default:
		want = was
	}
	want = min(want, MostReach)
	r.rows.Store(int64(want))
	return want > was && more
}
