package dev

import (
	"testing"
	"time"
)

func TestAVersionIsDueWhenItsTimeIsOver(t *testing.T) {
	t.Parallel()
	chosen := time.Date(2026, 1, 31, 0, 0, 0, 0, time.UTC)
	for _, c := range []struct {
		every string
		days  int
		want  bool
	}{
		{"monthly", 27, false},
		{"monthly", 32, true},
		{"quarterly", 80, false},
		{"quarterly", 95, true},
		{"yearly", 364, false},
		{"yearly", 365, true},
		{"never", 10000, false},
	} {
		if got := due(chosen, c.every, chosen.AddDate(0, 0, c.days)); got != c.want {
			t.Errorf("%s after %d days: got %v", c.every, c.days, got)
		}
	}
}

func TestTagOfAReference(t *testing.T) {
	t.Parallel()
	for ref, want := range map[string]string{
		"redis:8.6.2-alpine":          "8.6.2-alpine",
		"localhost:5000/redis":        "",
		"localhost:5000/a/redis:8":    "8",
		"quay.io/minio/minio:RELEASE": "RELEASE",
		"":                            "",
	} {
		if got := tagOf(ref); got != want {
			t.Errorf("%s: got %q, want %q", ref, got, want)
		}
	}
}
