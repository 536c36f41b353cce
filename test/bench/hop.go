package main

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/prism-data-layer/prism/pkg/client"
	kvv1 "github.com/prism-data-layer/prism/proto/prism/keyvalue/v1"
)

const (
	rowHopUnary = "redis: p90 that unary adds at 1,000 Gets/s ÷ a plain grpc-go hop"
	rowHopSDK   = "redis: p90 that the SDK adds at 1,000 Gets/s ÷ a plain grpc-go hop"
	rowHopP99   = "redis: p99 that the SDK adds at 1,000 Gets/s"
)

// What is asked of each side: so many Gets a second in all, over so many
// connections.
const (
	hopRate        = 1000
	hopConnections = 16
)

// A hop is what anybody would write: a Get of the gateway's API is a GET.
type hop struct {
	kvv1.UnimplementedKeyValueServiceServer

	redis *redis.Client
}

func newHop(addr string) hop {
	return hop{redis: redis.NewClient(&redis.Options{Addr: addr, PoolSize: callers})}
}

func (h hop) Get(ctx context.Context, r *kvv1.GetRequest) (*kvv1.GetResponse, error) {
	v, err := h.redis.Get(ctx, r.GetKey()).Bytes()
	return &kvv1.GetResponse{Value: v, Version: 1}, err
}

// benchHop measures what stands between a caller and Redis adds to a Get when
// nothing is busy: the gateway, by unary calls and by SDK, beside a plain hop.
func benchHop(ctx context.Context, b *bench) error {
	if !b.wants(rowHopUnary, rowHopSDK, rowHopP99) {
		return nil
	}
	r, err := b.redis(ctx)
	if r == nil {
		return err
	}
	plain, err := b.echo(ctx, r.addr)
	if err != nil {
		return err
	}
	s, err := b.alternate(ctx, r.calm, onStubs(plain.data), onStubs(r.gw.data), onSDK(r.gw.data))
	if err != nil {
		return err
	}
	b.compare(rowHopUnary, "ms", above(s[2], s[0]), above(s[1], s[0]), p90, "<=", 0.9)
	b.compare(rowHopSDK, "ms", above(s[3], s[0]), above(s[1], s[0]), p90, "<=", 0.6)
	b.figure(rowHopP99, "ms", medianOf(above(s[3], s[0]), p99), "<=", 0.5)
	return nil
}

// above is what samples lie above those of another side, round by round.
func above(s, base []sample) []sample {
	added := slices.Clone(s)
	for i := range added {
		added[i].p90 -= base[i].p90
		added[i].p99 -= base[i].p99
	}
	return added
}

// calm reads from Redis without anything between.
func (r *redisReads) calm(ctx context.Context, d time.Duration) (sample, error) {
	return calmly(ctx, d, func(ctx context.Context, _ int, i uint32) error { return r.theirs.Get(ctx, key(i)).Err() })
}

// onStubs reads by unary calls of stock clients.
func onStubs(addr string) side {
	return func(ctx context.Context, d time.Duration) (sample, error) {
		list, done, err := stubs(addr, hopConnections, false)
		if err != nil {
			return sample{}, err
		}
		defer done()
		return calmly(ctx, d, func(ctx context.Context, c int, i uint32) error {
			_, err := list[c].Get(ctx, &kvv1.GetRequest{Namespace: "remote", Key: key(i)})
			return err
		})
	}
}

// onSDK reads by clients as they come, each with a connection of its own.
func onSDK(addr string) side {
	return func(ctx context.Context, d time.Duration) (sample, error) {
		var list []*client.KeyValue
		for range hopConnections {
			sdk, err := client.Dial(addr)
			if err != nil {
				return sample{}, err
			}
			defer sdk.Close()
			list = append(list, sdk.KeyValue("remote"))
		}
		return calmly(ctx, d, func(ctx context.Context, c int, i uint32) error {
			_, err := list[c].Get(ctx, key(i))
			return err
		})
	}
}

// calmly calls op at hopRate, on every connection in its turn, and answers how
// long calls took from when they were sent: at this rate none waits for another,
// and how late the timer wakes is nobody's but the machine's.
func calmly(ctx context.Context, d time.Duration, op func(ctx context.Context, connection int, i uint32) error) (sample, error) {
	took := make([][]time.Duration, hopConnections)
	errs := make([]error, hopConnections)
	start := time.Now()
	var wg sync.WaitGroup
	for c := range hopConnections {
		wg.Go(func() { took[c], errs[c] = paced(ctx, start, c, d, op) })
	}
	wg.Wait()
	for _, err := range errs {
		if err != nil {
			return sample{}, err
		}
	}
	all := slices.Concat(took...)
	return sample{rate: float64(len(all)) / d.Seconds(), p90: quantile(all, 0.9), p99: quantile(all, 0.99)}, nil
}

// paced makes the calls of one connection; the first, which connects, does not
// count.
func paced(ctx context.Context, start time.Time, c int, d time.Duration, op func(ctx context.Context, connection int, i uint32) error) ([]time.Duration, error) {
	const every = hopConnections * time.Second / hopRate
	if err := op(ctx, c, 0); err != nil {
		return nil, err
	}
	var took []time.Duration
	next := start.Add(50*time.Millisecond + time.Duration(c)*time.Second/hopRate)
	for i := uint32(c * 7919); time.Since(start) < d && ctx.Err() == nil; i++ {
		time.Sleep(time.Until(next))
		next = next.Add(every)
		sent := time.Now()
		if err := op(ctx, c, i); err != nil {
			return nil, err
		}
		took = append(took, time.Since(sent))
	}
	return took, ctx.Err()
}
