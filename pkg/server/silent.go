package server

import (
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// patience is how long a drain waits for connections that have said nothing
// yet. A client that has just connected speaks at once; one that does not would
// hold up the stop for the whole of its time, calls or none.
const patience = time.Second

// A silentListener knows the connections that nothing was read from.
type silentListener struct {
	net.Listener

	mu    sync.Mutex
	conns map[*silentConn]struct{}
}

func newSilentListener(l net.Listener) *silentListener {
	return &silentListener{Listener: l, conns: map[*silentConn]struct{}{}}
}

func (l *silentListener) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	c := &silentConn{Conn: conn, of: l}
	l.mu.Lock()
	l.conns[c] = struct{}{}
	l.mu.Unlock()
	return c, nil
}

// closeSilent closes the connections that are still silent.
func (l *silentListener) closeSilent() {
	l.mu.Lock()
	silent := l.conns
	l.conns = map[*silentConn]struct{}{}
	l.mu.Unlock()
	for c := range silent {
		c.Conn.Close()
	}
}

func (l *silentListener) forget(c *silentConn) {
	l.mu.Lock()
	delete(l.conns, c)
	l.mu.Unlock()
}

type silentConn struct {
	net.Conn
	of    *silentListener
	spoke atomic.Bool
}

func (c *silentConn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	if n > 0 && !c.spoke.Load() && c.spoke.CompareAndSwap(false, true) {
		c.of.forget(c)
	}
	return n, err
}

func (c *silentConn) Close() error {
	c.of.forget(c)
	return c.Conn.Close()
}
