package wire_test

import (
	"testing"

	"github.com/prism-data-layer/prism/pkg/clock"
	"github.com/prism-data-layer/prism/pkg/driver"
	"github.com/prism-data-layer/prism/pkg/driver/drivertest"
	"github.com/prism-data-layer/prism/test/harness"
	"github.com/prism-data-layer/prism/test/wire"
)

func stub(t drivertest.TB, g *harness.Gateway, now *clock.Fake) wire.Calls {
	return wire.Calls{Set: driver.Fill(driver.Info{}, nil, wire.NewStub(g.Dial(t, "data"), now.Now, wire.Bounds(t, g)))}
}

func caches(t drivertest.TB, g *harness.Gateway, now *clock.Fake) wire.Calls {
	s := wire.NewCacheStub(g.Dial(t, "data"), now.Now, wire.Bounds(t, g))
	return wire.Calls{Set: driver.Fill(driver.Info{}, nil, s), Model: "cache", DefaultTTL: wire.Always, Dropped: s.Dropped}
}

func workQueues(t drivertest.TB, g *harness.Gateway, now *clock.Fake) wire.Calls {
	s := wire.NewQueueStub(g.Dial(t, "data"), now.Now, wire.Bounds(t, g))
	return wire.Calls{Set: driver.Fill(driver.Info{}, nil, s), Model: "queue", Dropped: s.Dropped}
}

func logs(t drivertest.TB, g *harness.Gateway, now *clock.Fake) wire.Calls {
	s := wire.NewLogStub(g.Dial(t, "data"), now.Now, wire.Bounds(t, g))
	return wire.Calls{Set: driver.Fill(driver.Info{}, nil, s), Model: "queue", Dropped: s.Dropped}
}

func pubSub(t drivertest.TB, g *harness.Gateway, _ *clock.Fake) wire.Calls {
	s := wire.NewPubSubStub(g.Dial(t, "data"), wire.Bounds(t, g))
	return wire.Calls{Set: driver.Fill(driver.Info{}, nil, s), Model: "pubsub", Dropped: s.Dropped}
}

func timeSeries(t drivertest.TB, g *harness.Gateway, _ *clock.Fake) wire.Calls {
	s := wire.NewSeriesStub(g.Dial(t, "data"), wire.Bounds(t, g))
	return wire.Calls{Set: driver.Fill(driver.Info{}, nil, s), Model: "timeseries", Dropped: s.Dropped}
}

// without takes capabilities away that a backend has not.
func without(over func(drivertest.TB, *harness.Gateway, *clock.Fake) wire.Calls, names ...string) func(drivertest.TB, *harness.Gateway, *clock.Fake) wire.Calls {
	return func(t drivertest.TB, g *harness.Gateway, now *clock.Fake) wire.Calls {
		c := over(t, g, now)
		c.Set = c.Without(names...)
		return c
	}
}

func TestPromisesOverABareStubOnMemory(t *testing.T) {
	t.Parallel()
	for model, over := range map[string]func(drivertest.TB, *harness.Gateway, *clock.Fake) wire.Calls{
		"keyvalue": stub, "cache": caches, "workqueue": workQueues, "log": logs, "pubsub": pubSub, "timeseries": timeSeries,
	} {
		t.Run(model, func(t *testing.T) {
			t.Parallel()
			drivertest.Run(t, wire.Harness("memory over the wire", "memory", false, over))
		})
	}
}

func TestPromisesOverABareStubOnPebble(t *testing.T) {
	t.Parallel()
	for model, over := range map[string]func(drivertest.TB, *harness.Gateway, *clock.Fake) wire.Calls{
		"keyvalue": stub, "cache": without(caches, "cache_bounded"), "workqueue": workQueues, "log": logs, "pubsub": pubSub,
	} {
		t.Run(model, func(t *testing.T) {
			t.Parallel()
			drivertest.Run(t, wire.Harness("pebble over the wire", "pebble", true, over))
		})
	}
}

func TestPromisesOverABareStubOnSQLite(t *testing.T) {
	t.Parallel()
	drivertest.Run(t, wire.Harness("sqlite over the wire", "sqlite", true, timeSeries))
}
