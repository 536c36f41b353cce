package admin_test

import (
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"

	"github.com/prism-data-layer/prism/pkg/driver"
	"github.com/prism-data-layer/prism/pkg/prism"
	adminv1 "github.com/prism-data-layer/prism/proto/prism/admin/v1"
	kvv1 "github.com/prism-data-layer/prism/proto/prism/keyvalue/v1"
	"github.com/prism-data-layer/prism/test/harness"
)

func TestABackendIsTestedForEveryModelAndNothingIsLeft(t *testing.T) {
	t.Parallel()
	_, a, ctx := start(t, harness.Options{File: harness.Small})
	for _, name := range []string{"volatile", "local", "local"} {
		r, err := a.TestBackend(ctx, &adminv1.TestBackendRequest{Name: name})
		ok(t, err)
		models := map[string]bool{}
		for _, s := range r.Steps {
			models[s.Model] = true
			if s.Reason != "" || s.Message != "" || s.Name == "" {
				t.Errorf("%s: %v", name, s)
			}
		}
		if !r.Passed || len(models) != 6 {
			t.Errorf("%s: passed %v, models %v", name, r.Passed, models)
		}
	}
	_, err := a.TestBackend(ctx, &adminv1.TestBackendRequest{Name: "nope"})
	want(t, "a test of no backend", err, codes.NotFound, prism.ReasonNotFound)
}

func TestAnAddedBackendIsTriedKeptAndRemoved(t *testing.T) {
	t.Parallel()
	g, a, ctx := start(t, harness.Options{File: harness.Small})
	add := func(name, driver string, options map[string]string) (*adminv1.AddBackendResponse, error) {
		return a.AddBackend(ctx, &adminv1.AddBackendRequest{Name: name, Driver: driver, Options: options})
	}
	for what, c := range map[string]struct {
		name, driver string
		options      map[string]string
		code         codes.Code
		reason       prism.Reason
		words        string
	}{
		"declared":           {"local", "pebble", nil, codes.FailedPrecondition, prism.ReasonDeclaredInFile, "prism.yaml:"},
		"no driver":          {"more", "rediss", nil, codes.InvalidArgument, prism.ReasonInvalidConfig, "rediss"},
		"no option":          {"more", "pebble", map[string]string{"cash": "1MiB"}, codes.InvalidArgument, prism.ReasonInvalidConfig, "cash"},
		"no value":           {"more", "pebble", map[string]string{"cache": "much"}, codes.InvalidArgument, prism.ReasonInvalidConfig, "much"},
		"a secret":           {"more", "redis", map[string]string{"password": "hunter2"}, codes.InvalidArgument, prism.ReasonInvalidConfig, "secret"},
		"a variable":         {"more", "redis", map[string]string{"addrs": `["${HOME}"]`}, codes.InvalidArgument, prism.ReasonInvalidConfig, "HOME"},
		"two lines":          {"more", "pebble", map[string]string{"cache": "1MiB\nnamespaces: []"}, codes.InvalidArgument, prism.ReasonInvalidArgument, "line"},
		"another key":        {"more", "pebble", map[string]string{"a: b\nc": "1"}, codes.InvalidArgument, prism.ReasonInvalidArgument, "NAME=VALUE"},
		"one that is absent": {"more", "redis", map[string]string{"addrs": `["/nowhere/s"]`, "dial_timeout": "100ms"}, codes.Unavailable, prism.ReasonBackendUnavailable, "more"},
	} {
		_, err := add(c.name, c.driver, c.options)
		o := want(t, what, err, c.code, c.reason)
		text := o.Message()
		for _, f := range o.BadRequest.GetFieldViolations() {
			text += " " + f.Description
		}
		if !strings.Contains(text, c.words) || strings.Contains(text, "hunter2") {
			t.Errorf("%s: %q", what, text)
		}
	}
	if l, err := a.ListBackends(ctx, &adminv1.ListBackendsRequest{}); err != nil || len(l.Backends) != 2 {
		t.Fatalf("what was refused is there: %v, %v", l, err)
	}

	made, err := add("more", "pebble", map[string]string{"cache": "1MiB", "memtable": "1MiB"})
	ok(t, err)
	if b := made.Backend; !b.Added || b.DeclaredIn != "" || b.Health != adminv1.HealthState_HEALTH_STATE_HEALTHY || b.Breaker != "closed" || !b.Durable || len(made.Steps) < 10 {
		t.Errorf("added: %v", made)
	}
	_, err = add("more", "pebble", nil)
	want(t, "added twice", err, codes.AlreadyExists, prism.ReasonAlreadyExists)
	_, err = a.CreateNamespace(ctx, &adminv1.CreateNamespaceRequest{Spec: &adminv1.NamespaceSpec{Name: "there", Backend: "more"}})
	ok(t, err)
	_, err = g.KeyValue(t).Set(ctx, &kvv1.SetRequest{Namespace: "there", Key: "k", Value: []byte("v")})
	ok(t, err)

	g.Restart(t)
	a = g.Admin(t)
	if v, err := g.KeyValue(t).Get(ctx, &kvv1.GetRequest{Namespace: "there", Key: "k"}); err != nil || string(v.Value) != "v" {
		t.Errorf("after a restart: %v, %v", v, err)
	}
	remove := func(name string) error {
		_, err := a.RemoveBackend(ctx, &adminv1.RemoveBackendRequest{Name: name})
		return err
	}
	want(t, "a declared one", remove("local"), codes.FailedPrecondition, prism.ReasonDeclaredInFile)
	want(t, "one that is not there", remove("nope"), codes.NotFound, prism.ReasonNotFound)
	if o := want(t, "one with data", remove("more"), codes.FailedPrecondition, prism.ReasonFailedPrecond); !strings.Contains(o.Message(), "there") {
		t.Errorf("the namespace is not named: %s", o.Message())
	}
	_, err = a.DeleteNamespace(ctx, &adminv1.DeleteNamespaceRequest{Name: "there"})
	ok(t, err)
	harness.Eventually(t, 10*time.Second, "it can be removed", func() bool { return remove("more") == nil })
	_, err = a.GetBackend(ctx, &adminv1.GetBackendRequest{Name: "more"})
	want(t, "after its removal", err, codes.NotFound, prism.ReasonNotFound)
	g.Restart(t)
	if l, err := g.Admin(t).ListBackends(ctx, &adminv1.ListBackendsRequest{}); err != nil || len(l.Backends) != 2 {
		t.Errorf("it came back: %v, %v", l, err)
	}
}

