package pebble_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"testing"
	"time"

	cockroach "github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/prism-data-layer/prism/pkg/clock"
	"github.com/prism-data-layer/prism/pkg/driver"
	"github.com/prism-data-layer/prism/pkg/driver/drivertest"
	"github.com/prism-data-layer/prism/pkg/driver/memory"
	"github.com/prism-data-layer/prism/pkg/driver/pebble"
	"github.com/prism-data-layer/prism/pkg/prism"
)

func TestStreamsSameAsMemory(t *testing.T) {
	drivertest.RunStreamModel(t, drivertest.Driver(memory.Spec()), drivertest.Driver(pebble.Spec()))
}

// Against what one would write down, both sides restart.
func TestStreamsSameAsPlain(t *testing.T) {
	drivertest.RunStreamModel(t, drivertest.PlainStreams(), drivertest.Driver(pebble.Spec()))
}

func topicOn(t testing.TB, set driver.Set, topic string) {
	t.Helper()
	if _, err := set.Stream.CreateTopic(context.Background(), "ns", topic, driver.TopicOptions{Partitions: 1}); err != nil {
		t.Fatal(err)
	}
}

// logTo appends one message for each payload, in one call.
func logTo(set driver.Set, topic string, payloads ...string) ([]driver.StreamResult, error) {
	messages, results := make([]driver.StreamMessage, len(payloads)), make([]driver.StreamResult, len(payloads))
	for i, p := range payloads {
		messages[i].Payload = []byte(p)
	}
	err := set.Stream.Append(context.Background(), "ns", topic, messages, results)
	for _, r := range results {
		err = errors.Join(err, r.Err)
	}
	return results, err
}

// logOf reads a topic's only partition.
func logOf(set driver.Set, topic string, from int64) (payloads []string, err error) {
	records, err := set.Stream.Read(context.Background(), "ns", topic, driver.StreamRead{Offset: from, Max: 10_000})
	for _, r := range records {
		payloads = append(payloads, string(r.Payload))
	}
	return payloads, err
}

// holds wants the offsets and the payloads of a topic's only partition.
func holds(t testing.TB, set driver.Set, topic string, earliest int64, want ...string) {
	t.Helper()
	info, err := set.Stream.TopicInfo(context.Background(), "ns", topic)
	if err != nil {
		t.Fatal(err)
	}
	if p := info.Partitions[0]; p.Earliest != earliest || p.Latest != earliest+int64(len(want)) {
		t.Errorf("%s holds %d to %d, want %d to %d", topic, p.Earliest, p.Latest, earliest, earliest+int64(len(want)))
	}
	if got, err := logOf(set, topic, earliest); err != nil || fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("%s reads %q, %v; want %q", topic, got, err, want)
	}
}

