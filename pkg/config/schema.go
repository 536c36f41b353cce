package config

import (
	"encoding"
	"reflect"
	"strings"
	"time"
)

// A field is one row of the description of a file: a key and what it takes.
type field struct {
	key   string
	doc   string
	def   string
	enum  []string
	rules []rule
	index []int
	typ   reflect.Type
}

// A rule is one word of a check tag, such as min=1.
type rule struct{ name, arg string }

func (f field) has(name string) bool {
	_, ok := f.arg(name)
	return ok
}

func (f field) arg(name string) (string, bool) {
	for _, r := range f.rules {
		if r.name == name {
			return r.arg, true
		}
	}
	return "", false
}

var (
	whereType    = reflect.TypeFor[Where]()
	durationType = reflect.TypeFor[time.Duration]()
	optionsType  = reflect.TypeFor[Options]()
	scalarType   = reflect.TypeFor[scalar]()
	textType     = reflect.TypeFor[encoding.TextUnmarshaler]()
)

// fieldsOf reads the tags of a struct, in order.
func fieldsOf(t reflect.Type) []field {
	var out []field
	for _, sf := range reflect.VisibleFields(t) {
		key := sf.Tag.Get("yaml")
		if key == "" || key == "-" || !sf.IsExported() {
			continue
		}
		f := field{key: key, doc: sf.Tag.Get("doc"), def: sf.Tag.Get("default"), index: sf.Index, typ: sf.Type}
		if enum := sf.Tag.Get("enum"); enum != "" {
			f.enum = strings.Split(enum, "|")
		}
		for _, word := range strings.Split(sf.Tag.Get("check"), ",") {
			if word != "" {
				name, arg, _ := strings.Cut(word, "=")
				f.rules = append(f.rules, rule{name, arg})
			}
		}
		out = append(out, f)
	}
	return out
}

func keysOf(fields []field) []string {
	keys := make([]string, len(fields))
	for i, f := range fields {
		keys[i] = f.key
	}
	return keys
}

// isScalar reports whether a type is written as one word.
func isScalar(t reflect.Type) bool {
	return t == durationType || reflect.PointerTo(t).Implements(scalarType) || reflect.PointerTo(t).Implements(textType)
}

// element is the struct that a field holds, itself or in a list; nil for none.
func (f field) element() reflect.Type {
	t := f.typ
	for t.Kind() == reflect.Slice || t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if t.Kind() == reflect.Struct && t != optionsType && !isScalar(t) {
		return t
	}
	return nil
}

// takes names what a field takes, for messages and the reference.
func takes(t reflect.Type) string {
	switch {
	case t == durationType:
		return "a duration such as 15m"
	case t == reflect.TypeFor[Size]():
		return "a size such as 64MiB"
	case t == reflect.TypeFor[Address]():
		return "an address such as 127.0.0.1:8980"
	case t == reflect.TypeFor[Port]():
		return "a port such as 8980"
	case t == optionsType:
		return "a mapping"
	}
	switch t.Kind() {
	case reflect.String:
		return "text"
	case reflect.Bool:
		return "true or false"
	case reflect.Slice:
		return "a list"
	case reflect.Struct, reflect.Map, reflect.Pointer:
		return "a mapping"
	case reflect.Float32, reflect.Float64:
		return "a number"
	}
	return "a whole number"
}

// JSONSchema describes a kind of file (or a driver's options struct) as a JSON
// Schema, draft 2020-12.
func JSONSchema(title string, v any) map[string]any {
	s := schemaOf(reflect.Indirect(reflect.ValueOf(v)).Type())
	s["$schema"] = "https://json-schema.org/draft/2020-12/schema"
	s["title"] = title
	return s
}

func schemaOf(t reflect.Type) map[string]any {
	const quantity = `^[0-9]+(\.[0-9]+)?`
	switch {
	case t == durationType:
		return map[string]any{"type": "string", "pattern": `^([0-9]+(\.[0-9]+)?(w|d|h|m|s|ms|us|ns))+$`}
	case t == reflect.TypeFor[Size]():
		return map[string]any{"type": "string", "pattern": quantity + `(B|[KMGT]i?B)$`}
	case t == reflect.TypeFor[Port]():
		return map[string]any{"oneOf": []any{map[string]any{"type": "integer", "minimum": 1, "maximum": 65535}, map[string]any{"const": "auto"}}}
	case t == optionsType:
		return map[string]any{"type": "object"}
	}
	switch t.Kind() {
	case reflect.Bool:
		return map[string]any{"type": "boolean"}
	case reflect.String:
		return map[string]any{"type": "string"}
	case reflect.Float32, reflect.Float64:
		return map[string]any{"type": "number"}
	case reflect.Slice:
		return map[string]any{"type": "array", "items": schemaOf(t.Elem())}
	case reflect.Map:
		return map[string]any{"type": "object", "additionalProperties": schemaOf(t.Elem())}
	case reflect.Struct:
		return objectSchema(t)
	case reflect.Pointer:
		return schemaOf(t.Elem())
	}
	return map[string]any{"type": "integer"}
}

func objectSchema(t reflect.Type) map[string]any {
	properties, required := map[string]any{}, []string{}
	for _, f := range fieldsOf(t) {
		p := schemaOf(f.typ)
		p["description"] = f.doc
		target := p
		if items, ok := p["items"].(map[string]any); ok {
			target = items
		}
		if f.enum != nil {
			target["enum"] = f.enum
		}
		if f.has("name") {
			target["pattern"] = namePattern
		}
		if f.def != "" {
			p["default"] = f.def
		}
		if f.has("required") {
			required = append(required, f.key)
		}
		properties[f.key] = p
	}
	s := map[string]any{"type": "object", "additionalProperties": false, "properties": properties}
	if len(required) > 0 {
		s["required"] = required
	}
	return s
}
