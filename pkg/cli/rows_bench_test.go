package cli

import (
	"fmt"
	"io"
	"testing"

	"github.com/spf13/cobra"

	"github.com/prism-data-layer/prism/pkg/iostreams"
)

type pair struct {
	key, value string
	version    uint64
	expires    int64
}

// A list of a million keys is what `kv scan --all` prints.
func BenchmarkList(b *testing.B) {
	kind := Kind[*pair]{Name: "Entry", Fields: []Field[*pair]{
		Text("key", "KEY", "the key", func(p *pair) string { return p.key }),
		Text("value", "VALUE", "its value", func(p *pair) string { return p.value }),
		Bytes("size_bytes", "SIZE", "its size", func(p *pair) int64 { return int64(len(p.value)) }),
		Uint("version", "VERSION", "its version", func(p *pair) uint64 { return p.version }),
		Time("expires_at", "EXPIRES", "when it goes", func(p *pair) int64 { return p.expires }),
	}}
	pairs := make([]pair, 1000)
	for i := range pairs {
		pairs[i] = pair{key: fmt.Sprintf("key-%07d", i), value: fmt.Sprintf("value-%d", i), version: uint64(i)}
	}
	for _, format := range []string{FormatTable, FormatName, FormatJSONL, FormatJSON, FormatCSV} {
		b.Run(format, func(b *testing.B) {
			ios, _, _, _ := iostreams.Test()
			ios.Redirect(io.Discard)
			f := NewFactory(ios, Build{})
			f.Globals.Output = format
			o := AddListOutput(f, &cobra.Command{}, kind.Info())
			if err := o.Check(); err != nil {
				b.Fatal(err)
			}
			b.ReportAllocs()
			list := NewList(o, kind, "")
			for i := 0; b.Loop(); i++ {
				if err := list.Add(&pairs[i%len(pairs)]); err != nil {
					b.Fatal(err)
				}
			}
			if err := list.Close(); err != nil {
				b.Fatal(err)
			}
		})
	}
}
