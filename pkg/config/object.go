package config

import (
	"cmp"
	"fmt"
	"reflect"
	"slices"
	"strings"
)

// The kinds of document that prismctl apply takes.
const (
	KindNamespace = "Namespace"
	KindBackend   = "Backend"
)

var objectKinds = []string{KindBackend, KindNamespace}

// MaxObjectsBytes is how large a file of objects may be: an export of many
// namespaces is one.
const MaxObjectsBytes = 16 << 20

// An Object is one document of a file: a namespace or a backend, in the words of
// the gateway's file.
type Object struct {
	Kind      string
	Namespace *Namespace // of KindNamespace
	Backend   *Backend   // of KindBackend
}

// Name is its name.
func (o Object) Name() string {
	if o.Namespace != nil {
		return o.Namespace.Name
	}
	return o.Backend.Name
}

// Where is where it stands.
func (o Object) Where() Where {
	if o.Namespace != nil {
		return o.Namespace.Where
	}
	return o.Backend.Where
}

// What a document begins with, for schemas and the reference.
type (
	namespaceObject struct {
		APIVersion string `yaml:"apiVersion" check:"required,example=prism/v1" doc:"The version of the file's form: prism/v1."`
		Kind       string `yaml:"kind" check:"required" enum:"Namespace" doc:"Namespace."`
		Namespace
	}
	backendObject struct {
		APIVersion string `yaml:"apiVersion" check:"required,example=prism/v1" doc:"The version of the file's form: prism/v1."`
		Kind       string `yaml:"kind" check:"required" enum:"Backend" doc:"Backend."`
		Backend
	}
)

// ParseObjects reads a file of any number of documents, divided by lines of ---,
// each a namespace or a backend. The error is an [*Error] with every problem of
// every document.
func ParseObjects(name string, data []byte, opts Load) ([]Object, error) {
	opts = opts.complete()
	all, ok := readText(name, data, MaxObjectsBytes)
	if !ok {
		return nil, all.err()
	}
	lines := untab(all.src, all)
	var list []Object
	for _, part := range documents(lines) {
		r := &report{src: all.src, partial: all.partial}
		if root := parseLines(lines, part.from, part.to, r); root != nil {
			if o, ok := decodeObject(root, r, opts); ok {
				list = append(list, o)
			}
		}
		for _, p := range r.problems {
			all.keep(p)
		}
		all.more += r.more
	}
	if len(list) == 0 && len(all.problems) == 0 {
		all.add(all.src.pos(1, 1, ""), "", fault{message: "the file is empty", hint: "begin with: apiVersion: " + APIVersion, doc: "files"})
	}
	return list, all.err()
}

type part struct{ from, to int }

// documents finds the lines of each document that says anything.
func documents(lines []string) (parts []part) {
	from, says := 0, false
	end := func(to int) {
		if says {
			parts = append(parts, part{from, to})
		}
		from, says = to, false
	}
	for i, line := range lines {
		text := strings.TrimSpace(line)
		switch {
		case line == "---" || strings.HasPrefix(line, "--- "):
			end(i)
			rest := strings.TrimSpace(strings.TrimPrefix(line, "---"))
			says = rest != "" && rest[0] != '#'
		case strings.TrimRight(line, " ") == "...":
			end(i)
			from = i + 1
		case text != "" && text[0] != '#':
			says = true
		}
	}
	end(len(lines))
	return parts
}

func decodeObject(root *node, r *report, opts Load) (o Object, ok bool) {
	if root.kind != kindMapping {
		r.add(root.pos, "", fault{message: fmt.Sprintf("the document holds %s, not keys and values", root.kind), hint: "begin with: apiVersion: " + APIVersion, doc: "files"})
		return o, false
	}
	d := &decoder{report: r, lookup: opts.Lookup, checks: checks{report: r, opts: opts}}
	if o.Kind, ok = d.objectKind(root); !ok {
		return o, false
	}
	body := *root.merged()
	body.entries = slices.DeleteFunc(slices.Clone(body.entries), func(e entry) bool { return e.key == "apiVersion" || e.key == "kind" })
	switch o.Kind {
	case KindNamespace:
		o.Namespace = new(Namespace)
		d.structure(&body, reflect.ValueOf(o.Namespace).Elem(), "")
		o.Namespace.checkModel(&d.checks)
	case KindBackend:
		o.Backend = new(Backend)
		d.structure(&body, reflect.ValueOf(o.Backend).Elem(), "")
		o.Backend.checkDriver(&d.checks)
		if o.Backend.Declared("guard") {
			d.checks.problem(o.Backend.Where, "guard", fault{message: "the guard of a backend is a matter of the gateway's own file", hint: "take it out", doc: "backends"})
		}
	}
	return o, true
}

// objectKind judges what a document begins with.
func (d *decoder) objectKind(root *node) (kind string, ok bool) {
	version, k := root.get("apiVersion"), root.get("kind")
	if version == nil || version.kind >= kindSequence {
		d.missing(root.pos, "apiVersion", fault{message: `missing key "apiVersion"`, hint: "add apiVersion: " + APIVersion, doc: "apiversion"})
	} else if version.text != APIVersion {
		d.add(version.pos, "apiVersion", versionFault(version.text))
	}
	switch {
	case k == nil || k.kind >= kindSequence:
		d.missing(root.pos, "kind", fault{message: `missing key "kind"`, hint: "add kind: Namespace or kind: Backend", doc: "kind"})
		return "", false
	case slices.Contains(objectKinds, k.text):
		return k.text, true
	case slices.Contains(kinds, k.text):
		d.add(k.pos, "kind", fault{message: fmt.Sprintf("a file of kind %s is not applied: the program that it is for reads it", k.text), hint: "write kind: Namespace or kind: Backend", doc: "kind"})
		return "", false
	}
	d.add(k.pos, "kind", fault{message: fmt.Sprintf("the kind %q is not known", k.text), suggestion: Nearest(k.text, objectKinds), hint: "write Namespace or Backend", doc: "kind"})
	return "", false
}

// Twice makes a problem of each object whose kind and name another has already.
func Twice(list []Object) []Problem {
	first := map[string]Object{}
	var problems []Problem
	for _, o := range list {
		key := o.Kind + "/" + o.Name()
		was, twice := first[key]
		if !twice {
			first[key] = o
			continue
		}
		p := o.Where().Problem("name", "", "two %ss are called %q", strings.ToLower(o.Kind), o.Name())
		p.Hint = fmt.Sprintf("the other is at %s: remove one", was.Where().At("name"))
		problems = append(problems, p)
	}
	slices.SortStableFunc(problems, func(a, b Problem) int { return cmp.Or(cmp.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line)) })
	return problems
}

// MarshalObject writes a document: what it says and no defaults.
func MarshalObject(o Object) []byte {
	w := &writer{sparse: true}
	w.line("apiVersion: "+APIVersion, "")
	w.line("kind: "+o.Kind, "")
	var v any = o.Namespace
	if b := o.Backend; b != nil { // its guard is the gateway's own file's
		v = &struct {
			Name    string  `yaml:"name"`
			Driver  string  `yaml:"driver"`
			Options Options `yaml:"options"`
		}{b.Name, b.Driver, b.Options}
	}
	w.fields(reflect.ValueOf(v).Elem(), 0, "")
	return w.buf.Bytes()
}
