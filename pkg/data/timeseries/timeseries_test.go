package timeseries_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prism-data-layer/prism/pkg/clock"
	"github.com/prism-data-layer/prism/pkg/data"
	"github.com/prism-data-layer/prism/pkg/data/timeseries"
	"github.com/prism-data-layer/prism/pkg/driver"
	"github.com/prism-data-layer/prism/pkg/driver/memory"
	"github.com/prism-data-layer/prism/pkg/prism"
)

const base = int64(1_700_000_000_000_000_000)

// A rig is a namespace on the memory driver, whose appends fail as told.
type rig struct {
	*timeseries.Store
	in    *timeseries.Intake
	set   driver.Set
	clock *clock.Fake
	waits chan time.Duration // that the intake begins
	held  atomic.Int64
	fail  atomic.Pointer[func(ctx context.Context, b *driver.EventBatch) error]
}

// A telling clock tells of each wait that begins.
type telling struct {
	*clock.Fake
	waits chan time.Duration
}

func (c telling) NewTimer(d time.Duration) *clock.Timer {
	t := c.Fake.NewTimer(d)
	select {
	case c.waits <- d:
	default: // nobody listens
	}
	return t
}

type failing struct {
	driver.TimeSeries
	r *rig
}

func (f failing) AppendEvents(ctx context.Context, ns prism.Namespace, b *driver.EventBatch, r driver.Receipt) (driver.AppendResult, error) {
	if fail := f.r.fail.Load(); fail != nil {
		if err := (*fail)(ctx, b); err != nil {
			return driver.AppendResult{}, err
		}
	}
	return f.TimeSeries.AppendEvents(ctx, ns, b, r)
}

func (r *rig) failWith(f func(ctx context.Context, b *driver.EventBatch) error) { r.fail.Store(&f) }

