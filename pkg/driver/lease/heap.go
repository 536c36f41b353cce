package lease

// A heap has the item that goes first in front. Four children to a node: a
// step down costs one cache line, and there are half as many steps. moved is
// told where an item is now.
type item[T any] interface {
	before(e *Engine, other T) bool
	moved(e *Engine, to int)
	slot() Slot
}

func push[T item[T]](e *Engine, h *[]T, x T) {
	*h = append(*h, x)
	up(e, *h, len(*h)-1)
}

// remove takes the item at i out.
func remove[T item[T]](e *Engine, h *[]T, i int) {
	last := len(*h) - 1
	moved := (*h)[last]
	*h = (*h)[:last]
	if i == last {
		return
	}
	(*h)[i] = moved
	fix(e, *h, i)
	shrink(h)
}

// shrink gives back room that a backlog needed which is gone.
func shrink[T any](h *[]T) {
	if c := cap(*h); c > 1024 && len(*h) < c/4 {
		*h = append(make([]T, 0, c/2), *h...)
	}
}

// fix puts the item at i, which has changed, where it belongs.
func fix[T item[T]](e *Engine, h []T, i int) {
	if i > 0 && h[i].before(e, h[(i-1)/4]) {
		up(e, h, i)
		return
	}
	down(e, h, i)
}

func up[T item[T]](e *Engine, h []T, i int) {
	x := h[i]
	for i > 0 {
		parent := (i - 1) / 4
		if !x.before(e, h[parent]) {
			break
		}
		h[i] = h[parent]
		h[i].moved(e, i)
		i = parent
	}
	h[i] = x
	x.moved(e, i)
}

func down[T item[T]](e *Engine, h []T, i int) {
	x := h[i]
	for {
		first := 4*i + 1
		if first >= len(h) {
			break
		}
		best := first
		for c := first + 1; c < min(first+4, len(h)); c++ {
			if h[c].before(e, h[best]) {
				best = c
			}
		}
		if !h[best].before(e, x) {
			break
		}
		h[i] = h[best]
		h[i].moved(e, i)
		i = best
	}
	h[i] = x
	x.moved(e, i)
}

// ready goes by priority, then by age.
type ready Slot

func (a ready) slot() Slot              { return Slot(a) }
func (a ready) moved(e *Engine, to int) { e.at(Slot(a)).pos = int32(to) }
func (a ready) before(e *Engine, b ready) bool {
	x, y := e.at(Slot(a)), e.at(Slot(b))
	if x.priority != y.priority {
		return x.priority > y.priority
	}
	return x.id < y.id
}

// dead goes by age.
type dead Slot

func (a dead) slot() Slot                    { return Slot(a) }
func (a dead) moved(e *Engine, to int)       { e.at(Slot(a)).pos = int32(to) }
func (a dead) before(e *Engine, b dead) bool { return e.at(Slot(a)).id < e.at(Slot(b)).id }

// due is when a delayed message becomes ready.
type due struct {
	at int64
	s  Slot
}

func (a due) slot() Slot { return a.s }

// moved need not be known: only the first is ever taken out.
func (a due) moved(*Engine, int) {}

func (a due) before(e *Engine, b due) bool {
	if a.at != b.at {
		return a.at < b.at
	}
	return e.at(a.s).id < e.at(b.s).id
}

// held is a lease and when it ends.
type held struct {
	at    int64
	fence uint64
	s     Slot
}

func (a held) slot() Slot              { return a.s }
func (a held) moved(e *Engine, to int) { e.at(a.s).pos = int32(to) }
func (a held) before(e *Engine, b held) bool {
	if a.at != b.at {
		return a.at < b.at
	}
	return e.at(a.s).id < e.at(b.s).id
}

// A run is delayed messages each of which is due after the one before: most
// are, where delays are alike, and a run costs the same however long it is.
type run struct {
	list []due
	head int
}

// add puts d at the end; false if it does not belong there.
func (r *run) add(d due) bool {
	if n := len(r.list); n > r.head && r.list[n-1].at > d.at {
		return false
	}
	r.list = append(r.list, d)
	return true
}

func (r *run) all() []due { return r.list[r.head:] }

func (r *run) first() (d due, ok bool) {
	if r.head == len(r.list) {
		return due{}, false
	}
	return r.list[r.head], true
}

func (r *run) drop() {
	r.head++
	if r.head == len(r.list) || r.head > 64 && r.head > len(r.list)/2 {
		r.list = append(make([]due, 0, len(r.list)-r.head), r.list[r.head:]...)
		r.head = 0
	}
}
