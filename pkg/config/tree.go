package config

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/token"
)

// The kinds of node. What a plain scalar is follows YAML 1.2's core schema.
type kind uint8

const (
	kindNull kind = iota
	kindText
	kindInteger
	kindFloat
	kindBool
	kindSequence
	kindMapping
)

var kindNames = [...]string{"nothing", "text", "a number", "a number", "true or false", "a list", "a mapping"}

func (k kind) String() string { return kindNames[k] }

// A node is a value with its place: the YAML of a file without anchors,
// aliases, tags and comments. Aliases make it a graph without cycles, whose
// size as a tree is bounded (see weigh).
type node struct {
	kind    kind
	pos     Pos
	last    int    // its last line
	text    string // of a scalar
	plain   bool   // a scalar without quotes
	flow    bool   // a collection in brackets
	bad     bool   // reported already: nothing more is to be said of it
	entries []entry
	items   []*node

	weight, depth int // memo of weigh
}

type entry struct {
	key   string
	pos   Pos
	value *node
}

func (n *node) get(key string) *node {
	if n == nil {
		return nil
	}
	for _, e := range n.entries {
		if e.key == key {
			return e.value
		}
	}
	return nil
}

// builder turns the parser's tree into nodes.
type builder struct {
	src     *source
	report  *report
	anchors map[string]*node
	open    map[string]bool // anchors whose value is being built
}

func (b *builder) problem(pos Pos, f fault) *node {
	f.doc = "yaml"
	b.report.add(pos, "", f)
	return &node{pos: pos, last: pos.Line, bad: true}
}

// at is the place of a token, with the first line of what is written there.
func (b *builder) at(t *token.Token) Pos {
	word, _, _ := strings.Cut(strings.TrimSpace(t.Origin), "\n")
	if word == "" {
		word = t.Value
	}
	return b.src.pos(t.Position.Line, t.Position.Column, strings.TrimSpace(word))
}

func (b *builder) build(n ast.Node) *node {
	switch n := n.(type) {
	case nil:
		return &node{}
	case *ast.MappingNode:
		m := &node{kind: kindMapping, flow: n.IsFlowStyle, pos: b.at(n.Start), last: n.Start.Position.Line}
		for _, v := range n.Values {
			b.entry(m, v)
		}
		if n.End != nil {
			m.last = max(m.last, n.End.Position.Line)
		}
		return m.startAtFirstKey()
	case *ast.MappingValueNode:
		m := &node{kind: kindMapping, flow: n.IsFlowStyle, pos: b.at(n.Start), last: n.Start.Position.Line}
		b.entry(m, n)
		return m.startAtFirstKey()
	case *ast.SequenceNode:
		s := &node{kind: kindSequence, flow: n.IsFlowStyle, pos: b.at(n.Start), last: n.Start.Position.Line}
		for _, v := range n.Values {
			item := b.build(v)
			if !item.pos.IsValid() {
				item.pos = s.pos
			}
			s.items = append(s.items, item)
			s.last = max(s.last, item.last)
		}
		if n.End != nil {
			s.last = max(s.last, n.End.Position.Line)
		}
		return s
	case *ast.AnchorNode:
		return b.anchor(n)
	case *ast.AliasNode:
		return b.alias(n)
	case *ast.LiteralNode:
		pos := b.at(n.Start)
		return &node{kind: kindText, pos: pos, text: n.Value.Value, last: pos.Line + strings.Count(n.Value.GetToken().Origin, "\n")}
	case *ast.NullNode:
		pos := b.at(n.Token)
		if n.Token.Type == token.ImplicitNullType {
			pos.word = ""
		}
		return &node{pos: pos, last: pos.Line, text: n.Token.Value, plain: true}
	case *ast.StringNode:
		return b.scalar(kindText, n.Token, n.Value)
	case *ast.IntegerNode:
		return b.scalar(kindInteger, n.Token, n.Token.Value)
	case *ast.FloatNode:
		return b.scalar(kindFloat, n.Token, n.Token.Value)
	case *ast.InfinityNode:
		return b.scalar(kindFloat, n.Token, n.Token.Value)
	case *ast.NanNode:
		return b.scalar(kindFloat, n.Token, n.Token.Value)
	case *ast.BoolNode:
		return b.scalar(kindBool, n.Token, n.Token.Value)
	case *ast.CommentGroupNode:
		return &node{}
	}
	pos := b.at(n.GetToken())
	return b.problem(pos, fault{message: fmt.Sprintf("%s is not used in configuration files", strings.ToLower(n.Type().String()))})
}

func (n *node) startAtFirstKey() *node {
	if len(n.entries) > 0 && !n.flow {
		n.pos = n.entries[0].pos
	}
	return n
}