func newRig(t testing.TB, p timeseries.Policy) *rig {
	t.Helper()
	r := &rig{clock: clock.NewFake(time.Unix(0, base)), waits: make(chan time.Duration, 1024)}
	set, err := memory.Spec().Open(t.Context(), driver.Config{Name: "main", Clock: r.clock, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { set.Store.Close() }) //nolint:errcheck // in memory
	set.TimeSeries = failing{set.TimeSeries, r}
	r.set, r.in = set, timeseries.NewIntake(telling{r.clock, r.waits}, &r.held)
	r.Store = r.with(p)
	return r
}

func (r *rig) with(p timeseries.Policy) *timeseries.Store {
	return timeseries.New(r.set, "ns", p, data.NewSealer(make([]byte, 32)), r.clock, r.in)
}

// batch is n good events from a time on.
func batch(n int, from int64) *timeseries.Incoming {
	in := &timeseries.Incoming{}
	m := driver.Metric{Name: "m"}
	for i := range n {
		in.Times = append(in.Times, from+int64(i))
		m.Values = append(m.Values, float64(i))
	}
	in.Types.Dictionary = []string{"t"}
	in.Metrics = []driver.Metric{m}
	return in
}

func (r *rig) append(t testing.TB, in *timeseries.Incoming) timeseries.Appended {
	t.Helper()
	a, err := r.Append(t.Context(), in)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// events is what a query finds, page by page, as "time:type".
func (r *rig) events(t testing.TB, q timeseries.Query) (list []string, pages int) {
	t.Helper()
	for {
		cursor, err := r.Query(t.Context(), "me", q, func(p timeseries.Part) {
			for i := p.From; i < p.To; i++ {
				s, _ := p.Types.At(i)
				list = append(list, fmt.Sprintf("%d:%s", p.Times[i]-base, s))
			}
		})
		if err != nil {
			t.Fatal(err)
		}
		if pages++; cursor == "" {
			return list, pages
		}
		q.Cursor = cursor
	}
}

func all() timeseries.Selection { return timeseries.Selection{Start: 0, End: prism.MaxEventTime} }

func TestWhatIsWrongWithAnEventIsRefusedWithItsIndexAndFields(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		spoil  func(in *timeseries.Incoming) // event 1 of 3
		fields []string
	}{
		{"a time of 0", func(in *timeseries.Incoming) { in.Times[1] = 0 }, []string{"time_ns"}},
		{"a time after 2261", func(in *timeseries.Incoming) { in.Times[1] = prism.MaxEventTime + 1 }, []string{"time_ns"}},
		{"no type", func(in *timeseries.Incoming) { in.Types.Codes = []uint32{1, 0, 1} }, []string{"event_type"}},
		{"an empty type", func(in *timeseries.Incoming) {
			in.Types = driver.Coded{Dictionary: []string{"t", ""}, Codes: []uint32{1, 2, 1}}
		}, []string{"event_type"}},
		{"a long type", func(in *timeseries.Incoming) {
			in.Types = driver.Coded{Dictionary: []string{"t", strings.Repeat("x", 257)}, Codes: []uint32{1, 2, 1}}
		}, []string{"event_type"}},
		{"a source that is no UTF-8", func(in *timeseries.Incoming) {
			in.Sources = driver.Coded{Dictionary: []string{"\xff", "s"}, Codes: []uint32{0, 1, 2}}
		}, []string{"source"}},
		{"a dimension without a name", func(in *timeseries.Incoming) {
			in.Dimensions = []driver.Dimension{{Name: "", Values: driver.Coded{Dictionary: []string{"v"}, Codes: []uint32{0, 1, 0}}}}
		}, []string{"dimensions"}},
		{"a long value", func(in *timeseries.Incoming) {
			in.Dimensions = []driver.Dimension{{Name: "d", Values: driver.Coded{Dictionary: []string{strings.Repeat("x", 1025)}, Codes: []uint32{0, 1, 0}}}}
		}, []string{"dimensions"}},
		{"a metric without a name", func(in *timeseries.Incoming) {
			in.Metrics = append(in.Metrics, driver.Metric{Values: []float64{0, 1, 0}, Present: []byte{2}})
		}, []string{"metrics"}},
		{"NaN", func(in *timeseries.Incoming) { in.Metrics[0].Values[1] = math.NaN() }, []string{"metrics"}},
		{"infinity", func(in *timeseries.Incoming) { in.Metrics[0].Values[1] = math.Inf(-1) }, []string{"metrics"}},
		{"a large payload", func(in *timeseries.Incoming) {
			n := uint32(prism.MaxValueBytes + 1)
			in.Payloads = driver.Blobs{Ends: []uint32{0, n, n}, Data: make([]byte, n)}
		}, []string{"payload"}},
		{"a long id", func(in *timeseries.Incoming) {
			in.IDs = driver.Blobs{Ends: []uint32{1, 130, 131}, Data: []byte(strings.Repeat("i", 130) + "j")}
		}, []string{"event_id"}},
		{"several things", func(in *timeseries.Incoming) {
			in.Times[1], in.Metrics[0].Values[1] = -1, math.NaN()
			in.Types.Codes = []uint32{1, 0, 1}
		}, []string{"time_ns", "event_type", "metrics"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, timeseries.Policy{})
			in := batch(3, base)
			c.spoil(in)
			a := r.append(t, in)
			if a.Accepted != 2 || a.Rejected != 1 || len(a.Rejections) != 1 || a.Rejections[0].Index != 1 {
				t.Fatalf("got %+v, want event 1 refused", a)
			}
			var fields []string
			for _, f := range a.Rejections[0].Err.Fields {
				fields = append(fields, f.Field)
			}
			if !slices.Equal(fields, c.fields) {
				t.Errorf("the refusal names %q, want %q", fields, c.fields)
			}
			if got, _ := r.events(t, timeseries.Query{Selection: all()}); !slices.Equal(got, []string{"0:t", "2:t"}) {
				t.Errorf("%q are stored, want the others", got)
			}
			if f, _ := r.in.Figures(); f != (timeseries.Figures{Sent: 3, Stored: 2, Rejected: 1}) {
				t.Errorf("figures are %+v", f)
			}
		})
	}
}

