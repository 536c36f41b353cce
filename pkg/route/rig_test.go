package route_test

import (
	"context"
	"log/slog"
	"net/netip"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/prism-data-layer/prism/pkg/auth"
	"github.com/prism-data-layer/prism/pkg/clock"
	"github.com/prism-data-layer/prism/pkg/control"
	"github.com/prism-data-layer/prism/pkg/driver"
	"github.com/prism-data-layer/prism/pkg/driver/memory"
	"github.com/prism-data-layer/prism/pkg/prism"
	"github.com/prism-data-layer/prism/pkg/route"
	"github.com/prism-data-layer/prism/pkg/session"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var (
	start  = time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC)
	secret = []byte("0123456789abcdef0123456789abcdef")
	quiet  = slog.New(slog.DiscardHandler)
)

// A rig is a router with the stages before it: real ones, on memory.
type rig struct {
	*route.Router
	t        testing.TB
	clock    clock.Clock
	keys     *auth.Memory
	auth     *auth.Authenticator
	sessions *session.Manager
}

// drivers are the memory driver and variants of it that tests need.
func drivers(more ...driver.Spec) driver.Registry {
	durable := memory.Spec()
	durable.Name = "durable"
	durable.Open = func(ctx context.Context, c driver.Config) (driver.Set, error) {
		s, err := memory.Spec().Open(ctx, c)
		s.Info.Durable, s.Info.Durability = true, "acked means fsynced"
		return s, err
	}
	return append(driver.Registry{memory.Spec(), durable}, more...)
}

func newRig(t testing.TB, c clock.Clock, more ...driver.Spec) *rig {
	t.Helper()
	r := &rig{t: t, clock: c, keys: auth.NewMemory()}
	r.auth = auth.New(auth.Required, r.keys, c)
	r.sessions = session.New(nil, session.Options{}, c, quiet)
	r.Router = route.New(route.Options{Drivers: drivers(more...), Dir: t.TempDir(), Secret: secret, Clock: c, Log: quiet})
	t.Cleanup(func() { r.Close() })
	r.backends("m memory")
	return r
}

// backends opens backends given as "name driver".
func (r *rig) backends(list ...string) {
	r.t.Helper()
	if err := r.OpenBackends(context.Background(), backendsOf(list...)); err != nil {
		r.t.Fatal(err)
	}
}

func backendsOf(list ...string) []route.Backend {
	var b []route.Backend
	for _, text := range list {
		for i := range text {
			if text[i] == ' ' {
				b = append(b, route.Backend{Name: text[:i], Driver: text[i+1:]})
			}
		}
	}
	return b
}

func (r *rig) apply(list ...control.Namespace) {
	r.t.Helper()
	if err := r.Apply(list); err != nil {
		r.t.Fatal(err)
	}
}

// principal proves who brings a key for name.
func (r *rig) principal(name string, roles ...string) auth.Principal {
	r.t.Helper()
	record, text, err := auth.NewKey(name, roles, 0, r.clock.Now())
	if err != nil {
		r.t.Fatal(err)
	}
	r.keys.Put(record)
	who, err := r.auth.Authenticate(context.Background(), auth.Credential{Authorization: "Bearer " + text})
	if err != nil {
		r.t.Fatal(err)
	}
	return who
}

// as is the implicit session of a principal; "dev" is authentication off.
func (r *rig) as(name string, roles ...string) session.Session {
	r.t.Helper()
	var who auth.Principal
	if name == auth.Dev {
		var err error
		who, err = auth.New(auth.Off, nil, r.clock).Authenticate(context.Background(), auth.Credential{Peer: netip.MustParseAddr("127.0.0.1")})
		if err != nil {
			r.t.Fatal(err)
		}
	} else {
		who = r.principal(name, roles...)
	}
	s, err := r.sessions.Open(context.Background(), who, "")
	if err != nil {
		r.t.Fatal(err)
	}
	return s
}

// narrowed is an explicit session of a principal for some namespaces.
func (r *rig) narrowed(who auth.Principal, namespaces ...prism.Namespace) session.Session {
	r.t.Helper()
	s, _, err := r.sessions.Create(context.Background(), who, session.CreateRequest{Namespaces: namespaces})
	if err != nil {
		r.t.Fatal(err)
	}
	return s
}

// resolve is one call's way to a namespace; the target is released with the
// test.
func (r *rig) resolve(s session.Session, name string, a prism.Action) (route.Target, error) {
	return r.Resolve(context.Background(), s, name, a, 1)
}

func (r *rig) hold(s session.Session, name string, a prism.Action) route.Target {
	r.t.Helper()
	t, err := r.resolve(s, name, a)
	if err != nil {
		r.t.Fatal(err)
	}
	return t
}

// may reports whether a session may do something with a namespace that is
// there.
func (r *rig) may(s session.Session, name string, a prism.Action) bool {
	r.t.Helper()
	t, err := r.resolve(s, name, a)
	if err == nil {
		if err := t.May(a); err != nil {
			r.t.Errorf("resolved for %s, and then %v", a, err)
		}
		t.Release()
		return true
	}
	if e := prism.From(err); e.Reason != prism.ReasonPermissionDenied {
		r.t.Errorf("%s on %s: %v", a, name, err)
	}
	return false
}

// ns is a key-value namespace on the backend m.
func ns(name string, access control.Access) control.Namespace {
	return control.Namespace{
		Name: name, Model: "keyvalue", State: control.Active,
		Binding: control.Binding{Backend: "m", Driver: "memory"}, Access: access,
	}
}

func owned(by ...string) control.Access { return control.Access{Owners: by} }

func granted(principal string, permissions ...string) control.Access {
	return control.Access{Consumers: []control.Grant{{Principal: principal, Permissions: permissions}}}
}

// ended says why a target's streams end, "" if they go on.
func ended(t route.Target) prism.Reason {
	select {
	case <-t.Done():
		return prism.From(t.Err()).Reason
	default:
		return ""
	}
}

// until waits for something that another goroutine does.
func until(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); !ok(); {
		if time.Now().After(end) {
			t.Fatalf("waited in vain until %s", what)
		}
		time.Sleep(time.Millisecond)
	}
}

// odd is a store whose health and close are the test's.
type odd struct {
	driver.Store
	health  func(context.Context) driver.Health
	closeAs error
	closed  *atomic.Int64
}

func (o odd) Health(ctx context.Context) driver.Health {
	if o.health == nil {
		return o.Store.Health(ctx)
	}
	return o.health(ctx)
}

func (o odd) Close() error {
	if o.closed != nil {
		o.closed.Add(1)
	}
	if err := o.Store.Close(); err != nil {
		return err
	}
	return o.closeAs
}

// oddly is a driver of such stores.
func oddly(name string, o odd, without ...string) driver.Spec {
	return driver.Spec{Name: name, Open: func(ctx context.Context, c driver.Config) (driver.Set, error) {
		s, err := memory.Spec().Open(ctx, c)
		o := o
		o.Store = s.Store
		s.Store = o
		return s.Without(without...), err
	}}
}
