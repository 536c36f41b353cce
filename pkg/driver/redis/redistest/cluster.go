package redistest

import (
	"cmp"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"time"
)

// A Cluster is some servers that share the slots.
type Cluster struct {
	// Nodes are the masters, then a replica of each that was given one, in the
	// same order. A failover changes who is what.
	Nodes   []*Server
	masters int
}

// masters is how many a cluster needs at least to agree on a failover.
const masters = 3

// NodeTimeout is how long a node may be silent before the others begin to do
// without it.
const NodeTimeout = 2 * time.Second

// Cluster starts three masters, and a replica for so many of them.
func (v Version) Cluster(t TB, replicas int, args ...string) *Cluster {
	t.Helper()
	program := v.find(t)
	c := &Cluster{masters: masters}
	for range masters + replicas {
		s, err := runNode(program, args)
		if err != nil {
			t.Fatalf("start a node of a cluster: %v", err)
		}
		s.endWith(t)
		c.Nodes = append(c.Nodes, s)
	}
	if err := c.join(); err != nil {
		t.Fatalf("make a cluster: %v", err)
	}
	return c
}

// Addrs are the addresses of all nodes.
func (c *Cluster) Addrs() []string {
	addrs := make([]string, len(c.Nodes))
	for i, n := range c.Nodes {
		addrs[i] = n.Addr
	}
	return addrs
}

// Replica is the replica that master i was given.
func (c *Cluster) Replica(i int) *Server { return c.Nodes[c.masters+i] }

// runNode starts a server that also listens for the others.
func runNode(program string, args []string) (*Server, error) {
	return listen(func(ports [2]string) (*Server, error) {
		return Run(program, append([]string{
			"--bind", "127.0.0.1", "--port", ports[0], "--cluster-enabled", "yes", "--cluster-port", ports[1],
			"--cluster-node-timeout", strconv.FormatInt(NodeTimeout.Milliseconds(), 10), "--repl-diskless-sync-delay", "0",
		}, args...)...)
	})
}

// listen starts a server on free ports, the first of which is its address. A port that
// was free may be taken when the server comes to it: then it tries others.
func listen(start func(ports [2]string) (*Server, error)) (*Server, error) {
	var last error
	for range 5 {
		ports, err := freePorts()
		if err != nil {
			return nil, err
		}
		s, err := start(ports)
		if err == nil {
			s.Addr = net.JoinHostPort("127.0.0.1", ports[0])
			return s, nil
		}
		last = err
	}
	return nil, last
}

// freePorts finds two ports that nobody listens on.
func freePorts() (ports [2]string, err error) {
	for i := range ports {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return ports, err
		}
		defer func() { _ = l.Close() }()
		_, ports[i], _ = net.SplitHostPort(l.Addr().String())
	}
	return ports, nil
}

// join makes a cluster of servers that know nothing of each other.
func (c *Cluster) join() error {
	const slots = 16384
	for i, n := range c.Nodes {
		if _, err := n.Ask("CLUSTER", "SET-CONFIG-EPOCH", strconv.Itoa(i+1)); err != nil {
			return err
		}
		if i < c.masters {
			from, to := i*slots/c.masters, (i+1)*slots/c.masters-1
			if _, err := n.Ask("CLUSTER", "ADDSLOTSRANGE", strconv.Itoa(from), strconv.Itoa(to)); err != nil {
				return err
			}
		}
		if i == 0 {
			continue
		}
		if err := c.Nodes[0].meet(n); err != nil {
			return err
		}
	}
	if err := c.Settled(); err != nil {
		return err
	}
	for i, replica := range c.Nodes[c.masters:] {
		id, err := c.Nodes[i].Ask("CLUSTER", "MYID")
		if err != nil {
			return err
		}
		if _, err := replica.Ask("CLUSTER", "REPLICATE", id); err != nil {
			return err
		}
	}
	for i := range c.Nodes[c.masters:] {
		if err := c.Nodes[i].Followed(c.Replica(i)); err != nil {
			return err
		}
	}
	return c.Settled()
}

func (s *Server) meet(other *Server) error {
	host, port, err := net.SplitHostPort(other.Addr)
	if err != nil {
		return err
	}
	bus, err := other.Ask("CONFIG", "GET", "cluster-port")
	if err != nil {
		return err
	}
	_, bus, _ = strings.Cut(bus, "\n")
	_, err = s.Ask("CLUSTER", "MEET", host, port, bus)
	return err
}

// Settled waits until every node that runs serves all slots and knows all others.
func (c *Cluster) Settled() error {
	return until("the cluster does not settle", func() error {
		for _, n := range c.Nodes {
			if !n.running() {
				continue
			}
			info, err := n.Ask("CLUSTER", "INFO")
			if err != nil {
				return err
			}
			for _, want := range []string{"cluster_state:ok", fmt.Sprintf("cluster_known_nodes:%d", len(c.Nodes)), "cluster_slots_ok:16384"} {
				if !strings.Contains(info, want+"\r\n") {
					return fmt.Errorf("%s says not %s", n.Addr, want)
				}
			}
		}
		return nil
	})
}

// Followed waits until replica has all that s has, and s takes notice of it.
func (s *Server) Followed(replica *Server) error {
	return until("the replica does not follow", func() error {
		link, err := replica.Ask("INFO", "replication")
		if err == nil && !strings.Contains(link, "master_link_status:up") {
			err = errors.New("its link is down")
		}
		if err != nil {
			return err
		}
		info, err := s.Ask("INFO", "replication")
		if err == nil && !strings.Contains(info, "state=online") {
			err = errors.New("it is not online")
		}
		return err
	})
}

// Received waits until replica has received all that s has sent so far.
func (s *Server) Received(replica *Server) error {
	info, err := s.Ask("INFO", "replication")
	if err != nil {
		return err
	}
	sent := offset(info, "master_repl_offset:")
	return until("the replica does not receive", func() error {
		info, err := replica.Ask("INFO", "replication")
		if err == nil && offset(info, "slave_repl_offset:") < sent {
			err = errors.New("it is behind")
		}
		return err
	})
}

// offset is a number among facts, 0 if it is not there.
func offset(info, name string) int64 {
	_, text, _ := strings.Cut(info, name)
	text, _, _ = strings.Cut(text, "\r\n")
	n, _ := strconv.ParseInt(text, 10, 64)
	return n
}

// Role is master or slave.
func (s *Server) Role() string {
	answer, _ := s.Ask("ROLE")
	role, _, _ := strings.Cut(answer, "\n")
	return role
}

// Promoted waits until a server is a master.
func (s *Server) Promoted() error {
	return until("the replica does not take over", func() error {
		if role := s.Role(); role != "master" {
			return fmt.Errorf("%s is a %s", s.Addr, cmp.Or(role, "server that does not answer"))
		}
		return nil
	})
}

// until asks again until nothing is wrong, or too much time has passed.
func until(what string, wrong func() error) error {
	for deadline := time.Now().Add(patience); ; {
		err := wrong()
		if err == nil {
			return nil
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("%s within %v: %w", what, patience, err)
		}
		time.Sleep(20 * time.Millisecond)
	}
}
