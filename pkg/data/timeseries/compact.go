package timeseries

import (
	"slices"

	"github.com/prism-data-layer/prism/pkg/driver"
)

// compact leaves the refused events out, in place. Columns whose name is wrong
// and strings that are no longer used go too.
func compact(b *Batch, r *refused) {
	n := r.n - r.count
	b.Types = compactCoded(b.Types, r, typeRule)
	b.Sources = compactCoded(b.Sources, r, sourceRule)
	b.Dimensions = slices.DeleteFunc(b.Dimensions, func(d driver.Dimension) bool { return nameRule(d.Name) != "" })
	for i := range b.Dimensions {
		b.Dimensions[i].Values = compactCoded(b.Dimensions[i].Values, r, valueRule)
	}
	b.Metrics = slices.DeleteFunc(b.Metrics, func(m driver.Metric) bool { return nameRule(m.Name) != "" })
	for i := range b.Metrics {
		m := &b.Metrics[i]
		m.Present = compactBits(m.Present, r, n)
		m.Values = keep(m.Values, r)
	}
	b.Payloads, b.IDs = compactBlobs(b.Payloads, r), compactBlobs(b.IDs, r)
	b.Times = keep(b.Times, r)
}

// keep leaves the entries of refused events out.
func keep[T any](list []T, r *refused) []T {
	to := 0
	for i := range list {
		if !r.has(i) {
			list[to] = list[i]
			to++
		}
	}
	return list[:to]
}

// compactCoded empties strings that only refused events can have had.
func compactCoded(c Coded, r *refused, rule func(string) string) Coded {
	for i, s := range c.Dictionary {
		if rule(s) != "" {
			c.Dictionary[i] = ""
		}
	}
	if c.Codes != nil {
		c.Codes = keep(c.Codes, r)
	}
	return c
}

func compactBits(bits []byte, r *refused, n int) []byte {
	if bits == nil {
		return nil
	}
	to := 0
	for i := range r.n {
		if r.has(i) {
			continue
		}
		bit := bits[i>>3] >> (i & 7) & 1 // read before it is written over: to <= i
		bits[to>>3] = bits[to>>3]&^(1<<(to&7)) | bit<<(to&7)
		to++
	}
	return bits[:(n+7)/8]
}

func compactBlobs(b Blobs, r *refused) Blobs {
	if len(b.Ends) == 0 {
		return b
	}
	end, to, from := uint32(0), 0, uint32(0)
	for i, until := range b.Ends {
		if !r.has(i) {
			end += uint32(copy(b.Data[end:], b.Data[from:until]))
			b.Ends[to] = end
			to++
		}
		from = until
	}
	return Blobs{Ends: b.Ends[:to], Data: b.Data[:end]}
}
