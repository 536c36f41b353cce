package timeseries

import (
	"fmt"
	"math/bits"
	"unicode/utf8"

	"github.com/prism-data-layer/prism/pkg/driver"
	"github.com/prism-data-layer/prism/pkg/prism"
)

// refused are the events of a batch that must not reach the store.
type refused struct {
	marks   []uint64 // a bit for each event; nil: none is
	count   int
	untidy  bool // there are strings and names that no store should see
	n       int
	horizon int64
}

func (r *refused) mark(i int) {
	if r.marks == nil {
		r.marks = make([]uint64, (r.n+63)/64)
	}
	r.marks[i/64] |= 1 << (i % 64)
}

func (r *refused) has(i int) bool { return r.marks != nil && r.marks[i/64]&(1<<(i%64)) != 0 }

// check finds the events that are refused one by one; what is wrong with the
// batch as a whole is an error. It goes over every column once, and what it
// leaves fits the drivers' contract once the refused events are gone.
func check(b *Batch, rows bool, horizon int64) (*refused, error) {
	if err := fits(b, rows); err != nil {
		return nil, err
	}
	r := &refused{n: b.Len(), horizon: horizon}
	for i, t := range b.Times {
		if t < horizon || t > prism.MaxEventTime {
			r.mark(i)
		}
	}
	r.coded(&b.Types, typeRule, false)
	emptyIsNone(&b.Sources)
	r.coded(&b.Sources, sourceRule, true)
	for i := range b.Dimensions {
		d := &b.Dimensions[i]
		if nameRule(d.Name) != "" {
			r.untidy = true
			r.having(func(i int) bool { _, ok := d.Values.At(i); return ok })
		}
		r.coded(&d.Values, valueRule, true)
	}
	for i := range b.Metrics {
		r.metric(&b.Metrics[i])
	}
	r.blobs(&b.Payloads, payloadRule)
	r.blobs(&b.IDs, idRule)
	r.crowded(b)
	for _, m := range r.marks {
		r.count += bits.OnesCount64(m)
	}
	return r, nil
}

// fits says why the columns are no batch.
func fits(b *Batch, rows bool) error {
	n := b.Len()
	e := prism.New(prism.ReasonInvalidArgument, "")
	wrong := func(bad bool, field, format string, args ...any) {
		if bad {
			e.WithField(field, fmt.Sprintf(format, args...))
		}
	}
	wrong(n == 0, "events", "must have at least one")
	wrong(n > prism.MaxEvents, "events", "must be at most %d", prism.MaxEvents)
	wrong(!rows && len(b.Dimensions) > prism.MaxColumns, "columns.dimensions", "must be at most %d columns", prism.MaxColumns)
	wrong(!rows && len(b.Metrics) > prism.MaxColumns, "columns.metrics", "must be at most %d columns", prism.MaxColumns)
	if len(e.Fields) == 0 {
		codedFits(&b.Types, n, "columns.event_type", wrong)
		codedFits(&b.Sources, n, "columns.source", wrong)
		names := make(map[string]bool, len(b.Dimensions))
		for i := range b.Dimensions {
			d, field := &b.Dimensions[i], fmt.Sprintf("columns.dimensions[%d]", i)
			wrong(names[d.Name], field+".name", "is there twice")
			names[d.Name] = true
			codedFits(&d.Values, n, field+".values", wrong)
		}
		clear(names)
		for i := range b.Metrics {
			m, field := &b.Metrics[i], fmt.Sprintf("columns.metrics[%d]", i)
			wrong(names[m.Name], field+".name", "is there twice")
			names[m.Name] = true
			wrong(len(m.Values) != n, field+".values", "must be %d, one for each time_ns, not %d", n, len(m.Values))
			if len(m.Present) == 0 {
				m.Present = nil
			}
			wrong(m.Present != nil && len(m.Present) != (n+7)/8, field+".present", "must be %d bytes or none, not %d", (n+7)/8, len(m.Present))
		}
		blobsFit(&b.Payloads, n, "columns.payload", wrong)
		blobsFit(&b.IDs, n, "columns.event_id", wrong)
	}
	if len(e.Fields) == 0 {
		return nil
	}
	e.Message = e.Fields[0].Field + " " + e.Fields[0].Message
	return e
}

