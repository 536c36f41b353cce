package faults_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"github.com/prism-data-layer/prism/pkg/driver"
	"github.com/prism-data-layer/prism/pkg/driver/pebble"
	"github.com/prism-data-layer/prism/test/faults/powercut"
)

const (
	logTopic      = "events"
	logPartitions = 2
)

// A logState is what a script has done to a log, partition by partition.
type logState struct{ next, floor, committed [logPartitions]int64 }

// A logScript works on a log; acked is what it was told of, attempted what it
// has asked for.
type logScript struct {
	set    driver.Set
	seed   uint64
	random *rand.Rand

	mu               sync.Mutex
	acked, attempted logState
}

// logMessage is what stands at an offset.
func logMessage(seed uint64, partition int, offset int64) driver.StreamMessage {
	random := rand.New(rand.NewPCG(seed, uint64(partition)<<32|uint64(offset)))
	m := driver.StreamMessage{Key: fmt.Sprint("k", offset%3), Payload: make([]byte, random.IntN(200))}
	for i := range m.Payload {
		m.Payload[i] = byte(random.Uint32())
	}
	if offset%16 == 7 { // cuts a piece, and makes the small memtable flush
		m.Payload = append(m.Payload, make([]byte, 20<<10)...)
	}
	m.Receipt = driver.Receipt{ID: [16]byte{byte(partition), byte(offset), byte(offset >> 8), 1}, Keep: 1e9 * 3600}
	return m
}

// step does one thing to the log: it appends a few messages, commits, or
// truncates.
func (s *logScript) step() error {
	ctx, p := context.Background(), s.random.IntN(logPartitions)
	s.mu.Lock()
	want := s.acked
	s.mu.Unlock()
	var call func() error
	switch s.random.IntN(6) {
	case 0:
		want.committed[p] = want.next[p]
		call = func() error {
			return s.set.StreamConsumerGroups.Commit(ctx, "ns", logTopic, "g", []driver.PartitionOffset{{Partition: int32(p), Offset: want.committed[p]}})
		}
	case 1:
		want.floor[p] += s.random.Int64N(want.next[p] - want.floor[p] + 1)
		call = func() error {
			return s.set.StreamRetention.Truncate(ctx, "ns", logTopic, int32(p), want.floor[p])
		}
	default:
		var messages []driver.StreamMessage
		for range 1 + s.random.IntN(5) {
			messages = append(messages, logMessage(s.seed, p, want.next[p]))
			want.next[p]++
		}
		call = func() error {
			results := make([]driver.StreamResult, len(messages))
			err := s.set.StreamPartitioning.AppendTo(ctx, "ns", logTopic, int32(p), messages, results)
			for i, r := range results {
				if err == nil && (r.Err != nil || r.Offset != want.next[p]-int64(len(results)-i)) {
					err = fmt.Errorf("message %d went to %+v", i, r)
				}
			}
			return err
		}
	}
	s.mu.Lock()
	s.attempted = want
	s.mu.Unlock()
	if err := call(); err != nil {
		return err
	}
	s.mu.Lock()
	s.acked = want
	s.mu.Unlock()
	return nil
}

// checkLog holds a store that was opened after a crash against what was acked
// and attempted before it.
func checkLog(set driver.Set, seed uint64, acked, attempted logState) error {
	ctx := context.Background()
	info, err := set.Stream.TopicInfo(ctx, "ns", logTopic)
	if err != nil {
		return err
	}
	committed := map[int32]int64{}
	offsets, err := set.StreamConsumerGroups.Committed(ctx, "ns", logTopic, "g")
	if err != nil {
		return err
	}
	for _, o := range offsets {
		committed[o.Partition] = o.Offset
	}
	for n, p := range info.Partitions {
		switch c := committed[p.Partition]; {
		case p.Latest != acked.next[n] && p.Latest != attempted.next[n]:
			return fmt.Errorf("partition %d ends at %d: acked %d, attempted %d", n, p.Latest, acked.next[n], attempted.next[n])
		case p.Earliest != acked.floor[n] && p.Earliest != attempted.floor[n]:
			return fmt.Errorf("partition %d begins at %d: acked %d, attempted %d", n, p.Earliest, acked.floor[n], attempted.floor[n])
		case c != acked.committed[n] && c != attempted.committed[n]:
			return fmt.Errorf("partition %d is committed up to %d: acked %d, attempted %d", n, c, acked.committed[n], attempted.committed[n])
		}
		if err := checkMessages(set, seed, p); err != nil {
			return err
		}
	}
	return nil
}

