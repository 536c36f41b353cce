package drivertest_test

import (
	"context"
	"slices"
	"strings"
	"sync/atomic"

	"github.com/prism-data-layer/prism/pkg/driver"
	"github.com/prism-data-layer/prism/pkg/prism"
)

// pubsubDefects are ways in which publish and subscribe are wrong.
var pubsubDefects = []defect{
	{name: "> stands for one token only", model: true, finds: []string{
		"* stands for one token, > at the end for one or more",
	}, wrap: func(s driver.Set) driver.Set {
		s.PubSubWildcards = shallow{s.PubSubWildcards}
		return only(s, "pubsub_basic", "pubsub_wildcards")
	}},
	{name: "a group is nobody's", model: true, finds: []string{
		"each event goes to one member of a group",
		"members with other patterns are of one group",
		"when a member leaves the others go on",
	}, may: []string{"all members of a group get a share"}, wrap: func(s driver.Set) driver.Set {
		s.PubSubGroups = noGroups{s.PubSub}
		return only(s, "pubsub_basic", "pubsub_wildcards", "pubsub_groups")
	}},
	{name: "the filter lets all pass", model: true, finds: []string{
		"each operator keeps what it says",
		"events that do not match do not count as waiting",
		"every clause must hold",
	}, wrap: func(s driver.Set) driver.Set {
		s.PubSubFiltering = noFilter{s.PubSub}
		return only(s, "pubsub_basic", "pubsub_filtering")
	}},
	{name: "acknowledgements are forgotten", model: true, finds: []string{
		"a name can be acknowledged while nobody reads it",
		"a name goes on after what was acknowledged",
		"a name is not overtaken by events that it does not follow",
		"a second reader of a name takes over",
		"acknowledging a name that is not there is NOT_FOUND",
		"going back with an acknowledgement changes nothing",
		"names are listed, sorted, with what is behind",
		"names of two namespaces share nothing",
	}, wrap: func(s driver.Set) driver.Set {
		s.PubSubPersistent = forgetsAcks{s.PubSubPersistent}
		return only(s, "pubsub_basic", "pubsub_persistent")
	}},
	{name: "a persistent publish ignores receipts", model: true, finds: []string{
		"20 publishes at once with one receipt keep one event",
		"a receipt makes a persistent publish happen once",
		"a receipt of a publish with another body is KEY_REUSED and changes nothing",
	}, wrap: func(s driver.Set) driver.Set {
		s.PubSubPersistent = publishesAgain{s.PubSubPersistent}
		return only(s, "pubsub_basic", "pubsub_persistent")
	}},
	{name: "live events are kept too", model: true, finds: []string{
		"Usage counts what is kept",
		"a replay gets the persistent events and no other",
		"calls whose context has ended publish nothing",
	}, wrap: func(s driver.Set) driver.Set {
		s.PubSub = keepsAll{s.PubSub, s.PubSubPersistent}
		return only(s, "pubsub_basic", "pubsub_persistent")
	}},
	{name: "an event is lost", model: true, wide: true, finds: []string{
		"a batch of 1,000 events comes whole, each with its result",
		"every subscription of a topic gets every event",
		"many publishers and subscriptions at once lose nothing",
		"the events of one publisher come in order",
	}, wrap: hearing(func(n int, e *driver.Events) {
		if n == 1 && len(e.Events) > 1 {
			e.Events = e.Events[:len(e.Events)-1]
		}
	})},
	{name: "an event comes twice", model: true, finds: []string{
		"Next after Close of the subscription is an error, and the others go on",
		"a batch of 1,000 events comes whole, each with its result",
		"a reader that does not keep up is ended with SLOW_CONSUMER if it wants",
		"a reader that does not keep up loses the newest and learns how many",
		"a reader that does not read slows nobody",
		"every subscription of a topic gets every event",
		"many publishers and subscriptions at once lose nothing",
		"subscriptions that come and go disturb no other",
		"the events of one publisher come in order",
	}, wrap: hearing(func(_ int, e *driver.Events) {
		if len(e.Events) > 1 {
			e.Events = append(e.Events, e.Events[0])
		}
	})},
	{name: "events come in the wrong order", model: true, finds: []string{
		"Next after Close of the subscription is an error, and the others go on",
		"a batch of 1,000 events comes whole, each with its result",
		"a reader that does not keep up is ended with SLOW_CONSUMER if it wants",
		"a reader that does not keep up loses the newest and learns how many",
		"a reader that does not read slows nobody",
		"every subscription of a topic gets every event",
		"many publishers and subscriptions at once lose nothing",
		"payloads of no byte and of 1 MiB come as they are",
		"subscriptions that come and go disturb no other",
		"the events of one publisher come in order",
	}, wrap: hearing(func(_ int, e *driver.Events) { slices.Reverse(e.Events) })},
	{name: "nobody is told of dropped events", model: true, finds: []string{
		"a reader that does not keep up loses the newest and learns how many",
	}, wrap: hearing(func(_ int, e *driver.Events) { e.Dropped = 0 })},
	{name: "attributes of events are lost", model: true, finds: []string{
		"a subscription gets what is published after it stands, as it was published",
		"the memory of an event may be used again after Publish",
	}, wrap: hearing(func(_ int, e *driver.Events) {
		for i := range e.Events {
			e.Events[i].Attributes = nil
		}
	})},
	{name: "a slow reader is never ended", model: true, finds: []string{
		"a reader that does not keep up is ended with SLOW_CONSUMER if it wants",
	}, wrap: func(s driver.Set) driver.Set {
		s.PubSub = alwaysDrops{s.PubSub}
		return only(s, "pubsub_basic")
	}},
	{name: "topics of two namespaces are one", finds: []string{
		"namespaces of any bytes share no events",
		"two namespaces share no events",
	}, wrap: func(s driver.Set) driver.Set {
		s.PubSub = oneSpace{s.PubSub}
		return only(s, "pubsub_basic")
	}},
	{name: "Publish counts nobody", model: true, finds: []string{
		"Publish says how many subscriptions it went to, or that it does not know",
	}, wrap: func(s driver.Set) driver.Set {
		s.PubSub = countsNobody{s.PubSub}
		return only(s, "pubsub_basic")
	}},
	{name: "ordering keys are lost", model: true, finds: []string{
		"the ordering key comes with the event",
	}, may: []string{"events with one key come in one order to everybody, also when calls overlap"}, wrap: func(s driver.Set) driver.Set {
		s.PubSubOrdering = losesKeys{s.PubSubOrdering}
		return only(s, "pubsub_basic", "pubsub_ordering")
	}},
	{name: "an ordered batch is sent backwards", model: true, finds: []string{
		"ordered events of one publisher come in order",
	}, wrap: func(s driver.Set) driver.Set {
		s.PubSubOrdering = sendsBackwards{s.PubSubOrdering}
		return only(s, "pubsub_basic", "pubsub_ordering")
	}},
	{name: "each subscription sees overlapping calls in an order of its own", finds: []string{
		"events with one key come in one order to everybody, also when calls overlap",
	}, wrap: func(s driver.Set) driver.Set {
		s.PubSub = ownOrder{s.PubSub, new(atomic.Int64)}
		return only(s, "pubsub_basic", "pubsub_ordering")
	}},
	{name: "a replay begins one event late", model: true, wide: true, finds: []string{
		"a batch of a replay has at most 1,000 events, and nothing is lost after it",
		"a replay from the earliest gets every persistent event as it was published",
		"a replay gets its pattern only",
		"a replay goes on from every position without gap or repetition",
	}, wrap: replaying(func(r *driver.Replay, first bool, b *driver.Replayed) {
		if first && len(b.Events) > 0 {
			b.Events = b.Events[1:]
		}
	})},
	{name: "a replay's batch tells the position before it", finds: []string{
		"a name goes on after what was acknowledged",
		"a name is not overtaken by events that it does not follow",
	}, wrap: replaying(func(_ *driver.Replay, _ bool, b *driver.Replayed) {
		if len(b.Events) > 1 {
			b.Position = b.Events[0].Position
		}
	}), model: true},
	{name: "the filter of a replay lets all pass", model: true, finds: []string{
		"a replay gets what its filter matches",
	}, wrap: replayAs(func(r *driver.Replay) { r.Filter = nil })},
	{name: "a start counts for a known name", model: true, finds: []string{
		"a deleted name ends its reader and begins anew",
		"a known name keeps its pattern",
		"a name can be acknowledged while nobody reads it",
		"a name goes on after what was acknowledged",
		"a name is not overtaken by events that it does not follow",
		"a second reader of a name takes over",
		"acknowledging a name that is not there is NOT_FOUND",
		"going back with an acknowledgement changes nothing",
		"names are listed, sorted, with what is behind",
		"names of two namespaces share nothing",
		"the start counts only when a name is new",
	}, wrap: replayAs(func(r *driver.Replay) { r.Name = "" })},
	{name: "a replay from a time begins at the earliest", model: true, finds: []string{
		"a replay begins at a time",
	}, wrap: replayAs(func(r *driver.Replay) {
		if !r.Start.Time.IsZero() {
			r.Start = driver.ReplayStart{Earliest: true}
		}
	})},
	{name: "any position will do", model: true, finds: []string{
		"Drop forgets events, names and receipts, and positions from before are COMPACTED",
		"a position that is not of this store is refused",
		"events over the age go",
		"events over the bound go, the oldest first, and their positions are COMPACTED",
		"persistent events of two namespaces share nothing",
	}, wrap: func(s driver.Set) driver.Set {
		s.PubSubPersistent = takesAnyPosition{s.PubSubPersistent}
		return only(s, "pubsub_basic", "pubsub_wildcards", "pubsub_persistent")
	}},
	{name: "an empty filter matches none", finds: []string{
		"an empty filter matches all",
	}, wrap: func(s driver.Set) driver.Set {
		s.PubSubFiltering = matchesNone{s.PubSubFiltering}
		return only(s, "pubsub_basic", "pubsub_filtering")
	}},
	{name: "persistent events of two namespaces are one log", wrap: func(s driver.Set) driver.Set {
		s.PubSubPersistent = logsAt{s.PubSubPersistent, inOne}
		return only(s, "pubsub_basic", "pubsub_persistent")
	}, wide: true, finds: []string{
		"persistent events of two namespaces share nothing",
		"names of two namespaces share nothing",
	}},
	{name: "a deleted name stays", model: true, finds: []string{
		"a deleted name ends its reader and begins anew",
		"names of two namespaces share nothing",
	}, wrap: func(s driver.Set) driver.Set {
		s.PubSubPersistent = deletesNothing{s.PubSubPersistent}
		return only(s, "pubsub_basic", "pubsub_wildcards", "pubsub_persistent")
	}},
	{name: "Drop leaves events", model: true, finds: []string{
		"Drop forgets events, names and receipts, and positions from before are COMPACTED",
	}, wrap: func(s driver.Set) driver.Set {
		s.Store = deafDrop{s.Store}
		return only(s, "pubsub_basic", "pubsub_wildcards", "pubsub_persistent")
	}},
	{name: "persistent events are not live", model: true, finds: []string{
		"a persistent event goes to live subscriptions too",
		"a receipt makes a persistent publish happen once",
		"names are listed, sorted, with what is behind",
	}, wrap: func(s driver.Set) driver.Set {
		s.PubSubPersistent = keepsOnly{s.PubSubPersistent}
		return only(s, "pubsub_basic", "pubsub_wildcards", "pubsub_persistent")
	}},
}

