package lease_test

import (
	"testing"

	"github.com/prism-data-layer/prism/pkg/driver"
	"github.com/prism-data-layer/prism/pkg/driver/drivertest"
	"github.com/prism-data-layer/prism/pkg/driver/memory"
)

// The engine is seen through the driver that adds least to it.
func onlyQueues(s driver.Set) driver.Set {
	for _, name := range s.Names() {
		if name[:5] != "queue" {
			s = s.Without(name)
		}
	}
	return s
}

func TestPromisesOfQueues(t *testing.T) {
	drivertest.Run(t, drivertest.Driver(memory.Spec()).Wrapped("lease", onlyQueues))
}

func TestOrderIsThatOfASlice(t *testing.T) {
	drivertest.RunQueueModel(t, drivertest.PlainQueues(), drivertest.Driver(memory.Spec()))
}
