package redis

import (
	"context"
	"strconv"
	"strings"
	"sync"

	"github.com/redis/go-redis/v9"

	"github.com/prism-data-layer/prism/pkg/prism"
)

// dropStep is how many keys are looked at in one round.
const dropStep = 1000

// Drop removes every key of a namespace, wherever it is from. One small key for each
// bucket stays and remembers which versions are used up.
func (s *store) Drop(ctx context.Context, ns prism.Namespace) error {
	if err := s.enter(ctx); err != nil {
		return err
	}
	defer s.leave()
	used, err := s.dropLines(ctx, ns)
	if err != nil {
		return err
	}
	var mu sync.Mutex
	left := map[string]struct{}{}
	if !s.spread {
		left[prefix(ns)] = struct{}{}
	}
	err = s.masters(ctx, func(ctx context.Context, c *redis.Client) error {
		metas, err := dropOn(ctx, c, ns)
		mu.Lock()
		defer mu.Unlock()
		for _, p := range metas {
			left[p] = struct{}{}
		}
		return err
	})
	if err != nil {
		return s.classify(ctx, err)
	}
	for p := range left {
		if err := s.run(ctx, dropScript, s.keys(dropScript, p), p, s.channel(p), used).Err(); err != nil {
			return s.classify(ctx, err)
		}
	}
	return nil
}

// dropOn removes what a server has of a namespace, but for the metas: it tells what
// begins with the same as those.
func dropOn(ctx context.Context, c *redis.Client, ns prism.Namespace) (metas []string, err error) {
	all := stem(ns)
	for cursor := uint64(0); ; {
		keys, next, err := c.Scan(ctx, cursor, literal(all)+"*", dropStep).Result()
		if err != nil {
			return nil, err
		}
		pipe := c.Pipeline() // a command takes keys of one slot only
		for _, k := range keys {
			bucket, is := strings.CutSuffix(k[len(all):], "}"+kindMeta)
			if _, err := strconv.ParseUint(bucket, 10, 8); is && err == nil {
				metas = append(metas, strings.TrimSuffix(k, kindMeta))
				continue
			}
			pipe.Unlink(ctx, k)
		}
		if _, err := pipe.Exec(ctx); err != nil {
			return nil, err
		}
		if cursor = next; cursor == 0 {
			return metas, nil
		}
	}
}
