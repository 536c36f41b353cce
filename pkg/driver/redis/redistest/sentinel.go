package redistest

import (
	"errors"
	"fmt"
	"net"
	"strings"
	"time"
)

// SentinelName is what sentinels call the master that they watch.
const SentinelName = "prism"

// downAfter is how long the master may be silent before a sentinel counts it
// as down.
const downAfter = time.Second

// A Sentinel is a master, its replica, and three sentinels that put the replica
// in the master's place when that is gone.
type Sentinel struct {
	Master, Replica *Server // at first
	Sentinels       []*Server
}

// Sentinel starts them.
func (v Version) Sentinel(t TB, args ...string) *Sentinel {
	t.Helper()
	program := v.find(t)
	f := &Sentinel{}
	start := func(settings string, args ...string) *Server {
		s, err := runListening(program, settings, args)
		if err != nil {
			t.Fatalf("start a server with sentinels: %v", err)
		}
		s.endWith(t)
		return s
	}
	f.Master = start("", args...)
	host, port, _ := net.SplitHostPort(f.Master.Addr)
	f.Replica = start("", append([]string{"--replicaof", host + " " + port, "--repl-diskless-sync-delay", "0"}, args...)...)
	for range 3 {
		f.Sentinels = append(f.Sentinels, start(fmt.Sprintf(
			"sentinel monitor %[1]s %[2]s %[3]s 2\nsentinel down-after-milliseconds %[1]s %[4]d\nsentinel failover-timeout %[1]s 10000\n",
			SentinelName, host, port, downAfter.Milliseconds()), "--sentinel"))
	}
	if err := f.ready(); err != nil {
		t.Fatalf("start sentinels: %v", err)
	}
	return f
}

// Addrs are the addresses of the sentinels.
func (f *Sentinel) Addrs() []string {
	var addrs []string
	for _, s := range f.Sentinels {
		addrs = append(addrs, s.Addr)
	}
	return addrs
}

// ready waits until the replica follows, and the sentinels know it and each other.
func (f *Sentinel) ready() error {
	if err := f.Master.Followed(f.Replica); err != nil {
		return err
	}
	return until("the sentinels do not find each other", func() error {
		for _, s := range f.Sentinels {
			facts, err := s.Ask("SENTINEL", "MASTER", SentinelName)
			if err != nil {
				return err
			}
			if !strings.Contains(facts, "num-slaves\n1\n") || !strings.Contains(facts, fmt.Sprintf("num-other-sentinels\n%d\n", len(f.Sentinels)-1)) {
				return errors.New("one knows too few")
			}
		}
		return nil
	})
}

// Failover asks the sentinels to put the replica in the master's place.
func (f *Sentinel) Failover() error {
	return until("the sentinels do not begin a failover", func() error {
		_, err := f.Sentinels[0].Ask("SENTINEL", "FAILOVER", SentinelName)
		return err
	})
}

// runListening starts a server on a free port of this machine.
func runListening(program, settings string, args []string) (*Server, error) {
	return listen(func(ports [2]string) (*Server, error) {
		return run(program, settings, append([]string{"--bind", "127.0.0.1", "--port", ports[0]}, args...)...)
	})
}
