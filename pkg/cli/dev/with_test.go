//go:build unix

package dev_test

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

func TestUpWithRedisKeepsDataOnIt(t *testing.T) {
	if _, err := exec.LookPath("redis-server"); err != nil {
		if os.Getenv("PRISM_TEST_REQUIRE") == "all" {
			t.Fatal("cannot run here: no redis-server")
		}
		t.Skip("NOT TESTED: no redis-server")
	}
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

func TestUpWithWhatIsNotThereSaysHowToGetIt(t *testing.T) {
	r := project(t)
	r.Want(2, []string{`--with "oracle" is not known`, "use one of: redis"}, "dev", "up", "--with", "oracle")
	r.Env["PRISM_NATIVE_REDIS"] = "/nowhere/redis-server"
	r.Want(2, []string{"PRISM_NATIVE_REDIS names /nowhere/redis-server"}, "dev", "up", "--with", "redis")
	r.Env["PRISM_NATIVE_REDIS"] = script(r, "redis-server", "exit 1")
	r.Write("prism.yaml", "apiVersion: prism/v1\nbackends:\n  - {name: local, driver: pebble}\n")
	r.Want(5, []string{`prism.yaml declares no backend "redis"`, "add to its backends: - {name: redis, driver: redis"}, "dev", "up", "--with", "redis")
	delete(r.Env, "PRISM_NATIVE_REDIS")
	t.Setenv("PATH", t.TempDir())
	r.Want(5, []string{"redis-server is not on PATH", "apt-get install redis-server"}, "dev", "up", "--with", "redis")
}

func TestUpDoesNotAddToWhatRuns(t *testing.T) {
	r := project(t)
	u := start(t, r)
	r.Want(5, []string{"it runs already, without redis", "prismctl dev down"}, "dev", "up", "--with", "redis")
	r.OK("dev", "down")
	<-u.ended
}
