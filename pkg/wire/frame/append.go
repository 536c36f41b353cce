package frame

import (
	"bytes"
	"math"
	"sync"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/prism-data-layer/prism/pkg/prism"
)

// A Reading is part of a message that the gateway reads by hand: it may turn out
// that it cannot be read.
type Reading struct {
	size int
	bad  error
}

// SizeVT is the size of the message that was read.
func (r *Reading) SizeVT() int { return r.size }

// Spoil says why the message could not be read.
func (r *Reading) Spoil(err error) { r.bad = err }

// Spoiled is why the message could not be read, nil if it could.
func (r *Reading) Spoiled() error { return r.bad }

// An EventBatch is what one message carries of events. Rows are put into
// columns as they are read.
type EventBatch struct {
	ID             uint64
	IdempotencyKey string
	RetryID        []byte
	Columns        Columns
	Rows           bool // they came as rows
	Scattered      bool // rows that do not go into columns: there are none
}

// An AppendRequest is timeseriesv1.AppendEventsRequest as the gateway reads it.
type AppendRequest struct {
	Reading
	Namespace string
	Async     bool
	Batch     EventBatch
}

// GetNamespace is the namespace.
func (r *AppendRequest) GetNamespace() string { return r.Namespace }

// An EventsRequest is timeseriesv1.StreamEventsRequest as the gateway reads it.
type EventsRequest struct {
	Reading
	Open  *OpenEvents
	Batch *EventBatch // nil with Open: the message is neither
}

// OpenEvents is timeseriesv1.OpenStream.
type OpenEvents struct {
	Namespace string
	Async     bool
}

// Field numbers, as in timeseries.proto.
const (
	appendNamespace, appendRows, appendColumns, appendAsync = 1, 2, 3, 4
	streamOpen, streamBatch                                 = 1, 2
	openNS, openAsync                                       = 1, 2
	batchID, batchRows, batchColumns                        = 1, 2, 3
	batchRetryID, batchIdempotencyKey                       = 14, 15
	rowsEvents                                              = 1

	rowTime, rowType, rowSource, rowDimensions = 1, 2, 3, 4
	rowMetrics, rowPayload, rowID              = 5, 6, 7
)

// Reset empties r.
func (r *AppendRequest) Reset() { *r = AppendRequest{} }

// UnmarshalVT reads a message; what it keeps is its own.
func (r *AppendRequest) UnmarshalVT(data []byte) (err error) {
	r.size = len(data)
	s := scan{rest: data}
	for s.next() && err == nil {
		switch {
		case s.is(appendNamespace, protowire.BytesType):
			r.Namespace = string(s.v)
		case s.is(appendRows, protowire.BytesType):
			err = r.Batch.rows(s.v)
		case s.is(appendColumns, protowire.BytesType):
			err = r.Batch.columns(s.v)
		case s.is(appendAsync, protowire.VarintType):
			r.Async = s.n != 0
		case s.is(batchIdempotencyKey, protowire.BytesType):
			r.Batch.IdempotencyKey = string(s.v)
		}
	}
	if err == nil {
		err = s.err
	}
	return err
}

// Reset empties r.
func (r *EventsRequest) Reset() { *r = EventsRequest{} }

// UnmarshalVT reads a message; what it keeps is its own.
func (r *EventsRequest) UnmarshalVT(data []byte) (err error) {
	r.size = len(data)
	s := scan{rest: data}
	for s.next() && err == nil {
		switch {
		case s.is(streamOpen, protowire.BytesType):
			r.Open, r.Batch = &OpenEvents{}, nil // of a oneof the last one holds
			err = r.Open.read(s.v)
		case s.is(streamBatch, protowire.BytesType):
			if r.Open = nil; r.Batch == nil {
				r.Batch = &EventBatch{}
			}
			err = r.Batch.read(s.v)
		}
	}
	if err == nil {
		err = s.err
	}
	return err
}

