package config

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/prism-data-layer/prism/pkg/prism"
)

// A Layer is a place that a setting can come from; the first that has it wins.
type Layer string

// The layers, strongest first. LayerDev is the gateway that dev up runs for
// the folder: it stands below what the project file says and above the context
// that is in use elsewhere.
const (
	LayerFlag    Layer = "flag"
	LayerEnv     Layer = "environment"
	LayerProject Layer = "project"
	LayerDev     Layer = "dev"
	LayerUser    Layer = "user"
	LayerDefault Layer = "default"
)

// A Setting is a value with its origin.
type Setting struct {
	Name   string
	Value  string
	Layer  Layer
	Origin string // "--context", "PRISM_CONTEXT", "/home/a/.config/prism/config.yaml:4:10", "default"
	Secret bool
}

// Display is the value as it may be shown.
func (s Setting) Display() string {
	if s.Secret && s.Value != "" {
		return hidden
	}
	return s.Value
}

// Layers are the inputs of Resolve. Each may be empty.
type Layers struct {
	Flags   map[string]string // by setting, only those that were given
	Lookup  func(string) (string, bool)
	Project *Project
	Dev     *Context // the running dev gateway of this folder
	User    *User
	Path    string // of the person's file, the default of "config"
}

// Settings are what prismctl goes by.
type Settings struct {
	list []Setting
	dev  *Context
	user *User
}

// A row is one setting: where each layer has it, and what it must look like.
type row struct {
	name   string
	def    string
	judge  field
	secret bool
	parts  func(l Layers, ctx contextLayer) []candidate
}

// A candidate is a value from a layer of files; empty ones are skipped.
type candidate struct {
	value string
	layer Layer
	pos   Pos
}

// A contextLayer is the selected context and the layer it comes from.
type contextLayer struct {
	Context
	layer Layer
}

func (c contextLayer) candidate(field, value string) candidate {
	if c.layer == LayerUser && !c.Declared(field) {
		return candidate{} // the default of the context is the default of all
	}
	return candidate{value, c.layer, c.At(field)}
}

const (
	defaultData    = "127.0.0.1:8980"
	defaultAdmin   = "127.0.0.1:8981"
	defaultTimeout = "30s"
)

func settingRows() []row {
	endpoint := field{rules: []rule{{name: "endpoint"}}}
	name := field{rules: []rule{{name: "name"}}}
	return []row{
		{name: "data", def: defaultData, judge: endpoint, parts: func(_ Layers, c contextLayer) []candidate {
			return []candidate{c.candidate("data", c.Data)}
		}},
		{name: "admin", def: defaultAdmin, judge: endpoint, parts: func(_ Layers, c contextLayer) []candidate {
			return []candidate{c.candidate("admin", c.Admin)}
		}},
		{name: "namespace", judge: name, parts: func(l Layers, c contextLayer) []candidate {
			return []candidate{project(l, "namespace"), c.candidate("namespace", c.Namespace)}
		}},
		{name: "insecure", def: "false", judge: field{enum: []string{"true", "false"}}, parts: func(_ Layers, c contextLayer) []candidate {
			return []candidate{c.candidate("insecure", strconv.FormatBool(c.Insecure))}
		}},
		{name: "ca", parts: func(_ Layers, c contextLayer) []candidate { return []candidate{c.candidate("ca", c.CA)} }},
		{name: "token", secret: true},
		{name: "token_file", parts: func(_ Layers, c contextLayer) []candidate {
			return []candidate{c.candidate("token_file", c.TokenFile)}
		}},
		// The commands know more forms, such as jsonpath=…; they judge flag and variable.
		{name: "output", def: "table", parts: func(l Layers, _ contextLayer) []candidate {
			return []candidate{project(l, "output"), user(l, "output")}
		}},
		{name: "color", def: "auto", judge: field{enum: []string{"auto", "always", "never"}}, parts: func(l Layers, _ contextLayer) []candidate {
			return []candidate{user(l, "color")}
		}},
		{name: "timeout", def: defaultTimeout, parts: func(l Layers, _ contextLayer) []candidate {
			return []candidate{project(l, "timeout"), user(l, "timeout")}
		}},
		{name: "prismd"},
	}
}

func project(l Layers, name string) candidate {
	if l.Project == nil {
		return candidate{}
	}
	d := l.Project.Defaults
	value := map[string]string{"namespace": d.Namespace, "output": d.Output, "timeout": duration(d.Timeout)}[name]
	return candidate{value, LayerProject, d.At(name)}
}

func user(l Layers, name string) candidate {
	if l.User == nil {
		return candidate{}
	}
	u := l.User
	value := map[string]string{"output": u.Output, "color": u.Color, "timeout": duration(u.Timeout), "context": u.Current}[name]
	if name == "context" {
		name = "current" // as the file calls it
	}
	return candidate{value, LayerUser, u.At(name)}
}

func duration(d time.Duration) string {
	if d == 0 {
		return ""
	}
	return FormatDuration(d)
}

