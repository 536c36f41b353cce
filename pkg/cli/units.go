package cli

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/prism-data-layer/prism/pkg/config"
	adminv1 "github.com/prism-data-layer/prism/proto/prism/admin/v1"
)

// Relative is a moment as people say it: "3m ago", "in 2h".
func Relative(t, now time.Time) string {
	d := now.Sub(t)
	switch {
	case d > -time.Second && d < time.Second:
		return "now"
	case d < 0:
		return "in " + coarse(-d)
	}
	return coarse(d) + " ago"
}

// coarse is a length of time in its largest unit, or its two largest where the
// second one matters.
func coarse(d time.Duration) string {
	const day = 24 * time.Hour
	switch {
	case d < time.Minute:
		return fmt.Sprintf("%ds", d/time.Second)
	case d < 10*time.Minute && d%time.Minute >= time.Second:
		return fmt.Sprintf("%dm%ds", d/time.Minute, d%time.Minute/time.Second)
	case d < time.Hour:
		return fmt.Sprintf("%dm", d/time.Minute)
	case d < 10*time.Hour && d%time.Hour >= time.Minute:
		return fmt.Sprintf("%dh%dm", d/time.Hour, d%time.Hour/time.Minute)
	case d < day:
		return fmt.Sprintf("%dh", d/time.Hour)
	case d < 365*day:
		return fmt.Sprintf("%dd", d/day)
	}
	return fmt.Sprintf("%dy%dd", d/(365*day), d%(365*day)/day)
}

// Duration is a measured length of time with three digits or so: "1.24ms".
func Duration(d time.Duration) string {
	switch {
	case d == 0:
		return "0s"
	case d < 0:
		return "-" + Duration(-d)
	case d < time.Microsecond:
		return fmt.Sprintf("%dns", d)
	case d < time.Millisecond:
		return digits(float64(d)/float64(time.Microsecond)) + "us"
	case d < time.Second:
		return digits(float64(d)/float64(time.Millisecond)) + "ms"
	case d < time.Minute:
		return digits(d.Seconds()) + "s"
	}
	return coarse(d)
}

// Size is a number of bytes in binary units: "1.5 MiB".
func Size(n int64) string {
	units := []string{"KiB", "MiB", "GiB", "TiB", "PiB"}
	switch {
	case n < 0:
		return "-" + Size(-n)
	case n < 1024:
		return strconv.FormatInt(n, 10) + " B"
	}
	f := float64(n)
	i := -1
	for f >= 1024 && i < len(units)-1 {
		f /= 1024
		i++
	}
	return digits(f) + " " + units[i]
}

// digits gives three significant digits and no idle zeros.
func digits(f float64) string {
	prec := 2
	switch {
	case f >= 100:
		prec = 0
	case f >= 10:
		prec = 1
	}
	s := strconv.FormatFloat(f, 'f', prec, 64)
	if prec > 0 {
		for s[len(s)-1] == '0' {
			s = s[:len(s)-1]
		}
		if s[len(s)-1] == '.' {
			s = s[:len(s)-1]
		}
	}
	return s
}

// Plural is "1 key", "2 keys".
func Plural[N int | int64 | int32](n N, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

// ParseMoment reads how long ago (90m, 7d) or a time in RFC 3339.
func ParseMoment(s string, now time.Time) (time.Time, error) {
	if d, err := config.ParseDuration(s); err == nil {
		return now.Add(-d), nil
	}
	for _, layout := range []string{time.RFC3339, "2006-01-02T15:04:05", "2006-01-02"} {
		if t, err := time.ParseInLocation(layout, s, time.UTC); err == nil {
			return t, nil
		}
	}
	return time.Time{}, fmt.Errorf("%q is not a time", s)
}

// A DurationFlag is a length of time as people write it, days included: 30d.
type DurationFlag time.Duration

// Set reads the flag.
func (d *DurationFlag) Set(s string) error {
	v, err := config.ParseDuration(s)
	if err != nil {
		if s == "0" {
			*d = 0
			return nil
		}
		return err
	}
	*d = DurationFlag(v)
	return nil
}

// String writes the flag as it would be read; nothing for none.
func (d *DurationFlag) String() string {
	if *d == 0 {
		return ""
	}
	return config.FormatDuration(time.Duration(*d))
}

// Type names the flag's type.
func (d *DurationFlag) Type() string { return "DURATION" }

// Milliseconds is the length in milliseconds.
func (d DurationFlag) Milliseconds() int64 { return time.Duration(d).Milliseconds() }

// AdminMethod is a call of the admin API as audit records name it: people type
// CreateNamespace.
func AdminMethod(call string) string {
	if call == "" || strings.Contains(call, "/") {
		return call
	}
	return adminv1.AdminService_ServiceDesc.ServiceName + "/" + call
}
