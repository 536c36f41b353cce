package audit

import (
	"context"
	"time"

	"github.com/prism-data-layer/prism/tui/page"
)

// A Source answers what the page shows.
type Source interface {
	page.Shell
	// Audit answers at most so many records, the newest first.
	Audit(ctx context.Context, f Filter, most int) (*List, error)
}

// A Filter narrows what is asked for; an empty field does not.
type Filter struct {
	Actor, Call, Resource, Since string
	Reads                        bool // calls that change nothing too, such as those of these dashboards
}

// A List is one look at the records.
type List struct {
	Now     time.Time // on the gateway's clock
	Records []Record
	More    bool
}

// A Record is a call of the admin API.
type Record struct {
	ID                            int64
	Time                          time.Time
	Actor, Call, Method, Resource string
	Decision                      string // "allowed" or "denied"
	Result                        string // "OK", or the reason of its error
	Took                          time.Duration
	Peer, Request, Trace          string
	Calls                         int64  // how many it stands for; of several, Took is the longest
	Detail                        string // what became of it
}
