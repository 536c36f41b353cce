package config

import (
	"bytes"
	"encoding/json"
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
)

// Marshal writes a file of any kind with all that is in force, defaults too.
// Parsing the result gives the same values; variables stay as they are written,
// so no secret is shown.
func Marshal(v any) []byte {
	return (&writer{}).document(v)
}

// MarshalOrigins is Marshal with a comment on each value that says where it
// comes from: FILE:LINE:COL, or default.
func MarshalOrigins(v any) []byte {
	return (&writer{origins: true}).document(v)
}

type writer struct {
	buf     bytes.Buffer
	origins bool
	sparse  bool // no defaults
}

func (w *writer) document(v any) []byte {
	w.fields(reflect.Indirect(reflect.ValueOf(v)), 0, "")
	return w.buf.Bytes()
}

// fields writes a struct; first stands before its first line, for list items.
func (w *writer) fields(v reflect.Value, indent int, first string) {
	where := whereOf(v)
	lead := func() string {
		s := first
		if s == "" {
			s = strings.Repeat(" ", indent)
		}
		first = ""
		return s
	}
	for _, f := range fieldsOf(v.Type()) {
		fv := v.FieldByIndex(f.index)
		if skip(fv, f) || w.sparse && isDefault(fv, f) {
			continue
		}
		prefix := lead() + f.key + ":"
		w.value(prefix, fv, f.key, indent, where)
	}
	if first != "" {
		w.line(first+"{}", "")
	}
}

// skip leaves out what says nothing: an absent optional value.
func skip(v reflect.Value, f field) bool {
	switch {
	case v.Type() == optionsType:
		return v.Interface().(Options).IsZero()
	case f.def != "":
		return v.Kind() == reflect.String && v.Len() == 0 && !isScalar(v.Type())
	case isScalar(v.Type()):
		return v.IsZero()
	case v.Kind() == reflect.Struct:
		for _, c := range fieldsOf(v.Type()) {
			if !skip(v.FieldByIndex(c.index), c) {
				return false
			}
		}
		return true
	case v.Kind() == reflect.Slice, v.Kind() == reflect.Map:
		return v.Len() == 0
	}
	return v.IsZero()
}

// isDefault reports whether a value is what its absence means.
func isDefault(v reflect.Value, f field) bool {
	switch {
	case f.def != "":
		return scalarText(v, "") == f.def
	case v.Kind() == reflect.Struct && v.Type() != optionsType && !isScalar(v.Type()):
		for _, c := range fieldsOf(v.Type()) {
			if cv := v.FieldByIndex(c.index); !skip(cv, c) && !isDefault(cv, c) {
				return false
			}
		}
		return true
	}
	return false
}

func whereOf(v reflect.Value) Where {
	if f := v.FieldByName("Where"); f.IsValid() && f.Type() == whereType {
		return f.Interface().(Where)
	}
	return Where{}
}

func (w *writer) value(prefix string, v reflect.Value, key string, indent int, where Where) {
	t := v.Type()
	switch {
	case t == optionsType:
		w.line(prefix, "")
		w.node(v.Interface().(Options).n, indent+2, "")
	case isScalar(t) || t.Kind() != reflect.Struct && t.Kind() != reflect.Slice && t.Kind() != reflect.Map:
		w.line(prefix+" "+scalarText(v, where.at[key].raw), w.origin(where, key))
	case t.Kind() == reflect.Struct:
		w.line(prefix, "")
		w.fields(v, indent+2, "")
	case t.Kind() == reflect.Map:
		w.line(prefix, "")
		keys := v.MapKeys()
		slices.SortFunc(keys, func(a, b reflect.Value) int { return strings.Compare(a.String(), b.String()) })
		for _, k := range keys {
			w.value(strings.Repeat(" ", indent+2)+quote(k.String())+":", v.MapIndex(k), key+"."+k.String(), indent+2, where)
		}
	default:
		w.list(prefix, v, key, indent, where)
	}
}

func (w *writer) list(prefix string, v reflect.Value, key string, indent int, where Where) {
	if e := v.Type().Elem(); e.Kind() == reflect.Struct {
		w.line(prefix, "")
		for i := range v.Len() {
			w.fields(v.Index(i), indent+4, strings.Repeat(" ", indent+2)+"- ")
		}
		return
	}
	words := make([]string, v.Len())
	for i := range words {
		words[i] = scalarText(v.Index(i), where.at[fmt.Sprintf("%s[%d]", key, i)].raw)
	}
	w.line(prefix+" ["+strings.Join(words, ", ")+"]", w.origin(where, key))
}

