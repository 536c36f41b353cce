package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/prism-data-layer/prism/pkg/client"
	"github.com/prism-data-layer/prism/pkg/driver/redis/redistest"
	kvv1 "github.com/prism-data-layer/prism/proto/prism/keyvalue/v1"
)

const (
	rowRedisUnary    = "redis: unary Get, 64 callers ÷ go-redis, plain"
	rowRedisSDK      = "redis: Get by SDK, 64 callers ÷ go-redis, plain"
	rowRedisPipeline = "redis: Get by SDK, 64 callers ÷ go-redis, AutoPipeline"
	rowRedisReads    = "redis: keys that Redis looked up for each Get by SDK"
	rowRedisCPU      = "redis: CPU of Redis for a Get by SDK ÷ go-redis, plain"
	rowRedisCPUUnary = "redis: CPU of Redis for a unary Get ÷ go-redis, plain"
)

// benchRedis measures reads through the gateway beside go-redis on the same
// server.
func benchRedis(ctx context.Context, b *bench) error {
	if !b.wants(rowRedisUnary, rowRedisSDK, rowRedisPipeline, rowRedisReads, rowRedisCPU, rowRedisCPUUnary) {
		return nil
	}
	r, err := b.redis(ctx)
	if r == nil {
		return err
	}
	s, err := b.alternate(ctx, r.behind(r.unary), r.behind(r.plain), r.behind(r.coalesced), r.pipelined)
	if err != nil {
		return err
	}
	b.compare(rowRedisUnary, "calls/s", s[0], s[1], rate, ">=", 0.4)
	b.compare(rowRedisSDK, "calls/s", s[2], s[1], rate, ">=", 3)
	b.compare(rowRedisPipeline, "calls/s", s[2], s[3], rate, ">=", 1)
	b.figure(rowRedisReads, "", r.lookups/r.gets, ">=", 1)
	b.compare(rowRedisCPU, "µs", s[2], s[1], store, "<=", 0.3)
	b.compare(rowRedisCPUUnary, "µs", s[0], s[1], store, "<=", 0.3)
	return nil
}

// redisReads reads the same keys by several ways.
type redisReads struct {
	addr   string
	gw     *process
	kv     *client.KeyValue
	theirs *redis.Client
	auto   *redis.AutoPipeliner

	gets, lookups float64 // by the SDK, and what Redis has counted meanwhile
}

func (b *bench) redis(ctx context.Context) (*redisReads, error) {
	program, missing := redistest.Seven().Find()
	if missing != "" {
		fmt.Fprintln(os.Stderr, "NOT MEASURED:", missing)
		return nil, nil
	}
	addr := freePorts(1)[0]
	_, port, _ := strings.Cut(addr, ":")
	server, err := redistest.Run(program, "--port", port)
	if err != nil {
		return nil, err
	}
	b.undo = append(b.undo, func() { server.Close() })
	gw, err := b.prismd(ctx, fmt.Sprintf(redisConfig, addr))
	if err != nil {
		return nil, err
	}
	sdk, err := client.Dial(gw.data)
	if err != nil {
		return nil, err
	}
	b.undo = append(b.undo, func() { sdk.Close() })
	r := &redisReads{addr: addr, gw: gw, kv: sdk.KeyValue("remote"), theirs: redis.NewClient(&redis.Options{Addr: addr, PoolSize: callers})}
	b.undo = append(b.undo, func() { r.theirs.Close() })
	if r.auto, err = r.theirs.AutoPipeline(); err != nil {
		return nil, err
	}
	for i := range uint32(keys) {
		if _, err := r.kv.Set(ctx, key(i), value); err != nil {
			return nil, err
		}
		if err := r.theirs.Set(ctx, key(i), value, 0).Err(); err != nil {
			return nil, err
		}
	}
	return r, nil
}

const redisConfig = `apiVersion: prism/v1
backends:
  - {name: far, driver: redis, options: {addrs: [%q]}}
namespaces:
  - {name: remote, model: keyvalue, backend: far, access: {owners: ["user:dev"]}}
log: {level: error}
`

func (r *redisReads) unary(ctx context.Context, d time.Duration) (sample, error) {
	list, done, err := stubs(r.gw.data, connections, true)
	if err != nil {
		return sample{}, err
	}
	defer done()
	return loop(ctx, r.gw, callers, d, func(ctx context.Context, c int, i uint32) error {
		_, err := list[c%connections].Get(ctx, &kvv1.GetRequest{Namespace: "remote", Key: key(i)})
		return err
	})
}

func (r *redisReads) plain(ctx context.Context, d time.Duration) (sample, error) {
	return loop(ctx, r.gw, callers, d, func(ctx context.Context, _ int, i uint32) error { return r.theirs.Get(ctx, key(i)).Err() })
}

func (r *redisReads) pipelined(ctx context.Context, d time.Duration) (sample, error) {
	return loop(ctx, r.gw, callers, d, func(ctx context.Context, _ int, i uint32) error { return r.auto.Get(ctx, key(i)).Err() })
}

// coalesced notes what Redis has looked up for the reads.
func (r *redisReads) coalesced(ctx context.Context, d time.Duration) (sample, error) {
	before, err := r.hits(ctx)
	if err != nil {
		return sample{}, err
	}
	var gets atomic.Int64
	s, err := loop(ctx, r.gw, callers, d, func(ctx context.Context, _ int, i uint32) error {
		gets.Add(1)
		_, err := r.kv.Get(ctx, key(i))
		return err
	})
	after, err2 := r.hits(ctx)
	r.gets += float64(gets.Load())
	r.lookups += after - before
	return s, errors.Join(err, err2)
}

// behind is a side with the CPU time that Redis has used for it.
func (r *redisReads) behind(of side) side {
	return func(ctx context.Context, d time.Duration) (sample, error) {
		before, err := r.cpuSeconds(ctx)
		if err != nil {
			return sample{}, err
		}
		s, err := of(ctx, d)
		if err != nil {
			return s, err
		}
		after, err := r.cpuSeconds(ctx)
		s.store = (after - before) / s.ops * 1e6
		return s, err
	}
}

// cpuSeconds is the CPU time that Redis has used.
func (r *redisReads) cpuSeconds(ctx context.Context) (float64, error) {
	user, err := r.info(ctx, "cpu", "used_cpu_user")
	if err != nil {
		return 0, err
	}
	system, err := r.info(ctx, "cpu", "used_cpu_sys")
	return user + system, err
}

// hits is how many keys Redis has found.
func (r *redisReads) hits(ctx context.Context) (float64, error) {
	return r.info(ctx, "stats", "keyspace_hits")
}

// info is a number that Redis tells of itself.
func (r *redisReads) info(ctx context.Context, section, field string) (float64, error) {
	info, err := r.theirs.Info(ctx, section).Result()
	if err != nil {
		return 0, err
	}
	_, rest, _ := strings.Cut(info, field+":")
	line, _, _ := strings.Cut(rest, "\r\n")
	return strconv.ParseFloat(line, 64)
}
