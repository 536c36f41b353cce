package keyvalue_test

import (
	"context"
	"testing"
	"time"

	"github.com/prism-data-layer/prism/pkg/clock"
	"github.com/prism-data-layer/prism/pkg/data"
	"github.com/prism-data-layer/prism/pkg/data/keyvalue"
	"github.com/prism-data-layer/prism/pkg/driver"
	"github.com/prism-data-layer/prism/pkg/driver/memory"
	"github.com/prism-data-layer/prism/pkg/prism"
)

var (
	start  = time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC)
	secret = []byte("0123456789abcdef0123456789abcdef")
	none   keyvalue.Policy
)

// open opens a memory store that ends with the test; a nil clock is the
// machine's.
func open(t testing.TB, c clock.Clock) driver.Set {
	t.Helper()
	s, err := memory.Spec().Open(context.Background(), driver.Config{Name: "m", Clock: c})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Store.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// on is the namespace kv of a set.
func on(set driver.Set, p keyvalue.Policy) *keyvalue.Store {
	return keyvalue.New(set, "kv", p, data.NewSealer(secret), clock.Real())
}

// fresh is a namespace of a store of its own, less some capabilities.
func fresh(t testing.TB, without ...string) *keyvalue.Store {
	t.Helper()
	return on(open(t, nil).Without(without...), none)
}

func do(t testing.TB, s *keyvalue.Store, op keyvalue.Op) keyvalue.Result {
	t.Helper()
	r, err := s.Do(t.Context(), &op)
	if err != nil {
		t.Fatalf("%+v: %v", op, err)
	}
	return r
}

func set(t testing.TB, s *keyvalue.Store, key, value string) keyvalue.Result {
	t.Helper()
	return do(t, s, keyvalue.Op{Kind: keyvalue.OpSet, Key: key, Value: []byte(value)})
}

// wants reports whether err has the reason and exactly the fields.
func wants(t testing.TB, err error, reason prism.Reason, fields ...string) {
	t.Helper()
	e := prism.From(err)
	if e == nil || e.Reason != reason {
		t.Errorf("got %v, want %s", err, reason)
		return
	}
	got := make([]string, len(e.Fields))
	for i, f := range e.Fields {
		got[i] = f.Field
		if f.Message == "" {
			t.Errorf("field %s says nothing", f.Field)
		}
	}
	if len(got) != len(fields) {
		t.Errorf("%v names the fields %v, want %v", err, got, fields)
		return
	}
	for i := range fields {
		if got[i] != fields[i] {
			t.Errorf("%v names the fields %v, want %v", err, got, fields)
			return
		}
	}
}
