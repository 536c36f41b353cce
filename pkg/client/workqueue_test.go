package client_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/prism-data-layer/prism/pkg/client"
	"github.com/prism-data-layer/prism/pkg/prism"
	"github.com/prism-data-layer/prism/test/harness"
)

// queues is a configuration with work queues in memory and on disk.
const queues = `apiVersion: prism/v1
auth: {mode: off}
backends:
  - {name: volatile, driver: memory}
  - {name: local, driver: pebble, options: {memtable: 1MiB, cache: 1MiB}}
namespaces:
  - {name: mem, model: queue, backend: volatile, access: {owners: ["user:dev"]}}
  - {name: disk, model: queue, backend: local, access: {owners: ["user:dev"]}}
drain: {timeout: 5s}
`

func receiveOne(t *testing.T, q *client.WorkQueue, payload string) *client.LeasedMessage {
	t.Helper()
	out, err := q.Receive(t.Context(), client.ReceiveOptions{Wait: 10 * time.Second, Lease: time.Minute})
	if err != nil || len(out) != 1 || string(out[0].Payload) != payload {
		t.Fatalf("received %+v, %v, want %q", out, err, payload)
	}
	return out[0]
}

func TestEveryMethodOfWorkQueue(t *testing.T) {
	t.Parallel()
	q, ctx := dial(t, harness.Start(t, harness.Options{File: queues})).WorkQueue(ns, "mail"), t.Context()
	_, err := q.Receive(ctx, client.ReceiveOptions{})
	refused(t, "Receive from a queue that is not there", err, prism.ReasonNotFound)

	id, err := q.Publish(ctx, client.Message{Payload: []byte("a"), Key: "k", Attributes: map[string]string{"n": "1"}, Priority: 3, IdempotencyKey: "once"})
	ok(t, err)
	again, err := q.Publish(ctx, client.Message{Payload: []byte("a"), Key: "k", Attributes: map[string]string{"n": "1"}, Priority: 3, IdempotencyKey: "once"})
	if err != nil || again != id {
		t.Errorf("published again: %s, %v, want %s", again, err, id)
	}
	_, err = q.Publish(ctx, client.Message{Payload: []byte("other"), IdempotencyKey: "once"})
	refused(t, "another message under the key", err, prism.ReasonKeyReused)
	_, err = q.Publish(ctx, client.Message{Priority: 10})
	refused(t, "priority 10", err, prism.ReasonInvalidArgument)

	m := receiveOne(t, q, "a")
	if m.ID != id || m.Attempt != 1 || m.Key != "k" || m.Attributes["n"] != "1" || m.Priority != 3 || time.Since(m.PublishedAt) > time.Minute || time.Until(m.LeaseUntil) < 50*time.Second {
		t.Errorf("received %+v", m)
	}
	ok(t, q.Extend(ctx, time.Hour, m))
	if time.Until(m.LeaseUntil) < 50*time.Minute {
		t.Errorf("extended to %v", m.LeaseUntil)
	}
	ok(t, q.Release(ctx, 0, "not yet", m))
	refused(t, "Ack of what was released", q.Ack(ctx, m), prism.ReasonLeaseLost)
	m = receiveOne(t, q, "a")
	if m.Attempt != 2 {
		t.Errorf("attempt %d, want 2", m.Attempt)
	}
	ok(t, q.Ack(ctx, m))

	_, err = q.Publish(ctx, client.Message{Payload: []byte("bad")})
	ok(t, err)
	ok(t, q.Reject(ctx, "cannot be read", receiveOne(t, q, "bad")))
	_, err = q.Publish(ctx, client.Message{Payload: []byte("later"), Delay: 300 * time.Millisecond})
	ok(t, err)
	if out, err := q.Receive(ctx, client.ReceiveOptions{Max: 10}); err != nil || len(out) > 0 {
		t.Errorf("before it is due: %+v, %v", out, err)
	}
	ok(t, q.Ack(ctx, receiveOne(t, q, "later")))

	ids, errs, err := q.PublishBatch(ctx, []client.Message{{Payload: []byte("one")}, {Priority: 10}, {Payload: []byte("two")}})
	if err != nil || len(ids) != 3 || errs[0] != nil || errs[2] != nil || ids[1] != "" {
		t.Fatalf("published %q, %v, %v", ids, errs, err)
	}
	refused(t, "priority 10 in a batch", errs[1], prism.ReasonInvalidArgument)
	out, err := q.Receive(ctx, client.ReceiveOptions{Max: 10})
	if err != nil || len(out) != 2 || out[0].ID != ids[0] || string(out[1].Payload) != "two" {
		t.Errorf("received %+v, %v, want %q", out, err, ids)
	}
	_, _, err = q.PublishBatch(ctx, make([]client.Message, prism.MaxBatchItems+1))
	refused(t, "too many in a batch", err, prism.ReasonInvalidArgument)

	ended, cancel := context.WithCancel(ctx)
	cancel()
	_, err = q.Publish(ended, client.Message{})
	refused(t, "Publish with a context that has ended", err, prism.ReasonCancelled)
}

