package loadtest

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/prism-data-layer/prism/pkg/cli"
	"github.com/prism-data-layer/prism/pkg/iostreams"
	"github.com/prism-data-layer/prism/pkg/prism"
)

// broken is a part that does not let go of what was written.
type broken struct{ part }

func (broken) Left() string { return "" }

func (broken) Clear(context.Context) (string, error) {
	return "", cli.Partial("prismctl kv scan --prefix loadtest/x/", "%s", prism.New(prism.ReasonDiskFull, "disk full").Message)
}

// tidy is one that does.
type tidy struct{ part }

func (tidy) Left() string                          { return "" }
func (tidy) Clear(context.Context) (string, error) { return "tidied", nil }

func TestWhatStaysIsSaidToBeThere(t *testing.T) {
	t.Parallel()
	ios, _, _, errOut := iostreams.Test()
	o := &runOptions{IO: ios}
	err := o.clearUp(t.Context(), nil, []part{broken{}, tidy{}})
	var f *cli.Failure
	if !errors.As(err, &f) || f.Exit != cli.ExitPartial || !strings.Contains(f.Fix, "--prefix loadtest/x/") || !strings.Contains(err.Error(), "disk full") || errOut.String() != "tidied\n" {
		t.Errorf("got %v, %q", err, errOut)
	}
}
