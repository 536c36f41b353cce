package main

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/ptrace"
	"go.opentelemetry.io/collector/pdata/ptrace/ptraceotlp"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
)

// asProgram makes the test binary be the program: the tests start and end what
// they test.
const asProgram = "PRISM_OTELCOL_AS_PROGRAM"

func TestMain(m *testing.M) {
	if os.Getenv(asProgram) != "" {
		main()
		return
	}
	os.Exit(m.Run())
}

// A collector runs with testdata/config.yaml.
type collector struct {
	t                        *testing.T
	grpc, http, health, data string
	cmd                      *exec.Cmd
	log                      lockedBuffer
}

func program(t *testing.T, env []string, args ...string) *exec.Cmd {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(self, args...) // a test's end is SIGTERM, not its context's
	cmd.Env = append(env, asProgram+"=1")
	return cmd
}

// newCollector is one that does not run yet.
func newCollector(t *testing.T) *collector {
	t.Helper()
	c := &collector{t: t, data: t.TempDir()}
	for _, addr := range []*string{&c.grpc, &c.http, &c.health} {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = l.Close() }()
		*addr = l.Addr().String()
	}
	c.cmd = program(t, []string{"GRPC=" + c.grpc, "HTTP=" + c.http, "HEALTH=" + c.health, "DATA=" + c.data}, "--config", "testdata/config.yaml")
	c.cmd.Stdout, c.cmd.Stderr = &c.log, &c.log
	return c
}

func (c *collector) up() {
	c.t.Helper()
	if err := c.cmd.Start(); err != nil {
		c.t.Fatal(err)
	}
	c.t.Cleanup(c.down)
	c.await("its health", func() bool {
		res, err := http.Get("http://" + c.health)
		if err != nil {
			return false
		}
		_ = res.Body.Close()
		return res.StatusCode == http.StatusOK
	})
}

func (c *collector) down() {
	if c.cmd.ProcessState != nil {
		return
	}
	_ = c.cmd.Process.Signal(syscall.SIGTERM)
	if err := c.cmd.Wait(); err != nil {
		c.t.Errorf("after SIGTERM: %v\n%s", err, c.log.String())
	}
}

func (c *collector) await(what string, ok func() bool) {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(c.t.Context(), 30*time.Second)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-ctx.Done():
			c.t.Fatalf("waited 30 s for %s:\n%s", what, c.log.String())
		case <-tick.C:
		}
	}
}

// read is what the collector has written of a signal.
func (c *collector) read(signal string) string {
	b, _ := os.ReadFile(filepath.Join(c.data, signal+".jsonl"))
	return string(b)
}

