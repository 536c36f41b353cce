package route_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prism-data-layer/prism/pkg/auth"
	"github.com/prism-data-layer/prism/pkg/clock"
	"github.com/prism-data-layer/prism/pkg/control"
	"github.com/prism-data-layer/prism/pkg/data/keyvalue"
	"github.com/prism-data-layer/prism/pkg/driver"
	"github.com/prism-data-layer/prism/pkg/prism"
	"github.com/prism-data-layer/prism/pkg/route"
	"github.com/prism-data-layer/prism/pkg/session"
)

func put(t *testing.T, target route.Target, key, value string) {
	t.Helper()
	kv, err := target.KeyValue()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := kv.Do(t.Context(), &keyvalue.Op{Kind: keyvalue.OpSet, Key: key, Value: []byte(value)}); err != nil {
		t.Fatal(err)
	}
}

func TestATargetLeadsToItsNamespace(t *testing.T) {
	t.Parallel()
	r := newRig(t, clock.Real())
	other := ns("queue", control.Access{})
	other.Model = "queue"
	r.apply(ns("kv", control.Access{}), other)
	dev := r.as(auth.Dev)
	target := r.hold(dev, "kv", prism.ActionWrite)
	put(t, target, "k", "v")
	if target.Namespace() != "kv" || target.Err() != nil || ended(target) != "" {
		t.Errorf("%q, %v", target.Namespace(), target.Err())
	}
	s, ok := r.Namespace(t.Context(), "kv")
	if !ok || s.Usage.Keys != 1 || s.Inflight != 1 || s.Durable || s.Durability == "" || len(s.Capabilities) != 11 {
		t.Errorf("status: %+v, %v", s, ok)
	}
	target.Release()
	if s, _ := r.Namespace(t.Context(), "kv"); s.Inflight != 0 {
		t.Errorf("%d in flight", s.Inflight)
	}
	if _, ok := r.Namespace(t.Context(), "gone"); ok {
		t.Error("a namespace that is not there has a status")
	}
	queue := r.hold(dev, "queue", prism.ActionRead)
	defer queue.Release()
	_, err := queue.KeyValue()
	if e := prism.From(err); e == nil || e.Reason != prism.ReasonCapabilityMissing || e.Meta["missing"] != "keyvalue_basic" || e.Namespace != "queue" {
		t.Errorf("a queue as key-value: %v", err)
	}
}

// What a running stream must notice, and what it must not.
func TestStreamsEndWhenWhatTheyRestOnChanges(t *testing.T) {
	t.Parallel()
	access := func() control.Access { return granted("service:checkout", "read", "write") }
	for name, c := range map[string]struct {
		change func(*control.Namespace)
		want   prism.Reason
	}{
		"nothing":         {func(*control.Namespace) {}, ""},
		"description":     {func(n *control.Namespace) { n.Description, n.Revision = "new", 2 }, ""},
		"limits":          {func(n *control.Namespace) { n.Limits.RequestRPS = 5 }, ""},
		"default ttl":     {func(n *control.Namespace) { n.DefaultTTL = time.Hour }, ""},
		"needs":           {func(n *control.Namespace) { n.Needs.ReadRPS = 5 }, ""},
		"wished backend":  {func(n *control.Namespace) { n.Backend = "m2" }, ""},
		"degraded":        {func(n *control.Namespace) { n.State = control.Degraded }, ""},
		"a right less":    {func(n *control.Namespace) { n.Access = granted("service:checkout", "read") }, prism.ReasonMoved},
		"another owner":   {func(n *control.Namespace) { n.Access.Owners = []string{"team:x"} }, prism.ReasonMoved},
		"no access":       {func(n *control.Namespace) { n.Access = control.Access{} }, prism.ReasonMoved},
		"another binding": {func(n *control.Namespace) { n.Binding.Backend = "m2" }, prism.ReasonMoved},
		"deleting":        {func(n *control.Namespace) { n.State = control.Deleting }, prism.ReasonNamespaceBusy},
		"deleted":         {func(n *control.Namespace) { n.State = control.Deleted }, prism.ReasonNamespaceBusy},
		"gone":            {func(n *control.Namespace) { n.Name = "another" }, prism.ReasonNamespaceBusy},
		"lost backend":    {func(n *control.Namespace) { n.Binding.Backend = "nowhere" }, prism.ReasonNamespaceBusy},
	} {
		r := newRig(t, clock.Real())
		r.backends("m2 memory")
		r.apply(ns("kv", access()), ns("beside", access()))
		s := r.as("service:checkout")
		target, beside := r.hold(s, "kv", prism.ActionRead), r.hold(s, "beside", prism.ActionRead)
		n := ns("kv", access())
		c.change(&n)
		err := r.Apply([]control.Namespace{n, ns("beside", access())})
		if (err != nil) != (name == "lost backend") {
			t.Errorf("%s: %v", name, err)
		}
		if got := ended(target); got != c.want {
			t.Errorf("%s: ended by %q, want %q", name, got, c.want)
		}
		if got := ended(beside); got != "" {
			t.Errorf("%s: the namespace beside it ended by %s", name, got)
		}
		if c.want != "" {
			e := prism.From(target.Err())
			if e.Namespace != "kv" || !strings.Contains(e.Message, `"kv"`) {
				t.Errorf("%s: %+v", name, e)
			}
			e.WithMeta("x", "y").Message = "changed by a caller" // a copy of its own
			if again := prism.From(target.Err()); again.Message == "changed by a caller" || again.Meta != nil {
				t.Errorf("%s: callers share one error", name)
			}
		}
		target.Release()
		beside.Release()
	}
}

