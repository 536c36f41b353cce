package drivertest_test

import (
	"testing"

	"github.com/prism-data-layer/prism/pkg/driver/drivertest"
	"github.com/prism-data-layer/prism/pkg/driver/memory"
)

// The promises of logs can be kept by what one would write down.
func TestPlainStreamsKeepThePromises(t *testing.T) { drivertest.Run(t, drivertest.PlainStreams()) }

func TestStreamModelOfMemory(t *testing.T) {
	drivertest.RunStreamModel(t, drivertest.PlainStreams(), drivertest.Driver(memory.Spec()))
}
