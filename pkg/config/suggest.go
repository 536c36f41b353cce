package config

import "strings"

// Nearest returns the word that was probably meant: at most two edits away
// (one for words up to three letters), or one that w begins, or that begins
// with w. "" when none is near.
func Nearest(w string, words []string) string {
	best, bestCost := "", 1<<30
	fw := fold(w)
	if fw == "" {
		return ""
	}
	for _, c := range words {
		fc := fold(c)
		cost := edits(fw, fc)
		limit := 2
		if min(len(fw), len(fc)) <= 3 {
			limit = 1
		}
		switch {
		case cost <= limit:
		case len(fw) >= 3 && strings.HasPrefix(fc, fw), len(fc) >= 4 && strings.HasPrefix(fw, fc):
			cost = 3
		default:
			continue
		}
		cost *= 2
		if fw[0] != fc[0] { // people rarely miss the first letter
			cost++
		}
		cost = cost<<16 + max(len(fc)-len(fw), len(fw)-len(fc))
		if cost < bestCost {
			best, bestCost = c, cost
		}
	}
	return best
}

// fold makes dataDir, data-dir and DATA_DIR alike.
func fold(s string) string {
	return strings.Map(func(r rune) rune {
		if r == '_' || r == '-' || r == ' ' {
			return -1
		}
		return r
	}, strings.ToLower(s))
}

// edits counts insertions, deletions, changes and swaps of neighbours
// (optimal string alignment).
func edits(a, b string) int {
	if len(a)-len(b) > 2 || len(b)-len(a) > 2 {
		return 3 // more than anyone asks for
	}
	prev2, prev, cur := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range prev {
		prev[j] = j
	}
	for i := 1; i <= len(a); i++ {
		cur[0] = i
		for j := 1; j <= len(b); j++ {
			change := prev[j-1]
			if a[i-1] != b[j-1] {
				change++
			}
			cur[j] = min(prev[j]+1, cur[j-1]+1, change)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				cur[j] = min(cur[j], prev2[j-2]+1)
			}
		}
		prev2, prev, cur = prev, cur, prev2
	}
	return prev[len(b)]
}
