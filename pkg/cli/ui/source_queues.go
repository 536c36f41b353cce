package ui

import (
	"cmp"
	"context"
	"errors"
	"io"
	"slices"
	"sync"
	"time"

	"google.golang.org/grpc"

	"github.com/prism-data-layer/prism/pkg/cli"
	"github.com/prism-data-layer/prism/pkg/prism"
	queuev1 "github.com/prism-data-layer/prism/proto/prism/queue/v1"
	"github.com/prism-data-layer/prism/tui/page/queues"
)

// maxQueues bounds the queues that are counted each time, and askers how many
// are asked for at once.
const (
	maxQueues = 500
	askers    = 8
)

// queueSource answers the page of queues and logs.
type queueSource struct{ dataSource }

// A hall is both services on queues.
type hall struct {
	work queuev1.WorkQueueServiceClient
	log  queuev1.QueueServiceClient
}

func (s queueSource) hall(ctx context.Context) (hall, error) {
	return enter(ctx, s.dataSource, func(c grpc.ClientConnInterface) hall {
		return hall{queuev1.NewWorkQueueServiceClient(c), queuev1.NewQueueServiceClient(c)}
	})
}

func (s queueSource) Queues(ctx context.Context, a queues.Ask) (queues.Snapshot, error) {
	h, err := s.hall(ctx)
	if err != nil {
		return queues.Snapshot{}, err
	}
	list, err := h.list(ctx, a.Namespace)
	if err != nil {
		return queues.Snapshot{}, s.explain(err)
	}
	out := queues.Snapshot{Queues: list}
	if err := h.count(ctx, a.Namespace, out.Queues); err != nil {
		return queues.Snapshot{}, s.explain(err)
	}
	for _, q := range out.Queues {
		switch {
		case q.Name != a.Queue:
		case q.Log:
			out.Messages, out.More, out.Problem = h.newest(ctx, a)
		default:
			out.Messages, out.More, out.Problem = h.peek(ctx, a)
		}
	}
	return out, nil
}

// list names the queues and logs. A namespace may have one kind alone.
func (h hall) list(ctx context.Context, ns string) ([]queues.Queue, error) {
	var list []queues.Queue
	_, errWork := cli.Pages(ctx, maxQueues, func(ctx context.Context, cursor string, size int32) (int, string, error) {
		r, err := h.work.ListQueues(ctx, &queuev1.ListQueuesRequest{Namespace: ns, Limit: size, Cursor: cursor})
		for _, name := range r.GetQueues() {
			list = append(list, queues.Queue{Name: name})
		}
		return len(r.GetQueues()), r.GetCursor(), err
	})
	_, errLog := cli.Pages(ctx, maxQueues, func(ctx context.Context, cursor string, size int32) (int, string, error) {
		r, err := h.log.ListTopics(ctx, &queuev1.ListTopicsRequest{Namespace: ns, Limit: size, Cursor: cursor})
		for _, name := range r.GetTopics() {
			list = append(list, queues.Queue{Name: name, Log: true})
		}
		return len(r.GetTopics()), r.GetCursor(), err
	})
	switch {
	case errWork != nil && (!lacks(errWork) || lacks(errLog)):
		return nil, errWork
	case errLog != nil && !lacks(errLog):
		return nil, errLog
	}
	slices.SortFunc(list, func(a, b queues.Queue) int { return cmp.Compare(a.Name, b.Name) })
	return list, nil
}

func lacks(err error) bool { return errors.Is(err, prism.ReasonCapabilityMissing) }

// count fills in what each holds, a few at a time. One that was deleted
// meanwhile stays empty.
func (h hall) count(ctx context.Context, ns string, list []queues.Queue) error {
	var wg sync.WaitGroup
	errs := make([]error, len(list))
	room := make(chan struct{}, askers)
	for i := range list {
		room <- struct{}{}
		wg.Go(func() {
			defer func() { <-room }()
			if list[i].Log {
				errs[i] = h.countLog(ctx, ns, &list[i])
			} else {
				errs[i] = h.countWork(ctx, ns, &list[i])
			}
		})
	}
	wg.Wait()
	for _, err := range errs {
		if err != nil && !errors.Is(err, prism.ReasonNotFound) {
			return err
		}
	}
	return nil
}

func (h hall) countWork(ctx context.Context, ns string, q *queues.Queue) error {
	r, err := h.work.GetQueueInfo(ctx, &queuev1.GetQueueInfoRequest{Namespace: ns, Queue: q.Name})
	if err != nil {
		return err
	}
	q.Ready, q.Delayed, q.Leased, q.Dead, q.Bytes = r.GetReady(), r.GetDelayed(), r.GetLeased(), r.GetDead(), r.GetSizeBytes()
	q.Oldest = time.Duration(r.GetOldestAgeMs()) * time.Millisecond
	return nil
}

func (h hall) countLog(ctx context.Context, ns string, q *queues.Queue) error {
	r, err := h.log.GetTopicInfo(ctx, &queuev1.GetTopicInfoRequest{Namespace: ns, Topic: q.Name})
	if err != nil {
		return err
	}
	q.Kept = r.GetMessageCount()
	for _, p := range r.GetPartitions() {
		q.Bytes += p.GetSizeBytes()
	}
	g, err := h.log.ListGroups(ctx, &queuev1.ListGroupsRequest{Namespace: ns, Topic: q.Name})
	if err != nil && !lacks(err) { // a store without groups
		return err
	}
	for _, x := range g.GetGroups() {
		q.Groups = append(q.Groups, queues.Group{Name: x.GetGroup(), Members: int(x.GetMembers()), Lag: x.GetLag()})
	}
	return nil
}

