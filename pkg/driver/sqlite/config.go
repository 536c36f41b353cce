package sqlite

import (
	"cmp"

	"github.com/prism-data-layer/prism/pkg/driver"
)

// options are the backend's `options:`.
type options struct {
	// Receipts is how many are kept for a namespace. Default driver.MaxReceipts.
	Receipts int `yaml:"receipts"`
	// EventIDs is how many ids of events are remembered for a namespace, some 80
	// bytes of memory each. Default driver.DedupeIDs.
	EventIDs int `yaml:"event_ids"`
}

func (o *options) check(backend string) error {
	wrong := driver.OptionErrors{Backend: backend}
	wrong.Count("receipts", int64(o.Receipts))
	wrong.Count("event_ids", int64(o.EventIDs))
	return wrong.Err()
}

func (o *options) fill() {
	o.Receipts = cmp.Or(o.Receipts, driver.MaxReceipts)
	o.EventIDs = cmp.Or(o.EventIDs, driver.DedupeIDs)
}
