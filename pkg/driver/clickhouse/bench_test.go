package clickhouse_test

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	chgo "github.com/ClickHouse/clickhouse-go/v2"

	"github.com/prism-data-layer/prism/pkg/driver"
	"github.com/prism-data-layer/prism/pkg/driver/clickhouse/clickhousetest"
	"github.com/prism-data-layer/prism/pkg/prism"
)

// plain is the table of plain types that only benches make.
const plain = "layout: columns\ndimensions: [host, region]\nmetrics: [value]"

// Sizes of a bench: what a message brings, what a block of the direct client
// has, how many of each a round is, and by how many at once.
const (
	messageEvents = 10_000
	blockEvents   = 100_000
	roundEvents   = 2_000_000
	atOnce        = 2
)

// message is events as the wire brings them.
func message(n int) *driver.EventBatch {
	b := &driver.EventBatch{
		Times: make([]int64, n), Types: driver.Coded{Dictionary: []string{"http_request"}}, Sources: driver.Coded{Dictionary: []string{"web-1"}},
		Dimensions: []driver.Dimension{
			{Name: "host", Values: driver.Coded{Codes: make([]uint32, n)}},
			{Name: "region", Values: driver.Coded{Dictionary: []string{"eu", "us", "ap"}, Codes: make([]uint32, n)}},
		},
		Metrics: []driver.Metric{{Name: "value", Values: make([]float64, n)}},
	}
	for i := range 50 {
		b.Dimensions[0].Values.Dictionary = append(b.Dimensions[0].Values.Dictionary, fmt.Sprintf("host-%04d", i))
	}
	for i := range n {
		b.Times[i] = 1_700_000_000_000_000_000 + int64(i)*1000
		b.Dimensions[0].Values.Codes[i] = uint32(i%50 + 1)
		b.Dimensions[1].Values.Codes[i] = uint32(i%3 + 1)
		b.Metrics[0].Values[i] = float64(i%1000) / 7
	}
	return b
}