func (b *builder) scalar(k kind, t *token.Token, text string) *node {
	pos := b.at(t)
	plain := t.Type != token.SingleQuoteType && t.Type != token.DoubleQuoteType
	return &node{kind: k, pos: pos, text: text, plain: plain, last: pos.Line + strings.Count(strings.TrimSpace(t.Origin), "\n")}
}

func (b *builder) entry(m *node, v *ast.MappingValueNode) {
	value := b.build(v.Value)
	if !value.pos.IsValid() {
		value.pos = b.at(v.Start)
		value.pos.word = ""
		value.last = value.pos.Line
	}
	m.last = max(m.last, value.last)
	if _, merge := v.Key.(*ast.MergeKeyNode); merge {
		if value.kind != kindMapping {
			b.problem(value.pos, fault{message: "<<: takes an alias of a mapping"})
			return
		}
		m.entries = append(m.entries, entry{key: mergeKey, pos: b.at(v.Key.GetToken()), value: value})
		return
	}
	t := v.Key.GetToken()
	switch v.Key.(type) {
	case *ast.StringNode, *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode, *ast.NullNode, *ast.InfinityNode, *ast.NanNode:
		m.entries = append(m.entries, entry{key: t.Value, pos: b.at(t), value: value})
	default:
		b.problem(b.at(t), fault{message: "a key must be a plain word"})
	}
}

// mergeKey marks an entry whose mapping fills in what its neighbours leave out.
// No written key can be equal to it: control characters are refused.
const mergeKey = "\x00merge"

// merged resolves the merge entries of a mapping, once all are known.
func (n *node) merged() *node {
	written := make(map[string]bool, len(n.entries))
	merge := false
	for _, e := range n.entries {
		written[e.key] = true
		merge = merge || e.key == mergeKey
	}
	if !merge {
		return n
	}
	out := *n
	out.entries = nil
	for _, e := range n.entries {
		if e.key != mergeKey {
			out.entries = append(out.entries, e)
			continue
		}
		for _, f := range e.value.merged().entries {
			if !written[f.key] {
				written[f.key] = true
				out.entries = append(out.entries, f)
			}
		}
	}
	return &out
}

func (b *builder) anchor(n *ast.AnchorNode) *node {
	name := n.Name.GetToken().Value
	b.open[name] = true
	value := b.build(n.Value)
	delete(b.open, name)
	b.anchors[name] = value
	return value
}

func (b *builder) alias(n *ast.AliasNode) *node {
	t := n.Value.GetToken()
	pos, name := b.at(t), t.Value
	if b.open[name] {
		return b.problem(pos, fault{message: fmt.Sprintf("the alias *%s stands inside what it means", name), hint: "an anchor cannot hold itself"})
	}
	value, ok := b.anchors[name]
	if !ok {
		names := make([]string, 0, len(b.anchors))
		for a := range b.anchors {
			names = append(names, a)
		}
		return b.problem(pos, fault{message: fmt.Sprintf("there is no anchor &%s before this alias", name), suggestion: Nearest(name, names)})
	}
	used := *value
	used.last = pos.Line // it may be used far from where it is written
	return &used
}

// weigh counts the nodes of n as a tree, and how deep they stand, without
// visiting a shared node twice.
func (n *node) weigh() (weight, depth int) {
	if n.weight > 0 {
		return n.weight, n.depth
	}
	w, d := 1, 0
	visit := func(c *node) {
		cw, cd := c.weigh()
		w, d = min(w+cw, maxNodes+1), max(d, cd)
	}
	for _, e := range n.entries {
		visit(e.value)
	}
	for _, c := range n.items {
		visit(c)
	}
	if n.kind >= kindSequence {
		d++
	}
	n.weight, n.depth = w, d
	return w, d
}

// deepest finds where the nesting passes the limit.
func (n *node) deepest(limit int) Pos {
	if n.kind >= kindSequence {
		limit--
	}
	if limit < 0 {
		return n.pos
	}
	for _, e := range n.entries {
		if _, d := e.value.weigh(); d > limit {
			return e.value.deepest(limit)
		}
	}
	for _, c := range n.items {
		if _, d := c.weigh(); d > limit {
			return c.deepest(limit)
		}
	}
	return n.pos
}

func validText(s string) (line, col int, what string) {
	line, col = 1, 1
	for len(s) > 0 {
		r, size := utf8.DecodeRuneInString(s)
		switch {
		case r == utf8.RuneError && size == 1:
			return line, col, "bytes that are not UTF-8"
		case r == '\n':
			line, col = line+1, 0
		case r != '\t' && (r < 0x20 || r == 0x7F || r >= 0x80 && r < 0xA0 && r != 0x85):
			return line, col, fmt.Sprintf("the control character U+%04X", r)
		}
		s, col = s[size:], col+1
	}
	return 0, 0, ""
}
