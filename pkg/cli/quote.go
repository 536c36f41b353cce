package cli

import (
	"strings"

	"github.com/prism-data-layer/prism/pkg/iostreams"
)

// Quote makes a word safe to paste into a shell.
func Quote(word string) string {
	plain := word != ""
	for _, r := range word {
		if !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("_-./:,=@+", r)) {
			plain = false
		}
	}
	if plain {
		return word
	}
	return "'" + strings.ReplaceAll(iostreams.Escape(word), "'", `'\''`) + "'"
}
