package redis_test

import (
	"context"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/goccy/go-yaml"
	"go.uber.org/goleak"

	"github.com/prism-data-layer/prism/pkg/driver"
	"github.com/prism-data-layer/prism/pkg/driver/drivertest"
	"github.com/prism-data-layer/prism/pkg/driver/memory"
	"github.com/prism-data-layer/prism/pkg/driver/redis"
	"github.com/prism-data-layer/prism/pkg/driver/redis/redistest"
)

// shared are the servers that tests share, one of each version, started when
// first asked for. Each test works in namespaces of its own.
var shared servers

type servers struct {
	mu   sync.Mutex
	byID map[string]*redistest.Server
	late []func()
}

// keeper is a TB whose cleanup comes when all tests have run.
type keeper struct{ *testing.T }

func (k keeper) Cleanup(f func()) { shared.late = append(shared.late, f) }

func (s *servers) get(t *testing.T, v redistest.Version) *redistest.Server {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	if server := s.byID[v.Name]; server != nil {
		return server
	}
	server := v.Start(keeper{t})
	if s.byID == nil {
		s.byID = map[string]*redistest.Server{}
	}
	s.byID[v.Name] = server
	return server
}

// sleepers is how many tests go side by side: most of them wait for real time.
const sleepers = "8"

func TestMain(m *testing.M) {
	flag.Parse()
	if err := flag.Set("test.parallel", sleepers); err != nil {
		panic(err)
	}
	code := m.Run()
	for _, f := range shared.late {
		f()
	}
	if err := goleak.Find(); code == 0 && err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

// options decode YAML as a configuration file does.
func options(text string) func(any) error {
	return func(into any) error { return yaml.UnmarshalWithOptions([]byte(text), into, yaml.Strict()) }
}

func settings(server *redistest.Server, more string) driver.Config {
	return driver.Config{
		Name: "redis", Log: slog.New(slog.DiscardHandler),
		Options: options(fmt.Sprintf("addrs: [%q]\n%s", server.Addr, more)),
	}
}

func open(t drivertest.TB, server *redistest.Server, more string) driver.Set {
	t.Helper()
	set, err := redis.Spec().Open(context.Background(), settings(server, more))
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

// harness opens stores on one server. Opening again is what a restart of the
// gateway is to it.
func harness(name string, server *redistest.Server) drivertest.Harness {
	return drivertest.Harness{Name: name, Bounds: true, Async: true, Second: time.Second, Open: func(t drivertest.TB, o drivertest.Options) drivertest.Opened {
		t.Helper()
		var more string
		if o.Receipts > 0 {
			more += fmt.Sprintf("receipts: %d\n", o.Receipts)
		}
		if o.History > 0 {
			more += fmt.Sprintf("history: %d\n", o.History)
		}
		opened := drivertest.Opened{Set: open(t, server, more)}
		store := opened.Set.Store
		opened.Reopen = func() driver.Set {
			if err := store.Close(); err != nil {
				t.Fatalf("close: %v", err)
			}
			set := open(t, server, more)
			store = set.Store
			return set
		}
		return opened
	}}
}

func TestConformance(t *testing.T) {
	for _, v := range redistest.Versions() {
		t.Run(v.Name, func(t *testing.T) {
			if missing := v.Missing(); missing != "" {
				drivertest.Unasked(t, v.Name, missing)
			}
			drivertest.Run(t, harness(v.Name, shared.get(t, v)))
		})
	}
}

func TestSameAsMemory(t *testing.T) {
	for _, v := range redistest.Versions() {
		t.Run(v.Name, func(t *testing.T) {
			drivertest.RunModel(t, drivertest.Driver(memory.Spec()), harness(v.Name, shared.get(t, v)))
		})
	}
}

func TestCacheSameAsMemory(t *testing.T) {
	for _, v := range redistest.Versions() {
		t.Run(v.Name, func(t *testing.T) {
			drivertest.RunCacheModel(t, drivertest.Driver(memory.Spec()), harness(v.Name, shared.get(t, v)))
		})
	}
}

func TestPubSubLikeAPlainModel(t *testing.T) {
	for _, v := range redistest.Versions() {
		t.Run(v.Name, func(t *testing.T) {
			drivertest.RunPubSubModel(t, harness(v.Name, shared.get(t, v)))
		})
	}
}

func TestQueuesSameAsMemory(t *testing.T) {
	for _, v := range redistest.Versions() {
		t.Run(v.Name, func(t *testing.T) {
			drivertest.RunQueueModel(t, drivertest.Driver(memory.Spec()), timed(v.Name, shared.get(t, v)))
		})
	}
}

func TestQueuesLikeAPlainModel(t *testing.T) {
	for _, v := range redistest.Versions() {
		t.Run(v.Name, func(t *testing.T) {
			drivertest.RunQueueModel(t, drivertest.PlainQueues(), timed(v.Name, shared.get(t, v)))
		})
	}
}

func TestStreamsSameAsMemory(t *testing.T) {
	for _, v := range redistest.Versions() {
		t.Run(v.Name, func(t *testing.T) {
			drivertest.RunStreamModel(t, drivertest.Driver(memory.Spec()), timed(v.Name, shared.get(t, v)))
		})
	}
}
