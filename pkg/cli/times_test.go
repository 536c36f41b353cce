package cli_test

import (
	"strings"
	"testing"

	"github.com/prism-data-layer/prism/pkg/cli/clitest"
)

func TestTablesShowTimesAsAskedAndProgramsAlwaysGetUTC(t *testing.T) {
	t.Parallel()
	r := clitest.New(t)
	for flags, want := range map[string]string{
		"":                       "3m ago",
		"--time-format relative": "3m ago",
		"--time-format utc":      "2026-03-01T11:57:00Z",
		"--utc":                  "2026-03-01T11:57:00Z",
		"--time-format unix":     "1772366220",
	} {
		args := append([]string{"namespace", "list", "-o", "wide"}, strings.Fields(flags)...)
		if out := r.OK(args...); !strings.Contains(out, want) {
			t.Errorf("%s: no %q in\n%s", flags, want, out)
		}
		if out := r.OK(append(args, "-o", "json")...); !strings.Contains(out, `"2026-03-01T11:57:00.000Z"`) {
			t.Errorf("%s -o json: got\n%s", flags, out)
		}
	}
	r.Want(2, []string{`--time-format "iso" is not known`, "relative, utc, local, unix"}, "namespace", "list", "--time-format", "iso")
	r.Want(2, []string{"cannot both be"}, "namespace", "list", "--utc", "--time-format", "unix")
}
