package clickhouse

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/ClickHouse/ch-go/proto"

	"github.com/prism-data-layer/prism/pkg/driver"
	"github.com/prism-data-layer/prism/pkg/prism"
)

// A block is the events that go to the server together, in its columns, and
// those who wait for them.
type block struct {
	layout *layout

	namespace, eventType, source words
	times                        []int64
	seqs                         []uint64
	missing                      []uint64
	payload, id                  text
	dimensions                   []words     // the declared ones
	metrics                      [][]float64 // the declared ones
	rest                         rest

	names   []string // of the columns
	known   vocabulary
	counted []int

	bytes  int
	since  time.Time
	token  string // tells the server that it is the same block again
	claims []*claim
	ctxs   []context.Context
	// filling is true while a caller puts events into it.
	filling bool
}

// rest are the dimensions and metrics that have no column of their own.
type rest struct {
	dimensionEnds, metricEnds   []uint64
	dimensionNames, metricNames words
	dimensionValues             text
	metricValues                []float64
}

func newBlock(l *layout) *block {
	b := &block{layout: l, dimensions: make([]words, len(l.dimensions)), metrics: make([][]float64, len(l.metrics))}
	for _, w := range []*words{&b.namespace, &b.eventType, &b.source, &b.rest.dimensionNames, &b.rest.metricNames} {
		w.low = l.modern
	}
	for i := range b.dimensions {
		b.dimensions[i].low = l.modern
	}
	for _, c := range l.columns() {
		b.names = append(b.names, c.name)
	}
	b.reset()
	return b
}

func (b *block) rows() int { return len(b.times) }

// reset makes it ready for other events.
func (b *block) reset() {
	b.namespace.reset()
	b.eventType.reset()
	b.source.reset()
	b.times, b.seqs, b.missing = b.times[:0], b.seqs[:0], b.missing[:0]
	b.payload.reset()
	b.id.reset()
	for i := range b.dimensions {
		b.dimensions[i].reset()
	}
	for i := range b.metrics {
		b.metrics[i] = b.metrics[i][:0]
	}
	r := &b.rest
	r.dimensionEnds, r.metricEnds, r.metricValues = r.dimensionEnds[:0], r.metricEnds[:0], r.metricValues[:0]
	r.dimensionNames.reset()
	r.metricNames.reset()
	r.dimensionValues.reset()
	b.bytes, b.token, b.since = 0, "", time.Time{}
	b.claims, b.ctxs = b.claims[:0], b.ctxs[:0]
}

// append takes events of a batch, those that keep names or all if it is nil.
// seq is of the first.
func (b *block) append(ns prism.Namespace, batch *driver.EventBatch, keep []int, seq uint64) {
	if keep == nil {
		keep = b.every(batch.Len())
	}
	first := b.rows()
	b.known = b.namespace.learn([]string{string(ns)}, b.known)
	for _, i := range keep {
		b.namespace.add(b.known[0])
		b.times = append(b.times, batch.Times[i])
		b.seqs = append(b.seqs, seq)
		b.missing = append(b.missing, 0)
		b.payload.add(batch.Payloads.At(i))
		b.id.add(batch.IDs.At(i))
		seq++
	}
	missing := b.missing[first:]
	b.appendWords(&b.eventType, &batch.Types, keep, missing, 0)
	b.appendWords(&b.source, &batch.Sources, keep, missing, 0)
	b.appendDeclared(batch, keep, missing)
	if b.layout.kind != layoutColumns {
		b.appendDimensions(batch, keep)
		b.appendMetrics(batch, keep)
	}
}

// every is 0 to n-1.
func (b *block) every(n int) []int {
	for i := len(b.counted); i < n; i++ {
		b.counted = append(b.counted, i)
	}
	return b.counted[:n]
}

// appendWords takes a column of a batch; an event that has nothing in it gets the
// bit.
func (b *block) appendWords(to *words, from *driver.Coded, keep []int, missing []uint64, bit uint64) {
	if len(from.Dictionary) == 0 {
		for n := range keep {
			to.addNone()
			missing[n] |= bit
		}
		return
	}
	b.known = to.learn(from.Dictionary, b.known)
	if from.Codes == nil {
		for range keep {
			to.add(b.known[0])
		}
		return
	}
	for n, i := range keep {
		if code := from.Codes[i]; code > 0 {
			to.add(b.known[code-1])
			continue
		}
		to.addNone()
		missing[n] |= bit
	}
}

func (b *block) appendDeclared(batch *driver.EventBatch, keep []int, missing []uint64) {
	for n, name := range b.layout.dimensions {
		from := new(driver.Coded)
		for i := range batch.Dimensions {
			if batch.Dimensions[i].Name == name {
				from = &batch.Dimensions[i].Values
			}
		}
		b.appendWords(&b.dimensions[n], from, keep, missing, 1<<n)
	}
	for n, name := range b.layout.metrics {
		bit := uint64(1) << (len(b.dimensions) + n)
		from := &driver.Metric{}
		for i := range batch.Metrics {
			if batch.Metrics[i].Name == name {
				from = &batch.Metrics[i]
			}
		}
		b.metrics[n] = appendMetric(b.metrics[n], from, keep, missing, bit)
	}
}

