package drivertest_test

import (
	"context"
	"strings"

	"github.com/prism-data-layer/prism/pkg/driver"
	"github.com/prism-data-layer/prism/pkg/prism"
)

// pubsubDefects are ways in which publish and subscribe are wrong.
var pubsubDefects = []defect{
	{name: "> stands for one token only", finds: []string{
		"* stands for one token, > at the end for one or more",
	}, wrap: func(s driver.Set) driver.Set {
		s.PubSubWildcards = shallow{s.PubSubWildcards}
		return only(s, "pubsub_basic", "pubsub_wildcards")
	}},
	{name: "a group is nobody's", finds: []string{
		"each event goes to one member of a group",
		"members with other patterns are of one group",
		"when a member leaves the others go on",
	}, may: []string{"all members of a group get a share"}, wrap: func(s driver.Set) driver.Set {
		s.PubSubGroups = noGroups{s.PubSub}
		return only(s, "pubsub_basic", "pubsub_wildcards", "pubsub_groups")
	}},
	{name: "the filter lets all pass", finds: []string{
		"each operator keeps what it says",
		"events that do not match do not count as waiting",
		"every clause must hold",
	}, wrap: func(s driver.Set) driver.Set {
		s.PubSubFiltering = noFilter{s.PubSub}
		return only(s, "pubsub_basic", "pubsub_filtering")
	}},
	{name: "acknowledgements are forgotten", finds: []string{
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
	{name: "a persistent publish ignores receipts", finds: []string{
		"20 publishes at once with one receipt keep one event",
		"a receipt makes a persistent publish happen once",
		"a receipt of a publish with another body is KEY_REUSED and changes nothing",
	}, wrap: func(s driver.Set) driver.Set {
		s.PubSubPersistent = publishesAgain{s.PubSubPersistent}
		return only(s, "pubsub_basic", "pubsub_persistent")
	}},
	{name: "live events are kept too", finds: []string{
		"Usage counts what is kept",
		"a replay gets the persistent events and no other",
		"calls whose context has ended publish nothing",
	}, wrap: func(s driver.Set) driver.Set {
		s.PubSub = keepsAll{s.PubSub, s.PubSubPersistent}
		return only(s, "pubsub_basic", "pubsub_persistent")
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
