package clickhouse

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	chdriver "github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	"github.com/prism-data-layer/prism/pkg/prism"
)

// schemaVersion is the format of the tables that this driver makes and reads.
const schemaVersion = 1

// Versions of servers, as major * 100 + minor.
const (
	floorVersion  = 1816
	modernVersion = 2203
)

// A server is what one says of itself.
type server struct {
	text    string
	version int
}

// ask asks the server who it is.
func (s *store) ask(ctx context.Context) (server, error) {
	var v server
	err := s.rows(ctx, "SELECT version()", func(r chdriver.Rows) error { return r.Scan(&v.text) })
	if err != nil {
		return v, err
	}
	parts := strings.SplitN(v.text, ".", 3)
	if len(parts) > 1 {
		major, _ := strconv.Atoi(parts[0])
		minor, _ := strconv.Atoi(parts[1])
		v.version = major*100 + minor
	}
	if v.version < floorVersion {
		return v, prism.New(prism.ReasonFailedPrecond, "backend %q is ClickHouse %s; this driver needs 18.16 or later", s.name, v.text).WithBackend(s.name)
	}
	return v, nil
}

// Names of tables. On a cluster those that are asked and written to are the
// Distributed ones, which end with allShards.
const (
	eventsTable = "prism_events"
	factsTable  = "prism_facts"
	allShards   = "_all"
)

// Ways to choose a shard.
const (
	shardByEvent     = "event"
	shardByNamespace = "namespace"
	shardBySource    = "source"
)

// A schema is the tables as they are to be.
type schema struct {
	o       *options
	layout  *layout
	rollups []rollup
	there   map[string]bool // tables, before any was made
}

func (sc *schema) table(name string) string { return quoted(sc.o.Database) + "." + quoted(name) }

// all is the table over all shards.
func (sc *schema) all(name string) string {
	if sc.o.Cluster != "" {
		name += allShards
	}
	return sc.table(name)
}

func (sc *schema) events() string { return sc.all(eventsTable) }

func (sc *schema) onCluster() string {
	if sc.o.Cluster == "" {
		return ""
	}
	return " ON CLUSTER " + quoted(sc.o.Cluster)
}

// engine is one of the MergeTree family, replicated on a cluster. Copies of a
// table have one path, made of the servers' macros; perShard tells whether
// shards have different rows.
func (sc *schema) engine(kind, table string, perShard bool) string {
	switch {
	case sc.o.Cluster == "":
		return kind + "MergeTree()"
	case perShard:
		return "Replicated" + kind + "MergeTree('/clickhouse/tables/{shard}/" + sc.o.Database + "/" + table + "', '{replica}')"
	}
	return "Replicated" + kind + "MergeTree('/clickhouse/tables/" + sc.o.Database + "/" + table + "', '{shard}-{replica}')"
}

// eventsDDL makes the table of events.
func (sc *schema) eventsDDL() string {
	var b strings.Builder
	fmt.Fprintf(&b, "CREATE TABLE IF NOT EXISTS %s%s (", sc.table(eventsTable), sc.onCluster())
	for i, c := range sc.layout.columns() {
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString(c.String())
	}
	fmt.Fprintf(&b, ") ENGINE = %s PARTITION BY %s ORDER BY (namespace, type, time)%s", sc.engine("", eventsTable, true), sc.layout.partition(), sc.tiers())
	b.WriteString(" SETTINGS index_granularity = 8192")
	if sc.o.StoragePolicy != "" {
		b.WriteString(", storage_policy = '" + sc.o.StoragePolicy + "'")
	}
	b.WriteString(sc.tokens())
	return b.String()
}

// blockTokens is how many blocks a table remembers, so that one that is sent
// again is not stored twice. Replicated tables do so by themselves.
const blockTokens = 1000

func (sc *schema) tokens() string {
	if !sc.layout.modern || sc.o.Cluster != "" {
		return ""
	}
	return ", non_replicated_deduplication_window = " + integer(blockTokens)
}

// tiers is the TTL that moves events. A TTL is of whole seconds, of a DateTime.
func (sc *schema) tiers() string {
	if len(sc.o.Tiers) == 0 {
		return ""
	}
	var moves []string
	for _, t := range sc.o.Tiers {
		moves = append(moves, fmt.Sprintf("toDateTime(time) + toIntervalSecond(%d) TO VOLUME '%s'", int64(t.After/time.Second), t.Volume))
	}
	return " TTL " + strings.Join(moves, ", ")
}

// distributedDDL makes the table over all shards of another.
func (sc *schema) distributedDDL(table string) string {
	key := map[string]string{
		shardByEvent:     "cityHash64(seq)",
		shardByNamespace: "cityHash64(namespace)",
		shardBySource:    "cityHash64(namespace, source)",
	}[sc.o.Sharding]
	if table != eventsTable {
		key = "cityHash64(namespace)" // only read
	}
	return fmt.Sprintf("CREATE TABLE IF NOT EXISTS %s%s AS %s ENGINE = Distributed('%s', '%s', '%s', %s)",
		sc.table(table+allShards), sc.onCluster(), sc.table(table), sc.o.Cluster, sc.o.Database, table, key)
}

// factsDDL makes the small table with what must be remembered beside events:
// the format, retentions, since when rollups are whole. The latest counts.
func (sc *schema) factsDDL() string {
	return fmt.Sprintf("CREATE TABLE IF NOT EXISTS %s%s (kind String, name String, number Int64, text String, at Int64) ENGINE = %s PARTITION BY tuple() ORDER BY (kind, name)",
		sc.table(factsTable), sc.onCluster(), sc.engine("", factsTable, false))
}

