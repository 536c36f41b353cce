package gateway

import (
	"context"
	"encoding/binary"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"

	"github.com/prism-data-layer/prism/pkg/data/workqueue"
	"github.com/prism-data-layer/prism/pkg/prism"
	"github.com/prism-data-layer/prism/pkg/route"
	"github.com/prism-data-layer/prism/pkg/wire"
	queuev1 "github.com/prism-data-layer/prism/proto/prism/queue/v1"
)

// RegisterWorkQueue serves work queues over the road.
func RegisterWorkQueue(s grpc.ServiceRegistrar, r *Road) {
	m := r.methods(queuev1.WorkQueueService_ServiceDesc.ServiceName)
	queuev1.RegisterWorkQueueServiceServer(s, &workQueue{
		road:   r,
		create: m["CreateQueue"], list: m["ListQueues"], info: m["GetQueueInfo"],
		publish: m["Publish"], publishBatch: m["PublishBatch"], receive: m["Receive"],
		acknowledge: m["Acknowledge"], extend: m["ExtendLease"], release: m["Release"], reject: m["Reject"],
		peek: m["Peek"], redrive: m["Redrive"], purge: m["Purge"],
	})
}

type workQueue struct {
	queuev1.UnimplementedWorkQueueServiceServer
	road *Road

	create, list, info                   *method
	publish, publishBatch, receive       *method
	acknowledge, extend, release, reject *method
	peek, redrive, purge                 *method
}

// onQueue is a unary call whose whole message is checked by the rules of its
// fields.
func onQueue[Req interface {
	GetNamespace() string
	proto.Message
}, Resp any](
	ctx context.Context, w *workQueue, m *method, req Req,
	do func(ctx context.Context, q *workqueue.Store, c *call, req Req) (Resp, error),
) (Resp, error) {
	return unary(ctx, w.road, m, req, route.Target.WorkQueue,
		func(ctx context.Context, q *workqueue.Store, c *call, req Req) (resp Resp, err error) {
			if err := wire.Validate(req); err != nil {
				return resp, err
			}
			return do(ctx, q, c, req)
		})
}

func (w *workQueue) CreateQueue(ctx context.Context, r *queuev1.CreateQueueRequest) (*queuev1.CreateQueueResponse, error) {
	return onQueue(ctx, w, w.create, r, func(ctx context.Context, q *workqueue.Store, _ *call, r *queuev1.CreateQueueRequest) (*queuev1.CreateQueueResponse, error) {
		created, err := q.Create(ctx, r.Queue, workqueue.Settings{
			Lease: duration(r.Settings.GetLeaseMs()), MaxAttempts: int(r.Settings.GetMaxAttempts()), Retention: duration(r.Settings.GetRetentionMs()),
		})
		return &queuev1.CreateQueueResponse{Created: created}, err
	})
}

func (w *workQueue) ListQueues(ctx context.Context, r *queuev1.ListQueuesRequest) (*queuev1.ListQueuesResponse, error) {
	return onQueue(ctx, w, w.list, r, func(ctx context.Context, q *workqueue.Store, c *call, r *queuev1.ListQueuesRequest) (*queuev1.ListQueuesResponse, error) {
		names, cursor, err := q.List(ctx, c.principal(), r.Limit, r.Cursor)
		return &queuev1.ListQueuesResponse{Queues: names, Cursor: cursor}, err
	})
}

func (w *workQueue) GetQueueInfo(ctx context.Context, r *queuev1.GetQueueInfoRequest) (*queuev1.GetQueueInfoResponse, error) {
	return onQueue(ctx, w, w.info, r, func(ctx context.Context, q *workqueue.Store, _ *call, r *queuev1.GetQueueInfoRequest) (*queuev1.GetQueueInfoResponse, error) {
		i, err := q.Info(ctx, r.Queue)
		if err != nil {
			return nil, err
		}
		return &queuev1.GetQueueInfoResponse{
			Queue: r.Queue,
			Settings: &queuev1.QueueSettings{
				LeaseMs: i.Options.Lease.Milliseconds(), MaxAttempts: int32(i.Options.MaxAttempts), RetentionMs: i.Options.Retention.Milliseconds(),
			},
			Ready: i.Ready, Delayed: i.Delayed, Leased: i.Leased, Dead: i.Dead, SizeBytes: i.Bytes,
			OldestAgeMs: i.OldestAge.Milliseconds(), NextDueMs: millisOf(i.NextDue), ReadyByPriority: i.ReadyByPriority,
			Published: i.Published, Delivered: i.Delivered, Acknowledged: i.Acked, Redelivered: i.Redelivered,
		}, nil
	})
}

