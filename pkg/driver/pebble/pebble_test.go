package pebble_test

import (
	"testing"

	"go.uber.org/goleak"

	"github.com/prism-data-layer/prism/pkg/driver/drivertest"
	"github.com/prism-data-layer/prism/pkg/driver/memory"
	"github.com/prism-data-layer/prism/pkg/driver/pebble"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestConformance(t *testing.T) { drivertest.Run(t, drivertest.Driver(pebble.Spec())) }

func TestSameAsMemory(t *testing.T) {
	drivertest.RunModel(t, drivertest.Driver(memory.Spec()), drivertest.Driver(pebble.Spec()))
}

func TestSameCacheAsMemory(t *testing.T) {
	drivertest.RunCacheModel(t, drivertest.Driver(memory.Spec()), drivertest.Driver(pebble.Spec()))
}

func TestPubSubLikeAPlainModel(t *testing.T) {
	drivertest.RunPubSubModel(t, drivertest.Driver(pebble.Spec()))
}
