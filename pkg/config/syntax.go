package config

import (
	"errors"
	"fmt"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/lexer"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"
)

// What a file may cost. All of it is checked before anything is built.
const (
	MaxFileBytes = 1 << 20 // of a configuration file
	MaxDepth     = 32      // of nested lists and mappings
	MaxAliases   = 100     // and as many anchors

	maxKeys    = 5_000   // of one mapping: the parser's time grows with their square
	maxNodes   = 100_000 // after aliases are put in place
	maxRepairs = 20      // lines set aside to find the next mistake
	roughDepth = 4 * MaxDepth
)

// parseYAML reads one document. It returns nil when nothing can be read at all;
// what is wrong stands in r either way.
func parseYAML(name string, data []byte) (*node, *report) {
	r, ok := readText(name, data, MaxFileBytes)
	if !ok {
		return nil, r
	}
	lines := untab(r.src, r)
	return parseLines(lines, 0, len(lines), r), r
}

// readText takes a file as text, if it is one.
func readText(name string, data []byte, most int) (*report, bool) {
	text := strings.TrimPrefix(string(data), "\ufeff")
	text = strings.ReplaceAll(text, "\r\n", "\n")
	src := newSource(name, text)
	r := &report{src: src}
	if len(data) > most {
		line := strings.Count(string(data[:most]), "\n") + 1
		r.add(src.pos(line, 1, ""), "", fault{message: fmt.Sprintf("the file is larger than %d MiB", most>>20), hint: "no configuration needs that much", doc: "files"})
		return r, false
	}
	if line, col, what := validText(text); what != "" {
		r.add(src.pos(line, col, "?"), "", fault{message: "the file holds " + what, hint: "save it as UTF-8 text", doc: "yaml"})
		return r, false
	}
	return r, true
}

// parseLines reads the document in lines[from:to] of a file. A line that breaks
// the syntax is reported and set aside, so that the mistakes after it are told
// as well.
func parseLines(lines []string, from, to int, r *report) *node {
	for range maxRepairs {
		file, broken := readDocument(strings.Join(lines[from:to], "\n"), from, r.src, r)
		if broken == 0 {
			return assemble(file, r.src, r)
		}
		r.partial = true
		if broken <= from || broken > to || lines[broken-1] == "" {
			return nil
		}
		lines[broken-1] = ""
	}
	return nil
}

// untab reports tabs in the indentation, and replaces them so that the rest can
// be read.
func untab(src *source, r *report) []string {
	lines := append([]string(nil), src.lines...)
	for i, line := range lines {
		text := strings.TrimLeft(line, " \t")
		indent := line[:len(line)-len(text)]
		at := strings.IndexByte(indent, '\t')
		if at < 0 || text == "" || text[0] == '#' {
			continue
		}
		pos := src.pos(i+1, at+1, "\t")
		r.add(pos, "", fault{message: "a tab in the indentation", hint: "indent with spaces", doc: "yaml"})
		if src.wider == nil {
			src.wider = map[int]int{}
		}
		src.wider[i+1] = strings.Count(indent, "\t")
		lines[i] = strings.ReplaceAll(indent, "\t", "  ") + text
		r.partial = true
	}
	return lines
}

// readDocument parses text, before which so many lines of the file stand. Of a
// syntax error it reports the problem and gives the line to set aside: 0 for
// none, -1 if setting aside would not help.
func readDocument(text string, above int, src *source, r *report) (file *ast.File, broken int) {
	defer func() { // the parser is not ours, and the text is not either
		if recover() != nil {
			r.add(src.pos(above+1, 1, ""), "", fault{message: "the file is not YAML that can be read", hint: "simplify it", doc: "yaml"})
			file, broken = nil, -1
		}
	}()
	tokens := lexer.Tokenize(text)
	lower(tokens, above)
	if !checkTokens(tokens, src, r) {
		return nil, -1
	}
	file, err := parser.Parse(tokens, parser.ParseComments, parser.AllowDuplicateMapKey())
	if err == nil {
		return file, 0
	}
	var e yaml.Error
	if !errors.As(err, &e) || e.GetToken() == nil {
		r.add(src.pos(above+1, 1, ""), "", fault{message: "the file is not YAML that can be read", doc: "yaml"})
		return nil, -1
	}
	pos, f := explain(e, tokens, src)
	f.doc = "yaml"
	r.add(pos, "", f)
	return nil, pos.Line
}

// lower moves tokens down by so many lines.
func lower(tokens token.Tokens, lines int) {
	if lines == 0 {
		return
	}
	moved := make(map[*token.Position]bool, len(tokens))
	for _, t := range tokens {
		if !moved[t.Position] {
			moved[t.Position] = true
			t.Position.Line += lines
		}
	}
}

