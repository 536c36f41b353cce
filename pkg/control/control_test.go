package control_test

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
	_ "modernc.org/sqlite"

	"github.com/prism-data-layer/prism/pkg/clock"
	"github.com/prism-data-layer/prism/pkg/control"
	"github.com/prism-data-layer/prism/pkg/prism"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var epoch = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

// opened is a store in a folder of its own, with the clock that it looks at.
type opened struct {
	*control.Store
	path  string
	clock *clock.Fake
	log   *bytes.Buffer
}

func open(t *testing.T) *opened {
	t.Helper()
	o := &opened{path: filepath.Join(t.TempDir(), "state", "control.db"), clock: clock.NewFake(epoch), log: new(bytes.Buffer)}
	o.start(t)
	t.Cleanup(func() { _ = o.Close() })
	return o
}

func (o *opened) start(t *testing.T) {
	t.Helper()
	s, err := control.Open(t.Context(), o.path, o.clock, slog.New(slog.NewTextHandler(o.log, &slog.HandlerOptions{Level: slog.LevelDebug})))
	if err != nil {
		t.Fatalf("open %s: %v", o.path, err)
	}
	o.Store = s
}

// restart closes and opens again.
func (o *opened) restart(t *testing.T) {
	t.Helper()
	if err := o.Close(); err != nil {
		t.Fatalf("close: %v", err)
	}
	o.start(t)
}

func must[T any](t *testing.T) func(T, error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func wantReason(t *testing.T, err error, want prism.Reason) {
	t.Helper()
	if err == nil || prism.From(err).Reason != want {
		t.Fatalf("got error %v (%s), want reason %s", err, prism.From(err).Code(), want)
	}
}

// raw opens the file with SQLite alone and runs statements on it.
func raw(t *testing.T, path string, statements ...string) {
	t.Helper()
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	for _, q := range statements {
		if _, err := db.Exec(q); err != nil {
			t.Fatalf("%s: %v", q, err)
		}
	}
}

func files(t *testing.T, path string) map[string]string {
	t.Helper()
	all := make(map[string]string)
	found, err := os.ReadDir(filepath.Dir(path))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range found {
		b, err := os.ReadFile(filepath.Join(filepath.Dir(path), f.Name()))
		if err != nil {
			t.Fatal(err)
		}
		all[f.Name()] = string(b)
	}
	return all
}

func TestFilesAreTheOwnersAlone(t *testing.T) {
	t.Parallel()
	if runtime.GOOS == "windows" {
		t.Skip("no modes on windows")
	}
	s := open(t)
	must[control.Namespace](t)(s.CreateNamespace(t.Context(), control.Namespace{Name: "orders"}, "dev"))
	info := must[os.FileInfo](t)(os.Stat(filepath.Dir(s.path)))
	if info.Mode().Perm() != 0o700 {
		t.Errorf("folder has mode %o, want 700", info.Mode().Perm())
	}
	found := must[[]os.DirEntry](t)(os.ReadDir(filepath.Dir(s.path)))
	if len(found) != 3 {
		t.Errorf("got %d files, want the database, its log and its index", len(found))
	}
	for _, f := range found {
		if info := must[os.FileInfo](t)(f.Info()); info.Mode().Perm() != 0o600 {
			t.Errorf("%s has mode %o, want 600", f.Name(), info.Mode().Perm())
		}
	}
	// One that others could read is closed to them.
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(s.path, 0o644); err != nil {
		t.Fatal(err)
	}
	s.start(t)
	if info := must[os.FileInfo](t)(os.Stat(s.path)); info.Mode().Perm() != 0o600 {
		t.Errorf("after a restart: mode %o, want 600", info.Mode().Perm())
	}
}

func TestPathMayHoldAnyCharacter(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "a b?c%2f#d", "x&y=z.db")
	for range 2 {
		s, err := control.Open(t.Context(), path, clock.Real(), slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		if _, err := os.Stat(path); err != nil {
			t.Fatal(err)
		}
	}
}

func TestNewerFormatIsRefusedUntouched(t *testing.T) {
	t.Parallel()
	s := open(t)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	raw(t, s.path, "PRAGMA user_version = 99")
	before := files(t, s.path)
	_, err := control.Open(t.Context(), s.path, s.clock, slog.New(slog.DiscardHandler))
	wantReason(t, err, prism.ReasonNewerFormat)
	if text := err.Error(); !strings.Contains(text, "format 99") || !strings.Contains(text, fmt.Sprintf("format %d", control.Format)) || !strings.Contains(text, s.path) {
		t.Errorf("got %q, want both versions and the file", text)
	}
	sameFiles(t, before, files(t, s.path))
}

func TestNewerFormatInTheLogIsRefusedUntouched(t *testing.T) {
	t.Parallel()
	s := open(t)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	// A newer program was killed: its format is in the log alone.
	db, err := sql.Open("sqlite", s.path)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	for _, q := range []string{"PRAGMA wal_autocheckpoint = 0", "PRAGMA user_version = 77"} {
		if _, err := db.Exec(q); err != nil {
			t.Fatal(err)
		}
	}
	copied := filepath.Join(t.TempDir(), "control.db")
	for _, end := range []string{"", "-wal"} {
		b, err := os.ReadFile(s.path + end)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(copied+end, b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	before := files(t, copied)
	_, err = control.Open(t.Context(), copied, s.clock, slog.New(slog.DiscardHandler))
	wantReason(t, err, prism.ReasonNewerFormat)
	if !strings.Contains(err.Error(), "format 77") {
		t.Errorf("got %q, want format 77", err)
	}
	sameFiles(t, before, files(t, copied))
}

func sameFiles(t *testing.T, before, after map[string]string) {
	t.Helper()
	if len(before) != len(after) {
		t.Errorf("got %d files, want the %d that were there", len(after), len(before))
	}
	for name, content := range before {
		if after[name] != content {
			t.Errorf("%s was changed", name)
		}
	}
}

func TestForeignAndDamagedFilesAreRefused(t *testing.T) {
	t.Parallel()
	good := open(t)
	for i := range 200 {
		must[control.Namespace](t)(good.CreateNamespace(t.Context(), control.Namespace{Name: fmt.Sprintf("n%d", i), Description: strings.Repeat("x", 500)}, "dev"))
	}
	if err := good.Close(); err != nil {
		t.Fatal(err)
	}
	intact, err := os.ReadFile(good.path)
	if err != nil {
		t.Fatal(err)
	}
	torn := bytes.Clone(intact)
	for at := 4096; at+4096 <= len(torn); at += 8192 {
		copy(torn[at:], bytes.Repeat([]byte{0xa5}, 2048))
	}
	foreign := filepath.Join(t.TempDir(), "foreign.db")
	raw(t, foreign, "CREATE TABLE bookmarks (url TEXT)", "PRAGMA user_version = 1")
	foreignBytes, err := os.ReadFile(foreign)
	if err != nil {
		t.Fatal(err)
	}
	raw(t, foreign, "PRAGMA user_version = 0")
	plainBytes, err := os.ReadFile(foreign)
	if err != nil {
		t.Fatal(err)
	}
	for name, tc := range map[string]struct {
		content []byte
		want    prism.Reason
	}{
		"not SQLite":       {[]byte(strings.Repeat("hello, ", 100)), prism.ReasonDataLoss},
		"a short file":     {intact[:50], prism.ReasonDataLoss},
		"cut in half":      {intact[:len(intact)/2], prism.ReasonDataLoss},
		"pages torn":       {torn, prism.ReasonDataLoss},
		"another program":  {foreignBytes, prism.ReasonInvalidConfig},
		"a plain database": {plainBytes, prism.ReasonInvalidConfig},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), "control.db")
			if err := os.WriteFile(path, tc.content, 0o600); err != nil {
				t.Fatal(err)
			}
			s, err := control.Open(t.Context(), path, clock.Real(), slog.New(slog.DiscardHandler))
			if err == nil {
				_ = s.Close()
			}
			wantReason(t, err, tc.want)
			if !strings.Contains(err.Error(), path) {
				t.Errorf("got %q, want the file named", err)
			}
			if b, _ := os.ReadFile(path); !bytes.Equal(b, tc.content) {
				t.Error("the file was changed")
			}
		})
	}
}

