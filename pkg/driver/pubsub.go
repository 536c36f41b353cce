package driver

import (
	"context"
	"time"

	"github.com/prism-data-layer/prism/pkg/prism"
)

// What holds for every pub/sub capability:
//
//   - A topic is 1 to prism.MaxKeyBytes bytes of tokens parted by dots; no token
//     is empty, and none holds a space, a control character, * or >.
//     Namespaces are any bytes, and share nothing.
//   - A subscription gets every event that is published after Subscribe has
//     returned and matches it, in the order in which one publisher's calls
//     returned, at most once, as long as its reader keeps up.
//   - A reader that does not keep up harms nobody else: when
//     Subscription.Pending events wait, its policy decides.
//   - Publishing to a topic without subscriptions is no error.
//   - A caller may use the memory of an event again once its call has returned;
//     events that are handed out are shared by many and changed by nobody.

// PubSub is capability pubsub_basic.
type PubSub interface {
	// Publish sends events, each with a result of its own in results[i]. The
	// returned error is for all, when none was tried.
	Publish(ctx context.Context, ns prism.Namespace, events []Event, results []PublishResult) error
	// Subscribe follows one topic, s.Pattern.
	Subscribe(ctx context.Context, ns prism.Namespace, s Subscription) (Subscriber, error)
}

// PubSubWildcards is capability pubsub_wildcards: patterns in which the token
// * stands for one token and > at the end for one or more. With it the other
// ways to subscribe take such patterns too.
type PubSubWildcards interface {
	SubscribePattern(ctx context.Context, ns prism.Namespace, s Subscription) (Subscriber, error)
}

// PubSubGroups is capability pubsub_groups: each event goes to one member of
// the group; subscriptions outside the group are not affected. A member that
// leaves takes along at most what it has not read yet.
type PubSubGroups interface {
	SubscribeGroup(ctx context.Context, ns prism.Namespace, group string, s Subscription) (Subscriber, error)
}

// PubSubFiltering is capability pubsub_filtering: events that s.Filter does not
// match are not delivered, and do not count as waiting.
type PubSubFiltering interface {
	SubscribeFiltered(ctx context.Context, ns prism.Namespace, s Subscription) (Subscriber, error)
}

// PubSubOrdering is capability pubsub_ordering.
type PubSubOrdering interface {
	// PublishOrdered is Publish for events with an OrderingKey: every
	// subscription gets those with one key in the order in which the calls
	// began, also when they overlap.
	PublishOrdered(ctx context.Context, ns prism.Namespace, events []Event, results []PublishResult) error
}

// PubSubPersistent is capability pubsub_persistent: a log of events beside the
// live ones. A persistent event goes to live subscriptions too, and is kept
// for the store's retention; a replay gets exactly the persistent events.
type PubSubPersistent interface {
	// PublishPersistent is Publish; acked means kept, as Info.Durability says.
	PublishPersistent(ctx context.Context, ns prism.Namespace, events []Event, results []PublishResult) error
	// Replay follows persistent events in order, without a gap. With a Name the
	// store remembers what was acked, and Start counts only when the name is
	// new; without one the caller keeps the position. A name that is known has
	// its pattern, and another is INVALID_ARGUMENT. A second Replay with a name
	// takes over: the first ends with ABORTED, reason SUBSCRIPTION_TAKEN. What
	// is no longer kept is OUT_OF_RANGE, reason COMPACTED, also for a name.
	Replay(ctx context.Context, ns prism.Namespace, r Replay) (Replayer, error)
	// Acknowledge remembers for a name that all up to p was worked off, whether
	// or not somebody reads it now. Going back is no error and changes nothing;
	// a name that is not there is NOT_FOUND.
	Acknowledge(ctx context.Context, ns prism.Namespace, name string, p Position) error
	// Subscriptions lists those with a name, sorted.
	Subscriptions(ctx context.Context, ns prism.Namespace) ([]DurableSubscription, error)
	// DeleteSubscription forgets a name and ends its reader with NOT_FOUND.
	DeleteSubscription(ctx context.Context, ns prism.Namespace, name string) (found bool, err error)
}

// An Event is what is published.
type Event struct {
	ID            string // made above the driver, carried as it is
	Topic         string
	Payload       []byte
	Attributes    map[string]string
	CorrelationID string
	ReplyTo       string
	OrderingKey   string
	Time          time.Time // of publishing, to the millisecond
	Receipt       Receipt   // of a persistent event
	// Position is set on delivery of a persistent event by a Replayer.
	Position Position
}

// A PublishResult is the answer for one event.
type PublishResult struct {
	Subscribers int64    // subscriptions that it went to; -1: not known
	Position    Position // of a persistent event
	// Replayed marks the first answer to this receipt. ID and Time are then
	// those of the event that was published, and Subscribers is not known.
	Replayed bool
	ID       string
	Time     time.Time
	Err      error
}

// A Subscription says what to follow.
type Subscription struct {
	Pattern string
	Filter  Filter
	Pending int        // events that may wait for the reader, at least 1
	Slow    SlowPolicy // when more would
}

// SlowPolicy is what happens to a reader that does not keep up.
type SlowPolicy uint8

const (
	// SlowDrop drops the newest events and counts them.
	SlowDrop SlowPolicy = iota + 1
	// SlowDisconnect ends the subscription with RESOURCE_EXHAUSTED, reason
	// SLOW_CONSUMER, after what waits was read.
	SlowDisconnect
)

// A Filter matches attributes: every clause must hold; none matches all.
type Filter []FilterClause

// A FilterClause compares one attribute.
type FilterClause struct {
	Attribute string
	Op        FilterOp
	Values    []string // FilterIn: any of them; FilterPrefix: one; others: none
}

// FilterOp is how a clause compares.
type FilterOp uint8

const (
	FilterIn     FilterOp = iota + 1 // there, and one of the values
	FilterNotIn                      // not there, or none of the values
	FilterPrefix                     // there, and begins with the value
	FilterExists                     // there
	FilterAbsent                     // not there
)

// A Subscriber hands out events when asked. It is used by one caller at a
// time.
type Subscriber interface {
	// Next returns what is ready, at most 1,000 events, waiting for at least
	// one.
	Next(ctx context.Context) (Events, error)
	Close() error
}

// Events are what a Subscriber hands out.
type Events struct {
	Events  []Event
	Dropped int64 // since the batch before
}

// A Replay says what to follow of the log.
type Replay struct {
	Name    string // empty: the caller keeps the position
	Pattern string
	Filter  Filter
	Start   ReplayStart
}

// ReplayStart is where a replay begins; exactly one field is set, or none:
// with the next event.
type ReplayStart struct {
	Earliest bool
	After    Position // OUT_OF_RANGE, reason COMPACTED, if that is no longer kept
	Time     time.Time
}

// A Replayer hands out persistent events when asked. It is used by one caller
// at a time.
type Replayer interface {
	// Next returns what is ready, at most 1,000 events, waiting for at least
	// one, the first time none: the first batch comes at once with the starting
	// position and may be empty. A later one may be empty too, with a newer
	// position: who keeps it then does not fall behind on events of others.
	Next(ctx context.Context) (Replayed, error)
	Close() error
}

// Replayed is what a Replayer hands out; Position is after them.
type Replayed struct {
	Events   []Event
	Position Position
}

// A DurableSubscription is a name in the log.
type DurableSubscription struct {
	Name      string
	Pattern   string
	CreatedAt time.Time
	Acked     Position // nil: nothing yet
	Behind    int64    // events of the namespace after Acked, matching or not
	Active    bool     // somebody reads it
}
