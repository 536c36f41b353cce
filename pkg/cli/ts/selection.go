package ts

import (
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/prism-data-layer/prism/pkg/cli"
	"github.com/prism-data-layer/prism/pkg/prism"
	timeseriesv1 "github.com/prism-data-layer/prism/proto/prism/timeseries/v1"
)

// A selection is the flags that say which events are meant.
type selection struct {
	Since          cli.DurationFlag
	Start, End     string
	Types, Sources []string
	Where          []string
}

func (s *selection) addTo(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.Var(&s.Since, "since", "of the last `DURATION`, such as 1h or 7d")
	flags.StringVar(&s.Start, "start", "", "from this `TIME` on")
	flags.StringVar(&s.End, "end", "", "up to this `TIME`, which is not included")
	flags.StringSliceVar(&s.Types, "type", nil, "only of these `TYPES`")
	flags.StringSliceVar(&s.Sources, "source", nil, "only from these `SOURCES`")
	flags.StringArrayVar(&s.Where, "where", nil, "only where this `CONDITION` holds: host=a,b host!=a host^=web- host !host; may be repeated")
	cli.SetDefault(cmd, "since", "all there are")
	cli.SetDefault(cmd, "start", "the first")
	cli.SetDefault(cmd, "end", "the last")
	cli.SetDefault(cmd, "type", "all")
	cli.SetDefault(cmd, "source", "all")
	cli.SetDefault(cmd, "where", "all")
}

// proto is the selection as it stands at now.
func (s *selection) proto(now time.Time) (*timeseriesv1.Selection, error) {
	start, end := int64(0), int64(prism.MaxEventTime)
	if s.Since != 0 {
		if s.Start != "" || s.End != "" {
			return nil, cli.Usage("leave out --since, or --start and --end", "--since says the whole range")
		}
		if s.Since < 0 {
			return nil, cli.Usage("write how long: 90m, 7d", "--since must not be negative")
		}
		end = now.UnixNano()
		start = max(end-int64(s.Since), 0)
	}
	for _, bound := range []struct {
		flag, text string
		to         *int64
	}{{"start", s.Start, &start}, {"end", s.End, &end}} {
		if bound.text == "" {
			continue
		}
		at, err := cli.ParseMoment(bound.text, now)
		if err != nil || at.Unix() < 0 || at.Year() > 2261 {
			return nil, cli.Usage("write a time (2026-03-01T12:00:00Z) or how long ago (90m, 7d)", "--%s: %q is not a time", bound.flag, bound.text)
		}
		*bound.to = at.UnixNano()
	}
	if start >= end {
		return nil, cli.Usage("let --start be before --end", "the range is empty")
	}
	p := &timeseriesv1.Selection{StartNs: &start, EndNs: &end, EventTypes: s.Types, Sources: s.Sources}
	for _, text := range s.Where {
		f, err := parseFilter(text)
		if err != nil {
			return nil, err
		}
		p.Dimensions = append(p.Dimensions, f)
	}
	return p, nil
}

// filterForms are what a condition may be.
const filterForms = "write host=web-1, host=web-1,web-2, host!=web-1, host^=web-, host (it has one) or !host (it has none)"

// foreign are signs of other languages' operators; a name is not taken to have
// them.
const foreign = "=!<>~^* \t\"'()"

// parseFilter reads one condition on a dimension.
func parseFilter(text string) (*timeseriesv1.DimensionFilter, error) {
	wrong := func(format string, args ...any) error {
		return cli.Usage(filterForms, "--where "+format, args...)
	}
	at := strings.IndexByte(text, '=')
	if at < 0 {
		name, absent := strings.CutPrefix(text, "!")
		f := &timeseriesv1.DimensionFilter{Dimension: name, Op: timeseriesv1.FilterOp_FILTER_OP_EXISTS}
		if absent {
			f.Op = timeseriesv1.FilterOp_FILTER_OP_ABSENT
		}
		if i := strings.IndexAny(name, foreign); i >= 0 {
			return nil, wrong("%q: there is no operator %q", text, name[i:i+1])
		}
		if name == "" {
			return nil, wrong("%q names no dimension", text)
		}
		return f, nil
	}
	from, op := operator(text, at)
	name, rest := text[:from], text[at+1:]
	i := strings.IndexAny(name, foreign)
	switch {
	case name == "":
		return nil, wrong("%q names no dimension", text)
	case i >= 0:
		return nil, wrong("%q: there is no operator %q", text, text[i:at+1])
	case strings.HasPrefix(rest, "=") || strings.HasPrefix(rest, "~"):
		return nil, wrong("%q: there is no operator %q", text, text[from:at+2])
	}
	f := &timeseriesv1.DimensionFilter{Dimension: name, Op: op, Values: []string{rest}}
	if op != timeseriesv1.FilterOp_FILTER_OP_PREFIX {
		f.Values = splitValues(rest)
	}
	return f, nil
}

// operator is the one that ends with the sign of equality at at.
func operator(text string, at int) (from int, op timeseriesv1.FilterOp) {
	switch {
	case at > 0 && text[at-1] == '!':
		return at - 1, timeseriesv1.FilterOp_FILTER_OP_NOT_IN
	case at > 0 && text[at-1] == '^':
		return at - 1, timeseriesv1.FilterOp_FILTER_OP_PREFIX
	}
	return at, timeseriesv1.FilterOp_FILTER_OP_IN
}

// splitValues splits at commas; a backslash makes what follows it a part of a
// value.
func splitValues(text string) []string {
	var values []string
	var b strings.Builder
	escaped := false
	for _, c := range []byte(text) {
		switch {
		case escaped:
			b.WriteByte(c)
			escaped = false
		case c == '\\':
			escaped = true
		case c == ',':
			values = append(values, b.String())
			b.Reset()
		default:
			b.WriteByte(c)
		}
	}
	return slices.Compact(append(values, b.String()))
}
