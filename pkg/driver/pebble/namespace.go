package pebble

import (
	"math"
	"sync"
	"sync/atomic"

	"github.com/cockroachdb/pebble/v2"

	"github.com/prism-data-layer/prism/pkg/prism"
)

// namespace is what the store keeps in memory of each namespace.
type namespace struct {
	name prism.Namespace

	// The committer's own.
	meta    meta
	touched int // the place in the present group's touched, if it is there
	lanes   []*lane

	// due is a time before which nothing expires.
	due atomic.Int64
	// ending is how many groups have ended what was due and are not synced yet.
	ending atomic.Int32
	// low and the counters are meta's as synced, for everyone.
	low               atomic.Uint64
	keys, bytes       atomic.Int64
	changes, receipts atomic.Int64
	changed           signal // after each sync with changes
}

func newNamespace(name prism.Namespace, m meta) *namespace {
	n := &namespace{name: name, meta: m}
	n.publish(&m)
	return n
}

func (n *namespace) publish(m *meta) {
	n.low.Store(m.low)
	n.keys.Store(m.keys)
	n.bytes.Store(m.bytes)
	n.changes.Store(m.changes)
	n.receipts.Store(m.receipts)
}

// dueBy lowers due, and reports whether that was needed.
func (n *namespace) dueBy(at int64) bool {
	for {
		old := n.due.Load()
		if old <= at {
			return false
		}
		if n.due.CompareAndSwap(old, at) {
			return true
		}
	}
}

const never = math.MaxInt64

func (s *store) findNamespace(name prism.Namespace) *namespace {
	s.namespacesMu.RLock()
	defer s.namespacesMu.RUnlock()
	return s.namespaces[name]
}

// namespace finds or makes one.
func (s *store) namespace(name prism.Namespace) *namespace {
	if n := s.findNamespace(name); n != nil {
		return n
	}
	s.namespacesMu.Lock()
	defer s.namespacesMu.Unlock()
	n := s.namespaces[name]
	if n == nil {
		n = newNamespace(name, meta{low: s.first})
		n.due.Store(never)
		s.namespaces[name] = n
	}
	return n
}

func (s *store) countNamespaces() int {
	s.namespacesMu.RLock()
	defer s.namespacesMu.RUnlock()
	return len(s.namespaces)
}

// loadNamespaces reads what is known of all namespaces. When something expires
// is found out by the first sweep.
func (s *store) loadNamespaces() error {
	it, err := s.db.NewIter(&pebble.IterOptions{LowerBound: []byte{kindMeta}, UpperBound: []byte{kindMeta + 1}})
	if err != nil {
		return err
	}
	defer it.Close()
	for ok := it.First(); ok; ok = it.Next() {
		_, name, _, err := splitKey(it.Key())
		if err != nil {
			return err
		}
		m, err := parseMeta(keySum(it.Key()), it.Value())
		if err != nil {
			// The data does not depend on it: start the history anew.
			s.damage.Add(1)
			s.log.Error("what is known of a namespace is damaged; its counters and history start anew", "namespace", string(name), "error", err)
			m = meta{low: never}
		}
		n := newNamespace(prism.Namespace(name), m)
		if err := s.loadReceipts(n); err != nil {
			return err
		}
		s.namespaces[n.name] = n
	}
	return it.Error()
}

// signal wakes all who wait, without a cost when nobody does.
type signal struct {
	mu sync.Mutex
	c  chan struct{}
}

// wait returns a channel that the next fire closes.
func (s *signal) wait() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.c == nil {
		s.c = make(chan struct{})
	}
	return s.c
}

func (s *signal) fire() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.c != nil {
		close(s.c)
		s.c = nil
	}
}
