package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	clickhouse "github.com/ClickHouse/clickhouse-go/v2"
	"google.golang.org/protobuf/proto"

	"github.com/prism-data-layer/prism/pkg/client"
	"github.com/prism-data-layer/prism/pkg/driver/clickhouse/clickhousetest"
	"github.com/prism-data-layer/prism/pkg/prism"
	timeseriesv1 "github.com/prism-data-layer/prism/proto/prism/timeseries/v1"
)

const (
	rowEventsColumns = "clickhouse: events in columns by SDK ÷ clickhouse-go by column, plain table"
	rowEventsRows    = "clickhouse: events in columns by SDK ÷ clickhouse-go row by row, plain table"
	rowEventsRate    = "clickhouse: events in columns by SDK, plain table"
	rowEventsByRow   = "clickhouse: events row by row by SDK ÷ the same in columns"
	rowEventsParts   = "clickhouse: parts for a million events in columns by SDK"
	rowFullSchema    = "clickhouse: events in columns by SDK, full schema, through the bridge"
	rowFullRollups   = "clickhouse: the same with rollups of a minute and an hour"
	rowEventsMinutes = "clickhouse: figures by minute over 10,000,000 events, plain table"
	rowFullMinutes   = "clickhouse: figures by minute over 10,000,000 events, full schema, through the bridge"
)

// What is appended: messages of so many events over so many connections, and
// blocks of the direct client.
const (
	eventStreams  = 2
	messageEvents = 10_000
	blockEvents   = 100_000
	aggregated    = 10_000_000
	eventStart    = 1_700_000_000_000_000_000
)

const plainSchema = "layout: columns, dimensions: [host, region], metrics: [value], "

const clickhouseConfig = `apiVersion: prism/v1
backends:
  - {name: columns, driver: clickhouse, options: {addrs: [%q], protocol: %s, database: prism, insert_connections: %d%s}}
namespaces:
  - {name: events, model: timeseries, backend: columns, limits: {buffer_bytes: 256MiB}, access: {owners: ["user:dev"]}}
log: {level: error}
`

// message is events as a client has them, in columns.
func message(n int) *client.Columns {
	hosts, regions := client.Coded{Codes: make([]uint32, n)}, client.Coded{Dictionary: []string{"eu", "us", "ap"}, Codes: make([]uint32, n)}
	for i := range 50 {
		hosts.Dictionary = append(hosts.Dictionary, fmt.Sprintf("host-%04d", i))
	}
	times, values := make([]int64, n), make([]float64, n)
	for i := range n {
		times[i] = eventStart + int64(i)*1000
		hosts.Codes[i], regions.Codes[i] = uint32(i%50+1), uint32(i%3+1)
		values[i] = float64(i%1000) / 7
	}
	return &client.Columns{
		Times: times, Types: client.Coded{Dictionary: []string{"http_request"}}, Sources: client.Coded{Dictionary: []string{"web-1"}},
		Dimensions: []client.DimensionColumn{{Name: "host", Values: hosts}, {Name: "region", Values: regions}},
		Metrics:    []client.MetricColumn{{Name: "value", Values: values}},
	}
}

// measurement is an event of a message, by itself.
func measurement(m *client.Columns, i int) client.Measurement {
	return client.Measurement{
		Time: time.Unix(0, m.Times[i]), Type: "http_request", Source: "web-1",
		Dimensions: map[string]string{
			"host":   m.Dimensions[0].Values.Dictionary[m.Dimensions[0].Values.Codes[i]-1],
			"region": m.Dimensions[1].Values.Dictionary[m.Dimensions[1].Values.Codes[i]-1],
		},
		Metrics: map[string]float64{"value": m.Metrics[0].Values[i]},
	}
}

// An ingest appends to a gateway in front of a ClickHouse, and beside it.
type ingest struct {
	gw     *process
	server *clickhousetest.Server
	sdks   []*client.Client
	batch  *client.Columns

	events, parts float64 // by SDK in columns, and the parts that the server made of them
}

