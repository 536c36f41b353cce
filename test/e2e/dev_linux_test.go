package e2e_test

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/creack/pty"

	"github.com/prism-data-layer/prism/pkg/client"
)

func TestWhatIsSetSurvivesTheDeathOfTheGatewayAndOfItsSupervisor(t *testing.T) {
	t.Parallel()
	p := newProject(t)
	p.up()
	p.ok("kv", "set", "greeting", "hello")
	hello := func(after string) {
		t.Helper()
		if got := p.ok("kv", "get", "greeting"); got != "hello\n" {
			t.Errorf("after %s: got %q, want hello", after, got)
		}
	}
	hello("kv set")

	was := p.gateway()
	p.kill(was, syscall.SIGKILL)
	hello("kill -9 of prismd") // connections wait in the backlog of the next one
	if now := p.gateway(); now == was {
		t.Errorf("prismd still is pid %d", was)
	}

	data, admin, _ := p.addresses()
	p.kill(p.supervisor(), syscall.SIGKILL)
	p.gone()
	if !refused(data) || !refused(admin) {
		t.Errorf("something still listens on %s or %s", data, admin)
	}
	p.want(6, []string{"nothing runs for", "prismctl dev up"}, "dev", "status")
	p.want(6, []string{"cannot reach the gateway"}, "kv", "get", "greeting")
	p.up()
	hello("kill -9 of the supervisor and another dev up")

	p.want(0, []string{"stopped"}, "dev", "down")
	p.gone()
	p.up()
	hello("dev down and up")
}

func TestSecondUpChangesNothing(t *testing.T) {
	t.Parallel()
	p := newProject(t)
	p.up()
	pid := p.gateway()
	data, _, _ := p.addresses()
	for _, args := range [][]string{{"dev", "up"}, {"dev", "up", "--detach"}, {"dev", "up", "--auto-ports"}} {
		p.want(0, []string{"already running (supervisor pid", data}, args...)
	}
	if got := p.gateway(); got != pid {
		t.Errorf("prismd was pid %d and is %d", pid, got)
	}
	p.want(0, []string{"ready"}, "dev", "status")
}

func TestFault_F34_TwoUpsAtOnceAreOneGateway(t *testing.T) {
	t.Parallel()
	p := newProject(t)
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			if r := p.run("dev", "up", "--detach", "--auto-ports"); r.code != 0 || !strings.Contains(r.out, "prismd   data") {
				t.Errorf("exit %d\n%s%s", r.code, r.out, r.errOut)
			}
		})
	}
	all.Wait()
	if n := len(p.named("prismd")); n != 1 {
		t.Errorf("%d gateways run", n)
	}
}

// named lists the project's processes of a program.
func (p *project) named(program string) (list []int) {
	for _, pid := range p.processes() {
		if exe, err := os.Readlink("/proc/" + strconv.Itoa(pid) + "/exe"); err == nil && filepath.Base(exe) == program {
			list = append(list, pid)
		}
	}
	return list
}

func TestFault_F33_TakenPortNamesItsHolderAndNothingStarts(t *testing.T) {
	t.Parallel()
	p := newProject(t)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	p.write("prism.yaml", "apiVersion: prism/v1\nkind: Gateway\nlisten:\n  data: 127.0.0.1:auto\n  admin: "+l.Addr().String()+"\n  metrics: 127.0.0.1:auto\n")
	for _, args := range [][]string{{"dev", "up"}, {"dev", "up", "--detach"}} {
		p.want(5, []string{"error: address " + l.Addr().String(), "prism.yaml:5", fmt.Sprintf("taken by pid %d", os.Getpid()), "--auto-ports"}, args...)
		p.gone()
		if _, err := os.Stat(filepath.Join(p.dir, ".prism")); err == nil {
			t.Error("a folder was made for data that nobody writes")
		}
	}
	p.want(1, []string{"in use by others: " + l.Addr().String()}, "dev", "doctor")
	p.up()
}

func TestConfigurationTypoIsShownAndNothingStarts(t *testing.T) {
	t.Parallel()
	p := newProject(t)
	p.write("prism.yaml", "apiVersion: prism/v1\nkind: Gateway\nbackends:\n  - {name: local, driver: peble}\n")
	for _, args := range [][]string{{"dev", "up"}, {"dev", "up", "--detach"}, {"dev", "up", "--plan"}} {
		p.want(7, []string{"prism.yaml:4:27: unknown driver", "^^^^^", `did you mean "pebble"?`, "the configuration has 1 problem"}, args...)
	}
	p.gone()
	if entries, _ := os.ReadDir(p.dir); len(entries) != 1 {
		t.Errorf("the folder has %v", entries)
	}
	p.want(1, []string{"fail"}, "dev", "doctor")
}

