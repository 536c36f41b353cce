package engine_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/prism-data-layer/prism/pkg/prism"
	"github.com/prism-data-layer/prism/pkg/supervise"
	"github.com/prism-data-layer/prism/stacks/engine"
)

// patience is how long anything here may take on a busy machine.
const patience = time.Minute

// The tests share one engine, and so run one after another. It has a network
// namespace of its own with nothing in it but loopback: nothing can be pulled,
// and the machine's own network is left as it is.
func TestMain(m *testing.M) {
	code := m.Run()
	if d, err := shared(); err == nil {
		d.stop()
		d.clean()
	}
	os.Exit(code)
}

// A daemon is dockerd, prism-compose and an image, in a folder.
type daemon struct {
	dir     string
	host    string
	program string
	space   *exec.Cmd // holds the network namespace, through the engine's restarts
	cmd     *exec.Cmd
}

const image = "prism-test/actor:1"

var errNotHere = errors.New("wants root on Linux, dockerd, docker, unshare, nsenter and ip")

var shared = sync.OnceValues(func() (*daemon, error) {
	if os.Getuid() != 0 {
		return nil, errNotHere
	}
	for _, name := range []string{"dockerd", "docker", "unshare", "nsenter", "ip"} {
		if _, err := exec.LookPath(name); err != nil {
			return nil, errNotHere
		}
	}
	dir, err := os.MkdirTemp("", "engine")
	if err != nil {
		return nil, err
	}
	d := &daemon{dir: dir, host: "unix://" + filepath.Join(dir, "docker.sock"), program: filepath.Join(dir, engine.Name)}
	if err := os.Chmod(dir, 0o755); err != nil { // for the unprivileged user
		return d, err
	}
	if err := build("../../../stacks/native/compose", d.program, "."); err != nil {
		return d, err
	}
	if err := build("testdata/actor", filepath.Join(dir, "actor"), "main.go"); err != nil {
		return d, err
	}
	d.space = exec.Command("unshare", "--net", "sh", "-c", "ip link set lo up && echo && exec sleep infinity")
	d.space.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	up, err := d.space.StdoutPipe()
	if err != nil {
		return d, err
	}
	if err := d.space.Start(); err != nil {
		return d, err
	}
	if _, err := up.Read(make([]byte, 1)); err != nil {
		return d, err
	}
	if err := d.start(); err != nil {
		return d, err
	}
	tar, err := exec.Command("tar", "-C", dir, "-cf", "-", "actor").Output()
	if err != nil {
		return d, err
	}
	imported := d.command("import", "--change", `ENTRYPOINT ["/actor"]`, "--change", "VOLUME /scratch", "-", image)
	imported.Stdin = bytes.NewReader(tar)
	if out, err := imported.CombinedOutput(); err != nil {
		return d, fmt.Errorf("docker import: %w: %s", err, out)
	}
	return d, nil
})

func build(dir, out, what string) error {
	cmd := exec.Command("go", "build", "-trimpath", "-ldflags", "-s -w", "-o", out, what)
	cmd.Dir, cmd.Env = dir, append(os.Environ(), "CGO_ENABLED=0")
	if text, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("go build %s: %w: %s", dir, err, text)
	}
	return nil
}

