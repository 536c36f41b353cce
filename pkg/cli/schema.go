package cli

import "bytes"

// Schema is the JSON schema of a kind's objects.
func Schema(k KindInfo) []byte {
	properties := Object{
		{"apiVersion", Object{{"const", APIVersion}}},
		{"kind", Object{{"const", k.Name}}},
	}
	required := []any{"apiVersion", "kind"}
	for _, c := range k.Columns {
		properties = append(properties, Member{c.Name, fieldSchema(c)})
		required = append(required, c.Name)
	}
	var b bytes.Buffer
	writeJSON(&b, Object{
		{"$schema", "https://json-schema.org/draft/2020-12/schema"},
		{"$id", APIVersion + "/" + k.Name},
		{"title", k.Name},
		{"type", "object"},
		{"properties", properties},
		{"required", required},
		{"additionalProperties", false},
	}, "", "  ")
	b.WriteByte('\n')
	return b.Bytes()
}

func fieldSchema(c Column) Object {
	o := Object{{"description", c.Doc}}
	nullable := func(t string) Member { return Member{"type", []any{t, "null"}} }
	switch c.Type {
	case TypeText, TypeState:
		return append(o, nullable("string"))
	case TypeTime, TypeNanos:
		return append(o, nullable("string"), Member{"format", "date-time"})
	case TypeInt, TypeMillis, TypeMicros, TypeBytes:
		return append(o, nullable("integer"))
	case TypeNumber:
		return append(o, nullable("number"))
	case TypeBool:
		return append(o, nullable("boolean"))
	case TypeList:
		return append(o, Member{"type", "array"}, Member{"items", Object{{"type", "string"}}})
	}
	return append(o, Member{"type", []any{"object", "array", "null"}})
}
