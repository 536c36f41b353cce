package ui

import (
	"github.com/prism-data-layer/prism/tui/component/told"
	"github.com/prism-data-layer/prism/tui/page"
	"github.com/prism-data-layer/prism/tui/page/errors"
	"github.com/prism-data-layer/prism/tui/page/overview"
)

// pages are the pages that there are. Their names can be asked without a source.
func pages(s *source, log *told.Log) []page.Factory {
	return []page.Factory{
		overview.Factory(s),
		errors.Factory(log),
	}
}

func pageNames() []string {
	var names []string
	for _, f := range pages(nil, nil) {
		names = append(names, f.Name)
	}
	return names
}
