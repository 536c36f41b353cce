package client

import (
	"context"
	"encoding/binary"
	"errors"
	"runtime"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"google.golang.org/grpc/metadata"

	"github.com/prism-data-layer/prism/pkg/prism"
	"github.com/prism-data-layer/prism/pkg/wire"
	commonv1 "github.com/prism-data-layer/prism/proto/prism/common/v1"
	queuev1 "github.com/prism-data-layer/prism/proto/prism/queue/v1"
)

// WorkQueue is one work queue: a message is leased, worked off, and
// acknowledged. Concurrent calls of Publish on one WorkQueue share requests.
type WorkQueue struct {
	c     *Client
	ns    string
	queue string

	mu      sync.Mutex
	open    *publishing // calls join it
	senders int
}

// WorkQueue returns the queue with that name in a namespace; nothing is sent.
func (c *Client) WorkQueue(namespace, queue string) *WorkQueue {
	return &WorkQueue{c: c, ns: namespace, queue: queue}
}

func (q *WorkQueue) rpc() queuev1.WorkQueueServiceClient {
	return queuev1.NewWorkQueueServiceClient(q.c.Conn())
}

// A Message is what is published.
type Message struct {
	Payload    []byte
	Attributes map[string]string
	Key        string        // messages with one key are delivered in order, one at a time
	Delay      time.Duration // 0: at once
	Priority   int           // 0 to 9; the highest goes first
	// IdempotencyKey makes it be published once for this key, for 24 hours.
	// Without one it is still published once by this call, whatever is lost.
	IdempotencyKey string
}

// A publishing is the messages that travel in one request.
type publishing struct {
	messages []*queuev1.WorkMessage
	size     int

	done    chan struct{} // closed when results or err is there
	results []*queuev1.WorkQueuePublishResult
	err     error
}

// Bounds of a request that Publish makes, and of the requests under way. There
// is no timer: a request takes what came together while others were under way.
const (
	publishMessages = 256
	publishBytes    = 1 << 20
	publishSenders  = 4
)

// Publish adds a message and returns its id. It is durable then, where acked
// means that.
func (q *WorkQueue) Publish(ctx context.Context, m Message) (id string, err error) {
	if err := ctx.Err(); err != nil { // what has ended is not begun
		return "", prism.From(err)
	}
	p, i := q.join(&queuev1.WorkMessage{
		Payload: m.Payload, Attributes: m.Attributes, Key: m.Key,
		DelayMs: millis(m.Delay), Priority: int32(m.Priority), IdempotencyKey: m.IdempotencyKey,
	})
	select {
	case <-p.done:
	case <-ctx.Done():
		return "", prism.From(ctx.Err())
	}
	switch {
	case p.err != nil:
		return "", p.err
	case p.results[i].GetError() != nil:
		return "", wire.FromItem(p.results[i].GetError())
	}
	return p.results[i].GetPublished().GetMessageId(), nil
}

// join adds a message to the open request and tells its place there.
func (q *WorkQueue) join(m *queuev1.WorkMessage) (p *publishing, i int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	size := m.SizeVT()
	if p = q.open; p == nil || len(p.messages) >= publishMessages || p.size+size > publishBytes {
		if p != nil { // full: it goes by a sender of its own
			q.senders++
			go q.send(p)
		}
		p = &publishing{done: make(chan struct{})}
		q.open = p
	}
	i = len(p.messages)
	p.messages, p.size = append(p.messages, m), p.size+size
	if q.senders < publishSenders && i == 0 {
		q.senders++
		go q.send(nil)
	}
	return p, i
}

// send sends requests until there is nothing to send.
func (q *WorkQueue) send(p *publishing) {
	runtime.Gosched() // let the callers that are ready join
	for {
		if p == nil {
			q.mu.Lock()
			if p, q.open = q.open, nil; p == nil {
				q.senders--
				q.mu.Unlock()
				return
			}
			q.mu.Unlock()
		}
		p.results, p.err = q.publish(p.messages)
		close(p.done)
		p = nil
	}
}

// publish sends a request until it is answered. Each message has an id of its
// own for that, counted up from the request's.
func (q *WorkQueue) publish(messages []*queuev1.WorkMessage) ([]*queuev1.WorkQueuePublishResult, error) {
	if n := len(messages); n > 1 {
		q.c.stats.Coalesced.Add(int64(n))
	}
	retry := hexOf(q.c.ids.block(len(messages)))
	var results []*queuev1.WorkQueuePublishResult
	err := q.c.call(context.Background(), true, func(ctx context.Context) error {
		ctx = metadata.AppendToOutgoingContext(ctx, wire.RetryID, retry)
		r, err := q.rpc().PublishBatch(ctx, &queuev1.WorkQueueServicePublishBatchRequest{Namespace: q.ns, Queue: q.queue, Messages: messages})
		results = r.GetResults()
		return err
	})
	if err == nil && len(results) != len(messages) {
		err = prism.New(prism.ReasonInternal, "the gateway answered %d messages with another number of results", len(messages))
	}
	return results, err
}

