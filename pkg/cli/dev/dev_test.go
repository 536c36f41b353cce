//go:build unix

package dev_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/prism-data-layer/prism/pkg/cli"
	"github.com/prism-data-layer/prism/pkg/cli/clitest"
	"github.com/prism-data-layer/prism/pkg/cli/dev"
	"github.com/prism-data-layer/prism/pkg/cli/root"
	"github.com/prism-data-layer/prism/pkg/driver/all"
	"github.com/prism-data-layer/prism/pkg/server"
	"github.com/prism-data-layer/prism/pkg/supervise"
)

// asGateway makes this test binary prismd.
const asGateway = "PRISM_DEV_TEST_GATEWAY"

// TestMain makes this binary every program that dev starts: the watcher, the
// gateway and, with `dev` as its first argument, prismctl itself.
func TestMain(m *testing.M) {
	if code, ran := supervise.Reexec(os.Args); ran {
		os.Exit(code)
	}
	if os.Getenv(asGateway) != "" {
		os.Exit(server.Main(os.Args[1:], os.Stdout, os.Stderr, server.Build{Version: "0.1.0", Drivers: all.Drivers()}))
	}
	if len(os.Args) > 1 && os.Args[1] == "dev" {
		os.Exit(root.Process(cli.Build{Version: "0.1.0"}))
	}
	// A program under the race detector otherwise takes a second to end.
	os.Setenv("GORACE", "atexit_sleep_ms=0 "+os.Getenv("GORACE"))
	os.Exit(clitest.Main(m))
}

// project is a rig in a folder of its own, with a gateway to start.
func project(t *testing.T) *clitest.Rig {
	t.Helper()
	r := clitest.Offline(t)
	home, err := os.MkdirTemp("", "dev") // short: the control socket's path is limited
	if err != nil {
		t.Fatal(err)
	}
	r.Dir = home
	delete(r.Env, "PRISM_DATA")
	delete(r.Env, "PRISM_ADMIN")
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	r.Env["PRISM_PRISMD"] = script(r, "prismd", asGateway+"=1 exec '"+self+`' "$@"`)
	r.Prepare = func(f *cli.Factory) { f.Place.Dev = dev.Context }
	t.Cleanup(func() {
		r.Context = context.Background()
		r.Run("dev", "down", "--kill")
		os.RemoveAll(home)
	})
	return r
}

// nothingLeft is how every down ends.
const nothingLeft = "looked again: no process, container, network, socket, port or pid file is left\n"

func script(r *clitest.Rig, name, text string) string {
	path := r.Write("bin/"+name, "#!/bin/sh\n"+text+"\n")
	if err := os.Chmod(path, 0o755); err != nil {
		panic(err)
	}
	return path
}

// An up is a `dev up` in the foreground of this process.
type up struct {
	ended chan clitest.Result
}

// start runs `dev up` until it is ready.
func start(t *testing.T, r *clitest.Rig, args ...string) up {
	t.Helper()
	u := up{make(chan clitest.Result, 1)}
	go func() { u.ended <- r.Run(append([]string{"dev", "up", "--auto-ports"}, args...)...) }()
	for deadline := time.Now().Add(20 * time.Second); r.Run("dev", "status").Code != 0; time.Sleep(20 * time.Millisecond) {
		select {
		case got := <-u.ended:
			t.Fatalf("dev up ended with %d\n%s%s", got.Code, got.Out, got.ErrOut)
		default:
		}
		if time.Now().After(deadline) {
			t.Fatalf("not ready: %+v", r.Run("dev", "status"))
		}
	}
	return u
}

// ready waits until all is ready.
func ready(t *testing.T, r *clitest.Rig) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); r.Run("dev", "status").Code != 0; time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not ready: %+v", r.Run("dev", "status"))
		}
	}
}

// at lets commands run in a folder of their own, with the rig's home.
func at(home, dir string) func(*cli.Factory) {
	return func(f *cli.Factory) {
		f.Place = cli.Place{Dir: dir, Home: home, Temp: home, Dev: dev.Context}
	}
}

