package drivertest

import (
	"fmt"
	"math"
	"time"

	"github.com/prism-data-layer/prism/pkg/driver"
	"github.com/prism-data-layer/prism/pkg/prism"
)

var batchPromises = []promise{
	{"a batch of sets stores every value", testBatchSet, ""},
	{"a batch of gets answers in the order it was asked", testBatchGet, ""},
	{"a missing key in a batch is not found and no error", testBatchMissing, ""},
	{"an empty batch does nothing", testBatchEmpty, ""},
	{"operations on one key run in order", testBatchOrder, ""},
	{"an operation that fails leaves the others alone", testBatchPartial, "keyvalue_versioned"},
	{"a thousand operations fit a batch", testBatchThousand, ""},
	{"every kind of operation means what its method means", testBatchKinds, "keyvalue_versioned keyvalue_ttl keyvalue_atomic keyvalue_cas"},
	{"the time to live of an increment or an append is for a key that it makes", testBatchMakesExpiry, "keyvalue_ttl keyvalue_atomic anybytes"},
	{"versions in a batch grow and differ", testBatchVersions, ""},
	{"every item has a receipt of its own", testBatchReceipts, ""},
	{"a receipt of a batch is known to the single call and the other way round", testBatchReceiptShared, "anybytes"},
	{"a used receipt is KEY_REUSED for its item only", testBatchReceiptReused, ""},
	{"values given to and returned by a batch belong to the caller", testBatchOwns, ""},
	{"batches of many callers at once lose nothing", testBatchConcurrent, ""},
	{"a batch outlives a restart", testBatchReopen, "reopen"},
}

func (t *T) batch(ops ...driver.Op) []driver.Result {
	t.Helper()
	results := make([]driver.Result, len(ops))
	t.must(t.set().KeyValueBatch.Batch(t.Ctx, t.namespace(), ops, results))
	return results
}

func opSet(name, value string) driver.Op {
	return driver.Op{Kind: driver.OpSet, Key: name, Value: []byte(value)}
}
func opGet(name string) driver.Op    { return driver.Op{Kind: driver.OpGet, Key: name} }
func opDelete(name string) driver.Op { return driver.Op{Kind: driver.OpDelete, Key: name} }

// allDone wants no errors in results.
func (t *T) allDone(results []driver.Result) {
	t.Helper()
	for i, r := range results {
		if r.Err != nil {
			t.Errorf("operation %d: %v", i, r.Err)
		}
	}
}

func testBatchSet(t *T) {
	var ops []driver.Op
	for i := range 50 {
		ops = append(ops, opSet(fmt.Sprintf("k%d", i), pattern(i, i)))
	}
	results := t.batch(ops...)
	t.allDone(results)
	for i := range 50 {
		name := fmt.Sprintf("k%d", i)
		t.has(name, pattern(i, i))
		if v := t.get(name).Version; v != results[i].Version {
			t.Errorf("%s has version %d, the batch told %d", name, v, results[i].Version)
		}
	}
}

func testBatchMakesExpiry(t *T) {
	for _, kind := range []driver.OpKind{driver.OpIncrement, driver.OpAppend} {
		name := fmt.Sprint("made", kind)
		op := driver.Op{Kind: kind, Key: name, Delta: 1, Value: []byte("1"), Options: driver.SetOptions{TTL: time.Hour}}
		t.allDone(t.batch(op))
		made, err := t.set().KeyValueTTL.ExpiresAt(t.Ctx, t.key(name))
		t.must(err)
		if made.IsZero() {
			t.Errorf("%s: the key that was made does not expire", name)
		}
		op.Options.TTL = 3 * time.Hour
		t.allDone(t.batch(op))
		again, err := t.set().KeyValueTTL.ExpiresAt(t.Ctx, t.key(name))
		t.must(err)
		if !again.Equal(made) {
			t.Errorf("%s: the expiry of a key that was there went from %v to %v", name, made, again)
		}
		t.put(name+"-for-ever", "1")
		op.Key = name + "-for-ever"
		t.allDone(t.batch(op))
		if end, err := t.set().KeyValueTTL.ExpiresAt(t.Ctx, t.key(op.Key)); err != nil || !end.IsZero() {
			t.Errorf("%s: a key without an end got %v, %v", op.Key, end, err)
		}
	}
}

