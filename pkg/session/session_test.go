package session_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/prism-data-layer/prism/pkg/auth"
	"github.com/prism-data-layer/prism/pkg/clock"
	"github.com/prism-data-layer/prism/pkg/prism"
	"github.com/prism-data-layer/prism/pkg/session"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var epoch = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

// shelf is a Store in memory, which can be made to fail.
type shelf struct {
	mu      sync.Mutex
	records map[string]session.Record
	err     error
	onSave  func(session.Record) // called once, before the record is there
}

func (s *shelf) do(f func()) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err == nil {
		f()
	}
	return s.err
}

func (s *shelf) fail(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.err = err
}

func (s *shelf) ids() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Sorted(maps.Keys(s.records))
}

func (s *shelf) get(id string) session.Record {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.records[id]
}

func (s *shelf) SaveSession(_ context.Context, r session.Record) error {
	s.mu.Lock()
	before := s.onSave
	s.onSave = nil
	s.mu.Unlock()
	if before != nil {
		before(r)
	}
	return s.do(func() { s.records[r.ID] = r })
}

func (s *shelf) TouchSessions(_ context.Context, touches []session.Touch) error {
	return s.do(func() {
		for _, t := range touches {
			if r, ok := s.records[t.ID]; ok {
				r.LastActivity, r.Requests, r.BytesIn, r.BytesOut = t.LastActivity, t.Requests, t.BytesIn, t.BytesOut
				s.records[t.ID] = r
			}
		}
	})
}

func (s *shelf) DeleteSessions(_ context.Context, ids []string) error {
	return s.do(func() {
		for _, id := range ids {
			delete(s.records, id)
		}
	})
}

func (s *shelf) LoadSessions(context.Context) (list []session.Record, err error) {
	return list, s.do(func() { list = slices.Collect(maps.Values(s.records)) })
}

// world is a Manager with all that it depends on.
type world struct {
	*session.Manager
	t     *testing.T
	clock *clock.Fake
	store *shelf
	keys  *auth.Memory
	auth  *auth.Authenticator
	log   *bytes.Buffer
	o     session.Options
}

func newWorld(t *testing.T, o session.Options) *world {
	w := &world{
		t: t, clock: clock.NewFake(epoch), store: &shelf{records: make(map[string]session.Record)},
		keys: auth.NewMemory(), log: new(bytes.Buffer), o: o,
	}
	w.auth = auth.New(auth.Off, w.keys, w.clock)
	w.restart()
	return w
}

func (w *world) restart() {
	w.t.Helper()
	w.Manager = session.New(w.store, w.o, w.clock, slog.New(slog.NewTextHandler(w.log, &slog.HandlerOptions{Level: slog.LevelDebug})))
	if err := w.Load(w.t.Context()); err != nil {
		w.t.Fatal(err)
	}
}

// who is a principal with a key of its own; "dev" needs none.
func (w *world) who(name string) auth.Principal {
	w.t.Helper()
	var c auth.Credential
	if name != auth.Dev {
		r, secret, err := auth.NewKey(name, nil, 0, w.clock.Now())
		if err != nil {
			w.t.Fatal(err)
		}
		w.keys.Put(r)
		c.Authorization = "Bearer " + secret
	}
	p, err := w.auth.Authenticate(w.t.Context(), c)
	if err != nil {
		w.t.Fatal(err)
	}
	return p
}

func (w *world) create(who auth.Principal, r session.CreateRequest) (session.Session, string) {
	w.t.Helper()
	s, token, err := w.Create(w.t.Context(), who, r)
	if err != nil {
		w.t.Fatal(err)
	}
	return s, token
}

func (w *world) open(who auth.Principal, token string) session.Session {
	w.t.Helper()
	s, err := w.Open(w.t.Context(), who, token)
	if err != nil {
		w.t.Fatal(err)
	}
	return s
}

func (w *world) refused(who auth.Principal, token string, want prism.Reason) {
	w.t.Helper()
	s, err := w.Open(w.t.Context(), who, token)
	wantReason(w.t, err, want)
	if !s.IsZero() {
		w.t.Errorf("a refusal comes with session %s", s.ID())
	}
}

func wantReason(t *testing.T, err error, want prism.Reason) {
	t.Helper()
	if err == nil || prism.From(err).Reason != want {
		t.Fatalf("got error %v, want reason %s", err, want)
	}
}

func isDone(s session.Session) bool {
	select {
	case <-s.Done():
		return true
	default:
		return false
	}
}

func TestImplicitSessionIsMadeOncePerPrincipal(t *testing.T) {
	t.Parallel()
	w := newWorld(t, session.Options{})
	dev, ann := w.who(auth.Dev), w.who("user:ann")
	ids := make([]string, 8)
	var wg sync.WaitGroup
	for i := range ids {
		wg.Go(func() { ids[i] = w.open(dev, "").ID() })
	}
	wg.Wait()
	if slices.Sort(ids); ids[0] != ids[7] || ids[0] == "" {
		t.Errorf("got sessions %q, want one", ids)
	}
	a := w.open(ann, "")
	if a.ID() == ids[0] || !a.Implicit() || a.Principal() != ann || !a.MayUse("anything") || a.Valid() != nil || a.Status() != session.Active {
		t.Errorf("got %+v", a.Info())
	}
	if len(w.store.ids()) != 0 {
		t.Error("an implicit session is stored")
	}
	// A second key of one principal shares the session.
	if b := w.open(w.who("user:ann"), ""); b.ID() != a.ID() {
		t.Errorf("got session %s, want %s", b.ID(), a.ID())
	}
}

