package drivertest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"pgregory.net/rapid"

	"github.com/prism-data-layer/prism/pkg/driver"
	"github.com/prism-data-layer/prism/pkg/prism"
)

func (m *busModel) drawReplay(r *rapid.T) driver.Replay {
	q := driver.Replay{Pattern: rapid.SampledFrom(busTopics).Draw(r, "topic")}
	if m.set().PubSubWildcards != nil && rapid.Bool().Draw(r, "wild") {
		q.Pattern = rapid.SampledFrom(busPatterns).Draw(r, "pattern")
	}
	if rapid.IntRange(0, 2).Draw(r, "filtered") == 0 {
		q.Filter = rapid.SampledFrom(busFilters).Draw(r, "filter")
	}
	switch kind := rapid.IntRange(0, 4).Draw(r, "start"); {
	case kind == 0:
		q.Start.Earliest = true
	case kind == 1 && len(m.bus.log) > 0:
		q.Start.After = rapid.SampledFrom(m.bus.log).Draw(r, "after").Position
	case kind == 2 && len(m.bus.stale) > 0:
		q.Start.After = rapid.SampledFrom(m.bus.stale).Draw(r, "stale")
	case kind == 3 && len(m.bus.log) > 0 && m.opened.Clock != nil:
		q.Start.Time = rapid.SampledFrom(m.bus.log).Draw(r, "time").Time
	}
	return q
}

// replay follows the log without a name, or goes on where another reader is.
func (m *busModel) replay(r *rapid.T) {
	if len(m.bus.readers) == 6 {
		return
	}
	if len(m.bus.readers) > 0 && rapid.Bool().Draw(r, "resume") {
		m.resume(rapid.SampledFrom(m.bus.readers).Draw(r, "reader"))
		return
	}
	m.replayFrom(m.drawReplay(r))
}

// resume goes on after the last position that a reader was told.
func (m *busModel) resume(of *plainReader) {
	if of.ends != "" {
		return
	}
	m.open(&plainReader{pattern: of.pattern, filter: of.filter, at: of.at}, driver.ReplayStart{After: of.told})
}

func (m *busModel) replayFrom(q driver.Replay) {
	at, refusal := m.bus.start(q.Start)
	if refusal != "" {
		m.replayRefused(q, refusal)
		return
	}
	m.open(&plainReader{pattern: q.Pattern, filter: q.Filter, at: at}, q.Start)
}

func (m *busModel) replayName(r *rapid.T) {
	if len(m.bus.readers) == 6 {
		return
	}
	q := m.drawReplay(r)
	q.Name = rapid.SampledFrom(busNames).Draw(r, "name")
	n := m.bus.names[q.Name]
	if n != nil && rapid.IntRange(0, 3).Draw(r, "its pattern") > 0 {
		q.Pattern = n.pattern
	}
	at, refusal := m.bus.start(q.Start)
	switch {
	case n != nil && n.pattern != q.Pattern:
		m.replayRefused(q, prism.ReasonInvalidArgument)
		return
	case n == nil && refusal != "":
		m.replayRefused(q, refusal)
		return
	case n == nil:
		n = &plainName{pattern: q.Pattern, start: at}
		m.bus.names[q.Name] = n
	}
	f := &plainReader{name: q.Name, pattern: q.Pattern, filter: q.Filter, at: n.at()}
	if n.reader != nil {
		n.reader.ends = prism.ReasonTaken
	}
	n.reader = f
	m.open(f, q.Start)
}

func (m *busModel) replayRefused(q driver.Replay, reason prism.Reason) {
	s, err := m.set().PubSubPersistent.Replay(m.ctx, m.ns, q)
	if err == nil {
		ctx, cancel := context.WithTimeout(m.ctx, m.h.patience())
		defer cancel()
		_, err = s.Next(ctx)
		_ = s.Close()
	}
	m.refused(fmt.Sprintf("replay %+v", q), err, reason)
}

// open begins a replay and takes its first batch, which comes at once.
func (m *busModel) open(f *plainReader, start driver.ReplayStart) {
	s, err := m.set().PubSubPersistent.Replay(m.ctx, m.ns, driver.Replay{Name: f.name, Pattern: f.pattern, Filter: f.filter, Start: start})
	if err != nil {
		m.Fatalf("replay %+v: %v", f, err)
	}
	f.reads = s
	m.bus.readers = append(m.bus.readers, f)
	if err := m.take(f); err != nil {
		m.Fatalf("replay %+v: %v", f, err)
	}
}

