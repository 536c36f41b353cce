package cache_test

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/prism-data-layer/prism/pkg/clock"
	"github.com/prism-data-layer/prism/pkg/data"
	"github.com/prism-data-layer/prism/pkg/data/cache"
	"github.com/prism-data-layer/prism/pkg/driver"
	"github.com/prism-data-layer/prism/pkg/driver/memory"
	"github.com/prism-data-layer/prism/pkg/prism"
	"github.com/prism-data-layer/prism/pkg/wire"
	cachev1 "github.com/prism-data-layer/prism/proto/prism/cache/v1"
)

var (
	sealer = data.NewSealer([]byte("0123456789abcdef0123456789abcdef"))
	began  = time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)
)

// A rig is a cache over the memory driver, less what is to be missing, with the
// time in the test's hands.
type rig struct {
	*cache.Store
	t   *testing.T
	now *clock.Fake
	set driver.Set
}

func newRig(t *testing.T, p cache.Policy, without ...string) *rig {
	t.Helper()
	r := &rig{t: t, now: clock.NewFake(began)}
	set, err := memory.Spec().Open(context.Background(), driver.Config{Name: "m", Clock: r.now, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { set.Store.Close() })
	r.set = set.Without(without...)
	r.Store = cache.New(r.set, "ns", p, sealer, r.now, nil)
	return r
}

func (r *rig) do(op cache.Op) cache.Result {
	r.t.Helper()
	res, err := r.Do(r.t.Context(), &op)
	if err != nil {
		r.t.Fatal(err)
	}
	return res
}

func (r *rig) put(key, value string) {
	r.t.Helper()
	r.do(cache.Op{Kind: cache.OpSet, Key: key, Value: []byte(value)})
}

func (r *rig) get(key string) (string, bool) {
	r.t.Helper()
	e, found, err := r.Get(r.t.Context(), key)
	if err != nil {
		r.t.Fatal(err)
	}
	return string(e.Value), found
}

func wants(t *testing.T, what string, err error, reason prism.Reason, fields ...string) {
	t.Helper()
	e := prism.From(err)
	if e == nil || e.Reason != reason {
		t.Errorf("%s: got %v, want %s", what, err, reason)
		return
	}
	var named []string
	for _, f := range e.Fields {
		named = append(named, f.Field)
	}
	if len(fields) > 0 && !slices.Equal(named, fields) {
		t.Errorf("%s: names %q, want %q", what, named, fields)
	}
}

func TestAnEntryLivesFifteenMinutesUnlessTheNamespaceOrTheCallSaysOther(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		policy cache.Policy
		ask    time.Duration
		want   time.Duration
	}{
		"nothing said":        {cache.Policy{}, 0, 15 * time.Minute},
		"the call":            {cache.Policy{}, time.Hour, time.Hour},
		"the namespace":       {cache.Policy{DefaultTTL: time.Minute}, 0, time.Minute},
		"the call over it":    {cache.Policy{DefaultTTL: time.Minute}, time.Hour, time.Hour},
		"a bound below":       {cache.Policy{MaxTTL: 10 * time.Minute}, 0, 10 * time.Minute},
		"a bound above":       {cache.Policy{MaxTTL: time.Hour}, 0, 15 * time.Minute},
		"the call at a bound": {cache.Policy{MaxTTL: time.Hour}, time.Hour, time.Hour},
	} {
		r := newRig(t, c.policy)
		r.do(cache.Op{Kind: cache.OpSet, Key: "set", TTL: c.ask})
		r.do(cache.Op{Kind: cache.OpIncrement, Key: "count", Delta: 1, TTL: c.ask})
		r.do(cache.Op{Kind: cache.OpSet, Key: "touch", TTL: time.Millisecond})
		if at := r.do(cache.Op{Kind: cache.OpTouch, Key: "touch", TTL: c.ask}).ExpiresAt; !at.Equal(began.Add(c.want)) {
			t.Errorf("%s: Touch gives until %v, want %v", name, at, began.Add(c.want))
		}
		for _, key := range []string{"set", "count", "touch"} {
			if e, _, err := r.Get(t.Context(), key); err != nil || !e.ExpiresAt.Equal(began.Add(c.want)) {
				t.Errorf("%s: %s ends %v, want %v (%v)", name, key, e.ExpiresAt, began.Add(c.want), err)
			}
		}
	}
}

