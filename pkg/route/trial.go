package route

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"time"

	"github.com/prism-data-layer/prism/pkg/driver"
	"github.com/prism-data-layer/prism/pkg/prism"
)

// A TrialStep is one thing that a trial did on a backend.
type TrialStep struct {
	Model string
	Name  string // "write", "read back", "delete", …
	Took  time.Duration
	Err   error
}

// trialNamespace is where a gateway tries its backends: always the same, because
// a store may remember for ever which versions a namespace has used, and its
// own, because gateways may share a store. A dot is in no name of a namespace.
func trialNamespace(secret []byte) prism.Namespace {
	sum := sha256.Sum256(append([]byte("trial"), secret...))
	return prism.Namespace("trial." + hex.EncodeToString(sum[:8]))
}

// TryBackend does a small real round trip on a backend for each model that it
// can serve, by the same way as any call. What it writes is in a namespace that
// no client can name, and is gone afterwards. The first failure of a model is
// the end of its steps.
func (r *Router) TryBackend(ctx context.Context, name string) ([]TrialStep, error) {
	be, err := r.find(name)
	if err != nil {
		return nil, err
	}
	be.trial.Lock()
	defer be.trial.Unlock()
	value := make([]byte, 8)
	rand.Read(value) //nolint:errcheck // never fails
	t := &trial{set: &be.set, ns: r.trials, value: value}
	for _, m := range []struct {
		name  string
		there bool
		run   func(context.Context)
	}{
		{"keyvalue", t.set.KeyValue != nil, t.keyValue},
		{"cache", t.set.Cache != nil, t.cache},
		{"work queue", t.set.Queue != nil, t.workQueue},
		{"log", t.set.Stream != nil, t.log},
		{"pubsub", t.set.PubSub != nil, t.pubSub},
	} {
		if m.there {
			t.model, t.failed = m.name, false
			m.run(ctx)
		}
	}
	t.model, t.failed = "store", false
	t.step("clean up", func() error { return t.set.Store.Drop(ctx, t.ns) })
	return t.steps, nil
}

// A trial takes note of its steps.
type trial struct {
	set    *driver.Set
	ns     prism.Namespace
	value  []byte
	model  string
	failed bool
	steps  []TrialStep
}

// step does one thing, unless one of the model has failed.
func (t *trial) step(name string, do func() error) {
	if t.failed {
		return
	}
	begin := time.Now()
	err := do()
	t.steps = append(t.steps, TrialStep{t.model, name, time.Since(begin), err})
	t.failed = err != nil
}

// same is an error unless what was read is what was written.
func (t *trial) same(got []byte, found bool, err error) error {
	switch {
	case err != nil:
		return err
	case !found:
		return prism.New(prism.ReasonDataLoss, "what was just written is not there")
	case string(got) != string(t.value):
		return prism.New(prism.ReasonDataLoss, "what was read is not what was just written")
	}
	return nil
}

func (t *trial) keyValue(ctx context.Context) {
	key := prism.Key{Namespace: t.ns, Name: "probe"}
	t.step("write", func() error {
		_, err := t.set.KeyValue.Set(ctx, key, t.value, driver.SetOptions{}, driver.Receipt{})
		return err
	})
	t.step("read back", func() error {
		e, found, err := t.set.KeyValue.Get(ctx, key)
		return t.same(e.Value, found, err)
	})
	t.step("delete", func() error {
		_, err := t.set.KeyValue.Delete(ctx, key, driver.Receipt{})
		return err
	})
}

func (t *trial) cache(ctx context.Context) {
	do := func(op driver.CacheOp) error {
		results := make([]driver.CacheResult, 1)
		if err := t.set.Cache.Do(ctx, t.ns, []driver.CacheOp{op}, results); err != nil {
			return err
		}
		return results[0].Err
	}
	t.step("write", func() error {
		return do(driver.CacheOp{Kind: driver.CacheSet, Key: "probe", Value: t.value, TTL: time.Minute})
	})
	t.step("read back", func() error {
		e, found, err := t.set.Cache.Get(ctx, prism.Key{Namespace: t.ns, Name: "probe"})
		return t.same(e.Value, found, err)
	})
	t.step("delete", func() error { return do(driver.CacheOp{Kind: driver.CacheDelete, Key: "probe"}) })
}

// trialWait is how long a message or an event may take to come back.
const trialWait = 5 * time.Second

func (t *trial) workQueue(ctx context.Context) {
	const queue = "probe-queue"
	var got []driver.Delivery
	results := make([]driver.QueueResult, 1)
	t.step("create", func() error {
		_, err := t.set.Queue.CreateQueue(ctx, t.ns, queue, driver.QueueOptions{Lease: time.Minute})
		return err
	})
	t.step("publish", func() error {
		err := t.set.Queue.Publish(ctx, t.ns, queue, []driver.QueueMessage{{Payload: t.value}}, results)
		return first(err, results[0].Err)
	})
	t.step("receive", func() (err error) {
		if got, err = t.set.Queue.Receive(ctx, t.ns, queue, driver.QueueReceive{Max: 1, Wait: trialWait}); len(got) == 0 {
			return t.same(nil, false, err)
		}
		return t.same(got[0].Payload, true, err)
	})
	t.step("acknowledge", func() error {
		err := t.set.Queue.Ack(ctx, t.ns, queue, []driver.LeaseReceipt{got[0].Receipt}, results)
		return first(err, results[0].Err)
	})
}

func (t *trial) log(ctx context.Context) {
	const topic = "probe-log"
	results := make([]driver.StreamResult, 1)
	t.step("create", func() error {
		_, err := t.set.Stream.CreateTopic(ctx, t.ns, topic, driver.TopicOptions{Partitions: 1})
		return err
	})
	t.step("append", func() error {
		err := t.set.Stream.Append(ctx, t.ns, topic, []driver.StreamMessage{{Payload: t.value}}, results)
		return first(err, results[0].Err)
	})
	t.step("read back", func() error {
		got, err := t.set.Stream.Read(ctx, t.ns, topic, driver.StreamRead{
			Partition: results[0].Partition, Offset: results[0].Offset, Max: 1, Wait: trialWait,
		})
		if len(got) == 0 {
			return t.same(nil, false, err)
		}
		return t.same(got[0].Payload, true, err)
	})
}

func (t *trial) pubSub(ctx context.Context) {
	const topic = "probe"
	ctx, cancel := context.WithTimeout(ctx, trialWait)
	defer cancel()
	var s driver.Subscriber
	t.step("subscribe", func() (err error) {
		s, err = t.set.PubSub.Subscribe(ctx, t.ns, driver.Subscription{Pattern: topic, Pending: 10, Slow: driver.SlowDrop})
		return err
	})
	if s == nil {
		return
	}
	defer s.Close() //nolint:errcheck // the events have come, or not
	results := make([]driver.PublishResult, 1)
	t.step("publish", func() error {
		now := time.UnixMilli(time.Now().UnixMilli())
		err := t.set.PubSub.Publish(ctx, t.ns, []driver.Event{{ID: hex.EncodeToString(t.value), Topic: topic, Payload: t.value, Time: now}}, results)
		return first(err, results[0].Err)
	})
	t.step("receive", func() error {
		got, err := s.Next(ctx)
		if err != nil || len(got.Events) == 0 {
			return t.same(nil, false, err)
		}
		return t.same(got.Events[0].Payload, true, nil)
	})
}

// first is the error of a call, or else that of its item.
func first(err, item error) error {
	if err != nil {
		return err
	}
	return item
}
