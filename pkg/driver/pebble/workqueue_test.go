package pebble_test

import (
	"testing"

	"github.com/prism-data-layer/prism/pkg/driver/drivertest"
	"github.com/prism-data-layer/prism/pkg/driver/memory"
	"github.com/prism-data-layer/prism/pkg/driver/pebble"
)

func TestQueuesSameAsMemory(t *testing.T) {
	drivertest.RunQueueModel(t, drivertest.Driver(memory.Spec()), drivertest.Driver(pebble.Spec()))
}

// Against what one would write down, both sides restart.
func TestQueuesSameAsPlain(t *testing.T) {
	drivertest.RunQueueModel(t, drivertest.PlainQueues(), drivertest.Driver(pebble.Spec()))
}
