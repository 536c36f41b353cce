package gateway_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"

	"github.com/prism-data-layer/prism/pkg/prism"
	"github.com/prism-data-layer/prism/pkg/wire"
	cachev1 "github.com/prism-data-layer/prism/proto/prism/cache/v1"
	kvv1 "github.com/prism-data-layer/prism/proto/prism/keyvalue/v1"
	"github.com/prism-data-layer/prism/test/harness"
)

// cached is a gateway with a cache in memory, one on disk, and one with times of
// its own.
const cached = `apiVersion: prism/v1
auth: {mode: off}
backends:
  - {name: volatile, driver: memory}
  - {name: local, driver: pebble, options: {memtable: 1MiB, cache: 1MiB}}
namespaces:
  - {name: mem, model: keyvalue, backend: volatile, access: {owners: ["user:dev"]}}
  - {name: cache, model: cache, backend: volatile, access: {owners: ["user:dev"]}}
  - {name: disk, model: cache, backend: local, access: {owners: ["user:dev"]}}
  - {name: short, model: cache, backend: volatile, default_ttl: 1m, max_ttl: 2m, access: {owners: ["user:dev"]}}
drain: {timeout: 5s}
`

func startCache(t *testing.T, o harness.Options) (*harness.Gateway, cachev1.CacheServiceClient, context.Context) {
	t.Helper()
	if o.File == "" {
		o.File = cached
	}
	g := harness.Start(t, o)
	return g, g.Cache(t), harness.Context(t)
}

func cacheSet(t *testing.T, c cachev1.CacheServiceClient, r *cachev1.SetRequest) bool {
	t.Helper()
	resp, err := c.Set(t.Context(), r)
	if err != nil {
		t.Fatalf("set %q in %s: %v", r.Key, r.Namespace, err)
	}
	return resp.Applied
}

// Every backend means the same.
func TestACacheOnEveryBackend(t *testing.T) {
	t.Parallel()
	_, c, ctx := startCache(t, harness.Options{})
	for _, ns := range []string{"cache", "disk"} {
		began := time.Now()
		if !cacheSet(t, c, &cachev1.SetRequest{Namespace: ns, Key: "k", Value: []byte("v")}) {
			t.Errorf("%s: Set did not apply", ns)
		}
		got := must[*cachev1.GetResponse](t)(c.Get(ctx, &cachev1.GetRequest{Namespace: ns, Key: "k"}))
		if ttl := time.UnixMilli(got.GetExpiresAtMs()).Sub(began); !got.Found || string(got.Value) != "v" || ttl < 15*time.Minute-time.Second || ttl > 16*time.Minute {
			t.Errorf("%s: Get is %v, an end in %v", ns, got, ttl)
		}
		missing := must[*cachev1.GetResponse](t)(c.Get(ctx, &cachev1.GetRequest{Namespace: ns, Key: "none"}))
		if missing.Found || missing.Value != nil || missing.ExpiresAtMs != nil {
			t.Errorf("%s: a missing entry is %v", ns, missing)
		}
		if cacheSet(t, c, &cachev1.SetRequest{Namespace: ns, Key: "k", IfAbsent: true}) {
			t.Errorf("%s: NX applied to an entry", ns)
		}
		if cacheSet(t, c, &cachev1.SetRequest{Namespace: ns, Key: "none", IfPresent: true}) {
			t.Errorf("%s: XX applied to a missing entry", ns)
		}
		hour := time.Hour.Milliseconds()
		touched := must[*cachev1.TouchResponse](t)(c.Touch(ctx, &cachev1.TouchRequest{Namespace: ns, Key: "k", TtlMs: &hour}))
		if ttl := time.UnixMilli(touched.GetExpiresAtMs()).Sub(began); !touched.Found || ttl < time.Hour-time.Second || ttl > time.Hour+time.Minute {
			t.Errorf("%s: Touch is %v, an end in %v", ns, touched, ttl)
		}
		for want := int64(11); want < 14; want++ {
			if n := must[*cachev1.IncrementResponse](t)(c.Increment(ctx, &cachev1.IncrementRequest{Namespace: ns, Key: "n", Delta: 1, Initial: 10})); n.Value != want {
				t.Errorf("%s: Increment is %d, want %d", ns, n.Value, want)
			}
		}
		many := must[*cachev1.GetMultiResponse](t)(c.GetMulti(ctx, &cachev1.GetMultiRequest{Namespace: ns, Keys: []string{"n", "none", "", "k"}}))
		var got4 []string
		for _, e := range many.Entries {
			got4 = append(got4, fmt.Sprintf("%v %s %s", e.Found, e.Value, e.Error.GetReason()))
		}
		if want := []string{"true 13 ", "false  ", "false  INVALID_ARGUMENT", "true v "}; !slices.Equal(got4, want) {
			t.Errorf("%s: GetMulti is %q, want %q", ns, got4, want)
		}
		for _, found := range []bool{true, false} {
			if e := must[*cachev1.ExistsResponse](t)(c.Exists(ctx, &cachev1.ExistsRequest{Namespace: ns, Key: "k"})); e.Exists != found {
				t.Errorf("%s: Exists is %v, want %v", ns, e.Exists, found)
			}
			if d := must[*cachev1.DeleteResponse](t)(c.Delete(ctx, &cachev1.DeleteRequest{Namespace: ns, Key: "k"})); d.Found != found {
				t.Errorf("%s: Delete found %v, want %v", ns, d.Found, found)
			}
		}
	}
}

