package pubsub

import (
	"context"
	"time"

	"github.com/prism-data-layer/prism/tui/component/tail"
)

// A Source answers who subscribes in a namespace, and gives its events.
type Source interface {
	Subscriptions(ctx context.Context, namespace string) ([]Subscription, error)
	// Events gives what is published from now on.
	Events(ctx context.Context, namespace, pattern string, to *tail.Sink[Event]) error
	// Publish says what became of it.
	Publish(ctx context.Context, namespace, topic string, payload []byte, persistent bool) (string, error)
}

// A Subscription is a row of the second pane.
type Subscription struct {
	ID, Pattern, Group, Durable, Principal string
	Active                                 bool
	Sent, Dropped, Behind                  int64
	Created                                time.Time
}

// An Event is what was published.
type Event struct {
	ID, Topic, Key string
	Time           time.Time
	Payload        []byte // at most value.MaxBytes of it
	Size           int64
	Attributes     map[string]string
}