func (h hall) peek(ctx context.Context, a queues.Ask) (list []queues.Message, more bool, err error) {
	state := map[queues.State]queuev1.MessageState{
		queues.Ready: queuev1.MessageState_MESSAGE_STATE_READY, queues.Delayed: queuev1.MessageState_MESSAGE_STATE_DELAYED,
		queues.Leased: queuev1.MessageState_MESSAGE_STATE_LEASED, queues.Dead: queuev1.MessageState_MESSAGE_STATE_DEAD,
	}[a.State]
	next, err := cli.Pages(ctx, queues.MaxMessages, func(ctx context.Context, cursor string, size int32) (int, string, error) {
		r, err := h.work.Peek(ctx, &queuev1.PeekRequest{Namespace: a.Namespace, Queue: a.Queue, State: state, Limit: size, Cursor: cursor})
		for _, m := range r.GetMessages() {
			list = append(list, queues.Message{
				ID: m.GetMessageId(), Key: m.GetKey(), State: a.State, Attempts: int(m.GetAttempts()), Published: moment(m.GetPublishedMs()), Due: moment(m.GetDueMs()),
				Reason: m.GetReason(), Payload: head(m.GetPayload()), Size: int64(len(m.GetPayload())), Attributes: m.GetAttributes(),
			})
		}
		return len(r.GetMessages()), r.GetCursor(), err
	})
	return list, next != "", err
}

// newest reads the ends of all partitions of a log, the newest message first.
func (h hall) newest(ctx context.Context, a queues.Ask) (list []queues.Message, more bool, err error) {
	r, err := h.log.GetTopicInfo(ctx, &queuev1.GetTopicInfoRequest{Namespace: a.Namespace, Topic: a.Queue})
	if err != nil {
		return nil, false, err
	}
	parts := r.GetPartitions()
	share := int64(max(queues.MaxMessages/max(len(parts), 1), 1))
	for _, p := range parts[:min(len(parts), queues.MaxMessages)] {
		from, end := max(p.GetEarliestOffset(), p.GetLatestOffset()-share), p.GetLatestOffset()
		more = more || from > p.GetEarliestOffset()
		got, err := h.read(ctx, a, p.GetPartition(), from, end)
		if err != nil {
			return list, more, err
		}
		list = append(list, got...)
	}
	slices.Reverse(list) // of one time, the later offset is the newer
	slices.SortStableFunc(list, func(x, y queues.Message) int { return y.Published.Compare(x.Published) })
	return list, more, nil
}

func (h hall) read(ctx context.Context, a queues.Ask, partition int32, from, end int64) (list []queues.Message, err error) {
	if from >= end {
		return nil, nil
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	st, err := h.log.Read(ctx, &queuev1.ReadRequest{
		Namespace: a.Namespace, Topic: a.Queue, Partition: partition, EndOffset: &end,
		Start: &queuev1.StartPosition{Start: &queuev1.StartPosition_Offset{Offset: from}},
	})
	if err != nil {
		return nil, err
	}
	for {
		r, err := st.Recv()
		switch {
		case errors.Is(err, io.EOF), errors.Is(err, prism.ReasonCompacted): // retention was quicker
			return list, nil
		case err != nil:
			return list, err
		}
		for _, m := range r.GetMessages() {
			list = append(list, queues.Message{
				ID: m.GetMessageId(), Key: m.GetKey(), Published: moment(m.GetTimeMs()), Payload: head(m.GetPayload()), Size: int64(len(m.GetPayload())), Attributes: m.GetAttributes(),
			})
			if m.GetOffset() >= end-1 {
				return list, nil
			}
		}
	}
}

func (s queueSource) Change(ctx context.Context, c queues.Change) (string, error) {
	h, err := s.hall(ctx)
	if err != nil {
		return "", err
	}
	var ids []string
	if c.ID != "" {
		ids = []string{c.ID}
	}
	switch {
	case c.Kind == queues.Publish && c.Log:
		_, err = h.log.Publish(ctx, &queuev1.PublishRequest{Namespace: c.Namespace, Topic: c.Queue, Message: &queuev1.LogMessage{Payload: c.Payload, Key: c.Key}})
		return "published to " + c.Queue, err
	case c.Kind == queues.Publish:
		_, err = h.work.Publish(ctx, &queuev1.WorkQueueServicePublishRequest{
			Namespace: c.Namespace, Queue: c.Queue, Message: &queuev1.WorkMessage{Payload: c.Payload, Key: c.Key, DelayMs: c.Delay.Milliseconds()},
		})
		return "published to " + c.Queue, err
	case c.Kind == queues.Redrive:
		r, err := h.work.Redrive(ctx, &queuev1.RedriveRequest{Namespace: c.Namespace, Queue: c.Queue, MessageIds: ids})
		return cli.Plural(r.GetMoved(), "message") + " of " + c.Queue + " are delivered again", err
	case c.Kind == queues.Purge:
		r, err := h.work.Purge(ctx, &queuev1.PurgeRequest{Namespace: c.Namespace, Queue: c.Queue, MessageIds: ids})
		return cli.Plural(r.GetRemoved(), "message") + " of " + c.Queue + " are removed", err
	}
	return "", prism.New(prism.ReasonUnimplemented, "%s is no change of a queue", c.Kind)
}
