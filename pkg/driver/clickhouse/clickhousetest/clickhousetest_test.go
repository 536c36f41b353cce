package clickhousetest_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/prism-data-layer/prism/pkg/driver/clickhouse/clickhousetest"
)

// must runs a statement that has to work. ClickHouse 18 was seen to close a new
// connection without an answer: then it is asked once more.
func must(t *testing.T, s *clickhousetest.Server, sql string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	got, err := s.Query(ctx, sql)
	if errors.Is(err, io.EOF) {
		t.Logf("asked again: %v", err)
		got, err = s.Query(ctx, sql)
	}
	if err != nil {
		t.Fatal(err)
	}
	return got
}

// becomes asks until the answer is what it is to become.
func becomes(t *testing.T, s *clickhousetest.Server, sql, want string) {
	t.Helper()
	var got string
	var err error
	for deadline := time.Now().Add(2 * time.Minute); time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		got, err = s.Query(ctx, sql)
		cancel()
		if err == nil && got == want {
			return
		}
	}
	t.Fatalf("%s gave %q, %v; it was to become %q", sql, got, err, want)
}

func TestBridgeIsClickHouse26(t *testing.T) {
	t.Parallel()
	s := clickhousetest.Bridge(t)
	if got := must(t, s, "SELECT version()"); got[:3] != "26." {
		t.Errorf("it is ClickHouse %s", got)
	}
	if s.Native != "" {
		t.Errorf("a bridge says that it has the native protocol at %s", s.Native)
	}
}

func TestServer18IsClickHouse18(t *testing.T) {
	t.Parallel()
	s := clickhousetest.Server18(t)
	if got := must(t, s, "SELECT version()"); got[:6] != "18.16." {
		t.Errorf("it is ClickHouse %s", got)
	}
}

func TestReplicasAndShards(t *testing.T) {
	t.Parallel()
	p := clickhousetest.Replicated18(t)
	a, b := p.Servers[0], p.Servers[1]
	must(t, a, "CREATE TABLE IF NOT EXISTS events ON CLUSTER "+clickhousetest.Cluster+
		" (at Date, n UInt32) ENGINE = ReplicatedMergeTree('/clickhouse/tables/{shard}/events', '{replica}', at, n, 8192)")
	must(t, a, "INSERT INTO events (at, n) VALUES ('2026-01-02', 7)")
	becomes(t, b, "SELECT n FROM events", "7")

	for i, s := range p.Servers {
		must(t, s, "CREATE TABLE part (n UInt32) ENGINE = Memory")
		must(t, s, fmt.Sprintf("INSERT INTO part (n) VALUES (%d)", i))
	}
	must(t, b, "CREATE TABLE whole AS part ENGINE = Distributed("+clickhousetest.ShardedCluster+", default, part, n)")
	becomes(t, b, "SELECT groupArray(n) FROM (SELECT n FROM whole ORDER BY n)", "[0,1]")

	if err := b.Kill(); err != nil {
		t.Fatal(err)
	}
	must(t, a, "INSERT INTO events (at, n) VALUES ('2026-01-02', 8)")
	if err := b.Start(); err != nil {
		t.Fatal(err)
	}
	becomes(t, b, "SELECT sum(n) FROM events", "15")
}

func TestServersKeepTheirDataAndAddresses(t *testing.T) {
	t.Parallel()
	for name, start := range map[string]func(clickhousetest.TB, ...clickhousetest.Option) *clickhousetest.Server{
		"26": clickhousetest.Bridge, "18": clickhousetest.Server18,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := start(t)
			must(t, s, "CREATE TABLE t (d Date, n UInt32) ENGINE = MergeTree PARTITION BY d ORDER BY n")
			for i, end := range []func() error{s.Stop, s.Kill} {
				must(t, s, fmt.Sprintf("INSERT INTO t (d, n) VALUES ('2026-01-02', %d)", i))
				if err := end(); err != nil {
					t.Fatal(err)
				}
				if got, err := s.Query(t.Context(), "SELECT 1"); err == nil {
					t.Errorf("a server that was ended answers %q", got)
				}
				if err := s.Start(); err != nil {
					t.Fatal(err)
				}
				if got, want := must(t, s, "SELECT count() FROM t"), fmt.Sprint(i+1); got != want {
					t.Errorf("after its end there are %s rows, want %s", got, want)
				}
			}
		})
	}
}

