//go:build unix

package ui

import (
	"context"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/charmbracelet/x/vt"
	"github.com/creack/pty"

	"github.com/prism-data-layer/prism/pkg/cli"
	"github.com/prism-data-layer/prism/pkg/iostreams"
)

// A terminal is a pseudo-terminal with a screen behind it.
type terminal struct {
	t      *testing.T
	mu     sync.Mutex // of the screen: its text is not read while it is written
	screen *vt.Emulator
	master *os.File
	raw    []byte
	bytes  atomic.Int64
	done   chan error
}

// onTerminal runs the command on a terminal, without a shell between.
func onTerminal(t *testing.T, address string, w, h int, args ...string) *terminal {
	t.Helper()
	f, _, errOut := rig(t, address, map[string]string{"TERM": "xterm-256color"})
	return onTerminalOf(t, f, errOut, w, h, args...)
}

// onTerminalOf is onTerminal with a factory.
func onTerminalOf(t *testing.T, f *cli.Factory, errOut *iostreams.Buffer, w, h int, args ...string) *terminal {
	t.Helper()
	master, slave, err := pty.Open()
	if err != nil {
		t.Fatal("a pseudo-terminal is needed: ", err)
	}
	if err := pty.Setsize(slave, &pty.Winsize{Cols: uint16(w), Rows: uint16(h)}); err != nil {
		t.Fatal(err)
	}
	x := &terminal{t: t, screen: vt.NewEmulator(w, h), master: master, done: make(chan error, 1)}
	pumped := make(chan struct{})
	answered := make(chan struct{})
	go func() {
		defer close(pumped)
		buf := make([]byte, 32<<10)
		for {
			n, err := master.Read(buf)
			x.bytes.Add(int64(n))
			x.mu.Lock()
			_, _ = x.screen.Write(buf[:n])
			x.raw = append(x.raw, buf[:n]...)
			x.mu.Unlock()
			if err != nil {
				return
			}
		}
	}()
	go func() { defer close(answered); _, _ = io.Copy(master, x.screen) }() // what it asks the terminal
	realTime(f)
	f.IO.SetTTY(true, true, true)
	ctx, cancel := context.WithCancel(context.Background())
	cmd := newUI(f, func(ctx context.Context, o *options) error {
		o.Terminal = func() (in, out *os.File) { return slave, slave }
		return run(ctx, o)
	})
	cmd.SilenceErrors, cmd.SilenceUsage = true, true
	cmd.SetArgs(args)
	go func() {
		defer func() {
			if r := recover(); r != nil {
				x.done <- fmt.Errorf("panic: %v", r)
			}
		}()
		x.done <- cmd.ExecuteContext(ctx)
	}()
	t.Cleanup(func() {
		cancel()
		if t.Failed() {
			t.Logf("the screen:\n%s\n%s", x.text(), errOut)
		}
		slave.Close()
		master.Close()
		<-pumped
		x.screen.InputPipe().(io.Closer).Close()
		<-answered
	})
	return x
}

// written is all that was written to the terminal.
func (x *terminal) written() string {
	x.mu.Lock()
	defer x.mu.Unlock()
	return string(x.raw)
}

func (x *terminal) text() string {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.screen.String()
}

// writes waits until all parts have been written to the terminal.
func (x *terminal) writes(parts ...string) {
	x.t.Helper()
	for _, p := range parts {
		for deadline := time.Now().Add(10 * time.Second); !strings.Contains(x.written(), p); time.Sleep(5 * time.Millisecond) {
			if time.Now().After(deadline) {
				x.t.Fatalf("%q was never written", p)
			}
		}
	}
}

func (x *terminal) types(keys string) {
	x.t.Helper()
	if _, err := x.master.WriteString(keys); err != nil {
		x.t.Fatal(err)
	}
}

func (x *terminal) shows(parts ...string) {
	x.t.Helper()
	for _, p := range parts {
		for deadline := time.Now().Add(10 * time.Second); !strings.Contains(x.text(), p); time.Sleep(5 * time.Millisecond) {
			if time.Now().After(deadline) {
				x.t.Fatalf("%q never came", p)
			}
		}
	}
}

func (x *terminal) ends() error {
	x.t.Helper()
	select {
	case err := <-x.done:
		return err
	case <-time.After(10 * time.Second):
		x.t.Fatal("it does not end")
		return nil
	}
}

func TestOnATerminal(t *testing.T) {
	g := &gateway{}
	address, stop := start(t, g, "")
	x := onTerminal(t, address, 100, 30, "--refresh", "100ms")
	x.shows("prism › overview", "kv", `evil\x1b[2J`, "✗ unhealthy", "service:checkout", "1 Namespaces 3", "p99", "392µs")
	x.types("2")
	x.shows("━▶ 2 Backends")
	x.types("/vol\r")
	x.shows("1/2")
	x.types("?")
	x.shows("one row up")
	x.types("q")
	stop()
	x.shows("cannot reach the gateway", "next attempt", "lost · data", "volatile")
	start(t, g, address)
	x.shows("● live")
	x.types("q")
	if err := x.ends(); err != nil {
		t.Errorf("it ended with %v", err)
	}
	for deadline := time.Now().Add(5 * time.Second); strings.Contains(x.text(), "Namespaces"); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("the dashboards are left on the screen")
		}
	}
}

func TestAnIdleTerminalGetsNoByte(t *testing.T) {
	g := &gateway{idle: true}
	address, _ := start(t, g, "")
	x := onTerminal(t, address, 100, 30, "--refresh", "100ms")
	x.shows("service:checkout", "● live")
	var before int64
	for quiet := 0; quiet < 3; { // until what comes at the start has come
		time.Sleep(100 * time.Millisecond)
		if n := x.bytes.Load(); n == before {
			quiet++
		} else {
			before, quiet = n, 0
		}
	}
	time.Sleep(1500 * time.Millisecond)
	if after := x.bytes.Load(); after != before {
		t.Errorf("%d bytes in 15 refreshes while nothing changed", after-before)
	}
	x.types("\x03")
	if err := x.ends(); err != nil {
		t.Errorf("Ctrl-C: %v", err)
	}
}

// The first frame waits for no answer; how soon it comes is measured by make
// bench, not tested: machines differ.
func TestADeadGatewayStillHasAFirstFrame(t *testing.T) {
	address, stop := start(t, &gateway{}, "")
	stop()
	began := time.Now()
	x := onTerminal(t, address, 80, 24)
	x.shows("prism › overview")
	t.Logf("first frame after %v", time.Since(began))
	x.shows("cannot reach the gateway", "prismctl dev up")
	x.types("q")
	if err := x.ends(); err != nil {
		t.Error(err)
	}
}
