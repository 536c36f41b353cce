package ui

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"google.golang.org/grpc"

	"github.com/prism-data-layer/prism/pkg/cli"
	"github.com/prism-data-layer/prism/pkg/prism"
	cachev1 "github.com/prism-data-layer/prism/proto/prism/cache/v1"
	keyvaluev1 "github.com/prism-data-layer/prism/proto/prism/keyvalue/v1"
	"github.com/prism-data-layer/prism/tui/component/tail"
	"github.com/prism-data-layer/prism/tui/page/cache"
	"github.com/prism-data-layer/prism/tui/page/keyvalue"
)

// keyvalueSource answers the page of keys and values.
type keyvalueSource struct{ dataSource }

func (k keyvalueSource) client(ctx context.Context) (keyvaluev1.KeyValueServiceClient, error) {
	return enter(ctx, k.dataSource, keyvaluev1.NewKeyValueServiceClient)
}

func (k keyvalueSource) Keys(ctx context.Context, q keyvalue.Query) (keyvalue.Page, error) {
	c, err := k.client(ctx)
	if err != nil {
		return keyvalue.Page{}, err
	}
	r, err := c.ScanKeys(ctx, &keyvaluev1.ScanKeysRequest{Namespace: q.Namespace, Prefix: q.Prefix, Limit: int32(q.Limit), Cursor: q.Cursor})
	if err != nil {
		return keyvalue.Page{}, k.explain(err)
	}
	p := keyvalue.Page{Next: r.GetCursor(), Keys: make([]keyvalue.Key, 0, len(r.GetKeys()))}
	for _, x := range r.GetKeys() {
		p.Keys = append(p.Keys, keyvalue.Key{Name: x.GetKey(), Version: x.GetVersion(), Size: x.GetSizeBytes(), Expires: moment(x.GetExpiresAtMs())})
	}
	return p, nil
}

func (k keyvalueSource) Value(ctx context.Context, namespace, key string) (keyvalue.Entry, error) {
	c, err := k.client(ctx)
	if err != nil {
		return keyvalue.Entry{}, err
	}
	r, err := c.Get(ctx, &keyvaluev1.GetRequest{Namespace: namespace, Key: key})
	if err != nil {
		return keyvalue.Entry{}, k.explain(err)
	}
	return keyvalue.Entry{
		Key:   keyvalue.Key{Name: key, Version: r.GetVersion(), Size: int64(len(r.GetValue())), Expires: moment(r.GetExpiresAtMs())},
		Value: head(r.GetValue()),
	}, nil
}

func (k keyvalueSource) Change(ctx context.Context, x keyvalue.Change) (string, error) {
	c, err := k.client(ctx)
	if err != nil {
		return "", err
	}
	ttl := x.TTL.Milliseconds()
	switch x.Kind {
	case keyvalue.Set:
		r := &keyvaluev1.SetRequest{Namespace: x.Namespace, Key: x.Key, Value: x.Value, CreateOnly: x.Create}
		if x.TTL > 0 {
			r.TtlMs = &ttl
		}
		_, err = c.Set(ctx, r)
		return "set " + x.Key, err
	case keyvalue.Delete:
		r, err := c.Delete(ctx, &keyvaluev1.DeleteRequest{Namespace: x.Namespace, Key: x.Key})
		if err == nil && !r.GetFound() {
			return x.Key + " was not there", nil
		}
		return "deleted " + x.Key, err
	case keyvalue.Expire:
		if x.TTL == 0 {
			_, err = c.Persist(ctx, &keyvaluev1.PersistRequest{Namespace: x.Namespace, Key: x.Key})
			return x.Key + " lives for ever", err
		}
		_, err = c.Expire(ctx, &keyvaluev1.ExpireRequest{Namespace: x.Namespace, Key: x.Key, TtlMs: ttl})
		return fmt.Sprintf("%s expires in %s", x.Key, x.TTL), err
	}
	return "", prism.New(prism.ReasonUnimplemented, "%s is no change of a key", x.Kind)
}

