package cli

import (
	"strconv"
	"strings"
	"time"

	"github.com/prism-data-layer/prism/pkg/iostreams"
)

// APIVersion stands on every object that is printed for programs.
const APIVersion = "prism/v1"

// A Type says how a field is shown to people and to programs.
type Type string

// The types. What a program gets stands behind each.
const (
	TypeText   Type = "string"
	TypeState  Type = "state"   // string; a glyph and a colour on a terminal
	TypeInt    Type = "integer" // raw
	TypeNumber Type = "number"  // raw
	TypeBool   Type = "boolean"
	TypeTime   Type = "time"   // RFC 3339 in UTC, or null; relative in tables
	TypeNanos  Type = "nanos"  // RFC 3339 in UTC, to the nanosecond, in tables too
	TypeMillis Type = "millis" // integer; the name ends in _ms
	TypeMicros Type = "micros" // integer; the name ends in _us
	TypeBytes  Type = "bytes"  // integer; the name ends in _bytes
	TypeList   Type = "list"   // array of strings
	TypeObject Type = "object" // Object, array of Objects, or null
)

// A Column is a field without its getter: what a printer needs to know.
type Column struct {
	Name   string // in JSON
	Header string // in a table; "": only in JSON and describe
	Wide   bool   // only in -o wide
	Type   Type
	Doc    string

	// Part is the object that this is a member of: tables and CSV have its
	// members as columns, all other formats have the object.
	Part string
	// Decimals, if not 0, is how many a number has in tables.
	Decimals int
}

// A Field is one fact about a T: the only place from which tables, JSON and
// all other formats are made, so that no table shows what JSON does not have.
type Field[T any] struct {
	Column
	get func(T) any
}

// A Kind describes a T to the printers. The first field is its name.
type Kind[T any] struct {
	Name   string // "Namespace"
	Fields []Field[T]
}

// A KindInfo is a Kind without its T, for schemas.
type KindInfo struct {
	Name    string
	Columns []Column
}

// Info is the kind without its getters.
func (k Kind[T]) Info() KindInfo {
	info := KindInfo{Name: k.Name, Columns: make([]Column, len(k.Fields))}
	for i, f := range k.Fields {
		info.Columns[i] = f.Column
	}
	return info
}

// Object is v as programs get it.
func (k Kind[T]) Object(v T) Object {
	return objectOf(k.Info(), k.cells(v))
}

func (k Kind[T]) cells(v T) []any {
	cells := make([]any, len(k.Fields))
	k.fill(cells, v)
	return cells
}

func (k Kind[T]) fill(cells []any, v T) {
	for i := range k.Fields {
		cells[i] = k.Fields[i].get(v)
	}
}

func objectOf(info KindInfo, cells []any) Object {
	o := make(Object, 0, len(cells)+2)
	o = append(o, Member{"apiVersion", APIVersion}, Member{"kind", info.Name})
	for i, c := range info.Columns {
		if c.Part == "" {
			o = append(o, Member{c.Name, machine(c.Type, cells[i])})
		}
	}
	return o
}

// OnlyWide keeps the field out of the ordinary table.
func (f Field[T]) OnlyWide() Field[T] {
	f.Wide = true
	return f
}

// PartOf makes the field a column for a member of an object, another field.
func (f Field[T]) PartOf(object string) Field[T] {
	f.Part = object
	return f
}

// WithDecimals gives a number n decimals in tables, so that points stand below
// each other.
func (f Field[T]) WithDecimals(n int) Field[T] {
	f.Decimals = n
	return f
}

// InTables shows a Nested in tables too: an Object as its members, a=1 b=2.
func (f Field[T]) InTables(header string) Field[T] {
	f.Header = header
	return f
}

// Text is a string.
func Text[T any](name, header, doc string, get func(T) string) Field[T] {
	return Field[T]{Column{Name: name, Header: header, Type: TypeText, Doc: doc}, func(v T) any { return get(v) }}
}

// State is a word with a good, a doubtful and a bad meaning.
func State[T any](name, header, doc string, get func(T) string) Field[T] {
	return Field[T]{Column{Name: name, Header: header, Type: TypeState, Doc: doc}, func(v T) any { return get(v) }}
}

// Int is a whole number.
func Int[T any](name, header, doc string, get func(T) int64) Field[T] {
	return Field[T]{Column{Name: name, Header: header, Type: TypeInt, Doc: doc}, func(v T) any { return get(v) }}
}

// Uint is a whole number that may be larger than an int64, such as a version.
func Uint[T any](name, header, doc string, get func(T) uint64) Field[T] {
	return Field[T]{Column{Name: name, Header: header, Type: TypeInt, Doc: doc}, func(v T) any { return get(v) }}
}

// Number is a number with a fraction.
func Number[T any](name, header, doc string, get func(T) float64) Field[T] {
	return Field[T]{Column{Name: name, Header: header, Type: TypeNumber, Doc: doc}, func(v T) any { return get(v) }}
}

// Bool is yes or no.
func Bool[T any](name, header, doc string, get func(T) bool) Field[T] {
	return Field[T]{Column{Name: name, Header: header, Type: TypeBool, Doc: doc}, func(v T) any { return get(v) }}
}

// Time is a moment in milliseconds since 1970; 0 is none.
func Time[T any](name, header, doc string, getMs func(T) int64) Field[T] {
	return Field[T]{Column{Name: name, Header: header, Type: TypeTime, Doc: doc}, func(v T) any {
		if ms := getMs(v); ms != 0 {
			return ms
		}
		return nil
	}}
}

