package client

import (
	"context"
	"iter"

	"github.com/prism-data-layer/prism/pkg/wire"
	commonv1 "github.com/prism-data-layer/prism/proto/prism/common/v1"
	kvv1 "github.com/prism-data-layer/prism/proto/prism/keyvalue/v1"
)

// A Range says which keys a scan walks, and how.
type Range struct {
	Prefix     string
	Start, End string // from start, inclusive, to end, exclusive
	Reverse    bool
	PageItems  int32 // 0: the gateway's default
	PageBytes  int32
	Cursor     string // to go on from an earlier page
}

// A Page is part of a scan; an empty Cursor means that it was the last.
type Page struct {
	Entries []Entry
	Cursor  string
}

// ScanPage returns one page of entries.
func (k *KeyValue) ScanPage(ctx context.Context, r Range) (Page, error) {
	svc := kvv1.NewKeyValueServiceClient(k.c.Conn())
	var page Page
	err := k.c.call(ctx, true, func(ctx context.Context) error {
		a, err := svc.Scan(ctx, &kvv1.ScanRequest{
			Namespace: k.ns, Prefix: r.Prefix, Start: r.Start, End: r.End, Reverse: r.Reverse,
			Limit: r.PageItems, MaxBytes: r.PageBytes, Cursor: r.Cursor,
		})
		page = Page{Cursor: a.GetCursor(), Entries: make([]Entry, 0, len(a.GetEntries()))}
		for _, e := range a.GetEntries() {
			page.Entries = append(page.Entries, Entry{Key: e.Key, Value: e.Value, Size: int64(len(e.Value)), Version: e.Version, ExpiresAt: timeOf(e.ExpiresAtMs)})
		}
		return err
	})
	return page, err
}

// KeysPage returns one page of keys, without their values.
func (k *KeyValue) KeysPage(ctx context.Context, r Range) (Page, error) {
	svc := kvv1.NewKeyValueServiceClient(k.c.Conn())
	var page Page
	err := k.c.call(ctx, true, func(ctx context.Context) error {
		a, err := svc.ScanKeys(ctx, &kvv1.ScanKeysRequest{
			Namespace: k.ns, Prefix: r.Prefix, Start: r.Start, End: r.End, Reverse: r.Reverse,
			Limit: r.PageItems, MaxBytes: r.PageBytes, Cursor: r.Cursor,
		})
		page = Page{Cursor: a.GetCursor(), Entries: make([]Entry, 0, len(a.GetKeys()))}
		for _, e := range a.GetKeys() {
			page.Entries = append(page.Entries, Entry{Key: e.Key, Size: e.SizeBytes, Version: e.Version, ExpiresAt: timeOf(e.ExpiresAtMs)})
		}
		return err
	})
	return page, err
}

// Scan walks all entries of a range, page by page. After an error the walk is
// over.
func (k *KeyValue) Scan(ctx context.Context, r Range) iter.Seq2[Entry, error] {
	return walk(ctx, r, k.ScanPage)
}

// Keys walks all keys of a range.
func (k *KeyValue) Keys(ctx context.Context, r Range) iter.Seq2[Entry, error] {
	return walk(ctx, r, k.KeysPage)
}

func walk(ctx context.Context, r Range, page func(context.Context, Range) (Page, error)) iter.Seq2[Entry, error] {
	return func(yield func(Entry, error) bool) {
		for {
			p, err := page(ctx, r)
			if err != nil {
				yield(Entry{}, err)
				return
			}
			for _, e := range p.Entries {
				if !yield(e, nil) {
					return
				}
			}
			if p.Cursor == "" {
				return
			}
			r.Cursor = p.Cursor
		}
	}
}

// Count counts the keys of a range.
func (k *KeyValue) Count(ctx context.Context, r Range) (int64, error) {
	svc := kvv1.NewKeyValueServiceClient(k.c.Conn())
	var n int64
	err := k.c.call(ctx, true, func(ctx context.Context) error {
		a, err := svc.Count(ctx, &kvv1.CountRequest{Namespace: k.ns, Prefix: r.Prefix, Start: r.Start, End: r.End})
		n = a.GetCount()
		return err
	})
	return n, err
}

