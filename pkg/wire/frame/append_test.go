package frame_test

import (
	"fmt"
	"math"
	"reflect"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/prism-data-layer/prism/pkg/prism"
	"github.com/prism-data-layer/prism/pkg/wire/frame"
	timeseriesv1 "github.com/prism-data-layer/prism/proto/prism/timeseries/v1"
)

func someColumns() *timeseriesv1.EventColumns {
	return &timeseriesv1.EventColumns{
		TimeNs:    []int64{1, 1700000000000000001, prism.MaxEventTime},
		EventType: &timeseriesv1.CodedColumn{Dictionary: []string{"request"}},
		Source:    &timeseriesv1.CodedColumn{Dictionary: []string{"a", "b\x00"}, Codes: []uint32{2, 0, 1}},
		Dimensions: []*timeseriesv1.DimensionColumn{
			{Name: "host", Values: &timeseriesv1.CodedColumn{Dictionary: []string{"h", ""}, Codes: []uint32{1, 2, 300}}},
			{Name: "none"},
		},
		Metrics: []*timeseriesv1.MetricColumn{
			{Name: "ms", Values: []float64{1.5, math.Copysign(0, -1), math.Inf(1)}, Present: []byte{5}},
			{Name: "all", Values: []float64{1, 2, 3}},
		},
		Payload: &timeseriesv1.BlobColumn{Lengths: []uint32{1, 0, 200}, Data: make([]byte, 201)},
		EventId: &timeseriesv1.BlobColumn{Lengths: []uint32{2, 2, 0}, Data: []byte("abcd")},
	}
}

// read reads a stream's message by hand.
func read(t testing.TB, m *timeseriesv1.StreamEventsRequest) *frame.EventsRequest {
	t.Helper()
	raw, err := proto.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	var r frame.EventsRequest
	if err := r.UnmarshalVT(raw); err != nil {
		t.Fatal(err)
	}
	for i := range raw { // what was read is its own
		raw[i] = 0xee
	}
	return &r
}

func batchOf(b *timeseriesv1.EventBatch) *timeseriesv1.StreamEventsRequest {
	return &timeseriesv1.StreamEventsRequest{Message: &timeseriesv1.StreamEventsRequest_Batch{Batch: b}}
}

func TestColumnsAreReadAsTheGeneratedCodeWritesThem(t *testing.T) {
	t.Parallel()
	want := someColumns()
	r := read(t, batchOf(&timeseriesv1.EventBatch{
		Id: 7, RetryId: []byte("retry"), IdempotencyKey: "key", Events: &timeseriesv1.EventBatch_Columns{Columns: want},
	}))
	if b := r.Batch; b == nil || b.ID != 7 || string(b.RetryID) != "retry" || b.IdempotencyKey != "key" || b.Rows {
		t.Fatalf("the batch is %+v", r.Batch)
	}
	got := r.Batch.Columns.Proto()
	want.Dimensions[1].Values = nil
	if !proto.Equal(got, want) {
		t.Errorf("got  %v\nwant %v", got, want)
	}
}

func TestAnAppendIsReadAsTheGeneratedCodeWritesIt(t *testing.T) {
	t.Parallel()
	raw, err := proto.Marshal(&timeseriesv1.AppendEventsRequest{
		Namespace: "ns", Async: true, IdempotencyKey: "key", Events: &timeseriesv1.AppendEventsRequest_Columns{Columns: someColumns()},
	})
	if err != nil {
		t.Fatal(err)
	}
	var r frame.AppendRequest
	if err := r.UnmarshalVT(raw); err != nil || r.Namespace != "ns" || !r.Async || r.Batch.IdempotencyKey != "key" || len(r.Batch.Columns.Times) != 3 {
		t.Errorf("got %+v, %v", r, err)
	}
	open := read(t, &timeseriesv1.StreamEventsRequest{Message: &timeseriesv1.StreamEventsRequest_Open{Open: &timeseriesv1.OpenStream{Namespace: "ns", Async: true}}})
	if open.Open == nil || *open.Open != (frame.OpenEvents{Namespace: "ns", Async: true}) || open.Batch != nil {
		t.Errorf("an opening is read as %+v", open)
	}
}

