package redis_test

import (
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/prism-data-layer/prism/pkg/driver"
	"github.com/prism-data-layer/prism/pkg/driver/redis"
	"github.com/prism-data-layer/prism/pkg/driver/redis/redistest"
	"github.com/prism-data-layer/prism/pkg/prism"
)

// ask has a server do something, which must work.
func ask(t *testing.T, s *redistest.Server, args ...string) string {
	t.Helper()
	answer, err := s.Ask(args...)
	if err != nil {
		t.Fatal(err)
	}
	return answer
}

// configure sets settings of a server, by name and value in turn.
func configure(t *testing.T, s *redistest.Server, settings ...string) {
	t.Helper()
	ask(t, s, append([]string{"CONFIG", "SET"}, settings...)...)
}

// listening has a server listen on a port too.
func listening(t *testing.T, s *redistest.Server) (addr string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr = l.Addr().String()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	_, port, _ := strings.Cut(addr, ":")
	configure(t, s, "port", port)
	return addr
}

// openError is the error of opening.
func openError(t *testing.T, addrs []string, more string) error {
	t.Helper()
	s, err := redis.Spec().Open(t.Context(), settingsOf(addrs, more))
	if err == nil {
		t.Cleanup(func() { _ = s.Store.Close() })
	}
	return err
}

// refusal waits until a call fails for a reason other than being cut off.
func refusal(t *testing.T, word string, call func() error) error {
	t.Helper()
	var err error
	eventually(t, word, func() bool {
		err = call()
		return err != nil && strings.Contains(err.Error(), word)
	})
	return err
}

// A trouble is something that can be wrong with a real server.
type trouble struct {
	word    string
	reason  prism.Reason
	next    string // part of what to do
	provoke func(t *testing.T, server *redistest.Server) error
}

func writing(t *testing.T, s driver.Set) func() error {
	return func() error { return second(set(t.Context(), s, key, "v", none)) }
}

// secret is a file with a password.
func secret(t *testing.T) string {
	t.Helper()
	file := t.TempDir() + "/password"
	write(t, file, "wrong")
	return file
}

// misled are troubles of who is asked for what.
var misled = []trouble{
	{"NOAUTH", prism.ReasonFailedPrecond, "options.password_file", func(t *testing.T, server *redistest.Server) error {
		configure(t, server, "requirepass", "secret")
		return openError(t, []string{server.Addr}, "")
	}},
	{"WRONGPASS", prism.ReasonFailedPrecond, "options.username", func(t *testing.T, server *redistest.Server) error {
		configure(t, server, "requirepass", "secret")
		return openError(t, []string{server.Addr}, "password_file: "+secret(t))
	}},
	{"NOPERM", prism.ReasonFailedPrecond, "ACL SETUSER", func(t *testing.T, server *redistest.Server) error {
		ask(t, server, "ACL", "SETUSER", "prism", "on", "nopass", "+@all", "-evalsha", "~*", "&*")
		return writing(t, open(t, server, "username: prism\npassword_file: "+secret(t)))()
	}},
	{"fewer databases", prism.ReasonFailedPrecond, "CONFIG GET databases", func(t *testing.T, server *redistest.Server) error {
		return openError(t, []string{server.Addr}, "db: 99")
	}},
	{"not part of a cluster", prism.ReasonFailedPrecond, "mode: standalone", func(t *testing.T, server *redistest.Server) error {
		return openError(t, []string{listening(t, server)}, "mode: cluster")
	}},
	{"no sentinels", prism.ReasonFailedPrecond, "the sentinels' addresses", func(t *testing.T, server *redistest.Server) error {
		return openError(t, []string{listening(t, server)}, "sentinel: {master: prism}")
	}},
}

// unwell are troubles of servers that do not do what they could.
var unwell = []trouble{
	{"READONLY", prism.ReasonBackendUnavailable, "name its master", func(t *testing.T, server *redistest.Server) error {
		s := open(t, server, "")
		ask(t, server, "REPLICAOF", "127.0.0.1", "1")
		return writing(t, s)()
	}},
	{"MASTERDOWN", prism.ReasonBackendUnavailable, "REPLICAOF NO ONE", func(t *testing.T, server *redistest.Server) error {
		s := open(t, server, "")
		configure(t, server, "replica-serve-stale-data", "no")
		ask(t, server, "REPLICAOF", "127.0.0.1", "1")
		return third(s.KeyValue.Get(t.Context(), key))
	}},
	{"NOREPLICAS", prism.ReasonBackendUnavailable, "min-replicas-to-write", func(t *testing.T, server *redistest.Server) error {
		s := open(t, server, "")
		configure(t, server, "min-replicas-to-write", "1")
		return writing(t, s)()
	}},
	{"maxmemory", prism.ReasonQuotaExceeded, "CONFIG SET maxmemory", func(t *testing.T, server *redistest.Server) error {
		s := open(t, server, "")
		configure(t, server, "maxmemory", "1kb")
		return writing(t, s)()
	}},
	{"MISCONF", prism.ReasonBackendUnavailable, "see to the disk", func(t *testing.T, server *redistest.Server) error {
		s := open(t, server, "")
		gone := t.TempDir() + "/gone"
		if err := os.Mkdir(gone, 0o700); err != nil {
			t.Fatal(err)
		}
		configure(t, server, "dir", gone, "save", "3600 1")
		if err := os.Remove(gone); err != nil {
			t.Fatal(err)
		}
		ask(t, server, "BGSAVE")
		return refusal(t, "MISCONF", writing(t, s))
	}},
	{"LOADING", prism.ReasonBackendUnavailable, "INFO persistence", func(t *testing.T, server *redistest.Server) error {
		s := open(t, server, "")
		for i := range 200 {
			ask(t, server, "SET", fmt.Sprint("load", i), strings.Repeat("x", 2000))
		}
		configure(t, server, "key-load-delay", "50000", "loading-process-events-interval-bytes", "1024")
		done := make(chan struct{})
		go func() {
			defer close(done)
			_, _ = server.Ask("DEBUG", "RELOAD") // answered when all is loaded
		}()
		err := refusal(t, "LOADING", writing(t, s))
		configure(t, server, "key-load-delay", "0")
		<-done
		return err
	}},
}

