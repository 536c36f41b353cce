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

	publishing gather[*queuev1.WorkMessage, *queuev1.WorkQueuePublishResult]
	acking     gather[string, *queuev1.LeaseResult] // of Consume, by lease
}

// WorkQueue returns the queue with that name in a namespace; nothing is sent.
func (c *Client) WorkQueue(namespace, queue string) *WorkQueue {
	q := &WorkQueue{c: c, ns: namespace, queue: queue}
	q.publishing.send, q.acking.send = q.publish, q.acknowledge
	return q
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

func (m *Message) proto() *queuev1.WorkMessage {
	return &queuev1.WorkMessage{
		Payload: m.Payload, Attributes: m.Attributes, Key: m.Key,
		DelayMs: millis(m.Delay), Priority: int32(m.Priority), IdempotencyKey: m.IdempotencyKey,
	}
}

// Publish adds a message and returns its id. It is durable then, where acked
// means that.
func (q *WorkQueue) Publish(ctx context.Context, m Message) (id string, err error) {
	p := m.proto()
	r, err := q.publishing.do(ctx, p, p.SizeVT())
	switch {
	case err != nil:
		return "", err
	case r.GetError() != nil:
		return "", wire.FromItem(r.GetError())
	}
	return r.GetPublished().GetMessageId(), nil
}

// PublishBatch adds up to 1,000 messages in order, each with a result of its
// own: errs[i] is nil where ids[i] is set. The error is for all of them.
func (q *WorkQueue) PublishBatch(ctx context.Context, messages []Message) (ids []string, errs []error, err error) {
	list := make([]*queuev1.WorkMessage, len(messages))
	for i := range messages {
		list[i] = messages[i].proto()
	}
	results, err := q.publish(ctx, list)
	if err != nil {
		return nil, nil, err
	}
	ids, errs = make([]string, len(results)), make([]error, len(results))
	for i, r := range results {
		if e := r.GetError(); e != nil {
			errs[i] = wire.FromItem(e)
			continue
		}
		ids[i] = r.GetPublished().GetMessageId()
	}
	return ids, errs, nil
}

// publish sends a request until it is answered. Each message has an id of its
// own for that, counted up from the request's.
func (q *WorkQueue) publish(ctx context.Context, messages []*queuev1.WorkMessage) ([]*queuev1.WorkQueuePublishResult, error) {
	if n := len(messages); n > 1 {
		q.c.stats.Coalesced.Add(int64(n))
	}
	retry := hexOf(q.c.ids.block(len(messages)))
	var results []*queuev1.WorkQueuePublishResult
	err := q.c.call(ctx, true, func(ctx context.Context) error {
		ctx = metadata.AppendToOutgoingContext(ctx, wire.RetryID, retry)
		r, err := q.rpc().PublishBatch(ctx, &queuev1.WorkQueueServicePublishBatchRequest{Namespace: q.ns, Queue: q.queue, Messages: messages})
		results = r.GetResults()
		return err
	})
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
	return q.settle(ctx, messages, q.ack)
}

func (q *WorkQueue) ack(ctx context.Context, leases []string) ([]*queuev1.LeaseResult, error) {
	r, err := q.rpc().Acknowledge(ctx, &queuev1.WorkQueueServiceAcknowledgeRequest{Namespace: q.ns, Queue: q.queue, Leases: leases})
	return r.GetResults(), err
}

// acknowledge is ack until it is answered.
func (q *WorkQueue) acknowledge(ctx context.Context, leases []string) (results []*queuev1.LeaseResult, err error) {
	err = q.c.call(ctx, true, func(ctx context.Context) (err error) {
		results, err = q.ack(ctx, leases)
		return err
	})
	return results, err
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
		runtime.Gosched() // let the handlers that are done give back their slots
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
	renewing.Add(1)
	held := &LeasedMessage{lease: m.lease} // m is the handler's meanwhile
	begin := time.AfterFunc(o.Lease/3, func() {
		defer renewing.Done()
		q.renew(working, done, o.Lease, held)
	})
	err := handler(working, m)
	done()
	if begin.Stop() {
		renewing.Done()
	}
	renewing.Wait()

	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), DefaultTimeout)
	defer cancel()
	var rejected *Rejection
	switch {
	case err == nil:
		_, _ = q.acking.do(last, m.lease, len(m.lease))
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

// renew extends a lease each time a third of it is gone, so that one lost call
// costs nothing. When the lease is lost it ends the handler's context.
func (q *WorkQueue) renew(ctx context.Context, lost context.CancelFunc, d time.Duration, m *LeasedMessage) {
	for ctx.Err() == nil {
		if err := q.Extend(ctx, d, m); err != nil && errors.Is(err, prism.ReasonLeaseLost) {
			lost()
			return
		}
		sleep(ctx, d/3)
	}
}
