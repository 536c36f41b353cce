package figure

import (
	"fmt"
	"strconv"
	"time"
)

// Bytes is a size: "812 B", "1.2 KiB", "64 MiB".
func Bytes(n int64) string {
	if n < 0 {
		return None
	}
	if n < 1024 {
		return strconv.FormatInt(n, 10) + " B"
	}
	f, i := float64(n)/1024, 0
	units := []string{"KiB", "MiB", "GiB", "TiB", "PiB"}
	for f >= 1023.5 && i < len(units)-1 {
		f /= 1024
		i++
	}
	return digits(f) + " " + units[i]
}

// Left is how long something has yet: to the second in its last minutes.
func Left(d time.Duration) string {
	switch {
	case d <= 0:
		return "0s"
	case d < time.Minute:
		return fmt.Sprintf("%ds", (d+time.Second-1)/time.Second)
	case d < 10*time.Minute:
		return fmt.Sprintf("%dm%02ds", d/time.Minute, d%time.Minute/time.Second)
	}
	return Age(d)
}
