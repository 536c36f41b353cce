package cli

import (
	"strings"
	"testing"
	"time"

	"github.com/prism-data-layer/prism/pkg/iostreams"
)

func TestRelative(t *testing.T) {
	now := iostreams.TestTime()
	for ago, want := range map[time.Duration]string{
		0: "now", 900 * time.Millisecond: "now", time.Second: "1s ago", 59 * time.Second: "59s ago",
		3 * time.Minute: "3m ago", 3*time.Minute + 5*time.Second: "3m5s ago", 42 * time.Minute: "42m ago",
		2*time.Hour + 10*time.Minute: "2h10m ago", 23 * time.Hour: "23h ago", 50 * time.Hour: "2d ago",
		400 * 24 * time.Hour: "1y35d ago", -2 * time.Hour: "in 2h",
	} {
		if got := Relative(now.Add(-ago), now); got != want {
			t.Errorf("%s: got %q, want %q", ago, got, want)
		}
	}
}

func TestDuration(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0: "0s", 80: "80ns", 12 * time.Microsecond: "12us", 1240 * time.Microsecond: "1.24ms", 250 * time.Millisecond: "250ms",
		30 * time.Second: "30s", 1500 * time.Millisecond: "1.5s", 90 * time.Second: "1m30s", -time.Second: "-1s",
	} {
		if got := Duration(d); got != want {
			t.Errorf("%d: got %q, want %q", d, got, want)
		}
	}
}

func TestSize(t *testing.T) {
	for n, want := range map[int64]string{0: "0 B", 1023: "1023 B", 1024: "1 KiB", 1536: "1.5 KiB", 1 << 20: "1 MiB", 123 << 20: "123 MiB", 5 << 40: "5 TiB", 1 << 62: "4096 PiB", -1024: "-1 KiB"} {
		if got := Size(n); got != want {
			t.Errorf("%d: got %q, want %q", n, got, want)
		}
	}
}

func TestParseMoment(t *testing.T) {
	now := iostreams.TestTime()
	for s, want := range map[string]time.Time{
		"90m": now.Add(-90 * time.Minute), "7d": now.Add(-7 * 24 * time.Hour),
		"2026-02-01T10:00:00Z": time.Date(2026, 2, 1, 10, 0, 0, 0, time.UTC), "2026-02-01T10:00:00+02:00": time.Date(2026, 2, 1, 8, 0, 0, 0, time.UTC),
		"2026-02-01T10:00:00": time.Date(2026, 2, 1, 10, 0, 0, 0, time.UTC), "2026-02-01": time.Date(2026, 2, 1, 0, 0, 0, 0, time.UTC),
	} {
		if got, err := ParseMoment(s, now); err != nil || !got.Equal(want) {
			t.Errorf("%s: got %v, %v; want %v", s, got, err, want)
		}
	}
	if _, err := ParseMoment("soon", now); err == nil {
		t.Error("soon is a time")
	}
}

func TestDurationFlag(t *testing.T) {
	var d DurationFlag
	for s, want := range map[string]string{"30d": "30d", "1h30m": "1h30m", "0": "", "1500ms": "1s500ms"} {
		if err := d.Set(s); err != nil || d.String() != want {
			t.Errorf("%s: got %q, %v", s, d.String(), err)
		}
	}
	if err := d.Set("5"); err == nil || !strings.Contains(err.Error(), "unit") {
		t.Errorf("5 has no unit: %v", err)
	}
	if err := d.Set("1500ms"); err != nil || d.Type() != "DURATION" || d.Milliseconds() != 1500 {
		t.Errorf("%v: %s %d", err, d.Type(), d.Milliseconds())
	}
}

func TestPlural(t *testing.T) {
	if Plural(1, "key") != "1 key" || Plural(int64(0), "key") != "0 keys" {
		t.Error(Plural(1, "key"), Plural(int64(0), "key"))
	}
}

func TestQuoteIsSafeToPaste(t *testing.T) {
	for in, want := range map[string]string{"plain-1.x:y": "plain-1.x:y", "": "''", "a b": "'a b'", "it's": `'it'\''s'`, "$(rm)": "'$(rm)'", "a\nb": `'a\nb'`} {
		if got := Quote(in); got != want {
			t.Errorf("%q: got %s, want %s", in, got, want)
		}
	}
}