// Each thing that can be wrong with a real server has a message of its own, which says
// what to do next.
func TestWhatIsWrongWithAServerIsToldApart(t *testing.T) {
	t.Parallel()
	for _, c := range slices.Concat(misled, unwell) {
		t.Run(c.word, func(t *testing.T) {
			t.Parallel()
			err := c.provoke(t, redistest.Seven().Start(t, "--appendonly", "no", "--enable-debug-command", "local", "--enable-protected-configs", "local"))
			if !errors.Is(err, c.reason) || !strings.Contains(err.Error(), c.word) || !strings.Contains(err.Error(), c.next) {
				t.Errorf("got %v\nwant %s with %q and %q", err, c.reason, c.word, c.next)
			}
			if e := prism.From(err); e.Backend != "redis" || e.Retryable() != (c.reason == prism.ReasonBackendUnavailable) {
				t.Errorf("backend %q, to be tried again: %v", e.Backend, e.Retryable())
			}
		})
	}
}

func TestWhatIsWrongWithSentinelsIsToldApart(t *testing.T) {
	t.Parallel()
	f := redistest.Seven().Sentinel(t)
	wrong := func(what, word, next, more string) {
		t.Helper()
		err := openError(t, f.Addrs(), more)
		if !errors.Is(err, prism.ReasonFailedPrecond) || !strings.Contains(err.Error(), word) || !strings.Contains(err.Error(), next) {
			t.Errorf("%s: got %v\nwant FAILED_PRECONDITION with %q and %q", what, err, word, next)
		}
	}
	wrong("another name", `"other"`, "SENTINEL MASTERS", "sentinel: {master: other}")
	for _, s := range f.Sentinels {
		ask(t, s, "ACL", "SETUSER", "default", "resetpass", ">secret")
	}
	wrong("no password", "NOAUTH", "options.sentinel.password_file", "sentinel: {master: "+redistest.SentinelName+"}")
	s := openAt(t, []string{"127.0.0.1:1"}, "sentinel: {master: prism}")
	if _, found, err := s.KeyValue.Get(t.Context(), key); found || !errors.Is(err, prism.ReasonBackendUnavailable) || !strings.Contains(err.Error(), "sentinel") {
		t.Errorf("no sentinel there: %v %v", found, err)
	}
}

func TestWhatIsWrongWithAClusterIsToldApart(t *testing.T) {
	t.Parallel()
	cluster := redistest.Seven().Cluster(t, 0)
	if err := openError(t, cluster.Addrs()[:1], "mode: standalone"); !errors.Is(err, prism.ReasonFailedPrecond) || !strings.Contains(err.Error(), "mode: cluster") {
		t.Errorf("taken for one server: %v", err)
	}
	if err := openError(t, cluster.Addrs()[:1], "db: 1"); !errors.Is(err, prism.ReasonFailedPrecond) || !strings.Contains(err.Error(), "leave options.db out") {
		t.Errorf("a database of a cluster: %v", err)
	}
	s := openAt(t, cluster.Addrs(), "")
	call := func() error { return second(set(t.Context(), s, key, "v", none)) }
	if err := call(); err != nil {
		t.Fatal(err)
	}
	for name, slot := range keysAt(t, rawCluster(t, cluster)) {
		if strings.HasSuffix(name, "kk") {
			moving(t, cluster, slot)
		}
	}
	refused := func(word, next string) {
		t.Helper()
		err := refusal(t, word, call)
		if e := prism.From(err); !errors.Is(err, prism.ReasonBackendUnavailable) || !e.Retryable() || e.RetryAfter() <= 0 || !strings.Contains(err.Error(), next) {
			t.Errorf("%s: %v, want BACKEND_UNAVAILABLE with %q", word, err, next)
		}
	}
	refused("TRYAGAIN", "when it has moved")
	if err := cluster.Nodes[2].Kill(); err != nil {
		t.Fatal(err)
	}
	refused("CLUSTERDOWN", "--cluster check")
	eventually(t, "degraded or worse", func() bool { return s.Store.Health(t.Context()).State != driver.Healthy })
}
