package clickhousetest

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// A ReplicatedPair is two servers of ClickHouse 18.16 that replicate.
type ReplicatedPair struct {
	// Servers have the macros shard, 01 on both, and replica, a and b.
	Servers   [2]*Server
	ZooKeeper *ZooKeeper
}

// Replicated18 starts two ClickHouse 18.16 that know each other as Cluster and
// ShardedCluster and replicate over a ZooKeeper.
func Replicated18(t TB, options ...Option) *ReplicatedPair {
	t.Helper()
	_, missing := FindServer()
	need(t, missing)
	_, missing = FindZooKeeper()
	need(t, missing)
	p, err := RunReplicated18(options...)
	if err != nil {
		t.Fatalf("start ClickHouse with ZooKeeper: %v", err)
	}
	t.Cleanup(func() {
		if err := p.Close(); err != nil {
			t.Fatalf("stop ClickHouse with ZooKeeper: %v", err)
		}
	})
	return p
}

// RunReplicated18 starts a pair that is the caller's to close.
func RunReplicated18(options ...Option) (*ReplicatedPair, error) {
	program, missing := FindServer()
	if missing != "" {
		return nil, errors.New(missing)
	}
	zookeeper, err := runZooKeeper()
	if err != nil {
		return nil, err
	}
	p := &ReplicatedPair{ZooKeeper: zookeeper}
	var nodes []ports
	for range p.Servers {
		own, err := freePorts()
		if err != nil {
			return nil, errors.Join(err, p.Close())
		}
		nodes = append(nodes, own)
	}
	for i, replica := range []string{"a", "b"} {
		m := &membership{zookeeper: zookeeper.port, replica: replica, nodes: nodes, own: nodes[i]}
		p.Servers[i], err = run(func(s *Server) error { return s.set18(program, settle(options), m) })
		if err != nil {
			return nil, errors.Join(err, p.Close())
		}
	}
	return p, nil
}

// Close stops all three for good and removes their data.
func (p *ReplicatedPair) Close() error {
	var errs []error
	for _, s := range p.Servers {
		if s != nil {
			errs = append(errs, s.Close())
		}
	}
	return errors.Join(append(errs, p.ZooKeeper.Close())...)
}

// A ZooKeeper is one that runs.
type ZooKeeper struct {
	process
	port int
}

// zookeeperSession is how long a server may be away before its peers count it
// as gone.
const zookeeperSession = 10 * time.Second

// jars are what ZooKeeper needs of Debian's package.
var jars = []string{
	"/usr/share/java/zookeeper.jar", "/usr/share/java/zookeeper-jute.jar", "/usr/share/java/slf4j-api.jar", "/usr/share/java/slf4j-simple.jar",
	"/usr/share/java/metrics-core.jar", "/usr/share/java/snappy-java.jar", "/usr/share/java/commons-io.jar", "/usr/share/java/netty-all.jar",
}

func runZooKeeper() (*ZooKeeper, error) {
	java, missing := FindZooKeeper()
	if missing != "" {
		return nil, errors.New(missing)
	}
	dir, err := os.MkdirTemp("", "zookeeper")
	if err != nil {
		return nil, err
	}
	z := &ZooKeeper{process: process{name: "ZooKeeper", dir: dir, program: java}}
	if z.port, err = freePort(); err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	config := filepath.Join(dir, "zoo.cfg")
	z.args = []string{"-Xmx128m", "-cp", strings.Join(jars, ":"), "org.apache.zookeeper.server.quorum.QuorumPeerMain", config}
	z.ready = z.serves
	text := fmt.Sprintf("tickTime=1000\ndataDir=%s\nclientPort=%d\nclientPortAddress=127.0.0.1\nadmin.enableServer=false\n", filepath.Join(dir, "data"), z.port)
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	if err := z.Start(); err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	return z, nil
}

// serves asks it what it is.
func (z *ZooKeeper) serves() error {
	conn, err := net.DialTimeout("tcp", local(z.port), time.Second)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()
	_ = conn.SetDeadline(time.Now().Add(5 * time.Second))
	if _, err := io.WriteString(conn, "srvr"); err != nil {
		return err
	}
	text, err := io.ReadAll(conn)
	if err == nil && !strings.Contains(string(text), "Mode: ") {
		err = fmt.Errorf("it says %q", text)
	}
	return err
}