func TestColumnsThatDoNotFitTogetherAreRefusedAsAWhole(t *testing.T) {
	t.Parallel()
	for name, spoil := range map[string]func(in *timeseries.Incoming){
		"no event":                func(in *timeseries.Incoming) { in.Batch = timeseries.Batch{} },
		"a code too many":         func(in *timeseries.Incoming) { in.Types.Codes = []uint32{1, 1, 1, 1} },
		"a code of no string":     func(in *timeseries.Incoming) { in.Types.Codes = []uint32{1, 2, 1} },
		"the largest code":        func(in *timeseries.Incoming) { in.Types.Codes = []uint32{1, math.MaxUint32, 1} },
		"a value too few":         func(in *timeseries.Incoming) { in.Metrics[0].Values = in.Metrics[0].Values[:2] },
		"bits of another length":  func(in *timeseries.Incoming) { in.Metrics[0].Present = []byte{1, 2} },
		"a metric twice":          func(in *timeseries.Incoming) { in.Metrics = append(in.Metrics, in.Metrics[0]) },
		"a dimension twice":       func(in *timeseries.Incoming) { in.Dimensions = []driver.Dimension{{Name: "d"}, {Name: "d"}} },
		"lengths beyond the data": func(in *timeseries.Incoming) { in.IDs = driver.Blobs{Ends: []uint32{1, 2, 9}, Data: []byte("abc")} },
		"less than the data":      func(in *timeseries.Incoming) { in.IDs = driver.Blobs{Ends: []uint32{0, 0, 0}, Data: []byte("abc")} },
		"ends that go back":       func(in *timeseries.Incoming) { in.IDs = driver.Blobs{Ends: []uint32{9, 1, 3}, Data: []byte("abc")} },
		"data without lengths":    func(in *timeseries.Incoming) { in.Payloads.Data = []byte("x") },
		"too few lengths":         func(in *timeseries.Incoming) { in.Payloads.Ends = []uint32{0} },
		"1,025 dimensions":        func(in *timeseries.Incoming) { in.Dimensions = dimensions(1025) },
		"131,073 events":          func(in *timeseries.Incoming) { in.Batch = batch(prism.MaxEvents+1, base).Batch },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, timeseries.Policy{})
			in := batch(3, base)
			spoil(in)
			if a, err := r.Append(t.Context(), in); !errors.Is(err, prism.ReasonInvalidArgument) || len(prism.From(err).Fields) == 0 {
				t.Errorf("got %+v, %v, want INVALID_ARGUMENT with a field", a, err)
			}
			if f, _ := r.in.Figures(); f != (timeseries.Figures{}) || r.in.Bytes() != 0 {
				t.Errorf("figures are %+v, %d bytes wait", f, r.in.Bytes())
			}
		})
	}
}

func dimensions(n int) (list []driver.Dimension) {
	for i := range n {
		list = append(list, driver.Dimension{Name: fmt.Sprint("d", i), Values: driver.Coded{Dictionary: []string{"v"}}})
	}
	return list
}

func TestEventsMayHaveManyNamesTogetherButNotEach(t *testing.T) {
	t.Parallel()
	r := newRig(t, timeseries.Policy{})
	in := batch(2, base)
	for i := range 65 {
		in.Dimensions = append(in.Dimensions, driver.Dimension{Name: fmt.Sprint("d", i), Values: driver.Coded{Dictionary: []string{"v"}, Codes: []uint32{1, uint32(i % 2)}}})
	}
	if a := r.append(t, in); a.Accepted != 1 || a.Rejected != 1 || a.Rejections[0].Index != 0 {
		t.Errorf("got %+v, want the event with 65 dimensions refused", a)
	}
}

