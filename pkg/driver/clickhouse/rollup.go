package clickhouse

import (
	"context"
	"fmt"
	"math"
	"strings"
	"time"

	chdriver "github.com/ClickHouse/clickhouse-go/v2/lib/driver"
)

// A rollup is a table with sums of the events in buckets of one length, fed by a
// materialized view: a row of kind 0 counts events, one of kind 1 sums up a
// metric. It keeps types and sources, and no dimensions.
type rollup struct {
	size time.Duration
	// since is where it is whole from: what was stored before it was made lies
	// before.
	since int64
}

// table is the rollup's, without the database.
func (r rollup) table() string { return fmt.Sprintf("prism_rollup_%d", int64(r.size/time.Second)) }

// String is the length as people write it: 1m, 1h.
func (r rollup) String() string {
	text := r.size.String()
	for _, zero := range []string{"m0s", "h0m"} {
		if strings.HasSuffix(text, zero) {
			text = text[:len(text)-2]
		}
	}
	return text
}

// Rows of a rollup.
const (
	rollupEvents  = 0
	rollupMetrics = 1
)

func (sc *schema) rollupDDL(r rollup) string {
	return fmt.Sprintf("CREATE TABLE IF NOT EXISTS %s%s ("+
		"namespace LowCardinality(String), bucket DateTime64(9, 'UTC') CODEC(DoubleDelta, LZ4), type LowCardinality(String), source LowCardinality(String), "+
		"kind UInt8, metric LowCardinality(String), events SimpleAggregateFunction(sum, UInt64), total SimpleAggregateFunction(sum, Float64), "+
		"low SimpleAggregateFunction(min, Float64), high SimpleAggregateFunction(max, Float64)"+
		") ENGINE = %s PARTITION BY toYYYYMM(bucket) ORDER BY (namespace, kind, metric, bucket, type, source) SETTINGS index_granularity = 8192%s",
		sc.table(r.table()), sc.onCluster(), sc.engine("Aggregating", r.table(), true), sc.tokens())
}

// feedDDL makes the view that fills a rollup as events come in. Each event is a
// row for itself and one for each metric.
func (sc *schema) feedDDL(r rollup) string {
	l := sc.layout
	rows := []string{"[(toUInt8(0), '', toFloat64(0))]"}
	if l.kind == layoutMap {
		rows = append(rows, "arrayMap((k, v) -> (toUInt8(1), toString(k), v), mapKeys(metrics), mapValues(metrics))")
	}
	if l.kind == layoutArrays {
		rows = append(rows, "arrayMap((k, v) -> (toUInt8(1), toString(k), v), metrics_names, metrics_values)")
	}
	for _, m := range l.metrics {
		o := l.metric(m)
		rows = append(rows, fmt.Sprintf("if(%s, [(toUInt8(1), %s, %s)], [])", o.has, literal(m), o.value))
	}
	each := "arrayConcat(" + strings.Join(rows, ", ") + ")"
	size := integer(r.size)
	return fmt.Sprintf("CREATE MATERIALIZED VIEW IF NOT EXISTS %s%s TO %s AS "+
		"SELECT namespace, fromUnixTimestamp64Nano(slot, 'UTC') AS bucket, type, source, "+
		"row.1 AS kind, row.2 AS metric, count() AS events, sum(row.3) AS total, min(row.3) AS low, max(row.3) AS high "+
		"FROM (SELECT namespace, intDiv(toUnixTimestamp64Nano(time), %s) * %s AS slot, type, source, arrayJoin(%s) AS row FROM %s) "+
		"GROUP BY namespace, slot, type, source, kind, metric",
		sc.table(r.table()+"_feed"), sc.onCluster(), sc.table(r.table()), size, size, each, sc.table(eventsTable))
}

// migrateRollups makes the rollups that are wanted. One that is made when there
// are events already is whole only behind the last of them: whatever comes
// later in time was stored later too.
func (s *store) migrateRollups(ctx context.Context, sc *schema) error {
	if len(s.options.Rollups) == 0 {
		return nil
	}
	facts, err := s.facts(ctx, sc, factRollup)
	if err != nil {
		return err
	}
	for _, size := range s.options.Rollups {
		r := rollup{size: size, since: math.MaxInt64}
		for _, f := range facts {
			if f.name == r.table() {
				r.since = f.number
			}
		}
		if err := s.migrateRollup(ctx, sc, &r); err != nil {
			return err
		}
		sc.rollups = append(sc.rollups, r)
	}
	return nil
}

func (s *store) migrateRollup(ctx context.Context, sc *schema, r *rollup) error {
	feed := r.table() + "_feed"
	if err := s.create(ctx, sc, r.table(), sc.rollupDDL(*r)); err != nil {
		return err
	}
	if err := s.create(ctx, sc, feed, sc.feedDDL(*r)); err != nil {
		return err
	}
	if err := s.distribute(ctx, sc, r.table()); err != nil {
		return err
	}
	if sc.there[r.table()] && sc.there[feed] && r.since != math.MaxInt64 {
		return nil
	}
	last := int64(math.MinInt64)
	query := "SELECT toUnixTimestamp64Nano(max(time)), count() FROM " + sc.events()
	err := s.rows(ctx, query, func(rows chdriver.Rows) error {
		var latest int64
		var n uint64
		if err := rows.Scan(&latest, &n); err != nil {
			return err
		}
		if n > 0 {
			last = latest
		}
		return nil
	})
	if err != nil {
		return err
	}
	if r.since = last; last != math.MinInt64 {
		r.since = last + 1
	}
	return s.note(ctx, sc, fact{kind: factRollup, name: r.table(), number: r.since})
}