type shallow struct{ driver.PubSubWildcards }

func (d shallow) SubscribePattern(ctx context.Context, ns prism.Namespace, s driver.Subscription) (driver.Subscriber, error) {
	s.Pattern = strings.ReplaceAll(s.Pattern, ">", "*")
	return d.PubSubWildcards.SubscribePattern(ctx, ns, s)
}

type noGroups struct{ driver.PubSub }

func (d noGroups) SubscribeGroup(ctx context.Context, ns prism.Namespace, _ string, s driver.Subscription) (driver.Subscriber, error) {
	return d.Subscribe(ctx, ns, s)
}

type noFilter struct{ driver.PubSub }

func (d noFilter) SubscribeFiltered(ctx context.Context, ns prism.Namespace, s driver.Subscription) (driver.Subscriber, error) {
	s.Filter = nil
	return d.Subscribe(ctx, ns, s)
}

type forgetsAcks struct{ driver.PubSubPersistent }

func (forgetsAcks) Acknowledge(context.Context, prism.Namespace, string, driver.Position) error {
	return nil
}

type publishesAgain struct{ driver.PubSubPersistent }

func (d publishesAgain) PublishPersistent(ctx context.Context, ns prism.Namespace, events []driver.Event, results []driver.PublishResult) error {
	again := append([]driver.Event(nil), events...)
	for i := range again {
		again[i].Receipt = driver.Receipt{}
	}
	return d.PubSubPersistent.PublishPersistent(ctx, ns, again, results)
}

