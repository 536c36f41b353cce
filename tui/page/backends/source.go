package backends

import (
	"context"
	"time"

	"github.com/prism-data-layer/prism/tui/page"
)

// A Source answers what the two pages show.
type Source interface {
	page.Shell
	Backends(ctx context.Context) (*List, error)
	Backend(ctx context.Context, name string) (*One, error)
}

// A List is one look at all backends.
type List struct {
	Now      time.Time // on the gateway's clock
	Started  time.Time // a new start makes all counters begin at zero
	Backends []Backend
}

// A Backend is one row. Its counters are since the start.
type Backend struct {
	Name, Driver string
	Health       string // "healthy", "degraded", "unhealthy", "unknown"
	Message      string // why it is not healthy
	Probe        time.Duration
	Checked      time.Time

	Breaker         string // "closed", "half-open", "open"
	BreakerSince    time.Time
	BreakerOpened   int64
	InFlight, Calls int64
	Errors          int64 // of the store itself, and of probes
	RejectedOpen    int64
	RejectedBusy    int64
	P50, P99        time.Duration // of the last minute; 0: no calls
	LastError       string
	LastFailed      time.Time

	Durability string
	Durable    bool
	Declared   string // "prism.yaml:8"
	Added      bool   // by an operator: it can be removed
	Namespaces []string
	Faults     []Fault
}

// A Fault is trouble that somebody makes on purpose, for a while.
type Fault struct {
	ID, What, By string // "all calls: 200ms slower"
	Ends         time.Time
}

// A One is one look at one backend.
type One struct {
	Now, Started time.Time
	Backend
	Capabilities []string
	Missing      []Missing
	Reasons      []Count  // all errors that calls ended with
	Facts        []Figure // of the store: sizes, versions, pools
	FaultsOn     bool     // whether this gateway lets faults be made
}

// A Missing is what a backend cannot do.
type Missing struct{ Name, Why string }

// A Count is how often something was.
type Count struct {
	Name string
	Of   int64
}

// A Figure is a fact by its name.
type Figure struct{ Name, Value string }
