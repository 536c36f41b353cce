package schema_test

import (
	"testing"

	"github.com/prism-data-layer/prism/pkg/cli/clitest"
)

func TestWhatIsPrinted(t *testing.T) {
	r := clitest.Offline(t)
	r.Golden("kinds", "schema")
	r.Golden("backend", "schema", "backend")
	r.Golden("unknown", "schema", "Bakend")
}