type keepsAll struct {
	driver.PubSub
	kept driver.PubSubPersistent
}

func (d keepsAll) Publish(ctx context.Context, ns prism.Namespace, events []driver.Event, results []driver.PublishResult) error {
	err := d.kept.PublishPersistent(context.WithoutCancel(ctx), ns, events, results)
	for i := range results {
		results[i].Position = nil
	}
	return err
}

// hearing changes the batches of every live subscription; n counts them from 1.
func hearing(change func(n int, e *driver.Events)) func(driver.Set) driver.Set {
	return func(s driver.Set) driver.Set {
		s.PubSub = hears{s.PubSub, change}
		return only(s, "pubsub_basic")
	}
}

type hears struct {
	driver.PubSub
	change func(n int, e *driver.Events)
}

func (d hears) Subscribe(ctx context.Context, ns prism.Namespace, s driver.Subscription) (driver.Subscriber, error) {
	sub, err := d.PubSub.Subscribe(ctx, ns, s)
	return &heard{Subscriber: sub, change: d.change}, err
}

type heard struct {
	driver.Subscriber
	change func(n int, e *driver.Events)
	n      int
}

func (h *heard) Next(ctx context.Context) (driver.Events, error) {
	e, err := h.Subscriber.Next(ctx)
	h.n++
	h.change(h.n, &e)
	return e, err
}