func TestGetMultiSaysWhatDidNotFit(t *testing.T) {
	t.Parallel()
	_, c, ctx := startCache(t, harness.Options{})
	big := strings.Repeat("x", prism.MaxValueBytes)
	var keys []string
	for i := range 6 {
		key := fmt.Sprint(i)
		keys = append(keys, key)
		cacheSet(t, c, &cachev1.SetRequest{Namespace: "cache", Key: key, Value: []byte(big)})
	}
	cacheSet(t, c, &cachev1.SetRequest{Namespace: "cache", Key: "small", Value: []byte("v")})
	r := must[*cachev1.GetMultiResponse](t)(c.GetMulti(ctx, &cachev1.GetMultiRequest{Namespace: "cache", Keys: append(keys, "small")}))
	for i, e := range r.Entries {
		whole := i < 3 || i == 6 // 4 MiB less a little
		if !e.Found || e.Truncated == whole || whole == (len(e.Value) == 0) {
			t.Errorf("entry %d: found %v, truncated %v, %d bytes", i, e.Found, e.Truncated, len(e.Value))
		}
	}
}

func TestTheCachesErrors(t *testing.T) {
	t.Parallel()
	_, c, ctx := startCache(t, harness.Options{})
	cacheSet(t, c, &cachev1.SetRequest{Namespace: "cache", Key: "word", Value: []byte("v")})
	three := (3 * time.Minute).Milliseconds()
	set := func(r *cachev1.SetRequest) func() error {
		return func() error { _, err := c.Set(ctx, r); return err }
	}
	for what, x := range map[string]struct {
		call   func() error
		code   codes.Code
		reason prism.Reason
		fields []string
	}{
		"two conditions":                {set(&cachev1.SetRequest{Namespace: "cache", Key: "k", IfAbsent: true, IfPresent: true}), codes.InvalidArgument, prism.ReasonInvalidArgument, []string{"if_present"}},
		"a lock and a condition":        {set(&cachev1.SetRequest{Namespace: "cache", Key: "k", IfAbsent: true, Lock: "x"}), codes.InvalidArgument, prism.ReasonInvalidArgument, []string{"lock"}},
		"a lock and an idempotency key": {set(&cachev1.SetRequest{Namespace: "cache", Key: "k", IdempotencyKey: "id", Lock: "x"}), codes.InvalidArgument, prism.ReasonInvalidArgument, []string{"idempotency_key"}},
		"a lock of nobody":              {set(&cachev1.SetRequest{Namespace: "cache", Key: "k", Lock: "x"}), codes.InvalidArgument, prism.ReasonInvalidArgument, []string{"lock"}},
		"a long lock":                   {set(&cachev1.SetRequest{Namespace: "cache", Key: "k", Lock: strings.Repeat("x", 4097)}), codes.InvalidArgument, prism.ReasonInvalidArgument, []string{"lock"}},
		"two wrong fields":              {set(&cachev1.SetRequest{Namespace: "cache", Value: make([]byte, prism.MaxValueBytes+1)}), codes.InvalidArgument, prism.ReasonInvalidArgument, []string{"key", "value"}},
		"longer than max_ttl":           {set(&cachev1.SetRequest{Namespace: "short", Key: "k", TtlMs: &three}), codes.InvalidArgument, prism.ReasonInvalidArgument, []string{"ttl_ms"}},
		"a namespace of another model":  {set(&cachev1.SetRequest{Namespace: "mem", Key: "k"}), codes.Unimplemented, prism.ReasonCapabilityMissing, nil},
		"no namespace":                  {set(&cachev1.SetRequest{Namespace: "none", Key: "k"}), codes.NotFound, prism.ReasonNotFound, nil},
		"counting a word": {func() error {
			_, err := c.Increment(ctx, &cachev1.IncrementRequest{Namespace: "cache", Key: "word", Delta: 1})
			return err
		}, codes.FailedPrecondition, prism.ReasonNotANumber, nil},
		"an overflow": {func() error {
			_, err := c.Increment(ctx, &cachev1.IncrementRequest{Namespace: "cache", Key: "n", Delta: 1, Initial: 1<<63 - 1})
			return err
		}, codes.OutOfRange, prism.ReasonOverflow, nil},
		"two wrong times": {func() error {
			_, err := c.GetOrLock(ctx, &cachev1.GetOrLockRequest{Namespace: "cache", Key: "k", LockMs: -1, WaitMs: 1 << 62})
			return err
		}, codes.InvalidArgument, prism.ReasonInvalidArgument, []string{"lock_ms", "wait_ms"}},
	} {
		want(t, what, x.call(), x.code, x.reason, x.fields...)
	}
}