// migrate makes what is missing, and refuses what it would misunderstand before
// it changes anything.
func (s *store) migrate(ctx context.Context, v server) (*schema, error) {
	sc := &schema{o: &s.options, layout: &layout{
		kind: s.options.Layout, modern: v.version >= modernVersion, codec: s.options.Codec,
		dimensions: s.options.Dimensions, metrics: s.options.Metrics,
	}}
	if err := s.fits(sc, v); err != nil {
		return nil, err
	}
	there, err := s.count(ctx, "system.databases", "name = "+literal(s.options.Database))
	if err != nil {
		return nil, err
	}
	if there == 0 {
		return nil, s.classifyCode(codeUnknownDatabase).WithBackend(s.name)
	}
	if err := s.look(ctx, sc); err != nil {
		return nil, err
	}
	known := false
	if sc.there[factsTable] {
		if known, err = s.compare(ctx, sc); err != nil {
			return nil, err
		}
	}
	if err := s.create(ctx, sc, factsTable, sc.factsDDL()); err != nil {
		return nil, err
	}
	if err := s.create(ctx, sc, eventsTable, sc.eventsDDL()); err != nil {
		return nil, err
	}
	if err := s.distribute(ctx, sc, eventsTable); err != nil {
		return nil, err
	}
	if !known {
		if err := s.note(ctx, sc, fact{kind: factSchema, number: schemaVersion, text: sc.layout.String()}); err != nil {
			return nil, err
		}
	}
	return sc, s.migrateRollups(ctx, sc)
}

// look finds out which tables there are.
func (s *store) look(ctx context.Context, sc *schema) error {
	sc.there = map[string]bool{}
	query := "SELECT name FROM system.tables WHERE database = " + literal(s.options.Database)
	return s.rows(ctx, query, func(r chdriver.Rows) error {
		var name string
		err := r.Scan(&name)
		sc.there[name] = true
		return err
	})
}

// create makes a table if it is missing, so that who may only read can open what
// is whole.
func (s *store) create(ctx context.Context, sc *schema, table, ddl string) error {
	if sc.there[table] {
		return nil
	}
	return s.exec(ctx, ddl)
}

// distribute makes the table over all shards of another.
func (s *store) distribute(ctx context.Context, sc *schema, table string) error {
	if s.options.Cluster == "" {
		return nil
	}
	return s.create(ctx, sc, table+allShards, sc.distributedDDL(table))
}

// fits settles the layout, and refuses what the server cannot do.
func (s *store) fits(sc *schema, v server) error {
	l, wanted := sc.layout, ""
	switch {
	case l.modern && l.kind == "":
		l.kind = layoutMap
	case l.kind == "":
		l.kind = layoutArrays
	}
	switch {
	case l.modern:
	case l.kind == layoutMap:
		wanted = "layout map"
	case len(s.options.Rollups) > 0:
		wanted = "rollups"
	case len(s.options.Tiers) > 0:
		wanted = "tiers"
	}
	if wanted != "" {
		return prism.New(prism.ReasonFailedPrecond, "backend %q is ClickHouse %s; its option %s needs 22.3 or later", s.name, v.text, wanted).WithBackend(s.name)
	}
	return nil
}

// compare refuses tables of another format; known is false if nothing says which
// they have.
func (s *store) compare(ctx context.Context, sc *schema) (known bool, err error) {
	facts, err := s.facts(ctx, sc, factSchema)
	if err != nil || len(facts) == 0 {
		return false, err
	}
	was := facts[0]
	if was.number > schemaVersion {
		return true, prism.New(prism.ReasonNewerFormat, "backend %q: the tables in database %q have format %d; this driver knows up to %d", s.name, s.options.Database, was.number, schemaVersion).WithBackend(s.name)
	}
	if is := sc.layout.String(); was.text != is {
		return true, prism.New(prism.ReasonFailedPrecond, "backend %q: the tables were made with %s, and the options say %s; correct the options, or use another database", s.name, was.text, is).WithBackend(s.name)
	}
	return true, nil
}

// count counts rows of a table.
func (s *store) count(ctx context.Context, table, condition string) (n uint64, err error) {
	err = s.rows(ctx, "SELECT count() FROM "+table+" WHERE "+condition, func(r chdriver.Rows) error { return r.Scan(&n) })
	return n, err
}

// Kinds of facts.
const (
	factSchema = "schema" // number: the version, text: the layout
	factRetain = "retain" // of a namespace, number: nanoseconds
	factRollup = "rollup" // of a table, number: since when it is whole
)

// A fact is a row of the table of facts.
type fact struct {
	kind, name string
	number     int64
	text       string
}

// facts are the latest of a kind.
func (s *store) facts(ctx context.Context, sc *schema, kind string) (all []fact, err error) {
	query := "SELECT name, argMax(number, at), argMax(text, at) FROM " + sc.table(factsTable) + " WHERE kind = " + literal(kind) + " GROUP BY name"
	err = s.rows(ctx, query, func(r chdriver.Rows) error {
		f := fact{kind: kind}
		if err := r.Scan(&f.name, &f.number, &f.text); err != nil {
			return err
		}
		all = append(all, f)
		return nil
	})
	return all, err
}

// note adds a fact. The statement selects its values: an INSERT with VALUES hangs
// on 18.
func (s *store) note(ctx context.Context, sc *schema, f fact) error {
	return s.exec(ctx, fmt.Sprintf("INSERT INTO %s (kind, name, number, text, at) SELECT %s, %s, toInt64(%s), %s, toInt64(%s)",
		sc.table(factsTable), literal(f.kind), literal(f.name), integer(f.number), literal(f.text), integer(time.Now().UnixNano())))
}