func (w *workQueue) Publish(ctx context.Context, r *queuev1.WorkQueueServicePublishRequest) (*queuev1.WorkQueueServicePublishResponse, error) {
	return unary(ctx, w.road, w.publish, r, route.Target.WorkQueue,
		func(ctx context.Context, q *workqueue.Store, c *call, r *queuev1.WorkQueueServicePublishRequest) (*queuev1.WorkQueueServicePublishResponse, error) {
			if r.Message == nil {
				return nil, prism.InvalidField("message", "must be set")
			}
			var messages [1]workqueue.Message
			var results [1]workqueue.Result
			retry, err := retryID(ctx, r.Message.IdempotencyKey)
			if err != nil {
				return nil, err
			}
			if messages[0], err = messageOf(r.Message, &workqueue.Series{Principal: c.principal()}, r.Queue, retry); err != nil {
				return nil, inside("message", err)
			}
			if err := q.Publish(ctx, r.Queue, messages[:], results[:]); err != nil {
				return nil, err
			}
			if results[0].Err != nil {
				return nil, inside("message", results[0].Err)
			}
			return &queuev1.WorkQueueServicePublishResponse{MessageId: workqueue.ID(results[0].ID)}, nil
		})
}

// PublishBatch counts a retry id up for each message: it then stands for the
// same message however often the batch is sent.
func (w *workQueue) PublishBatch(ctx context.Context, r *queuev1.WorkQueueServicePublishBatchRequest) (*queuev1.WorkQueueServicePublishBatchResponse, error) {
	return unary(ctx, w.road, w.publishBatch, r, route.Target.WorkQueue,
		func(ctx context.Context, q *workqueue.Store, c *call, r *queuev1.WorkQueueServicePublishBatchRequest) (*queuev1.WorkQueueServicePublishBatchResponse, error) {
			n := len(r.Messages)
			if n > prism.MaxBatchItems {
				return nil, prism.InvalidField("messages", "must have at most 1000 items")
			}
			if err := c.target.Take(c.start, n-1); err != nil { // the call itself was counted at the door
				return nil, err
			}
			retry, err := retryID(ctx, "")
			if err != nil {
				return nil, err
			}
			messages, results := make([]workqueue.Message, n), make([]workqueue.Result, n)
			series := workqueue.Series{Principal: c.principal()}
			for i, m := range r.Messages {
				messages[i], results[i].Err = messageOf(m, &series, r.Queue, nthRetry(retry, i))
			}
			if err := q.Publish(ctx, r.Queue, messages, results); err != nil {
				return nil, err
			}
			resp := &queuev1.WorkQueueServicePublishBatchResponse{Results: make([]*queuev1.WorkQueuePublishResult, n)}
			for i := range results {
				resp.Results[i] = publishResult(&results[i])
			}
			return resp, nil
		})
}

// nthRetry is the retry id of the i-th item of a call.
func nthRetry(retry []byte, i int) []byte {
	if len(retry) < 8 {
		if retry == nil {
			return nil
		}
		return binary.BigEndian.AppendUint64(append([]byte{}, retry...), uint64(i))
	}
	id := append([]byte{}, retry...)
	count := id[len(id)-8:]
	binary.BigEndian.PutUint64(count, binary.BigEndian.Uint64(count)+uint64(i))
	return id
}

