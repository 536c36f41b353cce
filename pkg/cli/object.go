package cli

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// An Object is a JSON object that keeps the order of its members. Values are
// nil, bool, int64, uint64, float64, string, []any and Object.
type Object []Member

// A Member is one of an object's.
type Member struct {
	Name  string
	Value any
}

// Get is the value of a member.
func (o Object) Get(name string) (any, bool) {
	for _, m := range o {
		if m.Name == name {
			return m.Value, true
		}
	}
	return nil, false
}

// MarshalJSON writes the object in its order.
func (o Object) MarshalJSON() ([]byte, error) {
	var b bytes.Buffer
	writeJSON(&b, o, "", "")
	return b.Bytes(), nil
}

// writeJSON writes v; with an indent, over several lines.
func writeJSON(b *bytes.Buffer, v any, prefix, indent string) {
	inner := prefix + indent
	open := func(c byte) {
		b.WriteByte(c)
	}
	next := func(i int) {
		if i > 0 {
			b.WriteByte(',')
		}
		if indent != "" {
			b.WriteByte('\n')
			b.WriteString(inner)
		}
	}
	shut := func(c byte) {
		if indent != "" {
			b.WriteByte('\n')
			b.WriteString(prefix)
		}
		b.WriteByte(c)
	}
	switch v := v.(type) {
	case Object:
		if len(v) == 0 {
			b.WriteString("{}")
			return
		}
		open('{')
		for i, m := range v {
			next(i)
			writeJSONString(b, m.Name)
			b.WriteByte(':')
			if indent != "" {
				b.WriteByte(' ')
			}
			writeJSON(b, m.Value, inner, indent)
		}
		shut('}')
	case []any:
		if len(v) == 0 {
			b.WriteString("[]")
			return
		}
		open('[')
		for i, e := range v {
			next(i)
			writeJSON(b, e, inner, indent)
		}
		shut(']')
	case string:
		writeJSONString(b, v)
	default:
		b.WriteString(scalar(v))
	}
}

func scalar(v any) string {
	switch v := v.(type) {
	case nil:
		return "null"
	case bool:
		return strconv.FormatBool(v)
	case int64:
		return strconv.FormatInt(v, 10)
	case int:
		return strconv.Itoa(v)
	case uint64:
		return strconv.FormatUint(v, 10)
	case float64:
		if math.IsNaN(v) || math.IsInf(v, 0) {
			return "null"
		}
		return strconv.FormatFloat(v, 'g', -1, 64)
	case string:
		return v
	}
	return fmt.Sprint(v)
}

const hexDigits = "0123456789abcdef"

// writeJSONString escapes what JSON asks for, and every other control and
// format character too: the text may meet a terminal.
func writeJSONString(b *bytes.Buffer, s string) {
	b.WriteByte('"')
	for i := 0; i < len(s); {
		c := s[i]
		if c < utf8.RuneSelf {
			i++
			switch {
			case c == '"' || c == '\\':
				b.WriteByte('\\')
				b.WriteByte(c)
			case c == '\n':
				b.WriteString(`\n`)
			case c == '\r':
				b.WriteString(`\r`)
			case c == '\t':
				b.WriteString(`\t`)
			case c < ' ' || c == 0x7f:
				b.WriteString(`\u00`)
				b.WriteByte(hexDigits[c>>4])
				b.WriteByte(hexDigits[c&15])
			default:
				b.WriteByte(c)
			}
			continue
		}
		r, n := utf8.DecodeRuneInString(s[i:])
		switch {
		case r == utf8.RuneError && n == 1:
			b.WriteString(`\ufffd`)
		case r <= 0xffff && (unicode.IsControl(r) || unicode.In(r, unicode.Cf, unicode.Zl, unicode.Zp) && r != 0x200d):
			fmt.Fprintf(b, `\u%04x`, r)
		default:
			b.WriteString(s[i : i+n])
		}
		i += n
	}
	b.WriteByte('"')
}

// writeYAML writes v as YAML; a string that could be read as anything else is
// quoted as in JSON, which is YAML too.
func writeYAML(b *bytes.Buffer, v any, indent int) {
	pad := strings.Repeat(" ", indent)
	switch v := v.(type) {
	case Object:
		for i, m := range v {
			if i > 0 {
				b.WriteString(pad)
			}
			writeYAMLString(b, m.Name)
			b.WriteByte(':')
			writeYAMLValue(b, m.Value, indent)
		}
	case []any:
		for i, e := range v {
			if i > 0 {
				b.WriteString(pad)
			}
			b.WriteString("- ")
			if isEmpty(e) || !isCompound(e) {
				writeYAMLScalar(b, e)
				b.WriteByte('\n')
				continue
			}
			writeYAML(b, e, indent+2)
		}
	default:
		writeYAMLScalar(b, v)
		b.WriteByte('\n')
	}
}

func writeYAMLValue(b *bytes.Buffer, v any, indent int) {
	if isEmpty(v) || !isCompound(v) {
		b.WriteByte(' ')
		writeYAMLScalar(b, v)
		b.WriteByte('\n')
		return
	}
	b.WriteByte('\n')
	b.WriteString(strings.Repeat(" ", indent+2))
	writeYAML(b, v, indent+2)
}

func isCompound(v any) bool {
	switch v.(type) {
	case Object, []any:
		return true
	}
	return false
}

func isEmpty(v any) bool {
	switch v := v.(type) {
	case Object:
		return len(v) == 0
	case []any:
		return len(v) == 0
	}
	return false
}

func writeYAMLScalar(b *bytes.Buffer, v any) {
	switch v := v.(type) {
	case Object:
		b.WriteString("{}")
	case []any:
		b.WriteString("[]")
	case string:
		writeYAMLString(b, v)
	default:
		b.WriteString(scalar(v))
	}
}

func writeYAMLString(b *bytes.Buffer, s string) {
	if plainYAML(s) {
		b.WriteString(s)
		return
	}
	writeJSONString(b, s)
}

// plainYAML is careful rather than complete: letters first, and none of the
// words that mean something else to some reader.
func plainYAML(s string) bool {
	switch strings.ToLower(s) {
	case "", "true", "false", "null", "yes", "no", "on", "off", "y", "n", "inf", "nan":
		return false
	}
	for i, r := range s {
		letter := r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r == '_'
		switch {
		case letter:
		case i > 0 && (r >= '0' && r <= '9' || r == '-' || r == '.' || r == '/'):
		default:
			return false
		}
	}
	return true
}

// plain turns v into what encoding/json would have decoded, for gojq and
// templates.
func plain(v any) any {
	switch v := v.(type) {
	case Object:
		m := make(map[string]any, len(v))
		for _, e := range v {
			m[e.Name] = plain(e.Value)
		}
		return m
	case []any:
		list := make([]any, len(v))
		for i, e := range v {
			list[i] = plain(e)
		}
		return list
	case int64:
		return int(v)
	case uint64:
		if v > math.MaxInt {
			return json.Number(strconv.FormatUint(v, 10))
		}
		return int(v)
	}
	return v
}