func TestEveryWrongFieldIsNamedAtOnce(t *testing.T) {
	t.Parallel()
	r := newRig(t, cache.Policy{MaxTTL: time.Hour})
	long, big := strings.Repeat("k", prism.MaxKeyBytes+1), make([]byte, prism.MaxValueBytes+1)
	for name, c := range map[string]struct {
		op     cache.Op
		fields []string
	}{
		"no key":     {cache.Op{Kind: cache.OpGet}, []string{"key"}},
		"all wrong":  {cache.Op{Kind: cache.OpSet, Key: long, Value: big, TTL: -1}, []string{"key", "value", "ttl_ms"}},
		"over max":   {cache.Op{Kind: cache.OpTouch, Key: "k", TTL: time.Hour + 1}, []string{"ttl_ms"}},
		"too short":  {cache.Op{Kind: cache.OpIncrement, Key: "k", TTL: 1}, []string{"ttl_ms"}},
		"not UTF-8":  {cache.Op{Kind: cache.OpDelete, Key: "\xff"}, []string{"key"}},
		"no kind":    {cache.Op{Key: "k"}, []string{"op"}},
		"wrong kind": {cache.Op{Kind: cache.OpIncrement + 1, Key: "k"}, []string{"op"}},
	} {
		_, err := r.Do(t.Context(), &c.op)
		wants(t, name, err, prism.ReasonInvalidArgument, c.fields...)
	}
	_, _, err := r.Get(t.Context(), "")
	wants(t, "Get", err, prism.ReasonInvalidArgument, "key")
	_, err = r.GetMulti(t.Context(), make([]string, prism.MaxBatchItems+1))
	wants(t, "GetMulti", err, prism.ReasonInvalidArgument, "keys")
	_, err = r.GetOrLock(t.Context(), "ann", "", -1, cache.MaxHold+1, nil)
	wants(t, "GetOrLock", err, prism.ReasonInvalidArgument, "key", "lock_ms", "wait_ms")
	_, err = newRig(t, cache.Policy{}).Do(t.Context(), &cache.Op{Kind: cache.OpSet, Key: "k", TTL: cache.MaxTTL + 1})
	wants(t, "over ten years", err, prism.ReasonInvalidArgument, "ttl_ms")
}

func TestGetMultiAnswersEachKeyInItsPlace(t *testing.T) {
	t.Parallel()
	r := newRig(t, cache.Policy{})
	r.put("a", "1")
	r.put("c", "3")
	got, err := r.GetMulti(t.Context(), []string{"a", "", "b", "c", "a"})
	if err != nil {
		t.Fatal(err)
	}
	wants(t, "the empty key", got[1].Err, prism.ReasonInvalidArgument, "key")
	for i, want := range map[int]string{0: "1", 2: "", 3: "3", 4: "1"} {
		if string(got[i].Value) != want || got[i].Found != (want != "") || got[i].Err != nil {
			t.Errorf("%d: %+v, want %q", i, got[i], want)
		}
	}
	if s, err := r.Stats(t.Context()); err != nil || s.Hits != 3 || s.Misses != 1 {
		t.Errorf("%+v %v, want 3 hits and a miss", s, err)
	}
}

