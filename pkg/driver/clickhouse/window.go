package clickhouse

import (
	"hash/maphash"
	"sync"
	"time"

	"github.com/prism-data-layer/prism/pkg/driver"
	"github.com/prism-data-layer/prism/pkg/prism"
)

// windows remember, per namespace, which event ids and receipts were stored
// lately. They are in this process: ClickHouse has nothing that tells an event
// twice before it is stored.
type windows struct {
	ids, receipts int // kept of a namespace at most
	seeds         [2]maphash.Seed

	mu sync.Mutex
	of map[prism.Namespace]*window
}

func newWindows(ids, receipts int) *windows {
	return &windows{ids: ids, receipts: receipts, seeds: [2]maphash.Seed{maphash.MakeSeed(), maphash.MakeSeed()}, of: map[prism.Namespace]*window{}}
}

func (w *windows) get(ns prism.Namespace) *window {
	w.mu.Lock()
	defer w.mu.Unlock()
	v := w.of[ns]
	if v == nil {
		v = &window{all: w, ids: map[digest]*claim{}, receipts: map[[16]byte]*answer{}}
		w.of[ns] = v
	}
	return v
}

func (w *windows) forget(ns prism.Namespace) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if v := w.of[ns]; v != nil {
		v.mu.Lock()
		v.gone = true
		v.mu.Unlock()
		delete(w.of, ns)
	}
}

// claim is window.claim in the window of a namespace.
func (w *windows) claim(ns prism.Namespace, batch *driver.EventBatch, r driver.Receipt, now time.Time) (mine, other *claim, err error) {
	for {
		v := w.get(ns)
		v.mu.Lock()
		if !v.gone {
			defer v.mu.Unlock()
			return v.claim(batch, r, now)
		}
		v.mu.Unlock()
	}
}

// sweep lets go what is over, of namespaces that nobody appends to.
func (w *windows) sweep(now time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for ns, v := range w.of {
		v.mu.Lock()
		v.expire(now, w.receipts)
		if len(v.ids) == 0 && len(v.receipts) == 0 {
			v.gone = true
			delete(w.of, ns)
		}
		v.mu.Unlock()
	}
}

// A digest stands for an event id. Its seeds are this process's, so nobody can
// make two ids meet.
type digest [2]uint64

// A window is of one namespace.
type window struct {
	all *windows

	mu   sync.Mutex
	gone bool // another one may be in its place
	// ids are who claimed them; nil: stored.
	ids      map[digest]*claim
	order    fifo[arrival]
	receipts map[[16]byte]*answer
	ends     fifo[*answer] // in the order of arrival
}

type arrival struct {
	id digest
	at time.Time
}

// An answer is what a receipt was answered, once done.
type answer struct {
	id     [16]byte
	by     *claim // nil when done
	body   [16]byte
	result driver.AppendResult
	end    time.Time
}

// A claim is the events of one append: their ids are its own until it is
// settled. What it left out are duplicates.
type claim struct {
	w       *window
	keep    []int // rows of the batch; nil: all
	ids     []digest
	receipt *driver.Receipt
	result  driver.AppendResult
	done    chan struct{} // closed when settled
	err     error
}

func (c *claim) rows(batch *driver.EventBatch) int {
	if c.keep != nil {
		return len(c.keep)
	}
	return batch.Len()
}

