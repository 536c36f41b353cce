package control_test

import (
	"fmt"
	"log/slog"
	"path/filepath"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/prism-data-layer/prism/pkg/auth"
	"github.com/prism-data-layer/prism/pkg/clock"
	"github.com/prism-data-layer/prism/pkg/control"
	"github.com/prism-data-layer/prism/pkg/prism"
	"github.com/prism-data-layer/prism/pkg/session"
)

// Ten thousand sessions are stored, restored and listed page by page. The
// bounds are far above what was measured; they are there for a square cost.
func TestTenThousandSessions(t *testing.T) {
	if testing.Short() {
		t.Skip("writes 10,000 sessions")
	}
	const count = 10_000
	store, err := control.Open(t.Context(), filepath.Join(t.TempDir(), "control.db"), clock.Real(), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	dev, err := auth.New(auth.Off, nil, clock.Real()).Authenticate(t.Context(), auth.Credential{})
	if err != nil {
		t.Fatal(err)
	}
	o := session.Options{MaxPerPrincipal: count}
	m := session.New(store, o, clock.Real(), slog.New(slog.DiscardHandler))
	start := time.Now()
	before := heap()
	tokens := make([]string, count)
	var wg sync.WaitGroup
	for w := range 64 {
		wg.Go(func() {
			for i := w; i < count; i += 64 {
				_, token, err := m.Create(t.Context(), dev, session.CreateRequest{})
				if err != nil {
					t.Error(err)
					return
				}
				tokens[i] = token
			}
		})
	}
	wg.Wait()
	created := time.Since(start)
	each := (heap() - before) / count
	runtime.KeepAlive(m)

	start = time.Now()
	fresh := session.New(store, o, clock.Real(), slog.New(slog.DiscardHandler))
	if err := fresh.Load(t.Context()); err != nil {
		t.Fatal(err)
	}
	loaded := time.Since(start)
	for _, token := range tokens {
		if _, err := fresh.Open(t.Context(), dev, token); err != nil {
			t.Fatal(err)
		}
	}

	start = time.Now()
	seen := make(map[string]bool, count)
	for page := (session.Page{}); ; {
		infos, next, total, err := fresh.List(t.Context(), session.Filter{}, page)
		if err != nil || total != count {
			t.Fatalf("got %d sessions, %v", total, err)
		}
		for _, i := range infos {
			seen[i.ID] = true
		}
		if page.After = next; next == "" {
			break
		}
	}
	listed := time.Since(start)
	start = time.Now()
	fresh.Sweep(t.Context())
	swept := time.Since(start)
	t.Logf("created in %v, %d bytes of heap each, loaded in %v, listed in %v, swept in %v", created, each, loaded, listed, swept)
	if len(seen) != count {
		t.Errorf("listed %d sessions, want %d", len(seen), count)
	}
	if listed > time.Second && !raceEnabled {
		t.Errorf("listed in %v, want less than a second", listed)
	}
	if each > 1024+200 { // the token that the test itself keeps has 48 bytes
		t.Errorf("got %d bytes a session, want at most 1 KiB beside its strings", each)
	}
}

func heap() uint64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

func BenchmarkRoadToASession(b *testing.B) {
	c := clock.Real()
	store, err := control.Open(b.Context(), filepath.Join(b.TempDir(), "control.db"), c, slog.New(slog.DiscardHandler))
	if err != nil {
		b.Fatal(err)
	}
	defer store.Close()
	record, secret, err := auth.NewKey("service:checkout", nil, 0, c.Now())
	if err != nil {
		b.Fatal(err)
	}
	if err := store.CreateKey(b.Context(), record); err != nil {
		b.Fatal(err)
	}
	a := auth.New(auth.Required, store, c)
	m := session.New(store, session.Options{}, c, slog.New(slog.DiscardHandler))
	credential := auth.Credential{Authorization: "Bearer " + secret}
	who, err := a.Authenticate(b.Context(), credential)
	if err != nil {
		b.Fatal(err)
	}
	_, token, err := m.Create(b.Context(), who, session.CreateRequest{Namespaces: []prism.Namespace{"orders"}})
	if err != nil {
		b.Fatal(err)
	}
	ctx := b.Context()
	b.Run("authenticate", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := a.Authenticate(ctx, credential); err != nil {
				b.Fatal(err)
			}
		}
	})
	for _, token := range []string{"", token} {
		b.Run(fmt.Sprintf("session explicit=%v", token != ""), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				s, err := m.Open(ctx, who, token)
				if err != nil {
					b.Fatal(err)
				}
				call, err := s.Begin(session.Unary)
				if err != nil {
					b.Fatal(err)
				}
				call.End(100, 100)
			}
		})
	}
}
