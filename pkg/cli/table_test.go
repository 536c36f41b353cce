package cli

import (
	"strings"
	"testing"

	"github.com/clipperhouse/displaywidth"

	"github.com/prism-data-layer/prism/pkg/iostreams"
)

func draw(width int, rows ...[]string) string {
	t := newTable([]Column{{Header: "NAME", Type: TypeText}, {Header: "KEYS", Type: TypeInt}, {Header: "NOTE", Type: TypeText}}, true)
	for _, r := range rows {
		row := make([]cell, len(r))
		for i, s := range r {
			row[i] = cell{text: s}
		}
		t.add(row)
	}
	var b strings.Builder
	t.flush(&b, width, "…", iostreams.Palette{})
	return b.String()
}

func TestTableHasNoBordersAndAlignsWideRunes(t *testing.T) {
	got := draw(0, []string{"猫", "1", "eats"}, []string{"dog🐕", "1200", "barks"}, []string{"e\u0301a", "7", "-"})
	want := "NAME   KEYS  NOTE\n猫        1  eats\ndog🐕  1200  barks\ne\u0301a        7  -\n"
	if got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestTableFitsATerminalByCuttingTheWidestColumn(t *testing.T) {
	long := strings.Repeat("long ", 30)
	for _, width := range []int{40, 60, 80} {
		for _, l := range strings.Split(strings.TrimSpace(draw(width, []string{"short", "12", long}, []string{"x", "3", "猫猫猫猫猫猫猫猫猫猫猫猫猫猫猫猫猫猫猫猫猫猫"})), "\n") {
			if w := displaywidth.String(l); w > width {
				t.Errorf("a line has %d columns of %d: %s", w, width, l)
			}
		}
	}
	if got := draw(40, []string{"short", "12", long}); !strings.Contains(got, "short    12") || !strings.Contains(got, "…") {
		t.Errorf("got\n%s", got)
	}
	if got := draw(0, []string{"short", "12", long}); !strings.Contains(got, long) {
		t.Errorf("a pipe is cut:\n%s", got)
	}
	if got := draw(5, []string{"a name that is long", "12", long}); !strings.Contains(got, "a name …") {
		t.Errorf("columns are cut to no less than %d:\n%s", minColumn, got)
	}
}

func TestATableWithoutRowsIsNothing(t *testing.T) {
	if got := draw(0); got != "" {
		t.Errorf("got %q", got)
	}
}

// On a terminal that is too narrow for all columns the last ones go, and the
// head says so.
func TestATableNeverWraps(t *testing.T) {
	rows := [][]string{{"a name that is long", "12", "a note"}, {"b", "34567890", "猫猫猫猫猫猫猫猫"}}
	for width := 12; width < 60; width++ {
		got := draw(width, rows...)
		lines := strings.Split(strings.TrimSpace(got), "\n")
		for _, l := range lines {
			if w := displaywidth.String(l); w > width {
				t.Errorf("a line has %d columns of %d: %s", w, width, l)
			}
		}
		if whole := strings.Contains(lines[0], "NOTE"); whole == strings.HasSuffix(lines[0], "…") {
			t.Errorf("%d columns: the head is %q", width, lines[0])
		}
	}
}

func TestWordsAreFoldedBelowEachOther(t *testing.T) {
	words := []string{"one", "two", "three", "four"}
	for columns, want := range map[int]string{
		0:  "one, two, three, four",
		60: "one, two, three, four",
		14: "one, two,\n    three,\n    four",
		5:  "one,\n    two,\n    three,\n    four",
	} {
		if got := fold(words, 4, columns); got != want {
			t.Errorf("%d columns: got\n%s\nwant\n%s", columns, got, want)
		}
	}
}