// take reads one batch and compares it with what comes next in the log.
func (m *busModel) take(f *plainReader) error {
	ctx, cancel := context.WithTimeout(m.ctx, m.h.patience())
	defer cancel()
	b, err := f.reads.Next(ctx)
	if err != nil {
		return err
	}
	if len(b.Position) == 0 {
		m.Fatalf("replay %+v: a batch without a position", f)
	}
	for _, e := range b.Events {
		number := m.bus.next(f)
		if number == 0 {
			m.Fatalf("replay %+v: event %+v is one too many", f, e)
		}
		want := m.bus.log[number-1]
		if diff := differEvents(e, want); diff != "" || !slices.Equal(e.Position, want.Position) {
			m.Fatalf("replay %+v: event %x instead of %x: %s", f, e.Position, want.Position, diff)
		}
		f.at = number
	}
	f.told = slices.Clone(b.Position)
	return nil
}

func (m *busModel) follow(r *rapid.T) {
	if len(m.bus.readers) > 0 {
		m.catchUp(rapid.SampledFrom(m.bus.readers).Draw(r, "reader"))
	}
}

// catchUp reads all there is for a reader, or its end.
func (m *busModel) catchUp(f *plainReader) {
	for f.ends != "" || m.bus.next(f) != 0 {
		err := m.take(f)
		switch {
		case err != nil && f.ends != "":
			m.refused(fmt.Sprintf("the end of replay %+v", f), err, f.ends)
			m.closeReader(f)
			return
		case err != nil:
			m.Fatalf("replay %+v: %v", f, err)
		}
	}
}

func (m *busModel) closeReplay(r *rapid.T) {
	if len(m.bus.readers) > 0 {
		m.closeReader(rapid.SampledFrom(m.bus.readers).Draw(r, "reader"))
	}
}

func (m *busModel) closeReader(f *plainReader) {
	if err := f.reads.Close(); err != nil {
		m.Fatalf("close replay %+v: %v", f, err)
	}
	m.free(f)
	m.bus.readers = slices.DeleteFunc(m.bus.readers, func(o *plainReader) bool { return o == f })
}

// free notes that a name has lost its reader.
func (m *busModel) free(f *plainReader) {
	if n := m.bus.names[f.name]; n != nil && n.reader == f {
		n.reader = nil
	}
}

func (m *busModel) acknowledge(r *rapid.T) {
	name := rapid.SampledFrom(busNames).Draw(r, "name")
	if len(m.bus.log) == 0 {
		return
	}
	number := rapid.IntRange(1, len(m.bus.log)).Draw(r, "number")
	err := m.set().PubSubPersistent.Acknowledge(m.ctx, m.ns, name, m.bus.log[number-1].Position)
	n := m.bus.names[name]
	switch {
	case n == nil:
		m.refused("acknowledge for nobody", err, prism.ReasonNotFound)
	case err != nil:
		m.Fatalf("acknowledge %d for %s: %v", number, name, err)
	default:
		n.acked = max(n.acked, number)
	}
}

func (m *busModel) forgetName(r *rapid.T) {
	if rapid.IntRange(0, 2).Draw(r, "forget") != 0 {
		return
	}
	name := rapid.SampledFrom(busNames).Draw(r, "name")
	n := m.bus.names[name]
	found, err := m.set().PubSubPersistent.DeleteSubscription(m.ctx, m.ns, name)
	if err != nil || found != (n != nil) {
		m.Fatalf("forget %s: %v %v", name, found, err)
	}
	if n != nil && n.reader != nil {
		n.reader.ends = prism.ReasonNotFound
	}
	delete(m.bus.names, name)
}

func (m *busModel) list(*rapid.T) { m.compareNames() }

// compareNames compares the durable names. That nobody reads one may come to be
// known a little later.
func (m *busModel) compareNames() {
	want := m.bus.listed()
	var diff error
	for deadline := time.Now().Add(m.h.patience()); time.Now().Before(deadline); time.Sleep(time.Millisecond) {
		got, err := m.set().PubSubPersistent.Subscriptions(m.ctx, m.ns)
		if err != nil {
			m.Fatalf("list: %v", err)
		}
		if diff = differNames(got, want); diff == nil {
			return
		}
	}
	m.Fatalf("%v", diff)
}

func differNames(got, want []driver.DurableSubscription) error {
	if len(got) != len(want) {
		return fmt.Errorf("names are %+v, want %+v", got, want)
	}
	var diffs []error
	for i, g := range got {
		w := want[i]
		if g.Name != w.Name || g.Pattern != w.Pattern || g.Behind != w.Behind || g.Active != w.Active || !slices.Equal(g.Acked, w.Acked) {
			diffs = append(diffs, fmt.Errorf("a name is %+v, want %+v", g, w))
		}
	}
	return errors.Join(diffs...)
}
