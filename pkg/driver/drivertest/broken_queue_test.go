package drivertest_test

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/prism-data-layer/prism/pkg/driver"
	"github.com/prism-data-layer/prism/pkg/prism"
)

// queues keeps the queue capabilities alone, after a change.
func queues(change func(*driver.Set)) func(driver.Set) driver.Set {
	return func(s driver.Set) driver.Set {
		change(&s)
		return only(s, "queue_basic", "queue_visibility", "queue_delayed", "queue_priority", "queue_dead_letter")
	}
}

// publishing changes each message before it is published.
func publishing(change func(*driver.QueueMessage)) func(driver.Set) driver.Set {
	return queues(func(s *driver.Set) { s.Queue = changesMessages{s.Queue, change} })
}

// queueDefects are ways in which work queues are wrong.
var queueDefects = []defect{
	{name: "a leased message can be had by others", wide: true, finds: []string{
		"Peek tells what is leased, and until when",
		"a leased message goes to nobody else",
		"a message for which many wait goes to one of them",
		"consumers side by side get each message once",
		"each receipt has a result of its own",
		"messages of one key come in order, one at a time",
	}, wrap: queues(func(s *driver.Set) {
		s.Queue = leasesNothing{s.Queue, s.QueueVisibility}
	})},
	{name: "an acknowledged message comes again", wide: true, finds: []string{
		"Info counts what a queue holds and what it did",
		"a lease that is over is LEASE_LOST and changes nothing",
		"a waiting Receive gets the next message of a key when the one before is acknowledged",
		"an acknowledged message does not come again",
		"each receipt has a result of its own",
		"messages of one key come in order, one at a time",
	}, wrap: queues(func(s *driver.Set) { s.Queue = deafAck{s.Queue} })},
	{name: "a lease that is over acknowledges the next", finds: []string{
		"a lease that is over is LEASE_LOST and changes nothing",
	}, wrap: queues(func(s *driver.Set) {
		s.Queue = &forgetsFences{Queue: s.Queue, last: map[uint64]driver.LeaseReceipt{}}
	})},
	{name: "the messages of a key have no order", finds: []string{
		"a dead letter of a key that is driven again goes before younger ones, not beside one that is leased",
		"a delayed message holds up its key, and no other",
		"a key whose message is leased holds up no other",
		"a message comes as it was published",
		"a message that comes back goes behind an older one of its key that was driven again",
		"a message whose lease has passed comes before the next of its key",
		"a message with a key never overtakes one of its key",
		"a released message comes before younger ones, and before the next of its key",
		"messages of one key come in order, one at a time",
		"producers and consumers at once keep the order of each key",
		"the next of a key comes when the one before is a dead letter",
	}, wrap: publishing(func(m *driver.QueueMessage) { m.Key = "" })},
	{name: "the messages of all keys are of one", finds: []string{
		"a delayed message holds up its key, and no other",
		"a key whose message is leased holds up no other",
		"a message comes as it was published",
		"producers and consumers at once keep the order of each key",
	}, wrap: publishing(func(m *driver.QueueMessage) {
		if m.Key != "" {
			m.Key = "one"
		}
	})},
	{name: "a publish ignores receipts", finds: []string{
		"100 publishers at once with one receipt publish one message",
		"Usage counts messages",
		"a receipt makes Publish happen once",
		"a receipt of a message is forgotten after its time",
		"a receipt of a message with another body is KEY_REUSED",
		"receipts of messages are bounded, the oldest go first",
		"of receipts that came together the first go first",
		"receipts whose ids follow one another are each its own",
	}, wrap: publishing(func(m *driver.QueueMessage) { m.Receipt = driver.Receipt{} })},
	{name: "a publish's receipt forgets its body", finds: []string{
		"a receipt of a message with another body is KEY_REUSED",
		"receipts whose ids follow one another are each its own",
	}, wrap: publishing(func(m *driver.QueueMessage) { m.Receipt.Body = [16]byte{} })},
	{name: "attempts are not counted", finds: []string{
		"Extend makes a lease end later, and tells when",
		"a message whose lease has passed comes again, and counts its attempts",
		"a queue without a bound on attempts makes no dead letters by itself",
		"a released message comes after its delay",
		"a released message comes again at once, and its attempt counts",
		"a waiting Receive gets a message whose lease has passed",
	}, wrap: queues(func(s *driver.Set) { s.Queue = firstAttempts{s.Queue} })},
	{name: "a Receive does not wait", finds: []string{
		"a waiting Receive gets a message that becomes due",
		"a waiting Receive gets what is published meanwhile",
		"arguments that make no sense are INVALID_ARGUMENT",
	}, may: []string{ // who comes late finds it so
		"Drop removes the queues of a namespace and ends who waits there",
		"calls on queues after Close are UNAVAILABLE, and Close ends who waits",
		"a message for which many wait goes to one of them",
	}, wrap: queues(func(s *driver.Set) { s.Queue = asksFor{s.Queue, func(q *driver.QueueReceive) { q.Wait = 0 }} })},
	{name: "a Receive takes more than it was asked for", finds: []string{
		"Info counts what a queue holds and what it did",
		"Peek lists what is ready in the order of delivery, and leases nothing",
		"Peek tells what is leased, and until when",
		"Priorities counts the ready messages of each priority",
		"Receive keeps to its number and its bytes, and takes one message at least",
		"a Receive may ask for a lease of its own",
		"a leased message goes to nobody else",
		"a message that always fails holds up nothing behind it",
		"a message that nobody works off goes after the retention, not before",
		"a payload may be any bytes, none, or a mebibyte of them",
		"a rejected message is a dead letter at once, with the reason",
		"a released message comes after its delay",
		"arguments that make no sense are INVALID_ARGUMENT",
		"messages without a key come in the order of their publishing",
		"the highest priority goes first, and the oldest within it",
	}, wrap: queues(func(s *driver.Set) {
		s.Queue = asksFor{s.Queue, func(q *driver.QueueReceive) { q.Max, q.Bytes = q.Max+1, 0 }}
	})},
	{name: "a lease is always the queue's", finds: []string{
		"Peek lists what is ready in the order of delivery, and leases nothing",
		"a Receive may ask for a lease of its own",
		"a lease that is over is LEASE_LOST and changes nothing",
		"a message that always fails holds up nothing behind it",
		"a message that comes back goes behind an older one of its key that was driven again",
		"a message that comes back takes its place by priority and age",
		"a message whose lease has passed comes before the next of its key",
		"a queue without a bound on attempts makes no dead letters by itself",
		"a waiting Receive gets a message whose lease has passed",
		"an acknowledged message does not come again",
		"arguments that make no sense are INVALID_ARGUMENT",
		"what the caller does with its bytes afterwards does not matter",
	}, wrap: queues(func(s *driver.Set) { s.Queue = asksFor{s.Queue, func(q *driver.QueueReceive) { q.Lease = 0 }} })},
	{name: "Peek leaves out the last", finds: []string{
		"Extend makes a lease end later, and tells when",
		"Peek lists delayed messages by when they are due",
		"Peek lists what is ready by priority, page by page",
		"Peek lists what is ready in the order of delivery, and leases nothing",
		"Peek tells what is leased, and until when",
		"Redrive and Purge take the dead letters that are named, and no other message",
		"Redrive makes the oldest dead letters ready, with no attempts counted",
		"a message that is released in its last attempt becomes a dead letter with the reason",
		"a message whose last lease passes becomes a dead letter, with a reason",
		"a rejected message is a dead letter at once, with the reason",
		"a released message comes after its delay",
		"a released message comes before younger ones, and before the next of its key",
		"dead letters are listed page by page, the oldest first",
		"dead letters are not delivered, and do not end with the retention",
		"the next of a key comes when the one before is a dead letter",
		"the pages of Peek are the whole, and keep to their bounds",
		"the reason of the last Release stands with the message",
	}, wrap: queues(func(s *driver.Set) { s.Queue = peeksShort{s.Queue} })},
	{name: "Drop leaves queues", finds: []string{
		"Drop removes the queues of a namespace and ends who waits there",
		"each of many leases has a result of its own",
		"ids of messages grow, and are not used again after Drop",
	}, wrap: queues(func(s *driver.Set) { s.Store = deafDrop{s.Store} })},
	{name: "messages have no end", finds: []string{
		"Info counts what a queue holds and what it did",
		"a message that nobody works off goes after the retention, not before",
		"a queue is made once: the same settings again are no error, others are ALREADY_EXISTS",
		"arguments that make no sense are INVALID_ARGUMENT",
		"the retention of a delayed message begins when it is due",
	}, wrap: queues(func(s *driver.Set) { s.Queue = makes{s.Queue, func(o *driver.QueueOptions) { o.Retention = 0 }} })},
	{name: "queues of two namespaces are one", finds: []string{
		"Drop removes the queues of a namespace and ends who waits there",
		"Queues lists the queues of a namespace, sorted",
		"Usage counts messages",
		"a queue that is not there is NOT_FOUND",
		"ids of messages grow, and are not used again after Drop",
		"namespaces of queues may be any bytes",
		"queues and namespaces share nothing",
	}, wrap: func(s driver.Set) driver.Set {
		s.Queue = queuesAt{s.Queue, inOne}
		return only(s, "queue_basic")
	}},
	{name: "a message keeps its publisher's memory", finds: []string{
		"what the caller does with its bytes afterwards does not matter",
	}, wrap: queues(func(s *driver.Set) {
		s.Queue = &keepsMemory{Queue: s.Queue, payloads: map[uint64][]byte{}}
	})},
	{name: "Extend extends nothing", finds: []string{
		"Extend makes a lease end later, and tells when",
		"Extend makes a lease end sooner",
		"a call on a queue whose context has ended does nothing",
		"a lease or a delay that makes no sense is INVALID_ARGUMENT",
		"a lease that is over is LEASE_LOST and changes nothing",
		"a message that is released in its last attempt becomes a dead letter with the reason",
		"a message whose last lease passes becomes a dead letter, with a reason",
		"a queue that is not there is NOT_FOUND",
		"a rejected message is a dead letter at once, with the reason",
		"a released message comes after its delay",
		"a released message comes again at once, and its attempt counts",
		"calls on queues after Close are UNAVAILABLE, and Close ends who waits",
		"each of many leases has a result of its own",
	}, wrap: queues(func(s *driver.Set) { s.QueueVisibility = extendsNothing{s.QueueVisibility} })},
	{name: "a Release forgets its reason", finds: []string{
		"a message that is released in its last attempt becomes a dead letter with the reason",
		"a released message comes after its delay",
		"the reason of the last Release stands with the message",
	}, wrap: queues(func(s *driver.Set) {
		s.QueueVisibility = releases{s.QueueVisibility, func(_ *time.Duration, reason *string) { *reason = "" }}
	})},
	{name: "a Release forgets its delay", finds: []string{
		"a delayed message holds up its key, and no other",
		"a lease or a delay that makes no sense is INVALID_ARGUMENT",
		"a released message comes after its delay",
	}, wrap: queues(func(s *driver.Set) {
		s.QueueVisibility = releases{s.QueueVisibility, func(delay *time.Duration, _ *string) { *delay = 0 }}
	})},
	{name: "a delay is forgotten", finds: []string{
		"Delayed counts what waits for its time, and tells when the next is due",
		"Peek lists delayed messages by when they are due",
		"a delayed message comes when it is due, not before",
		"a delayed message holds up its key, and no other",
		"a message that cannot be published fails alone",
		"a thousand messages that are due together all come",
		"a waiting Receive gets a message that becomes due",
		"the retention of a delayed message begins when it is due",
	}, wrap: publishing(func(m *driver.QueueMessage) { m.Delay = 0 })},
	{name: "a priority is forgotten", finds: []string{
		"Peek lists what is ready by priority, page by page",
		"Priorities counts the ready messages of each priority",
		"a message that cannot be published fails alone",
		"a message that comes back takes its place by priority and age",
		"a message with a key never overtakes one of its key",
		"the highest priority goes first, and the oldest within it",
	}, wrap: publishing(func(m *driver.QueueMessage) { m.Priority = 0 })},
	{name: "attempts have no end", finds: []string{
		"Info counts what a queue holds and what it did",
		"a message that always fails holds up nothing behind it",
		"a message that is released in its last attempt becomes a dead letter with the reason",
		"a message whose last lease passes becomes a dead letter, with a reason",
		"a queue is made once: the same settings again are no error, others are ALREADY_EXISTS",
		"arguments that make no sense are INVALID_ARGUMENT",
		"the next of a key comes when the one before is a dead letter",
	}, wrap: queues(func(s *driver.Set) { s.Queue = makes{s.Queue, func(o *driver.QueueOptions) { o.MaxAttempts = 0 }} })},
	{name: "a dead letter has no reason", finds: []string{
		"a message that is released in its last attempt becomes a dead letter with the reason",
		"a message whose last lease passes becomes a dead letter, with a reason",
		"a rejected message is a dead letter at once, with the reason",
	}, wrap: queues(func(s *driver.Set) { s.Queue = hidesReasons{s.Queue} })},
	{name: "Reject releases", finds: []string{
		"Purge removes all dead letters, and nothing else",
		"Redrive and Purge take the dead letters that are named, and no other message",
		"Redrive makes the oldest dead letters ready, with no attempts counted",
		"a dead letter of a key that is driven again goes before younger ones, not beside one that is leased",
		"a message that comes back goes behind an older one of its key that was driven again",
		"a rejected message is a dead letter at once, with the reason",
		"a waiting Receive gets the next of a key when the one before is rejected",
		"a waiting Receive gets what is driven again",
		"dead letters are listed page by page, the oldest first",
		"dead letters are not delivered, and do not end with the retention",
	}, wrap: queues(func(s *driver.Set) { s.QueueDeadLetter = rejectsNothing{s.QueueDeadLetter, s.QueueVisibility} })},
	{name: "Redrive moves nothing", finds: []string{
		"Redrive and Purge take the dead letters that are named, and no other message",
		"Redrive makes the oldest dead letters ready, with no attempts counted",
		"a call on a queue whose context has ended does nothing",
		"a dead letter of a key that is driven again goes before younger ones, not beside one that is leased",
		"a message that comes back goes behind an older one of its key that was driven again",
		"a queue that is not there is NOT_FOUND",
		"a waiting Receive gets what is driven again",
		"calls on queues after Close are UNAVAILABLE, and Close ends who waits",
	}, wrap: queues(func(s *driver.Set) { s.QueueDeadLetter = redrivesNothing{s.QueueDeadLetter} })},
	{name: "Purge removes nothing", finds: []string{
		"Purge removes all dead letters, and nothing else",
		"Redrive and Purge take the dead letters that are named, and no other message",
		"a call on a queue whose context has ended does nothing",
		"a queue that is not there is NOT_FOUND",
		"calls on queues after Close are UNAVAILABLE, and Close ends who waits",
	}, wrap: queues(func(s *driver.Set) { s.QueueDeadLetter = purgesNothing{s.QueueDeadLetter} })},
}

