package clickhouse

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/prism-data-layer/prism/pkg/driver"
)

// options are the backend's `options:`.
type options struct {
	// Addrs are the servers, host:port. Each connection is made to the first
	// one that answers, so that reads see what the same gateway wrote.
	Addrs []string `yaml:"addrs"`
	// Protocol is native (port 9000, 9440 with TLS) or http (8123, 8443).
	// Default native.
	Protocol string `yaml:"protocol"`
	// Database must be there; the driver makes its tables in it. Default prism.
	Database string `yaml:"database"`
	// Username is who the gateway is. Default: default.
	Username string `yaml:"username"`
	// PasswordFile holds the password; white space at its end does not count. A
	// password itself never stands in a configuration.
	PasswordFile string `yaml:"password_file"`
	// TLS encrypts the connections.
	TLS driver.TLSOptions `yaml:"tls"`

	// Cluster is the name of one in the servers' settings: tables are then
	// made on all of it, ReplicatedMergeTree with a path made of the macros
	// {shard} and {replica}, and a Distributed table over them.
	Cluster string `yaml:"cluster"`
	// Sharding is what decides on which shard of the cluster an event lies:
	// event spreads them evenly, namespace and source keep together what has
	// the same. Default event.
	Sharding string `yaml:"sharding"`

	// Layout is how dimensions and metrics lie in the table: map (columns of
	// type Map, from 22.3 on), arrays (any version), or columns (only those of
	// Dimensions and Metrics; events with others are refused). Default: map
	// where the server has it, otherwise arrays. What a table was made with stays.
	Layout string `yaml:"layout"`
	// Dimensions and Metrics are those that get a column of their own: smaller
	// and faster than what lies in maps or arrays. At most 64 together.
	Dimensions []string `yaml:"dimensions"`
	Metrics    []string `yaml:"metrics"`
	// Rollups are lengths of buckets, such as [1m, 1h], for which sums are kept
	// as events come in. From 22.3 on. Default none.
	Rollups []time.Duration `yaml:"rollups"`
	// Codec is what values are compressed with: lz4 or zstd. Default zstd.
	Codec string `yaml:"codec"`
	// StoragePolicy is the name of one in the server's settings.
	StoragePolicy string `yaml:"storage_policy"`
	// Tiers say after which age events move to which volume of the policy.
	Tiers []tier `yaml:"tiers"`

	// Batch bounds the blocks that concurrent appends share.
	Batch batchOptions `yaml:"batch"`
	// InsertConnections is how many blocks are on their way at once. Default 2.
	InsertConnections int `yaml:"insert_connections"`
	// PoolSize is how many connections queries may take. Default 16.
	PoolSize int `yaml:"pool_size"`
	// DedupeIDs is how many event ids of a namespace are remembered, for
	// driver.DedupeWindow; some 80 bytes each. Default driver.DedupeIDs.
	DedupeIDs int `yaml:"dedupe_ids"`
	// Receipts is how many are remembered per namespace. Default driver.MaxReceipts.
	Receipts int `yaml:"receipts"`
	// Sweep is how often it is looked for events whose retention is over.
	// Default 10m.
	Sweep time.Duration `yaml:"sweep"`
	// DialTimeout bounds the making of a connection. Default 2s.
	DialTimeout time.Duration `yaml:"dial_timeout"`
	// Timeout bounds the wait for an answer of a call without a deadline, or
	// with a later one. Default 30s.
	Timeout time.Duration `yaml:"timeout"`
}

type tier struct {
	After  time.Duration `yaml:"after"`
	Volume string        `yaml:"volume"`
}

type batchOptions struct {
	// Rows and Bytes end a block; half of them do while a connection is idle.
	// Defaults 100000 and 32 MiB. A call whose events are more goes as a block
	// of its own.
	Rows  int `yaml:"rows"`
	Bytes int `yaml:"bytes"`
	// Age is how long events wait for others while a block is on its way; while
	// none is they wait for nobody. Default 200ms.
	Age time.Duration `yaml:"age"`
}

const (
	protocolNative = "native"
	protocolHTTP   = "http"

	layoutMap     = "map"
	layoutArrays  = "arrays"
	layoutColumns = "columns"
)

// maxDeclared is how many bits say which of them an event lacks.
const maxDeclared = 64

