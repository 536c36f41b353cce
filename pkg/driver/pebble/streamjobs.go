package pebble

import (
	"github.com/prism-data-layer/prism/pkg/driver"
	"github.com/prism-data-layer/prism/pkg/prism"
)

// What the committer does for logs. A group changes drafts; when it is synced
// they are what everyone sees, and when it is undone they are as before.

// growth is what a group does to a partition.
type growth struct {
	p             *partition
	before, after extent
	messages      piece
}

// grow notes that the group changes p.draft.
func (g *group) grow(p *partition) *growth {
	if i := p.grown; i < len(g.grown) && g.grown[i].p == p {
		return &g.grown[i]
	}
	p.grown = len(g.grown)
	if p.grown < cap(g.grown) {
		g.grown = g.grown[:p.grown+1] // with the buffer it had
	} else {
		g.grown = append(g.grown, growth{})
	}
	w := &g.grown[p.grown]
	w.messages.reset()
	*w = growth{p: p, before: p.draft, messages: w.messages}
	return w
}

// append adds messages to one partition, or where their keys say.
func (t *topic) append(g *group, to *partition, messages []driver.StreamMessage, results []driver.StreamResult) error {
	if t.dropped {
		return noTopic(t.name)
	}
	n := g.namespace(t.ns)
	for i := range messages {
		r, err := t.appendOne(g, n, to, &messages[i])
		if err != nil {
			r = driver.StreamResult{Err: classify(g.s.name, err)}
		}
		results[i] = r
	}
	return nil
}

// appendOne adds a message unless its receipt says that it was added before.
func (t *topic) appendOne(g *group, n *namespace, p *partition, m *driver.StreamMessage) (driver.StreamResult, error) {
	if !m.Receipt.IsZero() {
		answers, found, err := g.replay(n, m.Receipt)
		if err != nil {
			return driver.StreamResult{}, err
		}
		if found && len(answers) == 1 {
			a := answers[0]
			return driver.StreamResult{Partition: int32(a.Number), Offset: int64(a.Version), Time: a.ExpiresAt, Replayed: true}, nil
		}
	}
	if g.full {
		return driver.StreamResult{}, g.s.refuseFull()
	}
	if p == nil {
		p = t.choose(m.Key)
	}
	w := g.grow(p)
	d := &p.draft
	d.stamp = max(d.stamp, g.nowMs)
	r := driver.StreamResult{Partition: p.number, Offset: d.next, Time: timeOf(d.stamp)}
	w.messages.stamp = d.stamp
	w.messages.begin(uint64(d.next))
	w.messages.entries = appendStreamed(w.messages.entries, d.bytes, m)
	d.next++
	d.bytes += int64(len(m.Payload))
	if len(w.messages.entries) >= pieceBytes {
		g.writeMessages(w)
	}
	if !m.Receipt.IsZero() {
		g.keep(n, m.Receipt, []driver.Result{{Version: uint64(r.Offset), Number: int64(r.Partition), ExpiresAt: r.Time}})
	}
	return r, nil
}

// choose is the partition of a key, or the next in turn without one.
func (t *topic) choose(key string) *partition {
	if key == "" {
		t.turn = (t.turn + 1) % len(t.partitions)
		return &t.partitions[t.turn]
	}
	return &t.partitions[driver.KeyPartition(key, int32(len(t.partitions)))]
}

func (g *group) writeMessages(w *growth) {
	if p := &w.messages; p.count > 0 {
		g.key = appendOffsetKey(g.key[:0], w.p.topic.ns, w.p.topic.name, w.p.number, int64(p.last))
		g.writePiece(p)
		if cap(p.entries) > 2*pieceBytes {
			p.entries = nil
		}
	}
}

// raise takes away what is before a place that is synced.
func (p *partition) raise(g *group, to place) error {
	t, d := p.topic, &p.draft
	if t.dropped || to.offset <= d.floor {
		return nil
	}
	g.grow(p)
	from := appendOffsetKey(nil, t.ns, t.name, p.number, d.floor)
	g.key = appendOffsetKey(g.key[:0], t.ns, t.name, p.number, to.offset)
	if err := g.batch.DeleteRange(from, g.key, nil); err != nil { // pieces that end before it
		return err
	}
	d.floor, d.base = to.offset, min(to.before, d.bytes)
	g.key = appendPartitionKey(g.key[:0], kindFloor, t.ns, t.name, p.number)
	g.buf = appendFloor(g.buf[:0], d)
	g.setSealed()
	return nil
}

// create makes a topic, which others see after the sync.
func (m *streams) create(g *group, id topicName, o driver.TopicOptions) (created bool, err error) {
	if t := m.drafts[id]; t != nil {
		return false, sameTopic(t, t.draft, o)
	}
	if g.full {
		return false, g.s.refuseFull()
	}
	t := newTopic(id, o)
	m.drafts[id] = t
	g.writeTopic(t)
	g.undo = append(g.undo, func() { delete(m.drafts, id) })
	g.synced = append(g.synced, func() { m.show(t) })
	return true, nil
}

