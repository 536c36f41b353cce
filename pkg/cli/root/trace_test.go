package root_test

import (
	"testing"
	"time"

	"github.com/prism-data-layer/prism/pkg/cli/clitest"
	"github.com/prism-data-layer/prism/pkg/telemetry/telemetrytest"
)

func TestACommandSendsItsTrace(t *testing.T) {
	t.Parallel()
	sink := telemetrytest.Start(t)
	r := clitest.New(t)
	r.Gateway.Put("kv", "greeting", "hello")
	r.Env["OTEL_EXPORTER_OTLP_ENDPOINT"] = sink.Endpoint
	r.OK("kv", "get", "greeting")
	root := sink.Span(t, "", "prismctl kv get")
	call := sink.Span(t, "", "prism.keyvalue.v1.KeyValueService/Get")
	if string(call.ParentSpanId) != string(root.SpanId) || string(call.TraceId) != string(root.TraceId) || root.Resource["service.name"] != "prismctl" {
		t.Errorf("got %v and %v", root, call)
	}
}

// Nobody waits long for a collector, and it is not the command's failure.
func TestACollectorThatHangsIsNotACommandsTrouble(t *testing.T) {
	t.Parallel()
	r := clitest.New(t)
	r.Gateway.Put("kv", "greeting", "hello")
	for _, endpoint := range []string{telemetrytest.Hang(t).Endpoint, "http://127.0.0.1:1", "nonsense"} {
		r.Env["OTEL_EXPORTER_OTLP_ENDPOINT"] = endpoint
		start := time.Now()
		if x := r.Run("kv", "get", "greeting"); x.Code != 0 || x.ErrOut != "" {
			t.Errorf("%s: exit %d, stderr %q", endpoint, x.Code, x.ErrOut)
		}
		if took := time.Since(start); took > 5*time.Second {
			t.Errorf("%s: it took %s", endpoint, took)
		}
	}
}