func TestExplicitSessionIsWhatWasAsked(t *testing.T) {
	t.Parallel()
	w := newWorld(t, session.Options{})
	ann := w.who("user:ann")
	s, token := w.create(ann, session.CreateRequest{
		Namespaces: []prism.Namespace{"orders", "carts", "orders"}, ClientID: "shop", ClientVersion: "1.2",
		Metadata: map[string]string{"zone": "a"}, Config: session.Config{Name: "profiles", Version: "1", Body: []byte(`{"x":1}`)},
	})
	if got := w.open(ann, token); got != s {
		t.Errorf("the token opens %s, want %s", got.ID(), s.ID())
	}
	for ns, want := range map[prism.Namespace]bool{"orders": true, "carts": true, "other": false, "": false} {
		if s.MayUse(ns) != want {
			t.Errorf("may use %q: got %v", ns, s.MayUse(ns))
		}
	}
	i := s.Info()
	if i.ID != s.ID() || i.Principal != "user:ann" || i.KeyID != ann.KeyID() || i.Implicit || i.Status != session.Active ||
		!slices.Equal(i.Namespaces, []prism.Namespace{"carts", "orders"}) || i.ClientID != "shop" || i.ClientVersion != "1.2" ||
		i.Metadata["zone"] != "a" || i.Config.Name != "profiles" || !i.CreatedAt.Equal(epoch) || !i.ExpiresAt.Equal(epoch.Add(time.Hour)) || !i.LastActivity.Equal(epoch) {
		t.Errorf("got %+v", i)
	}
	if c := s.Config(); string(c.Body) != `{"x":1}` {
		t.Errorf("got config %+v", c)
	}
	if got, err := w.Get(t.Context(), s.ID()); err != nil || got.ID != s.ID() {
		t.Errorf("get: %+v, %v", got, err)
	}
	if len(s.ID()) < 22 || len(token) < 32+14 || strings.Contains(token, s.ID()) {
		t.Errorf("id %d and token %d characters", len(s.ID()), len(token))
	}
}

func TestAttack_A28_TokenOfAnotherLooksLikeAnUnknownOne(t *testing.T) {
	t.Parallel()
	w := newWorld(t, session.Options{})
	ann, eve := w.who("user:ann"), w.who("user:eve")
	s, token := w.create(ann, session.CreateRequest{})
	_, unknown := w.Open(t.Context(), eve, token[:len(token)-1]+"~")
	_, foreign := w.Open(t.Context(), eve, token)
	_, id := w.Open(t.Context(), ann, s.ID())
	_, long := w.Open(t.Context(), ann, strings.Repeat("x", 1<<20))
	for _, err := range []error{unknown, foreign, id, long} {
		wantReason(t, err, prism.ReasonInvalidSession)
		if err.Error() != unknown.Error() {
			t.Errorf("got %q, want %q for all", err, unknown)
		}
	}
	// Also when it is over.
	if _, err := w.Close(t.Context(), s, true); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Open(t.Context(), eve, token); err.Error() != unknown.Error() {
		t.Errorf("got %q, want %q", err, unknown)
	}
	w.refused(auth.Principal{}, token, prism.ReasonUnauthenticated)
	w.refused(auth.Principal{}, "", prism.ReasonUnauthenticated)
	_, _, err := w.Create(t.Context(), auth.Principal{}, session.CreateRequest{})
	wantReason(t, err, prism.ReasonUnauthenticated)
}

func TestAttack_A04_OneFlippedBitOfAToken(t *testing.T) {
	t.Parallel()
	w := newWorld(t, session.Options{})
	ann := w.who("user:ann")
	_, token := w.create(ann, session.CreateRequest{})
	for at := range len(token) {
		for bit := range 8 {
			b := []byte(token)
			b[at] ^= 1 << bit
			w.refused(ann, string(b), prism.ReasonInvalidSession)
		}
	}
	w.open(ann, token)
}

func TestIdleSessionEndsAndAnythingHeardKeepsIt(t *testing.T) {
	t.Parallel()
	w := newWorld(t, session.Options{})
	ann := w.who("user:ann")
	s, token := w.create(ann, session.CreateRequest{})
	for range 3 {
		w.clock.Advance(5*time.Minute - time.Second)
		w.open(ann, token)
		w.clock.Advance(5*time.Minute - time.Second)
		if _, err := w.Heartbeat(t.Context(), s); err != nil {
			t.Fatal(err)
		}
		w.Sweep(t.Context())
	}
	w.clock.Advance(5 * time.Minute)
	w.Sweep(t.Context())
	if !isDone(s) {
		t.Fatal("idle for five minutes and still there")
	}
	wantReason(t, s.Err(), prism.ReasonSessionExpired)
	w.refused(ann, token, prism.ReasonSessionExpired)
	_, err := w.Heartbeat(t.Context(), s)
	wantReason(t, err, prism.ReasonSessionExpired)
	_, err = w.Get(t.Context(), s.ID())
	wantReason(t, err, prism.ReasonNotFound)
	if ids := w.store.ids(); len(ids) != 0 {
		t.Errorf("the store has %q", ids)
	}
	if s.Status() != 0 {
		t.Errorf("got status %s, want none", s.Status())
	}
	if n := w.Stats().Ended[session.CauseIdle]; n != 1 {
		t.Errorf("got %d ended idle, want 1", n)
	}
}

