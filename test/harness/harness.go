// Package harness starts whole gateways for tests: in this process, on ports of
// their own, or as a child built from the source. Nothing in it knows what is
// being tested.
package harness

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/prism-data-layer/prism/pkg/clock"
	"github.com/prism-data-layer/prism/pkg/config"
	"github.com/prism-data-layer/prism/pkg/driver"
	"github.com/prism-data-layer/prism/pkg/driver/all"
	"github.com/prism-data-layer/prism/pkg/server"
)

// A TB is what a harness asks of its test: *testing.T has it, and so have the
// promises of drivertest.
type TB interface {
	Helper()
	Logf(format string, args ...any)
	Errorf(format string, args ...any)
	Fatalf(format string, args ...any)
	Cleanup(func())
	TempDir() string
}

var _ TB = (*testing.T)(nil)

// Small is a configuration with a volatile backend, a durable one of small
// sizes, and a namespace on each.
const Small = `apiVersion: prism/v1
auth: {mode: off}
backends:
  - {name: volatile, driver: memory}
  - {name: local, driver: pebble, options: {memtable: 1MiB, cache: 1MiB}}
namespaces:
  - {name: mem, model: keyvalue, backend: volatile, access: {owners: ["user:dev"]}}
  - {name: disk, model: keyvalue, backend: local, access: {owners: ["user:dev"]}}
drain: {timeout: 5s}
`

// Volatile is Small without a disk.
const Volatile = `apiVersion: prism/v1
auth: {mode: off}
backends:
  - {name: volatile, driver: memory}
namespaces:
  - {name: mem, model: keyvalue, backend: volatile, access: {owners: ["user:dev"]}}
drain: {timeout: 5s}
`

// Models is Volatile with a namespace for each model: mem is key-value, and the
// others are called as their model.
const Models = `apiVersion: prism/v1
auth: {mode: off}
backends:
  - {name: volatile, driver: memory}
namespaces:
  - {name: mem, model: keyvalue, backend: volatile, access: {owners: ["user:dev"]}}
  - {name: cache, model: cache, backend: volatile, access: {owners: ["user:dev"]}}
  - {name: queue, model: queue, backend: volatile, access: {owners: ["user:dev"]}}
  - {name: pubsub, model: pubsub, backend: volatile, access: {owners: ["user:dev"]}}
  - {name: timeseries, model: timeseries, backend: volatile, access: {owners: ["user:dev"]}}
drain: {timeout: 5s}
`

// Options shape a gateway; the zero value is Volatile.
type Options struct {
	File    string // text of prism.yaml; empty: Volatile
	Watch   bool   // follow changes of the file
	Dir     string // of file and data; empty: a temporary one
	Clock   clock.Clock
	Drivers driver.Registry // nil: those of this build
	Log     io.Writer       // nil: nowhere
	Level   slog.Level
	// Wrap stands between the sockets and the gateway, by the port's name.
	Wrap func(name string, l net.Listener) net.Listener
}

// Ports are the names of a gateway's ports.
func Ports() []string { return []string{"data", "admin", "metrics"} }

// A Gateway is a running server.Server. Its sockets belong to the harness, so a
// restart keeps them and connections wait meanwhile.
type Gateway struct {
	Server *server.Server
	Dir    string // holds prism.yaml and data
	Path   string // of the file

	o       Options
	sockets map[string]*net.TCPListener

	mu    sync.Mutex
	stop  context.CancelFunc
	force chan struct{}
	ended chan error
	conns []*grpc.ClientConn
}

// Start runs a gateway until the test ends.
func Start(t TB, o Options) *Gateway {
	t.Helper()
	g, err := TryStart(t, o)
	if err != nil {
		t.Fatalf("start the gateway: %v", err)
	}
	return g
}

// TryStart is Start for a gateway that may refuse to.
func TryStart(t TB, o Options) (*Gateway, error) {
	t.Helper()
	g := &Gateway{o: o, Dir: o.Dir, sockets: map[string]*net.TCPListener{}}
	if g.Dir == "" {
		g.Dir = t.TempDir()
	}
	if g.o.File == "" {
		g.o.File = Volatile
	}
	if g.o.Drivers == nil {
		g.o.Drivers = all.Drivers()
	}
	g.Path = filepath.Join(g.Dir, "prism.yaml")
	g.Write(t, g.o.File)
	for _, name := range Ports() {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatalf("listen: %v", err)
		}
		g.sockets[name] = l.(*net.TCPListener)
	}
	t.Cleanup(func() { g.close(t) })
	if err := g.run(); err != nil {
		return nil, err
	}
	return g, nil
}

// Write replaces the text of the file.
func (g *Gateway) Write(t TB, text string) {
	t.Helper()
	if err := os.WriteFile(g.Path, []byte(text), 0o600); err != nil {
		t.Fatalf("write the file: %v", err)
	}
}

