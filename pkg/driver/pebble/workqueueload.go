package pebble

import (
	"bytes"
	"encoding/binary"
	"errors"

	"github.com/cockroachdb/pebble/v2"

	"github.com/prism-data-layer/prism/pkg/driver"
	"github.com/prism-data-layer/prism/pkg/driver/lease"
	"github.com/prism-data-layer/prism/pkg/prism"
)

// load makes the order of all queues from what is on disk.
func (w *workQueues) load() error {
	if err := w.loadNumbers(); err != nil {
		return err
	}
	if err := w.span([]byte{kindQueue}, []byte{kindQueue + 1}, func(ns prism.Namespace, part byte) error {
		if part == queuePartOrder || part == queuePartReceipt {
			return w.loadReceipts(ns)
		}
		return w.loadQueues(ns)
	}); err != nil {
		return err
	}
	return nil
}

// loadNumbers goes on after all numbers that may have been given out. A new
// store begins at its time, so that what was given out by another means nothing.
func (w *workQueues) loadNumbers() error {
	v, closer, err := w.s.db.Get(queueNumbersKey)
	if errors.Is(err, pebble.ErrNotFound) {
		w.seq = uint64(max(w.s.clock.Now().UnixMicro(), 1))
		w.reserved = w.seq
		return nil
	}
	if err != nil {
		return err
	}
	b, err := unseal(keySum(queueNumbersKey), v)
	if err == nil && len(b) != 8 {
		err = errRecord
	}
	if err == nil {
		w.seq = binary.BigEndian.Uint64(b)
		w.reserved = w.seq
	}
	return errors.Join(err, closer.Close())
}

// span calls f once for the queues and once for the receipts of each namespace
// that has any.
func (w *workQueues) span(lower, upper []byte, f func(ns prism.Namespace, part byte) error) error {
	it, err := w.s.db.NewIter(&pebble.IterOptions{LowerBound: lower, UpperBound: upper})
	if err != nil {
		return err
	}
	defer it.Close()
	for ok := it.First(); ok; {
		_, name, rest, err := splitKey(it.Key())
		if err != nil || len(rest) == 0 {
			return errors.Join(errKey, err)
		}
		ns := prism.Namespace(name)
		has := map[byte]bool{}
		for _, part := range []byte{queuePartSettings, queuePartReceipt} {
			key := appendQueuePart(nil, ns, part)
			has[part] = it.SeekGE(key) && bytes.HasPrefix(it.Key(), key)
		}
		for part, there := range has {
			if there {
				if err := f(ns, part); err != nil {
					return err
				}
			}
		}
		ok = it.SeekGE(appendSpanEnd(nil, kindQueue, ns))
	}
	return it.Error()
}

// loadQueues makes the queues of a namespace: first what is leased, so that it
// stands before what it was delivered before.
func (w *workQueues) loadQueues(ns prism.Namespace) error {
	if err := w.records(ns, queuePartSettings, func(rest []byte, sum uint32, record []byte) error {
		o, err := parseSettings(sum, record)
		if err == nil {
			w.engine.Make(lease.Name{Namespace: ns, Queue: string(rest)}, o)
		}
		return err
	}); err != nil {
		return err
	}
	states := map[uint64]workState{}
	if err := w.messages(ns, queuePartState, func(q *lease.Queue, id uint64, sum uint32, record []byte) error {
		s, err := parseState(sum, record)
		if err != nil {
			return err
		}
		s.reason = "" // read again when it is asked for
		states[id] = s
		if s.state != driver.QueueLeased {
			return nil
		}
		m, err := w.read(q.Name, id)
		if err != nil {
			return err
		}
		w.add(q, id, &m, s)
		return nil
	}); err != nil {
		return err
	}
	return w.messages(ns, queuePartMessage, func(q *lease.Queue, id uint64, sum uint32, record []byte) error {
		m, err := parseMessage(sum, record)
		if err != nil {
			return err
		}
		s, ok := states[id]
		switch {
		case ok && s.state == driver.QueueLeased:
			return nil
		case !ok:
			s = workState{state: driver.QueueReady, born: max(m.due, m.published)}
			if m.due > w.s.clock.Now().UnixMilli() {
				s.state, s.at = driver.QueueLater, m.due
			}
		}
		w.add(q, id, &m, s)
		return nil
	})
}

func (w *workQueues) add(q *lease.Queue, id uint64, m *workMessage, s workState) {
	q.Add(lease.Message{
		ID: id, Key: m.key, Size: m.size, Priority: m.priority,
		Attempts: s.attempts, State: s.state, At: s.at, Fence: s.fence, Born: s.born,
	})
}

// records walks the records of a part. One that is damaged is told, and passed
// over: the others stay usable.
func (w *workQueues) records(ns prism.Namespace, part byte, f func(rest []byte, keySum uint32, record []byte) error) error {
	prefix := appendQueuePart(nil, ns, part)
	it, err := w.s.db.NewIter(&pebble.IterOptions{LowerBound: prefix, UpperBound: successor(bytes.Clone(prefix), 0)})
	if err != nil {
		return err
	}
	defer it.Close()
	for ok := it.First(); ok; ok = it.Next() {
		if err := f(it.Key()[len(prefix):], keySum(it.Key()), it.Value()); err != nil {
			w.s.damage.Add(1)
			w.s.log.Error("a record of a work queue is damaged", "namespace", string(ns), "error", err)
		}
	}
	return it.Error()
}

// messages walks the records of a part that belong to messages.
func (w *workQueues) messages(ns prism.Namespace, part byte, f func(q *lease.Queue, id uint64, keySum uint32, record []byte) error) error {
	var last *lease.Queue
	return w.records(ns, part, func(rest []byte, sum uint32, record []byte) error {
		end := len(rest) - 9
		if end < 0 || rest[end] != 0 {
			return errKey
		}
		if last == nil || last.Queue != string(rest[:end]) {
			if last = w.engine.Find(lease.Name{Namespace: ns, Queue: string(rest[:end])}); last == nil {
				return errKey
			}
		}
		return f(last, binary.BigEndian.Uint64(rest[end+1:]), sum, record)
	})
}

// loadReceipts counts the receipts of a namespace and finds where they begin.
func (w *workQueues) loadReceipts(ns prism.Namespace) error {
	all := w.receiptsOf(ns)
	if err := w.records(ns, queuePartReceipt, func(first []byte, sum uint32, record []byte) error {
		if len(first) != 16 {
			return errKey
		}
		r, err := parseRun(ns, [16]byte(first), sum, record)
		if err == nil {
			all.count += int64(len(r.list))
		}
		return err
	}); err != nil {
		return err
	}
	return w.records(ns, queuePartOrder, func(rest []byte, _ uint32, place []byte) error {
		keep, after, err := cutNumber(rest)
		if err != nil {
			return err
		}
		seq, _, err := cutNumber(after)
		if err != nil {
			return err
		}
		if _, ok := all.heads[int64(keep)]; ok {
			return nil
		}
		_, gone, err := parsePlace(place)
		all.heads[int64(keep)] = &queueHead{from: seq, gone: gone}
		all.count -= int64(gone)
		return err
	})
}
