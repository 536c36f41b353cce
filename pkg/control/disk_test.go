package control

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/prism-data-layer/prism/pkg/clock"
	"github.com/prism-data-layer/prism/pkg/prism"
)

// limitPages makes SQLite answer as on a full disk.
func limitPages(t *testing.T, s *Store, pages int) {
	t.Helper()
	// Read as a row: a pragma that answers.
	err := s.writer.write(t.Context(), "limit", func(t *tx) error {
		var got int
		return t.conn.QueryRowContext(context.Background(), fmt.Sprintf("PRAGMA max_page_count = %d", pages)).Scan(&got)
	}, nil)
	if err != nil {
		t.Fatal(err)
	}
}

func TestFullDiskIsSaidAndGoesAwayWithoutARestart(t *testing.T) {
	t.Parallel()
	fake := clock.NewFake(time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC))
	s, err := Open(t.Context(), filepath.Join(t.TempDir(), "control.db"), fake, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if _, err := s.CreateNamespace(t.Context(), Namespace{Name: "before"}, "dev"); err != nil {
		t.Fatal(err)
	}
	limitPages(t, s, 1) // SQLite makes it the present size
	big := strings.Repeat("x", 50_000)
	if _, err := s.CreateNamespace(t.Context(), Namespace{Name: "big", Description: big}, "dev"); !errors.Is(err, prism.ReasonDiskFull) {
		t.Fatalf("got %v, want DISK_FULL", err)
	}
	// The audit trail waits and is not lost.
	if err := s.Audit(t.Context(), AuditRecord{Actor: big}); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(10 * time.Second); fake.Timers() == 0 || len(s.audit.records) > 0; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("the auditor does not wait")
		}
	}
	if list, err := s.Namespaces(t.Context()); err != nil || len(list) != 1 {
		t.Errorf("reads: got %d namespaces, %v", len(list), err)
	}

	limitPages(t, s, 1<<30)
	if _, err := s.CreateNamespace(t.Context(), Namespace{Name: "big", Description: big}, "dev"); err != nil {
		t.Errorf("after space came back: %v", err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	go func() {
		for ctx.Err() == nil {
			fake.Advance(retryPeriod)
			time.Sleep(time.Millisecond)
		}
	}()
	records, _, err := s.AuditRecords(ctx, AuditFilter{}, Page{})
	if err != nil || len(records) != 1 {
		t.Errorf("got %d audit records, %v, want 1", len(records), err)
	}
}

func TestCloseWithAFullDiskSaysWhatIsLost(t *testing.T) {
	t.Parallel()
	var log strings.Builder
	fake := clock.NewFake(time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC))
	s, err := Open(t.Context(), filepath.Join(t.TempDir(), "control.db"), fake, slog.New(slog.NewTextHandler(&log, nil)))
	if err != nil {
		t.Fatal(err)
	}
	limitPages(t, s, 1)
	if err := s.Audit(t.Context(), AuditRecord{Actor: strings.Repeat("x", 50_000)}); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); !errors.Is(err, prism.ReasonDiskFull) {
		t.Errorf("got %v, want DISK_FULL", err)
	}
	if !strings.Contains(log.String(), "audit records lost") {
		t.Errorf("the log does not say so: %s", log.String())
	}
}

