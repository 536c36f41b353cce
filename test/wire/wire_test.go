package wire_test

import (
	"testing"

	"github.com/prism-data-layer/prism/pkg/clock"
	"github.com/prism-data-layer/prism/pkg/driver/drivertest"
	"github.com/prism-data-layer/prism/test/harness"
	"github.com/prism-data-layer/prism/test/wire"
)

func stub(t drivertest.TB, g *harness.Gateway, now *clock.Fake) wire.Calls {
	s := wire.NewStub(g.Dial(t, "data"), now.Now)
	s.Bound = wire.Bounds(t, g)
	return wire.Calls{
		KeyValue: s, KeyValueVersioned: s, KeyValueTTL: s, KeyValueOrderedScan: s, KeyValueBatch: s,
		KeyValueAtomic: s, KeyValueCAS: s, KeyValueTransactional: s, KeyValueWatch: s,
	}
}

func TestPromisesOverABareStubOnMemory(t *testing.T) {
	t.Parallel()
	drivertest.Run(t, wire.Harness("memory over the wire", "memory", false, stub))
}

func TestPromisesOverABareStubOnPebble(t *testing.T) {
	t.Parallel()
	drivertest.Run(t, wire.Harness("pebble over the wire", "pebble", true, stub))
}

func cacheStub(t drivertest.TB, g *harness.Gateway, now *clock.Fake) wire.Calls {
	s := wire.NewCacheStub(g.Dial(t, "data"), now.Now)
	s.Bound = wire.Bounds(t, g)
	return wire.Calls{Cache: s, Dropped: s.Dropped}
}

func TestCachePromisesOverABareStubOnMemory(t *testing.T) {
	t.Parallel()
	drivertest.Run(t, wire.CacheHarness("memory's caches over the wire", "memory", false, cacheStub))
}

func TestCachePromisesOverABareStubOnPebble(t *testing.T) {
	t.Parallel()
	drivertest.Run(t, wire.CacheHarness("pebble's caches over the wire", "pebble", true, cacheStub))
}
