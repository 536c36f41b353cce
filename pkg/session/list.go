package session

import (
	"cmp"
	"context"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"

	"github.com/prism-data-layer/prism/pkg/prism"
)

// A Filter chooses sessions; empty fields choose all.
type Filter struct {
	Namespace prism.Namespace // sessions that are open to it
	Principal string
	Status    Status
}

// A Page says which part of a list is wanted.
type Page struct {
	Limit int    // at most prism.MaxPageItems; 0: that many
	After string // Next of the page before; empty: the first page
}

// List answers the sessions that f chooses, the newest first, with the position
// of the next page (empty: none) and how many there are in all.
func (m *Manager) List(_ context.Context, f Filter, p Page) (infos []Info, next string, total int, err error) {
	after, err := parsePosition(p.After)
	if err != nil {
		return nil, "", 0, err
	}
	limit := p.Limit
	if limit <= 0 || limit > prism.MaxPageItems {
		limit = prism.MaxPageItems
	}
	now := m.now()
	m.mu.RLock()
	found := make([]*state, 0, len(m.byID))
	for _, st := range m.byID {
		if f.matches(st, now) {
			found = append(found, st)
		}
	}
	m.mu.RUnlock()
	total = len(found)
	slices.SortFunc(found, func(a, b *state) int { return comparePositions(a.position(), b.position()) })
	if p.After != "" {
		i, _ := slices.BinarySearchFunc(found, after, func(st *state, at position) int {
			if comparePositions(st.position(), at) <= 0 {
				return -1
			}
			return 1
		})
		found = found[i:]
	}
	if len(found) > limit {
		found = found[:limit]
		next = found[limit-1].position().String()
	}
	infos = make([]Info, len(found))
	for i, st := range found {
		infos[i] = st.info(now)
	}
	return infos, next, total, nil
}

func (f Filter) matches(st *state, now int64) bool {
	return (f.Principal == "" || f.Principal == st.principal) &&
		(f.Namespace == "" || st.mayUse(f.Namespace)) &&
		(f.Status == 0 || f.Status == st.status(now))
}

// A position is a session's place in the list.
type position struct {
	created int64
	id      string
}

func (st *state) position() position { return position{st.created, st.id} }

// comparePositions puts the newest first.
func comparePositions(a, b position) int {
	return cmp.Or(cmp.Compare(b.created, a.created), cmp.Compare(a.id, b.id))
}

func (p position) String() string { return strconv.FormatInt(p.created, 10) + ":" + p.id }

func parsePosition(s string) (position, error) {
	if s == "" {
		return position{}, nil
	}
	ms, id, ok := strings.Cut(s, ":")
	created, err := strconv.ParseInt(ms, 10, 64)
	if !ok || err != nil {
		return position{}, prism.New(prism.ReasonInvalidCursor, "the cursor is not valid")
	}
	return position{created, id}, nil
}

// Get answers one session that lives, or NOT_FOUND.
func (m *Manager) Get(_ context.Context, id string) (Info, error) {
	m.mu.RLock()
	st := m.byID[id]
	m.mu.RUnlock()
	if st == nil {
		return Info{}, unknown(id)
	}
	return st.info(m.now()), nil
}

// Stats are counts for metrics.
type Stats struct {
	Explicit int
	Implicit int
	Streams  int
	Pending  int

	// Since the start:
	Created   int64
	Refreshed int64
	Restored  int64
	Ended     map[Cause]int64
}

// Stats counts.
func (m *Manager) Stats() Stats {
	s := Stats{
		Created: m.totals.created.Load(), Refreshed: m.totals.refreshed.Load(), Restored: m.totals.restored.Load(),
		Ended: map[Cause]int64{
			CauseIdle: m.totals.idle.Load(), CauseLifetime: m.totals.lifetime.Load(),
			CauseClosed: m.totals.closed.Load(), CauseRevoked: m.totals.revoked.Load(),
		},
	}
	m.mu.RLock()
	defer m.mu.RUnlock()
	for _, st := range m.byID {
		if st.implicit {
			s.Implicit++
		} else {
			s.Explicit++
		}
		s.Streams += int(st.streams.Load())
		s.Pending += int(st.pending.Load())
	}
	return s
}

type totals struct {
	created, refreshed, restored    atomic.Int64
	idle, lifetime, closed, revoked atomic.Int64
}

func (t *totals) end(c Cause) {
	switch c {
	case CauseIdle:
		t.idle.Add(1)
	case CauseLifetime:
		t.lifetime.Add(1)
	case CauseClosed:
		t.closed.Add(1)
	case CauseRevoked:
		t.revoked.Add(1)
	}
}
