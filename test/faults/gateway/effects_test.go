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
	"github.com/prism-data-layer/prism/pkg/driver/clickhouse/clickhousetest"
	"github.com/prism-data-layer/prism/pkg/driver/redis/redistest"
	"github.com/prism-data-layer/prism/pkg/prism"
	"github.com/prism-data-layer/prism/pkg/wire"
	kvv1 "github.com/prism-data-layer/prism/proto/prism/keyvalue/v1"
	queuev1 "github.com/prism-data-layer/prism/proto/prism/queue/v1"
	timeseriesv1 "github.com/prism-data-layer/prism/proto/prism/timeseries/v1"
	"github.com/prism-data-layer/prism/test/faults/powercut"
	"github.com/prism-data-layer/prism/test/harness"
)

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
		models  []string
	}{
		{"memory", func(*testing.T) string { return "driver: memory" }, []string{"keyvalue", "queue", "timeseries"}},
		{"pebble", func(*testing.T) string { return "driver: pebble, options: {memtable: 1MiB, cache: 1MiB}" }, []string{"keyvalue", "queue"}},
		{"sqlite", func(*testing.T) string { return "driver: sqlite" }, []string{"timeseries"}},
		{"redis", func(t *testing.T) string {
			return fmt.Sprintf("driver: redis, options: {addrs: [%q]}", redistest.Seven().Start(t, "--appendonly", "no").Addr)
		}, []string{"keyvalue"}},
		// ClickHouse cannot store a receipt with the events: it is this gateway that
		// remembers them, until it ends. Within that there is one effect.
		{"clickhouse-18", func(t *testing.T) string {
			return fmt.Sprintf("driver: clickhouse, options: {addrs: [%q], database: default}", clickhousetest.Server18(t).Native)
		}, []string{"timeseries"}},
		{"clickhouse-26", func(t *testing.T) string {
			return fmt.Sprintf("driver: clickhouse, options: {protocol: http, addrs: [%q], database: default}", clickhousetest.Bridge(t).HTTP)
		}, []string{"timeseries"}},
	} {
		t.Run(b.name, func(t *testing.T) {
			seed := seedOf(t)
			x := &executor{share: 0.05, rand: rand.New(rand.NewPCG(seed, 14))}
			file := "apiVersion: prism/v1\nauth: {mode: off}\nbackends:\n  - {name: b, " + b.backend(t) + "}\nnamespaces:\n"
			for _, model := range b.models {
				file += fmt.Sprintf("  - {name: %s, model: %s, backend: b, access: {owners: [\"user:dev\"]}}\n", model, model)
			}
			g := harness.Start(t, harness.Options{Drivers: x.drivers(), File: file})
			c, err := client.Dial(g.Addr("data"))
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = c.Close() }()
			report := powercut.Begin("F14-"+b.name, seed)
			e := newEffects(t, c, g.Dial(t, "data"), b.models)
			var wg sync.WaitGroup
			for w := range workers {
				wg.Go(func() {
					for n := w; n < requests && !t.Failed(); n += workers {
						e.request(w, n)
					}
				})
			}
			wg.Wait()
			x.stop()
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
	c       *client.Client
	conn    *grpc.ClientConn
	kinds   []func(ctx context.Context, r request) error
	counts  []func(ctx context.Context) (int64, error)
	applied atomic.Int64 // of requests whose answer says whether they did
	swaps   [workers]int // what each worker's key holds
}

// A request is the n-th; key is its idempotency key, own a name of its own.
type request struct {
	worker, n int
	key, own  string
}

func newEffects(t *testing.T, c *client.Client, conn *grpc.ClientConn, models []string) *effects {
	e := &effects{t: t, c: c, conn: conn}
	for _, model := range models {
		switch model {
		case "keyvalue":
			e.keyValue()
		case "queue":
			e.queue()
		case "timeseries":
			e.timeSeries()
		}
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
	r := request{worker, n, fmt.Sprint("request-", n), fmt.Sprint("key-", n)}
	e.until(func(ctx context.Context) error { return e.kinds[n/workers%len(e.kinds)](ctx, r) })
}

// count is how many effects there are.
func (e *effects) count() int64 {
	all := e.applied.Load()
	for _, count := range e.counts {
		n, err := count(harness.Context(e.t))
		if err != nil {
			e.t.Fatal(err)
		}
		all += n
	}
	return all
}

// keyValue are calls of their own, each method of the store by itself, and calls
// of the SDK, which puts many together.
func (e *effects) keyValue() {
	kv, unary := e.c.KeyValue("keyvalue"), kvv1.NewKeyValueServiceClient(e.conn)
	swap := func(worker int) string { return fmt.Sprint("swap-", worker) }
	for w := range workers {
		e.until(func(ctx context.Context) error {
			_, err := kv.Set(ctx, swap(w), []byte("0"), client.IdempotencyKey(swap(w)))
			return err
		})
	}
	e.kinds = append(
		e.kinds,
		func(ctx context.Context, r request) error {
			_, err := unary.Increment(ctx, &kvv1.IncrementRequest{Namespace: "keyvalue", Key: "sum", Delta: 1, IdempotencyKey: r.key})
			return err
		},
		func(ctx context.Context, r request) error {
			_, err := unary.Append(ctx, &kvv1.AppendRequest{Namespace: "keyvalue", Key: "text", Value: []byte("x"), IdempotencyKey: r.key})
			return err
		},
		func(ctx context.Context, r request) error {
			res, err := unary.SetIfAbsent(ctx, &kvv1.SetIfAbsentRequest{Namespace: "keyvalue", Key: r.own, Value: []byte("x"), IdempotencyKey: r.key})
			return e.did(res.GetApplied(), err)
		},
		func(ctx context.Context, r request) error {
			_, err := unary.Set(ctx, &kvv1.SetRequest{Namespace: "keyvalue", Key: r.own, Value: []byte("x"), CreateOnly: true, IdempotencyKey: r.key})
			return e.did(true, err)
		},
		func(ctx context.Context, r request) error {
			if _, err := unary.Set(ctx, &kvv1.SetRequest{Namespace: "keyvalue", Key: r.own, Value: []byte("x"), IdempotencyKey: r.key + "-set"}); err != nil {
				return err
			}
			res, err := unary.Delete(ctx, &kvv1.DeleteRequest{Namespace: "keyvalue", Key: r.own, IdempotencyKey: r.key})
			return e.did(res.GetFound(), err)
		},
		func(ctx context.Context, r request) error {
			_, _, err := kv.Increment(ctx, "sum", 1, client.IdempotencyKey(r.key))
			return err
		},
		func(ctx context.Context, r request) error {
			_, _, err := kv.Append(ctx, "text", []byte("x"), client.IdempotencyKey(r.key))
			return err
		},
		func(ctx context.Context, r request) error { // of its worker's own key: each value is there once
			was := e.swaps[r.worker]
			applied, _, err := kv.CompareAndSwap(ctx, swap(r.worker), fmt.Append(nil, was), fmt.Append(nil, was+1), client.IdempotencyKey(r.key))
			if err == nil {
				e.swaps[r.worker]++
			}
			return e.did(applied, err)
		},
	)
	e.counts = append(
		e.counts,
		func(ctx context.Context) (int64, error) {
			sum, _, err := kv.Increment(ctx, "sum", 0)
			return sum, err
		},
		func(ctx context.Context) (int64, error) {
			text, err := kv.Get(ctx, "text")
			return int64(len(text.Value)), err
		},
	)
}

func (e *effects) queue() {
	work, log := e.c.WorkQueue("queue", "work"), e.c.Log("queue")
	e.kinds = append(
		e.kinds,
		func(ctx context.Context, r request) error {
			_, err := work.Publish(ctx, client.Message{Payload: []byte(r.own), IdempotencyKey: r.key})
			return err
		},
		func(ctx context.Context, r request) error {
			_, err := log.Publish(ctx, "log", client.LogMessage{Key: r.own, Payload: []byte(r.own), IdempotencyKey: r.key})
			return err
		},
	)
	e.counts = append(
		e.counts,
		func(ctx context.Context) (int64, error) {
			info, err := queuev1.NewWorkQueueServiceClient(e.conn).GetQueueInfo(ctx, &queuev1.GetQueueInfoRequest{Namespace: "queue", Queue: "work"})
			return info.GetReady(), err
		},
		func(ctx context.Context) (int64, error) {
			info, err := queuev1.NewQueueServiceClient(e.conn).GetTopicInfo(ctx, &queuev1.GetTopicInfoRequest{Namespace: "queue", Topic: "log"})
			return info.GetMessageCount(), err
		},
	)
}

// timeSeries are appends of an event each, known again by a key or by the event's
// own id.
func (e *effects) timeSeries() {
	series, unary := e.c.TimeSeries("timeseries"), timeseriesv1.NewTimeSeriesServiceClient(e.conn)
	event := func(r request) *timeseriesv1.Event {
		return &timeseriesv1.Event{TimeNs: int64(1 + r.n), EventType: "effect"}
	}
	e.kinds = append(
		e.kinds,
		func(ctx context.Context, r request) error {
			req := appendOne("timeseries", event(r))
			req.IdempotencyKey = r.key
			_, err := unary.AppendEvents(ctx, req)
			return err
		},
		func(ctx context.Context, r request) error {
			_, err := series.Append(ctx, client.Measurement{Time: time.Unix(0, int64(1+r.n)), Type: "effect", ID: r.own})
			return err
		},
		func(ctx context.Context, r request) error {
			ctx, cancel := context.WithCancel(ctx)
			defer cancel()
			st, err := unary.StreamEvents(ctx)
			if err != nil {
				return err
			}
			_ = st.Send(&timeseriesv1.StreamEventsRequest{Message: &timeseriesv1.StreamEventsRequest_Open{Open: &timeseriesv1.OpenStream{Namespace: "timeseries"}}})
			_ = st.Send(&timeseriesv1.StreamEventsRequest{Message: &timeseriesv1.StreamEventsRequest_Batch{Batch: &timeseriesv1.EventBatch{
				Id: 1, IdempotencyKey: r.key,
				Events: &timeseriesv1.EventBatch_Rows{Rows: &timeseriesv1.EventRows{Events: []*timeseriesv1.Event{event(r)}}},
			}}})
			res, err := st.Recv()
			if err == nil && res.Results[0].GetError() != nil {
				return wire.FromItem(res.Results[0].GetError())
			}
			return err
		},
	)
	e.counts = append(e.counts, func(ctx context.Context) (int64, error) {
		rows, _, err := series.Aggregate(ctx, client.AggregateQuery{
			TimeRange: client.TimeRange{Start: time.Unix(0, 0), End: time.Unix(60, 0)}, Aggregates: []client.Aggregate{{Function: client.AggregateCount}},
		})
		if err != nil || len(rows) == 0 {
			return 0, err
		}
		return int64(*rows[0].Values[0]), nil
	})
}
