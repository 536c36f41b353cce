package clitest

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"sync"

	"github.com/prism-data-layer/prism/pkg/prism"
	"github.com/prism-data-layer/prism/pkg/wire"
	queuev1 "github.com/prism-data-layer/prism/proto/prism/queue/v1"
)

// Queues answers the work queue API from memory, as far as commands go: leases
// do not end, and no key keeps an order.
type Queues struct {
	queuev1.UnimplementedWorkQueueServiceServer

	mu     sync.Mutex
	now    int64
	queues map[string]*fakeQueue
	topics map[string]*fakeTopic // see Logs
	ending chan struct{}         // closed to end the streams of logs
}

type fakeQueue struct {
	settings *queuev1.QueueSettings
	messages []*queuev1.PeekedMessage
}

const queueNamespace = "queue"

func (q *Queues) reset(now int64) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.now, q.queues, q.topics = now, map[string]*fakeQueue{}, map[string]*fakeTopic{}
	q.ending = make(chan struct{})
	q.seedLogs()
	f := q.make("mail")
	for i := range 12 {
		f.messages = append(f.messages, &queuev1.PeekedMessage{
			MessageId: strconv.Itoa(i + 1), State: queuev1.MessageState_MESSAGE_STATE_READY, Payload: []byte("hello"), PublishedMs: now - 60_000,
		})
	}
	due := now + 30_000
	f.messages = append(f.messages,
		&queuev1.PeekedMessage{MessageId: "13", State: queuev1.MessageState_MESSAGE_STATE_DELAYED, Payload: []byte("later"), PublishedMs: now, DueMs: &due},
		&queuev1.PeekedMessage{MessageId: "14", State: queuev1.MessageState_MESSAGE_STATE_DEAD, Payload: []byte("bad"), PublishedMs: now, Attempts: 5, Reason: "cannot be read"})
}

// Clear removes all work queues.
func (q *Queues) Clear() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.queues = map[string]*fakeQueue{}
}

// Put adds a message as it stands; its id is its place.
func (q *Queues) Put(queue string, m *queuev1.PeekedMessage) {
	q.mu.Lock()
	defer q.mu.Unlock()
	f := q.make(queue)
	m.MessageId = strconv.Itoa(len(f.messages) + 1)
	if m.PublishedMs == 0 {
		m.PublishedMs = q.now - 60_000
	}
	f.messages = append(f.messages, m)
}

func (q *Queues) make(queue string) *fakeQueue {
	if q.queues[queue] == nil {
		q.queues[queue] = &fakeQueue{settings: &queuev1.QueueSettings{LeaseMs: 30_000, MaxAttempts: 5, RetentionMs: 7 * 24 * 3_600_000}}
	}
	return q.queues[queue]
}

func (q *Queues) find(namespace, queue string) (*fakeQueue, error) {
	if namespace != queueNamespace {
		return nil, prism.NotFound("namespace", namespace)
	}
	if f := q.queues[queue]; f != nil {
		return f, nil
	}
	if q.topics[queue] != nil {
		return nil, wrongKind(queue, "log")
	}
	return nil, prism.NotFound("queue", queue)
}

func (q *Queues) lookup(namespace, queue string) (*fakeQueue, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.find(namespace, queue)
}

func wrongKind(name, is string) error {
	return prism.New(prism.ReasonWrongKind, "%q is a %s", name, map[string]string{"log": "log", "work": "work queue"}[is]).WithMeta("kind", is)
}

func (q *Queues) CreateQueue(_ context.Context, r *queuev1.CreateQueueRequest) (*queuev1.CreateQueueResponse, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if f := q.queues[r.Queue]; f != nil {
		if r.Settings.GetMaxAttempts() != 0 && r.Settings.GetMaxAttempts() != f.settings.MaxAttempts {
			return nil, prism.New(prism.ReasonAlreadyExists, "queue %q is there with other settings", r.Queue)
		}
		return &queuev1.CreateQueueResponse{}, nil
	}
	if q.topics[r.Queue] != nil {
		return nil, wrongKind(r.Queue, "log")
	}
	q.make(r.Queue)
	return &queuev1.CreateQueueResponse{Created: true}, nil
}

func (q *Queues) ListQueues(_ context.Context, r *queuev1.ListQueuesRequest) (*queuev1.ListQueuesResponse, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if r.Namespace != queueNamespace {
		return nil, prism.NotFound("namespace", r.Namespace)
	}
	resp := &queuev1.ListQueuesResponse{}
	for name := range q.queues {
		resp.Queues = append(resp.Queues, name)
	}
	slices.Sort(resp.Queues)
	return resp, nil
}

