package memory

import (
	"cmp"
	"time"

	"github.com/prism-data-layer/prism/pkg/driver"
)

// options are the backend's `options:`; each bounds one namespace.
type options struct {
	// Receipts is how many are kept, 80 to 120 bytes each. Default driver.MaxReceipts.
	Receipts int `yaml:"receipts"`
	// History is how many changes a watch can go back, 40 bytes each, and
	// HistoryAge for how long. Default driver.HistoryChanges and driver.HistoryAge.
	History    int           `yaml:"history"`
	HistoryAge time.Duration `yaml:"history_age"`
	// CacheBytes is what the cache may take. Default 64 MiB.
	CacheBytes int64 `yaml:"cache_bytes"`
	// PubSubEvents is how many persistent events are kept, and PubSubAge for how
	// long. Default driver.PubSubEvents and driver.PubSubAge.
	PubSubEvents int           `yaml:"pubsub_events"`
	PubSubAge    time.Duration `yaml:"pubsub_age"`
	// EventIDs is how many ids of events are remembered, some 80 bytes each.
	// Default driver.DedupeIDs.
	EventIDs int `yaml:"event_ids"`
}

func (o *options) check(backend string) error {
	wrong := driver.OptionErrors{Backend: backend}
	wrong.Count("receipts", int64(o.Receipts))
	wrong.Count("history", int64(o.History))
	wrong.Duration("history_age", o.HistoryAge)
	wrong.Count("cache_bytes", o.CacheBytes)
	wrong.Count("pubsub_events", int64(o.PubSubEvents))
	wrong.Duration("pubsub_age", o.PubSubAge)
	wrong.Count("event_ids", int64(o.EventIDs))
	return wrong.Err()
}

func (o *options) fill() {
	o.Receipts = cmp.Or(o.Receipts, driver.MaxReceipts)
	o.History = cmp.Or(o.History, driver.HistoryChanges)
	o.HistoryAge = cmp.Or(o.HistoryAge, driver.HistoryAge)
	o.CacheBytes = cmp.Or(o.CacheBytes, cacheBytes)
	o.PubSubEvents = cmp.Or(o.PubSubEvents, driver.PubSubEvents)
	o.PubSubAge = cmp.Or(o.PubSubAge, driver.PubSubAge)
	o.EventIDs = cmp.Or(o.EventIDs, driver.DedupeIDs)
}
