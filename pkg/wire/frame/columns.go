package frame

import (
	"bytes"
	"math"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/prism-data-layer/prism/pkg/prism"
	timeseriesv1 "github.com/prism-data-layer/prism/proto/prism/timeseries/v1"
)

// Columns is timeseriesv1.EventColumns: slices that go on to a store as they
// are. Whether they fit together is not looked at here.
type Columns struct {
	Times      []int64
	Types      Coded
	Sources    Coded
	Dimensions []Dimension
	Metrics    []Metric
	Payloads   Blobs
	IDs        Blobs
}

// Coded is CodedColumn.
type Coded struct {
	Dictionary []string
	Codes      []uint32
}

// A Dimension is DimensionColumn.
type Dimension struct {
	Name   string
	Values Coded
}

// A Metric is MetricColumn.
type Metric struct {
	Name    string
	Values  []float64
	Present []byte
}

// Blobs is BlobColumn with ends in place of lengths; one beyond 32 bits stays at
// the largest number.
type Blobs struct {
	Ends []uint32
	Data []byte
}

// Field numbers, as in timeseries.proto.
const (
	columnsTimes, columnsTypes, columnsSources, columnsDimensions = 1, 2, 3, 4
	columnsMetrics, columnsPayloads, columnsIDs                   = 5, 6, 7
	codedDictionary, codedCodes                                   = 1, 2
	dimensionName, dimensionValues                                = 1, 2
	metricName, metricValues, metricPresent                       = 1, 2, 3
	blobLengths, blobData                                         = 1, 2
)

// More columns than these are refused: one more is kept to tell.
const mostColumns = prism.MaxColumns + 1

// read reads a message; what it keeps is its own.
func (c *Columns) read(data []byte) (err error) {
	for s := (scan{rest: data}); ; {
		if !s.next() {
			return s.err
		}
		switch {
		case s.is(columnsTimes, protowire.Fixed64Type):
			c.Times = append(c.Times, int64(s.n))
		case s.typ != protowire.BytesType:
		case s.num == columnsTimes:
			c.Times, err = numbers64(c.Times, s.v, func(n uint64) int64 { return int64(n) })
		case s.num == columnsTypes:
			err = c.Types.read(s.v)
		case s.num == columnsSources:
			err = c.Sources.read(s.v)
		case s.num == columnsDimensions && len(c.Dimensions) < mostColumns:
			c.Dimensions = append(c.Dimensions, Dimension{})
			err = c.Dimensions[len(c.Dimensions)-1].read(s.v)
		case s.num == columnsMetrics && len(c.Metrics) < mostColumns:
			c.Metrics = append(c.Metrics, Metric{})
			err = c.Metrics[len(c.Metrics)-1].read(s.v)
		case s.num == columnsPayloads:
			err = c.Payloads.read(s.v)
		case s.num == columnsIDs:
			err = c.IDs.read(s.v)
		}
		if err != nil {
			return err
		}
	}
}

func (c *Coded) read(data []byte) error {
	size, n := 0, 0
	for s := (scan{rest: data}); s.next(); {
		if s.is(codedDictionary, protowire.BytesType) {
			size, n = size+len(s.v), n+1
		}
	}
	own := make([]byte, 0, size) // one copy of all strings, which are parts of it
	if c.Dictionary == nil && n > 0 {
		c.Dictionary = make([]string, 0, n)
	}
	s := scan{rest: data}
	for s.next() {
		switch {
		case s.is(codedDictionary, protowire.BytesType):
			own = append(own, s.v...)
			c.Dictionary = append(c.Dictionary, text(own[len(own)-len(s.v):]))
		case s.is(codedCodes, protowire.VarintType):
			c.Codes = append(c.Codes, uint32(s.n))
		case s.is(codedCodes, protowire.BytesType):
			var err error
			if c.Codes, err = numbers32(c.Codes, s.v); err != nil {
				return err
			}
		}
	}
	return s.err
}

func (d *Dimension) read(data []byte) error {
	s := scan{rest: data}
	for s.next() {
		switch {
		case s.is(dimensionName, protowire.BytesType):
			d.Name = string(s.v)
		case s.is(dimensionValues, protowire.BytesType):
			if err := d.Values.read(s.v); err != nil {
				return err
			}
		}
	}
	return s.err
}

func (m *Metric) read(data []byte) (err error) {
	s := scan{rest: data}
	for s.next() {
		switch {
		case s.is(metricName, protowire.BytesType):
			m.Name = string(s.v)
		case s.is(metricValues, protowire.Fixed64Type):
			m.Values = append(m.Values, math.Float64frombits(s.n))
		case s.is(metricValues, protowire.BytesType):
			if m.Values, err = numbers64(m.Values, s.v, math.Float64frombits); err != nil {
				return err
			}
		case s.is(metricPresent, protowire.BytesType):
			m.Present = bytes.Clone(s.v)
		}
	}
	return s.err
}

func (b *Blobs) read(data []byte) error {
	s := scan{rest: data}
	for s.next() {
		switch {
		case s.is(blobLengths, protowire.VarintType):
			b.Ends = append(b.Ends, uint32(s.n))
			b.sum(len(b.Ends) - 1)
		case s.is(blobLengths, protowire.BytesType):
			from := len(b.Ends)
			var err error
			if b.Ends, err = numbers32(b.Ends, s.v); err != nil {
				return err
			}
			b.sum(from)
		case s.is(blobData, protowire.BytesType):
			b.Data = bytes.Clone(s.v)
		}
	}
	return s.err
}

// sum makes ends of the lengths that stand from there on.
func (b *Blobs) sum(from int) {
	end := uint64(0)
	if from > 0 {
		end = uint64(b.Ends[from-1])
	}
	for i := from; i < len(b.Ends); i++ {
		end = min(end+uint64(b.Ends[i]), math.MaxUint32)
		b.Ends[i] = uint32(end)
	}
}

// Proto is the message, which shares its slices.
func (c *Columns) Proto() *timeseriesv1.EventColumns {
	m := &timeseriesv1.EventColumns{
		TimeNs: c.Times, EventType: c.Types.proto(), Source: c.Sources.proto(),
		Dimensions: make([]*timeseriesv1.DimensionColumn, len(c.Dimensions)), Metrics: make([]*timeseriesv1.MetricColumn, len(c.Metrics)),
		Payload: c.Payloads.proto(), EventId: c.IDs.proto(),
	}
	for i := range c.Dimensions {
		d := &c.Dimensions[i]
		m.Dimensions[i] = &timeseriesv1.DimensionColumn{Name: d.Name, Values: d.Values.proto()}
	}
	for i := range c.Metrics {
		x := &c.Metrics[i]
		m.Metrics[i] = &timeseriesv1.MetricColumn{Name: x.Name, Values: x.Values, Present: x.Present}
	}
	return m
}

func (c *Coded) proto() *timeseriesv1.CodedColumn {
	if len(c.Dictionary) == 0 {
		return nil
	}
	return &timeseriesv1.CodedColumn{Dictionary: c.Dictionary, Codes: c.Codes}
}

func (b *Blobs) proto() *timeseriesv1.BlobColumn {
	if len(b.Ends) == 0 {
		return nil
	}
	lengths, from := make([]uint32, len(b.Ends)), uint32(0)
	for i, end := range b.Ends {
		lengths[i], from = end-from, end
	}
	return &timeseriesv1.BlobColumn{Lengths: lengths, Data: b.Data}
}
