package wire

import (
	"context"
	"slices"
	"sync"

	"github.com/prism-data-layer/prism/pkg/driver"
	"github.com/prism-data-layer/prism/pkg/prism"
)

// seen remembers the answers to receipts: the wire does not say that an answer
// is one of before, but it is then the same.
type seen[R any] struct {
	mu      sync.Mutex
	alike   func(a, b R) bool
	answers map[seenKey][]R
}

type seenKey struct {
	ns prism.Namespace
	id [16]byte
}

func newSeen[R any](alike func(a, b R) bool) *seen[R] {
	return &seen[R]{alike: alike, answers: map[seenKey][]R{}}
}

// again notes the answers to r, and reports whether they were given before.
func (s *seen[R]) again(ns prism.Namespace, r driver.Receipt, answers ...R) bool {
	if r.IsZero() {
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	key := seenKey{ns, r.ID}
	before, known := s.answers[key]
	if known && slices.EqualFunc(before, answers, s.alike) {
		return true
	}
	s.answers[key] = slices.Clone(answers)
	return false
}

// sent reports whether r was answered before.
func (s *seen[R]) sent(ns prism.Namespace, r driver.Receipt) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, known := s.answers[seenKey{ns, r.ID}]
	return known
}

// Dropped forgets a namespace.
func (s *seen[R]) Dropped(ns prism.Namespace) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for key := range s.answers {
		if key.ns == ns {
			delete(s.answers, key)
		}
	}
}

// bounds are how many receipts namespaces keep: over the wire that is the
// namespace's, not the call's.
type bounds struct {
	set func(ctx context.Context, ns string, max int64) error
	mu  sync.Mutex
	now map[prism.Namespace]int64
}

// reach brings a namespace to the bound that a receipt asks for.
func (b *bounds) reach(ctx context.Context, ns prism.Namespace, r driver.Receipt) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if r.IsZero() || b.now[ns] == r.Max || b.set == nil {
		return nil
	}
	if b.now == nil {
		b.now = map[prism.Namespace]int64{}
	}
	b.now[ns] = r.Max
	return b.set(ctx, string(ns), r.Max)
}
