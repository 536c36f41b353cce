package control_test

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prism-data-layer/prism/pkg/auth"
	"github.com/prism-data-layer/prism/pkg/control"
	"github.com/prism-data-layer/prism/pkg/prism"
	"github.com/prism-data-layer/prism/pkg/session"
)

func TestConfigLatestIsTheOneRegisteredLast(t *testing.T) {
	t.Parallel()
	s := open(t)
	ctx := t.Context()
	register := func(version, namespace string, overwrite bool) (bool, error) {
		_, replaced, err := s.RegisterConfig(ctx, control.ClientConfig{
			Name: "profiles", Version: version, Pattern: control.PatternKeyValue, Namespace: namespace,
			Options: map[string]string{"table": "users"}, Cache: control.Cache{TTL: time.Minute},
		}, overwrite, "user:ann")
		return replaced, err
	}
	for _, v := range []string{"2.0", "1.0", "1.5"} {
		if replaced, err := register(v, "users", false); err != nil || replaced {
			t.Fatalf("register %s: replaced %v, %v", v, replaced, err)
		}
	}
	_, err := register("2.0", "users", false)
	wantReason(t, err, prism.ReasonAlreadyExists)
	if replaced, err := register("2.0", "people", true); err != nil || !replaced {
		t.Fatalf("overwrite: replaced %v, %v", replaced, err)
	}
	s.restart(t)
	for _, tc := range []struct{ version, want, namespace string }{{"", "1.5", "users"}, {"2.0", "2.0", "people"}} {
		c := must[control.ClientConfig](t)(s.Config(ctx, "profiles", tc.version))
		if c.Version != tc.want || c.Namespace != tc.namespace || c.Options["table"] != "users" || c.Actor != "user:ann" || !c.RegisteredAt.Equal(epoch) {
			t.Errorf("version %q: got %+v", tc.version, c)
		}
	}
	_, err = s.Config(ctx, "profiles", "9")
	wantReason(t, err, prism.ReasonNotFound)
	_, err = s.Config(ctx, "absent", "")
	wantReason(t, err, prism.ReasonNotFound)
	for _, tc := range []struct {
		pattern, namespace string
		want               int
	}{{"", "", 3}, {"key_value", "", 3}, {"queue", "", 0}, {"", "people", 1}, {"key_value", "users", 2}} {
		if list := must[[]control.ClientConfig](t)(s.Configs(ctx, tc.pattern, tc.namespace)); len(list) != tc.want {
			t.Errorf("%q %q: got %d, want %d", tc.pattern, tc.namespace, len(list), tc.want)
		}
	}
	_, _, err = s.RegisterConfig(ctx, control.ClientConfig{Pattern: "queue"}, false, "dev")
	wantReason(t, err, prism.ReasonInvalidArgument)
	_, _, err = s.RegisterConfig(ctx, control.ClientConfig{Name: "x", Pattern: "nonsense"}, false, "dev")
	wantReason(t, err, prism.ReasonInvalidConfig)
}

func TestConfigCheckTellsEverythingAtOnce(t *testing.T) {
	t.Parallel()
	bad := control.ClientConfig{
		Name: "Bad Name", Version: "a b", Pattern: "x", Namespace: "N", Backend: "B",
		Options:     make(map[string]string),
		Consistency: control.Consistency{Level: "x", Timeout: -1},
		Cache:       control.Cache{TTL: -1, MaxSizeMB: -1},
		RateLimit:   control.RateLimit{RequestsPerSecond: -1, Burst: -1},
	}
	for i := range 65 {
		bad.Options[fmt.Sprint(i)] = ""
	}
	v := bad.Check(func(string) (string, bool) { return "", false })
	var fields []string
	for _, f := range v.Errors {
		fields = append(fields, strings.TrimPrefix(f.Field, "config."))
	}
	want := []string{
		"name", "version", "pattern", "namespace", "backend.name", "backend.options", "consistency.level", "consistency.timeout_ms",
		"cache.ttl_seconds", "cache.max_size_mb", "rate_limit.requests_per_second", "rate_limit.burst",
	}
	if !reflect.DeepEqual(fields, want) {
		t.Errorf("got %q\nwant %q", fields, want)
	}
	wantReason(t, v.Err(), prism.ReasonInvalidConfig)

	models := func(ns string) (string, bool) { return "keyvalue", ns == "users" }
	for _, tc := range []struct {
		c        control.ClientConfig
		errors   int
		warnings int
	}{
		{control.ClientConfig{Pattern: "key_value", Namespace: "users"}, 0, 0},
		{control.ClientConfig{Pattern: "queue", Namespace: "users"}, 1, 0},
		{control.ClientConfig{Pattern: "key_value", Namespace: "secret"}, 1, 0},
		{control.ClientConfig{Pattern: "pubsub", Cache: control.Cache{Enabled: true}, Consistency: control.Consistency{Level: "strong"}}, 0, 2},
		{control.ClientConfig{Pattern: "paged_reader", RateLimit: control.RateLimit{Burst: 1}}, 0, 1},
		{control.ClientConfig{Pattern: "transact_write", RateLimit: control.RateLimit{RequestsPerSecond: 2, Burst: 1}}, 0, 1},
		{control.ClientConfig{Pattern: "key_value", Consistency: control.Consistency{Level: "bounded_staleness"}}, 0, 1},
		{control.ClientConfig{Pattern: "key_value", Version: "\xff"}, 1, 0},
	} {
		v := tc.c.Check(models)
		if len(v.Errors) != tc.errors || len(v.Warnings) != tc.warnings {
			t.Errorf("%+v: got %+v", tc.c, v)
		}
	}
}

