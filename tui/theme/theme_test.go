package theme_test

import (
	"math"
	"strconv"
	"strings"
	"testing"

	"github.com/prism-data-layer/prism/tui/theme"
)

func luminance(t *testing.T, hex string) float64 {
	t.Helper()
	var l float64
	for i, weight := range []float64{0.2126, 0.7152, 0.0722} {
		n, err := strconv.ParseUint(hex[1+2*i:3+2*i], 16, 8)
		if err != nil {
			t.Fatalf("%q: %v", hex, err)
		}
		c := float64(n) / 255
		if c <= 0.04045 {
			c /= 12.92
		} else {
			c = math.Pow((c+0.055)/1.055, 2.4)
		}
		l += weight * c
	}
	return l
}

func contrast(t *testing.T, a, b string) float64 {
	x, y := luminance(t, a), luminance(t, b)
	return (max(x, y) + 0.05) / (min(x, y) + 0.05)
}

func TestEveryRoleIsReadableOnItsBackgrounds(t *testing.T) {
	t.Parallel()
	for _, m := range []theme.Mode{theme.Auto, theme.Dark, theme.Light} {
		for r := theme.Plain; r <= theme.Selected; r++ {
			hex := theme.Hex(m, r)
			if hex == "" {
				continue
			}
			for _, bg := range theme.Backgrounds(m) {
				if got := contrast(t, hex, bg); got < 4.5 {
					t.Errorf("mode %d role %d: %s on %s has contrast %.2f, want at least 4.5", m, r, hex, bg, got)
				}
			}
		}
	}
}

func TestMonoHasNoColour(t *testing.T) {
	t.Parallel()
	th := theme.New(theme.Mono)
	for r := theme.Plain; r <= theme.Selected; r++ {
		if got := th.Paint(r, "x"); strings.Contains(got, "38;") || strings.Contains(got, "48;") {
			t.Errorf("role %d: %q has a colour", r, got)
		}
	}
	if got := th.Paint(theme.Selected, "x"); got == "x" {
		t.Error("the selected row cannot be told apart in mono")
	}
	if theme.New(theme.Light).Mode() != theme.Light {
		t.Error("a theme does not know its mode")
	}
}

func TestModesAreParsed(t *testing.T) {
	t.Parallel()
	for i, word := range theme.Modes() {
		if m, ok := theme.ParseMode(word); !ok || int(m) != i {
			t.Errorf("ParseMode(%q) = %d, %v", word, m, ok)
		}
	}
	if _, ok := theme.ParseMode("pink"); ok {
		t.Error("pink is no mode")
	}
}

func TestCharsetDegrades(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		utf8 bool
		term string
		want theme.Charset
	}{
		{true, "xterm-256color", theme.Braille},
		{true, "tmux", theme.Braille},
		{true, "linux", theme.Block},
		{true, "vt220", theme.Block},
		{false, "xterm-256color", theme.ASCII},
	} {
		if got := theme.CharsetFor(c.utf8, c.term); got != c.want {
			t.Errorf("CharsetFor(%v, %q) = %d, want %d", c.utf8, c.term, got, c.want)
		}
	}
}
