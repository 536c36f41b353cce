package scenario

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/prism-data-layer/prism/loadtest"
	"github.com/prism-data-layer/prism/pkg/config"
	"github.com/prism-data-layer/prism/pkg/prism"
)

// Sizes are sizes of values as they are written: 128B, 64B-4KiB, 64B,1KiB.
type Sizes struct {
	loadtest.Sizes
	text string
}

// ParseSizes reads them.
func ParseSizes(text string) (Sizes, error) {
	s := Sizes{text: text}
	low, high, spans := strings.Cut(text, "-")
	parts := strings.Split(text, ",")
	if spans {
		parts = []string{low, high}
	}
	var sizes []int
	for _, p := range parts {
		n, err := config.ParseSize(strings.TrimSpace(p))
		if err != nil {
			return s, err
		}
		sizes = append(sizes, int(min(n, 1<<40)))
	}
	if s.Sizes = loadtest.SizeList(sizes...); spans {
		s.Sizes = loadtest.SizeRange(sizes[0], sizes[1])
	}
	return s, s.Check()
}

// UnmarshalText reads them from a file.
func (s *Sizes) UnmarshalText(b []byte) (err error) {
	if *s, err = ParseSizes(string(b)); err != nil {
		return fmt.Errorf("%s", words(err))
	}
	return nil
}

// String is what was written.
func (s Sizes) String() string { return s.text }

// words are what is wrong without the name of a field, which the file has.
func words(err error) string {
	e := prism.From(err)
	if len(e.Fields) > 0 {
		return e.Fields[0].Message
	}
	return e.Message
}

// A Percent is written with its sign: 5%.
type Percent float64

// UnmarshalText reads it.
func (p *Percent) UnmarshalText(b []byte) error {
	v, err := strconv.ParseFloat(strings.TrimSuffix(string(b), "%"), 64)
	if err != nil || !strings.HasSuffix(string(b), "%") || !(v >= 0 && v <= 100) {
		return fmt.Errorf("%q is not a share from 0%% to 100%%, such as 5%%", b)
	}
	*p = Percent(v)
	return nil
}
