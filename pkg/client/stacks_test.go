package client_test

import (
	"regexp"
	"runtime"
	"strings"
)

// stacks are those of all goroutines but the tests' own.
func stacks() string {
	buf := make([]byte, 4<<20)
	var out []string
	for _, g := range strings.Split(string(buf[:runtime.Stack(buf, true)]), "\n\n") {
		if !inTests.MatchString(g) {
			out = append(out, g)
		}
	}
	return strings.Join(out, "\n\n")
}

var inTests = regexp.MustCompile(`testing\.|client_test\.`)
