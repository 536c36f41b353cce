// Package problem says errors on a screen.
package problem

import (
	"strings"

	"github.com/prism-data-layer/prism/pkg/prism"
	"github.com/prism-data-layer/prism/tui/component/text"
)

// Explain is an error for a screen: what, why, and what to run; each clean and
// on one line.
func Explain(err error) (what, why, fix string) {
	e := prism.From(err)
	what = text.Clean(e.Message)
	if e.Err != nil && !strings.Contains(e.Message, e.Err.Error()) {
		why = text.Clean(e.Err.Error())
	}
	if e.Reason == prism.ReasonInternal && e.Message == "internal error" || what == "" {
		what, why = text.Clean(err.Error()), ""
	}
	if e.Reason == prism.ReasonUnavailable {
		return what, why, "start one: prismctl dev up    look closer: prismctl health"
	}
	return what, why, text.Clean(e.Reason.Info().Fix)
}
