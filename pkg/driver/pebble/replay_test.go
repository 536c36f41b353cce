package pebble_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/prism-data-layer/prism/pkg/driver/pebble"
)

// FuzzWALReplay opens a store whose log was damaged anywhere: it must not
// panic, and what it serves must be what was written. Refusing to open is fine.
func FuzzWALReplay(f *testing.F) {
	base := vfs.NewCrashableMem()
	set, err := pebble.SpecOn(base).Open(context.Background(), configOf("/d", "cache: 1MiB\nmemtable: 64KiB"))
	if err != nil {
		f.Fatal(err)
	}
	value := func(i int) string { return strings.Repeat(fmt.Sprint("value", i), 5) }
	const n = 20
	for i := range n {
		put(f, set, fmt.Sprint(i), value(i))
	}
	crashed := base.CrashClone(vfs.CrashCloneCfg{})
	if err := set.Store.Close(); err != nil {
		f.Fatal(err)
	}
	f.Add(uint16(100), []byte{0xff}, uint16(0))
	f.Add(uint16(900), []byte("\x00\x00\x00\x00\x00\x00\x00"), uint16(0))
	f.Add(uint16(0), []byte(nil), uint16(17))
	f.Add(uint16(1500), []byte{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12}, uint16(3))
	f.Fuzz(func(t *testing.T, at uint16, patch []byte, cut uint16) {
		fs := crashed.CrashClone(vfs.CrashCloneCfg{})
		names, err := fs.List("/d/store")
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range names {
			if !strings.HasSuffix(name, ".log") {
				continue
			}
			file, err := fs.Open("/d/store/" + name)
			if err != nil {
				t.Fatal(err)
			}
			log, err := io.ReadAll(file)
			file.Close()
			if err != nil || len(log) == 0 {
				continue
			}
			log = bytes.Clone(log)
			copy(log[int(at)%len(log):], patch)
			log = log[:len(log)-int(cut)%len(log)]
			out, err := fs.Create("/d/store/"+name, vfs.WriteCategoryUnspecified)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := out.Write(log); err != nil {
				t.Fatal(err)
			}
			out.Close()
		}
		again, err := pebble.SpecOn(fs).Open(context.Background(), configOf("/d", "cache: 1MiB\nmemtable: 64KiB"))
		if err != nil {
			return
		}
		defer again.Store.Close()
		for i := range n {
			e, found, err := again.KeyValue.Get(context.Background(), key(fmt.Sprint(i)))
			if err == nil && found && string(e.Value) != value(i) {
				t.Fatalf("%d is served as %q", i, e.Value)
			}
		}
	})
}