// A Result is the answer of one item of a batch; Err is nil or a *prism.Error.
type Result struct {
	Entry   Entry // BatchGet
	Version uint64
	Found   bool
	Err     error
}

// BatchGet reads many keys; results stand in their order, NOT_FOUND for those
// that are not there.
func (k *KeyValue) BatchGet(ctx context.Context, keys ...string) ([]Result, error) {
	svc := kvv1.NewKeyValueServiceClient(k.c.Conn())
	var results []Result
	err := k.c.call(ctx, true, func(ctx context.Context) error {
		a, err := svc.BatchGet(ctx, &kvv1.BatchGetRequest{Namespace: k.ns, Keys: keys})
		results = make([]Result, len(a.GetResults()))
		for i, item := range a.GetResults() {
			if e := item.GetError(); e != nil {
				results[i].Err = wire.FromItem(e)
				continue
			}
			g := item.GetEntry()
			results[i] = Result{Entry: Entry{Key: keys[i], Value: g.Value, Version: g.Version, ExpiresAt: timeOf(g.ExpiresAtMs)}, Version: g.Version, Found: true}
		}
		return err
	})
	return results, err
}

// An Item is one write of a batch.
type Item struct {
	Key   string
	Value []byte
	Opts  []WriteOption
}

// BatchSet writes many keys, each with a result of its own. Sending it again
// is safe: items without an idempotency key get one of the client's.
func (k *KeyValue) BatchSet(ctx context.Context, items ...Item) ([]Result, error) {
	svc := kvv1.NewKeyValueServiceClient(k.c.Conn())
	req := &kvv1.BatchSetRequest{Namespace: k.ns, Items: make([]*kvv1.SetRequest, len(items))}
	for i, item := range items {
		w := k.keyed(item.Opts)
		req.Items[i] = &kvv1.SetRequest{
			Key: item.Key, Value: item.Value, TtlMs: w.ttlMs, KeepTtl: w.keepTTL,
			CreateOnly: w.createOnly, IfVersion: w.ifVersion, IdempotencyKey: w.key,
		}
	}
	var results []Result
	err := k.c.call(ctx, true, func(ctx context.Context) error {
		a, err := svc.BatchSet(ctx, req)
		results = make([]Result, len(a.GetResults()))
		for i, item := range a.GetResults() {
			results[i] = Result{Version: item.GetSet().GetVersion(), Err: itemError(item.GetError())}
		}
		return err
	})
	return results, err
}

// BatchDelete removes many keys, each with a result of its own.
func (k *KeyValue) BatchDelete(ctx context.Context, keys ...string) ([]Result, error) {
	svc := kvv1.NewKeyValueServiceClient(k.c.Conn())
	req := &kvv1.BatchDeleteRequest{Namespace: k.ns, Items: make([]*kvv1.DeleteRequest, len(keys))}
	for i, key := range keys {
		req.Items[i] = &kvv1.DeleteRequest{Key: key, IdempotencyKey: k.keyed(nil).key}
	}
	var results []Result
	err := k.c.call(ctx, true, func(ctx context.Context) error {
		a, err := svc.BatchDelete(ctx, req)
		results = make([]Result, len(a.GetResults()))
		for i, item := range a.GetResults() {
			results[i] = Result{Found: item.GetDeleted().GetFound(), Version: item.GetDeleted().GetVersion(), Err: itemError(item.GetError())}
		}
		return err
	})
	return results, err
}

// keyed gives a write an idempotency key of the client's if it has none.
func (k *KeyValue) keyed(opts []WriteOption) write {
	w := writeOf(opts)
	if w.key == "" {
		w.key = "prism-go-" + hexOf(k.c.ids.next())
	}
	return w
}

// itemError keeps a nil error nil.
func itemError(item *commonv1.Error) error {
	if item == nil {
		return nil
	}
	return wire.FromItem(item)
}
