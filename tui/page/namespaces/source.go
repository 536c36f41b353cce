package namespaces

import (
	"context"
	"time"

	"github.com/prism-data-layer/prism/tui/component/rates"
	"github.com/prism-data-layer/prism/tui/page"
)

// A Source answers what the two pages show.
type Source interface {
	page.Shell
	// Namespaces answers at most so many; what else is missing stands in the
	// list's StatsProblem.
	Namespaces(ctx context.Context, most int) (*List, error)
	Namespace(ctx context.Context, name string) (*One, error)
	// Homes are the backends that there are, and why one of them cannot hold
	// the namespace that is wished for.
	Homes(ctx context.Context, w Wish) ([]Backend, error)
}

// A List is one look at all namespaces.
type List struct {
	Now, Started time.Time // on the gateway's clock
	Namespaces   []Namespace
	More         int64 // beyond those that were asked for
	Stats        rates.Snapshot
	StatsProblem error
}

// A Namespace is one row.
type Namespace struct {
	Name, Model, Backend string
	State                string // "active", "degraded", "provisioning", …
	Known                bool   // the usage below
	Estimated            bool
	Keys, Bytes          int64
	Sessions, Streams    int64
	HasData              bool // there is a page that shows its data
}

// A One is one look at one namespace.
type One struct {
	Now, Started time.Time
	Namespace
	Driver, Wanted, Durability, Description string
	Declared                                string // "prism.yaml:14"; "": by the admin API
	Revision                                int64
	Created, Updated                        time.Time
	DefaultTTL, MaxTTL, Retention           time.Duration
	NoAutoCreate                            bool
	DefaultKind                             string
	Owners                                  []string
	Grants                                  []Grant
	Needs, Limits                           []Limit
	Receipts, ReceiptsLimit                 int64
	Capabilities, Notes                     []string

	Stats    rates.Snapshot
	Sessions []Session
	History  []Event
	Failures []Failure
	More     map[Part]int64
	Problems map[Part]error
}

// A Part is a part of One that can fail alone.
type Part string

// The parts.
const (
	PartStats    Part = "rates"
	PartSessions Part = "sessions"
	PartHistory  Part = "history"
	PartFailures Part = "errors"
)

// A Grant lets a principal in.
type Grant struct{ Principal, Permissions string }

// A Limit is what callers may ask of a namespace, or it of its backend.
type Limit struct {
	Name  string
	Of    int64
	Bytes bool
}

// A Session uses the namespace.
type Session struct {
	ID, Principal, Client, Status string
	Active                        time.Time
	Requests                      int64
}

// An Event is a change of the namespace.
type Event struct {
	Time                time.Time
	Kind, Actor, Detail string
	Revision            int64
}

// A Failure is a call that failed, of which a trace is kept.
type Failure struct {
	Time                  time.Time
	Method, Reason, Trace string
	Took                  time.Duration
}

// A Wish is a namespace that somebody wants to make, or to move.
type Wish struct {
	Name, Model string
	Move        bool
}

// A Backend may hold a namespace.
type Backend struct {
	Name, Driver, Health, Durability string
	Cannot                           string   // why not; "": it can
	Fewer                            []string // what the namespace can now and could not do there
}
