//go:build unix

package pebble_test

import (
	"context"
	"encoding/binary"
	"fmt"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	cockroach "github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/bloom"

	"github.com/prism-data-layer/prism/pkg/clock"
	"github.com/prism-data-layer/prism/pkg/driver"
	"github.com/prism-data-layer/prism/pkg/driver/pebble"
	"github.com/prism-data-layer/prism/pkg/prism"
)

const (
	benchWriters  = 64
	benchMemtable = 64 << 20
	benchCache    = 256 << 20
	benchKeys     = 1 << 20
)

// openBench opens a store with the sizes that both sides of a comparison use.
func openBench(b testing.TB, options string) driver.Set {
	b.Helper()
	set, err := pebble.Spec().Open(context.Background(), driver.Config{
		Name: "bench", Dir: b.TempDir(), Clock: clock.Real(),
		Options: optionsOf(fmt.Sprintf("memtable: %d\ncache: %d\n%s", benchMemtable, benchCache, options)),
	})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { set.Store.Close() })
	ops, results := make([]driver.Op, 32), make([]driver.Result, 32)
	for i := range warmBytes / warmValue / len(ops) {
		for j := range ops {
			ops[j] = driver.Op{Kind: driver.OpSet, Key: fmt.Sprint("warm-", i, "-", j), Value: make([]byte, warmValue)}
		}
		if err := set.KeyValueBatch.Batch(context.Background(), "warm", ops, results); err != nil {
			b.Fatal(err)
		}
	}
	return set
}

// Pebble begins with memtables of 256KiB and doubles them; until the sizes
// that were asked for are reached, it keeps up to eight, each of which a
// lookup searches. Both sides are measured after that.
const (
	warmBytes = 3 * benchMemtable
	warmValue = 32 << 10
)

// openTheirs opens pebble itself with the options that ours has.
func openTheirs(b testing.TB) *cockroach.DB {
	b.Helper()
	o := &cockroach.Options{
		CacheSize: benchCache, MemTableSize: benchMemtable, MemTableStopWritesThreshold: 4,
		L0CompactionThreshold: 2, L0StopWritesThreshold: 1000, MaxOpenFiles: 1000,
		FormatMajorVersion: cockroach.FormatValueSeparation, Logger: cockroach.DefaultLogger,
	}
	o.Logger = quiet{}
	for i := range o.Levels {
		o.Levels[i].FilterPolicy = bloom.FilterPolicy(10)
	}
	db, err := cockroach.Open(b.TempDir(), o)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { db.Close() })
	for i := range warmBytes / warmValue / 32 {
		batch := db.NewBatch()
		for j := range 32 {
			_ = batch.Set(fmt.Append(nil, "warm-", i, "-", j), make([]byte, warmValue), nil)
		}
		if err := batch.Commit(cockroach.Sync); err != nil {
			b.Fatal(err)
		}
		batch.Close()
	}
	return db
}

type quiet struct{}

func (quiet) Infof(string, ...any)           {}
func (quiet) Errorf(string, ...any)          {}
func (quiet) Fatalf(format string, a ...any) { panic(fmt.Sprintf(format, a...)) }

// writers shares n calls of f between 64 goroutines.
func writers(b *testing.B, f func(i int64) error) {
	b.Helper()
	b.ReportAllocs()
	b.ResetTimer()
	before := cpuTime()
	var next atomic.Int64
	var wg sync.WaitGroup
	for range benchWriters {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for {
				i := next.Add(1)
				if i > int64(b.N) {
					return
				}
				if err := f(i); err != nil {
					b.Error(err)
					return
				}
			}
		}()
	}
	wg.Wait()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "ops/s")
	b.ReportMetric(float64((cpuTime()-before).Microseconds())/float64(b.N), "cpu-µs/op")
}

