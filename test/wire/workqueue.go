package wire

import (
	"context"
	"math"
	"strconv"
	"sync"
	"time"

	"google.golang.org/grpc"

	"github.com/prism-data-layer/prism/pkg/driver"
	"github.com/prism-data-layer/prism/pkg/prism"
	pwire "github.com/prism-data-layer/prism/pkg/wire"
	queuev1 "github.com/prism-data-layer/prism/proto/prism/queue/v1"
)

// A QueueStub is the work queue capabilities over the generated client. A lease
// is a token on the wire, for which the stub counts fences. Publishing makes a
// queue there, so the stub asks for it first; where 0 is a default there, the
// stub refuses it or sends the bound.
type QueueStub struct {
	c   queuev1.WorkQueueServiceClient
	now func() time.Time
	*seen[driver.QueueResult]
	bounds

	given  sync.Mutex
	fence  uint64
	leases map[driver.LeaseReceipt]string
}

// NewQueueStub calls over conn; now is the gateway's time, bound may be nil.
func NewQueueStub(conn grpc.ClientConnInterface, now func() time.Time, bound Bound) *QueueStub {
	return &QueueStub{
		c: queuev1.NewWorkQueueServiceClient(conn), now: now, bounds: bounds{set: bound}, leases: map[driver.LeaseReceipt]string{},
		seen: newSeen(func(a, b driver.QueueResult) bool { return a.ID == b.ID }),
	}
}

// Bounds that stand for none.
const (
	endlessAttempts  = 1000
	endlessRetention = 365 * 24 * time.Hour
)

// millis rounds away from zero: what is negative stays so.
func millis(d time.Duration) int64 {
	if ms := d.Milliseconds(); ms != 0 || d >= 0 {
		return ms
	}
	return -1
}

// CreateQueue calls CreateQueue.
func (s *QueueStub) CreateQueue(ctx context.Context, ns prism.Namespace, queue string, o driver.QueueOptions) (bool, error) {
	if o.Lease == 0 {
		return false, prism.InvalidField("lease_ms", "0 is a default on the wire")
	}
	settings := &queuev1.QueueSettings{LeaseMs: millis(o.Lease), MaxAttempts: int32(o.MaxAttempts), RetentionMs: millis(o.Retention)}
	if o.MaxAttempts == 0 {
		settings.MaxAttempts = endlessAttempts
	}
	if o.Retention == 0 {
		settings.RetentionMs = endlessRetention.Milliseconds()
	}
	a, err := s.c.CreateQueue(ctx, &queuev1.CreateQueueRequest{Namespace: string(ns), Queue: queue, Settings: settings})
	return a.GetCreated(), failed(err)
}

// Publish calls Publish for one message and PublishBatch for more.
func (s *QueueStub) Publish(ctx context.Context, ns prism.Namespace, queue string, messages []driver.QueueMessage, results []driver.QueueResult) error {
	if _, err := s.c.GetQueueInfo(ctx, &queuev1.GetQueueInfoRequest{Namespace: string(ns), Queue: queue}); err != nil {
		return failed(err)
	}
	list := make([]*queuev1.WorkMessage, len(messages))
	for i, m := range messages {
		if err := s.reach(ctx, ns, m.Receipt); err != nil {
			return err
		}
		list[i] = &queuev1.WorkMessage{
			Payload: m.Payload, Attributes: m.Attributes, Key: m.Key, DelayMs: millis(m.Delay), Priority: int32(m.Priority), IdempotencyKey: keyOf(m.Receipt),
		}
	}
	if len(list) == 1 {
		a, err := s.c.Publish(ctx, &queuev1.WorkQueueServicePublishRequest{Namespace: string(ns), Queue: queue, Message: list[0]})
		if e := pwire.FromStatus(err); e != nil && endsAll(e) {
			return e
		}
		results[0] = s.published(ns, messages[0].Receipt, a, failed(err))
		return nil
	}
	a, err := s.c.PublishBatch(ctx, &queuev1.WorkQueueServicePublishBatchRequest{Namespace: string(ns), Queue: queue, Messages: list})
	if err != nil {
		return failed(err)
	}
	for i, r := range a.Results {
		var err error
		if r.GetError() != nil {
			err = pwire.FromItem(r.GetError())
		}
		results[i] = s.published(ns, messages[i].Receipt, r.GetPublished(), err)
	}
	return nil
}

func (s *QueueStub) published(ns prism.Namespace, r driver.Receipt, a *queuev1.WorkQueueServicePublishResponse, err error) driver.QueueResult {
	if err != nil {
		return driver.QueueResult{Err: err}
	}
	res := driver.QueueResult{ID: numberOf(a.GetMessageId())}
	res.Replayed = s.again(ns, r, res)
	return res
}

func numberOf(id string) uint64 {
	n, err := strconv.ParseUint(id, 10, 64)
	if err != nil {
		panic("an id that is no number: " + id)
	}
	return n
}

