package value

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/charmbracelet/x/ansi"

	"github.com/prism-data-layer/prism/tui/keys"
	"github.com/prism-data-layer/prism/tui/theme"
)

func shown(c Content, w, h int, actions ...keys.Action) (*Model, string) {
	m := New()
	m.Set(c)
	for _, a := range actions {
		m.View(theme.New(theme.Mono), w, h)
		m.Do(a)
	}
	return m, strings.Join(m.View(theme.New(theme.Mono), w, h), "\n")
}

func TestTheFormThatFits(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		data string
		want Form
	}{
		{"hello\nworld", Text},
		{`{"a":[1,2,{"b":null}]}`, JSON},
		{`{"a":1} trailing`, Text},
		{`"a string alone"`, Text},
		{"\x00\x01\x02\xff", Hex},
		{strings.Repeat("\x01", 50), Hex},
		{"", Text},
		{strings.Repeat("[", 5000) + strings.Repeat("]", 5000), Text},
		{strings.Repeat("日", MaxBytes), Text},
	} {
		if m, _ := shown(Content{Data: []byte(c.data)}, 80, 10); m.Form() != c.want {
			t.Errorf("%.20q is shown as %s, want %s", c.data, m.Form(), c.want)
		}
	}
}

func TestJSONFolds(t *testing.T) {
	t.Parallel()
	doc := []byte(`{"name":"Ann","tags":["a","b"],"deep":{"x":{"y":{"z":1.50}}},"empty":{},"n":12345678901234567890}`)
	_, got := shown(Content{Data: doc}, 60, 40)
	want := `  {
    "name": "Ann",
    "tags": [
      "a",
      "b"
    ],
    "deep": {
      "x": {
        "y": {… 1 …}
      }
    },
    "empty": {},
    "n": 12345678901234567890
  }`
	if strings.TrimRight(got, "\n") != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	if _, got = shown(Content{Data: doc}, 60, 40, Unfold); !strings.Contains(got, `"z": 1.50`) {
		t.Errorf("not unfolded:\n%s", got)
	}
	if _, got = shown(Content{Data: doc}, 60, 40, Fold, Fold, Fold); !strings.Contains(got, `"deep": {… 1 …},`) {
		t.Errorf("not folded:\n%s", got)
	}
}

func TestBytesAreDumped(t *testing.T) {
	t.Parallel()
	_, got := shown(Content{Data: []byte("\x00\x1b[2Jprism\xff0123456789")}, 80, 3)
	want := "  00000000  00 1b 5b 32 4a 70 72 69  73 6d ff 30 31 32 33 34  ..[2Jprism.01234\n  00000010  35 36 37 38 39                                    56789"
	if strings.TrimRight(got, "\n") != want {
		t.Errorf("got\n%q\nwant\n%q", got, want)
	}
}

func TestNothingInAValueReachesTheTerminal(t *testing.T) {
	t.Parallel()
	for _, data := range []string{
		"\x1b[2J\x1b]0;title\x07", "\u202egnp.exe", "a\u0300\u0300\u0300" + strings.Repeat("\u0301", 500), `{"\u001b[2J":"\u001b]52;c;\u0007","rtl":"\u202e"}`,
		strings.Repeat("\x9b31m", 3000), "tab\tand\rreturn", strings.Repeat("日本語👩‍👩‍👧", 900), `["` + strings.Repeat("x", 60_000) + `"]`,
	} {
		for _, w := range []int{6, 20, 80, 133} {
			m, got := shown(Content{ID: data, Data: []byte(data), Notes: []string{data}}, w, 30)
			for range 3 {
				for _, l := range strings.Split(got, "\n") {
					if strings.ContainsAny(l, "\x1b\x07\u009b\r\t\u202e") || !utf8.ValidString(l) || ansi.StringWidth(l) > w {
						t.Fatalf("%.30q at %d: %q", data, w, l)
					}
				}
				m.Do(ShowAs)
				got = strings.Join(m.View(theme.New(theme.Mono), w, 30), "\n")
			}
		}
	}
}

func TestALargeValueIsCutAndSaysSo(t *testing.T) {
	t.Parallel()
	m, _ := shown(Content{Data: bytes.Repeat([]byte("line of text\n"), 100_000)}, 80, 10, keys.Bottom)
	if got := m.Title(); !strings.Contains(got, "the first 64 KiB of 1.24 MiB") || !strings.Contains(got, "line 5033 of 5042") {
		t.Errorf("got %q", got)
	}
	m.Scroll(-3)
	m.Do(keys.PageUp)
	m.View(theme.New(theme.Mono), 80, 10)
	if got := m.Title(); !strings.Contains(got, "line 5020 of 5042") {
		t.Errorf("got %q", got)
	}
	m.Set(Content{ID: "another", Data: []byte("x")})
	if m.View(theme.New(theme.Mono), 80, 10); m.top != 0 {
		t.Error("another value begins at its beginning")
	}
}

func TestWhatIsNotThereIsSaid(t *testing.T) {
	t.Parallel()
	if _, got := shown(Content{Err: errors.New("no such key")}, 60, 5); !strings.Contains(got, "✗ no such key") {
		t.Error(got)
	}
	if _, got := shown(Content{}, 60, 5); !strings.Contains(got, "empty: no bytes") {
		t.Error(got)
	}
	m := New()
	if got := strings.Join(m.View(theme.New(theme.Mono), 60, 2), "\n"); !strings.Contains(got, "nothing is chosen") || m.Title() != "Value" {
		t.Error(got)
	}
}

func FuzzView(f *testing.F) {
	f.Add([]byte(`{"a":[1,"\u001b"]}`), 40)
	f.Add([]byte("\xff\xfe\x1b[2J\u202e日本"), 7)
	f.Fuzz(func(t *testing.T, data []byte, width int) {
		width = min(max(width, 5), 200)
		m, got := shown(Content{Data: data}, width, 8)
		for range 3 {
			for _, l := range strings.Split(got, "\n") {
				if strings.ContainsAny(l, "\x1b\x07") || ansi.StringWidth(l) > width {
					t.Fatalf("%q at %d", l, width)
				}
			}
			m.Do(ShowAs)
			got = strings.Join(m.View(theme.New(theme.Mono), width, 8), "\n")
		}
	})
}
