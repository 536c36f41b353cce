package supervise

import (
	"log/slog"
	"strings"
)

// levelOf is the level that a line names as slog writes it, in JSON or in text.
func levelOf(line string) (slog.Level, bool) {
	for _, mark := range []struct{ before, end string }{{`"level":"`, `"`}, {"level=", " "}} {
		_, rest, ok := strings.Cut(line, mark.before)
		if !ok {
			continue
		}
		word, _, _ := strings.Cut(rest, mark.end)
		if l, ok := levelNamed(word); ok {
			return l, true
		}
	}
	return 0, false
}

// levelNamed knows slog's names, such as WARN and ERROR+2, and what other
// loggers call theirs.
func levelNamed(word string) (slog.Level, bool) {
	switch strings.ToLower(word) {
	case "trace":
		return slog.LevelDebug - 4, true
	case "notice":
		return slog.LevelInfo + 2, true
	case "warning":
		return slog.LevelWarn, true
	case "fatal", "panic", "critical":
		return slog.LevelError + 4, true
	}
	var l slog.Level
	return l, l.UnmarshalText([]byte(word)) == nil
}
