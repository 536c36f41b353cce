package cli

import "slices"

// How tables show times: --time-format. Programs get RFC 3339 in UTC, always.
const (
	TimesRelative = "relative" // 3m ago
	TimesUTC      = "utc"
	TimesLocal    = "local"
	TimesUnix     = "unix" // seconds
)

func timeFormats() []string { return []string{TimesRelative, TimesUTC, TimesLocal, TimesUnix} }

func (g *Globals) times() string {
	switch {
	case g.Times != "":
		return g.Times
	case g.UTC:
		return TimesUTC
	}
	return TimesRelative
}

func (g *Globals) checkTimes() error {
	switch {
	case g.Times != "" && !slices.Contains(timeFormats(), g.Times):
		return Usage(oneOf(timeFormats()), "unknown time format %q", g.Times)
	case g.UTC && g.Times != "" && g.Times != TimesUTC:
		return Usage("leave one of them out", "--utc and --time-format %s cannot both be", g.Times)
	}
	return nil
}
