package nats_test

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"testing"

	"github.com/goccy/go-yaml"
	"go.uber.org/goleak"

	"github.com/prism-data-layer/prism/pkg/driver"
	"github.com/prism-data-layer/prism/pkg/driver/drivertest"
	"github.com/prism-data-layer/prism/pkg/driver/nats"
	"github.com/prism-data-layer/prism/pkg/driver/nats/natstest"
)

// shared is the server that tests share, started when first asked for. Each
// test works in namespaces of its own.
var shared struct {
	mu     sync.Mutex
	server *natstest.Server
	late   []func()
}

// keeper is a TB whose cleanup comes when all tests have run.
type keeper struct{ *testing.T }

func (k keeper) Cleanup(f func()) { shared.late = append(shared.late, f) }

func server(t *testing.T) *natstest.Server {
	t.Helper()
	shared.mu.Lock()
	defer shared.mu.Unlock()
	if shared.server == nil {
		shared.server = natstest.Start(keeper{t}, "")
	}
	return shared.server
}

func TestMain(m *testing.M) {
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

func settings(url, more string) driver.Config {
	return driver.Config{
		Name: "nats", Log: slog.New(slog.DiscardHandler),
		Options: options(fmt.Sprintf("servers: [%q]\n%s", url, more)),
	}
}

func open(t drivertest.TB, s *natstest.Server, more string) driver.Set {
	t.Helper()
	set, err := nats.Spec().Open(context.Background(), settings(s.URL, more))
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
func harness(s *natstest.Server) drivertest.Harness {
	return drivertest.Harness{Name: "nats", Bounds: true, Async: true, Open: func(t drivertest.TB, o drivertest.Options) drivertest.Opened {
		t.Helper()
		var more string
		if o.Events > 0 {
			more = fmt.Sprintf("pubsub_events: %d\n", o.Events)
		}
		opened := drivertest.Opened{Set: open(t, s, more)}
		store := opened.Set.Store
		opened.Reopen = func() driver.Set {
			if err := store.Close(); err != nil {
				t.Fatalf("close: %v", err)
			}
			set := open(t, s, more)
			store = set.Store
			return set
		}
		return opened
	}}
}

func TestConformance(t *testing.T) {
	drivertest.Run(t, harness(server(t)))
}

func TestPubSubLikeAPlainModel(t *testing.T) {
	drivertest.RunPubSubModel(t, harness(server(t)))
}