func TestCachesWithoutLocksOrBoundsSaySo(t *testing.T) {
	t.Parallel()
	_, c, ctx := startCache(t, harness.Options{File: harness.Models, Drivers: harness.Lacking("cache_lock", "cache_bounded")})
	_, err := c.GetOrLock(ctx, &cachev1.GetOrLockRequest{Namespace: "cache", Key: "k"})
	o := want(t, "GetOrLock", err, codes.Unimplemented, prism.ReasonCapabilityMissing)
	if m := o.Info.GetMetadata(); m["missing"] != "cache_lock" || m["capabilities"] != "cache_basic" {
		t.Errorf("ErrorInfo is %v", o.Info)
	}
	_, err = c.Unlock(ctx, &cachev1.UnlockRequest{Namespace: "cache", Key: "k", Lock: "x"})
	want(t, "Unlock", err, codes.Unimplemented, prism.ReasonCapabilityMissing)
	_, err = c.Set(ctx, &cachev1.SetRequest{Namespace: "cache", Key: "k", Lock: "x"})
	want(t, "a Set with a lock", err, codes.Unimplemented, prism.ReasonCapabilityMissing)
	s := must[*cachev1.GetStatsResponse](t)(c.GetStats(ctx, &cachev1.GetStatsRequest{Namespace: "cache"}))
	if s.Entries != nil || s.SizeBytes != nil || s.MaxSizeBytes != nil || s.Evictions != nil {
		t.Errorf("stats of a cache without a bound: %v", s)
	}
}

func TestACacheMutationHappensOnce(t *testing.T) {
	t.Parallel()
	_, c, ctx := startCache(t, harness.Options{})
	for _, ns := range []string{"cache", "disk"} {
		inc := func(ctx context.Context, key string, delta int64) (int64, error) {
			r, err := c.Increment(ctx, &cachev1.IncrementRequest{Namespace: ns, Key: "n", Delta: delta, IdempotencyKey: key})
			return r.GetValue(), err
		}
		for range 3 {
			if n := must[int64](t)(inc(ctx, "id", 1)); n != 1 {
				t.Errorf("%s: with a key it counts %d", ns, n)
			}
		}
		_, err := inc(ctx, "id", 2)
		want(t, ns+": the key with another body", err, codes.InvalidArgument, prism.ReasonKeyReused)
		retry := metadata.AppendToOutgoingContext(ctx, wire.RetryID, "00ff")
		for range 3 {
			if n := must[int64](t)(inc(retry, "", 1)); n != 2 {
				t.Errorf("%s: with a retry id it counts %d", ns, n)
			}
		}
		_, err = inc(metadata.AppendToOutgoingContext(ctx, wire.RetryID, "zz"), "", 1)
		want(t, ns+": a retry id that is none", err, codes.InvalidArgument, prism.ReasonInvalidArgument, wire.RetryID)
	}
}