// Receive calls Receive, more than once for a long wait.
func (s *QueueStub) Receive(ctx context.Context, ns prism.Namespace, queue string, q driver.QueueReceive) ([]driver.Delivery, error) {
	if q.Max == 0 || q.Bytes < 0 {
		return nil, prism.InvalidField("max_messages", "0 is a default on the wire, which knows no bytes")
	}
	for end := s.now().Add(q.Wait); ; {
		wait := min(q.Wait, time.Minute)
		a, err := s.c.Receive(ctx, &queuev1.ReceiveRequest{
			Namespace: string(ns), Queue: queue, MaxMessages: int32(q.Max), LeaseMs: millis(q.Lease), WaitMs: millis(wait),
		})
		if err != nil {
			return nil, failed(err)
		}
		if q.Wait = end.Sub(s.now()); len(a.Messages) > 0 || q.Wait <= 0 {
			return s.deliveries(a.Messages), nil
		}
	}
}

func (s *QueueStub) deliveries(messages []*queuev1.LeasedMessage) []driver.Delivery {
	s.given.Lock()
	defer s.given.Unlock()
	out := make([]driver.Delivery, len(messages))
	for i, m := range messages {
		s.fence++
		id, until := numberOf(m.MessageId), time.UnixMilli(m.LeaseUntilMs)
		receipt := driver.LeaseReceipt{ID: id, Fence: s.fence}
		s.leases[receipt] = m.Lease
		out[i] = driver.Delivery{
			Receipt: receipt, Until: until,
			StoredMessage: driver.StoredMessage{
				ID: id, Key: m.Key, Payload: m.Payload, Attributes: m.Attributes, Priority: int(m.Priority), Attempts: int(m.Attempt),
				State: driver.QueueLeased, PublishedAt: time.UnixMilli(m.PublishedMs), DueAt: until,
			},
		}
	}
	return out
}

// tokens are the leases of receipts; for one that was never given, a token that
// is none.
func (s *QueueStub) tokens(receipts []driver.LeaseReceipt) []string {
	s.given.Lock()
	defer s.given.Unlock()
	list := make([]string, len(receipts))
	for i, r := range receipts {
		if list[i] = s.leases[r]; list[i] == "" {
			list[i] = "never-given"
		}
	}
	return list
}

// settled reads the results of leases.
func settled(answers []*queuev1.LeaseResult, results []driver.QueueResult, err error) error {
	for i, a := range answers {
		results[i] = driver.QueueResult{Dead: a.Dead}
		if a.Error != nil {
			results[i].Err = pwire.FromItem(a.Error)
		}
		if a.LeaseUntilMs != 0 {
			results[i].Until = time.UnixMilli(a.LeaseUntilMs)
		}
	}
	return failed(err)
}

// Ack calls Acknowledge.
func (s *QueueStub) Ack(ctx context.Context, ns prism.Namespace, queue string, receipts []driver.LeaseReceipt, results []driver.QueueResult) error {
	a, err := s.c.Acknowledge(ctx, &queuev1.WorkQueueServiceAcknowledgeRequest{Namespace: string(ns), Queue: queue, Leases: s.tokens(receipts)})
	return settled(a.GetResults(), results, err)
}

// Extend calls ExtendLease.
func (s *QueueStub) Extend(ctx context.Context, ns prism.Namespace, queue string, receipts []driver.LeaseReceipt, d time.Duration, results []driver.QueueResult) error {
	a, err := s.c.ExtendLease(ctx, &queuev1.ExtendLeaseRequest{Namespace: string(ns), Queue: queue, Leases: s.tokens(receipts), LeaseMs: millis(d)})
	return settled(a.GetResults(), results, err)
}

// Release calls Release.
func (s *QueueStub) Release(ctx context.Context, ns prism.Namespace, queue string, receipts []driver.LeaseReceipt, delay time.Duration, reason string, results []driver.QueueResult) error {
	a, err := s.c.Release(ctx, &queuev1.ReleaseRequest{Namespace: string(ns), Queue: queue, Leases: s.tokens(receipts), DelayMs: millis(delay), Reason: reason})
	return settled(a.GetResults(), results, err)
}

// Reject calls Reject.
func (s *QueueStub) Reject(ctx context.Context, ns prism.Namespace, queue string, receipts []driver.LeaseReceipt, reason string, results []driver.QueueResult) error {
	a, err := s.c.Reject(ctx, &queuev1.RejectRequest{Namespace: string(ns), Queue: queue, Leases: s.tokens(receipts), Reason: reason})
	return settled(a.GetResults(), results, err)
}

