package config

import (
	"encoding"
	"fmt"
	"math"
	"reflect"
	"slices"
	"strconv"
	"strings"
)

// A decoder fills structs from nodes by their tags, and reports all that does
// not fit.
type decoder struct {
	*report
	lookup func(string) (string, bool)
	checks checks
}

// A checker is a struct with rules that one tag cannot say. Its fields are
// filled, and their defaults are set, when check is called.
type checker interface {
	check(c *checks)
}

// checks is what a checker may use.
type checks struct {
	report *report
	opts   Load
}

// problem reports a problem with a field of the struct whose Where is w.
func (c *checks) problem(w Where, field string, f fault) {
	c.report.add(w.At(field), join(w.path, field), f)
}

// missing reports a problem that the absence of something else makes.
func (c *checks) missing(w Where, field string, f fault) {
	if !c.report.partial {
		c.problem(w, field, f)
	}
}

// A slot is where a value goes: the field's row, its path in the file, and the
// struct that remembers its place.
type slot struct {
	field field
	path  string // from the root
	where *Where // of the struct around
	key   string // the field's name in where
}

func (s slot) child(suffix string) slot {
	s.path, s.key = join(s.path, suffix), s.key+suffix
	return s
}

func (d *decoder) structure(n *node, v reflect.Value, path string) {
	fields := fieldsOf(v.Type())
	where := d.place(n, v, path)
	seen, misspelt := map[string]Pos{}, map[string]bool{}
	for _, e := range n.merged().entries {
		if first, twice := seen[e.key]; twice {
			d.duplicate(e, first, path)
			continue
		}
		seen[e.key] = e.pos
		i := slices.IndexFunc(fields, func(f field) bool { return f.key == e.key })
		if i < 0 {
			misspelt[d.unknownKey(e, fields, path)] = true
			continue
		}
		f := fields[i]
		place := e.pos
		if e.value.kind < kindSequence && e.value.kind != kindNull {
			place = e.value.pos
		}
		where.set(f.key, place, "")
		d.value(e.value, v.FieldByIndex(f.index), slot{field: f, path: join(path, f.key), where: where, key: f.key})
	}
	d.absent(n, v, fields, seen, misspelt, path)
	if c, ok := v.Addr().Interface().(checker); ok {
		c.check(&d.checks)
	}
}

// place records where v stands, if v wants to know.
func (d *decoder) place(n *node, v reflect.Value, path string) *Where {
	w := &Where{}
	if f := v.FieldByName("Where"); f.IsValid() && f.Type() == whereType {
		w = f.Addr().Interface().(*Where)
	}
	*w = Where{src: d.src, pos: n.pos, path: path}
	return w
}

// absent sets the defaults of what is not written, and misses what must be.
func (d *decoder) absent(n *node, v reflect.Value, fields []field, seen map[string]Pos, misspelt map[string]bool, path string) {
	for _, f := range fields {
		if _, written := seen[f.key]; written {
			continue
		}
		fv := v.FieldByIndex(f.index)
		switch {
		case misspelt[f.key] && f.has("required"):
		case f.has("required"):
			d.missing(n.pos, join(path, f.key), fault{message: fmt.Sprintf("missing key %q%s", f.key, in(path)), hint: fmt.Sprintf("add %q: %s", f.key, f.example())})
		case f.def != "":
			d.text(f.def, fv, f)
		case f.typ.Kind() == reflect.Struct && f.element() != nil:
			d.structure(&node{kind: kindMapping, pos: n.pos}, fv, join(path, f.key))
		}
	}
}

func (f field) example() string {
	switch {
	case f.has("example"):
		arg, _ := f.arg("example")
		return arg
	case f.enum != nil:
		return "one of " + strings.Join(f.enum, ", ")
	}
	return takes(f.typ)
}

func (d *decoder) duplicate(e entry, first Pos, path string) {
	d.add(e.pos, join(path, e.key), fault{message: fmt.Sprintf("duplicate key %q%s", e.key, in(path)), hint: fmt.Sprintf("it is on line %d already: remove one", first.Line), doc: "yaml"})
}

func (d *decoder) unknownKey(e entry, fields []field, path string) (meant string) {
	f := fault{message: fmt.Sprintf("unknown key %q%s", e.key, in(path))}
	meant = Nearest(e.key, keysOf(fields))
	if f.suggestion = meant; meant == "" { // perhaps it is only in the wrong place
		for _, p := range fields {
			if t := p.element(); t != nil && slices.Contains(keysOf(fieldsOf(t)), e.key) {
				f.suggestion = p.key + "." + e.key
				break
			}
		}
	}
	if f.suggestion == "" {
		f.hint = "known are: " + strings.Join(keysOf(fields), ", ")
	}
	if path == "" {
		f.doc = "files"
	}
	d.add(e.pos, join(path, e.key), f)
	return meant
}

