package redis

import (
	"context"
	"encoding/binary"
	"time"

	"github.com/prism-data-layer/prism/pkg/driver"
	"github.com/prism-data-layer/prism/pkg/driver/lease"
	"github.com/prism-data-layer/prism/pkg/prism"
)

// workQueues keeps each queue under a hash tag of its own; lua/workqueue.lua says
// what its keys are. Every call is one script, or one for each so many messages.
type workQueues struct{ s *store }

var (
	_ driver.Queue           = (*workQueues)(nil)
	_ driver.QueueVisibility = (*workQueues)(nil)
	_ driver.QueueDelayed    = (*workQueues)(nil)
	_ driver.QueuePriority   = (*workQueues)(nil)
	_ driver.QueueDeadLetter = (*workQueues)(nil)
)

// kindKnown is what a queue knows of its messages, by id.
const kindKnown = "s"

// failed turns the error of a script on a queue into one of ours.
func (w *workQueues) failed(ctx context.Context, queue string, err error) error {
	if missing(err) {
		return prism.NotFound("queue", queue)
	}
	return w.s.classify(ctx, err)
}

// call runs a script on a queue.
func (w *workQueues) call(ctx context.Context, ns prism.Namespace, queue string, script *script, args ...any) (answered, error) {
	values, err := w.s.onLine(ctx, script, queueLines.prefix(ns, queue), args...).Slice()
	return answered{values: values}, w.failed(ctx, queue, err)
}

func (w *workQueues) CreateQueue(ctx context.Context, ns prism.Namespace, queue string, o driver.QueueOptions) (bool, error) {
	if err := lease.CheckQueue(queue, o); err != nil {
		return false, err
	}
	if err := w.s.enter(ctx); err != nil {
		return false, err
	}
	defer w.s.leave()
	made, err := w.s.makeLine(ctx, queueLines, ns, queue, queueMakeScript,
		appendSettings(nil, o), ttlMillis(o.Lease), o.MaxAttempts, ttlMillis(o.Retention))
	if err == nil && made > 1 {
		err = prism.New(prism.ReasonAlreadyExists, "queue %q is there with other settings", queue)
	}
	return made == 1, err
}

// appendSettings writes what a queue was made with, to the nanosecond.
func appendSettings(b []byte, o driver.QueueOptions) []byte {
	b = binary.BigEndian.AppendUint64(b, uint64(o.Lease))
	b = binary.BigEndian.AppendUint64(b, uint64(o.MaxAttempts))
	return binary.BigEndian.AppendUint64(b, uint64(o.Retention))
}

func parseSettings(text string) (o driver.QueueOptions, err error) {
	b := []byte(text)
	if len(b) != 24 {
		return o, errRecord
	}
	return driver.QueueOptions{
		Lease: time.Duration(binary.BigEndian.Uint64(b)), MaxAttempts: int(binary.BigEndian.Uint64(b[8:])), Retention: time.Duration(binary.BigEndian.Uint64(b[16:])),
	}, nil
}

func (w *workQueues) Queues(ctx context.Context, ns prism.Namespace) ([]string, error) {
	if err := w.s.enter(ctx); err != nil {
		return nil, err
	}
	defer w.s.leave()
	return w.s.lineNames(ctx, queueLines, ns)
}

// Publish is one pipeline of scripts, each for some of the messages.
func (w *workQueues) Publish(ctx context.Context, ns prism.Namespace, queue string, messages []driver.QueueMessage, results []driver.QueueResult) error {
	if err := w.s.enter(ctx); err != nil {
		return err
	}
	defer w.s.leave()
	var parts runs
	for i := range messages {
		if results[i] = (driver.QueueResult{Err: lease.CheckMessage(&messages[i])}); results[i].Err == nil {
			parts.add(i, messages[i].Size())
		}
	}
	err := w.s.onLineRuns(ctx, queuePublishScript, queueLines.prefix(ns, queue), nil, &parts,
		func(args []any, i int) []any { return appendQueueMessage(args, &messages[i]) },
		func(i int, answer string, err error) { results[i] = w.published(ctx, answer, err) })
	return w.failed(ctx, queue, err)
}

// appendQueueMessage adds a message to the arguments of a script.
func appendQueueMessage(args []any, m *driver.QueueMessage) []any {
	what := append(make([]byte, 0, 64), byte(m.Priority))
	what = binary.BigEndian.AppendUint32(what, uint32(m.Size()))
	what = binary.BigEndian.AppendUint64(what, uint64(ttlMillis(m.Delay)))
	if !m.Receipt.IsZero() {
		what = appendReceipt(what, m.Receipt)
	}
	return append(args, what, m.Key, appendBody(nil, m.Attributes, m.Payload))
}

// A body is what only those look at who get the message: format, attributes,
// payload.
const bodyFormat = 1

func appendBody(b []byte, attributes map[string]string, payload []byte) []byte {
	b = binary.AppendUvarint(append(b, bodyFormat), uint64(len(attributes)))
	for name, value := range attributes {
		b = appendText(appendText(b, name), value)
	}
	return append(b, payload...)
}

// parseBody reads a body; the payload is part of it.
func parseBody(b []byte) (attributes map[string]string, payload []byte, err error) {
	if len(b) == 0 || b[0] != bodyFormat {
		return nil, nil, errRecord
	}
	n, size := binary.Uvarint(b[1:])
	if size <= 0 || n > uint64(len(b)) {
		return nil, nil, errRecord
	}
	b = b[1+size:]
	if n > 0 {
		attributes = make(map[string]string, n)
	}
	for range n {
		var name, value string
		if name, b, err = cutText(b); err == nil {
			value, b, err = cutText(b)
		}
		if err != nil {
			return nil, nil, errRecord
		}
		attributes[name] = value
	}
	return attributes, b[:len(b):len(b)], nil
}

