package config

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// ProjectFile is the name of a project's file, and what marks its root.
const ProjectFile = ".prism.yaml"

// Project is prismctl's file of a folder.
type Project struct {
	Where
	APIVersion string   `yaml:"apiVersion" check:"required,example=prism/v1" doc:"The version of the file's form: prism/v1."`
	Kind       string   `yaml:"kind" default:"Project" doc:"Project. It may be left out of a file called .prism.yaml."`
	Context    string   `yaml:"context" check:"name" doc:"The context to use in this folder."`
	Gateway    string   `yaml:"gateway" default:"prism.yaml" check:"inside" doc:"The gateway's file. Without the file, built-in settings are used."`
	With       []string `yaml:"with" check:"name" doc:"Stacks that dev up starts too."`
	Ports      Ports    `yaml:"ports" doc:"The ports that dev up listens on."`

	Profiles map[string][]string `yaml:"profiles" doc:"Lists of stacks by name, for dev up --profile NAME. One of the name of a built-in profile takes its place."`
	Images   map[string]string   `yaml:"images" doc:"Images in place of the pinned ones: redis, or signoz.clickhouse where a stack has several."`
	Forms    map[string]string   `yaml:"forms" enum:"auto|container|native" doc:"The form in which a stack runs here, by its name: auto, container or native."`

	Defaults Defaults  `yaml:"defaults" doc:"What commands use when no flag says otherwise."`
	Services []Service `yaml:"services" doc:"Programs of the project that dev up runs beside the gateway."`
}

// Ports are those that dev up listens on, on loopback.
type Ports struct {
	Where
	Data    Port `yaml:"data" default:"8980" doc:"The data API."`
	Admin   Port `yaml:"admin" default:"8981" doc:"The admin API."`
	Metrics Port `yaml:"metrics" default:"9090" doc:"Metrics, health and profiles."`

	Stacks map[string]Port `yaml:"stacks" doc:"Ports of stacks: redis, or dex.telemetry where a stack has several."`
}

// Defaults are what commands use when no flag says otherwise.
type Defaults struct {
	Where
	Namespace string        `yaml:"namespace" check:"name" doc:"The namespace of data commands."`
	Output    string        `yaml:"output" enum:"table|wide|json|jsonl|yaml|name|csv" doc:"The form of output."`
	Timeout   time.Duration `yaml:"timeout" check:"min=1ms,max=1h" doc:"How long a command may wait."`
}

// A Service is a program of the project. It is started without a shell.
type Service struct {
	Where
	Name       string            `yaml:"name" check:"required,name,example=api" doc:"The name in status and logs."`
	Command    []string          `yaml:"command" check:"required" doc:"The program and its arguments, as a list. No shell reads it."`
	Dir        string            `yaml:"dir" default:"." check:"inside" doc:"Where it starts, inside the project."`
	Env        map[string]string `yaml:"env" doc:"Variables for it, beside those of dev env."`
	After      []string          `yaml:"after" doc:"What must be ready before it: services, stacks, prismd."`
	Mounts     []string          `yaml:"mounts" doc:"Folders that it is given, as FROM:TO. One from outside the project needs --allow-host-mounts."`
	Privileged bool              `yaml:"privileged" doc:"Whether it asks for privileges; needs --allow-privileged."`
}

func (p *Project) check(c *checks) {
	names := map[string]Pos{}
	for _, s := range p.Services {
		unique(c, s.Where, "name", s.Name, "service", names)
		if s.Name == gatewayService || slices.Contains(c.opts.Stacks, s.Name) {
			c.problem(s.Where, "name", fault{message: fmt.Sprintf("the name %q is taken by what dev up starts itself", s.Name), hint: "choose another"})
		}
	}
	for _, known := range append(append([]string{gatewayService}, p.With...), c.opts.Stacks...) {
		if _, ok := names[known]; !ok {
			names[known] = Pos{}
		}
	}
	for _, s := range p.Services {
		for i, a := range s.After {
			if _, ok := names[a]; !ok && a != "" && (c.opts.Stacks != nil || Nearest(a, sortedKeys(names)) != "") { // else it may be a stack
				c.missing(s.Where, fmt.Sprintf("after[%d]", i), fault{message: fmt.Sprintf("unknown service %q", a), suggestion: Nearest(a, sortedKeys(names)), hint: "declare it first"})
			}
		}
		s.checkReach(c)
	}
	p.checkStacks(c)
	p.checkPorts(c)
	p.checkCycles(c)
}

