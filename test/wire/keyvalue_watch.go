package wire

import (
	"context"
	"time"

	"github.com/prism-data-layer/prism/pkg/driver"
	"github.com/prism-data-layer/prism/pkg/prism"
	kvv1 "github.com/prism-data-layer/prism/proto/prism/keyvalue/v1"
)

// Watch calls Watch.
func (s *Stub) Watch(_ context.Context, ns prism.Namespace, prefix string, after driver.Position) (driver.Watcher, error) {
	st, first, err := follow(func(ctx context.Context) (receiver[*kvv1.WatchResponse], error) {
		return s.kv.Watch(ctx, &kvv1.WatchRequest{Namespace: string(ns), Prefix: prefix, Position: string(after)})
	})
	if err != nil {
		return nil, err
	}
	return &stubWatch{stream: st, first: first}, nil
}

type stubWatch struct {
	*stream[*kvv1.WatchResponse]
	first *kvv1.WatchResponse // until it was handed out
}

func (w *stubWatch) Next(ctx context.Context) (driver.Changes, error) {
	if w.first != nil && ctx.Err() == nil {
		first := w.first
		w.first = nil
		return changesOf(first), nil
	}
	resp, err := w.take(ctx)
	return changesOf(resp), err
}

func changesOf(r *kvv1.WatchResponse) driver.Changes {
	c := driver.Changes{Position: driver.Position(r.GetPosition())}
	for _, x := range r.GetChanges() {
		c.Changes = append(c.Changes, driver.Change{
			Kind: driver.ChangeKind(x.Kind), Key: x.Key, Version: x.Version, Previous: x.PreviousVersion, Time: time.UnixMilli(x.TimeMs),
		})
	}
	return c
}
