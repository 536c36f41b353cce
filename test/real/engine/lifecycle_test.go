// Package engine_test runs prism-compose, as package stacks/engine and the
// supervisor do, on a real dockerd that it starts.
package engine_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/prism-data-layer/prism/stacks/engine"
)

const server = `
services:
  web:
    image: ${PRISM_IMAGE_ACTOR}
    command: [serve, hello]
`

const whole = `
services:
  migrate:
    image: ${PRISM_IMAGE_ACTOR}
    command: [exit, "0", "300"]
    labels: {prism.task: "true"}
  store:
    image: ${PRISM_IMAGE_ACTOR}
    command: [serve, store]
    depends_on: {migrate: {condition: service_completed_successfully}}
    ports: ["127.0.0.1:${PRISM_PORT_STORE}:6000"]
    volumes: ["data:/data", "./compose.yaml:/etc/it.yaml:ro"]
  web:
    image: ${PRISM_IMAGE_ACTOR}
    command: [serve, web]
    depends_on: [store]
volumes: {data: {}}
`

func TestAStackComesUpInOrderAndLeavesItsVolumes(t *testing.T) {
	r := newRig(t, whole)
	r.Env["PRISM_PORT_STORE"] = "16000"
	x := r.run()
	x.runs()
	x.sees(`^migrate \| ends with 0$`, x.sees("starting container "+r.Name()+"-migrate-1", 0))
	x.sees(`^web \| ready web$`, x.sees(`^store \| ready store$`, x.sees(`^migrate \|`, 0)))
	want := []string{
		"container " + r.Name() + "-migrate-1", "container " + r.Name() + "-store-1", "container " + r.Name() + "-web-1",
		"network " + r.Name() + "_default", "volume " + r.Name() + "_data",
	}
	if got := names(r.list()); !slices.Equal(got, want) {
		t.Errorf("there is %v, want %v", got, want)
	}
	for _, thing := range r.list() {
		if thing.Project != r.ID || thing.Stack != r.Stack || thing.Root != r.Root || thing.Created.IsZero() {
			t.Errorf("labels of %+v", thing)
		}
	}
	if state := r.container("migrate"); state.State != "exited" || state.Exit != 0 {
		t.Errorf("the task is %+v", state)
	}
	if !listens(t, x.daemon, "0100007F", 16000) {
		t.Error("nothing listens on 127.0.0.1:16000")
	}
	x.stops()
	x.sees(`^web \| bye$`, 0)
	if got := names(r.list()); !slices.Equal(got, want[4:]) {
		t.Errorf("after its end there is %v", got)
	}
	if got := r.remove(true); !slices.Equal(got, want[4:]) {
		t.Errorf("removed %v", got)
	}
}

