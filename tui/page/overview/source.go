package overview

import (
	"context"
	"time"

	"github.com/prism-data-layer/prism/tui/component/rates"
)

// A Source answers what the page shows, all of one moment.
type Source interface {
	// Overview fails only when the gateway as a whole cannot be asked; what
	// else is missing stands in Snapshot.Problems.
	Overview(ctx context.Context) (*Snapshot, error)
}

// A Snapshot is one look at a gateway.
type Snapshot struct {
	Now     time.Time // on the gateway's clock
	Started time.Time // a new start makes all counters begin at zero
	Version string
	State   string // "Running", "Draining", "Stopping"
	// Notice is what an operator must know, such as a configuration that was
	// refused; "" for nothing.
	Notice string
	// Maintenance is what it refuses on purpose; nil: nothing.
	Maintenance *Maintenance

	Namespaces []Namespace
	Backends   []Backend
	Sessions   []Session
	// More is how many of a part the gateway has beyond those that were asked
	// for.
	More map[Part]int64
	// Stats are the counters, by namespace.
	Stats rates.Snapshot
	// Problems are the parts that could not be asked for.
	Problems map[Part]error
}

// Maintenance is that a gateway refuses calls on purpose.
type Maintenance struct {
	Refuses string    // "writes" or "all"
	Message string    // what callers are told
	Ends    time.Time // zero: when it is switched off
}

// A Part is a part of a snapshot that can fail alone.
type Part string

// The parts.
const (
	PartNamespaces Part = "namespaces"
	PartBackends   Part = "backends"
	PartSessions   Part = "sessions"
	PartStats      Part = "rates"
)

// A Namespace is a row of the first pane.
type Namespace struct {
	Name, Model, Backend string
	State                string // "active", "degraded", "provisioning", …
	Keys                 int64
	KeysKnown, Estimated bool
}

// A Backend is a row of the second pane.
type Backend struct {
	Name, Driver string
	Health       string // "healthy", "degraded", "unhealthy", "unknown"
	Latency      time.Duration
	Durability   string
	Error        string
}

// A Session is a row of the third pane.
type Session struct {
	ID, Principal, Client string
	Status                string // "active", "expiring", …
	Created, Active       time.Time
	Requests              int64
}
