package drivertest

import (
	"context"
	"fmt"
	"time"

	"github.com/prism-data-layer/prism/pkg/driver"
)

// watch follows a side from where it was, if both sides tell of changes.
func (m *model) watch(s *modelSide) {
	if !m.watched {
		return
	}
	w, err := s.opened.Set.KeyValueWatch.Watch(m.ctx, m.ns, "", s.at)
	if err != nil {
		m.Fatalf("%s: watch: %v", s.name, err)
	}
	s.watcher = w
	m.take(s)
}

func (m *model) take(s *modelSide) {
	ctx, cancel := context.WithTimeout(m.ctx, 10*time.Second)
	defer cancel()
	c, err := s.watcher.Next(ctx)
	if err != nil {
		m.Fatalf("%s: watch after %d changes: %v", s.name, len(s.changes), err)
	}
	s.changes = append(s.changes, c.Changes...)
	s.at = c.Position
}

func (m *model) unwatch(s *modelSide) {
	if m.watched {
		_ = s.watcher.Close()
	}
}

func (m *model) closeWatches() {
	for _, s := range m.side {
		m.unwatch(s)
	}
}

// drain writes every key, so that whatever expiry is still to be told must
// come before, and then compares what the watches have told of each key.
func (m *model) drain() {
	want := [2]map[uint64]bool{{}, {}}
	for _, key := range modelKeys {
		op := opSet(key, "end")
		var res [2]driver.Result
		for i, s := range m.side {
			if res[i], res[i].Err = call(m.ctx, &s.opened.Set, m.ns, op); res[i].Err != nil {
				m.Fatalf("%s: %v", s.name, res[i].Err)
			}
			want[i][res[i].Version] = true
		}
		m.compare(op, res)
	}
	if m.watched {
		m.compareTold(want)
	}
}

// compareTold reads the watches until they have told of the wanted versions.
func (m *model) compareTold(want [2]map[uint64]bool) {
	var told [2]map[string][]driver.Change
	for i, s := range m.side {
		told[i] = map[string][]driver.Change{}
		for n := 0; len(want[i]) > 0; n++ {
			if n == len(s.changes) {
				m.take(s)
			}
			if n < len(s.changes) {
				c := s.changes[n]
				delete(want[i], c.Version)
				told[i][c.Key] = append(told[i][c.Key], c)
			} else {
				n--
			}
		}
		s.changes = nil
	}
	for _, key := range modelKeys {
		a, b := told[0][key], told[1][key]
		if len(a) != len(b) {
			m.Fatalf("watch of %q: %s told %d changes, %s %d: %v, %v", key, m.side[0].name, len(a), m.side[1].name, len(b), a, b)
		}
		for n := range a {
			what := fmt.Sprintf("watch of %q, change %d", key, n)
			if a[n].Kind != b[n].Kind {
				m.Fatalf("%s: kind %d and %d", what, a[n].Kind, b[n].Kind)
			}
			m.pair(what, key, [2]uint64{a[n].Version, b[n].Version})
			m.pair(what+" before", key, [2]uint64{a[n].Previous, b[n].Previous})
		}
	}
}
