package drivertest_test

import (
	"testing"

	"github.com/prism-data-layer/prism/pkg/driver/drivertest"
	"github.com/prism-data-layer/prism/pkg/driver/memory"
)

// The promises of time series can be kept by what one would write down.
func TestPlainTimeSeriesKeepThePromises(t *testing.T) {
	drivertest.Run(t, drivertest.PlainTimeSeries())
}

func TestTimeSeriesModelOfMemory(t *testing.T) {
	drivertest.RunTimeSeriesModel(t, drivertest.PlainTimeSeries(), drivertest.Driver(memory.Spec()))
}
