package ui

import (
	"github.com/prism-data-layer/prism/tui/page"
	"github.com/prism-data-layer/prism/tui/page/overview"
)

// pages are the pages that there are. Their names can be asked without a source.
func pages(s *source) []page.Factory {
	return append([]page.Factory{
		overview.Factory(s),
	}, dataPages(s)...)
}

func pageNames() []string {
	var names []string
	for _, f := range pages(nil) {
		names = append(names, f.Name)
	}
	return names
}
