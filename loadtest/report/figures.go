package report

import (
	"math"
	"strconv"
	"strings"
	"unicode"
)

// ms shows milliseconds with three digits that mean something, which is what
// the histograms keep, and never in exponents.
func ms(v float64) string {
	switch {
	case v >= 100:
		return decimal(v, 0)
	case v >= 10:
		return decimal(v, 1)
	case v >= 1:
		return decimal(v, 2)
	}
	return decimal(v, 3)
}

// decimal shows v with so many places and with commas between thousands.
func decimal(v float64, places int) string {
	s := strconv.FormatFloat(v, 'f', places, 64)
	whole, frac, dot := strings.Cut(s, ".")
	sign := ""
	if strings.HasPrefix(whole, "-") {
		sign, whole = "-", whole[1:]
	}
	for i := len(whole) - 3; i > 0; i -= 3 {
		whole = whole[:i] + "," + whole[i:]
	}
	if dot {
		whole += "." + frac
	}
	return sign + whole
}

func count(n uint64) string { return decimal(float64(n), 0) }

// percent never shows 100 % or 0 % for what only comes near it.
func percent(v float64) string {
	for places := 1; places <= 4; places++ {
		scale := math.Pow10(places)
		shown := math.Round(v*scale) / scale
		if (shown != 0 || v == 0) && (shown != 100 || v == 100) {
			return decimal(v, places) + "%"
		}
	}
	if v > 50 {
		return ">99.9999%"
	}
	return "<0.0001%"
}

func bytesOf(n uint64) string {
	const unit = 1024
	if n < unit {
		return strconv.FormatUint(n, 10) + " B"
	}
	v, i := float64(n)/unit, 0
	names := [...]string{"KiB", "MiB", "GiB", "TiB", "PiB", "EiB"}
	for v >= unit && i < len(names)-1 {
		v, i = v/unit, i+1
	}
	return decimal(v, 1) + " " + names[i]
}

// seconds shows a duration in seconds without noughts that say nothing.
func seconds(v float64) string {
	return strconv.FormatFloat(math.Round(v*100)/100, 'f', -1, 64) + " s"
}

func plural(n uint64, one string) string {
	switch {
	case n == 1:
		return "1 " + one
	case strings.HasSuffix(one, "y"):
		return count(n) + " " + strings.TrimSuffix(one, "y") + "ies"
	}
	return count(n) + " " + one + "s"
}

// clean makes a stranger's text safe to print: one line, no control or
// direction characters, at most limit runes.
func clean(s string, limit int) string {
	s, _, _ = strings.Cut(s, "\n")
	var b strings.Builder
	n := 0
	for _, r := range strings.TrimSpace(s) {
		if n++; n > limit {
			return b.String() + "..."
		}
		if !unicode.IsPrint(r) || r == unicode.ReplacementChar {
			r = '?'
		}
		b.WriteRune(r)
	}
	return b.String()
}

// CleanMessage is the first line of a message as reports keep it: printable
// and at most 200 characters.
func CleanMessage(s string) string { return clean(s, 200) }
