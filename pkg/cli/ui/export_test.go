package ui

import (
	"context"

	"github.com/prism-data-layer/prism/pkg/cli"
	"github.com/prism-data-layer/prism/tui/page"
)

// Pages are the pages as the command makes them.
func Pages(ctx context.Context, f *cli.Factory) ([]page.Factory, error) {
	s, err := newSource(ctx, f)
	if err != nil {
		return nil, err
	}
	return pages(s), nil
}