func TestExpiryNeedsNoSweep(t *testing.T) {
	t.Parallel()
	w := newWorld(t, session.Options{})
	ann := w.who("user:ann")
	s, token := w.create(ann, session.CreateRequest{})
	i := w.open(ann, "")
	w.clock.Advance(5 * time.Minute)
	w.refused(ann, token, prism.ReasonSessionExpired)
	if !isDone(s) {
		t.Error("refused and not done")
	}
	// The implicit session is made anew.
	if j := w.open(ann, ""); j.ID() == i.ID() || !isDone(i) {
		t.Errorf("got the implicit session %s again", j.ID())
	}
}

func TestOpenStreamIsNotIdle(t *testing.T) {
	t.Parallel()
	w := newWorld(t, session.Options{})
	ann := w.who("user:ann")
	s, token := w.create(ann, session.CreateRequest{})
	call, err := s.Begin(session.Stream)
	if err != nil {
		t.Fatal(err)
	}
	w.clock.Advance(30 * time.Minute)
	w.Sweep(t.Context())
	if isDone(s) {
		t.Fatal("ended with a stream open")
	}
	if i := s.Info(); i.Streams != 1 || i.Pending != 1 {
		t.Errorf("got %+v", i)
	}
	call.End(0, 0) // counts as activity, too
	w.clock.Advance(5*time.Minute - time.Second)
	w.open(ann, token)
	w.clock.Advance(5 * time.Minute)
	w.Sweep(t.Context())
	if !isDone(s) {
		t.Error("still there")
	}
}

func TestLifetimeEndsABusySession(t *testing.T) {
	t.Parallel()
	w := newWorld(t, session.Options{})
	ann := w.who("user:ann")
	s, token := w.create(ann, session.CreateRequest{})
	if _, err := s.Begin(session.Stream); err != nil {
		t.Fatal(err)
	}
	w.clock.Advance(time.Hour - time.Millisecond)
	w.open(ann, token)
	w.clock.Advance(time.Millisecond)
	w.Sweep(t.Context())
	wantReason(t, s.Err(), prism.ReasonSessionExpired)
	w.refused(ann, token, prism.ReasonSessionExpired)
	if n := w.Stats().Ended[session.CauseLifetime]; n != 1 {
		t.Errorf("got %d ended of age, want 1", n)
	}
}

func TestEndIsAnnounced(t *testing.T) {
	t.Parallel()
	w := newWorld(t, session.Options{})
	ann := w.who("user:ann")
	s, _ := w.create(ann, session.CreateRequest{})
	beat := func() session.Beat {
		t.Helper()
		b, err := w.Heartbeat(t.Context(), s)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	if b := beat(); b != (session.Beat{ServerTime: b.ServerTime, TTL: 5 * time.Minute, Status: session.Active}) || !b.ServerTime.Equal(epoch) {
		t.Errorf("got %+v", b)
	}
	// By being idle: seen by others only, for a heartbeat ends it.
	w.clock.Advance(4*time.Minute + time.Second)
	if got := s.Status(); got != session.Expiring {
		t.Errorf("got %s, want EXPIRING: a minute of idleness is left", got)
	}
	for range 13 {
		beat()
		w.clock.Advance(4 * time.Minute)
	}
	// By age: 55 of 60 minutes are over, less than a tenth is left.
	if b := beat(); b.Status != session.Expiring || b.TTL >= 5*time.Minute {
		t.Errorf("got %+v, want EXPIRING", b)
	}
}

func TestRefreshGivesANewTokenAndALaterEnd(t *testing.T) {
	t.Parallel()
	w := newWorld(t, session.Options{Idle: 100 * time.Hour})
	ann := w.who("user:ann")
	s, old := w.create(ann, session.CreateRequest{})
	w.clock.Advance(30 * time.Minute)
	expires, token, err := w.Refresh(t.Context(), s, time.Hour)
	if err != nil || !expires.Equal(epoch.Add(90*time.Minute)) {
		t.Fatalf("got %v, %v", expires, err)
	}
	if token == old || w.open(ann, token) != s {
		t.Error("the new token does not open the session")
	}
	w.clock.Advance(30*time.Second - time.Millisecond)
	w.open(ann, old)
	w.clock.Advance(time.Millisecond)
	w.refused(ann, old, prism.ReasonInvalidSession)
	w.open(ann, token)

	// A short extension does not shorten; a long one meets the maximum.
	for _, tc := range []struct {
		extension time.Duration
		want      time.Time
	}{
		{time.Second, epoch.Add(90 * time.Minute)},
		{0, epoch.Add(24 * time.Hour)},
		{1<<63 - 1, epoch.Add(24 * time.Hour)},
		{time.Second, epoch.Add(24 * time.Hour)},
	} {
		if expires, _, err = w.Refresh(t.Context(), s, tc.extension); err != nil || !expires.Equal(tc.want) {
			t.Errorf("extension %v: got %v, %v, want %v", tc.extension, expires, err, tc.want)
		}
	}
	_, _, err = w.Refresh(t.Context(), s, -1)
	wantReason(t, err, prism.ReasonInvalidArgument)
	w.clock.Advance(24 * time.Hour)
	_, err = w.Open(t.Context(), ann, token)
	if err == nil {
		t.Error("refreshed beyond the maximum")
	}
	w.Sweep(t.Context())
	_, _, err = w.Refresh(t.Context(), s, 0)
	wantReason(t, err, prism.ReasonSessionExpired)
	_, _, err = w.Refresh(t.Context(), w.open(ann, ""), 0)
	wantReason(t, err, prism.ReasonFailedPrecond)
}

func TestTokensOfManyRefreshesAreBounded(t *testing.T) {
	t.Parallel()
	w := newWorld(t, session.Options{})
	ann := w.who("user:ann")
	s, token := w.create(ann, session.CreateRequest{})
	tokens := []string{token}
	for range 10 {
		_, token, err := w.Refresh(t.Context(), s, 0)
		if err != nil {
			t.Fatal(err)
		}
		tokens = append(tokens, token)
	}
	for i, token := range tokens {
		if i < len(tokens)-4 {
			w.refused(ann, token, prism.ReasonInvalidSession)
		} else {
			w.open(ann, token)
		}
	}
	if r := w.store.get(s.ID()); len(r.Tokens) != 4 || !r.Tokens[3].Until.IsZero() || r.Tokens[2].Until.IsZero() {
		t.Errorf("stored: %+v", r.Tokens)
	}
}

func TestRefreshThatIsNotDurableChangesNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t, session.Options{})
	ann := w.who("user:ann")
	s, token := w.create(ann, session.CreateRequest{})
	w.store.fail(errors.New("disk on fire"))
	if _, got, err := w.Refresh(t.Context(), s, 0); err == nil || got != "" {
		t.Fatalf("got token %d characters, %v", len(got), err)
	}
	w.store.fail(nil)
	w.clock.Advance(time.Minute)
	w.open(ann, token)
	if !s.Info().ExpiresAt.Equal(epoch.Add(time.Hour)) {
		t.Errorf("got end %v", s.Info().ExpiresAt)
	}
}