func TestWhatRetentionHasEndedIsNeitherTakenNorSeen(t *testing.T) {
	t.Parallel()
	r := newRig(t, timeseries.Policy{})
	r.append(t, batch(3, base))
	bounded := &rig{Store: r.with(timeseries.Policy{Retention: time.Hour}), in: r.in}
	r.clock.Advance(time.Hour + time.Nanosecond)
	if got, _ := bounded.events(t, timeseries.Query{Selection: all()}); !slices.Equal(got, []string{"1:t", "2:t"}) {
		t.Errorf("seen are %q", got)
	}
	if a := bounded.append(t, batch(3, base)); a.Accepted != 2 || a.Rejected != 1 || a.Rejections[0].Err.Fields[0].Field != "time_ns" {
		t.Errorf("of three events of which one is over: %+v", a)
	}
	r.clock.Advance(time.Hour)
	if got, _ := bounded.events(t, timeseries.Query{Selection: timeseries.Selection{Start: 0, End: base + 3}}); len(got) != 0 {
		t.Errorf("a range that is over has %q", got)
	}
}

func TestPagesAreTheWholeAndOfTheirQuery(t *testing.T) {
	t.Parallel()
	r := newRig(t, timeseries.Policy{})
	in := batch(250, base)
	in.Payloads.Data = make([]byte, 250*100_000) // 41 fill a message
	for i := range 250 {
		in.Payloads.Ends = append(in.Payloads.Ends, uint32(i+1)*100_000)
	}
	r.append(t, in)
	whole, _ := r.events(t, timeseries.Query{Selection: all(), Limit: 1000})
	if len(whole) != 250 {
		t.Fatalf("got %d events", len(whole))
	}
	for _, limit := range []int64{0, 7, 41, 50, 250, 1000, 5000} {
		got, pages := r.events(t, timeseries.Query{Selection: all(), Limit: limit})
		if !slices.Equal(got, whole) || pages < 6 {
			t.Errorf("limit %d: %d events in %d pages", limit, len(got), pages)
		}
		down, _ := r.events(t, timeseries.Query{Selection: all(), Limit: limit, Descending: true})
		if slices.Reverse(down); !slices.Equal(down, whole) {
			t.Errorf("limit %d, descending: %d events", limit, len(down))
		}
	}
	q := timeseries.Query{Selection: all(), Limit: 10}
	cursor, err := r.Query(t.Context(), "me", q, func(timeseries.Part) {})
	if err != nil || cursor == "" {
		t.Fatalf("cursor %q, %v", cursor, err)
	}
	q.Cursor = cursor
	for name, other := range map[string]func() (string, timeseries.Query){
		"another's": func() (string, timeseries.Query) { return "you", q },
		"reversed":  func() (string, timeseries.Query) { o := q; o.Descending = true; return "me", o },
		"of a type": func() (string, timeseries.Query) { o := q; o.Types = []string{"t"}; return "me", o },
		"of a time": func() (string, timeseries.Query) { o := q; o.Start = 1; return "me", o },
	} {
		who, o := other()
		if _, err := r.Query(t.Context(), who, o, func(timeseries.Part) {}); !errors.Is(err, prism.ReasonInvalidCursor) {
			t.Errorf("a cursor that is %s: %v", name, err)
		}
	}
}

func TestAStreamGoesOnAfterAnyOfItsPositions(t *testing.T) {
	t.Parallel()
	r := newRig(t, timeseries.Policy{})
	in := batch(100, base)
	in.Payloads.Data = make([]byte, 100*300_000) // three in a part
	for i := range 100 {
		in.Payloads.Ends = append(in.Payloads.Ends, uint32(i+1)*300_000)
	}
	r.append(t, in)
	for _, limit := range []int64{0, 50, 100, 1000} {
		q := timeseries.Query{Selection: all(), Limit: limit}
		want := 100
		if limit == 50 {
			want = 50
		}
		n := 0
		for n < want { // anew for each part
			s, err := r.Stream(t.Context(), "me", q)
			if err != nil {
				t.Fatal(err)
			}
			part, err := s.Next(t.Context())
			if err != nil {
				t.Fatalf("limit %d, after %d: %v", limit, n, err)
			}
			for i := part.From; i < part.To; i++ {
				if part.Times[i] != base+int64(n) {
					t.Fatalf("limit %d: event %d is %d", limit, n, part.Times[i]-base)
				}
				n++
			}
			q.Cursor = s.Position()
			s.Close()
		}
		s, err := r.Stream(t.Context(), "me", q)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.Next(t.Context()); !errors.Is(err, io.EOF) || n != want {
			t.Errorf("limit %d: after %d events %v, want the end after %d", limit, n, err, want)
		}
	}
}

