package driver

import (
	"context"
	"time"

	"github.com/prism-data-layer/prism/pkg/prism"
)

// What holds for every queue capability (work queues: a message is leased,
// worked off, and acknowledged):
//
//   - Queues are named [a-z][a-z0-9-]{0,62}; namespaces are any bytes.
//   - A message that was acked is never lost: it is delivered until it is
//     acknowledged or becomes a dead letter. At least once: it may come twice.
//   - Messages with one Key are delivered in the order of their publishing, one
//     at a time: the next waits until the one before is acknowledged or is a
//     dead letter. Messages without a key have no order among them beyond
//     priority and, where nothing else decides, age.
//   - A lease carries a receipt that no other lease ever has. A receipt whose
//     lease is over (acknowledged, released, passed, given to another) is
//     FAILED_PRECONDITION, reason LEASE_LOST, and changes nothing.
//   - Attempts, leases, delays, reasons and receipts outlive a restart where
//     acked data do.
//   - A queue that is not there: NOT_FOUND, except where a method says else.

// Queue is capability queue_basic.
type Queue interface {
	// CreateQueue makes a queue; one that is there with the same options is no
	// error (created false), with others ALREADY_EXISTS.
	CreateQueue(ctx context.Context, ns prism.Namespace, queue string, o QueueOptions) (created bool, err error)
	// Publish adds messages, each with a result of its own in results[i]; acked
	// in one durable unit. The returned error is for all, when none was tried.
	Publish(ctx context.Context, ns prism.Namespace, queue string, messages []QueueMessage, results []QueueResult) error
	// Receive leases up to q.Max messages. With nothing to deliver it waits
	// until there is, for q.Wait at most, and then returns none.
	Receive(ctx context.Context, ns prism.Namespace, queue string, q QueueReceive) ([]Delivery, error)
	// Ack removes leased messages; results[i] is of receipts[i].
	Ack(ctx context.Context, ns prism.Namespace, queue string, receipts []LeaseReceipt, results []QueueResult) error
	// Peek lists messages of one state in the order of their delivery, leasing
	// none; token nil begins, next nil is the end.
	Peek(ctx context.Context, ns prism.Namespace, queue string, q QueuePeek) (QueuePage, error)
	// Info tells what a queue holds and how it is set.
	Info(ctx context.Context, ns prism.Namespace, queue string) (QueueInfo, error)
	// Queues lists the names, sorted.
	Queues(ctx context.Context, ns prism.Namespace) ([]string, error)
}

// QueueVisibility is capability queue_visibility.
type QueueVisibility interface {
	// Extend makes leases end d from now (QueueResult.Until).
	Extend(ctx context.Context, ns prism.Namespace, queue string, receipts []LeaseReceipt, d time.Duration, results []QueueResult) error
	// Release gives messages back, to be delivered after delay (with
	// queue_delayed; else 0). The attempt counts; the last one makes a dead
	// letter with the reason given.
	Release(ctx context.Context, ns prism.Namespace, queue string, receipts []LeaseReceipt, delay time.Duration, reason string, results []QueueResult) error
}

// QueueDelayed is capability queue_delayed: with it, QueueMessage.Delay and
// the delay of Release are honoured. A delayed message is delivered within a
// second after it is due, never before.
type QueueDelayed interface {
	// Delayed counts the messages that wait for their time, and tells when the
	// next is due (zero: none waits).
	Delayed(ctx context.Context, ns prism.Namespace, queue string) (count int64, next time.Time, err error)
}

// QueuePriority is capability queue_priority: with it, QueueMessage.Priority
// is honoured: of the messages that may be delivered, those with the highest
// priority go first. A message with a key never overtakes one of its key.
type QueuePriority interface {
	// Priorities counts the ready messages of each priority, 0 to 9.
	Priorities(ctx context.Context, ns prism.Namespace, queue string) ([]int64, error)
}

