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

	"github.com/prism-data-layer/prism/pkg/clock"
	"github.com/prism-data-layer/prism/pkg/driver"
	"github.com/prism-data-layer/prism/pkg/driver/clickhouse"
	"github.com/prism-data-layer/prism/pkg/driver/clickhouse/clickhousetest"
	"github.com/prism-data-layer/prism/pkg/driver/drivertest"
	"github.com/prism-data-layer/prism/pkg/driver/memory"
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

func settings(k kind, s *clickhousetest.Server, more ...string) driver.Config {
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
	set, err := clickhouse.Spec().Open(context.Background(), settings(k, s, more...))
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

// harness opens a store in a database of its own for each promise, with a clock
// in its hands.
func harness(k kind, more ...string) drivertest.Harness {
	return drivertest.Harness{Name: k.name, Forgets: true, Patience: time.Minute, Open: func(t drivertest.TB, _ drivertest.Options) drivertest.Opened {
		t.Helper()
		s := k.server(t)
		c := settings(k, s, append(more, "database: "+database(t, s), "sweep: 1s")...)
		now := clock.NewFake(time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC))
		c.Clock = now
		var set driver.Set
		open := func() driver.Set {
			var err error
			if set, err = clickhouse.Spec().Open(context.Background(), c); err != nil {
				t.Fatalf("open: %v", err)
			}
			return set
		}
		shut := func() {
			if err := set.Store.Close(); err != nil {
				t.Errorf("close: %v", err)
			}
		}
		t.Cleanup(shut)
		return drivertest.Opened{Set: open(), Clock: now, Reopen: func() driver.Set {
			shut()
			return open()
		}}
	}}
}

func TestConformance(t *testing.T) {
	for _, k := range kinds {
		t.Run(k.name, func(t *testing.T) {
			if missing := k.missing(); missing != "" {
				drivertest.Unasked(t, k.name, missing)
			}
			k.need(t)
			drivertest.Run(t, harness(k))
		})
	}
}

// The reference and the server give the same answers to the same calls.
func TestModel(t *testing.T) {
	// Each step is a few statements of a server.
	if os.Getenv(drivertest.ModelRuns) == "" {
		t.Setenv(drivertest.ModelRuns, "2")
		if err := flag.Set("rapid.steps", "20"); err != nil {
			t.Fatal(err)
		}
	}
	each(t, func(t *testing.T, k kind) {
		h := harness(k)
		open := h.Open
		h.Open = func(t drivertest.TB, o drivertest.Options) drivertest.Opened {
			opened := open(t, o)
			opened.Reopen = nil // it would forget what the other remembers
			return opened
		}
		drivertest.RunTimeSeriesModel(t, drivertest.Driver(memory.Spec()), h)
	})
}
