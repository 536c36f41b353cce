package faults_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc"

	"github.com/prism-data-layer/prism/pkg/client"
	"github.com/prism-data-layer/prism/pkg/driver"
	"github.com/prism-data-layer/prism/pkg/driver/all"
	"github.com/prism-data-layer/prism/pkg/driver/redis/redistest"
	"github.com/prism-data-layer/prism/pkg/prism"
	kvv1 "github.com/prism-data-layer/prism/proto/prism/keyvalue/v1"
	queuev1 "github.com/prism-data-layer/prism/proto/prism/queue/v1"
	"github.com/prism-data-layer/prism/test/faults/powercut"
	"github.com/prism-data-layer/prism/test/harness"
)

// An executor is a store that does what it is asked for, and then now and then
// says that it did not answer.
type executor struct {
	share float64 // of calls
	mu    sync.Mutex
	rand  *rand.Rand
	lied  atomic.Int64
}

// after is the error of a call that went well.
func (x *executor) after() error {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.rand.Float64() >= x.share {
		return nil
	}
	if x.lied.Add(1)%2 == 0 {
		return prism.New(prism.ReasonDeadlineExceeded, "the answer did not come in time")
	}
	return prism.New(prism.ReasonBackendUnavailable, "the connection was lost")
}

// drivers are those of this build, whose stores execute and time out.
func (x *executor) drivers() driver.Registry {
	list := all.Drivers()
	for i, spec := range list {
		open := spec.Open
		list[i].Open = func(ctx context.Context, c driver.Config) (driver.Set, error) {
			set, err := open(ctx, c)
			if err == nil {
				set = x.wrap(set)
			}
			return set, err
		}
	}
	return list
}

func (x *executor) wrap(s driver.Set) driver.Set {
	s.Info.Instant = false
	s.KeyValue = lyingKeyValue{s.KeyValue, x}
	s.KeyValueVersioned = lyingVersioned{s.KeyValueVersioned, x}
	s.KeyValueAtomic = lyingAtomic{s.KeyValueAtomic, x}
	s.KeyValueCAS = lyingCAS{s.KeyValueCAS, x}
	s.KeyValueBatch = lyingBatch{s.KeyValueBatch, x}
	if s.Queue != nil {
		s.Queue = lyingQueue{s.Queue, x}
	}
	if s.Stream != nil {
		s.Stream = lyingStream{s.Stream, x}
	}
	return s
}

// lie gives the answer of a call, or hides it.
func lie[R any](x *executor, r R, err error) (R, error) {
	if err == nil {
		if err = x.after(); err != nil {
			var none R
			return none, err
		}
	}
	return r, err
}

type (
	lyingKeyValue struct {
		driver.KeyValue
		x *executor
	}
	lyingVersioned struct {
		driver.KeyValueVersioned
		x *executor
	}
	lyingAtomic struct {
		driver.KeyValueAtomic
		x *executor
	}
	lyingCAS struct {
		driver.KeyValueCAS
		x *executor
	}
	lyingBatch struct {
		driver.KeyValueBatch
		x *executor
	}
	lyingQueue struct {
		driver.Queue
		x *executor
	}
	lyingStream struct {
		driver.Stream
		x *executor
	}
)

func (l lyingKeyValue) Set(ctx context.Context, k prism.Key, v []byte, o driver.SetOptions, r driver.Receipt) (driver.Result, error) {
	res, err := l.KeyValue.Set(ctx, k, v, o, r)
	return lie(l.x, res, err)
}

func (l lyingKeyValue) Delete(ctx context.Context, k prism.Key, r driver.Receipt) (driver.Result, error) {
	res, err := l.KeyValue.Delete(ctx, k, r)
	return lie(l.x, res, err)
}

func (l lyingVersioned) SetIf(ctx context.Context, k prism.Key, v []byte, c driver.Condition, o driver.SetOptions, r driver.Receipt) (driver.Result, error) {
	res, err := l.KeyValueVersioned.SetIf(ctx, k, v, c, o, r)
	return lie(l.x, res, err)
}

func (l lyingAtomic) Increment(ctx context.Context, k prism.Key, delta int64, r driver.Receipt) (driver.Result, error) {
	res, err := l.KeyValueAtomic.Increment(ctx, k, delta, r)
	return lie(l.x, res, err)
}

func (l lyingAtomic) Append(ctx context.Context, k prism.Key, v []byte, r driver.Receipt) (driver.Result, error) {
	res, err := l.KeyValueAtomic.Append(ctx, k, v, r)
	return lie(l.x, res, err)
}

func (l lyingAtomic) SetIfAbsent(ctx context.Context, k prism.Key, v []byte, o driver.SetOptions, r driver.Receipt) (driver.Result, error) {
	res, err := l.KeyValueAtomic.SetIfAbsent(ctx, k, v, o, r)
	return lie(l.x, res, err)
}