// through appends a round through the driver.
func through(b *testing.B, set driver.Set, callers int) time.Duration {
	batch := message(messageEvents)
	begin := time.Now()
	var wg sync.WaitGroup
	for range callers {
		wg.Go(func() {
			for range roundEvents / messageEvents / callers {
				if _, err := set.TimeSeries.AppendEvents(context.Background(), "bench", batch, driver.Receipt{}); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	return time.Since(begin)
}

// A direct client inserts the same columns into the same table without us.
func direct(b *testing.B, server *clickhousetest.Server, database string, fill func(chgo.Conn, string, *columnsOf) error) time.Duration {
	conn, err := chgo.Open(&chgo.Options{Addr: []string{server.Native}, MaxOpenConns: atOnce, MaxIdleConns: atOnce})
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	columns := columnsFrom(message(blockEvents))
	statement := "INSERT INTO " + database + ".prism_events (namespace, type, source, time, seq, payload, id, missing, d_host, d_region, m_value)"
	begin := time.Now()
	var wg sync.WaitGroup
	for range atOnce {
		wg.Go(func() {
			for range roundEvents / blockEvents / atOnce {
				if err := fill(conn, statement, columns); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	return time.Since(begin)
}

// columnsOf are events as a direct client has them.
type columnsOf struct {
	namespace, eventType, source, payload, id, host, region []string
	time                                                    []int64
	seq                                                     []uint64
	missing                                                 []uint8
	value                                                   []float64
}

func columnsFrom(m *driver.EventBatch) *columnsOf {
	n := m.Len()
	c := &columnsOf{time: m.Times, value: m.Metrics[0].Values, missing: make([]uint8, n), payload: make([]string, n), id: make([]string, n)}
	for i := range n {
		host, _ := m.Dimensions[0].Values.At(i)
		region, _ := m.Dimensions[1].Values.At(i)
		c.namespace, c.eventType, c.source = append(c.namespace, "bench"), append(c.eventType, "http_request"), append(c.source, "web-1")
		c.host, c.region, c.seq = append(c.host, host), append(c.region, region), append(c.seq, uint64(i))
	}
	return c
}

func (c *columnsOf) all() []any {
	return []any{c.namespace, c.eventType, c.source, c.time, c.seq, c.payload, c.id, c.missing, c.host, c.region, c.value}
}

func byColumn(conn chgo.Conn, statement string, c *columnsOf) error {
	batch, err := conn.PrepareBatch(context.Background(), statement)
	if err != nil {
		return err
	}
	for i, column := range c.all() {
		if err := batch.Column(i).Append(column); err != nil {
			return err
		}
	}
	return batch.Send()
}

func byRow(conn chgo.Conn, statement string, c *columnsOf) error {
	batch, err := conn.PrepareBatch(context.Background(), statement)
	if err != nil {
		return err
	}
	for i := range c.time {
		if err := batch.Append(c.namespace[i], c.eventType[i], c.source[i], c.time[i], c.seq[i], c.payload[i], c.id[i], c.missing[i], c.host[i], c.region[i], c.value[i]); err != nil {
			return err
		}
	}
	return batch.Send()
}

func rate(d time.Duration) float64 { return roundEvents / d.Seconds() }

// BenchmarkPlain holds the driver against a direct client on 18, the native wire
// and a table of plain types, in turns.
func BenchmarkPlain(b *testing.B) {
	server := old.server(b)
	name := database(b, server)
	set := openIn(b, old, server, "database: "+name, plain, fmt.Sprintf("insert_connections: %d", atOnce))
	figures := map[string][]float64{}
	var ratios []float64
	for range b.N {
		clean := func() {
			if _, err := server.Query(context.Background(), "ALTER TABLE "+name+".prism_events DROP PARTITION 19675"); err != nil {
				b.Log(err)
			}
		}
		ours := rate(through(b, set, 32))
		clean()
		columns := rate(direct(b, server, name, byColumn))
		clean()
		rows := rate(direct(b, server, name, byRow))
		clean()
		figures["driver"] = append(figures["driver"], ours)
		figures["direct_columns"] = append(figures["direct_columns"], columns)
		figures["direct_rows"] = append(figures["direct_rows"], rows)
		ratios = append(ratios, ours/columns)
		b.Logf("driver %.0f/s, direct by column %.0f/s, by row %.0f/s: %.2f", ours, columns, rows, ours/columns)
	}
	for what, of := range figures {
		b.ReportMetric(median(of), what+"/s")
	}
	b.ReportMetric(median(ratios), "driver/direct_columns")
	b.ReportMetric(0, "ns/op")
	n, err := server.Query(context.Background(), "SELECT count() FROM system.parts WHERE database = '"+name+"'")
	b.Logf("%s parts seen, %v", n, err)
}

func median(of []float64) float64 {
	of = slices.Sorted(slices.Values(of))
	return of[len(of)/2]
}

// BenchmarkFull appends to the whole schema of 26, through the bridge, with and
// without rollups, and asks for aggregates by minute.
func BenchmarkFull(b *testing.B) {
	server := bridge.server(b)
	for what, more := range map[string][]string{"plain": nil, "rollups": {"rollups: [1m, 1h]"}} {
		b.Run(what, func(b *testing.B) {
			set := openIn(b, bridge, server, append(more, "database: "+database(b, server))...)
			var rates []float64
			for range b.N {
				rates = append(rates, rate(through(b, set, 32)))
			}
			begin := time.Now()
			a, err := set.TimeSeriesAggregation.AggregateEvents(context.Background(), "bench", driver.AggregateQuery{
				Selection: driver.Selection{Start: 0, End: prism.MaxEventTime}, Bucket: int64(time.Minute), Max: 100,
				Values: []driver.Aggregate{{Function: driver.AggregateCount}, {Function: driver.AggregateAvg, Metric: "value"}},
			})
			b.Logf("aggregate of %d events from %s: %v, %v", b.N*roundEvents, a.Source, time.Since(begin), err)
			b.ReportMetric(median(rates), "events/s")
			b.ReportMetric(0, "ns/op")
		})
	}
}