// codedFits also makes no codes of an empty list: they are all the same then.
func codedFits(c *Coded, n int, field string, wrong func(bad bool, field, format string, args ...any)) {
	if len(c.Codes) == 0 {
		c.Codes = nil
		return
	}
	wrong(len(c.Codes) != n, field+".codes", "must be %d, one for each time_ns, or none, not %d", n, len(c.Codes))
	most := uint32(0)
	for _, code := range c.Codes {
		most = max(most, code)
	}
	wrong(int64(most) > int64(len(c.Dictionary)), field+".codes", "must be at most %d, the length of the dictionary", len(c.Dictionary))
}

func blobsFit(b *Blobs, n int, field string, wrong func(bad bool, field, format string, args ...any)) {
	if len(b.Ends) == 0 {
		b.Ends = nil
		wrong(len(b.Data) > 0, field+".lengths", "must be there with data")
		return
	}
	wrong(len(b.Ends) != n, field+".lengths", "must be %d, one for each time_ns, or none, not %d", n, len(b.Ends))
	last, back := uint32(0), false
	for _, end := range b.Ends {
		back = back || end < last
		last = end
	}
	wrong(back || int64(last) != int64(len(b.Data)), field+".lengths", "must add up to the %d bytes of data", len(b.Data))
}

// The rules of single values: what they should have been, or nothing.

func typeRule(s string) string {
	switch {
	case s == "":
		return "must not be empty"
	case len(s) > prism.MaxEventTypeBytes:
		return "must be at most 256 bytes"
	case !utf8.ValidString(s):
		return "must be valid UTF-8"
	}
	return ""
}

func sourceRule(s string) string {
	if s == "" {
		return ""
	}
	return typeRule(s)
}

func nameRule(s string) string {
	switch {
	case s == "" || len(s) > prism.MaxAttributeNameBytes:
		return "must have names of 1 to 128 bytes"
	case !utf8.ValidString(s):
		return "must have names of valid UTF-8"
	}
	return ""
}

func valueRule(s string) string {
	switch {
	case len(s) > prism.MaxAttributeBytes:
		return "must have values of at most 1024 bytes"
	case !utf8.ValidString(s):
		return "must have values of valid UTF-8"
	}
	return ""
}

func payloadRule(b []byte) string {
	if len(b) > prism.MaxValueBytes {
		return "must be at most 1 MiB"
	}
	return ""
}

func idRule(b []byte) string {
	switch {
	case len(b) > prism.MaxEventIDBytes:
		return "must be at most 128 bytes"
	case !utf8.Valid(b):
		return "must be valid UTF-8"
	}
	return ""
}

// coded looks at each string of a column once; those that are wrong go, with
// their events.
func (r *refused) coded(c *Coded, rule func(string) string, optional bool) {
	var wrong []bool // by code
	for i, s := range c.Dictionary {
		if rule(s) == "" {
			continue
		}
		if wrong == nil {
			wrong, r.untidy = make([]bool, len(c.Dictionary)+1), true
		}
		wrong[i+1] = true
	}
	switch {
	case c.Codes == nil && (len(c.Dictionary) == 0 && !optional || len(wrong) > 1 && wrong[1]):
		r.having(func(int) bool { return true })
	case c.Codes != nil && (wrong != nil || !optional):
		for i, code := range c.Codes {
			if code == 0 && !optional || wrong != nil && wrong[code] {
				r.mark(i)
			}
		}
	}
}

// emptyIsNone takes an empty string for none: on the wire they are the same.
func emptyIsNone(c *Coded) {
	for i, s := range c.Dictionary {
		switch {
		case s != "":
		case c.Codes != nil:
			for j, code := range c.Codes {
				if code == uint32(i+1) {
					c.Codes[j] = 0
				}
			}
		case i == 0:
			c.Dictionary = nil
			return
		}
	}
}