func testBatchGet(t *T) {
	t.fill(20, "k%d")
	var ops []driver.Op
	for i := range 20 {
		ops = append(ops, opGet(fmt.Sprintf("k%d", (i*7)%20)))
	}
	for i, r := range t.batch(ops...) {
		want := t.get(ops[i].Key)
		if !r.Found || string(r.Value) != string(want.Value) || r.Version != want.Version || !sameTime(r.ExpiresAt, want.ExpiresAt) || r.Err != nil {
			t.Errorf("operation %d, %s: got %+v, want %+v", i, ops[i].Key, r, want)
		}
	}
}

func testBatchMissing(t *T) {
	t.put("k", "v")
	results := t.batch(opGet("missing"), opDelete("missing"), driver.Op{Kind: driver.OpExists, Key: "missing"}, driver.Op{Kind: driver.OpExists, Key: "k"}, opGet("k"))
	t.allDone(results)
	for i, want := range []bool{false, false, false, true, true} {
		if results[i].Found != want {
			t.Errorf("operation %d: found %v, want %v", i, results[i].Found, want)
		}
	}
}

func testBatchEmpty(t *T) {
	t.must(t.set().KeyValueBatch.Batch(t.Ctx, t.namespace(), nil, nil))
}

func testBatchOrder(t *T) {
	results := t.batch(
		opGet("k"), opSet("k", "1"), opGet("k"), opSet("other", "x"), opSet("k", "2"), opGet("k"),
		opDelete("k"), opGet("k"), opDelete("k"), opSet("k", "3"), opGet("k"),
	)
	t.allDone(results)
	for i, want := range map[int]string{0: "", 2: "1", 5: "2", 7: "", 10: "3"} {
		if r := results[i]; r.Found != (want != "") || string(r.Value) != want {
			t.Errorf("operation %d: got %q %v, want %q", i, r.Value, r.Found, want)
		}
	}
	if !results[6].Found || results[8].Found {
		t.Errorf("the first Delete found %v, the second %v", results[6].Found, results[8].Found)
	}
	t.has("k", "3")
}

func testBatchPartial(t *T) {
	v := t.put("k", "v")
	results := t.batch(
		opSet("a", "1"),
		driver.Op{Kind: driver.OpSetIf, Key: "k", Value: []byte("wrong"), If: absent},
		opSet("b", "2"),
		driver.Op{Kind: driver.OpSetIf, Key: "k", Value: []byte("wrong"), If: ifVersion(v + 1)},
		driver.Op{Kind: driver.OpDeleteIf, Key: "missing", If: ifVersion(7)},
		opSet("c", "3"),
	)
	t.refused("create-only", results[1].Err, prism.ReasonAlreadyExists)
	t.mismatch("if-version", results[3].Err, v)
	t.mismatch("delete if-version", results[4].Err, 0)
	for i, name := range map[int]string{0: "a", 2: "b", 5: "c"} {
		t.must(results[i].Err)
		if got := t.get(name).Version; got != results[i].Version {
			t.Errorf("%s has version %d, the batch told %d", name, got, results[i].Version)
		}
	}
	t.has("k", "v")
}

func testBatchThousand(t *T) {
	var sets, gets []driver.Op
	for i := range prism.MaxBatchItems {
		name := fmt.Sprintf("k%d", i)
		sets, gets = append(sets, opSet(name, name)), append(gets, opGet(name))
	}
	t.allDone(t.batch(sets...))
	for i, r := range t.batch(gets...) {
		if string(r.Value) != gets[i].Key {
			t.Fatalf("operation %d: got %q, want %q", i, r.Value, gets[i].Key)
		}
	}
}

