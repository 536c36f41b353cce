//go:build unix

package stacks

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/prism-data-layer/prism/pkg/config"
	"github.com/prism-data-layer/prism/pkg/prism"
	"github.com/prism-data-layer/prism/pkg/supervise"
	"github.com/prism-data-layer/prism/stacks/engine"
)

// TestMain makes this binary the watcher and the shim of supervisors too.
func TestMain(m *testing.M) {
	if code, ran := supervise.Reexec(os.Args); ran {
		os.Exit(code)
	}
	os.Exit(m.Run())
}

// notRun skips a test that cannot run here, loudly.
func notRun(t *testing.T, missing string) {
	t.Helper()
	if os.Getenv("PRISM_TEST_REQUIRE") == "all" {
		t.Fatalf("cannot run here: %s", missing)
	}
	t.Skipf("NOT TESTED: %s", missing)
}

// realProject is a project with the programs of this machine, on free ports.
func realProject(t *testing.T) Project {
	t.Helper()
	dirs, err := config.SystemDirs()
	if err != nil {
		t.Fatal(err)
	}
	p := testProject(t)
	p.Native, p.Lookup, p.Auto, p.Form = dirs.Native(), os.LookupEnv, true, FormNative
	p.cost = 0 // Dex refuses less
	// The path of a Unix socket is short.
	dir, err := os.MkdirTemp("", "prism")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	p.Socket = filepath.Join(dir, "c.sock")
	return p
}

// up starts the stacks of a plan under a supervisor of their own and waits until
// they are ready.
func up(t *testing.T, p Project, names ...string) (*Plan, *supervise.Supervisor, func()) {
	t.Helper()
	pl, err := p.Plan(t.Context(), names)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range pl.Skipped {
		notRun(t, s.Why)
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
	ended := false
	down := func() {
		if ended {
			return
		}
		ended = true
		s.Stop()
		if err := <-ran; err != nil {
			t.Error(err)
		}
	}
	t.Cleanup(down)
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	if err := s.WaitReady(ctx); err != nil {
		text, _ := json.MarshalIndent(s.Status().Services, "", " ") //nolint:errcheck // it is for the message
		t.Fatalf("%v\n%s", err, text)
	}
	return pl, s, down
}

func TestEveryNativeStackRunsAndKeepsItsDataInTheProject(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, data string }{
		{"redis", "appendonlydir"}, {"nats", "jetstream"}, {"clickhouse", ""}, {"dex", "dex.db"}, {"otel-collector", "traces.jsonl"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			p := realProject(t)
			pl, s, down := up(t, p, c.name)
			i := pl.Instance(c.name)
			if err := i.Probe().Again(t.Context()); err != nil {
				t.Errorf("asked again: %v", err)
			}
			st := s.Status().Service(c.name)
			for name, port := range i.Ports {
				if st.Listen[name] != loopback(port) {
					t.Errorf("the port %s is %q, not %d", name, st.Listen[name], port)
				}
			}
			down()
			if err := i.Probe().Ask(t.Context()); err == nil {
				t.Error("it answers still, after its end")
			}
			if entries, err := os.ReadDir(i.Data); err != nil || len(entries) == 0 {
				t.Errorf("its data are not in the project: %v", err)
			}
			if _, err := os.Stat(filepath.Join(i.Data, c.data)); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestASpanOfTheProbeIsInTheCollectorsFile(t *testing.T) {
	t.Parallel()
	pl, _, down := up(t, realProject(t), "otel-collector")
	// Of one more process it asks once more for all, and then for what leaves no trace.
	check := pl.Instance("otel-collector").Spec().Ready.Check
	for range 3 {
		if err := check(t.Context(), supervise.Instance{PID: 7}); err != nil {
			t.Error(err)
		}
	}
	down() // it writes what it has when it ends
	text, err := os.ReadFile(filepath.Join(pl.Instance("otel-collector").Data, "traces.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`"prism-probe"`, `"deployment.environment"`, `"local"`, `"service.namespace"`} {
		if !bytes.Contains(text, []byte(want)) {
			t.Errorf("%s is not in\n%s", want, text)
		}
	}
	if n := bytes.Count(text, []byte(`"spanId"`)); n != 2 {
		t.Errorf("the probe has left %d spans of two processes", n)
	}
}

func TestDexGivesEachPersonHisGroups(t *testing.T) {
	t.Parallel()
	p := realProject(t)
	pl, s, _ := up(t, p, "dex")
	i := pl.Instance("dex")
	groups := map[string]string{
		"dev": "prism:admin prism:operator prism:viewer", "admin": "prism:admin", "operator": "prism:operator", "viewer": "prism:viewer", "test": "prism:viewer",
	}
	for name, g := range groups {
		// The files of the others are made only where something names them.
		if _, err := os.Stat(i.secretFile(name)); err != nil {
			t.Errorf("%s has no password: %v", name, err)
			continue
		}
		q := i.Probe()
		q.Options = map[string]string{"client_id": "prismctl", "username": name + "@local.prism", "password_file": i.secretFile(name), "groups": g}
		if err := q.Ask(t.Context()); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	// Who may only look has no token that says more.
	q := i.Probe()
	q.Options = map[string]string{"client_id": "prismctl", "username": "viewer@local.prism", "password_file": i.secretFile("viewer"), "groups": "prism:admin"}
	if err := q.Ask(t.Context()); err == nil || !strings.Contains(err.Error(), `its token has the groups ["prism:viewer"], and prism:admin is not among them`) {
		t.Errorf("the viewer as admin: %v", err)
	}
	q.Options["password_file"] = i.secretFile("dev")
	if err := q.Ask(t.Context()); err == nil || !strings.Contains(err.Error(), "it answers 401") {
		t.Errorf("a wrong password: %v", err)
	}
	if err := s.Restart(t.Context(), "dex"); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	if err := s.WaitReady(ctx); err != nil {
		t.Errorf("after a restart: %v", err)
	}
}

func TestComposeAcceptsEveryStackAsItIsGivenToIt(t *testing.T) {
	t.Parallel()
	p := realProject(t)
	p.cost = testProject(t).cost
	p.Root = filepath.Join(p.Root, "a folder, with ünusual 'signs'")
	p.State = filepath.Join(p.Root, "state: of $things")
	if err := os.MkdirAll(p.Root, 0o755); err != nil {
		t.Fatal(err)
	}
	eng, err := engine.Find(p.Lookup, p.Native)
	if err != nil {
		notRun(t, prism.From(err).Message)
	}
	for _, name := range Names() {
		list, err := p.Containers([]string{name})
		if err != nil {
			t.Fatal(err)
		}
		i := list[0]
		if err := i.prepare(); err != nil {
			t.Fatal(err)
		}
		if err := eng.Check(t.Context(), i.Compose()); err != nil {
			t.Errorf("%s: %v", name, errors.Join(err, errors.Unwrap(err)))
		}
	}
}