// Peek calls Peek, message by message where it is to stop at a number of bytes.
func (s *QueueStub) Peek(ctx context.Context, ns prism.Namespace, queue string, q driver.QueuePeek) (page driver.QueuePage, err error) {
	if q.Limit == 0 || q.State == 0 {
		return page, prism.InvalidField("limit", "0 is a default on the wire")
	}
	cursor := string(q.Token)
	if q.Token != nil && cursor == "" {
		cursor = "-" // none is the beginning there
	}
	limit := q.Limit
	if q.Bytes > 0 {
		limit = 1
	}
	for bytes := 0; len(page.Messages) < q.Limit; {
		a, err := s.c.Peek(ctx, &queuev1.PeekRequest{
			Namespace: string(ns), Queue: queue, State: queuev1.MessageState(q.State), Limit: int32(limit), Cursor: cursor,
		}, grpc.ForceCodecV2(pwire.Codec())) // it sends a cursor that is no text
		if err != nil {
			return page, failed(err)
		}
		for _, m := range a.Messages {
			one := peeked(m)
			w := driver.QueueMessage{Key: one.Key, Payload: one.Payload, Attributes: one.Attributes}
			if bytes += w.Size(); q.Bytes > 0 && bytes > q.Bytes && len(page.Messages) > 0 {
				return page, nil // it is the next page's
			}
			page.Messages = append(page.Messages, one)
		}
		cursor, page.Next = a.Cursor, []byte(a.Cursor)
		if cursor == "" {
			page.Next = nil
			break
		}
		if q.Bytes == 0 {
			break
		}
	}
	return page, nil
}

func peeked(m *queuev1.PeekedMessage) driver.StoredMessage {
	return driver.StoredMessage{
		ID: numberOf(m.MessageId), Key: m.Key, Payload: m.Payload, Attributes: m.Attributes, Priority: int(m.Priority), Attempts: int(m.Attempts),
		State: driver.QueueState(m.State), PublishedAt: time.UnixMilli(m.PublishedMs), DueAt: timeOf(m.DueMs), Reason: m.Reason,
	}
}

func (s *QueueStub) info(ctx context.Context, ns prism.Namespace, queue string) (*queuev1.GetQueueInfoResponse, error) {
	a, err := s.c.GetQueueInfo(ctx, &queuev1.GetQueueInfoRequest{Namespace: string(ns), Queue: queue})
	return a, failed(err)
}

// Info calls GetQueueInfo.
func (s *QueueStub) Info(ctx context.Context, ns prism.Namespace, queue string) (driver.QueueInfo, error) {
	a, err := s.info(ctx, ns, queue)
	if err != nil {
		return driver.QueueInfo{}, err
	}
	i := driver.QueueInfo{
		Options: driver.QueueOptions{
			Lease: time.Duration(a.Settings.LeaseMs) * time.Millisecond, MaxAttempts: int(a.Settings.MaxAttempts),
			Retention: time.Duration(a.Settings.RetentionMs) * time.Millisecond,
		},
		Ready: a.Ready, Delayed: a.Delayed, Leased: a.Leased, Dead: a.Dead, Bytes: a.SizeBytes,
		Published: a.Published, Delivered: a.Delivered, Acked: a.Acknowledged, Redelivered: a.Redelivered,
	}
	if a.Ready+a.Leased > 0 {
		i.Oldest = s.now().Add(-time.Duration(a.OldestAgeMs) * time.Millisecond)
	}
	if i.Options.MaxAttempts == endlessAttempts {
		i.Options.MaxAttempts = 0
	}
	if i.Options.Retention == endlessRetention {
		i.Options.Retention = 0
	}
	return i, nil
}

// Delayed calls GetQueueInfo.
func (s *QueueStub) Delayed(ctx context.Context, ns prism.Namespace, queue string) (int64, time.Time, error) {
	a, err := s.info(ctx, ns, queue)
	if err != nil {
		return 0, time.Time{}, err
	}
	return a.Delayed, timeOf(a.NextDueMs), nil
}

// Priorities calls GetQueueInfo.
func (s *QueueStub) Priorities(ctx context.Context, ns prism.Namespace, queue string) ([]int64, error) {
	a, err := s.info(ctx, ns, queue)
	return a.GetReadyByPriority(), err
}

// Queues calls ListQueues, page by page.
func (s *QueueStub) Queues(ctx context.Context, ns prism.Namespace) (names []string, err error) {
	for cursor, more := "", true; more; more = cursor != "" {
		a, err := s.c.ListQueues(ctx, &queuev1.ListQueuesRequest{Namespace: string(ns), Limit: 2, Cursor: cursor})
		if err != nil {
			return nil, failed(err)
		}
		names, cursor = append(names, a.Queues...), a.Cursor
	}
	return names, nil
}

func idsOf(ids []uint64) (texts []string) {
	for _, id := range ids {
		texts = append(texts, strconv.FormatUint(id, 10))
	}
	return texts
}

// Redrive calls Redrive.
func (s *QueueStub) Redrive(ctx context.Context, ns prism.Namespace, queue string, ids []uint64, limit int) (int64, error) {
	a, err := s.c.Redrive(ctx, &queuev1.RedriveRequest{Namespace: string(ns), Queue: queue, MessageIds: idsOf(ids), Limit: int32(min(limit, math.MaxInt32))})
	return a.GetMoved(), failed(err)
}

// Purge calls Purge.
func (s *QueueStub) Purge(ctx context.Context, ns prism.Namespace, queue string, ids []uint64) (int64, error) {
	a, err := s.c.Purge(ctx, &queuev1.PurgeRequest{Namespace: string(ns), Queue: queue, MessageIds: idsOf(ids)})
	return a.GetRemoved(), failed(err)
}