func messageOf(m *queuev1.WorkMessage, of *workqueue.Series, queue string, retry []byte) (workqueue.Message, error) {
	out := workqueue.Message{
		Key: m.GetKey(), Payload: m.GetPayload(), Attributes: m.GetAttributes(),
		Delay: duration(m.GetDelayMs()), Priority: int(m.GetPriority()),
	}
	return out, workqueue.Once(&out, of, queue, m.GetIdempotencyKey(), retry)
}

func publishResult(r *workqueue.Result) *queuev1.WorkQueuePublishResult {
	if r.Err != nil {
		return &queuev1.WorkQueuePublishResult{Result: &queuev1.WorkQueuePublishResult_Error{Error: itemError(r.Err)}}
	}
	return &queuev1.WorkQueuePublishResult{Result: &queuev1.WorkQueuePublishResult_Published{
		Published: &queuev1.WorkQueueServicePublishResponse{MessageId: workqueue.ID(r.ID)},
	}}
}

// inside names the fields of err as those of a field.
func inside(field string, err error) error {
	e := *prism.From(err)
	fields := e.Fields
	e.Fields = nil
	for _, f := range fields {
		e.WithField(field+"."+f.Field, f.Message)
	}
	return &e
}

// duration is milliseconds off the wire; what is too long for a duration is
// longer than any bound.
func duration(ms int64) time.Duration {
	const most = int64(1<<63-1) / int64(time.Millisecond)
	return time.Duration(max(min(ms, most), -most)) * time.Millisecond
}

// Receive may wait. The wait ends early, with no messages, when the gateway is
// about to stop: nobody has to wait for whoever waits.
func (w *workQueue) Receive(ctx context.Context, r *queuev1.ReceiveRequest) (*queuev1.ReceiveResponse, error) {
	return onQueue(ctx, w, w.receive, r, func(ctx context.Context, q *workqueue.Store, c *call, r *queuev1.ReceiveRequest) (*queuev1.ReceiveResponse, error) {
		wait := duration(r.WaitMs)
		if wait > 0 {
			var stop context.CancelFunc
			ctx, stop = c.live(ctx)
			defer stop()
		}
		out, err := q.Receive(ctx, c.principal(), r.Queue, workqueue.Receive{Max: r.MaxMessages, Lease: duration(r.LeaseMs), Wait: wait})
		if err != nil {
			if err = why(ctx, err); wait > 0 && prism.From(err).Reason == prism.ReasonDraining {
				return &queuev1.ReceiveResponse{}, nil
			}
			return nil, err
		}
		resp := &queuev1.ReceiveResponse{Messages: make([]*queuev1.LeasedMessage, len(out))}
		for i := range out {
			d := &out[i]
			resp.Messages[i] = &queuev1.LeasedMessage{
				MessageId: workqueue.ID(d.ID), Lease: d.Lease, LeaseUntilMs: d.Until.UnixMilli(),
				Payload: d.Payload, Attributes: d.Attributes, Key: d.Key,
				Priority: int32(d.Priority), Attempt: int32(d.Attempts), PublishedMs: d.PublishedAt.UnixMilli(),
			}
		}
		return resp, nil
	})
}

func leaseResults(results []workqueue.Result) []*queuev1.LeaseResult {
	out := make([]*queuev1.LeaseResult, len(results))
	for i := range results {
		r := &results[i]
		out[i] = &queuev1.LeaseResult{Dead: r.Dead}
		if r.Err != nil {
			out[i].Error = itemError(r.Err)
		}
		if !r.Until.IsZero() {
			out[i].LeaseUntilMs = r.Until.UnixMilli()
		}
	}
	return out
}

func (w *workQueue) Acknowledge(ctx context.Context, r *queuev1.WorkQueueServiceAcknowledgeRequest) (*queuev1.WorkQueueServiceAcknowledgeResponse, error) {
	return onQueue(ctx, w, w.acknowledge, r, func(ctx context.Context, q *workqueue.Store, c *call, r *queuev1.WorkQueueServiceAcknowledgeRequest) (*queuev1.WorkQueueServiceAcknowledgeResponse, error) {
		results, err := q.Acknowledge(ctx, c.principal(), r.Queue, r.Leases)
		return &queuev1.WorkQueueServiceAcknowledgeResponse{Results: leaseResults(results)}, err
	})
}