func (q *Queues) GetQueueInfo(_ context.Context, r *queuev1.GetQueueInfoRequest) (*queuev1.GetQueueInfoResponse, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	f, err := q.find(r.Namespace, r.Queue)
	if err != nil {
		return nil, err
	}
	i := &queuev1.GetQueueInfoResponse{Queue: r.Queue, Settings: f.settings, Published: int64(len(f.messages))}
	counts := map[queuev1.MessageState]*int64{
		queuev1.MessageState_MESSAGE_STATE_READY: &i.Ready, queuev1.MessageState_MESSAGE_STATE_DELAYED: &i.Delayed,
		queuev1.MessageState_MESSAGE_STATE_LEASED: &i.Leased, queuev1.MessageState_MESSAGE_STATE_DEAD: &i.Dead,
	}
	for _, m := range f.messages {
		if n := counts[m.State]; n != nil { // of one in no state only its size counts
			*n++
		}
		i.SizeBytes += int64(len(m.Payload))
		i.OldestAgeMs = max(i.OldestAgeMs, q.now-m.PublishedMs)
	}
	return i, nil
}

func (q *Queues) Publish(_ context.Context, r *queuev1.WorkQueueServicePublishRequest) (*queuev1.WorkQueueServicePublishResponse, error) {
	if r.Namespace != queueNamespace {
		return nil, prism.NotFound("namespace", r.Namespace)
	}
	if _, err := q.lookup(r.Namespace, r.Queue); errors.Is(err, prism.ReasonWrongKind) {
		return nil, err
	}
	m := &queuev1.PeekedMessage{
		State: queuev1.MessageState_MESSAGE_STATE_READY, Payload: r.Message.Payload, Attributes: r.Message.Attributes,
		Key: r.Message.Key, Priority: r.Message.Priority, PublishedMs: q.now,
	}
	if r.Message.DelayMs > 0 {
		due := q.now + r.Message.DelayMs
		m.State, m.DueMs = queuev1.MessageState_MESSAGE_STATE_DELAYED, &due
	}
	q.Put(r.Queue, m)
	return &queuev1.WorkQueueServicePublishResponse{MessageId: m.MessageId}, nil
}

func (q *Queues) Receive(_ context.Context, r *queuev1.ReceiveRequest) (*queuev1.ReceiveResponse, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	f, err := q.find(r.Namespace, r.Queue)
	if err != nil {
		return nil, err
	}
	resp := &queuev1.ReceiveResponse{}
	for _, m := range f.messages {
		if m.State != queuev1.MessageState_MESSAGE_STATE_READY || len(resp.Messages) == int(r.MaxMessages) {
			continue
		}
		m.State = queuev1.MessageState_MESSAGE_STATE_LEASED
		m.Attempts++
		resp.Messages = append(resp.Messages, &queuev1.LeasedMessage{
			MessageId: m.MessageId, Lease: "lease-" + m.MessageId, LeaseUntilMs: q.now + 30_000, Payload: m.Payload,
			Attributes: m.Attributes, Key: m.Key, Priority: m.Priority, Attempt: m.Attempts, PublishedMs: m.PublishedMs,
		})
	}
	return resp, nil
}

func (q *Queues) Acknowledge(_ context.Context, r *queuev1.WorkQueueServiceAcknowledgeRequest) (*queuev1.WorkQueueServiceAcknowledgeResponse, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	f, err := q.find(r.Namespace, r.Queue)
	if err != nil {
		return nil, err
	}
	resp := &queuev1.WorkQueueServiceAcknowledgeResponse{}
	for _, lease := range r.Leases {
		result := &queuev1.LeaseResult{}
		i := slices.IndexFunc(f.messages, func(m *queuev1.PeekedMessage) bool {
			return "lease-"+m.MessageId == lease && m.State == queuev1.MessageState_MESSAGE_STATE_LEASED
		})
		if i < 0 {
			result.Error = wire.ToItem(prism.New(prism.ReasonLeaseLost, "the lease is over"))
		} else {
			f.messages = slices.Delete(f.messages, i, i+1)
		}
		resp.Results = append(resp.Results, result)
	}
	return resp, nil
}

func (q *Queues) Peek(_ context.Context, r *queuev1.PeekRequest) (*queuev1.PeekResponse, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	f, err := q.find(r.Namespace, r.Queue)
	if err != nil {
		return nil, err
	}
	var all []*queuev1.PeekedMessage
	for _, m := range f.messages {
		if m.State == r.State {
			all = append(all, m)
		}
	}
	some, next := page(all, r.Limit, r.Cursor)
	return &queuev1.PeekResponse{Messages: some, Cursor: next}, nil
}

func (q *Queues) Redrive(_ context.Context, r *queuev1.RedriveRequest) (*queuev1.RedriveResponse, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	f, err := q.find(r.Namespace, r.Queue)
	if err != nil {
		return nil, err
	}
	resp := &queuev1.RedriveResponse{}
	for _, m := range f.messages {
		named := len(r.MessageIds) == 0 || slices.Contains(r.MessageIds, m.MessageId)
		if m.State == queuev1.MessageState_MESSAGE_STATE_DEAD && named && (r.Limit == 0 || resp.Moved < int64(r.Limit)) {
			m.State, m.Attempts, m.Reason = queuev1.MessageState_MESSAGE_STATE_READY, 0, ""
			resp.Moved++
		}
	}
	return resp, nil
}
