package drivertest_test

import (
	"testing"

	"github.com/prism-data-layer/prism/pkg/driver/drivertest"
	"github.com/prism-data-layer/prism/pkg/driver/memory"
)

// The promises of queues can be kept by what one would write down.
func TestPlainQueuesKeepThePromises(t *testing.T) { drivertest.Run(t, drivertest.PlainQueues()) }

func TestQueueModelOfMemory(t *testing.T) {
	drivertest.RunQueueModel(t, drivertest.PlainQueues(), drivertest.Driver(memory.Spec()))
}
