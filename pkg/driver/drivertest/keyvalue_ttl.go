package drivertest

import (
	"fmt"
	"time"

	"github.com/prism-data-layer/prism/pkg/driver"
	"github.com/prism-data-layer/prism/pkg/prism"
)

var ttlPromises = []promise{
	{"Set with a time to live ends the key, not before and not after", testTTLSet, ""},
	{"Get and ExpiresAt tell when a key ends", testTTLTold, ""},
	{"ExpiresAt is zero without expiry, NOT_FOUND for a missing key", testExpiresAt, ""},
	{"an expired key is not there for Get, Exists, Delete, ExpiresAt", testTTLGone, ""},
	{"an expired key is in no scan, count or first", testTTLScan, "keyvalue_scan"},
	{"an expired key is not there in a batch", testTTLBatch, "keyvalue_batch"},
	{"an expired key is not there for atomics", testTTLAtomic, "keyvalue_atomic"},
	{"an expired key is not there for compare-and-swap", testTTLCAS, "keyvalue_cas"},
	{"an expired key is not there for a transaction", testTTLCommit, "keyvalue_transactional"},
	{"Set without a time to live clears the expiry", testTTLCleared, ""},
	{"Set with keep_ttl keeps the expiry there is", testKeepTTL, ""},
	{"a new time to live replaces the one before", testTTLReplaced, ""},
	{"Expire gives a key an end, sooner or later than before", testExpire, ""},
	{"Persist removes the expiry and tells whether there was one", testPersist, ""},
	{"Touch starts the time to live anew that was last given", testTouch, ""},
	{"Touch leaves a key without a time to live without one", testTouchNone, ""},
	{"Expire, Persist and Touch of a missing key are NOT_FOUND", testTTLMissing, ""},
	{"Expire, Persist and Touch change neither value nor version", testTTLVersion, ""},
	{"a time to live that is zero or negative is refused", testTTLInvalid, ""},
	{"a time to live together with keep_ttl is refused", testTTLBoth, ""},
	{"a time to live of ten years does not wrap", testTTLLong, ""},
	{"a version is not used again after expiry", testTTLNewVersion, ""},
	{"a key set again after expiry has none of the old", testTTLFresh, ""},
	{"a thousand keys that end together are all gone", testTTLMany, ""},
	{"receipts make Expire, Persist and Touch happen once", testReceiptTTL, ""},
	{"expiry outlives a restart and goes on while the store is closed", testTTLReopen, "reopen clock"},
	{"Increment and Append keep the expiry", testTTLAtomicKeeps, "keyvalue_atomic"},
	{"GetAndSet and SetIfAbsent obey the options of Set", testTTLAtomicOptions, "keyvalue_atomic"},
	{"CompareAndSwap keeps the expiry unless it is given one", testTTLCASKeeps, "keyvalue_cas"},
}

func ttl(d time.Duration) driver.SetOptions { return driver.SetOptions{TTL: d} }

func (t *T) expiresAt(name string) time.Time {
	t.Helper()
	at, err := t.set().KeyValueTTL.ExpiresAt(t.Ctx, t.key(name))
	t.must(err)
	return at
}

// ends wants a key to end at about d from now. A store's clock may stand a
// little apart from the promise's where it is real.
func (t *T) ends(name string, d time.Duration) {
	t.Helper()
	at := t.expiresAt(name)
	if at.IsZero() {
		t.Errorf("%s does not expire, want in %v", name, d)
		return
	}
	slack := 2 * time.Millisecond
	if t.store().Clock == nil {
		slack = time.Second
	}
	if got := at.Sub(t.now()); (got - d).Abs() > slack {
		t.Errorf("%s expires in %v, want %v", name, got, d)
	}
}

func (t *T) stays(name string) {
	t.Helper()
	if at := t.expiresAt(name); !at.IsZero() {
		t.Errorf("%s expires at %v, want never", name, at)
	}
}

func testTTLSet(t *T) {
	d := 5 * t.second()
	t.put("k", "v", ttl(d))
	t.put("other", "v")
	t.has("k", "v")
	if t.store().Clock != nil {
		t.pass(d - 2*time.Millisecond)
		t.has("k", "v")
		t.pass(2 * time.Millisecond)
	} else {
		t.pass(d / 2)
		t.has("k", "v")
		t.pass(d/2 + 10*time.Millisecond)
	}
	t.lacks("k")
	t.has("other", "v")
}

