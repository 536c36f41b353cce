package remote_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/goccy/go-yaml"

	"github.com/prism-data-layer/prism/pkg/clock"
	"github.com/prism-data-layer/prism/pkg/driver"
	"github.com/prism-data-layer/prism/pkg/driver/drivertest"
	"github.com/prism-data-layer/prism/pkg/driver/memory"
	"github.com/prism-data-layer/prism/test/remote"
)

// childVariable makes this program the process behind the socket.
const childVariable = "PRISM_TEST_REMOTE_CHILD"

func TestMain(m *testing.M) {
	if os.Getenv(childVariable) != "" {
		if err := serve(os.Stdin, os.Stdout); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// A command is what the child is told over its standard input: to open a store
// behind a socket, or to move its clock. Each is answered with an error's text.
type command struct {
	Socket  string
	Advance time.Duration // 0: open
	Options drivertest.Options
}

var began = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

// serve is the child. It ends with its standard input, and so with its parent.
func serve(in io.Reader, out io.Writer) error {
	clocks := map[string]*clock.Fake{}
	orders, answers := json.NewDecoder(in), json.NewEncoder(out)
	for {
		var c command
		if err := orders.Decode(&c); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
		var answer string
		if c.Advance != 0 {
			clocks[c.Socket].Advance(c.Advance)
		} else {
			clocks[c.Socket] = clock.NewFake(began)
			if err := open(c, clocks[c.Socket]); err != nil {
				answer = err.Error()
			}
		}
		if err := answers.Encode(answer); err != nil {
			return err
		}
	}
}

func open(c command, now clock.Clock) error {
	set, err := memory.Spec().Open(context.Background(), driver.Config{
		Name: "memory", Clock: now, Log: slog.New(slog.DiscardHandler),
		Options: func(into any) error {
			for name, n := range map[string]int{"receipts": c.Options.Receipts, "history": c.Options.History} {
				if n > 0 {
					if err := yaml.Unmarshal(fmt.Appendf(nil, "%s: %d", name, n), into); err != nil {
						return err
					}
				}
			}
			return nil
		},
	})
	if err != nil {
		return err
	}
	l, err := net.Listen("unix", c.Socket)
	if err != nil {
		return err
	}
	go func() { _ = remote.Serve(l, set) }()
	return nil
}

// child is the process behind the sockets, as its parent holds it.
type child struct {
	*exec.Cmd
	dir string

	mu      sync.Mutex
	sockets int
	orders  *json.Encoder
	answers *json.Decoder
}

func startChild(t *testing.T) *child {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	// Not t.TempDir, whose names are too long for a socket's address.
	dir, err := os.MkdirTemp("", "prism")
	if err != nil {
		t.Fatal(err)
	}
	c := &child{Cmd: exec.Command(self), dir: dir}
	c.Env = append(os.Environ(), childVariable+"=1")
	c.Stderr = os.Stderr
	in, err := c.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := c.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	c.orders, c.answers = json.NewEncoder(in), json.NewDecoder(out)
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = in.Close()
		_ = c.Wait() // some tests kill it
		_ = os.RemoveAll(dir)
	})
	return c
}

// tell gives an order and waits until it is done.
func (c *child) tell(o command) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	var answer string
	if err := c.orders.Encode(o); err != nil {
		return err
	}
	if err := c.answers.Decode(&answer); err != nil {
		return err
	}
	if answer != "" {
		return errors.New(answer)
	}
	return nil
}

func (c *child) socket() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.sockets++
	return filepath.Join(c.dir, fmt.Sprint(c.sockets))
}

// childClock moves the time of one store in the child; its own is a copy.
type childClock struct {
	*clock.Fake
	t      drivertest.TB
	child  *child
	socket string
}

func (c *childClock) Advance(d time.Duration) {
	c.Fake.Advance(d)
	if err := c.child.tell(command{Socket: c.socket, Advance: d}); err != nil {
		c.t.Errorf("advance the child's clock: %v", err)
	}
}

func (c *child) harness() drivertest.Harness {
	return drivertest.Harness{Name: "memory in another process", Bounds: true, Open: func(t drivertest.TB, o drivertest.Options) drivertest.Opened {
		t.Helper()
		socket := c.socket()
		if err := c.tell(command{Socket: socket, Options: o}); err != nil {
			t.Fatalf("open: %v", err)
		}
		set, err := remote.Dial(socket)
		if err != nil {
			t.Fatalf("dial: %v", err)
		}
		t.Cleanup(func() {
			if err := set.Store.Close(); err != nil {
				t.Errorf("close: %v", err)
			}
		})
		return drivertest.Opened{Set: set, Clock: &childClock{clock.NewFake(began), t, c, socket}}
	}}
}

func TestADriverInAnotherProcessKeepsEveryPromise(t *testing.T) {
	drivertest.Run(t, startChild(t).harness())
}