// start starts dockerd; members of the group nogroup may speak to it.
func (d *daemon) start(more ...string) error {
	log, err := os.OpenFile(filepath.Join(d.dir, "log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	defer func() { _ = log.Close() }()
	_ = os.Remove(filepath.Join(d.dir, "pid")) // of one that was killed
	_ = os.Remove(filepath.Join(d.dir, "exec/containerd/containerd.pid"))
	d.cmd = exec.Command("nsenter", append([]string{
		"--net", "--target", strconv.Itoa(d.space.Process.Pid), "dockerd",
		"-H", d.host, "-G", "nogroup", "--data-root", d.dir + "/data", "--exec-root", d.dir + "/exec", "--pidfile", d.dir + "/pid",
	}, more...)...)
	d.cmd.Stdout, d.cmd.Stderr = log, log
	if err := d.cmd.Start(); err != nil {
		return err
	}
	for end := time.Now().Add(patience); ; time.Sleep(50 * time.Millisecond) { // it tells nobody that it is ready
		if d.command("info").Run() == nil {
			return nil
		}
		if time.Now().After(end) {
			text, _ := os.ReadFile(log.Name())
			return fmt.Errorf("dockerd does not answer: %s", text[max(0, len(text)-2000):])
		}
	}
}

func (d *daemon) stop() {
	if d.cmd != nil {
		_ = d.cmd.Process.Signal(syscall.SIGTERM)
		_ = d.cmd.Wait()
		d.cmd = nil
	}
}

// clean ends what an engine that was killed may have left, and the namespace.
func (d *daemon) clean() {
	_ = d.space.Process.Kill()
	_ = d.space.Wait()
	processes, _ := filepath.Glob("/proc/[0-9]*")
	for _, p := range processes {
		args, _ := os.ReadFile(p + "/cmdline")
		mounts, _ := os.ReadFile(p + "/mountinfo")
		root, _, _ := strings.Cut(string(mounts), "\n")
		if strings.Contains(string(args), d.dir+"/") || strings.Contains(root, d.dir+"/") {
			pid, _ := strconv.Atoi(filepath.Base(p))
			_ = syscall.Kill(pid, syscall.SIGKILL)
		}
	}
	mounts, _ := os.ReadFile("/proc/mounts")
	for _, m := range strings.Split(string(mounts), "\n") {
		if f := strings.Fields(m); len(f) > 1 && strings.HasPrefix(f[1], d.dir+"/") {
			_ = syscall.Unmount(f[1], syscall.MNT_DETACH)
		}
	}
	_ = os.RemoveAll(d.dir)
}

func (d *daemon) command(args ...string) *exec.Cmd {
	cmd := exec.Command("docker", args...)
	cmd.Env = append(os.Environ(), "DOCKER_HOST="+d.host)
	return cmd
}

// A rig is a project with one stack.
type rig struct {
	*testing.T
	*daemon
	engine.Project
	stopTime time.Duration
	env      []string // more of it, for prism-compose
	cred     *syscall.Credential
}

func newRig(t *testing.T, compose string) *rig {
	t.Helper()
	d, err := shared()
	if errors.Is(err, errNotHere) {
		if os.Getenv("PRISM_TEST_REQUIRE") == "all" {
			t.Fatal(err)
		}
		t.Skipf("NOT TESTED: %v", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	root := filepath.Join(d.dir, "projects", strings.ToLower(t.Name()), "with blank, ünïcode & $HOME")
	r := &rig{T: t, daemon: d, stopTime: 3 * time.Second, Project: engine.Project{
		ID: "p" + strconv.Itoa(os.Getpid()), Root: root, Stack: "actor", Dir: filepath.Join(root, ".prism", "actor"),
		Env: map[string]string{"PRISM_IMAGE_ACTOR": image},
	}}
	r.write(compose)
	t.Setenv("DOCKER_HOST", d.host)
	t.Cleanup(r.nothingLeft)
	return r
}

func (r *rig) write(compose string) {
	r.Helper()
	if err := os.MkdirAll(r.Dir, 0o755); err != nil {
		r.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(r.Dir, "compose.yaml"), []byte(compose), 0o644); err != nil {
		r.Fatal(err)
	}
}

// nothingLeft is asked after every test, of the engine itself: no container,
// network, volume of anyone.
func (r *rig) nothingLeft() {
	for _, c := range [][]string{
		{"ps", "--all", "--format", "{{.Names}}"},
		{"network", "ls", "--filter", "type=custom", "--format", "{{.Name}}"},
		{"volume", "ls", "--format", "{{.Name}}"},
	} {
		if out := r.docker(c...); out != "" {
			r.Errorf("left: docker %s says %q", strings.Join(c, " "), out)
			if r.Failed() {
				_, _ = r.client().Remove(context.Background(), r.ID, "", true)
			}
		}
	}
}

func (r *rig) docker(args ...string) string {
	r.Helper()
	out, err := r.command(args...).CombinedOutput()
	if err != nil {
		r.Errorf("docker %s: %v: %s", strings.Join(args, " "), err, out)
	}
	return strings.TrimSpace(string(out))
}

func (r *rig) client() engine.Engine {
	r.Helper()
	e, err := engine.Find(func(string) (string, bool) { return r.program, true }, "")
	if err != nil {
		r.Fatal(err)
	}
	return e
}

// remove removes all of the project and says what went.
func (r *rig) remove(volumes bool) []string {
	r.Helper()
	gone, err := r.client().Remove(r.Context(), r.ID, "", volumes)
	if err != nil {
		r.Fatal(err)
	}
	return names(gone)
}

func names(things []engine.Thing) []string {
	var all []string
	for _, t := range things {
		all = append(all, t.Kind+" "+t.Name)
	}
	slices.Sort(all)
	return all
}

func (r *rig) list() []engine.Thing {
	r.Helper()
	all, err := r.client().List(r.Context(), r.ID)
	if err != nil {
		r.Fatal(err)
	}
	return all
}

// container is the one of a service.
func (r *rig) container(service string) engine.Thing {
	r.Helper()
	for _, t := range r.list() {
		if t.Service == service {
			return t
		}
	}
	r.Fatalf("no container of %s in %v", service, names(r.list()))
	panic("unreachable")
}

// A runner is prism-compose run, as the supervisor starts it.
type runner struct {
	*rig
	cmd  *exec.Cmd
	done chan struct{}
	errs bytes.Buffer

	mu   sync.Mutex
	more chan struct{} // closed when a line comes
	out  []string
}

func (r *rig) run() *runner {
	r.Helper()
	file := filepath.Join(r.Dir, "request.json")
	if err := engine.WriteRequest(file, r.Project, r.stopTime); err != nil {
		r.Fatal(err)
	}
	if r.cred != nil {
		if err := os.Chown(file, int(r.cred.Uid), int(r.cred.Gid)); err != nil {
			r.Fatal(err)
		}
	}
	x := &runner{rig: r, done: make(chan struct{}), more: make(chan struct{})}
	x.cmd = exec.Command(r.program, engine.RunArgs(file)...)
	x.cmd.Env = append(os.Environ(), r.env...)
	x.cmd.SysProcAttr = &syscall.SysProcAttr{Credential: r.cred}
	x.cmd.Stderr = &x.errs
	in, out := io.Pipe()
	x.cmd.Stdout = out
	if err := x.cmd.Start(); err != nil {
		r.Fatal(err)
	}
	go x.read(in)
	go func() {
		_ = x.cmd.Wait()
		_ = out.Close()
		close(x.done)
	}()
	r.Cleanup(func() {
		_ = x.cmd.Process.Kill()
		<-x.done
		if r.Failed() {
			r.Logf("the runner wrote:\n%s\n%s", strings.Join(x.lines(), "\n"), x.errs.String())
		}
	})
	return x
}

func (x *runner) read(in io.Reader) {
	var b [4096]byte
	rest := ""
	for {
		n, err := in.Read(b[:])
		all := strings.Split(rest+string(b[:n]), "\n")
		rest = all[len(all)-1]
		x.mu.Lock()
		x.out = append(x.out, all[:len(all)-1]...)
		close(x.more)
		x.more = make(chan struct{})
		x.mu.Unlock()
		if err != nil {
			return
		}
	}
}

func (x *runner) lines() []string {
	x.mu.Lock()
	defer x.mu.Unlock()
	return slices.Clone(x.out)
}

// sees waits for a line; of those that come after the first from lines.
func (x *runner) sees(want string, from int) int {
	x.Helper()
	match := regexp.MustCompile(want)
	late := time.After(patience)
	for {
		x.mu.Lock()
		more, out := x.more, x.out
		x.mu.Unlock()
		for i := from; i < len(out); i++ {
			if match.MatchString(out[i]) {
				return i + 1
			}
		}
		select {
		case <-more:
		case <-x.done:
			if len(x.lines()) == len(out) {
				x.Fatalf("it ended without a line like %q: %q", want, x.lines())
			}
		case <-late:
			x.Fatalf("no line like %q came: %q", want, x.lines())
		}
	}
}

// runs waits until the stack does.
func (x *runner) runs() int {
	x.Helper()
	return x.sees("^"+supervise.NotePrefix+"runs$", 0)
}

// ends waits for the end and gives its exit code.
func (x *runner) ends() int {
	x.Helper()
	select {
	case <-x.done:
		return x.cmd.ProcessState.ExitCode()
	case <-time.After(patience):
		x.Fatal("it did not end")
		return -1
	}
}

// stops tells it to end, which must leave nothing.
func (x *runner) stops() {
	x.Helper()
	_ = x.cmd.Process.Signal(syscall.SIGTERM)
	if code := x.ends(); code != 0 {
		x.Errorf("after SIGTERM it ended with %d: %s", code, x.errs.String())
	}
}

// fails waits for its end and wants all the words in its reason.
func (x *runner) fails(words ...string) {
	x.Helper()
	if code := x.ends(); code != 1 {
		x.Errorf("it ended with %d, want 1", code)
	}
	for _, w := range words {
		if !strings.Contains(x.errs.String(), w) {
			x.Errorf("its reason lacks %q: %s", w, x.errs.String())
		}
	}
	last := ""
	for _, l := range x.lines() {
		if strings.HasPrefix(l, supervise.NotePrefix) {
			last = l
		}
	}
	if !strings.Contains(x.errs.String(), strings.TrimPrefix(last, supervise.NotePrefix)) || last == "" {
		x.Errorf("the last note is %q, the reason %q", last, x.errs.String())
	}
}

func wantKind(t *testing.T, err error, kind string, words ...string) {
	t.Helper()
	var e *prism.Error
	if !errors.As(err, &e) || e.Meta["kind"] != kind {
		t.Errorf("got %v (%+v), want the kind %s", err, e, kind)
		return
	}
	for _, w := range words {
		if !strings.Contains(e.Message+"\n"+e.Meta["fix"], w) {
			t.Errorf("%q with the fix %q lacks %q", e.Message, e.Meta["fix"], w)
		}
	}
}