func TestLifeOfAGateway(t *testing.T) {
	r := project(t)
	u := start(t, r)
	addr := regexp.MustCompile(`prismd   data     (127\.0\.0\.1:\d+)\nprismd   admin    127\.0\.0\.1:\d+\nprismd   metrics  http://127\.0\.0\.1:\d+/metrics\n`)

	again := r.Want(0, []string{"already running (supervisor pid "}, "dev", "up")
	if !addr.MatchString(again.Out) {
		t.Errorf("a second up prints\n%s", again.Out)
	}
	r.OK("kv", "set", "greeting", "hello")

	var list []map[string]any
	if err := json.Unmarshal([]byte(r.OK("dev", "status", "-o", "json")), &list); err != nil || list[0]["name"] != "prismd" || list[0]["state"] != "ready" || list[0]["restarts"] != 0.0 {
		t.Errorf("status: %v, %v", list, err)
	}
	var env map[string]string
	if err := json.Unmarshal([]byte(r.OK("dev", "env", "--format", "json")), &env); err != nil || !strings.Contains(again.Out, env["PRISM_DATA"]) {
		t.Errorf("env: %v, %v", env, err)
	}
	if got := r.OK("dev", "env", "-o", "shell"); !strings.Contains(got, "export PRISM_DATA='"+env["PRISM_DATA"]+"'\n") {
		t.Errorf("env for a shell:\n%s", got)
	}
	if got := r.OK("dev", "env"); !strings.HasPrefix(got, "PRISM_DATA="+env["PRISM_DATA"]+"\n") {
		t.Errorf("env for a file:\n%s", got)
	}
	r.Want(2, []string{"use one of: dotenv, shell, json"}, "dev", "env", "--format", "xml")
	if got := r.OK("dev", "doctor"); strings.Contains(got, "fail") || !strings.Contains(got, "in use by this project") {
		t.Errorf("doctor:\n%s", got)
	}

	if got := r.OK("dev", "restart"); got != "prismd is ready\n" {
		t.Errorf("restart: %q", got)
	}
	r.Want(3, []string{`service "nope" not found`, "prismctl dev status"}, "dev", "restart", "nope")
	if got := r.OK("kv", "get", "greeting"); got != "hello\n" {
		t.Errorf("after a restart: %q", got)
	}

	logs := r.OK("dev", "logs", "--grep", `"msg":"ready"`)
	if strings.Count(logs, "\n") != 2 || !strings.Contains(logs, " prismd | ") {
		t.Errorf("logs of two starts:\n%s", logs)
	}
	if got := r.OK("dev", "logs", "prismd", "-o", "json", "--tail", "1"); !strings.HasPrefix(got, `{"service":"prismd"`) {
		t.Errorf("logs as JSON:\n%s", got)
	}
	r.Want(3, []string{`service "nope" not found`}, "dev", "logs", "nope")
	r.Want(3, []string{`service "nope" not found`}, "dev", "logs", "nope", "-f")
	r.Want(2, []string{"--since"}, "dev", "logs", "--since", "yesterday")
	r.Want(2, []string{"--grep"}, "dev", "logs", "--grep", "(")
	r.Want(2, []string{"--previous"}, "dev", "logs", "--previous", "-f")

	for args, want := range map[string]string{"logs -f": `"msg":"ready"`, "attach": "ready"} {
		ctx, cancel := context.WithCancelCause(t.Context())
		time.AfterFunc(300*time.Millisecond, func() { cancel(cli.Interrupt{}) })
		r.Context = ctx
		if got := r.Want(130, []string{"cancelled"}, append([]string{"dev"}, strings.Fields(args)...)...); !strings.Contains(got.Out, want) {
			t.Errorf("dev %s printed\n%s", args, got.Out)
		}
		r.Context = context.Background()
	}

	r.Want(2, []string{"--yes"}, "dev", "down", "--volumes")
	got := r.Want(0, []string{"stopping", "stopped"}, "dev", "down", "--volumes", "--yes")
	if got.Out != "stopped\ndeleted the data in .prism/data\n"+nothingLeft {
		t.Errorf("down: %q", got.Out)
	}
	if got := <-u.ended; got.Code != 0 || !addr.MatchString(got.Out) || !strings.Contains(got.ErrOut, "ready in ") || strings.Contains(got.Out+got.ErrOut, "\x1b") {
		t.Errorf("up ended with %d\n%s%s", got.Code, got.Out, got.ErrOut)
	}
	if _, err := os.Stat(filepath.Join(r.Dir, ".prism", "data")); err == nil {
		t.Error("the data is there still")
	}
	r.Want(6, []string{"nothing runs for", "prismctl dev up"}, "dev", "status")
	r.Want(0, []string{"these are the addresses of the last time"}, "dev", "env")
	r.OK("dev", "logs", "--since", "1h")
	if got := r.OK("dev", "down"); got != "nothing was running\n"+nothingLeft {
		t.Errorf("a second down: %q", got)
	}
}

