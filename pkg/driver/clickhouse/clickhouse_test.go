package clickhouse_test

import (
	"context"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/goccy/go-yaml"
	"go.uber.org/goleak"

	"github.com/prism-data-layer/prism/pkg/driver"
	"github.com/prism-data-layer/prism/pkg/driver/clickhouse"
	"github.com/prism-data-layer/prism/pkg/driver/clickhouse/clickhousetest"
	"github.com/prism-data-layer/prism/pkg/driver/drivertest"
	"github.com/prism-data-layer/prism/pkg/prism"
)

// A kind is a line of ClickHouse that the driver is tested on, as a column of
// the matrix.
type kind struct {
	name    string
	missing func() string
	run     func(...clickhousetest.Option) (*clickhousetest.Server, error)
	options string // with the address
}

var (
	// bridge is ClickHouse 26, over HTTP.
	bridge = kind{"clickhouse", func() string { _, m := clickhousetest.FindBridge(); return m }, clickhousetest.RunBridge, "protocol: http\naddrs: [%q]\n"}
	// old is ClickHouse 18, over the native protocol.
	old   = kind{"clickhouse-18", func() string { _, m := clickhousetest.FindServer(); return m }, clickhousetest.RunServer18, "addrs: [%q]\n"}
	kinds = []kind{bridge, old}
)

func (k kind) addr(s *clickhousetest.Server) string {
	if k.name == bridge.name {
		return s.HTTP
	}
	return s.Native
}

// shared are the servers that tests share, one of each kind, started when first
// asked for. Each test works in a database of its own.
var shared struct {
	mu      sync.Mutex
	servers map[string]*clickhousetest.Server
	n       atomic.Int64
}

func (k kind) server(t drivertest.TB) *clickhousetest.Server {
	t.Helper()
	shared.mu.Lock()
	defer shared.mu.Unlock()
	if s := shared.servers[k.name]; s != nil {
		return s
	}
	s, err := k.run()
	if err != nil {
		t.Fatalf("start %s: %v", k.name, err)
	}
	if shared.servers == nil {
		shared.servers = map[string]*clickhousetest.Server{}
	}
	shared.servers[k.name] = s
	return s
}

// each runs a test on every kind that is there.
func each(t *testing.T, f func(t *testing.T, k kind)) {
	for _, k := range kinds {
		t.Run(k.name, func(t *testing.T) {
			k.need(t)
			f(t, k)
		})
	}
}

func (k kind) need(t *testing.T) {
	t.Helper()
	switch missing := k.missing(); {
	case missing == "":
	case clickhousetest.Required():
		t.Fatalf("cannot run here: %s", missing)
	default:
		t.Skipf("NOT TESTED: %s", missing)
	}
}

func TestMain(m *testing.M) {
	flag.Parse()
	code := m.Run()
	for _, s := range shared.servers {
		if err := s.Close(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = 1
		}
	}
	if err := goleak.Find(); code == 0 && err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

// database makes one for a test.
func database(t drivertest.TB, s *clickhousetest.Server) string {
	t.Helper()
	name := fmt.Sprintf("test_%d", shared.n.Add(1))
	if _, err := s.Query(context.Background(), "CREATE DATABASE "+name); err != nil {
		t.Fatalf("create a database: %v", err)
	}
	t.Cleanup(func() { _, _ = s.Query(context.Background(), "DROP DATABASE "+name) })
	return name
}

// decode is options in YAML, as a configuration file has them.
func decode(text string) func(any) error {
	return func(into any) error { return yaml.UnmarshalWithOptions([]byte(text), into, yaml.Strict()) }
}

func config(k kind, s *clickhousetest.Server, more ...string) driver.Config {
	return driver.Config{
		Name: k.name, Log: slog.New(slog.DiscardHandler),
		Options: decode(fmt.Sprintf(k.options, k.addr(s)) + strings.Join(more, "\n")),
	}
}

// open opens a store in a database of its own.
func open(t drivertest.TB, k kind, more ...string) driver.Set {
	t.Helper()
	s := k.server(t)
	return openIn(t, k, s, append(more, "database: "+database(t, s))...)
}

func openIn(t drivertest.TB, k kind, s *clickhousetest.Server, more ...string) driver.Set {
	t.Helper()
	set, err := clickhouse.Spec().Open(context.Background(), config(k, s, more...))
	if err != nil {
		t.Fatalf("open: %v", err)
	}
	t.Cleanup(func() {
		if err := set.Store.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return set
}

// eventually waits for f; a test machine may be slow.
func eventually(t *testing.T, what string, f func() bool) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); !f(); {
		if time.Now().After(deadline) {
			t.Fatalf("%s: not within a minute", what)
		}
		time.Sleep(10 * time.Millisecond)
	}
}

func TestSmoke(t *testing.T) {
	each(t, func(t *testing.T, k kind) {
		s := open(t, k)
		b := driver.EventBatch{
			Times:      []int64{1_700_000_000_000_000_001, 1_700_000_000_000_000_002, 3},
			Types:      driver.Coded{Dictionary: []string{"a", "b"}, Codes: []uint32{1, 2, 2}},
			Dimensions: []driver.Dimension{{Name: "host", Values: driver.Coded{Dictionary: []string{"x\x00'", ""}, Codes: []uint32{1, 0, 2}}}},
			Metrics:    []driver.Metric{{Name: "v", Values: []float64{1, 2, 3}, Present: []byte{5}}},
			Payloads:   driver.Blobs{Ends: []uint32{1, 1, 3}, Data: []byte("abc")},
		}
		res, err := s.TimeSeries.AppendEvents(t.Context(), "ns", &b, driver.Receipt{})
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("%+v %+v", res, s.Info)
		r, err := s.TimeSeries.QueryEvents(t.Context(), prism.Namespace("ns"), driver.EventQuery{Selection: driver.Selection{Start: 0, End: prism.MaxEventTime}, Page: 2})
		if err != nil {
			t.Fatal(err)
		}
		for {
			p, err := r.Page(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			t.Logf("%+v", p)
			if p.Events.Len() == 0 {
				break
			}
		}
		r.Close()
		a, err := s.TimeSeriesAggregation.AggregateEvents(t.Context(), "ns", driver.AggregateQuery{
			Selection: driver.Selection{Start: 0, End: prism.MaxEventTime, Dimensions: driver.Filter{{Attribute: "host", Op: driver.FilterExists}}}, Bucket: 60e9, Max: 100,
			Groups: []driver.GroupKey{{Kind: driver.GroupType}, {Kind: driver.GroupDimension, Name: "host"}},
			Values: []driver.Aggregate{{Function: driver.AggregateCount}, {Function: driver.AggregateAvg, Metric: "v"}, {Function: driver.AggregateQuantile, Metric: "v", Quantile: 0.5}},
		})
		t.Logf("%+v %v", a, err)
		t.Logf("%+v", s.Store.Health(t.Context()))
		u, err := s.Store.Usage(t.Context(), "ns")
		t.Logf("%+v %v", u, err)
		t.Log(s.Store.Drop(t.Context(), "ns"))
	})
}
