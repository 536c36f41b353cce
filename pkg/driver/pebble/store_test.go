package pebble_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	cockroach "github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"github.com/prism-data-layer/prism/pkg/clock"
	"github.com/prism-data-layer/prism/pkg/driver"
	"github.com/prism-data-layer/prism/pkg/driver/pebble"
	"github.com/prism-data-layer/prism/pkg/prism"
)

func openOn(t testing.TB, fs vfs.FS, dir, options string) driver.Set {
	t.Helper()
	set, err := pebble.SpecOn(fs).Open(context.Background(), configOf(dir, options))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = set.Store.Close() })
	return set
}

func configOf(dir, options string) driver.Config {
	return driver.Config{Name: "test", Dir: dir, Clock: clock.Real(), Options: optionsOf(options)}
}

func key(name string) prism.Key { return prism.Key{Namespace: "ns", Name: name} }

func put(t testing.TB, set driver.Set, name, value string) uint64 {
	t.Helper()
	r, err := set.KeyValue.Set(context.Background(), key(name), []byte(value), driver.SetOptions{}, driver.Receipt{})
	if err != nil {
		t.Fatal(err)
	}
	return r.Version
}

func get(t testing.TB, set driver.Set, name string) (string, bool) {
	t.Helper()
	e, found, err := set.KeyValue.Get(context.Background(), key(name))
	if err != nil {
		t.Fatal(err)
	}
	return string(e.Value), found
}

func eventually(t testing.TB, what string, good func() bool) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); !good(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("waited for %s in vain", what)
		}
	}
}