func (l lyingCAS) CompareAndSwap(ctx context.Context, k prism.Key, was, v []byte, o driver.SetOptions, r driver.Receipt) (driver.Result, error) {
	res, err := l.KeyValueCAS.CompareAndSwap(ctx, k, was, v, o, r)
	return lie(l.x, res, err)
}

func (l lyingBatch) Batch(ctx context.Context, ns prism.Namespace, ops []driver.Op, results []driver.Result) error {
	err := l.KeyValueBatch.Batch(ctx, ns, ops, results)
	for i := range ops {
		if err == nil && results[i].Err == nil {
			if lied := l.x.after(); lied != nil {
				results[i] = driver.Result{Err: lied}
			}
		}
	}
	return err
}

func (l lyingQueue) Publish(ctx context.Context, ns prism.Namespace, queue string, messages []driver.QueueMessage, results []driver.QueueResult) error {
	err := l.Queue.Publish(ctx, ns, queue, messages, results)
	for i := range messages {
		if err == nil && results[i].Err == nil {
			results[i].Err = l.x.after()
		}
	}
	return err
}

func (l lyingStream) Append(ctx context.Context, ns prism.Namespace, topic string, messages []driver.StreamMessage, results []driver.StreamResult) error {
	err := l.Stream.Append(ctx, ns, topic, messages, results)
	for i := range messages {
		if err == nil && results[i].Err == nil {
			results[i].Err = l.x.after()
		}
	}
	return err
}

// F14: one call in twenty is executed and then told as lost. With idempotency
// keys there are as many effects as requests, exactly.
func TestFault_F14_ExecuteAndTimeout(t *testing.T) {
	requests := 1200
	if powercut.Full() {
		requests = 10_000
	}
	for _, b := range []struct {
		name    string
		backend func(t *testing.T) string
		queues  bool
	}{
		{"memory", func(*testing.T) string { return "name: b, driver: memory" }, true},
		{"pebble", func(*testing.T) string { return "name: b, driver: pebble, options: {memtable: 1MiB, cache: 1MiB}" }, true},
		{"redis", func(t *testing.T) string {
			return fmt.Sprintf("name: b, driver: redis, options: {addrs: [%q]}", redistest.Seven().Start(t, "--appendonly", "no").Addr)
		}, false},
	} {
		t.Run(b.name, func(t *testing.T) {
			seed := seedOf(t)
			x := &executor{share: 0.05, rand: rand.New(rand.NewPCG(seed, 14))}
			file := fmt.Sprintf("apiVersion: prism/v1\nauth: {mode: off}\nbackends:\n  - {%s}\nnamespaces:\n"+
				"  - {name: kv, model: keyvalue, backend: b, access: {owners: [\"user:dev\"]}}\n", b.backend(t))
			if b.queues {
				file += "  - {name: q, model: queue, backend: b, access: {owners: [\"user:dev\"]}}\n"
			}
			g := harness.Start(t, harness.Options{Drivers: x.drivers(), File: file})
			c, err := client.Dial(g.Addr("data"))
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = c.Close() }()
			report := powercut.Begin("F14-"+b.name, seed)
			e := newEffects(t, c, g.Dial(t, "data"), b.queues)
			var wg sync.WaitGroup
			for w := range workers {
				wg.Go(func() {
					for n := w; n < requests && !t.Failed(); n += workers {
						e.request(w, n)
					}
				})
			}
			wg.Wait()
			x.share = 0
			effects := e.count()
			report.Rounds, report.Acked, report.Lost = requests, int64(requests), int64(requests)-effects
			report.More["effects"], report.More["executed_and_told_as_lost"], report.More["sent_again"] = effects, x.lied.Load(), c.Stats().Retries.Load()
			report.Print()
			if effects != int64(requests) {
				t.Errorf("%d requests had %d effects", requests, effects)
			}
			if x.lied.Load() < int64(requests)/40 {
				t.Errorf("only %d answers were hidden", x.lied.Load())
			}
		})
	}
}

const workers = 8

// effects makes requests of all kinds, each with a key of its own, until each is
// answered, and counts what they did.
type effects struct {
	t       *testing.T
	kv      *client.KeyValue
	conn    *grpc.ClientConn
	unary   kvv1.KeyValueServiceClient
	queue   *client.WorkQueue
	log     *client.Log
	kinds   int
	applied atomic.Int64 // of requests whose answer says whether they did
	swaps   [workers]int // what each worker's key holds
}

func newEffects(t *testing.T, c *client.Client, conn *grpc.ClientConn, queues bool) *effects {
	e := &effects{t: t, kv: c.KeyValue("kv"), conn: conn, unary: kvv1.NewKeyValueServiceClient(conn), kinds: 8}
	if queues {
		e.queue, e.log, e.kinds = c.WorkQueue("q", "work"), c.Log("q"), 10
	}
	for w := range workers {
		e.until(func(ctx context.Context) error {
			_, err := e.kv.Set(ctx, fmt.Sprint("swap-", w), []byte("0"), client.IdempotencyKey(fmt.Sprint("swap-", w)))
			return err
		})
	}
	return e
}