func TestStatsCountReadsAndOutliveAChangeOfTheNamespace(t *testing.T) {
	t.Parallel()
	r := newRig(t, cache.Policy{})
	if s, err := r.Stats(t.Context()); err != nil || s.HitRatio() != 0 {
		t.Errorf("%+v %v before any read", s, err)
	}
	r.put("k", "v")
	r.get("k")
	r.get("none")
	r.do(cache.Op{Kind: cache.OpGet, Key: "k"})
	r.do(cache.Op{Kind: cache.OpExists, Key: "k"})
	if _, err := r.GetOrLock(t.Context(), "ann", "k", 0, 0, nil); err != nil {
		t.Fatal(err)
	}
	next := cache.New(r.set, "ns", cache.Policy{MaxTTL: time.Hour}, sealer, r.now, r.Store)
	s, err := next.Stats(t.Context())
	if err != nil || s.Hits != 3 || s.Misses != 1 || s.HitRatio() != 0.75 || !s.Bounded || s.Entries != 1 || s.MaxBytes != 64<<20 || s.Bytes == 0 {
		t.Errorf("%+v %v", s, err)
	}
	s, err = newRig(t, cache.Policy{}, "cache_bounded").Stats(t.Context())
	if err != nil || s != (cache.Stats{}) {
		t.Errorf("without a bound: %+v %v", s, err)
	}
}

func TestAnIdempotencyKeyMakesACallHappenOnce(t *testing.T) {
	t.Parallel()
	r := newRig(t, cache.Policy{})
	call := func(principal, key string, retry []byte, delta int64) (cache.Result, error) {
		op := cache.Op{Kind: cache.OpIncrement, Key: "n", Delta: delta}
		if err := cache.Once(&op, principal, key, retry); err != nil {
			return cache.Result{}, err
		}
		return r.Do(t.Context(), &op)
	}
	for i, c := range []struct {
		principal, key string
		retry          []byte
		want           int64
		replayed       bool
	}{
		{"ann", "id", nil, 1, false},
		{"ann", "id", nil, 1, true},
		{"bob", "id", nil, 2, false},
		{"ann", "id 2", nil, 3, false},
		{"ann", "", []byte("retry-id"), 4, false},
		{"ann", "", []byte("retry-id"), 4, true},
		{"ann", "", nil, 5, false},
	} {
		if got, err := call(c.principal, c.key, c.retry, 1); err != nil || got.Number != c.want || got.Replayed != c.replayed {
			t.Errorf("%d: %+v %v, want %d", i, got, err, c.want)
		}
	}
	_, err := call("ann", "id", nil, 2)
	wants(t, "the key with another body", err, prism.ReasonKeyReused)
	_, err = call("ann", strings.Repeat("k", 129), nil, 1)
	wants(t, "a long key", err, prism.ReasonInvalidArgument, "idempotency_key")
	wants(t, "no kind", cache.Once(&cache.Op{Kind: cache.OpIncrement + 1}, "ann", "id", nil), prism.ReasonInvalidArgument, "op")
	read := cache.Op{Kind: cache.OpGet, Key: "n"}
	if err := cache.Once(&read, "ann", "id", nil); err != nil || !read.Receipt.IsZero() {
		t.Errorf("a read gets a receipt: %v", err)
	}
}

// A body that differs in any field is another request.
func TestEveryFieldIsPartOfTheBody(t *testing.T) {
	t.Parallel()
	base := cache.Op{Kind: cache.OpSet, Key: "k", Value: []byte("v"), TTL: time.Minute, If: cache.Absent, Delta: 1, Initial: 2}
	seen := map[[16]byte]string{}
	for name, change := range map[string]func(*cache.Op){
		"nothing": func(*cache.Op) {}, "key": func(o *cache.Op) { o.Key = "l" }, "value": func(o *cache.Op) { o.Value = []byte("w") },
		"ttl": func(o *cache.Op) { o.TTL++ }, "if": func(o *cache.Op) { o.If = cache.Present }, "delta": func(o *cache.Op) { o.Delta++ }, "initial": func(o *cache.Op) { o.Initial++ },
		"cut": func(o *cache.Op) { o.Key, o.Value = "kv", nil },
	} {
		op := base
		change(&op)
		if err := cache.Once(&op, "ann", "id", nil); err != nil {
			t.Fatal(err)
		}
		if was, ok := seen[op.Receipt.Body]; ok {
			t.Errorf("%s and %s have one body", name, was)
		}
		seen[op.Receipt.Body] = name
	}
}

