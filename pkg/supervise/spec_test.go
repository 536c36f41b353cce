//go:build linux

package supervise

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/prism-data-layer/prism/pkg/prism"
)

func TestPlanPutsDependenciesFirst(t *testing.T) {
	sh := func(name string, after ...string) Spec { return Spec{Name: name, Path: "sh", After: after} }
	order, err := plan([]Spec{sh("ui", "app"), sh("app", "store", "auth"), sh("auth", "store"), sh("store"), sh("other")})
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, s := range order {
		names = append(names, s.Name)
	}
	if got := strings.Join(names, " "); got != "store auth app ui other" {
		t.Fatalf("got %s", got)
	}
	if s := order[0]; s.Stop != 10*time.Second || s.Policy.MaxStarts != 10 || s.Policy.Max != 30*time.Second || s.Ready.Timeout != 30*time.Second {
		t.Fatalf("defaults: %+v", s)
	}
}

func TestPlanNamesEveryFault(t *testing.T) {
	l := func(name, addr string) ListenSpec { return ListenSpec{Name: name, Addr: addr} }
	_, err := plan([]Spec{
		{Name: "Bad Name", Path: "sh"},
		{Name: "a", Path: "sh", After: []string{"nobody"}},
		{Name: "a", Path: "no-such-program-at-all"},
		{Name: "b", Path: "sh", Listen: []ListenSpec{l("data", "127.0.0.1:8980"), l("data", "127.0.0.1:8981")}},
		{Name: "c", Path: "sh", Listen: []ListenSpec{l("da:ta", "127.0.0.1:8980")}},
	})
	var e *prism.Error
	if !errors.As(err, &e) || e.Reason != prism.ReasonInvalidConfig {
		t.Fatalf("got %v", err)
	}
	for _, part := range []string{
		"services[Bad Name] name must match", "services[a] is there twice", "no-such-program-at-all",
		"there is no service nobody", "socket names must be unique", "address 127.0.0.1:8980 is given to b.data too",
	} {
		if !strings.Contains(e.Message, part) {
			t.Errorf("%q does not say %q", e.Message, part)
		}
	}
}

func TestPlanPrintsTheCycle(t *testing.T) {
	_, err := plan([]Spec{
		{Name: "x", Path: "sh", After: []string{"a"}},
		{Name: "a", Path: "sh", After: []string{"b"}},
		{Name: "b", Path: "sh", After: []string{"c"}},
		{Name: "c", Path: "sh", After: []string{"a"}},
	})
	if err == nil || !strings.Contains(err.Error(), "a → b → c → a") {
		t.Fatalf("got %v", err)
	}
}

func TestBackoffDoublesToItsBoundAndGivesUpAtTheTenthStart(t *testing.T) {
	for name, jitter := range map[string]float64{"no jitter": 0, "all of it": 0.999999} {
		r := &restarts{Policy: Spec{}.withDefaults().Policy, jitter: func() float64 { return jitter }}
		var at time.Duration
		for n := 1; ; n++ {
			r.started()
			wait, loop := r.crashed(0)
			if loop {
				if n != 10 || at > time.Minute || at < 40*time.Second {
					t.Errorf("%s: the verdict came at start %d after %s", name, n, at)
				}
				break
			}
			want := min(100*time.Millisecond<<(n-1), 30*time.Second)
			if wait > want || wait < want*8/10 {
				t.Errorf("%s: wait %d is %s, want %s less at most a fifth", name, n, wait, want)
			}
			at += wait
		}
		r.forget()
		r.started()
		if _, loop := r.crashed(0); loop {
			t.Errorf("%s: a wished start got no second chance", name)
		}
	}
}

func TestRunThatStayedUpStartsTheCountAnew(t *testing.T) {
	r := &restarts{Policy: Spec{}.withDefaults().Policy, jitter: func() float64 { return 0 }}
	for range 50 {
		r.started()
		if wait, loop := r.crashed(time.Minute); loop || wait != 100*time.Millisecond {
			t.Fatalf("wait %s, loop %v", wait, loop)
		}
	}
}