type changesMessages struct {
	driver.Queue
	change func(*driver.QueueMessage)
}

func (d changesMessages) Publish(ctx context.Context, ns prism.Namespace, queue string, messages []driver.QueueMessage, results []driver.QueueResult) error {
	messages = slices.Clone(messages)
	for i := range messages {
		d.change(&messages[i])
	}
	return d.Queue.Publish(ctx, ns, queue, messages, results)
}

type leasesNothing struct {
	driver.Queue
	visible driver.QueueVisibility
}

func (d leasesNothing) Receive(ctx context.Context, ns prism.Namespace, queue string, q driver.QueueReceive) ([]driver.Delivery, error) {
	out, err := d.Queue.Receive(ctx, ns, queue, q)
	for i := range out {
		_ = d.visible.Release(ctx, ns, queue, []driver.LeaseReceipt{out[i].Receipt}, 0, "", make([]driver.QueueResult, 1))
	}
	return out, err
}

// deafAck lets the leases that it acknowledges pass.
type deafAck struct{ driver.Queue }

func (d deafAck) Ack(ctx context.Context, ns prism.Namespace, queue string, receipts []driver.LeaseReceipt, results []driver.QueueResult) error {
	if _, err := d.Info(ctx, ns, queue); err != nil {
		return err
	}
	clear(results)
	return nil
}

