package clickhouse

import (
	"context"
	"time"

	"github.com/prism-data-layer/prism/pkg/driver"
	"github.com/prism-data-layer/prism/pkg/prism"
)

// Sweep deletes what was over when a namespace kept its events for an age,
// whatever has been said since: as a sweep that was slow does.
func Sweep(ctx context.Context, set driver.Set, ns prism.Namespace, age time.Duration) error {
	s := set.Store.(*store)
	return s.deleteBefore(ctx, []fact{{kind: factRetain, name: string(ns), number: s.cut(age)}})
}