func TestFolderInsteadOfAFileIsRefused(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	_, err := control.Open(t.Context(), dir, clock.Real(), slog.New(slog.DiscardHandler))
	wantReason(t, err, prism.ReasonInvalidConfig)
	link := filepath.Join(dir, "link.db")
	if err := os.Symlink(filepath.Join(dir, "elsewhere"), link); err != nil {
		t.Skip(err)
	}
	_, err = control.Open(t.Context(), link, clock.Real(), slog.New(slog.DiscardHandler))
	wantReason(t, err, prism.ReasonInvalidConfig)
	_, err = control.Open(t.Context(), filepath.Join(link, "x", "control.db"), clock.Real(), slog.New(slog.DiscardHandler))
	wantReason(t, err, prism.ReasonInvalidConfig)
}

func TestFlippedBitInABodyIsNeverServed(t *testing.T) {
	t.Parallel()
	s := open(t)
	must[control.Namespace](t)(s.CreateNamespace(t.Context(), control.Namespace{Name: "orders", Access: control.Access{Owners: []string{"team:shop"}}}, "dev"))
	must[control.ClientConfig](t)(first(s.RegisterConfig(t.Context(), control.ClientConfig{Name: "c", Pattern: control.PatternQueue}, false, "dev")))
	must[control.Backend](t)(s.SaveBackend(t.Context(), control.Backend{Name: "local", Driver: "pebble"}))
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	raw(t, s.path,
		"UPDATE namespaces SET body = replace(body, 'team:shop', 'team:shoq')",
		"UPDATE configs SET body = replace(body, 'queue', 'queuf')",
		"UPDATE backends SET body = 'short'")
	s.start(t)
	_, err := s.Namespace(t.Context(), "orders")
	wantReason(t, err, prism.ReasonDataLoss)
	_, err = s.Namespaces(t.Context())
	wantReason(t, err, prism.ReasonDataLoss)
	_, err = s.Config(t.Context(), "c", "")
	wantReason(t, err, prism.ReasonDataLoss)
	_, err = s.Configs(t.Context(), "", "")
	wantReason(t, err, prism.ReasonDataLoss)
	_, err = s.Backends(t.Context())
	wantReason(t, err, prism.ReasonDataLoss)
}

