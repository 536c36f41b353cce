package drivertest_test

import (
	"bytes"
	"os"
	"testing"

	"github.com/prism-data-layer/prism/pkg/driver"
	"github.com/prism-data-layer/prism/pkg/driver/drivertest"
)

// This file is all that the toy driver of toy_driver_test.go needs to be held
// to every promise of what it has.
func TestToyConformance(t *testing.T) {
	drivertest.Run(t, drivertest.Harness{Name: "toy", Open: func(t drivertest.TB, _ drivertest.Options) drivertest.Opened {
		y := newToy()
		t.Cleanup(func() { _ = y.Close() })
		return drivertest.Opened{Set: driver.Fill(driver.Info{Driver: "toy", Durability: "gone at exit"}, y)}
	}})
}

func TestToyIntegrationFitsFiftyLines(t *testing.T) {
	source, err := os.ReadFile("toy_test.go")
	if err != nil {
		t.Fatal(err)
	}
	if n := bytes.Count(source, []byte("\n")); n > 50 {
		t.Errorf("the integration of a driver takes %d lines, want at most 50", n)
	}
}
