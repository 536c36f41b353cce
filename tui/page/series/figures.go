package series

import (
	"math"
	"strconv"

	"github.com/prism-data-layer/prism/tui/component/figure"
)

// number writes a value of a metric in a few cells.
func number(f float64) string {
	switch a := math.Abs(f); {
	case math.IsNaN(f):
		return figure.None
	case math.IsInf(f, 0) || a >= 1e15 || a > 0 && a < 1e-3:
		return strconv.FormatFloat(f, 'e', 1, 64)
	case a >= 1000:
		return figure.Count(int64(math.Round(f)))
	}
	return strconv.FormatFloat(f, 'g', 4, 64)
}

// last is the newest value that is known.
func last(values []float64) float64 {
	for i := len(values) - 1; i >= 0; i-- {
		if !math.IsNaN(values[i]) {
			return values[i]
		}
	}
	return math.NaN()
}

// stretch makes so many columns of values: the largest of those that share one,
// or the same one again.
func stretch(values []float64, columns int) []float64 {
	n := len(values)
	if n == 0 || columns <= 0 {
		return nil
	}
	out := make([]float64, columns)
	for i := range out {
		from, to := i*n/columns, max((i+1)*n/columns, i*n/columns+1)
		out[i] = math.NaN()
		for _, v := range values[from:min(to, n)] {
			if !math.IsNaN(v) && !(out[i] >= v) {
				out[i] = v
			}
		}
	}
	return out
}
