package gateway_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"

	"github.com/prism-data-layer/prism/pkg/prism"
	"github.com/prism-data-layer/prism/pkg/wire"
	configv1 "github.com/prism-data-layer/prism/proto/prism/config/v1"
	kvv1 "github.com/prism-data-layer/prism/proto/prism/keyvalue/v1"
	"github.com/prism-data-layer/prism/test/harness"
)

// Every reason that a call can meet comes out with all its details.
func TestErrorsCarryTheirDetailsEndToEnd(t *testing.T) {
	t.Parallel()
	failing := map[string]prism.Reason{
		"disk full": prism.ReasonDiskFull, "down": prism.ReasonBackendUnavailable, "damaged": prism.ReasonDataLoss,
		"busy": prism.ReasonInProgress, "overload": prism.ReasonOverloaded,
	}
	_, kv, ctx := start(t, harness.Options{Drivers: harness.Faulty(func(_ context.Context, key string) error {
		switch {
		case key == "panic":
			panic("a bug")
		case key == "odd":
			return context.Canceled
		case failing[key] != "":
			return prism.New(failing[key], "no luck with the store").WithBackend("volatile")
		}
		return nil
	})})
	v := set(t, kv, "k", "v")
	set(t, kv, "word", "v")
	_, err := kv.Increment(ctx, &kvv1.IncrementRequest{Namespace: ns, Key: "n", Delta: 1<<63 - 1})
	must[any](t)(nil, err)
	wrong := v + 1
	one := int64(1)
	cases := []struct {
		what   string
		call   func() error
		code   codes.Code
		reason prism.Reason
		fields []string
	}{
		{"a missing key", func() error { _, err := kv.Get(ctx, &kvv1.GetRequest{Namespace: ns, Key: "none"}); return err }, codes.NotFound, prism.ReasonNotFound, nil},
		{"no key", func() error { _, err := kv.Get(ctx, &kvv1.GetRequest{Namespace: ns}); return err }, codes.InvalidArgument, prism.ReasonInvalidArgument, []string{"key"}},
		{"two wrong fields", func() error {
			_, err := kv.Set(ctx, &kvv1.SetRequest{Namespace: ns, Value: make([]byte, prism.MaxValueBytes+1)})
			return err
		}, codes.InvalidArgument, prism.ReasonInvalidArgument, []string{"key", "value"}},
		{"a namespace that is not there, to dev", func() error {
			_, err := kv.Get(ctx, &kvv1.GetRequest{Namespace: "none", Key: "k"})
			return err
		}, codes.NotFound, prism.ReasonNotFound, nil},
		{"a bad namespace", func() error { _, err := kv.Get(ctx, &kvv1.GetRequest{Namespace: "A", Key: "k"}); return err }, codes.InvalidArgument, prism.ReasonInvalidArgument, []string{"namespace"}},
		{"create-only", func() error {
			_, err := kv.Set(ctx, &kvv1.SetRequest{Namespace: ns, Key: "k", CreateOnly: true})
			return err
		}, codes.AlreadyExists, prism.ReasonAlreadyExists, nil},
		{"another version", func() error {
			_, err := kv.Set(ctx, &kvv1.SetRequest{Namespace: ns, Key: "k", IfVersion: &wrong})
			return err
		}, codes.FailedPrecondition, prism.ReasonVersionMismatch, nil},
		{"create-only and a version", func() error {
			_, err := kv.Set(ctx, &kvv1.SetRequest{Namespace: ns, Key: "k", CreateOnly: true, IfVersion: &wrong})
			return err
		}, codes.InvalidArgument, prism.ReasonInvalidArgument, []string{"if_version"}},
		{"two expiries", func() error {
			_, err := kv.Set(ctx, &kvv1.SetRequest{Namespace: ns, Key: "k", TtlMs: &one, KeepTtl: true})
			return err
		}, codes.InvalidArgument, prism.ReasonInvalidArgument, []string{"keep_ttl"}},
		{"an overflow", func() error {
			_, err := kv.Increment(ctx, &kvv1.IncrementRequest{Namespace: ns, Key: "n", Delta: 1})
			return err
		}, codes.OutOfRange, prism.ReasonOverflow, nil},
		{"no number", func() error {
			_, err := kv.Increment(ctx, &kvv1.IncrementRequest{Namespace: ns, Key: "word", Delta: 1})
			return err
		}, codes.FailedPrecondition, prism.ReasonNotANumber, nil},
		{"a cursor of nobody", func() error {
			_, err := kv.Scan(ctx, &kvv1.ScanRequest{Namespace: ns, Cursor: "AQ"})
			return err
		}, codes.InvalidArgument, prism.ReasonInvalidCursor, []string{"cursor"}},
		{"a position of nobody", func() error {
			st, err := kv.Watch(ctx, &kvv1.WatchRequest{Namespace: ns, Position: "AQ"})
			if err == nil {
				_, err = st.Recv()
			}
			return err
		}, codes.InvalidArgument, prism.ReasonInvalidCursor, []string{"position"}},
		{"a panic", func() error { _, err := kv.Get(ctx, &kvv1.GetRequest{Namespace: ns, Key: "panic"}); return err }, codes.Internal, prism.ReasonInternal, nil},
		{"a store that gives up", func() error { _, err := kv.Get(ctx, &kvv1.GetRequest{Namespace: ns, Key: "odd"}); return err }, codes.Canceled, prism.ReasonCancelled, nil},
		{"no disk", func() error { _, err := kv.Set(ctx, &kvv1.SetRequest{Namespace: ns, Key: "disk full"}); return err }, codes.ResourceExhausted, prism.ReasonDiskFull, nil},
		{"no backend", func() error { _, err := kv.Get(ctx, &kvv1.GetRequest{Namespace: ns, Key: "down"}); return err }, codes.Unavailable, prism.ReasonBackendUnavailable, nil},
		{"damage", func() error { _, err := kv.Get(ctx, &kvv1.GetRequest{Namespace: ns, Key: "damaged"}); return err }, codes.DataLoss, prism.ReasonDataLoss, nil},
		{"the same call twice", func() error { _, err := kv.Set(ctx, &kvv1.SetRequest{Namespace: ns, Key: "busy"}); return err }, codes.Aborted, prism.ReasonInProgress, nil},
		{"too much work", func() error { _, err := kv.Get(ctx, &kvv1.GetRequest{Namespace: ns, Key: "overload"}); return err }, codes.ResourceExhausted, prism.ReasonOverloaded, nil},
	}
	for _, c := range cases {
		o := want(t, c.what, c.call(), c.code, c.reason, c.fields...)
		info := c.reason.Info()
		switch {
		case o.Info.GetDomain() != "prism" || o.Info.GetMetadata()["code"] != info.Code():
			t.Errorf("%s: ErrorInfo is %v, want domain prism and code %s", c.what, o.Info, info.Code())
		case o.Error.GetReason() != string(c.reason) || o.Error.GetStatus() != int32(c.code) || o.Error.GetCode() != info.Code():
			t.Errorf("%s: prism.common.v1.Error is %v", c.what, o.Error)
		case o.Request.GetRequestId() == "" || o.Error.GetRequestId() != o.Request.GetRequestId():
			t.Errorf("%s: RequestInfo is %v and the error's id %q", c.what, o.Request, o.Error.GetRequestId())
		case (o.Retry != nil) != info.Retryable:
			t.Errorf("%s: RetryInfo is %v, retryable is %v", c.what, o.Retry, info.Retryable)
		case len(o.Message()) > 200:
			t.Errorf("%s: the message has %d bytes", c.what, len(o.Message()))
		}
	}
	if o := harness.Read(cases[0].call()); o.Info.Metadata["namespace"] != ns {
		t.Errorf("ErrorInfo does not name the namespace: %v", o.Info)
	}
	if o := harness.Read(cases[6].call()); o.Info.Metadata["current_version"] == "" {
		t.Errorf("a version that is not met is told without the current one: %v", o.Info)
	}
	// The panic was one call's.
	if _, err := kv.Get(ctx, &kvv1.GetRequest{Namespace: ns, Key: "k"}); err != nil {
		t.Errorf("after a panic: %v", err)
	}
}

