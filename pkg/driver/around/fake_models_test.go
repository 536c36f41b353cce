package around_test

import (
	"context"
	"time"

	"github.com/prism-data-layer/prism/pkg/driver"
	"github.com/prism-data-layer/prism/pkg/prism"
)

// The parts of fake for the models whose methods share names.
type (
	fakeCache  struct{ *fake }
	fakeQueue  struct{ *fake }
	fakeStream struct{ *fake }
	fakePubSub struct{ *fake }
	fakeSeries struct{ *fake }
)

// filled is a set with every capability, all of them f's.
func filled(info driver.Info, f *fake) driver.Set {
	return driver.Fill(info, f, fakeCache{f}, fakeQueue{f}, fakeStream{f}, fakePubSub{f}, fakeSeries{f})
}

func (p fakeCache) Get(ctx context.Context, _ prism.Key) (driver.CacheEntry, bool, error) {
	return driver.CacheEntry{}, true, p.note(ctx, "Get")
}

func (p fakeCache) Do(ctx context.Context, _ prism.Namespace, _ []driver.CacheOp, _ []driver.CacheResult) error {
	return p.note(ctx, "Do")
}

func (p fakeCache) Stats(ctx context.Context, _ prism.Namespace) (driver.CacheStats, error) {
	return driver.CacheStats{}, p.note(ctx, "Stats")
}

func (p fakeCache) Lock(ctx context.Context, _ prism.Key, _ driver.LockOwner, _ time.Duration) (driver.CacheLease, error) {
	return driver.CacheLease{}, p.note(ctx, "Lock")
}

func (p fakeCache) Fill(ctx context.Context, _ prism.Key, _ driver.LockOwner, _ []byte, _ time.Duration) (bool, error) {
	return true, p.note(ctx, "Fill")
}

func (p fakeCache) Unlock(ctx context.Context, _ prism.Key, _ driver.LockOwner) (bool, error) {
	return true, p.note(ctx, "Unlock")
}

func (p fakeQueue) CreateQueue(ctx context.Context, _ prism.Namespace, _ string, _ driver.QueueOptions) (bool, error) {
	return true, p.note(ctx, "CreateQueue")
}

func (p fakeQueue) Publish(ctx context.Context, _ prism.Namespace, _ string, _ []driver.QueueMessage, _ []driver.QueueResult) error {
	return p.note(ctx, "Publish")
}

func (p fakeQueue) Receive(ctx context.Context, _ prism.Namespace, _ string, _ driver.QueueReceive) ([]driver.Delivery, error) {
	return nil, p.note(ctx, "Receive")
}

func (p fakeQueue) Ack(ctx context.Context, _ prism.Namespace, _ string, _ []driver.LeaseReceipt, _ []driver.QueueResult) error {
	return p.note(ctx, "Ack")
}

func (p fakeQueue) Peek(ctx context.Context, _ prism.Namespace, _ string, _ driver.QueuePeek) (driver.QueuePage, error) {
	return driver.QueuePage{}, p.note(ctx, "Peek")
}

func (p fakeQueue) Info(ctx context.Context, _ prism.Namespace, _ string) (driver.QueueInfo, error) {
	return driver.QueueInfo{}, p.note(ctx, "Info")
}

func (p fakeQueue) Queues(ctx context.Context, _ prism.Namespace) ([]string, error) {
	return nil, p.note(ctx, "Queues")
}

func (p fakeQueue) Extend(ctx context.Context, _ prism.Namespace, _ string, _ []driver.LeaseReceipt, _ time.Duration, _ []driver.QueueResult) error {
	return p.note(ctx, "Extend")
}

func (p fakeQueue) Release(ctx context.Context, _ prism.Namespace, _ string, _ []driver.LeaseReceipt, _ time.Duration, _ string, _ []driver.QueueResult) error {
	return p.note(ctx, "Release")
}

func (p fakeQueue) Delayed(ctx context.Context, _ prism.Namespace, _ string) (int64, time.Time, error) {
	return 1, time.Time{}, p.note(ctx, "Delayed")
}

func (p fakeQueue) Priorities(ctx context.Context, _ prism.Namespace, _ string) ([]int64, error) {
	return nil, p.note(ctx, "Priorities")
}

func (p fakeQueue) Reject(ctx context.Context, _ prism.Namespace, _ string, _ []driver.LeaseReceipt, _ string, _ []driver.QueueResult) error {
	return p.note(ctx, "Reject")
}

func (p fakeQueue) Redrive(ctx context.Context, _ prism.Namespace, _ string, _ []uint64, _ int) (int64, error) {
	return 1, p.note(ctx, "Redrive")
}

func (p fakeQueue) Purge(ctx context.Context, _ prism.Namespace, _ string, _ []uint64) (int64, error) {
	return 1, p.note(ctx, "Purge")
}

func (p fakeStream) CreateTopic(ctx context.Context, _ prism.Namespace, _ string, _ driver.TopicOptions) (bool, error) {
	return true, p.note(ctx, "CreateTopic")
}

func (p fakeStream) Append(ctx context.Context, _ prism.Namespace, _ string, _ []driver.StreamMessage, _ []driver.StreamResult) error {
	return p.note(ctx, "Append")
}

func (p fakeStream) Read(ctx context.Context, _ prism.Namespace, _ string, _ driver.StreamRead) ([]driver.StreamRecord, error) {
	return nil, p.note(ctx, "Read")
}

