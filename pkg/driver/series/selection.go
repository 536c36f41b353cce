package series

import (
	"slices"

	"github.com/prism-data-layer/prism/pkg/driver"
)

// rows appends the places, from lo to hi, of the events for which all
// conditions of s hold. The range of time is not looked at.
func (c *Chunk) rows(into []int32, s *driver.Selection, lo, hi int) []int32 {
	for i := lo; i < hi; i++ {
		into = append(into, int32(i))
	}
	if len(s.Types) > 0 {
		into = keep(into, &c.Events.Types, func(v string, _ bool) bool { return slices.Contains(s.Types, v) })
	}
	if len(s.Sources) > 0 {
		into = keep(into, &c.Events.Sources, func(v string, _ bool) bool { return slices.Contains(s.Sources, v) })
	}
	for i := range s.Dimensions {
		clause := &s.Dimensions[i]
		into = keep(into, dimension(&c.Events, clause.Attribute), clause.Holds)
	}
	return into
}

// keep leaves the rows for whose string holds is true. It is asked once for each
// string of the dictionary.
func keep(rows []int32, column *driver.Coded, holds func(value string, there bool) bool) []int32 {
	if len(rows) == 0 {
		return rows
	}
	none := holds("", false)
	switch {
	case column == nil || len(column.Dictionary) == 0:
		return rows[:length(rows, none)]
	case column.Codes == nil:
		return rows[:length(rows, holds(column.Dictionary[0], true))]
	}
	verdicts := make([]bool, len(column.Dictionary)+1)
	verdicts[0] = none
	for i, s := range column.Dictionary {
		verdicts[i+1] = holds(s, true)
	}
	n := 0
	for _, row := range rows {
		if verdicts[column.Codes[row]] {
			rows[n] = row
			n++
		}
	}
	return rows[:n]
}

func length(rows []int32, all bool) int {
	if all {
		return len(rows)
	}
	return 0
}