func TestRequestIDOfTheCallerComesBack(t *testing.T) {
	t.Parallel()
	_, kv, ctx := start(t, harness.Options{})
	ctx = metadata.AppendToOutgoingContext(ctx, wire.RequestID, "my-request-7", wire.Traceparent, "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")
	_, err := kv.Get(ctx, &kvv1.GetRequest{Namespace: ns, Key: "none"})
	o := harness.Read(err)
	if o.Request.GetRequestId() != "my-request-7" || o.Error.GetRequestId() != "my-request-7" {
		t.Errorf("request id: %v, %v", o.Request, o.Error)
	}
	if o.Error.GetTraceId() != "4bf92f3577b34da6a3ce929d0e0e4736" {
		t.Errorf("trace id: %q", o.Error.GetTraceId())
	}
}

func TestRateLimitSaysWhenToComeBack(t *testing.T) {
	t.Parallel()
	_, kv, ctx := start(t, harness.Options{File: strings.Replace(harness.Volatile, "backend: volatile,", "backend: volatile, limits: {request_rps: 5, burst: 3},", 1)})
	var err error
	for i := 0; i < 10 && err == nil; i++ {
		_, err = kv.Exists(ctx, &kvv1.ExistsRequest{Namespace: ns, Key: "k"})
	}
	o := want(t, "the limit", err, codes.ResourceExhausted, prism.ReasonRateLimited)
	if o.Quota == nil || o.Quota.Violations[0].Subject != "namespace:mem" || o.Error.GetQuota() == nil {
		t.Errorf("QuotaFailure is %v", o.Quota)
	}
	if d := o.Retry.GetRetryDelay().AsDuration(); d <= 0 || d > time.Second {
		t.Errorf("RetryInfo is %v", d)
	}
	// Batches and frames count each operation.
	time.Sleep(o.Retry.GetRetryDelay().AsDuration())
	_, err = kv.BatchGet(ctx, &kvv1.BatchGetRequest{Namespace: ns, Keys: []string{"a", "b", "c", "d"}})
	want(t, "a batch over the limit", err, codes.ResourceExhausted, prism.ReasonRateLimited)
	p := open(t, kv, ctx)
	p.send(1, getOf("a"), getOf("b"), getOf("c"), getOf("d"), getOf("e"))
	p.send(2, getOf("a"), getOf("b"), getOf("c"), getOf("d"), getOf("e"))
	p.answer(1)
	if r := p.answer(2); r[0].GetError().GetReason() != string(prism.ReasonRateLimited) {
		t.Errorf("a frame over the limit: %v", r[0])
	}
}

