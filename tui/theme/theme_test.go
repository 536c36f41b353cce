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
	for _, m := range []theme.Mode{theme.Auto, theme.Dark, theme.Light, theme.SafeDark, theme.SafeLight} {
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

// seen is a colour as it looks to an eye without the cones for red or for green
// (Viénot, Brettel and Mollon 1999, in linear light).
func seen(t *testing.T, hex string, matrix [9]float64) [3]float64 {
	t.Helper()
	var c, out [3]float64
	for i := range 3 {
		n, err := strconv.ParseUint(hex[1+2*i:3+2*i], 16, 8)
		if err != nil {
			t.Fatal(err)
		}
		c[i] = math.Pow(float64(n)/255, 2.2)
	}
	for i := range 3 {
		v := matrix[3*i]*c[0] + matrix[3*i+1]*c[1] + matrix[3*i+2]*c[2]
		out[i] = math.Pow(min(max(v, 0), 1), 1/2.2)
	}
	return out
}

func TestTheSafeColoursStayApartForEveryEye(t *testing.T) {
	t.Parallel()
	for eye, matrix := range map[string][9]float64{
		"protan": {0.11238, 0.88762, 0, 0.11238, 0.88762, 0, 0.00401, -0.00401, 1},
		"deutan": {0.29275, 0.70725, 0, 0.29275, 0.70725, 0, -0.02234, 0.02234, 1},
	} {
		for _, m := range []theme.Mode{theme.SafeDark, theme.SafeLight} {
			for _, pair := range [][2]theme.Role{{theme.Good, theme.Bad}, {theme.Good, theme.Warn}, {theme.Warn, theme.Bad}} {
				a, b := seen(t, theme.Hex(m, pair[0]), matrix), seen(t, theme.Hex(m, pair[1]), matrix)
				d := math.Sqrt(math.Pow(a[0]-b[0], 2) + math.Pow(a[1]-b[1], 2) + math.Pow(a[2]-b[2], 2))
				if least := 0.15; d < least {
					t.Errorf("%s, %s: roles %v are %.2f apart, want %.2f", eye, m, pair, d, least)
				}
			}
		}
	}
}

func TestModesFollowTheBackground(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ mode, dark, light theme.Mode }{
		{theme.Auto, theme.Dark, theme.Light},
		{theme.Safe, theme.SafeDark, theme.SafeLight},
		{theme.Mono, theme.Mono, theme.Mono},
		{theme.Light, theme.Light, theme.Light},
	} {
		if c.mode.On(true) != c.dark || c.mode.On(false) != c.light || c.mode.Follows() != (c.dark != c.light) {
			t.Errorf("%s follows wrongly", c.mode)
		}
	}
}