// cpuTime is what the process has used; it is steadier than the clock on a
// machine that does other things too.
func cpuTime() time.Duration {
	var u syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

func benchKey(i int64) string {
	return "key-" + strconv.FormatUint(uint64(i)*0x9E3779B97F4A7C15%benchKeys, 16)
}

// BenchmarkSyncedSet64 is 64 goroutines that each wait for their write to be on
// disk: ours, and pebble's own API with the second record that ours writes.
func BenchmarkSyncedSet64(b *testing.B) {
	value := make([]byte, 100)
	ctx := context.Background()
	b.Run("ours", func(b *testing.B) {
		kv := openBench(b, "").KeyValue
		writers(b, func(i int64) error {
			_, err := kv.Set(ctx, prism.Key{Namespace: "bench", Name: benchKey(i)}, value, driver.SetOptions{}, driver.Receipt{})
			return err
		})
	})
	b.Run("pebble", func(b *testing.B) {
		db := openTheirs(b)
		writers(b, func(i int64) error {
			batch := db.NewBatch()
			key := benchKey(i)
			_ = batch.Set([]byte("d\x05bench"+key), value, nil)
			_ = batch.Set(binary.BigEndian.AppendUint64([]byte("c\x05bench"), uint64(i)), []byte(key), nil)
			err := batch.Commit(cockroach.Sync)
			batch.Close()
			return err
		})
	})
	b.Run("pebble-one-record", func(b *testing.B) {
		db := openTheirs(b)
		writers(b, func(i int64) error { return db.Set([]byte("d\x05bench"+benchKey(i)), value, cockroach.Sync) })
	})
	b.Run("ours-receipts", func(b *testing.B) {
		kv := openBench(b, "").KeyValue
		writers(b, func(i int64) error {
			r := driver.Receipt{Keep: 1e9 * 600}
			binary.LittleEndian.PutUint64(r.ID[:], uint64(i))
			_, err := kv.Set(ctx, prism.Key{Namespace: "bench", Name: benchKey(i)}, value, driver.SetOptions{}, r)
			return err
		})
	})
	b.Run("ours-relaxed", func(b *testing.B) {
		kv := openBench(b, "durability: relaxed").KeyValue
		writers(b, func(i int64) error {
			_, err := kv.Set(ctx, prism.Key{Namespace: "bench", Name: benchKey(i)}, value, driver.SetOptions{}, driver.Receipt{})
			return err
		})
	})
}

// BenchmarkBatch64 writes 100 a batch; ops/s counts the writes.
func BenchmarkBatch64(b *testing.B) {
	const size = 100
	value := make([]byte, 100)
	ctx := context.Background()
	b.Run("ours", func(b *testing.B) {
		batch := openBench(b, "").KeyValueBatch
		writers(b, func(i int64) error {
			ops, results := make([]driver.Op, size), make([]driver.Result, size)
			for j := range ops {
				ops[j] = driver.Op{Kind: driver.OpSet, Key: benchKey(i*size + int64(j)), Value: value}
			}
			return batch.Batch(ctx, "bench", ops, results)
		})
		b.ReportMetric(float64(b.N*size)/b.Elapsed().Seconds(), "ops/s")
	})
	b.Run("pebble", func(b *testing.B) {
		db := openTheirs(b)
		writers(b, func(i int64) error {
			batch := db.NewBatch()
			for j := range int64(size) {
				key := benchKey(i*size + j)
				_ = batch.Set([]byte("d\x05bench"+key), value, nil)
				_ = batch.Set(binary.BigEndian.AppendUint64([]byte("c\x05bench"), uint64(i*size+j)), []byte(key), nil)
			}
			err := batch.Commit(cockroach.Sync)
			batch.Close()
			return err
		})
		b.ReportMetric(float64(b.N*size)/b.Elapsed().Seconds(), "ops/s")
	})
}

// BenchmarkGet reads a million small entries at random, one caller.
func BenchmarkGet(b *testing.B) {
	set := openBench(b, "durability: relaxed")
	ctx := context.Background()
	const size = 1000
	for i := int64(0); i < benchKeys/4; i += size {
		ops, results := make([]driver.Op, size), make([]driver.Result, size)
		for j := range ops {
			ops[j] = driver.Op{Kind: driver.OpSet, Key: benchKey(i + int64(j)), Value: make([]byte, 100)}
		}
		if err := set.KeyValueBatch.Batch(ctx, "bench", ops, results); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportAllocs()
	i := int64(0)
	for b.Loop() {
		i++
		if _, _, err := set.KeyValue.Get(ctx, prism.Key{Namespace: "bench", Name: benchKey(i * 7919 % (benchKeys / 4))}); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkCache(b *testing.B) {
	set := openBench(b, "")
	value := make([]byte, 100)
	for i := range 10_000 {
		cachePut(b, set, strconv.Itoa(i), string(value), time.Hour)
	}
	b.Run("Get", func(b *testing.B) {
		b.ReportAllocs()
		i := 0
		for b.Loop() {
			i++
			if _, found, err := set.Cache.Get(b.Context(), key(strconv.Itoa(i%10_000))); !found || err != nil {
				b.Fatal(found, err)
			}
		}
	})
	b.Run("Set", func(b *testing.B) {
		b.ReportAllocs()
		i := 0
		for b.Loop() {
			i++
			cachePut(b, set, strconv.Itoa(i%10_000), "value", time.Hour)
		}
	})
	b.Run("Set64", func(b *testing.B) {
		writers(b, func(i int64) error {
			return cacheDo(b.Context(), set, driver.CacheOp{Kind: driver.CacheSet, Key: strconv.FormatInt(i%10_000, 10), Value: value, TTL: time.Hour}).Err
		})
	})
}

const benchTopic = "bench"

// newLog makes a topic of eight partitions.
func newLog(b *testing.B, set driver.Set) driver.Stream {
	b.Helper()
	if _, err := set.Stream.CreateTopic(b.Context(), "bench", benchTopic, driver.TopicOptions{Partitions: 8}); err != nil {
		b.Fatal(err)
	}
	return set.Stream
}

func logMessages(n int, i int64) []driver.StreamMessage {
	list := make([]driver.StreamMessage, n)
	for j := range list {
		list[j] = driver.StreamMessage{Key: benchKey(i*int64(n) + int64(j)), Payload: make([]byte, 100)}
	}
	return list
}

// BenchmarkLogAppend64 is 64 goroutines that each wait for their message, or
// their 500, to be on disk; ops/s counts messages. It stands beside SyncedSet64
// and Batch64.
func BenchmarkLogAppend64(b *testing.B) {
	append64 := func(size int, receipts bool) func(*testing.B) {
		return func(b *testing.B) {
			logs := newLog(b, openBench(b, ""))
			writers(b, func(i int64) error {
				messages, results := logMessages(size, i), make([]driver.StreamResult, size)
				for j := range messages {
					if receipts {
						messages[j].Receipt.Keep = 600e9
						binary.LittleEndian.PutUint64(messages[j].Receipt.ID[:], uint64(i*int64(size)+int64(j)))
					}
				}
				return logs.Append(context.Background(), "bench", benchTopic, messages, results)
			})
			b.ReportMetric(float64(b.N*size)/b.Elapsed().Seconds(), "ops/s")
		}
	}
	b.Run("1", append64(1, false))
	b.Run("1-receipts", append64(1, true))
	b.Run("500", append64(500, false))
}

// BenchmarkLogRead reads messages of 100 bytes, 500 at a time.
func BenchmarkLogRead(b *testing.B) {
	const size, total = 500, 200_000
	logs := newLog(b, openBench(b, "durability: relaxed"))
	for i := range int64(total / size) {
		if err := logs.Append(b.Context(), "bench", benchTopic, logMessages(size, i), make([]driver.StreamResult, size)); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportAllocs()
	q, read := driver.StreamRead{Max: size}, 0
	for b.Loop() {
		records, err := logs.Read(b.Context(), "bench", benchTopic, q)
		if err != nil {
			b.Fatal(err)
		}
		read += len(records)
		if q.Offset += int64(len(records)); len(records) < size {
			q.Offset, q.Partition = 0, (q.Partition+1)%8
		}
	}
	b.ReportMetric(float64(read)/b.Elapsed().Seconds(), "ops/s")
}