func (c *collector) post(path, body string) (int, string) {
	c.t.Helper()
	res, err := http.Post("http://"+c.http+path, "application/json", strings.NewReader(body))
	if err != nil {
		c.t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	b, _ := io.ReadAll(res.Body)
	return res.StatusCode, string(b)
}

// span is a span in OTLP's JSON; its ids are in hexadecimal.
func span(trace string) string {
	return `{"resourceSpans":[{"resource":{"attributes":[{"key":"service.name","value":{"stringValue":"t"}}]},"scopeSpans":[{"spans":[{"traceId":"` +
		trace + `","spanId":"00f067aa0ba902b7","name":"over http","kind":2,"startTimeUnixNano":"1","endTimeUnixNano":"2"}]}]}]}`
}

func TestASpanIsFoundInTheFileAndSaysWhereItIsFrom(t *testing.T) {
	t.Parallel()
	c := newCollector(t)
	c.up()
	const overHTTP, overGRPC = "4bf92f3577b34da6a3ce929d0e0e4736", "4bf92f3577b34da6a3ce929d0e0e4737"
	if code, body := c.post("/v1/traces", span(overHTTP)); code != http.StatusOK {
		t.Fatalf("over HTTP: %d %s", code, body)
	}
	conn, err := grpc.NewClient(c.grpc, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	traces := ptrace.NewTraces()
	s := traces.ResourceSpans().AppendEmpty().ScopeSpans().AppendEmpty().Spans().AppendEmpty()
	s.SetName("over grpc")
	s.SetTraceID(pcommon.TraceID{0x4b, 0xf9, 0x2f, 0x35, 0x77, 0xb3, 0x4d, 0xa6, 0xa3, 0xce, 0x92, 0x9d, 0x0e, 0x0e, 0x47, 0x37})
	s.SetSpanID(pcommon.SpanID{1})
	if _, err := ptraceotlp.NewGRPCClient(conn).Export(t.Context(), ptraceotlp.NewExportRequestFromTraces(traces)); err != nil {
		t.Fatalf("over gRPC: %v", err)
	}
	for _, id := range []string{overHTTP, overGRPC} {
		c.await("trace "+id, func() bool { return strings.Contains(c.read("traces"), id) })
	}
	for line := range strings.Lines(c.read("traces")) {
		var v any
		if err := json.Unmarshal([]byte(line), &v); err != nil {
			t.Errorf("a line is not JSON: %v: %s", err, line)
		}
		for _, want := range []string{"deployment.environment", `"local"`, "service.namespace", `"prism"`} {
			if !strings.Contains(line, want) {
				t.Errorf("no %s in %s", want, line)
			}
		}
	}
	c.await("debug's line", func() bool { return strings.Contains(c.log.String(), "Traces") })
}

func TestMetricsAndLogsAreWrittenToo(t *testing.T) {
	t.Parallel()
	c := newCollector(t)
	c.up()
	for path, body := range map[string]string{
		"/v1/metrics": `{"resourceMetrics":[{"scopeMetrics":[{"metrics":[{"name":"prism_requests_total","sum":{"aggregationTemporality":2,"isMonotonic":true,"dataPoints":[{"asInt":"7","timeUnixNano":"1"}]}}]}]}]}`,
		"/v1/logs":    `{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"timeUnixNano":"1","severityText":"INFO","body":{"stringValue":"hello"}}]}]}]}`,
	} {
		if code, answer := c.post(path, body); code != http.StatusOK {
			t.Fatalf("%s: %d %s", path, code, answer)
		}
	}
	c.await("the metric", func() bool { return strings.Contains(c.read("metrics"), "prism_requests_total") })
	c.await("the log record", func() bool { return strings.Contains(c.read("logs"), "hello") })
}

func TestSIGTERMWritesWhatWaits(t *testing.T) {
	t.Parallel()
	c := newCollector(t)
	c.up()
	const id = "4bf92f3577b34da6a3ce929d0e0e4738"
	if code, body := c.post("/v1/traces", span(id)); code != http.StatusOK {
		t.Fatalf("%d %s", code, body)
	}
	c.down()
	if !strings.Contains(c.read("traces"), id) {
		t.Errorf("the span is lost:\n%s", c.log.String())
	}
}

func TestBadInputIsRefusedAndHurtsNobody(t *testing.T) {
	t.Parallel()
	c := newCollector(t)
	c.up()
	if code, body := c.post("/v1/traces", `{"resourceSpans":[{`); code != http.StatusBadRequest {
		t.Errorf("half a message: %d %s, want 400", code, body)
	}
	if code, body := c.post("/v1/traces", span("4bf92f3577b34da6a3ce929d0e0e4739")); code != http.StatusOK {
		t.Errorf("a whole one after it: %d %s", code, body)
	}
}

func TestAMistakeInTheConfigurationIsNamed(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"receivers: {kafka: {}}":           "kafka",
		"receivers: {otlp: {protocol: 1}}": "protocol",
	} {
		file := filepath.Join(t.TempDir(), "config.yaml")
		if err := os.WriteFile(file, []byte(text+"\nexporters: {debug: {}}\nservice: {pipelines: {traces: {receivers: [otlp], exporters: [debug]}}}\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		out, err := program(t, nil, "--config", file).CombinedOutput()
		if err == nil || !strings.Contains(string(out), want) || strings.Contains(string(out), "Usage:") {
			t.Errorf("%s: %v, want a failure that names %s and no usage:\n%s", text, err, want, out)
		}
	}
}

func TestTheVersionIsThatOfTheModules(t *testing.T) {
	t.Parallel()
	out, err := program(t, nil, "--version").CombinedOutput()
	if err != nil || !strings.Contains(string(out), version) {
		t.Errorf("--version: %v: %s", err, out)
	}
	mod, err := os.ReadFile("go.mod")
	if err != nil {
		t.Fatal(err)
	}
	if !regexp.MustCompile(`go\.opentelemetry\.io/collector/otelcol v` + regexp.QuoteMeta(version) + `\n`).Match(mod) {
		t.Errorf("go.mod does not have go.opentelemetry.io/collector/otelcol v%s", version)
	}
}

// lockedBuffer is written by one goroutine and read by another.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}