func TestALateChangeDoesNotChangeTheCause(t *testing.T) {
	t.Parallel()
	r := newRig(t, clock.Real())
	r.apply(ns("kv", owned("user:ann")))
	target := r.hold(r.as("user:ann"), "kv", prism.ActionRead)
	defer target.Release()
	r.apply(ns("kv", owned("user:bob")))
	r.apply()
	if got := ended(target); got != prism.ReasonMoved {
		t.Errorf("ended by %s, want the first cause", got)
	}
}

// One bad namespace is left out and named; the rest is in force, and so is
// what was changed of it.
func TestABadNamespaceDoesNotKeepOutTheOthers(t *testing.T) {
	t.Parallel()
	r := newRig(t, clock.Real())
	bad := ns("bad", control.Access{})
	bad.Binding.Backend = "gone"
	bad2 := ns("bad2", control.Access{})
	bad2.Binding = control.Binding{}
	err := r.Apply([]control.Namespace{bad, ns("good", owned("user:ann")), bad2})
	if err == nil || !strings.Contains(err.Error(), `"bad"`) || !strings.Contains(err.Error(), `"gone"`) || !strings.Contains(err.Error(), `"bad2"`) || !errors.Is(err, prism.ReasonFailedPrecond) {
		t.Errorf("got %v, want both named", err)
	}
	if !r.may(r.as("user:ann"), "good", prism.ActionWrite) {
		t.Error("the good one is not in force")
	}
	if _, err := r.resolve(r.as(auth.Dev), "bad", prism.ActionRead); !errors.Is(err, prism.ReasonNotFound) {
		t.Errorf("the bad one: %v", err)
	}
}

func TestCallsAreCountedOverAllVersionsOfANamespace(t *testing.T) {
	t.Parallel()
	r := newRig(t, clock.Real())
	inflight := func(want int64) {
		t.Helper()
		if s, ok := r.Namespace(t.Context(), "kv"); !ok || s.Inflight != want {
			t.Errorf("%d in flight, want %d", s.Inflight, want)
		}
	}
	r.apply(ns("kv", owned("user:ann")))
	ann := r.as("user:ann")
	first := r.hold(ann, "kv", prism.ActionRead)
	r.apply(ns("kv", owned("user:ann", "user:bob"))) // a new version, with streams ended
	second := r.hold(ann, "kv", prism.ActionRead)
	inflight(2)
	first.Release()
	inflight(1)
	second.Release()
	inflight(0)
	if _, err := r.resolve(r.as("user:eve"), "kv", prism.ActionRead); err == nil {
		t.Error("eve came in")
	}
	inflight(0) // a refused call holds nothing
}