// The record that a refresh writes must not bring back a session that ended
// meanwhile, in whatever way.
func TestRefreshDoesNotBringBackWhatEndsMeanwhile(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		end  func(*world, session.Session) error
		want prism.Reason
	}{
		"terminated": {func(w *world, s session.Session) error {
			_, err := w.Terminate(t.Context(), s.ID(), "")
			return err
		}, prism.ReasonSessionRevoked},
		"closing": {func(w *world, s session.Session) error {
			_, err := w.Close(t.Context(), s, false)
			return err
		}, prism.ReasonInvalidSession},
	} {
		w := newWorld(t, session.Options{})
		ann := w.who("user:ann")
		s, _ := w.create(ann, session.CreateRequest{})
		if _, err := s.Begin(session.Stream); err != nil {
			t.Fatal(err)
		}
		w.store.onSave = func(session.Record) {
			if err := tc.end(w, s); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
		_, token, err := w.Refresh(t.Context(), s, 0)
		wantReason(t, err, tc.want)
		if ids := w.store.ids(); token != "" || len(ids) != 0 {
			t.Errorf("%s: the store has %q", name, ids)
		}
		_, _, err = w.Refresh(t.Context(), s, 0)
		wantReason(t, err, tc.want)
	}
}

func TestOptionsHaveTheirDefaults(t *testing.T) {
	t.Parallel()
	got := newWorld(t, session.Options{Max: time.Minute}).Options()
	want := session.Options{
		Idle: 5 * time.Minute, Lifetime: time.Minute, Max: time.Minute, Heartbeat: 30 * time.Second,
		Grace: 30 * time.Second, MaxPerPrincipal: 1000, MaxTotal: 100_000,
	}
	if got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

func TestTokenHashIsHexInARecord(t *testing.T) {
	t.Parallel()
	b, err := json.Marshal(session.Token{Hash: session.Hash{0: 0xab, 31: 0xcd}, Until: epoch})
	if err != nil || !strings.Contains(string(b), `"ab00`) {
		t.Fatalf("got %s, %v", b, err)
	}
	var back session.Token
	if err := json.Unmarshal(b, &back); err != nil || back.Hash[31] != 0xcd || !back.Until.Equal(epoch) {
		t.Errorf("got %+v, %v", back, err)
	}
	for _, bad := range []string{`{"hash":"ab"}`, `{"hash":"` + strings.Repeat("zz", 32) + `"}`} {
		if json.Unmarshal([]byte(bad), &back) == nil {
			t.Errorf("%s was read", bad)
		}
	}
}

func TestSessionThatIsNotDurableIsNotAnswered(t *testing.T) {
	t.Parallel()
	w := newWorld(t, session.Options{MaxPerPrincipal: 1})
	ann := w.who("user:ann")
	w.store.fail(errors.New("disk on fire"))
	s, token, err := w.Create(t.Context(), ann, session.CreateRequest{})
	if err == nil || token != "" || !s.IsZero() {
		t.Fatalf("got %v", err)
	}
	w.store.fail(nil)
	w.create(ann, session.CreateRequest{}) // its place was given back
}

func TestCloseWaitsForWhatIsUnderWay(t *testing.T) {
	t.Parallel()
	w := newWorld(t, session.Options{})
	ann := w.who("user:ann")
	s, token := w.create(ann, session.CreateRequest{})
	a, err := s.Begin(session.Unary)
	if err != nil {
		t.Fatal(err)
	}
	b, err := s.Begin(session.Stream)
	if err != nil {
		t.Fatal(err)
	}
	if pending, err := w.Close(t.Context(), s, false); pending != 2 || err != nil {
		t.Fatalf("got %d, %v", pending, err)
	}
	if s.Status() != session.Terminating || s.Valid() != nil || isDone(s) {
		t.Errorf("got %s, %v", s.Status(), s.Valid())
	}
	_, err = s.Begin(session.Unary)
	wantReason(t, err, prism.ReasonInvalidSession)
	w.refused(ann, token, prism.ReasonInvalidSession)
	if len(w.store.ids()) != 0 {
		t.Error("a restart would bring it back")
	}
	a.End(1, 1)
	if isDone(s) {
		t.Fatal("ended with a stream open")
	}
	b.End(1, 1)
	if !isDone(s) {
		t.Fatal("its last stream is over and it is still there")
	}
	wantReason(t, s.Err(), prism.ReasonInvalidSession)
	_, err = w.Close(t.Context(), s, false)
	wantReason(t, err, prism.ReasonInvalidSession)
	_, err = s.Begin(session.Unary)
	wantReason(t, err, prism.ReasonInvalidSession)
}

func TestCloseDoesNotWaitForEver(t *testing.T) {
	t.Parallel()
	w := newWorld(t, session.Options{})
	s, _ := w.create(w.who("user:ann"), session.CreateRequest{})
	if _, err := s.Begin(session.Stream); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Close(t.Context(), s, false); err != nil {
		t.Fatal(err)
	}
	w.clock.Advance(30*time.Second - time.Millisecond)
	w.Sweep(t.Context())
	if isDone(s) {
		t.Error("ended before the grace was over")
	}
	w.clock.Advance(time.Millisecond)
	w.Sweep(t.Context())
	if !isDone(s) {
		t.Error("still there after the grace")
	}
}

func TestCloseWithForceEndsStreams(t *testing.T) {
	t.Parallel()
	w := newWorld(t, session.Options{})
	ann := w.who("user:ann")
	s, _ := w.create(ann, session.CreateRequest{})
	call, err := s.Begin(session.Stream)
	if err != nil {
		t.Fatal(err)
	}
	if pending, err := w.Close(t.Context(), s, true); pending != 1 || err != nil || !isDone(s) {
		t.Errorf("got %d, %v", pending, err)
	}
	call.End(0, 0)
	// Without anything under way a close is over at once.
	s, _ = w.create(ann, session.CreateRequest{})
	if pending, err := w.Close(t.Context(), s, false); pending != 0 || err != nil || !isDone(s) {
		t.Errorf("got %d, %v", pending, err)
	}
	// The implicit session can be closed; the next call makes another.
	i := w.open(ann, "")
	call, err = i.Begin(session.Unary)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Close(t.Context(), i, false); err != nil {
		t.Fatal(err)
	}
	w.refused(ann, "", prism.ReasonUnavailable)
	call.End(0, 0)
	if j := w.open(ann, ""); j.ID() == i.ID() {
		t.Error("got the closed session again")
	}
}

func TestTerminateTellsTheReason(t *testing.T) {
	t.Parallel()
	w := newWorld(t, session.Options{})
	ann := w.who("user:ann")
	s, token := w.create(ann, session.CreateRequest{})
	if _, err := s.Begin(session.Stream); err != nil {
		t.Fatal(err)
	}
	if pending, err := w.Terminate(t.Context(), s.ID(), "rotating keys"); pending != 1 || err != nil {
		t.Fatalf("got %d, %v", pending, err)
	}
	if !isDone(s) {
		t.Error("its stream goes on")
	}
	wantReason(t, s.Err(), prism.ReasonSessionRevoked)
	if !strings.Contains(s.Err().Error(), "rotating keys") {
		t.Errorf("got %q", s.Err())
	}
	w.refused(ann, token, prism.ReasonSessionRevoked)
	for _, id := range []string{s.ID(), "absent"} {
		_, err := w.Terminate(t.Context(), id, "")
		wantReason(t, err, prism.ReasonNotFound)
	}
	w.restart()
	w.refused(ann, token, prism.ReasonInvalidSession)

	long, _ := w.create(ann, session.CreateRequest{})
	if _, err := w.Terminate(t.Context(), long.ID(), strings.Repeat("é", 500)); err != nil {
		t.Fatal(err)
	}
	if n := len(long.Err().Error()); n > 200 {
		t.Errorf("got a message of %d bytes", n)
	}
	plain, _ := w.create(ann, session.CreateRequest{})
	if _, err := w.Terminate(t.Context(), plain.ID(), ""); err != nil || plain.Err().Error() != "the session was ended by an operator" {
		t.Errorf("got %v", plain.Err())
	}
}

func TestRevocationThatTheStoreMissedIsTriedAgain(t *testing.T) {
	t.Parallel()
	w := newWorld(t, session.Options{})
	ann := w.who("user:ann")
	s, token := w.create(ann, session.CreateRequest{})
	w.store.fail(errors.New("disk on fire"))
	if _, err := w.Terminate(t.Context(), s.ID(), ""); err == nil {
		t.Error("said to be gone though the store still has it")
	}
	w.refused(ann, token, prism.ReasonSessionRevoked)
	w.Sweep(t.Context())
	if !strings.Contains(w.log.String(), "trying again") {
		t.Error("the log does not say so")
	}
	w.store.fail(nil)
	w.Sweep(t.Context())
	if ids := w.store.ids(); len(ids) != 0 {
		t.Errorf("the store has %q", ids)
	}
}

func TestRevokedKeyEndsOnlyWhatItOpened(t *testing.T) {
	t.Parallel()
	w := newWorld(t, session.Options{})
	one, two := w.who("user:ann"), w.who("user:ann")
	s, token := w.create(one, session.CreateRequest{})
	a, b := w.open(one, token), w.open(two, token)
	if a != s || a.ID() != b.ID() || b.Principal() != two || w.open(two, token) != b {
		t.Fatal("two keys of one principal do not share the session")
	}
	revoke := func(p auth.Principal) {
		w.auth.Forget(p.KeyID())
		w.Sweep(t.Context())
	}
	revoke(two)
	if isDone(a) || !isDone(b) {
		t.Errorf("revoked the second: first done %v, second done %v", isDone(a), isDone(b))
	}
	wantReason(t, b.Err(), prism.ReasonUnauthenticated)
	three := w.who("user:ann")
	c := w.open(three, token)
	revoke(one)
	if !isDone(a) || isDone(c) {
		t.Errorf("revoked the first: first done %v, third done %v", isDone(a), isDone(c))
	}
	if d := w.open(w.who("user:ann"), token); d.ID() != s.ID() || d.Valid() != nil {
		t.Error("the session is not there for a fourth")
	}
}

func TestExpiredCredentialEndsItsStreams(t *testing.T) {
	t.Parallel()
	w := newWorld(t, session.Options{})
	r, secret, err := auth.NewKey("user:ann", nil, time.Minute, w.clock.Now())
	if err != nil {
		t.Fatal(err)
	}
	w.keys.Put(r)
	p, err := w.auth.Authenticate(t.Context(), auth.Credential{Authorization: "Bearer " + secret})
	if err != nil {
		t.Fatal(err)
	}
	s := w.open(p, "")
	w.clock.Advance(time.Minute)
	w.Sweep(t.Context())
	if !isDone(s) {
		t.Error("the key is over and its stream goes on")
	}
}

func TestSessionsSurviveARestart(t *testing.T) {
	t.Parallel()
	w := newWorld(t, session.Options{})
	ann := w.who("user:ann")
	s, first := w.create(ann, session.CreateRequest{Namespaces: []prism.Namespace{"orders"}, ClientID: "shop", Metadata: map[string]string{"a": "b"}})
	call, err := s.Begin(session.Unary)
	if err != nil {
		t.Fatal(err)
	}
	w.clock.Advance(10 * time.Second)
	call.Add(2, 100, 200)
	call.End(1, 2)
	_, token, err := w.Refresh(t.Context(), s, 2*time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	w.clock.Advance(10 * time.Second)
	w.open(ann, token)
	if err := w.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	before := s.Info()

	w.restart()
	after := w.open(ann, token)
	if got := after.Info(); fmt.Sprintf("%+v", got) != fmt.Sprintf("%+v", before) {
		t.Errorf("got  %+v\nwant %+v", got, before)
	}
	w.open(ann, first) // in its grace
	w.clock.Advance(20 * time.Second)
	w.refused(ann, first, prism.ReasonInvalidSession)
	if !after.MayUse("orders") || after.MayUse("carts") {
		t.Error("the narrowing is lost")
	}
	if n := w.Stats().Restored; n != 1 {
		t.Errorf("got %d restored", n)
	}

	// Down for an hour: what had its time is gone, the rest can be heard.
	short, shortToken := w.create(ann, session.CreateRequest{})
	w.clock.Advance(time.Hour)
	w.restart()
	w.refused(ann, shortToken, prism.ReasonInvalidSession)
	w.Sweep(t.Context())
	if ids := w.store.ids(); len(ids) != 1 || ids[0] != s.ID() {
		t.Errorf("the store has %q, want all but %s", ids, short.ID())
	}
	w.clock.Advance(29 * time.Second)
	w.open(ann, token)
	w.restart()
	w.clock.Advance(5 * time.Minute)
	w.refused(ann, token, prism.ReasonSessionExpired)
}

func TestRestartWithAStoreThatIsAway(t *testing.T) {
	t.Parallel()
	w := newWorld(t, session.Options{})
	w.store.fail(errors.New("disk on fire"))
	if err := w.Load(t.Context()); err == nil {
		t.Error("loaded from a store that is away")
	}
	m := session.New(nil, session.Options{}, w.clock, slog.New(slog.DiscardHandler))
	if err := m.Load(t.Context()); err != nil {
		t.Error(err)
	}
	s, token, err := m.Create(t.Context(), w.who(auth.Dev), session.CreateRequest{})
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := m.Refresh(t.Context(), s, 0); err != nil {
		t.Error(err)
	}
	if _, err := m.Open(t.Context(), w.who(auth.Dev), token); err != nil {
		t.Error(err)
	}
	if err := m.Flush(t.Context()); err != nil {
		t.Error(err)
	}
	if _, err := m.Close(t.Context(), s, true); err != nil {
		t.Error(err)
	}
}

func TestQuotaOfSessions(t *testing.T) {
	t.Parallel()
	w := newWorld(t, session.Options{MaxPerPrincipal: 2, MaxTotal: 3})
	ann, bob := w.who("user:ann"), w.who("user:bob")
	first, _ := w.create(ann, session.CreateRequest{})
	w.create(ann, session.CreateRequest{})
	_, _, err := w.Create(t.Context(), ann, session.CreateRequest{})
	wantReason(t, err, prism.ReasonQuotaExceeded)
	if q := prism.From(err).Quota; q == nil || q.Subject != "principal:user:ann" {
		t.Errorf("got quota %+v", q)
	}
	w.create(bob, session.CreateRequest{})
	_, _, err = w.Create(t.Context(), bob, session.CreateRequest{})
	wantReason(t, err, prism.ReasonQuotaExceeded)
	w.open(ann, "") // a call with only a credential is always let in
	if _, err := w.Close(t.Context(), first, true); err != nil {
		t.Fatal(err)
	}
	w.create(ann, session.CreateRequest{})
}

func TestBadRequestNamesEveryField(t *testing.T) {
	t.Parallel()
	w := newWorld(t, session.Options{})
	metadata := map[string]string{"big": strings.Repeat("x", 16<<10)}
	_, _, err := w.Create(t.Context(), w.who(auth.Dev), session.CreateRequest{
		Namespaces: []prism.Namespace{"ok", "A"}, ClientID: strings.Repeat("x", 257), ClientVersion: strings.Repeat("x", 257),
		Metadata: metadata, Config: session.Config{Body: make([]byte, 64<<10+1)},
	})
	wantReason(t, err, prism.ReasonInvalidArgument)
	var fields []string
	for _, f := range prism.From(err).Fields {
		fields = append(fields, f.Field)
	}
	if want := []string{"client_id", "client_version", "metadata", "namespaces[1]", "inline_config"}; !slices.Equal(fields, want) {
		t.Errorf("got %q, want %q", fields, want)
	}
}

func TestListIsPagedNewestFirst(t *testing.T) {
	t.Parallel()
	w := newWorld(t, session.Options{Idle: time.Hour})
	ann, bob := w.who("user:ann"), w.who("user:bob")
	for i := range 25 {
		r := session.CreateRequest{}
		who := ann
		if i%5 == 0 {
			who, r.Namespaces = bob, []prism.Namespace{"orders"}
		}
		w.create(who, r)
		if i%2 == 0 {
			w.clock.Advance(time.Second)
		}
	}
	w.open(ann, "")
	list := func(f session.Filter, limit int) (got []session.Info) {
		t.Helper()
		for p := (session.Page{Limit: limit}); ; {
			infos, next, total, err := w.List(t.Context(), f, p)
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, infos...)
			if p.After = next; next == "" {
				if total != len(got) {
					t.Errorf("%+v: got %d of %d", f, len(got), total)
				}
				return got
			}
		}
	}
	for _, tc := range []struct {
		f    session.Filter
		want int
	}{
		{session.Filter{}, 26},
		{session.Filter{Principal: "user:bob"}, 5},
		{session.Filter{Principal: "user:eve"}, 0},
		{session.Filter{Namespace: "orders"}, 26},
		{session.Filter{Namespace: "carts"}, 21},
		{session.Filter{Status: session.Active}, 26},
		{session.Filter{Status: session.Terminating}, 0},
	} {
		for _, limit := range []int{1, 7, 0} {
			got := list(tc.f, limit)
			if len(got) != tc.want {
				t.Errorf("%+v in pages of %d: got %d, want %d", tc.f, limit, len(got), tc.want)
			}
			for i := 1; i < len(got); i++ {
				if got[i].CreatedAt.After(got[i-1].CreatedAt) || got[i].ID == got[i-1].ID {
					t.Fatalf("%+v: not the newest first, or twice", tc.f)
				}
			}
		}
	}
	for _, cursor := range []string{"x", "1", ":", "x:y"} {
		_, _, _, err := w.List(t.Context(), session.Filter{}, session.Page{After: cursor})
		wantReason(t, err, prism.ReasonInvalidCursor)
	}
	if s := w.Stats(); s.Explicit != 25 || s.Implicit != 1 || s.Created != 26 {
		t.Errorf("got %+v", s)
	}
}

func TestCallsAreCounted(t *testing.T) {
	t.Parallel()
	w := newWorld(t, session.Options{})
	s := w.open(w.who(auth.Dev), "")
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 100 {
				call, err := s.Begin(session.Stream)
				if err != nil {
					t.Error(err)
					return
				}
				call.Add(1, 10, 0)
				call.End(0, 20)
			}
		})
	}
	wg.Wait()
	if i := s.Info(); i.Requests != 1600 || i.BytesIn != 8000 || i.BytesOut != 16000 || i.Streams != 0 || i.Pending != 0 {
		t.Errorf("got %+v", i)
	}
}

