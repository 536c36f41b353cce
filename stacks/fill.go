package stacks

import (
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"text/template"

	"github.com/prism-data-layer/prism/pkg/config"
	"github.com/prism-data-layer/prism/pkg/prism"
	"github.com/prism-data-layer/prism/stacks/probe"
)

// fill fills in all that stack.yaml says of the instance. A mistake in the
// catalogue is found here, before anything starts.
func (i *Instance) fill() error {
	i.Data = filepath.Join(i.project.Root, ".prism", i.Stack.Name)
	i.secrets = map[string]bool{}
	if i.Form == FormContainer {
		i.setImages()
		if err := i.setCompose(); err != nil {
			return err
		}
	}
	t := &texts{funcs: i.funcs(noSecrets{})}
	if n := i.native(); n != nil {
		i.args, i.env = t.list(n.Args), t.list(n.Env)
	}
	p := i.probeSpec()
	i.question = probe.Question{Kind: p.Kind, Addr: t.one(p.Addr), Options: t.mapping(p.Options)}
	if i.backend = i.Stack.Backend; i.native() != nil && i.native().Backend != nil {
		i.backend = i.native().Backend
	}
	if i.backend != nil {
		i.options = flow(i.backend.Options, t)
	}
	for _, v := range vars(i.Stack.Gateway, t) {
		i.gateway = append(i.gateway, v.Name+"="+v.Value)
	}
	env, urls := i.Stack.Env, i.Stack.URLs
	if n := i.native(); n != nil && n.Declared("offers") {
		env = n.Offers
	}
	if n := i.native(); n != nil && n.Declared("urls") {
		urls = n.URLs
	}
	i.vars = vars(env, t)
	for _, u := range urls {
		i.links = append(i.links, Link{Name: u.Name, URL: t.one(u.URL), Note: t.one(u.Note)})
	}
	if err := errors.Join(t.errs...); err != nil {
		return prism.New(prism.ReasonInvalidConfig, "the stack %s cannot be filled in", i.Stack.Name).WithCause(err)
	}
	return nil
}

func vars(m map[string]string, t *texts) []Var {
	var list []Var
	for _, k := range slices.Sorted(maps.Keys(m)) {
		list = append(list, Var{k, t.one(m[k])})
	}
	return list
}

// texts fills in templates and gathers what is wrong with them.
type texts struct {
	funcs template.FuncMap
	errs  []error
}

func (t *texts) one(text string) string {
	if !strings.Contains(text, "{{") {
		return text
	}
	out, err := execute(text, t.funcs)
	if err != nil {
		t.errs = append(t.errs, err)
	}
	return out
}

func (t *texts) list(list []string) []string {
	out := make([]string, len(list))
	for i, text := range list {
		out[i] = t.one(text)
	}
	return out
}

func (t *texts) mapping(m map[string]string) map[string]string {
	if len(m) == 0 {
		return nil
	}
	out := make(map[string]string, len(m))
	for k, text := range m {
		out[k] = t.one(text)
	}
	return out
}

func execute(text string, funcs template.FuncMap) (string, error) {
	parsed, err := template.New("text").Funcs(funcs).Parse(text)
	if err != nil {
		return "", fmt.Errorf("%q: %w", text, err)
	}
	var b strings.Builder
	if err := parsed.Execute(&b, nil); err != nil {
		return "", fmt.Errorf("%q: %w", text, err)
	}
	return b.String(), nil
}

// A vault gives secrets in plain text.
type vault interface {
	secret(name string) (string, error)
	bcrypt(name string) (string, error)
}

// noSecrets is the vault of all that is no file: what is shown, and what stands
// in command lines.
type noSecrets struct{}

func (noSecrets) secret(name string) (string, error) {
	return "", fmt.Errorf("the secret %q may stand in files only", name)
}
func (v noSecrets) bcrypt(name string) (string, error) { return v.secret(name) }

// funcs are the words of templates; see [Stack].
func (i *Instance) funcs(v vault) template.FuncMap {
	port := func(name string) (int, error) {
		n, ok := i.Ports[name]
		if !ok {
			return 0, fmt.Errorf("there is no port %q", name)
		}
		return n, nil
	}
	addr := func(name string) (string, error) {
		n, err := port(name)
		return loopback(n), err
	}
	secret := func(name string) error {
		if !slices.Contains(i.Stack.Secrets, name) {
			return fmt.Errorf("there is no secret %q", name)
		}
		i.secrets[name] = true
		return nil
	}
	return template.FuncMap{
		"addr": addr, "port": port, "quote": strconv.Quote, "split": strings.Fields,
		"native":  func() bool { return i.Form == FormNative },
		"folder":  func() string { return i.Data },
		"project": func() string { return i.project.ID },
		"listen": func(name string) (string, error) {
			if i.Form == FormNative {
				return addr(name)
			}
			for _, p := range i.Stack.Ports {
				if p.Name == name {
					return "0.0.0.0:" + itoa(p.Port), nil
				}
			}
			return "", fmt.Errorf("there is no port %q", name)
		},
		"data": func() string {
			if i.Form == FormNative {
				return i.Data
			}
			return "/data"
		},
		"secretfile": func(name string) (string, error) { return i.secretFile(name), secret(name) },
		"secret": func(name string) (string, error) {
			if err := secret(name); err != nil {
				return "", err
			}
			return v.secret(name)
		},
		"bcrypt": func(name string) (string, error) {
			if err := secret(name); err != nil {
				return "", err
			}
			return v.bcrypt(name)
		},
		"file": func(name string) (string, error) {
			for _, f := range i.files() {
				if f.Name == name {
					return filepath.Join(i.folder(), name), nil
				}
			}
			return "", fmt.Errorf("there is no file %q", name)
		},
		"socket": func(name string) (string, error) {
			if i.Form != FormNative {
				return "", fmt.Errorf("a container has no socket %q", name)
			}
			return strings.TrimSuffix(i.project.Socket, ".sock") + "." + name, nil
		},
	}
}

// flow writes options as a YAML flow mapping.
func flow(o config.Options, t *texts) string {
	values := o.Map()
	var parts []string
	for _, key := range o.Keys() {
		parts = append(parts, key+": "+flowValue(values[key], t))
	}
	return "{" + strings.Join(parts, ", ") + "}"
}

func flowValue(v any, t *texts) string {
	switch v := v.(type) {
	case string:
		return flowText(t.one(v))
	case []any:
		parts := make([]string, len(v))
		for i, e := range v {
			parts[i] = quoted(e, t)
		}
		return "[" + strings.Join(parts, ", ") + "]"
	case map[string]any:
		var parts []string
		for _, k := range slices.Sorted(maps.Keys(v)) {
			parts = append(parts, k+": "+flowValue(v[k], t))
		}
		return "{" + strings.Join(parts, ", ") + "}"
	}
	return fmt.Sprint(v)
}

func quoted(v any, t *texts) string {
	if s, ok := v.(string); ok {
		return strconv.Quote(t.one(s))
	}
	return flowValue(v, t)
}

// flowText writes a word as it is and all else in quotes.
func flowText(s string) string {
	if prism.ValidName(s) && s != "true" && s != "false" && s != "null" && s != "yes" && s != "no" && s != "on" && s != "off" {
		return s
	}
	return strconv.Quote(s)
}

func itoa(n int) string { return strconv.Itoa(n) }
