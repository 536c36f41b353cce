package series

import (
	"errors"
	"math"
	"reflect"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/prism-data-layer/prism/pkg/driver"
)

// drawn makes a batch of random columns.
func drawn(r *rapid.T) *driver.EventBatch {
	n := rapid.IntRange(1, 40).Draw(r, "events")
	text := rapid.SampledFrom([]string{"", "a", "b\x00", "\xff", "long enough to be told apart"})
	coded := func(name string) (c driver.Coded) {
		c.Dictionary = rapid.SliceOfN(text, 0, 4).Draw(r, name)
		if rapid.Bool().Draw(r, name+" varies") {
			c.Codes = rapid.SliceOfN(rapid.Uint32Range(0, uint32(len(c.Dictionary))), n, n).Draw(r, name+" codes")
		}
		return c
	}
	blobs := func(name string) (b driver.Blobs) {
		if rapid.Bool().Draw(r, name) {
			for range n {
				b.Data = append(b.Data, rapid.SliceOfN(rapid.Byte(), 0, 5).Draw(r, "blob")...)
				b.Ends = append(b.Ends, uint32(len(b.Data)))
			}
		}
		return b
	}
	b := &driver.EventBatch{
		Times: rapid.SliceOfN(rapid.Int64Range(0, math.MaxInt64), n, n).Draw(r, "times"),
		Types: coded("types"), Sources: coded("sources"), Payloads: blobs("payloads"), IDs: blobs("ids"),
	}
	for _, name := range []string{"", "d", "e"}[:rapid.IntRange(0, 3).Draw(r, "dimensions")] {
		b.Dimensions = append(b.Dimensions, driver.Dimension{Name: name, Values: coded(name)})
	}
	for _, name := range []string{"m", "n"}[:rapid.IntRange(0, 2).Draw(r, "metrics")] {
		m := driver.Metric{Name: name, Values: rapid.SliceOfN(rapid.Float64(), n, n).Draw(r, name)}
		if rapid.Bool().Draw(r, name+" varies") {
			m.Present = rapid.SliceOfN(rapid.Byte(), (n+7)/8, (n+7)/8).Draw(r, name+" present")
		}
		b.Metrics = append(b.Metrics, m)
	}
	return b
}

func chunkOf(b *driver.EventBatch) *Chunk {
	rows := make([]Row, b.Len())
	for i := range rows {
		rows[i].Index = int32(i)
	}
	return New([]*driver.EventBatch{b}, rows, 7)[0]
}

func TestAChunkIsDecodedAsItWasEncoded(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(r *rapid.T) {
		c := chunkOf(drawn(r))
		b := c.Encode()
		got, err := Decode(b)
		if err != nil || !reflect.DeepEqual(got, c) {
			r.Fatalf("got %+v, %v, want %+v", got, err, c)
		}
		b[rapid.IntRange(0, len(b)-1).Draw(r, "place")] ^= 1 << rapid.IntRange(0, 7).Draw(r, "bit")
		if _, err := Decode(b); !errors.Is(err, ErrDamaged) {
			r.Fatalf("with a bit turned: %v, want ErrDamaged", err)
		}
	})
}

// What no checksum would let pass must not harm either.
func FuzzDecode(f *testing.F) {
	f.Add(chunkOf(&driver.EventBatch{
		Times: []int64{1, 2}, Types: driver.Coded{Dictionary: []string{"a"}},
		Dimensions: []driver.Dimension{{Name: "d", Values: driver.Coded{Dictionary: []string{"x"}, Codes: []uint32{1, 0}}}},
		Metrics:    []driver.Metric{{Name: "m", Values: []float64{1, 2}, Present: []byte{1}}},
		Payloads:   driver.Blobs{Ends: []uint32{1, 3}, Data: []byte("abc")},
	}).Encode()[checksumSize:])
	f.Fuzz(func(t *testing.T, b []byte) {
		c, err := decode(b)
		if err != nil {
			return
		}
		for i := range c.Len() {
			_, _ = c.Events.Types.At(i)
			_ = c.Events.Payloads.At(i)
			for n := range c.Events.Dimensions {
				_, _ = c.Events.Dimensions[n].Values.At(i)
			}
			for n := range c.Events.Metrics {
				_, _ = c.Events.Metrics[n].At(i)
			}
		}
	})
}

// However batches come, there are few small chunks, and an event is copied a few
// times.
func TestMergingKeepsChunksFew(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(r *rapid.T) {
		size := rapid.SampledFrom([]*rapid.Generator[int]{
			rapid.Just(1), rapid.IntRange(1, 20), rapid.IntRange(1, 5000), rapid.SampledFrom([]int{1, 3000}), rapid.Just(511), rapid.Just(4095),
		}).Draw(r, "sizes")
		var sizes []int
		events, copied := 0, 0
		for range 3000 {
			n := size.Draw(r, "size")
			events += n
			sizes = append(sizes, n)
			crowd := Crowd(sizes)
			if len(crowd) == 0 {
				continue
			}
			sum := 0
			for _, i := range crowd { // the largest first
				sum += sizes[i]
				sizes = slices.Delete(sizes, i, i+1)
			}
			copied += sum
			for parts := (sum + MaxRows - 1) / MaxRows; parts > 0; parts-- {
				sizes = append(sizes, sum/parts)
				sum -= sum / parts
			}
		}
		small := 0
		for _, s := range sizes {
			if s < full {
				small++
			}
		}
		if small > 5*fan || copied > 6*events {
			r.Fatalf("%d small chunks of %d, and %d events copied of %d", small, len(sizes), copied, events)
		}
	})
}

func TestIDsAreBounded(t *testing.T) {
	t.Parallel()
	w := IDs{Max: 100}
	for i := range 1000 {
		w.Add(map[ID]struct{}{IDOf([]byte{byte(i), byte(i >> 8)}): {}}, int64(i))
	}
	if len(w.known) != 100 || len(w.queue)-w.head != 100 || cap(w.queue) > 1000 {
		t.Errorf("%d are known, %d wait in %d places; the bound is 100", len(w.known), len(w.queue)-w.head, cap(w.queue))
	}
	w.Expire(int64(driver.DedupeWindow) + 950)
	if len(w.known) != 49 {
		t.Errorf("%d are known, want those after 950", len(w.known))
	}
}
