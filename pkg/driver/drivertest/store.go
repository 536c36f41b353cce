package drivertest

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"pgregory.net/rapid"

	"github.com/prism-data-layer/prism/pkg/driver"
	"github.com/prism-data-layer/prism/pkg/prism"
)

// storePromises hold for a store whatever models it serves. They look at it
// through keyvalue_basic.
var storePromises = []promise{
	{"namespaces a and a/b share no keys, whatever bytes they are made of", testNamespaceIsolation, "keyvalue_basic anybytes"},
	{"two namespaces share nothing", testTwoNamespaces, "keyvalue_basic"},
	{"the store says who it is and what acked means", testInfo, ""},
	{"an open store is healthy", testHealthy, ""},
	{"Usage counts keys and bytes", testUsage, "keyvalue_basic"},
	{"Usage of a namespace without data is nothing", testUsageEmpty, ""},
	{"Drop removes every key of the namespace and of no other", testDrop, "keyvalue_basic"},
	{"Drop may be called again, and for a namespace without data", testDropAgain, "keyvalue_basic"},
	{"Drop forgets receipts", testDropReceipts, "keyvalue_basic"},
	{"versions stay used up after Drop", testDropVersions, "keyvalue_basic"},
	{"calls after Close fail with UNAVAILABLE", testClosed, "keyvalue_basic"},
	{"Close waits for calls in flight", testCloseInFlight, "keyvalue_basic"},
	{"data outlive a restart", testReopen, "keyvalue_basic reopen"},
	{"a dropped namespace stays empty after a restart", testReopenDropped, "keyvalue_basic reopen"},
}

// testNamespaceIsolation looks for an encoding that joins namespace and key
// with ambiguity: pairs over few bytes, many of which join to the same string.
func testNamespaceIsolation(t *T) {
	base := string(t.namespace())
	kv := t.set().KeyValue
	part := rapid.StringOfN(rapid.RuneFrom([]rune("ab/:\x00{}.")), 0, 4, -1)
	raw := rapid.Custom(func(r *rapid.T) string {
		b := rapid.SliceOfN(rapid.SampledFrom([]byte{0, 1, 'a', '/', ':', 0xFE, 0xFF}), 0, 4).Draw(r, "bytes")
		return string(b)
	})
	piece := rapid.OneOf(part, raw)
	t.property(200, func(r *rapid.T) error {
		// Both pairs are cuts of one string, so that a naive join is the same.
		whole := piece.Draw(r, "1") + piece.Draw(r, "2") + piece.Draw(r, "3") + "k"
		i := rapid.IntRange(0, len(whole)-1).Draw(r, "cut 1")
		j := rapid.IntRange(0, len(whole)-1).Draw(r, "cut 2")
		a := prism.Key{Namespace: prism.Namespace(base + whole[:i]), Name: whole[i:]}
		b := prism.Key{Namespace: prism.Namespace(base + whole[:j]), Name: whole[j:]}
		if a == b {
			b.Name += "x"
		}
		for n, k := range []prism.Key{a, b} {
			if _, err := kv.Set(t.Ctx, k, []byte{byte(n)}, driver.SetOptions{}, driver.Receipt{}); err != nil {
				return fmt.Errorf("Set %q: %v", k, err)
			}
		}
		for n, k := range []prism.Key{a, b} {
			e, found, err := kv.Get(t.Ctx, k)
			if err != nil || !found || len(e.Value) != 1 || e.Value[0] != byte(n) {
				return fmt.Errorf("%q and %q: Get of %q is %v %v %v, want [%d]", a, b, k, e.Value, found, err, n)
			}
		}
		if _, err := kv.Delete(t.Ctx, a, driver.Receipt{}); err != nil {
			return fmt.Errorf("Delete %q: %v", a, err)
		}
		if there, err := kv.Exists(t.Ctx, b); err != nil || !there {
			return fmt.Errorf("Delete of %q took %q: %v %v", a, b, there, err)
		}
		if there, err := kv.Exists(t.Ctx, a); err != nil || there {
			return fmt.Errorf("%q is there after Delete: %v %v", a, there, err)
		}
		return nil
	})
}

func testTwoNamespaces(t *T) {
	a, b := t.key("k"), prism.Key{Namespace: t.another(), Name: "k"}
	kv := t.set().KeyValue
	for _, k := range []prism.Key{a, b} {
		_, err := kv.Set(t.Ctx, k, []byte(k.Namespace), driver.SetOptions{}, driver.Receipt{})
		t.must(err)
	}
	for _, k := range []prism.Key{a, b} {
		e, found, err := kv.Get(t.Ctx, k)
		t.must(err)
		if !found || string(e.Value) != string(k.Namespace) {
			t.Errorf("Get %q: got %q %v, want its own value", k, e.Value, found)
		}
	}
	_, err := kv.Delete(t.Ctx, a, driver.Receipt{})
	t.must(err)
	if there, err := kv.Exists(t.Ctx, b); err != nil || !there {
		t.Errorf("Delete in one namespace reached the other: %v %v", there, err)
	}
}

