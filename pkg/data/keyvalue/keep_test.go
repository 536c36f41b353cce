package keyvalue_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/prism-data-layer/prism/pkg/data/keyvalue"
	"github.com/prism-data-layer/prism/pkg/driver"
	"github.com/prism-data-layer/prism/pkg/prism"
)

// Namespaces that end the keys which ask for nothing.
var ending = []keyvalue.Policy{{DefaultTTL: time.Minute}, {MaxTTL: time.Minute}, {DefaultTTL: time.Minute, MaxTTL: time.Hour}}

func keepSet(key, value string) keyvalue.Op {
	return keyvalue.Op{Kind: keyvalue.OpSet, Key: key, Value: []byte(value), Options: keyvalue.SetOptions{KeepTTL: true}}
}

func endOf(t *testing.T, s *keyvalue.Store, key string) time.Time {
	t.Helper()
	return do(t, s, keyvalue.Op{Kind: keyvalue.OpExpiresAt, Key: key}).ExpiresAt
}

// near reports whether a key ends about d from now; stores round up to a millisecond.
func near(s *keyvalue.Store, at time.Time, d time.Duration) bool {
	return !at.IsZero() && s.TTLLeft(at) <= d+time.Millisecond && s.TTLLeft(at) > d/2
}

func TestKeepTTLGivesAKeyThatItMakesTheNamespacesEnd(t *testing.T) {
	t.Parallel()
	made := map[string]keyvalue.Op{
		"set":           keepSet("k", "v"),
		"create only":   {Kind: keyvalue.OpSetIf, Key: "k", If: keyvalue.Condition{Absent: true}, Options: keyvalue.SetOptions{KeepTTL: true}},
		"set if absent": {Kind: keyvalue.OpSetIfAbsent, Key: "k", Options: keyvalue.SetOptions{KeepTTL: true}},
	}
	for _, p := range ending {
		for name, op := range made {
			s := on(open(t, nil), p)
			do(t, s, op)
			if at := endOf(t, s, "k"); !near(s, at, time.Minute) {
				t.Errorf("%s under %+v: the key ends at %v", name, p, at)
			}
		}
	}
}

func TestKeepTTLKeepsTheEndOfAKeyThatIsThere(t *testing.T) {
	t.Parallel()
	for _, p := range ending {
		s := on(open(t, nil), p)
		do(t, s, keyvalue.Op{Kind: keyvalue.OpSet, Key: "k", Value: []byte("v"), Options: keyvalue.SetOptions{TTL: 10 * time.Second}})
		before := endOf(t, s, "k")
		do(t, s, keepSet("k", "w"))
		if at := endOf(t, s, "k"); !at.Equal(before) {
			t.Errorf("under %+v the end went from %v to %v", p, before, at)
		}
		if e, err := s.Get(t.Context(), "k"); err != nil || string(e.Value) != "w" {
			t.Errorf("the key holds %q, %v", e.Value, err)
		}
	}
	s := fresh(t)
	set(t, s, "k", "v")
	do(t, s, keepSet("k", "w"))
	if at := endOf(t, s, "k"); !at.IsZero() {
		t.Errorf("a namespace without ends ends the key at %v", at)
	}
}

func TestKeepTTLInABatchKeepsTheOrderOnAKey(t *testing.T) {
	t.Parallel()
	s := on(open(t, nil), ending[0])
	short := keyvalue.SetOptions{TTL: 10 * time.Second}
	ops := []keyvalue.Op{
		{Kind: keyvalue.OpSet, Key: "a", Value: []byte("1"), Options: short},
		keepSet("a", "2"),
		{Kind: keyvalue.OpAppend, Key: "a", Value: []byte("3")},
		keepSet("made", "1"),
		{Kind: keyvalue.OpSet, Key: "", Value: []byte("bad")},
		{Kind: keyvalue.OpDelete, Key: "a"},
		keepSet("a", "4"),
		{Kind: keyvalue.OpGet, Key: "a"},
	}
	results := make([]keyvalue.Result, len(ops))
	if err := s.Batch(t.Context(), ops, results); err != nil {
		t.Fatal(err)
	}
	for i, r := range results {
		if bad := ops[i].Key == ""; bad != (r.Err != nil) {
			t.Errorf("item %d: %v", i, r.Err)
		}
	}
	if got := results[2].Number; got != 2 {
		t.Errorf("the append made %d bytes, want 2", got)
	}
	if got := string(results[7].Value); got != "4" {
		t.Errorf("the last Get gives %q, want 4", got)
	}
	for _, key := range []string{"a", "made"} {
		if at := endOf(t, s, key); !near(s, at, time.Minute) {
			t.Errorf("%s ends at %v", key, at)
		}
	}
}

