package pebble

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"github.com/prism-data-layer/prism/pkg/driver"
	"github.com/prism-data-layer/prism/pkg/driver/broker"
	"github.com/prism-data-layer/prism/pkg/prism"
)

// An eventLog is the persistent events of a namespace.
type eventLog struct {
	p       *pubsub
	ns      prism.Namespace
	changed signal

	mu    sync.Mutex
	gone  bool                    // dropped
	state logState                // as synced
	names map[string]*broker.Name // as synced

	// What the turn of the worker makes of them, used by the committer.
	draft  logState
	drafts map[string]draftName
}

// draftName is a name that a turn changes; nil: deleted.
type draftName struct {
	*broker.Name
	made bool
}

// logState is what is known of a log.
type logState struct {
	broker.Extent
	bytes int64
	stamp int64 // of the last event
}

// name is a name as the turn sees it.
func (l *eventLog) name(name string) (broker.Name, bool) {
	if n, ok := l.drafts[name]; ok {
		if n.Name == nil {
			return broker.Name{}, false
		}
		return *n.Name, true
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if n := l.names[name]; n != nil {
		return *n, true
	}
	return broker.Name{}, false
}

// make gives the log an epoch when it is used for the first time.
func (l *eventLog) make(g *group) {
	if l.draft.Epoch == 0 {
		g.s.seq++
		l.draft.Epoch = g.s.seq
	}
}

// appendAll keeps events, unless a receipt says that one was kept before.
func (l *eventLog) appendAll(g *group, events []driver.Event, results []driver.PublishResult) {
	l.make(g)
	for i := range events {
		r, err := l.append(g, &events[i])
		if err != nil {
			r = driver.PublishResult{Err: classify(l.p.name, err)}
		}
		results[i] = r
	}
}

func (l *eventLog) append(g *group, e *driver.Event) (driver.PublishResult, error) {
	n := g.namespace(l.ns)
	if !e.Receipt.IsZero() {
		answers, found, err := g.replay(n, e.Receipt)
		if err != nil {
			return driver.PublishResult{}, err
		}
		if found && len(answers) == 1 {
			a := answers[0]
			return driver.PublishResult{
				Subscribers: -1, Replayed: true, Position: l.draft.Position(a.Version), ID: string(a.Value), Time: a.ExpiresAt,
			}, nil
		}
	}
	d := &l.draft
	d.Last++
	d.stamp = max(d.stamp, e.Time.UnixMilli())
	g.key = appendNumberKey(g.key[:0], kindEvent, l.ns, d.Last)
	g.buf = appendEvent(g.buf[:0], d.stamp, e)
	g.setSealed()
	d.bytes += int64(len(g.buf))
	if !e.Receipt.IsZero() {
		g.keep(n, e.Receipt, []driver.Result{{Version: d.Last, Value: []byte(e.ID), ExpiresAt: e.Time}})
	}
	return driver.PublishResult{Position: d.Position(d.Last)}, nil
}

// finish writes what the turn has changed as a whole.
func (l *eventLog) finish(g *group) {
	if over := int64(l.draft.Last-l.draft.Floor) - l.p.options.PubSubEvents; over > 0 {
		if err := l.trim(g, over+l.p.options.PubSubEvents/trimPart, 0); err != nil {
			l.p.store.log.Warn("old events could not be trimmed; it is tried again", "namespace", string(l.ns), "error", err)
		}
	}
	for name, n := range l.drafts {
		g.key = append(appendSpan(g.key[:0], kindName, l.ns), name...)
		if n.Name == nil {
			_ = g.batch.Delete(g.key, nil)
			continue
		}
		g.buf = appendName(g.buf[:0], n.Name)
		g.setSealed()
	}
	if l.draft == l.state {
		return
	}
	g.key = appendSpan(g.key[:0], kindLog, l.ns)
	g.buf = l.draft.append(g.buf[:0])
	g.setSealed()
}

// settle makes the turn's changes those in force, or forgets them.
func (l *eventLog) settle(ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !ok {
		l.draft = l.state
		clear(l.drafts)
		return
	}
	l.state = l.draft
	for name, n := range l.drafts {
		old := l.names[name]
		if old != nil && (n.Name == nil || n.made) {
			old.End(name)
			delete(l.names, name)
		}
		switch {
		case n.Name == nil:
		case n.made:
			l.names[name] = n.Name
		default:
			old.Start, old.Acked = n.Start, n.Acked
		}
	}
	clear(l.drafts)
}

// look says what there is for a replay, without a turn.
func (l *eventLog) look(r driver.Replay) (e broker.Extent, known bool, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := l.names[r.Name]
	if n != nil && n.Pattern != r.Pattern {
		return e, true, otherPattern(n)
	}
	return l.state.Extent, n != nil, nil
}

func otherPattern(n *broker.Name) error {
	return prism.InvalidField("pattern", "is not the one of the durable subscription, which is "+n.Pattern+": delete it first")
}

// begin makes the log and the name of a replay durable.
func (l *eventLog) begin(g *group, r driver.Replay) error {
	l.make(g)
	if r.Name == "" {
		return nil
	}
	n, known := l.name(r.Name)
	if known {
		if n.Pattern != r.Pattern {
			return otherPattern(&n)
		}
		return nil
	}
	e := l.draft.Extent
	e.Last = l.state.Last // what the turn adds comes after
	after, err := l.find(e, r.Start)
	if err != nil {
		return err
	}
	l.drafts[r.Name] = draftName{&broker.Name{Pattern: r.Pattern, Created: time.UnixMilli(g.nowMs), Start: after}, true}
	return nil
}

// open begins a replay on what is synced.
func (l *eventLog) open(r driver.Replay) (driver.Replayer, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	e, n := l.state.Extent, l.names[r.Name]
	var after uint64
	var err error
	switch {
	case l.gone || r.Name != "" && n == nil: // deleted meanwhile
		return nil, broker.Compacted()
	case n != nil:
		after = n.At()
	default:
		if after, err = l.find(e, r.Start); err != nil {
			return nil, err
		}
	}
	if after < e.Floor {
		return nil, broker.Compacted()
	}
	reader := broker.Follow(l, l.p.clock, r, e.Epoch, after)
	if n != nil {
		n.Take(reader)
	}
	return reader, nil
}

// find is the event that a new replay begins after.
func (l *eventLog) find(e broker.Extent, s driver.ReplayStart) (uint64, error) {
	switch {
	case s.Earliest:
		return e.Floor, nil
	case s.After != nil:
		return e.Number(s.After)
	case !s.Time.IsZero():
		return l.seek(e, s.Time.UnixMilli())
	}
	return e.Last, nil
}

// seek finds the last event before a time. Stamps never go back, so the log can
// be halved.
func (l *eventLog) seek(e broker.Extent, at int64) (uint64, error) {
	low, high := e.Floor, e.Last // every event up to low is before, every one after high is not
	for low < high {
		middle := low + (high-low)/2 + 1
		stamp, err := l.stamp(middle)
		if err != nil {
			return 0, err
		}
		if stamp < at {
			low = middle
		} else {
			high = middle - 1
		}
	}
	return low, nil
}

func (l *eventLog) stamp(number uint64) (int64, error) {
	key := appendNumberKey(nil, kindEvent, l.ns, number)
	v, closer, err := l.p.db.Get(key)
	if errors.Is(err, pebble.ErrNotFound) {
		return 0, nil // of this turn, or trimmed
	}
	if err != nil {
		return 0, err
	}
	stamp, err := parseStamp(keySum(key), v)
	return stamp, errors.Join(err, closer.Close())
}

func (l *eventLog) acknowledge(g *group, name string, at driver.Position) error {
	n, known := l.name(name)
	if !known {
		return prism.NotFound("subscription", name)
	}
	number, err := l.draft.Acked(at)
	if err != nil {
		return err
	}
	if number > n.Acked {
		n.Acked = number
		l.redraft(name, n)
	}
	return nil
}

// redraft notes what became of a name.
func (l *eventLog) redraft(name string, n broker.Name) {
	l.drafts[name] = draftName{&n, l.drafts[name].made}
}

func (l *eventLog) remove(_ *group, name string) (found bool) {
	if _, found = l.name(name); found {
		l.drafts[name] = draftName{}
	}
	return found
}

// trimMax bounds what one turn trims.
const trimMax = 4096

// trim drops the n oldest events, and those with a stamp before a time, as far
// as the store shows them.
func (l *eventLog) trim(g *group, n, before int64) error {
	d := &l.draft
	from := appendNumberKey(nil, kindEvent, l.ns, d.Floor+1)
	it, err := l.p.db.NewIter(&pebble.IterOptions{LowerBound: from, UpperBound: appendSpanEnd(nil, kindEvent, l.ns)})
	if err != nil {
		return err
	}
	defer it.Close()
	var topics []string
	floor, bytes := d.Floor, int64(0)
	for ok := it.First(); ok && len(topics) < trimMax; ok = it.Next() {
		stamp, topic, err := parseTopic(keySum(it.Key()), it.Value())
		if int64(len(topics)) >= n && (err != nil || stamp >= before) {
			break
		}
		topics = append(topics, topic) // none of a damaged one: it is nobody's
		bytes += int64(len(it.Value()))
		floor++
	}
	if err := it.Error(); err != nil || floor == d.Floor {
		return err
	}
	for _, name := range l.allNames() {
		if n, ok := l.name(name); ok && n.Pass(d.Floor, floor, func(number uint64) string { return topics[number-d.Floor-1] }) {
			l.redraft(name, n)
		}
	}
	if len(topics) < 64 {
		for number := d.Floor + 1; number <= floor; number++ {
			g.key = appendNumberKey(g.key[:0], kindEvent, l.ns, number)
			_ = g.batch.Delete(g.key, nil)
		}
	} else {
		_ = g.batch.DeleteRange(from, appendNumberKey(nil, kindEvent, l.ns, floor+1), nil)
	}
	d.Floor, d.bytes = floor, max(d.bytes-bytes, 0)
	return nil
}

func (l *eventLog) allNames() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	names := make([]string, 0, len(l.names))
	for name := range l.names {
		names = append(names, name)
	}
	return names
}

