package config

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

const day = 24 * time.Hour

// durationUnits are the units, largest first.
var durationUnits = [...]struct {
	name string
	size time.Duration
}{
	{"w", 7 * day},
	{"d", day},
	{"h", time.Hour},
	{"m", time.Minute},
	{"s", time.Second},
	{"ms", time.Millisecond},
	{"us", time.Microsecond},
	{"ns", 1},
}

// ParseDuration reads a duration such as 30d, 1h30m or 500ms. Every number
// needs a unit: w, d, h, m, s, ms, us or ns. There are no negative ones.
func ParseDuration(s string) (time.Duration, error) {
	d, f := parseDuration(s)
	if f != nil {
		return 0, f.err()
	}
	return d, nil
}

func parseDuration(s string) (time.Duration, *fault) {
	bad := func(format string, args ...any) *fault {
		return &fault{message: fmt.Sprintf(format, args...), suggestion: nearestDuration(s), doc: "durations", hint: "write a number and a unit, such as 500ms, 15m or 30d"}
	}
	if s == "" {
		return 0, bad("the duration is empty")
	}
	total, rest := uint64(0), s
	for rest != "" {
		number, unit, next := cutQuantity(rest)
		switch {
		case number == "":
			return 0, bad("%q is not a duration", s)
		case unit == "":
			return 0, bad("the duration %q has no unit", s)
		}
		size := unitSize(unit)
		if size == 0 {
			return 0, bad("%q is not a duration: there is no unit %q", s, strings.TrimSpace(unit))
		}
		n, err := quantity(number, uint64(size))
		if err != nil || total+n > math.MaxInt64 {
			return 0, &fault{message: fmt.Sprintf("the duration %q is not one that can be counted", s), hint: "the longest is some 292 years", doc: "durations"}
		}
		total, rest = total+n, next
	}
	return time.Duration(total), nil
}

func unitSize(unit string) time.Duration {
	if unit == "µs" || unit == "μs" {
		unit = "us"
	}
	for _, u := range durationUnits {
		if u.name == unit {
			return u.size
		}
	}
	return 0
}

// FormatDuration writes d as ParseDuration reads it, exactly: 36h as 1d12h.
func FormatDuration(d time.Duration) string {
	if d <= 0 {
		return "0s"
	}
	var b strings.Builder
	for _, u := range durationUnits[1:] { // days are easier to compare than weeks
		if n := d / u.size; n > 0 {
			fmt.Fprintf(&b, "%d%s", n, u.name)
			d -= n * u.size
		}
	}
	return b.String()
}

// nearestDuration mends the usual slips: no unit, a long unit, a space.
func nearestDuration(s string) string {
	number, unit, rest := cutQuantity(strings.ReplaceAll(strings.ToLower(strings.TrimSpace(s)), " ", ""))
	if number == "" || rest != "" {
		return ""
	}
	switch u := strings.TrimSuffix(unit, "s"); {
	case unit == "":
		unit = "s"
	case u == "sec" || u == "second" || unit == "s":
		unit = "s"
	case u == "min" || u == "minute" || unit == "m":
		unit = "m"
	case u == "hr" || u == "hour" || unit == "h":
		unit = "h"
	case u == "day" || unit == "d":
		unit = "d"
	case u == "week" || u == "wk":
		unit = "w"
	case u == "month" || u == "mo":
		return scaled(number, 30)
	case u == "y" || u == "year" || u == "yr":
		return scaled(number, 365)
	case u == "msec" || u == "milli" || u == "millisecond":
		unit = "ms"
	default:
		return ""
	}
	if _, err := ParseDuration(number + unit); err != nil {
		return ""
	}
	return number + unit
}

func scaled(number string, days int) string {
	n, err := strconv.Atoi(number)
	if err != nil || n > math.MaxInt32 {
		return ""
	}
	return strconv.Itoa(n*days) + "d"
}

// cutQuantity splits "1.5h30m" into "1.5", "h" and "30m".
func cutQuantity(s string) (number, unit, rest string) {
	isDigit := func(c byte) bool { return c >= '0' && c <= '9' || c == '.' }
	i := 0
	for i < len(s) && isDigit(s[i]) {
		i++
	}
	j := i
	for j < len(s) && !isDigit(s[j]) {
		j++
	}
	return s[:i], s[i:j], s[j:]
}

// quantity is number × size, exactly; a fraction must come out whole.
func quantity(number string, size uint64) (uint64, error) {
	whole, fraction, dotted := strings.Cut(number, ".")
	if whole == "" || dotted && (fraction == "" || len(fraction) > 18) {
		return 0, errQuantity
	}
	n, err := strconv.ParseUint(whole, 10, 64)
	if err != nil || n > math.MaxInt64/size {
		return 0, errQuantity
	}
	n *= size
	if !dotted {
		return n, nil
	}
	scale := uint64(1)
	for range fraction {
		scale *= 10
	}
	f, err := strconv.ParseUint(fraction, 10, 64)
	if err != nil {
		return 0, errQuantity
	}
	for f%10 == 0 && scale > 1 {
		f, scale = f/10, scale/10
	}
	if f > 0 && size > math.MaxUint64/f || f*size%scale != 0 || n+f*size/scale > math.MaxInt64 {
		return 0, errQuantity
	}
	return n + f*size/scale, nil
}

var errQuantity = errors.New("not a quantity")

// err gives a fault as an error, for callers that have no file.
func (f *fault) err() error {
	if f.suggestion != "" {
		return fmt.Errorf("%s; did you mean %q?", f.message, f.suggestion)
	}
	if f.hint != "" {
		return fmt.Errorf("%s; %s", f.message, f.hint)
	}
	return errors.New(f.message)
}