func testTTLTold(t *T) {
	t.put("k", "v", ttl(100*t.second()))
	t.ends("k", 100*t.second())
	if e := t.get("k"); !sameTime(e.ExpiresAt, t.expiresAt("k")) {
		t.Errorf("Get tells %v, ExpiresAt %v", e.ExpiresAt, t.expiresAt("k"))
	}
	t.pass(t.second())
	t.ends("k", 99*t.second())
}

func testExpiresAt(t *T) {
	t.put("k", "v")
	t.stays("k")
	_, err := t.set().KeyValueTTL.ExpiresAt(t.Ctx, t.key("missing"))
	t.refused("ExpiresAt", err, prism.ReasonNotFound)
}

// expired makes a key whose time is over, beside one that stays.
func (t *T) expired(name, value string) uint64 {
	t.Helper()
	t.put(name+" stays", value)
	v := t.put(name, value, ttl(t.second()))
	t.pass(t.second() + time.Millisecond)
	return v
}

func testTTLGone(t *T) {
	t.expired("k", "v")
	t.lacks("k")
	if res := t.delete("k"); res.Found || res.Version != 0 {
		t.Errorf("Delete of an expired key: %+v, want not found and version 0", res)
	}
	_, err := t.set().KeyValueTTL.ExpiresAt(t.Ctx, t.key("k"))
	t.refused("ExpiresAt", err, prism.ReasonNotFound)
	t.has("k stays", "v")
}

func testTTLScan(t *T) {
	t.expired("a", "v")
	t.sees("all", driver.Query{}, "a stays")
	if o := t.set().KeyValueOrderedScan; o != nil {
		for _, reverse := range []bool{false, true} {
			e, found, err := o.First(t.Ctx, t.namespace(), driver.Query{Reverse: reverse})
			t.must(err)
			if !found || e.Key != "a stays" {
				t.Errorf("First (reverse %v) is %q %v, want the key that stays", reverse, e.Key, found)
			}
		}
	}
	u, err := t.set().Store.Usage(t.Ctx, t.namespace())
	t.must(err)
	if !u.Estimated && u.Keys != 1 {
		t.Errorf("Usage counts %d keys, want 1", u.Keys)
	}
}

func testTTLBatch(t *T) {
	t.expired("k", "v")
	results := t.batch(
		driver.Op{Kind: driver.OpGet, Key: "k"},
		driver.Op{Kind: driver.OpExists, Key: "k"},
		driver.Op{Kind: driver.OpExpiresAt, Key: "k"},
		driver.Op{Kind: driver.OpDelete, Key: "k"},
		driver.Op{Kind: driver.OpGet, Key: "k stays"},
	)
	for i, want := range []bool{false, false, false, false, true} {
		if results[i].Found != want {
			t.Errorf("operation %d: found %v, want %v", i, results[i].Found, want)
		}
	}
	t.refused("ExpiresAt", results[2].Err, prism.ReasonNotFound)
}

func testTTLAtomic(t *T) {
	kv := t.set().KeyValueAtomic
	t.expired("n", "41")
	res, err := kv.Increment(t.Ctx, t.key("n"), 1, driver.Receipt{})
	t.must(err)
	if res.Number != 1 {
		t.Errorf("Increment of an expired 41 gave %d, want 1", res.Number)
	}
	t.expired("a", "old")
	res, err = kv.Append(t.Ctx, t.key("a"), []byte("new"), driver.Receipt{})
	t.must(err)
	if res.Number != 3 {
		t.Errorf("Append to an expired value made %d bytes, want 3", res.Number)
	}
	t.expired("s", "old")
	res, err = kv.SetIfAbsent(t.Ctx, t.key("s"), []byte("new"), driver.SetOptions{}, driver.Receipt{})
	t.must(err)
	if !res.Applied {
		t.Errorf("SetIfAbsent found an expired key")
	}
	t.expired("g", "old")
	res, err = kv.GetAndSet(t.Ctx, t.key("g"), []byte("new"), driver.SetOptions{}, driver.Receipt{})
	t.must(err)
	if res.Found || len(res.Value) > 0 {
		t.Errorf("GetAndSet found an expired %q", res.Value)
	}
	for name, want := range map[string]string{"n": "1", "a": "new", "s": "new", "g": "new"} {
		t.has(name, want)
		t.stays(name)
	}
}