func (w *workQueue) ExtendLease(ctx context.Context, r *queuev1.ExtendLeaseRequest) (*queuev1.ExtendLeaseResponse, error) {
	return onQueue(ctx, w, w.extend, r, func(ctx context.Context, q *workqueue.Store, c *call, r *queuev1.ExtendLeaseRequest) (*queuev1.ExtendLeaseResponse, error) {
		results, err := q.Extend(ctx, c.principal(), r.Queue, r.Leases, duration(r.LeaseMs))
		return &queuev1.ExtendLeaseResponse{Results: leaseResults(results)}, err
	})
}

func (w *workQueue) Release(ctx context.Context, r *queuev1.ReleaseRequest) (*queuev1.ReleaseResponse, error) {
	return onQueue(ctx, w, w.release, r, func(ctx context.Context, q *workqueue.Store, c *call, r *queuev1.ReleaseRequest) (*queuev1.ReleaseResponse, error) {
		results, err := q.Release(ctx, c.principal(), r.Queue, r.Leases, duration(r.DelayMs), r.Reason)
		return &queuev1.ReleaseResponse{Results: leaseResults(results)}, err
	})
}

func (w *workQueue) Reject(ctx context.Context, r *queuev1.RejectRequest) (*queuev1.RejectResponse, error) {
	return onQueue(ctx, w, w.reject, r, func(ctx context.Context, q *workqueue.Store, c *call, r *queuev1.RejectRequest) (*queuev1.RejectResponse, error) {
		results, err := q.Reject(ctx, c.principal(), r.Queue, r.Leases, r.Reason)
		return &queuev1.RejectResponse{Results: leaseResults(results)}, err
	})
}

func (w *workQueue) Peek(ctx context.Context, r *queuev1.PeekRequest) (*queuev1.PeekResponse, error) {
	return onQueue(ctx, w, w.peek, r, func(ctx context.Context, q *workqueue.Store, c *call, r *queuev1.PeekRequest) (*queuev1.PeekResponse, error) {
		messages, cursor, err := q.Peek(ctx, c.principal(), r.Queue, workqueue.State(r.State), r.Limit, r.Cursor)
		if err != nil {
			return nil, err
		}
		resp := &queuev1.PeekResponse{Cursor: cursor, Messages: make([]*queuev1.PeekedMessage, len(messages))}
		for i := range messages {
			m := &messages[i]
			resp.Messages[i] = &queuev1.PeekedMessage{
				MessageId: workqueue.ID(m.ID), State: queuev1.MessageState(m.State),
				Payload: m.Payload, Attributes: m.Attributes, Key: m.Key, Priority: int32(m.Priority), Attempts: int32(m.Attempts),
				PublishedMs: m.PublishedAt.UnixMilli(), DueMs: millisOf(m.DueAt), Reason: m.Reason,
			}
		}
		return resp, nil
	})
}

func (w *workQueue) Redrive(ctx context.Context, r *queuev1.RedriveRequest) (*queuev1.RedriveResponse, error) {
	return onQueue(ctx, w, w.redrive, r, func(ctx context.Context, q *workqueue.Store, _ *call, r *queuev1.RedriveRequest) (*queuev1.RedriveResponse, error) {
		moved, err := q.Redrive(ctx, r.Queue, r.MessageIds, r.Limit)
		return &queuev1.RedriveResponse{Moved: moved}, err
	})
}

func (w *workQueue) Purge(ctx context.Context, r *queuev1.PurgeRequest) (*queuev1.PurgeResponse, error) {
	return onQueue(ctx, w, w.purge, r, func(ctx context.Context, q *workqueue.Store, _ *call, r *queuev1.PurgeRequest) (*queuev1.PurgeResponse, error) {
		removed, err := q.Purge(ctx, r.Queue, r.MessageIds)
		return &queuev1.PurgeResponse{Removed: removed}, err
	})
}