// having refuses the events for which f holds.
func (r *refused) having(f func(i int) bool) {
	for i := range r.n {
		if f(i) {
			r.mark(i)
		}
	}
}

func (r *refused) metric(m *Metric) {
	name := nameRule(m.Name) != ""
	r.untidy = r.untidy || name
	for i, v := range m.Values {
		finite := v-v == 0
		if finite && !name {
			continue
		}
		if _, has := m.At(i); has {
			r.mark(i)
		} else if !finite {
			m.Values[i] = 0 // it does not count, and no store need look at it
		}
	}
}

func (r *refused) blobs(b *Blobs, rule func([]byte) string) {
	for i := range b.Ends {
		if rule(b.At(i)) != "" {
			r.mark(i)
		}
	}
}

// crowded refuses events with too many dimensions or metrics.
func (r *refused) crowded(b *Batch) {
	if len(b.Dimensions) <= prism.MaxAttributes && len(b.Metrics) <= prism.MaxMetrics {
		return
	}
	r.having(func(i int) bool { d, m := counts(b, i); return d > prism.MaxAttributes || m > prism.MaxMetrics })
}

// counts is how many dimensions and metrics an event has.
func counts(b *Batch, i int) (dimensions, metrics int) {
	for k := range b.Dimensions {
		if _, has := b.Dimensions[k].Values.At(i); has {
			dimensions++
		}
	}
	for k := range b.Metrics {
		if _, has := b.Metrics[k].At(i); has {
			metrics++
		}
	}
	return dimensions, metrics
}

// list tells of the first refused events everything that is wrong.
func (r *refused) list(b *Batch) (list []Rejection) {
	for i := 0; i < r.n && len(list) < MaxRejections; i++ {
		if r.has(i) {
			list = append(list, Rejection{Index: i, Err: r.why(b, i)})
		}
	}
	return list
}

// why is everything that is wrong with an event.
func (r *refused) why(b *Batch, i int) *prism.Error {
	e := prism.New(prism.ReasonInvalidArgument, "")
	wrong := func(field, text string) {
		if text != "" {
			e.WithField(field, text)
		}
	}
	wrong("time_ns", r.timeRule(b.Times[i]))
	s, _ := b.Types.At(i)
	wrong("event_type", typeRule(s))
	s, _ = b.Sources.At(i)
	wrong("source", sourceRule(s))
	dimensions, metrics := counts(b, i)
	if dimensions > prism.MaxAttributes {
		wrong("dimensions", "must be at most 64")
	}
	wrong("dimensions", firstWrong(b.Dimensions, func(d *Dimension) string {
		v, has := d.Values.At(i)
		if !has {
			return ""
		}
		if text := nameRule(d.Name); text != "" {
			return text
		}
		return valueRule(v)
	}))
	if metrics > prism.MaxMetrics {
		wrong("metrics", "must be at most 256")
	}
	wrong("metrics", firstWrong(b.Metrics, func(m *Metric) string {
		v, has := m.At(i)
		if !has {
			return ""
		}
		if text := nameRule(m.Name); text != "" || v-v == 0 {
			return text
		}
		return fmt.Sprintf("must be finite numbers: %q is not", m.Name)
	}))
	wrong("payload", payloadRule(b.Payloads.At(i)))
	wrong("event_id", idRule(b.IDs.At(i)))
	e.Message = e.Fields[0].Field + " " + e.Fields[0].Message
	return e
}

func (r *refused) timeRule(t int64) string {
	switch {
	case t < 1:
		return "must be at least 1"
	case t > prism.MaxEventTime:
		return "must be before the year 2262"
	case t < r.horizon:
		return "must not be older than the namespace's retention"
	}
	return ""
}

// firstWrong is the first of the texts.
func firstWrong[T driver.Dimension | driver.Metric](list []T, rule func(*T) string) string {
	for k := range list {
		if text := rule(&list[k]); text != "" {
			return text
		}
	}
	return ""
}