func testInfo(t *T) {
	info := t.set().Info
	if info.Driver == "" || info.Durability == "" {
		t.Errorf("Info is %+v, want a driver and what acked means", info)
	}
	if info.Durable && t.store().Reopen == nil {
		t.Logf("durable, but the harness cannot reopen it")
	}
}

func testHealthy(t *T) {
	if h := t.set().Store.Health(t.Ctx); h.State != driver.Healthy {
		t.Errorf("Health is %v (%s), want healthy", h.State, h.Message)
	}
}

func testUsage(t *T) {
	t.put("one", "12345")
	t.put("two", "1234567890")
	t.put("gone", "x")
	t.delete("gone")
	u, err := t.set().Store.Usage(t.Ctx, t.namespace())
	t.must(err)
	if u.Estimated {
		return
	}
	if u.Keys != 2 {
		t.Errorf("Usage counts %d keys, want 2", u.Keys)
	}
	if u.Bytes < 21 {
		t.Errorf("Usage counts %d bytes, want at least the 21 of keys and values", u.Bytes)
	}
	_, err = t.set().KeyValue.Set(t.Ctx, t.key("one"), nil, driver.SetOptions{}, t.receipt("r", "b"))
	t.must(err)
	u, err = t.set().Store.Usage(t.Ctx, t.namespace())
	t.must(err)
	if !u.Estimated && u.Receipts != 1 {
		t.Errorf("Usage counts %d receipts, want 1", u.Receipts)
	}
}

func testUsageEmpty(t *T) {
	u, err := t.set().Store.Usage(t.Ctx, t.another())
	t.must(err)
	if u.Keys != 0 || u.Receipts != 0 {
		t.Errorf("Usage is %+v, want nothing", u)
	}
}

func testDrop(t *T) {
	for i := range 50 {
		t.put(fmt.Sprintf("k%d", i), "v")
	}
	// A name that begins with the dropped one: a range over a prefix takes it.
	near := []prism.Namespace{t.another()}
	if t.store().Namespace == nil {
		near = append(near, t.namespace()+"a", t.namespace()[:len(t.namespace())-1])
	}
	for _, ns := range near {
		_, err := t.set().KeyValue.Set(t.Ctx, prism.Key{Namespace: ns, Name: "k1"}, []byte("near"), driver.SetOptions{}, driver.Receipt{})
		t.must(err)
	}
	t.must(t.set().Store.Drop(t.Ctx, t.namespace()))
	for i := range 50 {
		t.lacks(fmt.Sprintf("k%d", i))
	}
	for _, ns := range near {
		if there, err := t.set().KeyValue.Exists(t.Ctx, prism.Key{Namespace: ns, Name: "k1"}); err != nil || !there {
			t.Errorf("Drop of %q took %q: %v %v", t.namespace(), ns, there, err)
		}
	}
	t.put("k1", "again")
	t.has("k1", "again")
}

func testDropAgain(t *T) {
	t.must(t.set().Store.Drop(t.Ctx, t.namespace()))
	t.put("k", "v")
	for range 2 {
		t.must(t.set().Store.Drop(t.Ctx, t.namespace()))
	}
	t.lacks("k")
}

func testDropReceipts(t *T) {
	r := t.receipt("r", "b")
	_, err := t.set().KeyValue.Set(t.Ctx, t.key("k"), []byte("v"), driver.SetOptions{}, r)
	t.must(err)
	t.must(t.set().Store.Drop(t.Ctx, t.namespace()))
	res, err := t.set().KeyValue.Set(t.Ctx, t.key("k"), []byte("v"), driver.SetOptions{}, r)
	t.must(err)
	if res.Replayed {
		t.Errorf("a receipt outlived Drop")
	}
	t.has("k", "v")
}

func testDropVersions(t *T) {
	used := map[uint64]bool{}
	var last uint64
	for range 3 {
		for range 5 {
			v := t.put("k", "v")
			if used[v] || v <= last {
				t.Errorf("version %d came after %d", v, last)
			}
			used[v], last = true, v
		}
		t.must(t.set().Store.Drop(t.Ctx, t.namespace()))
	}
}

