package route_test

import (
	"errors"
	"testing"
	"time"

	"github.com/prism-data-layer/prism/pkg/auth"
	"github.com/prism-data-layer/prism/pkg/clock"
	"github.com/prism-data-layer/prism/pkg/control"
	"github.com/prism-data-layer/prism/pkg/data/cache"
	"github.com/prism-data-layer/prism/pkg/prism"
	"github.com/prism-data-layer/prism/pkg/route"
)

func cacheNamespace(name string) control.Namespace {
	return control.Namespace{Name: name, Model: "cache", State: control.Active, Binding: control.Binding{Backend: "m", Driver: "memory"}, Access: control.Access{Owners: []string{"user:dev"}}}
}

// The figures and those who wait outlive a change of the namespace; its times to
// live are in force at once.
func TestACacheGoesOnThroughAChangeOfItsNamespace(t *testing.T) {
	t.Parallel()
	r := newRig(t, clock.NewFake(start))
	store := func() *cache.Store {
		t.Helper()
		target, err := r.Resolve(t.Context(), r.as(auth.Dev), "sessions", prism.ActionWrite, 1)
		if err != nil {
			t.Fatal(err)
		}
		defer target.Release()
		c, err := target.Cache()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := target.KeyValue(); !errors.Is(err, prism.ReasonCapabilityMissing) {
			t.Errorf("the cache as key-value: %v, want CAPABILITY_MISSING", err)
		}
		return c
	}
	record := cacheNamespace("sessions")
	r.apply(record)
	if _, err := store().Do(t.Context(), &cache.Op{Kind: cache.OpSet, Key: "k", Value: []byte("v")}); err != nil {
		t.Fatal(err)
	}
	if _, found, err := store().Get(t.Context(), "k"); err != nil || !found {
		t.Fatal(found, err)
	}
	record.DefaultTTL, record.MaxTTL = time.Minute, time.Hour
	r.apply(record)
	if _, err := store().Do(t.Context(), &cache.Op{Kind: cache.OpSet, Key: "l"}); err != nil {
		t.Fatal(err)
	}
	e, found, err := store().Get(t.Context(), "l")
	if err != nil || !found || !e.ExpiresAt.Equal(start.Add(time.Minute)) {
		t.Errorf("after the change: %+v %v %v, want an end in a minute", e, found, err)
	}
	if s := r.Caches(t.Context())["sessions"]; s.Hits != 2 || s.Entries != 2 {
		t.Errorf("the figures are %+v, want 2 hits and 2 entries", s)
	}
	r.apply(record, control.Namespace{Name: "kv", Model: "keyvalue", State: control.Active, Binding: record.Binding})
	if all := r.Caches(t.Context()); len(all) != 1 {
		t.Errorf("caches are %v", all)
	}
	if _, err := (route.Target{}).Cache(); !errors.Is(err, prism.ReasonPermissionDenied) {
		t.Errorf("the zero target: %v", err)
	}
}

// A cache that names no backend goes where there is a bound.
func TestACacheGoesToABoundedBackend(t *testing.T) {
	t.Parallel()
	r := newRig(t, clock.Real())
	b, err := r.Bind("cache", "")
	if err != nil || b.Backend != "m" {
		t.Errorf("bound to %+v, %v", b, err)
	}
}