// until asks again and again, as an application does with one idempotency key.
func (e *effects) until(call func(ctx context.Context) error) {
	harness.Eventually(e.t, time.Minute, "a request is answered", func() bool {
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		defer cancel()
		err := call(ctx)
		if o := harness.Read(err); err != nil && !prism.From(err).Retryable() && prism.From(err).Reason != prism.ReasonDeadlineExceeded &&
			o.Info.GetReason() != string(prism.ReasonBackendUnavailable) && o.Info.GetReason() != string(prism.ReasonDeadlineExceeded) {
			e.t.Errorf("a request ended with %v", err)
			return true
		}
		return err == nil
	})
}

// did counts a request that says itself whether it had its effect.
func (e *effects) did(applied bool, err error) error {
	if err == nil && applied {
		e.applied.Add(1)
	}
	return err
}

// request makes the n-th request.
func (e *effects) request(worker, n int) {
	key, own := fmt.Sprint("request-", n), fmt.Sprint("key-", n)
	kind := n / workers % e.kinds
	e.until(func(ctx context.Context) error {
		if kind < 5 {
			return e.unaryRequest(ctx, kind, key, own)
		}
		return e.sharedRequest(ctx, kind, key, own, worker)
	})
}

// unaryRequest is a call of its own: each method of the store by itself.
func (e *effects) unaryRequest(ctx context.Context, kind int, key, own string) error {
	switch kind {
	case 0:
		_, err := e.unary.Increment(ctx, &kvv1.IncrementRequest{Namespace: "kv", Key: "sum", Delta: 1, IdempotencyKey: key})
		return err
	case 1:
		_, err := e.unary.Append(ctx, &kvv1.AppendRequest{Namespace: "kv", Key: "text", Value: []byte("x"), IdempotencyKey: key})
		return err
	case 2:
		r, err := e.unary.SetIfAbsent(ctx, &kvv1.SetIfAbsentRequest{Namespace: "kv", Key: own, Value: []byte("x"), IdempotencyKey: key})
		return e.did(r.GetApplied(), err)
	case 3:
		_, err := e.unary.Set(ctx, &kvv1.SetRequest{Namespace: "kv", Key: own, Value: []byte("x"), CreateOnly: true, IdempotencyKey: key})
		return e.did(true, err)
	}
	if _, err := e.unary.Set(ctx, &kvv1.SetRequest{Namespace: "kv", Key: own, Value: []byte("x"), IdempotencyKey: key + "-set"}); err != nil {
		return err
	}
	r, err := e.unary.Delete(ctx, &kvv1.DeleteRequest{Namespace: "kv", Key: own, IdempotencyKey: key})
	return e.did(r.GetFound(), err)
}

// sharedRequest is one by the SDK, which puts many together.
func (e *effects) sharedRequest(ctx context.Context, kind int, key, own string, worker int) error {
	id := client.IdempotencyKey(key)
	switch kind {
	case 5:
		_, _, err := e.kv.Increment(ctx, "sum", 1, id)
		return err
	case 6:
		_, _, err := e.kv.Append(ctx, "text", []byte("x"), id)
		return err
	case 7: // of its worker's own key: each value is there once
		was := e.swaps[worker]
		applied, _, err := e.kv.CompareAndSwap(ctx, fmt.Sprint("swap-", worker), fmt.Append(nil, was), fmt.Append(nil, was+1), id)
		if err == nil {
			e.swaps[worker]++
		}
		return e.did(applied, err)
	case 8:
		_, err := e.queue.Publish(ctx, client.Message{Payload: []byte(own), IdempotencyKey: key})
		return err
	}
	_, err := e.log.Publish(ctx, "log", client.LogMessage{Key: own, Payload: []byte(own), IdempotencyKey: key})
	return err
}

// count is how many effects there are.
func (e *effects) count() int64 {
	ctx := harness.Context(e.t)
	sum, _, err := e.kv.Increment(ctx, "sum", 0)
	if err != nil {
		e.t.Fatal(err)
	}
	text, err := e.kv.Get(ctx, "text")
	if err != nil {
		e.t.Fatal(err)
	}
	all := sum + int64(len(text.Value)) + e.applied.Load()
	if e.kinds < 10 {
		return all
	}
	q, err := queuev1.NewWorkQueueServiceClient(e.conn).GetQueueInfo(ctx, &queuev1.GetQueueInfoRequest{Namespace: "q", Queue: "work"})
	if err != nil {
		e.t.Fatal(err)
	}
	l, err := queuev1.NewQueueServiceClient(e.conn).GetTopicInfo(ctx, &queuev1.GetTopicInfoRequest{Namespace: "q", Topic: "log"})
	if err != nil {
		e.t.Fatal(err)
	}
	return all + q.Ready + l.MessageCount
}
