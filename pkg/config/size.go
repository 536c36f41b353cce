package config

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// A Size is a number of bytes, written with its unit: 64MiB, 1GB.
type Size int64

// sizeUnits are the units, largest first, so that the first that divides a size
// evenly is the one to print.
var sizeUnits = [...]struct {
	name string
	size uint64
}{
	{"TiB", 1 << 40},
	{"TB", 1e12},
	{"GiB", 1 << 30},
	{"GB", 1e9},
	{"MiB", 1 << 20},
	{"MB", 1e6},
	{"KiB", 1 << 10},
	{"KB", 1e3},
	{"B", 1},
}

// ParseSize reads a size such as 64MiB (binary) or 1GB (decimal); the unit may
// not be left out.
func ParseSize(s string) (Size, error) {
	n, f := parseSize(s)
	if f != nil {
		return 0, f.err()
	}
	return n, nil
}

func parseSize(s string) (Size, *fault) {
	const how = "write a number and a unit, such as 64MiB or 1GB"
	number, unit, rest := cutQuantity(s)
	switch {
	case s == "":
		return 0, &fault{message: "the size is empty", hint: how, doc: "sizes"}
	case number == "" || rest != "":
		return 0, &fault{message: fmt.Sprintf("%q is not a size", s), hint: how, doc: "sizes"}
	case unit == "":
		return 0, &fault{message: fmt.Sprintf("the size %q has no unit", s), suggestion: nearestSize(number, "b"), hint: how, doc: "sizes"}
	}
	for _, u := range sizeUnits {
		if u.name != unit {
			continue
		}
		n, err := quantity(number, u.size)
		if err != nil || n > math.MaxInt64 {
			return 0, &fault{message: fmt.Sprintf("the size %q is not a whole number of bytes that can be counted", s), hint: how, doc: "sizes"}
		}
		return Size(n), nil
	}
	return 0, &fault{
		message:    fmt.Sprintf("%q is not a size: there is no unit %q", s, unit),
		suggestion: nearestSize(number, strings.ToLower(strings.TrimSpace(unit))), hint: how, doc: "sizes",
	}
}

// nearestSize mends 64mb, 64M, 64k and 1048576.
func nearestSize(number, unit string) string {
	if unit == "b" || strings.HasPrefix(unit, "byte") {
		if n, err := strconv.ParseInt(number, 10, 64); err == nil {
			return Size(n).String()
		}
		return ""
	}
	for _, u := range sizeUnits {
		short := strings.ToLower(u.name)
		if short == unit || strings.HasSuffix(short, "ib") && strings.TrimSuffix(short, "ib") == unit {
			return number + u.name
		}
	}
	return ""
}

func (s *Size) parse(text string) *fault {
	n, f := parseSize(text)
	*s = n
	return f
}

// String writes s as ParseSize reads it, exactly.
func (s Size) String() string {
	if s <= 0 {
		return "0B"
	}
	for _, u := range sizeUnits {
		if uint64(s)%u.size == 0 {
			return strconv.FormatUint(uint64(s)/u.size, 10) + u.name
		}
	}
	return strconv.FormatInt(int64(s), 10) + "B"
}
