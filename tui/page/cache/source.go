package cache

import (
	"context"
	"time"

	"github.com/prism-data-layer/prism/tui/page"
)

// A Source answers what a cache tells of itself and of single keys. The API has
// no list of keys: a cache may forget any at any time.
type Source interface {
	page.Shell
	// Stats answers what the cache counts, and the entries of keys that were
	// looked up before, in that order; what is gone is not Found.
	Stats(ctx context.Context, namespace string, keys []string) (Stats, error)
	// Change does one thing and says what it did.
	Change(ctx context.Context, c Change) (string, error)
}

// Stats are what a cache counts since the gateway was started.
type Stats struct {
	Hits, Misses                    int64
	Entries, Bytes, Most, Evictions int64 // -1: the backend does not count them
	Looked                          []Entry
}

// An Entry is what came of looking a key up.
type Entry struct {
	Key     string
	Found   bool
	Value   []byte // at most value.MaxBytes of it
	Size    int64
	Expires time.Time // zero: never
	Err     error
}

// A Kind is what a Change does.
type Kind string

// The kinds.
const (
	Set    Kind = "set"
	Delete Kind = "delete"
	Touch  Kind = "touch"
)

// A Change is something to do to one key. TTL 0 is the namespace's own.
type Change struct {
	Kind           Kind
	Namespace, Key string
	Value          []byte
	TTL            time.Duration
}