// 100 misses at once compute the value once.
func TestAStampedeComputesOnce(t *testing.T) {
	t.Parallel()
	_, c, ctx := startCache(t, harness.Options{})
	for _, ns := range []string{"cache", "disk"} {
		computed := make(chan int, 100)
		values := make(chan string, 100)
		for i := range 100 {
			go func() {
				for {
					r, err := c.GetOrLock(ctx, &cachev1.GetOrLockRequest{Namespace: ns, Key: "hot", LockMs: 20_000, WaitMs: 20_000})
					if err != nil {
						values <- err.Error()
						return
					}
					if e := r.GetEntry(); e != nil {
						values <- string(e.Value)
						return
					}
					if lock := r.GetLock(); lock != "" {
						computed <- i
						if s, err := c.Set(ctx, &cachev1.SetRequest{Namespace: ns, Key: "hot", Value: []byte("value"), Lock: lock}); err != nil || !s.Applied {
							values <- fmt.Sprintf("the fill: %v %v", s, err)
							return
						}
					}
				}
			}()
		}
		for range 100 {
			if v := <-values; v != "value" {
				t.Errorf("%s: a caller got %q", ns, v)
			}
		}
		if n := len(computed); n != 1 {
			t.Errorf("%s: %d callers computed it", ns, n)
		}
	}
}

func TestALockIsOfItsPrincipal(t *testing.T) {
	t.Parallel()
	g, c, _ := startCache(t, harness.Options{File: `apiVersion: prism/v1
auth: {mode: required}
backends:
  - {name: volatile, driver: memory}
namespaces:
  - {name: cache, model: cache, backend: volatile, access: {owners: ["service:a", "service:b"]}}
`})
	admin := adminKey(t, g)
	a, _ := g.Key(t, admin, "service:a")
	b, _ := g.Key(t, admin, "service:b")
	asA, asB := harness.As(harness.Context(t), a), harness.As(harness.Context(t), b)
	lock := must[*cachev1.GetOrLockResponse](t)(c.GetOrLock(asA, &cachev1.GetOrLockRequest{Namespace: "cache", Key: "k", LockMs: 60_000})).GetLock()
	if r := must[*cachev1.GetOrLockResponse](t)(c.GetOrLock(asB, &cachev1.GetOrLockRequest{Namespace: "cache", Key: "k"})); r.GetRetryAfterMs() <= 0 {
		t.Errorf("another gets %v, want to be told to ask again", r)
	}
	_, err := c.Set(asB, &cachev1.SetRequest{Namespace: "cache", Key: "k", Lock: lock})
	want(t, "a fill by another", err, codes.InvalidArgument, prism.ReasonInvalidArgument, "lock")
	if r := must[*cachev1.UnlockResponse](t)(c.Unlock(asA, &cachev1.UnlockRequest{Namespace: "cache", Key: "k", Lock: lock})); !r.Released {
		t.Errorf("its owner could not let go of it")
	}
	if r := must[*cachev1.GetOrLockResponse](t)(c.GetOrLock(asB, &cachev1.GetOrLockRequest{Namespace: "cache", Key: "k"})); r.GetLock() == "" {
		t.Errorf("after that another gets %v, want the lock", r)
	}
}