func TestConcurrentPublishesShareRequests(t *testing.T) {
	t.Parallel()
	c := dial(t, harness.Start(t, harness.Options{File: queues}))
	q := c.WorkQueue(ns, "q")
	var mu sync.Mutex
	ids := map[string]bool{}
	var wg sync.WaitGroup
	for range 64 {
		wg.Go(func() {
			for range 20 {
				id, err := q.Publish(t.Context(), client.Message{Payload: make([]byte, 100)})
				if err != nil {
					t.Errorf("publish: %v", err)
				}
				mu.Lock()
				ids[id] = true
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	if len(ids) != 64*20 {
		t.Errorf("%d messages, want %d", len(ids), 64*20)
	}
	if c.Stats().Coalesced.Load() == 0 {
		t.Errorf("no two calls shared a request")
	}
}

func TestConsumeSettlesWhatItsHandlerSays(t *testing.T) {
	t.Parallel()
	q := dial(t, harness.Start(t, harness.Options{File: queues})).WorkQueue(ns, "q")
	for _, p := range []string{"good", "fails twice", "hopeless"} {
		_, err := q.Publish(t.Context(), client.Message{Payload: []byte(p)})
		ok(t, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	var mu sync.Mutex
	seen := map[string]int{}
	err := q.Consume(ctx, client.ConsumeOptions{Backoff: func(int) time.Duration { return 0 }}, func(_ context.Context, m *client.LeasedMessage) error {
		mu.Lock()
		defer mu.Unlock()
		p := string(m.Payload)
		seen[p]++
		if seen["good"] == 1 && seen["fails twice"] == 3 && seen["hopeless"] == 1 {
			cancel()
		}
		switch {
		case p == "hopeless":
			return &client.Rejection{Err: errors.New("no such customer")}
		case p == "fails twice" && m.Attempt < 3:
			return errors.New("the database is down")
		}
		return nil
	})
	refused(t, "Consume", err, prism.ReasonCancelled)
	// Everything is settled when Consume returns.
	if out, err := q.Receive(t.Context(), client.ReceiveOptions{Max: 10}); err != nil || len(out) > 0 {
		t.Errorf("left: %+v, %v", out, err)
	}
	if fmt.Sprint(seen) != "map[fails twice:3 good:1 hopeless:1]" {
		t.Errorf("handled %v", seen)
	}
}

func TestConsumeKeepsLeasesAlive(t *testing.T) {
	t.Parallel()
	q := dial(t, harness.Start(t, harness.Options{File: queues})).WorkQueue(ns, "q")
	_, err := q.Publish(t.Context(), client.Message{Payload: []byte("slow")})
	ok(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	handled := 0
	_ = q.Consume(ctx, client.ConsumeOptions{Lease: time.Second, Parallel: 1}, func(_ context.Context, m *client.LeasedMessage) error {
		handled++
		until := time.Now().Add(2500 * time.Millisecond) // longer than the lease
		harness.Eventually(t, 20*time.Second, "time goes by", func() bool { return time.Now().After(until) })
		cancel()
		return nil
	})
	if out, err := q.Receive(t.Context(), client.ReceiveOptions{Max: 10}); err != nil || len(out) > 0 || handled != 1 {
		t.Errorf("handled %d times, left %+v, %v", handled, out, err)
	}
}

// A restart of the gateway is nothing that a producer sees, and a consumer goes
// on: all that was published is worked off, each key in order.
func TestConsumeOverRestarts(t *testing.T) {
	t.Parallel()
	g := harness.Start(t, harness.Options{File: queues})
	producer, consumer := dial(t, g), dial(t, g)
	const keys, each = 4, 30
	work := consumer.WorkQueue("disk", "work")
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	var mu sync.Mutex
	seen := map[string][]int{}
	last := func() (n int) {
		mu.Lock()
		defer mu.Unlock()
		for _, s := range seen {
			n += len(slices.Compact(slices.Clone(s)))
		}
		return n
	}
	done := make(chan error, 1)
	go func() {
		done <- work.Consume(ctx, client.ConsumeOptions{Lease: 2 * time.Second}, func(_ context.Context, m *client.LeasedMessage) error {
			n, err := strconv.Atoi(string(m.Payload))
			if err != nil {
				return err
			}
			mu.Lock()
			defer mu.Unlock()
			seen[m.Key] = append(seen[m.Key], n)
			return nil
		})
	}()
	var wg sync.WaitGroup
	for k := range keys {
		wg.Go(func() {
			q := producer.WorkQueue("disk", "work")
			for n := range each {
				if _, err := q.Publish(ctx, client.Message{Key: fmt.Sprint(k), Payload: []byte(strconv.Itoa(n))}); err != nil {
					t.Errorf("publish: %v", err)
				}
			}
		})
	}
	for i := range 2 {
		harness.Eventually(t, 30*time.Second, "work goes on", func() bool { return last() > (i+1)*keys*each/4 })
		if i == 0 {
			g.Restart(t)
			continue
		}
		_ = g.Kill()
		g.Run(t)
	}
	wg.Wait()
	harness.Eventually(t, 40*time.Second, "all is worked off", func() bool { return last() >= keys*each })
	cancel()
	<-done
	for key, got := range seen {
		// A message may come twice, and then before the next of its key.
		if !slices.IsSorted(got) || len(slices.Compact(got)) != each {
			t.Errorf("key %s came as %d", key, got)
		}
	}
}
