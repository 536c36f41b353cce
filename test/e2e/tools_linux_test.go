package e2e_test

import (
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/prism-data-layer/prism/loadtest/report"
)

func TestLoadTestReportsRateAndPercentiles(t *testing.T) {
	t.Parallel()
	p := newProject(t)
	p.up()
	args := []string{"loadtest", "run", "kv", "--rate", "500", "--duration", "1s", "--warm-up", "100ms", "--keys", "500", "--mix", "get=90,set=10", "--allow-shortfall", "-o", "json"}
	r, err := report.ReadJSON(strings.NewReader(p.ok(args...)))
	if err != nil {
		t.Fatal(err)
	}
	if r.AchievedRPS < 250 || r.Requests.Failed != 0 || r.Response.P50Ms <= 0 || r.Response.P99Ms < r.Response.P50Ms || r.Attempts == nil {
		t.Errorf("achieved %v, %+v, p50 %v, p99 %v", r.AchievedRPS, r.Requests, r.Response.P50Ms, r.Response.P99Ms)
	}
	p.want(99, []string{"threshold"}, append(args, "--fail", "p99<0.001ms")...)
	f := p.start("loadtest", "run", "kv", "--rate", "200", "--duration", "10m", "--keys", "10")
	time.Sleep(500 * time.Millisecond)
	p.kill(f.cmd.Process.Pid, syscall.SIGINT)
	if code := f.ends(); code != 130 || !strings.Contains(f.String(), "ABORTED") {
		t.Errorf("exit %d\n%s", code, f)
	}
	if left := p.ok("kv", "scan", "-o", "name"); left != "" {
		t.Errorf("keys are left:\n%s", left)
	}
}

// grpcurl is built from the module of tools, once.
var grpcurl = sync.OnceValues(func() (string, error) {
	if dir := os.Getenv("TOOLS"); dir != "" {
		if path := filepath.Join(dir, "grpcurl"); exec.Command(path, "-version").Run() == nil {
			return path, nil
		}
	}
	path := filepath.Join(os.Getenv(toolsDir), "grpcurl")
	c := exec.Command("go", "build", "-C", filepath.Join("..", "..", "tools"), "-o", path, "github.com/fullstorydev/grpcurl/cmd/grpcurl")
	out, err := c.CombinedOutput()
	if err != nil {
		os.Stderr.Write(out)
	}
	return path, err
})

func TestGrpcurlSetsAndGets(t *testing.T) {
	t.Parallel()
	path, err := grpcurl()
	if err != nil {
		need(t, "grpcurl cannot be built: "+err.Error())
	}
	p := newProject(t)
	p.up()
	data, _, _ := p.addresses()
	call := func(method, body string) map[string]any {
		t.Helper()
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		defer cancel()
		out, err := exec.CommandContext(ctx, path, "-plaintext", "-d", body, data, "prism.keyvalue.v1.KeyValueService/"+method).CombinedOutput()
		var reply map[string]any
		if err != nil || json.Unmarshal(out, &reply) != nil {
			t.Fatalf("%s: %v\n%s", method, err, out)
		}
		return reply
	}
	call("Set", `{"namespace":"kv","key":"greeting","value":"aGVsbG8="}`)
	if got := call("Get", `{"namespace":"kv","key":"greeting"}`); got["value"] != "aGVsbG8=" {
		t.Errorf("got %v", got)
	}
	if got := p.ok("kv", "get", "greeting"); got != "hello\n" {
		t.Errorf("prismctl reads %q", got)
	}
}

func TestDashboardsPrintAFrame(t *testing.T) {
	t.Parallel()
	p := newProject(t)
	p.up()
	frame := p.ok("ui", "--snapshot", "--size", "100x30")
	if !strings.Contains(frame, "kv") || strings.Contains(frame, "\x1b") || strings.Count(frame, "\n") > 31 {
		t.Errorf("the frame is\n%s", frame)
	}
	p.want(2, []string{"--snapshot"}, "ui")
}
