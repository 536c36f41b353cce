package keys

import (
	"fmt"
	"maps"
	"slices"
)

// A Remap gives actions other keys than the tables do. An action without keys
// has none.
type Remap map[Action][]string

// On is the table with the keys that r gives.
func (r Remap) On(t Table) Table {
	if len(r) == 0 {
		return t
	}
	out := slices.Clone(t)
	for i := range out {
		if k, ok := r[out[i].Action]; ok {
			out[i].Keys = k
		}
	}
	return out
}

// Check says what is wrong with r: actions that no table has, and keys that
// would mean two things on a page. Each of pages is active with Global alone.
func (r Remap) Check(pages map[string]Table) []string {
	known := map[Action]bool{}
	for _, b := range Global() {
		known[b.Action] = true
	}
	for _, t := range pages {
		for _, b := range t {
			known[b.Action] = true
		}
	}
	var out []string
	for _, a := range slices.Sorted(maps.Keys(r)) {
		if !known[a] {
			out = append(out, fmt.Sprintf("there is no action %q", a))
		}
	}
	if b, _ := r.On(Global()).Of(Back); len(b.Keys) == 0 {
		out = append(out, "back needs a key")
	}
	seen := map[string]bool{}
	for _, page := range slices.Sorted(maps.Keys(pages)) {
		for _, c := range Conflicts(r.On(Global()), r.On(pages[page])) {
			if !seen[c] {
				seen[c] = true
				out = append(out, fmt.Sprintf("on %s, %s", page, c))
			}
		}
	}
	return out
}

// Offered is the table without what changes something, where nothing may be
// changed.
func (t Table) Offered(readOnly bool) Table {
	if !readOnly {
		return t
	}
	return slices.DeleteFunc(slices.Clone(t), func(b Binding) bool { return b.Changes })
}