func (k keyvalueSource) Watch(ctx context.Context, namespace, prefix string, to *tail.Sink[keyvalue.Event]) error {
	c, err := k.client(ctx)
	if err != nil {
		return err
	}
	st, err := c.Watch(ctx, &keyvaluev1.WatchRequest{Namespace: namespace, Prefix: prefix})
	if err != nil {
		return err
	}
	return receive(st, to.Open, func(r *keyvaluev1.WatchResponse) {
		for _, x := range r.GetChanges() {
			to.Send(keyvalue.Event{Time: moment(x.GetTimeMs()), Key: x.GetKey(), Kind: cli.EnumWord(x.GetKind().String(), "CHANGE_KIND_"), Version: x.GetVersion()})
		}
	})
}

// receive gives each message of a stream to each, until it ends. A gateway ends
// none by itself: the end is a reason to open it again.
func receive[M any](st grpc.ServerStreamingClient[M], opened func(), each func(*M)) error {
	if _, err := st.Header(); err == nil {
		opened()
	}
	for {
		m, err := st.Recv()
		switch {
		case errors.Is(err, io.EOF):
			return prism.New(prism.ReasonUnavailable, "the gateway ended the stream")
		case err != nil:
			return err
		}
		each(m)
	}
}

// cacheSource answers the page of a cache.
type cacheSource struct{ dataSource }

func (s cacheSource) Stats(ctx context.Context, namespace string, keys []string) (cache.Stats, error) {
	c, err := enter(ctx, s.dataSource, cachev1.NewCacheServiceClient)
	if err != nil {
		return cache.Stats{}, err
	}
	r, err := c.GetStats(ctx, &cachev1.GetStatsRequest{Namespace: namespace})
	if err != nil {
		return cache.Stats{}, s.explain(err)
	}
	or := func(n *int64) int64 {
		if n == nil {
			return -1
		}
		return *n
	}
	out := cache.Stats{Hits: r.GetHits(), Misses: r.GetMisses(), Entries: or(r.Entries), Bytes: or(r.SizeBytes), Most: or(r.MaxSizeBytes), Evictions: or(r.Evictions)}
	for _, key := range keys {
		e := cache.Entry{Key: key}
		got, err := c.Get(ctx, &cachev1.GetRequest{Namespace: namespace, Key: key})
		if err != nil {
			if ctx.Err() != nil {
				return cache.Stats{}, s.explain(err)
			}
			e.Err = err
		}
		e.Found, e.Value, e.Size, e.Expires = got.GetFound(), head(got.GetValue()), int64(len(got.GetValue())), moment(got.GetExpiresAtMs())
		out.Looked = append(out.Looked, e)
	}
	return out, nil
}

func (s cacheSource) Change(ctx context.Context, x cache.Change) (string, error) {
	c, err := enter(ctx, s.dataSource, cachev1.NewCacheServiceClient)
	if err != nil {
		return "", err
	}
	var ttl *int64
	if ms := x.TTL.Milliseconds(); ms > 0 {
		ttl = &ms
	}
	switch x.Kind {
	case cache.Set:
		_, err = c.Set(ctx, &cachev1.SetRequest{Namespace: x.Namespace, Key: x.Key, Value: x.Value, TtlMs: ttl})
		return "set " + x.Key, err
	case cache.Delete:
		_, err = c.Delete(ctx, &cachev1.DeleteRequest{Namespace: x.Namespace, Key: x.Key})
		return "deleted " + x.Key, err
	case cache.Touch:
		r, err := c.Touch(ctx, &cachev1.TouchRequest{Namespace: x.Namespace, Key: x.Key, TtlMs: ttl})
		if err == nil && !r.GetFound() {
			return "", prism.New(prism.ReasonNotFound, "the cache does not hold key %q", x.Key)
		}
		return x.Key + " has a new time to live until " + moment(r.GetExpiresAtMs()).Format(time.TimeOnly), err
	}
	return "", prism.New(prism.ReasonUnimplemented, "%s is no change of a cache", x.Kind)
}