// listens looks into the engine's network namespace.
func listens(t *testing.T, d *daemon, ip string, port int) bool {
	t.Helper()
	table, err := os.ReadFile(fmt.Sprintf("/proc/%d/net/tcp", d.space.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	return strings.Contains(string(table), fmt.Sprintf(" %s:%04X 00000000:0000 0A", ip, port))
}

func TestOneServicesLinesArePlain(t *testing.T) {
	x := newRig(t, server).run()
	x.sees("^ready hello$", 0)
	x.stops()
}

func TestAContainersNoteIsOutput(t *testing.T) {
	r := newRig(t, strings.Replace(server, "serve, hello", "note", 1))
	x := r.run()
	x.sees("^prism-note it is all fine$", 0)
	x.fails("ended with exit code 0")
}

func TestALineWithoutAnEndComesInParts(t *testing.T) {
	x := newRig(t, strings.Replace(server, "serve, hello", `long, "700000"`, 1)).run()
	x.fails("ended with exit code 0")
	sum := 0
	for _, l := range x.lines() {
		if strings.HasPrefix(l, "x") {
			sum += strings.Count(l, "x")
		}
	}
	if sum != 700000 {
		t.Errorf("%d bytes of 700000 came", sum)
	}
}

func TestContainersSeeNothingOfOurEnvironment(t *testing.T) {
	r := newRig(t, strings.Replace(server, "[serve, hello]", "[env]\n    environment: [PRISM_CANARY, GIVEN]", 1))
	r.env = []string{"PRISM_CANARY=leaked", "GIVEN=leaked"}
	r.Env["GIVEN"] = "yes"
	x := r.run()
	x.sees("^GIVEN=yes$", 0)
	x.ends()
	if all := strings.Join(x.lines(), "\n"); strings.Contains(all, "leaked") {
		t.Errorf("it saw %s", all)
	}
}

func TestAKilledRunnerIsTakenOver(t *testing.T) {
	r := newRig(t, whole)
	r.Env["PRISM_PORT_STORE"] = "16000"
	x := r.run()
	x.runs()
	store, web := r.container("store").ID, r.container("web").ID
	_ = x.cmd.Process.Kill()
	x.ends()

	y := r.run()
	y.runs()
	if r.container("store").ID != store || r.container("web").ID != web {
		t.Error("what ran with the same configuration was made anew")
	}
	_ = y.cmd.Process.Kill()
	y.ends()

	r.Env["PRISM_PORT_STORE"] = "16001"
	z := r.run()
	z.runs()
	if r.container("store").ID == store || r.container("web").ID != web {
		t.Error("want the store made anew and web as it is")
	}
	if !listens(t, z.daemon, "0100007F", 16001) || listens(t, z.daemon, "0100007F", 16000) {
		t.Error("want the new port and not the old one")
	}
	z.stops()
	r.remove(true)
}

func TestWhatAKilledRunnerLeavesIsRemoved(t *testing.T) {
	r := newRig(t, whole)
	r.Env["PRISM_PORT_STORE"] = "16000"
	x := r.run()
	x.runs()
	_ = x.cmd.Process.Kill()
	x.ends()
	other := *r
	other.ID = "nobody"
	if got := other.remove(true); len(got) > 0 {
		t.Errorf("another project removed %v", got)
	}
	if got := r.remove(false); len(got) != 4 {
		t.Errorf("removed %v", got)
	}
	if got := r.remove(true); len(got) != 1 {
		t.Errorf("removed %v", got)
	}
	if got := r.remove(true); len(got) != 0 {
		t.Errorf("removed %v once more", got)
	}
}

func TestAServerThatEndsIsNamed(t *testing.T) {
	r := newRig(t, strings.Replace(server, "serve, hello", `exit, "3", "500"`, 1))
	x := r.run()
	x.fails(r.Name()+"-web-1", image, "exit code 3")
	x.sees("^ends with 3$", 0)
}

func TestATaskThatFailsIsNamed(t *testing.T) {
	r := newRig(t, strings.Replace(whole, `exit, "0"`, `exit, "7"`, 1))
	r.Env["PRISM_PORT_STORE"] = "16000"
	x := r.run()
	x.fails(r.Name()+"-migrate-1", "exit code 7")
	x.sees(`^migrate \| ends with 7$`, 0)
	r.remove(true)
}

func TestTasksAloneAreDone(t *testing.T) {
	r := newRig(t, strings.Replace(server, "[serve, hello]", "[exit, \"0\"]\n    labels: {prism.task: \"true\"}", 1))
	x := r.run()
	if code := x.ends(); code != 0 {
		t.Errorf("it ended with %d: %s", code, x.errs.String())
	}
}

func TestMemoryThatRunsOutIsSaid(t *testing.T) {
	r := newRig(t, strings.Replace(server, "[serve, hello]", "[eat]\n    mem_limit: 32m\n    memswap_limit: 32m", 1))
	r.run().fails(r.Name()+"-web-1", "ran out of memory", "32MiB")
}

func TestAContainerThatIgnoresSIGTERMIsKilledInTime(t *testing.T) {
	r := newRig(t, strings.Replace(server, "serve, hello", "stubborn", 1))
	r.stopTime = time.Second
	x := r.run()
	x.sees("^ready$", 0)
	began := time.Now()
	x.stops()
	if took := time.Since(began); took > r.stopTime+engine.RunnerStop {
		t.Errorf("it took %v", took)
	}
}

func TestAContainerThatIsRemovedIsMissed(t *testing.T) {
	r := newRig(t, server)
	x := r.run()
	x.runs()
	r.docker("rm", "--force", "--volumes", r.Name()+"-web-1")
	x.fails("web")
}

func TestTwoProjectsSideBySide(t *testing.T) {
	r := newRig(t, whole)
	r.Env["PRISM_PORT_STORE"] = "16000"
	other := *r
	other.ID, other.Root = r.ID+"b", filepath.Join(r.Root, "other")
	other.Dir = filepath.Join(other.Root, "actor")
	other.Env = map[string]string{"PRISM_IMAGE_ACTOR": image, "PRISM_PORT_STORE": "16001"}
	other.write(whole)
	x, y := r.run(), other.run()
	x.runs()
	y.runs()
	all, err := r.client().List(t.Context(), "")
	if err != nil || len(all) != 10 {
		t.Errorf("on the machine there is %v, %v", names(all), err)
	}
	x.stops()
	if other.container("store").State != "running" {
		t.Error("one project stopped the other")
	}
	y.stops()
	r.remove(true)
	other.remove(true)
}

func TestAStrangersContainerIsNamedAndNotTouched(t *testing.T) {
	r := newRig(t, server)
	name := r.Name() + "-web-1"
	id := r.docker("run", "--detach", "--name", name, image, "serve")
	r.run().fails("not ours", name, "not touched")
	if got := r.docker("ps", "--no-trunc", "--quiet"); got != id {
		t.Errorf("there runs %s, not %s", got, id)
	}
	if got := r.remove(true); len(got) > 0 {
		t.Errorf("removed %v", got)
	}
	r.docker("rm", "--force", "--volumes", name)
}

func TestAStrangersNetworkAndVolumeAreNamed(t *testing.T) {
	r := newRig(t, whole)
	r.Env["PRISM_PORT_STORE"] = "16000"
	r.docker("network", "create", r.Name()+"_default")
	r.run().fails("not ours", r.Name()+"_default")
	r.docker("network", "rm", r.Name()+"_default")
	r.docker("volume", "create", r.Name()+"_data")
	r.run().fails("not ours", r.Name()+"_data")
	r.docker("volume", "rm", r.Name()+"_data")
}

func TestAPortThatIsTakenIsSaid(t *testing.T) {
	r := newRig(t, whole)
	r.Env["PRISM_PORT_STORE"] = "16000"
	id := r.docker("run", "--detach", "--publish", "127.0.0.1:16000:1", image, "serve")
	r.run().fails("port is taken", "16000", "--auto-ports")
	r.docker("rm", "--force", "--volumes", id)
	r.remove(true)
}

func TestWhatCannotBeRemovedIsNamed(t *testing.T) {
	r := newRig(t, server)
	x := r.run()
	x.runs()
	id := r.docker("run", "--detach", "--network", r.Name()+"_default", image, "serve")
	_ = x.cmd.Process.Signal(syscall.SIGTERM)
	x.fails("still there", r.Name()+"_default")
	_, err := r.client().Remove(t.Context(), r.ID, "", true)
	wantKind(t, err, "left", "network "+r.Name()+"_default", "active endpoints", "docker ps")
	r.docker("rm", "--force", "--volumes", id)
	r.remove(true)
}

func TestAnUnprivilegedUserOfTheEnginesGroup(t *testing.T) {
	r := newRig(t, whole)
	r.Env["PRISM_PORT_STORE"] = "16000"
	r.cred = &syscall.Credential{Uid: 65534, Gid: 65534}
	r.env = []string{"HOME=/nonexistent"}
	x := r.run()
	x.runs()
	x.stops()
	r.remove(true)
}

func TestAnIdleRunnerIsSmall(t *testing.T) {
	r := newRig(t, server)
	x := r.run()
	x.runs()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", x.cmd.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(status), "VmRSS:")
	kb, err := strconv.Atoi(strings.Fields(rest)[0])
	t.Logf("RSS %d KiB", kb)
	if err != nil || kb > 48<<10 {
		t.Errorf("RSS is %d KiB, want at most 48 MiB: %v", kb, err)
	}
	x.stops()
}
