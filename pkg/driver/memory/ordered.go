package memory

import (
	"slices"
	"sort"
)

// maxRun is how many entries stand together: 4 KiB of pointers, which is what
// an insertion moves at worst.
const maxRun = 512

// An ordered list keeps entries by key: a list of runs, each sorted and after
// the one before. Two levels are enough: at 100 million keys the upper one has
// some 300,000 runs, and it changes once in a few hundred insertions.
type ordered struct {
	runs []run
}

type run struct {
	first string // items[0].key, here to spare the search two hops
	items []*entry
}

// A place is an entry's place in the list: run and item.
type place struct{ run, item int }

// seek finds the first entry whose key is not below key.
func (o *ordered) seek(key string) place {
	i := sort.Search(len(o.runs), func(i int) bool { return o.runs[i].first > key }) - 1
	if i < 0 {
		return place{}
	}
	items := o.runs[i].items
	j := sort.Search(len(items), func(j int) bool { return items[j].key >= key })
	return place{i, j} // j may be one past the run; at() and before() know
}

func (o *ordered) end() place { return place{len(o.runs), 0} }

// at is the entry at p, nil at the end. It also steps p over the end of a run.
func (o *ordered) at(p *place) *entry {
	for p.run < len(o.runs) {
		if items := o.runs[p.run].items; p.item < len(items) {
			return items[p.item]
		}
		p.run, p.item = p.run+1, 0
	}
	return nil
}

// before moves p back by one and is the entry there, nil at the beginning.
func (o *ordered) before(p *place) *entry {
	for p.item == 0 {
		if p.run == 0 {
			return nil
		}
		p.run--
		p.item = len(o.runs[p.run].items)
	}
	p.item--
	return o.runs[p.run].items[p.item]
}

// rank is how many entries stand before p.
func (o *ordered) rank(p place) int {
	n := p.item
	for i := range o.runs[:p.run] {
		n += len(o.runs[i].items)
	}
	return n
}

// insert adds e, whose key is not there.
func (o *ordered) insert(e *entry) {
	if len(o.runs) == 0 {
		o.runs = append(o.runs, run{e.key, []*entry{e}})
		return
	}
	p := o.seek(e.key)
	r := &o.runs[p.run]
	if len(r.items) == maxRun {
		if p.item == maxRun && p.run == len(o.runs)-1 {
			// Keys that come in order fill their runs.
			o.runs = append(o.runs, run{e.key, append(make([]*entry, 0, maxRun), e)})
			return
		}
		const half = maxRun / 2
		right := append(make([]*entry, 0, maxRun), r.items[half:]...)
		clear(r.items[half:])
		r.items = r.items[:half]
		o.runs = slices.Insert(o.runs, p.run+1, run{right[0].key, right})
		if p.item > half {
			p = place{p.run + 1, p.item - half}
		}
		r = &o.runs[p.run]
	}
	r.items = slices.Insert(r.items, p.item, e)
	r.first = r.items[0].key
}

// remove takes e away, which is there.
func (o *ordered) remove(e *entry) {
	p := o.seek(e.key)
	r := &o.runs[p.run]
	r.items = slices.Delete(r.items, p.item, p.item+1)
	switch {
	case len(r.items) == 0:
		o.runs = slices.Delete(o.runs, p.run, p.run+1)
		return
	case len(r.items) < maxRun/4 && p.run+1 < len(o.runs) && len(r.items)+len(o.runs[p.run+1].items) <= maxRun/2:
		r.items = append(r.items, o.runs[p.run+1].items...)
		o.runs = slices.Delete(o.runs, p.run+1, p.run+2)
		r = &o.runs[p.run]
	}
	r.first = r.items[0].key
}
