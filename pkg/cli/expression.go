package cli

import (
	"bytes"
	"fmt"
	"strings"
	"text/template"

	"github.com/itchyny/gojq"

	"github.com/prism-data-layer/prism/pkg/iostreams"
)

// checkExpression compiles what the user wrote, so that a slip is told before
// the gateway is asked.
func (o *Output) checkExpression() error {
	var err error
	switch {
	case o.jq != "":
		_, err = compileJQ(o.jq)
	case o.format == FormatJSONPath:
		_, err = parseJSONPath(o.expr)
	case o.format == FormatTemplate:
		_, err = template.New("output").Parse(o.expr)
	case o.format == FormatColumns:
		_, err = parseColumns(o.expr)
	}
	if err != nil {
		return Usage("prismctl help formatting", "the output expression is not valid: %v", err)
	}
	return nil
}

func compileJQ(expr string) (*gojq.Code, error) {
	q, err := gojq.Parse(expr)
	if err != nil {
		return nil, err
	}
	return gojq.Compile(q)
}

// each runs a compiled expression and gives every result to f.
func each(code *gojq.Code, v any, f func(any)) error {
	iter := code.Run(plain(v))
	for {
		r, ok := iter.Next()
		if !ok {
			return nil
		}
		if err, bad := r.(error); bad {
			return fmt.Errorf("the expression failed: %w", err)
		}
		f(r)
	}
}

// renderJQ prints each result on a line: strings raw, everything else as JSON.
func (o *Output) renderJQ(b *bytes.Buffer, v any) error {
	code, err := compileJQ(o.jq)
	if err != nil {
		return err
	}
	return expressionFailed(each(code, v, func(r any) {
		b.WriteString(o.text(r))
		b.WriteByte('\n')
	}))
}

func expressionFailed(err error) error {
	if err == nil {
		return nil
	}
	return Usage("prismctl help formatting", "%v", err)
}

// text is a result of an expression: raw for strings, JSON for the rest.
func (o *Output) text(v any) string {
	if s, ok := v.(string); ok {
		if o.IO.IsTTY(iostreams.Out) {
			return iostreams.EscapeLines(s)
		}
		return s
	}
	data, err := gojq.Marshal(v)
	if err != nil {
		return fmt.Sprint(v)
	}
	return string(data)
}

func (o *Output) renderTemplate(b *bytes.Buffer, v any) error {
	t, err := template.New("output").Parse(o.expr)
	if err != nil {
		return err
	}
	var text bytes.Buffer
	if err := t.Execute(&text, plain(v)); err != nil {
		return expressionFailed(err)
	}
	if o.IO.IsTTY(iostreams.Out) {
		b.WriteString(iostreams.EscapeLines(text.String()))
	} else {
		text.WriteTo(b)
	}
	return nil
}

// A customColumn is one of -o custom-columns=HEADER:.path,….
type customColumn struct {
	header string
	code   *gojq.Code
}

func parseColumns(expr string) ([]customColumn, error) {
	var cols []customColumn
	for _, part := range strings.Split(expr, ",") {
		header, path, ok := strings.Cut(part, ":")
		if !ok || header == "" || path == "" {
			return nil, fmt.Errorf("%q is not HEADER:.path", part)
		}
		if !strings.HasPrefix(path, ".") {
			path = "." + path
		}
		code, err := compileJQ(path)
		if err != nil {
			return nil, err
		}
		cols = append(cols, customColumn{header, code})
	}
	return cols, nil
}

func (o *Output) renderColumns(b *bytes.Buffer, v any) error {
	cols, err := parseColumns(o.expr)
	if err != nil {
		return err
	}
	list, ok := v.([]any)
	if !ok {
		list = []any{v}
	}
	heads := make([]Column, len(cols))
	for i, c := range cols {
		heads[i] = Column{Header: c.header, Type: TypeText}
	}
	t := newTable(heads, !o.noHeaders)
	for _, item := range list {
		row := make([]cell, len(cols))
		for i, c := range cols {
			var parts []string
			err := each(c.code, item, func(r any) {
				if r == nil {
					r = "<none>"
				}
				parts = append(parts, o.text(r))
			})
			if err != nil {
				return expressionFailed(err)
			}
			row[i] = cell{text: iostreams.Escape(strings.Join(parts, ","))}
		}
		t.add(row)
	}
	var text strings.Builder
	t.flush(&text, o.IO.Width(), o.IO.Symbols().Ellipsis, o.IO.Palette(iostreams.Out))
	b.WriteString(text.String())
	return nil
}