// Nanos is a moment in nanoseconds since 1970, shown as it is: events come
// closer together than people's words for time.
func Nanos[T any](name, header, doc string, get func(T) int64) Field[T] {
	return Field[T]{Column{Name: name, Header: header, Type: TypeNanos, Doc: doc}, func(v T) any { return get(v) }}
}

// Millis is a length of time in milliseconds; the name must end in _ms.
func Millis[T any](name, header, doc string, get func(T) int64) Field[T] {
	return Field[T]{Column{Name: name, Header: header, Type: TypeMillis, Doc: doc}, func(v T) any { return get(v) }}
}

// Micros is a length of time in microseconds; the name must end in _us.
func Micros[T any](name, header, doc string, get func(T) int64) Field[T] {
	return Field[T]{Column{Name: name, Header: header, Type: TypeMicros, Doc: doc}, func(v T) any { return get(v) }}
}

// Bytes is a size; the name must end in _bytes.
func Bytes[T any](name, header, doc string, get func(T) int64) Field[T] {
	return Field[T]{Column{Name: name, Header: header, Type: TypeBytes, Doc: doc}, func(v T) any { return get(v) }}
}

// Words is a list of words.
func Words[T any](name, header, doc string, get func(T) []string) Field[T] {
	return Field[T]{Column{Name: name, Header: header, Type: TypeList, Doc: doc}, func(v T) any { return get(v) }}
}

// Nested is an Object, a []any of them, or nil. It is not in tables.
func Nested[T any](name, doc string, get func(T) any) Field[T] {
	return Field[T]{Column{Name: name, Type: TypeObject, Doc: doc}, get}
}

// Optional makes a field null where has says that there is nothing.
func (f Field[T]) Optional(has func(T) bool) Field[T] {
	get := f.get
	f.get = func(v T) any {
		if !has(v) {
			return nil
		}
		return get(v)
	}
	return f
}

// machine is a cell as programs get it.
func machine(t Type, v any) any {
	switch v := v.(type) {
	case nil:
		return nil
	case []string:
		list := make([]any, len(v))
		for i, s := range v {
			list[i] = s
		}
		return list
	case int64:
		switch t {
		case TypeTime:
			return time.UnixMilli(v).UTC().Format("2006-01-02T15:04:05.000Z07:00")
		case TypeNanos:
			return time.Unix(0, v).UTC().Format(time.RFC3339Nano)
		}
	}
	return v
}

// A style is how cells are shown to people.
type style struct {
	now     time.Time
	times   string // one of timeFormats
	palette iostreams.Palette
	symbols iostreams.Symbols
	glyphs  bool // states carry a glyph
}

// human is a cell as people get it, without colour. It is one line, and safe
// to show.
func (st style) human(t Type, v any) string {
	switch v := v.(type) {
	case nil:
		return "-"
	case string:
		switch {
		case v == "":
			return "-"
		case t == TypeState && st.glyphs:
			return st.glyph(v) + " " + iostreams.Escape(v)
		}
		return iostreams.Escape(v)
	case []string:
		if len(v) == 0 {
			return "-"
		}
		return iostreams.Escape(strings.Join(v, ","))
	case bool:
		if v {
			return "yes"
		}
		return "no"
	case int64:
		switch t {
		case TypeTime:
			return st.time(time.UnixMilli(v))
		case TypeNanos:
			return flat(machine(t, v))
		case TypeMillis:
			return Duration(time.Duration(v) * time.Millisecond)
		case TypeMicros:
			return Duration(time.Duration(v) * time.Microsecond)
		case TypeBytes:
			return Size(v)
		}
	case Object:
		return members(v)
	case []any:
		return "{…}"
	}
	return scalar(v)
}

// members is an object on one line: a=1 b=2.
func members(o Object) string {
	if len(o) == 0 {
		return "-"
	}
	parts := make([]string, len(o))
	for i, m := range o {
		parts[i] = m.Name + "=" + flat(m.Value)
	}
	return iostreams.Escape(strings.Join(parts, " "))
}

// cell is what a table shows of a column.
func (st style) cell(c Column, v any) string {
	if f, ok := v.(float64); ok && c.Decimals > 0 {
		return strconv.FormatFloat(f, 'f', c.Decimals, 64)
	}
	return st.human(c.Type, v)
}

func (st style) time(t time.Time) string {
	switch st.times {
	case TimesUTC:
		return t.UTC().Format(time.RFC3339)
	case TimesLocal:
		return t.Local().Format(time.RFC3339)
	case TimesUnix:
		return strconv.FormatInt(t.Unix(), 10)
	}
	return Relative(t, st.now)
}

// tones are the words of states by what they mean.
func tone(word string) int {
	switch strings.ToLower(word) {
	case "active", "healthy", "running", "ok", "allowed", "ready", "done", "good", "passed", "set", "created", "closed":
		return 1
	case "degraded", "draining", "provisioning", "expiring", "pending", "unknown", "read_only", "starting", "warning", "expire", "half-open", "refuses_writes", "refuses_all":
		return 0
	case "unhealthy", "failed", "denied", "deleting", "deleted", "revoked", "expired", "stopped", "stopping", "terminating", "bad", "delete", "open":
		return -1
	}
	return 2
}

func (st style) glyph(word string) string {
	switch tone(word) {
	case 1:
		return st.symbols.Good
	case 0:
		return st.symbols.Warn
	case -1:
		return st.symbols.Bad
	}
	return st.symbols.Dot
}

func (st style) paint(t Type, word any, text string) string {
	w, ok := word.(string)
	if t != TypeState || !ok {
		return text
	}
	switch tone(w) {
	case 1:
		return st.palette.Good(text)
	case 0:
		return st.palette.Warn(text)
	case -1:
		return st.palette.Bad(text)
	}
	return text
}