func in(path string) string {
	if path == "" {
		return ""
	}
	return " in " + path
}

// value decodes one value of any type.
func (d *decoder) value(n *node, v reflect.Value, s slot) {
	t := v.Type()
	switch {
	case n.bad:
	case t == optionsType:
		d.options(n, v, s)
	case isScalar(t):
		d.scalar(n, v, s)
	case t.Kind() == reflect.Struct:
		if d.want(n, kindMapping, s) {
			d.structure(n, v, s.path)
		}
	case t.Kind() == reflect.Pointer: // a struct that may be left out
		if d.want(n, kindMapping, s) {
			v.Set(reflect.New(t.Elem()))
			d.structure(n, v.Elem(), s.path)
		}
	case t.Kind() == reflect.Slice:
		d.list(n, v, s)
	case t.Kind() == reflect.Map:
		d.mapping(n, v, s)
	default:
		d.scalar(n, v, s)
	}
}

// want reports a value of the wrong kind. Nothing stands for an empty
// collection: its entries may be commented out.
func (d *decoder) want(n *node, k kind, s slot) bool {
	if n.kind == k || n.kind == kindNull {
		return true
	}
	f := fault{message: fmt.Sprintf("%s takes %s, not %s", s.path, k, n.kind)}
	if s.field.key == "command" {
		f.hint = `write the program and its arguments as a list: no shell reads it`
	} else if k == kindSequence {
		f.hint = "begin each entry with a dash"
	} else {
		f.hint = "write its keys below it, indented"
	}
	d.add(n.pos, s.path, f)
	return false
}

func (d *decoder) list(n *node, v reflect.Value, s slot) {
	if !d.want(n, kindSequence, s) {
		return
	}
	out := reflect.MakeSlice(v.Type(), len(n.items), len(n.items))
	for i, item := range n.items {
		c := s.child("[" + strconv.Itoa(i) + "]")
		s.where.set(c.key, item.pos, "")
		if item.kind == kindNull && !item.bad {
			d.add(item.pos, c.path, fault{message: fmt.Sprintf("%s is empty", c.path), hint: "remove the entry, or fill it in"})
			continue
		}
		d.value(item, out.Index(i), c)
	}
	v.Set(out)
}

func (d *decoder) mapping(n *node, v reflect.Value, s slot) {
	if !d.want(n, kindMapping, s) {
		return
	}
	out := reflect.MakeMapWithSize(v.Type(), len(n.entries))
	seen := map[string]Pos{}
	for _, e := range n.merged().entries {
		if first, twice := seen[e.key]; twice {
			d.duplicate(e, first, s.path)
			continue
		}
		seen[e.key] = e.pos
		c := s.child("." + e.key)
		s.where.set(c.key, e.value.pos, "")
		if namesSecret(e.key) && !s.field.has("nosecret") {
			d.secret(e, c.path)
		}
		item := reflect.New(v.Type().Elem()).Elem()
		d.value(e.value, item, c)
		out.SetMapIndex(reflect.ValueOf(e.key), item)
	}
	v.Set(out)
}

// scalar decodes a value of one word.
func (d *decoder) scalar(n *node, v reflect.Value, s slot) {
	switch {
	case n.kind == kindNull:
		d.add(n.pos, s.path, fault{message: fmt.Sprintf("%s has no value", s.path), hint: "write " + s.field.example() + ", or remove the key"})
		return
	case n.kind >= kindSequence:
		d.add(n.pos, s.path, fault{message: fmt.Sprintf("%s takes %s, not %s", s.path, takes(v.Type()), n.kind), hint: "write one value behind the colon"})
		return
	}
	text, expanded := n.text, false
	if n.kind == kindText {
		var f *fault
		if text, f = expand(n.text, d.lookup); f != nil {
			d.add(n.pos, s.path, *f)
			return
		}
		if expanded = text != n.text; expanded {
			s.where.set(s.key, n.pos, n.text)
		}
	}
	if f := d.mistyped(n, v, s.field, expanded); f != nil {
		d.add(n.pos, s.path, *f)
		return
	}
	f := d.text(text, v, s.field)
	if f == nil {
		return
	}
	if expanded { // the value may be a secret: show what is written
		f = &fault{message: fmt.Sprintf("what %s stands for is not %s", n.text, takes(v.Type())), hint: f.hint, doc: f.doc}
	}
	d.add(n.pos, s.path, *f)
}

