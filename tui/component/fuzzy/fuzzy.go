// Package fuzzy finds what a person means by a few letters of it.
package fuzzy

import (
	"cmp"
	"slices"
	"strings"
	"unicode"
)

// Score says how well the letters of typed stand in s, in their order; the
// higher the better. False when they do not. Letters that follow each other and
// letters that begin a word count more, and a short s more than a long one.
// Small letters match large ones.
func Score(typed, s string) (int, bool) {
	want := []rune(strings.ToLower(typed))
	if len(want) == 0 {
		return 0, true
	}
	const (
		hit   = 10
		row   = 15
		word  = 20
		begin = 20
	)
	score, at, last := 0, 0, -2
	before := ' '
	n := 0
	for _, r := range s {
		low := unicode.ToLower(r)
		if at < len(want) && low == want[at] {
			score += hit
			if last == n-1 {
				score += row
			}
			if !unicode.IsLetter(before) && !unicode.IsDigit(before) {
				score += word
			}
			if n == 0 {
				score += begin
			}
			last = n
			at++
		}
		before = r
		n++
	}
	if at < len(want) {
		return 0, false
	}
	if strings.Contains(strings.ToLower(s), string(want)) {
		score += word
	}
	return score - n, true
}

// Find gives the places in list of what matches, the best first; equals keep
// their order.
func Find(typed string, list []string) []int {
	type hit struct{ at, score int }
	var hits []hit
	for i, s := range list {
		if score, ok := Score(typed, s); ok {
			hits = append(hits, hit{i, score})
		}
	}
	if typed != "" {
		slices.SortStableFunc(hits, func(a, b hit) int { return cmp.Compare(b.score, a.score) })
	}
	out := make([]int, len(hits))
	for i, h := range hits {
		out[i] = h.at
	}
	return out
}
