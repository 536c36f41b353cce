//go:build unix

package dev_test

import (
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/prism-data-layer/prism/pkg/cli"
	"github.com/prism-data-layer/prism/pkg/driver/clickhouse/clickhousetest"
)

// needPrograms skips a test that cannot run here, loudly.
func needPrograms(t *testing.T, names ...string) {
	t.Helper()
	for _, name := range names {
		if _, err := exec.LookPath(name); err == nil {
			continue
		}
		if os.Getenv("PRISM_TEST_REQUIRE") == "all" {
			t.Fatalf("cannot run here: no %s", name)
		}
		t.Skipf("NOT TESTED: no %s", name)
	}
}

func TestUpWithRedisKeepsDataOnIt(t *testing.T) {
	needPrograms(t, "redis-server")
	r := project(t)
	plan := r.OK("dev", "up", "--plan", "--with", "redis")
	if redis, prismd := strings.Index(plan, "start    redis: "), strings.Index(plan, "start    prismd: "); redis < 0 || prismd < redis || !strings.Contains(plan, "ready    PING on ") {
		t.Errorf("the plan is\n%s", plan)
	}
	u := start(t, r, "--with", "redis")
	var list []map[string]any
	if err := json.Unmarshal([]byte(r.OK("dev", "status", "-o", "json")), &list); err != nil || len(list) != 2 || list[0]["name"] != "redis" || list[0]["state"] != "ready" {
		t.Errorf("status: %v, %v", list, err)
	}
	r.OK("namespace", "create", "shop", "--backend", "redis")
	r.OK("kv", "set", "greeting", "hello", "--namespace", "shop")
	r.OK("dev", "restart", "redis")
	if got := r.OK("kv", "get", "greeting", "--namespace", "shop"); got != "hello\n" {
		t.Errorf("after a restart of redis: %q", got)
	}
	if got := r.OK("backend", "describe", "redis"); !strings.Contains(got, "appendfsync everysec") {
		t.Errorf("the backend does not say what acked means:\n%s", got)
	}
	r.OK("dev", "down")
	<-u.ended
	u = start(t, r, "--with", "redis")
	if got := r.OK("kv", "get", "greeting", "--namespace", "shop"); got != "hello\n" {
		t.Errorf("after down and up: %q", got)
	}
	r.Want(0, []string{"already running"}, "dev", "up", "--with", "redis")
	r.OK("dev", "down")
	<-u.ended
	if _, err := os.Stat(filepath.Join(r.Dir, ".prism", "redis")); err != nil {
		t.Errorf("the data are not in the project's folder: %v", err)
	}
}

func TestUpWithNATSKeepsEventsOnIt(t *testing.T) {
	needPrograms(t, "redis-server", "nats-server")
	r := project(t)
	if plan := r.OK("dev", "up", "--plan", "--with", "nats", "--port-offset", "20"); !strings.Contains(plan, "listen   client   127.0.0.1:4242 (--port-offset 20)\nready    PING on 127.0.0.1:4242\n") {
		t.Errorf("the plan is\n%s", plan)
	}
	u := start(t, r, "--with", "redis,nats")
	var list []map[string]any
	if err := json.Unmarshal([]byte(r.OK("dev", "status", "-o", "json")), &list); err != nil || len(list) != 3 || list[0]["name"] != "redis" || list[1]["name"] != "nats" || list[1]["state"] != "ready" {
		t.Errorf("status: %v, %v", list, err)
	}
	if got := r.OK("backend", "describe", "nats"); !strings.Contains(got, "acked means written to the file of JetStream") {
		t.Errorf("the backend does not say what acked means:\n%s", got)
	}
	r.OK("namespace", "create", "news", "--backend", "nats", "--model", "pubsub")
	event := func(after string) {
		t.Helper()
		for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(20 * time.Millisecond) { // the gateway connects again
			got := r.Run("pubsub", "publish", "shop.opened", after, "--namespace", "news", "--persistent")
			if got.Code == 0 {
				break
			}
			if got.Code != cli.ExitUnavailable || time.Now().After(deadline) {
				t.Fatalf("publish after %s: exit %d\n%s", after, got.Code, got.ErrOut)
			}
		}
		// The first one is there still, whatever happened meanwhile.
		if got := r.OK("pubsub", "tail", "shop.>", "--namespace", "news", "--from", "earliest", "--limit", "1", "--jq", ".[].payload"); got != "start\n" {
			t.Errorf("after %s: the first event is %q", after, got)
		}
	}
	event("start")
	r.OK("dev", "restart", "nats")
	event("restart of nats")
	r.OK("dev", "down")
	<-u.ended
	u = start(t, r, "--with", "nats")
	event("down and up")
	r.OK("dev", "down")
	<-u.ended
}

