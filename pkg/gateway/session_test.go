package gateway_test

import (
	"testing"
	"time"

	"google.golang.org/grpc/codes"

	"github.com/prism-data-layer/prism/pkg/clock"
	"github.com/prism-data-layer/prism/pkg/prism"
	configv1 "github.com/prism-data-layer/prism/proto/prism/config/v1"
	kvv1 "github.com/prism-data-layer/prism/proto/prism/keyvalue/v1"
	sessionv1 "github.com/prism-data-layer/prism/proto/prism/session/v1"
	"github.com/prism-data-layer/prism/test/harness"
)

func TestSessionLivesAndEnds(t *testing.T) {
	t.Parallel()
	now := clock.NewFake(time.Now())
	g, kv, ctx := start(t, harness.Options{Clock: now})
	s := g.Sessions(t)
	made := must[*sessionv1.CreateSessionResponse](t)(s.CreateSession(ctx, &sessionv1.CreateSessionRequest{
		ClientId: "shop", ClientVersion: "1.2", Metadata: map[string]string{"zone": "a"}, Namespaces: []string{ns},
	}))
	if made.SessionId == "" || made.SessionToken == "" || made.ExpiresAtMs <= made.CreatedAtMs || made.HeartbeatIntervalMs == 0 || len(made.SupportedFeatures) == 0 {
		t.Errorf("CreateSession: %v", made)
	}
	in := harness.In(ctx, made.SessionToken)
	if _, err := kv.Set(in, &kvv1.SetRequest{Namespace: ns, Key: "k"}); err != nil {
		t.Fatal(err)
	}
	got := must[*sessionv1.GetSessionResponse](t)(s.GetSession(in, &sessionv1.GetSessionRequest{}))
	if got.SessionId != made.SessionId || got.Principal != "dev" || got.Metrics.RequestsProcessed < 1 || len(got.Namespaces) != 1 {
		t.Errorf("GetSession: %v", got)
	}
	beat := must[*sessionv1.HeartbeatResponse](t)(s.Heartbeat(in, &sessionv1.HeartbeatRequest{}))
	if beat.Status != sessionv1.SessionStatus_SESSION_STATUS_ACTIVE || beat.TtlMs == 0 || beat.ServerTimeMs == 0 {
		t.Errorf("Heartbeat: %v", beat)
	}
	next := must[*sessionv1.RefreshSessionResponse](t)(s.RefreshSession(in, &sessionv1.RefreshSessionRequest{ExtensionMs: (2 * time.Hour).Milliseconds()}))
	if next.SessionToken == made.SessionToken || next.ExpiresAtMs <= made.ExpiresAtMs {
		t.Errorf("RefreshSession: %v", next)
	}
	if _, err := s.GetSession(in, &sessionv1.GetSessionRequest{}); err != nil {
		t.Errorf("the old token within its grace: %v", err)
	}
	now.Advance(31 * time.Second)
	_, err := s.GetSession(in, &sessionv1.GetSessionRequest{})
	want(t, "the old token after its grace", err, codes.Unauthenticated, prism.ReasonInvalidSession)

	in = harness.In(ctx, next.SessionToken)
	if closed := must[*sessionv1.CloseSessionResponse](t)(s.CloseSession(in, &sessionv1.CloseSessionRequest{})); closed.PendingOperations != 0 {
		t.Errorf("CloseSession counts itself: %v", closed)
	}
	_, err = s.CloseSession(ctx, &sessionv1.CloseSessionRequest{})
	want(t, "closing the implicit session", err, codes.FailedPrecondition, prism.ReasonFailedPrecond)
	_, err = kv.Get(in, &kvv1.GetRequest{Namespace: ns, Key: "k"})
	want(t, "a closed session", err, codes.Unauthenticated, prism.ReasonInvalidSession)

	idle := must[*sessionv1.CreateSessionResponse](t)(s.CreateSession(ctx, &sessionv1.CreateSessionRequest{}))
	now.Advance(6 * time.Minute)
	_, err = kv.Get(harness.In(ctx, idle.SessionToken), &kvv1.GetRequest{Namespace: ns, Key: "k"})
	want(t, "an idle session", err, codes.Unauthenticated, prism.ReasonSessionExpired)
	_, err = kv.Get(harness.In(ctx, "prism_session_nobody"), &kvv1.GetRequest{Namespace: ns, Key: "k"})
	want(t, "a token of nobody", err, codes.Unauthenticated, prism.ReasonInvalidSession)
	// Without a token the credential is enough.
	if _, err := kv.Get(ctx, &kvv1.GetRequest{Namespace: ns, Key: "k"}); err != nil {
		t.Errorf("an implicit session: %v", err)
	}
}

