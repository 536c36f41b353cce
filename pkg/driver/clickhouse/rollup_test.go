package clickhouse_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/prism-data-layer/prism/pkg/driver"
	"github.com/prism-data-layer/prism/pkg/driver/clickhouse/clickhousetest"
	"github.com/prism-data-layer/prism/pkg/prism"
)

// base is a time for events to be at.
const base = int64(1_700_000_000_000_000_000)

// scattered makes events at random times of so many hours, of which each has
// some of what events may have.
func scattered(r *rand.Rand, n, hours int) *driver.EventBatch {
	b := &driver.EventBatch{
		Types: driver.Coded{Dictionary: []string{"a", "b", "c"}}, Sources: driver.Coded{Dictionary: []string{"x", "y"}},
		Dimensions: []driver.Dimension{{Name: "host", Values: driver.Coded{Dictionary: []string{"h1", "h2"}}}},
		Metrics:    []driver.Metric{{Name: "v", Present: make([]byte, (n+7)/8)}, {Name: "declared", Present: make([]byte, (n+7)/8)}},
	}
	for i := range n {
		b.Times = append(b.Times, base+r.Int64N(int64(hours)*int64(time.Hour)))
		b.Types.Codes = append(b.Types.Codes, r.Uint32N(3)+1)
		b.Sources.Codes = append(b.Sources.Codes, r.Uint32N(3))
		b.Dimensions[0].Values.Codes = append(b.Dimensions[0].Values.Codes, r.Uint32N(3))
		for m := range b.Metrics {
			b.Metrics[m].Values = append(b.Metrics[m].Values, r.NormFloat64()*100)
			if r.IntN(4) > 0 {
				b.Metrics[m].Present[i>>3] |= 1 << (i & 7)
			}
		}
	}
	return b
}

func pick[T any](r *rand.Rand, of ...T) T { return of[r.IntN(len(of))] }

// asked is a random query.
func asked(r *rand.Rand, hours int) driver.AggregateQuery {
	start := base + r.Int64N(int64(hours)*int64(time.Hour))
	q := driver.AggregateQuery{
		Selection: driver.Selection{Start: start, End: start + 1 + r.Int64N(int64(hours)*int64(time.Hour))},
		Bucket:    int64(pick(r, 0, time.Second, time.Minute, 5*time.Minute, time.Hour, 2*time.Hour, 90*time.Minute)),
		Max:       50_000,
	}
	if r.IntN(3) == 0 {
		q.Types = pick(r, []string{"a"}, []string{"a", "c"}, []string{"none"})
	}
	if r.IntN(3) == 0 {
		q.Sources = pick(r, []string{"x"}, []string{"x", "y"})
	}
	if r.IntN(5) == 0 {
		q.Dimensions = driver.Filter{{Attribute: "host", Op: driver.FilterIn, Values: []string{"h1"}}}
	}
	for _, g := range []driver.GroupKey{{Kind: driver.GroupType}, {Kind: driver.GroupSource}, {Kind: driver.GroupDimension, Name: "host"}} {
		if r.IntN(4) == 0 {
			q.Groups = append(q.Groups, g)
		}
	}
	q.Values = []driver.Aggregate{{Function: driver.AggregateCount}}
	for range r.IntN(5) {
		f := driver.AggregateFunction(r.IntN(5) + 1)
		if r.IntN(8) == 0 {
			f = driver.AggregateQuantile
		}
		q.Values = append(q.Values, driver.Aggregate{Function: f, Metric: pick(r, "v", "declared", "never"), Quantile: 0.9})
	}
	return q
}

// table is an answer by bucket and group.
func table(a driver.Aggregates) map[string][]driver.OptionalFloat {
	rows := map[string][]driver.OptionalFloat{}
	for _, r := range a.Rows {
		rows[fmt.Sprint(r.Bucket, r.Group)] = r.Values
	}
	return rows
}

// differ tells two answers apart but for rounding.
func differ(a, b driver.Aggregates) string {
	x, y := table(a), table(b)
	if len(x) != len(y) || len(x) != len(a.Rows) {
		return fmt.Sprintf("%d rows and %d", len(a.Rows), len(b.Rows))
	}
	for key, values := range x {
		for i, v := range values {
			w := driver.OptionalFloat{Value: math.NaN()}
			if len(y[key]) > i {
				w = y[key][i]
			}
			if v.Valid != w.Valid || math.Abs(v.Value-w.Value) > 1e-9*(1e3+math.Abs(v.Value)) {
				return fmt.Sprintf("%s: %+v and %+v", key, values, y[key])
			}
		}
	}
	return ""
}

