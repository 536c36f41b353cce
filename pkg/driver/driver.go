// Package driver is the contract between what a model means and how one store
// does it. Package data sits above it, one folder per store below it, and
// drivertest holds it as tests.
//
// What cannot cross a process is not in it: no callbacks, no shared memory,
// and iterators that are asked for their next part. A driver may therefore run
// in another process behind the same interfaces.
//
// Drivers hold no policy: limits, retries, breakers and metrics are put around
// them from outside (package around). A driver turns its store's errors into
// prism errors once, in one function.
package driver

import (
	"context"
	"log/slog"
	"time"

	"github.com/prism-data-layer/prism/pkg/clock"
	"github.com/prism-data-layer/prism/pkg/prism"
)

// A Set is one opened store: one field per capability, nil where it is
// missing. Presence means that it works. A probe at open may leave a field nil
// that the driver could have filled, never the other way round.
//
// A Set is a value; wrappers fill a new one. Everything in it is safe for
// concurrent use.
type Set struct {
	Info  Info
	Store Store // never nil

	KeyValue              KeyValue
	KeyValueVersioned     KeyValueVersioned
	KeyValueTTL           KeyValueTTL
	KeyValueScan          KeyValueScan
	KeyValueOrderedScan   KeyValueOrderedScan
	KeyValueBatch         KeyValueBatch
	KeyValueAtomic        KeyValueAtomic
	KeyValueCAS           KeyValueCAS
	KeyValueTransactional KeyValueTransactional
	KeyValueWatch         KeyValueWatch
	KeyValueMove          KeyValueMove

	Cache        Cache
	CacheBounded CacheBounded
	CacheLock    CacheLock

	Queue           Queue
	QueueVisibility QueueVisibility
	QueueDelayed    QueueDelayed
	QueuePriority   QueuePriority
	QueueDeadLetter QueueDeadLetter

	Stream               Stream
	StreamPartitioning   StreamPartitioning
	StreamReplay         StreamReplay
	StreamRetention      StreamRetention
	StreamConsumerGroups StreamConsumerGroups

	PubSub           PubSub
	PubSubWildcards  PubSubWildcards
	PubSubGroups     PubSubGroups
	PubSubFiltering  PubSubFiltering
	PubSubOrdering   PubSubOrdering
	PubSubPersistent PubSubPersistent

	TimeSeries            TimeSeries
	TimeSeriesAggregation TimeSeriesAggregation
	TimeSeriesRetention   TimeSeriesRetention
}

// Info is what is true of an opened store as a whole.
type Info struct {
	Driver     string // the driver's name
	Durability string // what "acked" means here, in one sentence for people
	Durable    bool   // whether acked survives a power cut
	// Instant is true when no call waits for anything but another call's work in
	// this process: no device, no other process, no network. The caller then
	// need not keep a goroutine ready to go on meanwhile.
	Instant bool
	// Missing says of capabilities that the driver has, and this store has not,
	// why: by name, in one sentence for people.
	Missing map[string]string
}

// Store is what every backend has, whatever models it serves.
type Store interface {
	// Health asks the store itself, within ctx's deadline.
	Health(ctx context.Context) Health
	// Usage tells what a namespace holds. It is cheap and may estimate.
	Usage(ctx context.Context, ns prism.Namespace) (Usage, error)
	// Drop removes all data of a namespace, receipts and history too, and
	// may be called again after a failure. No other call on the namespace
	// runs at the same time. Versions stay used up.
	Drop(ctx context.Context, ns prism.Namespace) error
	// Close waits for calls in flight and releases the store. Calls after it
	// fail with UNAVAILABLE.
	Close() error
}

// Health is the answer of a probe.
type Health struct {
	State   HealthState
	Message string            // why it is not healthy
	Facts   map[string]string // sizes, versions, pools: "disk_bytes": "4096"
	// What Info says of durability, as it is now: a server may have been started
	// again with other settings. Empty: as Info says.
	Durability string
	Durable    bool
}

// HealthState is how well a backend does.
type HealthState uint8

const (
	Healthy HealthState = iota + 1
	Degraded
	Unhealthy
)

func (s HealthState) String() string {
	return [...]string{"unknown", "healthy", "degraded", "unhealthy"}[min(int(s), 3)]
}

// Usage is what a namespace takes up.
type Usage struct {
	Keys      int64
	Bytes     int64
	Receipts  int64
	Estimated bool
}

// A Receipt makes a mutation happen once. The store keeps {ID, Body, answer,
// expiry} in the same atomic unit as the effect; a later mutation with the
// same ID changes nothing and is given the first answer with Replayed set. The
// same ID with another Body is INVALID_ARGUMENT, reason KEY_REUSED. Errors are
// not kept: a refused mutation may be tried again with its ID.
//
// The zero Receipt asks for none.
type Receipt struct {
	ID   ReceiptID // hash of principal, RPC and the caller's key; unique in a namespace
	Body [16]byte  // hash of the request
	Keep time.Duration
	// Max bounds the receipts of the namespace; 0, or more than the store
	// keeps by itself: the store's own bound.
	Max int64
}

// A ReceiptID tells one receipt of a namespace from all others.
type ReceiptID = [16]byte

// IsZero reports whether no receipt is asked for.
func (r Receipt) IsZero() bool { return r.Keep == 0 }

// MaxReceipts bounds the receipts a store keeps for a namespace unless its
// options say otherwise; the oldest go first.
const MaxReceipts = 1_000_000

// History is what a watch can go back to, per namespace.
const (
	HistoryChanges = 1_000_000
	HistoryAge     = time.Hour
)

// PubSubEvents and PubSubAge are what a replay can go back to, per namespace,
// unless the store's options say otherwise.
const (
	PubSubEvents = 1_000_000
	PubSubAge    = time.Hour
)

// A Spec describes a driver: what driver/all lists and the registry opens.
type Spec struct {
	Name string // as in `driver: NAME`
	Doc  string // one sentence for people
	// Volatile is true when data does not outlive the process.
	Volatile bool
	Open     func(ctx context.Context, c Config) (Set, error)
}

// A Config is what a driver is opened with.
type Config struct {
	Name  string // the backend's name, for errors
	Dir   string // a folder of its own for embedded stores; made by the driver
	Clock clock.Clock
	Log   *slog.Logger
	// Options decodes the backend's `options:` into a struct with `yaml` tags.
	// Unknown names are errors with their place in the file. Nil: no options.
	Options func(into any) error
}

// Decode fills into from the options, if there are any.
func (c Config) Decode(into any) error {
	if c.Options == nil {
		return nil
	}
	return c.Options(into)
}

// A Registry finds drivers by name.
type Registry []Spec

// Find returns the driver with that name.
func (r Registry) Find(name string) (Spec, bool) {
	for _, s := range r {
		if s.Name == name {
			return s, true
		}
	}
	return Spec{}, false
}

// Names lists the drivers in the registry's order.
func (r Registry) Names() []string {
	names := make([]string, len(r))
	for i, s := range r {
		names[i] = s.Name
	}
	return names
}