// A driver's options are its own: only prismd can say what is wrong with them.
func TestConfigurationThatOnlyTheGatewayCanJudgeStartsNothingEither(t *testing.T) {
	t.Parallel()
	p := newProject(t)
	p.write("prism.yaml", "apiVersion: prism/v1\nkind: Gateway\nbackends:\n  - {name: local, driver: pebble, options: {cahce: 1MiB}}\nnamespaces:\n  - {name: kv, model: keyvalue, backend: local}\n")
	begun := time.Now()
	for _, args := range [][]string{{"dev", "up", "--auto-ports"}, {"dev", "up", "--detach", "--auto-ports"}} {
		p.want(7, []string{"prismd refuses to start", "prism.yaml:4:45: unknown key", `did you mean "cache"?`}, args...)
		p.gone()
	}
	if took := time.Since(begun); took > 15*time.Second {
		t.Errorf("it took %s: it was tried again and again", took)
	}
}

func TestGatewayOfAnotherVersionIsRefused(t *testing.T) {
	t.Parallel()
	p := newProject(t)
	fake := p.write("fake", "#!/bin/sh\necho prismd 9.9.9\n")
	p.want(5, []string{"9.9.9", "--allow-skew"}, "dev", "up", "--auto-ports", "--prismd", fake)
	p.want(5, []string{"is not prismd"}, "dev", "up", "--auto-ports", "--prismd", "/bin/true")
	p.want(2, []string{"is not a program"}, "dev", "up", "--auto-ports", "--prismd", p.dir)
	p.gone()
}

func TestFault_F31_CrashLoopIsShownWithTheLastLogLines(t *testing.T) {
	if testing.Short() {
		t.Skip("takes 45 s")
	}
	t.Parallel()
	p := newProject(t)
	fake := p.write("fake", "#!/bin/sh\nif [ \"$1\" = --version ]; then echo prismd 0.1.0; exit; fi\necho $$ >> starts\necho the disk of $$ is on fire\nexit 3\n")
	f := p.start("dev", "up", "--auto-ports", "--allow-skew", "--prismd", fake)
	f.says("crashed     exit code 3; starts again in")
	p.want(6, []string{"exit code 3"}, "dev", "status")
	p.want(0, []string{"is on fire"}, "dev", "logs", "--tail", "1")
	if os.Getenv("PRISM_FAULTS") == "full" {
		within(60*time.Second, func() bool { return strings.Contains(f.String(), "crash-loop") })
		f.says("prismd crashes again and again")
		if starts, _ := os.ReadFile(filepath.Join(p.dir, "starts")); bytes.Count(starts, []byte{'\n'}) > 10 {
			t.Errorf("it was started %d times", bytes.Count(starts, []byte{'\n'}))
		}
		p.want(6, []string{"crash-loop"}, "dev", "status")
		if !strings.Contains(f.String(), "is on fire") {
			t.Errorf("no log lines:\n%s", f)
		}
	}
	p.kill(f.cmd.Process.Pid, syscall.SIGTERM)
	if code := f.ends(); code != 143 {
		t.Errorf("exit %d, want 143\n%s", code, f)
	}
	p.gone()
}

func TestFault_F30_HoweverUpEndsNothingIsLeft(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		signals []syscall.Signal
		code    int
	}{
		"Ctrl-C":        {[]syscall.Signal{syscall.SIGINT}, 130},
		"double Ctrl-C": {[]syscall.Signal{syscall.SIGINT, syscall.SIGINT}, 130},
		"SIGHUP":        {[]syscall.Signal{syscall.SIGHUP}, 143},
		"SIGTERM":       {[]syscall.Signal{syscall.SIGTERM}, 143},
		"kill -9":       {[]syscall.Signal{syscall.SIGKILL}, -1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newProject(t)
			f := p.start("dev", "up", "--auto-ports")
			f.says("ready in")
			data, admin, metrics := p.addresses()
			for _, s := range c.signals {
				// As a terminal does: to the whole group.
				to := -f.cmd.Process.Pid
				if s == syscall.SIGKILL {
					to = f.cmd.Process.Pid
				}
				if err := syscall.Kill(to, s); err != nil {
					t.Log(err) // the second may come too late
				}
				time.Sleep(100 * time.Millisecond) // a person's double Ctrl-C
			}
			if code := f.ends(); code != c.code {
				t.Errorf("exit %d, want %d\n%s", code, c.code, f)
			}
			p.gone()
			for _, addr := range []string{data, admin, strings.TrimSuffix(strings.TrimPrefix(metrics, "http://"), "/metrics")} {
				if !refused(addr) {
					t.Errorf("something still listens on %s", addr)
				}
			}
			p.want(6, nil, "dev", "status")
			p.up() // and it starts again
		})
	}
}