func TestMissingCapabilitiesAreNamed(t *testing.T) {
	t.Parallel()
	for capability, call := range map[string]func(ctx context.Context, kv kvv1.KeyValueServiceClient) error{
		"keyvalue_ttl": func(ctx context.Context, kv kvv1.KeyValueServiceClient) error {
			_, err := kv.Touch(ctx, &kvv1.TouchRequest{Namespace: ns, Key: "k"})
			return err
		},
		"keyvalue_atomic": func(ctx context.Context, kv kvv1.KeyValueServiceClient) error {
			_, err := kv.Increment(ctx, &kvv1.IncrementRequest{Namespace: ns, Key: "k"})
			return err
		},
		"keyvalue_cas": func(ctx context.Context, kv kvv1.KeyValueServiceClient) error {
			_, err := kv.CompareAndDelete(ctx, &kvv1.CompareAndDeleteRequest{Namespace: ns, Key: "k"})
			return err
		},
		"keyvalue_versioned": func(ctx context.Context, kv kvv1.KeyValueServiceClient) error {
			_, err := kv.Set(ctx, &kvv1.SetRequest{Namespace: ns, Key: "k", CreateOnly: true})
			return err
		},
		"keyvalue_batch": func(ctx context.Context, kv kvv1.KeyValueServiceClient) error {
			_, err := kv.BatchGet(ctx, &kvv1.BatchGetRequest{Namespace: ns, Keys: []string{"k"}})
			return err
		},
		"keyvalue_scan": func(ctx context.Context, kv kvv1.KeyValueServiceClient) error {
			_, err := kv.Count(ctx, &kvv1.CountRequest{Namespace: ns})
			return err
		},
		"keyvalue_ordered_scan": func(ctx context.Context, kv kvv1.KeyValueServiceClient) error {
			_, err := kv.ScanKeys(ctx, &kvv1.ScanKeysRequest{Namespace: ns, Reverse: true})
			return err
		},
		"keyvalue_transactional": func(ctx context.Context, kv kvv1.KeyValueServiceClient) error {
			st, err := kv.Transaction(ctx)
			if err != nil {
				return err
			}
			_ = st.Send(&kvv1.TransactionRequest{Step: &kvv1.TransactionRequest_Begin{Begin: &kvv1.TransactionBegin{Namespace: ns}}})
			_, err = st.Recv()
			return err
		},
		"keyvalue_watch": func(ctx context.Context, kv kvv1.KeyValueServiceClient) error {
			st, err := kv.Watch(ctx, &kvv1.WatchRequest{Namespace: ns})
			if err != nil {
				return err
			}
			_, err = st.Recv()
			return err
		},
	} {
		t.Run(capability, func(t *testing.T) {
			t.Parallel()
			_, kv, ctx := start(t, harness.Options{Drivers: harness.Lacking(capability)})
			o := want(t, capability, call(ctx, kv), codes.Unimplemented, prism.ReasonCapabilityMissing)
			if o.Info.GetMetadata()["missing"] != capability || !strings.Contains(o.Info.GetMetadata()["capabilities"], "keyvalue_basic") {
				t.Errorf("ErrorInfo is %v", o.Info)
			}
		})
	}
}

