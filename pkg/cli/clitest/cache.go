package clitest

import (
	"context"
	"strconv"
	"time"

	"github.com/prism-data-layer/prism/pkg/prism"
	cachev1 "github.com/prism-data-layer/prism/proto/prism/cache/v1"
)

// caches answers the API of caches from the gateway's memory. It has one, cache,
// which holds nothing at first.
type caches struct {
	cachev1.UnimplementedCacheServiceServer
	g *Gateway
}

// CachePut stores an entry of the cache without a call.
func (g *Gateway) CachePut(key, value string, ttl time.Duration) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.cached(key, []byte(value), ttl)
}

func (g *Gateway) cached(key string, value []byte, ttl time.Duration) {
	at := g.now.Add(ttl).UnixMilli()
	g.cache[key] = &cachev1.GetResponse{Found: true, Value: value, ExpiresAtMs: &at}
}

// in locks the gateway for a call on a namespace and a key.
func (c caches) in(namespace, key string) (unlock func(), err error) {
	if namespace != "cache" {
		return nil, prism.NotFound("namespace", namespace).WithMeta("kind", "namespace")
	}
	if err := prism.CheckKey("key", key); err != nil {
		return nil, err
	}
	c.g.mu.Lock()
	return c.g.mu.Unlock, nil
}

func ttlOf(ms *int64) time.Duration {
	if ms == nil {
		return 15 * time.Minute
	}
	return time.Duration(*ms) * time.Millisecond
}

func (c caches) Get(_ context.Context, r *cachev1.GetRequest) (*cachev1.GetResponse, error) {
	unlock, err := c.in(r.Namespace, r.Key)
	if err != nil {
		return nil, err
	}
	defer unlock()
	if e := c.g.cache[r.Key]; e != nil {
		return e, nil
	}
	return &cachev1.GetResponse{}, nil
}

func (c caches) Set(_ context.Context, r *cachev1.SetRequest) (*cachev1.SetResponse, error) {
	unlock, err := c.in(r.Namespace, r.Key)
	if err != nil {
		return nil, err
	}
	defer unlock()
	there := c.g.cache[r.Key] != nil
	if r.IfAbsent && there || r.IfPresent && !there {
		return &cachev1.SetResponse{}, nil
	}
	c.g.cached(r.Key, r.Value, ttlOf(r.TtlMs))
	return &cachev1.SetResponse{Applied: true}, nil
}

func (c caches) Delete(_ context.Context, r *cachev1.DeleteRequest) (*cachev1.DeleteResponse, error) {
	unlock, err := c.in(r.Namespace, r.Key)
	if err != nil {
		return nil, err
	}
	defer unlock()
	found := c.g.cache[r.Key] != nil
	delete(c.g.cache, r.Key)
	return &cachev1.DeleteResponse{Found: found}, nil
}

func (c caches) Exists(_ context.Context, r *cachev1.ExistsRequest) (*cachev1.ExistsResponse, error) {
	unlock, err := c.in(r.Namespace, r.Key)
	if err != nil {
		return nil, err
	}
	defer unlock()
	return &cachev1.ExistsResponse{Exists: c.g.cache[r.Key] != nil}, nil
}

func (c caches) Increment(_ context.Context, r *cachev1.IncrementRequest) (*cachev1.IncrementResponse, error) {
	unlock, err := c.in(r.Namespace, r.Key)
	if err != nil {
		return nil, err
	}
	defer unlock()
	n := r.Initial
	if e := c.g.cache[r.Key]; e != nil {
		if n, err = strconv.ParseInt(string(e.Value), 10, 64); err != nil {
			return nil, prism.New(prism.ReasonNotANumber, "the value of key %q is not a decimal 64-bit integer", r.Key)
		}
	}
	c.g.cached(r.Key, strconv.AppendInt(nil, n+r.Delta, 10), ttlOf(r.TtlMs))
	return &cachev1.IncrementResponse{Value: n + r.Delta}, nil
}

func (c caches) GetStats(_ context.Context, r *cachev1.GetStatsRequest) (*cachev1.GetStatsResponse, error) {
	unlock, err := c.in(r.Namespace, "stats")
	if err != nil {
		return nil, err
	}
	defer unlock()
	entries, size, bound, evictions := int64(len(c.g.cache)), int64(0), int64(64<<20), int64(12)
	for key, e := range c.g.cache {
		size += int64(len(key) + len(e.Value))
	}
	return &cachev1.GetStatsResponse{Hits: 900, Misses: 100, Entries: &entries, SizeBytes: &size, MaxSizeBytes: &bound, Evictions: &evictions}, nil
}