func TestUpOnATerminalStopsWithCtrlC(t *testing.T) {
	t.Parallel()
	p := newProject(t)
	c := p.command(context.Background(), "dev", "up", "--auto-ports")
	tty, err := pty.StartWithSize(c, &pty.Winsize{Rows: 15, Cols: 60})
	if err != nil {
		t.Fatal(err)
	}
	defer tty.Close()
	f := &foreground{t: t, cmd: c, ended: make(chan error, 1)}
	go func() {
		buf := make([]byte, 4096)
		for {
			n, err := tty.Read(buf)
			_, _ = f.Write(buf[:n])
			if err != nil {
				return
			}
		}
	}()
	go func() { f.ended <- c.Wait() }()
	f.says("Ctrl-C stops")
	if _, err := tty.Write([]byte{3}); err != nil {
		t.Fatal(err)
	}
	if code := f.ends(); code != 130 {
		t.Errorf("exit %d, want 130", code)
	}
	p.gone()
	if !strings.Contains(f.String(), "stopping; Ctrl-C again to kill") || !strings.Contains(f.String(), "stopped") {
		t.Errorf("it said\n%s", f)
	}
}

func TestAttack_A54_EveryListenerIsOnLoopback(t *testing.T) {
	t.Parallel()
	p := newProject(t)
	p.up()
	list := listeners(t, p.processes())
	if len(list) < 3 {
		t.Fatalf("listeners %v; want three at least", list)
	}
	for _, addr := range list {
		host, _, _ := net.SplitHostPort(addr)
		if !net.ParseIP(host).IsLoopback() {
			t.Errorf("listens on %s", addr)
		}
	}
}

func TestRestartUnderLoadFailsNoCall(t *testing.T) {
	t.Parallel()
	p := newProject(t)
	p.up()
	data, _, _ := p.addresses()
	c, err := client.Dial(data, client.WithID("e2e", ""))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	kv := c.KeyValue("kv")
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	var done, failed atomic.Int64
	var stop atomic.Bool
	var all sync.WaitGroup
	for w := range 8 {
		all.Go(func() {
			for n := 0; !stop.Load(); n++ {
				key := fmt.Sprintf("load-%d-%d", w, n%50)
				if _, err := kv.Set(ctx, key, []byte(strconv.Itoa(n))); err != nil {
					failed.Add(1)
					t.Errorf("set: %v", err)
					return
				}
				if got, err := kv.Get(ctx, key); err != nil || string(got.Value) != strconv.Itoa(n) {
					failed.Add(1)
					t.Errorf("get: %q, %v; want %d", got.Value, err, n)
					return
				}
				done.Add(2)
			}
		})
	}
	for range 3 {
		p.want(0, []string{"prismd is ready"}, "dev", "restart")
	}
	stop.Store(true)
	all.Wait()
	if done.Load() < 100 || failed.Load() > 0 {
		t.Errorf("%d calls, %d failed", done.Load(), failed.Load())
	}
	t.Logf("%d calls over three restarts, %d failed", done.Load(), failed.Load())
}

func TestLogsAreFollowedFilteredAndKept(t *testing.T) {
	t.Parallel()
	p := newProject(t)
	p.up()
	p.want(0, []string{`"msg":"ready"`}, "dev", "logs", "prismd", "--grep", `"msg":"ready"`)
	if got := p.ok("dev", "logs", "--since", "2020-01-01", "--tail", "1"); strings.Count(got, "\n") != 1 {
		t.Errorf("--tail 1 prints\n%s", got)
	}
	if got := p.ok("dev", "logs", "--grep", "no such line"); got != "" {
		t.Errorf("got %q", got)
	}
	p.want(0, []string{`{"service":"prismd"`}, "dev", "logs", "-o", "json", "--tail", "1")
	p.want(3, []string{`service "nope" not found`}, "dev", "logs", "nope")
	p.want(3, []string{`service "nope" not found`}, "dev", "logs", "nope", "-f")
	p.want(2, []string{"--since"}, "dev", "logs", "--since", "yesterday")
	p.want(2, []string{"--grep"}, "dev", "logs", "--grep", "(")
	p.want(3, []string{`"nope" not found`}, "dev", "restart", "nope")

	logs, events := p.start("dev", "logs", "-f", "--grep", `"msg":"ready"`), p.start("dev", "attach")
	logs.says(`"msg":"ready"`)
	events.says("ready")
	p.ok("dev", "restart")
	if !within(10*time.Second, func() bool { return strings.Count(logs.String(), `"msg":"ready"`) == 2 }) {
		t.Errorf("after a restart logs -f has\n%s", logs)
	}
	events.says("stopping")
	for _, f := range []*foreground{logs, events} {
		p.kill(f.cmd.Process.Pid, syscall.SIGINT)
		if code := f.ends(); code != 130 {
			t.Errorf("exit %d, want 130\n%s", code, f)
		}
	}
	p.ok("dev", "down")
	p.want(0, []string{`"msg":"ready"`}, "dev", "logs")
	p.want(6, []string{"nothing runs for"}, "dev", "logs", "-f")
}

