package main

import (
	"fmt"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/shopspring/decimal"
)

// everyType has a column of each kind that a time series is kept in, with
// codecs and an end.
const everyType = `CREATE TABLE events (
	at DateTime64(9, 'UTC') CODEC(DoubleDelta, ZSTD(3)),
	type LowCardinality(String),
	source String,
	dimensions Map(LowCardinality(String), String),
	metrics Map(String, Float64),
	maybe Nullable(Int64),
	tags Array(String),
	price Decimal(18, 4),
	doc JSON,
	payload String CODEC(ZSTD(3))
) ENGINE = MergeTree PARTITION BY toYYYYMMDD(at) ORDER BY (type, at) TTL toDateTime(at) + INTERVAL 3650 DAY`

const rollup = `CREATE TABLE minutes (minute DateTime('UTC'), type LowCardinality(String), n AggregateFunction(count), p AggregateFunction(quantile(0.95), Float64))
	ENGINE = AggregatingMergeTree ORDER BY (type, minute)`

const view = `CREATE MATERIALIZED VIEW minutes_mv TO minutes AS
	SELECT toStartOfMinute(at) AS minute, type, countState() AS n, quantileState(0.95)(metrics['v']) AS p FROM events GROUP BY minute, type`

type event struct {
	at         time.Time
	kind       string
	source     string
	dimensions map[string]string
	metrics    map[string]float64
	maybe      *int64
	tags       []string
	price      decimal.Decimal
	payload    string
}

func eventOf(i int) event {
	e := event{
		at:   time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC).Add(time.Duration(i)*time.Millisecond + time.Duration(i%1000)),
		kind: fmt.Sprintf("type-%d", i%7), source: fmt.Sprintf("source\n\n%d", i),
		dimensions: map[string]string{"region": fmt.Sprintf("r%d", i%3)}, metrics: map[string]float64{"v": float64(i)},
		tags: []string{"a", fmt.Sprint(i)}, price: decimal.New(int64(i), -4), payload: strings.Repeat("x", i%50),
	}
	if i%2 == 0 {
		n := int64(-i)
		e.maybe = &n
	}
	return e
}

func TestBatchOfEveryType(t *testing.T) {
	t.Parallel()
	conn := newBridge(t).open(nil)
	for _, sql := range []string{everyType, rollup, view} {
		exec1(t, conn, sql)
	}
	const rows = 100_000
	batch, err := conn.PrepareBatch(t.Context(), "INSERT INTO events")
	if err != nil {
		t.Fatal(err)
	}
	for i := range rows {
		e := eventOf(i)
		doc := clickhouse.NewJSON()
		doc.SetValueAtPath("n", clickhouse.NewDynamicWithType(int64(i), "Int64"))
		if err := batch.Append(e.at, e.kind, e.source, e.dimensions, e.metrics, e.maybe, e.tags, e.price, doc, e.payload); err != nil {
			t.Fatal(err)
		}
	}
	began := time.Now()
	if err := batch.Send(); err != nil {
		t.Fatal(err)
	}
	t.Logf("%d rows of ten columns in %v", rows, time.Since(began))
	if got := scan1[uint64](t, conn, "SELECT count() FROM events"); got != rows {
		t.Fatalf("%d rows are there, want %d", got, rows)
	}
	for _, i := range []int{0, 1, 4999, rows - 1} {
		want := eventOf(i)
		var got event
		var doc string
		err := conn.QueryRow(t.Context(), "SELECT at, type, source, dimensions, metrics, maybe, tags, price, toString(doc), payload FROM events WHERE source = ?", want.source).
			Scan(&got.at, &got.kind, &got.source, &got.dimensions, &got.metrics, &got.maybe, &got.tags, &got.price, &doc, &got.payload)
		if err != nil {
			t.Fatal(err)
		}
		same := got.at.Equal(want.at) && got.price.Equal(want.price) && doc == fmt.Sprintf(`{"n":%d}`, i)
		got.at, got.price = want.at, want.price
		if !same || !reflect.DeepEqual(got, want) {
			t.Errorf("event %d came back as %+v with %s", i, got, doc)
		}
	}
	if got := scan1[uint64](t, conn, "SELECT countMerge(n) FROM minutes"); got != rows {
		t.Errorf("the rollup counts %d", got)
	}
}

func TestAsyncInsert(t *testing.T) {
	t.Parallel()
	conn := newBridge(t).open(nil)
	exec1(t, conn, "CREATE TABLE t (a UInt64) ENGINE = MergeTree ORDER BY a")
	ctx := clickhouse.Context(t.Context(), clickhouse.WithAsync(true))
	for i := range 10 {
		if err := conn.Exec(ctx, fmt.Sprintf("INSERT INTO t VALUES (%d)", i)); err != nil {
			t.Fatal(err)
		}
	}
	if got := scan1[uint64](t, conn, "SELECT count() FROM t"); got != 10 {
		t.Errorf("%d rows are there after the server said so, want 10", got)
	}
}

func TestAClientGetsItsOwnAnswersOnly(t *testing.T) {
	t.Parallel()
	b := newBridge(t)
	exec1(t, b.open(nil), "CREATE TABLE t (client UInt32, i UInt32) ENGINE = MergeTree ORDER BY (client, i)")
	const clients, calls = 8, 60
	var all sync.WaitGroup
	for client := range clients {
		conn := b.open(nil)
		all.Go(func() {
			for i := range calls {
				if err := ownAnswers(t, conn, client, i); err != nil {
					t.Errorf("client %d, call %d: %v", client, i, err)
					return
				}
			}
		})
	}
	all.Wait()
	if got := scan1[uint64](t, b.open(nil), "SELECT count() FROM t"); got != clients*calls {
		t.Errorf("%d rows are there, want %d", got, clients*calls)
	}
}

// ownAnswers makes a client insert, ask and fail, each with what no other
// client has.
func ownAnswers(t *testing.T, conn clickhouse.Conn, client, i int) error {
	mark := fmt.Sprintf("%d/%d", client, i)
	ctx := clickhouse.Context(t.Context(), clickhouse.WithParameters(clickhouse.Parameters{"mark": mark}),
		clickhouse.WithSettings(clickhouse.Settings{"max_block_size": 1000 + client*100 + i}))
	var got string
	var size uint64
	if err := conn.QueryRow(ctx, "SELECT {mark:String}, toUInt64(getSetting('max_block_size'))").Scan(&got, &size); err != nil {
		return err
	}
	if got != mark || size != uint64(1000+client*100+i) {
		return fmt.Errorf("it got %q with a setting of %d", got, size)
	}
	if err := conn.Exec(t.Context(), fmt.Sprintf("INSERT INTO t VALUES (%d, %d)", client, i)); err != nil {
		return err
	}
	missing := fmt.Sprintf("nowhere_%d_%d", client, i)
	if err := conn.Exec(t.Context(), "SELECT * FROM "+missing); err == nil || !strings.Contains(err.Error(), missing) {
		return fmt.Errorf("its error is %v", err)
	}
	var n uint64
	if err := conn.QueryRow(t.Context(), "SELECT count() FROM t WHERE client = ?", client).Scan(&n); err != nil {
		return err
	}
	if n != uint64(i+1) {
		return fmt.Errorf("it sees %d of its rows", n)
	}
	return nil
}