// published reads the answer for a message: R or P and its id, or an error.
func (w *workQueues) published(ctx context.Context, answer string, err error) driver.QueueResult {
	switch {
	case err != nil:
		return driver.QueueResult{Err: w.s.classify(ctx, err)}
	case len(answer) != 9:
		return driver.QueueResult{Err: w.s.refused(answer, &driver.Op{})}
	}
	return driver.QueueResult{ID: binary.BigEndian.Uint64([]byte(answer[1:])), Replayed: answer[0] == 'P'}
}

func (w *workQueues) Ack(ctx context.Context, ns prism.Namespace, queue string, receipts []driver.LeaseReceipt, results []driver.QueueResult) error {
	return w.settle(ctx, ns, queue, receipts, results, "a", 0, "")
}

func (w *workQueues) Extend(ctx context.Context, ns prism.Namespace, queue string, receipts []driver.LeaseReceipt, d time.Duration, results []driver.QueueResult) error {
	if d <= 0 {
		return prism.InvalidField("lease", "must be positive")
	}
	return w.settle(ctx, ns, queue, receipts, results, "e", d, "")
}

func (w *workQueues) Release(ctx context.Context, ns prism.Namespace, queue string, receipts []driver.LeaseReceipt, delay time.Duration, reason string, results []driver.QueueResult) error {
	if delay < 0 {
		return prism.InvalidField("delay", "must not be negative")
	}
	return w.settle(ctx, ns, queue, receipts, results, "r", delay, reason)
}

func (w *workQueues) Reject(ctx context.Context, ns prism.Namespace, queue string, receipts []driver.LeaseReceipt, reason string, results []driver.QueueResult) error {
	return w.settle(ctx, ns, queue, receipts, results, "j", 0, reason)
}

// settle is one pipeline of scripts, each for some of the leases.
func (w *workQueues) settle(
	ctx context.Context, ns prism.Namespace, queue string, receipts []driver.LeaseReceipt, results []driver.QueueResult,
	what string, time time.Duration, reason string,
) error {
	if err := w.s.enter(ctx); err != nil {
		return err
	}
	defer w.s.leave()
	var parts runs
	for i := range receipts {
		parts.add(i, 0)
	}
	err := w.s.onLineRuns(ctx, queueSettleScript, queueLines.prefix(ns, queue), []any{what, ttlMillis(time), reason}, &parts,
		func(args []any, i int) []any {
			b := binary.BigEndian.AppendUint64(make([]byte, 0, 16), receipts[i].ID)
			return append(args, binary.BigEndian.AppendUint64(b, receipts[i].Fence))
		},
		func(i int, answer string, err error) { results[i] = w.settled(ctx, receipts[i].ID, answer, err) })
	return w.failed(ctx, queue, err)
}

// settled reads the answer for a lease: L, D, or R and when it ends.
func (w *workQueues) settled(ctx context.Context, id uint64, answer string, err error) driver.QueueResult {
	switch {
	case err != nil:
		return driver.QueueResult{Err: w.s.classify(ctx, err)}
	case answer == "L":
		return driver.QueueResult{Err: prism.New(prism.ReasonLeaseLost, "the lease of message %d is over", id)}
	case len(answer) == 9:
		return driver.QueueResult{ID: id, Until: time.UnixMilli(int64(binary.BigEndian.Uint64([]byte(answer[1:]))))}
	}
	return driver.QueueResult{ID: id, Dead: answer == "D"}
}

// deadStep is how many dead letters one script moves.
const deadStep = 500

func (w *workQueues) Redrive(ctx context.Context, ns prism.Namespace, queue string, ids []uint64, limit int) (int64, error) {
	if limit < 0 {
		return 0, prism.InvalidField("limit", "must not be negative")
	}
	return w.move(ctx, ns, queue, "r", ids, limit)
}

func (w *workQueues) Purge(ctx context.Context, ns prism.Namespace, queue string, ids []uint64) (int64, error) {
	return w.move(ctx, ns, queue, "p", ids, 0)
}

// move takes dead letters away from the others: those named, or the oldest.
func (w *workQueues) move(ctx context.Context, ns prism.Namespace, queue, what string, ids []uint64, limit int) (moved int64, err error) {
	if err := w.s.enter(ctx); err != nil {
		return 0, err
	}
	defer w.s.leave()
	named := len(ids) > 0
	for more := true; more; {
		step, args := 0, []any{what}
		if named {
			n := min(len(ids), deadStep)
			args = append(args, 0)
			for _, id := range ids[:n] {
				args = append(args, binary.BigEndian.AppendUint64(nil, id))
			}
			ids = ids[n:]
		} else {
			step = deadStep
			if limit > 0 {
				step = min(step, limit-int(moved))
			}
			args = append(args, step)
		}
		a, err := w.call(ctx, ns, queue, queueDeadScript, args...)
		if err != nil {
			return moved, err
		}
		n, unlisted := a.number(), a.number() == 1
		if a.broken {
			return moved, w.s.classify(ctx, errAnswer)
		}
		moved += n
		if named {
			more = len(ids) > 0
		} else {
			more = (unlisted || n == int64(step)) && (limit == 0 || moved < int64(limit))
		}
	}
	return moved, nil
}