func TestZeroSessionIsRefusedEverywhere(t *testing.T) {
	t.Parallel()
	w := newWorld(t, session.Options{})
	var s session.Session
	if !s.IsZero() || s.ID() != "" || s.MayUse("a") || s.Implicit() || !isDone(s) || !s.Principal().IsZero() || s.Info().ID != "" || s.Status() != 0 || s.Config().Name != "" {
		t.Error("the zero session is one")
	}
	wantReason(t, s.Valid(), prism.ReasonInvalidSession)
	_, err := s.Begin(session.Unary)
	wantReason(t, err, prism.ReasonInvalidSession)
	_, err = w.Heartbeat(t.Context(), s)
	wantReason(t, err, prism.ReasonInvalidSession)
	_, _, err = w.Refresh(t.Context(), s, 0)
	wantReason(t, err, prism.ReasonInvalidSession)
	_, err = w.Close(t.Context(), s, true)
	wantReason(t, err, prism.ReasonInvalidSession)
	var c session.Call
	c.Add(1, 1, 1)
	c.End(1, 1)
	for _, st := range []session.Status{0, session.Active, session.Expiring, session.ReadOnly, session.Terminating} {
		if st.String() == "" {
			t.Errorf("status %d has no name", st)
		}
	}
}

func TestRunSweepsTellsAndStops(t *testing.T) {
	t.Parallel()
	w := newWorld(t, session.Options{})
	ann := w.who("user:ann")
	s, token := w.create(ann, session.CreateRequest{})
	kept, keptToken := w.create(ann, session.CreateRequest{})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- w.Run(ctx) }()
	advance := func(d time.Duration) {
		t.Helper()
		waitFor(t, func() bool { return w.clock.Timers() == 1 })
		w.clock.Advance(d)
		waitFor(t, func() bool { return w.clock.Timers() == 1 })
	}
	advance(29 * time.Second)
	w.open(ann, keptToken)
	advance(time.Second)
	if got := w.store.get(kept.ID()).LastActivity; !got.Equal(epoch.Add(29 * time.Second)) {
		t.Errorf("stored activity: got %v", got)
	}
	w.store.fail(errors.New("disk on fire"))
	w.open(ann, keptToken)
	advance(30 * time.Second)
	w.store.fail(nil)
	w.clock.Advance(4 * time.Minute) // s has had its five minutes
	waitFor(t, func() bool { return isDone(s) })
	waitFor(t, func() bool { return len(w.store.ids()) == 1 })
	w.refused(ann, token, prism.ReasonSessionExpired)
	// Its token is unknown in the end.
	w.open(ann, keptToken)
	for range 4 {
		advance(3 * time.Minute)
		w.open(ann, keptToken)
	}
	w.refused(ann, token, prism.ReasonInvalidSession)
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
	if got := w.store.get(kept.ID()).LastActivity; !got.Equal(w.clock.Now()) {
		t.Errorf("stored activity at the end: got %v, want %v", got, w.clock.Now())
	}
}