// show is rows as text: bucket, group, values, filled.
func show(rows []timeseries.Row) string {
	var b strings.Builder
	for _, r := range rows {
		fmt.Fprintf(&b, "%d", r.Bucket)
		for _, g := range r.Group {
			fmt.Fprintf(&b, " %s", map[bool]string{true: g.Value, false: "-"}[g.Valid])
		}
		for _, v := range r.Values {
			fmt.Fprintf(&b, " %s", map[bool]string{true: fmt.Sprint(v.Value), false: "-"}[v.Valid])
		}
		if r.Filled {
			b.WriteString(" *")
		}
		b.WriteString("|")
	}
	return b.String()
}

func TestBucketsWithoutEventsAreFilled(t *testing.T) {
	t.Parallel()
	r := newRig(t, timeseries.Policy{})
	in := &timeseries.Incoming{}
	in.Times = []int64{12, 18, 35, 31}
	in.Types = driver.Coded{Dictionary: []string{"a", "b"}, Codes: []uint32{1, 1, 1, 2}}
	in.Metrics = []driver.Metric{{Name: "m", Values: []float64{2, 4, 9, 5}}}
	r.append(t, in)
	count, avg := driver.Aggregate{Function: driver.AggregateCount}, driver.Aggregate{Function: driver.AggregateAvg, Metric: "m"}
	q := timeseries.AggregateQuery{Selection: timeseries.Selection{Start: 5, End: 45}, Bucket: 10, Values: []driver.Aggregate{count, avg}}
	byType := []driver.GroupKey{{Kind: driver.GroupType}}
	for _, c := range []struct {
		fill   timeseries.Fill
		groups []driver.GroupKey
		want   string
	}{
		{timeseries.FillNone, nil, "10 2 3|30 2 7|"},
		{timeseries.FillEmpty, nil, "0 0 - *|10 2 3|20 0 - *|30 2 7|40 0 - *|"},
		{timeseries.FillZero, nil, "0 0 0 *|10 2 3|20 0 0 *|30 2 7|40 0 0 *|"},
		{timeseries.FillPrevious, nil, "0 - - *|10 2 3|20 2 3 *|30 2 7|40 2 7 *|"},
		{timeseries.FillLinear, nil, "0 - - *|10 2 3|20 2 5 *|30 2 7|40 - - *|"},
		{timeseries.FillNone, byType, "10 a 2 3|30 a 1 9|30 b 1 5|"},
		{timeseries.FillLinear, byType, "0 a - - *|0 b - - *|10 a 2 3|10 b - - *|20 a 1.5 6 *|20 b - - *|30 a 1 9|30 b 1 5|40 a - - *|40 b - - *|"},
	} {
		q.Fill, q.Groups = c.fill, c.groups
		a, err := r.Aggregate(t.Context(), q)
		if err != nil {
			t.Fatal(err)
		}
		if got := show(a.Rows); got != c.want {
			t.Errorf("fill %d, groups %v:\ngot  %s\nwant %s", c.fill, c.groups, got, c.want)
		}
	}
	q.Selection, q.Fill, q.Groups = timeseries.Selection{Start: 0, End: 10*prism.MaxAggregateRows + 1}, timeseries.FillZero, nil
	if _, err := r.Aggregate(t.Context(), q); !errors.Is(err, prism.ReasonInvalidArgument) || prism.From(err).Fields[0].Field != "bucket_ns" {
		t.Errorf("a row too many to fill: %v", err)
	}
	q.Selection.End--
	if a, err := r.Aggregate(t.Context(), q); err != nil || len(a.Rows) != prism.MaxAggregateRows {
		t.Errorf("as many as may be: %d rows, %v", len(a.Rows), err)
	}
	q = timeseries.AggregateQuery{Selection: timeseries.Selection{Start: 100, End: 130}, Bucket: 10, Values: []driver.Aggregate{count}, Fill: timeseries.FillEmpty}
	if a, err := r.Aggregate(t.Context(), q); err != nil || show(a.Rows) != "100 0 *|110 0 *|120 0 *|" {
		t.Errorf("a range without events: %s, %v", show(a.Rows), err)
	}
}

