package auth_test

import (
	"context"
	"crypto/sha256"
	"errors"
	"math/rand/v2"
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/prism-data-layer/prism/pkg/auth"
	"github.com/prism-data-layer/prism/pkg/clock"
	"github.com/prism-data-layer/prism/pkg/prism"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var epoch = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

// world is an Authenticator with its keys and clock.
type world struct {
	*auth.Authenticator
	keys  *auth.Memory
	clock *clock.Fake
}

func newWorld(mode auth.Mode) *world {
	w := &world{keys: auth.NewMemory(), clock: clock.NewFake(epoch)}
	w.Authenticator = auth.New(mode, w.keys, w.clock)
	return w
}

// key makes a key and returns its record and what a caller sends.
func (w *world) key(t *testing.T, principal string, ttl time.Duration, roles ...string) (auth.KeyRecord, string) {
	t.Helper()
	r, secret, err := auth.NewKey(principal, roles, ttl, w.clock.Now())
	if err != nil {
		t.Fatal(err)
	}
	w.keys.Put(r)
	return r, "Bearer " + secret
}

func (w *world) call(authorization string) (auth.Principal, error) {
	return w.Authenticate(context.Background(), auth.Credential{Authorization: authorization})
}

func wantCause(t *testing.T, err error, want auth.Cause) {
	t.Helper()
	e := prism.From(err)
	if err == nil || e.Reason != prism.ReasonUnauthenticated || auth.CauseOf(err) != want {
		t.Fatalf("got %v (cause %q), want UNAUTHENTICATED with cause %q", err, auth.CauseOf(err), want)
	}
	if e.Message != "the call carries no valid credential" || len(e.Meta)+len(e.Fields) != 0 {
		t.Fatalf("the peer is told %q %v: want one text for every cause", e.Message, e.Meta)
	}
}

func TestValidKeyIsItsPrincipal(t *testing.T) {
	t.Parallel()
	w := newWorld(auth.Required)
	record, bearer := w.key(t, "service:checkout", time.Hour, "viewer", "viewer")
	for range 3 {
		p, err := w.call(bearer)
		if err != nil {
			t.Fatal(err)
		}
		if p.Name() != "service:checkout" || p.String() != p.Name() || p.KeyID() != record.ID || !slices.Equal(p.Roles(), []string{"viewer"}) || p.IsZero() {
			t.Errorf("got %s %s %v", p.Name(), p.KeyID(), p.Roles())
		}
		if !p.Expires().Equal(epoch.Add(time.Hour)) {
			t.Errorf("got expiry %v", p.Expires())
		}
	}
	if _, err := w.call("bEARER" + strings.TrimPrefix(bearer, "Bearer")); err != nil {
		t.Errorf("the scheme has a case: %v", err)
	}
}

func TestEveryCauseHasOneText(t *testing.T) {
	t.Parallel()
	w := newWorld(auth.Required)
	_, good := w.key(t, "user:ann", 0)
	expired, expiredBearer := w.key(t, "user:old", time.Second)
	revoked, revokedBearer := w.key(t, "user:eve", 0)
	revoked.RevokedAt = epoch
	w.keys.Put(revoked)
	_, stranger, err := auth.NewKey("user:eve", nil, 0, epoch)
	if err != nil {
		t.Fatal(err)
	}
	w.clock.Advance(time.Second)
	_ = expired
	for name, tc := range map[string]struct {
		authorization string
		want          auth.Cause
	}{
		"nothing":           {"", auth.CauseNone},
		"basic":             {"Basic " + good[7:], auth.CauseScheme},
		"bare":              {good[7:], auth.CauseScheme},
		"no token":          {"Bearer ", auth.CauseScheme},
		"two spaces":        {"Bearer  " + good[7:], auth.CauseMalformed},
		"space after":       {good + " ", auth.CauseMalformed},
		"cut":               {good[:len(good)-1], auth.CauseMalformed},
		"other prefix":      {strings.Replace(good, "prism_", "prisn_", 1), auth.CauseMalformed},
		"jwt":               {"Bearer eyJhbGciOiJub25lIn0.e30.", auth.CauseMalformed},
		"unknown":           {"Bearer " + stranger, auth.CauseUnknown},
		"expired":           {expiredBearer, auth.CauseExpired},
		"revoked":           {revokedBearer, auth.CauseRevoked},
		"a megabyte":        {"Bearer " + strings.Repeat("A", 1<<20), auth.CauseMalformed},
		"invalid UTF-8":     {"Bearer prism_\xff\xfe", auth.CauseMalformed},
		"the id of another": {swapID(t, good, stranger), auth.CauseMismatch},
	} {
		p, err := w.call(tc.authorization)
		t.Run(name, func(t *testing.T) { wantCause(t, err, tc.want) })
		if !p.IsZero() {
			t.Errorf("%s: a refusal comes with principal %s", name, p)
		}
		if secret := strings.TrimPrefix(tc.authorization, "Bearer "); len(secret) > 40 && strings.Contains(err.Error(), secret[20:40]) {
			t.Errorf("%s: the error repeats the secret: %v", name, err)
		}
	}
	if auth.CauseOf(errors.New("other")) != "" {
		t.Error("another error has a cause")
	}
}

// swapID makes a well-formed key of good's id and another's secret.
func swapID(t *testing.T, good, stranger string) string {
	t.Helper()
	body := good[len("Bearer "):][:19] + stranger[19:51]
	return "Bearer " + auth.WithChecksum(body)
}

func TestAttack_A04_OneFlippedBitIsRefused(t *testing.T) {
	t.Parallel()
	w := newWorld(auth.Required)
	_, bearer := w.key(t, "service:checkout", 0, "admin")
	if _, err := w.call(bearer); err != nil {
		t.Fatal(err)
	}
	rng := rand.New(rand.NewPCG(1, 2))
	const scheme = len("Bearer ")
	for range 1000 {
		b := []byte(bearer)
		at := scheme + rng.IntN(len(b)-scheme)
		b[at] ^= 1 << rng.IntN(8)
		if p, err := w.call(string(b)); err == nil {
			t.Fatalf("byte %d flipped: let in as %s", at, p)
		}
	}
	if _, err := w.call(bearer); err != nil {
		t.Errorf("the key itself, after: %v", err)
	}
}

func TestOffIsDevForThisMachineOnly(t *testing.T) {
	t.Parallel()
	w := newWorld(auth.Off)
	_, bearer := w.key(t, "user:ann", 0)
	for peer, ok := range map[string]bool{"": true, "127.0.0.1": true, "127.8.8.8": true, "::1": true, "::ffff:127.0.0.1": true, "10.0.0.1": false, "fe80::1": false} {
		var addr netip.Addr
		if peer != "" {
			addr = netip.MustParseAddr(peer)
		}
		p, err := w.Authenticate(t.Context(), auth.Credential{Peer: addr})
		if ok && (err != nil || p.Name() != auth.Dev || p.KeyID() != "" || !p.Live(epoch) || !p.Expires().IsZero()) {
			t.Errorf("%q: got %s, %v", peer, p, err)
		}
		if !ok {
			wantCause(t, err, auth.CausePeer)
		}
	}
	// What is presented is checked all the same.
	if p, err := w.call(bearer); err != nil || p.Name() != "user:ann" {
		t.Errorf("got %s, %v", p, err)
	}
	_, err := w.call(bearer + "x")
	wantCause(t, err, auth.CauseMalformed)

	bare := auth.New(auth.Off, nil, w.clock)
	_, err = bare.Authenticate(t.Context(), auth.Credential{Authorization: bearer})
	wantCause(t, err, auth.CauseUnknown)
	if err := bare.Flush(t.Context()); err != nil {
		t.Error(err)
	}
	if w.Mode() != auth.Off {
		t.Errorf("got mode %s", w.Mode())
	}
}

func TestUnknownModeIsRequired(t *testing.T) {
	t.Parallel()
	for _, mode := range []auth.Mode{auth.Required, "", "of", "OFF"} {
		_, err := newWorld(mode).call("")
		wantCause(t, err, auth.CauseNone)
	}
}

func TestRolesAllowWhatTheTableSaysAndNothingElse(t *testing.T) {
	t.Parallel()
	w := newWorld(auth.Off)
	all := []prism.Action{
		prism.ActionNone, prism.ActionRead, prism.ActionWrite,
		prism.ActionAdminRead, prism.ActionAdminWrite, prism.ActionAdminOperate, prism.ActionAdminAudit, 200,
	}
	for _, tc := range []struct {
		roles []string
		want  []prism.Action
		lists bool
	}{
		{[]string{"admin"}, all[3:7], true},
		{[]string{"operator"}, []prism.Action{prism.ActionAdminRead, prism.ActionAdminOperate}, true},
		{[]string{"viewer"}, []prism.Action{prism.ActionAdminRead}, true},
		{[]string{"viewer", "operator"}, []prism.Action{prism.ActionAdminRead, prism.ActionAdminOperate}, true},
		{nil, nil, false},
	} {
		_, bearer := w.key(t, "user:ann", 0, tc.roles...)
		p, err := w.call(bearer)
		if err != nil {
			t.Fatal(err)
		}
		for _, a := range all {
			if got, want := p.May(a), slices.Contains(tc.want, a); got != want {
				t.Errorf("%v may %s: got %v, want %v", tc.roles, a, got, want)
			}
		}
		if p.MayListNamespaces() != tc.lists {
			t.Errorf("%v may list namespaces: got %v", tc.roles, p.MayListNamespaces())
		}
	}
	dev, err := w.call("")
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range all {
		if got, want := dev.May(a), a != prism.ActionNone && a != 200; got != want {
			t.Errorf("dev may %s: got %v, want %v", a, got, want)
		}
	}
	if !dev.MayListNamespaces() {
		t.Error("dev may not list namespaces")
	}
	// A record that a newer program wrote with a role of its own gives nothing.
	r, secret, err := auth.NewKey("user:new", nil, 0, epoch)
	if err != nil {
		t.Fatal(err)
	}
	r.Roles = []string{"superuser"}
	w.keys.Put(r)
	p, err := w.call("Bearer " + secret)
	if err != nil || p.MayListNamespaces() || slices.ContainsFunc(all, p.May) {
		t.Errorf("an unknown role gives rights: %v", err)
	}
}

func TestZeroPrincipalIsNobody(t *testing.T) {
	t.Parallel()
	var p auth.Principal
	if !p.IsZero() || p.Name() != "" || p.KeyID() != "" || p.Roles() != nil || p.MayListNamespaces() || p.Live(epoch) || !p.Expires().IsZero() {
		t.Errorf("the zero principal is someone: %+v", p)
	}
	for a := range prism.Action(16) {
		if p.May(a) {
			t.Errorf("nobody may %s", a)
		}
	}
}

func TestRevokedKeyIsRefusedByTheNextCall(t *testing.T) {
	t.Parallel()
	w := newWorld(auth.Required)
	r, bearer := w.key(t, "user:ann", 0)
	p, err := w.call(bearer)
	if err != nil {
		t.Fatal(err)
	}
	r.RevokedAt = w.clock.Now()
	w.keys.Put(r)
	_, err = w.call(bearer)
	wantCause(t, err, auth.CauseRevoked)
	if p.Live(epoch) {
		t.Error("a stream of a revoked key lives on")
	}
	w.keys.Remove(r.ID)
	_, err = w.call(bearer)
	wantCause(t, err, auth.CauseUnknown)
}

func TestForgottenKeyIsReadAgain(t *testing.T) {
	t.Parallel()
	w := newWorld(auth.Required)
	r, bearer := w.key(t, "user:ann", 0)
	p, err := w.call(bearer)
	if err != nil {
		t.Fatal(err)
	}
	w.Forget(r.ID)
	w.Forget("absent")
	if p.Live(epoch) {
		t.Error("a forgotten principal lives on")
	}
	again, err := w.call(bearer)
	if err != nil || !again.Live(epoch) || again == p {
		t.Errorf("got %v, %v", again, err)
	}
}

func TestKeyWithOtherRolesIsAnotherPrincipal(t *testing.T) {
	t.Parallel()
	w := newWorld(auth.Required)
	r, bearer := w.key(t, "user:ann", 0, "admin")
	before, err := w.call(bearer)
	if err != nil {
		t.Fatal(err)
	}
	_, _ = w.key(t, "user:bob", 0) // another key changes nothing for this one
	if same, err := w.call(bearer); err != nil || same != before {
		t.Errorf("got another principal, %v", err)
	}
	r.Roles = []string{"viewer"}
	w.keys.Put(r)
	after, err := w.call(bearer)
	if err != nil || after.May(prism.ActionAdminWrite) || before.Live(epoch) || !after.Live(epoch) {
		t.Errorf("roles were narrowed: %v, before live %v", err, before.Live(epoch))
	}
}

func TestRunEndsRevokedPrincipalsAndTellsWhenKeysWereUsed(t *testing.T) {
	t.Parallel()
	w := newWorld(auth.Required)
	r, bearer := w.key(t, "user:ann", 0)
	idle, _ := w.key(t, "user:idle", 0)
	p, err := w.call(bearer)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- w.Run(ctx) }()
	advance := func(d time.Duration) {
		t.Helper()
		waitFor(t, func() bool { return w.clock.Timers() == 1 })
		w.clock.Advance(d)
		waitFor(t, func() bool { return w.clock.Timers() == 1 })
	}
	advance(250 * time.Millisecond)
	if !p.Live(w.clock.Now()) {
		t.Fatal("ended though nothing was revoked")
	}
	advance(30 * time.Second)
	if got, _ := w.keys.Key(ctx, r.ID); !got.LastUsedAt.Equal(epoch) {
		t.Errorf("last used: got %v, want %v", got.LastUsedAt, epoch)
	}
	r.RevokedAt = w.clock.Now()
	w.keys.Put(r)
	advance(250 * time.Millisecond)
	if p.Live(w.clock.Now()) {
		t.Error("revoked 250 ms ago and still live")
	}

	_, second := w.key(t, "user:bob", 0)
	if _, err := w.call(second); err != nil {
		t.Fatal(err)
	}
	cancel()
	if err := <-done; err != nil {
		t.Errorf("run: %v", err)
	}
	if got, _ := w.keys.Key(context.Background(), idle.ID); !got.LastUsedAt.IsZero() {
		t.Errorf("a key that was not used was used at %v", got.LastUsedAt)
	}
	bob, _ := w.call(second)
	if got, _ := w.keys.Key(context.Background(), bob.KeyID()); !got.LastUsedAt.Equal(w.clock.Now()) {
		t.Errorf("the last uses were not told at the end: %v", got.LastUsedAt)
	}
}