// checkTokens refuses what is costly or not used here, before the parser
// recurses into it.
func checkTokens(tokens token.Tokens, src *source, r *report) bool {
	at := func(t *token.Token) Pos {
		return src.pos(t.Position.Line, t.Position.Column, strings.TrimSpace(t.Value))
	}
	var columns, keys []int // of the open blocks, and how many keys each has
	flow, chain, anchors, aliases := 0, 0, 0, 0
	ok := true
	refuse := func(t *token.Token, message, hint string) {
		r.add(at(t), "", fault{message: message, hint: hint, doc: "yaml"})
		ok = false
	}
	open := func(column int) {
		for len(columns) > 0 && columns[len(columns)-1] > column {
			columns, keys = columns[:len(columns)-1], keys[:len(keys)-1]
		}
		if len(columns) == 0 || columns[len(columns)-1] < column {
			columns, keys = append(columns, column), append(keys, 0)
		}
	}
	for i, t := range tokens {
		switch t.Type {
		case token.SequenceStartType, token.MappingStartType:
			flow, chain = flow+1, 0
		case token.SequenceEndType, token.MappingEndType:
			flow, chain = max(flow-1, 0), 0
		case token.CollectEntryType:
			chain = 0
		case token.SequenceEntryType:
			if flow == 0 {
				open(t.Position.Column)
			}
		case token.MappingValueType:
			if flow > 0 {
				chain++
			} else if i > 0 {
				open(tokens[i-1].Position.Column)
				if keys[len(keys)-1]++; keys[len(keys)-1] > maxKeys {
					refuse(tokens[i-1], fmt.Sprintf("a mapping has more than %d keys", maxKeys), "no configuration needs that many")
				}
			}
		case token.AnchorType:
			if anchors++; anchors == MaxAliases+1 {
				refuse(t, fmt.Sprintf("the file has more than %d anchors", MaxAliases), "write the values out")
			}
		case token.AliasType:
			if aliases++; aliases == MaxAliases+1 {
				refuse(t, fmt.Sprintf("the file has more than %d aliases", MaxAliases), "write the values out")
			}
		case token.TagType:
			refuse(t, "tags such as "+t.Value+" are not used here", "remove the tag")
		case token.MappingKeyType:
			refuse(t, "a key must be a plain word", "remove the question mark")
		case token.DirectiveType:
			if t.Position.Column == 1 {
				refuse(t, "directives are not used here", "remove the line")
			}
		}
		if flow+len(columns)+chain > roughDepth {
			refuse(t, fmt.Sprintf("the file is nested more than %d levels deep", MaxDepth), "flatten it")
		}
		if !ok {
			return false
		}
	}
	if len(tokens) > 3*maxNodes {
		refuse(tokens[3*maxNodes], fmt.Sprintf("the file holds more than %d values", maxNodes), "no configuration needs that many")
	}
	return ok
}

// assemble builds the tree of the one document and checks its size.
func assemble(file *ast.File, src *source, r *report) *node {
	var body ast.Node
	for _, doc := range file.Docs {
		if doc.Body == nil || doc.Body.Type() == ast.CommentType {
			continue
		}
		if body != nil {
			b := &builder{src: src}
			pos := b.at(doc.Body.GetToken())
			if doc.Start != nil {
				pos = b.at(doc.Start)
			}
			r.add(pos, "", fault{message: "the file holds more than one document", hint: "one file, one configuration: remove what follows the ---", doc: "yaml"})
			break
		}
		body = doc.Body
	}
	if body == nil {
		r.missing(src.pos(1, 1, ""), "", fault{message: "the file is empty", hint: "begin with: apiVersion: " + APIVersion, doc: "files"})
		return nil
	}
	b := &builder{src: src, report: r, anchors: map[string]*node{}, open: map[string]bool{}}
	root := b.build(body)
	if !root.pos.IsValid() { // an anchor of nothing
		root.pos = b.at(body.GetToken())
	}
	switch weight, depth := root.weigh(); {
	case depth > MaxDepth:
		r.add(root.deepest(MaxDepth), "", fault{message: fmt.Sprintf("the file is nested more than %d levels deep", MaxDepth), hint: "flatten it", doc: "yaml"})
		return nil
	case weight > maxNodes:
		r.add(root.pos, "", fault{message: fmt.Sprintf("the file holds more than %d values, aliases put in", maxNodes), hint: "no configuration needs that many", doc: "yaml"})
		return nil
	}
	return root
}