func TestDropWaitsForTheLastCallAndRemovesTheData(t *testing.T) {
	t.Parallel()
	c := clock.NewFake(start)
	r := newRig(t, c)
	record := ns("kv", control.Access{})
	r.apply(record, ns("beside", control.Access{}))
	dev := r.as(auth.Dev)
	target, beside := r.hold(dev, "kv", prism.ActionWrite), r.hold(dev, "beside", prism.ActionWrite)
	put(t, target, "k", "v")
	put(t, beside, "k", "v")
	held := r.Held("kv")
	r.apply(ns("beside", control.Access{}))
	if _, err := r.resolve(dev, "kv", prism.ActionRead); !errors.Is(err, prism.ReasonNotFound) {
		t.Errorf("a call after Apply: %v", err)
	}

	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := r.Drop(ctx, record, held); !errors.Is(err, prism.ReasonDeadlineExceeded) || !strings.Contains(err.Error(), "1 calls") {
		t.Errorf("a drop that may not wait: %v", err)
	}

	const sweepers = 1 // a timer that waits in the memory backend
	until(t, "the backend is idle", func() bool { return c.Timers() == sweepers })
	done := make(chan error, 1)
	go func() { done <- r.Drop(t.Context(), record, held) }()
	for range 5 {
		until(t, "drop waits", func() bool { return c.Timers() > sweepers })
		select {
		case err := <-done:
			t.Fatalf("dropped under a call that holds it: %v", err)
		default:
		}
		kv, err := target.KeyValue()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := kv.Get(t.Context(), "k"); err != nil {
			t.Fatalf("the data went while a call held it: %v", err)
		}
		c.Advance(10 * time.Millisecond)
	}
	target.Release()
	until(t, "drop has ended", func() bool {
		c.Advance(10 * time.Millisecond)
		return len(done) == 1
	})
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	r.apply(record, ns("beside", control.Access{}))
	if s, _ := r.Namespace(t.Context(), "kv"); s.Usage.Keys != 0 || s.Inflight != 0 {
		t.Errorf("after the drop: %+v", s)
	}
	if s, _ := r.Namespace(t.Context(), "beside"); s.Usage.Keys != 1 {
		t.Errorf("the namespace beside it: %+v", s)
	}
	beside.Release()
}

func TestDropOfWhatWasNeverInForce(t *testing.T) {
	t.Parallel()
	r := newRig(t, clock.Real())
	if err := r.Drop(t.Context(), ns("never", control.Access{}), r.Held("never")); err != nil {
		t.Error(err)
	}
	record := ns("kv", control.Access{})
	record.Binding.Backend = "gone"
	if err := r.Drop(t.Context(), record, r.Held("kv")); !errors.Is(err, prism.ReasonFailedPrecond) {
		t.Errorf("on a backend that is not open: %v", err)
	}
}

// Changes and calls at the same time: every call gets a target that works or a
// clear refusal, and in the end nothing is held.
func TestChangesWhileCallsRun(t *testing.T) {
	t.Parallel()
	r := newRig(t, clock.Real())
	r.backends("m2 memory")
	versions := []control.Namespace{ns("kv", owned("user:ann")), ns("kv", owned("user:ann", "user:bob")), ns("kv", owned("user:ann"))}
	versions[2].Binding.Backend = "m2"
	r.apply(versions[0])
	s := r.as("user:ann")
	stop := make(chan struct{})
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				target, err := r.resolve(s, "kv", prism.ActionWrite)
				if err != nil {
					switch prism.From(err).Reason {
					case prism.ReasonPermissionDenied, prism.ReasonMoved, prism.ReasonNamespaceBusy:
						continue
					}
					t.Errorf("got %v", err)
					return
				}
				if kv, err := target.KeyValue(); err != nil {
					t.Error(err)
				} else if _, err := kv.Do(t.Context(), &keyvalue.Op{Kind: keyvalue.OpIncrement, Key: "n", Delta: 1}); err != nil {
					t.Error(err)
				}
				target.Release()
			}
		})
	}
	for i := range 600 {
		if i%7 == 0 {
			r.apply()
			continue
		}
		r.apply(versions[i%len(versions)])
	}
	close(stop)
	wg.Wait()
	r.apply(versions[0])
	if s, _ := r.Namespace(t.Context(), "kv"); s.Inflight != 0 {
		t.Errorf("%d calls in flight after all", s.Inflight)
	}
}