func (p fakeStream) TopicInfo(ctx context.Context, _ prism.Namespace, _ string) (driver.TopicInfo, error) {
	return driver.TopicInfo{}, p.note(ctx, "TopicInfo")
}

func (p fakeStream) Topics(ctx context.Context, _ prism.Namespace) ([]string, error) {
	return nil, p.note(ctx, "Topics")
}

func (p fakeStream) AppendTo(ctx context.Context, _ prism.Namespace, _ string, _ int32, _ []driver.StreamMessage, _ []driver.StreamResult) error {
	return p.note(ctx, "AppendTo")
}

func (p fakeStream) OffsetAt(ctx context.Context, _ prism.Namespace, _ string, _ int32, _ time.Time) (int64, error) {
	return 1, p.note(ctx, "OffsetAt")
}

func (p fakeStream) SetRetention(ctx context.Context, _ prism.Namespace, _ string, _ driver.Retention) error {
	return p.note(ctx, "SetRetention")
}

func (p fakeStream) Truncate(ctx context.Context, _ prism.Namespace, _ string, _ int32, _ int64) error {
	return p.note(ctx, "Truncate")
}

func (p fakeStream) Committed(ctx context.Context, _ prism.Namespace, _ string, _ string) ([]driver.PartitionOffset, error) {
	return nil, p.note(ctx, "Committed")
}

func (p fakeStream) Commit(ctx context.Context, _ prism.Namespace, _ string, _ string, _ []driver.PartitionOffset) error {
	return p.note(ctx, "Commit")
}

func (p fakeStream) Groups(ctx context.Context, _ prism.Namespace, _ string) ([]string, error) {
	return nil, p.note(ctx, "Groups")
}

func (p fakePubSub) Publish(ctx context.Context, _ prism.Namespace, _ []driver.Event, _ []driver.PublishResult) error {
	return p.note(ctx, "Publish")
}

func (p fakePubSub) Subscribe(ctx context.Context, _ prism.Namespace, _ driver.Subscription) (driver.Subscriber, error) {
	return fakeSubscriber(p), p.note(ctx, "Subscribe")
}

func (p fakePubSub) SubscribePattern(ctx context.Context, _ prism.Namespace, _ driver.Subscription) (driver.Subscriber, error) {
	return fakeSubscriber(p), p.note(ctx, "SubscribePattern")
}

func (p fakePubSub) SubscribeGroup(ctx context.Context, _ prism.Namespace, _ string, _ driver.Subscription) (driver.Subscriber, error) {
	return fakeSubscriber(p), p.note(ctx, "SubscribeGroup")
}

func (p fakePubSub) SubscribeFiltered(ctx context.Context, _ prism.Namespace, _ driver.Subscription) (driver.Subscriber, error) {
	return fakeSubscriber(p), p.note(ctx, "SubscribeFiltered")
}

func (p fakePubSub) PublishOrdered(ctx context.Context, _ prism.Namespace, _ []driver.Event, _ []driver.PublishResult) error {
	return p.note(ctx, "PublishOrdered")
}

func (p fakePubSub) PublishPersistent(ctx context.Context, _ prism.Namespace, _ []driver.Event, _ []driver.PublishResult) error {
	return p.note(ctx, "PublishPersistent")
}

func (p fakePubSub) Replay(ctx context.Context, _ prism.Namespace, _ driver.Replay) (driver.Replayer, error) {
	return fakeReplayer(p), p.note(ctx, "Replay")
}

func (p fakePubSub) Subscriptions(ctx context.Context, _ prism.Namespace) ([]driver.DurableSubscription, error) {
	return nil, p.note(ctx, "Subscriptions")
}

func (p fakePubSub) Acknowledge(ctx context.Context, _ prism.Namespace, _ string, _ driver.Position) error {
	return p.note(ctx, "Acknowledge")
}

func (p fakePubSub) DeleteSubscription(ctx context.Context, _ prism.Namespace, _ string) (bool, error) {
	return true, p.note(ctx, "DeleteSubscription")
}

type fakeSubscriber struct{ *fake }

func (s fakeSubscriber) Next(ctx context.Context) (driver.Events, error) {
	return driver.Events{}, s.note(ctx, "Next")
}

type fakeReplayer struct{ *fake }

func (r fakeReplayer) Next(ctx context.Context) (driver.Replayed, error) {
	return driver.Replayed{}, r.note(ctx, "Next")
}

func (p fakeSeries) AppendEvents(ctx context.Context, _ prism.Namespace, _ *driver.EventBatch, _ driver.Receipt) (driver.AppendResult, error) {
	return driver.AppendResult{}, p.note(ctx, "AppendEvents")
}

func (p fakeSeries) QueryEvents(ctx context.Context, _ prism.Namespace, _ driver.EventQuery) (driver.EventReader, error) {
	return nil, p.note(ctx, "QueryEvents")
}

func (p fakeSeries) AggregateEvents(ctx context.Context, _ prism.Namespace, _ driver.AggregateQuery) (driver.Aggregates, error) {
	return driver.Aggregates{}, p.note(ctx, "AggregateEvents")
}

func (p fakeSeries) RetainEvents(ctx context.Context, _ prism.Namespace, _ time.Duration) error {
	return p.note(ctx, "RetainEvents")
}