func (o *OpenEvents) read(data []byte) error {
	s := scan{rest: data}
	for s.next() {
		switch {
		case s.is(openNS, protowire.BytesType):
			o.Namespace = string(s.v)
		case s.is(openAsync, protowire.VarintType):
			o.Async = s.n != 0
		}
	}
	return s.err
}

func (b *EventBatch) read(data []byte) (err error) {
	s := scan{rest: data}
	for s.next() && err == nil {
		switch {
		case s.is(batchID, protowire.VarintType):
			b.ID = s.n
		case s.is(batchRows, protowire.BytesType):
			err = b.rows(s.v)
		case s.is(batchColumns, protowire.BytesType):
			err = b.columns(s.v)
		case s.is(batchRetryID, protowire.BytesType):
			b.RetryID = bytes.Clone(s.v)
		case s.is(batchIdempotencyKey, protowire.BytesType):
			b.IdempotencyKey = string(s.v)
		}
	}
	if err == nil {
		err = s.err
	}
	return err
}

// columns reads EventColumns; of a oneof the last kind holds.
func (b *EventBatch) columns(data []byte) error {
	if b.Rows {
		b.Columns, b.Rows, b.Scattered = Columns{}, false, false
	}
	return b.Columns.read(data)
}

// builders are reused for their maps.
var builders = sync.Pool{New: func() any { return new(Builder) }}

// rows reads EventRows. A message that has them in two parts, which no coder
// makes, is read as if it had the last.
func (b *EventBatch) rows(data []byte) error {
	b.Columns, b.Rows = Columns{}, true
	if len(data) == 0 {
		return nil
	}
	data = bytes.Clone(data) // strings are parts of it
	to := builders.Get().(*Builder)
	defer builders.Put(to)
	s := scan{rest: data}
	for s.next() {
		if !s.is(rowsEvents, protowire.BytesType) || to.Len() > prism.MaxEvents {
			continue
		}
		if err := to.read(s.v); err != nil {
			to.Reset()
			return err
		}
	}
	if s.err != nil {
		to.Reset()
		return s.err
	}
	columns, ok := to.Columns()
	b.Columns, b.Scattered = columns, !ok
	return nil
}

// read reads an Event, which becomes a part of data.
func (b *Builder) read(data []byte) (err error) {
	b.Event(0)
	at := b.Len() - 1
	s := scan{rest: data}
	for s.next() && err == nil {
		switch {
		case s.is(rowTime, protowire.VarintType):
			b.c.Times[at] = int64(s.n)
		case s.typ != protowire.BytesType:
		case s.num == rowType:
			b.Type(text(s.v))
		case s.num == rowSource:
			b.Source(text(s.v))
		case s.num == rowDimensions:
			err = b.dimensionEntry(s.v)
		case s.num == rowMetrics:
			err = b.metricEntry(s.v)
		case s.num == rowPayload:
			b.Payload(s.v)
		case s.num == rowID:
			b.ID(s.v)
		}
	}
	if err == nil {
		err = s.err
	}
	return err
}

func (b *Builder) dimensionEntry(data []byte) error {
	var name, value string
	s := scan{rest: data}
	for s.next() {
		switch {
		case s.is(entryKey, protowire.BytesType):
			name = text(s.v)
		case s.is(entryValue, protowire.BytesType):
			value = text(s.v)
		}
	}
	if s.err == nil {
		b.Dimension(name, value)
	}
	return s.err
}

func (b *Builder) metricEntry(data []byte) error {
	var name string
	var value float64
	s := scan{rest: data}
	for s.next() {
		switch {
		case s.is(entryKey, protowire.BytesType):
			name = text(s.v)
		case s.is(entryValue, protowire.Fixed64Type):
			value = math.Float64frombits(s.n)
		}
	}
	if s.err == nil {
		b.Metric(name, value)
	}
	return s.err
}