func TestBackendRemembersWhenItWasFirstSeen(t *testing.T) {
	t.Parallel()
	s := open(t)
	ctx := t.Context()
	if before := must[control.Backend](t)(s.SaveBackend(ctx, control.Backend{Name: "local", Driver: "pebble", OptionsHash: "1", DeclaredIn: "prism.yaml:3"})); before.Name != "" {
		t.Errorf("got %+v before the first", before)
	}
	s.clock.Advance(time.Hour)
	before := must[control.Backend](t)(s.SaveBackend(ctx, control.Backend{Name: "local", Driver: "sqlite", OptionsHash: "2"}))
	if before.Driver != "pebble" || before.OptionsHash != "1" {
		t.Errorf("got %+v, want what was known before", before)
	}
	options := map[string]string{"addrs": "[\"127.0.0.1:6379\"]"}
	must[control.Backend](t)(s.SaveBackend(ctx, control.Backend{Name: "gone", Driver: "redis", Added: true, Options: options}))
	if b := must[control.Backend](t)(s.Backend(ctx, "gone")); !b.Added || !reflect.DeepEqual(b.Options, options) {
		t.Errorf("got %+v of one that was added", b)
	}
	if err := s.RemoveBackend(ctx, "gone"); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Backend(ctx, "gone"); !errors.Is(err, prism.ReasonNotFound) {
		t.Errorf("of one that was removed: %v", err)
	}
	s.restart(t)
	list := must[[]control.Backend](t)(s.Backends(ctx))
	want := []control.Backend{{Name: "local", Driver: "sqlite", OptionsHash: "2", FirstSeen: epoch, LastSeen: epoch.Add(time.Hour)}}
	if !reflect.DeepEqual(list, want) {
		t.Errorf("got %+v\nwant %+v", list, want)
	}
	_, err := s.SaveBackend(ctx, control.Backend{Name: "No Name"})
	wantReason(t, err, prism.ReasonInvalidArgument)
}

