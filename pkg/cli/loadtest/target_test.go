package loadtest

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/prism-data-layer/prism/loadtest/workload/kv"
	"github.com/prism-data-layer/prism/pkg/cli"
	"github.com/prism-data-layer/prism/pkg/iostreams"
	"github.com/prism-data-layer/prism/pkg/prism"
)

// broken is a store that does not let go of keys.
type broken struct {
	store
	asked int
}

func (b *broken) DeleteAll(context.Context, []string) error {
	if b.asked++; b.asked < 3 {
		return nil
	}
	return prism.New(prism.ReasonDiskFull, "disk full")
}

func TestKeysThatStayAreSaidToBeThere(t *testing.T) {
	t.Parallel()
	ios, _, _, errOut := iostreams.Test()
	o := &runOptions{IO: ios}
	err := o.clearUp(t.Context(), &broken{}, kv.Config{Keys: 5000, Prefix: "loadtest/x/"}, "kv")
	var f *cli.Failure
	if !errors.As(err, &f) || f.Exit != cli.ExitPartial || !strings.Contains(f.Fix, "--prefix loadtest/x/") || !strings.Contains(err.Error(), "disk full") || errOut.String() != "" {
		t.Errorf("got %v, %q", err, errOut)
	}
}
