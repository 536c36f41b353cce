package dev

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"time"

	"github.com/prism-data-layer/prism/pkg/cli"
	"github.com/prism-data-layer/prism/pkg/config"
	"github.com/prism-data-layer/prism/pkg/prism"
	"github.com/prism-data-layer/prism/pkg/supervise"
	"github.com/prism-data-layer/prism/stacks"
)

// A plan is what dev up will start, and with what.
type plan struct {
	project
	wish
	gateway *config.Gateway
	origin  string // of the settings, for people: "prism.yaml" or "built-in settings"
	program string // prismd
	source  *checkout
	data    string // its data folder

	stacks   *stacks.Plan
	skipped  []stacks.Skipped
	warnings []string
	settings []byte // written for prismd where stacks change the built-in ones
	specs    []supervise.Spec
}

// makePlan reads everything that dev up needs and starts nothing.
func makePlan(ctx context.Context, o *upOptions, p project) (*plan, error) {
	pl := &plan{project: p, wish: o.wish, gateway: config.Default(), origin: "built-in settings"}
	var err error
	if p.file != "" {
		if pl.gateway, err = config.LoadGateway(p.file, config.Load{Dir: filepath.Dir(p.file)}); err != nil {
			return nil, err
		}
		pl.origin = filepath.Base(p.file)
	}
	if o.Watch {
		err = pl.watch(ctx, o)
	} else {
		pl.program, err = findGateway(o)
	}
	if err != nil {
		return nil, err
	}
	if err := o.sameVersion(ctx, pl.program); err != nil {
		return nil, err
	}
	if pl.data, err = pl.dataDir(); err != nil {
		return nil, err
	}
	if err := pl.planStacks(ctx); err != nil {
		return nil, err
	}
	if err := pl.addGateway(o); err != nil {
		return nil, err
	}
	return pl, pl.addServices()
}

// watch builds prismd from the checkout that the project is in.
func (pl *plan) watch(ctx context.Context, o *upOptions) error {
	c, err := findCheckout(pl.project, o.Version)
	if err != nil {
		return err
	}
	pl.source, pl.program = &c, c.program
	return c.build(ctx)
}

// addGateway puts prismd into the plan, behind its stacks.
func (pl *plan) addGateway(o *upOptions) error {
	listen, err := pl.sockets()
	if err != nil {
		return err
	}
	probe := &probe{admin: func() string { return tokenIn(pl.data) }}
	spec := supervise.Spec{
		Name: gateway, Path: pl.program, Args: []string{"--data-dir", pl.data, "--faults"}, Dir: pl.Root, Listen: listen,
		Ready: supervise.Probe{Name: "a write read back through the data API", Check: probe.check},
		Stop:  pl.gateway.Drain.Timeout + 2*time.Second,
	}
	if !pl.ownData() { // which is not ours to delete
		spec.Before = pl.emptied(gateway)
	}
	for _, i := range pl.stacks.Instances {
		if err := pl.declare(i); err != nil {
			return err
		}
		spec.After = append(spec.After, i.Stack.Name)
		spec.Env = append(spec.Env, i.GatewayEnv()...)
		service := i.Spec()
		service.Before = pl.emptied(service.Name)
		pl.specs = append(pl.specs, service)
	}
	switch {
	case pl.settings != nil:
		spec.Args = append(spec.Args, "--config", pl.settingsFile())
	case pl.file != "":
		spec.Args = append(spec.Args, "--config", pl.file)
	}
	if pl.source != nil {
		spec.Watch = pl.source.rebuild()
	}
	pl.specs = append(pl.specs, spec)
	return nil
}

// dataDir is where the file says, or the project's own folder.
func (p *plan) dataDir() (string, error) {
	if p.ownData() {
		return p.gateway.ResolveDataDir(filepath.Dir(p.file))
	}
	return p.DataDir(), nil
}

func (p *plan) ownData() bool { return p.file != "" && p.gateway.Declared("data_dir") }

// makeDataDir makes the project's own folder; one that the file names is
// prismd's to make.
func (p *plan) makeDataDir() error {
	if p.ownData() {
		return nil
	}
	_, err := p.MakeDataDir()
	if errors.Is(err, fs.ErrPermission) || errors.Is(err, syscall.EROFS) {
		return cli.WithFix(err, "make %s writable, or go to another folder", p.Root)
	}
	return err
}

// findGateway finds prismd: as told, by the environment, beside this program,
// on PATH.
func findGateway(o *upOptions) (string, error) {
	name := gateway
	if runtime.GOOS == "windows" {
		name += ".exe"
	}
	if o.Program != "" {
		return o.Program, checkProgram("--prismd", o.Program)
	}
	if path := o.IO.Env("PRISM_PRISMD"); path != "" {
		return path, checkProgram("PRISM_PRISMD", path)
	}
	if self, err := os.Executable(); err == nil {
		if real, err := filepath.EvalSymlinks(self); err == nil {
			self = real
		}
		if beside := filepath.Join(filepath.Dir(self), name); checkProgram("", beside) == nil {
			return beside, nil
		}
	}
	if path, err := exec.LookPath(name); err == nil {
		return path, nil
	}
	return "", cli.WithFix(prism.New(prism.ReasonFailedPrecond, "prismd is neither beside prismctl nor on PATH"),
		"build it with make build, or name it with --prismd FILE")
}

func checkProgram(from, path string) error {
	info, err := os.Stat(path)
	if err != nil || info.IsDir() || runtime.GOOS != "windows" && info.Mode()&0o111 == 0 {
		return cli.Usage("name a program, or leave it out", "%s names %s, which is not a program", from, path)
	}
	return nil
}

// sameVersion refuses a prismd of another build: the two are made to fit.
func (o *upOptions) sameVersion(ctx context.Context, program string) error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	out, err := exec.CommandContext(ctx, program, "--version").Output()
	if err != nil {
		// The cause's words only: it has an exit code, which is not ours.
		return cli.WithFix(prism.New(prism.ReasonFailedPrecond, "%s does not tell its version", program).WithCause(errors.New(err.Error())), "build it with make build")
	}
	fields := strings.Fields(string(out))
	if len(fields) < 2 || fields[0] != gateway {
		return cli.WithFix(prism.New(prism.ReasonFailedPrecond, "%s is not prismd", program), "name prismd with --prismd FILE or PRISM_PRISMD")
	}
	if fields[1] != o.Version && !o.AllowSkew {
		return cli.WithFix(prism.New(prism.ReasonFailedPrecond, "prismctl is %s and %s is %s", o.Version, program, fields[1]),
			"build both with make build, or pass --allow-skew")
	}
	return nil
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// tokenIn is the first admin key of a gateway that asks for credentials; empty
// without one.
func tokenIn(data string) string {
	text, err := os.ReadFile(filepath.Join(data, "admin.key"))
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(text))
}