// sideBySide asks a store with rollups and one without on the same tables.
func sideBySide(t *testing.T, r *rand.Rand, with, without driver.Set, ns prism.Namespace, queries, hours int) (sources []string) {
	t.Helper()
	for range queries {
		q := asked(r, hours)
		a, err := with.TimeSeriesAggregation.AggregateEvents(t.Context(), ns, q)
		if err != nil {
			t.Fatalf("%+v: %v", q, err)
		}
		b, err := without.TimeSeriesAggregation.AggregateEvents(t.Context(), ns, q)
		if err != nil {
			t.Fatalf("%+v: %v", q, err)
		}
		if diff := differ(a, b); diff != "" || b.Source != "raw" {
			t.Fatalf("%+v: from %s and from %s differ: %s", q, a.Source, b.Source, diff)
		}
		if !slices.Contains(sources, a.Source) {
			sources = append(sources, a.Source)
		}
	}
	slices.Sort(sources)
	return sources
}

func appends(t testing.TB, s driver.Set, ns prism.Namespace, b *driver.EventBatch) {
	t.Helper()
	res, err := s.TimeSeries.AppendEvents(t.Context(), ns, b, driver.Receipt{})
	if err != nil || res.Stored != int64(b.Len()) {
		t.Fatalf("append %d events: %+v, %v", b.Len(), res, err)
	}
}

const rollups = "rollups: [1m, 1h]"

func TestRollupsAnswerAsEventsDo(t *testing.T) {
	bridge.need(t)
	server := bridge.server(t)
	for _, layout := range []string{"metrics: [declared]", "layout: arrays", "{layout: columns, dimensions: [host], metrics: [v, declared]}"} {
		t.Run(layout, func(t *testing.T) {
			r := rand.New(rand.NewPCG(1, 2))
			db := "database: " + database(t, server)
			text := layout
			if layout[0] == '{' {
				text = "layout: columns\ndimensions: [host]\nmetrics: [v, declared]"
			}
			with := openIn(t, bridge, server, db, text, rollups)
			without := openIn(t, bridge, server, db, text)
			for range 5 {
				appends(t, with, "ns", scattered(r, 400, 5))
				appends(t, without, "ns", scattered(r, 400, 5))
				appends(t, with, "other", scattered(r, 50, 5))
			}
			sources := sideBySide(t, r, with, without, "ns", 40, 5)
			if want := []string{"1h", "1m", "raw"}; !slices.Equal(sources, want) {
				t.Errorf("answers came from %q, want %q", sources, want)
			}
		})
	}
}

// What was stored before there was a rollup is not in it, and nothing that is
// read from it lies where such events may be.
func TestARollupOfATableWithEventsIsWholeBehindThem(t *testing.T) {
	bridge.need(t)
	server := bridge.server(t)
	r := rand.New(rand.NewPCG(3, 4))
	db := "database: " + database(t, server)
	without := openIn(t, bridge, server, db)
	appends(t, without, "ns", scattered(r, 500, 3))
	with := openIn(t, bridge, server, db, rollups)
	appends(t, with, "ns", scattered(r, 500, 9))
	again := openIn(t, bridge, server, db, rollups)
	sources := sideBySide(t, r, again, without, "ns", 30, 9)
	if !slices.Contains(sources, "1h") {
		t.Errorf("answers came from %q, want some from a rollup", sources)
	}
	h := with.Store.Health(t.Context())
	if got := h.Facts["rollup_1m"]; got < "whole from 2023-11-15T0" {
		t.Errorf("health says of the rollup: %q", got)
	}
}

func TestDropAndRetentionReachRollups(t *testing.T) {
	bridge.need(t)
	server := bridge.server(t)
	r := rand.New(rand.NewPCG(5, 6))
	name := database(t, server)
	s := openIn(t, bridge, server, "database: "+name, rollups)
	appends(t, s, "ns", scattered(r, 100, 3))
	appends(t, s, "kept", scattered(r, 100, 3))
	appends(t, s, "old", scattered(r, 100, 3))
	if err := s.Store.Drop(t.Context(), "ns"); err != nil {
		t.Fatal(err)
	}
	if err := s.TimeSeriesRetention.RetainEvents(t.Context(), "old", time.Hour); err != nil {
		t.Fatal(err)
	}
	eventually(t, "only what is kept is left", func() bool {
		return left(t, server, name, "prism_events") == "kept" && left(t, server, name, "prism_rollup_60") == "kept" && left(t, server, name, "prism_rollup_3600") == "kept"
	})
}

// left are the namespaces that have rows in a table.
func left(t *testing.T, server *clickhousetest.Server, database, table string) string {
	t.Helper()
	text, err := server.Query(t.Context(), "SELECT arrayStringConcat(arraySort(groupUniqArray(toString(namespace))), ' ') FROM "+database+"."+table)
	if err != nil {
		t.Fatal(err)
	}
	return text
}
