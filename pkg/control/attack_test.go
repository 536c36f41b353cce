package control_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/prism-data-layer/prism/pkg/auth"
	"github.com/prism-data-layer/prism/pkg/clock"
	"github.com/prism-data-layer/prism/pkg/control"
	"github.com/prism-data-layer/prism/pkg/prism"
	"github.com/prism-data-layer/prism/pkg/session"
)

// Secrets go through every path of auth, session and control, the wrong ones
// too; none is found in the log, in an error, in a snapshot or on the disk.
func TestAttack_A37_SecretsAreNowhere(t *testing.T) {
	t.Parallel()
	var seen, log bytes.Buffer
	logger := slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	say := func(v ...any) { fmt.Fprintf(&seen, "%+v\n", v) }
	path := filepath.Join(t.TempDir(), "control.db")
	c := clock.NewFake(epoch)
	ctx := t.Context()
	store, err := control.Open(ctx, path, c, logger)
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()

	var secrets []string
	newKey := func(principal string, ttl time.Duration) (auth.KeyRecord, auth.Credential) {
		r, secret, err := auth.NewKey(principal, []string{"viewer"}, ttl, c.Now())
		if err != nil {
			t.Fatal(err)
		}
		if err := store.CreateKey(ctx, r); err != nil {
			t.Fatal(err)
		}
		say(r)
		secrets = append(secrets, secret[len("prism_")+13:])
		return r, auth.Credential{Authorization: "Bearer " + secret}
	}
	_, ann := newKey("user:ann", 0)
	_, old := newKey("user:old", time.Second)
	gone, revoked := newKey("user:gone", 0)
	say(store.RevokeKey(ctx, gone.ID))
	say(store.CreateKey(ctx, gone)) // exists

	authenticator := auth.New(auth.Required, store, c)
	m := session.New(store, session.Options{MaxPerPrincipal: 3}, c, logger)
	say(m.Load(ctx))
	who, err := authenticator.Authenticate(ctx, ann)
	if err != nil {
		t.Fatal(err)
	}
	say(who)
	c.Advance(2 * time.Second)
	for _, bad := range []auth.Credential{
		old, revoked,
		{Authorization: ann.Authorization + "x"},
		{Authorization: strings.Replace(ann.Authorization, "Bearer", "Basic", 1)},
		{Authorization: ann.Authorization[:len(ann.Authorization)-1]},
	} {
		_, err := authenticator.Authenticate(ctx, bad)
		say(err, errors.Unwrap(err))
	}

	s, token, err := m.Create(ctx, who, session.CreateRequest{ClientID: "shop"})
	if err != nil {
		t.Fatal(err)
	}
	secrets = append(secrets, token[len("prism_session_"):])
	_, second, err := m.Refresh(ctx, s, 0)
	if err != nil {
		t.Fatal(err)
	}
	secrets = append(secrets, second[len("prism_session_"):])
	say(s, s.Info())
	say(m.List(ctx, session.Filter{}, session.Page{}))
	_, err = m.Open(ctx, who, token+"x")
	say(err)
	say(m.Terminate(ctx, s.ID(), "by hand"))
	_, err = m.Open(ctx, who, second)
	say(err)
	other, third, err := m.Create(ctx, who, session.CreateRequest{})
	if err != nil {
		t.Fatal(err)
	}
	secrets = append(secrets, third[len("prism_session_"):])
	m.Sweep(ctx)
	say(store.LoadSessions(ctx))
	say(store.Keys(ctx, true))
	say(store.Audit(ctx, control.AuditRecord{Actor: who.Name(), Method: "/x", Peer: "127.0.0.1"}))
	say(store.AuditRecords(ctx, control.AuditFilter{}, control.Page{}))
	cursor, err := store.Secret(ctx, "cursor")
	if err != nil {
		t.Fatal(err)
	}
	onDisk := files(t, path)
	if err := store.Close(); err != nil {
		t.Fatal(err)
	}
	// And with the store gone.
	_, err = auth.New(auth.Required, store, c).Authenticate(ctx, ann)
	say(err, errors.Unwrap(err))
	_, _, err = m.Create(ctx, who, session.CreateRequest{})
	say(err, errors.Unwrap(err))
	_, _, err = m.Refresh(ctx, other, 0)
	say(err, errors.Unwrap(err))
	m.Sweep(ctx)

	for i, secret := range secrets {
		for where, text := range map[string]string{"log": log.String(), "answers and errors": seen.String()} {
			if strings.Contains(text, secret) {
				t.Errorf("secret %d is in the %s", i, where)
			}
		}
		for name, content := range onDisk {
			if strings.Contains(content, secret) {
				t.Errorf("secret %d is in %s", i, name)
			}
		}
	}
	if strings.Contains(log.String()+seen.String(), string(cursor)) {
		t.Error("the cursor secret is in the log or an answer")
	}
	if len(secrets) != 6 || log.Len() == 0 || !strings.Contains(log.String(), s.ID()) {
		t.Errorf("the test looked at %d secrets and %d bytes of log: it proves nothing", len(secrets), log.Len())
	}
}

// An error that may travel says nothing of SQL, paths or hosts.
func TestErrorsOfARunningStoreAreFitToTravel(t *testing.T) {
	t.Parallel()
	s := open(t)
	must[control.Namespace](t)(s.CreateNamespace(t.Context(), control.Namespace{Name: "orders"}, "dev"))
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	raw(t, s.path, "DROP TABLE namespaces", "DROP TABLE keys")
	s.start(t)
	_, err1 := s.Namespaces(t.Context())
	_, err2 := s.Namespace(t.Context(), "orders")
	_, err3 := s.RevokeKey(t.Context(), "x")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err4 := s.Configs(ctx, "", "")
	for _, err := range []error{err1, err2, err3, err4} {
		if err == nil {
			t.Fatal("no error")
		}
		message := prism.From(err).Message
		for _, word := range []string{"SELECT", "no such table", "sqlite", "SQL", s.path, os.TempDir()} {
			if strings.Contains(message, word) {
				t.Errorf("%q says %q", message, word)
			}
		}
		if len(message) > 200 {
			t.Errorf("%q is %d bytes", message, len(message))
		}
	}
}
