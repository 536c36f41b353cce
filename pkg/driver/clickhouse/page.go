package clickhouse

import (
	chdriver "github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	"github.com/prism-data-layer/prism/pkg/driver"
)

// A row is one event as the server gives it.
type row struct {
	layout  *layout
	columns []string // what is selected
	into    []any    // where it goes

	time              int64
	seq, missing      uint64
	eventType, source string
	payload, id       string
	dimensions        []string // the declared ones
	metrics           []float64
	dimensionNames    []string
	dimensionValues   []string
	metricNames       []string
	metricValues      []float64
}

func (r *row) prepare(l *layout) {
	if r.layout != nil {
		return
	}
	r.layout = l
	r.dimensions, r.metrics = make([]string, len(l.dimensions)), make([]float64, len(l.metrics))
	r.columns = []string{l.nanoseconds(), "seq", "type", "source", "payload", "id"}
	r.into = []any{&r.time, &r.seq, &r.eventType, &r.source, &r.payload, &r.id}
	if l.declared() > 0 {
		r.columns, r.into = append(r.columns, "toUInt64(missing)"), append(r.into, &r.missing)
	}
	for i, d := range l.dimensions {
		r.columns, r.into = append(r.columns, quoted(dimensionPrefix+columnName(d))), append(r.into, &r.dimensions[i])
	}
	for i, m := range l.metrics {
		r.columns, r.into = append(r.columns, quoted(metricPrefix+columnName(m))), append(r.into, &r.metrics[i])
	}
	switch l.kind {
	case layoutMap:
		r.columns = append(r.columns, "mapKeys(dimensions)", "mapValues(dimensions)", "mapKeys(metrics)", "mapValues(metrics)")
	case layoutArrays:
		r.columns = append(r.columns, colDimensions+ofNames, colDimensions+ofValues, colMetrics+ofNames, colMetrics+ofValues)
	default:
		return
	}
	r.into = append(r.into, &r.dimensionNames, &r.dimensionValues, &r.metricNames, &r.metricValues)
}

func (r *row) scan(rows chdriver.Rows) error { return rows.Scan(r.into...) }

// lacks reports a bit of column missing.
func (r *row) lacks(n int) bool { return r.missing>>n&1 == 1 }

// A page is events becoming columns.
type page struct {
	events              driver.EventBatch
	types, sources      map[string]uint32
	dimensions, metrics map[string]int
	words               []map[string]uint32 // of each dimension
}

func (p *page) add(r *row) {
	e := &p.events
	e.Times = append(e.Times, r.time)
	code(&e.Types, &p.types, r.eventType, r.eventType != "")
	code(&e.Sources, &p.sources, r.source, r.source != "")
	blob(&e.Payloads, r.payload)
	blob(&e.IDs, r.id)
	n := 0
	for i, d := range r.layout.dimensions {
		if !r.lacks(n) {
			p.dimension(d, r.dimensions[i])
		}
		n++
	}
	for i, m := range r.layout.metrics {
		if !r.lacks(n) {
			p.metric(m, r.metrics[i])
		}
		n++
	}
	for i, d := range r.dimensionNames {
		p.dimension(d, r.dimensionValues[i])
	}
	for i, m := range r.metricNames {
		p.metric(m, r.metricValues[i])
	}
}

// code appends a string, or that there is none.
func code(to *driver.Coded, known *map[string]uint32, s string, ok bool) {
	if !ok {
		to.Codes = append(to.Codes, 0)
		return
	}
	if *known == nil {
		*known = map[string]uint32{}
	}
	c := (*known)[s]
	if c == 0 {
		to.Dictionary = append(to.Dictionary, s)
		c = uint32(len(to.Dictionary))
		(*known)[s] = c
	}
	to.Codes = append(to.Codes, c)
}

func blob(to *driver.Blobs, s string) {
	to.Data = append(to.Data, s...)
	to.Ends = append(to.Ends, uint32(len(to.Data)))
}

// dimension is of the last event.
func (p *page) dimension(name, value string) {
	i, ok := p.dimensions[name]
	if !ok {
		if p.dimensions == nil {
			p.dimensions = map[string]int{}
		}
		i = len(p.events.Dimensions)
		p.dimensions[name] = i
		p.events.Dimensions = append(p.events.Dimensions, driver.Dimension{Name: name})
		p.words = append(p.words, nil)
	}
	d := &p.events.Dimensions[i]
	d.Values.Codes = padded(d.Values.Codes, len(p.events.Times)-1)
	code(&d.Values, &p.words[i], value, true)
}

// metric is of the last event.
func (p *page) metric(name string, value float64) {
	i, ok := p.metrics[name]
	if !ok {
		if p.metrics == nil {
			p.metrics = map[string]int{}
		}
		i = len(p.events.Metrics)
		p.metrics[name] = i
		p.events.Metrics = append(p.events.Metrics, driver.Metric{Name: name, Present: []byte{}})
	}
	m := &p.events.Metrics[i]
	at := len(p.events.Times) - 1
	m.Values = append(padded(m.Values, at), value)
	m.Present = padded(m.Present, at>>3+1)
	m.Present[at>>3] |= 1 << (at & 7)
}

// padded has n entries at least, zeros where there were none.
func padded[T any](list []T, n int) []T {
	if n <= len(list) {
		return list
	}
	return append(list, make([]T, n-len(list))...)
}

// finish gives every column its length.
func (p *page) finish() driver.EventBatch {
	n := len(p.events.Times)
	for i := range p.events.Dimensions {
		v := &p.events.Dimensions[i].Values
		v.Codes = padded(v.Codes, n)
	}
	for i := range p.events.Metrics {
		m := &p.events.Metrics[i]
		m.Values, m.Present = padded(m.Values, n), padded(m.Present, (n+7)>>3)
	}
	return p.events
}