func TestSessionIsNarrowedToItsNamespaces(t *testing.T) {
	t.Parallel()
	g, kv, ctx := start(t, harness.Options{File: harness.Small})
	made := must[*sessionv1.CreateSessionResponse](t)(g.Sessions(t).CreateSession(ctx, &sessionv1.CreateSessionRequest{Namespaces: []string{"disk"}}))
	in := harness.In(ctx, made.SessionToken)
	_, err := kv.Exists(in, &kvv1.ExistsRequest{Namespace: "disk", Key: "k"})
	want(t, "within", err, codes.OK, "")
	_, err = kv.Exists(in, &kvv1.ExistsRequest{Namespace: "mem", Key: "k"})
	outside := want(t, "outside", err, codes.PermissionDenied, prism.ReasonPermissionDenied)
	_, err = kv.Exists(in, &kvv1.ExistsRequest{Namespace: "none", Key: "k"})
	none := want(t, "nowhere", err, codes.PermissionDenied, prism.ReasonPermissionDenied)
	if outside.Message() != none.Message() {
		t.Errorf("%q and %q can be told apart", outside.Message(), none.Message())
	}
}

func TestSessionHoldsAConfiguration(t *testing.T) {
	t.Parallel()
	g, _, ctx := start(t, harness.Options{File: harness.Volatile + "configs:\n  - {name: shop, version: \"1\", pattern: keyvalue, namespace: mem}\n"})
	s := g.Sessions(t)
	for _, name := range []string{"shop", "shop@1"} {
		made := must[*sessionv1.CreateSessionResponse](t)(s.CreateSession(ctx, &sessionv1.CreateSessionRequest{Config: &sessionv1.CreateSessionRequest_ConfigName{ConfigName: name}}))
		got := must[*sessionv1.GetSessionResponse](t)(s.GetSession(harness.In(ctx, made.SessionToken), &sessionv1.GetSessionRequest{}))
		if made.Config.GetName() != "shop" || got.Config.GetNamespace() != "mem" {
			t.Errorf("%s: %v, %v", name, made.Config, got.Config)
		}
	}
	inline := func(c *configv1.ClientConfig) error {
		_, err := s.CreateSession(ctx, &sessionv1.CreateSessionRequest{Config: &sessionv1.CreateSessionRequest_InlineConfig{InlineConfig: c}})
		return err
	}
	if err := inline(&configv1.ClientConfig{Name: "own", Version: "1", Pattern: configv1.AccessPattern_ACCESS_PATTERN_KEY_VALUE, Namespace: "mem"}); err != nil {
		t.Errorf("an inline configuration: %v", err)
	}
	want(t, "a wrong one", inline(&configv1.ClientConfig{}), codes.InvalidArgument, prism.ReasonInvalidConfig)
	_, err := s.CreateSession(ctx, &sessionv1.CreateSessionRequest{Config: &sessionv1.CreateSessionRequest_ConfigName{ConfigName: "none"}})
	want(t, "no such configuration", err, codes.NotFound, prism.ReasonNotFound)
	_, err = s.CreateSession(ctx, &sessionv1.CreateSessionRequest{Config: &sessionv1.CreateSessionRequest_ConfigName{ConfigName: "NO"}})
	want(t, "no name of one", err, codes.InvalidArgument, prism.ReasonInvalidArgument, "config_name")
}

func TestLimitsArePublished(t *testing.T) {
	t.Parallel()
	g, _, ctx := start(t, harness.Options{})
	l := must[*sessionv1.GetLimitsResponse](t)(g.Sessions(t).GetLimits(ctx, &sessionv1.GetLimitsRequest{}))
	if l.MaxKeyBytes != 1024 || l.MaxValueBytes != 1<<20 || l.MaxMessageBytes != 4<<20 || l.MaxBatchItems != 1000 || l.MaxTransactionWrites != 128 ||
		l.MaxPipelineFrames != 16 || l.MaxIdempotencyKeyBytes != 128 || l.MaxNameBytes != 63 || l.DefaultDeadlineMs != 30_000 {
		t.Errorf("GetLimits: %v", l)
	}
}
