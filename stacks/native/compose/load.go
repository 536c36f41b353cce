package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"github.com/compose-spec/compose-go/v2/loader"
	"github.com/compose-spec/compose-go/v2/template"
	"github.com/compose-spec/compose-go/v2/types"
	"github.com/docker/compose/v5/pkg/api"
	"go.yaml.in/yaml/v4"
)

const (
	composeName = "compose.yaml"
	maxCompose  = 1 << 20
)

// load reads a stack's compose.yaml, refuses what it may not hold, and makes it
// ours: its name, labels, and what we leave to nobody. It asks no engine and
// looks at no environment but the request's.
func load(ctx context.Context, r Request) (*types.Project, error) {
	if err := r.valid(); err != nil {
		return nil, err
	}
	text, err := readCompose(r.Dir)
	if err != nil {
		return nil, err
	}
	file := filepath.Join(r.Dir, composeName)
	s := source{file: file}
	if err := yaml.Unmarshal(text, &s.root); err != nil {
		return nil, s.invalid(err)
	}
	if n := size(&s.root, map[*yaml.Node]int{}); n > maxNodes {
		return nil, fail(kindInvalid, "%s says more than a stack can need: its aliases make it too large", file)
	}
	details := types.ConfigDetails{
		WorkingDir:  r.Dir,
		ConfigFiles: []types.ConfigFile{{Filename: file, Content: text}},
		Environment: maps.Clone(r.Env),
	}
	how := func(o *loader.Options) {
		o.SetProjectName(r.name(), true)
		o.SkipInclude, o.SkipExtends = true, true // both read other files; the rules refuse them
		o.Interpolate.Substitute = substitute
	}
	model, err := loader.LoadModelWithContext(ctx, details, how)
	if err != nil {
		return nil, s.invalid(err)
	}
	if err := s.checkKeys(model); err != nil {
		return nil, err
	}
	project, err := loader.ModelToProject(model, loader.ToOptions(&details, []func(*loader.Options){how}), details)
	if err != nil {
		return nil, s.invalid(err)
	}
	project.ComposeFiles = []string{file}
	if err := s.checkValues(project, r); err != nil {
		return nil, err
	}
	own(project, r)
	return project, nil
}

// maxNodes is what a file may have once its aliases are replaced by what they
// stand for: the library replaces them before it counts.
const maxNodes = 100_000

// size counts a node with all that its aliases stand for; known are the anchors
// that it has counted, and those of which it is a part, which are endless.
func size(n *yaml.Node, known map[*yaml.Node]int) int {
	if n.Kind == yaml.AliasNode {
		return size(n.Alias, known)
	}
	if n.Anchor != "" {
		if have, ok := known[n]; ok {
			return have
		}
		known[n] = maxNodes + 1
	}
	sum := 1
	for _, c := range n.Content {
		sum = min(sum+size(c, known), maxNodes+1)
	}
	if n.Anchor != "" {
		known[n] = sum
	}
	return sum
}

func readCompose(dir string) ([]byte, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, fail(kindInvalid, "the stack's folder cannot be read: %v", err)
	}
	defer func() { _ = root.Close() }()
	file := filepath.Join(dir, composeName)
	if i, err := root.Stat(composeName); err != nil {
		return nil, fail(kindInvalid, "%s cannot be read: %v", file, err)
	} else if !i.Mode().IsRegular() || i.Size() > maxCompose {
		return nil, fail(kindInvalid, "%s is not a file of at most %d KiB", file, maxCompose>>10)
	}
	f, err := root.Open(composeName)
	if err != nil {
		return nil, fail(kindInvalid, "%s cannot be read: %v", file, err)
	}
	defer func() { _ = f.Close() }()
	text, err := io.ReadAll(io.LimitReader(f, maxCompose+1))
	if err != nil {
		return nil, fail(kindInvalid, "%s cannot be read: %v", file, err)
	}
	if len(bytes.TrimSpace(text)) == 0 {
		return nil, fail(kindInvalid, "%s is empty", file)
	}
	return text, nil
}

// substitute is the library's, but a variable that nobody gave is an error and
// not an empty text.
func substitute(text string, lookup template.Mapping) (string, error) {
	return template.SubstituteWithOptions(text, lookup, template.WithoutLogging,
		template.WithReplacementFunction(func(part string, lookup template.Mapping, c *template.Config) (string, error) {
			value, ok, err := template.DefaultReplacementAppliedFunc(part, lookup, c)
			if err == nil && !ok {
				err = fmt.Errorf("%s has no value", part)
			}
			return value, err
		}))
}

