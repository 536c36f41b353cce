package clickhouse

import (
	"context"

	"github.com/prism-data-layer/prism/pkg/driver"
	"github.com/prism-data-layer/prism/pkg/prism"
)

// AppendEvents returns when the server has acked the block with the events.
// Which ids and receipts were stored is remembered in this process.
func (s *store) AppendEvents(ctx context.Context, ns prism.Namespace, batch *driver.EventBatch, r driver.Receipt) (driver.AppendResult, error) {
	if err := s.begin(ctx); err != nil {
		return driver.AppendResult{}, err
	}
	defer s.leave()
	if err := s.layout.check(batch); err != nil {
		return driver.AppendResult{}, err
	}
	c, err := s.claim(ctx, ns, batch, r)
	if err != nil {
		return driver.AppendResult{}, err
	}
	if c.result.Replayed {
		return c.result, nil
	}
	if c.rows(batch) > 0 {
		err = s.gatherer.add(ctx, ns, batch, c)
	}
	if c.rows(batch) == 0 || err != nil {
		c.settle(s.clock.Now(), err)
	}
	select {
	case <-c.done:
		if c.err != nil {
			return driver.AppendResult{}, c.err
		}
		return c.result, nil
	case <-ctx.Done():
		return driver.AppendResult{}, prism.From(ctx.Err())
	}
}

// claim takes the events of a batch, when nobody else is about to store some of
// them.
func (s *store) claim(ctx context.Context, ns prism.Namespace, batch *driver.EventBatch, r driver.Receipt) (*claim, error) {
	for {
		mine, other, err := s.windows.claim(ns, batch, r, s.clock.Now())
		if err != nil {
			return nil, err
		}
		if mine != nil {
			return mine, nil
		}
		select {
		case <-other.done:
		case <-ctx.Done():
			return nil, prism.From(ctx.Err())
		}
	}
}
