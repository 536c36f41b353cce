//go:build unix

// Package stacks_test runs the stacks of the catalogue in containers, on a real
// engine, with images that are made of this machine's programs. What it cannot
// run stands in docs/stacks.md.
package stacks_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prism-data-layer/prism/pkg/config"
	"github.com/prism-data-layer/prism/pkg/supervise"
	"github.com/prism-data-layer/prism/stacks"
	"github.com/prism-data-layer/prism/stacks/engine"
)

// images stand in for the pinned ones: here is no registry.
var images = map[string]string{
	"redis": "prism-test/redis:8", "nats": "prism-test/nats:2.9", "postgres": "prism-test/postgres:15",
	"dex": "prism-test/dex:2.45.1", "otel-collector": "prism-test/otelcol:0.161.0",
}

const tools = "../../../tools/"

// The tests share one engine, and so run one after another.
func TestMain(m *testing.M) {
	if code, ran := supervise.Reexec(os.Args); ran {
		os.Exit(code)
	}
	code := m.Run()
	if dir := startedIn(); dir != "" {
		exec.Command(tools+"engine.sh", "--stop", dir).Run() //nolint:errcheck // it says so itself
		os.RemoveAll(dir)
	}
	os.Exit(code)
}

// A daemon is a container engine: one that answers, or one of our own.
type daemon struct{ host, dir string }

var shared = sync.OnceValues(func() (daemon, error) {
	d := daemon{host: os.Getenv("DOCKER_HOST")}
	if d.host == "" {
		dir, err := os.MkdirTemp("", "stacks")
		if err != nil {
			return d, err
		}
		d.dir = dir
		var said bytes.Buffer
		start := exec.Command(tools+"engine.sh", dir)
		start.Stderr = &said
		host, err := start.Output()
		if err != nil {
			return d, errors.Join(err, errors.New(said.String()))
		}
		d.host = strings.TrimSpace(string(host))
	}
	build := exec.Command(tools+"images.sh", "redis", "nats", "postgres", "dex", "otelcol")
	build.Env = append(os.Environ(), "DOCKER_HOST="+d.host)
	if out, err := build.CombinedOutput(); err != nil {
		return d, errors.Join(err, errors.New(string(out)))
	}
	return d, nil
})

func startedIn() string {
	d, _ := shared() //nolint:errcheck // a test has said it
	return d.dir
}

// project is a project whose stacks run in containers, and their engine.
func project(t *testing.T) (stacks.Project, engine.Engine) {
	t.Helper()
	d, err := shared()
	missing := ""
	dirs, dirErr := config.SystemDirs()
	if err = errors.Join(err, dirErr); err != nil {
		missing = err.Error()
	}
	t.Setenv("DOCKER_HOST", d.host)
	eng, err := engine.Find(os.LookupEnv, dirs.Native())
	if err == nil && missing == "" {
		_, err = eng.Info(t.Context())
	}
	if err != nil {
		missing += err.Error()
	}
	switch {
	case missing != "" && os.Getenv("PRISM_TEST_REQUIRE") == "all":
		t.Fatalf("cannot run here: %s", missing)
	case missing != "":
		t.Skipf("NOT TESTED: no containers: %s", missing)
	}
	dir, err := os.MkdirTemp("", "prism")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	p := stacks.Project{
		ID: config.Place{Root: dir}.ID, Root: filepath.Join(dir, "the shop's ünusual folder"), State: filepath.Join(dir, "state"),
		Native: dirs.Native(), Socket: filepath.Join(dir, "c.sock"), Lookup: os.LookupEnv,
		Form: stacks.FormContainer, Auto: true, Images: images,
		Engine: func(context.Context) (engine.Engine, error) { return eng, nil },
	}
	p.ID = "t-" + strings.ToLower(filepath.Base(dir))
	if err := os.MkdirAll(p.Root, 0o755); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if _, err := eng.Remove(context.WithoutCancel(t.Context()), p.ID, "", true); err != nil {
			t.Error(err)
		}
	})
	return p, eng
}

