package gateway_test

import (
	"context"
	"errors"
	"io"
	"slices"
	"testing"
	"time"

	"google.golang.org/grpc/codes"

	"github.com/prism-data-layer/prism/pkg/prism"
	kvv1 "github.com/prism-data-layer/prism/proto/prism/keyvalue/v1"
	"github.com/prism-data-layer/prism/test/harness"
)

const ns = "mem"

// start runs a gateway in memory and returns a bare stub.
func start(t *testing.T, o harness.Options) (*harness.Gateway, kvv1.KeyValueServiceClient, context.Context) {
	t.Helper()
	g := harness.Start(t, o)
	return g, g.KeyValue(t), harness.Context(t)
}

// secured is a gateway that asks for credentials.
const secured = `apiVersion: prism/v1
auth: {mode: required}
backends:
  - {name: volatile, driver: memory}
namespaces:
  - name: mem
    model: keyvalue
    backend: volatile
    access:
      owners: ["user:owner"]
      consumers: [{service: "reader.*", permissions: [read]}, {service: writer, permissions: [write]}]
  - {name: other, model: keyvalue, backend: volatile, access: {owners: ["user:other"]}}
drain: {timeout: 5s}
`

// want checks the identity of an error.
func want(t *testing.T, what string, err error, code codes.Code, reason prism.Reason, fields ...string) harness.Outcome {
	t.Helper()
	o := harness.Read(err)
	if o.Code() != code || o.Info.GetReason() != string(reason) {
		t.Errorf("%s: got %s %s (%s), want %s %s", what, o.Code(), o.Info.GetReason(), o.Message(), code, reason)
	}
	if got := o.Fields(); len(fields) > 0 && !slices.Equal(got, fields) {
		t.Errorf("%s: names the fields %q, want %q", what, got, fields)
	}
	return o
}

func must[T any](t *testing.T) func(v T, err error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatalf("unexpected error: %v (%s)", err, harness.Reason(err))
		}
		return v
	}
}

func set(t *testing.T, kv kvv1.KeyValueServiceClient, key, value string) uint64 {
	t.Helper()
	r, err := kv.Set(t.Context(), &kvv1.SetRequest{Namespace: ns, Key: key, Value: []byte(value)})
	if err != nil {
		t.Fatalf("set %q: %v", key, err)
	}
	return r.Version
}

// ends waits for the end of a stream.
func ends[M any](t *testing.T, within time.Duration, recv func() (M, error)) error {
	t.Helper()
	end := make(chan error, 1)
	go func() {
		for {
			if _, err := recv(); err != nil {
				end <- err
				return
			}
		}
	}()
	select {
	case err := <-end:
		if errors.Is(err, io.EOF) {
			return nil
		}
		return err
	case <-time.After(within):
		t.Fatalf("the stream did not end within %v", within)
		return nil
	}
}