// ownOrder lets every second subscription see two events of a key, of two
// publishers, the other way round.
type ownOrder struct {
	driver.PubSub
	count *atomic.Int64
}

func (d ownOrder) Subscribe(ctx context.Context, ns prism.Namespace, s driver.Subscription) (driver.Subscriber, error) {
	sub, err := d.PubSub.Subscribe(ctx, ns, s)
	if d.count.Add(1)%2 == 0 {
		return sub, err
	}
	return &heard{Subscriber: sub, change: func(_ int, e *driver.Events) { swapTwo(e.Events) }}, err
}

func swapTwo(events []driver.Event) {
	last := map[string]int{}
	for i, e := range events {
		before, known := last[e.OrderingKey]
		if known && e.OrderingKey != "" && string(e.Payload[:2]) != string(events[before].Payload[:2]) {
			events[i], events[before] = events[before], events[i]
			return
		}
		last[e.OrderingKey] = i
	}
}

type alwaysDrops struct{ driver.PubSub }

func (d alwaysDrops) Subscribe(ctx context.Context, ns prism.Namespace, s driver.Subscription) (driver.Subscriber, error) {
	s.Slow = driver.SlowDrop
	return d.PubSub.Subscribe(ctx, ns, s)
}

type oneSpace struct{ driver.PubSub }

func (d oneSpace) Subscribe(ctx context.Context, _ prism.Namespace, s driver.Subscription) (driver.Subscriber, error) {
	return d.PubSub.Subscribe(ctx, "one", s)
}

func (d oneSpace) Publish(ctx context.Context, _ prism.Namespace, events []driver.Event, results []driver.PublishResult) error {
	return d.PubSub.Publish(ctx, "one", events, results)
}

type countsNobody struct{ driver.PubSub }

func (d countsNobody) Publish(ctx context.Context, ns prism.Namespace, events []driver.Event, results []driver.PublishResult) error {
	err := d.PubSub.Publish(ctx, ns, events, results)
	for i := range results {
		results[i].Subscribers = 0
	}
	return err
}

type losesKeys struct{ driver.PubSubOrdering }

func (d losesKeys) PublishOrdered(ctx context.Context, ns prism.Namespace, events []driver.Event, results []driver.PublishResult) error {
	events = slices.Clone(events)
	for i := range events {
		events[i].OrderingKey = ""
	}
	return d.PubSubOrdering.PublishOrdered(ctx, ns, events, results)
}

type sendsBackwards struct{ driver.PubSubOrdering }

func (d sendsBackwards) PublishOrdered(ctx context.Context, ns prism.Namespace, events []driver.Event, results []driver.PublishResult) error {
	events = slices.Clone(events)
	slices.Reverse(events)
	err := d.PubSubOrdering.PublishOrdered(ctx, ns, events, results)
	slices.Reverse(results)
	return err
}

// replaying changes the batches of every replay.
func replaying(change func(r *driver.Replay, first bool, b *driver.Replayed)) func(driver.Set) driver.Set {
	return func(s driver.Set) driver.Set {
		s.PubSubPersistent = replays{s.PubSubPersistent, change}
		return only(s, "pubsub_basic", "pubsub_wildcards", "pubsub_persistent")
	}
}

type replays struct {
	driver.PubSubPersistent
	change func(r *driver.Replay, first bool, b *driver.Replayed)
}

func (d replays) Replay(ctx context.Context, ns prism.Namespace, r driver.Replay) (driver.Replayer, error) {
	f, err := d.PubSubPersistent.Replay(ctx, ns, r)
	return &replayed{f, r, true, d.change}, err
}