func TestBackendsOpenAllOrNone(t *testing.T) {
	t.Parallel()
	var closed atomic.Int64
	broken := errors.New("no such device")
	r := newRig(t, clock.Real(), oddly("spy", odd{closed: &closed}), driver.Spec{
		Name: "broken", Open: func(context.Context, driver.Config) (driver.Set, error) {
			return driver.Set{}, prism.New(prism.ReasonDiskFull, "no room").WithCause(broken)
		},
	})
	err := r.OpenBackends(t.Context(), backendsOf("a spy", "b broken", "c spy", "d nonsense"))
	if err == nil || !errors.Is(err, prism.ReasonDiskFull) || !errors.Is(err, broken) || !errors.Is(err, prism.ReasonInvalidConfig) {
		t.Errorf("got %v, want both problems", err)
	}
	for _, text := range []string{`"b"`, `"d"`, `"nonsense"`, "memory"} {
		if !strings.Contains(err.Error(), text) {
			t.Errorf("%v does not name %s", err, text)
		}
	}
	if got := r.Backends(); len(got) != 1 || got[0] != "m" || closed.Load() != 2 {
		t.Errorf("open are %v, and %d were closed", got, closed.Load())
	}
	r.backends("a spy", "m memory", "a spy")
	if got := r.Backends(); len(got) != 2 || got[0] != "a" {
		t.Errorf("open are %v", got)
	}
	err = r.OpenBackends(t.Context(), backendsOf("z spy", "a memory"))
	if !errors.Is(err, prism.ReasonFailedPrecond) || !strings.Contains(err.Error(), "restart") || len(r.Backends()) != 2 {
		t.Errorf("another driver under the same name: %v, open are %v", err, r.Backends())
	}
	r.backends() // what is no longer declared stays open
	if len(r.Backends()) != 2 {
		t.Errorf("open are %v", r.Backends())
	}
}

func TestABackendIsOpenedInAFolderOfItsOwnAndWrapped(t *testing.T) {
	t.Parallel()
	var configs []driver.Config
	spec := oddly("spy", odd{})
	inner := spec.Open
	spec.Open = func(ctx context.Context, c driver.Config) (driver.Set, error) {
		configs = append(configs, c)
		return inner(ctx, c)
	}
	r := route.New(route.Options{
		Drivers: driver.Registry{spec}, Dir: "/data", Secret: secret, Clock: clock.Real(), Log: quiet,
		Wrap: func(name string, s driver.Set) driver.Set { return s.Without("keyvalue_watch") },
	})
	defer r.Close()
	options := func(any) error { return nil }
	if err := r.OpenBackends(t.Context(), []route.Backend{{Name: "b1", Driver: "spy", Options: options, DeclaredIn: "prism.yaml:14"}}); err != nil {
		t.Fatal(err)
	}
	if len(configs) != 1 || configs[0].Dir != "/data/backends/b1" || configs[0].Name != "b1" || configs[0].Options == nil || configs[0].Log == nil {
		t.Errorf("opened with %+v", configs)
	}
	s, err := r.Status("b1")
	if err != nil || s.DeclaredIn != "prism.yaml:14" || s.Driver != "spy" || slices.Contains(s.Capabilities, "keyvalue_watch") || !slices.Contains(s.Capabilities, "keyvalue_basic") {
		t.Errorf("status: %+v, %v", s, err)
	}
}

func TestWhereANewNamespaceGoes(t *testing.T) {
	t.Parallel()
	r := newRig(t, clock.Real(), oddly("poor", odd{}, "keyvalue_basic"))
	r.backends("p poor")
	bind := func(model, wish, backend, drv string, reason prism.Reason, field string) {
		t.Helper()
		b, err := r.Bind(model, wish)
		if reason == "" {
			if err != nil || b != (control.Binding{Backend: backend, Driver: drv}) {
				t.Errorf("%s, wish %q: got %+v, %v", model, wish, b, err)
			}
			return
		}
		e := prism.From(err)
		if e == nil || e.Reason != reason || field != "" && (len(e.Fields) != 1 || e.Fields[0].Field != field) {
			t.Errorf("%s, wish %q: got %v, want %s on %q", model, wish, err, reason, field)
		}
	}
	bind("keyvalue", "", "", "", prism.ReasonFailedPrecond, "") // nothing durable is there
	bind("keyvalue", "m", "m", "memory", "", "")
	bind("keyvalue", "gone", "", "", prism.ReasonInvalidArgument, "backend")
	bind("keyvalue", "p", "", "", prism.ReasonInvalidArgument, "backend")
	bind("queue", "m", "m", "memory", "", "")
	bind("graph", "m", "", "", prism.ReasonInvalidArgument, "model")
	bind("", "", "", "", prism.ReasonInvalidArgument, "model")
	r.backends("z durable", "d durable")
	bind("keyvalue", "", "d", "durable", "", "")
	bind("keyvalue", "z", "z", "durable", "", "")
}