// rowsOf takes events out of columns.
func rowsOf(c *frame.Columns) (events []*timeseriesv1.Event) {
	at := func(c *frame.Coded, i int) (string, bool) {
		code := uint32(1)
		if c.Codes != nil {
			code = c.Codes[i]
		}
		if code == 0 || len(c.Dictionary) == 0 {
			return "", false
		}
		return c.Dictionary[code-1], true
	}
	blob := func(b *frame.Blobs, i int) []byte {
		if len(b.Ends) == 0 {
			return nil
		}
		from := uint32(0)
		if i > 0 {
			from = b.Ends[i-1]
		}
		return b.Data[from:b.Ends[i]]
	}
	for i, at1 := range c.Times {
		e := &timeseriesv1.Event{TimeNs: at1, Payload: blob(&c.Payloads, i), EventId: string(blob(&c.IDs, i)), Dimensions: map[string]string{}, Metrics: map[string]float64{}}
		e.EventType, _ = at(&c.Types, i)
		e.Source, _ = at(&c.Sources, i)
		for k := range c.Dimensions {
			if v, has := at(&c.Dimensions[k].Values, i); has {
				e.Dimensions[c.Dimensions[k].Name] = v
			}
		}
		for k := range c.Metrics {
			if m := &c.Metrics[k]; m.Present == nil || m.Present[i>>3]&(1<<(i&7)) != 0 {
				e.Metrics[m.Name] = m.Values[i]
			}
		}
		events = append(events, e)
	}
	return events
}

func TestRowsBecomeColumns(t *testing.T) {
	t.Parallel()
	var events []*timeseriesv1.Event
	for i := range 100 {
		e := &timeseriesv1.Event{TimeNs: int64(i), Dimensions: map[string]string{}, Metrics: map[string]float64{}}
		if i%3 != 0 {
			e.EventType = fmt.Sprint("type", i%5)
		}
		if i > 50 {
			e.Source = "late"
			e.Metrics["late"] = float64(i)
		}
		if i < 50 {
			e.Metrics["early"] = float64(i)
		}
		e.Metrics["all"] = -float64(i)
		if i%7 == 3 {
			e.Dimensions["some"] = fmt.Sprint(i % 2)
			e.Payload, e.EventId = make([]byte, i), fmt.Sprint("id", i)
			e.Metrics["some"] = 1
		}
		e.Dimensions["empty"] = ""
		events = append(events, e)
	}
	events = append(events, &timeseriesv1.Event{})
	for range 3 { // a builder is used again
		r := read(t, batchOf(&timeseriesv1.EventBatch{Events: &timeseriesv1.EventBatch_Rows{Rows: &timeseriesv1.EventRows{Events: events}}}))
		if !r.Batch.Rows || r.Batch.Scattered {
			t.Fatalf("the batch is %+v", r.Batch)
		}
		got := rowsOf(&r.Batch.Columns)
		if len(got) != len(events) {
			t.Fatalf("got %d events, want %d", len(got), len(events))
		}
		for i := range events {
			if !proto.Equal(got[i], events[i]) {
				t.Errorf("event %d: got %v, want %v", i, got[i], events[i])
			}
		}
	}
}

func TestRowsThatShareNoNamesDoNotTakeTheMemoryOfTheirColumns(t *testing.T) {
	t.Parallel()
	var events []*timeseriesv1.Event
	for i := range 20_000 {
		events = append(events, &timeseriesv1.Event{Metrics: map[string]float64{fmt.Sprint(i): 1}})
	}
	r := read(t, batchOf(&timeseriesv1.EventBatch{Events: &timeseriesv1.EventBatch_Rows{Rows: &timeseriesv1.EventRows{Events: events}}}))
	if !r.Batch.Scattered || len(r.Batch.Columns.Times) != 0 {
		t.Errorf("rows that share nothing are put into %d columns", len(r.Batch.Columns.Metrics))
	}
}

func TestOfAOneofTheLastHolds(t *testing.T) {
	t.Parallel()
	columns, _ := proto.Marshal(batchOf(&timeseriesv1.EventBatch{Events: &timeseriesv1.EventBatch_Columns{Columns: someColumns()}}))
	rows, _ := proto.Marshal(batchOf(&timeseriesv1.EventBatch{Events: &timeseriesv1.EventBatch_Rows{Rows: &timeseriesv1.EventRows{Events: []*timeseriesv1.Event{{TimeNs: 9}}}}}))
	open, _ := proto.Marshal(&timeseriesv1.StreamEventsRequest{Message: &timeseriesv1.StreamEventsRequest_Open{Open: &timeseriesv1.OpenStream{Namespace: "ns"}}})
	for _, c := range []struct {
		raw        []byte
		times      int
		rows, open bool
	}{
		{append(append([]byte{}, columns...), rows...), 1, true, false},
		{append(append([]byte{}, rows...), columns...), 3, false, false},
		{append(append([]byte{}, rows...), open...), 0, false, true},
		{append(append([]byte{}, open...), rows...), 1, true, false},
	} {
		var r frame.EventsRequest
		if err := r.UnmarshalVT(c.raw); err != nil {
			t.Fatal(err)
		}
		if (r.Open != nil) != c.open || r.Batch != nil && (len(r.Batch.Columns.Times) != c.times || r.Batch.Rows != c.rows) {
			t.Errorf("got %+v, want %+v", r, c)
		}
	}
}