func testBatchKinds(t *T) {
	v := t.put("k", "v")
	t.put("d", "v")
	dv := t.get("d").Version
	d := 100 * t.second()
	r := t.batch(
		driver.Op{Kind: driver.OpSetIf, Key: "k", Value: []byte("w"), If: ifVersion(v)},                   // 0
		driver.Op{Kind: driver.OpDeleteIf, Key: "d", If: ifVersion(dv)},                                   // 1
		driver.Op{Kind: driver.OpExpire, Key: "k", Options: ttl(d)},                                       // 2
		driver.Op{Kind: driver.OpExpiresAt, Key: "k"},                                                     // 3
		driver.Op{Kind: driver.OpTouch, Key: "k"},                                                         // 4
		driver.Op{Kind: driver.OpPersist, Key: "k"},                                                       // 5
		driver.Op{Kind: driver.OpExpiresAt, Key: "k"},                                                     // 6
		driver.Op{Kind: driver.OpIncrement, Key: "n", Delta: 41},                                          // 7
		driver.Op{Kind: driver.OpIncrement, Key: "n", Delta: 1},                                           // 8
		driver.Op{Kind: driver.OpAppend, Key: "k", Value: []byte("xyz")},                                  // 9
		driver.Op{Kind: driver.OpSetIfAbsent, Key: "k", Value: []byte("no")},                              // 10
		driver.Op{Kind: driver.OpSetIfAbsent, Key: "new", Value: []byte("yes")},                           // 11
		driver.Op{Kind: driver.OpGetAndSet, Key: "k", Value: []byte("after")},                             // 12
		driver.Op{Kind: driver.OpCompareAndSwap, Key: "k", Expected: []byte("no"), Value: []byte("no")},   // 13
		driver.Op{Kind: driver.OpCompareAndSwap, Key: "k", Expected: []byte("after"), Value: []byte("s")}, // 14
		driver.Op{Kind: driver.OpCompareAndDelete, Key: "new", Expected: []byte("yes")},                   // 15
		driver.Op{Kind: driver.OpIncrement, Key: "k", Delta: 1},                                           // 16
		driver.Op{Kind: driver.OpIncrement, Key: "n", Delta: math.MaxInt64},                               // 17
		driver.Op{Kind: driver.OpExpire, Key: "missing", Options: ttl(time.Second)},                       // 18
		opSet("last", "v"), // 19
	)
	t.refused("Increment of a word", r[16].Err, prism.ReasonNotANumber)
	t.refused("Increment over the end", r[17].Err, prism.ReasonOverflow)
	t.refused("Expire of a missing key", r[18].Err, prism.ReasonNotFound)
	t.allDone(append(r[:16:16], r[19]))
	for i, ok := range map[int]bool{
		0: r[0].Version > v, 1: r[1].Found && r[1].Version > dv, 2: !r[2].ExpiresAt.IsZero(),
		3: sameTime(r[3].ExpiresAt, r[2].ExpiresAt), 4: !r[4].ExpiresAt.IsZero(), 5: r[5].Applied, 6: r[6].ExpiresAt.IsZero(),
		7: r[7].Number == 41, 8: r[8].Number == 42, 9: r[9].Number == 4, 10: !r[10].Applied && r[10].Version == r[9].Version,
		11: r[11].Applied, 12: r[12].Found && string(r[12].Value) == "wxyz", 13: !r[13].Applied && r[13].Version == r[12].Version,
		14: r[14].Applied && r[14].Version > r[12].Version, 15: r[15].Applied,
	} {
		if !ok {
			t.Errorf("operation %d: %+v", i, r[i])
		}
	}
	for name, want := range map[string]string{"k": "s", "n": "42", "last": "v"} {
		t.has(name, want)
	}
	t.lacks("d")
	t.lacks("new")
}

func testBatchVersions(t *T) {
	last := t.put("k", "v")
	for i, r := range t.batch(opSet("k", "1"), opSet("k", "2"), opDelete("k"), opSet("k", "3")) {
		if r.Version <= last {
			t.Errorf("operation %d has version %d, the one before %d", i, r.Version, last)
		}
		last = r.Version
	}
}

