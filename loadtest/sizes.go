package loadtest

import (
	"encoding/binary"
	"fmt"
	"math/bits"
	"slices"
	"strconv"
	"strings"

	"github.com/prism-data-layer/prism/pkg/prism"
)

// Sizes are how many bytes the value of a request has: one of a list, or any
// from the first to the second of a range.
type Sizes struct {
	list  []int
	spans bool
}

// FixedSize is the same for every value.
func FixedSize(n int) Sizes { return Sizes{list: []int{n}} }

// SizeList draws evenly from the list; a size that stands there twice is drawn
// twice as often.
func SizeList(sizes ...int) Sizes { return Sizes{list: sizes} }

// SizeRange draws evenly from low to high.
func SizeRange(low, high int) Sizes { return Sizes{list: []int{low, high}, spans: true} }

// IsZero reports whether nothing was chosen.
func (s Sizes) IsZero() bool { return len(s.list) == 0 }

// Check refuses sizes that no value can have.
func (s Sizes) Check() error {
	for _, n := range s.list {
		if n < 0 || n > prism.MaxValueBytes {
			return prism.InvalidField("value_bytes", fmt.Sprintf("must be at most %d", prism.MaxValueBytes))
		}
	}
	if s.spans && s.list[0] > s.list[1] {
		return prism.InvalidField("value_bytes", "the range goes from the smaller to the larger size")
	}
	return nil
}

// Max is the largest size.
func (s Sizes) Max() int {
	if len(s.list) == 0 {
		return 0
	}
	return slices.Max(s.list)
}

// String is the sizes in bytes: 128, 64-4096 or 64,1024.
func (s Sizes) String() string {
	parts := make([]string, len(s.list))
	for i, n := range s.list {
		parts[i] = strconv.Itoa(n)
	}
	if s.spans {
		return strings.Join(parts, "-")
	}
	return strings.Join(parts, ",")
}

// of is the size that 64 even bits choose.
func (s Sizes) of(x uint64) int {
	switch {
	case s.spans:
		i, _ := bits.Mul64(x, uint64(s.list[1]-s.list[0]+1))
		return s.list[0] + int(i)
	case len(s.list) == 0:
		return 0
	}
	i, _ := bits.Mul64(x, uint64(len(s.list)))
	return s.list[i]
}

// valueSlack is by how many bytes values may be shifted against each other.
const valueSlack = 4096

// Values cuts values out of one block of noise: no value costs an allocation,
// nor does any store compress it.
type Values struct {
	noise []byte
	sizes Sizes
	seed  uint64
}

// NewValues makes the noise.
func NewValues(seed uint64, sizes Sizes) Values {
	most := sizes.Max()
	v := Values{sizes: sizes, seed: seed, noise: make([]byte, 0, most+valueSlack+8)}
	for n := uint64(0); len(v.noise) < most+valueSlack; n++ {
		v.noise = binary.LittleEndian.AppendUint64(v.noise, Hash(^seed, n))
	}
	return v
}

// Of is the value that request n writes. It must not be changed.
func (v Values) Of(n uint64) []byte {
	at := Hash(v.seed, ^n) % valueSlack
	size := v.sizes.of(Hash(^v.seed, ^n))
	return v.noise[at : int(at)+size : int(at)+size]
}
