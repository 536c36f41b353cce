// Package around puts one hook around every call of a driver.Set. Deadlines,
// breakers, limits, metrics and traces are such hooks; route puts them on when
// it opens a plan, and no driver knows of them.
//
// The forwarders are generated from the interfaces in package driver. A hook
// is passed by value, so that a wrapped call allocates nothing of its own.
package around

import (
	"context"
	"errors"

	"github.com/prism-data-layer/prism/pkg/prism"
)

//go:generate go run ./gen ..

// StoreCapability stands in Call.Capability for the methods of driver.Store,
// which every backend has and no namespace asks for.
const StoreCapability = "store"

// A Call says which method is about to run.
type Call struct {
	Capability string // as in driver.Capabilities, or StoreCapability
	Method     string // of the interface: "Get"
	Namespace  prism.Namespace
	Mutates    bool // changes data when it works
	// Waits is true for a call that lasts until something happens, such as a
	// watcher's Next: its length says nothing of the store, and a deadline of
	// ours would be wrong.
	Waits bool
	// Opens is true for a call that gives what further calls read from, such as
	// QueryEvents: that it works does not say that the store was asked.
	Opens bool
	Ops   int // 1, or the number of operations of a batch or transaction
}

// A Hook is called before and after each call. S is what Begin hands to End:
// a start time, a permit, a span. Both are called by many goroutines at once.
//
// Calls that take no context or answer no error (Store.Health, Store.Close,
// Watcher.Close) are forwarded without it.
type Hook[S any] interface {
	// Begin runs before the call and gives the context that it sees. With an
	// error the driver is not called, End is not either, and the caller gets
	// that error.
	Begin(ctx context.Context, c Call) (context.Context, S, error)
	// End runs after the call with its error, once for each Begin that let it
	// pass. The items of a batch carry errors of their own: where the call has
	// none, err is that of the first item. After a panic err is ErrPanicked.
	End(s S, err error)
}

// ErrPanicked is given to End when the driver panicked; the panic goes on.
var ErrPanicked = errors.New("driver panicked")

// anyWrite reports whether any of ops changes something.
func anyWrite[O any, P interface {
	*O
	Reads() bool
}](ops []O) bool {
	for i := range ops {
		if !P(&ops[i]).Reads() {
			return true
		}
	}
	return false
}
