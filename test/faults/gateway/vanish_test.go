package faults_test

import (
	"bufio"
	"fmt"
	"net"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prism-data-layer/prism/pkg/client"
	cachev1 "github.com/prism-data-layer/prism/proto/prism/cache/v1"
	"github.com/prism-data-layer/prism/test/faults/powercut"
	"github.com/prism-data-layer/prism/test/harness"
)

// The gateway asks a silent connection after keepaliveTime and gives it up after
// keepaliveTimeout more.
const (
	keepaliveTime    = 2 * time.Second
	keepaliveTimeout = time.Second
	busy             = time.Second // what a machine takes that has other things to do
)

// F15: a client with streams of every kind vanishes: killed, or behind a wire
// that no longer carries anything. Its handlers end, its place in a group goes to
// others, its lock and its leases are free when their time is over.
func TestFault_F15_ClientVanishes(t *testing.T) {
	streams, patience := 50, 20*time.Second
	if powercut.Full() {
		streams, patience = 500, 0
	}
	report := powercut.Begin("F15", 0)
	file := harness.Models + fmt.Sprintf("limits: {keepalive_time: %s, keepalive_timeout: %s}\n", keepaliveTime, keepaliveTimeout)
	g := harness.Start(t, harness.Options{File: file})
	c, err := client.Dial(g.Addr("data"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	v := &vanished{t: t, g: g, c: c}
	v.fill()
	v.take()
	// What stays, such as what a topic runs, is there after the first.
	w := newTunnel(t, g.Addr("data"))
	v.vanish("warm-up", w.addr, 10, func(p *exec.Cmd) { _ = p.Process.Kill() }, time.Minute)
	for _, how := range []struct {
		name  string
		gone  func(*exec.Cmd)
		bound time.Duration
	}{
		{"killed", func(p *exec.Cmd) { _ = p.Process.Kill() }, 3 * time.Second},
		{"dropped", func(*exec.Cmd) { w.cut.Store(true) }, keepaliveTime + keepaliveTimeout + busy},
	} {
		took, left := v.vanish(how.name, w.addr, streams, how.gone, max(how.bound, patience))
		report.More["ended_after_ms_"+how.name], report.More["goroutines_left_"+how.name] = took.Milliseconds(), left
		report.Rounds++
	}
	report.Acked = int64(v.published)
	report.More["streams"], report.More["leases"] = streams, v.leases
	report.Print()
}

// A vanished is a gateway whose client has gone, and one that is there.
type vanished struct {
	t         *testing.T
	g         *harness.Gateway
	c         *client.Client
	published int
	leases    int
}

// fill makes the queues and the topic.
func (v *vanished) fill() {
	v.t.Helper()
	if _, err := v.c.Log("queue").Publish(v.t.Context(), "log", client.LogMessage{Payload: []byte("m")}); err != nil {
		v.t.Fatal(err)
	}
	v.publish("empty")
}

func (v *vanished) publish(queue string) {
	v.t.Helper()
	if _, err := v.c.WorkQueue("queue", queue).Publish(v.t.Context(), client.Message{Payload: []byte("m")}); err != nil {
		v.t.Fatal(err)
	}
	v.published++
}

// take works off what waits for the client's Receives, so that they wait.
func (v *vanished) take() {
	v.t.Helper()
	q := v.c.WorkQueue("queue", "empty")
	got, err := q.Receive(v.t.Context(), client.ReceiveOptions{Max: 1000, Wait: 20 * time.Second})
	if err == nil && len(got) > 0 {
		err = q.Ack(v.t.Context(), got...)
	}
	if err != nil || len(got) == 0 {
		v.t.Fatalf("received %v, %v", got, err)
	}
}

// vanish starts a client, lets it vanish, and sees that it leaves nothing: it
// tells after how long its handlers had ended, and how many goroutines more than
// before there are.
func (v *vanished) vanish(how, addr string, streams int, gone func(*exec.Cmd), bound time.Duration) (took time.Duration, left int) {
	v.t.Helper()
	const leases = 10
	for range leases {
		v.publish("leased")
	}
	before := steady(v.t)
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), asClient+"="+addr, asClientStreams+"="+strconv.Itoa(streams))
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		v.t.Fatal(err)
	}
	defer func() { _, _ = cmd.Process.Kill(), cmd.Wait() }()
	if says := bufio.NewScanner(out); !says.Scan() || says.Text() != fmt.Sprintf("holds %d", leases) {
		v.t.Fatalf("%s: the client says %q", how, says.Text())
	}
	if n := runtime.NumGoroutine() - before; n < streams/2 {
		v.t.Fatalf("%s: %d streams are %d goroutines: this proves nothing", how, streams, n)
	}
	gone(cmd)
	begun := time.Now()
	harness.Eventually(v.t, bound, how+": its handlers have ended", func() bool { return runtime.NumGoroutine() <= before+5 })
	took, left = time.Since(begun), runtime.NumGoroutine()-before

	// Nobody who is gone takes what comes now.
	q := v.c.WorkQueue("queue", "empty")
	v.publish("empty")
	if got, err := q.Receive(v.t.Context(), client.ReceiveOptions{}); err != nil || len(got) != 1 || got[0].Attempt != 1 {
		v.t.Errorf("%s: a message that came afterwards: %v, %v", how, got, err)
	} else if err := q.Ack(v.t.Context(), got...); err != nil {
		v.t.Error(err)
	}
	// Its leases and its lock have an end.
	work := v.c.WorkQueue("queue", "leased")
	for n := 0; n < leases; {
		got, err := work.Receive(v.t.Context(), client.ReceiveOptions{Max: 1000, Wait: 20 * time.Second})
		if err != nil || len(got) == 0 {
			v.t.Fatalf("%s: of %d leased messages %d came again: %v", how, leases, n, err)
		}
		if err := work.Ack(v.t.Context(), got...); err != nil {
			v.t.Fatal(err)
		}
		n += len(got)
		v.leases += len(got)
	}
	harness.Eventually(v.t, 20*time.Second, how+": the lock is free", func() bool {
		r, err := v.g.Cache(v.t).GetOrLock(v.t.Context(), &cachev1.GetOrLockRequest{Namespace: "cache", Key: "locked", LockMs: 1})
		return err == nil && r.GetLock() != ""
	})
	// Its partitions are the next member's.
	m, err := v.c.Log("queue").Subscribe(v.t.Context(), "log", "g", client.LogOptions{})
	if err != nil {
		v.t.Fatal(err)
	}
	if n := len(m.Partitions()); n != 8 {
		v.t.Errorf("%s: the next member reads %d partitions of 8", how, n)
	}
	m.Close()
	return took, left
}

