package config

import (
	"fmt"
	"net/url"
	"reflect"
	"slices"
	"strconv"
	"strings"
)

// Options are a driver's settings as they stand in the file: only their syntax,
// their variables and their secrets have been looked at. The zero Options is
// empty.
type Options struct {
	n      *node
	src    *source
	path   string
	lookup func(string) (string, bool)
}

// IsZero reports whether nothing is set.
func (o Options) IsZero() bool { return o.n == nil || len(o.n.entries) == 0 }

// Pos is where the options stand.
func (o Options) Pos() Pos {
	if o.n == nil {
		return Pos{}
	}
	return o.n.pos
}

// Decode fills dst, a pointer to a struct with this package's tags, and sets
// the defaults of what is not there. The error is an [*Error] with every
// problem in the file's own words: unknown keys, wrong types, wrong units.
func (o Options) Decode(dst any) error {
	v := reflect.ValueOf(dst)
	if v.Kind() != reflect.Pointer || v.Elem().Kind() != reflect.Struct {
		return fmt.Errorf("config: options decode into a pointer to a struct, not %T", dst)
	}
	n := o.n
	if n == nil {
		n = &node{kind: kindMapping}
	}
	d := &decoder{report: &report{src: o.src}, lookup: o.lookup}
	d.checks = checks{report: d.report}
	d.structure(n, v.Elem(), o.path)
	return d.err()
}

// Map gives the options as plain values, variables put in.
func (o Options) Map() map[string]any {
	if o.n == nil {
		return map[string]any{}
	}
	m, _ := o.n.plainValue(o.lookup).(map[string]any)
	return m
}

// Keys lists the keys in order.
func (o Options) Keys() []string {
	if o.n == nil {
		return nil
	}
	var keys []string
	for _, e := range o.n.merged().entries {
		keys = append(keys, e.key)
	}
	return keys
}

// Written gives each option as one line of YAML, as it was written: a variable
// stands by its name, so nothing secret is shown. Options that mean the same
// are written the same.
func (o Options) Written() map[string]string {
	if o.IsZero() {
		return nil
	}
	m := map[string]string{}
	for _, e := range o.n.merged().entries {
		m[e.key] = e.value.inline()
	}
	return m
}

// inline is a node on one line.
func (n *node) inline() string {
	switch n.kind {
	case kindNull:
		return "null"
	case kindText:
		return quote(n.text)
	case kindSequence:
		words := make([]string, len(n.items))
		for i, c := range n.items {
			words[i] = c.inline()
		}
		return "[" + strings.Join(words, ", ") + "]"
	case kindMapping:
		var words []string
		for _, e := range n.merged().entries {
			words = append(words, quote(e.key)+": "+e.value.inline())
		}
		return "{" + strings.Join(words, ", ") + "}"
	}
	return n.text
}

// Problem makes a problem with one option; see [Where.Problem].
func (o Options) Problem(key, suggest, format string, args ...any) Problem {
	pos := o.Pos()
	if c := o.n.get(key); c != nil {
		pos = c.pos
	}
	return newProblem(o.src, pos, join(o.path, key), fault{message: fmt.Sprintf(format, args...), suggestion: suggest})
}

func (n *node) plainValue(lookup func(string) (string, bool)) any {
	switch n.kind {
	case kindNull:
		return nil
	case kindMapping:
		m := map[string]any{}
		for _, e := range n.merged().entries {
			m[e.key] = e.value.plainValue(lookup)
		}
		return m
	case kindSequence:
		s := make([]any, len(n.items))
		for i, c := range n.items {
			s[i] = c.plainValue(lookup)
		}
		return s
	case kindBool:
		return strings.EqualFold(n.text, "true")
	case kindInteger:
		if i, err := strconv.ParseInt(n.text, 10, 64); err == nil {
			return i
		}
	case kindFloat:
		if f, err := strconv.ParseFloat(n.text, 64); err == nil {
			return f
		}
	}
	text, f := expand(n.text, lookup)
	if f != nil {
		return n.text
	}
	return text
}

// options keeps the raw node, after a look at what is everyone's business.
func (d *decoder) options(n *node, v reflect.Value, s slot) {
	if !d.want(n, kindMapping, s) {
		return
	}
	d.inspect(n, s.path, map[*node]bool{})
	if n.kind == kindMapping {
		v.Set(reflect.ValueOf(Options{n: n, src: d.src, path: s.path, lookup: d.lookup}))
	}
}

// inspect reports duplicate keys, variables that are not set, and secrets.
func (d *decoder) inspect(n *node, path string, seen map[*node]bool) {
	if seen[n] {
		return
	}
	seen[n] = true
	first := map[string]Pos{}
	for _, e := range n.entries {
		p := join(path, e.key)
		if at, twice := first[e.key]; twice && e.key != mergeKey {
			d.duplicate(e, at, path)
		}
		first[e.key] = e.pos
		if namesSecret(e.key) && d.secret(e, p) {
			continue
		}
		d.inspect(e.value, p, seen)
	}
	for i, c := range n.items {
		d.inspect(c, path+"["+strconv.Itoa(i)+"]", seen)
	}
	if n.kind != kindText {
		return
	}
	if _, f := expand(n.text, d.lookup); f != nil {
		d.add(n.pos, path, *f)
	}
	if password := urlPassword.FindStringSubmatch(n.text); password != nil && !strings.HasPrefix(password[2], "${") {
		pos := n.pos
		pos.word = "…" // never the word itself
		d.add(pos, path, fault{message: "a password is written in a URL", hint: "write it as ${NAME} and set NAME in the environment", doc: "secrets"})
	}
}

// secret reports a secret that is written down instead of named by a variable.
func (d *decoder) secret(e entry, path string) bool {
	v := e.value
	if v.kind == kindSequence && slices.ContainsFunc(v.items, func(c *node) bool { return c.literal() }) || v.literal() {
		name := strings.ToUpper(nearestVariable(e.key))
		d.add(e.pos, path, fault{message: fmt.Sprintf("the secret %q is written in the file", e.key), suggestion: e.key + ": ${" + name + "}", doc: "secrets"})
		return true
	}
	return false
}

// literal reports whether a scalar says something of its own.
func (n *node) literal() bool {
	if n.kind == kindNull || n.kind >= kindSequence || n.text == "" {
		return false
	}
	if n.kind != kindText {
		return n.kind != kindBool
	}
	_, rest, ok := strings.Cut(n.text, "${")
	return !ok || !strings.Contains(rest, "}") || strings.Contains(n.text, "$${")
}

func nearestVariable(key string) string {
	return strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '_' {
			return r
		}
		return '_'
	}, url.PathEscape(key))
}

// WrittenOptions reads options as [Options.Written] writes them.
func WrittenOptions(written map[string]string) (Options, error) {
	if len(written) == 0 {
		return Options{}, nil
	}
	var b strings.Builder
	for _, key := range sortedKeys(written) {
		b.WriteString(quote(key) + ": " + written[key] + "\n")
	}
	root, r := parseYAML("options", []byte(b.String()))
	return Options{n: root, src: r.src}, r.err()
}