func TestKeyIsKeptWithoutItsSecretAndRevokedOnce(t *testing.T) {
	t.Parallel()
	s := open(t)
	ctx := t.Context()
	record, secret, err := auth.NewKey("service:checkout", []string{"viewer"}, time.Hour, s.clock.Now())
	if err != nil {
		t.Fatal(err)
	}
	record.Description = "for the shop"
	generation := s.KeyGeneration()
	if err := s.CreateKey(ctx, record); err != nil {
		t.Fatal(err)
	}
	wantReason(t, s.CreateKey(ctx, record), prism.ReasonAlreadyExists)
	if s.KeyGeneration() == generation {
		t.Error("the generation did not grow with a new key")
	}
	s.restart(t)
	if got := must[auth.KeyRecord](t)(s.Key(ctx, record.ID)); !reflect.DeepEqual(got, record) {
		t.Errorf("got %+v\nwant %+v", got, record)
	}
	if record.Hash != sha256.Sum256([]byte(secret)) {
		t.Error("the hash is not the secret's")
	}

	used := s.clock.Now().Add(time.Minute)
	if err := s.KeysUsed(ctx, map[string]time.Time{record.ID: used, "absent": used}); err != nil {
		t.Fatal(err)
	}
	if err := s.KeysUsed(ctx, map[string]time.Time{record.ID: used.Add(-time.Second)}); err != nil {
		t.Fatal(err)
	}
	generation = s.KeyGeneration()
	s.clock.Advance(time.Minute)
	revoked := must[auth.KeyRecord](t)(s.RevokeKey(ctx, record.ID))
	if !revoked.RevokedAt.Equal(epoch.Add(time.Minute)) || !revoked.LastUsedAt.Equal(used) {
		t.Errorf("got %+v", revoked)
	}
	if s.KeyGeneration() == generation {
		t.Error("the generation did not grow with a revocation")
	}
	s.clock.Advance(time.Minute)
	if again := must[auth.KeyRecord](t)(s.RevokeKey(ctx, record.ID)); !again.RevokedAt.Equal(revoked.RevokedAt) {
		t.Errorf("revoked again: got %v, want %v", again.RevokedAt, revoked.RevokedAt)
	}
	if list := must[[]auth.KeyRecord](t)(s.Keys(ctx, false)); len(list) != 0 {
		t.Errorf("got %d keys, want none: it is revoked", len(list))
	}
	if list := must[[]auth.KeyRecord](t)(s.Keys(ctx, true)); len(list) != 1 || list[0].Principal != "service:checkout" {
		t.Errorf("got %+v", list)
	}
	_, err = s.RevokeKey(ctx, "absent")
	wantReason(t, err, prism.ReasonNotFound)
	_, err = s.Key(ctx, "absent")
	wantReason(t, err, prism.ReasonNotFound)
}

func TestKeyWithAFlippedBitOpensNothing(t *testing.T) {
	t.Parallel()
	s := open(t)
	record, secret, err := auth.NewKey("service:checkout", []string{"viewer"}, 0, s.clock.Now())
	if err != nil {
		t.Fatal(err)
	}
	if err := s.CreateKey(t.Context(), record); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	raw(t, s.path, `UPDATE keys SET body = replace(body, 'viewer', 'admin')`)
	s.start(t)
	_, err = s.Key(t.Context(), record.ID)
	wantReason(t, err, prism.ReasonDataLoss)
	_, err = s.Keys(t.Context(), true)
	wantReason(t, err, prism.ReasonDataLoss)
	_, err = auth.New(auth.Required, s, s.clock).Authenticate(t.Context(), auth.Credential{Authorization: "Bearer " + secret})
	wantReason(t, err, prism.ReasonUnavailable)
}