type replayed struct {
	driver.Replayer
	of     driver.Replay
	first  bool
	change func(r *driver.Replay, first bool, b *driver.Replayed)
}

func (r *replayed) Next(ctx context.Context) (driver.Replayed, error) {
	b, err := r.Replayer.Next(ctx)
	r.change(&r.of, r.first, &b)
	r.first = false
	return b, err
}

// replayAs changes what a replay asks for.
func replayAs(change func(*driver.Replay)) func(driver.Set) driver.Set {
	return func(s driver.Set) driver.Set {
		s.PubSubPersistent = asksToReplay{s.PubSubPersistent, change}
		return only(s, "pubsub_basic", "pubsub_wildcards", "pubsub_persistent")
	}
}

type asksToReplay struct {
	driver.PubSubPersistent
	change func(*driver.Replay)
}

func (d asksToReplay) Replay(ctx context.Context, ns prism.Namespace, r driver.Replay) (driver.Replayer, error) {
	d.change(&r)
	return d.PubSubPersistent.Replay(ctx, ns, r)
}

type deletesNothing struct{ driver.PubSubPersistent }

func (deletesNothing) DeleteSubscription(context.Context, prism.Namespace, string) (bool, error) {
	return true, nil
}

// keepsOnly keeps events under another topic's name until they are read.
type keepsOnly struct{ driver.PubSubPersistent }

func (d keepsOnly) PublishPersistent(ctx context.Context, ns prism.Namespace, events []driver.Event, results []driver.PublishResult) error {
	events = slices.Clone(events)
	for i := range events {
		events[i].Topic = "hidden." + events[i].Topic
	}
	return d.PubSubPersistent.PublishPersistent(ctx, ns, events, results)
}

func (d keepsOnly) Replay(ctx context.Context, ns prism.Namespace, r driver.Replay) (driver.Replayer, error) {
	r.Pattern = "hidden." + r.Pattern
	f, err := d.PubSubPersistent.Replay(ctx, ns, r)
	return &replayed{f, r, true, func(_ *driver.Replay, _ bool, b *driver.Replayed) {
		for i := range b.Events {
			b.Events[i].Topic = strings.TrimPrefix(b.Events[i].Topic, "hidden.")
		}
	}}, err
}

type takesAnyPosition struct{ driver.PubSubPersistent }

func (d takesAnyPosition) Replay(ctx context.Context, ns prism.Namespace, r driver.Replay) (driver.Replayer, error) {
	f, err := d.PubSubPersistent.Replay(ctx, ns, r)
	if err != nil && r.Start.After != nil {
		r.Start = driver.ReplayStart{Earliest: true}
		return d.PubSubPersistent.Replay(ctx, ns, r)
	}
	return f, err
}

type matchesNone struct{ driver.PubSubFiltering }

func (d matchesNone) SubscribeFiltered(ctx context.Context, ns prism.Namespace, s driver.Subscription) (driver.Subscriber, error) {
	if len(s.Filter) == 0 {
		s.Filter = driver.Filter{{Attribute: "nothing", Op: driver.FilterExists}}
	}
	return d.PubSubFiltering.SubscribeFiltered(ctx, ns, s)
}

// logsAt keeps persistent events somewhere else.
type logsAt struct {
	driver.PubSubPersistent
	at whereabouts
}

func (d logsAt) PublishPersistent(ctx context.Context, ns prism.Namespace, events []driver.Event, results []driver.PublishResult) error {
	return d.PubSubPersistent.PublishPersistent(ctx, d.at(ns), events, results)
}

func (d logsAt) Replay(ctx context.Context, ns prism.Namespace, r driver.Replay) (driver.Replayer, error) {
	return d.PubSubPersistent.Replay(ctx, d.at(ns), r)
}

func (d logsAt) Acknowledge(ctx context.Context, ns prism.Namespace, name string, p driver.Position) error {
	return d.PubSubPersistent.Acknowledge(ctx, d.at(ns), name, p)
}

func (d logsAt) Subscriptions(ctx context.Context, ns prism.Namespace) ([]driver.DurableSubscription, error) {
	return d.PubSubPersistent.Subscriptions(ctx, d.at(ns))
}

func (d logsAt) DeleteSubscription(ctx context.Context, ns prism.Namespace, name string) (bool, error) {
	return d.PubSubPersistent.DeleteSubscription(ctx, d.at(ns), name)
}