// claim takes the events of a batch that are not stored yet. If somebody else
// has claimed some of them, or the receipt, it takes nothing and returns the
// other's claim, to be waited for. A replay is a settled claim. w.mu is held.
func (w *window) claim(batch *driver.EventBatch, r driver.Receipt, now time.Time) (mine, other *claim, err error) {
	w.expire(now, w.all.receipts)
	c := &claim{w: w, done: make(chan struct{})}
	if !r.IsZero() {
		if was := w.receipts[r.ID]; was != nil && (was.by != nil || was.end.After(now)) {
			switch {
			case was.body != r.Body:
				return nil, nil, prism.New(prism.ReasonKeyReused, "the idempotency key was used before with another request")
			case was.by != nil:
				return nil, was.by, nil
			}
			c.result = was.result
			c.result.Replayed = true
			close(c.done)
			return c, nil, nil
		}
	}
	if other := w.look(c, batch); other != nil {
		return nil, other, nil
	}
	c.result = driver.AppendResult{Stored: int64(c.rows(batch)), Duplicates: int64(batch.Len() - c.rows(batch))}
	for _, id := range c.ids {
		w.ids[id] = c
	}
	if !r.IsZero() {
		c.receipt = &r
		w.receipts[r.ID] = &answer{id: r.ID, by: c, body: r.Body}
	}
	return c, nil, nil
}

// look finds which events of a batch are new.
func (w *window) look(c *claim, batch *driver.EventBatch) (other *claim) {
	if len(batch.IDs.Ends) == 0 {
		return nil
	}
	inside := map[digest]struct{}{}
	keep := make([]int, 0, batch.Len())
	for i := range batch.Len() {
		raw := batch.IDs.At(i)
		if len(raw) == 0 {
			keep = append(keep, i)
			continue
		}
		id := digest{maphash.Bytes(w.all.seeds[0], raw), maphash.Bytes(w.all.seeds[1], raw)}
		by, there := w.ids[id]
		if by != nil {
			return by
		}
		if _, twice := inside[id]; twice || there {
			continue
		}
		inside[id] = struct{}{}
		keep = append(keep, i)
		c.ids = append(c.ids, id)
	}
	if len(keep) < batch.Len() {
		c.keep = keep
	}
	return nil
}

// settle says what became of a claim's events. Those that are not stored may be
// sent again, and so may those of which nobody knows: that they may be there
// twice then is told.
func (c *claim) settle(now time.Time, err error) {
	w := c.w
	w.mu.Lock()
	defer w.mu.Unlock()
	most := w.all.receipts
	for _, id := range c.ids {
		if err != nil {
			delete(w.ids, id)
			continue
		}
		w.ids[id] = nil
		w.order.push(arrival{id, now})
	}
	if r := c.receipt; r != nil {
		delete(w.receipts, r.ID)
		if err == nil {
			a := &answer{id: r.ID, body: r.Body, result: c.result, end: now.Add(r.Keep)}
			w.receipts[r.ID] = a
			w.ends.push(a)
			if r.Max > 0 {
				most = min(most, int(r.Max))
			}
		}
	}
	c.err = err
	close(c.done)
	w.expire(now, most)
}

// expire lets go what is over, and receipts but for so many. w.mu is held.
func (w *window) expire(now time.Time, receipts int) {
	for w.order.len() > 0 && (w.order.len() > w.all.ids || now.Sub(w.order.first().at) >= driver.DedupeWindow) {
		delete(w.ids, w.order.pop().id)
	}
	for w.ends.len() > receipts || w.ends.len() > 0 && !(*w.ends.first()).end.After(now) {
		if a := w.ends.pop(); w.receipts[a.id] == a {
			delete(w.receipts, a.id)
		}
	}
}

// A fifo is a queue that gives back what it no longer needs.
type fifo[T any] struct {
	items []T
	head  int
}

func (f *fifo[T]) len() int  { return len(f.items) - f.head }
func (f *fifo[T]) first() *T { return &f.items[f.head] }
func (f *fifo[T]) push(v T)  { f.items = append(f.items, v) }

func (f *fifo[T]) pop() T {
	v := f.items[f.head]
	f.head++
	if f.head > len(f.items)/2 {
		f.items = append(f.items[:0:0], f.items[f.head:]...)
		f.head = 0
	}
	return v
}

// count is how many receipts of a namespace are remembered.
func (w *windows) count(ns prism.Namespace) int64 {
	w.mu.Lock()
	v := w.of[ns]
	w.mu.Unlock()
	if v == nil {
		return 0
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	return int64(len(v.receipts))
}