type forgetsFences struct {
	driver.Queue
	mu   sync.Mutex
	last map[uint64]driver.LeaseReceipt
}

func (d *forgetsFences) Receive(ctx context.Context, ns prism.Namespace, queue string, q driver.QueueReceive) ([]driver.Delivery, error) {
	out, err := d.Queue.Receive(ctx, ns, queue, q)
	d.mu.Lock()
	defer d.mu.Unlock()
	for i := range out {
		d.last[out[i].ID] = out[i].Receipt
	}
	return out, err
}

func (d *forgetsFences) Ack(ctx context.Context, ns prism.Namespace, queue string, receipts []driver.LeaseReceipt, results []driver.QueueResult) error {
	d.mu.Lock()
	receipts = slices.Clone(receipts)
	for i, r := range receipts {
		if last, known := d.last[r.ID]; known {
			receipts[i] = last
		}
	}
	d.mu.Unlock()
	return d.Queue.Ack(ctx, ns, queue, receipts, results)
}

type firstAttempts struct{ driver.Queue }

func (d firstAttempts) Receive(ctx context.Context, ns prism.Namespace, queue string, q driver.QueueReceive) ([]driver.Delivery, error) {
	out, err := d.Queue.Receive(ctx, ns, queue, q)
	for i := range out {
		out[i].Attempts = 1
	}
	return out, err
}