func TestAQueryThatMakesNoSenseNamesItsFields(t *testing.T) {
	t.Parallel()
	r := newRig(t, timeseries.Policy{})
	good := func() timeseries.AggregateQuery {
		return timeseries.AggregateQuery{Selection: all(), Values: []driver.Aggregate{{Function: driver.AggregateCount}}}
	}
	for field, spoil := range map[string]func(q *timeseries.AggregateQuery){
		"selection.end_ns":                  func(q *timeseries.AggregateQuery) { q.End = q.Start },
		"selection.event_types[0]":          func(q *timeseries.AggregateQuery) { q.Types = []string{""} },
		"selection.dimensions[0].dimension": func(q *timeseries.AggregateQuery) { q.Dimensions = driver.Filter{{Op: driver.FilterExists}} },
		"selection.dimensions[0].op":        func(q *timeseries.AggregateQuery) { q.Dimensions = driver.Filter{{Attribute: "d"}} },
		"selection.dimensions[0].values": func(q *timeseries.AggregateQuery) {
			q.Dimensions = driver.Filter{{Attribute: "d", Op: driver.FilterPrefix, Values: []string{"a", "b"}}}
		},
		"bucket_ns":              func(q *timeseries.AggregateQuery) { q.Bucket = -1 },
		"group_by":               func(q *timeseries.AggregateQuery) { q.Groups = make([]driver.GroupKey, 9) },
		"group_by[0].key":        func(q *timeseries.AggregateQuery) { q.Groups = make([]driver.GroupKey, 1) },
		"aggregates":             func(q *timeseries.AggregateQuery) { q.Values = nil },
		"aggregates[0].function": func(q *timeseries.AggregateQuery) { q.Values[0].Function = 0 },
		"aggregates[0].metric":   func(q *timeseries.AggregateQuery) { q.Values[0].Function = driver.AggregateSum },
		"aggregates[0].quantile": func(q *timeseries.AggregateQuery) {
			q.Values[0] = driver.Aggregate{Function: driver.AggregateQuantile, Metric: "m", Quantile: math.NaN()}
		},
	} {
		q := good()
		spoil(&q)
		_, err := r.Aggregate(t.Context(), q)
		if !errors.Is(err, prism.ReasonInvalidArgument) || prism.From(err).Fields[0].Field != field {
			t.Errorf("%s: got %v", field, err)
		}
	}
}

