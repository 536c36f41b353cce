// Package chart draws a series as an area of a few rows: in braille where the
// terminal can, else in blocks, else in ASCII.
package chart

import (
	"math"
	"strings"
	"time"

	"github.com/prism-data-layer/prism/tui/theme"
)

// Samples is how many samples a Series remembers.
const Samples = 1200

// A Series is the newest samples of something, one an interval. NaN is a
// sample that could not be taken.
type Series struct {
	values []float64
	count  int // ever added: groups of samples keep their borders as time goes on
}

// Add appends a sample.
func (s *Series) Add(v float64) {
	if len(s.values) >= 2*Samples {
		s.values = append(s.values[:0], s.values[len(s.values)-Samples:]...)
	}
	s.values = append(s.values, v)
	s.count++
}

// Last is the newest sample; NaN when there is none.
func (s *Series) Last() float64 {
	if len(s.values) == 0 {
		return math.NaN()
	}
	return s.values[len(s.values)-1]
}

// Group is how many samples a column stands for, so that columns columns show
// at least span.
func Group(every, span time.Duration, columns int) int {
	if every <= 0 || columns <= 0 {
		return 1
	}
	need := int((span + every - 1) / every)
	return max((need+columns-1)/columns, 1)
}

// Columns are the newest samples in groups, the largest of each group, the
// newest group last. There are at most columns of them; the last may still be
// filling.
func (s *Series) Columns(group, columns int) []float64 {
	group = max(group, 1)
	var out []float64
	for end := s.count; end > 0 && len(out) < columns; {
		start := (end - 1) / group * group
		v, any := math.NaN(), false
		for i := start; i < end; i++ {
			at := len(s.values) - (s.count - i)
			if at < 0 {
				continue
			}
			any = true
			if x := s.values[at]; !math.IsNaN(x) && !(v >= x) {
				v = x
			}
		}
		if !any {
			break
		}
		out = append(out, v)
		end = start
	}
	for i, j := 0, len(out)-1; i < j; i, j = i+1, j-1 {
		out[i], out[j] = out[j], out[i]
	}
	return out
}

// Ceiling is the top of a scale that holds v: 1, 2 or 5 times a power of ten,
// so that it seldom moves. It is at least least.
func Ceiling(v, least float64) float64 {
	if math.IsNaN(v) || math.IsInf(v, 0) || v < least {
		v = least
	}
	if v <= 0 {
		return 1
	}
	p := math.Pow(10, math.Floor(math.Log10(v)))
	for _, m := range []float64{1, 2, 5, 10} {
		if v <= m*p*(1+1e-9) {
			return m * p
		}
	}
	return 10 * p
}

// Max is the largest of the values; NaN when none is known.
func Max(values []float64) float64 {
	m := math.NaN()
	for _, v := range values {
		if !math.IsNaN(v) && !(m >= v) {
			m = v
		}
	}
	return m
}

// PerCell is how many columns fit into one cell.
func PerCell(c theme.Charset) int {
	if c == theme.Braille {
		return 2
	}
	return 1
}

// Draw fills width × height cells, the newest value at the right, from 0 to
// top. A value of zero still shows a base line; an unknown one shows nothing.
func Draw(values []float64, top float64, width, height int, c theme.Charset) []string {
	if width <= 0 || height <= 0 {
		return nil
	}
	per := PerCell(c)
	steps := stepsOf(c)
	columns := width * per
	levels := make([]int, columns) // in steps from the bottom; 0: nothing
	if len(values) > columns {
		values = values[len(values)-columns:]
	}
	for i, v := range values {
		if math.IsNaN(v) {
			continue
		}
		share := 0.0
		if top > 0 {
			share = min(max(v/top, 0), 1)
		}
		levels[columns-len(values)+i] = max(int(math.Round(share*float64(height*steps))), 1)
	}
	lines := make([]string, height)
	for row := range height {
		floor := (height - 1 - row) * steps
		var b strings.Builder
		for x := range width {
			if c == theme.Braille {
				b.WriteRune(braille(levels[2*x]-floor, levels[2*x+1]-floor))
				continue
			}
			b.WriteRune(ramp(c)[min(max(levels[x]-floor, 0), steps)])
		}
		lines[row] = b.String()
	}
	return lines
}

func ramp(c theme.Charset) []rune {
	if c == theme.ASCII {
		return []rune(" _.:|")
	}
	return []rune(" ▁▂▃▄▅▆▇█")
}

func stepsOf(c theme.Charset) int {
	if c == theme.Braille {
		return 4
	}
	return len(ramp(c)) - 1
}

// braille is the cell whose left and right columns are filled to so many dots.
func braille(left, right int) rune {
	l := [5]rune{0, 0x40, 0x44, 0x46, 0x47}[min(max(left, 0), 4)]
	r := [5]rune{0, 0x80, 0xa0, 0xb0, 0xb8}[min(max(right, 0), 4)]
	if l|r == 0 {
		return ' '
	}
	return 0x2800 + l + r
}
