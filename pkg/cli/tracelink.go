package cli

import (
	"strings"

	"github.com/prism-data-layer/prism/pkg/config"
)

// TraceLink is where a trace can be looked at, empty if nobody says where.
func (f *Factory) TraceLink(id string) string {
	if id == "" {
		return ""
	}
	return strings.ReplaceAll(f.IO.Env(config.EnvTraceURL), "{trace}", id)
}
