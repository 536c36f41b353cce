package driver_test

import (
	"testing"

	"github.com/prism-data-layer/prism/pkg/driver"
)

func TestPatternsCoverTopicsTokenByToken(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		pattern, topic string
		want           bool
	}{
		{"a", "a", true},
		{"a", "b", false},
		{"a", "a.b", false},
		{"a.b", "a", false},
		{"*", "a", true},
		{"*", "a.b", false},
		{"*.b", "a.b", true},
		{"a.*.c", "a.b.c", true},
		{"a.*.c", "a.b.b.c", false},
		{"a.*", "a", false},
		{">", "a", true},
		{">", "a.b.c", true},
		{"a.>", "a", false},
		{"a.>", "a.b", true},
		{"a.>", "a.b.c", true},
		{"a.*.>", "a.b", false},
		{"a.*.>", "a.b.c.d", true},
		{"a*", "ab", false}, // * is a token of its own
		{"a*", "a*", true},
		{">.a", "b.a", false},
		{">.a", ">.a", true},
		{"*", "", false},
		{">", "", false},
	} {
		if got := driver.MatchTopic(c.pattern, c.topic); got != c.want {
			t.Errorf("%q covers %q: %v, want %v", c.pattern, c.topic, got, c.want)
		}
	}
}

func TestAFilterHoldsWhenEveryClauseDoes(t *testing.T) {
	t.Parallel()
	attributes := map[string]string{"kind": "order", "empty": ""}
	clause := func(a string, op driver.FilterOp, values ...string) driver.FilterClause {
		return driver.FilterClause{Attribute: a, Op: op, Values: values}
	}
	for _, c := range []struct {
		clause driver.FilterClause
		want   bool
	}{
		{clause("kind", driver.FilterIn, "x", "order"), true},
		{clause("kind", driver.FilterIn, "x"), false},
		{clause("none", driver.FilterIn, ""), false},
		{clause("empty", driver.FilterIn, ""), true},
		{clause("kind", driver.FilterNotIn, "x"), true},
		{clause("kind", driver.FilterNotIn, "order"), false},
		{clause("none", driver.FilterNotIn, "order"), true},
		{clause("kind", driver.FilterPrefix, "ord"), true},
		{clause("kind", driver.FilterPrefix, "der"), false},
		{clause("kind", driver.FilterPrefix), false},
		{clause("none", driver.FilterPrefix, ""), false},
		{clause("empty", driver.FilterExists), true},
		{clause("none", driver.FilterExists), false},
		{clause("none", driver.FilterAbsent), true},
		{clause("empty", driver.FilterAbsent), false},
		{clause("kind", 0, "order"), false},
	} {
		if got := (driver.Filter{c.clause}).Match(attributes); got != c.want {
			t.Errorf("%+v: %v, want %v", c.clause, got, c.want)
		}
		if got := (driver.Filter{clause("kind", driver.FilterExists), c.clause}).Match(attributes); got != c.want {
			t.Errorf("a clause that holds and %+v: %v, want %v", c.clause, got, c.want)
		}
	}
	if !(driver.Filter{}).Match(nil) {
		t.Error("no clause does not match")
	}
}
