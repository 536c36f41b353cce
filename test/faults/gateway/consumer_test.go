//go:build unix

package faults_test

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/prism-data-layer/prism/pkg/client"
	"github.com/prism-data-layer/prism/pkg/prism"
	"github.com/prism-data-layer/prism/test/faults/powercut"
	"github.com/prism-data-layer/prism/test/harness"
)

// A consumer is a process of its own that works on the queue.
type consumer struct {
	t    *testing.T
	cmd  *exec.Cmd
	says *bufio.Scanner
	tell io.Writer
}

func startConsumer(t *testing.T, addr string) *consumer {
	t.Helper()
	c := &consumer{t: t, cmd: exec.Command(os.Args[0])}
	c.cmd.Env = append(os.Environ(), asConsumer+"="+addr)
	c.cmd.Stderr = os.Stderr
	out, err := c.cmd.StdoutPipe()
	if err == nil {
		c.tell, err = c.cmd.StdinPipe()
	}
	if err == nil {
		err = c.cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	c.says = bufio.NewScanner(out)
	t.Cleanup(c.kill)
	return c
}

func (c *consumer) kill() {
	_ = c.cmd.Process.Kill()
	_ = c.cmd.Wait()
}

// expect waits for a line; one that never comes ends with the whole test.
func (c *consumer) expect(want string) {
	c.t.Helper()
	if !c.says.Scan() || c.says.Text() != want {
		c.t.Fatalf("the consumer says %q, want %q", c.says.Text(), want)
	}
}

// F18: a consumer is stopped past its lease and goes on, or is killed before its
// Ack, a hundred times each. The message comes to another; the late Ack is
// refused and changes nothing.
func TestFault_F18_ConsumerStoppedPastItsLease(t *testing.T) {
	lateConsumers(t, "F18", queues)
	lateConsumers(t, "F18-redis", queuesOn(t))
}

func lateConsumers(t *testing.T, id, file string) {
	t.Helper()
	rounds := 10
	if powercut.Full() {
		rounds = 100
	}
	report := powercut.Begin(id, 0)
	g := harness.Start(t, harness.Options{File: file})
	c, err := client.Dial(g.Addr("data"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	q := c.WorkQueue("disk", "work")
	again, refused := 0, 0
	// publish, and what the other gets after the first had it.
	publish := func(n int) string {
		text := strconv.Itoa(n)
		if _, err := q.Publish(t.Context(), client.Message{Payload: []byte(text)}); err != nil {
			t.Fatal(err)
		}
		report.Acked++
		return text
	}
	other := func(text string) *client.LeasedMessage {
		got, err := q.Receive(t.Context(), client.ReceiveOptions{Lease: time.Minute, Wait: 20 * time.Second})
		if err != nil || len(got) != 1 || string(got[0].Payload) != text {
			report.Lost++
			t.Fatalf("the other got %v, %v, want message %s", got, err, text)
		}
		if got[0].Attempt > 1 {
			again++
		}
		return got[0]
	}
	stopped := startConsumer(t, g.Addr("data"))
	for n := range rounds {
		text := publish(n)
		stopped.expect("got " + text)
		if err := stopped.cmd.Process.Signal(syscall.SIGSTOP); err != nil {
			t.Fatal(err)
		}
		m := other(text)
		_, _ = fmt.Fprintln(stopped.tell)
		if err := stopped.cmd.Process.Signal(syscall.SIGCONT); err != nil {
			t.Fatal(err)
		}
		stopped.expect("refused " + string(prism.ReasonLeaseLost))
		refused++
		if err := q.Ack(t.Context(), m); err != nil {
			t.Errorf("round %d: the Ack of who holds the lease: %v", n, err)
		}
		report.Rounds++
	}
	stopped.kill()
	kills := 0
	for n := rounds; n < 2*rounds; n++ {
		text := publish(n)
		killed := startConsumer(t, g.Addr("data"))
		killed.expect("got " + text)
		killed.kill()
		kills++
		if err := q.Ack(t.Context(), other(text)); err != nil {
			t.Errorf("round %d: the Ack of who holds the lease: %v", n, err)
		}
	}
	left, err := q.Receive(t.Context(), client.ReceiveOptions{})
	if err != nil || len(left) != 0 {
		t.Errorf("what was acknowledged is there still: %v, %v", left, err)
	}
	report.More["late_acks_refused"], report.More["kills"], report.More["redelivered"] = refused, kills, again
	report.Print()
	if again != 2*rounds {
		t.Errorf("%d of %d messages came again as such", again, 2*rounds)
	}
}
