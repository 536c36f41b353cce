package redis

import (
	"context"
	"strings"
	"sync"

	"github.com/redis/go-redis/v9"

	"github.com/prism-data-layer/prism/pkg/driver"
	"github.com/prism-data-layer/prism/pkg/prism"
)

const (
	sampleRounds = 50   // how often some of a server's keys are looked at
	sampleKeys   = 1000 // how many about
	sampleSizes  = 50   // and the sizes of how many of a cache's entries
)

// sampleCache estimates what a cache holds from some of each server's keys: all
// of them, where there are no more than fifty thousand.
func (s *store) sampleCache(ctx context.Context, ns prism.Namespace, u *driver.Usage) error {
	var mu sync.Mutex
	return s.masters(ctx, func(ctx context.Context, c *redis.Client) error {
		keys, bytes, err := sample(ctx, c, ns)
		mu.Lock()
		defer mu.Unlock()
		u.Keys += keys
		u.Bytes += bytes
		return err
	})
}

// isEntry reports whether a key is a cache entry of what begins with a stem, and
// the size of its name.
func isEntry(key, stem string) (size int, ok bool) {
	rest, ok := strings.CutPrefix(key, stem)
	if !ok {
		return 0, false
	}
	_, rest, ok = strings.Cut(rest, "}")
	return len(rest) - len(kindEntry), ok && strings.HasPrefix(rest, kindEntry)
}

// sample estimates the entries that one server has.
func sample(ctx context.Context, c *redis.Client, ns prism.Namespace) (keys, bytes int64, err error) {
	var seen, found, names int64
	var sizes []*redis.IntCmd
	pipe := c.Pipeline()
	cursor, of := uint64(0), stem(ns)
	for range sampleRounds {
		some, next, err := c.Scan(ctx, cursor, "", sampleKeys).Result()
		if err != nil {
			return 0, 0, err
		}
		seen += int64(len(some))
		for _, k := range some {
			size, is := isEntry(k, of)
			if !is {
				continue
			}
			if found++; len(sizes) < sampleSizes {
				names += int64(size)
				sizes = append(sizes, pipe.StrLen(ctx, k))
			}
		}
		if cursor = next; cursor == 0 {
			break
		}
	}
	if found == 0 {
		return 0, 0, nil
	}
	all := pipe.DBSize(ctx)
	if _, err := pipe.Exec(ctx); err != nil {
		return 0, 0, err
	}
	bytes = names - entryHead*int64(len(sizes))
	for _, size := range sizes {
		bytes += size.Val()
	}
	if keys = found; cursor != 0 {
		keys = max(found, found*all.Val()/seen)
	}
	return keys, max(0, bytes*keys/int64(len(sizes))), nil
}