// ingest starts a server by run and a gateway with further options for it.
func (b *bench) ingest(ctx context.Context, run func(...clickhousetest.Option) (*clickhousetest.Server, error), protocol, more string) (*ingest, error) {
	server, err := run()
	if err != nil {
		return nil, err
	}
	b.undo = append(b.undo, func() { _ = server.Close() })
	if _, err := server.Query(ctx, "CREATE DATABASE prism"); err != nil {
		return nil, err
	}
	addr := server.HTTP
	if protocol == "native" {
		addr = server.Native
	}
	gw, err := b.prismd(ctx, fmt.Sprintf(clickhouseConfig, addr, protocol, eventStreams, strings.TrimSuffix(", "+more, ", ")))
	if err != nil {
		return nil, err
	}
	g := &ingest{gw: gw, server: server, batch: message(messageEvents)}
	for range eventStreams {
		sdk, err := client.Dial(gw.data)
		if err != nil {
			return nil, err
		}
		b.undo = append(b.undo, func() { _ = sdk.Close() })
		g.sdks = append(g.sdks, sdk)
	}
	return g, nil
}

// append sends with an appender for each connection until the time is over, and
// counts what was stored.
func (g *ingest) append(ctx context.Context, d time.Duration, add func(*client.Appender) error) (sample, error) {
	var stored atomic.Int64
	errs := make([]error, len(g.sdks))
	before, start := g.gw.cpuSeconds(), time.Now()
	var wg sync.WaitGroup
	for i, sdk := range g.sdks {
		wg.Go(func() {
			a := sdk.TimeSeries("events").Appender(ctx, client.AppenderOptions{InFlight: 16})
			var err error
			for err == nil && time.Since(start) < d {
				err = add(a)
			}
			totals, closed := a.Close(ctx)
			stored.Add(totals.Accepted)
			if errs[i] = errors.Join(err, closed); totals.Accepted != totals.Sent && errs[i] == nil {
				errs[i] = fmt.Errorf("of %d events %d were stored", totals.Sent, totals.Accepted)
			}
		})
	}
	wg.Wait()
	n := float64(stored.Load())
	return sample{rate: n / time.Since(start).Seconds(), ops: n, cpu: (g.gw.cpuSeconds() - before) / n * 1e6}, errors.Join(errs...)
}

func (g *ingest) columns(ctx context.Context, d time.Duration) (sample, error) {
	parts := g.blocks(ctx)
	s, err := g.append(ctx, d, func(a *client.Appender) error { return a.AddColumns(ctx, g.batch) })
	g.events, g.parts = g.events+s.ops, g.parts+g.blocks(ctx)-parts
	return s, errors.Join(err, g.clean(ctx))
}

func (g *ingest) rows(ctx context.Context, d time.Duration) (sample, error) {
	s, err := g.append(ctx, d, func(a *client.Appender) error {
		for i := range messageEvents {
			if err := a.Add(ctx, measurement(g.batch, i)); err != nil {
				return err
			}
		}
		return nil
	})
	return s, errors.Join(err, g.clean(ctx))
}

// blocks is how many blocks, each a part, the server has written for inserts.
func (g *ingest) blocks(ctx context.Context) float64 {
	text, err := g.server.Query(ctx, "SELECT value FROM system.events WHERE event = 'MergeTreeDataWriterBlocks'")
	if err != nil {
		return 0
	}
	n, _ := strconv.ParseFloat(strings.TrimSpace(text), 64)
	return n
}

// clean leaves nothing for the round after to merge.
func (g *ingest) clean(ctx context.Context) error {
	_, err := g.server.Query(ctx, "TRUNCATE TABLE prism.prism_events")
	return err
}

// direct inserts the same columns into the same table without us.
func (g *ingest) direct(fill func(clickhouse.Conn, *block) error) side {
	return func(ctx context.Context, d time.Duration) (sample, error) {
		conn, err := clickhouse.Open(&clickhouse.Options{Addr: []string{g.server.Native}, MaxOpenConns: eventStreams, MaxIdleConns: eventStreams})
		if err != nil {
			return sample{}, err
		}
		defer conn.Close() //nolint:errcheck // nothing is under way
		columns := blockOf(message(blockEvents))
		var stored atomic.Int64
		errs := make([]error, eventStreams)
		start := time.Now()
		var wg sync.WaitGroup
		for i := range eventStreams {
			wg.Go(func() {
				for errs[i] == nil && time.Since(start) < d {
					if errs[i] = fill(conn, columns); errs[i] == nil {
						stored.Add(blockEvents)
					}
				}
			})
		}
		wg.Wait()
		n := float64(stored.Load())
		return sample{rate: n / time.Since(start).Seconds(), ops: n}, errors.Join(append(errs, g.clean(ctx))...)
	}
}

