package redis_test

import (
	"context"
	"encoding/binary"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/prism-data-layer/prism/pkg/driver"
	"github.com/prism-data-layer/prism/pkg/driver/redis"
	"github.com/prism-data-layer/prism/pkg/driver/redis/redistest"
	"github.com/prism-data-layer/prism/pkg/prism"
)

// The driver's calls beside the plain commands on the same server, 64 callers and one.
func BenchmarkBesidePlainCommands(b *testing.B) {
	server := redistest.Seven().Start(b)
	set, err := redis.Spec().Open(b.Context(), settings(server, "pool_size: 64"))
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = set.Store.Close() }()
	plain := goredis.NewClient(&goredis.Options{Network: "unix", Addr: server.Addr, PoolSize: 64})
	defer func() { _ = plain.Close() }()
	ctx := context.Background()
	k := prism.Key{Namespace: "bench", Name: "key"}
	value := make([]byte, 64)
	if _, err := set.KeyValue.Set(ctx, k, value, driver.SetOptions{}, driver.Receipt{}); err != nil {
		b.Fatal(err)
	}
	if err := plain.Set(ctx, "key", value, 0).Err(); err != nil {
		b.Fatal(err)
	}
	ops := make([]driver.Op, 100)
	for i := range ops {
		ops[i] = driver.Op{Kind: driver.OpGet, Key: "key"}
	}
	for name, call := range map[string]func() error{
		"get/driver": func() error { return third(set.KeyValue.Get(ctx, k)) },
		"get/plain":  func() error { return plain.Get(ctx, "key").Err() },
		"set/driver": func() error {
			return second(set.KeyValue.Set(ctx, k, value, driver.SetOptions{}, driver.Receipt{}))
		},
		"set/plain": func() error { return plain.Set(ctx, "key", value, 0).Err() },
		"set once/driver": func() error {
			return second(set.KeyValue.Set(ctx, k, value, driver.SetOptions{}, receipt()))
		},
		"100 gets/a batch":  func() error { return set.KeyValueBatch.Batch(ctx, "bench", ops, make([]driver.Result, len(ops))) },
		"100 gets/pipeline": func() error { return gets(ctx, plain) },
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			b.SetParallelism(32)
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					if err := call(); err != nil {
						b.Error(err)
					}
				}
			})
		})
		b.Run(name+"/alone", func(b *testing.B) {
			for b.Loop() {
				if err := call(); err != nil {
					b.Error(err)
				}
			}
		})
	}
}

// Work queues and logs beside a list and a stream of the same server, 64 callers
// and one. What is published is worked off by the same callers.
func BenchmarkQueuesBesidePlainCommands(b *testing.B) {
	server := redistest.Seven().Start(b)
	set, err := redis.Spec().Open(b.Context(), settings(server, "pool_size: 64"))
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = set.Store.Close() }()
	plain := goredis.NewClient(&goredis.Options{Network: "unix", Addr: server.Addr, PoolSize: 64})
	defer func() { _ = plain.Close() }()
	ctx, value := context.Background(), make([]byte, 64)
	if _, err := set.Queue.CreateQueue(ctx, "bench", "q", driver.QueueOptions{Lease: time.Minute}); err != nil {
		b.Fatal(err)
	}
	if _, err := set.Stream.CreateTopic(ctx, "bench", "t", driver.TopicOptions{Partitions: 8, Retention: driver.Retention{Bytes: 1 << 20}}); err != nil {
		b.Fatal(err)
	}
	for _, n := range []int{1, 100} {
		for name, call := range map[string]func() error{
			"publish, receive, ack/driver": func() error { return workOff(ctx, set, value, n) },
			"LPUSH, LMOVE, LREM/plain":     func() error { return workOffList(ctx, plain, value, n) },
			"append/driver": func() error {
				messages := make([]driver.StreamMessage, n)
				for i := range messages {
					messages[i].Payload = value
				}
				return set.Stream.Append(ctx, "bench", "t", messages, make([]driver.StreamResult, n))
			},
			"XADD/plain": func() error {
				_, err := plain.Pipelined(ctx, func(p goredis.Pipeliner) error {
					for range n {
						p.XAdd(ctx, &goredis.XAddArgs{Stream: "stream", MaxLen: 16384, Approx: true, Values: []any{"b", value}})
					}
					return nil
				})
				return err
			},
		} {
			b.Run(fmt.Sprintf("%s/%d at once", name, n), func(b *testing.B) {
				b.SetParallelism(32)
				b.RunParallel(func(pb *testing.PB) {
					for pb.Next() {
						if err := call(); err != nil {
							b.Error(err)
						}
					}
				})
				b.ReportMetric(float64(b.N*n)/b.Elapsed().Seconds(), "messages/s")
			})
		}
	}
}

func workOff(ctx context.Context, set driver.Set, value []byte, n int) error {
	messages, results := make([]driver.QueueMessage, n), make([]driver.QueueResult, n)
	for i := range messages {
		messages[i].Payload = value
	}
	if err := set.Queue.Publish(ctx, "bench", "q", messages, results); err != nil {
		return err
	}
	out, err := set.Queue.Receive(ctx, "bench", "q", driver.QueueReceive{Max: n})
	if err != nil {
		return err
	}
	receipts := make([]driver.LeaseReceipt, len(out))
	for i := range out {
		receipts[i] = out[i].Receipt
	}
	return set.Queue.Ack(ctx, "bench", "q", receipts, results)
}

// workOffList is what one writes without leases: a list, and one for what is
// being worked on.
func workOffList(ctx context.Context, c *goredis.Client, value []byte, n int) error {
	for _, step := range []func(goredis.Pipeliner){
		func(p goredis.Pipeliner) { p.LPush(ctx, "list", value) },
		func(p goredis.Pipeliner) { p.LMove(ctx, "list", "work", "right", "left") },
		func(p goredis.Pipeliner) { p.LRem(ctx, "work", -1, value) },
	} {
		if _, err := c.Pipelined(ctx, func(p goredis.Pipeliner) error {
			for range n {
				step(p)
			}
			return nil
		}); err != nil {
			return err
		}
	}
	return nil
}

var receipts atomic.Uint64

// receipt is one as the SDK asks for.
func receipt() driver.Receipt {
	r := driver.Receipt{Keep: 10 * time.Minute}
	binary.BigEndian.PutUint64(r.ID[8:], receipts.Add(1))
	return r
}

func gets(ctx context.Context, c *goredis.Client) error {
	_, err := c.Pipelined(ctx, func(p goredis.Pipeliner) error {
		for range 100 {
			p.Get(ctx, "key")
		}
		return nil
	})
	return err
}
