//go:build unix

package dev_test

import (
	"archive/zip"
	"encoding/json"
	"encoding/xml"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/prism-data-layer/prism/pkg/cli/clitest"
)

// process lets commands start supervisors of their own, which are processes and
// take HOME from the environment.
func process(t *testing.T) *clitest.Rig {
	t.Helper()
	r := project(t)
	r.Env["XDG_RUNTIME_DIR"] = filepath.Join(r.Dir, "run")
	for k, v := range map[string]string{"HOME": r.Dir, "XDG_RUNTIME_DIR": r.Env["XDG_RUNTIME_DIR"], "XDG_STATE_HOME": "", "XDG_CONFIG_HOME": "", "XDG_DATA_HOME": "", "PRISM_PRISMD": r.Env["PRISM_PRISMD"]} {
		t.Setenv(k, v)
	}
	return r
}

func TestEveryCommandTellsOfWhatRuns(t *testing.T) {
	needPrograms(t, "redis-server")
	r := project(t)
	r.Write(".prism.yaml", "apiVersion: prism/v1\nwith: [redis]\nservices:\n  - {name: api, command: [sh, -c, 'echo \"serves $PRISM_DATA and $REDIS_URL for $WHO\"; exec sleep 600'], env: {WHO: ann}}\n")
	u := start(t, r)

	var list []struct {
		Name, State, Form string
		After, Ports      []string
	}
	if err := json.Unmarshal([]byte(r.OK("dev", "status", "-o", "json")), &list); err != nil || len(list) != 3 || list[0].Form != "native" || list[2].Name != "api" || strings.Join(list[1].After, " ") != "redis" || len(list[1].Ports) != 3 {
		t.Errorf("status: %+v, %v", list, err)
	}
	var env map[string]string
	if err := json.Unmarshal([]byte(r.OK("dev", "env", "-o", "json")), &env); err != nil || !strings.HasPrefix(env["REDIS_URL"], "unix:") {
		t.Errorf("env: %v, %v", env, err)
	}
	if got := r.OK("dev", "logs", "api"); !strings.Contains(got, "serves "+env["PRISM_DATA"]+" and "+env["REDIS_URL"]+" for ann") {
		t.Errorf("the program was given other addresses than %v:\n%s", env, got)
	}
	if got := r.OK("dev", "graph"); !strings.HasPrefix(got, "api  ready in ") || !strings.Contains(got, "redis  ready in") {
		t.Errorf("graph:\n%s", got)
	}
	if got := r.OK("dev", "graph", "--critical", "-o", "dot"); !strings.Contains(got, `"redis" -> "prismd"`) {
		t.Errorf("the critical chain:\n%s", got)
	}
	r.Want(2, []string{"use one of: text, dot, json"}, "dev", "graph", "-o", "csv")
	if got := r.OK("dev", "open", "prismd"); !strings.HasPrefix(got, "http://127.0.0.1:") {
		t.Errorf("open: %s", got)
	}
	r.Want(3, []string{`page "pirsmd" not found`, `did you mean "prismd"?`}, "dev", "open", "pirsmd")
	var all []struct{ Project, State, Folder string }
	if err := json.Unmarshal([]byte(r.OK("dev", "list", "-o", "json")), &all); err != nil || len(all) != 1 || all[0].State != "ready" || all[0].Folder != "/home/ann" {
		t.Errorf("list: %+v, %v", all, err)
	}
	var versions []struct{ Name, Running, Drift string }
	if err := json.Unmarshal([]byte(r.OK("dev", "versions", "-o", "json")), &versions); err != nil || len(versions) < 8 {
		t.Errorf("versions: %+v, %v", versions, err)
	}
	for _, v := range versions {
		if v.Name == "redis" && (!strings.Contains(v.Running, "Redis server v=") || v.Drift == "not running") {
			t.Errorf("the version of redis: %+v", v)
		}
	}
	r.Want(5, []string{"redis runs as the program", "prismctl dev restart redis"}, "dev", "update", "redis")
	r.Want(2, []string{`there is no stack "redsi"`, "did you mean redis?"}, "dev", "update", "redsi")
	if got := r.Want(0, []string{"prismd depends on it"}, "dev", "restart", "redis"); got.Out != "redis is ready\n" {
		t.Errorf("restart: %s", got.Out)
	}
	r.Want(5, []string{"it runs already, without nats"}, "dev", "up", "--with", "nats")

	r.OK("namespace", "create", "shop", "--backend", "redis")
	r.OK("kv", "set", "greeting", "hello", "--namespace", "shop")
	r.Want(2, []string{"--yes"}, "dev", "reset", "redis")
	r.Want(3, []string{"use one of: redis, prismd"}, "dev", "reset", "nats", "--yes")
	if got := r.OK("dev", "reset", "redis", "--yes"); got != "redis is empty, and ready\n" {
		t.Errorf("reset: %s", got)
	}
	r.Want(3, []string{"not found"}, "kv", "get", "greeting", "--namespace", "shop")

	if got := r.OK("dev", "down"); !strings.HasSuffix(got, nothingLeft) {
		t.Errorf("down: %s", got)
	}
	<-u.ended
	if got := r.OK("dev", "graph"); !strings.HasPrefix(got, "api\n") {
		t.Errorf("the graph of what would start:\n%s", got)
	}
	if got := r.OK("dev", "reset", "prismd", "--yes"); got != "prismd is empty\n" {
		t.Errorf("reset: %s", got)
	}
	if entries, err := os.ReadDir(filepath.Join(r.Dir, ".prism", "data")); err != nil || len(entries) != 0 {
		t.Errorf("the data are there still: %v, %v", entries, err)
	}
}