func testTTLCAS(t *T) {
	t.expired("k", "v")
	res, err := t.set().KeyValueCAS.CompareAndSwap(t.Ctx, t.key("k"), []byte("v"), []byte("w"), driver.SetOptions{}, driver.Receipt{})
	t.must(err)
	if res.Applied || res.Version != 0 {
		t.Errorf("CompareAndSwap of an expired key: %+v", res)
	}
	res, err = t.set().KeyValueCAS.CompareAndDelete(t.Ctx, t.key("k"), []byte("v"), driver.Receipt{})
	t.must(err)
	if res.Applied {
		t.Errorf("CompareAndDelete of an expired key: %+v", res)
	}
	t.lacks("k")
}

func testTTLCommit(t *T) {
	v := t.expired("k", "v")
	kv := t.set().KeyValueTransactional
	write := []driver.Op{{Kind: driver.OpSet, Key: "w", Value: []byte("v")}}
	_, err := kv.Commit(t.Ctx, t.namespace(), []driver.Check{{Key: "k", Version: v}}, write, driver.Receipt{})
	t.refused("a check of the expired version", err, prism.ReasonConflict)
	t.lacks("w")
	_, err = kv.Commit(t.Ctx, t.namespace(), []driver.Check{{Key: "k", Version: 0}}, write, driver.Receipt{})
	t.must(err)
	t.has("w", "v")
}

func testTTLCleared(t *T) {
	t.put("k", "v", ttl(t.second()))
	t.put("k", "w")
	t.stays("k")
	t.pass(2 * t.second())
	t.has("k", "w")
}

func testKeepTTL(t *T) {
	keep := driver.SetOptions{KeepTTL: true}
	t.put("k", "v", ttl(5*t.second()))
	at := t.expiresAt("k")
	t.pass(t.second())
	t.put("k", "w", keep)
	if got := t.expiresAt("k"); !sameTime(got, at) {
		t.Errorf("keep_ttl made %v of %v", got, at)
	}
	t.pass(4*t.second() + time.Millisecond)
	t.lacks("k")
	// There is none to keep.
	t.put("k", "x", keep)
	t.stays("k")
	t.put("new", "x", keep)
	t.stays("new")
}

func testTTLReplaced(t *T) {
	t.put("k", "v", ttl(t.second()))
	t.put("k", "w", ttl(100*t.second()))
	t.ends("k", 100*t.second())
	t.pass(2 * t.second())
	t.has("k", "w")
	t.put("k", "x", ttl(t.second()))
	t.pass(t.second() + time.Millisecond)
	t.lacks("k")
}

func (t *T) expire(name string, d time.Duration) time.Time {
	t.Helper()
	res, err := t.set().KeyValueTTL.Expire(t.Ctx, t.key(name), d, driver.Receipt{})
	t.must(err)
	return res.ExpiresAt
}

func testExpire(t *T) {
	t.put("k", "v")
	for _, d := range []time.Duration{100 * t.second(), 50 * t.second(), 200 * t.second()} {
		at := t.expire("k", d)
		t.ends("k", d)
		if !sameTime(at, t.expiresAt("k")) {
			t.Errorf("Expire tells %v, ExpiresAt %v", at, t.expiresAt("k"))
		}
	}
	t.expire("k", 5*t.second())
	t.has("k", "v")
	t.pass(5*t.second() + time.Millisecond)
	t.lacks("k")
}

func testPersist(t *T) {
	t.put("k", "v", ttl(5*t.second()))
	for _, want := range []bool{true, false} {
		res, err := t.set().KeyValueTTL.Persist(t.Ctx, t.key("k"), driver.Receipt{})
		t.must(err)
		if res.Applied != want {
			t.Errorf("Persist applied %v, want %v", res.Applied, want)
		}
		t.stays("k")
	}
	t.pass(6 * t.second())
	t.has("k", "v")
}

func (t *T) touch(name string) time.Time {
	t.Helper()
	res, err := t.set().KeyValueTTL.Touch(t.Ctx, t.key(name), driver.Receipt{})
	t.must(err)
	return res.ExpiresAt
}

func testTouch(t *T) {
	d := 5 * t.second()
	t.put("set", "v", ttl(d))
	t.put("expire", "v")
	t.expire("expire", d)
	t.put("keep", "v", ttl(d))
	t.put("keep", "w", driver.SetOptions{KeepTTL: true})
	t.put("last", "v", ttl(100*d))
	t.expire("last", d)
	names := []string{"set", "expire", "keep", "last"}
	for range 2 {
		t.pass(d / 2)
		for _, name := range names {
			at := t.touch(name)
			t.ends(name, d)
			if !sameTime(at, t.expiresAt(name)) {
				t.Errorf("%s: Touch tells %v, ExpiresAt %v", name, at, t.expiresAt(name))
			}
		}
	}
	t.pass(d + t.second())
	for _, name := range names {
		t.lacks(name)
	}
}

