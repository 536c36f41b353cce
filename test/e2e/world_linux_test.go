package e2e_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/prism-data-layer/prism/pkg/config"
)

// One command gives a gateway, a Redis, a Dex that signs its developer in, and a
// collector in which a call is found again: by native programs, and in containers.
func TestTheWorldInOneCommand(t *testing.T) {
	t.Parallel()
	for _, form := range []string{"native", "container"} {
		t.Run(form, func(t *testing.T) {
			t.Parallel()
			p := newProject(t)
			p.more = nativePrograms(t)
			host := ""
			if form == "container" {
				host = testEngine(t)
				p.more = append(p.more, "DOCKER_HOST="+host)
				p.write(".prism.yaml", "apiVersion: prism/v1\nimages: {redis: \"prism-test/redis:8\", dex: \"prism-test/dex:2.45.1\", otel-collector: \"prism-test/otelcol:0.161.0\"}\n")
			}
			p.up("--with", "redis,dex,otel-collector", "--form", form, "--timeout", "55s")
			p.want(0, []string{"redis", "dex", "otel-collector", "prismd", form}, "dev", "status")
			p.ok("namespace", "create", "carts", "--model", "keyvalue", "--backend", "redis")

			var env map[string]string
			if err := json.Unmarshal([]byte(p.ok("dev", "env", "-o", "json")), &env); err != nil {
				t.Fatal(err)
			}
			for _, name := range []string{"PRISM_OIDC_ISSUER", "OTEL_EXPORTER_OTLP_ENDPOINT"} {
				if env[name] == "" {
					t.Fatalf("dev env lacks %s: %v", name, env)
				}
				p.more = append(p.more, name+"="+env[name])
			}
			p.ok("kv", "set", "greeting", "hello", "--namespace", "carts")
			p.ok("kv", "get", "greeting", "--namespace", "carts")
			found := within(20*time.Second, func() bool { return p.traced("prismctl kv get") })
			if !found {
				t.Error("no trace of prismctl kv get reached the collector whole:\n" + p.spans())
			}

			if form == "container" {
				p.changesImages(host)
			}

			p.want(0, []string{"stopped"}, "dev", "down", "--volumes", "--yes")
			p.gone()
		})
	}
}

// changesImages wants another image of Redis than runs, which is drift, goes to
// it, and goes back from one that is no Redis.
func (p *project) changesImages(host string) {
	p.t.Helper()
	const first, next, wrong = "prism-test/redis:8", "prism-test/redis:next", "prism-test/otelcol:0.161.0"
	tag := exec.Command("docker", "tag", first, next)
	tag.Env = append(os.Environ(), "DOCKER_HOST="+host)
	if out, err := tag.CombinedOutput(); err != nil {
		p.t.Fatalf("docker tag: %v: %s", err, out)
	}
	p.write(".prism.yaml", "apiVersion: prism/v1\nimages: {redis: \""+next+"\", dex: \"prism-test/dex:2.45.1\", otel-collector: \""+wrong+"\"}\n")
	p.want(0, []string{"differs", first, next}, "dev", "versions")
	p.want(0, []string{"redis runs " + next + " and answers"}, "dev", "update", "redis")
	if drift := p.ok("dev", "versions"); strings.Contains(drift, "differs") {
		p.t.Errorf("after the update: %s", drift)
	}
	p.want(6, []string{"redis does not work with " + wrong + ": it runs " + next + " again"}, "dev", "update", "redis", "--image", wrong)
	if got := p.ok("kv", "get", "greeting", "--namespace", "carts"); got != "hello\n" {
		p.t.Errorf("after two changes of the image: %q", got)
	}
}

// traced reports whether the collector has a trace that begins with a command
// and goes through the gateway to Redis.
func (p *project) traced(command string) bool {
	services := map[string]string{} // by trace
	for _, s := range p.collected() {
		services[s.trace] += " " + s.service + ":" + s.name
	}
	for _, all := range services {
		if strings.Contains(all, ":"+command) && strings.Contains(all, " prismd:prism.keyvalue.v1.KeyValueService/") && strings.Contains(all, " prismd:Get redis") {
			return true
		}
	}
	return false
}

func (p *project) spans() string {
	var b strings.Builder
	for _, s := range p.collected() {
		fmt.Fprintln(&b, s.trace, s.service, s.name)
	}
	return b.String()
}

type span struct{ trace, service, name string }

// collected is what the collector has written.
func (p *project) collected() (all []span) {
	text, err := os.ReadFile(filepath.Join(p.dir, ".prism", "otel-collector", "traces.jsonl"))
	if err != nil {
		return nil
	}
	for line := range bytes.Lines(text) {
		var batch struct {
			ResourceSpans []struct {
				Resource struct {
					Attributes []struct {
						Key   string
						Value struct{ StringValue string }
					}
				}
				ScopeSpans []struct {
					Spans []struct{ TraceID, Name string }
				}
			}
		}
		if json.Unmarshal(line, &batch) != nil {
			continue // the last line is being written
		}
		for _, r := range batch.ResourceSpans {
			service := ""
			for _, a := range r.Resource.Attributes {
				if a.Key == "service.name" {
					service = a.Value.StringValue
				}
			}
			for _, scope := range r.ScopeSpans {
				for _, s := range scope.Spans {
					all = append(all, span{s.TraceID, service, s.Name})
				}
			}
		}
	}
	return all
}

// nativePrograms names what tools/setup.sh has built for this machine's user: the
// project has a home of its own.
func nativePrograms(t *testing.T) (env []string) {
	t.Helper()
	dirs, err := config.SystemDirs()
	if err != nil {
		t.Fatal(err)
	}
	for variable, program := range map[string]string{"PRISM_NATIVE_DEX": "dex", "PRISM_NATIVE_OTELCOL": "otelcol", "PRISM_NATIVE_COMPOSE": "prism-compose"} {
		path := os.Getenv(variable)
		if path == "" {
			path = filepath.Join(dirs.Native(), program)
		}
		if _, err := os.Stat(path); err != nil {
			need(t, program+" is not built (tools/setup.sh sees to it)")
		}
		env = append(env, variable+"="+path)
	}
	return env
}

// testEngine is a container engine of the test's own with the images that it needs.
func testEngine(t *testing.T) (host string) {
	t.Helper()
	if os.Geteuid() != 0 {
		need(t, "a container engine of one's own wants root")
	}
	dir, err := os.MkdirTemp("", "engine")
	if err != nil {
		t.Fatal(err)
	}
	tools := filepath.Join("..", "..", "tools")
	t.Cleanup(func() {
		if out, err := exec.Command(filepath.Join(tools, "engine.sh"), "--stop", dir).CombinedOutput(); err != nil {
			t.Errorf("the engine does not stop: %v\n%s", err, out)
		}
		os.RemoveAll(dir)
	})
	var said bytes.Buffer
	start := exec.Command(filepath.Join(tools, "engine.sh"), dir)
	start.Stderr = &said
	out, err := start.Output()
	if err != nil {
		need(t, "no container engine starts: "+said.String())
	}
	host = strings.TrimSpace(string(out))
	images := exec.Command(filepath.Join(tools, "images.sh"), "redis", "dex", "otelcol")
	images.Env = append(os.Environ(), "DOCKER_HOST="+host)
	if out, err := images.CombinedOutput(); err != nil {
		t.Fatalf("images: %v\n%s", err, out)
	}
	return host
}
