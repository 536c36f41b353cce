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

func TestPromisesOverABareStubOnMemory(t *testing.T) {
	t.Parallel()
	drivertest.Run(t, wire.Harness("memory over the wire", "memory", false, stub))
}

func TestPromisesOverABareStubOnPebble(t *testing.T) {
	t.Parallel()
	drivertest.Run(t, wire.Harness("pebble over the wire", "pebble", true, stub))
}

func caches(t drivertest.TB, g *harness.Gateway, now *clock.Fake) wire.Calls {
	s := wire.NewCacheStub(g.Dial(t, "data"), now.Now, wire.Bounds(t, g))
	return wire.Calls{Set: driver.Fill(driver.Info{}, nil, s), Model: "cache", DefaultTTL: wire.Always, Dropped: s.Dropped}
}

func TestCachePromisesOverABareStubOnMemory(t *testing.T) {
	t.Parallel()
	drivertest.Run(t, wire.Harness("memory's caches over the wire", "memory", false, caches))
}

func TestCachePromisesOverABareStubOnPebble(t *testing.T) {
	t.Parallel()
	drivertest.Run(t, wire.Harness("pebble's caches over the wire", "pebble", true, caches))
}