// A block is events as a direct client has them.
type block struct {
	namespace, kind, source, payload, id, host, region []string
	time                                               []int64
	seq                                                []uint64
	missing                                            []uint8
	value                                              []float64
}

func blockOf(m *client.Columns) *block {
	n := len(m.Times)
	b := &block{time: m.Times, value: m.Metrics[0].Values, missing: make([]uint8, n), payload: make([]string, n), id: make([]string, n)}
	for i := range n {
		e := measurement(m, i)
		b.namespace, b.kind, b.source = append(b.namespace, "direct"), append(b.kind, e.Type), append(b.source, e.Source)
		b.host, b.region, b.seq = append(b.host, e.Dimensions["host"]), append(b.region, e.Dimensions["region"]), append(b.seq, uint64(i))
	}
	return b
}

const insertPlain = "INSERT INTO prism.prism_events (namespace, type, source, time, seq, payload, id, missing, d_host, d_region, m_value)"

func byColumn(conn clickhouse.Conn, b *block) error {
	batch, err := conn.PrepareBatch(context.Background(), insertPlain)
	if err != nil {
		return err
	}
	for i, column := range []any{b.namespace, b.kind, b.source, b.time, b.seq, b.payload, b.id, b.missing, b.host, b.region, b.value} {
		if err := batch.Column(i).Append(column); err != nil {
			return err
		}
	}
	return batch.Send()
}

func byRow(conn clickhouse.Conn, b *block) error {
	batch, err := conn.PrepareBatch(context.Background(), insertPlain)
	if err != nil {
		return err
	}
	for i := range b.time {
		if err := batch.Append(b.namespace[i], b.kind[i], b.source[i], b.time[i], b.seq[i], b.payload[i], b.id[i], b.missing[i], b.host[i], b.region[i], b.value[i]); err != nil {
			return err
		}
	}
	return batch.Send()
}

// benchEvents measures ingest on the native wire beside clickhouse-go, with the
// same columns in a table of plain types.
func benchEvents(ctx context.Context, b *bench) error {
	if !b.wants(rowEventsColumns, rowEventsRows, rowEventsRate, rowEventsByRow, rowEventsParts, rowEventsMinutes) {
		return nil
	}
	if _, missing := clickhousetest.FindServer(); missing != "" {
		fmt.Fprintln(os.Stderr, "NOT MEASURED:", missing)
		return nil
	}
	g, err := b.ingest(ctx, clickhousetest.RunServer18, "native", plainSchema)
	if err != nil {
		return err
	}
	s, err := b.alternate(ctx, g.columns, g.direct(byColumn), g.direct(byRow), g.rows)
	if err != nil {
		return err
	}
	b.compare(rowEventsColumns, "events/s", s[0], s[1], rate, ">=", 0.95)
	b.compare(rowEventsRows, "events/s", s[0], s[2], rate, ">=", 1)
	b.figure(rowEventsRate, "events/s", medianOf(s[0], rate), ">=", 1_500_000)
	b.compare(rowEventsByRow, "events/s", s[3], s[0], rate, ">=", 0)
	b.figure(rowEventsParts, "", g.parts/g.events*1e6, "<=", 20)
	b.note("CPU seconds of the gateway per million events in columns", "s", medianOf(s[0], cpu))
	b.note("CPU seconds of the gateway per million events row by row", "s", medianOf(s[3], cpu))
	took, err := g.byMinute(ctx)
	if err != nil {
		return err
	}
	b.figure(rowEventsMinutes, "s", took, "<=", 1)
	inColumns, inRows := wireBytes(g.batch)
	b.note("bytes on the wire per event in columns", "B", inColumns)
	b.note("bytes on the wire per event in rows", "B", inRows)
	return nil
}

