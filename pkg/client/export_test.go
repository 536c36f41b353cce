package client

import (
	"context"
	"time"

	"github.com/prism-data-layer/prism/pkg/wire/frame"
	kvv1 "github.com/prism-data-layer/prism/proto/prism/keyvalue/v1"
)

// Do runs one operation as the methods of KeyValue do, with the whole answer.
func (k *KeyValue) Do(ctx context.Context, op *kvv1.PipelineOp, mutation bool) (*kvv1.PipelineResult, error) {
	o := operation{other: op}
	if mutation {
		o.retryID = k.c.ids.next()
	}
	r, err := k.result(ctx, &o)
	switch {
	case err != nil:
		return nil, err
	case r.Kind == frame.Get:
		got := &kvv1.GetResponse{Value: r.Value, Version: r.Number}
		if r.Expires {
			got.ExpiresAtMs = &r.ExpiresAtMs
		}
		return &kvv1.PipelineResult{Result: &kvv1.PipelineResult_Get{Get: got}}, nil
	case r.Kind == frame.Set:
		return &kvv1.PipelineResult{Result: &kvv1.PipelineResult_Set{Set: &kvv1.SetResponse{Version: r.Number}}}, nil
	}
	m, _ := r.Other.(*kvv1.PipelineResult)
	return m, nil
}

// Eager is how many frames go without gathering callers.
const Eager = eager

// WithPatience sets how long a frame gathers callers behind others.
func WithPatience(d time.Duration) Option { return func(o *options) { o.patience = d } }
