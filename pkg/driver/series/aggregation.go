package series

import (
	"math"
	"slices"

	"github.com/prism-data-layer/prism/pkg/driver"
	"github.com/prism-data-layer/prism/pkg/prism"
)

// An Aggregation computes figures over chunks, given one after the other in any
// order.
type Aggregation struct {
	q       driver.AggregateQuery
	groups  []groupColumn
	sets    []groupSet         // by number: the values of a group
	numbers map[groupSet]int32 // of a group, by its values
	cells   map[cell]int32     // rows by bucket and group
	rows    []cell
	counts  []int64 // events by row
	metrics []figures

	chosen, in []int32 // kept for the next chunk
}

// A groupColumn numbers the strings of one key; 0 is none.
type groupColumn struct {
	key    driver.GroupKey
	number map[string]int32
	values []string
}

// A groupSet is a group of one key less, and the number of its value in the
// last.
type groupSet struct{ before, value int32 }

type cell struct {
	bucket int64
	group  int32
}

// figures are what is known of one metric.
type figures struct {
	name   string
	values bool // all are needed, for quantiles
	rows   []tally
}

type tally struct {
	n             int64
	sum, min, max float64
	values        []float64
}

// NewAggregation begins a computation.
func NewAggregation(q driver.AggregateQuery) *Aggregation {
	a := &Aggregation{q: q, numbers: map[groupSet]int32{}, cells: map[cell]int32{}, sets: []groupSet{{}}}
	for _, key := range q.Groups {
		a.groups = append(a.groups, groupColumn{key: key, number: map[string]int32{}})
	}
	for _, v := range q.Values {
		if v.Metric == "" {
			continue
		}
		i := a.metric(v.Metric)
		if i < 0 {
			i = len(a.metrics)
			a.metrics = append(a.metrics, figures{name: v.Metric})
		}
		a.metrics[i].values = a.metrics[i].values || v.Function == driver.AggregateQuantile
	}
	return a
}

func (a *Aggregation) metric(name string) int {
	return slices.IndexFunc(a.metrics, func(f figures) bool { return f.name == name })
}

// Add takes a chunk in. More rows than were asked for are an error.
func (a *Aggregation) Add(c *Chunk) error {
	a.chosen = c.rows(a.chosen[:0], &a.q.Selection, c.search(uint64(max(a.q.Start, 0)), 0), c.search(uint64(max(a.q.End, 0)), 0))
	if err := a.place(c); err != nil {
		return err
	}
	for i := range a.metrics {
		a.metrics[i].add(c, a.chosen, a.in, len(a.rows))
	}
	return nil
}

// place finds the row of each chosen event.
func (a *Aggregation) place(c *Chunk) error {
	a.in = append(a.in[:0], make([]int32, len(a.chosen))...)
	for g := range a.groups {
		a.split(g, c)
	}
	bucket, end := a.q.Start, int64(math.MinInt64)
	var known []int32 // rows of this bucket by group, plus 1
	for k, i := range a.chosen {
		at, group := c.Events.Times[i], a.in[k]
		if a.q.Bucket > 0 && at >= end {
			bucket = at / a.q.Bucket * a.q.Bucket
			end = bucket + min(a.q.Bucket, math.MaxInt64-bucket)
			clear(known)
		}
		if int(group) >= len(known) {
			known = append(known, make([]int32, int(group)+1-len(known))...)
		}
		if known[group] == 0 {
			row, ok := a.cells[cell{bucket, group}]
			if !ok {
				if len(a.rows) == a.q.Max {
					return prism.InvalidField("bucket_ns", "makes too many rows: take longer buckets, fewer groups or a shorter range")
				}
				row = int32(len(a.rows))
				a.cells[cell{bucket, group}] = row
				a.rows = append(a.rows, cell{bucket, group})
				a.counts = append(a.counts, 0)
			}
			known[group] = row + 1
		}
		a.in[k] = known[group] - 1
		a.counts[a.in[k]]++
	}
	return nil
}

