package series

import (
	"crypto/sha256"
	"time"

	"github.com/prism-data-layer/prism/pkg/driver"
)

// An ID is what is remembered of an event's id.
type ID [16]byte

// IDOf is what is remembered of an id.
func IDOf(id []byte) ID {
	sum := sha256.Sum256(id)
	return ID(sum[:16])
}

// IDs are those of the events of a namespace that arrived within
// driver.DedupeWindow. The zero value is ready to use once Max is set.
type IDs struct {
	Max   int // remembered; the oldest go first
	known map[ID]struct{}
	queue []arrival // by time, from head on
	head  int
}

type arrival struct {
	id ID
	at int64 // in nanoseconds of the store's time
}

// Fresh picks the events of a batch that are to be stored: those without an id
// and those whose id is not known. What it finds new it adds to beside, which
// it takes for known too.
func (w *IDs) Fresh(batch int32, b *driver.EventBatch, beside map[ID]struct{}) (rows []Row) {
	rows = make([]Row, 0, b.Len())
	for i := range b.Len() {
		if id := b.IDs.At(i); len(id) > 0 {
			key := IDOf(id)
			if w.has(key) {
				continue
			}
			if _, there := beside[key]; there {
				continue
			}
			beside[key] = struct{}{}
		}
		rows = append(rows, Row{batch, int32(i)})
	}
	return rows
}

func (w *IDs) has(id ID) bool {
	_, ok := w.known[id]
	return ok
}

// Add remembers ids of events that arrived now.
func (w *IDs) Add(ids map[ID]struct{}, now int64) {
	if w.known == nil {
		w.known = map[ID]struct{}{}
	}
	for id := range ids {
		w.known[id] = struct{}{}
		w.queue = append(w.queue, arrival{id, now})
	}
	for len(w.known) > w.Max {
		w.forget()
	}
}

// Expire forgets what arrived too long ago.
func (w *IDs) Expire(now int64) {
	for w.head < len(w.queue) && now-w.queue[w.head].at >= int64(driver.DedupeWindow/time.Nanosecond) {
		w.forget()
	}
}

func (w *IDs) forget() {
	delete(w.known, w.queue[w.head].id)
	if w.head++; w.head > len(w.queue)/2 {
		w.queue = append(w.queue[:0], w.queue[w.head:]...)
		w.head = 0
	}
}
