package sqlite_test

import (
	"testing"

	"github.com/prism-data-layer/prism/pkg/driver/drivertest"
	"github.com/prism-data-layer/prism/pkg/driver/sqlite"
)

func TestConformance(t *testing.T) { drivertest.Run(t, drivertest.Driver(sqlite.Spec())) }

func TestTimeSeriesModel(t *testing.T) {
	drivertest.RunTimeSeriesModel(t, drivertest.PlainTimeSeries(), drivertest.Driver(sqlite.Spec()))
}
