package ui

import (
	"context"
	"os"

	"github.com/spf13/cobra"

	"github.com/prism-data-layer/prism/pkg/cli"
	"github.com/prism-data-layer/prism/tui/component/told"
	"github.com/prism-data-layer/prism/tui/page"
)

// Pages are the pages, asking the gateway that f leads to.
func Pages(ctx context.Context, f *cli.Factory) ([]page.Factory, error) {
	s, err := newSource(ctx, f)
	return pages(s, &told.Log{}), err
}

// NewOn is the command on a terminal of the caller's.
func NewOn(f *cli.Factory, tty *os.File) *cobra.Command {
	return newUI(f, func(ctx context.Context, o *options) error {
		o.Terminal = func() (in, out *os.File) { return tty, tty }
		return run(ctx, o)
	})
}