func TestAProbeTellsHowABackendDoes(t *testing.T) {
	t.Parallel()
	c := clock.NewFake(start)
	var state atomic.Int64
	r := newRig(t, c, oddly("moody", odd{health: func(context.Context) driver.Health {
		return driver.Health{State: driver.HealthState(state.Load()), Message: "mood", Facts: map[string]string{"a": "b"}}
	}}))
	r.backends("b moody")
	n, n2 := ns("y", control.Access{}), ns("x", control.Access{})
	n.Binding.Backend, n2.Binding.Backend = "b", "b"
	r.apply(n, n2, ns("elsewhere", control.Access{}))
	if s, err := r.Status("b"); err != nil || s.Health.State != 0 || !s.CheckedAt.IsZero() || strings.Join(s.Namespaces, " ") != "x y" {
		t.Errorf("before: %+v, %v", s, err)
	}
	var errs int64
	for _, want := range []driver.HealthState{driver.Healthy, driver.Unhealthy, driver.Degraded, driver.Unhealthy} {
		c.Advance(time.Second)
		state.Store(int64(want))
		if want == driver.Unhealthy {
			errs++
		}
		s, err := r.Probe(t.Context(), "b")
		if err != nil || s.Health.State != want || s.Faults != errs || !s.CheckedAt.Equal(c.Now()) || s.Health.Facts["a"] != "b" || errs > 0 && s.LastError != "mood" {
			t.Errorf("got %+v, %v, want %s with %d errors", s, err, want, errs)
		}
		if again, err := r.Status("b"); err != nil || again.Health.State != want {
			t.Errorf("the status afterwards: %+v, %v", again, err)
		}
	}
	for _, ask := range []func() error{
		func() error { _, err := r.Probe(t.Context(), "gone"); return err },
		func() error { _, err := r.Status("gone"); return err },
	} {
		if err := ask(); !errors.Is(err, prism.ReasonNotFound) {
			t.Errorf("of a backend that is not there: %v", err)
		}
	}
}

// A store that never answers is unhealthy after two seconds, holds up nobody
// for longer, and costs one goroutine however often it is asked.
func TestAStuckBackendIsUnhealthyAndAskedOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		var asked atomic.Int64
		r := newRig(t, clock.Real(), oddly("stuck", odd{health: func(context.Context) driver.Health {
			asked.Add(1)
			<-release
			return driver.Health{State: driver.Healthy}
		}}))
		r.backends("b stuck")
		var wg sync.WaitGroup
		for range 5 {
			wg.Go(func() {
				began := time.Now()
				s, err := r.Probe(t.Context(), "b")
				if err != nil || s.Health.State != driver.Unhealthy || !strings.Contains(s.LastError, "2s") || time.Since(began) != 2*time.Second {
					t.Errorf("after %s: %+v, %v", time.Since(began), s, err)
				}
			})
		}
		wg.Wait()
		if s, err := r.Probe(t.Context(), "m"); err != nil || s.Health.State != driver.Healthy {
			t.Errorf("another backend: %+v, %v", s, err)
		}
		if n := asked.Load(); n != 1 {
			t.Errorf("it was asked %d times", n)
		}
		close(release)
		synctest.Wait()
		if s, err := r.Probe(t.Context(), "b"); err != nil || s.Health.State != driver.Healthy || asked.Load() != 2 {
			t.Errorf("once it answers again: %+v, %v, asked %d times", s, err, asked.Load())
		}
	})
}

func TestACallerWhoLeavesSaysNothingAboutTheBackend(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	r := newRig(t, clock.Real(), oddly("slow", odd{health: func(context.Context) driver.Health {
		<-release
		return driver.Health{State: driver.Healthy}
	}}))
	r.backends("b slow")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := r.Probe(ctx, "b"); !errors.Is(err, prism.ReasonCancelled) {
		t.Errorf("got %v", err)
	}
	if s, _ := r.Status("b"); s.Health.State != 0 || s.Faults != 0 {
		t.Errorf("the backend is now %+v", s)
	}
	close(release)
	if s, err := r.Probe(t.Context(), "b"); err != nil || s.Health.State != driver.Healthy {
		t.Errorf("the next one: %+v, %v", s, err)
	}
}

