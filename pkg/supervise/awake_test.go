//go:build linux

package supervise

import (
	"context"
	"errors"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prism-data-layer/prism/pkg/clock"
)

// A sleeper is a rig with a clock that jumps.
type sleeper struct {
	*rig
	clk  *clock.Fake
	ill  atomic.Bool
	asks atomic.Int64
}

func sleepy(t *testing.T, mode string) *sleeper {
	t.Helper()
	z := &sleeper{clk: clock.NewFake(time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC))}
	s := childSpec("app", mode, "")
	s.Ready = Probe{Name: "a question", Check: func(context.Context, Instance) error {
		z.asks.Add(1)
		if z.ill.Load() {
			return errors.New("no answer")
		}
		return nil
	}}
	z.rig = supervise(t, Options{Clock: z.clk, Services: []Spec{s}})
	return z
}

// step moves the clock and waits until the probe has asked again and rests.
func (z *sleeper) step(d time.Duration) {
	z.t.Helper()
	asks := z.asks.Load()
	until(z.t, "the probe rests", func() bool { return z.clk.Timers() > 0 })
	z.clk.Advance(d)
	until(z.t, "it was asked", func() bool { return z.asks.Load() > asks })
	until(z.t, "the probe rests again", func() bool { return z.clk.Timers() > 0 })
}

func TestFault_F30_ClockThatJumpsDegradesNobody(t *testing.T) {
	t.Parallel()
	z := sleepy(t, "sleep")
	z.ready()
	z.ill.Store(true)
	for range 5 {
		z.step(time.Minute)
		if got := z.Status().Service("app"); got.State != Ready || got.Restarts != 0 {
			t.Fatalf("after a jump: %+v", got)
		}
	}
	// Awake, two failures are two failures.
	for range failuresToDegrade {
		z.step(defaultReadyEvery)
	}
	if got := z.in("app", Degraded); got.Restarts != 0 || got.Message != "a question fails: no answer" {
		t.Errorf("awake: %+v", got)
	}
	z.ill.Store(false)
	z.step(time.Hour)
	z.in("app", Ready)
}

func TestFault_F30_ClockThatJumpsMakesNoStartLate(t *testing.T) {
	t.Parallel()
	z := sleepy(t, "sleep")
	z.ill.Store(true)
	for range 3 {
		z.step(10 * time.Minute)
		if got := z.Status().Service("app"); got.State != Starting || got.Late {
			t.Fatalf("after a jump: %+v", got)
		}
	}
	steps := 0
	for z.Status().Service("app").State != Degraded {
		if z.step(time.Second); steps > 60 {
			t.Fatal("it is never late")
		}
		steps++
	}
	if steps == 0 {
		t.Error("late at once")
	}
}

func TestFault_F30_ClockThatJumpsKillsNobodyWhoStops(t *testing.T) {
	t.Parallel()
	z := sleepy(t, "stubborn")
	z.ready()
	z.says("app", "stubborn")
	z.Stop()
	z.in("app", Stopping)
	kills := func() bool { return strings.Contains(z.Status().Service("app").Message, "is killed") }
	jumps := 0
	for !kills() {
		until(t, "somebody waits or all is over", func() bool { return z.clk.Timers() > 0 || kills() })
		if kills() {
			break
		}
		z.clk.Advance(time.Minute)
		jumps++
	}
	// Ten seconds awake, of which a jump is at most two.
	if jumps < 5 {
		t.Errorf("killed after %d jumps", jumps)
	}
	if err := <-z.over; err != nil {
		t.Error(err)
	}
}

func TestSilenceWhileWeSleptIsNoSilence(t *testing.T) {
	t.Parallel()
	ours, theirs := net.Pipe()
	defer theirs.Close()
	c := &lateConn{Conn: ours}
	go func() {
		for c.reads.Load() < 2 {
			time.Sleep(time.Millisecond)
		}
		theirs.Write([]byte("x"))
	}()
	b := make([]byte, 1)
	if n, err := (patient{c, 20 * time.Millisecond}).Read(b); n != 1 || err != nil {
		t.Errorf("got %d, %v", n, err)
	}
}

// A lateConn tells of the first deadline only when the machine has slept for
// more than a second.
type lateConn struct {
	net.Conn
	reads atomic.Int64
}

func (c *lateConn) Read(b []byte) (int, error) {
	first := c.reads.Add(1) == 1
	n, err := c.Conn.Read(b)
	if first {
		time.Sleep(1100 * time.Millisecond)
	} else if err != nil {
		c.Conn.SetReadDeadline(time.Now().Add(patience))
		return c.Conn.Read(b)
	}
	return n, err
}
