// Command gen writes the forwarders of package around from the interfaces in
// package driver: `go run ./gen ..`, by way of go generate.
package main

import (
	"bytes"
	"errors"
	"fmt"
	"go/ast"
	"go/format"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

const output = "zz_generated.go"

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "gen:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) != 1 {
		return errors.New("usage: gen DIR-OF-PACKAGE-DRIVER")
	}
	src, err := generate(args[0])
	if err != nil {
		return err
	}
	return os.WriteFile(output, src, 0o644)
}

// contract is what generate reads of package driver.
type contract struct {
	fields     []string // of Set that are interfaces, in order
	interfaces map[string]*ast.InterfaceType
	docs       map[string]string // of the interfaces
}

// generate answers the file that belongs to the package in dir.
func generate(dir string) ([]byte, error) {
	c, err := read(dir)
	if err != nil {
		return nil, err
	}
	w := &writer{contract: c}
	return w.file()
}

func read(dir string) (*contract, error) {
	names, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil {
		return nil, err
	}
	c := &contract{interfaces: map[string]*ast.InterfaceType{}, docs: map[string]string{}}
	var set *ast.StructType
	fset := token.NewFileSet()
	for _, name := range names {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		f, err := parser.ParseFile(fset, name, nil, parser.ParseComments)
		if err != nil {
			return nil, err
		}
		for _, d := range f.Decls {
			g, ok := d.(*ast.GenDecl)
			if !ok || g.Tok != token.TYPE {
				continue
			}
			for _, s := range g.Specs {
				t := s.(*ast.TypeSpec)
				switch u := t.Type.(type) {
				case *ast.InterfaceType:
					c.interfaces[t.Name.Name] = u
					c.docs[t.Name.Name] = g.Doc.Text()
				case *ast.StructType:
					if t.Name.Name == "Set" {
						set = u
					}
				}
			}
		}
	}
	if set == nil {
		return nil, fmt.Errorf("%s has no type Set", dir)
	}
	for _, f := range set.Fields.List {
		id, ok := f.Type.(*ast.Ident)
		if !ok || c.interfaces[id.Name] == nil {
			continue
		}
		for _, n := range f.Names {
			if n.Name != id.Name {
				return nil, fmt.Errorf("Set.%s must be named for its type %s", n.Name, id.Name)
			}
			c.fields = append(c.fields, n.Name)
		}
	}
	return c, nil
}

// storeField is in every Set and no capability.
const storeField = "Store"

var capabilityDoc = regexp.MustCompile(`^(\w+) is capability (\w+)`)

// capability finds the public name of an interface in its comment.
func (c *contract) capability(name string) (string, error) {
	if name == storeField {
		return "store", nil
	}
	m := capabilityDoc.FindStringSubmatch(c.docs[name])
	if m == nil || m[1] != name {
		return "", fmt.Errorf("the comment of %s must begin with %q", name, name+" is capability NAME")
	}
	return m[2], nil
}

// method is one method of an interface, embedded ones included.
type method struct {
	name    string
	params  []param
	results []string
}

type param struct{ name, typ string }

func (c *contract) methods(name string) ([]method, error) {
	it := c.interfaces[name]
	if it == nil {
		return nil, fmt.Errorf("%s is no interface of package driver", name)
	}
	var all []method
	for _, f := range it.Methods.List {
		if id, ok := f.Type.(*ast.Ident); ok {
			more, err := c.methods(id.Name)
			if err != nil {
				return nil, err
			}
			all = append(all, more...)
			continue
		}
		fn, ok := f.Type.(*ast.FuncType)
		if !ok || len(f.Names) != 1 {
			return nil, fmt.Errorf("%s has a member that is neither a method nor an interface of package driver", name)
		}
		m := method{name: f.Names[0].Name}
		for i, p := range fn.Params.List {
			t, err := typeOf(p.Type)
			if err != nil {
				return nil, fmt.Errorf("%s.%s: %w", name, m.name, err)
			}
			if len(p.Names) == 0 {
				m.params = append(m.params, param{fmt.Sprintf("p%d", i), t})
			}
			for _, n := range p.Names {
				m.params = append(m.params, param{n.Name, t})
			}
		}
		if fn.Results != nil {
			for _, r := range fn.Results.List {
				t, err := typeOf(r.Type)
				if err != nil {
					return nil, fmt.Errorf("%s.%s: %w", name, m.name, err)
				}
				for range max(1, len(r.Names)) {
					m.results = append(m.results, t)
				}
			}
		}
		all = append(all, m)
	}
	return all, nil
}