// What a caller may not see looks the same as what is not there.
func TestForbiddenLooksLikeMissing(t *testing.T) {
	t.Parallel()
	g, kv, ctx := start(t, harness.Options{File: secured})
	admin := adminKey(t, g)
	reader, _ := g.Key(t, admin, "service:reader.one")
	ctx = harness.As(ctx, reader)
	_, err := kv.Get(ctx, &kvv1.GetRequest{Namespace: "other", Key: "k"})
	there := want(t, "another's", err, codes.PermissionDenied, prism.ReasonPermissionDenied)
	_, err = kv.Get(ctx, &kvv1.GetRequest{Namespace: "none", Key: "k"})
	missing := want(t, "nobody's", err, codes.PermissionDenied, prism.ReasonPermissionDenied)
	if there.Message() != missing.Message() || len(there.Info.Metadata) != len(missing.Info.Metadata) || there.Error.Namespace != missing.Error.Namespace {
		t.Errorf("they can be told apart: %v and %v", there.Proto(), missing.Proto())
	}
	_, err = kv.Set(ctx, &kvv1.SetRequest{Namespace: ns, Key: "k"})
	want(t, "a write by a reader", err, codes.PermissionDenied, prism.ReasonPermissionDenied)
	_, err = kv.Exists(ctx, &kvv1.ExistsRequest{Namespace: ns, Key: "k"})
	want(t, "a read by a reader", err, codes.OK, "")
	// Whoever may list namespaces is told that there is none.
	_, err = kv.Get(harness.As(harness.Context(t), admin), &kvv1.GetRequest{Namespace: "none", Key: "k"})
	want(t, "to an admin", err, codes.NotFound, prism.ReasonNotFound)
}