var (
	// plainName is what may stand in a statement as the name of something that
	// a server's settings declare.
	plainName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_-]{0,62}$`)
	// declaredName is a dimension or metric that may have a column.
	declaredName = regexp.MustCompile(`^[A-Za-z0-9_.:/-]{1,64}$`)
	notInColumn  = regexp.MustCompile(`[^A-Za-z0-9_]`)
)

func (o *options) check(backend string) error {
	wrong := driver.OptionErrors{Backend: backend}
	if len(o.Addrs) == 0 || slices.ContainsFunc(o.Addrs, func(a string) bool { return !strings.Contains(a, ":") }) {
		wrong.Wrong("addrs", `must hold host:port of a server or more, such as ["127.0.0.1:9000"]`)
	}
	o.checkNames(&wrong)
	o.checkDeclared(&wrong)
	o.checkTimes(&wrong)
	for field, n := range map[string]int{
		"batch.rows": o.Batch.Rows, "batch.bytes": o.Batch.Bytes, "insert_connections": o.InsertConnections,
		"pool_size": o.PoolSize, "dedupe_ids": o.DedupeIDs, "receipts": o.Receipts,
	} {
		wrong.Count(field, int64(n))
	}
	o.TLS.Check(&wrong)
	return wrong.Err()
}

func (o *options) checkNames(wrong *driver.OptionErrors) {
	for _, c := range []struct {
		field, value string
		words        []string
	}{
		{"protocol", o.Protocol, []string{protocolNative, protocolHTTP}},
		{"layout", o.Layout, []string{layoutMap, layoutArrays, layoutColumns}},
		{"sharding", o.Sharding, []string{shardByEvent, shardByNamespace, shardBySource}},
		{"codec", o.Codec, []string{"lz4", "zstd"}},
	} {
		if c.value != "" && !slices.Contains(c.words, c.value) {
			wrong.Wrong(c.field, "must be one of "+strings.Join(c.words, ", "))
		}
	}
	for _, c := range []struct{ field, value string }{
		{"database", o.Database},
		{"cluster", o.Cluster},
		{"storage_policy", o.StoragePolicy},
	} {
		if c.value != "" && !plainName.MatchString(c.value) {
			wrong.Wrong(c.field, "must be a name of letters, digits, _ and -")
		}
	}
	if o.Sharding != "" && o.Cluster == "" {
		wrong.Wrong("sharding", "means something only with a cluster")
	}
}

func (o *options) checkDeclared(wrong *driver.OptionErrors) {
	for field, names := range map[string][]string{"dimensions": o.Dimensions, "metrics": o.Metrics} {
		columns := map[string]string{}
		for _, name := range names {
			if !declaredName.MatchString(name) {
				wrong.Wrong(field, "must be names of letters, digits and _ . : / -")
				break
			}
			if was, ok := columns[columnName(name)]; ok {
				wrong.Wrong(field, fmt.Sprintf("holds %q and %q, whose columns would have one name", was, name))
			}
			columns[columnName(name)] = name
		}
	}
	if len(o.Dimensions)+len(o.Metrics) > maxDeclared {
		wrong.Wrong("dimensions", fmt.Sprintf("must be at most %d, metrics included", maxDeclared))
	}
}

// columnName is what stands for a dimension or metric in the name of its column.
func columnName(name string) string { return notInColumn.ReplaceAllString(name, "_") }

func (o *options) checkTimes(wrong *driver.OptionErrors) {
	wrong.Duration("batch.age", o.Batch.Age)
	wrong.Duration("sweep", o.Sweep)
	wrong.Duration("dial_timeout", o.DialTimeout)
	wrong.Duration("timeout", o.Timeout)
	for i, d := range o.Rollups {
		if d < time.Second || d%time.Second != 0 || slices.Index(o.Rollups, d) != i {
			wrong.Wrong("rollups", "must be whole seconds, each once")
		}
	}
	for _, t := range o.Tiers {
		if t.After < time.Second || t.After%time.Second != 0 || !plainName.MatchString(t.Volume) {
			wrong.Wrong("tiers", "must each have an age of whole seconds and the name of a volume")
		}
	}
	if len(o.Tiers) > 0 && o.StoragePolicy == "" {
		wrong.Wrong("tiers", "need the storage_policy that has their volumes")
	}
}

func (o *options) fill() {
	o.Protocol = cmp.Or(o.Protocol, protocolNative)
	o.Database = cmp.Or(o.Database, "prism")
	o.Username = cmp.Or(o.Username, "default")
	o.Sharding = cmp.Or(o.Sharding, shardByEvent)
	o.Codec = cmp.Or(o.Codec, "zstd")
	o.Batch.Rows = cmp.Or(o.Batch.Rows, 100_000)
	o.Batch.Bytes = cmp.Or(o.Batch.Bytes, 32<<20)
	o.Batch.Age = cmp.Or(o.Batch.Age, 200*time.Millisecond)
	o.InsertConnections = cmp.Or(o.InsertConnections, 2)
	o.PoolSize = cmp.Or(o.PoolSize, 16)
	o.DedupeIDs = cmp.Or(o.DedupeIDs, driver.DedupeIDs)
	o.Receipts = cmp.Or(o.Receipts, driver.MaxReceipts)
	o.Sweep = cmp.Or(o.Sweep, 10*time.Minute)
	o.DialTimeout = cmp.Or(o.DialTimeout, 2*time.Second)
	o.Timeout = cmp.Or(o.Timeout, 30*time.Second)
	slices.Sort(o.Rollups)
}
