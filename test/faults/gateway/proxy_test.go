package faults_test

import (
	"math/rand/v2"
	"net"
	"strings"
	"sync"
	"testing"
	"time"
)

// A fault is what a proxy does to what passes.
type fault struct {
	down  bool          // every connection is closed, new ones too
	held  bool          // nothing passes, and nobody is told: as if packets were dropped
	delay time.Duration // of what the server says
	// resets ends connections in the middle of what the server says, each after
	// some thousand bytes.
	resets bool
}

// A proxy stands between a gateway and a server, and breaks what a network can.
type proxy struct {
	l net.Listener

	mu      sync.Mutex
	to      string
	fault   fault
	changed chan struct{} // closed when the fault is another
	conns   map[net.Conn]bool
	wg      sync.WaitGroup
}

func startProxy(t *testing.T, to string) *proxy {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{l: l, to: to, changed: make(chan struct{}), conns: map[net.Conn]bool{}}
	p.wg.Go(p.accept)
	t.Cleanup(func() {
		_ = l.Close()
		p.set(fault{down: true})
		p.wg.Wait()
	})
	return p
}

func (p *proxy) addr() string { return p.l.Addr().String() }

// set changes the fault; connections that were up stay so unless it is down.
func (p *proxy) set(f fault) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.fault = f
	close(p.changed)
	p.changed = make(chan struct{})
	if f.down {
		p.cut()
	}
}

// point leads to another server from now on.
func (p *proxy) point(to string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.to = to
	p.cut()
}

// cut ends every connection. Its caller holds mu.
func (p *proxy) cut() {
	for c := range p.conns {
		_ = c.Close()
	}
}

func (p *proxy) now() (f fault, changed chan struct{}, to string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.fault, p.changed, p.to
}

func (p *proxy) accept() {
	for {
		c, err := p.l.Accept()
		if err != nil {
			return
		}
		if f, _, _ := p.now(); f.down {
			reset(c)
			continue
		}
		p.wg.Go(func() { p.serve(c) })
	}
}

func (p *proxy) serve(near net.Conn) {
	_, _, to := p.now()
	network := "tcp"
	if strings.HasPrefix(to, "/") {
		network = "unix"
	}
	far, err := net.Dial(network, to)
	if err != nil {
		reset(near)
		return
	}
	p.keep(near, far)
	defer p.drop(near, far)
	var both sync.WaitGroup
	both.Go(func() {
		defer func() { _ = near.Close() }()
		p.copy(near, far, true)
	})
	defer both.Wait()
	defer func() { _ = far.Close() }()
	p.copy(far, near, false)
}

func (p *proxy) keep(conns ...net.Conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range conns {
		p.conns[c] = true
	}
	if p.fault.down {
		p.cut()
	}
}

func (p *proxy) drop(conns ...net.Conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range conns {
		delete(p.conns, c)
	}
}

// copy passes on what comes until either end is gone.
func (p *proxy) copy(to, from net.Conn, answers bool) {
	b := make([]byte, 16<<10)
	left := 1000 + rand.IntN(9000)
	for {
		n, err := from.Read(b)
		if n > 0 {
			f := p.pass()
			if answers && f.delay > 0 {
				_, changed, _ := p.now()
				select {
				case <-time.After(f.delay):
				case <-changed:
				}
			}
			if answers && f.resets {
				if left -= n; left < 0 {
					_, _ = to.Write(b[:max(n+left, 0)])
					reset(to)
					return
				}
			}
			if _, err := to.Write(b[:n]); err != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}

// pass waits while everything is held, and tells what else is wrong.
func (p *proxy) pass() fault {
	for {
		f, changed, _ := p.now()
		if !f.held {
			return f
		}
		<-changed
	}
}

// reset ends a connection as a crash would.
func reset(c net.Conn) {
	if tcp, ok := c.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
	_ = c.Close()
}