func first[A, B any](a A, _ B, err error) (A, error) { return a, err }

func TestClosedStoreAnswersAndDoesNotHang(t *testing.T) {
	t.Parallel()
	s := open(t)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	_, err := s.CreateNamespace(t.Context(), control.Namespace{Name: "orders"}, "dev")
	wantReason(t, err, prism.ReasonDraining)
	wantReason(t, s.Audit(t.Context(), control.AuditRecord{Actor: "dev"}), prism.ReasonDraining)
	wantReason(t, s.FlushAudit(t.Context()), prism.ReasonDraining)
	_, err = s.Namespaces(t.Context())
	wantReason(t, err, prism.ReasonDraining)
	_, err = s.Namespace(t.Context(), "orders")
	wantReason(t, err, prism.ReasonDraining)
	if err := s.Close(); err != nil {
		t.Errorf("second close: %v", err)
	}
}

func TestWritesSideBySideAllLand(t *testing.T) {
	t.Parallel()
	s := open(t)
	const writers, each = 16, 25
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			for i := range each {
				name := fmt.Sprintf("n-%d-%d", w, i)
				if _, err := s.CreateNamespace(t.Context(), control.Namespace{Name: name}, "dev"); err != nil {
					t.Errorf("%s: %v", name, err)
				}
				// One that fails must not take its neighbours in the
				// transaction with it.
				_, err := s.CreateNamespace(t.Context(), control.Namespace{Name: name}, "dev")
				if !errors.Is(err, prism.ReasonAlreadyExists) {
					t.Errorf("%s again: got %v, want ALREADY_EXISTS", name, err)
				}
			}
		})
	}
	wg.Wait()
	s.restart(t)
	if list := must[[]control.Namespace](t)(s.Namespaces(t.Context())); len(list) != writers*each {
		t.Errorf("got %d namespaces, want %d", len(list), writers*each)
	}
}

func TestGivenUpCallChangesNothing(t *testing.T) {
	t.Parallel()
	s := open(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := s.CreateNamespace(ctx, control.Namespace{Name: "orders"}, "dev")
	wantReason(t, err, prism.ReasonCancelled)
	_, err = s.Namespaces(ctx)
	wantReason(t, err, prism.ReasonCancelled)
	wantReason(t, s.FlushAudit(ctx), prism.ReasonCancelled)
	_, err = s.Namespace(t.Context(), "orders")
	wantReason(t, err, prism.ReasonNotFound)
}

func TestPanicInAChangeIsItsCallersError(t *testing.T) {
	t.Parallel()
	s := open(t)
	must[control.Namespace](t)(s.CreateNamespace(t.Context(), control.Namespace{Name: "orders"}, "dev"))
	_, err := s.UpdateNamespace(t.Context(), "orders", 0, "dev", "", func(*control.Namespace) error { panic("boom") })
	wantReason(t, err, prism.ReasonInternal)
	must[control.Namespace](t)(s.CreateNamespace(t.Context(), control.Namespace{Name: "still-there"}, "dev"))
}

// A copy of the files is what a SIGKILL leaves behind.
func TestWhatWasAnsweredIsThereAfterAKill(t *testing.T) {
	t.Parallel()
	s := open(t)
	for i := range 50 {
		must[control.Namespace](t)(s.CreateNamespace(t.Context(), control.Namespace{Name: fmt.Sprintf("n%d", i)}, "dev"))
		if i%10 != 0 {
			continue
		}
		left := files(t, s.path)
		copied := filepath.Join(t.TempDir(), "control.db")
		for name, content := range left {
			if strings.HasSuffix(name, "-shm") {
				continue
			}
			if err := os.WriteFile(filepath.Join(filepath.Dir(copied), name), []byte(content), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		again, err := control.Open(t.Context(), copied, s.clock, slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		if list := must[[]control.Namespace](t)(again.Namespaces(t.Context())); len(list) != i+1 {
			t.Errorf("got %d namespaces, want %d", len(list), i+1)
		}
		if err := again.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

func TestMakingThatWasCutShortIsTakenUp(t *testing.T) {
	t.Parallel()
	for name, statements := range map[string][]string{
		"an empty file":      nil,
		"a file without log": {"PRAGMA journal_mode = WAL"},
	} {
		path := filepath.Join(t.TempDir(), "control.db")
		if err := os.WriteFile(path, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		raw(t, path, statements...)
		s, err := control.Open(t.Context(), path, clock.Real(), slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		must[control.Namespace](t)(s.CreateNamespace(t.Context(), control.Namespace{Name: "orders"}, "dev"))
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
}