// A wait does not outlast the caller's deadline, and does not hold up a gateway
// that stops.
func TestAWaitForALockEndsInTime(t *testing.T) {
	t.Parallel()
	g, c, ctx := startCache(t, harness.Options{})
	must[*cachev1.GetOrLockResponse](t)(c.GetOrLock(ctx, &cachev1.GetOrLockRequest{Namespace: "cache", Key: "k", LockMs: 3_600_000}))
	short, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	r, err := c.GetOrLock(short, &cachev1.GetOrLockRequest{Namespace: "cache", Key: "k", WaitMs: 3_600_000})
	if code := harness.Read(err).Code(); err != nil && code != codes.DeadlineExceeded || err == nil && r.GetRetryAfterMs() <= 0 {
		t.Errorf("within two seconds: %v, %v", r, err)
	}
	type answer struct {
		r   *cachev1.GetOrLockResponse
		err error
	}
	got := make(chan answer, 1)
	long, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	go func() {
		r, err := c.GetOrLock(long, &cachev1.GetOrLockRequest{Namespace: "cache", Key: "k", WaitMs: 60_000})
		got <- answer{r, err}
	}()
	harness.Eventually(t, 20*time.Second, "a call that waits", func() bool {
		st, err := c.GetStats(ctx, &cachev1.GetStatsRequest{Namespace: "cache"})
		return err == nil && st.Misses == 3 // each GetOrLock began with one
	})
	if err := g.Stop(); err != nil {
		t.Errorf("stop: %v", err)
	}
	select {
	case a := <-got:
		if a.err == nil && a.r.GetRetryAfterMs() <= 0 {
			t.Errorf("the waiter got %v", a.r)
		}
	case <-time.After(30 * time.Second):
		t.Errorf("the waiter holds the gateway up")
	}
}

// metricsOf is the page of metrics.
func metricsOf(t *testing.T, g *harness.Gateway) string {
	t.Helper()
	resp, err := http.Get("http://" + g.Addr("metrics") + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestTheFiguresOfACache(t *testing.T) {
	t.Parallel()
	g, c, ctx := startCache(t, harness.Options{})
	cacheSet(t, c, &cachev1.SetRequest{Namespace: "cache", Key: "k", Value: []byte("v")})
	cacheSet(t, c, &cachev1.SetRequest{Namespace: "disk", Key: "k", Value: []byte("v")})
	for _, key := range []string{"k", "k", "k", "none"} {
		for _, ns := range []string{"cache", "disk"} {
			must[*cachev1.GetResponse](t)(c.Get(ctx, &cachev1.GetRequest{Namespace: ns, Key: key}))
		}
	}
	s := must[*cachev1.GetStatsResponse](t)(c.GetStats(ctx, &cachev1.GetStatsRequest{Namespace: "cache"}))
	if s.Hits != 3 || s.Misses != 1 || s.GetEntries() != 1 || s.GetMaxSizeBytes() != 64<<20 || s.GetSizeBytes() == 0 || s.GetEvictions() != 0 || s.Evictions == nil {
		t.Errorf("GetStats is %v", s)
	}
	text := metricsOf(t, g)
	for _, line := range []string{
		`prism_cache_hits_total{namespace="cache"} 3`, `prism_cache_misses_total{namespace="cache"} 1`, `prism_cache_hit_ratio{namespace="cache"} 0.75`,
		`prism_cache_evictions_total{namespace="cache"} 0`, `prism_cache_entries{namespace="cache"} 1`, `prism_cache_max_bytes{namespace="cache"} 6.7108864e+07`,
		`prism_cache_hits_total{namespace="disk"} 3`,
	} {
		if !strings.Contains(text, line+"\n") {
			t.Errorf("/metrics lacks %s", line)
		}
	}
	if strings.Contains(text, `prism_cache_entries{namespace="disk"}`) {
		t.Error("a cache without a bound tells figures that it has not")
	}
}

// What is kept under a key of one model is nobody else's.
func TestACacheIsNoKeyValueNamespace(t *testing.T) {
	t.Parallel()
	g, _, ctx := startCache(t, harness.Options{})
	_, err := g.KeyValue(t).Get(ctx, &kvv1.GetRequest{Namespace: "cache", Key: "k"})
	o := want(t, "a key-value call", err, codes.Unimplemented, prism.ReasonCapabilityMissing)
	if !strings.Contains(o.Message(), "of model cache") {
		t.Errorf("it says %q", o.Message())
	}
}