func TestNothingRuns(t *testing.T) {
	r := project(t)
	r.Want(6, []string{"nothing was started for this folder", "error: nothing runs for /home/ann", "prismctl dev up"}, "dev", "status")
	for _, args := range []string{"env", "logs -f", "attach", "restart"} {
		r.Want(6, []string{"error: nothing runs for /home/ann", "fix: prismctl dev up"}, append([]string{"dev"}, strings.Fields(args)...)...)
	}
	r.Want(0, nil, "dev", "logs")
	if got := r.OK("dev", "doctor"); !strings.Contains(got, "nothing runs here yet") {
		t.Errorf("doctor:\n%s", got)
	}
	if got := r.OK("dev", "down"); got != "nothing was running\n"+nothingLeft {
		t.Errorf("down: %q", got)
	}
}

func TestPlanIsPrintedAndNothingIsMade(t *testing.T) {
	r := project(t)
	got := regexp.MustCompile(`[^ (]+-[0-9a-f]{6}\b`).ReplaceAllString(r.OK("dev", "up", "--plan"), "ID")
	want := `project  /home/ann (ID)
settings built-in settings
data     /home/ann/.prism/data
state    ID
start    prismd: /home/ann/bin/prismd --data-dir /home/ann/.prism/data --faults
listen   data     127.0.0.1:8980 (the default of listen.data)
listen   admin    127.0.0.1:8981 (the default of listen.admin)
listen   metrics  127.0.0.1:9090 (the default of listen.metrics)
ready    a write read back through the data API
`
	if got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	if entries, _ := os.ReadDir(r.Dir); len(entries) != 1 { // bin
		t.Errorf("the folder has %v", entries)
	}
	if got := r.OK("dev", "up", "--plan", "--port-offset", "20"); !strings.Contains(got, "127.0.0.1:9000 (--port-offset 20)") {
		t.Errorf("with an offset:\n%s", got)
	}
	r.Write("prism.yaml", "apiVersion: prism/v1\nkind: Gateway\ndata_dir: elsewhere\nlisten:\n  data: 127.0.0.1:7001\n  admin: 127.0.0.1:auto\n")
	got = r.OK("dev", "up", "--plan", "--port-offset", "20")
	for _, w := range []string{"settings prism.yaml", "data     /home/ann/elsewhere", "--config /home/ann/prism.yaml", "127.0.0.1:7021 (--port-offset 20)", " (prism.yaml:6)"} {
		if !strings.Contains(got, w) {
			t.Errorf("the plan of a file lacks %q:\n%s", w, got)
		}
	}
	if got := r.OK("dev", "up", "--plan", "--auto-ports"); strings.Count(got, " (--auto-ports)") != 3 || strings.Contains(got, ":0 ") {
		t.Errorf("with free ports:\n%s", got)
	}
}

func TestWhatIsWrongIsSaidAndNothingStarts(t *testing.T) {
	r := project(t)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	port := "apiVersion: prism/v1\nkind: Gateway\nlisten: {data: \"" + l.Addr().String() + "\", admin: \"127.0.0.1:auto\", metrics: \"127.0.0.1:auto\"}\n"
	typo := "apiVersion: prism/v1\nkind: Gateway\nlisten: {dada: \"127.0.0.1:1\"}\n"
	option := "apiVersion: prism/v1\nkind: Gateway\nbackends:\n  - {name: local, driver: pebble, options: {cahce: 1MiB}}\nnamespaces:\n  - {name: kv, model: keyvalue, backend: local}\n"
	skew, stranger, mute := script(r, "skew", "echo prismd 9.9.9"), script(r, "stranger", "echo hello there"), script(r, "mute", "exit 1")
	for name, c := range map[string]struct {
		file string
		code int
		args []string
		want []string
	}{
		"taken port":        {port, 5, nil, []string{"address " + l.Addr().String() + " (prismd.data, from prism.yaml:3) is taken by pid " + fmt.Sprint(os.Getpid()), "--port-offset N, --auto-ports or --port NAME=PORT"}},
		"typo":              {typo, 7, nil, []string{"prism.yaml:3:10: unknown key", "^^^^", `did you mean "data"?`}},
		"bad option":        {option, 7, []string{"--auto-ports"}, []string{"prismd refuses to start", "unknown key", `did you mean "cache"?`}},
		"other version":     {"", 5, []string{"--prismd", skew}, []string{"prismctl is 0.1.0 and", "is 9.9.9", "--allow-skew"}},
		"other program":     {"", 5, []string{"--prismd", stranger}, []string{"is not prismd", "PRISM_PRISMD"}},
		"mute program":      {"", 5, []string{"--prismd", mute}, []string{"does not tell its version"}},
		"no program":        {"", 2, []string{"--prismd", r.Dir}, []string{"--prismd names /home/ann, which is not a program"}},
		"two kinds of port": {"", 2, []string{"--auto-ports", "--port-offset", "1"}, []string{"contradict"}},
		"too far":           {"", 2, []string{"--port-offset", "60000"}, []string{"out of the range of ports"}},
		"an argument":       {"", 2, []string{"now"}, []string{"does not take"}},
	} {
		t.Run(name, func(t *testing.T) {
			os.Remove(filepath.Join(r.Dir, "prism.yaml"))
			if c.file != "" {
				r.Write("prism.yaml", c.file)
			}
			r.Want(c.code, c.want, append([]string{"dev", "up"}, c.args...)...)
			if got := r.Run("dev", "status"); got.Code != 6 {
				t.Errorf("afterwards status ends with %d\n%s%s", got.Code, got.Out, got.ErrOut)
			}
		})
	}
	r.Write("prism.yaml", port)
	if got := r.Want(1, nil, "dev", "doctor"); !strings.Contains(got.Out, "in use by others: "+l.Addr().String()+" (prism.yaml:3)") {
		t.Errorf("doctor:\n%s", got.Out)
	}
	r.Write("prism.yaml", typo)
	r.Env["PRISM_PRISMD"] = skew
	if got := r.Want(1, nil, "dev", "doctor"); strings.Count(got.Out, " fail ") != 2 || !strings.Contains(got.Out, "not tried") {
		t.Errorf("doctor:\n%s", got.Out)
	}
}