func TestAuditIsDurableAfterCloseAndListedNewestFirst(t *testing.T) {
	t.Parallel()
	s := open(t)
	ctx := t.Context()
	const writers, each = 8, 100
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			for i := range each {
				if err := s.Audit(ctx, control.AuditRecord{
					Actor: fmt.Sprintf("user:%d", w), Method: "/m/" + fmt.Sprint(i%2), Resource: fmt.Sprint("r", i),
					Decision: "allowed", Result: "OK", RequestID: "q", TraceID: "t", Peer: "127.0.0.1", Latency: time.Millisecond,
				}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	s.restart(t)
	count := func(f control.AuditFilter, limit int) int {
		t.Helper()
		n, last := 0, int64(1<<62)
		for page := (control.Page{Limit: limit}); ; {
			records, next, err := s.AuditRecords(ctx, f, page)
			if err != nil {
				t.Fatal(err)
			}
			for _, r := range records {
				if r.ID >= last {
					t.Fatalf("record %d after %d: want the newest first", r.ID, last)
				}
				last = r.ID
			}
			n += len(records)
			if page.After = next; next == "" {
				return n
			}
		}
	}
	for _, tc := range []struct {
		f    control.AuditFilter
		want int
	}{
		{control.AuditFilter{}, writers * each},
		{control.AuditFilter{Actor: "user:3"}, each},
		{control.AuditFilter{Method: "/m/1"}, writers * each / 2},
		{control.AuditFilter{Resource: "r7"}, writers},
		{control.AuditFilter{Actor: "user:3", Resource: "r7"}, 1},
		{control.AuditFilter{Since: epoch}, writers * each},
		{control.AuditFilter{Since: epoch.Add(time.Millisecond)}, 0},
		{control.AuditFilter{Until: epoch}, 0},
		{control.AuditFilter{Until: epoch.Add(time.Millisecond)}, writers * each},
	} {
		for _, limit := range []int{7, 100, 0} {
			if n := count(tc.f, limit); n != tc.want {
				t.Errorf("%+v in pages of %d: got %d, want %d", tc.f, limit, n, tc.want)
			}
		}
	}
	records, _, err := s.AuditRecords(ctx, control.AuditFilter{Actor: "user:0", Resource: "r0"}, control.Page{})
	if err != nil || len(records) != 1 {
		t.Fatalf("got %d records, %v", len(records), err)
	}
	r := records[0]
	r.ID = 0
	want := control.AuditRecord{
		Time: epoch, Actor: "user:0", Method: "/m/0", Resource: "r0", Decision: "allowed", Result: "OK",
		RequestID: "q", TraceID: "t", Peer: "127.0.0.1", Latency: time.Millisecond, Calls: 1,
	}
	if r != want {
		t.Errorf("got %+v\nwant %+v", r, want)
	}
	_, _, err = s.AuditRecords(ctx, control.AuditFilter{}, control.Page{After: "x"})
	wantReason(t, err, prism.ReasonInvalidCursor)
}

func TestAuditIsSeenByTheNextList(t *testing.T) {
	t.Parallel()
	s := open(t)
	for i := range 20 {
		if err := s.Audit(t.Context(), control.AuditRecord{Actor: "dev"}); err != nil {
			t.Fatal(err)
		}
		records, _, err := s.AuditRecords(t.Context(), control.AuditFilter{}, control.Page{})
		if err != nil || len(records) != i+1 {
			t.Fatalf("got %d records (%v), want %d", len(records), err, i+1)
		}
	}
}

// A dashboard asks again and again: its first look is recorded at once, then a
// record a minute tells how often it has looked.
func TestReadsThatComeAgainShareARecord(t *testing.T) {
	t.Parallel()
	s := open(t)
	ctx := t.Context()
	look := func(actor, method, peer string) {
		t.Helper()
		r := control.AuditRecord{Time: s.clock.Now(), Actor: actor, Method: method, Resource: "orders", Decision: "allowed", Result: "OK", Peer: peer}
		if err := s.AuditRead(ctx, r); err != nil {
			t.Fatal(err)
		}
	}
	list := func() (lines []string) {
		t.Helper()
		records, _, err := s.AuditRecords(ctx, control.AuditFilter{}, control.Page{})
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range slices.Backward(records) {
			lines = append(lines, fmt.Sprintf("%s %s %s %d at %d", r.Actor, r.Method, r.Peer, r.Calls, r.Time.Unix()-epoch.Unix()))
		}
		return lines
	}
	for range 10 {
		look("ann", "/Get", "10.0.0.1:4000")
		look("ann", "/Get", "10.0.0.1:4001") // another connection
		s.clock.Advance(time.Second)
	}
	look("ann", "/List", "10.0.0.1:4000")
	look("bob", "/Get", "10.0.0.1:4000")
	look("ann", "/Get", "10.0.0.2:4000")
	want := []string{
		"ann /Get 10.0.0.1:4000 1 at 0", "ann /List 10.0.0.1:4000 1 at 10",
		"bob /Get 10.0.0.1:4000 1 at 10", "ann /Get 10.0.0.2:4000 1 at 10",
	}
	if got := list(); !slices.Equal(got, want) {
		t.Fatalf("within the minute:\n%q\nwant\n%q", got, want)
	}
	s.clock.Advance(time.Minute)
	want = append(want, "ann /Get 10.0.0.1:4001 19 at 9")
	for deadline := time.Now().Add(20 * time.Second); len(list()) < len(want) && time.Now().Before(deadline); {
	}
	look("ann", "/Get", "10.0.0.1:4000")
	if got := list(); !slices.Equal(got, want) {
		t.Fatalf("after the minute:\n%q\nwant\n%q", got, want)
	}
	s.restart(t) // nothing that was folded is lost
	want = append(want, "ann /Get 10.0.0.1:4000 1 at 70")
	if got := list(); !slices.Equal(got, want) {
		t.Errorf("after a restart:\n%q\nwant\n%q", got, want)
	}
}

func TestAuditIsKeptForNinetyDays(t *testing.T) {
	t.Parallel()
	s := open(t)
	ctx := t.Context()
	for _, age := range []time.Duration{control.AuditRetention + time.Second, control.AuditRetention - time.Hour, 0} {
		if err := s.Audit(ctx, control.AuditRecord{Time: epoch.Add(-age), Actor: "dev"}); err != nil {
			t.Fatal(err)
		}
	}
	left := func() int {
		t.Helper()
		records, _, err := s.AuditRecords(ctx, control.AuditFilter{}, control.Page{})
		if err != nil {
			t.Fatal(err)
		}
		return len(records)
	}
	if n := left(); n != 3 {
		t.Fatalf("got %d records, want 3", n)
	}
	s.restart(t) // purges at the start
	waitFor(t, func() bool { return left() == 2 })
	// And every hour.
	waitFor(t, func() bool {
		if s.clock.Timers() > 0 {
			s.clock.Advance(time.Hour)
		}
		return left() == 1
	})
}

func waitFor(t *testing.T, done func() bool) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); !done(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("waited 10 s")
		}
	}
}

