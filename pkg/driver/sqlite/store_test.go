package sqlite

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"

	"github.com/prism-data-layer/prism/pkg/driver"
	"github.com/prism-data-layer/prism/pkg/prism"
)

func openIn(t *testing.T, dir, options string) (driver.Set, error) {
	t.Helper()
	set, err := Spec().Open(t.Context(), driver.Config{
		Name: "series", Dir: dir, Options: func(into any) error { return yaml.Unmarshal([]byte(options), into) },
	})
	if err == nil {
		t.Cleanup(func() { _ = set.Store.Close() })
	}
	return set, err
}

func opened(t *testing.T, dir string) driver.Set {
	t.Helper()
	set, err := openIn(t, dir, "")
	if err != nil {
		t.Fatal(err)
	}
	return set
}

// ticks are n events from a second on.
func ticks(from, n int) *driver.EventBatch {
	b := &driver.EventBatch{Types: driver.Coded{Dictionary: []string{"tick"}}}
	for i := range n {
		b.Times = append(b.Times, int64(from+i)*1e9)
	}
	return b
}

func appended(t *testing.T, set driver.Set, b *driver.EventBatch, r driver.Receipt) driver.AppendResult {
	t.Helper()
	res, err := set.TimeSeries.AppendEvents(t.Context(), "ns", b, r)
	if err != nil {
		t.Fatal(err)
	}
	return res
}

// count reads all events there are.
func count(t *testing.T, set driver.Set) (int, error) {
	t.Helper()
	r, err := set.TimeSeries.QueryEvents(t.Context(), "ns", driver.EventQuery{Selection: driver.Selection{End: prism.MaxEventTime}, Page: 1000})
	if err != nil {
		return 0, err
	}
	defer r.Close()
	for n := 0; ; {
		page, err := r.Page(t.Context())
		if err != nil || page.Events.Len() == 0 {
			return n, err
		}
		n += page.Events.Len()
	}
}

func TestANewerFormatIsRefusedAndNotTouched(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	set := opened(t, dir)
	appended(t, set, ticks(0, 10), driver.Receipt{})
	if err := set.Store.Close(); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "series.db")
	edit(t, path, "PRAGMA user_version = 99")
	before, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	_, err = openIn(t, dir, "")
	if !errors.Is(err, prism.ReasonNewerFormat) || !strings.Contains(err.Error(), "format 99") || !strings.Contains(err.Error(), "format 1") || !strings.Contains(err.Error(), path) {
		t.Errorf("got %v, want NEWER_FORMAT with both formats and the file", err)
	}
	after, err := os.ReadFile(path)
	if err != nil || !bytes.Equal(before, after) {
		t.Errorf("the file was changed: %v", err)
	}
}

// edit changes a file that no store has open.
func edit(t *testing.T, path, query string, args ...any) {
	t.Helper()
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	_, err = db.Exec(query, args...)
	if err = errors.Join(err, db.Close()); err != nil {
		t.Fatal(err)
	}
}

func TestAFolderHasOneStore(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	set := opened(t, dir)
	if _, err := openIn(t, dir, ""); !errors.Is(err, prism.ReasonFailedPrecond) || !strings.Contains(err.Error(), "in use") {
		t.Errorf("a second store: %v, want FAILED_PRECONDITION", err)
	}
	appended(t, set, ticks(0, 1), driver.Receipt{})
}

func TestADamagedPieceIsToldWhereItIsMet(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	set := opened(t, dir)
	const full = 5000 // a piece of its own, which is not merged
	for i := range 3 {
		appended(t, set, ticks(i*full, full), driver.Receipt{})
	}
	if err := set.Store.Close(); err != nil {
		t.Fatal(err)
	}
	edit(t, filepath.Join(dir, "series.db"), "UPDATE pieces SET data = substr(data, 1, 500) || x'00' || substr(data, 502) WHERE id = 2")
	set = opened(t, dir)
	if n, err := count(t, set); !errors.Is(err, prism.ReasonDataLoss) || n > full || !strings.Contains(err.Error(), "piece 2") {
		t.Errorf("read %d events, then %v; want DATA_LOSS that names the piece", n, err)
	}
	q := driver.AggregateQuery{Selection: driver.Selection{End: prism.MaxEventTime}, Max: 1, Values: []driver.Aggregate{{Function: driver.AggregateCount}}}
	if _, err := set.TimeSeriesAggregation.AggregateEvents(t.Context(), "ns", q); !errors.Is(err, prism.ReasonDataLoss) {
		t.Errorf("figures over it: %v, want DATA_LOSS", err)
	}
	q.Start = 2 * full * 1e9
	if a, err := set.TimeSeriesAggregation.AggregateEvents(t.Context(), "ns", q); err != nil || a.Rows[0].Values[0].Value != full {
		t.Errorf("figures beside it: %v, %v", a, err)
	}
	appended(t, set, ticks(3*full, 10), driver.Receipt{})
}

