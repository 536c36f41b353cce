package redis_test

import (
	"context"
	"encoding/json"
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
	mu    sync.Mutex
	byID  map[string]*redistest.Server
	slots *redistest.Cluster
	late  []func()
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

// cluster is three masters without replicas: nobody takes one away.
func (s *servers) cluster(t *testing.T) *redistest.Cluster {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.slots == nil {
		s.slots = redistest.Seven().Cluster(keeper{t}, 0)
	}
	return s.slots
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
	return settingsOf([]string{server.Addr}, more)
}

func settingsOf(addrs []string, more string) driver.Config {
	list, err := json.Marshal(addrs)
	if err != nil {
		panic(err)
	}
	return driver.Config{
		Name: "redis", Log: slog.New(slog.DiscardHandler),
		Options: options(fmt.Sprintf("addrs: %s\n%s", list, more)),
	}
}

func open(t drivertest.TB, server *redistest.Server, more string) driver.Set {
	t.Helper()
	return openAt(t, []string{server.Addr}, more)
}

func openAt(t drivertest.TB, addrs []string, more string) driver.Set {
	t.Helper()
	set, err := redis.Spec().Open(context.Background(), settingsOf(addrs, more))
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

// A deployment is servers with the driver's options for them, a column of the matrix.
type deployment struct {
	name    string
	version redistest.Version
	more    string
	addrs   func(*testing.T) []string
}

// single is one server of a version.
func single(v redistest.Version) deployment {
	return deployment{v.Name, v, "", func(t *testing.T) []string { return []string{shared.get(t, v).Addr} }}
}

// deployments are all that the driver is tested on as a whole.
func deployments() []deployment {
	var all []deployment
	for _, v := range redistest.Versions() {
		all = append(all, single(v))
	}
	cluster := func(t *testing.T) []string { return shared.cluster(t).Addrs()[:1] }
	return append(all,
		deployment{"redis-cluster", redistest.Seven(), "", cluster},
		deployment{"redis-cluster one-slot", redistest.Seven(), "placement: one-slot\n", cluster})
}

// harness opens stores on one deployment. Opening again is what a restart of the
// gateway is to it.
func (d deployment) harness(t *testing.T) drivertest.Harness {
	addrs := d.addrs(t)
	return drivertest.Harness{Name: d.name, Bounds: true, Async: true, Apart: d.name == "redis-cluster", Second: time.Second, Open: func(t drivertest.TB, o drivertest.Options) drivertest.Opened {
		t.Helper()
		more := d.more
		if o.Receipts > 0 {
			more += fmt.Sprintf("receipts: %d\n", o.Receipts)
		}
		if o.History > 0 {
			more += fmt.Sprintf("history: %d\n", o.History)
		}
		opened := drivertest.Opened{Set: openAt(t, addrs, more)}
		store := opened.Set.Store
		opened.Reopen = func() driver.Set {
			if err := store.Close(); err != nil {
				t.Fatalf("close: %v", err)
			}
			set := openAt(t, addrs, more)
			store = set.Store
			return set
		}
		return opened
	}}
}

func TestConformance(t *testing.T) {
	for _, d := range deployments() {
		t.Run(d.name, func(t *testing.T) {
			if missing := d.version.Missing(); missing != "" {
				drivertest.Unasked(t, d.name, missing)
			}
			drivertest.Run(t, d.harness(t))
		})
	}
}

func TestSameAsMemory(t *testing.T) {
	for _, d := range deployments() {
		t.Run(d.name, func(t *testing.T) {
			drivertest.RunModel(t, drivertest.Driver(memory.Spec()), d.harness(t))
		})
	}
}

func TestCacheSameAsMemory(t *testing.T) {
	for _, d := range deployments() {
		t.Run(d.name, func(t *testing.T) {
			drivertest.RunCacheModel(t, drivertest.Driver(memory.Spec()), d.harness(t))
		})
	}
}

func TestPubSubLikeAPlainModel(t *testing.T) {
	for _, d := range deployments() {
		t.Run(d.name, func(t *testing.T) {
			drivertest.RunPubSubModel(t, d.harness(t))
		})
	}
}

func TestQueuesSameAsMemory(t *testing.T) {
	for _, v := range redistest.Versions() {
		t.Run(v.Name, func(t *testing.T) {
			drivertest.RunQueueModel(t, drivertest.Driver(memory.Spec()), timed(t, v))
		})
	}
}

func TestQueuesLikeAPlainModel(t *testing.T) {
	for _, v := range redistest.Versions() {
		t.Run(v.Name, func(t *testing.T) {
			drivertest.RunQueueModel(t, drivertest.PlainQueues(), timed(t, v))
		})
	}
}

func TestStreamsSameAsMemory(t *testing.T) {
	for _, v := range redistest.Versions() {
		t.Run(v.Name, func(t *testing.T) {
			drivertest.RunStreamModel(t, drivertest.Driver(memory.Spec()), timed(t, v))
		})
	}
}
