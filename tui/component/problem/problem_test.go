package problem

import (
	"errors"
	"strings"
	"testing"

	"github.com/prism-data-layer/prism/pkg/prism"
)

func TestErrorsAreExplained(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		err            error
		what, why, fix string
	}{
		{prism.New(prism.ReasonUnavailable, "cannot reach\x1b[2J it").WithCause(errors.New("refused")), `cannot reach\x1b[2J it`, "refused", "prismctl dev up"},
		{errors.New("odd"), "odd", "", ""},
		{prism.New(prism.ReasonUnauthenticated, "who are you"), "who are you", "", ""},
	} {
		what, why, fix := Explain(c.err)
		if what != c.what || why != c.why || !strings.Contains(fix, c.fix) {
			t.Errorf("%v: %q, %q, %q", c.err, what, why, fix)
		}
	}
}