func TestKeepTTLSentAgainGivesTheFirstAnswer(t *testing.T) {
	t.Parallel()
	s := on(open(t, nil), ending[0])
	op := keepSet("k", "v")
	op.Receipt = driver.Receipt{ID: [16]byte{1}, Body: [16]byte{2}, Keep: time.Hour}
	first := do(t, s, op)
	do(t, s, keyvalue.Op{Kind: keyvalue.OpDelete, Key: "k"})
	again := do(t, s, op)
	if !again.Replayed || again.Version != first.Version {
		t.Errorf("again: %+v, first %+v", again, first)
	}
	if _, err := s.Get(t.Context(), "k"); prism.From(err).Reason != prism.ReasonNotFound {
		t.Errorf("the key is there again: %v", err)
	}
}

// A restless store loses or makes the key between the look and the write, as
// another client would.
type restless struct {
	driver.KeyValueVersioned
	plain driver.KeyValue
	left  int
}

func (r *restless) SetIf(ctx context.Context, key prism.Key, v []byte, c driver.Condition, o driver.SetOptions, once driver.Receipt) (driver.Result, error) {
	if r.left--; r.left >= 0 {
		var err error
		if c.Absent {
			_, err = r.plain.Set(ctx, key, nil, driver.SetOptions{TTL: 10 * time.Second}, driver.Receipt{})
		} else {
			_, err = r.plain.Delete(ctx, key, driver.Receipt{})
		}
		if err != nil {
			return driver.Result{}, err
		}
	}
	return r.KeyValueVersioned.SetIf(ctx, key, v, c, o, once)
}

func TestKeepTTLLooksAgainWhenTheKeyChangedMeanwhile(t *testing.T) {
	t.Parallel()
	for left, want := range []time.Duration{time.Minute, 10 * time.Second, time.Minute, 10 * time.Second} {
		set := open(t, nil)
		set.KeyValueVersioned = &restless{KeyValueVersioned: set.KeyValueVersioned, plain: set.KeyValue, left: left}
		s := on(set, ending[0])
		do(t, s, keepSet("k", "v"))
		if at := endOf(t, s, "k"); !near(s, at, want) {
			t.Errorf("after %d changes the key ends at %v, want in %s", left, at, want)
		}
		if e, err := s.Get(t.Context(), "k"); err != nil || string(e.Value) != "v" {
			t.Errorf("after %d changes the key holds %q, %v", left, e.Value, err)
		}
	}
}

func TestKeepTTLGivesUpWithTheCaller(t *testing.T) {
	t.Parallel()
	set := open(t, nil)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	s := on(set, ending[0])
	op := keepSet("k", "v")
	if _, err := s.Do(ctx, &op); err == nil {
		t.Error("a caller that has left is served")
	}
}

func TestKeepTTLNeedsVersionsOnlyWhereKeysMustEnd(t *testing.T) {
	t.Parallel()
	set := open(t, nil).Without("keyvalue_versioned")
	op := keepSet("k", "v")
	if err := on(set, none).Check(&op); err != nil {
		t.Error(err)
	}
	for _, p := range ending {
		s := on(set, p)
		err := s.Check(&op)
		wants(t, err, prism.ReasonCapabilityMissing)
		if got := prism.From(err).Meta["missing"]; got != "keyvalue_versioned" {
			t.Errorf("misses %q", got)
		}
		swap := keyvalue.Op{Kind: keyvalue.OpGetAndSet, Key: "k", Options: keyvalue.SetOptions{KeepTTL: true}}
		wants(t, s.Check(&swap), prism.ReasonInvalidArgument, "keep_ttl")
	}
}

// A batch whose later part the store refuses as a whole says so per item.
func TestABatchThatFailsMidwaySaysSoOfEachItem(t *testing.T) {
	t.Parallel()
	set := open(t, nil)
	set.KeyValueBatch = refusing{}
	s := on(set, ending[0])
	plain := keyvalue.Op{Kind: keyvalue.OpSet, Key: "b", Value: []byte("v")}
	results := make([]keyvalue.Result, 3)
	if err := s.Batch(t.Context(), []keyvalue.Op{keepSet("a", "v"), plain, plain}, results); err != nil {
		t.Fatal(err)
	}
	if results[0].Err != nil || results[1].Err == nil || results[2].Err == nil {
		t.Errorf("results %+v", results)
	}
	if err := s.Batch(t.Context(), []keyvalue.Op{plain, keepSet("a", "v")}, results[:2]); err == nil {
		t.Error("a batch of which nothing was tried has no error")
	}
}

type refusing struct{}

func (refusing) Batch(context.Context, prism.Namespace, []driver.Op, []driver.Result) error {
	return fmt.Errorf("the store is away")
}
