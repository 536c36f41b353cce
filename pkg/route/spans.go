package route

import (
	"context"

	"github.com/prism-data-layer/prism/pkg/driver/around"
	"github.com/prism-data-layer/prism/pkg/telemetry"
)

// spans notes each call of a backend with the call of the gateway that it is
// part of. It stands around the guard, whose refusals are noted too.
type spans struct{ backend, system string }

// A span is where the note of one call is; the zero value is of none.
type span struct {
	call *telemetry.Call
	at   int
}

func (s spans) Begin(ctx context.Context, c around.Call) (context.Context, span, error) {
	call := telemetry.CallOf(ctx)
	if call == nil {
		return ctx, span{}, nil
	}
	if c.Waits {
		call.Waits()
	}
	return ctx, span{call, call.Begin(telemetry.Step{System: s.system, Backend: s.backend, Operation: c.Method, Ops: c.Ops})}, nil
}

func (s spans) End(x span, err error) {
	if x.call != nil {
		x.call.End(x.at, err)
	}
}
