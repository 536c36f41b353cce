package cli

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"

	"github.com/itchyny/gojq"
)

// A JSON path is what kubectl users know: text with {expressions} in it, where
// {range X}…{end} repeats and {"\n"} is text. An expression is turned into jq:
//
//	{.name}  {[*].name}  {[0]['name']}  {..name}  {[?(@.state=="active")].name}
type jsonPath []pathPart

type pathPart struct {
	text string     // printed as it is
	code *gojq.Code // or the results of this, joined by spaces
	body jsonPath   // of a range
	loop bool
}

func parseJSONPath(s string) (jsonPath, error) {
	if !strings.Contains(s, "{") {
		s = "{" + s + "}"
	}
	p, rest, ended, err := parsePathParts(s, false)
	if err != nil {
		return nil, err
	}
	if ended || rest != "" {
		return nil, fmt.Errorf("{end} without {range}")
	}
	return p, nil
}

func parsePathParts(s string, inRange bool) (p jsonPath, rest string, ended bool, err error) {
	for s != "" {
		open := strings.IndexByte(s, '{')
		if open < 0 {
			return append(p, pathPart{text: s}), "", false, checkEnd(inRange)
		}
		if open > 0 {
			p = append(p, pathPart{text: s[:open]})
		}
		inside, after, err := cutBraces(s[open+1:])
		if err != nil {
			return nil, "", false, err
		}
		s = after
		inside = strings.TrimSpace(inside)
		switch {
		case inside == "end":
			return p, s, true, nil
		case strings.HasPrefix(inside, "range "):
			code, err := compilePath(strings.TrimSpace(inside[len("range "):]))
			if err != nil {
				return nil, "", false, err
			}
			body, after, ended, err := parsePathParts(s, true)
			if err != nil {
				return nil, "", false, err
			}
			if !ended {
				return nil, "", false, checkEnd(true)
			}
			p, s = append(p, pathPart{code: code, body: body, loop: true}), after
		case strings.HasPrefix(inside, `"`):
			text, err := strconv.Unquote(inside)
			if err != nil {
				return nil, "", false, fmt.Errorf("%s is not a quoted text", inside)
			}
			p = append(p, pathPart{text: text})
		default:
			code, err := compilePath(inside)
			if err != nil {
				return nil, "", false, err
			}
			p = append(p, pathPart{code: code})
		}
	}
	return p, "", false, checkEnd(inRange)
}

func checkEnd(inRange bool) error {
	if inRange {
		return fmt.Errorf("{range} without {end}")
	}
	return nil
}

// cutBraces finds the closing brace outside of quotes.
func cutBraces(s string) (inside, after string, err error) {
	var quote byte
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case quote != 0 && c == '\\':
			i++
		case quote != 0:
			if c == quote {
				quote = 0
			}
		case c == '"' || c == '\'':
			quote = c
		case c == '}':
			return s[:i], s[i+1:], nil
		}
	}
	return "", "", fmt.Errorf("a { is not closed")
}

func compilePath(path string) (*gojq.Code, error) {
	q, err := pathToJQ(path)
	if err != nil {
		return nil, err
	}
	return compileJQ(q)
}

// pathToJQ translates one expression.
func pathToJQ(path string) (string, error) {
	s := strings.TrimPrefix(strings.TrimPrefix(path, "$"), "@")
	var steps []string
	for s != "" {
		switch {
		case strings.HasPrefix(s, ".."):
			name, rest := cutName(s[2:])
			if name == "" {
				return "", fmt.Errorf("%q: a name must follow ..", path)
			}
			steps, s = append(steps, fmt.Sprintf(".. | objects | select(has(%s)) | .[%s]", strconv.Quote(name), strconv.Quote(name))), rest
		case s[0] == '.':
			name, rest := cutName(s[1:])
			switch {
			case name == "*":
				steps = append(steps, ".[]?")
			case name != "":
				steps = append(steps, ".["+strconv.Quote(name)+"]?")
			case rest != "" && rest[0] != '[':
				return "", fmt.Errorf("%q: a name must follow the dot", path)
			}
			s = rest
		case s[0] == '[':
			end := matching(s)
			if end < 0 {
				return "", fmt.Errorf("%q: a [ is not closed", path)
			}
			step, err := bracket(s[1:end])
			if err != nil {
				return "", err
			}
			steps, s = append(steps, step), s[end+1:]
		default:
			name, rest := cutName(s)
			if name == "" || len(steps) > 0 {
				return "", fmt.Errorf("%q is not a path", path)
			}
			steps, s = append(steps, ".["+strconv.Quote(name)+"]?"), rest
		}
	}
	if len(steps) == 0 {
		return ".", nil
	}
	return strings.Join(steps, " | "), nil
}

func cutName(s string) (name, rest string) {
	i := strings.IndexAny(s, ".[ ")
	if i < 0 {
		return s, ""
	}
	return s[:i], s[i:]
}

func matching(s string) int {
	depth := 0
	var quote byte
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case quote != 0:
			if c == quote {
				quote = 0
			}
		case c == '"' || c == '\'':
			quote = c
		case c == '[':
			depth++
		case c == ']':
			if depth--; depth == 0 {
				return i
			}
		}
	}
	return -1
}

func bracket(in string) (string, error) {
	in = strings.TrimSpace(in)
	switch {
	case in == "*":
		return ".[]?", nil
	case strings.HasPrefix(in, "?(") && strings.HasSuffix(in, ")"):
		test := strings.ReplaceAll(in[2:len(in)-1], "@.", ".")
		test = strings.ReplaceAll(test, "'", `"`)
		return ".[]? | select(" + test + ")", nil
	case len(in) >= 2 && (in[0] == '\'' || in[0] == '"') && in[len(in)-1] == in[0]:
		return ".[" + strconv.Quote(in[1:len(in)-1]) + "]?", nil
	}
	from, to, slice := strings.Cut(in, ":")
	for _, n := range []string{from, to} {
		if _, err := strconv.Atoi(n); err != nil && n != "" {
			return "", fmt.Errorf("[%s] is not an index", in)
		}
	}
	if slice {
		if from == "" {
			from = "0"
		}
		return ".[" + from + ":" + to + "] | .[]", nil
	}
	if from == "" {
		return "", fmt.Errorf("[] needs an index")
	}
	return ".[" + from + "]?", nil
}

func (o *Output) renderJSONPath(b *bytes.Buffer, v any) error {
	p, err := parseJSONPath(o.expr)
	if err != nil {
		return err
	}
	if err := o.renderPath(b, p, plain(v)); err != nil {
		return expressionFailed(err)
	}
	if n := b.Len(); n > 0 && b.Bytes()[n-1] != '\n' {
		b.WriteByte('\n')
	}
	return nil
}

func (o *Output) renderPath(b *bytes.Buffer, p jsonPath, v any) error {
	for _, part := range p {
		if part.code == nil {
			b.WriteString(part.text)
			continue
		}
		n := 0
		var inner error
		err := each(part.code, v, func(r any) {
			if part.loop {
				if inner == nil {
					inner = o.renderPath(b, part.body, r)
				}
				return
			}
			if r == nil {
				return
			}
			if n++; n > 1 {
				b.WriteByte(' ')
			}
			b.WriteString(o.text(r))
		})
		if err == nil {
			err = inner
		}
		if err != nil {
			return err
		}
	}
	return nil
}
