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