// No read shows a message, a commit or a truncation that is not on disk, and a
// reader who waits is woken by the sync.
func TestNoReadShowsALogThatIsNotSynced(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	slow, hold, held, release := heldSyncs()
	letGo := sync.OnceFunc(func() { hold.Store(false); close(release) })
	set := openOn(t, slow, "/d", "")
	defer letGo()
	topicOn(t, set, "topic")
	if _, err := logTo(set, "topic", "a", "b"); err != nil {
		t.Fatal(err)
	}
	if err := set.StreamConsumerGroups.Commit(ctx, "ns", "topic", "g", []driver.PartitionOffset{{Offset: 1}}); err != nil {
		t.Fatal(err)
	}
	read := make(chan []driver.StreamRecord, 1)
	go func() {
		records, err := set.Stream.Read(ctx, "ns", "topic", driver.StreamRead{Offset: 2, Max: 10, Wait: time.Hour})
		if err != nil {
			t.Error(err)
		}
		read <- records
	}()
	hold.Store(true)
	done := make(chan error, 4)
	go func() {
		_, err := logTo(set, "topic", "c")
		done <- err
	}()
	<-held
	// These wait behind the sync, built or not.
	go func() {
		done <- set.StreamConsumerGroups.Commit(ctx, "ns", "topic", "g", []driver.PartitionOffset{{Offset: 2}})
	}()
	go func() { done <- set.StreamRetention.Truncate(ctx, "ns", "topic", 0, 1) }()
	go func() {
		_, err := set.Stream.CreateTopic(ctx, "ns", "other", driver.TopicOptions{Partitions: 1})
		done <- err
	}()
	for range 20 {
		holds(t, set, "topic", 0, "a", "b")
		offsets, err := set.StreamConsumerGroups.Committed(ctx, "ns", "topic", "g")
		if err != nil || len(offsets) != 1 || offsets[0].Offset != 1 {
			t.Fatalf("committed %v, %v; want 1", offsets, err)
		}
		if names, err := set.Stream.Topics(ctx, "ns"); err != nil || len(names) != 1 {
			t.Fatalf("topics %q, %v; want one", names, err)
		}
		select {
		case records := <-read:
			t.Fatalf("the reader was given %d messages before the sync", len(records))
		default:
		}
	}
	letGo()
	for range cap(done) {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	if records := <-read; len(records) != 1 || string(records[0].Payload) != "c" {
		t.Errorf("the reader was given %+v, want c", records)
	}
	holds(t, set, "topic", 1, "b", "c")
}

// A sync that fails ends readers and appends; what was acked is there again.
func TestAFailedSyncEndsLogs(t *testing.T) {
	ctx := context.Background()
	memory, fs, broken := brokenSyncs()
	set := openOn(t, fs, "/d", "")
	topicOn(t, set, "topic")
	if _, err := logTo(set, "topic", "a", "b"); err != nil {
		t.Fatal(err)
	}
	read := make(chan error, 1)
	go func() {
		_, err := set.Stream.Read(ctx, "ns", "topic", driver.StreamRead{Offset: 2, Max: 1, Wait: time.Hour})
		read <- err
	}()
	broken.Store(true)
	if _, err := logTo(set, "topic", "lost"); !errors.Is(err, prism.ReasonBackendUnavailable) {
		t.Errorf("an append that could not be synced: %v, want BACKEND_UNAVAILABLE", err)
	}
	if err := <-read; !errors.Is(err, prism.ReasonBackendUnavailable) {
		t.Errorf("the reader ends with %v, want BACKEND_UNAVAILABLE", err)
	}
	if err := set.Store.Close(); err != nil {
		t.Errorf("close: %v", err)
	}
	again := openOn(t, memory.CrashClone(vfs.CrashCloneCfg{}), "/d", "")
	holds(t, again, "topic", 0, "a", "b")
}

// A read that comes while a truncation is being synced sees all or is told.
func TestAReadWhileALogIsTruncatedWaitsForTheSync(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	slow, hold, held, release := heldSyncs()
	letGo := sync.OnceFunc(func() { hold.Store(false); close(release) })
	set := openOn(t, slow, "/d", "")
	defer letGo()
	topicOn(t, set, "topic")
	for _, p := range []string{"a", "b", "c"} {
		if _, err := logTo(set, "topic", p); err != nil {
			t.Fatal(err)
		}
	}
	hold.Store(true)
	done := make(chan error, 1)
	go func() { done <- set.StreamRetention.Truncate(ctx, "ns", "topic", 0, 2) }()
	<-held
	short, cancel := context.WithTimeout(ctx, 20*time.Millisecond)
	defer cancel()
	if records, err := set.Stream.Read(short, "ns", "topic", driver.StreamRead{Max: 10}); !errors.Is(err, prism.ReasonDeadlineExceeded) {
		t.Errorf("a read before the sync gave %d messages, %v", len(records), err)
	}
	const readers = 32
	told := make(chan error, readers)
	for range readers {
		go func() {
			_, err := logOf(set, "topic", 0)
			told <- err
		}()
	}
	letGo()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	for range readers {
		if err := <-told; !errors.Is(err, prism.ReasonCompacted) {
			t.Errorf("a read over the sync: %v, want COMPACTED", err)
		}
	}
	if _, err := logOf(set, "topic", 0); !errors.Is(err, prism.ReasonCompacted) {
		t.Errorf("after the sync: %v, want COMPACTED", err)
	}
	holds(t, set, "topic", 2, "c")
}

// On a full disk logs are read and truncated and receipts answer; what is undone
// for want of space has left nothing.
func TestLogsOnAFullDisk(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	disk := &tightDisk{FS: vfs.NewMem()}
	disk.free.Store(1 << 29)
	set := openOn(t, disk, "/d", "reserve: 16MiB")
	topicOn(t, set, "topic")
	receipt := driver.Receipt{ID: [16]byte{1}, Keep: time.Hour}
	once := func(r driver.Receipt) driver.StreamResult {
		results := make([]driver.StreamResult, 1)
		if err := set.Stream.Append(ctx, "ns", "topic", []driver.StreamMessage{{Payload: []byte("once"), Receipt: r}}, results); err != nil {
			t.Fatal(err)
		}
		return results[0]
	}
	first := once(receipt)
	if _, err := logTo(set, "topic", "a", "b"); err != nil {
		t.Fatal(err)
	}
	commit := func() error {
		return set.StreamConsumerGroups.Commit(ctx, "ns", "topic", "g", []driver.PartitionOffset{{Offset: 1}})
	}
	create := func() error {
		_, err := set.Stream.CreateTopic(ctx, "ns", "other", driver.TopicOptions{Partitions: 1})
		return err
	}
	disk.free.Store(10 << 20)
	if _, err := logTo(set, "topic", "c"); !errors.Is(err, prism.ReasonDiskFull) {
		t.Errorf("an append: %v, want DISK_FULL", err)
	}
	if r := once(receipt); r.Err != nil || !r.Replayed || r.Offset != first.Offset {
		t.Errorf("a replay gives %+v, want the first answer", r)
	}
	if err := commit(); !errors.Is(err, prism.ReasonDiskFull) {
		t.Errorf("a commit: %v, want DISK_FULL", err)
	}
	if err := create(); !errors.Is(err, prism.ReasonDiskFull) {
		t.Errorf("a new topic: %v, want DISK_FULL", err)
	}
	holds(t, set, "topic", 0, "once", "a", "b")
	if err := set.StreamRetention.Truncate(ctx, "ns", "topic", 0, 1); err != nil {
		t.Errorf("a truncation: %v", err)
	}
	disk.free.Store(0)
	if err := set.StreamRetention.Truncate(ctx, "ns", "topic", 0, 2); !errors.Is(err, prism.ReasonDiskFull) {
		t.Errorf("a truncation without any space: %v, want DISK_FULL", err)
	}
	if err := set.StreamRetention.SetRetention(ctx, "ns", "topic", driver.Retention{Bytes: 1}); !errors.Is(err, prism.ReasonDiskFull) {
		t.Errorf("a retention without any space: %v, want DISK_FULL", err)
	}
	if err := set.Store.Drop(ctx, "ns"); !errors.Is(err, prism.ReasonDiskFull) {
		t.Errorf("a drop without any space: %v, want DISK_FULL", err)
	}
	// Above the reserve, but the group is larger than what is left.
	disk.free.Store(17 << 20)
	results := make([]driver.StreamResult, 1)
	big := []driver.StreamMessage{{Payload: make([]byte, 15<<20), Receipt: driver.Receipt{ID: [16]byte{2}, Keep: time.Hour}}}
	if err := set.Stream.Append(ctx, "ns", "topic", big, results); !errors.Is(err, prism.ReasonDiskFull) {
		t.Errorf("an append that does not fit: %v, want DISK_FULL", err)
	}
	holds(t, set, "topic", 1, "a", "b")
	disk.free.Store(1 << 29)
	if r := once(driver.Receipt{ID: [16]byte{2}, Keep: time.Hour}); r.Err != nil || r.Replayed || r.Offset != 3 {
		t.Errorf("the append that was undone, again: %+v, want offset 3", r)
	}
	if err := errors.Join(commit(), create()); err != nil {
		t.Error(err)
	}
	info, err := set.Stream.TopicInfo(ctx, "ns", "topic")
	if err != nil || info.Options.Retention.Bytes != 0 {
		t.Errorf("options %+v, %v; want those of the start", info.Options, err)
	}
	holds(t, set, "topic", 1, "a", "b", "once")
}

// spoil flips the last bit of the nth record from a key on.
func spoil(t *testing.T, dir, from string, nth int) {
	t.Helper()
	db, err := cockroach.Open(filepath.Join(dir, "store"), &cockroach.Options{Logger: quietLog{}})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	it, err := db.NewIter(&cockroach.IterOptions{LowerBound: []byte(from), UpperBound: []byte(from + "\xff")})
	if err != nil {
		t.Fatal(err)
	}
	defer it.Close()
	ok := it.First()
	for range nth - 1 {
		ok = it.Next()
	}
	if !ok {
		t.Fatalf("there is no record %d from %q on", nth, from)
	}
	damaged := bytes.Clone(it.Value())
	damaged[len(damaged)-1] ^= 1
	if err := db.Set(bytes.Clone(it.Key()), damaged, cockroach.Sync); err != nil {
		t.Fatal(err)
	}
}

// Damage is told where it is met; nothing else is lost by it, and no offset is
// used twice.
func TestADamagedLogIsReadAroundTheDamage(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	for _, c := range []struct {
		what, key string
		nth       int
		check     func(t *testing.T, set driver.Set)
	}{
		{"a piece", "l\x02nstopic\x00", 2, func(t *testing.T, set driver.Set) {
			if got, err := logOf(set, "topic", 1); err != nil || fmt.Sprint(got) != "[b]" {
				t.Errorf("up to the damage: %q, %v; want b", got, err)
			}
			if got, err := logOf(set, "topic", 2); !errors.Is(err, prism.ReasonDataLoss) {
				t.Errorf("at the damage: %q, %v; want DATA_LOSS", got, err)
			}
			if got, err := logOf(set, "topic", 4); err != nil || fmt.Sprint(got) != "[e f]" {
				t.Errorf("after it: %q, %v; want e f", got, err)
			}
			if err := set.StreamRetention.Truncate(ctx, "ns", "topic", 0, 3); err != nil {
				t.Fatal(err)
			}
			if got, err := logOf(set, "topic", 3); !errors.Is(err, prism.ReasonDataLoss) {
				t.Errorf("the rest of the damage: %q, %v; want DATA_LOSS", got, err)
			}
			if err := set.StreamRetention.Truncate(ctx, "ns", "topic", 0, 4); err != nil {
				t.Fatal(err)
			}
			holds(t, set, "topic", 4, "e", "f")
		}},
		{"the last piece", "l\x02nstopic\x00", 3, func(t *testing.T, set driver.Set) {
			if r, err := logTo(set, "topic", "g"); err != nil || r[0].Offset != 6 {
				t.Errorf("the next message went to %+v, %v; want offset 6", r, err)
			}
			if got, err := logOf(set, "topic", 6); err != nil || fmt.Sprint(got) != "[g]" {
				t.Errorf("it reads %q, %v", got, err)
			}
		}},
		{"where it begins", "f\x02nstopic\x00", 1, func(t *testing.T, set driver.Set) {
			holds(t, set, "topic", 0, "a", "b", "c", "d", "e", "f")
		}},
		{"where an empty one begins", "f\x02nsempty\x00", 1, func(t *testing.T, set driver.Set) {
			if r, err := logTo(set, "empty", "x"); !errors.Is(err, prism.ReasonDataLoss) {
				t.Errorf("an append goes to %+v, %v; want DATA_LOSS", r, err)
			}
		}},
		{"how it is set", "t\x02nstopic", 1, func(t *testing.T, set driver.Set) {
			if got, err := logOf(set, "topic", 0); !errors.Is(err, prism.ReasonDataLoss) {
				t.Errorf("it reads %q, %v; want DATA_LOSS", got, err)
			}
			if _, err := set.Stream.CreateTopic(ctx, "ns", "topic", driver.TopicOptions{Partitions: 1}); !errors.Is(err, prism.ReasonDataLoss) {
				t.Errorf("made anew: %v, want DATA_LOSS", err)
			}
			if err := set.Store.Drop(ctx, "ns"); err != nil {
				t.Fatal(err)
			}
			topicOn(t, set, "topic")
			holds(t, set, "topic", 0)
		}},
		{"what a group has committed", "g\x02nstopic\x00", 1, func(t *testing.T, set driver.Set) {
			offsets, err := set.StreamConsumerGroups.Committed(ctx, "ns", "topic", "g")
			if err != nil || len(offsets) != 0 {
				t.Errorf("committed %v, %v; want none", offsets, err)
			}
			holds(t, set, "topic", 1, "b", "c", "d", "e", "f")
		}},
	} {
		t.Run(c.what, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			set := openOn(t, vfs.Default, dir, "")
			for _, topic := range []string{"topic", "empty"} {
				topicOn(t, set, topic)
				for _, two := range [][]string{{"a", "b"}, {"c", "d"}, {"e", "f"}} {
					if _, err := logTo(set, topic, two...); err != nil {
						t.Fatal(err)
					}
				}
			}
			err := errors.Join(
				set.StreamRetention.Truncate(ctx, "ns", "topic", 0, 1),
				set.StreamRetention.Truncate(ctx, "ns", "empty", 0, 6),
				set.StreamConsumerGroups.Commit(ctx, "ns", "topic", "g", []driver.PartitionOffset{{Offset: 1}}),
				set.Store.Close())
			if err != nil {
				t.Fatal(err)
			}
			spoil(t, dir, c.key, c.nth)
			set = openOn(t, vfs.Default, dir, "")
			c.check(t, set)
			if h := set.Store.Health(ctx); h.State != driver.Degraded || h.Facts["damaged"] == "" {
				t.Errorf("health is %+v, want degraded", h)
			}
		})
	}
}

// What is much more than the retention goes without waiting for the next round
// of the sweeper.
func TestALogThatGrowsFastIsTrimmedMeanwhile(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	now := clock.NewFake(time.Now())
	c := configOf("/d", "")
	c.Clock = now // stands still: no round comes
	set, err := pebble.SpecOn(vfs.NewMem()).Open(ctx, c)
	if err != nil {
		t.Fatal(err)
	}
	defer set.Store.Close()
	const bound = 1 << 20
	if _, err := set.Stream.CreateTopic(ctx, "ns", "topic", driver.TopicOptions{Partitions: 1, Retention: driver.Retention{Bytes: bound}}); err != nil {
		t.Fatal(err)
	}
	payload := string(make([]byte, 10<<10))
	for range 400 {
		if _, err := logTo(set, "topic", payload); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, "it is near its bound", func() bool {
		info, err := set.Stream.TopicInfo(ctx, "ns", "topic")
		if err != nil {
			t.Fatal(err)
		}
		p := info.Partitions[0]
		if p.Latest != 400 || p.Bytes < bound-10<<10 || p.Bytes != (p.Latest-p.Earliest)*10<<10 {
			t.Fatalf("it holds %+v", p)
		}
		return p.Bytes <= bound+64<<10
	})
}
