package client_test

import (
	"context"
	"testing"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/prism-data-layer/prism/pkg/client"
	"github.com/prism-data-layer/prism/pkg/clock"
	"github.com/prism-data-layer/prism/pkg/driver"
	"github.com/prism-data-layer/prism/pkg/driver/drivertest"
	"github.com/prism-data-layer/prism/pkg/prism"
	cachev1 "github.com/prism-data-layer/prism/proto/prism/cache/v1"
	kvv1 "github.com/prism-data-layer/prism/proto/prism/keyvalue/v1"
	"github.com/prism-data-layer/prism/test/harness"
	"github.com/prism-data-layer/prism/test/wire"
)

// TestPromisesOverTheSDK holds the contract of drivers through the SDK: its
// coalescing, retries and resumption must not be seen. Commit goes over the
// bare stub, as the SDK's Transaction chooses its idempotency key itself.
func TestPromisesOverTheSDK(t *testing.T) {
	t.Parallel()
	drivertest.Run(t, wire.Harness("pebble over the SDK", "pebble", true, overSDK))
}

// The same of caches: an operation alone by the SDK, more in a frame of a bare stub.
func TestCachePromisesOverTheSDK(t *testing.T) {
	t.Parallel()
	drivertest.Run(t, wire.Harness("pebble's caches over the SDK", "pebble", true, cacheOverSDK))
}

func cacheOverSDK(t drivertest.TB, g *harness.Gateway, now *clock.Fake) wire.Calls {
	c, err := client.Dial(g.Addr("data"), client.WithFailFast())
	if err != nil {
		t.Fatalf("dial: %v", err)
	}
	t.Cleanup(func() { _ = c.Close() })
	s := wire.NewCacheStub(g.Dial(t, "data"), now.Now, wire.Bounds(t, g))
	s.Via = func(ctx context.Context, ns string, op *cachev1.PipelineOp) (*cachev1.PipelineResult, error) {
		return c.Cache(ns).Do(ctx, op, wantsID(op))
	}
	return wire.Calls{Set: driver.Set{Cache: s}, Model: "cache", DefaultTTL: wire.Always, Dropped: s.Dropped, OwnReceipts: true}
}

func overSDK(t drivertest.TB, g *harness.Gateway, now *clock.Fake) wire.Calls {
	c, err := client.Dial(g.Addr("data"), client.WithFailFast())
	if err != nil {
		t.Fatalf("dial: %v", err)
	}
	t.Cleanup(func() { _ = c.Close() })
	s := &sdk{Stub: wire.NewStub(g.Dial(t, "data"), now.Now, wire.Bounds(t, g)), c: c}
	s.Via = func(ctx context.Context, ns string, op *kvv1.PipelineOp) (*kvv1.PipelineResult, error) {
		return c.KeyValue(ns).Do(ctx, op, wantsID(op))
	}
	return wire.Calls{Set: driver.Fill(driver.Info{}, nil, s), OwnReceipts: true}
}

// wantsID reports whether op is a mutation without a key of its caller's.
func wantsID(op proto.Message) bool {
	wants := false
	op.ProtoReflect().Range(func(f protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		if f.ContainingOneof() == nil || f.Message() == nil {
			return true
		}
		if key := f.Message().Fields().ByName("idempotency_key"); key != nil {
			wants = v.Message().Get(key).String() == ""
		}
		return true
	})
	return wants
}

type sdk struct {
	*wire.Stub
	c *client.Client
}

func (s *sdk) Scan(ctx context.Context, ns prism.Namespace, q driver.Query, token []byte) (driver.Page, error) {
	page := s.c.KeyValue(string(ns)).ScanPage
	if q.KeysOnly {
		page = s.c.KeyValue(string(ns)).KeysPage
	}
	p, err := page(ctx, client.Range{
		Prefix: q.Prefix, Start: q.Start, End: q.End, Reverse: q.Reverse,
		PageItems: int32(q.Limit), PageBytes: int32(q.MaxBytes), Cursor: string(token),
	})
	if err != nil {
		return driver.Page{}, wire.Inverted(q, err)
	}
	var out driver.Page
	for _, e := range p.Entries {
		out.Entries = append(out.Entries, driver.Entry{Key: e.Key, Value: e.Value, Size: int(e.Size), Version: e.Version, ExpiresAt: e.ExpiresAt})
	}
	if p.Cursor != "" {
		out.Next = []byte(p.Cursor)
	}
	return out, nil
}

