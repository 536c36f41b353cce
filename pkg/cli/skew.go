package cli

import "strings"

// Skew reports whether the versions of two programs differ in more than their
// patch. What is not a release is compared as a whole.
func Skew(a, b string) bool {
	if a == b {
		return false
	}
	x, y := strings.Split(strings.TrimPrefix(a, "v"), "."), strings.Split(strings.TrimPrefix(b, "v"), ".")
	return len(x) < 3 || len(y) < 3 || x[0] != y[0] || x[1] != y[1]
}
