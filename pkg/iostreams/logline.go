package iostreams

import (
	"bytes"
	"encoding/json"
	"strings"
)

// LogLine is a line of a structured log as people read it: the level, the
// message, then the rest as name=value in its order. The time is left out: who
// shows lines has it. Any other line stays as it is.
func LogLine(line string) string {
	if !strings.HasPrefix(line, "{") {
		return line
	}
	d := json.NewDecoder(strings.NewReader(line))
	if _, err := d.Token(); err != nil {
		return line
	}
	var level, message string
	var rest strings.Builder
	for d.More() {
		name, err := d.Token()
		if err != nil {
			return line
		}
		var value json.RawMessage
		if d.Decode(&value) != nil {
			return line
		}
		switch name {
		case "time", "ts", "timestamp":
		case "level", "lvl", "severity":
			level = plainJSON(value)
		case "msg", "message":
			message = plainJSON(value)
		default:
			text := plainJSON(value)
			if text == "" || strings.ContainsAny(text, " \"=") && value[0] == '"' {
				text = string(value)
			}
			rest.WriteString(" " + name.(string) + "=" + text)
		}
	}
	if end, err := d.Token(); err != nil || end != json.Delim('}') || message == "" || d.InputOffset() != int64(len(strings.TrimRight(line, " \r"))) {
		return line
	}
	return strings.TrimLeft(level+" "+message, " ") + rest.String()
}

// plainJSON is a text without its quotes, and any other value as it is written.
func plainJSON(value json.RawMessage) string {
	var s string
	if json.Unmarshal(value, &s) == nil && value[0] == '"' {
		return s
	}
	return string(bytes.TrimSpace(value))
}
