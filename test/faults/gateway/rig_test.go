// Package faults_test breaks a whole gateway: a real process that is killed,
// stopped and started again under clients, on sockets that the test holds as
// `dev up` does.
package faults_test

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/prism-data-layer/prism/pkg/driver"
	"github.com/prism-data-layer/prism/pkg/driver/all"
	"github.com/prism-data-layer/prism/pkg/prism"
	"github.com/prism-data-layer/prism/pkg/server"
	"github.com/prism-data-layer/prism/pkg/supervise/handover"
	"github.com/prism-data-layer/prism/test/harness"
)

// Variables that make this program prismd, its store one with a mistake, or
// itself a client of the gateway that it names.
const (
	asPrismd = "PRISM_TEST_AS_PRISMD"
	asStuck  = "PRISM_TEST_STUCK"
	asSlow   = "PRISM_TEST_SLOW_START"
	asStale  = "PRISM_TEST_STALE_READS"

	asConsumer      = "PRISM_TEST_AS_CONSUMER"
	asClient        = "PRISM_TEST_AS_CLIENT" // with as many streams as
	asClientStreams = "PRISM_TEST_STREAMS"
)

func TestMain(m *testing.M) {
	if addr := os.Getenv(asConsumer); addr != "" {
		os.Exit(consume(addr))
	}
	if addr := os.Getenv(asClient); addr != "" {
		n, _ := strconv.Atoi(os.Getenv(asClientStreams))
		fmt.Println("error", vanish(addr, n))
		os.Exit(1)
	}
	if os.Getenv(asPrismd) == "" {
		os.Exit(m.Run())
	}
	// As the supervisor's shim does: only the process itself knows its id.
	_ = os.Setenv(handover.EnvPID, strconv.Itoa(os.Getpid()))
	os.Exit(server.Main(os.Args[1:], os.Stdout, os.Stderr, server.Build{Version: "test", Drivers: drivers()}))
}

func drivers() driver.Registry {
	r := all.Drivers()
	if os.Getenv(asStuck) != "" {
		stuck := harness.Faulty(func(_ context.Context, key string) error {
			if key == "stuck" {
				select {} // hears nothing, not even its context
			}
			return nil
		})
		r[0] = stuck[0]
	}
	if os.Getenv(asSlow) != "" {
		open := r[0].Open
		r[0].Open = func(ctx context.Context, c driver.Config) (driver.Set, error) {
			select {
			case <-time.After(20 * time.Second):
			case <-ctx.Done():
				return driver.Set{}, ctx.Err()
			}
			return open(ctx, c)
		}
	}
	if os.Getenv(asStale) != "" {
		for i := range r {
			r[i] = stale(r[i])
		}
	}
	return r
}

// stale is a driver with a mistake: some reads are answered out of earlier ones.
func stale(spec driver.Spec) driver.Spec {
	open := spec.Open
	spec.Open = func(ctx context.Context, c driver.Config) (driver.Set, error) {
		set, err := open(ctx, c)
		if set.KeyValue != nil {
			set.KeyValue = &staleReads{KeyValue: set.KeyValue}
		}
		return set, err
	}
	return spec
}

type staleReads struct {
	driver.KeyValue
	asked atomic.Int64
	seen  sync.Map // of driver.Entry, by prism.Key
}

func (s *staleReads) Get(ctx context.Context, key prism.Key) (driver.Entry, bool, error) {
	if e, ok := s.seen.Load(key); ok && s.asked.Add(1)%3 == 0 {
		return e.(driver.Entry), true, nil
	}
	e, found, err := s.KeyValue.Get(ctx, key)
	if found {
		s.seen.Store(key, e)
	}
	return e, found, err
}

// A prismd is a child on sockets that outlive it.
type prismd struct {
	t       *testing.T
	dir     string
	env     []string
	sockets map[string]*net.TCPListener

	mu   sync.Mutex
	cmd  *exec.Cmd
	log  *bytes.Buffer
	done chan struct{}
}

func newPrismd(t *testing.T, file string, env ...string) *prismd {
	t.Helper()
	p := &prismd{t: t, dir: t.TempDir(), env: env, sockets: map[string]*net.TCPListener{}}
	if err := os.WriteFile(filepath.Join(p.dir, "prism.yaml"), []byte(file), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, name := range harness.Ports() {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		p.sockets[name] = l.(*net.TCPListener)
	}
	t.Cleanup(func() {
		p.kill()
		for _, l := range p.sockets {
			_ = l.Close()
		}
	})
	return p
}

func (p *prismd) addr(name string) string { return p.sockets[name].Addr().String() }

// start runs a child with the sockets handed over. It does not wait.
func (p *prismd) start() {
	p.t.Helper()
	cmd := exec.Command(os.Args[0], "--config", filepath.Join(p.dir, "prism.yaml"))
	cmd.Env = append(append(os.Environ(), asPrismd+"=1"), p.env...)
	cmd.Env = append(cmd.Env, handover.Env(harness.Ports())...)
	for _, name := range harness.Ports() {
		f, err := p.sockets[name].File()
		if err != nil {
			p.t.Fatal(err)
		}
		defer func() { _ = f.Close() }()
		cmd.ExtraFiles = append(cmd.ExtraFiles, f)
	}
	log := &bytes.Buffer{}
	cmd.Stderr = log
	if err := cmd.Start(); err != nil {
		p.t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		_ = cmd.Wait()
		close(done)
	}()
	p.mu.Lock()
	p.cmd, p.log, p.done = cmd, log, done
	p.mu.Unlock()
}

// ready waits until the child answers.
func (p *prismd) ready() {
	p.t.Helper()
	harness.Eventually(p.t, 20*time.Second, "prismd is ready", func() bool {
		c := http.Client{Timeout: 200 * time.Millisecond}
		res, err := c.Get("http://" + p.addr("metrics") + "/readyz")
		if err != nil {
			return false
		}
		_ = res.Body.Close()
		return res.StatusCode == http.StatusOK
	})
}

func (p *prismd) signal(s syscall.Signal) { _ = p.cmd.Process.Signal(s) }

// wait returns the exit code.
func (p *prismd) wait(within time.Duration) int {
	p.t.Helper()
	select {
	case <-p.done:
		return p.cmd.ProcessState.ExitCode()
	case <-time.After(within):
		p.t.Fatalf("prismd did not stop within %v:\n%s", within, p.log)
		return -1
	}
}

func (p *prismd) kill() {
	p.mu.Lock()
	cmd, done := p.cmd, p.done
	p.mu.Unlock()
	if cmd != nil {
		_ = cmd.Process.Kill()
		<-done
	}
}

func (p *prismd) dial() *grpc.ClientConn {
	p.t.Helper()
	conn, err := grpc.NewClient(p.addr("data"), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		p.t.Fatal(err)
	}
	p.t.Cleanup(func() { _ = conn.Close() })
	return conn
}

// seedOf is the seed of this run: given, or new and printed with a failure.
func seedOf(t *testing.T) uint64 {
	t.Helper()
	seed := rand.Uint64() >> 12
	if text := os.Getenv("PRISM_FAULTS_SEED"); text != "" {
		n, err := strconv.ParseUint(text, 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		seed = n
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("PRISM_FAULTS_SEED=%d", seed)
		}
	})
	return seed
}

func key(writer, n int) string { return fmt.Sprintf("w%02d-%08d", writer, n) }
