package config

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"

	"github.com/prism-data-layer/prism/pkg/prism"
)

// APIVersion is the version of the files that this program reads.
const APIVersion = "prism/v1"

// The kinds of file.
const (
	KindGateway = "Gateway" // prismd's
	KindProject = "Project" // prismctl's, in a project folder
	KindUser    = "User"    // prismctl's, one per person
)

// Load says how to read a file. The zero Load reads with the environment of the
// process and the drivers of this build.
type Load struct {
	Lookup  func(string) (string, bool) // finds variables; nil: os.LookupEnv
	Drivers []string                    // that exist; nil: [Drivers]
	Stacks  []string                    // that exist; nil: any name will do
	Dir     string                      // where relative paths start and must stay; "": not looked at on disk

	AllowHostMounts bool // services may mount folders from outside the project
	AllowPrivileged bool // services may ask for privileges
}

// A Header is what every file begins with.
type Header struct {
	APIVersion string
	Kind       string
}

// ReadFile reads a configuration file: a regular file, or a link to one, of at
// most 1 MiB (a longer one is cut just after, which the parser then reports).
func ReadFile(path string) ([]byte, error) {
	info, err := os.Stat(path) // before opening: a pipe would block
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, prism.New(prism.ReasonInvalidConfig, "the configuration file %s is not there", filepath.Base(path)).WithCause(err)
	case err != nil:
		return nil, prism.New(prism.ReasonInvalidConfig, "the configuration file %s cannot be read", filepath.Base(path)).WithCause(err)
	case !info.Mode().IsRegular():
		return nil, prism.New(prism.ReasonInvalidConfig, "%s is not a file", filepath.Base(path))
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, prism.New(prism.ReasonInvalidConfig, "the configuration file %s cannot be read", filepath.Base(path)).WithCause(err)
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, MaxFileBytes+1))
	if err != nil {
		return nil, prism.New(prism.ReasonInvalidConfig, "the configuration file %s cannot be read", filepath.Base(path)).WithCause(err)
	}
	return data, nil
}

// LoadGateway reads prismd's file. Relative paths in it start at its folder. A
// file that declares neither backends nor namespaces gets those of [Default].
func LoadGateway(path string, opts Load) (*Gateway, error) {
	data, err := ReadFile(path)
	if err != nil {
		return nil, err
	}
	if opts.Dir == "" {
		opts.Dir = filepath.Dir(path)
	}
	g, err := ParseGateway(path, data, opts)
	if err == nil {
		g.complete()
	}
	return g, err
}

// LoadProject reads a project's .prism.yaml.
func LoadProject(path string, opts Load) (*Project, error) {
	data, err := ReadFile(path)
	if err != nil {
		return nil, err
	}
	return ParseProject(path, data, opts)
}

// LoadUser reads a person's file. A file that is not there is an empty User.
func LoadUser(path string, opts Load) (*User, error) {
	data, err := ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return &User{Where: Where{src: newSource(path, ""), pos: Pos{File: path}}, APIVersion: APIVersion, Kind: KindUser}, nil
	}
	if err != nil {
		return nil, err
	}
	return ParseUser(path, data, opts)
}

// ParseGateway reads prismd's file from memory; name is what problems call it.
func ParseGateway(name string, data []byte, opts Load) (*Gateway, error) {
	g := new(Gateway)
	return g, parse(name, data, KindGateway, g, opts)
}

// ParseProject reads a project's file from memory.
func ParseProject(name string, data []byte, opts Load) (*Project, error) {
	p := new(Project)
	return p, parse(name, data, KindProject, p, opts)
}

// ParseUser reads a person's file from memory.
func ParseUser(name string, data []byte, opts Load) (*User, error) {
	u := new(User)
	return u, parse(name, data, KindUser, u, opts)
}

// Decode reads a file of a kind that another package describes, as strictly and
// with the same tags: dst is a pointer to its struct.
func Decode(name string, data []byte, kind string, dst any, opts Load) error {
	return parse(name, data, kind, dst, opts)
}