func TestWatchProbesEveryBackendNowAndThen(t *testing.T) {
	t.Parallel()
	c := clock.NewFake(start)
	var asked atomic.Int64
	r := newRig(t, c, oddly("spy", odd{health: func(context.Context) driver.Health {
		asked.Add(1)
		return driver.Health{State: driver.Healthy}
	}}))
	r.backends("b spy")
	const idle = 2 // a timer that waits in each memory backend
	until(t, "the backends are idle", func() bool { return c.Timers() == idle })
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		r.Watch(ctx, 10*time.Second)
		close(done)
	}()
	for want := range int64(3) {
		until(t, "the watch waits", func() bool { return c.Timers() > idle })
		until(t, "every backend is asked", func() bool {
			s, _ := r.Status("b")
			m, _ := r.Status("m")
			return asked.Load() == want+1 && s.CheckedAt.Equal(c.Now()) && m.CheckedAt.Equal(c.Now()) && m.Health.State == driver.Healthy
		})
		if want < 2 {
			c.Advance(10 * time.Second)
		}
	}
	cancel()
	<-done
	if c.Timers() != idle {
		t.Errorf("%d timers wait, want %d", c.Timers(), idle)
	}
}

func TestCloseEndsStreamsAndBackends(t *testing.T) {
	t.Parallel()
	var closed atomic.Int64
	broken := errors.New("input/output error")
	r := newRig(t, clock.Real(), oddly("spy", odd{closed: &closed}), oddly("sick", odd{closed: &closed, closeAs: broken}))
	r.backends("b spy", "s sick")
	n := ns("kv", control.Access{})
	n.Binding.Backend = "b"
	r.apply(n)
	dev := r.as(auth.Dev)
	target := r.hold(dev, "kv", prism.ActionRead)
	if err := r.Close(); !errors.Is(err, broken) || !strings.Contains(err.Error(), `"s"`) {
		t.Errorf("got %v, want the error of s", err)
	}
	if got := ended(target); got != prism.ReasonDraining {
		t.Errorf("the stream ended by %q", got)
	}
	if prism.From(target.Err()).Namespace != "kv" {
		t.Errorf("got %v", target.Err())
	}
	target.Release()
	if closed.Load() != 2 || len(r.Backends()) != 0 {
		t.Errorf("%d closed, open are %v", closed.Load(), r.Backends())
	}
	if _, err := r.resolve(dev, "kv", prism.ActionRead); !errors.Is(err, prism.ReasonNotFound) {
		t.Errorf("a call after it: %v", err)
	}
	if err := r.Close(); err != nil || closed.Load() != 2 {
		t.Errorf("again: %v, %d closed", err, closed.Load())
	}
}

// The id of a session opens nothing, one more or less in it is nobody's, and a
// token is its principal's alone: all in one answer.
func TestAttack_A28_SessionsOfOthersLeadNowhere(t *testing.T) {
	t.Parallel()
	r := newRig(t, clock.Real())
	r.apply(ns("kv", owned("user:ann")))
	ann, bob := r.principal("user:ann"), r.principal("user:bob")
	s, token, err := r.sessions.Create(t.Context(), ann, session.CreateRequest{})
	if err != nil {
		t.Fatal(err)
	}
	if own, err := r.sessions.Open(t.Context(), ann, token); err != nil || !r.may(own, "kv", prism.ActionRead) {
		t.Fatalf("her own: %v", err)
	}
	next := []byte(token)
	next[len(next)-1]++
	want := ""
	for name, try := range map[string]func() error{
		"her token": func() error { _, err := r.sessions.Open(t.Context(), bob, token); return err },
		"her id":    func() error { _, err := r.sessions.Open(t.Context(), bob, s.ID()); return err },
		"one more":  func() error { _, err := r.sessions.Open(t.Context(), ann, string(next)); return err },
		"nobody's":  func() error { _, err := r.sessions.Open(t.Context(), bob, strings.Repeat("a", len(token))); return err },
	} {
		err := try()
		if err == nil {
			t.Fatalf("%s opened a session", name)
		}
		if got := answer(t, err); want == "" {
			want = got
		} else if got != want {
			t.Errorf("%s has an answer of its own: %v", name, err)
		}
	}
	if len(s.ID()) < 22 || len(token) < 22 { // 5.95 bits a character
		t.Errorf("ids of %d and tokens of %d characters: want 128 random bits", len(s.ID()), len(token))
	}
}
