package dev

import (
	"strings"
	"testing"
)

var web = []node{
	{"redis", "ready", 100, []string{}},
	{"dex", "ready", 900, []string{}},
	{"prismd", "ready", 300, []string{"redis", "dex"}},
	{"api", "starting", 0, []string{"prismd", "redis"}},
}

func TestGraphUnfoldsWhatIsWaitedForOnce(t *testing.T) {
	t.Parallel()
	want := `api  starting
├─ prismd  ready in 0.3 s
│  ├─ redis  ready in 0.1 s
│  └─ dex  ready in 0.9 s
└─ redis  ready in 0.1 s
`
	if got := tree(web, true); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	if got := tree(web, false); strings.ContainsAny(got, "├└│") {
		t.Errorf("not ASCII:\n%s", got)
	}
}

func TestCriticalChainIsTheSlowOne(t *testing.T) {
	t.Parallel()
	var names []string
	for _, n := range critical(web) {
		names = append(names, n.Name)
	}
	if got := strings.Join(names, " "); got != "dex prismd api" {
		t.Errorf("got %s", got)
	}
	if critical(nil) != nil {
		t.Error("a chain of nothing")
	}
}

func TestDotNamesEveryEdge(t *testing.T) {
	t.Parallel()
	got := dot(web)
	for _, want := range []string{"digraph dev {", `"redis" -> "prismd";`, `"prismd" -> "api";`, `"redis" [label="redis\nready"];`} {
		if !strings.Contains(got, want) {
			t.Errorf("no %s in\n%s", want, got)
		}
	}
}