// Addr is the address of a port, whoever serves it.
func (g *Gateway) Addr(name string) string { return g.sockets[name].Addr().String() }

func (g *Gateway) run() error {
	c, err := config.LoadGateway(g.Path, config.Load{Drivers: g.o.Drivers.Names(), Dir: g.Dir})
	if err != nil {
		return err
	}
	w := g.o.Log
	if w == nil {
		w = io.Discard
	}
	so := server.Options{
		Config: c, Dir: g.Dir, Drivers: g.o.Drivers, Clock: g.o.Clock, Version: "test", Commit: "none",
		Log:       slog.New(slog.NewJSONHandler(w, &slog.HandlerOptions{Level: g.o.Level})),
		Listeners: map[string]net.Listener{},
	}
	if g.o.Watch {
		so.File = g.Path
	}
	for name, l := range g.sockets {
		dup, err := duplicate(l)
		if err != nil {
			return err
		}
		if g.o.Wrap != nil {
			dup = g.o.Wrap(name, dup)
		}
		so.Listeners[name] = dup
	}
	s, err := server.New(context.Background(), so)
	if err != nil {
		for _, l := range so.Listeners {
			_ = l.Close()
		}
		return err
	}
	ctx, stop := context.WithCancel(context.Background())
	g.mu.Lock()
	g.Server, g.stop, g.force, g.ended = s, stop, make(chan struct{}), make(chan error, 1)
	force, ended := g.force, g.ended
	g.mu.Unlock()
	go func() { ended <- s.Run(ctx, force) }()
	for s.State() == server.Starting {
		time.Sleep(time.Millisecond)
	}
	return nil
}

// duplicate gives a listener on the same socket, which lives on when it is
// closed: what `dev up` does across processes.
func duplicate(l *net.TCPListener) (net.Listener, error) {
	f, err := l.File()
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	return net.FileListener(f)
}

// Stop drains and returns what Run returned. A second call does nothing.
func (g *Gateway) Stop() error { return g.end(false) }

// Kill stops without waiting for calls.
func (g *Gateway) Kill() error { return g.end(true) }

func (g *Gateway) end(force bool) error {
	g.mu.Lock()
	stop, ended := g.stop, g.ended
	g.stop = nil
	if stop != nil && force {
		close(g.force)
	}
	g.mu.Unlock()
	if stop == nil {
		return nil
	}
	stop()
	// A clock that stands still would keep a drain from its end.
	fake, _ := g.o.Clock.(*clock.Fake)
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); {
		select {
		case err := <-ended:
			return err
		case <-time.After(10 * time.Millisecond):
			if fake != nil {
				fake.Advance(10 * time.Millisecond)
			}
		}
	}
	return fmt.Errorf("the gateway did not stop within a minute")
}

// Draining starts to stop and does not wait for it.
func (g *Gateway) Draining() (ended <-chan error) {
	out := make(chan error, 1)
	go func() { out <- g.Stop() }()
	for g.Server.State() == server.Running {
		time.Sleep(time.Millisecond)
	}
	return out
}

// Restart stops and starts on the same folder and sockets.
func (g *Gateway) Restart(t TB) {
	t.Helper()
	if err := g.Stop(); err != nil {
		t.Fatalf("stop: %v", err)
	}
	g.Run(t)
}

// Run starts a gateway that was stopped.
func (g *Gateway) Run(t TB) {
	t.Helper()
	if err := g.run(); err != nil {
		t.Fatalf("start again: %v", err)
	}
}

// Hang closes the sockets: nothing listens any more once the gateway stops.
func (g *Gateway) Hang() {
	for _, l := range g.sockets {
		_ = l.Close()
	}
}

func (g *Gateway) close(t TB) {
	g.mu.Lock()
	conns := g.conns
	g.mu.Unlock()
	for _, c := range conns {
		_ = c.Close()
	}
	if err := g.Kill(); err != nil && !errors.Is(err, server.ErrForced) {
		t.Logf("stop the gateway: %v", err)
	}
	g.Hang()
}

// Dial connects to a port as any gRPC client would: grpc-go's own settings and
// codec.
func (g *Gateway) Dial(t TB, name string, opts ...grpc.DialOption) *grpc.ClientConn {
	t.Helper()
	opts = append([]grpc.DialOption{grpc.WithTransportCredentials(insecure.NewCredentials())}, opts...)
	conn, err := grpc.NewClient(g.Addr(name), opts...)
	if err != nil {
		t.Fatalf("dial: %v", err)
	}
	g.mu.Lock()
	g.conns = append(g.conns, conn)
	g.mu.Unlock()
	return conn
}

// Context bounds a test's calls.
func Context(t TB) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	t.Cleanup(cancel)
	return ctx
}

// Eventually waits until f is true.
func Eventually(t TB, within time.Duration, what string, f func() bool) {
	t.Helper()
	for deadline := time.Now().Add(within); !f(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%s: not within %v", what, within)
		}
	}
}
