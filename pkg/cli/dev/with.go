package dev

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/prism-data-layer/prism/pkg/cli"
	"github.com/prism-data-layer/prism/pkg/config"
	"github.com/prism-data-layer/prism/pkg/prism"
	"github.com/prism-data-layer/prism/pkg/supervise"
)

// A store is what --with can start beside the gateway: a service and a backend
// of its name, with its data in a folder of its name.
type store struct {
	name     string   // of the driver too
	variable string   // names the program
	programs []string // what it may be called, on PATH
	hint     string   // how to get it
	// plan describes the service, which keeps its data in dir, and the options
	// of its backend.
	plan func(p *plan, o *upOptions, dir string) (spec supervise.Spec, options string, err error)
}

var stores = []store{redisStore, natsStore, clickhouseStore}

func checkWith(names []string) error {
	var known []string
	for _, s := range stores {
		known = append(known, s.name)
	}
	for _, n := range names {
		if !slices.Contains(known, n) {
			return cli.Usage("use one of: "+strings.Join(known, ", "), "--with %q is not known", n)
		}
	}
	return nil
}

// add puts what --with names into the plan: services that are ready before the
// gateway starts, and a backend for each.
func (p *plan) add(o *upOptions) error {
	prismd := &p.specs[0]
	var services []supervise.Spec
	for _, s := range stores {
		if !slices.Contains(o.With, s.name) {
			continue
		}
		path, err := s.find(o, p.dirs.Native())
		if err != nil {
			return err
		}
		dir := filepath.Join(p.Root, ".prism", s.name)
		spec, options, err := s.plan(p, o, dir)
		if err != nil {
			return err
		}
		// ClickHouse runs before its driver is in the build.
		if err := p.declare(s.name, options); err != nil {
			return err
		}
		spec.Name, spec.Path, spec.Dir = s.name, path, p.Root
		services = append(services, spec)
		p.stores = append(p.stores, dir)
		prismd.After = append(prismd.After, s.name)
	}
	if p.settings != nil {
		prismd.Args = append(prismd.Args, "--config", p.settingsFile())
	}
	p.specs = append(services, p.specs...)
	return nil
}

// declare gives the gateway the backend. A file of the project's own is its
// owner's: it must have it already.
func (p *plan) declare(name, options string) error {
	line := fmt.Sprintf("{name: %s, driver: %s, options: {%s}}", name, name, options)
	if _, ok := p.gateway.Backend(name); ok {
		return nil
	}
	if p.file != "" {
		return cli.WithFix(prism.New(prism.ReasonFailedPrecond, "%s declares no backend %q", filepath.Base(p.file), name), "add to its backends: - %s", line)
	}
	more, err := config.ParseGateway(config.DefaultName, []byte("apiVersion: prism/v1\nbackends:\n  - "+line+"\n"), config.Load{})
	if err != nil {
		return err
	}
	p.gateway.Backends = append(p.gateway.Backends, more.Backends...)
	p.settings = config.Marshal(p.gateway)
	return nil
}

func (p *plan) settingsFile() string { return filepath.Join(p.state, "gateway.yaml") }

// prepare makes what the services of --with need on disk.
func (p *plan) prepare() error {
	if len(p.stores) == 0 {
		return nil
	}
	if _, err := p.MakeDataDir(); err != nil { // with its .gitignore
		return err
	}
	for _, dir := range p.stores {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return err
		}
	}
	for _, write := range p.files {
		if err := write(); err != nil {
			return err
		}
	}
	if p.settings == nil {
		return nil
	}
	return os.WriteFile(p.settingsFile(), p.settings, 0o600)
}

// find finds the program: as the environment says, in the folder of native
// programs, on PATH.
func (s store) find(o *upOptions, native string) (string, error) {
	if path := o.IO.Env(s.variable); path != "" {
		return path, checkProgram(s.variable, path)
	}
	if path := filepath.Join(native, s.programs[0]); checkProgram("", path) == nil {
		return path, nil
	}
	for _, program := range s.programs {
		if path, err := exec.LookPath(program); err == nil {
			return path, nil
		}
	}
	return "", cli.WithFix(prism.New(prism.ReasonFailedPrecond, "%s is neither on PATH nor in %s", s.programs[0], native), "%s, or name it with %s", s.hint, s.variable)
}

// listens is where a server will listen that opens its own socket. Where the
// project's own file names the backend it is not for us to choose.
func (p *plan) listens(o *upOptions, store, name string, port int) (supervise.ListenSpec, error) {
	l := supervise.ListenSpec{Name: name, Own: true, Origin: "the default of " + store}
	port += o.PortOffset
	switch {
	case o.AutoPorts && p.file == "":
		free, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return l, err
		}
		defer free.Close()
		l.Addr, l.Origin = free.Addr().String(), "--auto-ports"
		return l, nil
	case port > 65535:
		return l, cli.Usage("choose a smaller offset", "--port-offset %d moves %s out of the range of ports", o.PortOffset, store)
	case o.PortOffset != 0:
		l.Origin = fmt.Sprintf("--port-offset %d", o.PortOffset)
	}
	l.Addr = net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
	return l, nil
}

// makePassword gives the password in a file, which is made once: gateways that
// run read it.
func makePassword(file string) (string, error) {
	password, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		password = []byte(rand.Text())
		err = os.WriteFile(file, password, 0o600)
	}
	return strings.TrimSpace(string(password)), err
}

// missing names what --with asks for and the running supervisor does not have.
func (o *upOptions) missing(st supervise.Status) error {
	for _, name := range o.With {
		if st.Service(name) == nil {
			return cli.WithFix(prism.New(prism.ReasonFailedPrecond, "it runs already, without %s", name), "prismctl dev down, then prismctl dev up --with %s", name)
		}
	}
	return nil
}