func TestEndedSessionsAreForgottenBeyondABound(t *testing.T) {
	t.Parallel()
	const ended, remembered = 10_050, 10_000
	w := newWorld(t, session.Options{MaxPerPrincipal: ended})
	ann := w.who("user:ann")
	tokens := make([]string, ended)
	for i := range tokens {
		s, token := w.create(ann, session.CreateRequest{})
		tokens[i] = token
		if _, err := w.Close(t.Context(), s, true); err != nil {
			t.Fatal(err)
		}
	}
	w.Sweep(t.Context())
	told := 0
	for _, token := range tokens {
		_, err := w.Open(t.Context(), ann, token)
		wantReason(t, err, prism.ReasonInvalidSession)
		if strings.Contains(err.Error(), "closed") {
			told++
		}
	}
	if told != remembered {
		t.Errorf("%d tokens are answered with why they ended, want %d", told, remembered)
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

func TestOpenAndCallCostNoAllocation(t *testing.T) {
	w := newWorld(t, session.Options{})
	ann := w.who("user:ann")
	_, token := w.create(ann, session.CreateRequest{Namespaces: []prism.Namespace{"orders"}})
	w.open(ann, "")
	ctx := t.Context()
	for _, token := range []string{token, ""} {
		if n := testing.AllocsPerRun(100, func() {
			s, err := w.Open(ctx, ann, token)
			if err != nil || !s.MayUse("orders") || s.Valid() != nil {
				t.Fatal(err)
			}
			call, err := s.Begin(session.Unary)
			if err != nil {
				t.Fatal(err)
			}
			call.End(1, 2)
		}); n != 0 {
			t.Errorf("got %v allocations a call, want 0", n)
		}
	}
}

func TestEndsWhileCallsBegin(t *testing.T) {
	t.Parallel()
	w := newWorld(t, session.Options{})
	ann := w.who("user:ann")
	for range 50 {
		s, token := w.create(ann, session.CreateRequest{})
		var wg sync.WaitGroup
		for range 4 {
			wg.Go(func() {
				for range 20 {
					if s, err := w.Open(context.Background(), ann, token); err == nil {
						if call, err := s.Begin(session.Unary); err == nil {
							call.End(0, 0)
						}
					}
				}
			})
		}
		wg.Go(func() { _, _, _ = w.Refresh(context.Background(), s, 0) })
		wg.Go(func() { _, _ = w.Close(context.Background(), s, false) })
		wg.Wait()
		if !isDone(s) || s.Info().Pending != 0 {
			t.Fatalf("got %+v", s.Info())
		}
		w.Sweep(t.Context())
		if ids := w.store.ids(); len(ids) != 0 {
			t.Fatalf("the store has %q", ids)
		}
	}
}