func TestWhatCannotRunHereIsSkippedAndTheRestStarts(t *testing.T) {
	r := process(t)
	r.Env["PRISM_NATIVE_COMPOSE"] = script(r, "prism-compose", "exit 1") // no engine for this test
	t.Setenv("PRISM_NATIVE_COMPOSE", r.Env["PRISM_NATIVE_COMPOSE"])
	r.Write(".prism.yaml", "apiVersion: prism/v1\nwith: [minio]\n")
	got := r.Want(8, []string{"skipped minio: it runs in containers only", "  fix: ", "ready in ", "all is ready but for what cannot run here: minio"}, "dev", "up", "--detach", "--auto-ports")
	if !strings.Contains(got.Out, "prismd   data     127.0.0.1:") {
		t.Errorf("it printed\n%s", got.Out)
	}
	r.Want(8, []string{"already running", "but for what cannot run here: minio"}, "dev", "up", "--wait")
	r.OK("dev", "status")
	r.Want(5, []string{"something runs for this folder already"}, "dev", "ci", "--auto-ports")
	r.OK("dev", "down")
	r.Want(6, []string{"minio cannot run here"}, "dev", "ci", "--auto-ports")
	os.Remove(filepath.Join(r.Dir, ".prism.yaml"))
	r.Want(6, []string{"minio cannot run here", "without it: prismctl dev up"}, "dev", "up", "--with", "minio")
	r.Want(6, []string{"nothing runs for"}, "dev", "status")
}

func TestProgressForProgramsIsAllJSON(t *testing.T) {
	r := process(t)
	got := r.Run("dev", "up", "--detach", "--auto-ports", "--progress", "json")
	states := map[string]bool{}
	for line := range strings.Lines(got.ErrOut) {
		var e struct{ Service, State string }
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			t.Errorf("%q: %v", line, err)
		}
		states[e.State], states[e.Service] = true, true
	}
	if got.Code != 0 || !states["prismd"] || !states["ready"] {
		t.Errorf("exit %d, states %v", got.Code, states)
	}
	r.Want(2, []string{"use one of: auto, plain, json"}, "dev", "up", "--progress", "fancy")
	r.OK("dev", "down")
}

func TestCIRunsACommandAndLeavesNothing(t *testing.T) {
	r := process(t)
	file := filepath.Join(r.Dir, "dev.xml")
	got := r.Want(3, []string{"sh ended with exit code 3"}, "dev", "ci", "--auto-ports", "--report", "junit="+file, "--", "sh", "-c", `echo "at $PRISM_DATA"; exit 3`)
	if !strings.Contains(got.Out, "at 127.0.0.1:") || !strings.HasSuffix(got.Out, nothingLeft) {
		t.Errorf("it printed\n%s", got.Out)
	}
	var suite struct {
		Tests    int `xml:"tests,attr"`
		Failures int `xml:"failures,attr"`
	}
	if text, err := os.ReadFile(file); err != nil || xml.Unmarshal(text, &suite) != nil || suite.Tests != 2 || suite.Failures != 1 {
		t.Errorf("the report: %+v, %v\n%s", suite, err, text)
	}
	r.Want(6, nil, "dev", "status")
	r.Want(0, nil, "dev", "ci", "--auto-ports", "--report", "json="+file)
	if text, err := os.ReadFile(file); err != nil || !strings.Contains(string(text), `"name": "prismd"`) {
		t.Errorf("the report: %v\n%s", err, text)
	}
	r.Want(2, []string{"write -- before the command"}, "dev", "ci", "true")
	r.Want(2, []string{"--report junit=FILE"}, "dev", "ci", "--report", "xml=x")
	r.Want(5, []string{"cannot be run", "name a program after --"}, "dev", "ci", "--auto-ports", "--", "/nowhere/at/all")
	r.Write("prism.yaml", "apiVersion: prism/v1\nkind: Gateway\nbackends:\n  - {name: local, driver: pebble, options: {cahce: 1MiB}}\nnamespaces:\n  - {name: kv, model: keyvalue, backend: local}\n")
	r.Want(7, []string{"prismd refuses to start"}, "dev", "ci", "--auto-ports")
}