// mistyped refuses what YAML takes for another type than the field has.
func (d *decoder) mistyped(n *node, v reflect.Value, f field, expanded bool) *fault {
	t := v.Type()
	switch k := t.Kind(); {
	case isScalar(t), f.enum != nil, expanded:
		return nil
	case k == reflect.String && n.kind != kindText:
		return &fault{message: fmt.Sprintf("%s takes text, and %s is %s", f.key, n.text, n.kind), suggestion: strconv.Quote(n.text), hint: "put it in quotes"}
	case k != reflect.String && !n.plain:
		return &fault{message: fmt.Sprintf("%s takes %s, not text", f.key, takes(t)), suggestion: n.text, hint: "remove the quotes"}
	}
	return nil
}

// text reads one word into v. The fault names the word.
func (d *decoder) text(text string, v reflect.Value, f field) *fault {
	t := v.Type()
	switch {
	case t == durationType:
		return d.duration(text, v, f)
	case reflect.PointerTo(t).Implements(scalarType):
		if t == reflect.TypeFor[Size]() && strings.HasSuffix(f.key, "_bytes") && isDigits(text) {
			text += "B" // the key says the unit
		}
		if fault := v.Addr().Interface().(scalar).parse(text); fault != nil {
			return fault
		}
		if size, ok := v.Addr().Interface().(*Size); ok {
			return ranged(f, int64(*size), readSize, text)
		}
		return nil
	case reflect.PointerTo(t).Implements(textType): // a driver's own type
		if err := v.Addr().Interface().(encoding.TextUnmarshaler).UnmarshalText([]byte(text)); err != nil {
			return &fault{message: err.Error()}
		}
		return nil
	}
	switch t.Kind() {
	case reflect.String:
		return d.word(text, v, f)
	case reflect.Bool:
		if text != "true" && text != "false" {
			return &fault{message: fmt.Sprintf("%q is neither true nor false", text), suggestion: nearestBool(text), hint: "write true or false"}
		}
		v.SetBool(text == "true")
	case reflect.Float32, reflect.Float64:
		n, err := strconv.ParseFloat(text, 64)
		if err != nil || math.IsNaN(n) || math.IsInf(n, 0) {
			return &fault{message: fmt.Sprintf("%q is not a number", text), hint: "write digits, such as 0.5"}
		}
		v.SetFloat(n)
	default:
		return d.integer(text, v, f)
	}
	return nil
}

func (d *decoder) duration(text string, v reflect.Value, f field) *fault {
	n, bad := parseDuration(text)
	if bad != nil {
		return bad
	}
	v.Set(reflect.ValueOf(n))
	return ranged(f, int64(n), readDuration, text)
}

func ranged(f field, n int64, read func(string) (int64, bool), text string) *fault {
	bad := checkRange(f, n, read)
	if bad != nil {
		bad.message = fmt.Sprintf("%s is %s: it %s", f.key, text, bad.message)
	}
	return bad
}

func (d *decoder) word(text string, v reflect.Value, f field) *fault {
	v.SetString(text)
	if f.enum != nil && !slices.Contains(f.enum, text) {
		return &fault{
			message:    fmt.Sprintf("%s is %q: it is one of %s", f.key, text, strings.Join(f.enum, ", ")),
			suggestion: Nearest(text, f.enum), hint: "write one of " + strings.Join(f.enum, ", "),
		}
	}
	for _, r := range f.rules {
		if judge := rules[r.name]; judge != nil {
			if bad := judge(text); bad != nil {
				return bad
			}
		}
	}
	return nil
}

func (d *decoder) integer(text string, v reflect.Value, f field) *fault {
	if v.CanUint() {
		return unsigned(text, v, f)
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || v.OverflowInt(n) {
		return notWhole(text)
	}
	v.SetInt(n)
	return ranged(f, n, readInt, text)
}

func unsigned(text string, v reflect.Value, f field) *fault {
	n, err := strconv.ParseUint(text, 10, 64)
	if digits, negative := strings.CutPrefix(text, "-"); negative && isDigits(digits) {
		return &fault{message: fmt.Sprintf("%s is %s: it cannot be less than 0", f.key, text), hint: "write digits only"}
	}
	if err != nil || v.OverflowUint(n) {
		return notWhole(text)
	}
	v.SetUint(n)
	return ranged(f, int64(min(n, math.MaxInt64)), readInt, text) //nolint:gosec // it fits; bounds are no larger
}

func notWhole(text string) *fault {
	bad := &fault{message: fmt.Sprintf("%q is not a whole number", text), hint: "write digits only"}
	if plain := strings.NewReplacer("_", "", ",", "").Replace(text); plain != text && isDigits(plain) {
		bad.suggestion = plain
	}
	return bad
}

func nearestBool(text string) string {
	switch strings.ToLower(text) {
	case "yes", "y", "on", "1", "enabled", "true":
		return "true"
	case "no", "n", "off", "0", "disabled", "false":
		return "false"
	}
	return Nearest(text, []string{"true", "false"})
}
