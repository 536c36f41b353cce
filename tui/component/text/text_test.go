package text_test

import (
	"strings"
	"testing"
	"unicode"

	"github.com/charmbracelet/x/ansi"
	"pgregory.net/rapid"

	"github.com/prism-data-layer/prism/tui/component/text"
)

func TestHostileNamesAreHarmless(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ in, want string }{
		{"orders", "orders"},
		{"\x1b[2J\x1b]0;pwned\x07", `\x1b[2J\x1b]0;pwned\x07`},
		{"a\nb\tc\rd", `a\nb\tc\rd`},
		{"\x9b31m", `\x9b31m`},
		{"\u009b31m", `\u009b31m`},
		{"ab\u202Ecd", `ab\u202ecd`},
		{"zero\u200bwidth", `zero\u200bwidth`},
		{"bad\xff", `bad\xff`},
		{"日本", "日本"},
		{"שלום", "שלום"},
		{"", ""},
	} {
		if got := text.Clean(c.in); got != c.want {
			t.Errorf("Clean(%q) = %q, want %q", c.in, got, c.want)
		}
	}
	if got := text.Clean(strings.Repeat("x", 1<<20)); len(got) > 5000 {
		t.Errorf("a name of a mebibyte is %d bytes on screen", len(got))
	}
}

func TestCleanTextHasOneWidthAndNoControls(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		s := rapid.OneOf(rapid.String(), rapid.StringOf(rapid.SampledFrom([]rune("a日👩‍👩‍👧🇩🇪\u0301\u200d\ufe0f\x1b[;mא\u202e")))).Draw(t, "s")
		w := rapid.IntRange(0, 40).Draw(t, "w")
		got := text.Clean(s)
		if ansi.StringWidth(got) != ansi.StringWidthWc(got) {
			t.Fatalf("%q: %d or %d cells", got, ansi.StringWidth(got), ansi.StringWidthWc(got))
		}
		if i := strings.IndexFunc(got, unicode.IsControl); i >= 0 {
			t.Fatalf("%q keeps a control character", got)
		}
		for _, f := range []string{text.Fit(got, w), text.FitRight(got, w)} {
			if text.Width(f) != w {
				t.Fatalf("fitting %q to %d gives %q of %d cells", got, w, f, text.Width(f))
			}
		}
		if a := text.ASCII(got); strings.IndexFunc(a, func(r rune) bool { return r >= 0x80 }) >= 0 || text.Width(a) != text.Width(got) {
			t.Fatalf("ASCII(%q) = %q", got, a)
		}
	})
}

func TestASCIIKeepsWhatIsDrawn(t *testing.T) {
	t.Parallel()
	if got, want := text.ASCII("━▶ 1 a→b…×µ–‖●✓✗▲▼◌▸›·≤─←▏é"), "=> 1 a>b~xu-|*+x^v*>>-<-<|?"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestPlaces(t *testing.T) {
	t.Parallel()
	if got := text.Edges("left side", "right", 12); got != "left s…right" {
		t.Errorf("Edges: %q", got)
	}
	if got := text.Center("ab", 6); got != "  ab" {
		t.Errorf("Center: %q", got)
	}
	if got := strings.Join(text.Wrap("one two three", 7), "|"); got != "one two|three" {
		t.Errorf("Wrap: %q", got)
	}
	if text.Wrap("x", 0) != nil || text.Cut("x", 0) != "" {
		t.Error("no room is no text")
	}
}

func TestAPastedCommandIsOneHarmlessWord(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ in, want string }{
		{"orders-2", "orders-2"},
		{"", "''"},
		{"a b", "'a b'"},
		{"it's", `'it'\''s'`},
		{"$(rm -rf /)", "'$(rm -rf /)'"},
		{"x\x1b[201~\nrm", `$'x\x1b[201~\x0arm'`},
		{"\n'\\", `$'\x0a\'\\'`},
	} {
		if got := text.Quote(c.in); got != c.want {
			t.Errorf("Quote(%q) = %s, want %s", c.in, got, c.want)
		}
	}
}