type asksFor struct {
	driver.Queue
	change func(*driver.QueueReceive)
}

func (d asksFor) Receive(ctx context.Context, ns prism.Namespace, queue string, q driver.QueueReceive) ([]driver.Delivery, error) {
	d.change(&q)
	return d.Queue.Receive(ctx, ns, queue, q)
}

type peeksShort struct{ driver.Queue }

func (d peeksShort) Peek(ctx context.Context, ns prism.Namespace, queue string, q driver.QueuePeek) (driver.QueuePage, error) {
	p, err := d.Queue.Peek(ctx, ns, queue, q)
	if n := len(p.Messages); n > 0 && p.Next == nil {
		p.Messages = p.Messages[:n-1]
	}
	return p, err
}

type makes struct {
	driver.Queue
	change func(*driver.QueueOptions)
}

func (d makes) CreateQueue(ctx context.Context, ns prism.Namespace, queue string, o driver.QueueOptions) (bool, error) {
	d.change(&o)
	return d.Queue.CreateQueue(ctx, ns, queue, o)
}

// A whereabouts is where the data of a namespace are.
type whereabouts func(prism.Namespace) prism.Namespace

// inOne keeps all namespaces in one.
func inOne(prism.Namespace) prism.Namespace { return "one" }

// queuesAt keeps queues somewhere else.
type queuesAt struct {
	driver.Queue
	at whereabouts
}

