package dev

import (
	"fmt"
	"net"
	"path/filepath"
	"strconv"

	"github.com/prism-data-layer/prism/pkg/cli"
	"github.com/prism-data-layer/prism/pkg/config"
	"github.com/prism-data-layer/prism/pkg/supervise"
)

// sockets are those that the supervisor opens for prismd.
var sockets = []string{"data", "admin", "metrics"}

// sockets are where prismd listens: as the command line says, .prism.yaml, the
// gateway's file, the default.
func (pl *plan) sockets() ([]supervise.ListenSpec, error) {
	l := pl.gateway.Listen
	before, _ := supervise.Inspect(pl.state) //nolint:errcheck // a damaged file remembers no ports
	var taken []net.Listener
	defer func() {
		for _, l := range taken {
			l.Close()
		}
	}()
	var list []supervise.ListenSpec
	for i, addr := range []config.Address{l.Data, l.Admin, l.Metrics} {
		name := sockets[i]
		host, port, err := net.SplitHostPort(string(addr))
		if err != nil {
			return nil, err
		}
		n, _ := strconv.Atoi(port) //nolint:errcheck // the file was checked
		origin := pl.originOf(l, name)
		if own := pl.ownPort(name); own != nil {
			host, n, origin = loopback, int(own.port), own.origin
		}
		chosen := pl.Ports[name]
		switch {
		case chosen != 0:
			n, origin = chosen, fmt.Sprintf("--port %s=%d", name, chosen)
		case pl.AutoPorts:
			n, origin = 0, "--auto-ports"
		case pl.PortOffset != 0 && n != 0:
			if n += pl.PortOffset; n < 1 || n > 65535 {
				return nil, cli.Usage("choose a smaller offset", "--port-offset %d moves %s out of the range of ports", pl.PortOffset, name)
			}
			origin = fmt.Sprintf("--port-offset %d", pl.PortOffset)
		}
		if n == 0 { // the system chooses, before anybody has to know
			free, err := freePort(host, portOf(before.Service(gateway), name))
			if err != nil {
				return nil, err
			}
			taken = append(taken, free)
			n = free.Addr().(*net.TCPAddr).Port
		}
		list = append(list, supervise.ListenSpec{Name: name, Addr: net.JoinHostPort(host, strconv.Itoa(n)), Origin: origin})
	}
	return list, nil
}

const loopback = "127.0.0.1"

// freePort holds a free port: the one of the last time, if it still is free.
func freePort(host string, last int) (net.Listener, error) {
	if last != 0 {
		if l, err := net.Listen("tcp", net.JoinHostPort(host, strconv.Itoa(last))); err == nil {
			return l, nil
		}
	}
	return net.Listen("tcp", net.JoinHostPort(host, "0"))
}

func portOf(s *supervise.ServiceStatus, socket string) int {
	if s == nil {
		return 0
	}
	_, port, err := net.SplitHostPort(s.Listen[socket])
	if err != nil {
		return 0
	}
	n, _ := strconv.Atoi(port) //nolint:errcheck // 0 is none
	return n
}

type ownPort struct {
	port   config.Port
	origin string
}

// ownPort is what .prism.yaml says of a socket; nil where it says nothing.
func (p project) ownPort(name string) *ownPort {
	if p.own == nil || !p.own.Ports.Declared(name) {
		return nil
	}
	ports := p.own.Ports
	port := map[string]config.Port{"data": ports.Data, "admin": ports.Admin, "metrics": ports.Metrics}[name]
	return &ownPort{port, fmt.Sprintf("%s:%d", config.ProjectFile, ports.At(name).Line)}
}

func (pl *plan) originOf(l config.Listen, field string) string {
	if pl.file != "" && l.Declared(field) {
		at := l.At(field)
		return fmt.Sprintf("%s:%d", filepath.Base(at.File), at.Line)
	}
	return "the default of listen." + field
}