func TestRunWithoutKeysWaitsForItsEnd(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := auth.New(auth.Off, nil, clock.Real()).Run(ctx); err != nil {
		t.Error(err)
	}
}

// broken is a store that is away.
type broken struct {
	*auth.Memory
	err error
}

func (b *broken) Key(ctx context.Context, id string) (auth.KeyRecord, error) {
	if b.err != nil {
		return auth.KeyRecord{}, b.err
	}
	return b.Memory.Key(ctx, id)
}

func (b *broken) KeysUsed(context.Context, map[string]time.Time) error { return b.err }

func TestStoreThatIsAwayLetsNobodyIn(t *testing.T) {
	t.Parallel()
	r, secret, err := auth.NewKey("user:ann", nil, 0, epoch)
	if err != nil {
		t.Fatal(err)
	}
	keys := &broken{Memory: auth.NewMemory(r), err: errors.New("disk on fire")}
	a := auth.New(auth.Required, keys, clock.NewFake(epoch))
	c := auth.Credential{Authorization: "Bearer " + secret}
	_, err = a.Authenticate(t.Context(), c)
	if prism.From(err).Reason != prism.ReasonUnavailable || !prism.From(err).Retryable() {
		t.Errorf("got %v, want UNAVAILABLE", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err = a.Authenticate(ctx, c); !errors.Is(err, prism.ReasonCancelled) {
		t.Errorf("got %v, want CANCELLED", err)
	}
	keys.err = nil
	p, err := a.Authenticate(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	// A key that was proved is served while nothing says that it changed.
	keys.err = errors.New("disk on fire")
	if _, err := a.Authenticate(t.Context(), c); err != nil {
		t.Errorf("got %v, want what was proved", err)
	}
	if a.Flush(t.Context()) == nil {
		t.Error("the use was noted by a store that is away")
	}
	// When something changed, it is not.
	keys.Put(auth.KeyRecord{ID: "other"})
	if _, err := a.Authenticate(t.Context(), c); prism.From(err).Reason != prism.ReasonUnavailable {
		t.Errorf("got %v, want UNAVAILABLE", err)
	}
	if !p.Live(epoch) {
		t.Error("a store that is away ended a stream")
	}
}

func TestNewKeyIsRandomAndWellFormed(t *testing.T) {
	t.Parallel()
	seen := make(map[string]bool)
	letters := make(map[rune]int)
	for range 500 {
		r, secret, err := auth.NewKey("service:a.b-c_d@e/f", []string{"operator", "admin", "operator"}, 0, epoch.Add(time.Nanosecond))
		if err != nil {
			t.Fatal(err)
		}
		if len(secret) != 57 || !strings.HasPrefix(secret, "prism_"+r.ID+"_") || r.Hash != sha256.Sum256([]byte(secret)) {
			t.Fatalf("got %d characters, id %s", len(secret), r.ID)
		}
		if seen[r.ID] || seen[secret] {
			t.Fatal("made twice")
		}
		seen[r.ID], seen[secret] = true, true
		for _, c := range secret[19:51] {
			letters[c]++
		}
		if !slices.Equal(r.Roles, []string{"admin", "operator"}) || !r.CreatedAt.Equal(epoch) || !r.ExpiresAt.IsZero() {
			t.Fatalf("got %+v", r)
		}
	}
	if len(letters) != 62 {
		t.Errorf("secrets use %d characters, want 62", len(letters))
	}
}

// Taking a byte modulo 62 would make eight characters a quarter likelier.
func TestRandomTextPrefersNoCharacter(t *testing.T) {
	t.Parallel()
	count := make(map[rune]int)
	for _, c := range auth.RandomText(62 * 4000) {
		count[c]++
	}
	for c, n := range count { // the deviation is 63
		if n < 4000-7*63 || n > 4000+7*63 {
			t.Errorf("%c was drawn %d times, want about 4000", c, n)
		}
	}
}

func TestNewKeyRefusesWhatCouldBeMistaken(t *testing.T) {
	t.Parallel()
	for _, p := range []string{"", "dev", "user:", ":x", "admin:x", "user:*", "service:a*", "user:a b", "user:a\n", "user:é", "user:a\x00", "USER:a", "user:" + strings.Repeat("a", 124)} {
		if _, _, err := auth.NewKey(p, nil, 0, epoch); !errors.Is(err, prism.ReasonInvalidArgument) {
			t.Errorf("principal %q: got %v", p, err)
		}
	}
	for _, p := range []string{"user:ann", "team:x", "group:prism:no", "service:a"} {
		_, _, err := auth.NewKey(p, nil, 0, epoch)
		if want := strings.Count(p, ":") == 1; (err == nil) != want {
			t.Errorf("principal %q: got %v", p, err)
		}
	}
	if _, _, err := auth.NewKey("user:ann", []string{"root"}, 0, epoch); !errors.Is(err, prism.ReasonInvalidArgument) {
		t.Errorf("role root: got %v", err)
	}
	if _, _, err := auth.NewKey("user:ann", nil, -1, epoch); !errors.Is(err, prism.ReasonInvalidArgument) {
		t.Errorf("ttl -1: got %v", err)
	}
}

func TestManyCallersAtOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(auth.Required)
	records := make([]auth.KeyRecord, 4)
	bearers := make([]string, len(records))
	for i := range records {
		records[i], bearers[i] = w.key(t, "user:ann", 0)
	}
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for n := range 300 {
				k := (i + n) % len(bearers)
				if _, err := w.call(bearers[k]); err != nil {
					t.Error(err)
				}
				switch {
				case i == 0 && n%10 == 0:
					w.keys.Put(records[k])
				case i == 1 && n%10 == 0:
					w.Forget(records[k].ID)
				case i == 2 && n%10 == 0:
					_ = w.Flush(context.Background())
				}
			}
		})
	}
	wg.Wait()
}

