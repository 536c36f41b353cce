package figure

import "strconv"

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
