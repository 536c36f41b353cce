package clitest

import (
	"context"
	"slices"
	"sort"
	"strings"
	"time"

	"google.golang.org/grpc"

	"github.com/prism-data-layer/prism/pkg/prism"
	"github.com/prism-data-layer/prism/pkg/wire"
	keyvaluev1 "github.com/prism-data-layer/prism/proto/prism/keyvalue/v1"
)

func (g *Gateway) space(ns string) (map[string]*keyvaluev1.Entry, error) {
	m, ok := g.data[ns]
	if !ok {
		return nil, prism.NotFound("namespace", ns).WithMeta("kind", "namespace")
	}
	return m, nil
}

// Get and the calls below answer as the key-value API would.
func (g *Gateway) Get(_ context.Context, r *keyvaluev1.GetRequest) (*keyvaluev1.GetResponse, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	m, err := g.space(r.Namespace)
	if err != nil {
		return nil, err
	}
	if err := prism.CheckKey("key", r.Key); err != nil {
		return nil, err
	}
	e, ok := m[r.Key]
	if !ok {
		return nil, prism.NotFound("key", r.Key)
	}
	return &keyvaluev1.GetResponse{Value: e.Value, Version: e.Version, ExpiresAtMs: e.ExpiresAtMs}, nil
}

func (g *Gateway) Set(_ context.Context, r *keyvaluev1.SetRequest) (*keyvaluev1.SetResponse, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.set(r.Namespace, r)
}

func (g *Gateway) set(ns string, r *keyvaluev1.SetRequest) (*keyvaluev1.SetResponse, error) {
	m, err := g.space(ns)
	if err != nil {
		return nil, err
	}
	if err := prism.CheckKey("key", r.Key); err != nil {
		return nil, err
	}
	old, there := m[r.Key]
	switch {
	case r.CreateOnly && there:
		return nil, prism.New(prism.ReasonAlreadyExists, "key %q is there already", r.Key)
	case r.IfVersion != nil && (!there || old.Version != *r.IfVersion):
		return nil, prism.New(prism.ReasonVersionMismatch, "key %q has another version", r.Key).WithMeta("current_version", "101")
	}
	e := &keyvaluev1.Entry{Key: r.Key, Value: r.Value}
	if r.TtlMs != nil {
		at := g.now.UnixMilli() + *r.TtlMs
		e.ExpiresAtMs = &at
	}
	return &keyvaluev1.SetResponse{Version: g.put(ns, e)}, nil
}

func (g *Gateway) Delete(_ context.Context, r *keyvaluev1.DeleteRequest) (*keyvaluev1.DeleteResponse, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	m, err := g.space(r.Namespace)
	if err != nil {
		return nil, err
	}
	if _, ok := m[r.Key]; !ok {
		return &keyvaluev1.DeleteResponse{}, nil
	}
	delete(m, r.Key)
	g.version++
	return &keyvaluev1.DeleteResponse{Found: true, Version: g.version}, nil
}

func (g *Gateway) Scan(_ context.Context, r *keyvaluev1.ScanRequest) (*keyvaluev1.ScanResponse, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	m, err := g.space(r.Namespace)
	if err != nil {
		return nil, err
	}
	var keys []string
	for k := range m {
		if strings.HasPrefix(k, r.Prefix) && k >= r.Start && (r.End == "" || k < r.End) {
			keys = append(keys, k)
		}
	}
	sort.Strings(keys)
	if r.Reverse {
		slices.Reverse(keys)
	}
	keys, next := page(keys, r.Limit, r.Cursor)
	out := &keyvaluev1.ScanResponse{Cursor: next}
	for _, k := range keys {
		out.Entries = append(out.Entries, m[k])
	}
	return out, nil
}

func (g *Gateway) ScanKeys(ctx context.Context, r *keyvaluev1.ScanKeysRequest) (*keyvaluev1.ScanKeysResponse, error) {
	page, err := g.Scan(ctx, &keyvaluev1.ScanRequest{Namespace: r.Namespace, Prefix: r.Prefix, Start: r.Start, End: r.End, Reverse: r.Reverse, Limit: r.Limit, Cursor: r.Cursor})
	if err != nil {
		return nil, err
	}
	out := &keyvaluev1.ScanKeysResponse{Cursor: page.Cursor}
	for _, e := range page.Entries {
		out.Keys = append(out.Keys, &keyvaluev1.KeyInfo{Key: e.Key, Version: e.Version, SizeBytes: int64(len(e.Value)), ExpiresAtMs: e.ExpiresAtMs})
	}
	return out, nil
}

func (g *Gateway) BatchSet(_ context.Context, r *keyvaluev1.BatchSetRequest) (*keyvaluev1.BatchSetResponse, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if _, err := g.space(r.Namespace); err != nil {
		return nil, err
	}
	out := &keyvaluev1.BatchSetResponse{}
	for _, item := range r.Items {
		done, err := g.set(r.Namespace, item)
		if err != nil {
			out.Results = append(out.Results, &keyvaluev1.SetResult{Result: &keyvaluev1.SetResult_Error{Error: wire.ToItem(prism.From(err))}})
			continue
		}
		out.Results = append(out.Results, &keyvaluev1.SetResult{Result: &keyvaluev1.SetResult_Set{Set: done}})
	}
	return out, nil
}

func (g *Gateway) Watch(r *keyvaluev1.WatchRequest, s grpc.ServerStreamingServer[keyvaluev1.WatchResponse]) error {
	g.mu.Lock()
	answer := g.OnWatch
	_, err := g.space(r.Namespace)
	g.mu.Unlock()
	if err != nil {
		return failed(err)
	}
	if answer != nil {
		return answer(r, s)
	}
	c := &keyvaluev1.Change{Kind: keyvaluev1.ChangeKind_CHANGE_KIND_SET, Key: r.Prefix + "a", Version: 7, PreviousVersion: 3, TimeMs: g.ago(time.Second)}
	if r.IncludeValues {
		c.Value = []byte("one")
	}
	d := &keyvaluev1.Change{Kind: keyvaluev1.ChangeKind_CHANGE_KIND_DELETE, Key: r.Prefix + "b", Version: 8, PreviousVersion: 7, TimeMs: g.ago(0)}
	for range 10 {
		if err := s.Send(&keyvaluev1.WatchResponse{Changes: []*keyvaluev1.Change{c, d}, Position: "p-8"}); err != nil {
			return err
		}
	}
	return nil
}

func (g *Gateway) Expire(_ context.Context, r *keyvaluev1.ExpireRequest) (*keyvaluev1.ExpireResponse, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	m, err := g.space(r.Namespace)
	if err != nil {
		return nil, err
	}
	e, ok := m[r.Key]
	if !ok {
		return nil, prism.NotFound("key", r.Key)
	}
	at := g.now.UnixMilli() + r.TtlMs
	e.ExpiresAtMs = &at
	return &keyvaluev1.ExpireResponse{ExpiresAtMs: at}, nil
}

func (g *Gateway) Persist(_ context.Context, r *keyvaluev1.PersistRequest) (*keyvaluev1.PersistResponse, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	m, err := g.space(r.Namespace)
	if err != nil {
		return nil, err
	}
	e, ok := m[r.Key]
	if !ok {
		return nil, prism.NotFound("key", r.Key)
	}
	removed := e.ExpiresAtMs != nil
	e.ExpiresAtMs = nil
	return &keyvaluev1.PersistResponse{Removed: removed}, nil
}
