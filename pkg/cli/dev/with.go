package dev

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"github.com/prism-data-layer/prism/pkg/cli"
	"github.com/prism-data-layer/prism/pkg/config"
	"github.com/prism-data-layer/prism/pkg/prism"
	"github.com/prism-data-layer/prism/pkg/supervise"
)

// stores are what --with can start beside the gateway.
var stores = []string{redisStore}

// redisStore is the name of the service, of the backend and of --with's word.
const redisStore = "redis"

func checkWith(names []string) error {
	for _, n := range names {
		if !slices.Contains(stores, n) {
			return cli.Usage("use one of: "+strings.Join(stores, ", "), "--with %q is not known", n)
		}
	}
	return nil
}

// add puts what --with names into the plan: a service that is ready before the
// gateway starts, and a backend for it.
func (p *plan) add(o *upOptions) error {
	if !slices.Contains(o.With, redisStore) {
		return nil
	}
	program, err := findRedis(o)
	if err != nil {
		return err
	}
	socket := strings.TrimSuffix(p.socket, ".sock") + ".redis"
	p.store = filepath.Join(p.Root, ".prism", redisStore)
	if err := p.declare(socket); err != nil {
		return err
	}
	prismd := &p.specs[0]
	prismd.After = append(prismd.After, redisStore)
	if p.settings != nil {
		prismd.Args = append(prismd.Args, "--config", p.settingsFile())
	}
	p.specs = append([]supervise.Spec{{
		Name: redisStore, Path: program, Dir: p.Root,
		// Only this user can reach a socket of his own, and no port is taken.
		Args: []string{
			"--port", "0", "--unixsocket", socket, "--unixsocketperm", "700", "--dir", p.store,
			"--daemonize", "no", "--appendonly", "yes", "--save", "",
		},
		Ready: supervise.Probe{Name: "PING on " + socket, Check: func(ctx context.Context, _ supervise.Instance) error { return ping(ctx, socket) }},
	}}, p.specs...)
	return nil
}

// declare gives the gateway the backend. A file of the project's own is its
// owner's: it must have it already.
func (p *plan) declare(socket string) error {
	line := fmt.Sprintf("{name: %s, driver: redis, options: {addrs: [%q]}}", redisStore, socket)
	if _, ok := p.gateway.Backend(redisStore); ok {
		return nil
	}
	if p.file != "" {
		return cli.WithFix(prism.New(prism.ReasonFailedPrecond, "%s declares no backend %q", filepath.Base(p.file), redisStore), "add to its backends: - %s", line)
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
	if p.store == "" {
		return nil
	}
	if _, err := p.MakeDataDir(); err != nil { // with its .gitignore
		return err
	}
	if err := os.MkdirAll(p.store, 0o700); err != nil {
		return err
	}
	if p.settings == nil {
		return nil
	}
	return os.WriteFile(p.settingsFile(), p.settings, 0o600)
}

// findRedis finds the server: as the environment says, on PATH.
func findRedis(o *upOptions) (string, error) {
	const variable = "PRISM_NATIVE_REDIS"
	if path := o.IO.Env(variable); path != "" {
		return path, checkProgram(variable, path)
	}
	path, err := exec.LookPath("redis-server")
	if err != nil {
		return "", cli.WithFix(prism.New(prism.ReasonFailedPrecond, "redis-server is not on PATH"),
			"install it (apt-get install redis-server, brew install redis), or name it with %s", variable)
	}
	return path, nil
}

// ping asks a Redis server on a Unix socket whether it takes commands.
func ping(ctx context.Context, socket string) error {
	conn, err := new(net.Dialer).DialContext(ctx, "unix", socket)
	if err != nil {
		return err
	}
	defer conn.Close()
	if deadline, ok := ctx.Deadline(); ok {
		if err := conn.SetDeadline(deadline); err != nil {
			return err
		}
	}
	if _, err := conn.Write([]byte("PING\r\n")); err != nil {
		return err
	}
	answer := make([]byte, 256)
	n, err := conn.Read(answer)
	if err != nil {
		return err
	}
	if answer = bytes.TrimSpace(answer[:n]); string(answer) != "+PONG" {
		return fmt.Errorf("it answers %q", answer)
	}
	return nil
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
