package dev

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"

	"github.com/prism-data-layer/prism/pkg/supervise"
)

var clickhouseStore = store{
	name: "clickhouse", variable: "PRISM_NATIVE_CHDB", hint: "run tools/chdb.sh of the source (Linux on x86-64)",
	programs: []string{"prism-chdb"}, plan: planClickHouse,
}

const (
	clickhouseUser = "prism"
	clickhousePort = 8123 // of HTTP, as everywhere
)

// planClickHouse listens on a port of the loopback interface, which others on
// this machine can reach: so it asks for a password. The program is ClickHouse's
// engine behind HTTP (stacks/native/chdb); it has no native protocol.
func planClickHouse(p *plan, o *upOptions, dir string) (supervise.Spec, string, error) {
	listen, err := p.listens(o, "clickhouse", "http", clickhousePort)
	if err != nil {
		return supervise.Spec{}, "", err
	}
	c := clickhouse{addr: listen.Addr, users: filepath.Join(p.state, "clickhouse.users"), password: filepath.Join(p.state, "clickhouse.password")}
	p.files = append(p.files, c.write)
	return supervise.Spec{
		Args: []string{"--listen", c.addr, "--path", dir, "--users", c.users}, Listen: []supervise.ListenSpec{listen},
		Ready: supervise.Probe{Name: "SELECT 1 on " + c.addr, Check: func(ctx context.Context, _ supervise.Instance) error { return c.ask(ctx) }},
	}, fmt.Sprintf("addrs: [%q], protocol: http, database: default, username: %s, password_file: %q", c.addr, clickhouseUser, c.password), nil
}

// A clickhouse is a ClickHouse of this project.
type clickhouse struct {
	addr            string
	users, password string // files
}

// write writes the files of the server.
func (c clickhouse) write() error {
	password, err := makePassword(c.password)
	if err != nil {
		return err
	}
	return os.WriteFile(c.users, []byte(clickhouseUser+" "+password+"\n"), 0o600)
}

// ask asks the server for something, as the gateway will.
func (c clickhouse) ask(ctx context.Context) error {
	password, err := os.ReadFile(c.password)
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+c.addr+"/", strings.NewReader("SELECT 1"))
	if err != nil {
		return err
	}
	req.SetBasicAuth(clickhouseUser, strings.TrimSpace(string(password)))
	req.Close = true
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(res.Body, 1<<10))
	if err == nil && (res.StatusCode != http.StatusOK || string(answer) != "1\n") {
		err = fmt.Errorf("it answers %s: %q", res.Status, answer)
	}
	return err
}