// gatewayService is what dev up calls prismd.
const gatewayService = "prismd"

// checkStacks knows the names of stacks where the caller does.
func (p *Project) checkStacks(c *checks) {
	known := func(w Where, field, stack string) {
		if c.opts.Stacks != nil && stack != "" && !slices.Contains(c.opts.Stacks, stack) {
			c.problem(w, field, fault{message: fmt.Sprintf("unknown stack %q", stack), suggestion: Nearest(stack, c.opts.Stacks), hint: "use one of: " + strings.Join(c.opts.Stacks, ", ")})
		}
	}
	for i, stack := range p.With {
		known(p.Where, fmt.Sprintf("with[%d]", i), stack)
	}
	for _, name := range sortedKeys(p.Profiles) {
		if bad := checkName(name); bad != nil {
			c.problem(p.Where, "profiles."+name, *bad)
		}
		for i, stack := range p.Profiles[name] {
			known(p.Where, fmt.Sprintf("profiles.%s[%d]", name, i), stack)
		}
	}
	for _, name := range sortedKeys(p.Forms) {
		known(p.Where, "forms."+name, name)
	}
	for _, key := range sortedKeys(p.Images) {
		stack, _, _ := strings.Cut(key, ".")
		known(p.Where, "images."+key, stack)
	}
	for _, key := range sortedKeys(p.Ports.Stacks) {
		stack, _, _ := strings.Cut(key, ".")
		known(p.Ports.Where, "stacks."+key, stack)
	}
}

func (p *Project) checkPorts(c *checks) {
	at := []struct {
		field string
		port  Port
	}{{"data", p.Ports.Data}, {"admin", p.Ports.Admin}, {"metrics", p.Ports.Metrics}}
	for _, key := range sortedKeys(p.Ports.Stacks) {
		at = append(at, struct {
			field string
			port  Port
		}{"stacks." + key, p.Ports.Stacks[key]})
	}
	for i, a := range at {
		for _, b := range at[:i] {
			if a.port == b.port && a.port != AutoPort {
				c.problem(p.Ports.Where, a.field, fault{message: fmt.Sprintf("the port %s is taken twice: by %s and %s", a.port, b.field, a.field), hint: "give each its own port", doc: "addresses"})
				break
			}
		}
	}
}

// checkReach refuses what reaches out of the project, unless it is asked for.
func (s Service) checkReach(c *checks) {
	if s.Command != nil && (len(s.Command) == 0 || s.Command[0] == "") {
		c.problem(s.Where, "command", fault{message: fmt.Sprintf("the service %q has no program", s.Name), hint: "write the program and its arguments as a list"})
	}
	for i, m := range s.Mounts {
		from, _, ok := strings.Cut(m, ":")
		field := fmt.Sprintf("mounts[%d]", i)
		switch {
		case !ok || from == "":
			c.problem(s.Where, field, fault{message: fmt.Sprintf("%q is not a mount", m), hint: "write FROM:TO, such as ./data:/data"})
		case !filepath.IsLocal(from) && !c.opts.AllowHostMounts:
			c.problem(s.Where, field, fault{message: fmt.Sprintf("the mount %q reaches out of the project", m), hint: "pass --allow-host-mounts if that is meant"})
		}
	}
	if s.Privileged && !c.opts.AllowPrivileged {
		c.problem(s.Where, "privileged", fault{message: fmt.Sprintf("the service %q asks for privileges", s.Name), hint: "pass --allow-privileged if that is meant"})
	}
}

// checkCycles reports each circle of services once, where it is entered.
func (p *Project) checkCycles(c *checks) {
	const (
		fresh = iota
		open
		done
	)
	byName := map[string]Service{}
	for _, s := range p.Services {
		byName[s.Name] = s
	}
	state, trail := map[string]int{}, []string{}
	var visit func(s Service)
	visit = func(s Service) {
		state[s.Name], trail = open, append(trail, s.Name)
		for i, a := range s.After {
			next, ok := byName[a]
			switch {
			case !ok || state[a] == done:
			case state[a] == open:
				circle := append(slices.Clone(trail[slices.Index(trail, a):]), a)
				c.problem(s.Where, fmt.Sprintf("after[%d]", i), fault{message: "services wait for each other: " + strings.Join(circle, " -> "), hint: "remove one of the steps"})
			default:
				visit(next)
			}
		}
		state[s.Name], trail = done, trail[:len(trail)-1]
	}
	for _, s := range p.Services {
		if state[s.Name] == fresh {
			visit(s)
		}
	}
}
