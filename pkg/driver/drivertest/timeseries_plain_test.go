package drivertest_test

import (
	"testing"

	"github.com/prism-data-layer/prism/pkg/driver/drivertest"
)

// The promises of time series can be kept by what one would write down.
func TestPlainTimeSeriesKeepThePromises(t *testing.T) {
	drivertest.Run(t, drivertest.PlainTimeSeries())
}
