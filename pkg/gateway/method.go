package gateway

import (
	"github.com/prism-data-layer/prism/pkg/prism"
	"github.com/prism-data-layer/prism/pkg/session"
	"github.com/prism-data-layer/prism/pkg/telemetry"
	"github.com/prism-data-layer/prism/pkg/wire"
)

// A method is what the road needs to know of one, looked up once at start.
type method struct {
	*wire.Method
	kind       session.Kind
	namespaced bool // works on a namespace, and needs a right to it
	cost       int  // requests it counts for when it begins
	meter      *telemetry.Method
	rpc        string // the name without its first slash, for spans
}

// methods looks up the methods of a service by name.
func (r *Road) methods(service string) map[string]*method {
	found := map[string]*method{}
	for _, m := range wire.Methods() {
		if m.Service != service {
			continue
		}
		own := &method{Method: m, namespaced: m.Action == prism.ActionRead || m.Action == prism.ActionWrite, kind: session.Unary, cost: 1, meter: r.Metrics.Register(m.FullName), rpc: m.FullName[1:]}
		if m.Stream {
			own.kind, own.cost = session.Stream, 0
		}
		found[m.Name] = own
	}
	return found
}