// up starts stacks under a supervisor and waits until all are ready.
func up(t *testing.T, p stacks.Project, names ...string) (*stacks.Plan, func()) {
	t.Helper()
	pl, err := p.Plan(t.Context(), names)
	if err != nil {
		t.Fatal(err)
	}
	if len(pl.Skipped) > 0 {
		t.Fatalf("skipped: %q", pl.Skipped)
	}
	if err := pl.Prepare(); err != nil {
		t.Fatal(err)
	}
	var specs []supervise.Spec
	for _, i := range pl.Instances {
		specs = append(specs, i.Spec())
	}
	s, err := supervise.Open(supervise.Options{ID: p.ID, Root: p.Root, Dir: p.State, Socket: p.Socket, Services: specs})
	if err != nil {
		t.Fatal(err)
	}
	ran := make(chan error, 1)
	go func() { ran <- s.Run(context.WithoutCancel(t.Context())) }()
	down := sync.OnceFunc(func() {
		s.Stop()
		if err := <-ran; err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(down)
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	if err := s.WaitReady(ctx); err != nil {
		text, _ := json.MarshalIndent(s.Status().Services, "", " ") //nolint:errcheck // it is for the message
		t.Fatalf("%v\n%s\n%s", err, text, logs(p))
	}
	return pl, down
}

// logs is what the services have written.
func logs(p stacks.Project) string {
	var b strings.Builder
	files, _ := filepath.Glob(filepath.Join(p.State, "logs", "*")) //nolint:errcheck // the pattern is right
	for _, f := range files {
		text, _ := os.ReadFile(f) //nolint:errcheck // it is for a message
		b.Write(text[max(0, len(text)-4<<10):])
	}
	return b.String()
}

// left lists what a project has in the engine, volumes apart.
func left(t *testing.T, eng engine.Engine, project string) (things []engine.Thing, volumes int) {
	t.Helper()
	list, err := eng.List(t.Context(), project)
	if err != nil {
		t.Fatal(err)
	}
	for _, x := range list {
		if x.Kind == "volume" {
			volumes++
			continue
		}
		things = append(things, x)
	}
	return things, volumes
}

func TestEachStackIsReadyInAContainerAndLeavesOnlyItsVolume(t *testing.T) {
	for name := range images {
		t.Run(name, func(t *testing.T) {
			p, eng := project(t)
			begin := time.Now()
			pl, down := up(t, p, name)
			ready := time.Now()
			i := pl.Instance(name)
			if err := i.Probe().Again(t.Context()); err != nil {
				t.Errorf("asked again: %v", err)
			}
			down()
			t.Logf("ready after %s, down after %s", ready.Sub(begin).Round(time.Millisecond), time.Since(ready).Round(time.Millisecond))
			if err := i.Probe().Ask(t.Context()); err == nil {
				t.Error("it answers still, after its end")
			}
			things, volumes := left(t, eng, p.ID)
			want := 1
			if name == "otel-collector" { // it writes into the project's folder
				want = 0
			}
			if len(things) != 0 || volumes != want {
				t.Errorf("left are %v, and %d volumes", things, volumes)
			}
		})
	}
}

func TestThreeAtOnceWithASignInAndASpan(t *testing.T) {
	p, eng := project(t)
	pl, down := up(t, p, "redis", "dex", "otel-collector")
	again, err := p.Plan(t.Context(), []string{"redis", "dex", "otel-collector"})
	if err != nil {
		t.Fatal(err)
	}
	for _, i := range again.Instances {
		if before := pl.Instance(i.Stack.Name); !maps.Equal(i.Ports, before.Ports) || i.Spec().Listen != nil {
			t.Errorf("while %s runs, a plan gives it the ports %v (before %v), to be found free %v", i.Stack.Name, i.Ports, before.Ports, i.Spec().Listen)
		}
	}
	records, err := stacks.Running(p.State)
	if err != nil || len(records) != 3 || records[0].Engine == "" {
		t.Errorf("the records are %v, %v", records, err)
	}
	down()
	spans, err := os.ReadFile(filepath.Join(pl.Instance("otel-collector").Data, "traces.jsonl"))
	if err != nil || !bytes.Contains(spans, []byte(`"prism-probe"`)) {
		t.Errorf("the probe's span is not in the project's file: %v\n%s", err, spans)
	}
	if things, _ := left(t, eng, p.ID); len(things) != 0 {
		t.Errorf("left are %v", things)
	}
	// Keys and sign-ins outlive a restart: the volume is still there.
	_, down = up(t, p, "dex")
	down()
}

// signozStandIns makes the image that stands where Signoz's cannot be had.
func signozStandIns(t *testing.T) map[string]string {
	t.Helper()
	const image = "prism-test/signoz-standin:1"
	dir := t.TempDir()
	program := filepath.Join(dir, "standin")
	build := exec.Command("go", "build", "-trimpath", "-o", program, "testdata/standin/main.go")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	for _, path := range []string{"bin/sh", "usr/bin/wget", "usr/bin/clickhouse-keeper", "usr/bin/clickhouse-keeper-client", "signoz-otel-collector"} {
		at := filepath.Join(dir, path)
		if err := errors.Join(os.MkdirAll(filepath.Dir(at), 0o755), os.Link(program, at)); err != nil {
			t.Fatal(err)
		}
	}
	tar, err := exec.Command("tar", "-C", dir, "-cf", "-", ".").Output()
	if err != nil {
		t.Fatal(err)
	}
	load := exec.Command("docker", "import", "--change", `ENTRYPOINT ["/standin"]`, "--change", "ENV PATH=/usr/bin:/bin", "-", image)
	load.Stdin = bytes.NewReader(tar)
	if out, err := load.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return map[string]string{"signoz.signoz": image, "signoz.ingester": image, "signoz.clickhouse": image, "signoz.keeper": image}
}

// Signoz's images cannot be had here. What of it is ours is tested with a program
// that stands in for each: the order, the one-shot, health, files, names, ports.
func TestSignozStartsInItsOrderWithStandInsForItsImages(t *testing.T) {
	p, eng := project(t)
	p.Images = signozStandIns(t)
	pl, down := up(t, p, "signoz", "otel-collector")
	if pl.Instance("otel-collector") != nil {
		t.Error("the collector runs beside Signoz")
	}
	i := pl.Instance("signoz")
	if err := i.Probe().Again(t.Context()); err != nil {
		t.Errorf("asked again: %v", err)
	}
	list, err := eng.List(t.Context(), p.ID)
	if err != nil {
		t.Fatal(err)
	}
	states := map[string]string{}
	for _, x := range list {
		if x.Kind == "container" {
			states[x.Service] = x.State
		}
	}
	if want := map[string]string{"keeper": "running", "clickhouse": "running", "migrator": "exited", "signoz": "running", "ingester": "running"}; !maps.Equal(states, want) {
		t.Errorf("the containers are %v, want %v", states, want)
	}
	down()
	if things, volumes := left(t, eng, p.ID); len(things) != 0 || volumes != 3 {
		t.Errorf("left are %v, and %d volumes", things, volumes)
	}
}
