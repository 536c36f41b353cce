package ui

import (
	"context"
	"sync"
	"time"

	adminv1 "github.com/prism-data-layer/prism/proto/prism/admin/v1"
)

// Run runs a command line of prismctl on the same gateway: what a page does.
func (s *source) Run(ctx context.Context, args []string, in string, say func(string)) (string, error) {
	return s.f.Execute(ctx, args, in, say)
}

// together runs the parts of a question side by side, and answers the first
// error that one of them gives for the whole.
func (s *source) together(ctx context.Context, parts ...func(context.Context) error) error {
	s.reconnect(ctx)
	var wg sync.WaitGroup
	errs := make([]error, len(parts))
	for i, part := range parts {
		wg.Go(func() { errs[i] = part(ctx) })
	}
	wg.Wait()
	for _, err := range errs {
		if err != nil {
			return s.explain(err)
		}
	}
	return nil
}

// clock is the time on the gateway's clock, and since when it runs.
func (s *source) clock(ctx context.Context) (now, started time.Time, err error) {
	r, err := s.client.GetStatus(ctx, &adminv1.GetStatusRequest{})
	return moment(r.GetNowMs()), moment(r.GetStartedAtMs()), err
}
