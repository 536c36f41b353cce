package cli

import (
	"bytes"
	"encoding/csv"
	"io"
	"slices"
	"strings"
)

// csvWriter writes every field of a kind, raw, with JSON names on top. An object
// whose members are columns is left out.
type csvWriter struct {
	w      *csv.Writer
	safe   func(string) string
	fields []string
}

func newCSV(w io.Writer, safe func(string) string) *csvWriter {
	return &csvWriter{w: csv.NewWriter(w), safe: safe}
}

func (c *csvWriter) header(cols []Column) {
	names := make([]string, 0, len(cols))
	for _, col := range cols {
		if !inParts(cols, col) {
			names = append(names, c.safe(col.Name))
		}
	}
	_ = c.w.Write(names)
}

func (c *csvWriter) row(cols []Column, cells []any) error {
	row := c.fields[:0]
	for i, v := range cells {
		if !inParts(cols, cols[i]) {
			row = append(row, c.safe(flat(machine(cols[i].Type, v))))
		}
	}
	c.fields = row
	return c.w.Write(row)
}

func (c *csvWriter) flush() error {
	c.w.Flush()
	return c.w.Error()
}

// inParts reports whether c is an object whose members are columns of cols.
func inParts(cols []Column, c Column) bool {
	return c.Type == TypeObject && slices.ContainsFunc(cols, func(other Column) bool { return other.Part == c.Name })
}

// flat is a machine value as one field of text.
func flat(v any) string {
	switch v := v.(type) {
	case nil:
		return ""
	case string:
		return v
	case []any:
		parts := make([]string, len(v))
		for i, e := range v {
			parts[i] = flat(e)
		}
		return strings.Join(parts, " ")
	case Object:
		var b bytes.Buffer
		writeJSON(&b, v, "", "")
		return b.String()
	}
	return scalar(v)
}