func TestTwoCheckoutsRunSideBySideAndGoDownTogether(t *testing.T) {
	r := process(t)
	one, two := filepath.Join(r.Dir, "shop"), filepath.Join(r.Dir, "ünd er", "shop")
	home := r.Dir
	addrs := map[string]bool{}
	for _, dir := range []string{one, two} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		r.Prepare = at(home, dir)
		r.OK("dev", "up", "--detach", "--auto-ports")
		var env map[string]string
		if err := json.Unmarshal([]byte(r.OK("dev", "env", "-o", "json")), &env); err != nil {
			t.Fatal(err)
		}
		for _, name := range []string{"PRISM_DATA", "PRISM_ADMIN", "PRISM_METRICS"} {
			if addrs[env[name]] {
				t.Errorf("%s is shared", env[name])
			}
			addrs[env[name]] = true
		}
	}
	r.Prepare = at(home, home)
	var all []struct{ Project, State, Folder string }
	if err := json.Unmarshal([]byte(r.OK("dev", "list", "-o", "json")), &all); err != nil || len(all) != 2 || all[0].State != "ready" || all[1].State != "ready" || all[0].Project == all[1].Project {
		t.Errorf("list: %+v, %v", all, err)
	}
	if got := r.OK("dev", "down", "--all"); strings.Count(got, nothingLeft) != 2 {
		t.Errorf("down --all:\n%s", got)
	}
	for addr := range addrs {
		if l, err := net.Listen("tcp", strings.TrimSuffix(strings.TrimPrefix(addr, "http://"), "/metrics")); err != nil {
			t.Errorf("after down: %v", err)
		} else {
			l.Close()
		}
	}
}

func TestUpAgainMendsWhatHasFailed(t *testing.T) {
	r := process(t)
	r.Write(".prism.yaml", "apiVersion: prism/v1\nservices:\n  - {name: flaky, command: [sh, -c, 'test -f mended || { echo it burns; exit 3; }; exec sleep 600']}\n")
	got := r.Run("dev", "up", "--detach", "--auto-ports", "--timeout", "5s")
	for _, want := range []string{"flaky is crash", "exit code 3", "flaky | it burns", "fix: prismctl dev logs flaky"} {
		if got.Code != 6 || !strings.Contains(got.ErrOut, want) {
			t.Fatalf("exit %d, want 6 and %q:\n%s", got.Code, want, got.ErrOut)
		}
	}
	r.OK("kv", "set", "greeting", "hello") // the rest stays up
	r.Write("mended", "")
	r.Want(0, []string{"already running"}, "dev", "up")
	r.OK("dev", "status")
	r.OK("dev", "down")
}

