package pane

import (
	"slices"
	"testing"

	"pgregory.net/rapid"
)

func TestRoomIsShared(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		room  int
		wants []int
		focus int
		want  []int
	}{
		{3, []int{9, 9, 9}, 0, []int{1, 1, 1}},
		{2, []int{9, 9, 9}, 0, []int{1, 1, 0}},
		{8, []int{9, 9, 9}, 1, []int{1, 6, 1}},
		{20, []int{9, 4, 3}, 0, []int{9, 4, 3}},
		{20, []int{90, 90, 90}, 2, []int{4, 4, 12}},
		{30, []int{3, 3, 90}, 0, []int{3, 3, 24}},
	} {
		if got := Share(c.room, c.wants, c.focus); !slices.Equal(got, c.want) {
			t.Errorf("Share(%d, %v, %d) = %v, want %v", c.room, c.wants, c.focus, got, c.want)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		room := rapid.IntRange(0, 100).Draw(t, "room")
		want := rapid.SliceOfN(rapid.IntRange(2, 2000), 3, 3).Draw(t, "wants")
		focus := rapid.IntRange(0, 2).Draw(t, "focus")
		sum := 0
		for i, h := range Share(room, want, focus) {
			sum += h
			if h < 0 || h > max(want[i], 1) || room >= 3 && h == 0 {
				t.Fatalf("pane %d of %v in %d has %d", i, want, room, h)
			}
		}
		if sum > room {
			t.Fatalf("%d lines in %d", sum, room)
		}
	})
}