// block is next for n calls: the first id of n in a row.
func (s idSource) block(n int) []byte {
	id := make([]byte, 16)
	copy(id, s.client[:])
	binary.BigEndian.PutUint64(id[8:], s.n.Add(uint64(n))-uint64(n)+1)
	return id
}

// A LeasedMessage is a message in the hands of a consumer, until its lease ends.
type LeasedMessage struct {
	Message
	ID          string
	Attempt     int // deliveries, this one included
	PublishedAt time.Time
	LeaseUntil  time.Time

	lease string
}

// ReceiveOptions say what to lease; what is zero has its default.
type ReceiveOptions struct {
	Max   int           // 1
	Lease time.Duration // the queue's
	Wait  time.Duration // for the first message; none
}

// Receive leases messages. With none ready it waits, and then returns none. It
// is not tried again by itself: what was leased by a call whose answer was lost
// comes again after its lease.
func (q *WorkQueue) Receive(ctx context.Context, o ReceiveOptions) ([]*LeasedMessage, error) {
	if _, ok := ctx.Deadline(); !ok {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, DefaultTimeout+o.Wait)
		defer cancel()
	}
	var r *queuev1.ReceiveResponse
	if err := q.c.call(ctx, false, func(ctx context.Context) (err error) {
		r, err = q.rpc().Receive(ctx, &queuev1.ReceiveRequest{
			Namespace: q.ns, Queue: q.queue, MaxMessages: int32(o.Max), LeaseMs: millis(o.Lease), WaitMs: millis(o.Wait),
		})
		return err
	}); err != nil {
		return nil, err
	}
	out := make([]*LeasedMessage, len(r.GetMessages()))
	for i, m := range r.GetMessages() {
		out[i] = &LeasedMessage{
			Message: Message{Payload: m.GetPayload(), Attributes: m.GetAttributes(), Key: m.GetKey(), Priority: int(m.GetPriority())},
			ID:      m.GetMessageId(), Attempt: int(m.GetAttempt()), lease: m.GetLease(),
			PublishedAt: time.UnixMilli(m.GetPublishedMs()), LeaseUntil: time.UnixMilli(m.GetLeaseUntilMs()),
		}
	}
	return out, nil
}

// settle runs f for the leases of messages, and gives the first error of one;
// the others are done all the same.
func (q *WorkQueue) settle(ctx context.Context, messages []*LeasedMessage, f func(ctx context.Context, leases []string) ([]*queuev1.LeaseResult, error)) error {
	leases := make([]string, len(messages))
	for i, m := range messages {
		leases[i] = m.lease
	}
	var results []*queuev1.LeaseResult
	if err := q.c.call(ctx, true, func(ctx context.Context) (err error) {
		results, err = f(ctx, leases)
		return err
	}); err != nil {
		return err
	}
	var first *commonv1.Error
	for i, r := range results {
		if first == nil {
			first = r.GetError()
		}
		if until := r.GetLeaseUntilMs(); until != 0 && i < len(messages) {
			messages[i].LeaseUntil = time.UnixMilli(until)
		}
	}
	if first != nil {
		return wire.FromItem(first)
	}
	return nil
}

// Ack removes messages. One whose lease is over: LEASE_LOST.
func (q *WorkQueue) Ack(ctx context.Context, messages ...*LeasedMessage) error {
	return q.settle(ctx, messages, func(ctx context.Context, leases []string) ([]*queuev1.LeaseResult, error) {
		r, err := q.rpc().Acknowledge(ctx, &queuev1.WorkQueueServiceAcknowledgeRequest{Namespace: q.ns, Queue: q.queue, Leases: leases})
		return r.GetResults(), err
	})
}

// Extend makes leases end d from now; LeaseUntil of each message tells when.
func (q *WorkQueue) Extend(ctx context.Context, d time.Duration, messages ...*LeasedMessage) error {
	return q.settle(ctx, messages, func(ctx context.Context, leases []string) ([]*queuev1.LeaseResult, error) {
		r, err := q.rpc().ExtendLease(ctx, &queuev1.ExtendLeaseRequest{Namespace: q.ns, Queue: q.queue, Leases: leases, LeaseMs: millis(d)})
		return r.GetResults(), err
	})
}

// Release gives messages back, to be delivered again after delay. In its last
// attempt a message becomes a dead letter with the reason.
func (q *WorkQueue) Release(ctx context.Context, delay time.Duration, reason string, messages ...*LeasedMessage) error {
	return q.settle(ctx, messages, func(ctx context.Context, leases []string) ([]*queuev1.LeaseResult, error) {
		r, err := q.rpc().Release(ctx, &queuev1.ReleaseRequest{Namespace: q.ns, Queue: q.queue, Leases: leases, DelayMs: millis(delay), Reason: reason})
		return r.GetResults(), err
	})
}

