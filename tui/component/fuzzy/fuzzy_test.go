package fuzzy_test

import (
	"fmt"
	"testing"

	"github.com/prism-data-layer/prism/tui/component/fuzzy"
)

func TestTheBestComesFirst(t *testing.T) {
	t.Parallel()
	list := []string{"overview", "namespaces", "namespace", "backends", "sessions", "theme dark", "Show errors"}
	for _, c := range []struct{ typed, want string }{
		{"", "[overview namespaces namespace backends sessions theme dark Show errors]"},
		{"namespace", "[namespace namespaces]"},
		{"ns", "[namespace namespaces sessions backends]"},
		{"be", "[backends]"},
		{"td", "[theme dark]"},
		{"SE", "[sessions Show errors namespace namespaces]"},
		{"zz", "[]"},
	} {
		var got []string
		for _, i := range fuzzy.Find(c.typed, list) {
			got = append(got, list[i])
		}
		if fmt.Sprint(got) != c.want {
			t.Errorf("%q: %v, want %s", c.typed, got, c.want)
		}
	}
}
