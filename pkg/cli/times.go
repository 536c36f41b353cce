package cli

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
	if g.UTC && g.Times != "" && g.Times != TimesUTC {
		return Usage("leave one of them out", "--utc and --time-format %s cannot both be", g.Times)
	}
	return nil
}