func (d queuesAt) CreateQueue(ctx context.Context, ns prism.Namespace, queue string, o driver.QueueOptions) (bool, error) {
	return d.Queue.CreateQueue(ctx, d.at(ns), queue, o)
}

func (d queuesAt) Publish(ctx context.Context, ns prism.Namespace, queue string, messages []driver.QueueMessage, results []driver.QueueResult) error {
	return d.Queue.Publish(ctx, d.at(ns), queue, messages, results)
}

func (d queuesAt) Receive(ctx context.Context, ns prism.Namespace, queue string, q driver.QueueReceive) ([]driver.Delivery, error) {
	return d.Queue.Receive(ctx, d.at(ns), queue, q)
}

func (d queuesAt) Ack(ctx context.Context, ns prism.Namespace, queue string, receipts []driver.LeaseReceipt, results []driver.QueueResult) error {
	return d.Queue.Ack(ctx, d.at(ns), queue, receipts, results)
}

func (d queuesAt) Peek(ctx context.Context, ns prism.Namespace, queue string, q driver.QueuePeek) (driver.QueuePage, error) {
	return d.Queue.Peek(ctx, d.at(ns), queue, q)
}

func (d queuesAt) Info(ctx context.Context, ns prism.Namespace, queue string) (driver.QueueInfo, error) {
	return d.Queue.Info(ctx, d.at(ns), queue)
}

