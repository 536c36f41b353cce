package client

import (
	"context"
	"time"

	"github.com/prism-data-layer/prism/pkg/wire/frame"
	cachev1 "github.com/prism-data-layer/prism/proto/prism/cache/v1"
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

// Do runs one operation as the methods of Cache do, with the whole answer.
func (h *Cache) Do(ctx context.Context, op *cachev1.PipelineOp, mutation bool) (*cachev1.PipelineResult, error) {
	o := operation{other: op}
	if mutation {
		o.retryID = h.c.ids.next()
	}
	r, err := h.result(ctx, &o)
	switch {
	case err != nil:
		return nil, err
	case r.Kind == frame.Get:
		got := &cachev1.GetResponse{Found: r.Number != 0, Value: r.Value}
		if r.Expires {
			got.ExpiresAtMs = &r.ExpiresAtMs
		}
		return &cachev1.PipelineResult{Result: &cachev1.PipelineResult_Get{Get: got}}, nil
	case r.Kind == frame.Set:
		return &cachev1.PipelineResult{Result: &cachev1.PipelineResult_Set{Set: &cachev1.SetResponse{Applied: r.Number != 0}}}, nil
	}
	m, _ := r.Other.(*cachev1.PipelineResult)
	return m, nil
}

// Eager is how many frames go without gathering callers.
const Eager = eager

// WithPatience sets how long a frame gathers callers behind others.
func WithPatience(d time.Duration) Option { return func(o *options) { o.patience = d } }