// typeOf writes a type as package around must.
func typeOf(e ast.Expr) (string, error) {
	switch t := e.(type) {
	case *ast.Ident:
		if t.IsExported() {
			return "driver." + t.Name, nil
		}
		return t.Name, nil
	case *ast.SelectorExpr:
		return t.X.(*ast.Ident).Name + "." + t.Sel.Name, nil
	case *ast.ArrayType:
		elem, err := typeOf(t.Elt)
		if t.Len != nil {
			return "", errors.New("arrays are not supported")
		}
		return "[]" + elem, err
	case *ast.StarExpr: // of what is large, and changed by nobody meanwhile
		elem, err := typeOf(t.X)
		return "*" + elem, err
	}
	return "", fmt.Errorf("type %T does not cross a process", e)
}

// hooked reports whether a hook can stand around m: it needs a context to give
// on and an error to refuse with.
func (m method) hooked() bool {
	return len(m.params) > 0 && m.params[0].typ == "context.Context" &&
		len(m.results) > 0 && m.results[len(m.results)-1] == "error"
}

func (m method) param(typ string) string {
	for _, p := range m.params {
		if p.typ == typ {
			return p.name
		}
	}
	return ""
}

type writer struct {
	*contract
	bytes.Buffer
	handles []string // interfaces that a method hands out
}

func (w *writer) printf(f string, args ...any) { fmt.Fprintf(&w.Buffer, f, args...) }

func (w *writer) file() ([]byte, error) {
	w.printf("// Code generated by gen from package driver. DO NOT EDIT.\n\npackage around\n\n")
	w.printf("// Wrap puts hook around every call of set. The result has exactly the\n// capabilities of set.\n")
	w.printf("func Wrap[S any, H Hook[S]](set driver.Set, hook H) driver.Set {\n")
	for _, f := range w.fields {
		w.printf("if set.%s != nil {\nset.%s = &%s[S, H]{set.%s, hook}\n}\n", f, f, lower(f), f)
	}
	w.printf("return set\n}\n")
	for _, f := range w.fields {
		name, err := w.capability(f)
		if err != nil {
			return nil, err
		}
		if err := w.forwarder(f, name, false); err != nil {
			return nil, err
		}
	}
	for i := 0; i < len(w.handles); i++ {
		if err := w.forwarder(w.handles[i], "", true); err != nil {
			return nil, err
		}
	}
	src := w.String()
	imports := "import (\n\"context\"\n"
	if strings.Contains(src, "time.") {
		imports += "\"time\"\n"
	}
	imports += "\n\"github.com/prism-data-layer/prism/pkg/driver\"\n\"github.com/prism-data-layer/prism/pkg/prism\"\n)\n"
	return format.Source([]byte(strings.Replace(src, "package around\n", "package around\n\n"+imports, 1)))
}

func (w *writer) forwarder(name, capability string, isHandle bool) error {
	methods, err := w.methods(name)
	if err != nil {
		return err
	}
	w.printf("\ntype %s[S any, H Hook[S]] struct {\ninner driver.%s\nhook H\n", lower(name), name)
	if isHandle { // which several capabilities may give
		w.printf("capability string\nnamespace prism.Namespace\n")
	}
	w.printf("}\n")
	for _, m := range methods {
		if err := w.method(name, capability, m, isHandle); err != nil {
			return err
		}
	}
	return nil
}

func (w *writer) method(name, capability string, m method, isHandle bool) error {
	var params, args, results, kept []string
	for _, p := range m.params {
		params = append(params, p.name+" "+p.typ)
		args = append(args, p.name)
	}
	last := len(m.results) - 1
	for i, t := range m.results {
		n := fmt.Sprintf("r%d", i)
		if i == last && t == "error" {
			n = "err"
		}
		results = append(results, n+" "+t)
		kept = append(kept, n)
	}
	call := fmt.Sprintf("w.inner.%s(%s)", m.name, strings.Join(args, ", "))
	if !m.hooked() {
		w.printf("\nfunc (w *%s[S, H]) %s(%s) (%s) { return %s }\n", lower(name), m.name,
			strings.Join(params, ", "), strings.Join(m.results, ", "), call)
		return nil
	}
	w.printf("\nfunc (w *%s[S, H]) %s(%s) (%s) {\n", lower(name), m.name, strings.Join(params, ", "), strings.Join(results, ", "))
	ns := "w.namespace"
	if !isHandle {
		if ns = m.param("prism.Namespace"); ns == "" {
			key := m.param("prism.Key")
			if key == "" {
				return fmt.Errorf("%s.%s names no namespace", name, m.name)
			}
			ns = key + ".Namespace"
		}
	}
	facts, err := m.facts(isHandle, slices.ContainsFunc(m.results, w.isHandle))
	if err != nil {
		return fmt.Errorf("%s.%s: %w", name, m.name, err)
	}
	source := strconv.Quote(capability)
	if isHandle {
		source = "w.capability"
	}
	w.printf("%s, span, err := w.hook.Begin(%s, Call{Capability: %s, Method: %q, Namespace: %s%s})\n",
		args[0], args[0], source, m.name, ns, facts)
	w.printf("if err != nil {\nreturn %s\n}\n", strings.Join(kept, ", "))
	w.printf("err = ErrPanicked\n")
	if items := m.answers(); items == "" {
		w.printf("defer func() { w.hook.End(span, err) }()\n")
	} else {
		w.printf("defer func() {\nended := err\nif ended == nil && len(%[1]s) > 0 {\nended = %[1]s[0].Err\n}\nw.hook.End(span, ended)\n}()\n", items)
	}
	var handed []string
	for i, t := range m.results {
		if !w.isHandle(t) {
			continue
		}
		h := strings.TrimPrefix(t, "driver.")
		handed = append(handed, fmt.Sprintf("r%d = &%s[S, H]{r%d, w.hook, %s, %s}\n", i, lower(h), i, source, ns))
		if !slices.Contains(w.handles, h) {
			w.handles = append(w.handles, h)
		}
	}
	if len(handed) == 0 {
		w.printf("%s = %s\nreturn %s\n}\n", strings.Join(kept, ", "), call, strings.Join(kept, ", "))
		return nil
	}
	w.printf("%s = %s\nif err == nil {\n%s}\nreturn %s\n}\n", strings.Join(kept, ", "), call, strings.Join(handed, ""), strings.Join(kept, ", "))
	return nil
}

