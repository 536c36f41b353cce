package pebble

import (
	"context"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"github.com/prism-data-layer/prism/pkg/driver"
	"github.com/prism-data-layer/prism/pkg/prism"
)

// await reads, and waits for the first record.
func (m *streams) await(ctx context.Context, p *partition, q driver.StreamRead) ([]driver.StreamRecord, error) {
	var timeout <-chan time.Time
	for {
		changed := (<-chan struct{})(nil)
		e := p.synced()
		if q.Offset == e.next && q.Wait > 0 {
			changed = p.changed.wait()
			e = p.synced() // what came between has woken nobody
		}
		switch {
		case p.topic.gone.Load():
			return nil, noTopic(p.topic.name)
		case q.Offset < e.floor:
			return nil, driver.OffsetGone(q.Offset, e.floor)
		case q.Offset > e.next:
			return nil, prism.InvalidField("offset", "is beyond the latest")
		case q.Offset < e.next:
			return m.read(ctx, p, q)
		case q.Wait <= 0:
			return nil, nil
		}
		if timeout == nil {
			timer := m.clock.NewTimer(q.Wait)
			defer timer.Stop()
			timeout = timer.C
		}
		select {
		case <-changed:
		case <-timeout:
			return nil, nil
		case <-m.closing:
			return nil, closedError(m.name)
		case <-m.failed:
			return nil, m.failure.Load()
		case <-ctx.Done():
			return nil, prism.From(ctx.Err())
		}
	}
}

// read reads what is there at q.Offset. What is missing there either goes with
// a group that is being synced, which is waited for, or is damaged.
func (m *streams) read(ctx context.Context, p *partition, q driver.StreamRead) ([]driver.StreamRecord, error) {
	records, err := m.readSynced(p, q)
	if len(records) > 0 || q.Max <= 0 {
		return records, nil // a damage behind them is met by the next read
	}
	if err := m.dirty.await(ctx, m.dirty.applied.Load()); err != nil {
		return nil, err
	}
	switch e := p.synced(); {
	case p.topic.gone.Load():
		return nil, noTopic(p.topic.name)
	case q.Offset < e.floor:
		return nil, driver.OffsetGone(q.Offset, e.floor)
	}
	m.damage.Add(1)
	if err == nil {
		err = errRecord
	}
	return nil, err
}

func (m *streams) readSynced(p *partition, q driver.StreamRead) (records []driver.StreamRecord, err error) {
	it, err := m.offsets(p, q.Offset)
	if err != nil {
		return nil, err
	}
	defer it.Close()
	b := reading{q: q, next: q.Offset, end: p.synced().next}
	for ok := it.First(); ok && !b.full; ok = it.Next() {
		piece, err := parsePiece(keySum(it.Key()), it.Value())
		if err == nil {
			err = b.take(&piece)
		}
		if err != nil {
			return b.records, err
		}
	}
	return b.records, it.Error()
}

// offsets walks the pieces of a partition, from the one that holds an offset on.
func (m *streams) offsets(p *partition, from int64) (*pebble.Iterator, error) {
	t := p.topic
	return m.db.NewIter(&pebble.IterOptions{
		LowerBound: appendOffsetKey(nil, t.ns, t.name, p.number, from),
		UpperBound: appendPartitionKey(nil, kindMessage, t.ns, t.name, p.number+1),
	})
}

// reading collects records of consecutive offsets.
type reading struct {
	q       driver.StreamRead
	next    int64 // the offset that is due
	end     int64 // what is synced ends before it
	full    bool
	bytes   int
	records []driver.StreamRecord
	free    []byte // for payloads to come
}

// take takes what it wants of a piece.
func (b *reading) take(p *pieceReader) error {
	for !b.full && p.next() {
		m, ok := p.streamed()
		offset := int64(p.seq)
		switch {
		case !ok:
			return errRecord
		case offset < b.next:
			continue
		case offset >= b.end, len(b.records) >= b.q.Max, b.q.Bytes > 0 && len(b.records) > 0 && b.bytes+len(m.payload) > b.q.Bytes:
			b.full = true
			return nil
		case offset > b.next:
			return errRecord
		}
		attributes := reader{b: m.attributes}
		r := driver.StreamRecord{
			Partition: b.q.Partition, Offset: offset, Key: string(m.key), Payload: b.keep(m.payload),
			Attributes: attributes.attributes(), Time: timeOf(p.stamp),
		}
		if attributes.bad {
			return errRecord
		}
		if b.records == nil {
			b.records = make([]driver.StreamRecord, 0, b.wanted())
		}
		b.records = append(b.records, r)
		b.bytes += len(m.payload)
		b.next++
	}
	return p.end()
}

// Payloads of a read share chunks of this size, unless they are larger.
const readChunk = 16 << 10

// wanted is about how many records are still to come.
func (b *reading) wanted() int {
	return int(min(int64(b.q.Max-len(b.records)), b.end-b.next, readChunk/32))
}

// keep copies a payload.
func (b *reading) keep(payload []byte) []byte {
	n := len(payload)
	if n > cap(b.free)-len(b.free) {
		b.free = make([]byte, 0, max(n, min(n*b.wanted(), readChunk)))
	}
	from := len(b.free)
	b.free = append(b.free, payload...)
	return b.free[from : from+n : from+n]
}

// A place is a message, or the end of a partition.
type place struct {
	offset int64
	stamp  int64
	before int64 // bytes of payloads that were put before it
}

// search finds the first message that is past something; all after it must be
// so too. It is the end if none is. Where pieces are damaged it may be one of
// theirs that comes before: too little is taken away rather than too much.
func (m *streams) search(p *partition, past func(place) bool) (place, error) {
	e := p.synced()
	it, err := m.offsets(p, e.floor)
	if err != nil {
		return place{}, err
	}
	defer it.Close()
	found := place{offset: e.next, stamp: e.stamp, before: e.bytes}
	key := appendOffsetKey(nil, p.topic.ns, p.topic.name, p.number, 0)
	for low := e.floor; low < found.offset; {
		middle := low + (found.offset-low)/2
		key = appendOffsetKey(key[:0], p.topic.ns, p.topic.name, p.number, middle)
		if low, err = m.halve(it, key, low, middle, &found, past); err != nil {
			return place{}, err
		}
	}
	found.before = max(found.before, e.base)
	return found, it.Error()
}

// halve looks at the piece that holds middle, and says from where to look on.
func (m *streams) halve(it *pebble.Iterator, key []byte, low, middle int64, found *place, past func(place) bool) (int64, error) {
	for ok := it.SeekGE(key); ok; ok = it.Next() {
		p, err := parsePiece(keySum(it.Key()), it.Value())
		if err != nil {
			m.damage.Add(1)
			continue
		}
		for first := true; p.next(); first = false {
			s, ok := p.streamed()
			if !ok {
				break
			}
			at := place{offset: int64(p.seq), stamp: p.stamp, before: s.before}
			switch {
			case first && at.offset >= found.offset: // what is between cannot be read
				found.offset = middle
				return low, nil
			case at.offset >= found.offset:
				return found.offset, nil
			case !past(at):
			case first: // it may be one of before
				at.offset = max(min(at.offset, middle), low)
				*found = at
				return low, nil
			default:
				at.offset = max(at.offset, low)
				*found = at
				return at.offset, nil
			}
		}
		return max(int64(p.seq), middle) + 1, nil
	}
	// Nothing can be read from middle on.
	found.offset = middle
	return low, it.Error()
}
