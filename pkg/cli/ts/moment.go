package ts

import (
	"bytes"
	"fmt"
	"strconv"
	"time"

	"github.com/prism-data-layer/prism/pkg/prism"
)

// A unit is what numbers are that stand for times. The zero unit takes none.
type unit int64

// units are the words of --time-unit.
var units = []struct {
	word string
	unit unit
}{{"s", unit(time.Second)}, {"ms", unit(time.Millisecond)}, {"us", unit(time.Microsecond)}, {"ns", unit(time.Nanosecond)}}

// parseTime reads RFC 3339, or a number of units since 1970.
func (u unit) parseTime(b []byte) (time.Time, error) {
	if len(b) == 0 {
		return time.Time{}, fmt.Errorf("time is missing")
	}
	t, isNumber, err := u.read(b)
	switch {
	case isNumber && u == 0:
		return t, fmt.Errorf("time %q is a number: pass --time-unit s, ms, us or ns", b)
	case err != nil && isNumber:
		return t, err
	case err != nil:
		return t, fmt.Errorf("time %q is not RFC 3339, such as 2026-03-01T12:00:00Z", b)
	case t.Unix() < 0 || t.UnixNano() < 1 || t.Unix() > prism.MaxEventTime/int64(time.Second):
		return t, fmt.Errorf("time %q is not between 1970 and 2261", b)
	}
	return t, nil
}

func (u unit) read(b []byte) (t time.Time, isNumber bool, err error) {
	if len(b) > 4 && b[4] == '-' {
		return t, false, t.UnmarshalText(b)
	}
	whole, fraction, _ := bytes.Cut(b, []byte{'.'})
	n, err := strconv.ParseInt(string(whole), 10, 64)
	if err != nil {
		return t, false, err
	}
	if u == 0 {
		return t, true, nil
	}
	perSecond := int64(time.Second) / int64(u)
	t = time.Unix(n/perSecond, n%perSecond*int64(u))
	// Digits behind the point, as far as they are whole nanoseconds.
	for digit := int64(u) / 10; len(fraction) > 0; digit, fraction = digit/10, fraction[1:] {
		if fraction[0] < '0' || fraction[0] > '9' {
			return t, true, fmt.Errorf("time %q is not a number", b)
		}
		t = t.Add(time.Duration(int64(fraction[0]-'0') * digit))
	}
	return t, true, nil
}