func TestADamagedFileIsToldAtTheStart(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "series.db")
	if err := os.WriteFile(path, bytes.Repeat([]byte("x"), 4096), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := openIn(t, dir, ""); !errors.Is(err, prism.ReasonDataLoss) || !strings.Contains(err.Error(), path) {
		t.Errorf("got %v, want DATA_LOSS that names the file", err)
	}
}

func TestAFullDiskIsSaidAndGoesAway(t *testing.T) {
	t.Parallel()
	set := opened(t, t.TempDir())
	appended(t, set, ticks(0, 10), driver.Receipt{})
	s := set.Store.(*store)
	limit := func(pages int) {
		t.Helper()
		err := s.do(t.Context(), &request{apply: func(*group, *request) error {
			var got int
			return s.conn.QueryRowContext(context.Background(), fmt.Sprintf("PRAGMA max_page_count = %d", pages)).Scan(&got)
		}})
		if err != nil {
			t.Fatal(err)
		}
	}
	limit(1) // SQLite makes it the present size
	big := ticks(100, 1)
	big.Payloads = driver.Blobs{Ends: []uint32{500_000}, Data: bytes.Repeat([]byte("x"), 500_000)}
	big.IDs = driver.Blobs{Ends: []uint32{1}, Data: []byte("i")}
	receipt := driver.Receipt{ID: [16]byte{1}, Keep: 1e12}
	if _, err := set.TimeSeries.AppendEvents(t.Context(), "ns", big, receipt); !errors.Is(err, prism.ReasonDiskFull) {
		t.Fatalf("got %v, want DISK_FULL", err)
	}
	if h := set.Store.Health(t.Context()); h.State != driver.Degraded || !strings.Contains(h.Message, "full") {
		t.Errorf("health is %v: %s", h.State, h.Message)
	}
	if n, err := count(t, set); n != 10 || err != nil {
		t.Errorf("reads: %d events, %v", n, err)
	}
	limit(1 << 30)
	// Neither its id nor its receipt was kept by what failed.
	if res := appended(t, set, big, receipt); res != (driver.AppendResult{Stored: 1}) {
		t.Errorf("after space came back: %+v", res)
	}
	if h := set.Store.Health(t.Context()); h.State != driver.Healthy {
		t.Errorf("health is %v: %s", h.State, h.Message)
	}
}

func TestReceiptsAndIDsAreBounded(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	set, err := openIn(t, dir, "receipts: 3\nevent_ids: 2")
	if err != nil {
		t.Fatal(err)
	}
	send := func(n byte) driver.AppendResult {
		b := ticks(int(n), 1)
		b.IDs = driver.Blobs{Ends: []uint32{1}, Data: []byte{n}}
		return appended(t, set, b, driver.Receipt{ID: [16]byte{n}, Body: [16]byte{n}, Keep: 1e12})
	}
	for n := range byte(6) {
		if res := send(n); res.Replayed || res.Stored != 1 {
			t.Errorf("event %d: %+v", n, res)
		}
	}
	if u, err := set.Store.Usage(t.Context(), "ns"); err != nil || u.Receipts != 3 {
		t.Errorf("usage is %+v, %v, want 3 receipts", u, err)
	}
	for n := byte(5); n >= 3; n-- {
		if res := send(n); !res.Replayed {
			t.Errorf("event %d is not known: %+v", n, res)
		}
	}
	if res := send(0); res.Replayed || res.Stored != 1 {
		t.Errorf("the oldest is still known: %+v", res)
	}
}

func TestManySmallBatchesBecomeFewPieces(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	set := opened(t, dir)
	for i := range 1000 {
		appended(t, set, ticks(i, 1), driver.Receipt{})
	}
	var rows int
	if err := set.Store.(*store).read.QueryRow("SELECT count(*) FROM pieces").Scan(&rows); err != nil || rows > 40 {
		t.Errorf("%d pieces, %v; want at most 40", rows, err)
	}
	if n, err := count(t, set); n != 1000 || err != nil {
		t.Errorf("%d events, %v", n, err)
	}
}

// A namespace that is dropped beside a sweep of the same transaction stays away.
func TestADropAndASweepInOneTransaction(t *testing.T) {
	t.Parallel()
	set := opened(t, t.TempDir())
	appended(t, set, ticks(0, 100), driver.Receipt{})
	s := set.Store.(*store)
	var list []*request
	for _, apply := range []func(*group, *request) error{(*group).drop, (*group).sweep, (*group).append} {
		list = append(list, &request{ctx: t.Context(), ns: "ns", batch: ticks(5, 1), apply: apply, done: make(chan struct{})})
	}
	s.spaces["ns"].age = 1 // all of it is over
	s.commit(list)
	for _, r := range list {
		if r.err != nil {
			t.Fatal(r.err)
		}
	}
	var rows int
	if err := s.read.QueryRow("SELECT count(*) FROM pieces").Scan(&rows); err != nil || rows != 1 {
		t.Errorf("%d pieces, %v, want that of the last append", rows, err)
	}
	if n, err := count(t, set); n != 1 || err != nil {
		t.Errorf("%d events, %v", n, err)
	}
}
