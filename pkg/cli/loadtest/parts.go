package loadtest

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"

	"github.com/prism-data-layer/prism/loadtest/scenario"
	"github.com/prism-data-layer/prism/loadtest/workload/kv"
	"github.com/prism-data-layer/prism/pkg/cli"
	"github.com/prism-data-layer/prism/pkg/client"
	"github.com/prism-data-layer/prism/pkg/prism"
	cachev1 "github.com/prism-data-layer/prism/proto/prism/cache/v1"
	keyvaluev1 "github.com/prism-data-layer/prism/proto/prism/keyvalue/v1"
)

// keys is a key-value namespace.
type keys struct {
	place
	kv []*client.KeyValue
	n  uint64
}

var _ kv.Target = (*keys)(nil)

func newKeys(p place, w *scenario.Workload) *keys {
	return &keys{p, each(p.site, func(c *client.Client) *client.KeyValue { return c.KeyValue(p.namespace) }), keyCount(w)}
}

// keyCount is how many keys a workload has.
func keyCount(w *scenario.Workload) uint64 {
	if w.Keys > 0 {
		return uint64(w.Keys)
	}
	return kv.DefaultKeys
}

func (k *keys) Get(ctx context.Context, key string) ([]byte, bool, error) {
	e, err := k.kv[k.turn()].Get(ctx, key)
	if errors.Is(err, prism.ReasonNotFound) && !noNamespace(err, k.namespace) {
		return nil, false, nil
	}
	return e.Value, err == nil, err
}

func (k *keys) Set(ctx context.Context, key string, value []byte) error {
	_, err := k.kv[k.turn()].Set(ctx, key, value)
	return err
}

func (k *keys) Delete(ctx context.Context, key string) error {
	_, _, err := k.kv[k.turn()].Delete(ctx, key)
	return err
}

func (k *keys) Check(ctx context.Context) error {
	c, err := k.f.KeyValue(ctx)
	if err != nil {
		return err
	}
	_, err = c.Get(ctx, &keyvaluev1.GetRequest{Namespace: k.namespace, Key: k.Keys()})
	return k.checked(err, "keyvalue")
}

func (k *keys) Left() string {
	return fmt.Sprintf("left %s in %s, under %s", cli.Plural(int64(k.n), "key"), k.namespace, k.Keys())
}

// clearBatch is the most that one call may name.
const clearBatch = 1000

// Clear deletes the keys of this run, by name: nothing is scanned, so nothing
// else can be hit.
func (k *keys) Clear(ctx context.Context) (string, error) {
	names := make([]string, 0, clearBatch)
	for i := uint64(0); i < k.n; {
		names = names[:0]
		for ; i < k.n && len(names) < clearBatch; i++ {
			names = append(names, k.Keys()+strconv.FormatUint(i, 10))
		}
		results, err := k.kv[0].BatchDelete(ctx, names...)
		for _, r := range results {
			if err == nil {
				err = r.Err
			}
		}
		if err != nil {
			return "", cli.Partial("prismctl kv scan -n "+k.namespace+" --prefix "+k.Keys(), "the keys of the load test could not all be deleted: %s", prism.From(err).Message)
		}
	}
	return "deleted the keys of this run under " + k.Keys(), nil
}

// caches is a namespace that is a cache.
type caches struct {
	place
	caches []*client.Cache
	n      uint64
}

var _ kv.Target = (*caches)(nil)

func newCaches(p place, w *scenario.Workload) *caches {
	return &caches{p, each(p.site, func(c *client.Client) *client.Cache { return c.Cache(p.namespace) }), keyCount(w)}
}

func (c *caches) Get(ctx context.Context, key string) ([]byte, bool, error) {
	e, found, err := c.caches[c.turn()].Get(ctx, key)
	return e.Value, found, err
}

func (c *caches) Set(ctx context.Context, key string, value []byte) error {
	return c.caches[c.turn()].Set(ctx, key, value)
}

func (c *caches) Delete(ctx context.Context, key string) error {
	_, err := c.caches[c.turn()].Delete(ctx, key)
	return err
}

func (c *caches) Check(ctx context.Context) error {
	api, err := c.f.Cache(ctx)
	if err != nil {
		return err
	}
	_, err = api.Get(ctx, &cachev1.GetRequest{Namespace: c.namespace, Key: c.Keys()})
	return c.checked(err, "cache")
}

func (c *caches) Left() string {
	return fmt.Sprintf("left up to %s in %s, under %s", cli.Plural(int64(c.n), "entry"), c.namespace, c.Keys())
}

// clearers delete entries at once, which have no call for many.
const clearers = 64

func (c *caches) Clear(ctx context.Context) (string, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	names := make(chan string)
	var all sync.WaitGroup
	for range clearers {
		all.Go(func() {
			for name := range names {
				if err := c.Delete(ctx, name); err != nil {
					cancel(err)
				}
			}
		})
	}
	for i := uint64(0); i < c.n && ctx.Err() == nil; i++ {
		names <- c.Keys() + strconv.FormatUint(i, 10)
	}
	close(names)
	all.Wait()
	if err := context.Cause(ctx); err != nil {
		return "", cli.Partial("they end by themselves, when their time to live is over", "the entries of the load test could not all be deleted: %s", prism.From(err).Message)
	}
	return "deleted the entries of this run under " + c.Keys(), nil
}
