package main

import (
	"context"
	"encoding/binary"
	"path/filepath"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/bloom"

	"github.com/prism-data-layer/prism/pkg/client"
	kvv1 "github.com/prism-data-layer/prism/proto/prism/keyvalue/v1"
)

// benchPebble measures durable writes: ours through the SDK and by unary calls,
// theirs by pebble's own API with the same sizes on the same disk. Both write a
// second record with each value: ours the change that watches and receipts are
// made of, theirs an index entry of the same size.
func benchPebble(ctx context.Context, b *bench) error {
	if !b.wants("pebble") {
		return nil
	}
	gw, err := b.prismd(ctx, memoryConfig)
	if err != nil {
		return err
	}
	db, err := pebble.Open(filepath.Join(gw.dir, "theirs"), pebbleOptions())
	if err != nil {
		return err
	}
	defer db.Close()
	theirs := func(ctx context.Context, d time.Duration) (sample, error) {
		return loop(ctx, gw, callers, d, func(_ context.Context, c int, i uint32) error {
			batch := db.NewBatch()
			defer batch.Close()
			var index [24]byte
			binary.BigEndian.PutUint32(index[:], i)
			index[23] = byte(c)
			k := []byte("d" + key(i))
			if err := batch.Set(k, value, nil); err != nil {
				return err
			}
			if err := batch.Set(index[:], k, nil); err != nil {
				return err
			}
			return batch.Commit(pebble.Sync)
		})
	}
	sdk, err := client.Dial(gw.data)
	if err != nil {
		return err
	}
	defer sdk.Close()
	kv := sdk.KeyValue("disk")
	bySDK := func(ctx context.Context, d time.Duration) (sample, error) {
		return loop(ctx, gw, callers, d, func(ctx context.Context, _ int, i uint32) error {
			_, err := kv.Set(ctx, key(i), value)
			return err
		})
	}
	unary := func(ctx context.Context, d time.Duration) (sample, error) {
		list, done, err := stubs(gw.data, connections, true)
		if err != nil {
			return sample{}, err
		}
		defer done()
		return loop(ctx, gw, callers, d, func(ctx context.Context, c int, i uint32) error {
			_, err := list[c%connections].Set(ctx, &kvv1.SetRequest{Namespace: "disk", Key: key(i), Value: value})
			return err
		})
	}
	s, err := b.alternate(ctx, bySDK, theirs, unary)
	if err != nil {
		return err
	}
	b.compare("pebble synced Set, 64 writers, by SDK ÷ pebble's own API", "sets/s", s[0], s[1], rate, ">=", 0.9)
	b.compare("pebble synced Set, 64 writers, unary ÷ pebble's own API", "sets/s", s[2], s[1], rate, ">=", 0.4)
	b.note("CPU seconds per million synced Sets by SDK", "s", medianOf(s[0], cpu))
	return nil
}

// pebbleOptions are those of our driver with the sizes of memoryConfig.
func pebbleOptions() *pebble.Options {
	o := &pebble.Options{MemTableSize: 64 << 20, Cache: pebble.NewCache(256 << 20), Logger: quiet{}}
	o.Levels[0].FilterPolicy = bloom.FilterPolicy(10)
	for i := 1; i < len(o.Levels); i++ {
		o.Levels[i].FilterPolicy = bloom.FilterPolicy(10)
	}
	return o
}

// quiet drops pebble's own log.
type quiet struct{}

func (quiet) Infof(string, ...any)  {}
func (quiet) Errorf(string, ...any) {}
func (quiet) Fatalf(format string, args ...any) {
	panic(format)
}
