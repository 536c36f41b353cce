package chart_test

import (
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/prism-data-layer/prism/tui/component/chart"
	"github.com/prism-data-layer/prism/tui/component/text"
	"github.com/prism-data-layer/prism/tui/theme"
)

var nan = math.NaN()

func TestAreasInEveryCharset(t *testing.T) {
	t.Parallel()
	values := []float64{nan, 0, 1, 2, 3, 4, 5, 6, 7, 8}
	for _, c := range []struct {
		set    theme.Charset
		height int
		want   string
	}{
		{theme.Braille, 1, "     ⢀⣀⣤⣶⣿"},
		{theme.Braille, 2, "        ⣠⣾|     ⢀⣠⣾⣿⣿"},
		{theme.Block, 1, " ▁▁▂▃▄▅▆▇█"},
		{theme.Block, 2, "      ▂▄▆█| ▁▂▄▆█████"},
		{theme.ASCII, 1, " ___..:::||"},
	} {
		width := 10
		if c.set == theme.ASCII {
			width, values = 11, []float64{nan, 0, 1, 2, 3, 4, 5, 5.5, 6, 7, 8}
		} else {
			values = []float64{nan, 0, 1, 2, 3, 4, 5, 6, 7, 8}
		}
		if got := strings.Join(chart.Draw(values, 8, width, c.height, c.set), "|"); got != c.want {
			t.Errorf("charset %d:\n got %q\nwant %q", c.set, got, c.want)
		}
	}
	if chart.Draw(values, 8, 0, 1, theme.Block) != nil {
		t.Error("no room is no chart")
	}
}

func TestZeroAndUnknownLookDifferent(t *testing.T) {
	t.Parallel()
	for _, c := range []theme.Charset{theme.Braille, theme.Block, theme.ASCII} {
		zero, unknown := chart.Draw([]float64{0, 0}, 1, 1, 1, c), chart.Draw([]float64{nan, nan}, 1, 1, 1, c)
		if slices.Equal(zero, unknown) || unknown[0] != " " {
			t.Errorf("charset %d: %q and %q", c, zero, unknown)
		}
	}
}

func TestDrawFillsItsPlaceExactly(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		values := rapid.SliceOf(rapid.Float64()).Draw(t, "values")
		w, h := rapid.IntRange(1, 60).Draw(t, "w"), rapid.IntRange(1, 8).Draw(t, "h")
		for _, c := range []theme.Charset{theme.Braille, theme.Block, theme.ASCII} {
			lines := chart.Draw(values, chart.Ceiling(chart.Max(values), 1), w, h, c)
			if len(lines) != h {
				t.Fatalf("%d lines, want %d", len(lines), h)
			}
			for _, l := range lines {
				if text.Width(l) != w {
					t.Fatalf("%q is %d wide, want %d", l, text.Width(l), w)
				}
			}
		}
	})
}

func TestScalesAreRound(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ v, least, want float64 }{
		{0, 1, 1}, {nan, 10, 10}, {3, 1, 5}, {1000, 1, 1000}, {1001, 1, 2000}, {0.03, 0, 0.05}, {6.2e6, 1, 1e7}, {0, 0, 1}, {math.Inf(1), 1, 1},
	} {
		if got := chart.Ceiling(c.v, c.least); math.Abs(got-c.want) > 1e-9*c.want {
			t.Errorf("Ceiling(%v, %v) = %v, want %v", c.v, c.least, got, c.want)
		}
	}
}

func TestAChartShowsAMinuteHoweverNarrow(t *testing.T) {
	t.Parallel()
	for _, columns := range []int{1, 7, 20, 59, 60, 200} {
		for _, every := range []time.Duration{200 * time.Millisecond, time.Second, 5 * time.Second, 2 * time.Minute} {
			if g := chart.Group(every, time.Minute, columns); time.Duration(g*columns)*every < time.Minute {
				t.Errorf("%d columns of %d samples every %v are less than a minute", columns, g, every)
			}
		}
	}
	if chart.Group(0, time.Minute, 5) != 1 {
		t.Error("no interval, no groups")
	}
}

func TestGroupsKeepTheirBorders(t *testing.T) {
	t.Parallel()
	var s chart.Series
	if !math.IsNaN(s.Last()) || len(s.Columns(2, 5)) != 0 {
		t.Error("an empty series has values")
	}
	for i := range 7 {
		s.Add(float64(i))
	}
	if got := s.Columns(3, 2); !slices.Equal(got, []float64{5, 6}) {
		t.Errorf("got %v, want the groups {3 4 5} and {6}", got)
	}
	s.Add(nan)
	if got := s.Columns(3, 9); !slices.Equal(got, []float64{2, 5, 6}) {
		t.Errorf("got %v", got)
	}
	for i := range 5 * chart.Samples {
		s.Add(float64(i))
	}
	if got := s.Columns(1, 10*chart.Samples); len(got) < chart.Samples || got[len(got)-1] != 5*chart.Samples-1 {
		t.Errorf("%d columns ending in %v", len(got), got[len(got)-1])
	}
}