func TestDoctorSpeaksToMonitorsAndMendsWhatIsSafe(t *testing.T) {
	r := project(t)
	u := start(t, r)
	r.OK("dev", "down")
	<-u.ended
	if got := r.OK("dev", "doctor", "-o", "prometheus"); !strings.Contains(got, `prism_dev_check{check="config",state="pass"} 1`) {
		t.Errorf("for Prometheus:\n%s", got)
	}
	if got := r.Run("dev", "doctor", "-o", "nagios"); got.Code > 1 || !strings.HasPrefix(got.Out, "PRISM DEV ") || strings.Count(got.Out, "\n") != 1 || !strings.Contains(got.Out, "| pass=") {
		t.Errorf("for Nagios, exit %d:\n%s", got.Code, got.Out)
	}
	r.Want(2, []string{"unknown output format"}, "dev", "doctor", "-o", "icinga")
	state, err := filepath.Glob(filepath.Join(r.Dir, ".local/state/prism/dev/*/state.json"))
	if err != nil || len(state) != 1 {
		t.Fatal(state, err)
	}
	dir := filepath.Dir(state[0])
	for _, name := range []string{"state.json", "stacks.json", "wish.json"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("{broken"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if got := r.Want(1, nil, "dev", "doctor"); !strings.Contains(got.Out, "cannot be read: state.json, stacks.json, wish.json") || !strings.Contains(got.Out, "others can look into") {
		t.Errorf("doctor:\n%s", got.Out)
	}
	if got := r.Want(0, []string{"fixed: closed ", "fixed: put state.json aside", "fixed: put wish.json aside"}, "dev", "doctor", "--fix", "-o", "json"); strings.Count(got.Out, `"kind": "DevCheck"`) < 15 {
		t.Errorf("%d checks, want at least 15", strings.Count(got.Out, `"kind": "DevCheck"`))
	}
	r.Want(0, []string{"nothing to fix"}, "dev", "doctor", "--fix")
	u = start(t, r)
	r.OK("dev", "down")
	<-u.ended
}

func TestBundleHoldsWhatAReportNeedsAndNoSecret(t *testing.T) {
	needPrograms(t, "nats-server")
	const canary = "canary-5f0c1e7a9b"
	r := project(t)
	t.Setenv("SHOP_API_KEY", canary+"-env")
	r.Write(".prism.yaml", "apiVersion: prism/v1\nwith: [nats]\nservices:\n  - {name: leaky, command: [sh, -c, 'echo \"the password is $(cat $NATS_PASSWORD_FILE), the key $SHOP_API_KEY\"; echo token="+canary+"-log; exec sleep 600']}\n")
	u := start(t, r)
	secret, err := os.ReadFile(strings.ReplaceAll(jsonEnv(t, r)["NATS_PASSWORD_FILE"], "/home/ann", r.Dir))
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(r.Dir, "bug.zip")
	got := r.OK("dev", "bundle", file)
	for _, name := range []string{"versions.json", "status.json", "doctor.json", "metrics.txt", "logs.jsonl", "config/.prism.yaml", "state/stacks.json"} {
		if !strings.Contains(got, name+"\n") {
			t.Errorf("no %s in\n%s", name, got)
		}
	}
	r.Want(5, []string{"is there already"}, "dev", "bundle", file)
	z, err := zip.OpenReader(file)
	if err != nil {
		t.Fatal(err)
	}
	defer z.Close()
	read := 0
	for _, f := range z.File {
		in, err := f.Open()
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(in)
		in.Close()
		if err != nil {
			t.Fatal(err)
		}
		read += strings.Count(string(text), "[removed]")
		for _, s := range []string{canary + "-env", canary + "-log", strings.TrimSpace(string(secret))} {
			if strings.Contains(string(text), s) && f.Name != "config/.prism.yaml" {
				t.Errorf("%s holds a secret", f.Name)
			}
		}
	}
	if read < 3 {
		t.Errorf("%d secrets were taken out, want 3 and more", read)
	}
	if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the bundle: %v, %v", info.Mode(), err)
	}
	r.OK("dev", "down")
	<-u.ended
}

func jsonEnv(t *testing.T, r *clitest.Rig) (env map[string]string) {
	t.Helper()
	if err := json.Unmarshal([]byte(r.OK("dev", "env", "-o", "json")), &env); err != nil {
		t.Fatal(err)
	}
	return env
}

func TestExportWritesFilesForCompose(t *testing.T) {
	r := project(t)
	got := r.OK("dev", "export", "out", "--with", "redis,nats")
	for _, name := range []string{"redis", "nats"} {
		if !strings.Contains(got, "docker compose up") {
			t.Errorf("it does not say how:\n%s", got)
		}
		for _, file := range []string{"compose.yaml", ".env"} {
			if _, err := os.Stat(filepath.Join(r.Dir, "out", name, file)); err != nil {
				t.Error(err)
			}
		}
	}
	r.Want(5, []string{"not empty"}, "dev", "export", "out", "--with", "redis")
	r.Want(2, []string{"no stack is named"}, "dev", "export", "more")
}

func TestKilledStoreComesBackAndStatusNeverLies(t *testing.T) {
	needPrograms(t, "redis-server")
	r := project(t)
	u := start(t, r, "--with", "redis")
	var list []struct {
		Name string
		PID  int
	}
	if err := json.Unmarshal([]byte(r.OK("dev", "status", "-o", "json")), &list); err != nil || list[0].Name != "redis" {
		t.Fatal(list, err)
	}
	if err := exec.Command("kill", "-STOP", strconv.Itoa(list[0].PID)).Run(); err != nil {
		t.Fatal(err)
	}
	// It runs, and its supervisor has not asked it since: it is asked now.
	r.Want(6, []string{"redis is degraded: it does not answer"}, "dev", "status")
	if err := exec.Command("kill", "-KILL", strconv.Itoa(list[0].PID)).Run(); err != nil {
		t.Fatal(err)
	}
	ready(t, r)
	r.OK("dev", "down")
	<-u.ended
}