// QueueDeadLetter is capability queue_dead_letter: a message whose
// QueueOptions.MaxAttempts deliveries all failed becomes a dead letter, as does
// one that is rejected. Peek lists them in state QueueDead.
type QueueDeadLetter interface {
	// Reject makes dead letters of leased messages at once.
	Reject(ctx context.Context, ns prism.Namespace, queue string, receipts []LeaseReceipt, reason string, results []QueueResult) error
	// Redrive makes dead letters ready again, with no attempts counted: those
	// with the ids, or with none given the oldest max.
	Redrive(ctx context.Context, ns prism.Namespace, queue string, ids []uint64, limit int) (moved int64, err error)
	// Purge removes dead letters: those with the ids, or with none given all.
	Purge(ctx context.Context, ns prism.Namespace, queue string, ids []uint64) (removed int64, err error)
}

// MaxPriority is the highest priority of a message; the lowest is 0.
const MaxPriority = 9

// QueueOptions are fixed when a queue is made.
type QueueOptions struct {
	Lease       time.Duration // of a Receive that says none
	MaxAttempts int           // deliveries before a message is a dead letter; 0: no end
	Retention   time.Duration // of what is ready and goes next, from when it was first ready; 0: no end. Nothing is delivered a second after it
}

// A QueueMessage is what is published.
type QueueMessage struct {
	Key        string // order; empty: none
	Payload    []byte
	Attributes map[string]string
	Delay      time.Duration // 0: at once
	Priority   int           // 0 to MaxPriority
	Receipt    Receipt       // idempotency
}

// Size is how many bytes a message counts for: payload, key and attributes.
func (m *QueueMessage) Size() int {
	n := len(m.Key) + len(m.Payload)
	for name, value := range m.Attributes {
		n += len(name) + len(value)
	}
	return n
}

// A QueueResult is the answer for one message or receipt.
type QueueResult struct {
	ID       uint64    // of Publish: the message's; grows in the order of publishing, never used again
	Until    time.Time // of Extend
	Dead     bool      // of Release: it is a dead letter now
	Replayed bool      // of Publish: the first answer to this receipt
	Err      error
}

// A LeaseReceipt proves a lease: the message and the fence, a number that each
// lease of a queue has for itself.
type LeaseReceipt struct {
	ID    uint64
	Fence uint64
}

// QueueReceive says what to lease.
type QueueReceive struct {
	Max   int           // messages, at least 1
	Bytes int           // of messages together (see QueueMessage.Size), at least one message; 0: no bound
	Lease time.Duration // 0: the queue's
	Wait  time.Duration // for the first message; 0: not at all
}

// A Delivery is a leased message.
type Delivery struct {
	StoredMessage
	Receipt LeaseReceipt
	Until   time.Time // when the lease ends
}

// A StoredMessage is a message as the queue holds it.
type StoredMessage struct {
	ID          uint64
	Key         string
	Payload     []byte
	Attributes  map[string]string
	Priority    int
	Attempts    int // deliveries so far, this one included
	State       QueueState
	PublishedAt time.Time
	DueAt       time.Time // of a delayed message: when it becomes ready; of a leased one: when its lease ends
	Reason      string    // why it is a dead letter, or why it was last released
}

// QueueState is where a message stands.
type QueueState uint8

const (
	QueueReady QueueState = iota + 1
	QueueLater            // delayed
	QueueLeased
	QueueDead
)

// QueuePeek says what to list.
type QueuePeek struct {
	State QueueState
	Limit int    // at least 1
	Bytes int    // of messages together, at least one message; 0: no bound
	Token []byte // of the page before; nil: from the beginning
}

// A QueuePage is part of a list.
type QueuePage struct {
	Messages []StoredMessage
	Next     []byte // nil: the end
}

// QueueInfo is what a queue holds.
type QueueInfo struct {
	Options                      QueueOptions
	Ready, Delayed, Leased, Dead int64
	Bytes                        int64     // of messages; may be an estimate
	Oldest                       time.Time // publishing of the oldest message that is ready or leased; zero: none
	Published, Delivered, Acked  int64     // since the store was opened
	Redelivered                  int64     // deliveries that were not a message's first
}