// everyCall makes one call of each method that the Set has.
func everyCall(ctx context.Context, s *driver.Set, k prism.Key) map[string]error {
	q := driver.Query{Limit: 1, MaxBytes: 100}
	none, o, v := driver.Receipt{}, driver.SetOptions{}, []byte("v")
	errs := map[string]error{}
	if kv := s.KeyValue; kv != nil {
		_, _, errs["Get"] = kv.Get(ctx, k)
		_, errs["Set"] = kv.Set(ctx, k, v, o, none)
		_, errs["Delete"] = kv.Delete(ctx, k, none)
		_, errs["Exists"] = kv.Exists(ctx, k)
	}
	if kv := s.KeyValueVersioned; kv != nil {
		_, errs["SetIf"] = kv.SetIf(ctx, k, v, driver.Condition{Absent: true}, o, none)
		_, errs["DeleteIf"] = kv.DeleteIf(ctx, k, driver.Condition{Version: 1}, none)
	}
	if kv := s.KeyValueTTL; kv != nil {
		_, errs["Expire"] = kv.Expire(ctx, k, time.Second, none)
		_, errs["ExpiresAt"] = kv.ExpiresAt(ctx, k)
		_, errs["Persist"] = kv.Persist(ctx, k, none)
		_, errs["Touch"] = kv.Touch(ctx, k, none)
	}
	if kv := s.KeyValueScan; kv != nil {
		_, errs["Scan"] = kv.Scan(ctx, k.Namespace, q, nil)
		_, errs["Count"] = kv.Count(ctx, k.Namespace, q)
	}
	if kv := s.KeyValueOrderedScan; kv != nil {
		_, _, errs["First"] = kv.First(ctx, k.Namespace, q)
	}
	if kv := s.KeyValueBatch; kv != nil {
		for name, op := range map[string]driver.Op{
			"Batch of reads":  {Kind: driver.OpGet, Key: k.Name},
			"Batch of writes": {Kind: driver.OpSet, Key: k.Name, Value: v},
		} {
			results := make([]driver.Result, 1)
			if errs[name] = kv.Batch(ctx, k.Namespace, []driver.Op{op}, results); errs[name] == nil {
				errs[name] = results[0].Err
			}
		}
	}
	if kv := s.KeyValueAtomic; kv != nil {
		_, errs["Increment"] = kv.Increment(ctx, k, 1, none)
		_, errs["Append"] = kv.Append(ctx, k, v, none)
		_, errs["SetIfAbsent"] = kv.SetIfAbsent(ctx, k, v, o, none)
		_, errs["GetAndSet"] = kv.GetAndSet(ctx, k, v, o, none)
	}
	if kv := s.KeyValueCAS; kv != nil {
		_, errs["CompareAndSwap"] = kv.CompareAndSwap(ctx, k, v, v, o, none)
		_, errs["CompareAndDelete"] = kv.CompareAndDelete(ctx, k, v, none)
	}
	if kv := s.KeyValueTransactional; kv != nil {
		_, errs["Commit"] = kv.Commit(ctx, k.Namespace, nil, []driver.Op{{Kind: driver.OpSet, Key: k.Name, Value: v}}, none)
	}
	if kv := s.KeyValueWatch; kv != nil {
		w, err := kv.Watch(ctx, k.Namespace, "", nil)
		if err == nil {
			_, err = w.Next(ctx)
			_ = w.Close()
		}
		errs["Watch"] = err
	}
	return errs
}

func testClosed(t *T) {
	t.put("k", "v")
	k := t.key("k")
	t.must(t.set().Store.Close())
	for call, err := range everyCall(t.Ctx, t.set(), k) {
		t.unavailable(call, err)
	}
	_, err := t.set().Store.Usage(t.Ctx, k.Namespace)
	t.unavailable("Usage", err)
	t.unavailable("Drop", t.set().Store.Drop(t.Ctx, k.Namespace))
	if h := t.set().Store.Health(t.Ctx); h.State == driver.Healthy {
		t.Errorf("a closed store is healthy")
	}
}

func testCloseInFlight(t *T) {
	set, key := *t.set(), t.key("k")
	var calls atomic.Int64
	t.together(9, func(i int) error {
		if i == 0 {
			for calls.Load() < 100 {
				time.Sleep(time.Millisecond)
			}
			return set.Store.Close()
		}
		for {
			_, err := set.KeyValue.Set(t.Ctx, key, []byte("v"), driver.SetOptions{}, driver.Receipt{})
			if calls.Add(1); isUnavailable(err) {
				return nil
			} else if err != nil {
				return fmt.Errorf("a call beside Close: %w", err)
			}
		}
	})
}

func testReopen(t *T) {
	want := map[string]string{}
	for i := range 100 {
		name := fmt.Sprintf("k%d", i)
		want[name] = pattern(i*10, i)
		t.put(name, "before")
		t.put(name, want[name])
	}
	for i := 0; i < 100; i += 10 {
		name := fmt.Sprintf("k%d", i)
		t.delete(name)
		delete(want, name)
	}
	versions := map[string]uint64{}
	for name := range want {
		versions[name] = t.get(name).Version
	}
	for range 2 {
		t.reopen()
		for i := range 100 {
			name := fmt.Sprintf("k%d", i)
			value, there := want[name]
			if !there {
				t.lacks(name)
				continue
			}
			t.has(name, value)
			if v := t.get(name).Version; v != versions[name] {
				t.Errorf("%s has version %d after a restart, had %d", name, v, versions[name])
			}
		}
	}
}

func testReopenDropped(t *T) {
	t.put("k", "v")
	t.must(t.set().Store.Drop(t.Ctx, t.namespace()))
	t.reopen()
	t.lacks("k")
}