// snapshot is every file of a folder with its content.
func snapshot(t *testing.T, dir string) map[string]string {
	t.Helper()
	files := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := os.ReadFile(path)
		files[path] = string(b)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

func TestANewerFormatIsRefusedAndNotAByteIsChanged(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	set := openOn(t, vfs.Default, dir, "")
	put(t, set, "k", "v")
	if err := set.Store.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "FORMAT"), []byte("prism-pebble 7\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	before := snapshot(t, dir)
	_, err := pebble.Spec().Open(context.Background(), configOf(dir, ""))
	if !errors.Is(err, prism.ReasonNewerFormat) || !strings.Contains(err.Error(), "format 7") || !strings.Contains(err.Error(), "up to 2") {
		t.Errorf("error is %v, want NEWER_FORMAT with both versions", err)
	}
	if after := snapshot(t, dir); fmt.Sprint(after) != fmt.Sprint(before) {
		t.Error("the folder was changed")
	}
	if err := os.WriteFile(filepath.Join(dir, "FORMAT"), []byte("prism-pebble 1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	before = snapshot(t, dir)
	if _, err := pebble.Spec().Open(context.Background(), configOf(dir, "")); !errors.Is(err, prism.ReasonFailedPrecond) || !strings.Contains(err.Error(), "format 1") {
		t.Errorf("error is %v, want that format 1 is too old", err)
	}
	if after := snapshot(t, dir); fmt.Sprint(after) != fmt.Sprint(before) {
		t.Error("the folder of an older format was changed")
	}
	for _, text := range []string{"", "something else", "prism-pebble x"} {
		if err := os.WriteFile(filepath.Join(dir, "FORMAT"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := pebble.Spec().Open(context.Background(), configOf(dir, "")); !errors.Is(err, prism.ReasonDataLoss) {
			t.Errorf("FORMAT %q: error is %v, want DATA_LOSS", text, err)
		}
	}
	if err := os.Remove(filepath.Join(dir, "FORMAT")); err != nil {
		t.Fatal(err)
	}
	if _, err := pebble.Spec().Open(context.Background(), configOf(dir, "")); !errors.Is(err, prism.ReasonDataLoss) {
		t.Errorf("without FORMAT: error is %v, want DATA_LOSS", err)
	}
}

func TestAStoreOfANewerPebbleIsRefused(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	set := openOn(t, vfs.Default, dir, "")
	if err := set.Store.Close(); err != nil {
		t.Fatal(err)
	}
	markers, err := filepath.Glob(filepath.Join(dir, "store", "marker.format-version.*"))
	if err != nil || len(markers) != 1 {
		t.Fatalf("markers %v, %v", markers, err)
	}
	at := strings.LastIndexByte(markers[0], '.')
	if err := os.Rename(markers[0], markers[0][:at]+".999"); err != nil {
		t.Fatal(err)
	}
	before := snapshot(t, dir)
	if _, err = pebble.Spec().Open(context.Background(), configOf(dir, "")); !errors.Is(err, prism.ReasonNewerFormat) {
		t.Errorf("error is %v, want NEWER_FORMAT", err)
	}
	if after := snapshot(t, dir); fmt.Sprint(after) != fmt.Sprint(before) {
		t.Error("the folder was changed")
	}
}

func TestAFolderIsOpenedOnce(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	openOn(t, vfs.Default, dir, "")
	_, err := pebble.Spec().Open(context.Background(), configOf(dir, ""))
	if !errors.Is(err, prism.ReasonFailedPrecond) || !strings.Contains(err.Error(), "in use") {
		t.Errorf("a second open says %v, want that the folder is in use", err)
	}
}

func TestWrongOptionsAreRefused(t *testing.T) {
	t.Parallel()
	for options, field := range map[string]string{
		"cache: 1KiB": "options.cache", "memtable: 1KiB": "options.memtable", "memtable: 2GiB": "options.memtable",
		"history: -1": "options.history", "receipts: -1": "options.receipts", "durability: maybe": "options.durability",
	} {
		_, err := pebble.Spec().Open(context.Background(), configOf(t.TempDir(), options))
		var e *prism.Error
		if !errors.As(err, &e) || e.Reason != prism.ReasonInvalidConfig || len(e.Fields) != 1 || e.Fields[0].Field != field {
			t.Errorf("%s: error is %v, want INVALID_CONFIG on %s", options, err, field)
		}
	}
	for _, options := range []string{"cash: 1MiB", "cache: 16 parsecs"} {
		if _, err := pebble.Spec().Open(context.Background(), configOf(t.TempDir(), options)); err == nil {
			t.Errorf("%s is taken", options)
		}
	}
	if _, err := pebble.Spec().Open(context.Background(), configOf("", "")); !errors.Is(err, prism.ReasonInvalidConfig) {
		t.Errorf("without a folder: %v", err)
	}
	set := openOn(t, vfs.NewMem(), "/d", "cache: 1048576\nmemtable: 64KiB\nhistory: 5\nreceipts: 5\ndurability: strong\nreserve: 1MiB")
	if !set.Info.Durable {
		t.Errorf("info is %+v, want durable", set.Info)
	}
}

// The third row of the corruption anchor: a flipped bit inside a value must
// never be served, wherever it happens.
func TestADamagedValueIsNeverServed(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	dir := t.TempDir()
	set := openOn(t, vfs.Default, dir, "")
	for _, name := range []string{"a", "b", "c", "d"} {
		put(t, set, name, strings.Repeat(name, 50))
	}
	if err := set.Store.Close(); err != nil {
		t.Fatal(err)
	}
	// Written through pebble, so that its own checksums are right.
	db, err := cockroach.Open(filepath.Join(dir, "store"), &cockroach.Options{Logger: quietLog{}})
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"b", "d"} {
		stored := []byte("d\x02ns" + name)
		v, closer, err := db.Get(stored)
		if err != nil {
			t.Fatal(err)
		}
		damaged := bytes.Clone(v)
		closer.Close()
		damaged[len(damaged)-7] ^= 0x10
		if err := db.Set(stored, damaged, cockroach.Sync); err != nil {
			t.Fatal(err)
		}
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	set = openOn(t, vfs.Default, dir, "")
	for what, err := range map[string]error{
		"get": second(set.KeyValue.Get(ctx, key("b"))),
		"scan": func() error {
			_, err := set.KeyValueScan.Scan(ctx, "ns", driver.Query{Limit: 10, MaxBytes: 1 << 20}, nil)
			return err
		}(),
		"append":    first(set.KeyValueAtomic.Append(ctx, key("b"), []byte("x"), driver.Receipt{})),
		"set if":    first(set.KeyValueVersioned.SetIf(ctx, key("b"), nil, driver.Condition{Version: 1}, driver.SetOptions{}, driver.Receipt{})),
		"keep ttl":  first(set.KeyValue.Set(ctx, key("b"), nil, driver.SetOptions{KeepTTL: true}, driver.Receipt{})),
		"get & set": first(set.KeyValueAtomic.GetAndSet(ctx, key("b"), nil, driver.SetOptions{}, driver.Receipt{})),
		"check": func() error {
			_, err := set.KeyValueTransactional.Commit(ctx, "ns", []driver.Check{{Key: "b", Version: 2}}, nil, driver.Receipt{})
			return err
		}(),
	} {
		if !errors.Is(err, prism.ReasonDataLoss) {
			t.Errorf("%s of a damaged entry: %v, want DATA_LOSS", what, err)
		}
	}
	if v, found := get(t, set, "a"); !found || v != strings.Repeat("a", 50) {
		t.Errorf("a neighbour is %q %v", v, found)
	}
	if h := set.Store.Health(ctx); h.State != driver.Degraded || h.Facts["damaged"] == "" {
		t.Errorf("health is %+v, want degraded", h)
	}
	// A plain set and a delete mend it.
	put(t, set, "b", "new")
	if v, _ := get(t, set, "b"); v != "new" {
		t.Errorf("after a set it is %q", v)
	}
	if r, err := set.KeyValue.Delete(ctx, key("d"), driver.Receipt{}); err != nil || !r.Found {
		t.Errorf("delete of a damaged entry: %+v, %v", r, err)
	}
	if _, err := set.KeyValueScan.Scan(ctx, "ns", driver.Query{Limit: 10, MaxBytes: 1 << 20}, nil); err != nil {
		t.Errorf("scan after mending: %v", err)
	}
}

func first(_ driver.Result, err error) error         { return err }
func second(_ driver.Entry, _ bool, err error) error { return err }

type quietLog struct{}

func (quietLog) Infof(string, ...any)           {}
func (quietLog) Errorf(string, ...any)          {}
func (quietLog) Fatalf(format string, a ...any) { panic(fmt.Sprintf(format, a...)) }

// Bits flipped in pebble's own files are found by its checksums.
func TestADamagedFileIsNeverServed(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	set := openOn(t, vfs.Default, dir, "memtable: 64KiB")
	value := func(i int) string { return fmt.Sprint(i, strings.Repeat("v", 400)) }
	const n = 500
	for i := range n {
		put(t, set, fmt.Sprint(i), value(i))
	}
	if err := set.Store.Close(); err != nil {
		t.Fatal(err)
	}
	tables, err := filepath.Glob(filepath.Join(dir, "store", "*.sst"))
	if err != nil || len(tables) == 0 {
		t.Fatalf("tables %v, %v", tables, err)
	}
	for _, name := range tables {
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		b[len(b)/3] ^= 0x04
		if err := os.WriteFile(name, b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	set, err = pebble.Spec().Open(context.Background(), configOf(dir, "memtable: 64KiB"))
	if err != nil {
		return // refusing to open is safe
	}
	defer set.Store.Close()
	lost := 0
	for i := range n {
		e, found, err := set.KeyValue.Get(context.Background(), key(fmt.Sprint(i)))
		switch {
		case errors.Is(err, prism.ReasonDataLoss):
			lost++
		case err != nil:
			t.Fatalf("get %d: %v, want DATA_LOSS", i, err)
		case !found || string(e.Value) != value(i):
			t.Fatalf("get %d served %v %.20q", i, found, e.Value)
		}
	}
	if lost == 0 {
		t.Error("nothing was noticed")
	}
}

// No read shows what is not on disk: with the disk's sync held back, a reader
// of the key waits, a reader of another does not.
// heldSyncs is a disk whose log is not synced while hold is set, until release
// is closed; held tells of each such sync.
func heldSyncs() (fs vfs.FS, hold *atomic.Bool, held, release chan struct{}) {
	hold = new(atomic.Bool)
	held, release = make(chan struct{}, 16), make(chan struct{})
	return errorfs.Wrap(vfs.NewMem(), errorfs.InjectorFunc(func(op errorfs.Op) error {
		if (op.Kind == errorfs.OpFileSyncData || op.Kind == errorfs.OpFileSync) && strings.HasSuffix(op.Path, ".log") && hold.Load() {
			held <- struct{}{}
			<-release
		}
		return nil
	})), hold, held, release
}

func TestNoReadShowsADropThatIsNotSynced(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	slow, hold, held, release := heldSyncs()
	set := openOn(t, slow, "/d", "")
	put(t, set, "k", "v")
	hold.Store(true)
	done := make(chan error, 1)
	go func() { done <- set.Store.Drop(ctx, "ns") }()
	<-held
	short, cancel := context.WithTimeout(ctx, 20*time.Millisecond)
	defer cancel()
	if e, found, err := set.KeyValue.Get(short, key("k")); !errors.Is(err, prism.ReasonDeadlineExceeded) {
		t.Errorf("a read before the sync gave %q %v, %v", e.Value, found, err)
	}
	hold.Store(false)
	close(release)
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if v, found := get(t, set, "k"); found {
		t.Errorf("after the sync it reads %q", v)
	}
}

func TestNoReadShowsWhatIsNotSynced(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	slow, hold, held, release := heldSyncs()
	set := openOn(t, slow, "/d", "")
	put(t, set, "other", "1")
	put(t, set, "k", "old")
	hold.Store(true)
	done := make(chan error, 1)
	go func() {
		_, err := set.KeyValue.Set(ctx, key("k"), []byte("new"), driver.SetOptions{}, driver.Receipt{})
		done <- err
	}()
	<-held
	if v, found := get(t, set, "other"); !found || v != "1" {
		t.Errorf("another key reads %q %v", v, found)
	}
	short, cancel := context.WithTimeout(ctx, 20*time.Millisecond)
	defer cancel()
	if e, _, err := set.KeyValue.Get(short, key("k")); !errors.Is(err, prism.ReasonDeadlineExceeded) {
		t.Errorf("a read before the sync gave %q, %v", e.Value, err)
	}
	short, cancel = context.WithTimeout(ctx, 20*time.Millisecond)
	defer cancel()
	if _, err := set.KeyValueScan.Count(short, "ns", driver.Query{}); !errors.Is(err, prism.ReasonDeadlineExceeded) {
		t.Errorf("a scan before the sync: %v", err)
	}
	// A caller may leave while its write waits.
	short, cancel = context.WithTimeout(ctx, 20*time.Millisecond)
	defer cancel()
	if _, err := set.KeyValue.Set(short, key("left"), nil, driver.SetOptions{}, driver.Receipt{}); !errors.Is(err, prism.ReasonDeadlineExceeded) {
		t.Errorf("a write whose caller left: %v", err)
	}
	hold.Store(false)
	close(release)
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if v, _ := get(t, set, "k"); v != "new" {
		t.Errorf("after the sync it reads %q", v)
	}
}

// brokenSyncs is a disk whose syncs fail while broken is set, and what it lies
// on.
func brokenSyncs() (memory *vfs.MemFS, fs vfs.FS, broken *atomic.Bool) {
	memory, broken = vfs.NewCrashableMem(), new(atomic.Bool)
	return memory, errorfs.Wrap(memory, errorfs.InjectorFunc(func(op errorfs.Op) error {
		if broken.Load() && (op.Kind == errorfs.OpFileSyncData || op.Kind == errorfs.OpFileSync) {
			return syscall.EIO
		}
		return nil
	})), broken
}

// A sync that fails is the end of the store, not of the process: nothing is
// acked any more, nothing hangs.
func TestAFailedSyncStopsTheStore(t *testing.T) {
	ctx := context.Background()
	memory, fs, broken := brokenSyncs()
	var said lockedBuffer
	c := configOf("/d", "")
	c.Log = slog.New(slog.NewTextHandler(&said, nil))
	set, err := pebble.SpecOn(fs).Open(ctx, c)
	if err != nil {
		t.Fatal(err)
	}
	put(t, set, "k", "acked")
	w, err := set.KeyValueWatch.Watch(ctx, "ns", "", nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Next(ctx); err != nil {
		t.Fatal(err)
	}
	broken.Store(true)
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Add(1)
		go func() {
			defer wg.Done()
			_, err := set.KeyValue.Set(ctx, key(fmt.Sprint("lost", i)), nil, driver.SetOptions{}, driver.Receipt{})
			if !errors.Is(err, prism.ReasonBackendUnavailable) {
				t.Errorf("a write that could not be synced: %v, want BACKEND_UNAVAILABLE", err)
			}
		}()
	}
	if _, err := w.Next(ctx); !errors.Is(err, prism.ReasonBackendUnavailable) {
		t.Errorf("the watch ends with %v", err)
	}
	wg.Wait()
	if _, _, err := set.KeyValue.Get(ctx, key("k")); !errors.Is(err, prism.ReasonBackendUnavailable) {
		t.Errorf("a read after that: %v", err)
	}
	if h := set.Store.Health(ctx); h.State != driver.Unhealthy {
		t.Errorf("health is %+v, want unhealthy", h)
	}
	if err := set.Store.Close(); err != nil {
		t.Errorf("close: %v", err)
	}
	if !strings.Contains(said.String(), "the store stopped") {
		t.Errorf("the log says %q", said.String())
	}
	again := openOn(t, memory.CrashClone(vfs.CrashCloneCfg{}), "/d", "")
	if v, found := get(t, again, "k"); !found || v != "acked" {
		t.Errorf("after a restart it is %q %v", v, found)
	}
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func TestVersionsAreNotUsedAgainAfterACrash(t *testing.T) {
	t.Parallel()
	memory := vfs.NewCrashableMem()
	last := uint64(0)
	for range 4 {
		set := openOn(t, memory, "/d", "")
		for range 10 {
			v := put(t, set, "k", "v")
			if v <= last {
				t.Fatalf("version %d after %d", v, last)
			}
			last = v
		}
		memory = memory.CrashClone(vfs.CrashCloneCfg{}) // without a close
		if err := set.Store.Close(); err != nil {
			t.Fatal(err)
		}
	}
	// A clean close gives the rest of the block back.
	set := openOn(t, memory, "/d", "")
	a := put(t, set, "k", "v")
	if err := set.Store.Close(); err != nil {
		t.Fatal(err)
	}
	set = openOn(t, memory, "/d", "")
	if b := put(t, set, "k", "v"); b != a+1 {
		t.Errorf("after a clean restart %d follows %d", b, a)
	}
}

func TestARelaxedStoreSaysWhatItRisksAndSyncsByItself(t *testing.T) {
	t.Parallel()
	memory := vfs.NewCrashableMem()
	set := openOn(t, memory, "/d", "durability: relaxed")
	if set.Info.Durable || !strings.Contains(set.Info.Durability, "second") {
		t.Errorf("info is %+v", set.Info)
	}
	put(t, set, "k", "v")
	eventually(t, "the write to be on disk", func() bool {
		again, err := pebble.SpecOn(memory.CrashClone(vfs.CrashCloneCfg{})).Open(context.Background(), configOf("/d", ""))
		if err != nil {
			t.Fatal(err)
		}
		defer again.Store.Close()
		_, found := get(t, again, "k")
		return found
	})
}

// A batch of more than a group takes goes through in several.
func TestALargeBatchIsDoneWholeAndInOrder(t *testing.T) {
	t.Parallel()
	set := openOn(t, vfs.NewMem(), "/d", "")
	const n = 3000
	ops, results := make([]driver.Op, n), make([]driver.Result, n)
	for i := range ops {
		ops[i] = driver.Op{Kind: driver.OpIncrement, Key: "n", Delta: 1}
		if i%100 == 99 {
			ops[i] = driver.Op{Kind: driver.OpSet, Key: fmt.Sprint("big", i), Value: make([]byte, 200<<10)}
		}
	}
	if err := set.KeyValueBatch.Batch(context.Background(), "ns", ops, results); err != nil {
		t.Fatal(err)
	}
	want := int64(0)
	for i, r := range results {
		if r.Err != nil {
			t.Fatalf("op %d: %v", i, r.Err)
		}
		if ops[i].Kind == driver.OpIncrement {
			want++
			if r.Number != want {
				t.Fatalf("op %d counts %d, want %d", i, r.Number, want)
			}
		}
	}
	if v, _ := get(t, set, "n"); v != strconv.FormatInt(want, 10) {
		t.Errorf("at the end it is %s, want %d", v, want)
	}
	u, err := set.Store.Usage(context.Background(), "ns")
	if err != nil || u.Keys != 31 || u.Bytes < 30*200<<10 {
		t.Errorf("usage is %+v, %v", u, err)
	}
}

func TestAnEndedContextLeavesNothingBehind(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	set := openOn(t, vfs.NewMem(), "/d", "")
	for what, err := range map[string]error{
		"set":   first(set.KeyValue.Set(ctx, key("k"), nil, driver.SetOptions{}, driver.Receipt{})),
		"get":   second(set.KeyValue.Get(ctx, key("k"))),
		"drop":  set.Store.Drop(ctx, "ns"),
		"batch": set.KeyValueBatch.Batch(ctx, "ns", []driver.Op{{Kind: driver.OpSet, Key: "k"}}, make([]driver.Result, 1)),
	} {
		if !errors.Is(err, prism.ReasonCancelled) {
			t.Errorf("%s: %v, want CANCELLED", what, err)
		}
	}
	if _, found := get(t, set, "k"); found {
		t.Error("it happened all the same")
	}
}

// Old history and receipts go by age, and after a restart nothing is forgotten
// of where they begin.
func TestHistoryAndReceiptsGoByAge(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	fake := clock.NewFake(time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC))
	memory := vfs.NewMem()
	open := func() driver.Set {
		c := configOf("/d", "")
		c.Clock = fake
		set, err := pebble.SpecOn(memory).Open(ctx, c)
		if err != nil {
			t.Fatal(err)
		}
		return set
	}
	set := open()
	receipt := driver.Receipt{ID: [16]byte{1}, Keep: 10 * time.Minute}
	if _, err := set.KeyValue.Set(ctx, key("k"), nil, driver.SetOptions{}, receipt); err != nil {
		t.Fatal(err)
	}
	w, err := set.KeyValueWatch.Watch(ctx, "ns", "", nil)
	if err != nil {
		t.Fatal(err)
	}
	c, err := w.Next(ctx)
	if err != nil {
		t.Fatal(err)
	}
	w.Close()
	for i := range 10 {
		put(t, set, fmt.Sprint(i), "v")
	}
	if err := set.Store.Close(); err != nil {
		t.Fatal(err)
	}
	set = open()
	defer func() { set.Store.Close() }()
	w, err = set.KeyValueWatch.Watch(ctx, "ns", "", c.Position)
	if err != nil {
		t.Fatal(err)
	}
	got, err := w.Next(ctx)
	if err != nil || len(got.Changes) != 10 {
		t.Fatalf("after a restart: %d changes, %v", len(got.Changes), err)
	}
	w.Close()
	fake.Advance(2 * time.Hour)
	eventually(t, "the history to go", func() bool {
		fake.Advance(time.Minute) // the sweeper may have begun to wait only now
		_, err := set.KeyValueWatch.Watch(ctx, "ns", "", c.Position)
		return errors.Is(err, prism.ReasonCompacted)
	})
	eventually(t, "the receipt to go", func() bool {
		u, err := set.Store.Usage(ctx, "ns")
		return err == nil && u.Receipts == 0
	})
	if err := set.Store.Close(); err != nil {
		t.Fatal(err)
	}
	set = open()
	if _, err := set.KeyValueWatch.Watch(ctx, "ns", "", c.Position); !errors.Is(err, prism.ReasonCompacted) {
		t.Errorf("after another restart: %v, want COMPACTED", err)
	}
}

// Many keys that end at once are swept in steps, each with its change.
func TestManyKeysEndAtOnce(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	fake := clock.NewFake(time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC))
	c := configOf("/d", "")
	c.Clock = fake
	set, err := pebble.SpecOn(vfs.NewMem()).Open(ctx, c)
	if err != nil {
		t.Fatal(err)
	}
	defer set.Store.Close()
	const n = 5000
	for i := 0; i < n; i += 500 {
		ops := make([]driver.Op, 500)
		for j := range ops {
			ops[j] = driver.Op{Kind: driver.OpSet, Key: fmt.Sprint(i + j), Options: driver.SetOptions{TTL: time.Minute}}
		}
		if err := set.KeyValueBatch.Batch(ctx, "ns", ops, make([]driver.Result, len(ops))); err != nil {
			t.Fatal(err)
		}
	}
	put(t, set, "stays", "v")
	w, err := set.KeyValueWatch.Watch(ctx, "ns", "", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	if _, err := w.Next(ctx); err != nil {
		t.Fatal(err)
	}
	fake.Advance(time.Minute)
	eventually(t, "the sweep", func() bool {
		fake.Advance(time.Second) // the sweeper may have begun to wait only now
		u, err := set.Store.Usage(ctx, "ns")
		return err == nil && u.Keys == 1
	})
	seen := map[string]bool{}
	for len(seen) < n {
		changes, err := w.Next(ctx)
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range changes.Changes {
			if c.Kind != driver.ChangeExpire || seen[c.Key] || c.Previous == 0 {
				t.Fatalf("change %+v", c)
			}
			seen[c.Key] = true
		}
	}
	u, err := set.Store.Usage(ctx, "ns")
	if err != nil || u.Keys != 1 || u.Estimated {
		t.Errorf("usage is %+v, %v", u, err)
	}
}

func TestReceiptsAreBoundedTheOldestGo(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	memory := vfs.NewMem()
	set := openOn(t, memory, "/d", "receipts: 10")
	use := func(i int) bool {
		t.Helper()
		r := driver.Receipt{ID: [16]byte{byte(i)}, Keep: time.Hour * time.Duration(1+i%2)} // two orders
		res, err := set.KeyValue.Set(ctx, key("k"), nil, driver.SetOptions{}, r)
		if err != nil {
			t.Fatal(err)
		}
		return res.Replayed
	}
	for i := range 25 {
		if use(i) {
			t.Fatalf("receipt %d is a replay at its first use", i)
		}
	}
	if err := set.Store.Close(); err != nil {
		t.Fatal(err)
	}
	set = openOn(t, memory, "/d", "receipts: 10")
	if u, err := set.Store.Usage(ctx, "ns"); err != nil || u.Receipts != 10 {
		t.Errorf("usage is %+v, %v; want 10 receipts", u, err)
	}
	for i := 15; i < 25; i++ {
		if !use(i) {
			t.Errorf("receipt %d of the last ten is gone", i)
		}
	}
	if use(14) {
		t.Error("the eleventh oldest is still there")
	}
}

// What the committer remembers of a key goes with its namespace.
func TestADroppedNamespaceIsForgotten(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	set := openOn(t, vfs.NewMem(), "/d", "")
	receipt := driver.Receipt{ID: [16]byte{1}, Keep: time.Hour}
	before := put(t, set, "k", "v")
	if _, err := set.KeyValue.Set(ctx, key("other"), []byte("v"), driver.SetOptions{}, receipt); err != nil {
		t.Fatal(err)
	}
	if err := set.Store.Drop(ctx, "ns"); err != nil {
		t.Fatal(err)
	}
	if r, err := set.KeyValueAtomic.SetIfAbsent(ctx, key("k"), []byte("w"), driver.SetOptions{}, receipt); err != nil || !r.Applied || r.Replayed || r.Version <= before {
		t.Errorf("a key after a drop: %+v, %v; want it made anew", r, err)
	}
	if r, err := set.KeyValue.Delete(ctx, key("other"), driver.Receipt{}); err != nil || r.Found {
		t.Errorf("delete after a drop: %+v, %v; want nothing found", r, err)
	}
	if u, err := set.Store.Usage(ctx, "ns"); err != nil || u.Keys != 1 || u.Bytes != 2 || u.Receipts != 1 {
		t.Errorf("usage is %+v, %v; want one key of two bytes and one receipt", u, err)
	}
}

// A damaged record of a log costs what was in it, which is said, and no more.
func TestADamagedPieceOfALogIsSaidAndGoesInItsTurn(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	dir := t.TempDir()
	set := openOn(t, vfs.Default, dir, "receipts: 3")
	use := func(i int) driver.Result {
		t.Helper()
		r, err := set.KeyValue.Set(ctx, key(fmt.Sprint(i)), nil, driver.SetOptions{}, driver.Receipt{ID: [16]byte{byte(i)}, Keep: time.Hour})
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	put(t, set, "before", "v")
	w, err := set.KeyValueWatch.Watch(ctx, "ns", "", nil)
	if err != nil {
		t.Fatal(err)
	}
	begin, err := w.Next(ctx)
	if err != nil {
		t.Fatal(err)
	}
	w.Close()
	for i := 1; i <= 3; i++ {
		use(i)
	}
	if err := set.Store.Close(); err != nil {
		t.Fatal(err)
	}
	db, err := cockroach.Open(filepath.Join(dir, "store"), &cockroach.Options{Logger: quietLog{}})
	if err != nil {
		t.Fatal(err)
	}
	for prefix, nth := range map[string]int{"r\x02ns": 1, "c\x02ns": 3} {
		it, err := db.NewIter(&cockroach.IterOptions{LowerBound: []byte(prefix), UpperBound: []byte(prefix + "\xff")})
		if err != nil {
			t.Fatal(err)
		}
		it.First()
		for range nth - 1 {
			it.Next()
		}
		damaged := bytes.Clone(it.Value())
		damaged[len(damaged)-1] ^= 1
		if err := db.Set(bytes.Clone(it.Key()), damaged, cockroach.Sync); err != nil {
			t.Fatal(err)
		}
		it.Close()
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	set = openOn(t, vfs.Default, dir, "receipts: 3")
	if h := set.Store.Health(ctx); h.State != driver.Degraded || h.Facts["damaged"] == "" {
		t.Errorf("health is %+v, want degraded", h)
	}
	if r := use(2); !r.Replayed {
		t.Errorf("the receipt after the damaged one: %+v, want a replay", r)
	}
	if r := use(1); r.Replayed {
		t.Errorf("the damaged receipt answers %+v", r)
	}
	// The history is whole up to the damage, which is met and not passed over.
	w, err = set.KeyValueWatch.Watch(ctx, "ns", "", begin.Position)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	if c, err := w.Next(ctx); !errors.Is(err, prism.ReasonDataLoss) {
		t.Errorf("a watch over damaged history gives %+v, %v; want DATA_LOSS", c, err)
	}
	// Eviction passes the damaged piece.
	for i := 4; i <= 9; i++ {
		use(i)
	}
	if u, err := set.Store.Usage(ctx, "ns"); err != nil || u.Receipts != 3 {
		t.Errorf("usage is %+v, %v; want 3 receipts", u, err)
	}
	for i := 7; i <= 9; i++ {
		if r := use(i); !r.Replayed {
			t.Errorf("receipt %d of the last three is gone", i)
		}
	}
}