func testBatchReceipts(t *T) {
	ops := func() []driver.Op {
		var ops []driver.Op
		for i := range 5 {
			op := opSet(fmt.Sprintf("k%d", i), fmt.Sprint(i))
			op.Receipt = t.receipt(op.Key, op.Key)
			ops = append(ops, op)
		}
		return ops
	}
	first := t.batch(ops()[:3]...)
	t.allDone(first)
	for i := range 5 {
		t.put(fmt.Sprintf("k%d", i), "changed")
	}
	// Three have answers already, two run for the first time.
	second := t.batch(ops()...)
	t.allDone(second)
	for i, r := range second {
		name := fmt.Sprintf("k%d", i)
		if i < 3 {
			t.replays(name, first[i], r)
			t.has(name, "changed")
			continue
		}
		if r.Replayed {
			t.Errorf("%s: replayed an answer of nobody", name)
		}
		t.has(name, fmt.Sprint(i))
	}
	// Twice in one batch is once.
	op := opSet("twice", "v")
	op.Receipt = t.receipt("twice", "v")
	both := t.batch(op, opSet("twice", "between"), op)
	t.allDone(both)
	t.replays("twice in one batch", both[0], both[2])
	t.has("twice", "between")
}

func testBatchReceiptShared(t *T) {
	op := opSet("a", "v")
	op.Receipt = t.receipt("a", "v")
	first := t.batch(op)[0]
	res, err := t.set().KeyValue.Set(t.Ctx, t.key("a"), []byte("v"), driver.SetOptions{}, op.Receipt)
	t.must(err)
	t.replays("batch, then single", first, res)

	op = opSet("b", "v")
	op.Receipt = t.receipt("b", "v")
	res, err = t.set().KeyValue.Set(t.Ctx, t.key("b"), []byte("v"), driver.SetOptions{}, op.Receipt)
	t.must(err)
	t.replays("single, then batch", res, t.batch(op)[0])
}

func testBatchReceiptReused(t *T) {
	op := opSet("k", "first")
	op.Receipt = t.receipt("r", "first")
	t.allDone(t.batch(op))
	op = opSet("k", "second")
	op.Receipt = t.receipt("r", "second")
	results := t.batch(opSet("a", "1"), op, opSet("b", "2"))
	t.refused("a used receipt", results[1].Err, prism.ReasonKeyReused)
	t.must(results[0].Err)
	t.must(results[2].Err)
	t.has("k", "first")
	t.has("a", "1")
	t.has("b", "2")
}

func testBatchOwns(t *T) {
	value := []byte("before")
	t.allDone(t.batch(driver.Op{Kind: driver.OpSet, Key: "k", Value: value}))
	copy(value, "after!")
	t.has("k", "before")
	results := t.batch(opGet("k"), opGet("k"))
	copy(results[0].Value, "XXXXXX")
	_ = append(results[0].Value, "more"...)
	if string(results[1].Value) != "before" {
		t.Errorf("two answers share a value: %q", results[1].Value)
	}
	t.has("k", "before")
}

func testBatchConcurrent(t *T) {
	set, ns := t.set(), t.namespace()
	t.together(20, func(i int) error {
		for round := range 5 {
			var ops []driver.Op
			for n := range 10 {
				ops = append(ops, opSet(fmt.Sprintf("%d-%d", i, n), fmt.Sprint(round)))
			}
			results := make([]driver.Result, len(ops))
			if err := set.KeyValueBatch.Batch(t.Ctx, ns, ops, results); err != nil {
				return err
			}
			for _, r := range results {
				if r.Err != nil {
					return r.Err
				}
			}
		}
		return nil
	})
	for i := range 20 {
		for n := range 10 {
			t.has(fmt.Sprintf("%d-%d", i, n), "4")
		}
	}
}

func testBatchReopen(t *T) {
	op := opSet("b", "2")
	op.Receipt = t.receipt("b", "2")
	first := t.batch(opSet("a", "1"), op, opSet("c", "3"), opDelete("c"))
	t.allDone(first)
	t.reopen()
	t.has("a", "1")
	t.has("b", "2")
	t.lacks("c")
	t.replays("after a restart", first[1], t.batch(op)[0])
}
