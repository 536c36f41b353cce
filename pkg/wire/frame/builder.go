package frame

import "github.com/prism-data-layer/prism/pkg/prism"

// A Builder puts events into columns, one after the other: Event begins one,
// the others say what it has. Names and values are kept as they are given.
type Builder struct {
	c              Columns
	types, sources codes
	dimensions     []codes
	metrics        []int // of each, how many events have it
	dimension      names
	metric         names
	text           int // bytes of strings and blobs
	gaps           int // bytes that stand for what events do not have
	tooWide        bool
}

// MaxGaps bounds the bytes of columns that stand for what events do not have:
// many events that share no names would take memory out of all proportion.
const MaxGaps = 32 << 20

// columnBytes is what a column takes before anything is in it.
const columnBytes = 256

// keptCodes is how large a map may be to be kept: emptying a larger one takes
// longer than making one.
const keptCodes = 1 << 12

// codes are those of one column's strings.
type codes struct {
	of   map[string]uint32
	last string
	code uint32 // of last; 0: there is none
}

// names are the columns of one kind. Events mostly have the names of the one
// before, in its order.
type names struct {
	list []string
	of   map[string]int
	next int
}

// find is the column of a name, -1 if there is none.
func (n *names) find(name string) int {
	if n.next < len(n.list) && n.list[n.next] == name {
		n.next++
		return n.next - 1
	}
	i, ok := n.of[name]
	if !ok {
		return -1
	}
	n.next = i + 1
	return i
}

func (n *names) add(name string) {
	if n.of == nil {
		n.of = map[string]int{}
	}
	n.of[name] = len(n.list)
	n.list = append(n.list, name)
	n.next = len(n.list)
}

func (n *names) reset() {
	clear(n.of)
	clear(n.list)
	n.list, n.next = n.list[:0], 0
}

// Len is the number of events.
func (b *Builder) Len() int { return len(b.c.Times) }

// Bytes is about how large a message of the events would be, and not less.
func (b *Builder) Bytes() int {
	return len(b.c.Times)*(8+3*(2+len(b.c.Dimensions))+9*len(b.c.Metrics)) + b.text
}

// Full reports whether one more event might have more names than a batch may.
func (b *Builder) Full() bool {
	return len(b.c.Dimensions) > prism.MaxColumns-prism.MaxAttributes || len(b.c.Metrics) > prism.MaxColumns-prism.MaxMetrics
}

// Event begins an event.
func (b *Builder) Event(time int64) {
	b.c.Times = append(b.c.Times, time)
	b.dimension.next, b.metric.next = 0, 0
}

// Type is the event's type.
func (b *Builder) Type(s string) { b.put(&b.c.Types, &b.types, s) }

// Source is where the event is from.
func (b *Builder) Source(s string) { b.put(&b.c.Sources, &b.sources, s) }

// Dimension gives the event a dimension.
func (b *Builder) Dimension(name, value string) {
	i := b.dimension.find(name)
	if i < 0 {
		if !b.gap(columnBytes) {
			return
		}
		i = len(b.c.Dimensions)
		b.dimension.add(name)
		b.text += len(name) + 16
		b.c.Dimensions = append(b.c.Dimensions, Dimension{Name: name})
		if i == len(b.dimensions) {
			b.dimensions = append(b.dimensions, codes{})
		}
	}
	b.put(&b.c.Dimensions[i].Values, &b.dimensions[i], value)
}

// Metric gives the event a number.
func (b *Builder) Metric(name string, value float64) {
	i := b.metric.find(name)
	if i < 0 {
		if !b.gap(columnBytes) {
			return
		}
		i = len(b.c.Metrics)
		b.metric.add(name)
		b.text += len(name) + 16
		b.c.Metrics = append(b.c.Metrics, Metric{Name: name})
		b.metrics = append(b.metrics, 0)
	}
	m, at := &b.c.Metrics[i], len(b.c.Times)-1
	if len(m.Values) > at { // a second time
		m.Values[at] = value
		return
	}
	if !b.gap(8 * (at - len(m.Values))) {
		return
	}
	m.Values = append(grown(m.Values, at), value)
	if b.metrics[i]++; b.metrics[i] <= at { // not all have it
		m.Present = presence(m.Present, b.metrics[i]-1, at)
	}
}

// presence is a column of bits, in which event at has one. Before the first gap
// there is none: then the first had events all have one.
func presence(bits []byte, had, at int) []byte {
	if bits == nil {
		bits = make([]byte, 0, at/8+64)
		for i := range had {
			bits = grown(bits, i>>3+1)
			bits[i>>3] |= 1 << (i & 7)
		}
	}
	bits = grown(bits, at>>3+1)
	bits[at>>3] |= 1 << (at & 7)
	return bits
}