func TestKnownKeyCostsNoAllocation(t *testing.T) {
	w := newWorld(auth.Required)
	_, bearer := w.key(t, "service:checkout", time.Hour)
	c := auth.Credential{Authorization: bearer}
	ctx := t.Context()
	if n := testing.AllocsPerRun(100, func() {
		if _, err := w.Authenticate(ctx, c); err != nil {
			t.Fatal(err)
		}
	}); n != 0 {
		t.Errorf("got %v allocations a call, want 0", n)
	}
}

func TestMemoryKeepsRecords(t *testing.T) {
	t.Parallel()
	r := auth.KeyRecord{ID: "a", Principal: "user:ann"}
	m := auth.NewMemory(r)
	if got, err := m.Key(t.Context(), "a"); err != nil || !reflect.DeepEqual(got, r) {
		t.Errorf("got %+v, %v", got, err)
	}
	if _, err := m.Key(t.Context(), "b"); !errors.Is(err, prism.ReasonNotFound) {
		t.Errorf("got %v", err)
	}
}

func waitFor(t *testing.T, done func() bool) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); !done(); time.Sleep(100 * time.Microsecond) {
		if time.Now().After(deadline) {
			t.Fatal("waited 10 s")
		}
	}
}

func FuzzAuthorization(f *testing.F) {
	w := newWorld(auth.Required)
	r, secret, err := auth.NewKey("user:ann", nil, 0, epoch)
	if err != nil {
		f.Fatal(err)
	}
	w.keys.Put(r)
	f.Add("Bearer " + secret)
	f.Add("Bearer prism_")
	f.Add("Basic YTpi")
	f.Fuzz(func(t *testing.T, authorization string) {
		p, err := w.call(authorization)
		if ours := len(authorization) > 7 && strings.EqualFold(authorization[:7], "bearer ") && authorization[7:] == secret; (err == nil) != ours || p.IsZero() == ours {
			t.Errorf("%q: got %s, %v", authorization, p, err)
		}
	})
}
