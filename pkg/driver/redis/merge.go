package redis

import (
	"context"
	"slices"
	"strings"

	"github.com/redis/go-redis/v9"

	"github.com/prism-data-layer/prism/pkg/driver"
	"github.com/prism-data-layer/prism/pkg/prism"
)

// merged is a page of a namespace that is spread: the first keys of each bucket, merged,
// as far as it is known that no bucket has one between them; then what they hold. Both
// are a pipeline to each node.
func (s *store) merged(ctx context.Context, ns prism.Namespace, q driver.Query, b bounds) (driver.Page, error) {
	keys, more, err := s.mergedKeys(ctx, ns, q, b)
	if err != nil || len(keys) == 0 {
		return driver.Page{}, err
	}
	return s.pageOf(ctx, ns, q, keys, more)
}

// mergedKeys are the first keys within bounds, in order, at least one if there is any;
// more tells that others follow.
func (s *store) mergedKeys(ctx context.Context, ns prism.Namespace, q driver.Query, b bounds) (keys []string, more bool, err error) {
	limit := min(q.Limit, pageLimit)
	// A few more of each than their part: buckets are not of one size.
	each := min(limit, limit/(bucketCount/2)+6)
	pipe := s.client.Pipeline()
	lists := make([]*redis.StringSliceCmd, bucketCount)
	for i, p := range s.homes(ns) {
		by := &redis.ZRangeBy{Min: b.lo, Max: b.hi, Count: int64(each)}
		if q.Reverse {
			lists[i] = pipe.ZRevRangeByLex(ctx, p+kindIndex, by)
		} else {
			lists[i] = pipe.ZRangeByLex(ctx, p+kindIndex, by)
		}
	}
	if _, err := pipe.Exec(ctx); err != nil {
		return nil, false, s.classify(ctx, err)
	}
	order := strings.Compare
	if q.Reverse {
		order = func(a, b string) int { return strings.Compare(b, a) }
	}
	// Nothing is known past the last key of a bucket that has more.
	horizon := ""
	for _, list := range lists {
		some := list.Val()
		if len(some) == each && (!more || order(some[each-1], horizon) < 0) {
			horizon, more = some[each-1], true
		}
		keys = append(keys, some...)
	}
	slices.SortFunc(keys, order)
	if more {
		end, _ := slices.BinarySearchFunc(keys, horizon, order)
		keys = keys[:end+1]
	}
	if len(keys) > limit {
		keys, more = keys[:limit], true
	}
	return keys, more, nil
}

// pageOf reads what keys hold, as many of them as fit into a page. Those that have ended
// and are not swept yet are not there.
func (s *store) pageOf(ctx context.Context, ns prism.Namespace, q driver.Query, keys []string, more bool) (page driver.Page, err error) {
	sizes := make([]*redis.IntCmd, len(keys))
	raws := make([]*redis.StringCmd, len(keys))
	pipe := s.client.Pipeline()
	for i, key := range keys {
		name := s.home(ns, key) + kindValue + key
		sizes[i] = pipe.StrLen(ctx, name)
		if q.KeysOnly {
			raws[i] = pipe.GetRange(ctx, name, 0, recordHead+expiryHead-1)
		}
	}
	if _, err := pipe.Exec(ctx); err != nil {
		return page, s.classify(ctx, err)
	}
	if !q.KeysOnly {
		if keys, more, err = s.values(ctx, ns, q, keys, more, sizes, raws); err != nil {
			return page, err
		}
	}
	bytes := 0
	for i, key := range keys {
		raw := raws[i].Val()
		if raw == "" {
			continue
		}
		e, head, err := parseRecord(bytesOf(raw))
		if err != nil {
			return page, s.classify(ctx, err)
		}
		e.Key, e.Size = key, len(e.Value)
		if q.KeysOnly {
			e.Value, e.Size = nil, max(0, int(sizes[i].Val())-head)
		}
		if bytes += len(key) + len(e.Value); len(page.Entries) > 0 && bytes > q.MaxBytes {
			keys, more = keys[:i], true
			break
		}
		page.Entries = append(page.Entries, e)
	}
	if more {
		page.Next = append([]byte{tokenFormat}, keys[len(keys)-1]...)
	}
	return page, nil
}

// values asks for the records of keys whose sizes are known, and leaves out the last
// keys if there are more bytes than fit.
func (s *store) values(ctx context.Context, ns prism.Namespace, q driver.Query, keys []string, more bool, sizes []*redis.IntCmd, raws []*redis.StringCmd) ([]string, bool, error) {
	pipe := s.client.Pipeline()
	bytes := 0
	for i, key := range keys {
		if size := int(sizes[i].Val()); size > 0 {
			bytes += len(key) + size - recordHead - expiryHead
		}
		if i > 0 && bytes > q.MaxBytes {
			keys, more = keys[:i], true
			break
		}
		raws[i] = pipe.Get(ctx, s.home(ns, key)+kindValue+key)
	}
	if _, err := pipe.Exec(ctx); err != nil && !missing(err) {
		return nil, false, s.classify(ctx, err)
	}
	for _, raw := range raws[:len(keys)] {
		if err := raw.Err(); err != nil && !missing(err) {
			return nil, false, s.classify(ctx, err)
		}
	}
	return keys, more, nil
}