func TestDetachedGatewayOutlivesItsUp(t *testing.T) {
	r := project(t)
	r.Env["XDG_RUNTIME_DIR"] = filepath.Join(r.Dir, "run")
	for k, v := range map[string]string{"HOME": r.Dir, "XDG_RUNTIME_DIR": r.Env["XDG_RUNTIME_DIR"], "XDG_STATE_HOME": "", "XDG_CONFIG_HOME": ""} {
		t.Setenv(k, v) // of the supervisor, which is a process
	}
	r.Write("prism.yaml", "apiVersion: prism/v1\nkind: Gateway\nbackends:\n  - {name: local, driver: pebble, options: {cahce: 1MiB}}\nnamespaces:\n  - {name: kv, model: keyvalue, backend: local}\n")
	r.Want(7, []string{"prismd refuses to start", `did you mean "cache"?`}, "dev", "up", "--detach", "--auto-ports")
	os.Remove(filepath.Join(r.Dir, "prism.yaml"))

	got := r.Want(0, []string{"ready in ", "with built-in settings; prismctl dev down stops it"}, "dev", "up", "--detach", "--auto-ports")
	if !strings.Contains(got.Out, "prismd   data     127.0.0.1:") {
		t.Errorf("it printed\n%s", got.Out)
	}
	r.OK("kv", "set", "greeting", "hello")
	r.Want(0, []string{"already running"}, "dev", "up", "--detach", "--auto-ports")
	r.Want(0, []string{"stopped"}, "dev", "down")
	if left, _ := filepath.Glob(filepath.Join(r.Dir, ".local/state/prism/dev/*/supervisor-*.out")); len(left) != 0 {
		t.Errorf("left %v", left)
	}
	// A file without any backend has nowhere to write, and is ready when it serves.
	r.Write("prism.yaml", "apiVersion: prism/v1\nkind: Gateway\n")
	r.Want(0, []string{"ready in "}, "dev", "up", "--detach", "--auto-ports", "--allow-skew")
	r.Want(0, nil, "dev", "down")
	r.Write("prism.yaml", "apiVersion: prism/v1\nkind: Gateway\nbackends:\n  - {name: volatile, driver: memory}\n")
	r.Want(0, []string{"ready in "}, "dev", "up", "--detach", "--auto-ports")
}

func TestFolderThatCannotBeWrittenToIsSaidSo(t *testing.T) {
	r := project(t)
	r.Write("state", "a file, where a folder should be")
	r.Env["XDG_STATE_HOME"] = filepath.Join(r.Dir, "state")
	r.Want(5, []string{"not a directory", "set HOME or XDG_STATE_HOME"}, "dev", "up", "--auto-ports")
	r.Want(5, nil, "dev", "up", "--auto-ports", "--detach")
	delete(r.Env, "XDG_STATE_HOME")
	r.Write(".prism", "a file too")
	r.Want(5, []string{".prism is in the way"}, "dev", "up", "--auto-ports")
}

func TestHelp(t *testing.T) {
	r := project(t)
	for _, verb := range []string{"", "up", "down", "status", "logs", "restart", "attach", "env", "doctor", "list", "graph", "open", "versions", "update", "reset", "export", "ci", "bundle"} {
		name := strings.TrimSuffix("help-"+verb, "-")
		r.Golden(name, append(append([]string{"dev"}, strings.Fields(verb)...), "--help")...)
	}
}