// A queue that is full makes its callers wait.
func TestAuditWaitsWhenTheDiskDoesNotKeepUp(t *testing.T) {
	t.Parallel()
	s, err := Open(t.Context(), filepath.Join(t.TempDir(), "control.db"), clock.Real(), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	release := make(chan struct{})
	held := make(chan struct{})
	go func() {
		_ = s.writer.write(context.Background(), "hold", func(*tx) error { close(held); <-release; return nil }, nil)
	}()
	<-held
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	taken := 0
	for ; taken < 2*auditQueue+2*auditBatch; taken++ {
		if err = s.Audit(ctx, AuditRecord{Actor: "dev"}); err != nil {
			break
		}
	}
	if !errors.Is(err, prism.ReasonDeadlineExceeded) || taken > auditQueue+auditBatch {
		t.Errorf("took %d records, then %v: want the caller to wait", taken, err)
	}
	// A change whose caller gives up while it is under way is answered at once.
	_, err = s.CreateNamespace(ctx, Namespace{Name: "late"}, "dev")
	if !errors.Is(err, prism.ReasonDeadlineExceeded) {
		t.Errorf("got %v, want DEADLINE_EXCEEDED", err)
	}
	close(release)
	records := 0
	for page := (Page{}); ; {
		list, next, err := s.AuditRecords(t.Context(), AuditFilter{}, page)
		if err != nil {
			t.Fatal(err)
		}
		records += len(list)
		if page.After = next; next == "" {
			break
		}
	}
	if _, err := s.Namespace(t.Context(), "late"); !errors.Is(err, prism.ReasonNotFound) {
		t.Errorf("got %v: a change that was given up while it waited was made", err)
	}
	if records != taken {
		t.Errorf("got %d records, want the %d that were taken", records, taken)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}

func TestEveryCommitIsSynced(t *testing.T) {
	t.Parallel()
	s, err := Open(t.Context(), filepath.Join(t.TempDir(), "control.db"), clock.Real(), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	var mode, full string
	err = s.writer.write(t.Context(), "look", func(t *tx) error {
		return errors.Join(t.row("PRAGMA journal_mode", nil, &mode), t.row("PRAGMA synchronous", nil, &full))
	}, nil)
	if err != nil || mode != "wal" || full != "2" {
		t.Errorf("got journal %q, synchronous %q (2 is FULL), %v", mode, full, err)
	}
}

func TestFailedChangeLeavesNothingAndItsNeighboursStay(t *testing.T) {
	t.Parallel()
	s, err := Open(t.Context(), filepath.Join(t.TempDir(), "control.db"), clock.Real(), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	put := func(key string, err error) *op {
		return &op{ctx: t.Context(), done: make(chan error, 1), do: func(t *tx) error {
			if err := t.exec("INSERT INTO state (scope, key, value) VALUES ('s', ?, x'00')", key); err != nil {
				return err
			}
			return err
		}}
	}
	batch := []*op{put("a", nil), put("b", prism.New(prism.ReasonConflict, "no")), put("a", nil), put("c", nil)}
	// On the writer's goroutine, as one transaction.
	done := make(chan struct{})
	err = s.writer.write(t.Context(), "batch", func(t *tx) error {
		for _, o := range batch {
			o.err = s.writer.apply(o)
		}
		close(done)
		return nil
	}, nil)
	if err != nil {
		t.Fatal(err)
	}
	<-done
	if batch[0].err != nil || batch[3].err != nil {
		t.Errorf("neighbours: %v, %v", batch[0].err, batch[3].err)
	}
	if !errors.Is(batch[1].err, prism.ReasonConflict) || batch[2].err == nil {
		t.Errorf("got %v and %v, want errors", batch[1].err, batch[2].err)
	}
	var keys []string
	if err := s.State("s").List(t.Context(), "", func(key string, _ []byte) error { keys = append(keys, key); return nil }); err != nil {
		t.Fatal(err)
	}
	if strings.Join(keys, " ") != "a c" {
		t.Errorf("got keys %q, want a and c", keys)
	}
}

func TestStoreHeldByAnotherIsSaid(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "control.db")
	s, err := Open(t.Context(), path, clock.Real(), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	err = s.writer.write(t.Context(), "wait less", func(t *tx) error {
		var ms int
		return t.conn.QueryRowContext(context.Background(), "PRAGMA busy_timeout = 1").Scan(&ms)
	}, nil)
	if err != nil {
		t.Fatal(err)
	}
	other, err := sql.Open("sqlite", path+"?_pragma=busy_timeout(5000)")
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	other.SetMaxOpenConns(1)
	for _, q := range []string{"BEGIN IMMEDIATE", "CREATE TABLE theirs (x)"} {
		if _, err := other.Exec(q); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := s.CreateNamespace(t.Context(), Namespace{Name: "orders"}, "dev"); !errors.Is(err, prism.ReasonUnavailable) {
		t.Errorf("got %v, want UNAVAILABLE", err)
	}
	if _, err := s.Namespaces(t.Context()); err != nil {
		t.Errorf("reads: %v", err)
	}
	if _, err := other.Exec("ROLLBACK"); err != nil {
		t.Fatal(err)
	}
	if _, err := s.CreateNamespace(t.Context(), Namespace{Name: "orders"}, "dev"); err != nil {
		t.Errorf("after it was let go: %v", err)
	}
}
