package client_test

import (
	"errors"
	"io"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/prism-data-layer/prism/pkg/client"
	"github.com/prism-data-layer/prism/pkg/prism"
	"github.com/prism-data-layer/prism/test/harness"
)

// logs is a gateway with a namespace of them.
const logs = `apiVersion: prism/v1
auth: {mode: off}
backends:
  - {name: volatile, driver: memory}
namespaces:
  - {name: log, model: queue, backend: volatile, access: {owners: ["user:dev"]}}
drain: {timeout: 5s}
`

func startLogs(t *testing.T, o harness.Options) (*harness.Gateway, *client.Log) {
	t.Helper()
	o.File = logs
	g := harness.Start(t, o)
	c, err := client.Dial(g.Addr("data"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return g, c.Log("log")
}

func publishLines(t *testing.T, l *client.Log, payloads ...string) {
	t.Helper()
	zero := int32(0)
	for _, p := range payloads {
		if _, err := l.Publish(harness.Context(t), "orders", client.LogMessage{Partition: &zero, Payload: []byte(p)}); err != nil {
			t.Fatal(err)
		}
	}
}

// take reads n records.
func take(t *testing.T, n int, next func() ([]client.LogRecord, error)) (records []client.LogRecord) {
	t.Helper()
	for len(records) < n {
		more, err := next()
		if err != nil {
			t.Fatalf("after %d of %d records: %v", len(records), n, err)
		}
		records = append(records, more...)
	}
	return records
}

func TestALogIsPublishedReadAndAcknowledged(t *testing.T) {
	t.Parallel()
	_, l := startLogs(t, harness.Options{})
	ctx := harness.Context(t)
	publishLines(t, l, "a", "b")
	places, errs, err := l.PublishBatch(ctx, "orders", []client.LogMessage{{Key: "k", Payload: []byte("c"), Attributes: map[string]string{"x": "y"}}, {Payload: make([]byte, prism.MaxValueBytes+1)}})
	if err != nil || errs[0] != nil || places[0].Time.IsZero() || !errors.Is(errs[1], prism.ReasonInvalidArgument) {
		t.Errorf("batch: %v, %v, %v", places, errs, err)
	}
	m, err := l.Subscribe(ctx, "orders", "g", client.LogOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	if len(m.Partitions()) != 8 {
		t.Errorf("it reads %v", m.Partitions())
	}
	got := take(t, 3, m.Next)
	if failed, err := m.Acknowledge(ctx, got...); err != nil || len(failed) > 0 {
		t.Errorf("acknowledge: %v, %v", failed, err)
	}
	if failed, err := l.Acknowledge(ctx, "orders", "g", got[0].ID, "nonsense"); err != nil || len(failed) != 2 {
		t.Errorf("acknowledged again: %v, %v", failed, err)
	}
}

func TestALogReaderGoesOnFromItsPositionAndEndsWhereItWasTold(t *testing.T) {
	t.Parallel()
	_, l := startLogs(t, harness.Options{})
	ctx := harness.Context(t)
	publishLines(t, l, "a", "b", "c")
	r, err := l.Read(ctx, "orders", client.LogReadOptions{})
	if err != nil {
		t.Fatal(err)
	}
	take(t, 3, r.Next)
	position := r.Position()
	r.Close()
	publishLines(t, l, "d")
	two, four := int64(2), int64(4)
	for name, c := range map[string]struct {
		o    client.LogReadOptions
		want string
	}{
		"position": {client.LogReadOptions{Position: position}, "d"},
		"offset":   {client.LogReadOptions{Start: client.LogStart{Offset: &two}}, "c"},
		"time":     {client.LogReadOptions{Start: client.LogStart{Time: time.Now().Add(-time.Hour)}}, "a"},
	} {
		r, err := l.Read(ctx, "orders", c.o)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if got := take(t, 1, r.Next); string(got[0].Payload) != c.want {
			t.Errorf("from a %s: got %q, want %q", name, got[0].Payload, c.want)
		}
		r.Close()
	}
	r, err = l.Read(ctx, "orders", client.LogReadOptions{Start: client.LogStart{Offset: &two}, End: &four})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if got := take(t, 2, r.Next); string(got[1].Payload) != "d" {
		t.Errorf("the range ends with %q", got[1].Payload)
	}
	if _, err := r.Next(); !errors.Is(err, io.EOF) {
		t.Errorf("its end: %v", err)
	}
	if _, err := l.Read(ctx, "none", client.LogReadOptions{}); !errors.Is(err, prism.ReasonNotFound) {
		t.Errorf("a topic that is not there: %v", err)
	}
}

// A cutter is a listener whose connections can be lost.
type cutter struct {
	net.Listener
	mu    sync.Mutex
	conns []net.Conn
}

func (c *cutter) Accept() (net.Conn, error) {
	conn, err := c.Listener.Accept()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.conns = append(c.conns, conn)
	return conn, err
}

func (c *cutter) cut() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, conn := range c.conns {
		if conn != nil {
			_ = conn.Close()
		}
	}
	c.conns = nil
}

// Readers go on by themselves and say so; a group gets again what was not
// acknowledged, a reader of a partition only what it has not seen.
func TestLogsAreReadOnWhenConnectionsAreLost(t *testing.T) {
	t.Parallel()
	data := &cutter{}
	_, l := startLogs(t, harness.Options{Wrap: func(name string, l net.Listener) net.Listener {
		if name == "data" {
			data.Listener = l
			return data
		}
		return l
	}})
	ctx := harness.Context(t)
	publishLines(t, l, "a")
	lost := make(chan *prism.Error, 10)
	m, err := l.Subscribe(ctx, "orders", "g", client.LogOptions{Resumed: func(why *prism.Error) { lost <- why }})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	r, err := l.Read(ctx, "orders", client.LogReadOptions{Resumed: func(_ string, why *prism.Error) { lost <- why }})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	take(t, 1, m.Next)
	take(t, 1, r.Next)
	data.cut()
	publishLines(t, l, "b")
	if got := take(t, 1, r.Next); string(got[0].Payload) != "b" {
		t.Errorf("the reader got %q, want b", got[0].Payload)
	}
	seen := map[string]bool{}
	for !seen["a"] || !seen["b"] {
		for _, record := range take(t, 1, m.Next) {
			seen[string(record.Payload)] = true
		}
	}
	for range 2 {
		if why := <-lost; why == nil {
			t.Error("a loss has no reason")
		}
	}
}