func TestEnvSpeaksToFilesShellsAndPrograms(t *testing.T) {
	t.Parallel()
	p := newProject(t)
	p.want(6, []string{"prismctl dev up"}, "dev", "env")
	p.up()
	data, admin, metrics := p.addresses()
	if got := p.ok("dev", "env"); got != "PRISM_DATA="+data+"\nPRISM_ADMIN="+admin+"\nPRISM_METRICS="+metrics+"\n" {
		t.Errorf("dotenv:\n%s", got)
	}
	sh := exec.Command("sh", "-c", `eval "$(prismctl dev env --format shell)" && cd / && prismctl kv set a from-outside && prismctl kv get a`)
	sh.Dir, sh.Env = p.dir, p.env()
	if out, err := sh.CombinedOutput(); err != nil || !strings.HasSuffix(string(out), "from-outside\n") {
		t.Errorf("in a shell: %v\n%s", err, out)
	}
	p.want(2, []string{"dotenv, shell, json"}, "dev", "env", "--format", "xml")
	p.ok("dev", "down")
	p.want(0, []string{"nothing runs here now", data}, "dev", "env")
}

func TestDownKeepsTheDataUnlessVolumesAreMeant(t *testing.T) {
	t.Parallel()
	p := newProject(t)
	p.want(0, []string{"nothing was running"}, "dev", "down")
	p.up()
	p.ok("kv", "set", "greeting", "hello")
	p.want(2, []string{"--yes"}, "dev", "down", "--volumes")
	if got := p.ok("kv", "get", "greeting"); got != "hello\n" {
		t.Errorf("an unconfirmed --volumes left %q", got)
	}
	p.want(0, []string{"stopped", "deleted the data in .prism/data"}, "dev", "down", "--volumes", "--yes")
	p.gone()
	if _, err := os.Stat(filepath.Join(p.dir, ".prism", "data")); err == nil {
		t.Error("the data is there still")
	}
	p.up()
	p.want(3, nil, "kv", "get", "greeting")
}

func TestFilesWithoutAStoreAreReadyToo(t *testing.T) {
	t.Parallel()
	for name, text := range map[string]string{
		"no backend":       "",
		"only in memory":   "backends:\n  - {name: volatile, driver: memory}\n",
		"port of its own":  "listen: {data: \"127.0.0.1:auto\", admin: \"127.0.0.1:auto\", metrics: \"127.0.0.1:auto\"}\nbackends:\n  - {name: local, driver: pebble}\n",
		"folder elsewhere": "data_dir: elsewhere\nbackends:\n  - {name: local, driver: pebble}\n",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newProject(t)
			p.write("prism.yaml", "apiVersion: prism/v1\nkind: Gateway\n"+text)
			p.up()
			p.want(0, []string{"ready"}, "dev", "status")
			p.want(0, []string{"is ready"}, "dev", "restart")
		})
	}
}

func TestProjectsSideBySide(t *testing.T) {
	t.Parallel()
	p := newProject(t)
	p.up()
	p.ok("kv", "set", "who", "shop")
	other := *p
	other.dir = filepath.Join(p.home, "bank")
	if err := os.Mkdir(other.dir, 0o755); err != nil {
		t.Fatal(err)
	}
	defer other.run("dev", "down", "--kill")
	other.up()
	other.ok("kv", "set", "who", "bank")
	if a, b := p.ok("kv", "get", "who"), other.ok("kv", "get", "who"); a != "shop\n" || b != "bank\n" {
		t.Errorf("got %q and %q", a, b)
	}
	other.ok("dev", "down")
	p.want(0, nil, "dev", "status")
}