func appendMetric(to []float64, from *driver.Metric, keep []int, missing []uint64, bit uint64) []float64 {
	if len(from.Values) > 0 && from.Present == nil && len(keep) == len(from.Values) {
		return append(to, from.Values...)
	}
	for n, i := range keep {
		var v float64
		ok := false
		if len(from.Values) > 0 {
			v, ok = from.At(i)
		}
		if !ok {
			v = 0
			missing[n] |= bit
		}
		to = append(to, v)
	}
	return to
}

// appendDimensions takes the dimensions that have no column of their own.
func (b *block) appendDimensions(batch *driver.EventBatch, keep []int) {
	r := &b.rest
	var from []*driver.Coded
	var names []string
	for i := range batch.Dimensions {
		if d := &batch.Dimensions[i]; !slices.Contains(b.layout.dimensions, d.Name) && len(d.Values.Dictionary) > 0 {
			from, names = append(from, &d.Values), append(names, d.Name)
		}
	}
	b.known = r.dimensionNames.learn(names, b.known)
	for _, i := range keep {
		for n, values := range from {
			code := uint32(1)
			if values.Codes != nil {
				code = values.Codes[i]
			}
			if code > 0 {
				r.dimensionNames.add(b.known[n])
				r.dimensionValues.data = appendString(r.dimensionValues.data, values.Dictionary[code-1])
				r.dimensionValues.rows++
			}
		}
		r.dimensionEnds = append(r.dimensionEnds, uint64(r.dimensionNames.Rows()))
	}
}

// appendMetrics takes the metrics that have no column of their own.
func (b *block) appendMetrics(batch *driver.EventBatch, keep []int) {
	r := &b.rest
	var from []*driver.Metric
	var names []string
	for i := range batch.Metrics {
		if m := &batch.Metrics[i]; !slices.Contains(b.layout.metrics, m.Name) && len(m.Values) > 0 {
			from, names = append(from, m), append(names, m.Name)
		}
	}
	b.known = r.metricNames.learn(names, b.known)
	for _, i := range keep {
		for n, m := range from {
			if v, ok := m.At(i); ok {
				r.metricNames.add(b.known[n])
				r.metricValues = append(r.metricValues, v)
			}
		}
		r.metricEnds = append(r.metricEnds, uint64(r.metricNames.Rows()))
	}
}

// columns are the block as an INSERT takes it, in the order of the layout.
func (b *block) columns() proto.Input {
	all := []proto.ColInput{&b.namespace, &b.eventType, &b.source, b.timeColumn(), proto.ColUInt64(b.seqs), &b.payload, &b.id}
	if b.layout.declared() > 0 {
		all = append(all, b.missingColumn())
	}
	for i := range b.dimensions {
		all = append(all, &b.dimensions[i])
	}
	for i := range b.metrics {
		all = append(all, proto.ColFloat64(b.metrics[i]))
	}
	r := &b.rest
	numbers := proto.ColFloat64(r.metricValues)
	switch b.layout.kind {
	case layoutMap:
		all = append(all,
			&lists{"Map(LowCardinality(String), String)", r.dimensionEnds, []proto.ColInput{&r.dimensionNames, &r.dimensionValues}},
			&lists{"Map(LowCardinality(String), Float64)", r.metricEnds, []proto.ColInput{&r.metricNames, numbers}})
	case layoutArrays:
		all = append(all,
			&lists{r.dimensionNames.Type().Array(), r.dimensionEnds, []proto.ColInput{&r.dimensionNames}},
			&lists{"Array(String)", r.dimensionEnds, []proto.ColInput{&r.dimensionValues}},
			&lists{r.metricNames.Type().Array(), r.metricEnds, []proto.ColInput{&r.metricNames}},
			&lists{"Array(Float64)", r.metricEnds, []proto.ColInput{numbers}})
	}
	input := make(proto.Input, len(all))
	for i, c := range all {
		input[i] = proto.InputColumn{Name: b.names[i], Data: c}
	}
	return input
}

func (b *block) timeColumn() proto.ColInput {
	if b.layout.modern {
		return timeColumn{proto.ColInt64(b.times)}
	}
	return proto.ColInt64(b.times)
}

func (b *block) missingColumn() proto.ColInput {
	if b.layout.missingType() == "UInt64" {
		return proto.ColUInt64(b.missing)
	}
	narrow := make(proto.ColUInt8, len(b.missing))
	for i, m := range b.missing {
		narrow[i] = uint8(m)
	}
	return narrow
}

// insert is the statement that takes the block.
func (l *layout) insert(table string) string {
	var names []string
	for _, c := range l.columns() {
		names = append(names, quoted(c.name))
	}
	return "INSERT INTO " + table + " (" + strings.Join(names, ", ") + ")"
}

// size is about how many bytes a batch takes in a block.
func size(batch *driver.EventBatch) int {
	n := batch.Len()
	fixed := 24 + 8*len(batch.Metrics) + 8*len(batch.Dimensions)
	total := n*fixed + len(batch.Payloads.Data) + len(batch.IDs.Data)
	for i := range batch.Dimensions {
		for _, word := range batch.Dimensions[i].Values.Dictionary {
			total += len(word)
		}
	}
	return total
}
