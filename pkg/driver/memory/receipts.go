package memory

import (
	"time"

	"github.com/prism-data-layer/prism/pkg/driver"
	"github.com/prism-data-layer/prism/pkg/prism"
)

const (
	slabLen = 64 // 5 KiB, so that a namespace with one receipt stays small
	none    = int32(-1)
)

// receipts are kept in slabs without pointers: a million of them, which an SDK
// that numbers its calls makes in minutes, are then no work for the collector.
// What does not fit a record (a value, several results) stands beside it.
type receipts struct {
	max    int
	index  map[[16]byte]int32
	slabs  []*[slabLen]receipt
	extra  map[int32][]driver.Result
	free   int32 // list through next
	oldest int32
	newest int32
	used   int32 // records ever taken from the slabs
	hand   int32 // of the clock that looks for expired ones
}

type receipt struct {
	id, body   [16]byte
	expires    int64  // store time, milliseconds; 0: free
	version    uint64 // of the answer
	number     int64  // Number, or ExpiresAt in milliseconds if flagTime
	prev, next int32  // by age
	flags      uint8
}

const (
	flagFound = 1 << iota
	flagApplied
	flagTime
	flagExtra
)

func newReceipts(limit int) receipts {
	return receipts{max: limit, free: none, oldest: none, newest: none}
}

func (r *receipts) len() int { return len(r.index) }

func (r *receipts) at(i int32) *receipt { return &r.slabs[i/slabLen][i%slabLen] }

// replay finds the first answer to a receipt.
func (r *receipts) replay(q driver.Receipt, nowMS int64) (results []driver.Result, found bool, err error) {
	i, ok := r.index[q.ID]
	if !ok {
		return nil, false, nil
	}
	rec := r.at(i)
	if rec.expires <= nowMS {
		r.drop(i)
		return nil, false, nil
	}
	if rec.body != q.Body {
		return nil, false, prism.New(prism.ReasonKeyReused, "the idempotency key was used before with another request")
	}
	if rec.flags&flagExtra != 0 {
		for _, res := range r.extra[i] {
			res.Replayed = true
			results = append(results, res)
		}
		return results, true, nil
	}
	res := driver.Result{
		Version: rec.version, Replayed: true,
		Found: rec.flags&flagFound != 0, Applied: rec.flags&flagApplied != 0,
	}
	if rec.flags&flagTime != 0 {
		res.ExpiresAt = time.UnixMilli(rec.number)
	} else {
		res.Number = rec.number
	}
	return []driver.Result{res}, true, nil
}

// keep stores the answer to a receipt that is not there.
func (r *receipts) keep(q driver.Receipt, nowMS int64, results ...driver.Result) {
	r.sweep(nowMS, 2) // pays for itself: one in, up to two out
	bound := r.max
	if q.Max > 0 {
		bound = int(min(int64(bound), q.Max))
	}
	for len(r.index) >= bound {
		r.drop(r.oldest)
	}
	i := r.take()
	rec := r.at(i)
	*rec = receipt{
		id: q.ID, body: q.Body, expires: max(1, nowMS+ceilMS(int64(q.Keep))),
		prev: r.newest, next: none,
	}
	if len(results) == 1 && results[0].Value == nil {
		res := &results[0]
		rec.version, rec.number = res.Version, res.Number
		if res.Found {
			rec.flags |= flagFound
		}
		if res.Applied {
			rec.flags |= flagApplied
		}
		if !res.ExpiresAt.IsZero() {
			rec.flags |= flagTime
			rec.number = res.ExpiresAt.UnixMilli()
		}
	} else {
		rec.flags = flagExtra
		if r.extra == nil {
			r.extra = make(map[int32][]driver.Result)
		}
		r.extra[i] = append([]driver.Result(nil), results...)
	}
	if r.newest == none {
		r.oldest = i
	} else {
		r.at(r.newest).next = i
	}
	r.newest = i
	if r.index == nil {
		r.index = make(map[[16]byte]int32)
	}
	r.index[q.ID] = i
}

func (r *receipts) take() int32 {
	if i := r.free; i != none {
		r.free = r.at(i).next
		return i
	}
	if int(r.used)/slabLen == len(r.slabs) {
		r.slabs = append(r.slabs, new([slabLen]receipt))
	}
	r.used++
	return r.used - 1
}

func (r *receipts) drop(i int32) {
	rec := r.at(i)
	delete(r.index, rec.id)
	if rec.flags&flagExtra != 0 {
		delete(r.extra, i)
	}
	if rec.prev == none {
		r.oldest = rec.next
	} else {
		r.at(rec.prev).next = rec.next
	}
	if rec.next == none {
		r.newest = rec.prev
	} else {
		r.at(rec.next).prev = rec.prev
	}
	*rec = receipt{next: r.free}
	r.free = i
}

// sweep looks at the next n records and drops those past their time.
func (r *receipts) sweep(nowMS int64, n int) {
	for range min(n, int(r.used)) {
		if r.hand >= r.used {
			r.hand = 0
		}
		if rec := r.at(r.hand); rec.expires != 0 && rec.expires <= nowMS {
			r.drop(r.hand)
		}
		r.hand++
	}
}
