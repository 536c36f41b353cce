// Package series keeps events in columns and in order of time, for drivers
// that embed their store: chunks that never change, a cursor that reads many of
// them as one, and figures that are computed by going through columns.
package series

import (
	"cmp"
	"slices"

	"github.com/prism-data-layer/prism/pkg/driver"
)

// MaxRows is how many events a chunk has at most: enough that a column is worth
// having, and few enough that a page does not read much for nothing.
const MaxRows = 16_384

// A Chunk is events in order of time, and at one time of arrival. It is never
// changed and may be read by many at once.
type Chunk struct {
	Events driver.EventBatch
	Seqs   []uint64 // the number of each as it arrived, unique in its namespace
}

// Len is the number of events, at least one.
func (c *Chunk) Len() int { return len(c.Seqs) }

// First and Last are the times that a chunk spans.
func (c *Chunk) First() int64 { return c.Events.Times[0] }

func (c *Chunk) Last() int64 { return c.Events.Times[len(c.Events.Times)-1] }

// search is the first event at or after a time, or of this time and number.
func (c *Chunk) search(at, seq uint64) int {
	i, _ := slices.BinarySearchFunc(c.Events.Times, at, func(t int64, at uint64) int { return cmp.Compare(uint64(t), at) })
	for i < c.Len() && uint64(c.Events.Times[i]) == at && c.Seqs[i] < seq {
		i++
	}
	return i
}

// placed is an event on its way into a chunk.
type placed struct {
	time int64
	seq  uint64
	row  Row
}

// New makes chunks of rows of batches. They arrived in this order, the first
// with number seq.
func New(batches []*driver.EventBatch, rows []Row, seq uint64) []*Chunk {
	all := make([]placed, len(rows))
	for i, r := range rows {
		all[i] = placed{batches[r.Batch].Times[r.Index], seq + uint64(i), r}
	}
	return build(batches, all)
}

// Merge makes chunks of all events of others that are at since or later.
func Merge(chunks []*Chunk, since int64) []*Chunk {
	var all []placed
	batches := make([]*driver.EventBatch, len(chunks))
	for n, c := range chunks {
		batches[n] = &c.Events
		for i := c.search(uint64(max(since, 0)), 0); i < c.Len(); i++ {
			all = append(all, placed{c.Events.Times[i], c.Seqs[i], Row{int32(n), int32(i)}})
		}
	}
	return build(batches, all)
}

func build(batches []*driver.EventBatch, all []placed) (chunks []*Chunk) {
	order := func(a, b placed) int { return cmp.Or(cmp.Compare(a.time, b.time), cmp.Compare(a.seq, b.seq)) }
	if !slices.IsSortedFunc(all, order) {
		slices.SortFunc(all, order)
	}
	parts := (len(all) + MaxRows - 1) / MaxRows
	for n := range parts {
		part := all[n*len(all)/parts : (n+1)*len(all)/parts]
		c := &Chunk{Seqs: make([]uint64, len(part))}
		rows := make([]Row, len(part))
		for i, p := range part {
			rows[i], c.Seqs[i] = p.row, p.seq
		}
		c.Events = Gather(batches, rows)
		chunks = append(chunks, c)
	}
	return chunks
}

const (
	// fan is how many chunks of like size become one: each event is then copied
	// a few times over its life, whatever the size of the batches.
	fan = 8
	// full is the size from which a chunk is left alone.
	full = MaxRows / 4
)

// Crowd tells which of chunks, by their sizes in order of their making, are best
// made one, if any. Those that are full are passed over.
func Crowd(sizes []int) []int {
	var small []int // from the newest on
	for n := len(sizes) - 1; n >= 0; n-- {
		if sizes[n] < full {
			small = append(small, n)
		}
	}
	crowd, count, largest := 0, 0, 1 // count is of the chunks of this level
	for i, n := range small {
		if sizes[n] > largest {
			count = 0
			if crowd == i && crowd > 0 {
				count = 1 // what comes of the levels below
			}
		}
		for sizes[n] > largest {
			largest *= fan
		}
		if count++; count >= fan && (i+1 == len(small) || sizes[small[i+1]] > largest) {
			crowd = i + 1
		}
	}
	return small[:crowd]
}

// Bytes is about what a chunk takes in memory.
func (c *Chunk) Bytes() int64 {
	b := &c.Events
	n := 16*len(b.Times) + codedBytes(&b.Types) + codedBytes(&b.Sources) + 4*len(b.Payloads.Ends) + len(b.Payloads.Data) + 4*len(b.IDs.Ends) + len(b.IDs.Data)
	for i := range b.Dimensions {
		n += len(b.Dimensions[i].Name) + codedBytes(&b.Dimensions[i].Values)
	}
	for i := range b.Metrics {
		n += len(b.Metrics[i].Name) + 8*len(b.Metrics[i].Values) + len(b.Metrics[i].Present)
	}
	return int64(n)
}

func codedBytes(c *driver.Coded) int {
	n := 4 * len(c.Codes)
	for _, s := range c.Dictionary {
		n += 16 + len(s)
	}
	return n
}
