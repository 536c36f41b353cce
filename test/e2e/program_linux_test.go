package e2e_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/prism-data-layer/prism/pkg/driver/redis/redistest"
)

// stores declares the namespaces of the program on three backends.
func stores(redis string) string {
	var b strings.Builder
	fmt.Fprintf(&b, `apiVersion: prism/v1
backends:
  - {name: memory, driver: memory}
  - {name: pebble, driver: pebble}
  - {name: redis, driver: redis, options: {addrs: [%q]}}
namespaces:
`, redis)
	models := []struct{ name, model string }{{"kv", "keyvalue"}, {"cache", "cache"}, {"events", "pubsub"}, {"jobs", "queue"}}
	for _, store := range []string{"memory", "pebble", "redis"} {
		for _, m := range models {
			fmt.Fprintf(&b, "  - {name: %s-%s, model: %s, backend: %s, access: {owners: [\"user:dev\"]}}\n", m.name, store, m.model, store)
		}
	}
	return b.String()
}

// One program, built once, prints the same whatever keeps its data.
func TestTheSameProgramRunsOnEveryStore(t *testing.T) {
	t.Parallel()
	server := redistest.Seven().Start(t)
	bin := filepath.Join(t.TempDir(), "program")
	build, env, cover := []string{"build", "-o", bin}, os.Environ(), os.Getenv("PRISM_E2E_COVER")
	if cover != "" {
		build, env = append(build, "-cover", "-coverpkg=../../..."), append(env, "GOCOVERDIR="+cover)
	}
	if out, err := exec.Command("go", append(build, "./program")...).CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	p := newProject(t)
	p.write("prism.yaml", stores(server.Addr))
	p.up()
	data, _, _ := p.addresses()
	printed := map[string]string{}
	for _, store := range []string{"memory", "pebble", "redis"} {
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
		c := exec.CommandContext(ctx, bin, data, store)
		c.Env = env
		out, err := c.CombinedOutput()
		cancel()
		if err != nil {
			t.Fatalf("on %s: %v\n%s", store, err, out)
		}
		printed[store] = string(out)
	}
	for _, store := range []string{"pebble", "redis"} {
		if printed["memory"] != printed[store] {
			t.Errorf("on memory it prints\n%s\non %s\n%s", printed["memory"], store, printed[store])
		}
	}
	if lines, jobs, ok := strings.Cut(printed["memory"], "jobs: "); !ok || strings.Count(jobs, "\n") != 3 || strings.Count(lines, "\n") < 12 {
		t.Errorf("it prints only\n%s", printed["memory"])
	}
	t.Logf("on each:\n%s", printed["memory"])
}
