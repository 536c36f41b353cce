package loadtest

import (
	"fmt"
	"math"
	"math/bits"
	"strconv"
	"strings"

	"github.com/prism-data-layer/prism/pkg/prism"
)

// Keys chooses which of a key space's entries request n touches.
type Keys interface {
	Index(n uint64) uint64
	String() string
}

// DefaultSkew is the exponent of `zipf`: a tenth of the keys gets about four
// fifths of the requests.
const DefaultSkew = 1.0

// maxSkew is beyond what is met: at 5, 96 % of the requests are for one key.
const maxSkew = 5

// Orders are the distributions that [NewKeys] knows.
func Orders() []string { return []string{"uniform", "zipf", "sequential"} }

// NewKeys reads the name of a distribution: uniform, sequential, zipf or, with
// its exponent, zipf(1.2). An empty one is uniform.
func NewKeys(order string, size, seed uint64) (Keys, error) {
	name, arg, hasArg := strings.Cut(order, "(")
	switch {
	case order == "" || order == "uniform":
		return UniformKeys(size, seed), nil
	case order == "sequential":
		return SequentialKeys(size), nil
	case name != "zipf" || hasArg && !strings.HasSuffix(arg, ")"):
		return nil, prism.InvalidField("order", fmt.Sprintf("%q must be uniform, sequential, zipf or zipf(S)", order))
	}
	s := DefaultSkew
	if hasArg {
		var err error
		s, err = strconv.ParseFloat(strings.TrimSuffix(arg, ")"), 64)
		if err != nil || !(s > 0 && s <= maxSkew) {
			return nil, prism.InvalidField("order", fmt.Sprintf("%q: the exponent must be more than 0 and at most %d", order, maxSkew))
		}
	}
	return ZipfKeys(size, seed, s), nil
}

// UniformKeys touches each of size keys alike.
func UniformKeys(size, seed uint64) Keys { return uniform{size, seed} }

// SequentialKeys goes through size keys in order, over and over.
func SequentialKeys(size uint64) Keys { return sequential{size} }

// ZipfKeys touches the key of rank k in proportion to 1/k^s. Key 0 is the most
// wanted.
func ZipfKeys(size, seed uint64, s float64) Keys {
	z := zipf{size: size, seed: seed, s: s}
	z.first = z.integral(1.5) - 1
	z.span = z.integral(float64(size)+0.5) - z.first
	return z
}

type uniform struct{ size, seed uint64 }

func (u uniform) Index(n uint64) uint64 {
	i, _ := bits.Mul64(Hash(u.seed, n), u.size)
	return i
}
func (uniform) String() string { return "uniform" }

type sequential struct{ size uint64 }

func (s sequential) Index(n uint64) uint64 { return n % s.size }
func (sequential) String() string          { return "sequential" }

// zipf draws by rejection-inversion (Hörmann and Derflinger 1996): exact for
// every exponent and size, without a table.
type zipf struct {
	size, seed  uint64
	s           float64
	first, span float64
}

// integral of x^-s, from 1.
func (z zipf) integral(x float64) float64 {
	if z.s == 1 {
		return math.Log(x)
	}
	return (math.Pow(x, 1-z.s) - 1) / (1 - z.s)
}

func (z zipf) inverse(y float64) float64 {
	if z.s == 1 {
		return math.Exp(y)
	}
	return math.Pow(1+y*(1-z.s), 1/(1-z.s))
}

// Index tries points of the sequence that belongs to n until one is not
// rejected; more than a few are rare.
func (z zipf) Index(n uint64) uint64 {
	at := Hash(z.seed, n)
	for try := uint64(0); ; try++ {
		u := float64(Hash(at, try)>>11) / (1 << 53)
		y := z.first + u*z.span
		k := math.Min(math.Max(math.Round(z.inverse(y)), 1), float64(z.size))
		if y >= z.integral(k+0.5)-math.Pow(k, -z.s) {
			return uint64(k) - 1
		}
	}
}

func (z zipf) String() string { return "zipf(" + strconv.FormatFloat(z.s, 'f', -1, 64) + ")" }