func (d queuesAt) Queues(ctx context.Context, ns prism.Namespace) ([]string, error) {
	return d.Queue.Queues(ctx, d.at(ns))
}

// keepsMemory hands out the very bytes that were published.
type keepsMemory struct {
	driver.Queue
	mu       sync.Mutex
	payloads map[uint64][]byte
}

func (d *keepsMemory) Publish(ctx context.Context, ns prism.Namespace, queue string, messages []driver.QueueMessage, results []driver.QueueResult) error {
	err := d.Queue.Publish(ctx, ns, queue, messages, results)
	d.mu.Lock()
	defer d.mu.Unlock()
	for i := range messages {
		if err == nil && results[i].Err == nil && !results[i].Replayed {
			d.payloads[results[i].ID] = messages[i].Payload
		}
	}
	return err
}

func (d *keepsMemory) Receive(ctx context.Context, ns prism.Namespace, queue string, q driver.QueueReceive) ([]driver.Delivery, error) {
	out, err := d.Queue.Receive(ctx, ns, queue, q)
	d.mu.Lock()
	defer d.mu.Unlock()
	for i := range out {
		if kept := d.payloads[out[i].ID]; len(kept) == len(out[i].Payload) {
			out[i].Payload = kept
		}
	}
	return out, err
}

type extendsNothing struct{ driver.QueueVisibility }

func (d extendsNothing) Extend(context.Context, prism.Namespace, string, []driver.LeaseReceipt, time.Duration, []driver.QueueResult) error {
	return nil
}

type releases struct {
	driver.QueueVisibility
	change func(delay *time.Duration, reason *string)
}

func (d releases) Release(ctx context.Context, ns prism.Namespace, queue string, receipts []driver.LeaseReceipt, delay time.Duration, reason string, results []driver.QueueResult) error {
	d.change(&delay, &reason)
	return d.QueueVisibility.Release(ctx, ns, queue, receipts, delay, reason, results)
}

type hidesReasons struct{ driver.Queue }

func (d hidesReasons) Peek(ctx context.Context, ns prism.Namespace, queue string, q driver.QueuePeek) (driver.QueuePage, error) {
	p, err := d.Queue.Peek(ctx, ns, queue, q)
	for i := range p.Messages {
		if q.State == driver.QueueDead {
			p.Messages[i].Reason = ""
		}
	}
	return p, err
}

type rejectsNothing struct {
	driver.QueueDeadLetter
	visible driver.QueueVisibility
}

func (d rejectsNothing) Reject(ctx context.Context, ns prism.Namespace, queue string, receipts []driver.LeaseReceipt, reason string, results []driver.QueueResult) error {
	return d.visible.Release(ctx, ns, queue, receipts, 0, reason, results)
}

type redrivesNothing struct{ driver.QueueDeadLetter }

func (d redrivesNothing) Redrive(context.Context, prism.Namespace, string, []uint64, int) (int64, error) {
	return 0, nil
}

type purgesNothing struct{ driver.QueueDeadLetter }

func (d purgesNothing) Purge(context.Context, prism.Namespace, string, []uint64) (int64, error) {
	return 0, nil
}
