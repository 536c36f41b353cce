package series

import (
	"slices"
	"strings"

	"github.com/prism-data-layer/prism/pkg/driver"
)

// A Row is an event of one of several batches.
type Row struct{ Batch, Index int32 }

// Gather copies events, in this order, into columns that share nothing with
// those they are from. An empty type or source is none.
func Gather(batches []*driver.EventBatch, rows []Row) driver.EventBatch {
	b := driver.EventBatch{
		Times:    make([]int64, len(rows)),
		Types:    gatherCoded(batches, rows, func(b *driver.EventBatch) *driver.Coded { return &b.Types }, true),
		Sources:  gatherCoded(batches, rows, func(b *driver.EventBatch) *driver.Coded { return &b.Sources }, true),
		Payloads: gatherBlobs(batches, rows, func(b *driver.EventBatch) *driver.Blobs { return &b.Payloads }),
		IDs:      gatherBlobs(batches, rows, func(b *driver.EventBatch) *driver.Blobs { return &b.IDs }),
	}
	for i, r := range rows {
		b.Times[i] = batches[r.Batch].Times[r.Index]
	}
	for _, name := range dimensionNames(batches) {
		values := gatherCoded(batches, rows, func(b *driver.EventBatch) *driver.Coded { return dimension(b, name) }, false)
		if len(values.Dictionary) > 0 {
			b.Dimensions = append(b.Dimensions, driver.Dimension{Name: name, Values: values})
		}
	}
	for _, name := range metricNames(batches) {
		if m := gatherMetric(batches, rows, name); m.Values != nil {
			b.Metrics = append(b.Metrics, m)
		}
	}
	return b
}

// dimension finds a column; nil if there is none.
func dimension(b *driver.EventBatch, name string) *driver.Coded {
	for i := range b.Dimensions {
		if b.Dimensions[i].Name == name {
			return &b.Dimensions[i].Values
		}
	}
	return nil
}

func metric(b *driver.EventBatch, name string) *driver.Metric {
	for i := range b.Metrics {
		if b.Metrics[i].Name == name {
			return &b.Metrics[i]
		}
	}
	return nil
}

func dimensionNames(batches []*driver.EventBatch) (names []string) {
	known := map[string]bool{}
	for _, b := range batches {
		for i := range b.Dimensions {
			if name := b.Dimensions[i].Name; !known[name] {
				name = strings.Clone(name)
				known[name] = true
				names = append(names, name)
			}
		}
	}
	return names
}

func metricNames(batches []*driver.EventBatch) (names []string) {
	known := map[string]bool{}
	for _, b := range batches {
		for i := range b.Metrics {
			if name := b.Metrics[i].Name; !known[name] {
				name = strings.Clone(name)
				known[name] = true
				names = append(names, name)
			}
		}
	}
	return names
}

// unknown is a code that was not met yet; no dictionary is as long.
const unknown = ^uint32(0)

// A recoder turns the codes of a column into those of another.
type recoder struct {
	from  *driver.Coded
	codes []uint32 // by the code in from; 0 stays 0
}

func newRecoder(from *driver.Coded) recoder {
	r := recoder{from, []uint32{0}}
	if from != nil {
		for range from.Dictionary {
			r.codes = append(r.codes, unknown)
		}
	}
	return r
}

// code is the code of an event in the column it is from.
func (r *recoder) code(i int32) uint32 {
	switch {
	case r.from == nil || len(r.from.Dictionary) == 0:
		return 0
	case r.from.Codes == nil:
		return 1
	}
	return r.from.Codes[i]
}

func gatherCoded(batches []*driver.EventBatch, rows []Row, column func(*driver.EventBatch) *driver.Coded, emptyIsNone bool) (c driver.Coded) {
	recoders := make([]recoder, len(batches))
	for i, b := range batches {
		recoders[i] = newRecoder(column(b))
	}
	known := map[string]uint32{}
	codes := make([]uint32, len(rows))
	same := true // all have the first string
	for i, row := range rows {
		r := &recoders[row.Batch]
		code := r.code(row.Index)
		if r.codes[code] == unknown {
			s := r.from.Dictionary[code-1]
			if _, ok := known[s]; !ok && (s != "" || !emptyIsNone) {
				s = strings.Clone(s) // it may be part of a whole message
				c.Dictionary = append(c.Dictionary, s)
				known[s] = uint32(len(c.Dictionary))
			}
			r.codes[code] = known[s]
		}
		codes[i] = r.codes[code]
		same = same && codes[i] == 1
	}
	if len(c.Dictionary) > 0 && !same {
		c.Codes = codes
	}
	return c
}

func gatherMetric(batches []*driver.EventBatch, rows []Row, name string) driver.Metric {
	columns := make([]*driver.Metric, len(batches))
	for i, b := range batches {
		columns[i] = metric(b, name)
	}
	m := driver.Metric{Name: name, Values: make([]float64, len(rows)), Present: make([]byte, (len(rows)+7)/8)}
	n := 0
	for i, row := range rows {
		from := columns[row.Batch]
		if from == nil {
			continue
		}
		if v, ok := from.At(int(row.Index)); ok {
			m.Values[i] = v
			m.Present[i>>3] |= 1 << (i & 7)
			n++
		}
	}
	switch n {
	case 0:
		return driver.Metric{}
	case len(rows):
		m.Present = nil
	}
	return m
}

func gatherBlobs(batches []*driver.EventBatch, rows []Row, column func(*driver.EventBatch) *driver.Blobs) (b driver.Blobs) {
	size := 0
	for _, row := range rows {
		size += len(column(batches[row.Batch]).At(int(row.Index)))
	}
	if size == 0 {
		return b
	}
	b.Ends, b.Data = make([]uint32, len(rows)), slices.Grow(b.Data, size)
	for i, row := range rows {
		b.Data = append(b.Data, column(batches[row.Batch]).At(int(row.Index))...)
		b.Ends[i] = uint32(len(b.Data))
	}
	return b
}