// steady is the number of goroutines once it no longer changes.
func steady(t *testing.T) (n int) {
	t.Helper()
	same := 0
	harness.Eventually(t, time.Minute, "the number of goroutines is steady", func() bool {
		if now := runtime.NumGoroutine(); now != n {
			n, same = now, 0
		}
		same++
		return same > 100
	})
	return n
}

// A tunnel carries bytes to an address until it is cut: then it takes them and
// carries nothing, as a network does that drops packets.
type tunnel struct {
	addr string
	cut  atomic.Bool
}

func newTunnel(t *testing.T, to string) *tunnel {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	w := &tunnel{addr: l.Addr().String()}
	var open sync.WaitGroup
	var mu sync.Mutex
	var conns []net.Conn
	open.Go(func() {
		for {
			in, err := l.Accept()
			if err != nil {
				return
			}
			out, err := net.Dial("tcp", to)
			if err != nil {
				_ = in.Close()
				continue
			}
			mu.Lock()
			conns = append(conns, in, out)
			mu.Unlock()
			open.Go(func() { w.carry(in, out, false) })
			open.Go(func() { w.carry(out, in, true) })
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		mu.Lock()
		for _, c := range conns {
			_ = c.Close()
		}
		mu.Unlock()
		open.Wait()
	})
	return w
}

// carry carries bytes, and the end of from. Towards the gateway a cut hides it.
func (w *tunnel) carry(to, from net.Conn, hides bool) {
	b := make([]byte, 32<<10)
	for {
		n, err := from.Read(b)
		cut := w.cut.Load()
		if n > 0 && !cut {
			if _, werr := to.Write(b[:n]); werr != nil {
				err = werr
			}
		}
		switch {
		case err != nil && cut && hides:
			return
		case err != nil:
			_, _ = to.Close(), from.Close()
			return
		}
	}
}