func testTouchNone(t *T) {
	t.put("k", "v")
	t.put("persisted", "v", ttl(5*t.second()))
	_, err := t.set().KeyValueTTL.Persist(t.Ctx, t.key("persisted"), driver.Receipt{})
	t.must(err)
	t.put("cleared", "v", ttl(t.second()))
	t.put("cleared", "v")
	for _, name := range []string{"k", "persisted", "cleared"} {
		if at := t.touch(name); !at.IsZero() {
			t.Errorf("Touch gave %s an expiry, %v", name, at)
		}
		t.stays(name)
	}
	t.pass(6 * t.second())
	t.has("persisted", "v")
}

// ttlCalls are the three mutations of keyvalue_ttl.
func (t *T) ttlCalls(name string) map[string]func(r driver.Receipt) (driver.Result, error) {
	kv, k := t.set().KeyValueTTL, t.key(name)
	return map[string]func(driver.Receipt) (driver.Result, error){
		"Expire":  func(r driver.Receipt) (driver.Result, error) { return kv.Expire(t.Ctx, k, 100*t.second(), r) },
		"Persist": func(r driver.Receipt) (driver.Result, error) { return kv.Persist(t.Ctx, k, r) },
		"Touch":   func(r driver.Receipt) (driver.Result, error) { return kv.Touch(t.Ctx, k, r) },
	}
}

func testTTLMissing(t *T) {
	t.put("deleted", "v", ttl(100*t.second()))
	t.delete("deleted")
	t.expired("expired", "v")
	for _, name := range []string{"missing", "deleted", "expired"} {
		for call, f := range t.ttlCalls(name) {
			_, err := f(driver.Receipt{})
			t.refused(call+" of a key that is "+name, err, prism.ReasonNotFound)
		}
		t.lacks(name)
	}
}

func testTTLVersion(t *T) {
	v := t.put("k", "v", ttl(100*t.second()))
	for _, call := range []string{"Expire", "Touch", "Persist", "Touch", "Expire", "Persist"} {
		_, err := t.ttlCalls("k")[call](driver.Receipt{})
		t.must(err)
		if got := t.get("k").Version; got != v {
			t.Fatalf("%s took the version from %d to %d", call, v, got)
		}
		t.has("k", "v")
	}
}

func testTTLInvalid(t *T) {
	t.put("k", "v")
	for _, d := range []time.Duration{0, -time.Second, -1 << 63} {
		_, err := t.set().KeyValueTTL.Expire(t.Ctx, t.key("k"), d, driver.Receipt{})
		t.refused(fmt.Sprintf("Expire in %v", d), err, prism.ReasonInvalidArgument)
		if d == 0 {
			continue // none, for Set
		}
		_, err = t.set().KeyValue.Set(t.Ctx, t.key("k"), []byte("w"), ttl(d), driver.Receipt{})
		t.refused(fmt.Sprintf("Set with %v", d), err, prism.ReasonInvalidArgument)
	}
	t.has("k", "v")
	t.stays("k")
}

func testTTLBoth(t *T) {
	t.put("k", "v")
	_, err := t.set().KeyValue.Set(t.Ctx, t.key("k"), []byte("w"), driver.SetOptions{TTL: t.second(), KeepTTL: true}, driver.Receipt{})
	t.refused("Set", err, prism.ReasonInvalidArgument)
	t.has("k", "v")
}

func testTTLLong(t *T) {
	const decade = 10 * 365 * 24 * time.Hour
	t.put("k", "v", ttl(decade))
	t.ends("k", decade)
	t.expire("k", decade)
	t.has("k", "v")
	t.ends("k", decade)
	t.pass(t.second())
	t.has("k", "v")
}

func testTTLNewVersion(t *T) {
	last := uint64(0)
	for range 3 {
		v := t.put("k", "v", ttl(t.second()))
		if v <= last {
			t.Errorf("version %d after %d", v, last)
		}
		last = v
		t.pass(t.second() + time.Millisecond)
		t.lacks("k")
	}
	if v := t.put("k", "v"); v <= last {
		t.Errorf("version %d after %d", v, last)
	}
}

func testTTLFresh(t *T) {
	t.expired("k", "old")
	t.put("k", "new")
	t.stays("k")
	t.pass(2 * t.second())
	t.has("k", "new")
	if at := t.touch("k"); !at.IsZero() {
		t.Errorf("Touch found an old time to live: %v", at)
	}
}