// Reject makes dead letters of messages at once.
func (q *WorkQueue) Reject(ctx context.Context, reason string, messages ...*LeasedMessage) error {
	return q.settle(ctx, messages, func(ctx context.Context, leases []string) ([]*queuev1.LeaseResult, error) {
		r, err := q.rpc().Reject(ctx, &queuev1.RejectRequest{Namespace: q.ns, Queue: q.queue, Leases: leases, Reason: reason})
		return r.GetResults(), err
	})
}

// A Rejection is what a handler returns for a message that no delivery will
// make better: it becomes a dead letter at once.
type Rejection struct{ Err error }

func (r *Rejection) Error() string { return r.Err.Error() }
func (r *Rejection) Unwrap() error { return r.Err }

// ConsumeOptions say how Consume works; what is zero has its default.
type ConsumeOptions struct {
	Parallel int           // handlers at once: 8
	Lease    time.Duration // 30 s; renewed while a handler runs
	// Backoff is after how long a message whose handler failed comes again: by
	// itself a second, doubled with each attempt, 5 minutes at most.
	Backoff func(attempt int) time.Duration
	// Interrupted is told each time the gateway is away and waited for, or the
	// queue is not there yet.
	Interrupted func(why *prism.Error)
}

func (o *ConsumeOptions) fill() {
	if o.Parallel <= 0 {
		o.Parallel = 8
	}
	if o.Lease <= 0 {
		o.Lease = 30 * time.Second
	}
	if o.Backoff == nil {
		o.Backoff = func(attempt int) time.Duration { return min(time.Second<<min(attempt-1, 10), 5*time.Minute) }
	}
	if o.Interrupted == nil {
		o.Interrupted = func(*prism.Error) {}
	}
}

const consumeWait = 20 * time.Second

// Consume hands messages to handler until ctx ends, and then waits for the
// handlers that run. A message is acknowledged when its handler returns nil,
// released with a back-off when it fails, and a dead letter when it returns a
// [Rejection]. Leases are extended while a handler runs; its context ends when
// the lease is lost. A gateway that is away is waited for; any other refusal
// ends Consume.
func (q *WorkQueue) Consume(ctx context.Context, o ConsumeOptions, handler func(ctx context.Context, m *LeasedMessage) error) error {
	o.fill()
	slots := make(chan struct{}, o.Parallel)
	var running sync.WaitGroup
	defer running.Wait()
	for fails := 0; ; {
		select {
		case slots <- struct{}{}:
		case <-ctx.Done():
			return prism.From(ctx.Err())
		}
		free := 1
		for free < o.Parallel && free <= prism.MaxBatchItems && trySlot(slots) {
			free++
		}
		messages, err := q.Receive(ctx, ReceiveOptions{Max: free, Lease: o.Lease, Wait: consumeWait})
		for _, m := range messages {
			running.Go(func() {
				defer func() { <-slots }()
				q.handle(ctx, &o, m, handler)
			})
		}
		for range free - len(messages) {
			<-slots
		}
		if err == nil {
			fails = 0
			continue
		}
		e := prism.From(err)
		if ctx.Err() != nil {
			return prism.From(ctx.Err())
		}
		if !repeatable(e) && e.Reason != prism.ReasonNotFound && e.Reason != prism.ReasonDeadlineExceeded {
			return e
		}
		fails++
		o.Interrupted(e)
		if !sleep(ctx, delay(min(fails, maxAttempts), e)) {
			return prism.From(ctx.Err())
		}
	}
}

func trySlot(slots chan struct{}) bool {
	select {
	case slots <- struct{}{}:
		return true
	default:
		return false
	}
}

// handle runs the handler of one message, and says what became of it. What the
// gateway does not learn, it finds out when the lease ends.
func (q *WorkQueue) handle(ctx context.Context, o *ConsumeOptions, m *LeasedMessage, handler func(context.Context, *LeasedMessage) error) {
	working, done := context.WithCancel(ctx)
	var renewing sync.WaitGroup
	renewing.Go(func() { q.renew(working, done, o.Lease, m) })
	err := handler(working, m)
	done()
	renewing.Wait()

	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), DefaultTimeout)
	defer cancel()
	var rejected *Rejection
	switch {
	case err == nil:
		_ = q.Ack(last, m)
	case errors.As(err, &rejected):
		_ = q.Reject(last, reasonText(err), m)
	default:
		_ = q.Release(last, o.Backoff(m.Attempt), reasonText(err), m)
	}
}

// reasonText is why a handler failed, as far as a reason goes.
func reasonText(err error) string {
	const longest = 1024
	text := strings.ToValidUTF8(err.Error(), "�")
	for len(text) > longest {
		_, size := utf8.DecodeLastRuneInString(text)
		text = text[:len(text)-size]
	}
	return text
}

// renew extends a lease before half of it is gone, so that one lost call costs
// nothing. When the lease is lost it ends the handler's context.
func (q *WorkQueue) renew(ctx context.Context, lost context.CancelFunc, d time.Duration, m *LeasedMessage) {
	held := *m // the handler reads the message meanwhile
	for sleep(ctx, d/3) {
		if err := q.Extend(ctx, d, &held); err != nil && errors.Is(err, prism.ReasonLeaseLost) {
			lost()
			return
		}
	}
}
