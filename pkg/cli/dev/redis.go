package dev

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"strings"

	"github.com/prism-data-layer/prism/pkg/supervise"
)

var redisStore = store{
	name: "redis", variable: "PRISM_NATIVE_REDIS", hint: "install it (apt-get install redis-server, brew install redis)",
	programs: []string{"redis-server"}, plan: planRedis,
}

// planRedis listens on a Unix socket: only this user can reach his own, and no
// port is taken.
func planRedis(p *plan, _ *upOptions, dir string) (supervise.Spec, string, error) {
	socket := strings.TrimSuffix(p.socket, ".sock") + ".redis"
	return supervise.Spec{
		Args: []string{
			"--port", "0", "--unixsocket", socket, "--unixsocketperm", "700", "--dir", dir,
			"--daemonize", "no", "--appendonly", "yes", "--save", "",
		},
		Ready: supervise.Probe{Name: "PING on " + socket, Check: func(ctx context.Context, _ supervise.Instance) error { return ping(ctx, socket) }},
	}, fmt.Sprintf("addrs: [%q]", socket), nil
}

// ping asks a Redis server on a Unix socket whether it takes commands.
func ping(ctx context.Context, socket string) error {
	conn, err := dial(ctx, "unix", socket)
	if err != nil {
		return err
	}
	defer conn.Close()
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

// dial connects for a probe, which does not outlive its ctx.
func dial(ctx context.Context, network, addr string) (net.Conn, error) {
	conn, err := new(net.Dialer).DialContext(ctx, network, addr)
	if err != nil {
		return nil, err
	}
	if deadline, ok := ctx.Deadline(); ok {
		if err := conn.SetDeadline(deadline); err != nil {
			conn.Close()
			return nil, err
		}
	}
	return conn, nil
}
