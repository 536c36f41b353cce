// Package figure writes numbers as people read them on a screen: three digits
// that matter, and no change where nothing changed.
package figure

import (
	"fmt"
	"math"
	"strconv"
	"time"
)

// None stands where there is no number.
const None = "–"

// Count is a whole number: "12,345", from ten millions on "12.3M".
func Count(n int64) string {
	switch {
	case n < 0:
		return "-" + Count(-max(n, -math.MaxInt64))
	case n >= 10_000_000:
		return scaled(float64(n))
	case n >= 1000:
		return Count(n/1000) + "," + fmt.Sprintf("%03d", n%1000)
	}
	return strconv.FormatInt(n, 10)
}

func scaled(f float64) string {
	units := []string{"M", "G", "T", "P", "E"}
	f /= 1e6
	i := 0
	for f >= 1000 && i < len(units)-1 {
		f /= 1000
		i++
	}
	return digits(f) + units[i]
}

// digits gives three digits that matter and no idle zeros.
func digits(f float64) string {
	switch {
	case f >= 99.95:
		return strconv.FormatFloat(f, 'f', 0, 64)
	case f >= 9.995:
		return trim(strconv.FormatFloat(f, 'f', 1, 64))
	}
	return trim(strconv.FormatFloat(f, 'f', 2, 64))
}

func trim(s string) string {
	for s[len(s)-1] == '0' {
		s = s[:len(s)-1]
	}
	if s[len(s)-1] == '.' {
		s = s[:len(s)-1]
	}
	return s
}

// Rate is something a second; NaN is None.
func Rate(f float64) string {
	switch {
	case math.IsNaN(f):
		return None
	case f <= 0:
		return "0"
	case f < 0.1:
		return "<0.1"
	case f < 9.95:
		return trim(strconv.FormatFloat(f, 'f', 1, 64))
	}
	return Count(int64(math.Round(math.Min(f, 1e18))))
}

// Latency is a measured time: "85µs", "1.24ms", "12s".
func Latency(d time.Duration) string {
	switch {
	case d < time.Microsecond:
		return "<1µs"
	case d < time.Millisecond:
		return digits(float64(d)/float64(time.Microsecond)) + "µs"
	case d < time.Second:
		return digits(float64(d)/float64(time.Millisecond)) + "ms"
	case d < time.Minute:
		return digits(d.Seconds()) + "s"
	}
	return Age(d)
}

// Probe is the latency of a health check in steps: a few milliseconds more or
// less say how busy the machine is and not how the store does, so that a quiet
// screen stays quiet.
func Probe(d time.Duration) string {
	if d <= 0 {
		return None
	}
	for _, step := range []time.Duration{20, 50, 100, 200, 500} { // ms
		if d < step*time.Millisecond {
			return fmt.Sprintf("<%dms", step)
		}
	}
	if d < time.Second {
		return "<1s"
	}
	return Latency(d.Round(time.Second))
}

// Age is a length of time in its largest unit. All below a minute is the same,
// so that a list of ages does not change each second.
func Age(d time.Duration) string {
	const day = 24 * time.Hour
	switch {
	case d < time.Minute:
		return "<1m"
	case d < time.Hour:
		return fmt.Sprintf("%dm", d/time.Minute)
	case d < day:
		return fmt.Sprintf("%dh", d/time.Hour)
	}
	return fmt.Sprintf("%dd", d/day)
}

// Many is a number of things: "1 stream", "2,000 streams".
func Many[N int | int64](n N, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return Count(int64(n)) + " " + thing + "s"
}
