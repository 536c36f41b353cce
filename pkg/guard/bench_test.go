package guard_test

import (
	"testing"

	"github.com/prism-data-layer/prism/pkg/clock"
	"github.com/prism-data-layer/prism/pkg/driver"
	"github.com/prism-data-layer/prism/pkg/driver/memory"
	"github.com/prism-data-layer/prism/pkg/guard"
	"github.com/prism-data-layer/prism/pkg/prism"
)

// What the guard adds to a read from memory: the difference of the two.
func BenchmarkGet(b *testing.B) {
	set, err := memory.Spec().Open(b.Context(), driver.Config{Name: "m", Clock: clock.Real(), Log: quiet})
	if err != nil {
		b.Fatal(err)
	}
	k := prism.Key{Namespace: "n", Name: "k"}
	if _, err := set.KeyValue.Set(b.Context(), k, []byte("v"), driver.SetOptions{}, driver.Receipt{}); err != nil {
		b.Fatal(err)
	}
	for name, s := range map[string]driver.Set{"bare": set, "guarded": guard.New("m", guard.Settings{}, clock.Real()).Wrap(set)} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, found, err := s.KeyValue.Get(b.Context(), k); !found || err != nil {
					b.Fatal(found, err)
				}
			}
		})
	}
}