func (s *sdk) Count(ctx context.Context, ns prism.Namespace, q driver.Query) (int64, error) {
	n, err := s.c.KeyValue(string(ns)).Count(ctx, client.Range{Prefix: q.Prefix, Start: q.Start, End: q.End})
	return n, wire.Inverted(q, err)
}

func (s *sdk) First(ctx context.Context, ns prism.Namespace, q driver.Query) (driver.Entry, bool, error) {
	q.Limit = 1
	p, err := s.Scan(ctx, ns, q, nil)
	if err != nil || len(p.Entries) == 0 {
		return driver.Entry{}, false, err
	}
	return p.Entries[0], true, nil
}

// Batch takes the SDK's batch calls for what they offer.
func (s *sdk) Batch(ctx context.Context, ns prism.Namespace, ops []driver.Op, results []driver.Result) error {
	kinds := map[driver.OpKind]bool{}
	receipts := false
	for _, op := range ops {
		kinds[op.Kind] = true
		receipts = receipts || !op.Receipt.IsZero()
	}
	kv := s.c.KeyValue(string(ns))
	var answers []client.Result
	var err error
	switch {
	case len(kinds) == 1 && kinds[driver.OpGet]:
		keys := make([]string, len(ops))
		for i, op := range ops {
			keys[i] = op.Key
		}
		answers, err = kv.BatchGet(ctx, keys...)
	case len(kinds) == 1 && kinds[driver.OpSet] && !receipts:
		items := make([]client.Item, len(ops))
		for i, op := range ops {
			items[i] = client.Item{Key: op.Key, Value: op.Value}
			if op.Options.TTL > 0 {
				items[i].Opts = append(items[i].Opts, client.TTL(op.Options.TTL))
			}
			if op.Options.KeepTTL {
				items[i].Opts = append(items[i].Opts, client.KeepTTL())
			}
		}
		answers, err = kv.BatchSet(ctx, items...)
	case len(kinds) == 1 && kinds[driver.OpDelete] && !receipts:
		keys := make([]string, len(ops))
		for i, op := range ops {
			keys[i] = op.Key
		}
		answers, err = kv.BatchDelete(ctx, keys...)
	default:
		return s.Stub.Batch(ctx, ns, ops, results)
	}
	for i, a := range answers {
		results[i] = driver.Result{Found: a.Found, Version: a.Version, Value: a.Entry.Value, ExpiresAt: a.Entry.ExpiresAt, Err: a.Err}
	}
	if err == nil {
		s.Batched(ns, ops, results)
	}
	return err
}

func (s *sdk) Watch(_ context.Context, ns prism.Namespace, prefix string, after driver.Position) (driver.Watcher, error) {
	ctx, cancel := context.WithCancel(context.Background())
	w, err := s.c.KeyValue(string(ns)).Watch(ctx, client.WatchOptions{Prefix: prefix, Position: string(after)})
	if err != nil {
		cancel()
		return nil, err
	}
	out := &sdkWatch{cancel: cancel, done: ctx.Done(), next: make(chan sdkChanges)}
	first := sdkChanges{position: w.Position()}
	go func() {
		for got := first; ; {
			select {
			case out.next <- got:
			case <-ctx.Done():
				return
			}
			if got.err != nil {
				return
			}
			changes, err := w.Next()
			got = sdkChanges{changes, w.Position(), err}
		}
	}()
	return out, nil
}

type sdkChanges struct {
	changes  []client.Change
	position string
	err      error
}

type sdkWatch struct {
	cancel context.CancelFunc
	done   <-chan struct{}
	next   chan sdkChanges
	err    error
}

func (w *sdkWatch) Next(ctx context.Context) (driver.Changes, error) {
	if w.err != nil {
		return driver.Changes{}, w.err
	}
	if err := ctx.Err(); err != nil { // even if something is ready
		return driver.Changes{}, prism.From(err)
	}
	select {
	case got := <-w.next:
		if w.err = got.err; w.err != nil {
			return driver.Changes{}, w.err
		}
		out := driver.Changes{Position: driver.Position(got.position)}
		for _, c := range got.changes {
			out.Changes = append(out.Changes, driver.Change{Kind: driver.ChangeKind(c.Kind), Key: c.Key, Version: c.Version, Previous: c.Previous, Time: c.Time})
		}
		return out, nil
	case <-ctx.Done():
		return driver.Changes{}, prism.From(ctx.Err())
	case <-w.done:
		return driver.Changes{}, prism.New(prism.ReasonCancelled, "the watch is closed")
	}
}

func (w *sdkWatch) Close() error {
	w.cancel()
	return nil
}
