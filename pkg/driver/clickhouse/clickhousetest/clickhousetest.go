// Package clickhousetest starts ClickHouse servers for tests: real ones, each on
// free ports of the loopback interface with its data in a folder of its own.
//
//   - Bridge is ClickHouse 26, the engine as a library behind prism-chdb
//     (stacks/native/chdb): the whole language, over HTTP. tools/chdb.sh puts it
//     into the cache.
//   - Server18 is ClickHouse 18.16, the machine's clickhouse-server: the native
//     protocol of a server that can be killed, and an old language.
//   - Replicated18 is two of these, replicating over the machine's ZooKeeper.
//
// What is not there is told as not tested, and with PRISM_TEST_REQUIRE=all it is
// a failure.
package clickhousetest

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

// TB is what a server asks of the test that it is started for.
type TB interface {
	Helper()
	Fatalf(format string, args ...any)
	Skipf(format string, args ...any)
	Cleanup(func())
}

// The variables with programs to start instead of those that are looked for.
const (
	BridgeProgram = "PRISM_NATIVE_CHDB"
	ServerProgram = "PRISM_TEST_CLICKHOUSE"
)

// chdb is the folder of tools/chdb.sh.
const chdb = "chdb-26.5.3"

// FindBridge is the program of ClickHouse 26, or what is missing.
func FindBridge() (program, missing string) {
	program = os.Getenv(BridgeProgram)
	if cache, err := os.UserCacheDir(); program == "" && err == nil {
		program = filepath.Join(cache, "prism-test", chdb, "prism-chdb")
	}
	if _, err := exec.LookPath(program); err != nil {
		return "", "no ClickHouse 26: neither a program in " + BridgeProgram + " nor one of tools/chdb.sh (tools/setup.sh sees to it)"
	}
	return program, ""
}

// FindServer is the program of ClickHouse 18.16, or what is missing.
func FindServer() (program, missing string) {
	names := []string{"clickhouse-server", "/usr/sbin/clickhouse-server"} // Debian's is not on everyone's PATH
	if name := os.Getenv(ServerProgram); name != "" {
		names = []string{name}
	}
	for _, name := range names {
		if path, err := exec.LookPath(name); err == nil {
			return path, ""
		}
	}
	return "", "no ClickHouse 18.16: neither a program in " + ServerProgram + " nor clickhouse-server in the path (tools/setup.sh sees to it)"
}

// FindZooKeeper is the program that runs ZooKeeper, or what is missing.
func FindZooKeeper() (java, missing string) {
	java, err := exec.LookPath("java")
	for _, jar := range jars {
		if err == nil {
			_, err = os.Stat(jar)
		}
	}
	if err != nil {
		return "", fmt.Sprintf("no ZooKeeper: %v (tools/setup.sh sees to it)", err)
	}
	return java, ""
}

// Required reports whether what is missing is a failure.
func Required() bool { return os.Getenv("PRISM_TEST_REQUIRE") == "all" }

// need ends a test for which something is missing.
func need(t TB, missing string) {
	t.Helper()
	switch {
	case missing == "":
	case Required():
		t.Fatalf("cannot run here: %s", missing)
	default:
		t.Skipf("NOT TESTED: %s", missing)
	}
}

// An Option is what a server has beside the defaults: a user default without a
// password, one disk.
type Option func(*settings)

type settings struct {
	users []account
	tiers bool
	fsync bool
}

type account struct {
	name, password string
	readonly       bool
}

// User is one more user, who may do what default may.
func User(name, password string) Option {
	return func(s *settings) { s.users = append(s.users, account{name: name, password: password}) }
}

// ReadOnlyUser is one more user, who may only read.
func ReadOnlyUser(name, password string) Option {
	return func(s *settings) { s.users = append(s.users, account{name: name, password: password, readonly: true}) }
}

// Tiers is a storage policy "tiers" of two volumes, "hot" and "cold", each a
// disk of its name. ClickHouse 18.16 has no such policies.
func Tiers() Option { return func(s *settings) { s.tiers = true } }

// Fsync has an insert acked when it is on the disk itself. ClickHouse 18.16 has
// no such setting.
func Fsync() Option { return func(s *settings) { s.fsync = true } }

func settle(options []Option) settings {
	var s settings
	for _, o := range options {
		o(&s)
	}
	return s
}

// Bridge starts a ClickHouse 26 for a test.
func Bridge(t TB, options ...Option) *Server {
	t.Helper()
	_, missing := FindBridge()
	need(t, missing)
	s, err := RunBridge(options...)
	return kept(t, s, err)
}

// Server18 starts a ClickHouse 18.16 for a test.
func Server18(t TB, options ...Option) *Server {
	t.Helper()
	_, missing := FindServer()
	need(t, missing)
	s, err := RunServer18(options...)
	return kept(t, s, err)
}

// kept has a server closed with its test.
func kept(t TB, s *Server, err error) *Server {
	t.Helper()
	if err != nil {
		t.Fatalf("start ClickHouse: %v", err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Fatalf("stop ClickHouse: %v", err)
		}
	})
	return s
}

// RunBridge starts a ClickHouse 26 that is the caller's to close.
func RunBridge(options ...Option) (*Server, error) {
	program, missing := FindBridge()
	if missing != "" {
		return nil, errors.New(missing)
	}
	return run(func(s *Server) error { return s.setBridge(program, settle(options)) })
}

// RunServer18 starts a ClickHouse 18.16 that is the caller's to close.
func RunServer18(options ...Option) (*Server, error) {
	program, missing := FindServer()
	if missing != "" {
		return nil, errors.New(missing)
	}
	set := settle(options)
	switch {
	case set.tiers:
		return nil, errors.New("ClickHouse 18.16 has no storage policies of several disks (19.15 brought them)")
	case set.fsync:
		return nil, errors.New("ClickHouse 18.16 has no fsync_after_insert (20.10 brought it)")
	}
	return run(func(s *Server) error { return s.set18(program, set, nil) })
}
