package ui

import (
	"context"

	"github.com/prism-data-layer/prism/pkg/cli"
	"github.com/prism-data-layer/prism/tui/page"
)

// Pages are the pages, asking the gateway that f leads to.
func Pages(ctx context.Context, f *cli.Factory) ([]page.Factory, error) {
	s, err := newSource(ctx, f)
	return pages(s, nil), err
}