func (w *writer) origin(where Where, key string) string {
	switch {
	case !w.origins:
		return ""
	case where.Declared(key):
		return where.At(key).String()
	}
	return "default"
}

func (w *writer) line(text, origin string) {
	w.buf.WriteString(text)
	if origin != "" {
		w.buf.WriteString("  # " + printable(origin))
	}
	w.buf.WriteByte('\n')
}

// node writes a raw value as it was read; first is as in fields.
func (w *writer) node(n *node, indent int, first string) {
	pad := strings.Repeat(" ", indent)
	lead := func() string {
		s := first
		if s == "" {
			s = pad
		}
		first = ""
		return s
	}
	for _, e := range n.merged().entries {
		w.child(lead()+quote(e.key)+":", e.value, indent+2)
	}
	for _, c := range n.items {
		switch {
		case c.kind == kindMapping && len(c.entries) > 0:
			w.node(c, indent+2, lead()+"- ")
		default:
			w.child(lead()+"-", c, indent+2)
		}
	}
}

func (w *writer) child(prefix string, n *node, indent int) {
	switch {
	case n.kind == kindNull:
		w.line(prefix+" null", "")
	case n.kind == kindMapping && len(n.entries) == 0:
		w.line(prefix+" {}", "")
	case n.kind == kindSequence && len(n.items) == 0:
		w.line(prefix+" []", "")
	case n.kind >= kindSequence:
		w.line(prefix, "")
		w.node(n, indent, "")
	case n.kind == kindText:
		w.line(prefix+" "+quote(n.text), "")
	default:
		w.line(prefix+" "+n.text, "")
	}
}

// scalarText writes one word; raw is what was written where variables were put
// in.
func scalarText(v reflect.Value, raw string) string {
	if raw != "" {
		return quote(raw)
	}
	if v.Type() == durationType {
		return FormatDuration(v.Interface().(time.Duration))
	}
	switch s := v.Interface().(type) {
	case Port:
		return s.String()
	case fmt.Stringer:
		return quote(s.String())
	}
	switch v.Kind() {
	case reflect.String:
		return quote(unexpand(v.String()))
	case reflect.Bool:
		return strconv.FormatBool(v.Bool())
	case reflect.Float32, reflect.Float64:
		return strconv.FormatFloat(v.Float(), 'g', -1, 64)
	}
	if v.CanUint() {
		return strconv.FormatUint(v.Uint(), 10)
	}
	return strconv.FormatInt(v.Int(), 10)
}

var (
	plainText    = regexp.MustCompile(`^([A-Za-z_./][A-Za-z0-9_./-]*|[0-9]+(\.[0-9]+)?[A-Za-z][A-Za-z0-9]*)$`)
	reservedText = regexp.MustCompile(`(?i)^(true|false|null|yes|no|on|y|n|\.inf|\.nan|[0-9]+e[0-9]+|0[xob][0-9a-f]*|\.[0-9].*)$`)
)

// quote writes a text as one YAML word, in quotes unless it is plainly plain.
func quote(s string) string {
	if plainText.MatchString(s) && !reservedText.MatchString(s) {
		return s
	}
	var b bytes.Buffer
	e := json.NewEncoder(&b) // a JSON string is a YAML string
	e.SetEscapeHTML(false)
	_ = e.Encode(s) // a string always encodes
	return escapeHidden(strings.TrimSuffix(b.String(), "\n"))
}

// escapeHidden escapes what JSON lets stand and a file may not hold, or nobody
// could see.
func escapeHidden(s string) string {
	if strings.IndexFunc(s, hiddenRune) < 0 {
		return s
	}
	var b strings.Builder
	for _, r := range s {
		switch {
		case !hiddenRune(r):
			b.WriteRune(r)
		case r > 0xffff:
			fmt.Fprintf(&b, `\U%08x`, r)
		default:
			fmt.Fprintf(&b, `\u%04x`, r)
		}
	}
	return b.String()
}

func hiddenRune(r rune) bool {
	return unicode.IsControl(r) || unicode.In(r, unicode.Cf, unicode.Zl, unicode.Zp) || r == 0xfffe || r == 0xffff
}
