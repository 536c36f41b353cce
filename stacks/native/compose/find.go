package main

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/containerd/errdefs"
	"github.com/docker/cli/cli/command"
	cliflags "github.com/docker/cli/cli/flags"
	"github.com/moby/moby/client"
)

// answerTime is how long an engine has for its first answer: one that is
// overloaded takes seconds.
const answerTime = 5 * time.Second

// An engine is the container engine of this machine.
type engine struct {
	cli      *command.DockerCli
	api      client.APIClient
	endpoint string
}

func (e *engine) close() { _ = e.api.Close() }

// connect finds the engine as the docker command does (DOCKER_HOST,
// DOCKER_CONTEXT, the current context, the usual socket), then as rootless
// engines and Docker Desktop have it, and asks whether it answers.
func connect(ctx context.Context) (*engine, error) {
	cli, err := newCLI("")
	if err != nil {
		return nil, fail(kindMissing, "the container engine cannot be found: %v", err).fix("docker context ls")
	}
	endpoint := cli.DockerEndpoint().Host
	if os.Getenv("DOCKER_HOST") == "" && cli.CurrentContext() == command.DefaultContextName && runtime.GOOS != "windows" {
		if endpoint = usualSocket(endpoint); endpoint != cli.DockerEndpoint().Host {
			if cli, err = newCLI(endpoint); err != nil {
				return nil, err
			}
		}
	}
	if err := dial(endpoint); err != nil {
		return nil, err
	}
	e := &engine{cli: cli, api: cli.Client(), endpoint: endpoint}
	if err := e.ask(ctx); err != nil {
		e.close()
		return nil, err
	}
	return e, nil
}

func newCLI(host string) (*command.DockerCli, error) {
	cli, err := command.NewDockerCli(command.WithInputStream(io.NopCloser(strings.NewReader(""))),
		command.WithOutputStream(io.Discard), command.WithErrorStream(io.Discard))
	if err != nil {
		return nil, err
	}
	o := cliflags.NewClientOptions()
	if host != "" {
		o.Hosts = []string{host}
	}
	return cli, cli.Initialize(o)
}

// usualSocket is the first socket that takes a call, else the first that is
// there, else the default.
func usualSocket(usual string) string {
	var there []string
	for _, s := range sockets(usual) {
		conn, err := net.DialTimeout("unix", strings.TrimPrefix(s, "unix://"), answerTime)
		if err == nil {
			_ = conn.Close()
			return s
		}
		if !errors.Is(err, syscall.ENOENT) {
			there = append(there, s)
		}
	}
	return append(there, usual)[0]
}

func sockets(usual string) []string {
	all := []string{usual}
	if dir := os.Getenv("XDG_RUNTIME_DIR"); dir != "" {
		all = append(all, "unix://"+filepath.Join(dir, "docker.sock"))
	}
	if home, err := os.UserHomeDir(); err == nil {
		all = append(all, "unix://"+filepath.Join(home, ".docker", "run", "docker.sock"))
	}
	return all
}

// dial tells a socket that is not there from one that nobody serves and one that
// we may not use; the client's errors no longer do.
func dial(endpoint string) error {
	network, addr, ok := strings.Cut(endpoint, "://")
	if !ok || network != "unix" && network != "tcp" {
		return nil // a pipe, or ssh: asking will show
	}
	conn, err := net.DialTimeout(network, addr, answerTime)
	switch {
	case err == nil:
		_ = conn.Close()
		return nil
	case errors.Is(err, syscall.ENOENT), errors.Is(err, syscall.ENOTDIR):
		return fail(kindMissing, "no container engine is there: nothing is at %s", endpoint).fix("%s", missingFix())
	case errors.Is(err, syscall.EACCES), errors.Is(err, syscall.EPERM):
		return fail(kindForbidden, "this user may not speak to the container engine at %s", endpoint).fix("%s", forbiddenFix())
	}
	return stopped(endpoint, err)
}

func stopped(endpoint string, err error) *Failure {
	var op *net.OpError
	if errors.As(err, &op) {
		err = op.Err
	}
	return fail(kindStopped, "the container engine at %s does not answer: %v", endpoint, err).fix("%s", startFix())
}

// ask settles the version of the API.
func (e *engine) ask(ctx context.Context) error {
	ctx, cancel := context.WithTimeoutCause(ctx, answerTime, errors.New("no answer in "+answerTime.String()))
	defer cancel()
	_, err := e.api.Ping(ctx, client.PingOptions{NegotiateAPIVersion: true})
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return stopped(e.endpoint, context.Cause(ctx))
	case errdefs.IsInvalidArgument(err):
		return fail(kindOld, "the container engine at %s is too old: %v", e.endpoint, err).fix("install Docker Engine 20.10 or newer: https://docs.docker.com/engine/install/")
	}
	return stopped(e.endpoint, err)
}

func missingFix() string {
	if host := os.Getenv("DOCKER_HOST"); host != "" {
		return "unset DOCKER_HOST, which names it, or start the engine there"
	}
	if _, err := exec.LookPath("docker"); err == nil {
		return startFix()
	}
	return "install one: https://docs.docker.com/engine/install/"
}

func startFix() string {
	if runtime.GOOS == "linux" {
		return "sudo systemctl start docker"
	}
	return "start Docker Desktop"
}

// forbiddenFix knows those who were let in after they signed in.
func forbiddenFix() string {
	me, err := user.Current()
	if err != nil {
		return "run it as a user in the group docker"
	}
	if g, err := user.LookupGroup("docker"); err == nil {
		if ids, err := me.GroupIds(); err == nil && slices.Contains(ids, g.Gid) {
			return "newgrp docker (or sign in again: you are in the group docker since)"
		}
	}
	return "sudo usermod -aG docker " + me.Username + ", then sign in again"
}

func info(ctx context.Context, e *engine, _ Request, say func(Answer)) error {
	got, err := e.api.Info(ctx, client.InfoOptions{})
	if err != nil {
		return err
	}
	i := got.Info
	rootless := slices.ContainsFunc(i.SecurityOptions, func(o string) bool { return strings.Contains(o, "name=rootless") })
	say(Answer{Info: &Info{
		Endpoint: e.endpoint, Version: i.ServerVersion, API: e.api.ClientVersion(),
		OS: i.OperatingSystem, Memory: i.MemTotal, Rootless: rootless,
	}})
	return nil
}
