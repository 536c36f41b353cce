package queues

import (
	"context"
	"time"

	"github.com/prism-data-layer/prism/tui/page"
)

// A Source answers what the queues and logs of one namespace hold, and changes
// it. Looking leases nothing, counts no attempt and moves no group.
type Source interface {
	page.Shell
	Queues(ctx context.Context, a Ask) (Snapshot, error)
	// Change does one thing and says what it did.
	Change(ctx context.Context, c Change) (string, error)
}

// An Ask is what is looked at.
type Ask struct {
	Namespace string
	Queue     string // whose messages are wanted; "": none
	State     State  // of them, in a work queue
}

// A State is that of a message in a work queue.
type State string

// The states, in the order in which the page goes through them.
const (
	Ready   State = "ready"
	Delayed State = "delayed"
	Leased  State = "leased"
	Dead    State = "dead"
)

func states() []State { return []State{Ready, Delayed, Leased, Dead} }

// MaxMessages is how many messages are looked at.
const MaxMessages = 200

// A Snapshot is one look.
type Snapshot struct {
	Queues   []Queue
	Of       Ask
	Messages []Message
	More     bool
	Problem  error // why the messages could not be looked at
}

// A Queue is a work queue or a log.
type Queue struct {
	Name                         string
	Log                          bool
	Ready, Delayed, Leased, Dead int64
	Oldest                       time.Duration // age of the oldest that is ready or leased
	Kept                         int64         // messages of a log
	Bytes                        int64
	Groups                       []Group
}

// A Group reads a log.
type Group struct {
	Name    string
	Members int
	Lag     int64
}

// A Message is one that was looked at.
type Message struct {
	ID, Key    string
	State      State // "" in a log
	Attempts   int
	Published  time.Time
	Due        time.Time // of a delayed or leased one
	Reason     string    // why it is dead or was given back
	Payload    []byte    // at most value.MaxBytes of it
	Size       int64
	Attributes map[string]string
}

// A Kind is what a Change does.
type Kind string

// The kinds. Redrive and Purge take all dead letters, or one.
const (
	Publish Kind = "publish"
	Redrive Kind = "redrive"
	Purge   Kind = "purge"
)

// A Change is something to do to a queue.
type Change struct {
	Kind             Kind
	Namespace, Queue string
	Log              bool
	ID               string // of one dead letter; "": all of them
	Key              string
	Payload          []byte
	Delay            time.Duration
}
