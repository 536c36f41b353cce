// Package told keeps the errors that were shown to a person, so that one that
// went away can be read again.
package told

import (
	"sync"
	"time"

	"github.com/prism-data-layer/prism/tui/component/problem"
)

// limit bounds the list: the oldest go.
const limit = 500

// An Error is one that was shown.
type Error struct {
	No             int
	At             time.Time // when it last came
	Page           string
	What, Why, Fix string
	Times          int // in a row
}

// A Log is a list of them. Its methods may be called from anywhere.
type Log struct {
	mu   sync.Mutex
	list []Error
	no   int
}

// Add keeps an error. One that is the same as the last is counted there.
func (l *Log) Add(at time.Time, page string, err error) {
	what, why, fix := problem.Explain(err)
	l.mu.Lock()
	defer l.mu.Unlock()
	if n := len(l.list); n > 0 {
		if last := &l.list[n-1]; last.Page == page && last.What == what && last.Why == why {
			last.At = at
			last.Times++
			return
		}
	}
	l.no++
	l.list = append(l.list, Error{No: l.no, At: at, Page: page, What: what, Why: why, Fix: fix, Times: 1})
	if len(l.list) > limit {
		l.list = append(l.list[:0], l.list[len(l.list)-limit:]...)
	}
}

// List is what was told, the newest first.
func (l *Log) List() []Error {
	l.mu.Lock()
	defer l.mu.Unlock()
	out := make([]Error, 0, len(l.list))
	for i := len(l.list) - 1; i >= 0; i-- {
		out = append(out, l.list[i])
	}
	return out
}

// Clear forgets them.
func (l *Log) Clear() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.list = nil
}