// checkMessages wants every message of a partition as it was appended, and the
// receipt of the last one to know it.
func checkMessages(set driver.Set, seed uint64, p driver.PartitionInfo) error {
	ctx, at, bytes := context.Background(), p.Earliest, int64(0)
	for at < p.Latest {
		records, err := set.Stream.Read(ctx, "ns", logTopic, driver.StreamRead{Partition: p.Partition, Offset: at, Max: 7})
		if err != nil || len(records) == 0 {
			return fmt.Errorf("partition %d from %d: %d records, %w", p.Partition, at, len(records), err)
		}
		for _, r := range records {
			want := logMessage(seed, int(p.Partition), at)
			if r.Offset != at || r.Key != want.Key || !slices.Equal(r.Payload, want.Payload) {
				return fmt.Errorf("partition %d: at %d is offset %d, key %q, %d bytes", p.Partition, at, r.Offset, r.Key, len(r.Payload))
			}
			bytes += int64(len(r.Payload))
			at++
		}
	}
	if bytes != p.Bytes {
		return fmt.Errorf("partition %d holds %d bytes and says %d", p.Partition, bytes, p.Bytes)
	}
	if p.Latest == 0 {
		return nil
	}
	again := make([]driver.StreamResult, 1)
	last := logMessage(seed, int(p.Partition), p.Latest-1)
	err := set.StreamPartitioning.AppendTo(ctx, "ns", logTopic, p.Partition, []driver.StreamMessage{last}, again)
	if err != nil || !again[0].Replayed || again[0].Offset != p.Latest-1 {
		return fmt.Errorf("partition %d: the last message again gives %+v, %w", p.Partition, again[0], err)
	}
	return nil
}

// F3 for logs: crash at every write index, under appends with receipts,
// commits of a group and truncations. What was acked is there and what was not
// is there whole or not at all; offsets have no gap.
func TestFault_F3_LogsCrashAtEveryWrite(t *testing.T) {
	steps := 60
	if powercut.Full() {
		steps = 400
	}
	seed := seedOf(t)
	report := powercut.Begin("F3-logs", seed)
	script := &logScript{seed: seed, random: rand.New(rand.NewPCG(seed, 4))}
	type crash struct {
		fs               *vfs.MemFS
		acked, attempted logState
		share            int
	}
	var crashes []crash
	memory, random, recording := vfs.NewCrashableMem(), rand.New(rand.NewPCG(seed, 5)), false
	watched := errorfs.Wrap(memory, errorfs.InjectorFunc(func(op errorfs.Op) error {
		if op.Kind.ReadOrWrite() != errorfs.OpIsWrite {
			return nil
		}
		script.mu.Lock()
		defer script.mu.Unlock()
		for _, share := range shares {
			if recording {
				fs := memory.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: share, RNG: random})
				crashes = append(crashes, crash{fs, script.acked, script.attempted, share})
			}
		}
		return nil
	}))
	set, err := openSpec(pebble.SpecOn(watched), memoryDir, nil, smallSizes)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := set.Stream.CreateTopic(t.Context(), "ns", logTopic, driver.TopicOptions{Partitions: logPartitions}); err != nil {
		t.Fatal(err)
	}
	script.set = set
	script.mu.Lock()
	recording = true
	script.mu.Unlock()
	check := func() {
		t.Helper()
		script.mu.Lock()
		todo := crashes
		crashes = nil
		script.mu.Unlock()
		for _, c := range todo {
			report.Rounds++
			again, err := openSpec(pebble.SpecOn(c.fs), memoryDir, nil, smallSizes)
			if err != nil {
				t.Fatal(err)
			}
			if err := checkLog(again, seed, c.acked, c.attempted); err != nil {
				t.Fatalf("seed %d, after %+v, with %d%% of what was not synced: %v", seed, c.acked, c.share, err)
			}
			if err := again.Store.Close(); err != nil {
				t.Fatal(err)
			}
		}
	}
	for range steps {
		if err := script.step(); err != nil {
			t.Fatal(err)
		}
		report.Acked++
		check()
	}
	if err := set.Store.Close(); err != nil {
		t.Fatal(err)
	}
	check()
	report.Print()
}
