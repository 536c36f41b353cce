package telemetry

import (
	"fmt"
	"log/slog"
	"reflect"
	"regexp"
	"strings"
)

// Redacted stands where a secret was.
const Redacted = "[redacted]"

// secretWords make an attribute secret wherever they stand in its name.
var secretWords = []string{"token", "authorization", "secret", "password", "passwd", "credential", "cookie", "api_key", "apikey", "dsn"}

// secretName reports whether an attribute of that name is never logged. The
// values that people store are secrets too: "value", "old_value", but not
// "value_bytes".
func secretName(name string) bool {
	n := strings.ToLower(strings.ReplaceAll(name, "-", "_"))
	for _, w := range secretWords {
		if strings.Contains(n, w) {
			return true
		}
	}
	return n == "value" || n == "values" || strings.HasSuffix(n, "_value") || strings.HasSuffix(n, "_values")
}

// Secrets that sit inside texts: credentials of a header, passwords of a URL.
var (
	bearer   = regexp.MustCompile(`(?i)\b(bearer|basic)\s+[^\s"',;]+`)
	userinfo = regexp.MustCompile(`(://)[^/\s@]*:[^/\s@]*@`)
)

func scrub(s string) string {
	if strings.Contains(s, "://") {
		s = userinfo.ReplaceAllString(s, "${1}"+Redacted+"@")
	}
	if low := strings.ToLower(s); strings.Contains(low, "bearer") || strings.Contains(low, "basic") {
		s = bearer.ReplaceAllString(s, "${1} "+Redacted)
	}
	return s
}

// redact is slog's ReplaceAttr: it runs on every attribute, the message too.
func redact(groups []string, a slog.Attr) slog.Attr {
	if secretName(a.Key) {
		return slog.String(a.Key, Redacted)
	}
	for _, g := range groups {
		if secretName(g) {
			return slog.String(a.Key, Redacted)
		}
	}
	switch a.Value.Kind() {
	case slog.KindString:
		a.Value = slog.StringValue(scrub(a.Value.String()))
	case slog.KindAny:
		a.Value = redactAny(a.Value.Any())
	}
	return a
}

// redactAny writes what is no secret by its kind: errors, plain lists, maps
// such as headers (whose names are looked at), and what names itself. Of
// anything else, a message or a configuration say, it writes the type alone:
// log the fields you mean.
func redactAny(v any) slog.Value {
	switch t := v.(type) {
	case nil, slog.Level:
		return slog.AnyValue(v)
	case error:
		return slog.StringValue(scrub(t.Error()))
	case []byte:
		// Bytes in a log are a stored value more often than not.
		return slog.StringValue(fmt.Sprintf("[%d bytes]", len(t)))
	case proto:
		return slog.StringValue(fmt.Sprintf("[%T]", v))
	case fmt.Stringer:
		return slog.StringValue(scrub(t.String()))
	}
	m := reflect.ValueOf(v)
	if m.Kind() == reflect.Map && m.Type().Key().Kind() == reflect.String {
		clean := make(map[string]string, m.Len())
		for _, k := range m.MapKeys() {
			if name := k.String(); secretName(name) {
				clean[name] = Redacted
			} else {
				clean[name] = redactAny(m.MapIndex(k).Interface()).String()
			}
		}
		return slog.AnyValue(clean)
	}
	if !plain(m.Type()) {
		return slog.StringValue(fmt.Sprintf("[%T]", v))
	}
	return slog.StringValue(scrub(fmt.Sprint(v)))
}

// proto is what generated messages have; their String shows every field.
type proto interface{ ProtoMessage() }

// plain reports whether values of t are a text, a number, or a list of them.
func plain(t reflect.Type) bool {
	switch t.Kind() {
	case reflect.Slice, reflect.Array:
		return plain(t.Elem())
	case reflect.Struct, reflect.Map, reflect.Pointer, reflect.Interface, reflect.Func, reflect.Chan, reflect.UnsafePointer:
		return false
	}
	return true
}