func TestDeadlines(t *testing.T) {
	t.Parallel()
	slow := make(chan struct{})
	defer close(slow)
	_, kv, _ := start(t, harness.Options{
		File: harness.Volatile + "limits: {default_deadline: 50ms}\n",
		Drivers: harness.Faulty(func(ctx context.Context, key string) error {
			if key == "slow" {
				<-ctx.Done()
				return ctx.Err()
			}
			if _, ok := ctx.Deadline(); !ok {
				return prism.New(prism.ReasonInternal, "no deadline")
			}
			return ctx.Err()
		}),
	})
	_, err := kv.Get(context.Background(), &kvv1.GetRequest{Namespace: ns, Key: "slow"})
	want(t, "a call without a deadline gets the gateway's", err, codes.DeadlineExceeded, prism.ReasonDeadlineExceeded)
	set(t, kv, "k", "v")

	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Hour)
	defer cancel()
	_, err = kv.Get(ctx, &kvv1.GetRequest{Namespace: ns, Key: "k"})
	want(t, "a deadline of two hours", err, codes.InvalidArgument, prism.ReasonInvalidArgument, "grpc-timeout")
	st, err := kv.Watch(ctx, &kvv1.WatchRequest{Namespace: ns})
	if err == nil {
		_, err = st.Recv()
	}
	want(t, "a stream may be long", err, codes.OK, "")

	ctx, cancel = context.WithTimeout(context.Background(), 30*time.Millisecond)
	defer cancel()
	_, err = kv.Get(ctx, &kvv1.GetRequest{Namespace: ns, Key: "slow"})
	if c := harness.Read(err).Code(); c != codes.DeadlineExceeded {
		t.Errorf("the caller's own deadline: %v", err)
	}
}

func TestTTLPolicyOfTheNamespace(t *testing.T) {
	t.Parallel()
	_, kv, ctx := start(t, harness.Options{File: strings.Replace(harness.Volatile, "backend: volatile,", "backend: volatile, default_ttl: 1m, max_ttl: 2m,", 1)})
	set(t, kv, "k", "v")
	r := must[*kvv1.GetTTLResponse](t)(kv.GetTTL(ctx, &kvv1.GetTTLRequest{Namespace: ns, Key: "k"}))
	if left := r.GetTtlMs(); left <= 50_000 || left > 60_000 {
		t.Errorf("the default time to live is %d ms, want a minute", left)
	}
	long, ok := int64(180_000), int64(120_000)
	_, err := kv.Set(ctx, &kvv1.SetRequest{Namespace: ns, Key: "k", TtlMs: &long})
	want(t, "longer than the namespace allows", err, codes.InvalidArgument, prism.ReasonInvalidArgument, "ttl_ms")
	_, err = kv.Expire(ctx, &kvv1.ExpireRequest{Namespace: ns, Key: "k", TtlMs: long})
	want(t, "Expire beyond it", err, codes.InvalidArgument, prism.ReasonInvalidArgument, "ttl_ms")
	_, err = kv.Set(ctx, &kvv1.SetRequest{Namespace: ns, Key: "k", TtlMs: &ok})
	want(t, "the longest", err, codes.OK, "")
	_, err = kv.Persist(ctx, &kvv1.PersistRequest{Namespace: ns, Key: "k"})
	want(t, "Persist", err, codes.FailedPrecondition, prism.ReasonFailedPrecond)
}

func TestConfigsOverTheDataPort(t *testing.T) {
	t.Parallel()
	g, _, ctx := start(t, harness.Options{File: harness.Volatile + "configs:\n  - {name: shop, version: \"1\", pattern: keyvalue, namespace: mem}\n"})
	c := configv1.NewConfigServiceClient(g.Dial(t, "data"))
	list := must[*configv1.ListConfigsResponse](t)(c.ListConfigs(ctx, &configv1.ListConfigsRequest{}))
	if len(list.Configs) != 1 || list.Configs[0].Name != "shop" {
		t.Errorf("ListConfigs: %v", list)
	}
	got := must[*configv1.GetConfigResponse](t)(c.GetConfig(ctx, &configv1.GetConfigRequest{Name: "shop"}))
	if got.Config.Version != "1" || got.Config.Pattern != configv1.AccessPattern_ACCESS_PATTERN_KEY_VALUE {
		t.Errorf("GetConfig: %v", got)
	}
	v := must[*configv1.ValidateConfigResponse](t)(c.ValidateConfig(ctx, &configv1.ValidateConfigRequest{Config: got.Config}))
	if !v.Valid {
		t.Errorf("ValidateConfig: %v", v)
	}
	_, err := c.GetConfig(ctx, &configv1.GetConfigRequest{Name: "none"})
	want(t, "a configuration that is not there", err, codes.NotFound, prism.ReasonNotFound)
	_, err = c.RegisterConfig(ctx, &configv1.RegisterConfigRequest{Config: got.Config})
	want(t, "registering on the data port", err, codes.Unimplemented, prism.ReasonUnimplemented)
}
