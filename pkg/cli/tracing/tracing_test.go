package tracing

import (
	"testing"
	"time"
)

func TestACollectorThatIsNotThereHoldsNobodyUp(t *testing.T) {
	t.Parallel()
	for _, endpoint := range []string{"127.0.0.1:1", "http://127.0.0.1:1"} {
		provider, send := Start(t.Context(), endpoint, "0.0.0")
		_, span := provider.Tracer("test").Start(t.Context(), "prismctl kv get")
		if !span.SpanContext().IsSampled() {
			t.Errorf("%s: the span would not be sent", endpoint)
		}
		span.End()
		began := time.Now()
		send()
		if took := time.Since(began); took > 5*flush {
			t.Errorf("%s: it took %s", endpoint, took)
		}
	}
}

func TestOnlyLoopbackGoesWithoutTLS(t *testing.T) {
	t.Parallel()
	for host, want := range map[string]bool{"localhost": true, "127.0.0.1": true, "::1": true, "10.0.0.7": false, "collector.example": false} {
		if got := loopback(host); got != want {
			t.Errorf("%s: got %v", host, got)
		}
	}
}
