package clickhouse

import (
	"context"
	"strconv"
	"time"

	chdriver "github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	"github.com/prism-data-layer/prism/pkg/driver"
	"github.com/prism-data-layer/prism/pkg/prism"
)

// durability says in words what an ack is worth.
func (s *store) durability(ctx context.Context) (text string, durable bool) {
	fsync, told := s.setting(ctx, "merge_tree_settings", "fsync_after_insert")
	switch {
	case fsync == "1":
		text, durable = "acked means written to a part on the server's disk and fsynced (fsync_after_insert)", true
	case told:
		text = "acked means written to a part on the server's disk, which the system writes out when it likes: a crash of the machine may take half a minute and more"
	default:
		text = "acked means written to a part on the server's disk; the server does not tell whether that is fsynced"
	}
	if s.options.Cluster == "" {
		return text, durable
	}
	switch quorum, told := s.setting(ctx, "settings", "insert_quorum"); {
	case !told:
		return text, durable
	case quorum == "" || quorum == "0":
		return text + "; other replicas have it soon after (insert_quorum 0)", durable
	default:
		return text + "; as many replicas have it as insert_quorum says: " + quorum, durable
	}
}

// setting asks for one of the server's; told is false if the server keeps it to
// itself.
func (s *store) setting(ctx context.Context, table, name string) (value string, told bool) {
	err := s.rows(ctx, "SELECT value FROM system."+table+" WHERE name = "+literal(name), func(r chdriver.Rows) error { return r.Scan(&value) })
	return value, err == nil
}

// Health asks the server and looks at the tables.
func (s *store) Health(ctx context.Context) driver.Health {
	h := driver.Health{State: driver.Unhealthy, Facts: map[string]string{}}
	if err := s.begin(ctx); err != nil {
		h.Message = err.Error()
		return h
	}
	defer s.leave()
	version, err := s.ask(ctx)
	if err != nil {
		h.Message = err.Error()
		return h
	}
	h.State = driver.Healthy
	stats := s.conn.Stats()
	h.Facts["version"] = version.text
	h.Facts["layout"] = s.layout.kind
	h.Facts["pool_size"], h.Facts["pool_in_use"] = strconv.Itoa(stats.MaxOpenConns), strconv.Itoa(stats.Open)
	h.Facts["appends_waiting"] = strconv.FormatInt(s.gatherer.waiting.Load(), 10)
	h.Facts["blocks_in_flight"] = strconv.Itoa(s.gatherer.inFlight())
	for _, r := range s.schema.rollups {
		h.Facts["rollup_"+r.String()] = "whole from " + r.from()
	}
	if parts, rows, bytes, err := s.parts(ctx, eventsTable); err == nil {
		h.Facts["parts"], h.Facts["rows"], h.Facts["disk_bytes"] = utoa(parts), utoa(rows), utoa(bytes)
	}
	h.Durability, h.Durable = s.durability(ctx)
	h.Facts["durability"] = h.Durability
	if s.options.Cluster != "" {
		s.replication(ctx, &h)
	}
	return h
}

func utoa(n uint64) string { return strconv.FormatUint(n, 10) }

// from says since when a rollup is whole.
func (r rollup) from() string {
	if r.since < 0 {
		return "the beginning"
	}
	return time.Unix(0, r.since).UTC().Format(time.RFC3339Nano)
}

// parts are how many a table has on this server, with how much in them.
func (s *store) parts(ctx context.Context, table string) (parts, rows, bytes uint64, err error) {
	query := "SELECT count(), sum(rows), sum(bytes_on_disk) FROM system.parts WHERE active AND database = " + literal(s.options.Database) + " AND table = " + literal(table)
	err = s.rows(ctx, query, func(r chdriver.Rows) error { return r.Scan(&parts, &rows, &bytes) })
	return parts, rows, bytes, err
}

// lagging is how far behind a replica is when it is told.
const lagging = 60

func (s *store) replication(ctx context.Context, h *driver.Health) {
	query := "SELECT toUInt64(max(absolute_delay)), toUInt64(max(queue_size)), toUInt64(max(is_readonly)) FROM system.replicas WHERE database = " + literal(s.options.Database)
	var lag, queue, readonly uint64
	if err := s.rows(ctx, query, func(r chdriver.Rows) error { return r.Scan(&lag, &queue, &readonly) }); err != nil {
		return
	}
	h.Facts["replication_lag_s"], h.Facts["replication_queue"] = utoa(lag), utoa(queue)
	switch {
	case readonly != 0:
		h.State, h.Message = driver.Degraded, "a table is read-only: the server has lost its coordination service"
	case lag > lagging:
		h.State, h.Message = driver.Degraded, "the server is "+utoa(lag)+" s behind other replicas"
	}
}

// Usage counts the events of a namespace by the primary key, and estimates what
// they take from what all take.
func (s *store) Usage(ctx context.Context, ns prism.Namespace) (driver.Usage, error) {
	if err := s.begin(ctx); err != nil {
		return driver.Usage{}, err
	}
	defer s.leave()
	n, err := s.count(ctx, s.schema.events(), "namespace = "+literal(string(ns)))
	if err != nil {
		return driver.Usage{}, err
	}
	_, rows, bytes, err := s.parts(ctx, eventsTable)
	if err != nil {
		return driver.Usage{}, err
	}
	u := driver.Usage{Keys: int64(n), Receipts: s.windows.count(ns), Estimated: true}
	if rows > 0 {
		u.Bytes = int64(float64(bytes) * float64(n) / float64(rows))
	}
	return u, nil
}
