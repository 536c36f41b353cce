package redis_test

import (
	"context"
	"encoding/binary"
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
	server := redistest.Seven().Start(b, "--appendonly", "no")
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
