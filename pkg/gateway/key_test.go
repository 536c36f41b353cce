package gateway_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/prism-data-layer/prism/test/harness"
)

// adminKey is the key that a gateway makes at its first start.
func adminKey(t *testing.T, g *harness.Gateway) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(g.Dir, "data", "admin.key"))
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(b))
}
