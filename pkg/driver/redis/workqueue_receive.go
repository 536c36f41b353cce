package redis

import (
	"context"
	"encoding/binary"
	"time"

	"github.com/prism-data-layer/prism/pkg/driver"
	"github.com/prism-data-layer/prism/pkg/driver/lease"
	"github.com/prism-data-layer/prism/pkg/prism"
)

func (w *workQueues) Receive(ctx context.Context, ns prism.Namespace, queue string, r driver.QueueReceive) ([]driver.Delivery, error) {
	if err := lease.CheckReceive(r); err != nil {
		return nil, err
	}
	if err := w.s.enter(ctx); err != nil {
		return nil, err
	}
	defer w.s.leave()
	if r.Wait == 0 {
		out, _, err := w.take(ctx, ns, queue, r)
		return out, err
	}
	return w.await(ctx, ns, queue, r)
}

// take leases what may go, script by script. Without a message it tells in how
// long one may become due, negative for never.
func (w *workQueues) take(ctx context.Context, ns prism.Namespace, queue string, r driver.QueueReceive) (out []driver.Delivery, due time.Duration, err error) {
	room := r.Bytes
	if room == 0 {
		room = -1
	}
	for more := true; more && len(out) < r.Max; {
		a, err := w.call(ctx, ns, queue, queueReceiveScript,
			min(r.Max-len(out), stride), room, len(out) > 0, ttlMillis(r.Lease), r.Wait > 0 && len(out) == 0, answerBytes)
		more, due = a.number() == 1, time.Duration(a.number())*time.Millisecond
		before := len(out)
		for err == nil && len(a.values) > 0 {
			var d driver.Delivery
			if d, err = a.delivery(); err == nil {
				out = append(out, d)
			}
		}
		if err == nil && a.broken {
			err = errAnswer
		}
		if err != nil {
			if len(out) > 0 {
				break // what is leased is the caller's
			}
			return nil, 0, w.s.classify(ctx, err)
		}
		if r.Bytes > 0 {
			for i := range out[before:] {
				room -= size(&out[before+i].StoredMessage)
			}
			more = more && room >= 0
		}
	}
	return out, due, nil
}

func size(m *driver.StoredMessage) int {
	return (&driver.QueueMessage{Key: m.Key, Payload: m.Payload, Attributes: m.Attributes}).Size()
}

// knownHead is the part of what a queue knows of a message that has one length:
// state, priority, attempts, size, when it was published and was first ready,
// when it is due or its lease ends, the lease's number, the key's length. Key
// and reason follow.
const knownHead = 46

// stored reads a message: its id, what is known of it, its body.
func (a *answered) stored() (m driver.StoredMessage, fence uint64, err error) {
	id, known, body := a.text(), []byte(a.text()), a.text()
	if a.broken {
		return m, 0, errAnswer
	}
	if len(id) != 8 || len(known) < knownHead {
		return m, 0, errRecord
	}
	number := func(at int) uint64 { return binary.BigEndian.Uint64(known[at:]) }
	rest := known[knownHead:]
	key := int(binary.BigEndian.Uint32(known[knownHead-4:]))
	if key > len(rest) {
		return m, 0, errRecord
	}
	m = driver.StoredMessage{
		ID: binary.BigEndian.Uint64([]byte(id)), State: driver.QueueState(known[0]), Priority: int(known[1]),
		Attempts: int(binary.BigEndian.Uint32(known[2:])), PublishedAt: time.UnixMilli(int64(number(10))),
		Key: string(rest[:key]), Reason: string(rest[key:]),
	}
	if at := number(26); at > 0 {
		m.DueAt = time.UnixMilli(int64(at))
	}
	m.Attributes, m.Payload, err = parseBody(bytesOf(body))
	return m, number(34), err
}

func (a *answered) delivery() (d driver.Delivery, err error) {
	var fence uint64
	d.StoredMessage, fence, err = a.stored()
	d.Receipt, d.Until = driver.LeaseReceipt{ID: d.ID, Fence: fence}, d.DueAt
	return d, err
}

// await takes messages when there are any.
func (w *workQueues) await(ctx context.Context, ns prism.Namespace, queue string, r driver.QueueReceive) ([]driver.Delivery, error) {
	v, err := w.s.lobbies.enter(ctx, w.s.channel(queueLines.prefix(ns, queue)), r.Wait)
	if err != nil {
		return nil, err
	}
	defer v.end()
	for {
		news := w.s.news.next(v.lobby.channel)
		out, due, err := w.take(ctx, ns, queue, r)
		if err != nil || len(out) > 0 {
			return out, err
		}
		if over, err := v.next(ctx, news, due); over {
			return nil, err
		}
	}
}