func TestUpWithWhatIsNotThereSaysHowToGetIt(t *testing.T) {
	r := project(t)
	r.Want(2, []string{`--with "oracle" is not known`, "use one of: clickhouse, dex, minio, nats"}, "dev", "up", "--with", "oracle")
	r.Want(2, []string{`--with "redsi" is not known`, `did you mean "redis"?`}, "dev", "up", "--with", "redsi")
	r.Env["PRISM_NATIVE_REDIS"] = "/nowhere/redis-server"
	r.Want(2, []string{"PRISM_NATIVE_REDIS names /nowhere/redis-server"}, "dev", "up", "--with", "redis")
	r.Env["PRISM_NATIVE_REDIS"] = script(r, "redis-server", "exit 1")
	r.Write("prism.yaml", "apiVersion: prism/v1\nbackends:\n  - {name: local, driver: pebble}\n")
	r.Want(5, []string{`prism.yaml declares no backend "redis"`, "add to its backends: - {name: redis, driver: redis"}, "dev", "up", "--with", "redis")
	delete(r.Env, "PRISM_NATIVE_REDIS")
	r.Want(5, []string{`prism.yaml declares no backend "nats"`, "add to its backends: - {name: nats, driver: nats", `servers: ["nats://127.0.0.1:4222"], username: prism`}, "dev", "up", "--with", "nats")
	r.Write("prism.yaml", "apiVersion: prism/v1\nlisten: {data: \"127.0.0.1:auto\", admin: \"127.0.0.1:auto\", metrics: \"127.0.0.1:auto\"}\n")
	r.Env["PRISM_NATIVE_CHDB"] = script(r, "prism-chdb", "exit 1")
	r.Want(2, []string{"--port-offset 60000 moves clickhouse out of the range of ports"}, "dev", "up", "--with", "clickhouse", "--port-offset", "60000")
	delete(r.Env, "PRISM_NATIVE_CHDB")
	r.Want(2, []string{"--port-offset 61400 moves nats out of the range of ports"}, "dev", "up", "--with", "nats", "--port-offset", "61400")
	t.Setenv("PATH", t.TempDir())
	r.Want(6, []string{"redis cannot run here: ", "redis-server is neither on PATH nor in ", "apt-get install redis-server"}, "dev", "up", "--with", "redis")
	r.Want(6, []string{"clickhouse cannot run here: ", "prism-chdb is neither on PATH nor in ", "run tools/chdb.sh"}, "dev", "up", "--with", "clickhouse")
}

func TestUpWithClickHouseIsReadyWithItsDataHere(t *testing.T) {
	program, missing := clickhousetest.FindBridge()
	switch {
	case missing != "" && clickhousetest.Required():
		t.Fatalf("cannot run here: %s", missing)
	case missing != "":
		t.Skipf("NOT TESTED: %s", missing)
	}
	r := project(t)
	r.Env["XDG_DATA_HOME"] = filepath.Join(r.Dir, "share")
	native := filepath.Join(r.Dir, "share", "prism", "native")
	if err := errors.Join(os.MkdirAll(native, 0o755), os.Symlink(program, filepath.Join(native, "prism-chdb"))); err != nil {
		t.Fatal(err)
	}
	if plan := r.OK("dev", "up", "--plan", "--with", "clickhouse", "--port-offset", "20"); !strings.Contains(plan, "listen   http     127.0.0.1:8143 (--port-offset 20)\nready    SELECT 1 on 127.0.0.1:8143\n") {
		t.Errorf("the plan is\n%s", plan)
	}
	u := start(t, r, "--with", "clickhouse")
	var list []struct{ Name, State string }
	if err := json.Unmarshal([]byte(r.OK("dev", "status", "-o", "json")), &list); err != nil || len(list) != 2 || list[0].Name != "clickhouse" || list[0].State != "ready" {
		t.Errorf("status: %v, %v", list, err)
	}
	r.OK("namespace", "create", "visits", "--model", "timeseries", "--backend", "clickhouse")
	if got := r.OK("backend", "describe", "clickhouse"); !strings.Contains(got, "timeseries_aggregation") || !strings.Contains(got, "acked means written to a part") {
		t.Errorf("the backend does not say what it has and what acked means:\n%s", got)
	}
	r.OK("dev", "down")
	<-u.ended
	if parts, err := filepath.Glob(filepath.Join(r.Dir, ".prism", "clickhouse", "*")); err != nil || len(parts) == 0 {
		t.Errorf("the data are not in the project's folder: %v, %v", parts, err)
	}
}

func TestUpDoesNotAddToWhatRuns(t *testing.T) {
	r := project(t)
	u := start(t, r)
	r.Want(5, []string{"it runs already, without redis", "prismctl dev down"}, "dev", "up", "--with", "redis")
	r.OK("dev", "down")
	<-u.ended
}