// Payload is the event's payload.
func (b *Builder) Payload(v []byte) {
	b.text += len(v) + 3
	b.c.Payloads.put(len(b.c.Times)-1, v)
}

// ID is the event's id.
func (b *Builder) ID(v []byte) {
	b.text += len(v) + 3
	b.c.IDs.put(len(b.c.Times)-1, v)
}

func (b *Blobs) put(at int, v []byte) {
	if len(b.Ends) > at { // a second time
		b.Ends = b.Ends[:at]
		b.Data = b.Data[:b.end()]
	}
	b.pad(at)
	b.Data = append(b.Data, v...)
	b.Ends = append(b.Ends, uint32(len(b.Data)))
}

func (b *Blobs) end() uint32 {
	if len(b.Ends) == 0 {
		return 0
	}
	return b.Ends[len(b.Ends)-1]
}

func (b *Blobs) pad(n int) {
	for end := b.end(); len(b.Ends) < n; {
		b.Ends = append(b.Ends, end)
	}
}

// put gives the last event a string.
func (b *Builder) put(c *Coded, k *codes, s string) {
	if k.code == 0 || k.last != s {
		code, known := k.of[s]
		if !known {
			if k.of == nil {
				k.of = map[string]uint32{}
			}
			c.Dictionary = append(c.Dictionary, s)
			b.text += len(s) + 3
			code = uint32(len(c.Dictionary))
			k.of[s] = code
		}
		k.last, k.code = s, code
	}
	at := len(b.c.Times) - 1
	if len(c.Codes) > at { // a second time
		c.Codes[at] = k.code
		return
	}
	if b.gap(4 * (at - len(c.Codes))) {
		c.Codes = append(grown(c.Codes, at), k.code)
	}
}

// gap reports whether there is room for so many more bytes of gaps.
func (b *Builder) gap(n int) bool {
	b.gaps += n
	b.tooWide = b.tooWide || b.gaps > MaxGaps
	return !b.tooWide
}

// grown is list with zeros up to n entries.
func grown[T any](list []T, n int) []T {
	if len(list) >= n {
		return list
	}
	return append(list, make([]T, n-len(list))...)
}

// Columns gives the events so far and begins anew. It is false if they have so
// little in common that they do not go into columns.
func (b *Builder) Columns() (Columns, bool) {
	n := len(b.c.Times)
	b.finish(n)
	c, ok := b.c, !b.tooWide
	b.Reset()
	if !ok {
		return Columns{}, false
	}
	return c, true
}

// finish gives every column as many entries as there are events.
func (b *Builder) finish(n int) {
	for i := range b.c.Dimensions {
		b.gap(4 * (n - len(b.c.Dimensions[i].Values.Codes)))
	}
	for i := range b.c.Metrics {
		b.gap(8 * (n - len(b.c.Metrics[i].Values)))
	}
	if b.tooWide {
		return
	}
	b.c.Types.pad(n)
	b.c.Sources.pad(n)
	for i := range b.c.Dimensions {
		b.c.Dimensions[i].Values.pad(n)
	}
	for i := range b.c.Metrics {
		m := &b.c.Metrics[i]
		if had := b.metrics[i]; had < n && m.Present == nil {
			m.Present = presence(nil, had, had-1)
		}
		m.Values = grown(m.Values, n)
		if m.Present != nil {
			m.Present = grown(m.Present, (n+7)/8)
		}
	}
	for _, blobs := range []*Blobs{&b.c.Payloads, &b.c.IDs} {
		if len(blobs.Data) == 0 {
			*blobs = Blobs{}
		}
		if len(blobs.Ends) > 0 {
			blobs.pad(n)
		}
	}
}

func (c *Coded) pad(n int) {
	if len(c.Dictionary) > 0 {
		c.Codes = grown(c.Codes, n)
	}
}

// Reset begins anew. What was given out is not touched again; the room for
// looking strings up is kept.
func (b *Builder) Reset() {
	b.c = Columns{}
	b.types.reset()
	b.sources.reset()
	for i := range b.dimensions {
		b.dimensions[i].reset()
	}
	b.metrics = b.metrics[:0]
	b.dimension.reset()
	b.metric.reset()
	b.text, b.gaps, b.tooWide = 0, 0, false
}

func (k *codes) reset() {
	if len(k.of) > keptCodes {
		k.of = nil
	}
	clear(k.of)
	k.last, k.code = "", 0
}
