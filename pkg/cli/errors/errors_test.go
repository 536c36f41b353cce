package errors_test

import (
	"strings"
	"testing"

	"github.com/prism-data-layer/prism/pkg/cli/clitest"
	"github.com/prism-data-layer/prism/pkg/prism"
)

func TestEveryCodeIsExplained(t *testing.T) {
	r := clitest.Offline(t)
	for _, i := range prism.Infos() {
		for _, word := range []string{i.Code(), string(i.Reason), strings.ToLower(i.Code())} {
			out := r.OK("errors", "lookup", word)
			for _, want := range []string{i.Code(), i.Summary, i.Fix} {
				if !strings.Contains(out, want) {
					t.Errorf("%s: %q is missing in\n%s", word, want, out)
				}
			}
		}
	}
}

func TestWhatIsPrinted(t *testing.T) {
	r := clitest.Offline(t)
	r.Golden("lookup", "errors", "lookup", "PRISM-40401")
	r.Golden("lookup-unknown", "errors", "lookup", "PRISM-99999")
	r.Golden("lookup-near", "errors", "lookup", "NOT_FOUNT")
	r.Golden("lookup-json", "errors", "lookup", "RATE_LIMITED", "-o", "json")
	if n := strings.Count(r.OK("errors", "list", "--no-headers"), "\n"); n != len(prism.Infos()) {
		t.Errorf("listed %d codes, want %d", n, len(prism.Infos()))
	}
}

func TestItWorksWithABrokenConfiguration(t *testing.T) {
	r := clitest.Offline(t)
	r.Write(".config/prism/config.yaml", "nonsense: [")
	r.OK("errors", "list")
}
