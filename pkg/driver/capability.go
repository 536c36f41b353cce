package driver

import (
	"slices"
	"strings"
)

// A Capability is one small interface under its public name.
type Capability struct {
	Name string // as in the proto options, the matrix and the documentation
	Doc  string
	Has  func(*Set) bool
	// Drop empties the field, for a probe that narrows.
	Drop func(*Set)
}

// capabilities is the one table from which the gateway's refusal, the
// catalogue, the matrix and the documentation are made. A test compares it
// with the fields of Set and with the proto options, both ways.
var capabilities = []Capability{
	{"keyvalue_basic", "get, set, delete, exists", func(s *Set) bool { return s.KeyValue != nil }, func(s *Set) { s.KeyValue = nil }},
	{"keyvalue_versioned", "create-only and if-version conditions", func(s *Set) bool { return s.KeyValueVersioned != nil }, func(s *Set) { s.KeyValueVersioned = nil }},
	{"keyvalue_ttl", "expiry: set with a time to live, expire, persist, touch", func(s *Set) bool { return s.KeyValueTTL != nil }, func(s *Set) { s.KeyValueTTL = nil }},
	{"keyvalue_scan", "paged scans by prefix, count", func(s *Set) bool { return s.KeyValueScan != nil }, func(s *Set) { s.KeyValueScan = nil }},
	{"keyvalue_ordered_scan", "scans in byte order, by range, both directions", func(s *Set) bool { return s.KeyValueOrderedScan != nil }, func(s *Set) { s.KeyValueOrderedScan = nil }},
	{"keyvalue_batch", "many operations in one round trip", func(s *Set) bool { return s.KeyValueBatch != nil }, func(s *Set) { s.KeyValueBatch = nil }},
	{"keyvalue_atomic", "increment, append, set-if-absent, get-and-set", func(s *Set) bool { return s.KeyValueAtomic != nil }, func(s *Set) { s.KeyValueAtomic = nil }},
	{"keyvalue_cas", "compare-and-swap, compare-and-delete", func(s *Set) bool { return s.KeyValueCAS != nil }, func(s *Set) { s.KeyValueCAS = nil }},
	{"keyvalue_transactional", "several keys at once, all or nothing", func(s *Set) bool { return s.KeyValueTransactional != nil }, func(s *Set) { s.KeyValueTransactional = nil }},
	{"keyvalue_watch", "changes in order, from a position", func(s *Set) bool { return s.KeyValueWatch != nil }, func(s *Set) { s.KeyValueWatch = nil }},
	{"keyvalue_move", "a namespace goes to another backend with versions, expiries and receipts", func(s *Set) bool { return s.KeyValueMove != nil }, func(s *Set) { s.KeyValueMove = nil }},
	{"cache_basic", "get, set, delete, exists, touch, increment, many at once", func(s *Set) bool { return s.Cache != nil }, func(s *Set) { s.Cache = nil }},
	{"cache_bounded", "a bound on memory, with figures of what it evicts", func(s *Set) bool { return s.CacheBounded != nil }, func(s *Set) { s.CacheBounded = nil }},
	{"cache_lock", "one caller fills a missing entry while the others wait", func(s *Set) bool { return s.CacheLock != nil }, func(s *Set) { s.CacheLock = nil }},
	{"queue_basic", "publish, receive under a lease, acknowledge, peek, counts", func(s *Set) bool { return s.Queue != nil }, func(s *Set) { s.Queue = nil }},
	{"queue_visibility", "extend a lease, release a message, with a delay", func(s *Set) bool { return s.QueueVisibility != nil }, func(s *Set) { s.QueueVisibility = nil }},
	{"queue_delayed", "messages that are delivered only later", func(s *Set) bool { return s.QueueDelayed != nil }, func(s *Set) { s.QueueDelayed = nil }},
	{"queue_priority", "messages that go before others", func(s *Set) bool { return s.QueuePriority != nil }, func(s *Set) { s.QueuePriority = nil }},
	{"queue_dead_letter", "messages that failed too often, with the reason, and redrive", func(s *Set) bool { return s.QueueDeadLetter != nil }, func(s *Set) { s.QueueDeadLetter = nil }},
	{"stream_basic", "append to a topic, read from an offset", func(s *Set) bool { return s.Stream != nil }, func(s *Set) { s.Stream = nil }},
	{"stream_partitioning", "several partitions, chosen by key or by number", func(s *Set) bool { return s.StreamPartitioning != nil }, func(s *Set) { s.StreamPartitioning = nil }},
	{"stream_replay", "offsets by time, ranges", func(s *Set) bool { return s.StreamReplay != nil }, func(s *Set) { s.StreamReplay = nil }},
	{"stream_retention", "how long a topic keeps its messages", func(s *Set) bool { return s.StreamRetention != nil }, func(s *Set) { s.StreamRetention = nil }},
	{"stream_consumer_groups", "offsets that a group has committed", func(s *Set) bool { return s.StreamConsumerGroups != nil }, func(s *Set) { s.StreamConsumerGroups = nil }},
	{"pubsub_basic", "publish to and subscribe to a topic", func(s *Set) bool { return s.PubSub != nil }, func(s *Set) { s.PubSub = nil }},
	{"pubsub_wildcards", "subscriptions with * and >", func(s *Set) bool { return s.PubSubWildcards != nil }, func(s *Set) { s.PubSubWildcards = nil }},
	{"pubsub_groups", "one member of a group gets each event", func(s *Set) bool { return s.PubSubGroups != nil }, func(s *Set) { s.PubSubGroups = nil }},
	{"pubsub_filtering", "subscriptions by attributes of events", func(s *Set) bool { return s.PubSubFiltering != nil }, func(s *Set) { s.PubSubFiltering = nil }},
	{"pubsub_ordering", "order of events with one ordering key", func(s *Set) bool { return s.PubSubOrdering != nil }, func(s *Set) { s.PubSubOrdering = nil }},
	{"pubsub_persistent", "events that are kept, and subscriptions that resume", func(s *Set) bool { return s.PubSubPersistent != nil }, func(s *Set) { s.PubSubPersistent = nil }},
	{"timeseries_basic", "append events, read them by time", func(s *Set) bool { return s.TimeSeries != nil }, func(s *Set) { s.TimeSeries = nil }},
	{"timeseries_aggregation", "figures by bucket of time and group", func(s *Set) bool { return s.TimeSeriesAggregation != nil }, func(s *Set) { s.TimeSeriesAggregation = nil }},
	{"timeseries_retention", "how long events are kept", func(s *Set) bool { return s.TimeSeriesRetention != nil }, func(s *Set) { s.TimeSeriesRetention = nil }},
}

// Capabilities lists the table.
func Capabilities() []Capability { return capabilities }

// Has reports whether s has the named capability.
func (s *Set) Has(name string) bool {
	for i := range capabilities {
		if capabilities[i].Name == name {
			return capabilities[i].Has(s)
		}
	}
	return false
}

// Names lists the capabilities of s in the table's order.
func (s *Set) Names() []string {
	var names []string
	for i := range capabilities {
		if capabilities[i].Has(s) {
			names = append(names, capabilities[i].Name)
		}
	}
	return names
}

// NamesOf lists the capabilities of s that belong to a model: "keyvalue" for
// keyvalue_basic and its like.
func (s *Set) NamesOf(models ...string) []string {
	return slices.DeleteFunc(s.Names(), func(name string) bool {
		model, _, _ := strings.Cut(name, "_")
		return !slices.Contains(models, model)
	})
}

// Without returns s with the named capabilities taken away.
func (s Set) Without(names ...string) Set {
	for _, n := range names {
		for i := range capabilities {
			if capabilities[i].Name == n {
				capabilities[i].Drop(&s)
			}
		}
	}
	return s
}