// own sets what is the runner's to say.
func own(p *types.Project, r Request) {
	ours := types.Labels{labelProject: r.Project, labelStack: r.Stack, labelRoot: r.Root}
	label := func(l types.Labels) types.Labels {
		l = maps.Clone(l)
		if l == nil {
			l = types.Labels{}
		}
		maps.Copy(l, ours)
		return l
	}
	for name, s := range p.Services {
		s.Labels = label(s.Labels)
		s.CustomLabels = types.Labels{
			api.ProjectLabel: p.Name, api.ServiceLabel: name, api.VersionLabel: api.ComposeVersion,
			api.WorkingDirLabel: p.WorkingDir, api.ConfigFilesLabel: p.ComposeFiles[0], api.OneoffLabel: "False",
		}
		s.Restart = types.RestartPolicyNo
		s.PullPolicy = types.PullPolicyNever // we have pulled, and told how far it is
		s.Logging = &types.LoggingConfig{Driver: "json-file", Options: types.Options{"max-size": "10m", "max-file": "2"}}
		if s.StopGracePeriod == nil && r.Stop > 0 {
			d := types.Duration(min(r.Stop, 10*time.Second))
			s.StopGracePeriod = &d
		}
		p.Services[name] = s
	}
	for name, n := range p.Networks {
		n.Labels = label(n.Labels)
		p.Networks[name] = n
	}
	for name, v := range p.Volumes {
		v.Labels = label(v.Labels)
		p.Volumes[name] = v
	}
}

// A source is a compose.yaml as its author sees it: it knows the lines.
type source struct {
	file string
	root yaml.Node
}

// at is FILE:LINE of a path such as services, redis, image; of as much of it as
// is there.
func (s *source) at(path ...string) string {
	if line := lineOf(&s.root, path); line > 0 {
		return fmt.Sprintf("%s:%d", s.file, line)
	}
	return s.file
}

func lineOf(n *yaml.Node, path []string) int {
	line := 0
	if n.Kind == yaml.DocumentNode && len(n.Content) > 0 {
		n = n.Content[0]
	}
next:
	for _, key := range path {
		for n.Kind == yaml.AliasNode {
			n = n.Alias
		}
		switch n.Kind {
		case yaml.MappingNode:
			for i := 0; i+1 < len(n.Content); i += 2 {
				if n.Content[i].Value == key {
					line, n = n.Content[i].Line, n.Content[i+1]
					continue next
				}
			}
		case yaml.SequenceNode:
			var i int
			if _, err := fmt.Sscan(key, &i); err == nil && i >= 0 && i < len(n.Content) {
				line, n = n.Content[i].Line, n.Content[i]
				continue
			}
		}
		return line
	}
	return line
}

func (s *source) refuse(path []string, format string, args ...any) error {
	return fail(kindRefused, "%s: %s", s.at(path...), fmt.Sprintf(format, args...))
}

// invalid gives a mistake that the library found its file and line.
func (s *source) invalid(err error) error {
	var f *Failure
	if errors.As(err, &f) {
		return err
	}
	text := strings.TrimPrefix(err.Error(), "validating "+s.file+": ")
	text = strings.TrimPrefix(text, "failed to parse "+s.file+": ")
	text = regexp.MustCompile(`^(yaml: )?(construct errors: line \d+: )?`).ReplaceAllString(text, "")
	return fail(kindInvalid, "%s: %s", s.place(text), text)
}

// place looks for the line in what the library says: the line itself, or
// the path of what is wrong and the name of a key in it.
func (s *source) place(text string) string {
	if m := regexp.MustCompile(`\bline (\d+)`).FindStringSubmatch(text); m != nil {
		return s.file + ":" + m[1]
	}
	m := regexp.MustCompile(`\b(services|networks|volumes)\.[\w.\[\]-]+`).FindString(text)
	path := strings.FieldsFunc(m, func(r rune) bool { return r == '.' || r == '[' || r == ']' })
	if key := regexp.MustCompile(`'([^']+)'`).FindStringSubmatch(text); key != nil {
		path = append(path, key[1])
	}
	return s.at(path...)
}