func TestTheFileWinsOverAnAddedBackend(t *testing.T) {
	t.Parallel()
	g, a, ctx := start(t, harness.Options{File: harness.Volatile})
	_, err := a.AddBackend(ctx, &adminv1.AddBackendRequest{Name: "more", Driver: "memory"})
	ok(t, err)
	g.Write(t, strings.Replace(harness.Volatile, "  - {name: volatile, driver: memory}\n", "  - {name: volatile, driver: memory}\n  - {name: more, driver: memory}\n", 1))
	g.Restart(t)
	b, err := g.Admin(t).GetBackend(ctx, &adminv1.GetBackendRequest{Name: "more"})
	ok(t, err)
	if b.Backend.Added || !strings.HasPrefix(b.Backend.DeclaredIn, "prism.yaml:") {
		t.Errorf("got %v", b.Backend)
	}
}

func TestABackendTellsHowItsCallsDo(t *testing.T) {
	t.Parallel()
	g, a, ctx := start(t, harness.Options{Drivers: harness.Lacking("cache_bounded")})
	kv := g.KeyValue(t)
	_, err := kv.Set(ctx, &kvv1.SetRequest{Namespace: "mem", Key: "k", Value: []byte("v")})
	ok(t, err)
	_, err = kv.Increment(ctx, &kvv1.IncrementRequest{Namespace: "mem", Key: "k", Delta: 1})
	want(t, "no number", err, codes.FailedPrecondition, prism.ReasonNotANumber)
	r, err := a.GetBackend(ctx, &adminv1.GetBackendRequest{Name: "volatile"})
	ok(t, err)
	b := r.Backend
	if b.Calls != 2 || b.ErrorsByReason["NOT_A_NUMBER"] != 1 || b.Errors != 0 || b.Breaker != "closed" || b.Durable || b.RejectedOpen+b.RejectedBusy+b.InFlight != 0 {
		t.Errorf("got %v", b)
	}
	if len(b.Missing) != 1 || b.Missing[0].Name != "cache_bounded" || b.Missing[0].Why == "" || len(b.Capabilities)+1 != len(driver.Capabilities()) {
		t.Errorf("missing: %v", b.Missing)
	}
	res, err := http.Get("http://" + g.Addr("metrics") + "/metrics")
	ok(t, err)
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	ok(t, err)
	for _, line := range []string{
		`prism_backend_calls_total{backend="volatile",class="keyvalue_write"} 2`,
		`prism_backend_errors_total{backend="volatile",reason="NOT_A_NUMBER"} 1`,
		`prism_backend_breaker_state{backend="volatile"} 0`,
		`prism_backend_rejected_total{backend="volatile",cause="limit"} 0`,
		`prism_backend_in_flight{backend="volatile"} 0`,
	} {
		if !strings.Contains(string(text), line+"\n") {
			t.Errorf("metrics lack %s", line)
		}
	}
}
