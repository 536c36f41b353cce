package pebble

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/prism-data-layer/prism/pkg/driver"
	"github.com/prism-data-layer/prism/pkg/prism"
)

// options are the backend's `options:`. The defaults are small, for a laptop;
// for throughput give the memtable 64MiB and the cache 256MiB or more.
type options struct {
	// Cache holds blocks read from disk. Default 32MiB.
	Cache size `yaml:"cache"`
	// Memtable is filled before a sorted file is written; up to four exist
	// for a moment. Default 16MiB.
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
	var e *prism.Error
	wrong := func(field, message string) {
		if e == nil {
			e = prism.New(prism.ReasonInvalidConfig, "options of backend %q: %s %s", backend, field, message).WithBackend(backend)
		}
		e.Fields = append(e.Fields, prism.FieldError{Field: "options." + field, Message: message})
	}
	if o.Cache != 0 && o.Cache < 1<<20 {
		wrong("cache", "must be at least 1MiB")
	}
	if o.Memtable != 0 && (o.Memtable < 64<<10 || o.Memtable > 1<<30) {
		wrong("memtable", "must be 64KiB to 1GiB")
	}
	if o.Reserve < 0 {
		wrong("reserve", "must not be negative")
	}
	if o.History < 0 {
		wrong("history", "must be positive")
	}
	if o.Receipts < 0 {
		wrong("receipts", "must be positive")
	}
	if o.PubSubEvents < 0 {
		wrong("pubsub_events", "must be positive")
	}
	if o.PubSubAge < 0 {
		wrong("pubsub_age", "must be positive")
	}
	switch o.Durability {
	case "", strong, relaxed:
	default:
		wrong("durability", "must be strong or relaxed")
	}
	if e != nil {
		return e
	}
	return nil
}

func (o *options) fill() {
	set := func(s *size, to size) {
		if *s == 0 {
			*s = to
		}
	}
	set(&o.Cache, 32<<20)
	set(&o.Memtable, 16<<20)
	set(&o.Reserve, 64<<20)
	if o.History == 0 {
		o.History = driver.HistoryChanges
	}
	if o.Receipts == 0 {
		o.Receipts = driver.MaxReceipts
	}
	if o.PubSubEvents == 0 {
		o.PubSubEvents = driver.PubSubEvents
	}
	if o.PubSubAge == 0 {
		o.PubSubAge = driver.PubSubAge
	}
	if o.Durability == "" {
		o.Durability = strong
	}
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
