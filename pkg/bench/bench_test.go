package bench_test

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/prism-data-layer/prism/loadtest/report"
	"github.com/prism-data-layer/prism/pkg/bench"
	"github.com/prism-data-layer/prism/pkg/driver/all"
)

const file = `apiVersion: prism/v1
backends:
  - {name: volatile, driver: memory}
  - {name: local, driver: pebble, options: {memtable: 1MiB, cache: 1MiB}}
  - {name: series, driver: sqlite}
`

// run benches in a folder of the test's own.
func run(t *testing.T, dir string, args ...string) (code int, out, errOut string) {
	t.Helper()
	path := filepath.Join(dir, "prism.yaml")
	if err := os.WriteFile(path, []byte(file), 0o644); err != nil {
		t.Fatal(err)
	}
	for i, a := range args {
		args[i] = strings.ReplaceAll(a, "FILE", path)
	}
	var stdout, stderr bytes.Buffer
	code = bench.Main(args, &stdout, &stderr, all.Drivers(), "1.2.3")
	return code, stdout.String(), stderr.String()
}

// The report is that of the load test, made in this process, and nothing that was
// written stays.
func TestABackendIsLoadedWithoutTheWire(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ model, backend, mix string }{
		{"kv", "volatile", "get=50,set=30,delete=20"},
		{"kv", "local", "get=90,set=10"},
		{"cache", "volatile", "get=50,set=30,delete=20"},
		{"cache", "local", "get=50,set=50"},
		{"queue", "volatile", "publish=2,receive=1"},
		{"queue", "local", "publish=1"},
		{"pubsub", "volatile", ""},
		{"pubsub", "local", ""},
		{"ts", "volatile", "append=2,query=1,aggregate=1"},
		{"ts", "series", "append=2,query=1,aggregate=1"},
	} {
		dir := t.TempDir()
		code, out, errOut := run(t, dir, c.model, "-config", "FILE", "-backend", c.backend, "-closed", "2", "-duration", "300ms", "-warm-up", "10ms", "-keys", "50", "-mix", c.mix, "-o", "json", "-fail", "error_rate<=0%")
		if code != 0 {
			t.Errorf("%v: exit %d: %s", c, code, errOut)
			continue
		}
		var r report.Report
		if err := json.Unmarshal([]byte(out), &r); err != nil {
			t.Fatalf("%v: %v\n%s", c, err, out)
		}
		if c.model == "queue" || c.model == "pubsub" {
			if len(r.Streams) != 1 || r.Streams[0].Messages == 0 || r.Streams[0].Failed > 0 {
				t.Errorf("%v: the deliveries are %+v", c, r.Streams)
			}
		}
		if r.Workload != c.model || !strings.Contains(out, `"level": "pattern`) || !strings.Contains(out, `"backend `+c.backend) || len(r.Operations) == 0 {
			t.Errorf("%v: the report is\n%s", c, out)
		}
		for _, o := range r.Operations {
			if strings.Contains(c.mix, o.Name) && o.OK == 0 {
				t.Errorf("%v: no %s was answered", c, o.Name)
			}
		}
		left, err := filepath.Glob(filepath.Join(dir, "data", "*"))
		if err != nil || len(left) != 0 {
			t.Errorf("%v: %v stay, %v", c, left, err)
		}
	}
}

func TestAnOpenLoopHasItsRateAndThresholds(t *testing.T) {
	t.Parallel()
	code, out, errOut := run(t, t.TempDir(), "kv", "-config", "FILE", "-rate", "200", "-duration", "500ms", "-warm-up", "0s", "-keys", "10", "-fail", "p99<1ns")
	if code != report.ExitThreshold || !strings.Contains(out, "open loop, constant 200/s") || !strings.Contains(out, "p99<1ns") {
		t.Errorf("exit %d\n%s\n%s", code, out, errOut)
	}
}

func TestWhatCannotBeDoneIsRefused(t *testing.T) {
	t.Parallel()
	for text, c := range map[string]struct {
		code int
		args []string
	}{
		"what to load":                 {2, []string{"session"}},
		"what to load: kv":             {2, nil},
		"unexpected argument":          {2, []string{"kv", "more", "even"}},
		"flag provided but not":        {2, []string{"kv", "-quasars"}},
		"leave one of them out":        {2, []string{"kv", "-rate", "5", "-closed", "5"}},
		"-o must be one of":            {2, []string{"kv", "-o", "tar"}},
		`"none" not found`:             {1, []string{"kv", "-config", "FILE", "-backend", "none"}},
		"cannot serve kv":              {1, []string{"kv", "-config", "FILE", "-backend", "series"}},
		"cannot serve ts":              {1, []string{"ts", "-config", "FILE", "-backend", "local"}},
		"cannot serve queue":           {1, []string{"queue", "-config", "FILE", "-backend", "series"}},
		"cannot serve pubsub":          {1, []string{"pubsub", "-config", "FILE", "-backend", "series"}},
		"batch must be":                {2, []string{"ts", "-config", "FILE", "-batch", "-1"}},
		"-keys must not":               {2, []string{"kv", "-keys", "-1"}},
		"unknown operation":            {2, []string{"kv", "-config", "FILE", "-mix", "walk=1"}},
		"threshold":                    {2, []string{"kv", "-config", "FILE", "-fail", "p99"}},
		"no such file or directory":    {7, []string{"kv", "-config", "FILE.none"}},
		"Exit codes: 0 done":           {0, []string{"kv", "-h"}},
		"prismd bench loads a backend": {0, []string{"-h"}},
	} {
		if code, _, errOut := run(t, t.TempDir(), c.args...); code != c.code || !strings.Contains(errOut, text) {
			t.Errorf("%q: exit %d, want %d and %q\n%s", c.args, code, c.code, text, errOut)
		}
	}
}
