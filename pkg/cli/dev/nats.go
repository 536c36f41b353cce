package dev

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/prism-data-layer/prism/pkg/supervise"
)

var natsStore = store{
	name: "nats", variable: "PRISM_NATIVE_NATS", hint: "install it (apt-get install nats-server, brew install nats-server)",
	programs: []string{"nats-server", "/usr/sbin/nats-server"}, plan: planNATS, // Debian's is not on everyone's PATH
}

const (
	natsUser    = "prism"
	natsPort    = 4222       // as everywhere
	natsPayload = 1152 << 10 // bytes: an event of 1 MiB with its attributes
)

// planNATS listens on a port of the loopback interface, which others on this
// machine can reach: so it asks for a password.
func planNATS(p *plan, o *upOptions, dir string) (supervise.Spec, string, error) {
	listen, err := p.listens(o, "nats", "client", natsPort)
	if err != nil {
		return supervise.Spec{}, "", err
	}
	n := nats{addr: listen.Addr, dir: dir, config: filepath.Join(p.state, "nats.conf"), password: filepath.Join(p.state, "nats.password")}
	p.files = append(p.files, n.write)
	return supervise.Spec{
		Args: []string{"-c", n.config}, Listen: []supervise.ListenSpec{listen},
		Ready: supervise.Probe{Name: "PING on " + n.addr, Check: func(ctx context.Context, _ supervise.Instance) error { return n.ping(ctx) }},
	}, fmt.Sprintf("servers: [%q], username: %s, password_file: %q", "nats://"+n.addr, natsUser, n.password), nil
}

// A nats is a NATS server of this project.
type nats struct {
	addr, dir        string
	config, password string // files
}

// write writes the files of the server.
func (n nats) write() error {
	password, err := makePassword(n.password)
	if err != nil {
		return err
	}
	text := fmt.Sprintf("listen: %q\nmax_payload: %d\njetstream {store_dir: %q}\nauthorization {user: %s, password: %q}\n",
		n.addr, natsPayload, n.dir, natsUser, password)
	return os.WriteFile(n.config, []byte(text), 0o600)
}

// ping asks the server whether it lets us in.
func (n nats) ping(ctx context.Context) error {
	password, err := os.ReadFile(n.password)
	if err != nil {
		return err
	}
	conn, err := dial(ctx, "tcp", n.addr)
	if err != nil {
		return err
	}
	defer conn.Close()
	hello, err := json.Marshal(map[string]any{"user": natsUser, "pass": strings.TrimSpace(string(password)), "verbose": false, "name": "prismctl dev"})
	if err != nil {
		return err
	}
	if _, err := fmt.Fprintf(conn, "CONNECT %s\r\nPING\r\n", hello); err != nil {
		return err
	}
	for lines := bufio.NewScanner(conn); lines.Scan(); {
		switch line := lines.Text(); {
		case line == "PONG":
			return nil
		case strings.HasPrefix(line, "INFO "):
		default:
			return fmt.Errorf("it answers %q", line)
		}
	}
	return errors.New("it does not answer")
}
