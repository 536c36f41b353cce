package config

import (
	"math"
	"strings"
	"testing"
	"time"
)

func TestDurationsNeedUnits(t *testing.T) {
	t.Parallel()
	good := map[string]time.Duration{
		"0s": 0, "500ms": 500 * time.Millisecond, "15m": 15 * time.Minute, "30d": 30 * day, "2w": 14 * day,
		"1h30m": 90 * time.Minute, "1.5h": 90 * time.Minute, "1us": 1000, "1µs": 1000, "7ns": 7, "0.001s": time.Millisecond,
		"9223372036854775807ns": math.MaxInt64,
	}
	for text, want := range good {
		if got, err := ParseDuration(text); err != nil || got != want {
			t.Errorf("ParseDuration(%q) = %v, %v; want %v", text, got, err, want)
		}
	}
	bad := map[string]string{ // and the suggestion
		"": "", "10": "10s", "10sec": "10s", "5 minutes": "5m", "10 S": "10s", "2hrs": "2h", "3 days": "3d", "1week": "1w",
		"2months": "60d", "1year": "365d", "20msecs": "20ms", "-5s": "", "s": "", "1x": "", "1h30": "", "1..5s": "", ".5s": "", "5.s": "",
		"9223372036854775808ns": "", "300000d": "", "106751d24h": "", "0.5ns": "", "1e3s": "", "0.0000000000000000001s": "",
		"99999999999999999999sec": "", "99999999999months": "",
	}
	for text, want := range bad {
		d, f := parseDuration(text)
		if f == nil {
			t.Errorf("ParseDuration(%q) = %v, want an error", text, d)
			continue
		}
		if f.suggestion != want {
			t.Errorf("ParseDuration(%q) suggests %q, want %q", text, f.suggestion, want)
		}
		if _, err := ParseDuration(text); err == nil || want != "" && !strings.Contains(err.Error(), want) {
			t.Errorf("ParseDuration(%q) = %v, want it to say %q", text, err, want)
		}
	}
	if got := FormatDuration(36*time.Hour + time.Nanosecond); got != "1d12h1ns" {
		t.Errorf("FormatDuration = %q", got)
	}
	if got := FormatDuration(-1); got != "0s" {
		t.Errorf("FormatDuration(-1) = %q", got)
	}
}

func TestSizesNeedUnits(t *testing.T) {
	t.Parallel()
	good := map[string]Size{"0B": 0, "1B": 1, "64MiB": 64 << 20, "1GB": 1e9, "1.5KiB": 1536, "2TB": 2e12, "7EB": -1}
	for text, want := range good {
		got, err := ParseSize(text)
		if want < 0 {
			if err == nil {
				t.Errorf("ParseSize(%q) = %v, want an error", text, got)
			}
			continue
		}
		if err != nil || got != want {
			t.Errorf("ParseSize(%q) = %d, %v; want %d", text, got, err, want)
		}
	}
	bad := map[string]string{
		"": "", "10": "10B", "1048576": "1MiB", "64mb": "64MB", "64M": "64MiB", "64 KiB": "64KiB", "8k": "8KiB", "3 bytes": "3B", "many": "", "1MiB2": "",
		"1.00001KB": "", "99999999999TiB": "", "1.5x": "", "1.5b": "", "-1B": "",
	}
	for text, want := range bad {
		n, f := parseSize(text)
		if f == nil {
			t.Errorf("ParseSize(%q) = %v, want an error", text, n)
			continue
		}
		if f.suggestion != want {
			t.Errorf("ParseSize(%q) suggests %q, want %q", text, f.suggestion, want)
		}
	}
	for n, want := range map[Size]string{0: "0B", -3: "0B", 1: "1B", 1000: "1KB", 1024: "1KiB", 1 << 30: "1GiB", 1e9: "1GB", 1025: "1025B"} {
		if got := n.String(); got != want {
			t.Errorf("Size(%d) = %q, want %q", n, got, want)
		}
	}
}

func FuzzDuration(f *testing.F) {
	for _, s := range []string{"0s", "500ms", "1h30m", "30d", "10", "10sec", "1.5h", "9223372036854775807ns", "-1s", "1µs", "", "…"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		d, err := ParseDuration(s)
		if err != nil {
			if err.Error() == "" || d != 0 {
				t.Fatalf("ParseDuration(%q) = %v, %q", s, d, err)
			}
			return
		}
		again, err := ParseDuration(FormatDuration(d))
		if err != nil || again != d || d < 0 {
			t.Fatalf("%q is %d, printed %q, read back as %d, %v", s, d, FormatDuration(d), again, err)
		}
	})
}

func FuzzSize(f *testing.F) {
	for _, s := range []string{"0B", "64MiB", "1GB", "10", "64mb", "1.5KiB", "8388607TiB", "9223372036854775807B", "-1B", "", "…"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		n, err := ParseSize(s)
		if err != nil {
			if err.Error() == "" || n != 0 {
				t.Fatalf("ParseSize(%q) = %v, %q", s, n, err)
			}
			return
		}
		again, err := ParseSize(n.String())
		if err != nil || again != n || n < 0 {
			t.Fatalf("%q is %d, printed %q, read back as %d, %v", s, n, n.String(), again, err)
		}
	})
}

func TestSuggestionsAreNear(t *testing.T) {
	t.Parallel()
	words := []string{"backend", "backends", "name", "namespace", "ttl", "data_dir", "description"}
	for w, want := range map[string]string{
		"bakcend": "backend", "backed": "backend", "dataDir": "data_dir", "desc": "description", "nam": "name", "tll": "ttl", "tx": "", "x": "",
		"zzzzz": "", "": "", "_": "", "backendz": "backends", "namespacesss": "namespace",
	} {
		if got := Nearest(w, words); got != want {
			t.Errorf("Nearest(%q) = %q, want %q", w, got, want)
		}
	}
}