func TestOperationEndsOnceAndIsFoundAfterARestart(t *testing.T) {
	t.Parallel()
	s := open(t)
	ctx := t.Context()
	create := func(resource string) control.Operation {
		return must[control.Operation](t)(s.CreateOperation(ctx, "namespace.delete", resource, "user:ann"))
	}
	done, failed, hidden := create("a"), create("b"), create("c")
	s.clock.Advance(time.Second)
	must[control.Operation](t)(s.FinishOperation(ctx, done.ID, nil))
	must[control.Operation](t)(s.FinishOperation(ctx, done.ID, errors.New("late")))
	must[control.Operation](t)(s.FinishOperation(ctx, failed.ID, prism.New(prism.ReasonUnavailable, "backend is away")))
	must[control.Operation](t)(s.FinishOperation(ctx, hidden.ID, errors.New("open /secret/path")))
	lost, taken := create("d"), create("e")
	s.restart(t)
	if running := must[[]control.Operation](t)(s.RunningOperations(ctx)); len(running) != 2 {
		t.Errorf("got %d running, want 2", len(running))
	}
	if err := s.AbandonOperations(ctx, func(o control.Operation) bool { return o.ID == taken.ID }); err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		o       control.Operation
		state   control.OperationState
		message string
	}{
		{done, control.Done, ""},
		{failed, control.Failed, "backend is away"},
		{hidden, control.Failed, "internal error"},
		{lost, control.Failed, "the gateway stopped before it ended"},
		{taken, control.Running, ""},
	} {
		want := tc.o
		want.State, want.Message = tc.state, tc.message
		if tc.state != control.Running {
			want.EndedAt = epoch.Add(time.Second)
		}
		if got := must[control.Operation](t)(s.Operation(ctx, tc.o.ID)); got != want {
			t.Errorf("got %+v\nwant %+v", got, want)
		}
	}
	if err := s.AbandonOperations(ctx, nil); err != nil {
		t.Fatal(err)
	}
	if running := must[[]control.Operation](t)(s.RunningOperations(ctx)); len(running) != 0 {
		t.Errorf("got %d running, want none", len(running))
	}
	_, err := s.Operation(ctx, "absent")
	wantReason(t, err, prism.ReasonNotFound)
	_, err = s.FinishOperation(ctx, "absent", nil)
	wantReason(t, err, prism.ReasonNotFound)
}