// explain says in plain words what the parser found, where a person would look
// for it.
func explain(e yaml.Error, tokens token.Tokens, src *source) (Pos, fault) {
	t := e.GetToken()
	line, col := t.Position.Line, t.Position.Column
	message := e.GetMessage()
	switch {
	case strings.Contains(message, "must be specified") || strings.Contains(message, "end token"):
		if t.Value == "{" && strings.HasSuffix(src.before(line, col), "$") {
			return src.pos(line, col-1, "${"), fault{message: "a variable inside brackets must be quoted", hint: `write it as "${NAME}"`}
		}
		if o := unclosed(tokens, t); o != nil && (o.Position.Line < line || o == t || closes(t) && t.Value != closing(o.Value)) {
			return src.pos(o.Position.Line, o.Position.Column, o.Value),
				fault{message: fmt.Sprintf("%q is never closed", o.Value), hint: fmt.Sprintf("add the closing %q", closing(o.Value))}
		}
		return src.pos(line, col, t.Value), fault{message: fmt.Sprintf("%q is not expected here", t.Value), hint: "a comma or a closing bracket is missing before it"}
	case strings.Contains(message, "could not find end character"):
		word, _, _ := strings.Cut(strings.TrimSpace(t.Origin), "\n")
		return src.pos(line, col, word), fault{message: "the quote is never closed", hint: "add the closing quote"}
	case strings.Contains(message, "reserved character"), strings.Contains(message, "directive"):
		word := strings.TrimSpace(t.Value)
		return src.pos(line, col, word), fault{message: fmt.Sprintf("a value cannot begin with %q", word), hint: "put the value in quotes"}
	case strings.Contains(message, "mapping value is not allowed"), strings.Contains(message, "value is not allowed"):
		return indentation(t, src)
	}
	return src.pos(line, col, strings.TrimSpace(t.Value)), fault{message: printable(message), hint: "see what stands before it, and its indentation"}
}

// indentation explains a key that stands where no key can stand. Where the key
// is indented deeper than its neighbours, the parser takes it for a further
// line of the value before it.
func indentation(t *token.Token, src *source) (Pos, fault) {
	line, col := t.Position.Line, t.Position.Column
	further := strings.Count(strings.TrimSpace(t.Origin), "\n")
	if further == 0 {
		text := src.text(line)
		if strings.TrimSpace(src.before(line, col)) != "" && strings.Contains(src.before(line, col), ": ") {
			return src.pos(line, col, firstWord(text[min(len(text), len(src.before(line, col))):])),
				fault{message: "a second key on the line", hint: "put the value in quotes, or the key on a line of its own"}
		}
		return src.pos(line, col, strings.TrimSpace(t.Value)), fault{message: fmt.Sprintf("wrong indent: %q lines up with nothing above it", strings.TrimSpace(t.Value)), hint: lineUp(src, line)}
	}
	line += further
	text := src.text(line)
	key := firstWord(strings.TrimLeft(text, " "))
	col = len(text) - len(strings.TrimLeft(text, " ")) + 1
	return src.pos(line, col, key), fault{message: fmt.Sprintf("wrong indent: %q stands deeper than the key above it", key), hint: lineUp(src, line)}
}

// lineUp says how far to indent a line: as the nearest line above that is
// indented less deeply or, if the line is the shallow one, as the one above it.
func lineUp(src *source, line int) string {
	own := keyColumn(src.text(line))
	for n := line - 1; n >= 1; n-- {
		text := src.text(n)
		if t := strings.TrimSpace(text); t == "" || t[0] == '#' {
			continue
		}
		if c := keyColumn(text); c != own {
			return fmt.Sprintf("indent it by %s, like line %d", plural(c, "space"), n)
		}
	}
	return "line it up with the keys beside it"
}

// keyColumn is how many columns stand before the first key of a line: a list
// item's key stands behind its dash.
func keyColumn(text string) int { return len(text) - len(strings.TrimLeft(text, " -")) }

func firstWord(s string) string {
	word, _, _ := strings.Cut(strings.TrimSpace(s), ":")
	return word
}

func closing(bracket string) string {
	if bracket == "{" {
		return "}"
	}
	return "]"
}

func closes(t *token.Token) bool {
	return t.Type == token.SequenceEndType || t.Type == token.MappingEndType
}

// unclosed finds the innermost bracket that is open at t.
func unclosed(tokens token.Tokens, t *token.Token) *token.Token {
	var open token.Tokens
	for _, o := range tokens {
		if o.Position.Offset > t.Position.Offset {
			break
		}
		switch o.Type {
		case token.SequenceStartType, token.MappingStartType:
			open = append(open, o)
		case token.SequenceEndType, token.MappingEndType:
			if len(open) > 0 && o != t {
				open = open[:len(open)-1]
			}
		}
	}
	if len(open) == 0 {
		return nil
	}
	return open[len(open)-1]
}

// text is line n as it is written.
func (s *source) text(n int) string {
	if n < 1 || n > len(s.lines) {
		return ""
	}
	return s.lines[n-1]
}

// before is what stands before a column.
func (s *source) before(line, col int) string {
	runes := []rune(s.text(line))
	return string(runes[:min(max(col-1, 0), len(runes))])
}