func (g *group) writeTopic(t *topic) {
	g.key = appendTopicKey(g.key[:0], t.ns, t.name)
	g.buf = appendTopic(g.buf[:0], t.draft)
	g.setSealed()
}

// show makes a topic one that everyone sees.
func (m *streams) show(t *topic) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.spaces[t.ns] == nil {
		m.spaces[t.ns] = map[string]*topic{}
	}
	m.spaces[t.ns][t.name] = t
}

func (t *topic) retain(g *group, r driver.Retention) error {
	if t.dropped {
		return noTopic(t.name)
	}
	before := t.draft.Retention
	t.draft.Retention = r
	g.writeTopic(t)
	g.undo = append(g.undo, func() { t.draft.Retention = before })
	g.synced = append(g.synced, func() {
		t.mu.Lock()
		defer t.mu.Unlock()
		t.options.Retention = r
	})
	return nil
}

// commit sets offsets of a consumer group, all or none.
func (t *topic) commit(g *group, name string, offsets []driver.PartitionOffset) error {
	if t.dropped {
		return noTopic(t.name)
	}
	if g.full {
		return g.s.refuseFull()
	}
	for _, o := range offsets {
		p, err := t.partition(o.Partition)
		if err != nil {
			return err
		}
		if o.Offset < 0 || o.Offset > p.draft.next {
			return prism.InvalidField("offset", "is not one of this partition")
		}
	}
	own := make(map[int32]int64, len(offsets))
	for _, o := range offsets {
		own[o.Partition] = o.Offset
		g.key = appendGroupKey(g.key[:0], t.ns, t.name, name, o.Partition)
		g.buf = appendCommitted(g.buf[:0], o.Offset)
		g.setSealed()
	}
	g.synced = append(g.synced, func() { t.committed(name, own) })
	return nil
}

// committed makes offsets those that everyone sees.
func (t *topic) committed(group string, offsets map[int32]int64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.groups[group] == nil {
		t.groups[group] = make(map[int32]int64, len(offsets))
	}
	for n, offset := range offsets {
		t.groups[group][n] = offset
	}
}

// drop forgets the topics of a namespace; readers that wait learn of it.
func (m *streams) drop(g *group, ns prism.Namespace) {
	for id, t := range m.drafts {
		if id.ns != ns {
			continue
		}
		t.dropped = true
		delete(m.drafts, id)
		g.undo = append(g.undo, func() {
			t.dropped = false
			m.drafts[id] = t
		})
		g.synced = append(g.synced, func() { m.hide(t) })
	}
}

// hide ends a topic for everyone.
func (m *streams) hide(t *topic) {
	m.mu.Lock()
	delete(m.spaces[t.ns], t.name)
	if len(m.spaces[t.ns]) == 0 {
		delete(m.spaces, t.ns)
	}
	m.mu.Unlock()
	t.gone.Store(true)
	for n := range t.partitions {
		t.partitions[n].changed.fire()
	}
}

// publish shows what a group did to a partition, after its sync.
func (w *growth) publish(m *streams) {
	p := w.p
	p.mu.Lock()
	p.extent = w.after
	p.mu.Unlock()
	p.changed.fire()
	if e, r := &w.after, p.topic.set().Retention; r.Bytes > 0 && e.bytes-e.base > r.Bytes+max(r.Bytes/trimPart, pieceBytes) {
		m.over.Store(true)
		m.wakeSweeper()
	}
}

// finishLogs writes what the group adds to partitions.
func (g *group) finishLogs() {
	for i := range g.grown {
		w := &g.grown[i]
		g.writeMessages(w)
		w.after = w.p.draft
	}
}

// abortLogs takes back what the group did to topics.
func (g *group) abortLogs() {
	for i := range g.grown {
		g.grown[i].p.draft = g.grown[i].before
	}
	for i := len(g.undo) - 1; i >= 0; i-- {
		g.undo[i]()
	}
	g.grown, g.undo, g.synced = g.grown[:0], g.undo[:0], g.synced[:0]
}

// settleLogs shows what the group did to topics, after its sync.
func (g *group) settleLogs() {
	for i := range g.grown {
		g.grown[i].publish(g.s.streams)
	}
	for _, f := range g.synced {
		f()
	}
}

// keepGrown is of how many partitions a group keeps buffers for the next; a
// buffer takes up to two pieces.
const keepGrown = 16

func (g *group) recycleLogs() {
	clear(g.undo)
	clear(g.synced)
	clear(g.grown[min(keepGrown, len(g.grown)):])
	g.grown, g.undo, g.synced = g.grown[:0], g.undo[:0], g.synced[:0]
}
