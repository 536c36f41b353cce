package redis_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/prism-data-layer/prism/pkg/driver"
	"github.com/prism-data-layer/prism/pkg/driver/redis"
	"github.com/prism-data-layer/prism/pkg/driver/redis/redistest"
	"github.com/prism-data-layer/prism/pkg/prism"
)

var (
	none = driver.Receipt{}
	kept = driver.Receipt{ID: [16]byte{1}, Body: [16]byte{2}, Keep: time.Hour}
	key  = prism.Key{Namespace: "ns", Name: "k"}
)

func set(ctx context.Context, s driver.Set, k prism.Key, value string, r driver.Receipt) (driver.Result, error) {
	return s.KeyValue.Set(ctx, k, []byte(value), driver.SetOptions{}, r)
}

// eventually waits for f; a test machine may be slow.
func eventually(t *testing.T, what string, f func() bool) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); !f(); {
		if time.Now().After(deadline) {
			t.Fatalf("%s: not within 30 s", what)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// raw talks to a server without the driver.
func raw(t *testing.T, server *redistest.Server) *goredis.Client {
	t.Helper()
	c := goredis.NewClient(&goredis.Options{Network: "unix", Addr: server.Addr, MaxRetries: -1})
	t.Cleanup(func() { _ = c.Close() })
	return c
}

func TestAServerThatIsDownIsUnavailableAndComesBack(t *testing.T) {
	t.Parallel()
	server := redistest.Seven().Start(t, "--appendonly", "yes", "--appendfsync", "always")
	s := open(t, server, "")
	first, err := set(t.Context(), s, key, "v", kept)
	if err != nil {
		t.Fatal(err)
	}
	w, err := s.KeyValueWatch.Watch(t.Context(), key.Namespace, "", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = w.Close() }()
	if _, err := w.Next(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := server.Stop(); err != nil {
		t.Fatal(err)
	}
	results := make([]driver.Result, 1)
	for call, err := range map[string]error{
		"Set":   second(set(t.Context(), s, key, "w", none)),
		"Get":   third(s.KeyValue.Get(t.Context(), key)),
		"Batch": s.KeyValueBatch.Batch(t.Context(), key.Namespace, []driver.Op{{Kind: driver.OpGet, Key: "k"}}, results),
		"Watch": second(w.Next(t.Context())),
		"Usage": second(s.Store.Usage(t.Context(), key.Namespace)),
		"Drop":  s.Store.Drop(t.Context(), key.Namespace),
	} {
		if !errors.Is(err, prism.ReasonBackendUnavailable) || prism.From(err).RetryAfter() <= 0 || !prism.From(err).Retryable() {
			t.Errorf("%s while the server is down: %v, want BACKEND_UNAVAILABLE with a wait", call, err)
		}
	}
	if h := s.Store.Health(t.Context()); h.State != driver.Unhealthy || h.Message == "" {
		t.Errorf("Health is %v %q", h.State, h.Message)
	}
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	// The scripts are gone with the process; nobody notices.
	eventually(t, "back", func() bool {
		again, err := set(t.Context(), s, key, "v", kept)
		if err != nil {
			return false
		}
		if !again.Replayed || again.Version != first.Version {
			t.Errorf("the receipt did not outlive the restart: %+v", again)
		}
		return true
	})
	next, err := set(t.Context(), s, key, "w", none)
	if err != nil || next.Version <= first.Version {
		t.Errorf("after the restart: version %d after %d, %v", next.Version, first.Version, err)
	}
	c, err := w.Next(t.Context())
	if err != nil || len(c.Changes) != 1 || c.Changes[0].Version != next.Version || c.Changes[0].Previous != first.Version {
		t.Errorf("the watch goes on with %+v, %v", c, err)
	}
	eventually(t, "healthy", func() bool { return s.Store.Health(t.Context()).State == driver.Healthy })
}

func second[T any](_ T, err error) error        { return err }
func third[T, U any](_ T, _ U, err error) error { return err }

func TestAGatewayStartsWithoutItsServer(t *testing.T) {
	t.Parallel()
	server := redistest.Seven().Start(t, "--appendonly", "yes")
	if err := server.Stop(); err != nil {
		t.Fatal(err)
	}
	s := open(t, server, "")
	if s.Info.Durable || !strings.Contains(s.Info.Durability, "not known") {
		t.Errorf("nobody has told, and Info says %+v", s.Info)
	}
	if _, err := set(t.Context(), s, key, "v", none); !errors.Is(err, prism.ReasonBackendUnavailable) {
		t.Errorf("Set: %v", err)
	}
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "there", func() bool { return second(set(t.Context(), s, key, "v", none)) == nil })
}

// A proxy forwards to a server, when it is let.
type proxy struct {
	addr  string
	delay atomic.Int64
	open  sync.WaitGroup
}

func newProxy(t *testing.T, server *redistest.Server) *proxy {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{addr: l.Addr().String()}
	ctx, stop := context.WithCancel(context.Background())
	p.open.Go(func() {
		for {
			in, err := l.Accept()
			if err != nil {
				return
			}
			out, err := net.Dial("unix", server.Addr)
			if err != nil {
				_ = in.Close()
				continue
			}
			context.AfterFunc(ctx, func() { _, _ = in.Close(), out.Close() })
			p.open.Go(func() { defer in.Close(); defer out.Close(); _, _ = io.Copy(out, in) })
			p.open.Go(func() { defer in.Close(); defer out.Close(); p.slowly(ctx, in, out) })
		}
	})
	t.Cleanup(func() {
		stop()
		_ = l.Close()
		p.open.Wait()
	})
	return p
}

// slowly copies answers, each after the delay.
func (p *proxy) slowly(ctx context.Context, to io.Writer, from io.Reader) {
	b := make([]byte, 64<<10)
	for {
		n, err := from.Read(b)
		if err != nil {
			return
		}
		select {
		case <-time.After(time.Duration(p.delay.Load())):
		case <-ctx.Done():
			return
		}
		if _, err := to.Write(b[:n]); err != nil {
			return
		}
	}
}

func TestASlowServerDoesNotKeepACallerPastItsDeadline(t *testing.T) {
	t.Parallel()
	p := newProxy(t, shared.get(t, redistest.Seven()))
	s, err := redis.Spec().Open(t.Context(), driver.Config{Name: "redis", Options: options(fmt.Sprintf("addrs: [%q]\ntimeout: 1m", p.addr))})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Store.Close() }()
	k := prism.Key{Namespace: "slow", Name: "k"}
	if _, err := set(t.Context(), s, k, "v", none); err != nil {
		t.Fatal(err)
	}
	p.delay.Store(int64(time.Hour))
	for call, f := range map[string]func(context.Context) error{
		"Get": func(ctx context.Context) error { return third(s.KeyValue.Get(ctx, k)) },
		"Set": func(ctx context.Context) error { return second(set(ctx, s, k, "w", none)) },
		"Batch": func(ctx context.Context) error {
			results := make([]driver.Result, 1)
			if err := s.KeyValueBatch.Batch(ctx, k.Namespace, []driver.Op{{Kind: driver.OpDelete, Key: "k"}}, results); err != nil {
				return err
			}
			return results[0].Err
		},
	} {
		// The server's own bound is a minute: whoever ends before it kept the deadline.
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		if err := f(ctx); !errors.Is(err, prism.ReasonDeadlineExceeded) {
			t.Errorf("%s: %v, want DEADLINE_EXCEEDED", call, err)
		}
		cancel()
	}
	p.delay.Store(0)
	eventually(t, "as before", func() bool { return third(s.KeyValue.Get(t.Context(), k)) == nil })
}

func TestAFrozenServerIsUnavailableToCallersWithoutADeadline(t *testing.T) {
	t.Parallel()
	server := redistest.Seven().Start(t, "--appendonly", "no")
	s := open(t, server, "timeout: 1s") // opening must fit, on a busy machine too
	if err := server.Freeze(); err != nil {
		t.Fatal(err)
	}
	_, err := set(context.Background(), s, key, "v", none)
	if thaw := server.Thaw(); thaw != nil {
		t.Fatal(thaw)
	}
	if !errors.Is(err, prism.ReasonBackendUnavailable) {
		t.Errorf("Set: %v, want BACKEND_UNAVAILABLE", err)
	}
	eventually(t, "back", func() bool { return second(set(t.Context(), s, key, "v", none)) == nil })
}

// fill leaves a server less memory than it has used.
func fill(t *testing.T, c *goredis.Client) {
	t.Helper()
	if err := c.ConfigSet(t.Context(), "maxmemory", "1kb").Err(); err != nil {
		t.Fatal(err)
	}
}

func TestAFullServerRefusesWritesAndNothingElse(t *testing.T) {
	t.Parallel()
	for _, v := range redistest.Versions() {
		t.Run(v.Name, func(t *testing.T) {
			server := v.Start(t, "--maxmemory-policy", "noeviction")
			s, c := open(t, server, ""), raw(t, server)
			value := []byte("x")
			const n = 5
			for i := range n {
				if _, err := set(t.Context(), s, prism.Key{Namespace: "ns", Name: fmt.Sprint(i)}, "v", none); err != nil {
					t.Fatal(err)
				}
			}
			fill(t, c)
			_, err := set(t.Context(), s, key, "v", none)
			if !errors.Is(err, prism.ReasonQuotaExceeded) || prism.From(err).Quota == nil {
				t.Errorf("Set: %v, want QUOTA_EXCEEDED", err)
			}
			ops := []driver.Op{
				{Kind: driver.OpGet, Key: "0"},
				{Kind: driver.OpAppend, Key: "n", Value: value},
				{Kind: driver.OpSetIfAbsent, Key: "new", Value: value},
			}
			results := make([]driver.Result, len(ops))
			if err := s.KeyValueBatch.Batch(t.Context(), "ns", ops, results); err != nil {
				t.Fatal(err)
			}
			if !results[0].Found || results[0].Err != nil {
				t.Errorf("a full server does not read: %+v", results[0].Err)
			}
			for _, r := range results[1:] {
				if !errors.Is(r.Err, prism.ReasonQuotaExceeded) {
					t.Errorf("a write to a full server: %v", r.Err)
				}
			}
			_, err = s.KeyValueTransactional.Commit(t.Context(), "ns", nil, []driver.Op{
				{Kind: driver.OpSet, Key: "a", Value: value}, {Kind: driver.OpSet, Key: "b"},
			}, none)
			if !errors.Is(err, prism.ReasonQuotaExceeded) {
				t.Errorf("Commit: %v", err)
			}
			for i := range 3 {
				if res, err := s.KeyValue.Delete(t.Context(), prism.Key{Namespace: "ns", Name: fmt.Sprint(i)}, none); err != nil || !res.Found {
					t.Errorf("Delete on a full server: %+v %v", res, err)
				}
			}
			if err := c.ConfigSet(t.Context(), "maxmemory", "0").Err(); err != nil {
				t.Fatal(err)
			}
			if _, err := set(t.Context(), s, key, "v", none); err != nil {
				t.Errorf("Set where there is room again: %v", err)
			}
			u, err := s.Store.Usage(t.Context(), "ns")
			if err != nil || u.Keys != n-3+1 {
				t.Errorf("Usage counts %d keys, want %d, %v", u.Keys, n-3+1, err)
			}
		})
	}
}

func TestInfoSaysWhatTheServerMakesOfAnAck(t *testing.T) {
	t.Parallel()
	for want, args := range map[string][]string{
		"appendfsync always":           {"--appendonly", "yes", "--appendfsync", "always"},
		"appendfsync everysec":         {"--appendonly", "yes", "--appendfsync", "everysec"},
		"appendfsync no":               {"--appendonly", "yes", "--appendfsync", "no"},
		"save 60 1":                    {"--save", "60 1"},
		"its restart loses":            {"--appendonly", "no"},
		"maxmemory-policy allkeys-lru": {"--maxmemory", "100mb", "--maxmemory-policy", "allkeys-lru", "--appendonly", "yes", "--appendfsync", "always"},
	} {
		t.Run(want, func(t *testing.T) {
			s := open(t, redistest.Seven().Start(t, args...), "")
			if !strings.Contains(s.Info.Durability, want) {
				t.Errorf("got %q, want %q in it", s.Info.Durability, want)
			}
			if durable := want == "appendfsync always"; s.Info.Durable != durable {
				t.Errorf("%s: durable is %v", want, s.Info.Durable)
			}
			h := s.Store.Health(t.Context())
			if h.Facts["durability"] != s.Info.Durability || h.Facts["redis_version"] == "" || h.Facts["pool_size"] != "50" {
				t.Errorf("Health tells %v", h.Facts)
			}
		})
	}
}

func TestAPasswordComesFromAFile(t *testing.T) {
	t.Parallel()
	server := redistest.Seven().Start(t, "--appendonly", "no")
	c := raw(t, server)
	file := t.TempDir() + "/password"
	write(t, file, "open sesame\n")
	if err := c.ConfigSet(t.Context(), "requirepass", "open sesame").Err(); err != nil {
		t.Fatal(err)
	}
	if _, err := redis.Spec().Open(t.Context(), settings(server, "")); !errors.Is(err, prism.ReasonFailedPrecond) {
		t.Errorf("without the password: %v, want FAILED_PRECONDITION", err)
	}
	s := open(t, server, "password_file: "+file)
	if _, err := set(t.Context(), s, key, "v", none); err != nil {
		t.Error(err)
	}
	write(t, file, "wrong")
	if _, err := redis.Spec().Open(t.Context(), settings(server, "password_file: "+file)); !errors.Is(err, prism.ReasonFailedPrecond) || strings.Contains(err.Error(), "wrong") {
		t.Errorf("with a wrong password: %v, want FAILED_PRECONDITION and no secret", err)
	}
}

func TestAReplicaIsToldFromAServer(t *testing.T) {
	t.Parallel()
	server := redistest.Seven().Start(t, "--appendonly", "no")
	s := open(t, server, "")
	if err := raw(t, server).ReplicaOf(t.Context(), "127.0.0.1", "1").Err(); err != nil {
		t.Fatal(err)
	}
	if _, err := set(t.Context(), s, key, "v", none); !errors.Is(err, prism.ReasonBackendUnavailable) {
		t.Errorf("a write to a replica: %v", err)
	}
	if h := s.Store.Health(t.Context()); h.State != driver.Degraded {
		t.Errorf("Health is %v %s", h.State, h.Message)
	}
}

func TestABusyPoolIsDegraded(t *testing.T) {
	t.Parallel()
	p := newProxy(t, shared.get(t, redistest.Seven()))
	s, err := redis.Spec().Open(t.Context(), driver.Config{Name: "redis", Options: options(fmt.Sprintf("addrs: [%q]\npool_size: 3", p.addr))})
	if err != nil {
		t.Fatal(err)
	}
	p.delay.Store(int64(time.Hour))
	ctx, cancel := context.WithCancel(t.Context())
	var calls sync.WaitGroup
	for range 3 {
		calls.Go(func() { _, _, _ = s.KeyValue.Get(ctx, key) })
	}
	eventually(t, "degraded", func() bool {
		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		h := s.Store.Health(ctx)
		return h.State == driver.Unhealthy && h.Facts["pool_in_use"] == "3"
	})
	cancel()
	p.delay.Store(0)
	calls.Wait()
	if err := s.Store.Close(); err != nil {
		t.Error(err)
	}
}

func TestWhatCannotBeReadIsToldApart(t *testing.T) {
	t.Parallel()
	server := redistest.Seven().Start(t, "--appendonly", "no")
	s, c := open(t, server, ""), raw(t, server)
	const name = "{p1:2:ns:0}kk"
	for what, put := range map[string]func() error{
		"a list":          func() error { return c.LPush(t.Context(), name, "x").Err() },
		"a short string":  func() error { return c.Set(t.Context(), name, "x", 0).Err() },
		"a newer format":  func() error { return c.Set(t.Context(), name, "\x02"+strings.Repeat("\x00", 40), 0).Err() },
		"half an expiry":  func() error { return c.Set(t.Context(), name, "\x01\x01"+strings.Repeat("\x00", 20), 0).Err() },
		"nothing at last": nil,
	} {
		if err := c.Del(t.Context(), name).Err(); err != nil {
			t.Fatal(err)
		}
		if put == nil {
			continue
		}
		if err := put(); err != nil {
			t.Fatal(err)
		}
		want := prism.ReasonDataLoss
		if what == "a newer format" {
			want = prism.ReasonNewerFormat
		}
		if _, _, err := s.KeyValue.Get(t.Context(), key); !errors.Is(err, want) {
			t.Errorf("%s: Get says %v, want %s", what, err, want)
		}
		if _, err := s.KeyValueAtomic.Increment(t.Context(), key, 1, none); !errors.Is(err, want) && what != "half an expiry" {
			t.Errorf("%s: Increment says %v, want %s", what, err, want)
		}
	}
}

func TestKeysLieWhereTheyAreDocumented(t *testing.T) {
	t.Parallel()
	server := redistest.Seven().Start(t, "--appendonly", "no")
	s, c := open(t, server, ""), raw(t, server)
	if _, err := s.KeyValue.Set(t.Context(), prism.Key{Namespace: "a}b", Name: "k"}, []byte("v"), driver.SetOptions{TTL: time.Hour}, kept); err != nil {
		t.Fatal(err)
	}
	names, err := c.Keys(t.Context(), "*").Result()
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		if !strings.HasPrefix(name, "{p1:3:a}b:0}") && name != "{p1}due" {
			t.Errorf("key %q", name)
		}
	}
	record, err := c.Get(t.Context(), "{p1:3:a}b:0}kk").Result()
	if err != nil || len(record) != 33 || record[0] != 1 || !strings.HasSuffix(record, "v") {
		t.Errorf("the record is %q, %v", record, err)
	}
	if err := s.Store.Drop(t.Context(), "a}b"); err != nil {
		t.Fatal(err)
	}
	if names, err = c.Keys(t.Context(), "*").Result(); err != nil || len(names) != 1 || names[0] != "{p1:3:a}b:0}m" {
		t.Errorf("Drop leaves %q, %v", names, err)
	}
}

// Two gateways on one server tell of an expiry once, and what one has written
// wakes a watch on the other.
func TestTwoGatewaysShareAServer(t *testing.T) {
	t.Parallel()
	server := shared.get(t, redistest.Seven())
	a, b := open(t, server, ""), open(t, server, "")
	const ns = "two gateways"
	w, err := b.KeyValueWatch.Watch(t.Context(), ns, "", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = w.Close() }()
	for i := range 20 {
		if _, err := a.KeyValue.Set(t.Context(), prism.Key{Namespace: ns, Name: fmt.Sprint(i)}, nil, driver.SetOptions{TTL: 50 * time.Millisecond}, none); err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	told := map[string]int{}
	for ended := 0; ended < 20; {
		c, err := w.Next(ctx)
		if err != nil {
			t.Fatalf("after %d ends: %v", ended, err)
		}
		for _, change := range c.Changes {
			if change.Kind == driver.ChangeExpire {
				ended++
				told[change.Key]++
			}
		}
	}
	if len(told) != 20 {
		t.Errorf("told of %d keys, want 20", len(told))
	}
}
