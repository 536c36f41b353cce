package route

import (
	"context"

	"github.com/prism-data-layer/prism/pkg/data/pubsub"
)

// PubSub tells what the streams of publish and subscribe carry.
func (r *Router) PubSub() pubsub.Stats { return r.streams.Stats() }

// PubSubBacklog is how many persistent events durable subscriptions have not
// acknowledged, in all namespaces together.
func (r *Router) PubSubBacklog(ctx context.Context) (n int64) {
	for _, ns := range *r.table.Load() {
		if ns.pubsub != nil {
			n += ns.pubsub.Backlog(ctx)
		}
	}
	return n
}