func TestABufferThatIsFullRefusesOrWaits(t *testing.T) {
	t.Parallel()
	r := newRig(t, timeseries.Policy{Buffer: 4000})
	open := make(chan struct{})
	r.failWith(func(context.Context, *driver.EventBatch) error { <-open; return nil })
	for i := range 2 { // 100 events are 1,600 bytes and their type
		in := batch(100, base+int64(i))
		in.Async = true
		r.append(t, in)
	}
	for _, async := range []bool{true, false} {
		in := batch(100, base)
		in.Async = async
		if _, err := r.Append(t.Context(), in); !errors.Is(err, prism.ReasonBufferFull) {
			t.Errorf("async %v: got %v, want BUFFER_FULL", async, err)
		}
	}
	patient := batch(100, base+5)
	patient.Patient = true
	got := make(chan error, 1)
	go func() {
		_, err := r.Append(context.Background(), patient)
		got <- err
	}()
	select {
	case err := <-got:
		t.Fatalf("who is patient does not wait: %v", err)
	case <-time.After(20 * time.Millisecond):
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	impatient := batch(100, base+6)
	impatient.Patient = true
	if _, err := r.Append(ended, impatient); !errors.Is(err, context.Canceled) {
		t.Errorf("who leaves: %v", err)
	}
	close(open)
	if err := <-got; err != nil {
		t.Errorf("who was patient: %v", err)
	}
	r.in.Close(t.Context())
	f, _ := r.in.Figures()
	if want := (timeseries.Figures{Sent: 300, Stored: 300}); f != want || r.in.Bytes() != 0 || r.held.Load() != 0 {
		t.Errorf("figures are %+v, want %+v; %d bytes, %d held", f, want, r.in.Bytes(), r.held.Load())
	}
	if _, err := r.Append(t.Context(), batch(1, base)); !errors.Is(err, prism.ReasonDraining) {
		t.Errorf("after the end: %v", err)
	}
}

// Whatever the store does, each event that was sent is somewhere, at any time.
func TestWhatWasSentIsAccountedForAtAnyTime(t *testing.T) {
	t.Parallel()
	seed := rand.Uint64()
	r := newRig(t, timeseries.Policy{Buffer: 50_000})
	var mu sync.Mutex
	random := rand.New(rand.NewPCG(seed, 0))
	draw := func(n int) int { mu.Lock(); defer mu.Unlock(); return random.IntN(n) }
	r.failWith(func(context.Context, *driver.EventBatch) error {
		switch draw(10) {
		case 0, 1:
			return prism.New(prism.ReasonBackendUnavailable, "away")
		case 2:
			return prism.New(prism.ReasonDiskFull, "full")
		case 3:
			return prism.New(prism.ReasonInternal, "a bug")
		case 4:
			panic("a panic of the store")
		}
		return nil
	})
	over := make(chan struct{})
	var looking, ticking sync.WaitGroup
	check := func() {
		if f, _ := r.in.Figures(); f.Sent != f.Stored+f.Duplicates+f.Rejected+f.Dropped+f.Buffered || f.Buffered < 0 {
			t.Errorf("seed %d: %+v does not add up", seed, f)
		}
	}
	looking.Go(func() {
		for {
			select {
			case <-over:
				return
			default:
				check()
			}
		}
	})
	ticking.Go(func() {
		for {
			select {
			case <-over:
				return
			case d := <-r.waits:
				r.clock.Advance(d)
			}
		}
	})
	var acked, refused atomic.Int64
	var senders sync.WaitGroup
	for range 4 {
		senders.Go(func() {
			for range 150 {
				in := batch(1+draw(60), base+int64(draw(1000)))
				in.IDs.Ends = make([]uint32, in.Len())
				for i := range in.IDs.Ends {
					in.IDs.Data = fmt.Appendf(in.IDs.Data, "id%04d", draw(5000))
					in.IDs.Ends[i] = uint32(len(in.IDs.Data))
				}
				if draw(3) == 0 {
					in.Times[draw(in.Len())] = 0
				}
				in.Async, in.Patient = draw(4) > 0, draw(2) > 0
				sent := int64(in.Len())
				func() {
					defer func() {
						if recover() != nil { // the road's to contain
							refused.Add(sent)
						}
					}()
					if _, err := r.Append(context.Background(), in); err != nil {
						refused.Add(sent)
						return
					}
					acked.Add(sent)
				}()
			}
		})
	}
	senders.Wait()
	r.in.Close(context.Background())
	close(over)
	looking.Wait()
	ticking.Wait()
	check()
	f, why := r.in.Figures()
	u, err := r.set.Store.Usage(t.Context(), "ns")
	if err != nil {
		t.Fatal(err)
	}
	if f.Sent != acked.Load() || f.Buffered != 0 || f.Stored != u.Keys || f.Dropped == 0 || why == "" || r.in.Bytes() != 0 || r.held.Load() != 0 {
		t.Errorf("seed %d: %+v (%s); %d acked, %d refused, the store has %d; %d bytes wait, %d held", seed, f, why, acked.Load(), refused.Load(), u.Keys, r.in.Bytes(), r.held.Load())
	}
}

func TestWhatCannotBeStoredIsDroppedWhenPatienceEnds(t *testing.T) {
	t.Parallel()
	r := newRig(t, timeseries.Policy{})
	var tries atomic.Int64
	r.failWith(func(context.Context, *driver.EventBatch) error {
		tries.Add(1)
		return prism.New(prism.ReasonBackendUnavailable, "away")
	})
	in := batch(10, base)
	in.Async = true
	r.append(t, in)
	ended := make(chan struct{})
	go func() { // as soon as nothing waits any more
		defer close(ended)
		r.in.Close(context.Background())
	}()
	for waiting := true; waiting; {
		select {
		case d := <-r.waits:
			r.clock.Advance(d)
		case <-ended:
			waiting = false
		}
	}
	f, why := r.in.Figures()
	if f != (timeseries.Figures{Sent: 10, Dropped: 10}) || !strings.HasPrefix(why, "BACKEND_UNAVAILABLE") || tries.Load() < 10 {
		t.Errorf("figures are %+v (%s) after %d tries", f, why, tries.Load())
	}
	if waited := r.clock.Now().Sub(time.Unix(0, base)); waited < timeseries.Patience-2*time.Second {
		t.Errorf("dropped after %v", waited)
	}
}

func TestAnEndThatCannotWaitDropsWhatIsLeft(t *testing.T) {
	t.Parallel()
	r := newRig(t, timeseries.Policy{})
	r.failWith(func(ctx context.Context, _ *driver.EventBatch) error { <-ctx.Done(); return ctx.Err() })
	for i := range 20 {
		in := batch(10, base+int64(i))
		in.Async = true
		r.append(t, in)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	r.in.Close(ctx)
	if f, _ := r.in.Figures(); f != (timeseries.Figures{Sent: 200, Dropped: 200}) {
		t.Errorf("figures are %+v", f)
	}
}

func TestAReceiptAnswersOnceAndCountsOnce(t *testing.T) {
	t.Parallel()
	r := newRig(t, timeseries.Policy{})
	for n := range 2 {
		in := batch(10, base)
		if err := timeseries.Once(in, "me", "key", nil); err != nil {
			t.Fatal(err)
		}
		if a := r.append(t, in); a.Accepted != 10 {
			t.Errorf("call %d: %+v", n, a)
		}
	}
	if f, _ := r.in.Figures(); f != (timeseries.Figures{Sent: 20, Stored: 10, Duplicates: 10}) {
		t.Errorf("figures are %+v", f)
	}
	other := batch(10, base)
	other.Metrics[0].Values[3] = 77
	if err := timeseries.Once(other, "me", "key", nil); err != nil {
		t.Fatal(err)
	}
	if _, err := r.Append(t.Context(), other); !errors.Is(err, prism.ReasonKeyReused) {
		t.Errorf("another batch under the key: %v", err)
	}
}

// retaining tells what is asked of retention, and fails at first.
type retaining struct {
	fails atomic.Int64
	asked chan time.Duration
}

func (r *retaining) RetainEvents(_ context.Context, _ prism.Namespace, age time.Duration) error {
	if r.fails.Add(-1) >= 0 {
		return prism.New(prism.ReasonBackendUnavailable, "away")
	}
	r.asked <- age
	return nil
}

func TestRetentionIsPutInForceHoweverOftenTheStoreFails(t *testing.T) {
	t.Parallel()
	r := newRig(t, timeseries.Policy{})
	store := &retaining{asked: make(chan time.Duration, 10)}
	store.fails.Store(5)
	r.set.TimeSeriesRetention = store
	r.in.Retain(r.set, "ns", time.Hour)
	r.in.Retain(r.set, "ns", 2*time.Hour) // the last one holds
	patience := time.After(20 * time.Second)
	for {
		select {
		case d := <-r.waits:
			r.clock.Advance(d)
		case age := <-store.asked:
			if age == 2*time.Hour {
				return
			}
		case <-patience:
			t.Fatal("the last one never came into force")
		}
	}
}
