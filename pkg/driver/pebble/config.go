package pebble

import (
	"cmp"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/prism-data-layer/prism/pkg/driver"
)

// options are the backend's `options:`. The defaults are small, for a laptop;
// for throughput give the memtable 64MiB and the cache 256MiB or more.
type options struct {
	// Cache holds blocks read from disk. Default 16MiB.
	Cache size `yaml:"cache"`
	// Memtable is filled before a sorted file is written; up to four exist
	// for a moment. Default 8MiB.
	Memtable size `yaml:"memtable"`
	// Reserve is disk space that is never written to: below it, writes are
	// refused with DISK_FULL. At most a sixteenth of the disk. Default 64MiB.
	Reserve size `yaml:"reserve"`
	// History is how many changes a watch can go back, per namespace.
	// Default driver.HistoryChanges; older than driver.HistoryAge go too.
	History int64 `yaml:"history"`
	// Receipts is how many are kept per namespace. Default driver.MaxReceipts.
	Receipts int64 `yaml:"receipts"`
	// PubSubEvents is how many persistent events are kept, per namespace.
	// Default driver.PubSubEvents.
	PubSubEvents int64 `yaml:"pubsub_events"`
	// PubSubAge is for how long. Default driver.PubSubAge.
	PubSubAge time.Duration `yaml:"pubsub_age"`
	// Durability is strong (default: acked is fsynced) or relaxed (fsynced
	// about once a second).
	Durability string `yaml:"durability"`
}

const (
	strong  = "strong"
	relaxed = "relaxed"
)

func (o *options) check(backend string) error {
	wrong := driver.OptionErrors{Backend: backend}
	if o.Cache != 0 && o.Cache < 1<<20 {
		wrong.Wrong("cache", "must be at least 1MiB")
	}
	if o.Memtable != 0 && (o.Memtable < 64<<10 || o.Memtable > 1<<30) {
		wrong.Wrong("memtable", "must be 64KiB to 1GiB")
	}
	if o.Reserve < 0 {
		wrong.Wrong("reserve", "must not be negative")
	}
	wrong.Count("history", o.History)
	wrong.Count("receipts", o.Receipts)
	wrong.Count("pubsub_events", o.PubSubEvents)
	wrong.Duration("pubsub_age", o.PubSubAge)
	switch o.Durability {
	case "", strong, relaxed:
	default:
		wrong.Wrong("durability", "must be strong or relaxed")
	}
	return wrong.Err()
}

func (o *options) fill() {
	o.Cache = cmp.Or(o.Cache, 16<<20)
	o.Memtable = cmp.Or(o.Memtable, 8<<20)
	o.Reserve = cmp.Or(o.Reserve, 64<<20)
	o.History = cmp.Or(o.History, driver.HistoryChanges)
	o.Receipts = cmp.Or(o.Receipts, driver.MaxReceipts)
	o.PubSubEvents = cmp.Or(o.PubSubEvents, driver.PubSubEvents)
	o.PubSubAge = cmp.Or(o.PubSubAge, driver.PubSubAge)
	o.Durability = cmp.Or(o.Durability, strong)
}

// size is a number of bytes, plain or with a unit: 1048576, 16MiB, 1GB.
type size int64

// UnmarshalText makes s readable from YAML.
func (s *size) UnmarshalText(text []byte) error {
	number, factor := strings.TrimSpace(string(text)), int64(1)
	for _, u := range [...]struct {
		name   string
		factor int64
	}{{"KiB", 1 << 10}, {"MiB", 1 << 20}, {"GiB", 1 << 30}, {"KB", 1e3}, {"MB", 1e6}, {"GB", 1e9}, {"B", 1}} {
		if n, ok := strings.CutSuffix(number, u.name); ok {
			number, factor = strings.TrimSpace(n), u.factor
			break
		}
	}
	n, err := strconv.ParseInt(number, 10, 64)
	if err != nil || n < 0 || n > (1<<50)/factor {
		return fmt.Errorf("%q is not a size: write bytes, or a number and a unit such as 16MiB", text)
	}
	*s = size(n * factor)
	return nil
}

// UnmarshalYAML reads numbers too.
func (s *size) UnmarshalYAML(unmarshal func(any) error) error {
	var text string
	if err := unmarshal(&text); err != nil {
		return err
	}
	return s.UnmarshalText([]byte(text))
}