// tidy drops what is too old in all logs.
func (p *pubsub) tidy(ctx context.Context, now time.Time) {
	before := now.Add(-p.options.PubSubAge).UnixMilli() + 1
	p.mu.Lock()
	logs := make([]*eventLog, 0, len(p.logs))
	for _, l := range p.logs {
		logs = append(logs, l)
	}
	p.mu.Unlock()
	for _, l := range logs {
		for l.older(before) && ctx.Err() == nil {
			moved := false
			err := p.do(ctx, &job{log: l, frees: true, work: func(g *group) error {
				floor := l.draft.Floor
				err := l.trim(g, 0, before)
				moved = l.draft.Floor > floor
				return err
			}})
			if err != nil || !moved {
				break
			}
		}
	}
}

// older reports whether the oldest event was published before a time.
func (l *eventLog) older(before int64) bool {
	l.mu.Lock()
	e := l.state.Extent
	l.mu.Unlock()
	if e.Floor == e.Last || l.p.enter() != nil {
		return false
	}
	defer l.p.leave()
	stamp, err := l.stamp(e.Floor + 1)
	return err == nil && stamp < before
}

// Extent says what is synced.
func (l *eventLog) Extent() (broker.Extent, <-chan struct{}, error) {
	changed := l.changed.wait() // before the look: what comes after it wakes
	if e := l.p.failure.Load(); e != nil {
		return broker.Extent{}, nil, e
	}
	if l.p.over.Load() {
		return broker.Extent{}, nil, closedError(l.p.name)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.gone {
		return broker.Extent{}, nil, broker.Compacted()
	}
	return l.state.Extent, changed, nil
}

// readMax and readBytes bound what a reader holds at once.
const (
	readMax   = 1000
	readBytes = 4 << 20
)

// Read reads events that are synced.
func (l *eventLog) Read(e broker.Extent, after uint64) ([]*driver.Event, error) {
	if err := l.p.enter(); err != nil {
		return nil, err
	}
	defer l.p.leave()
	it, err := l.p.db.NewIter(&pebble.IterOptions{
		LowerBound: appendNumberKey(nil, kindEvent, l.ns, after+1), UpperBound: appendNumberKey(nil, kindEvent, l.ns, e.Last+1),
	})
	if err != nil {
		return nil, classify(l.p.name, err)
	}
	defer it.Close()
	// After the iterator is open: what it sees was not trimmed before it.
	l.mu.Lock()
	overtaken := l.gone || after < l.state.Floor
	l.mu.Unlock()
	if overtaken {
		return nil, broker.Compacted()
	}
	list := make([]*driver.Event, 0, min(e.Last-after, readMax))
	for ok, bytes := it.First(), 0; ok && len(list) < readMax && bytes < readBytes; ok = it.Next() {
		event, err := parseEvent(keySum(it.Key()), it.Value())
		if err != nil {
			l.p.damage.Add(1)
			return nil, classify(l.p.name, err)
		}
		bytes += len(event.Payload)
		list = append(list, event)
	}
	return list, classify(l.p.name, it.Error())
}

// load reads what is known of all logs.
func (p *pubsub) load() error {
	err := p.each(kindLog, func(ns prism.Namespace, _ string, sum uint32, v []byte) error {
		state, err := parseLogState(sum, v)
		if err != nil {
			return err
		}
		l := p.log(ns)
		l.state, l.draft = state, state
		return nil
	})
	if err != nil {
		return err
	}
	return p.each(kindName, func(ns prism.Namespace, name string, sum uint32, v []byte) error {
		n, err := parseName(sum, v)
		if err == nil {
			p.log(ns).names[name] = n
		}
		return err
	})
}

// each calls f with all records of a kind; sum is that of the key.
func (s *store) each(kind byte, f func(ns prism.Namespace, rest string, sum uint32, v []byte) error) error {
	it, err := s.db.NewIter(&pebble.IterOptions{LowerBound: []byte{kind}, UpperBound: []byte{kind + 1}})
	if err != nil {
		return err
	}
	defer it.Close()
	for ok := it.First(); ok; ok = it.Next() {
		_, ns, rest, err := splitKey(it.Key())
		if err != nil {
			return err
		}
		if err := f(prism.Namespace(ns), string(rest), keySum(it.Key()), it.Value()); err != nil {
			return err
		}
	}
	return it.Error()
}