func TestReceiptsAreBoundedAsTheNamespaceSays(t *testing.T) {
	t.Parallel()
	r := newRig(t, cache.Policy{Receipts: 2})
	for _, key := range []string{"1", "2", "3"} {
		op := cache.Op{Kind: cache.OpIncrement, Key: "n", Delta: 1}
		if err := cache.Once(&op, "ann", key, nil); err != nil {
			t.Fatal(err)
		}
		r.do(op)
	}
	if u, err := r.set.Store.Usage(t.Context(), "ns"); err != nil || u.Receipts != 2 {
		t.Errorf("%+v %v, want 2 receipts", u, err)
	}
}

func TestWhatTheBackendLacksIsRefused(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	for capability, calls := range map[string]map[string]func(r *rig) error{
		"cache_basic": {
			"Get":      func(r *rig) error { _, _, err := r.Get(ctx, "k"); return err },
			"Do":       func(r *rig) error { _, err := r.Do(ctx, &cache.Op{Kind: cache.OpSet, Key: "k"}); return err },
			"GetMulti": func(r *rig) error { _, err := r.GetMulti(ctx, []string{"k"}); return err },
			"Stats":    func(r *rig) error { _, err := r.Stats(ctx); return err },
		},
		"cache_lock": {
			"GetOrLock": func(r *rig) error { _, err := r.GetOrLock(ctx, "ann", "k", 0, 0, nil); return err },
			"Fill": func(r *rig) error {
				_, err := r.Fill(ctx, "ann", "lock", &cache.Op{Kind: cache.OpSet, Key: "k"})
				return err
			},
			"Unlock": func(r *rig) error { _, err := r.Unlock(ctx, "ann", "k", "lock"); return err },
		},
	} {
		r := newRig(t, cache.Policy{}, capability)
		for name, call := range calls {
			err := call(r)
			wants(t, name, err, prism.ReasonCapabilityMissing)
			if e := prism.From(err); e != nil && e.Meta["missing"] != capability {
				t.Errorf("%s misses %q, want %q", name, e.Meta["missing"], capability)
			}
		}
	}
}

// The methods need what the proto says, and nothing else does.
func TestTheProtoSaysWhatEachCallNeeds(t *testing.T) {
	t.Parallel()
	needs := map[string]string{}
	fields := map[protoreflect.FullName]string{}
	methods := cachev1.File_prism_cache_v1_cache_proto.Services().Get(0).Methods()
	for i := range methods.Len() {
		m := methods.Get(i)
		needs[string(m.Name())] = wire.Methods()["/prism.cache.v1.CacheService/"+string(m.Name())].Capability
		for j := range m.Input().Fields().Len() {
			if f := m.Input().Fields().Get(j); wire.NeedsOf(f) != "" {
				fields[f.FullName()] = wire.NeedsOf(f)
			}
		}
	}
	for name, capability := range needs {
		want := "cache_basic"
		if name == "GetOrLock" || name == "Unlock" {
			want = "cache_lock"
		}
		if capability != want {
			t.Errorf("%s needs %s, want %s", name, capability, want)
		}
	}
	if len(fields) != 1 || fields["prism.cache.v1.SetRequest.lock"] != "cache_lock" {
		t.Errorf("fields that need more: %v", fields)
	}
}

func TestErrorsOfTheStoreComeThrough(t *testing.T) {
	t.Parallel()
	r := newRig(t, cache.Policy{})
	r.put("word", "v")
	_, err := r.Do(t.Context(), &cache.Op{Kind: cache.OpIncrement, Key: "word", Delta: 1})
	wants(t, "counting a word", err, prism.ReasonNotANumber)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for name, err := range map[string]error{
		"Get": func() error { _, _, err := r.Get(ctx, "k"); return err }(),
		"Do":  func() error { _, err := r.Do(ctx, &cache.Op{Kind: cache.OpDelete, Key: "k"}); return err }(),
		"many": func() error {
			_, err := r.GetMulti(ctx, []string{"k"})
			return err
		}(),
		"lock":  func() error { _, err := r.GetOrLock(ctx, "ann", "k", 0, 0, nil); return err }(),
		"stats": func() error { _, err := r.Stats(ctx); return err }(),
	} {
		if !errors.Is(err, prism.ReasonCancelled) {
			t.Errorf("%s with a context that has ended: %v", name, err)
		}
	}
}
