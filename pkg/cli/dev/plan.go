package dev

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/prism-data-layer/prism/pkg/cli"
	"github.com/prism-data-layer/prism/pkg/config"
	"github.com/prism-data-layer/prism/pkg/prism"
	"github.com/prism-data-layer/prism/pkg/supervise"
)

// A plan is what dev up will start, and with what.
type plan struct {
	project
	gateway *config.Gateway
	origin  string // of the settings, for people: "prism.yaml" or "built-in settings"
	program string // prismd
	data    string // its data folder
	specs   []supervise.Spec

	stores   []string       // the folders of the stores beside the gateway
	files    []func() error // write what they need
	settings []byte         // written for prismd where --with changes the built-in ones
}

// makePlan reads everything that dev up needs and starts nothing.
func makePlan(ctx context.Context, o *upOptions, p project) (*plan, error) {
	pl := &plan{project: p, gateway: config.Default(), origin: "built-in settings"}
	var err error
	if p.file != "" {
		if pl.gateway, err = config.LoadGateway(p.file, config.Load{Dir: filepath.Dir(p.file)}); err != nil {
			return nil, err
		}
		pl.origin = filepath.Base(p.file)
	}
	if pl.program, err = findGateway(o); err != nil {
		return nil, err
	}
	if err := o.sameVersion(ctx, pl.program); err != nil {
		return nil, err
	}
	if pl.data, err = pl.dataDir(); err != nil {
		return nil, err
	}
	sockets, err := pl.sockets(o)
	if err != nil {
		return nil, err
	}
	args := []string{"--data-dir", pl.data}
	if p.file != "" {
		args = append(args, "--config", p.file)
	}
	probe := &probe{admin: func() string { return tokenIn(pl.data) }}
	pl.specs = []supervise.Spec{{
		Name: gateway, Path: pl.program, Args: args, Dir: p.Root, Listen: sockets,
		Ready: supervise.Probe{Name: "a write read back through the data API", Check: probe.check},
		Stop:  pl.gateway.Drain.Timeout + 2*time.Second,
	}}
	return pl, pl.add(o)
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

// sockets are what the supervisor opens for prismd.
func (p *plan) sockets(o *upOptions) ([]supervise.ListenSpec, error) {
	l := p.gateway.Listen
	var list []supervise.ListenSpec
	for _, s := range []struct {
		name string
		addr config.Address
	}{{"data", l.Data}, {"admin", l.Admin}, {"metrics", l.Metrics}} {
		addr, origin := string(s.addr), p.originOf(l, s.name)
		switch {
		case o.AutoPorts:
			host, _, err := net.SplitHostPort(addr)
			if err != nil {
				return nil, err
			}
			addr, origin = net.JoinHostPort(host, "0"), "--auto-ports"
		case o.PortOffset != 0:
			host, port, err := net.SplitHostPort(addr)
			if err != nil {
				return nil, err
			}
			n, _ := strconv.Atoi(port) //nolint:errcheck // the file was checked
			if n == 0 {
				break // the system chooses
			}
			if n += o.PortOffset; n < 1 || n > 65535 {
				return nil, cli.Usage("choose a smaller offset", "--port-offset %d moves %s out of the range of ports", o.PortOffset, s.name)
			}
			addr, origin = net.JoinHostPort(host, strconv.Itoa(n)), fmt.Sprintf("--port-offset %d", o.PortOffset)
		}
		list = append(list, supervise.ListenSpec{Name: s.name, Addr: addr, Origin: origin})
	}
	return list, nil
}

func (p *plan) originOf(l config.Listen, field string) string {
	if p.file != "" && l.Declared(field) {
		at := l.At(field)
		return fmt.Sprintf("%s:%d", filepath.Base(at.File), at.Line)
	}
	return "the default of listen." + field
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
