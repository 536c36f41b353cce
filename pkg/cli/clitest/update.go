package clitest

import (
	"flag"
	"testing"
)

// Main registers -update and runs the tests; a package with golden files calls
// it from TestMain.
func Main(m *testing.M) int {
	flag.Bool(updateFlag, false, "write golden files instead of comparing")
	return m.Run()
}
