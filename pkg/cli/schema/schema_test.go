package schema_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/prism-data-layer/prism/pkg/cli/clitest"
)

func TestWhatIsPrinted(t *testing.T) {
	r := clitest.Offline(t)
	kinds := strings.Fields(r.OK("schema"))
	if !slices.IsSorted(kinds) || !slices.Contains(kinds, "Namespace") || !slices.Contains(kinds, "Entry") {
		t.Errorf("got %q", kinds)
	}
	r.Golden("backend", "schema", "backend")
	r.Golden("unknown", "schema", "Bakend")
}
