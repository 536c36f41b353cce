package prism_test

import (
	"strings"
	"testing"

	"github.com/prism-data-layer/prism/pkg/prism"
)

func TestTopicsAndPatterns(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		s              string
		topic, pattern bool
	}{
		{"a", true, true},
		{"orders.eu.created", true, true},
		{"é.ü", true, true},
		{strings.Repeat("a", prism.MaxKeyBytes), true, true},
		{strings.Repeat("a", prism.MaxKeyBytes+1), false, false},
		{"", false, false},
		{".", false, false},
		{".a", false, false},
		{"a.", false, false},
		{"a..b", false, false},
		{"a b", false, false},
		{"a\tb", false, false},
		{"a\x00b", false, false},
		{"a\u0085", false, false},
		{"\xff", false, false},
		{"*", false, true},
		{"a.*.c", false, true},
		{"a.*", false, true},
		{">", false, true},
		{"a.>", false, true},
		{"*.>", false, true},
		{"a.>.b", false, false},
		{"a*", false, false},
		{"a.b>", false, false},
		{"**", false, false},
	} {
		if got := prism.ValidTopic(c.s); got != c.topic {
			t.Errorf("ValidTopic(%.20q): %v", c.s, got)
		}
		if got := prism.ValidPattern(c.s); got != c.pattern {
			t.Errorf("ValidPattern(%.20q): %v", c.s, got)
		}
	}
}
