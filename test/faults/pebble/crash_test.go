package faults_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"github.com/prism-data-layer/prism/pkg/driver"
	"github.com/prism-data-layer/prism/pkg/driver/pebble"
	"github.com/prism-data-layer/prism/pkg/prism"
	"github.com/prism-data-layer/prism/test/faults/powercut"
)

const (
	memoryDir  = "/data"
	smallSizes = "memtable: 64KiB\ncache: 1MiB\n"
)

// shares of what was not synced that outlive a crash, in percent.
var shares = [...]int{0, 10, 50, 100}

// F3: crash at every write index. A store on a memory disk works through a
// script; before each call that writes to the disk, the disk is cloned as a
// crash would leave it, with what was acked at that moment.
func TestFault_F3_CrashAtEveryWrite(t *testing.T) {
	steps := 60
	if powercut.Full() {
		steps = 400
	}
	seed := seedOf(t)
	report := powercut.Begin("F3", seed)
	random := rand.New(rand.NewPCG(seed, 3))
	type crash struct {
		fs    *vfs.MemFS
		acked []uint32
		index int
		share int
	}
	var (
		mu      sync.Mutex
		crashes []crash
		acked   = make([]uint32, writers)
		index   int
	)
	memory := vfs.NewCrashableMem()
	watched := errorfs.Wrap(memory, errorfs.InjectorFunc(func(op errorfs.Op) error {
		if op.Kind.ReadOrWrite() != errorfs.OpIsWrite {
			return nil
		}
		mu.Lock()
		defer mu.Unlock()
		index++
		for _, share := range shares {
			c := crash{acked: append([]uint32(nil), acked...), index: index, share: share}
			c.fs = memory.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: share, RNG: random})
			crashes = append(crashes, c)
		}
		return nil
	}))
	set, err := openSpec(pebble.SpecOn(watched), memoryDir, nil, smallSizes)
	if err != nil {
		t.Fatal(err)
	}
	// check opens all crashes so far; the script stands still meanwhile.
	check := func() {
		t.Helper()
		mu.Lock()
		todo := crashes
		crashes = nil
		mu.Unlock()
		for _, c := range todo {
			report.Rounds++
			where := fmt.Sprintf("seed %d: crash at write %d with %d%% of what was not synced", seed, c.index, c.share)
			again, err := openSpec(pebble.SpecOn(c.fs), memoryDir, nil, smallSizes)
			if err != nil {
				t.Fatalf("%s: open: %v", where, err)
			}
			found, err := readBack(again, seed, c.acked, c.acked)
			if err != nil || found.Lost != 0 || found.Phantom != 0 {
				t.Fatalf("%s: lost %d, phantom %d, error %v", where, found.Lost, found.Phantom, err)
			}
			if err := again.Store.Close(); err != nil {
				t.Fatal(err)
			}
		}
	}
	for step := range steps {
		w := step % writers
		// Large values now and then make the small memtable flush.
		if step%8 == 5 {
			_, err := set.KeyValue.Set(context.Background(), prism.Key{Namespace: "ballast", Name: "k"}, make([]byte, 20<<10), driver.SetOptions{}, driver.Receipt{})
			if err != nil {
				t.Fatal(err)
			}
		}
		if err := write(context.Background(), set, seed, w, int(acked[w])); err != nil {
			t.Fatal(err)
		}
		mu.Lock()
		acked[w]++
		mu.Unlock()
		report.Acked++
		check()
	}
	if err := set.Store.Close(); err != nil {
		t.Fatal(err)
	}
	check()
	report.More["write_indices"] = index
	report.Print()
}

// F4: the log's tail is torn. The log is cut at every byte of its last three
// records.
func TestFault_F4_TornTail(t *testing.T) {
	seed := seedOf(t)
	report := powercut.Begin("F4", seed)
	memory := vfs.NewCrashableMem()
	set, err := openSpec(pebble.SpecOn(memory), memoryDir, nil, "")
	if err != nil {
		t.Fatal(err)
	}
	const before = 20
	put := func(n int) {
		t.Helper()
		_, err := set.KeyValue.Set(context.Background(), prism.Key{Namespace: namespace, Name: fmt.Sprint("k", n)}, valueOf(seed, 0, n), driver.SetOptions{}, driver.Receipt{})
		if err != nil {
			t.Fatal(err)
		}
		report.Acked++
	}
	for n := range before {
		put(n)
	}
	name, size := activeLog(t, memory)
	ends := []int{size} // of records, from the first that may be torn
	for n := range 3 {
		put(before + n)
		_, size := activeLog(t, memory)
		ends = append(ends, size)
	}
	whole := memory.CrashClone(vfs.CrashCloneCfg{})
	if err := set.Store.Close(); err != nil {
		t.Fatal(err)
	}
	log := readFile(t, whole, name)
	for cut := ends[0]; cut <= ends[3]; cut++ {
		report.Rounds++
		fs := whole.CrashClone(vfs.CrashCloneCfg{})
		writeFile(t, fs, name, log[:cut])
		var said bytes.Buffer
		again, err := openSpec(pebble.SpecOn(fs), memoryDir, slog.New(slog.NewJSONHandler(&said, &slog.HandlerOptions{Level: slog.LevelWarn})), "")
		if err != nil {
			t.Fatalf("log cut at %d of %v: open: %v", cut, ends, err)
		}
		complete, clean := before, false
		for i, end := range ends {
			if cut >= end {
				complete = before + i
			}
			clean = clean || cut == end
		}
		for n := range before + 3 {
			e, found, err := again.KeyValue.Get(context.Background(), prism.Key{Namespace: namespace, Name: fmt.Sprint("k", n)})
			switch {
			case err != nil:
				t.Fatal(err)
			case n < complete && (!found || !bytes.Equal(e.Value, valueOf(seed, 0, n))):
				report.Lost++
				t.Errorf("log cut at %d of %v: record %d is gone", cut, ends, n)
			case n >= complete && found:
				report.Phantom++
				t.Errorf("log cut at %d of %v: record %d is there", cut, ends, n)
			}
		}
		if warned := strings.Contains(said.String(), `"offset"`); warned == clean {
			t.Errorf("log cut at %d of %v: warned %v: %s", cut, ends, warned, said.String())
		}
		if err := again.Store.Close(); err != nil {
			t.Fatal(err)
		}
	}
	report.Print()
}

// activeLog finds the log that is being written and how long it is.
func activeLog(t *testing.T, fs *vfs.MemFS) (name string, size int) {
	t.Helper()
	names, err := fs.List(memoryDir + "/store")
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range names {
		if strings.HasSuffix(n, ".log") && n > name {
			name = n
		}
	}
	name = memoryDir + "/store/" + name
	info, err := fs.Stat(name)
	if err != nil {
		t.Fatal(err)
	}
	return name, int(info.Size())
}

func readFile(t *testing.T, fs vfs.FS, name string) []byte {
	t.Helper()
	f, err := fs.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	b, err := io.ReadAll(f)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func writeFile(t *testing.T, fs vfs.FS, name string, b []byte) {
	t.Helper()
	f, err := fs.Create(name, vfs.WriteCategoryUnspecified)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.Write(bytes.Clone(b)); err != nil { // Write may change what it is given
		t.Fatal(err)
	}
	if err := f.Sync(); err != nil {
		t.Fatal(err)
	}
}
