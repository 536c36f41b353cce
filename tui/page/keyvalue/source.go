package keyvalue

import (
	"context"
	"time"

	"github.com/prism-data-layer/prism/tui/component/tail"
	"github.com/prism-data-layer/prism/tui/page"
)

// A Source answers what the page shows of one namespace, and changes it.
type Source interface {
	page.Shell
	// Keys answers one page, in byte order.
	Keys(ctx context.Context, q Query) (Page, error)
	// Value reads at most value.MaxBytes of a key's value into Entry.Value.
	Value(ctx context.Context, namespace, key string) (Entry, error)
	// Change does one thing and says what it did.
	Change(ctx context.Context, c Change) (string, error)
	// Watch gives what changes from now on.
	Watch(ctx context.Context, namespace, prefix string, to *tail.Sink[Event]) error
}

// A Query asks for a page of the keys that begin with a prefix.
type Query struct {
	Namespace, Prefix string
	Cursor            string // "": the first
	Limit             int

	index int
}

// A Page is a part of the keys.
type Page struct {
	Keys []Key
	Next string // cursor of the page after; "" for none

	of Query
}

// A Key is what is known without the value.
type Key struct {
	Name    string
	Version uint64
	Size    int64
	Expires time.Time // zero: never
}

// An Entry is a key with its value.
type Entry struct {
	Key
	Value []byte
}

// A Kind is what a Change does.
type Kind string

// The kinds. Expire with no TTL lets a key live for ever.
const (
	Set    Kind = "set"
	Delete Kind = "delete"
	Expire Kind = "expire"
)

// A Change is something to do to one key.
type Change struct {
	Kind           Kind
	Namespace, Key string
	Value          []byte
	TTL            time.Duration // 0: none
	Create         bool          // Set fails when the key is there
}

// An Event is a change that was seen.
type Event struct {
	Time    time.Time
	Key     string
	Kind    string // "set", "delete", "expire"
	Version uint64
}