func TestAFrozenServerSaysNothing(t *testing.T) {
	t.Parallel()
	s := clickhousetest.Bridge(t)
	if err := s.Freeze(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	if got, err := s.Query(ctx, "SELECT 1"); err == nil {
		t.Errorf("it says %q", got)
	}
	if err := s.Thaw(); err != nil {
		t.Fatal(err)
	}
	becomes(t, s, "SELECT 1", "1")
}

func TestUsers(t *testing.T) {
	t.Parallel()
	options := []clickhousetest.Option{clickhousetest.User("writer", "secret"), clickhousetest.ReadOnlyUser("reader", "secret2")}
	for name, s := range map[string]*clickhousetest.Server{
		"26": clickhousetest.Bridge(t, options...), "18": clickhousetest.Server18(t, options...),
	} {
		must(t, s, "CREATE TABLE t (n UInt32) ENGINE = Memory")
		for _, c := range []struct {
			user, password, sql string
			works               bool
		}{
			{"writer", "secret", "INSERT INTO t (n) VALUES (1)", true},
			{"writer", "wrong", "SELECT 1", false},
			{"nobody", "", "SELECT 1", false},
			{"reader", "secret2", "SELECT count() FROM t", true},
			{"reader", "secret2", "INSERT INTO t (n) VALUES (1)", false},
		} {
			got, err := s.QueryAs(t.Context(), c.user, c.password, c.sql)
			if (err == nil) != c.works {
				t.Errorf("%s as %s: %s gave %q, %v", name, c.user, c.sql, got, err)
			}
		}
	}
}

func TestTiersMoveOnTwoDisks(t *testing.T) {
	t.Parallel()
	s := clickhousetest.Bridge(t, clickhousetest.Tiers())
	must(t, s, `CREATE TABLE t (at DateTime, n UInt32) ENGINE = MergeTree ORDER BY n TTL at + INTERVAL 7 DAY TO VOLUME 'cold'
		SETTINGS storage_policy = 'tiers'`)
	must(t, s, "INSERT INTO t VALUES (now(), 1)")
	const disks = "SELECT groupArray(disk_name) FROM (SELECT disk_name FROM system.parts WHERE table = 't' AND active ORDER BY disk_name)"
	if got := must(t, s, disks); got != "['hot']" || partsOn(t, s, "hot") != 1 || partsOn(t, s, "cold") != 0 {
		t.Errorf("what is new is on %s", got)
	}
	must(t, s, "ALTER TABLE t MODIFY TTL at - INTERVAL 1 DAY TO VOLUME 'cold'")
	becomes(t, s, disks, "['cold']")
	// The engine takes its time with the files that it has left on the hot one.
	if got := partsOn(t, s, "cold"); got != 1 {
		t.Errorf("the folder of the cold disk holds %d parts", got)
	}
}

// partsOn counts what is on a disk, as the file system shows it.
func partsOn(t *testing.T, s *clickhousetest.Server, disk string) int {
	t.Helper()
	parts, err := filepath.Glob(filepath.Join(s.Dir(), disk, "store", "*", "*", "all_*"))
	if err != nil {
		t.Fatal(err)
	}
	return len(parts)
}

func TestTiersAndFsyncOf18AreRefused(t *testing.T) {
	t.Parallel()
	if _, missing := clickhousetest.FindServer(); missing != "" {
		clickhousetest.Server18(t) // says so
	}
	for _, option := range []clickhousetest.Option{clickhousetest.Tiers(), clickhousetest.Fsync()} {
		if s, err := clickhousetest.RunServer18(option); err == nil {
			t.Errorf("it runs: %v", s.Close())
		}
	}
}

// refused is a test that notes how it was ended.
type refused struct {
	*testing.T
	fatal, skip string
}

func (r *refused) Fatalf(format string, args ...any) {
	r.fatal = fmt.Sprintf(format, args...)
	runtime.Goexit()
}

func (r *refused) Skipf(format string, args ...any) {
	r.skip = fmt.Sprintf(format, args...)
	runtime.Goexit()
}

func TestWhatIsMissingIsSaidLoudly(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	t.Setenv(clickhousetest.BridgeProgram, "")
	for name, start := range map[string]func(clickhousetest.TB){
		"26":         func(tb clickhousetest.TB) { clickhousetest.Bridge(tb) },
		"replicated": func(tb clickhousetest.TB) { clickhousetest.Replicated18(tb) },
	} {
		for _, require := range []string{"", "all"} {
			t.Setenv("PRISM_TEST_REQUIRE", require)
			r := &refused{T: t}
			done := make(chan struct{})
			go func() {
				defer close(done)
				start(r)
			}()
			<-done
			said := r.skip
			if require == "all" {
				said = r.fatal
			}
			if !strings.Contains(said, "tools/setup.sh sees to it") {
				t.Errorf("%s with PRISM_TEST_REQUIRE=%q: failed with %q, skipped with %q", name, require, r.fatal, r.skip)
			}
		}
	}
}

func TestAFailedStartQuotesTheLog(t *testing.T) {
	t.Parallel()
	taken := clickhousetest.Bridge(t)
	if err := taken.Stop(); err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", taken.HTTP)
	if err != nil {
		t.Fatal(err)
	}
	err = taken.Start()
	_ = l.Close()
	if err == nil || !strings.Contains(err.Error(), "address already in use") {
		t.Errorf("a start on a port that is taken gave %v", err)
	}
}
