package faults_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"slices"
	"testing"

	"github.com/goccy/go-yaml"

	"github.com/prism-data-layer/prism/pkg/clock"
	"github.com/prism-data-layer/prism/pkg/driver"
	"github.com/prism-data-layer/prism/pkg/driver/pebble"
	"github.com/prism-data-layer/prism/pkg/prism"
	"github.com/prism-data-layer/prism/test/faults/powercut"
)

const (
	writers   = 16
	namespace = prism.Namespace("faults")
)

func store() powercut.Store {
	return powercut.Store{
		Writers: writers, Write: write, ReadBack: readBack,
		Open: func(dir string) (driver.Set, error) { return open(dir, slog.New(slog.DiscardHandler)) },
	}
}

// The same program is test and writer.
func TestMain(m *testing.M) {
	if !store().Child() {
		os.Exit(m.Run())
	}
}

// open opens the store as the gateway would, with a memtable so small that a
// short run flushes and compacts.
func open(dir string, log *slog.Logger) (driver.Set, error) {
	return openSpec(pebble.Spec(), dir, log, "memtable: 256KiB\ncache: 4MiB\n")
}

func openSpec(spec driver.Spec, dir string, log *slog.Logger, options string) (driver.Set, error) {
	return spec.Open(context.Background(), driver.Config{
		Name: "faults", Dir: dir, Clock: clock.Real(), Log: log,
		Options: func(into any) error { return yaml.UnmarshalWithOptions([]byte(options), into, yaml.Strict()) },
	})
}

// A writer's n-th write. Every eighth is a transaction of two keys, of which
// there must be both or none.
func keyOf(writer, n int) string { return fmt.Sprintf("w%02d/%08d", writer, n) }

func pairOf(writer, n int) (string, bool) { return fmt.Sprintf("p%02d/%08d", writer, n), n%8 == 7 }

func valueOf(seed uint64, writer, n int) []byte {
	r := rand.New(rand.NewPCG(seed, uint64(writer)<<32|uint64(n)))
	v := make([]byte, 16+r.IntN(200))
	for i := 0; i < len(v); i += 8 {
		copy(v[i:], binary.LittleEndian.AppendUint64(nil, r.Uint64()))
	}
	return v
}

func write(ctx context.Context, set driver.Set, seed uint64, writer, n int) error {
	value := valueOf(seed, writer, n)
	if pair, ok := pairOf(writer, n); ok {
		_, err := set.KeyValueTransactional.Commit(ctx, namespace, nil, []driver.Op{
			{Kind: driver.OpSet, Key: keyOf(writer, n), Value: value},
			{Kind: driver.OpSet, Key: pair, Value: value},
		}, driver.Receipt{})
		return err
	}
	_, err := set.KeyValue.Set(ctx, prism.Key{Namespace: namespace, Name: keyOf(writer, n)}, value, driver.SetOptions{}, driver.Receipt{})
	return err
}

// readBack compares the store with the bookkeeping: what was acked must be
// there with its exact value; beyond that a writer may have had one write in
// flight and no more.
func readBack(set driver.Set, seed uint64, acked, attempted []uint32) (powercut.Tally, error) {
	ctx := context.Background()
	got := map[string][]byte{}
	var token []byte
	for {
		page, err := set.KeyValueScan.Scan(ctx, namespace, driver.Query{Limit: 1000, MaxBytes: 4 << 20}, token)
		if err != nil {
			return powercut.Tally{}, err
		}
		for _, e := range page.Entries {
			got[e.Key] = e.Value
		}
		if token = page.Next; token == nil {
			break
		}
	}
	t := powercut.Tally{Next: slices.Clone(acked)}
	for w := range acked {
		for n := 0; n <= int(attempted[w]); n++ {
			want := valueOf(seed, w, n)
			value, there := got[keyOf(w, n)]
			good := there && bytes.Equal(value, want)
			if pair, ok := pairOf(w, n); ok {
				other, both := got[pair]
				if there != both || both && !bytes.Equal(other, want) {
					return t, fmt.Errorf("transaction %d of writer %d is there in part", n, w)
				}
				delete(got, pair)
			}
			delete(got, keyOf(w, n))
			switch {
			case there && !good:
				return t, fmt.Errorf("write %d of writer %d has a wrong value", n, w)
			case n < int(acked[w]) && !good:
				t.Lost++
			case there:
				t.Next[w] = max(t.Next[w], uint32(n)+1)
			}
		}
	}
	t.Phantom = int64(len(got))
	return t, nil
}

func seedOf(t *testing.T) uint64 {
	t.Helper()
	seed := rand.Uint64()
	if s := os.Getenv("PRISM_FAULT_TEST_SEED"); s != "" {
		if _, err := fmt.Sscan(s, &seed); err != nil {
			t.Fatal(err)
		}
	}
	return seed
}