// Validate reads a file of whatever kind it says it is (Gateway where it says
// nothing, Project where it is called .prism.yaml) and returns what it holds: a
// *Gateway, *Project or *User, or []Object.
func Validate(path string, opts Load) (any, error) {
	data, err := ReadFile(path)
	if err != nil {
		return nil, err
	}
	if opts.Dir == "" {
		opts.Dir = filepath.Dir(path)
	}
	kind := kindOf(path, data)
	if slices.Contains(objectKinds, kind) {
		return ParseObjects(path, data, opts)
	}
	v := newOf(kind)
	return v, parse(path, data, kind, v, opts)
}

// kindOf looks for the kind before anything is judged.
func kindOf(path string, data []byte) string {
	root, _ := parseYAML(path, data)
	if n := root.get("kind"); n != nil && n.kind == kindText {
		if k := Nearest(n.text, append(slices.Clone(objectKinds), kinds...)); k != "" {
			return k
		}
	}
	if filepath.Base(path) == ProjectFile {
		return KindProject
	}
	return KindGateway
}

var kinds = []string{KindGateway, KindProject, KindUser}

// New returns an empty value of a kind of file, for its schema; nil for none.
func New(kind string) any {
	for _, k := range append(slices.Clone(kinds), objectKinds...) {
		if strings.EqualFold(k, kind) {
			return newOf(k)
		}
	}
	return nil
}

func newOf(kind string) any {
	switch kind {
	case KindProject:
		return new(Project)
	case KindUser:
		return new(User)
	case KindNamespace:
		return new(namespaceObject)
	case KindBackend:
		return new(backendObject)
	}
	return new(Gateway)
}

// complete fills in what the zero Load means.
func (l Load) complete() Load {
	if l.Lookup == nil {
		l.Lookup = os.LookupEnv
	}
	if l.Drivers == nil {
		l.Drivers = Drivers()
	}
	return l
}

func parse(name string, data []byte, kind string, dst any, opts Load) error {
	opts = opts.complete()
	root, r := parseYAML(name, data)
	if root == nil {
		return r.err()
	}
	if root.kind != kindMapping {
		r.add(root.pos, "", fault{message: fmt.Sprintf("the file holds %s, not keys and values", root.kind), hint: "begin with: apiVersion: " + APIVersion, doc: "files"})
		return r.err()
	}
	d := &decoder{report: r, lookup: opts.Lookup, checks: checks{report: r, opts: opts}}
	if d.header(root, kind) {
		d.structure(root, reflect.ValueOf(dst).Elem(), "")
	}
	return r.err()
}

// header judges version and kind first: of another kind or version, nothing
// else in the file would be judged rightly.
func (d *decoder) header(root *node, kind string) bool {
	ok := true
	if n := root.get("apiVersion"); n != nil && n.kind < kindSequence && n.text != APIVersion {
		d.add(n.pos, "apiVersion", versionFault(n.text))
		ok = !strings.HasPrefix(n.text, "prism/")
	}
	if n := root.get("kind"); n != nil && n.kind < kindSequence && n.text != kind {
		f := fault{message: fmt.Sprintf("the kind %q is not known", n.text), suggestion: Nearest(n.text, kinds), hint: "write " + kind, doc: "kind"}
		for _, k := range kinds {
			if k == n.text {
				f = fault{message: fmt.Sprintf("this is a file of kind %s, and one of kind %s is wanted", k, kind), hint: "see which file was meant", doc: "kind"}
				ok = false
			}
		}
		d.add(n.pos, "kind", f)
	}
	return ok
}

func versionFault(v string) fault {
	f := fault{message: fmt.Sprintf("apiVersion %q is not known", v), suggestion: APIVersion, doc: "apiversion"}
	number, ok := strings.CutPrefix(v, "prism/v")
	switch digits := strings.TrimLeft(number, "0123456789"); {
	case !ok:
	case number == "" || digits == number:
	case strings.TrimSuffix(number, digits) == "0" || digits != "":
		f.message = fmt.Sprintf("apiVersion %q is older than this program reads", v)
	default:
		f.message = fmt.Sprintf("apiVersion %q is newer than this program reads (%s)", v, APIVersion)
		f.suggestion, f.hint = "", "use a newer program, or write "+APIVersion
	}
	return f
}