// wireBytes is what an event of a message takes in columns and in rows.
func wireBytes(m *client.Columns) (columns, rows float64) {
	coded := func(c client.Coded) *timeseriesv1.CodedColumn {
		return &timeseriesv1.CodedColumn{Dictionary: c.Dictionary, Codes: c.Codes}
	}
	c := &timeseriesv1.EventColumns{TimeNs: m.Times, EventType: coded(m.Types), Source: coded(m.Sources)}
	for _, d := range m.Dimensions {
		c.Dimensions = append(c.Dimensions, &timeseriesv1.DimensionColumn{Name: d.Name, Values: coded(d.Values)})
	}
	for _, v := range m.Metrics {
		c.Metrics = append(c.Metrics, &timeseriesv1.MetricColumn{Name: v.Name, Values: v.Values})
	}
	var r timeseriesv1.EventRows
	for i := range m.Times {
		e := measurement(m, i)
		r.Events = append(r.Events, &timeseriesv1.Event{
			TimeNs: m.Times[i], EventType: e.Type, Source: e.Source, Dimensions: e.Dimensions, Metrics: e.Metrics,
		})
	}
	n := float64(len(m.Times))
	return float64(proto.Size(c)) / n, float64(proto.Size(&r)) / n
}

// benchFullSchema measures what maps, codecs and rollups cost, on ClickHouse 26
// behind the bridge, whose own limit is about a million rows a second.
func benchFullSchema(ctx context.Context, b *bench) error {
	if !b.wants(rowFullSchema, rowFullRollups, rowFullMinutes) {
		return nil
	}
	if _, missing := clickhousetest.FindBridge(); missing != "" {
		fmt.Fprintln(os.Stderr, "NOT MEASURED:", missing)
		return nil
	}
	plain, err := b.ingest(ctx, clickhousetest.RunBridge, "http", "")
	if err != nil {
		return err
	}
	s, err := b.alternate(ctx, plain.columns)
	if err != nil {
		return err
	}
	b.note(rowFullSchema, "events/s", medianOf(s[0], rate))
	took, err := plain.byMinute(ctx)
	if err != nil {
		return err
	}
	b.note(rowFullMinutes, "s", took)
	b.cleanUp()
	rolled, err := b.ingest(ctx, clickhousetest.RunBridge, "http", "rollups: [1m, 1h], ")
	if err != nil {
		return err
	}
	if s, err = b.alternate(ctx, rolled.columns); err != nil {
		return err
	}
	b.note(rowFullRollups, "events/s", medianOf(s[0], rate))
	return nil
}

// byMinute appends events over a day and asks for figures of each minute; the
// median of five answers.
func (g *ingest) byMinute(ctx context.Context) (float64, error) {
	a := g.sdks[0].TimeSeries("events").Appender(ctx, client.AppenderOptions{InFlight: 16})
	const day = 86_400_000_000_000
	for sent := int64(0); sent < aggregated; sent += messageEvents {
		m := *g.batch
		m.Times = make([]int64, messageEvents)
		for i := range m.Times {
			m.Times[i] = eventStart/day*day + (sent+int64(i))*(day/aggregated)
		}
		if err := a.AddColumns(ctx, &m); err != nil {
			return 0, err
		}
	}
	if totals, err := a.Close(ctx); err != nil || totals.Accepted != aggregated {
		return 0, errors.Join(err, fmt.Errorf("%d of %d events were stored", totals.Accepted, aggregated))
	}
	var took []float64
	for range 5 {
		start := time.Now()
		rows, _, err := g.sdks[0].TimeSeries("events").Aggregate(ctx, client.AggregateQuery{
			TimeRange: client.TimeRange{Start: time.Unix(0, 0), End: time.Unix(0, prism.MaxEventTime)}, Bucket: time.Minute,
			Aggregates: []client.Aggregate{{Function: client.AggregateCount}, {Function: client.AggregateAvg, Metric: "value"}},
		})
		if err != nil {
			return 0, err
		}
		if len(rows) != 24*60 {
			return 0, fmt.Errorf("%d minutes, want those of a day", len(rows))
		}
		took = append(took, time.Since(start).Seconds())
	}
	return median(took), g.clean(ctx)
}
