package faults_test

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/prism-data-layer/prism/pkg/driver/redis/redistest"
	"github.com/prism-data-layer/prism/test/faults/powercut"
)

// A network is a namespace of the kernel's: it has one address, which this
// machine reaches over a pair of devices and nobody else does.
type network struct {
	t    *testing.T
	name string
	addr string
}

// startNetwork makes one.
func startNetwork(t *testing.T) *network {
	t.Helper()
	powercut.Need(t, noNetwork())
	block := freeBlock(t)
	near, far := block+"1", block+"2"
	n := &network{t: t, name: fmt.Sprintf("prism-%d", os.Getpid()), addr: far}
	here, there := fmt.Sprintf("ph%d", os.Getpid()), fmt.Sprintf("pt%d", os.Getpid())
	n.run("ip", "netns", "add", n.name)
	t.Cleanup(func() { n.run("ip", "netns", "delete", n.name) }) // the devices with it
	n.run("ip", "link", "add", here, "type", "veth", "peer", "name", there, "netns", n.name)
	n.run("ip", "addr", "add", near+"/30", "dev", here)
	n.run("ip", "link", "set", here, "up")
	n.run("ip", "-n", n.name, "addr", "add", far+"/30", "dev", there)
	n.run("ip", "-n", n.name, "link", "set", there, "up")
	return n
}

// freeBlock is the begin of the addresses of one of the blocks for examples
// (RFC 5737) that this machine is not in.
func freeBlock(t *testing.T) string {
	t.Helper()
	taken, err := net.InterfaceAddrs()
	if err != nil {
		t.Fatal(err)
	}
	for _, block := range [...]string{"198.51.100.", "203.0.113.", "192.0.2."} {
		if !slices.ContainsFunc(taken, func(a net.Addr) bool { return strings.HasPrefix(a.String(), block) }) {
			return block
		}
	}
	t.Fatal("this machine is in every block for examples")
	return ""
}

// noNetwork says what is missing for a network, or "".
func noNetwork() string {
	if runtime.GOOS != "linux" || os.Geteuid() != 0 {
		return "a network of its own needs Linux and root"
	}
	for _, tool := range [...]string{"ip", "iptables"} {
		if _, err := exec.LookPath(tool); err != nil {
			return "a network of its own needs " + tool
		}
	}
	return ""
}

// drop has the network drop every packet, or let them pass again.
func (n *network) drop(on bool) {
	n.t.Helper()
	how := map[bool]string{true: "-A", false: "-D"}[on]
	for _, chain := range [...]string{"INPUT", "OUTPUT"} {
		n.run("ip", "netns", "exec", n.name, "iptables", how, chain, "-j", "DROP")
	}
}

// program is one that starts a server inside.
func (n *network) program(t *testing.T, v redistest.Version) string {
	t.Helper()
	server, missing := v.Find()
	powercut.Need(t, missing)
	path := filepath.Join(t.TempDir(), "server")
	if err := os.WriteFile(path, fmt.Appendf(nil, "#!/bin/sh\nexec ip netns exec %s %s \"$@\"\n", n.name, server), 0o700); err != nil {
		t.Fatal(err)
	}
	return path
}

func (n *network) run(name string, args ...string) {
	n.t.Helper()
	if out, err := exec.Command(name, args...).CombinedOutput(); err != nil {
		n.t.Fatalf("%s %q: %v: %s", name, args, err, out)
	}
}