// isHandle reports whether a type is an interface of the contract, whose calls
// are forwarded too.
func (w *writer) isHandle(t string) bool {
	h, ok := strings.CutPrefix(t, "driver.")
	return ok && w.interfaces[h] != nil
}

// facts are the fields of Call that differ from zero.
func (m method) facts(isHandle, opens bool) (string, error) {
	mutates, known := effects[m.name]
	if !known {
		return "", errors.New("say in effects whether it changes data")
	}
	var s string
	ops := "1"
	for _, p := range m.params {
		if p.typ == "*driver.EventBatch" {
			ops = p.name + ".Len()"
		}
		if items.MatchString(p.typ) {
			ops = "len(" + p.name + ")"
			if mutates == byOps {
				s += ", Mutates: anyWrite(" + p.name + ")"
			}
		}
	}
	if mutates == always {
		s += ", Mutates: true"
	}
	if isHandle && mutates == never && !prompt[m.name] || waits[m.name] {
		s += ", Waits: true"
	}
	if opens {
		s += ", Opens: true"
	}
	return s + ", Ops: " + ops, nil
}

// items are the types of what a call does one by one.
var items = regexp.MustCompile(`^\[\]driver\.(\w*Op|\w*Message|Event|LeaseReceipt)$`)

// answers names the parameter with a result for each item, if there is one.
func (m method) answers() string {
	for _, p := range m.params {
		if results.MatchString(p.typ) {
			return p.name
		}
	}
	return ""
}

// results are the types of what a call answers one by one.
var results = regexp.MustCompile(`^\[\]driver\.\w*Result$`)

// effect is when a method changes data.
type effect int

const (
	never effect = iota
	always
	byOps // when one of its operations does
)

// effects says of every method of the contract whether it changes data; one
// that is not here is an error, so that none is forgotten.
var effects = map[string]effect{
	"Usage": never, "Drop": always,

	"Get": never, "Set": always, "Delete": always, "Exists": never, "SetIf": always, "DeleteIf": always,
	"Expire": always, "ExpiresAt": never, "Persist": always, "Touch": always,
	"Scan": never, "Count": never, "First": never, "Batch": byOps, "Commit": always, "Watch": never, "Next": never,
	"Increment": always, "Append": always, "SetIfAbsent": always, "GetAndSet": always,
	"CompareAndSwap": always, "CompareAndDelete": always,
	"Export": never, "ExportReceipts": never, "Import": always,

	"Do": byOps, "Stats": never, "Lock": always, "Fill": always, "Unlock": always,

	"CreateQueue": always, "Publish": always, "Receive": always, "Ack": always, "Peek": never, "Info": never, "Queues": never,
	"Extend": always, "Release": always, "Delayed": never, "Priorities": never, "Reject": always, "Redrive": always, "Purge": always,

	"CreateTopic": always, "Read": never, "TopicInfo": never, "Topics": never, "AppendTo": always, "OffsetAt": never,
	"SetRetention": always, "Truncate": always, "Committed": never, "Groups": never,

	"Subscribe": never, "SubscribePattern": never, "SubscribeGroup": never, "SubscribeFiltered": never,
	"PublishOrdered": always, "PublishPersistent": always, "Replay": never, "Acknowledge": always, "Subscriptions": never, "DeleteSubscription": always,

	"AppendEvents": always, "QueryEvents": never, "AggregateEvents": never, "RetainEvents": always, "Page": never,
}

// waits are methods that may last until something happens, handles aside.
var waits = map[string]bool{"Receive": true, "Read": true}

// prompt are methods of handles that wait for nothing but the store.
var prompt = map[string]bool{"Page": true}

// lower makes a type's unexported name: KeyValueTTL becomes keyValueTTL.
func lower(s string) string { return strings.ToLower(s[:1]) + s[1:] }