// split parts the groups that the chosen events are in by one more key.
func (a *Aggregation) split(g int, c *Chunk) {
	column := &a.groups[g]
	var from *driver.Coded
	switch column.key.Kind {
	case driver.GroupType:
		from = &c.Events.Types
	case driver.GroupSource:
		from = &c.Events.Sources
	case driver.GroupDimension:
		from = dimension(&c.Events, column.key.Name)
	}
	r := newRecoder(from)
	for code := 1; code < len(r.codes); code++ {
		r.codes[code] = uint32(column.of(from.Dictionary[code-1]))
	}
	var last groupSet
	number := int32(-1)
	for k, i := range a.chosen {
		set := groupSet{a.in[k], int32(r.codes[r.code(i)])}
		if number < 0 || set != last {
			last, number = set, a.group(set)
		}
		a.in[k] = number
	}
}

func (g *groupColumn) of(s string) int32 {
	n, ok := g.number[s]
	if !ok {
		g.values = append(g.values, s)
		n = int32(len(g.values))
		g.number[s] = n
	}
	return n
}

func (a *Aggregation) group(set groupSet) int32 {
	n, ok := a.numbers[set]
	if !ok {
		n = int32(len(a.sets))
		a.numbers[set] = n
		a.sets = append(a.sets, set)
	}
	return n
}

func (f *figures) add(c *Chunk, chosen, in []int32, rows int) {
	if n := rows - len(f.rows); n > 0 {
		f.rows = append(f.rows, make([]tally, n)...)
	}
	m := metric(&c.Events, f.name)
	if m == nil {
		return
	}
	for k, i := range chosen {
		v, ok := m.At(int(i))
		if !ok {
			continue
		}
		t := &f.rows[in[k]]
		if t.n == 0 {
			t.min, t.max = v, v
		}
		t.n++
		t.sum += v
		t.min, t.max = min(t.min, v), max(t.max, v)
		if f.values {
			t.values = append(t.values, v)
		}
	}
}

// Result is the answer. Nothing may be added after it.
func (a *Aggregation) Result() driver.Aggregates {
	answer := driver.Aggregates{Source: "raw", Rows: make([]driver.AggregateRow, len(a.rows))}
	for i := range a.metrics {
		for n := range a.metrics[i].rows {
			slices.Sort(a.metrics[i].rows[n].values)
		}
	}
	for n, at := range a.rows {
		row := driver.AggregateRow{Bucket: at.bucket, Group: a.texts(at.group), Values: make([]driver.OptionalFloat, len(a.q.Values))}
		for i, v := range a.q.Values {
			if v.Metric == "" {
				row.Values[i] = driver.OptionalFloat{Value: float64(a.counts[n]), Valid: true}
				continue
			}
			row.Values[i] = a.metrics[a.metric(v.Metric)].rows[n].figure(v)
		}
		answer.Rows[n] = row
	}
	return answer
}

// texts are the values of a group.
func (a *Aggregation) texts(group int32) []driver.OptionalText {
	if len(a.groups) == 0 {
		return nil
	}
	texts := make([]driver.OptionalText, len(a.groups))
	for g := len(a.groups) - 1; g >= 0; g-- {
		set := a.sets[group]
		if set.value > 0 {
			texts[g] = driver.OptionalText{Value: a.groups[g].values[set.value-1], Valid: true}
		}
		group = set.before
	}
	return texts
}

func (t *tally) figure(a driver.Aggregate) driver.OptionalFloat {
	if a.Function == driver.AggregateCount {
		return driver.OptionalFloat{Value: float64(t.n), Valid: true}
	}
	if t.n == 0 {
		return driver.OptionalFloat{}
	}
	f := driver.OptionalFloat{Valid: true}
	switch a.Function {
	case driver.AggregateSum:
		f.Value = t.sum
	case driver.AggregateAvg:
		f.Value = t.sum / float64(t.n)
	case driver.AggregateMin:
		f.Value = t.min
	case driver.AggregateMax:
		f.Value = t.max
	case driver.AggregateQuantile:
		f.Value = t.values[min(int64(math.Floor(a.Quantile*float64(t.n))), t.n-1)]
	}
	return f
}