// FuzzAppends holds the two codings against each other: what one reads the other
// reads, and alike.
func FuzzAppends(f *testing.F) {
	for _, b := range []*timeseriesv1.EventBatch{
		{Id: 1, Events: &timeseriesv1.EventBatch_Columns{Columns: someColumns()}},
		{Events: &timeseriesv1.EventBatch_Rows{Rows: &timeseriesv1.EventRows{Events: []*timeseriesv1.Event{
			{TimeNs: 1, EventType: "t", Dimensions: map[string]string{"a": "b"}, Metrics: map[string]float64{"m": 1}, Payload: []byte("p"), EventId: "i"}, {TimeNs: 2},
		}}}},
	} {
		raw, _ := proto.Marshal(batchOf(b))
		f.Add(raw)
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		var hand frame.EventsRequest
		bad := hand.UnmarshalVT(raw)
		var generated timeseriesv1.StreamEventsRequest
		if generated.UnmarshalVT(raw) != nil {
			return // it is stricter about fields of another type
		}
		if bad != nil {
			return // and so is the hand about some that are cut short
		}
		columns := generated.GetBatch().GetColumns()
		if columns == nil || hand.Batch.Rows || len(columns.Dimensions) > prism.MaxColumns || len(columns.Metrics) > prism.MaxColumns {
			return
		}
		if got := hand.Batch.Columns.Times; !reflect.DeepEqual(append([]int64{}, got...), append([]int64{}, columns.TimeNs...)) {
			t.Errorf("times: got %v, want %v", got, columns.TimeNs)
		}
		if got, want := len(hand.Batch.Columns.Dimensions), len(columns.Dimensions); got != want {
			t.Errorf("dimensions: got %d, want %d", got, want)
		}
		for i, m := range columns.Metrics {
			if got := hand.Batch.Columns.Metrics[i]; got.Name != m.Name || len(got.Values) != len(m.Values) || string(got.Present) != string(m.Present) {
				t.Errorf("metric %d: got %v, want %v", i, got, m)
			}
		}
	})
}

// BenchmarkReadEvents reads 16,384 events of three dimensions and two metrics.
func BenchmarkReadEvents(b *testing.B) {
	const n = 16384
	var builder frame.Builder
	rows := &timeseriesv1.EventRows{}
	for i := range n {
		e := &timeseriesv1.Event{
			TimeNs: 1_700_000_000_000_000_000 + int64(i), EventType: "http_request", Source: fmt.Sprint("web-", i%8),
			Dimensions: map[string]string{"host": fmt.Sprint("h", i%50), "path": fmt.Sprint("/p/", i%200), "status": "200"},
			Metrics:    map[string]float64{"ms": float64(i), "bytes": float64(i * 2)},
		}
		rows.Events = append(rows.Events, e)
		builder.Event(e.TimeNs)
		builder.Type(e.EventType)
		builder.Source(e.Source)
		for _, name := range []string{"host", "path", "status"} {
			builder.Dimension(name, e.Dimensions[name])
		}
		builder.Metric("ms", e.Metrics["ms"])
		builder.Metric("bytes", e.Metrics["bytes"])
	}
	columns, _ := builder.Columns()
	for name, batch := range map[string]*timeseriesv1.EventBatch{
		"columns": {Events: &timeseriesv1.EventBatch_Columns{Columns: columns.Proto()}}, "rows": {Events: &timeseriesv1.EventBatch_Rows{Rows: rows}},
	} {
		raw, err := proto.Marshal(batchOf(batch))
		if err != nil {
			b.Fatal(err)
		}
		for coding, read := range map[string]func() error{
			"hand":      func() error { return new(frame.EventsRequest).UnmarshalVT(raw) },
			"generated": func() error { return new(timeseriesv1.StreamEventsRequest).UnmarshalVT(raw) },
		} {
			b.Run(name+"/"+coding, func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					if err := read(); err != nil {
						b.Fatal(err)
					}
				}
				b.ReportMetric(float64(n)*float64(b.N)/b.Elapsed().Seconds(), "events/s")
				b.ReportMetric(float64(len(raw))/n, "bytes/event")
			})
		}
	}
}