func TestRowsOfProcNetTCPAreRead(t *testing.T) {
	for line, want := range map[string]string{
		"  0: 0100007F:2314 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000 0 12345 1 x": "127.0.0.1:8980 true 12345",
		"  1: 00000000000000000000000001000000:2314 0:0 0A 0:0 00:0 0 0 0 77 1":                        "[::1]:8980 true 77",
		"  2: 0000000000000000FFFF00000100007F:2315 0:0 01 0:0 00:0 0 0 0 78 1":                        "127.0.0.1:8981 false 78",
		"  3: 00000000000000000000000000000000:2314 0:0 0A 0:0 00:0 0 0 0 79 1":                        "[::]:8980 true 79",
	} {
		b, ok := parseBound(line)
		got := b.addr.String() + map[bool]string{true: " true ", false: " false "}[b.listening] + b.inode
		if !ok || got != want {
			t.Errorf("%s: got %q, want %q", line, got, want)
		}
	}
	for _, line := range []string{"", "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode", "0: zz:1 a b c d e f g h"} {
		if b, ok := parseBound(line); ok {
			t.Errorf("%q was read as %+v", line, b)
		}
	}
}

func TestHolderThatCannotBeSeenIsSaidSo(t *testing.T) {
	if got := findHolder("127.0.0.1:1").String(); got != "a process that cannot be seen from here" {
		t.Errorf("got %q", got)
	}
	if got := (holder{Addr: "127.0.0.1:1"}).String(); got != "a process of another user on 127.0.0.1:1" {
		t.Errorf("got %q", got)
	}
	if got := shorten("a\x00b\x1b[2J " + strings.Repeat("long ", 30)); len([]rune(got)) != 60 || strings.ContainsAny(got, "\x00\x1b") {
		t.Errorf("got %q", got)
	}
}

func TestCgroupIsFoundInEveryLayout(t *testing.T) {
	for name, c := range map[string]struct{ mounts, own, want string }{
		"hybrid":        {"41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw\n", "4:memory:/x\n0::/\n", "/sys/fs/cgroup/unified"},
		"unified":       {"30 23 0:26 / /sys/fs/cgroup rw shared:4 - cgroup2 cgroup2 rw\n", "0::/user.slice/a.scope\n", "/sys/fs/cgroup/user.slice/a.scope"},
		"container":     {"30 23 0:26 /docker/1 /sys/fs/cgroup rw - cgroup2 cgroup rw\n", "0::/docker/1/sub\n", "/sys/fs/cgroup/sub"},
		"own namespace": {"30 23 0:26 /../.. /sys/fs/cgroup rw - cgroup2 cgroup rw\n", "0::/\n", "/sys/fs/cgroup"},
		"with a space":  {`30 23 0:26 / /mnt/c\040g rw - cgroup2 cgroup rw` + "\n", "0::/\n", "/mnt/c g"},
	} {
		if got, err := cgroupIn(c.mounts, c.own); err != nil || got != c.want {
			t.Errorf("%s: got %q, %v, want %q", name, got, err, c.want)
		}
	}
	for name, c := range map[string][2]string{
		"version 1 only": {"32 31 0:29 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu\n", "4:memory:/\n"},
		"not mounted":    {"23 1 0:22 / / rw - ext4 /dev/vda rw\n", "0::/\n"},
	} {
		if got, err := cgroupIn(c[0], c[1]); err == nil {
			t.Errorf("%s: got %q", name, got)
		}
	}
}

func TestTooLongSocketPathIsAConfigurationError(t *testing.T) {
	dir := shortDir(t)
	_, err := Open(Options{Dir: dir, Socket: dir + "/" + strings.Repeat("x", 108) + ".sock", Services: []Spec{childSpec("a", "sleep", "")}})
	if !errors.Is(err, prism.ReasonInvalidConfig) || !strings.Contains(err.Error(), "the system takes 107") {
		t.Fatalf("got %v", err)
	}
}
