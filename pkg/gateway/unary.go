package gateway

import (
	"context"

	"github.com/prism-data-layer/prism/pkg/route"
)

// unary is a unary call on a namespace of one model, which as picks: it walks
// the road, runs do within the deadline, and leaves.
func unary[S any, Req interface{ GetNamespace() string }, Resp any](
	ctx context.Context, r *Road, m *method, req Req,
	as func(route.Target) (S, error),
	do func(ctx context.Context, store S, c *call, req Req) (Resp, error),
) (resp Resp, err error) {
	c, err := r.enter(ctx, m, req.GetNamespace(), req)
	if err != nil {
		return resp, err
	}
	defer c.finish(&err)
	store, err := as(c.target)
	if err != nil {
		return resp, err
	}
	resp, err = do(c.bound(), store, &c, req)
	c.answered(resp)
	return resp, err
}