// Resolve gives each setting its value: flag over environment over project
// file over dev gateway over person's file over default. A context that does
// not exist, or a value that cannot be, is an error that names its origin.
func Resolve(l Layers) (*Settings, error) {
	if l.Lookup == nil {
		l.Lookup = func(string) (string, bool) { return "", false }
	}
	s := &Settings{dev: l.Dev, user: l.User}
	s.list = append(s.list, pick(l, row{name: "config", def: l.Path}, nil))
	context := pick(l, row{name: "context"}, contextCandidates(l))
	s.list = append(s.list, context)
	selected, err := s.context(context)
	if err != nil {
		return nil, err
	}
	d := &decoder{report: &report{src: newSource("", "")}}
	for _, r := range settingRows() {
		var from []candidate
		if r.parts != nil {
			from = r.parts(l, selected)
		}
		v := pick(l, r, from)
		if bad := judge(d, r, v); bad != nil {
			return nil, prism.New(prism.ReasonInvalidConfig, "%s: %s", v.Origin, bad.err()).WithField(r.name, bad.message)
		}
		s.list = append(s.list, v)
	}
	return s, nil
}

func contextCandidates(l Layers) []candidate {
	var from []candidate
	if l.Project != nil {
		from = append(from, candidate{l.Project.Context, LayerProject, l.Project.At("context")})
	}
	if l.Dev != nil {
		from = append(from, candidate{l.Dev.Name, LayerDev, Pos{File: "dev up"}})
	}
	return append(from, user(l, "context"))
}

// pick takes the first layer that has a value.
func pick(l Layers, r row, files []candidate) Setting {
	s := Setting{Name: r.name, Secret: r.secret}
	if v, ok := l.Flags[r.name]; ok {
		s.Value, s.Layer, s.Origin = v, LayerFlag, "--"+strings.ReplaceAll(r.name, "_", "-")
		return s
	}
	if name := variableFor(r.name); name != "" {
		if v, ok := l.Lookup(name); ok && v != "" {
			s.Value, s.Layer, s.Origin = v, LayerEnv, name
			return s
		}
	}
	for _, c := range files {
		if c.value != "" {
			s.Value, s.Layer, s.Origin = c.value, c.layer, c.pos.String()
			return s
		}
	}
	s.Value, s.Layer, s.Origin = r.def, LayerDefault, "default"
	return s
}

func judge(d *decoder, r row, s Setting) *fault {
	if s.Layer != LayerFlag && s.Layer != LayerEnv || s.Value == "" {
		return nil // files are judged when they are read
	}
	if r.name == "timeout" {
		_, bad := parseDuration(s.Value)
		return bad
	}
	r.judge.key = r.name
	if r.judge.enum != nil && !slices.Contains(r.judge.enum, s.Value) {
		return &fault{message: fmt.Sprintf("%s is %q: it is one of %s", r.name, s.Value, strings.Join(r.judge.enum, ", ")), suggestion: Nearest(s.Value, r.judge.enum)}
	}
	for _, rule := range r.judge.rules {
		if bad := rules[rule.name](s.Value); bad != nil {
			return bad
		}
	}
	return nil
}

// context finds the context that was selected. None selected is no error: the
// default addresses are then used.
func (s *Settings) context(name Setting) (contextLayer, error) {
	if name.Value == "" {
		return contextLayer{layer: LayerDefault}, nil
	}
	if s.dev != nil && s.dev.Name == name.Value {
		return contextLayer{*s.dev, LayerDev}, nil
	}
	if c, ok := s.user.Context(name.Value); ok {
		return contextLayer{c, LayerUser}, nil
	}
	err := prism.NotFound("context", name.Value).WithMeta("origin", name.Origin)
	if near := Nearest(name.Value, s.ContextNames()); near != "" {
		err.Message += fmt.Sprintf("; did you mean %q?", near)
	}
	return contextLayer{}, err
}

// ContextNames lists the contexts that can be selected.
func (s *Settings) ContextNames() []string {
	var names []string
	if s.dev != nil {
		names = append(names, s.dev.Name)
	}
	if s.user != nil {
		for _, c := range s.user.Contexts {
			names = append(names, c.Name)
		}
	}
	return names
}

// List gives all settings in a fixed order, for config view --show-origin.
func (s *Settings) List() []Setting { return slices.Clone(s.list) }

// Get gives a setting by name; the zero Setting if there is none.
func (s *Settings) Get(name string) Setting {
	for _, v := range s.list {
		if v.Name == name {
			return v
		}
	}
	return Setting{}
}

// String gives a setting's value.
func (s *Settings) String(name string) string { return s.Get(name).Value }

// Duration gives a setting's value as a duration; 0 if it is none.
func (s *Settings) Duration(name string) time.Duration {
	d, err := ParseDuration(s.String(name))
	if err != nil {
		return 0
	}
	return d
}

// Context gives the selected context with the settings that stand above it put
// in: what to dial, and how.
func (s *Settings) Context() Context {
	c, err := s.context(s.Get("context"))
	if err != nil {
		c = contextLayer{}
	}
	c.Name = s.String("context")
	c.Data, c.Admin, c.Namespace = s.String("data"), s.String("admin"), s.String("namespace")
	c.CA, c.TokenFile = s.String("ca"), s.String("token_file")
	c.Insecure = s.String("insecure") == "true"
	return c.Context
}