func TestStateOfScopesIsApart(t *testing.T) {
	t.Parallel()
	s := open(t)
	ctx := t.Context()
	a, ab := s.State("a"), s.State("a/b")
	for key, value := range map[string]string{"b/x": "1", "x": "2", "x\x00y": "3", "y": ""} {
		if err := a.Put(ctx, key, []byte(value)); err != nil {
			t.Fatal(err)
		}
	}
	if err := a.Put(ctx, "y", nil); err != nil {
		t.Fatal(err)
	}
	if _, found, err := ab.Get(ctx, "x"); found || err != nil {
		t.Errorf("scope a/b has a's key: %v %v", found, err)
	}
	s.restart(t)
	a = s.State("a")
	if v, found, err := a.Get(ctx, "x"); string(v) != "2" || !found || err != nil {
		t.Errorf("got %q %v %v", v, found, err)
	}
	var got []string
	if err := a.List(ctx, "x", func(k string, v []byte) error { got = append(got, k+"="+string(v)); return nil }); err != nil {
		t.Fatal(err)
	}
	if want := []string{"x=2", "x\x00y=3"}; !reflect.DeepEqual(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	if err := a.List(ctx, "", func(string, []byte) error { return prism.New(prism.ReasonOverflow, "stop") }); !errors.Is(err, prism.ReasonOverflow) {
		t.Errorf("got %v, want what each said", err)
	}
	if err := a.Delete(ctx, "x"); err != nil {
		t.Fatal(err)
	}
	if _, found, _ := a.Get(ctx, "x"); found {
		t.Error("a deleted key is found")
	}
}

func TestSecretIsMadeOnceAndKept(t *testing.T) {
	t.Parallel()
	s := open(t)
	var wg sync.WaitGroup
	secrets := make([][]byte, 8)
	for i := range secrets {
		wg.Go(func() { secrets[i] = must[[]byte](t)(s.Secret(t.Context(), "cursor")) })
	}
	wg.Wait()
	s.restart(t)
	again := must[[]byte](t)(s.Secret(t.Context(), "cursor"))
	for _, one := range secrets {
		if len(one) != 32 || !bytes.Equal(one, again) {
			t.Fatalf("got %d bytes that differ between callers", len(one))
		}
	}
	if bytes.Equal(again, must[[]byte](t)(s.Secret(t.Context(), "other"))) {
		t.Error("two names have one secret")
	}
}

func TestSessionsComeBackAndDamagedOnesAreLeftOut(t *testing.T) {
	t.Parallel()
	s := open(t)
	ctx := t.Context()
	record := func(id string) session.Record {
		return session.Record{
			ID: id, Principal: "user:ann", KeyID: "k", ClientID: "c", ClientVersion: "1", Metadata: map[string]string{"a": "b"},
			Tokens:     []session.Token{{Hash: session.Hash{1}, Until: epoch}, {Hash: session.Hash{2}}},
			Namespaces: []prism.Namespace{"orders"}, Config: session.Config{Name: "n", Version: "v", Body: []byte(`{}`)},
			CreatedAt: epoch, ExpiresAt: epoch.Add(time.Hour), LastActivity: epoch, Requests: 1, BytesIn: 2, BytesOut: 3,
		}
	}
	for _, id := range []string{"kept", "torn", "gone"} {
		if err := s.SaveSession(ctx, record(id)); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.DeleteSessions(ctx, []string{"gone", "absent"}); err != nil {
		t.Fatal(err)
	}
	if err := s.TouchSessions(ctx, []session.Touch{{ID: "kept", LastActivity: epoch.Add(time.Minute), Requests: 10, BytesIn: 20, BytesOut: 30}, {ID: "gone"}}); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	raw(t, s.path, "UPDATE sessions SET body = replace(body, 'user:ann', 'user:eve') WHERE id = 'torn'")
	s.start(t)
	list := must[[]session.Record](t)(s.LoadSessions(ctx))
	want := record("kept")
	want.LastActivity, want.Requests, want.BytesIn, want.BytesOut = epoch.Add(time.Minute), 10, 20, 30
	if len(list) != 1 || !reflect.DeepEqual(list[0], want) {
		t.Errorf("got %+v\nwant %+v", list, want)
	}
	if !strings.Contains(s.log.String(), "damaged") {
		t.Error("the damaged session is not in the log")
	}
}

// A record every half an hour puts the hourly purge off for nobody.
func TestABusyStorePurgesTheAuditToo(t *testing.T) {
	t.Parallel()
	s := open(t)
	ctx := t.Context()
	if err := s.Audit(ctx, control.AuditRecord{Time: epoch.Add(time.Hour - control.AuditRetention), Actor: "old"}); err != nil {
		t.Fatal(err)
	}
	for range 6 {
		if err := s.Audit(ctx, control.AuditRecord{Actor: "dev"}); err != nil {
			t.Fatal(err)
		}
		if err := s.FlushAudit(ctx); err != nil {
			t.Fatal(err)
		}
		waitFor(t, func() bool { return s.clock.Timers() > 0 })
		s.clock.Advance(30 * time.Minute)
	}
	waitFor(t, func() bool {
		records, _, err := s.AuditRecords(ctx, control.AuditFilter{Actor: "old"}, control.Page{})
		return err == nil && len(records) == 0
	})
}
