package pebble

import (
	"bytes"
	"encoding/binary"

	"github.com/cockroachdb/pebble/v2"

	"github.com/prism-data-layer/prism/pkg/prism"
)

// load reads what is known of all topics, and of messages the last of each
// partition.
func (m *streams) load() error {
	if err := m.each(kindTopic, m.loadTopic); err != nil {
		return err
	}
	if err := m.each(kindFloor, m.loadFloor); err != nil {
		return err
	}
	if err := m.each(kindGroup, m.loadGroup); err != nil {
		return err
	}
	it, err := m.db.NewIter(&pebble.IterOptions{LowerBound: []byte{kindMessage}, UpperBound: []byte{kindMessage + 1}})
	if err != nil {
		return err
	}
	defer it.Close()
	for _, t := range m.drafts {
		for n := range t.partitions {
			m.loadPartition(it, &t.partitions[n])
		}
	}
	return it.Error()
}

func (m *streams) spoilt(what string, ns prism.Namespace, topic string, err error) {
	m.damage.Add(1)
	m.log.Error(what, "namespace", string(ns), "topic", topic, "error", err)
}

// loadTopic learns of a topic. One whose options cannot be read is refused; its
// offsets must not be used again.
func (m *streams) loadTopic(ns prism.Namespace, name string, sum uint32, v []byte) error {
	o, err := parseTopicOptions(sum, v)
	t := newTopic(topicName{ns, name}, o)
	if err != nil {
		m.spoilt("what is known of a topic is damaged; it is not served", ns, name, err)
		t.damaged = classify(m.name, err)
	}
	m.drafts[t.topicName] = t
	m.show(t)
	return nil
}

// part finds the partition that a key is about; nil if there is none, or not
// any more.
func (m *streams) part(ns prism.Namespace, rest string) (p *partition, group string, err error) {
	name, group, n, err := cutTopic(rest)
	if err != nil {
		return nil, "", err
	}
	t := m.drafts[topicName{ns, name}]
	if t == nil {
		return nil, "", nil
	}
	p, _ = t.partition(n)
	return p, group, nil
}

func (m *streams) loadFloor(ns prism.Namespace, rest string, sum uint32, v []byte) error {
	p, _, err := m.part(ns, rest)
	if err != nil || p == nil {
		return err
	}
	if p.extent, err = parseFloor(sum, v); err != nil {
		m.spoilt("where a partition begins is damaged; it begins with what is there", ns, p.topic.name, err)
		p.extent.floor = -1
	}
	return nil
}

func (m *streams) loadGroup(ns prism.Namespace, rest string, sum uint32, v []byte) error {
	p, group, err := m.part(ns, rest)
	if err != nil || p == nil {
		return err
	}
	offset, err := parseCommitted(sum, v)
	if err != nil {
		m.spoilt("what a group has committed is damaged; it begins anew", ns, p.topic.name, err)
		return nil
	}
	p.topic.committed(group, map[int32]int64{p.number: offset})
	return nil
}

// loadPartition finds the end of a partition, and its beginning if that cannot
// be read.
func (m *streams) loadPartition(it *pebble.Iterator, p *partition) {
	t, e := p.topic, &p.extent
	span := appendPartitionKey(nil, kindMessage, t.ns, t.name, p.number)
	here := func(ok bool) bool { return ok && bytes.HasPrefix(it.Key(), span) }
	if e.floor < 0 {
		*e = extent{}
		if !here(it.SeekGE(span)) {
			t.damaged = classify(m.name, errRecord) // no offset may be used again
			return
		}
		first, _, _ := pieceEnds(it.Key(), it.Value())
		e.floor, e.next, e.base, e.bytes = first.offset, first.offset, first.before, first.before
	}
	for ok := here(it.SeekLT(appendPartitionKey(nil, kindMessage, t.ns, t.name, p.number+1))); ok; ok = here(it.Prev()) {
		_, end, err := pieceEnds(it.Key(), it.Value())
		e.next = max(e.next, end.offset)
		if err == nil {
			e.bytes, e.stamp = max(e.bytes, end.before), max(e.stamp, end.stamp)
			break
		}
		m.spoilt("messages are damaged and not served", t.ns, t.name, err)
	}
	p.draft = *e
}

// pieceEnds are the first message of a piece, and the end. Of one that is
// damaged both are the end, and only the offset is known.
func pieceEnds(key, record []byte) (first, end place, err error) {
	end.offset = int64(binary.BigEndian.Uint64(key[len(key)-8:])) + 1
	p, err := parsePiece(keySum(key), record)
	if err != nil {
		return end, end, err
	}
	damaged := end
	end.stamp = p.stamp
	for n := 0; p.next(); n++ {
		s, ok := p.streamed()
		if !ok {
			return damaged, damaged, errRecord
		}
		if n == 0 {
			first = place{offset: int64(p.seq), stamp: p.stamp, before: s.before}
		}
		end.before = s.before + int64(len(s.payload))
	}
	if err := p.end(); err != nil {
		return damaged, damaged, err
	}
	return first, end, nil
}
