package sessions

import (
	"context"
	"time"

	"github.com/prism-data-layer/prism/tui/component/tail"
	"github.com/prism-data-layer/prism/tui/page"
)

// A Source answers what the two pages show.
type Source interface {
	page.Shell
	// Sessions answers at most so many of those that match.
	Sessions(ctx context.Context, q Query, most int) (*List, error)
	Session(ctx context.Context, id string) (*One, error)
	// Calls tells of the calls of a session as they end. It ends with the
	// session.
	Calls(ctx context.Context, id string, f CallFilter, to *tail.Sink[Call]) error
}

// A Query narrows what is asked for; an empty field does not.
type Query struct{ Namespace, Principal string }

// A CallFilter leaves out calls.
type CallFilter struct {
	Least  time.Duration // only those that took so long
	Errors bool          // only those that failed
}

// A List is one look at the sessions.
type List struct {
	Now      time.Time // on the gateway's clock
	Sessions []Session
	More     int64 // beyond those that were asked for
}

// A Session is one row.
type Session struct {
	ID, Principal, Client    string
	Status                   string // "active", "expiring", …
	Implicit                 bool
	Namespaces               []string // empty: all that the principal may use
	Created, Active, Expires time.Time
	Requests, Streams        int64
	Sent, Received           int64 // bytes
	Config                   string
}

// A One is one look at one session.
type One struct {
	Now time.Time
	Session
}

// A Call has ended.
type Call struct {
	Began                      time.Time
	Took                       time.Duration
	Method, Namespace, Subject string
	Operations                 int
	Reason                     string // of its error; "": it worked
	Sent, Received             int64
	Trace                      string
}