func testTTLMany(t *T) {
	const n = 1000
	t.put("stays", "v")
	// Long enough that all are written in time where time is real.
	d := 10 * t.second()
	for i := range n {
		t.put(fmt.Sprintf("k%d", i), "v", ttl(d))
	}
	t.pass(d + time.Millisecond)
	for i := range n {
		t.lacks(fmt.Sprintf("k%d", i))
	}
	t.has("stays", "v")
	if t.set().KeyValueScan != nil {
		t.sees("all", driver.Query{}, "stays")
	}
}

func testReceiptTTL(t *T) {
	for _, call := range []string{"Expire", "Touch", "Persist"} {
		t.put("k", "v", ttl(50*t.second()))
		f, r := t.ttlCalls("k")[call], t.receipt(call, call)
		first, err := f(r)
		t.must(err)
		t.pass(t.second())
		t.put("k", "v", ttl(60*t.second()))
		second, err := f(r)
		t.must(err)
		t.replays(call, first, second)
		t.ends("k", 60*t.second())
	}
}

func testTTLReopen(t *T) {
	t.put("stays", "v", ttl(100*time.Second))
	t.put("ends", "v", ttl(10*time.Second))
	t.put("never", "v")
	t.put("touched", "v", ttl(50*time.Second))
	at := t.expiresAt("stays")
	o := t.store()
	reopen := o.Reopen
	// Time goes on while it is closed.
	o.Clock.Advance(20 * time.Second)
	o.Set = reopen()
	t.lacks("ends")
	if got := t.expiresAt("stays"); !sameTime(got, at) {
		t.Errorf("a restart made %v of %v", got, at)
	}
	t.stays("never")
	t.touch("touched")
	t.ends("touched", 50*time.Second)
	t.pass(81 * time.Second)
	t.lacks("stays")
	t.lacks("touched")
	t.has("never", "v")
}

func testTTLAtomicKeeps(t *T) {
	kv := t.set().KeyValueAtomic
	t.put("n", "1", ttl(100*t.second()))
	t.put("a", "x", ttl(100*t.second()))
	n, a := t.expiresAt("n"), t.expiresAt("a")
	t.pass(t.second())
	_, err := kv.Increment(t.Ctx, t.key("n"), 1, driver.Receipt{})
	t.must(err)
	_, err = kv.Append(t.Ctx, t.key("a"), []byte("y"), driver.Receipt{})
	t.must(err)
	if got := t.expiresAt("n"); !sameTime(got, n) {
		t.Errorf("Increment made %v of %v", got, n)
	}
	if got := t.expiresAt("a"); !sameTime(got, a) {
		t.Errorf("Append made %v of %v", got, a)
	}
}

func testTTLAtomicOptions(t *T) {
	kv, k := t.set().KeyValueAtomic, t.key("k")
	_, err := kv.SetIfAbsent(t.Ctx, k, []byte("v"), ttl(100*t.second()), driver.Receipt{})
	t.must(err)
	t.ends("k", 100*t.second())
	_, err = kv.SetIfAbsent(t.Ctx, k, []byte("w"), ttl(10*t.second()), driver.Receipt{})
	t.must(err)
	t.ends("k", 100*t.second())
	_, err = kv.GetAndSet(t.Ctx, k, []byte("x"), driver.SetOptions{KeepTTL: true}, driver.Receipt{})
	t.must(err)
	t.ends("k", 100*t.second())
	_, err = kv.GetAndSet(t.Ctx, k, []byte("x"), ttl(50*t.second()), driver.Receipt{})
	t.must(err)
	t.ends("k", 50*t.second())
	_, err = kv.GetAndSet(t.Ctx, k, []byte("y"), driver.SetOptions{}, driver.Receipt{})
	t.must(err)
	t.stays("k")
}

func testTTLCASKeeps(t *T) {
	kv, k := t.set().KeyValueCAS, t.key("k")
	t.put("k", "1", ttl(100*t.second()))
	at := t.expiresAt("k")
	swap := func(from, to string, o driver.SetOptions) {
		t.Helper()
		res, err := kv.CompareAndSwap(t.Ctx, k, []byte(from), []byte(to), o, driver.Receipt{})
		t.must(err)
		if !res.Applied {
			t.Errorf("CompareAndSwap %s to %s did not apply", from, to)
		}
	}
	t.pass(t.second())
	swap("1", "2", driver.SetOptions{})
	if got := t.expiresAt("k"); !sameTime(got, at) {
		t.Errorf("CompareAndSwap made %v of %v", got, at)
	}
	swap("2", "3", ttl(10*t.second()))
	t.ends("k", 10*t.second())
}
