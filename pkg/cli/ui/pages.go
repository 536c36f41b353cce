package ui

import (
	"github.com/prism-data-layer/prism/tui/component/told"
	"github.com/prism-data-layer/prism/tui/page"
	"github.com/prism-data-layer/prism/tui/page/audit"
	"github.com/prism-data-layer/prism/tui/page/backends"
	"github.com/prism-data-layer/prism/tui/page/errors"
	"github.com/prism-data-layer/prism/tui/page/namespaces"
	"github.com/prism-data-layer/prism/tui/page/overview"
	"github.com/prism-data-layer/prism/tui/page/sessions"
)

// pages are the pages that there are. Their names can be asked without a source.
func pages(s *source, log *told.Log) []page.Factory {
	return append([]page.Factory{
		overview.Factory(s),
		namespaces.ListFactory(namespaceSource{s}), namespaces.OneFactory(namespaceSource{s}),
		backends.ListFactory(backendSource{s}), backends.OneFactory(backendSource{s}),
		sessions.ListFactory(sessionSource{s}), sessions.OneFactory(sessionSource{s}),
		audit.Factory(auditSource{s}),
		errors.Factory(log),
	}, dataPages(s)...)
}

func pageNames() []string {
	var names []string
	for _, f := range pages(nil, nil) {
		names = append(names, f.Name)
	}
	return names
}
