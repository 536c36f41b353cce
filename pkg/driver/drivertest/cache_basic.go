package drivertest

import (
	"bytes"
	"context"
	"fmt"
	"math"
	"slices"
	"strconv"
	"sync/atomic"
	"time"
	"unicode/utf8"

	"pgregory.net/rapid"

	"github.com/prism-data-layer/prism/pkg/driver"
	"github.com/prism-data-layer/prism/pkg/prism"
)

// A bounded cache may evict at any time; these promises stay far below the
// bound, where none does.
var cachePromises = []promise{
	{"a cache gives back what was set, byte for byte", testCacheGet, ""},
	{"an entry that a cache lacks is no error", testCacheMissing, ""},
	{"an empty value in a cache is an entry", testCacheEmpty, ""},
	{"setting an entry again replaces its value and its end", testCacheOverwrite, ""},
	{"a cache keeps keys and values of every size", testCacheSizes, ""},
	{"keys of a cache may be any bytes", testCacheAnyKey, "anybytes"},
	{"set if absent and set if present hold to their condition", testCacheConditions, ""},
	{"deleting an entry tells whether it was there", testCacheDelete, ""},
	{"an entry ends at its time to live", testCacheExpires, ""},
	{"an entry ends neither before nor after its time", testCacheExpiresSharply, "clock"},
	{"an entry without a time to live stays", testCacheStays, "clock"},
	{"an entry that has ended is not there for any operation", testCacheExpired, ""},
	{"touching gives an entry a new end and keeps its value", testCacheTouch, ""},
	{"a cache counts, a missing entry as its initial value", testCacheIncrement, ""},
	{"counting gives a time to live once, when it makes the entry", testCacheIncrementTTL, ""},
	{"counting what is no number, or past an end, changes nothing", testCacheIncrementRefused, ""},
	{"operations on one entry run in order, each with its own result", testCacheOrder, ""},
	{"a thousand operations go at once", testCacheMany, ""},
	{"an operation of no kind fails alone", testCacheNoKind, ""},
	{"a receipt makes each operation on a cache happen once", testCacheReceipt, ""},
	{"a cache's receipt with another body is KEY_REUSED and changes nothing", testCacheReceiptReused, ""},
	{"a refused operation on a cache leaves no receipt", testCacheReceiptRefused, ""},
	{"a cache's receipts of other ids and other namespaces are strangers", testCacheReceiptStrangers, ""},
	{"100 calls at once with one receipt have one effect on a cache", testCacheReceiptRace, ""},
	{"a cache's receipt is forgotten after its time", testCacheReceiptExpires, "clock"},
	{"a cache's receipts are bounded and the oldest go first", testCacheReceiptBound, "bounds together"},
	{"a receipt may bound a cache's receipts further", testCacheReceiptMax, "bounds together"},
	{"of 100 who set if absent at once exactly one wins", testCacheRace, ""},
	{"100 who count at once lose nothing", testCacheCountRace, ""},
	{"a cache keeps no memory of the caller's, and gives none of its own", testCacheMemory, ""},
	{"a cache shares nothing with key-value", testCacheAndKeyValue, "keyvalue_basic"},
	{"caches of two namespaces share nothing, whatever bytes they are made of", testCacheIsolation, "anybytes"},
	{"Drop empties a cache, receipts too, and no other", testCacheDrop, ""},
	{"Usage counts a cache's entries and bytes", testCacheUsage, ""},
	{"a cache is UNAVAILABLE after Close", testCacheClosed, ""},
	{"a context that has ended changes nothing in a cache", testCacheEndedContext, ""},
	{"entries, their ends and receipts outlive a clean restart", testCacheReopen, "reopen"},
	{"a dropped cache stays empty after a restart", testCacheReopenDropped, "reopen"},
	{"a random mix of operations on a cache does what a map does", testCacheLikeMap, "clock"},
}

// cache runs one operation and wants it to be tried.
func (t *T) cache(op driver.CacheOp) driver.CacheResult {
	t.Helper()
	return t.cacheIn(t.namespace(), op)
}

func (t *T) cacheIn(ns prism.Namespace, op driver.CacheOp) driver.CacheResult {
	t.Helper()
	var results [1]driver.CacheResult
	t.must(t.set().Cache.Do(t.Ctx, ns, []driver.CacheOp{op}, results[:]))
	return results[0]
}

// cacheOK is cache for an operation that must not fail.
func (t *T) cacheOK(op driver.CacheOp) driver.CacheResult {
	t.Helper()
	r := t.cache(op)
	t.must(r.Err)
	return r
}

func (t *T) cacheSet(name, value string, ttl time.Duration) {
	t.Helper()
	if r := t.cacheOK(driver.CacheOp{Kind: driver.CacheSet, Key: name, Value: []byte(value), TTL: ttl}); !r.Applied || r.Replayed {
		t.Errorf("setting %q: %+v, want applied", name, r)
	}
}

// cacheEntry looks at an entry in all three ways, which must agree.
func (t *T) cacheEntry(name string) (driver.CacheEntry, bool) {
	t.Helper()
	e, found, err := t.set().Cache.Get(t.Ctx, t.key(name))
	t.must(err)
	many := t.cacheOK(driver.CacheOp{Kind: driver.CacheGet, Key: name})
	if many.Found != found || !bytes.Equal(many.Value, e.Value) || !sameTime(many.ExpiresAt, e.ExpiresAt) {
		t.Errorf("Get of %q is %v %s %v, and one among many %v %s %v", name, found, short(e.Value), e.ExpiresAt, many.Found, short(many.Value), many.ExpiresAt)
	}
	if there := t.cacheOK(driver.CacheOp{Kind: driver.CacheExists, Key: name}); there.Found != found {
		t.Errorf("%q: Get finds it: %v, Exists says %v", name, found, there.Found)
	}
	return e, found
}

func (t *T) cacheHas(name, value string) driver.CacheEntry {
	t.Helper()
	e, found := t.cacheEntry(name)
	if !found || string(e.Value) != value {
		t.Errorf("%q: got %s %v, want %s", name, short(e.Value), found, short([]byte(value)))
	}
	return e
}

func (t *T) cacheLacks(name string) {
	t.Helper()
	if e, found := t.cacheEntry(name); found {
		t.Errorf("%q: found %s, want nothing", name, short(e.Value))
	}
}

func testCacheGet(t *T) {
	value := pattern(300, 1)
	t.cacheSet("k", value, 0)
	if e := t.cacheHas("k", value); !e.ExpiresAt.IsZero() {
		t.Errorf("an entry without a time to live ends %v", e.ExpiresAt)
	}
	before := t.now()
	t.cacheSet("k", "v", time.Hour)
	e := t.cacheHas("k", "v")
	if d := e.ExpiresAt.Sub(before); d < time.Hour-time.Second || d > time.Hour+time.Minute {
		t.Errorf("an entry of an hour ends in %v", d)
	}
}

func testCacheMissing(t *T) {
	t.cacheSet("other", "v", 0)
	for _, name := range []string{"missing", "othe", "others"} {
		t.cacheLacks(name)
	}
	if r := t.cacheIn(t.another(), driver.CacheOp{Kind: driver.CacheGet, Key: "other"}); r.Found || r.Err != nil {
		t.Errorf("an empty namespace: %+v, want not found and no error", r)
	}
}

func testCacheEmpty(t *T) {
	t.cacheSet("k", "", 0)
	t.cacheHas("k", "")
}

func testCacheOverwrite(t *T) {
	t.cacheSet("k", "a long first value", time.Hour)
	t.cacheSet("k", "v", 0)
	if e := t.cacheHas("k", "v"); !e.ExpiresAt.IsZero() {
		t.Errorf("the end of the value before was kept: %v", e.ExpiresAt)
	}
}

func testCacheSizes(t *T) {
	for i, n := range []int{1, 1000, 64 << 10, prism.MaxValueBytes} {
		name := string(bytes.Repeat([]byte{'k'}, []int{1, 100, 1000, prism.MaxKeyBytes}[i]))
		value := pattern(n, i)
		t.cacheSet(name, value, 0)
		t.cacheHas(name, value)
	}
}

func testCacheAnyKey(t *T) {
	for i, name := range []string{"\x00", "\xff\xfe", "a/b", "a\x00b", "{a}", "é"} {
		t.cacheSet(name, strconv.Itoa(i), 0)
	}
	for i, name := range []string{"\x00", "\xff\xfe", "a/b", "a\x00b", "{a}", "é"} {
		t.cacheHas(name, strconv.Itoa(i))
	}
	t.cacheLacks("\x00\x00")
	t.cacheLacks("a")
}

func testCacheConditions(t *T) {
	set := func(value string, c driver.CacheIf) bool {
		t.Helper()
		return t.cacheOK(driver.CacheOp{Kind: driver.CacheSet, Key: "k", Value: []byte(value), If: c, TTL: time.Hour}).Applied
	}
	if set("early", driver.CachePresent) {
		t.Errorf("set if present applied to a missing entry")
	}
	t.cacheLacks("k")
	if !set("first", driver.CacheAbsent) {
		t.Errorf("set if absent did not apply to a missing entry")
	}
	if set("second", driver.CacheAbsent) {
		t.Errorf("set if absent applied to an entry")
	}
	t.cacheHas("k", "first")
	if !set("third", driver.CachePresent) {
		t.Errorf("set if present did not apply to an entry")
	}
	t.cacheHas("k", "third")
	t.cacheOK(driver.CacheOp{Kind: driver.CacheDelete, Key: "k"})
	if !set("fourth", driver.CacheAbsent) {
		t.Errorf("set if absent did not apply after a delete")
	}
}

func testCacheDelete(t *T) {
	t.cacheSet("k", "v", 0)
	t.cacheSet("other", "v", 0)
	for _, want := range []bool{true, false} {
		if r := t.cacheOK(driver.CacheOp{Kind: driver.CacheDelete, Key: "k"}); r.Found != want {
			t.Errorf("Delete says found %v, want %v", r.Found, want)
		}
		t.cacheLacks("k")
	}
	t.cacheHas("other", "v")
}

func testCacheExpires(t *T) {
	t.cacheSet("short", "v", t.second())
	t.cacheSet("long", "v", time.Hour)
	t.pass(t.second() + t.second()/2)
	t.cacheLacks("short")
	t.cacheHas("long", "v")
}

func testCacheExpiresSharply(t *T) {
	for i, ttl := range []time.Duration{time.Millisecond, time.Second, 90 * time.Second, 15 * time.Minute, 10 * 365 * 24 * time.Hour} {
		name := strconv.Itoa(i)
		t.cacheSet(name, "v", ttl)
		t.pass(ttl - time.Millisecond)
		t.cacheHas(name, "v")
		t.pass(time.Millisecond)
		t.cacheLacks(name)
	}
}

func testCacheStays(t *T) {
	t.cacheSet("k", "v", 0)
	year := 365 * 24 * time.Hour
	if t.harness.Wire { // there for ever is ten years
		year /= 4
	}
	for range 20 {
		t.pass(year)
		t.cacheHas("k", "v")
	}
}

func testCacheExpired(t *T) {
	for _, name := range []string{"get", "nx", "xx", "delete", "touch", "count"} {
		t.cacheSet(name, "41", t.second())
	}
	t.pass(t.second() + t.second()/2)
	t.cacheLacks("get")
	if !t.cacheOK(driver.CacheOp{Kind: driver.CacheSet, Key: "nx", Value: []byte("v"), If: driver.CacheAbsent}).Applied {
		t.Errorf("set if absent takes an entry that has ended for one that is there")
	}
	t.cacheHas("nx", "v")
	if t.cacheOK(driver.CacheOp{Kind: driver.CacheSet, Key: "xx", Value: []byte("v"), If: driver.CachePresent}).Applied {
		t.Errorf("set if present takes an entry that has ended for one that is there")
	}
	if t.cacheOK(driver.CacheOp{Kind: driver.CacheDelete, Key: "delete"}).Found {
		t.Errorf("an entry that has ended was deleted")
	}
	if r := t.cacheOK(driver.CacheOp{Kind: driver.CacheTouch, Key: "touch", TTL: time.Hour}); r.Found || !r.ExpiresAt.IsZero() {
		t.Errorf("an entry that has ended was touched: %+v", r)
	}
	t.cacheLacks("touch")
	if r := t.cacheOK(driver.CacheOp{Kind: driver.CacheIncrement, Key: "count", Delta: 1}); r.Number != 1 {
		t.Errorf("counting went on from an entry that has ended: %d", r.Number)
	}
}

func testCacheTouch(t *T) {
	t.cacheSet("k", "v", t.second())
	before := t.now()
	r := t.cacheOK(driver.CacheOp{Kind: driver.CacheTouch, Key: "k", TTL: time.Hour})
	if d := r.ExpiresAt.Sub(before); !r.Found || d < time.Hour-time.Second || d > time.Hour+time.Minute {
		t.Errorf("touching for an hour: %+v, an end in %v", r, d)
	}
	t.pass(2 * t.second())
	if e := t.cacheHas("k", "v"); !sameTime(e.ExpiresAt, r.ExpiresAt) {
		t.Errorf("the entry ends %v, and Touch told %v", e.ExpiresAt, r.ExpiresAt)
	}
	if r := t.cacheOK(driver.CacheOp{Kind: driver.CacheTouch, Key: "k"}); !r.Found || !r.ExpiresAt.IsZero() {
		t.Errorf("touching for ever: %+v", r)
	}
	if e := t.cacheHas("k", "v"); !e.ExpiresAt.IsZero() {
		t.Errorf("an entry touched for ever ends %v", e.ExpiresAt)
	}
	if r := t.cacheOK(driver.CacheOp{Kind: driver.CacheTouch, Key: "missing", TTL: time.Hour}); r.Found {
		t.Errorf("a missing entry was touched")
	}
	t.cacheLacks("missing")
}

func (t *T) count(name string, delta, initial int64, want int64) {
	t.Helper()
	if r := t.cacheOK(driver.CacheOp{Kind: driver.CacheIncrement, Key: name, Delta: delta, Initial: initial}); r.Number != want {
		t.Errorf("%q plus %d: %d, want %d", name, delta, r.Number, want)
	}
}

func testCacheIncrement(t *T) {
	t.count("n", 5, 0, 5)
	t.count("n", -7, 100, -2)
	t.count("m", 1, 41, 42)
	t.cacheHas("m", "42")
	t.cacheSet("s", "-9", 0)
	t.count("s", 0, 0, -9)
	t.count("min", 0, math.MinInt64, math.MinInt64)
	t.count("min", math.MaxInt64, 0, -1)
}

func testCacheIncrementTTL(t *T) {
	by := func(ttl time.Duration) {
		t.Helper()
		t.cacheOK(driver.CacheOp{Kind: driver.CacheIncrement, Key: "n", Delta: 1, TTL: ttl})
	}
	by(time.Hour)
	first := t.cacheHas("n", "1").ExpiresAt
	if first.IsZero() {
		t.Errorf("counting made an entry without the time to live that was asked for")
	}
	t.pass(t.second())
	by(2 * time.Hour)
	by(0)
	if e := t.cacheHas("n", "3"); !sameTime(e.ExpiresAt, first) {
		t.Errorf("counting on moved the end from %v to %v", first, e.ExpiresAt)
	}
}

func testCacheIncrementRefused(t *T) {
	for value, reason := range map[string]prism.Reason{
		"word": prism.ReasonNotANumber, "": prism.ReasonNotANumber, "1.5": prism.ReasonNotANumber, " 1": prism.ReasonNotANumber,
		"9223372036854775808": prism.ReasonNotANumber, "9223372036854775807": prism.ReasonOverflow,
	} {
		t.cacheSet("k", value, 0)
		t.refused("counting "+value, t.cache(driver.CacheOp{Kind: driver.CacheIncrement, Key: "k", Delta: 1}).Err, reason)
		t.cacheHas("k", value)
	}
	t.refused("an initial value past the end",
		t.cache(driver.CacheOp{Kind: driver.CacheIncrement, Key: "none", Delta: -1, Initial: math.MinInt64}).Err, prism.ReasonOverflow)
	t.cacheLacks("none")
}

func testCacheOrder(t *T) {
	v := func(s string) []byte { return []byte(s) }
	ops := []driver.CacheOp{
		{Kind: driver.CacheGet, Key: "k"},
		{Kind: driver.CacheSet, Key: "k", Value: v("1"), TTL: time.Hour},
		{Kind: driver.CacheIncrement, Key: "k", Delta: 4},
		{Kind: driver.CacheGet, Key: "k"},
		{Kind: driver.CacheSet, Key: "k", Value: v("x"), If: driver.CacheAbsent},
		{Kind: driver.CacheDelete, Key: "k"},
		{Kind: driver.CacheExists, Key: "k"},
		{Kind: driver.CacheTouch, Key: "k", TTL: time.Hour},
		{Kind: driver.CacheSet, Key: "k", Value: v("y"), If: driver.CacheAbsent},
		{Kind: driver.CacheIncrement, Key: "k", Delta: 1},
		{Kind: driver.CacheGet, Key: "k"},
	}
	results := make([]driver.CacheResult, len(ops))
	t.must(t.set().Cache.Do(t.Ctx, t.namespace(), ops, results))
	for i, want := range []driver.CacheResult{
		{}, {Applied: true}, {Number: 5}, {Found: true, Value: v("5")}, {}, {Found: true}, {}, {}, {Applied: true}, {Err: prism.ReasonNotANumber}, {Found: true, Value: v("y")},
	} {
		got := results[i]
		if want.Err != nil {
			t.refused(fmt.Sprintf("operation %d", i), got.Err, prism.ReasonNotANumber)
			continue
		}
		t.must(got.Err)
		if got.Found != want.Found || got.Applied != want.Applied || got.Number != want.Number || !bytes.Equal(got.Value, want.Value) || got.Replayed {
			t.Errorf("operation %d: got %+v, want %+v", i, got, want)
		}
	}
}

func testCacheMany(t *T) {
	ops := make([]driver.CacheOp, prism.MaxBatchItems)
	results := make([]driver.CacheResult, len(ops))
	for i := range ops {
		ops[i] = driver.CacheOp{Kind: driver.CacheSet, Key: strconv.Itoa(i), Value: []byte(pattern(20, i)), TTL: time.Hour}
	}
	t.must(t.set().Cache.Do(t.Ctx, t.namespace(), ops, results))
	for i := range ops {
		t.must(results[i].Err)
		ops[i] = driver.CacheOp{Kind: driver.CacheGet, Key: strconv.Itoa(i)}
	}
	t.must(t.set().Cache.Do(t.Ctx, t.namespace(), ops, results))
	for i := range ops {
		if r := results[i]; !r.Found || string(r.Value) != pattern(20, i) {
			t.Fatalf("entry %d: %v %s", i, r.Found, short(r.Value))
		}
	}
	t.must(t.set().Cache.Do(t.Ctx, t.namespace(), nil, nil))
}

func testCacheNoKind(t *T) {
	ops := []driver.CacheOp{
		{Kind: driver.CacheSet, Key: "a", Value: []byte("v")},
		{Key: "a"},
		{Kind: driver.CacheIncrement + 1, Key: "a"},
		{Kind: driver.CacheSet, Key: "a", Value: []byte("w"), TTL: -1},
		{Kind: driver.CacheGet, Key: "a"},
	}
	results := make([]driver.CacheResult, len(ops))
	t.must(t.set().Cache.Do(t.Ctx, t.namespace(), ops, results))
	for i := 1; i <= 3; i++ {
		t.refused(fmt.Sprintf("operation %d", i), results[i].Err, prism.ReasonInvalidArgument)
	}
	if r := results[4]; string(r.Value) != "v" {
		t.Errorf("the entry is %s, want \"v\"", short(r.Value))
	}
}

// cacheReplays runs an operation twice and wants the second to be a replay of
// the first, after between has had its turn.
func (t *T) cacheReplays(what string, op driver.CacheOp, between func()) {
	t.Helper()
	first := t.cacheOK(op)
	between()
	again := t.cacheOK(op)
	switch {
	case first.Replayed || !again.Replayed:
		t.Errorf("%s: replayed is %v and then %v", what, first.Replayed, again.Replayed)
	case again.Found != first.Found || again.Applied != first.Applied || again.Number != first.Number || !sameTime(again.ExpiresAt, first.ExpiresAt):
		t.Errorf("%s: first %+v, then %+v", what, first, again)
	}
}

func testCacheReceipt(t *T) {
	t.cacheReplays("Set", driver.CacheOp{Kind: driver.CacheSet, Key: "set", Value: []byte("first"), TTL: time.Hour, Receipt: t.receipt("set", "")},
		func() { t.cacheSet("set", "second", time.Hour) })
	t.cacheHas("set", "second")
	t.cacheReplays("Set if absent", driver.CacheOp{Kind: driver.CacheSet, Key: "nx", Value: []byte("v"), If: driver.CacheAbsent, Receipt: t.receipt("nx", "")},
		func() { t.cacheOK(driver.CacheOp{Kind: driver.CacheDelete, Key: "nx"}) })
	t.cacheLacks("nx")
	t.cacheReplays("Set if present that did not apply", driver.CacheOp{Kind: driver.CacheSet, Key: "xx", Value: []byte("v"), If: driver.CachePresent, Receipt: t.receipt("xx", "")},
		func() { t.cacheSet("xx", "kept", 0) })
	t.cacheHas("xx", "kept")
	t.cacheSet("del", "v", 0)
	t.cacheReplays("Delete", driver.CacheOp{Kind: driver.CacheDelete, Key: "del", Receipt: t.receipt("del", "")},
		func() { t.cacheSet("del", "kept", 0) })
	t.cacheHas("del", "kept")
	t.cacheSet("touch", "v", 0)
	t.cacheReplays("Touch", driver.CacheOp{Kind: driver.CacheTouch, Key: "touch", TTL: time.Hour, Receipt: t.receipt("touch", "")},
		func() { t.cacheOK(driver.CacheOp{Kind: driver.CacheTouch, Key: "touch"}) })
	if e := t.cacheHas("touch", "v"); !e.ExpiresAt.IsZero() {
		t.Errorf("the replayed Touch moved the end to %v", e.ExpiresAt)
	}
	t.cacheReplays("Increment", driver.CacheOp{Kind: driver.CacheIncrement, Key: "n", Delta: 7, Receipt: t.receipt("n", "")}, func() {})
	t.cacheHas("n", "7")
}

func testCacheReceiptReused(t *T) {
	t.cacheOK(driver.CacheOp{Kind: driver.CacheIncrement, Key: "n", Delta: 1, Receipt: t.receipt("id", "one")})
	r := t.cache(driver.CacheOp{Kind: driver.CacheIncrement, Key: "n", Delta: 2, Receipt: t.receipt("id", "two")})
	t.refused("the receipt with another body", r.Err, prism.ReasonKeyReused)
	t.cacheHas("n", "1")
}

func testCacheReceiptRefused(t *T) {
	op := driver.CacheOp{Kind: driver.CacheIncrement, Key: "n", Delta: 1, Receipt: t.receipt("id", "")}
	t.cacheSet("n", "word", 0)
	t.refused("counting a word", t.cache(op).Err, prism.ReasonNotANumber)
	t.cacheSet("n", "1", 0)
	if r := t.cacheOK(op); r.Number != 2 || r.Replayed {
		t.Errorf("after the refusal: %+v, want 2", r)
	}
}

func testCacheReceiptStrangers(t *T) {
	op := driver.CacheOp{Kind: driver.CacheIncrement, Key: "n", Delta: 1, Receipt: t.receipt("id", "")}
	t.cacheOK(op)
	other := t.another()
	if r := t.cacheIn(other, op); r.Err != nil || r.Replayed || r.Number != 1 {
		t.Errorf("another namespace: %+v, want 1", r)
	}
	op.Receipt = t.receipt("another", "")
	if r := t.cacheOK(op); r.Replayed || r.Number != 2 {
		t.Errorf("another id: %+v, want 2", r)
	}
}

func testCacheReceiptRace(t *T) {
	receipt := t.receipt("id", "")
	var fresh atomic.Int64
	t.together(100, func(int) error {
		var r [1]driver.CacheResult
		err := t.set().Cache.Do(t.Ctx, t.namespace(), []driver.CacheOp{{Kind: driver.CacheIncrement, Key: "n", Delta: 1, Receipt: receipt}}, r[:])
		switch {
		case err != nil:
			return err
		case r[0].Err != nil:
			return r[0].Err
		case r[0].Number != 1:
			return fmt.Errorf("the answer is %d", r[0].Number)
		case !r[0].Replayed:
			fresh.Add(1)
		}
		return nil
	})
	t.cacheHas("n", "1")
	if n := fresh.Load(); n != 1 {
		t.Errorf("%d answers are the first", n)
	}
}

func (t *T) countOnce(id string, keep time.Duration, limit int64) driver.CacheResult {
	t.Helper()
	r := t.receipt(id, "")
	r.Keep, r.Max = keep, limit
	return t.cacheOK(driver.CacheOp{Kind: driver.CacheIncrement, Key: id, Delta: 1, Receipt: r})
}

func testCacheReceiptExpires(t *T) {
	const keep = 24 * time.Hour
	t.countOnce("k", keep, 0)
	t.pass(keep - time.Second)
	if r := t.countOnce("k", keep, 0); !r.Replayed {
		t.Errorf("forgotten before its time")
	}
	t.pass(2 * time.Second)
	if r := t.countOnce("k", keep, 0); r.Replayed || r.Number != 2 {
		t.Errorf("remembered after its time: %+v", r)
	}
}

func testCacheReceiptBound(t *T) {
	const bound = 10
	t.open(Options{Receipts: bound})
	t.cacheReceiptsBounded(bound, 0)
}

func testCacheReceiptMax(t *T) {
	t.open(Options{Receipts: 1000})
	t.cacheReceiptsBounded(10, 10)
}

// cacheReceiptsBounded makes three times the receipts that are kept.
func (t *T) cacheReceiptsBounded(bound int, limit int64) {
	t.Helper()
	for i := range 3 * bound {
		t.countOnce(strconv.Itoa(i), time.Hour, limit)
		t.pass(time.Millisecond)
	}
	u, err := t.set().Store.Usage(t.Ctx, t.namespace())
	t.must(err)
	if u.Receipts > int64(bound) {
		t.Errorf("%d receipts are kept, the bound is %d", u.Receipts, bound)
	}
	if r := t.countOnce(strconv.Itoa(3*bound-1), time.Hour, limit); !r.Replayed {
		t.Errorf("the newest receipt is gone")
	}
	if r := t.countOnce("0", time.Hour, limit); r.Replayed {
		t.Errorf("the oldest receipt is still there")
	}
}

func testCacheRace(t *T) {
	var winner atomic.Int64
	t.together(100, func(i int) error {
		var r [1]driver.CacheResult
		err := t.set().Cache.Do(t.Ctx, t.namespace(), []driver.CacheOp{{
			Kind: driver.CacheSet, Key: "k", Value: []byte(strconv.Itoa(i + 1)), If: driver.CacheAbsent,
		}}, r[:])
		if r[0].Applied && !winner.CompareAndSwap(0, int64(i+1)) {
			return fmt.Errorf("a second one wins")
		}
		return err
	})
	t.cacheHas("k", strconv.FormatInt(winner.Load(), 10))
}

func testCacheCountRace(t *T) {
	const each = 20
	t.together(100, func(int) error {
		for range each {
			var r [1]driver.CacheResult
			if err := t.set().Cache.Do(t.Ctx, t.namespace(), []driver.CacheOp{{Kind: driver.CacheIncrement, Key: "n", Delta: 1, TTL: time.Hour}}, r[:]); err != nil {
				return err
			}
			if r[0].Err != nil {
				return r[0].Err
			}
		}
		return nil
	})
	t.cacheHas("n", strconv.Itoa(100*each))
}

func testCacheMemory(t *T) {
	value := []byte("value")
	ops := []driver.CacheOp{{Kind: driver.CacheSet, Key: "k", Value: value}}
	var results [1]driver.CacheResult
	t.must(t.set().Cache.Do(t.Ctx, t.namespace(), ops, results[:]))
	copy(value, "XXXXX")
	t.cacheHas("k", "value")
	for range 2 {
		e, _, err := t.set().Cache.Get(t.Ctx, t.key("k"))
		t.must(err)
		copy(e.Value, "YYYYY")
		copy(t.cacheOK(driver.CacheOp{Kind: driver.CacheGet, Key: "k"}).Value, "ZZZZZ")
	}
	t.cacheHas("k", "value")
}

func testCacheAndKeyValue(t *T) {
	t.put("k", "of key-value")
	t.cacheLacks("k")
	t.cacheSet("k", "of the cache", time.Hour)
	t.has("k", "of key-value")
	t.cacheOK(driver.CacheOp{Kind: driver.CacheIncrement, Key: "n", Delta: 1, Receipt: t.receipt("id", "x")})
	_, err := t.set().KeyValue.Set(t.Ctx, t.key("n"), []byte("v"), driver.SetOptions{}, t.receipt("id", "y"))
	t.must(err)
	t.has("n", "v")
	t.delete("k")
	t.cacheHas("k", "of the cache")
	t.cacheOK(driver.CacheOp{Kind: driver.CacheDelete, Key: "n"})
	t.has("n", "v")
}

func testCacheIsolation(t *T) {
	base := string(t.namespace())
	piece := rapid.Custom(func(r *rapid.T) string {
		return string(rapid.SliceOfN(rapid.SampledFrom([]byte{0, 1, 'a', '/', ':', '{', '}', 0xFE, 0xFF}), 0, 5).Draw(r, "bytes"))
	})
	t.property(200, func(r *rapid.T) error {
		whole := piece.Draw(r, "1") + piece.Draw(r, "2") + "k"
		i, j := rapid.IntRange(0, len(whole)-1).Draw(r, "cut 1"), rapid.IntRange(0, len(whole)-1).Draw(r, "cut 2")
		a := prism.Key{Namespace: prism.Namespace(base + whole[:i]), Name: whole[i:]}
		b := prism.Key{Namespace: prism.Namespace(base + whole[:j]), Name: whole[j:]}
		if a == b {
			b.Name += "x"
		}
		for n, k := range []prism.Key{a, b} {
			t.cacheIn(k.Namespace, driver.CacheOp{Kind: driver.CacheSet, Key: k.Name, Value: []byte{byte(n)}})
		}
		for n, k := range []prism.Key{a, b} {
			if e, found, err := t.set().Cache.Get(t.Ctx, k); err != nil || !found || len(e.Value) != 1 || e.Value[0] != byte(n) {
				return fmt.Errorf("%q and %q: %q is %v %v %v, want [%d]", a, b, k, e.Value, found, err, n)
			}
		}
		t.cacheIn(a.Namespace, driver.CacheOp{Kind: driver.CacheDelete, Key: a.Name})
		if !t.cacheIn(b.Namespace, driver.CacheOp{Kind: driver.CacheDelete, Key: b.Name}).Found {
			return fmt.Errorf("deleting %q took %q", a, b)
		}
		return nil
	})
}

func testCacheDrop(t *T) {
	other := t.another()
	count := driver.CacheOp{Kind: driver.CacheIncrement, Key: "n", Delta: 1, TTL: time.Hour, Receipt: t.receipt("id", "")}
	for range 2 {
		t.cacheSet("k", "v", 0)
		t.cacheOK(count)
		t.cacheIn(other, driver.CacheOp{Kind: driver.CacheSet, Key: "k", Value: []byte("kept")})
		t.must(t.set().Store.Drop(t.Ctx, t.namespace()))
		t.cacheLacks("k")
		t.cacheLacks("n")
		u, err := t.set().Store.Usage(t.Ctx, t.namespace())
		t.must(err)
		if u.Keys != 0 || u.Bytes != 0 || u.Receipts != 0 {
			t.Errorf("after Drop there are %+v", u)
		}
		if r := t.cacheOK(count); r.Replayed || r.Number != 1 {
			t.Errorf("a receipt outlived Drop: %+v", r)
		}
		if r := t.cacheIn(other, driver.CacheOp{Kind: driver.CacheGet, Key: "k"}); string(r.Value) != "kept" {
			t.Errorf("Drop took from another namespace: %+v", r)
		}
		t.must(t.set().Store.Drop(t.Ctx, t.namespace()))
	}
}

func testCacheUsage(t *T) {
	for i := range 10 {
		t.cacheSet("key-"+strconv.Itoa(i), pattern(100, i), 0)
	}
	t.cacheSet("key-0", pattern(200, 0), 0)
	t.cacheOK(driver.CacheOp{Kind: driver.CacheDelete, Key: "key-9"})
	t.countOnce("n", time.Hour, 0)
	u, err := t.set().Store.Usage(t.Ctx, t.namespace())
	t.must(err)
	if u.Estimated && t.store().Clock == nil { // a server's own guess
		return
	}
	if u.Keys != 10 || u.Receipts < 1 || !u.Estimated && u.Receipts != 1 {
		t.Errorf("Usage is %+v, want 10 keys and 1 receipt", u)
	}
	if least := int64(9*5 + 8*100 + 200); u.Bytes < least || u.Bytes > 10*least {
		t.Errorf("Usage tells %d bytes, want %d and a little", u.Bytes, least)
	}
}

func testCacheClosed(t *T) {
	t.cacheSet("k", "v", 0)
	set, key := *t.set(), t.key("k")
	t.must(set.Store.Close())
	_, _, err := set.Cache.Get(t.Ctx, key)
	t.unavailable("Get", err)
	for _, op := range []driver.CacheOp{{Kind: driver.CacheGet, Key: "k"}, {Kind: driver.CacheSet, Key: "k"}, {Kind: driver.CacheSet, Key: "new"}} {
		t.unavailable("Do", set.Cache.Do(t.Ctx, key.Namespace, []driver.CacheOp{op}, make([]driver.CacheResult, 1)))
	}
}

func testCacheEndedContext(t *T) {
	t.cacheSet("k", "v", 0)
	ctx, cancel := context.WithCancel(t.Ctx)
	cancel()
	if _, _, err := t.set().Cache.Get(ctx, t.key("k")); err == nil {
		t.Errorf("Get works with a context that has ended")
	}
	err := t.set().Cache.Do(ctx, t.namespace(), []driver.CacheOp{{Kind: driver.CacheSet, Key: "k", Value: []byte("w")}}, make([]driver.CacheResult, 1))
	t.refused("Do", err, prism.ReasonCancelled)
	t.cacheHas("k", "v")
}

func testCacheReopen(t *T) {
	t.cacheSet("k", "v", 0)
	t.cacheSet("short", "v", time.Minute)
	t.cacheSet("long", "v", time.Hour)
	t.countOnce("n", time.Hour, 0)
	end := t.cacheHas("long", "v").ExpiresAt
	before, err := t.set().Store.Usage(t.Ctx, t.namespace())
	t.must(err)
	t.reopen()
	after, err := t.set().Store.Usage(t.Ctx, t.namespace())
	t.must(err)
	if after != before {
		t.Errorf("Usage was %+v and is %+v", before, after)
	}
	t.cacheHas("k", "v")
	if e := t.cacheHas("long", "v"); !sameTime(e.ExpiresAt, end) {
		t.Errorf("the entry ends %v, before the restart %v", e.ExpiresAt, end)
	}
	if r := t.countOnce("n", time.Hour, 0); !r.Replayed || r.Number != 1 {
		t.Errorf("the receipt did not outlive the restart: %+v", r)
	}
	if t.store().Clock == nil {
		return
	}
	t.pass(time.Minute)
	t.reopen()
	t.cacheLacks("short")
	t.cacheHas("long", "v")
}

func testCacheReopenDropped(t *T) {
	t.cacheSet("k", "v", time.Hour)
	t.countOnce("n", time.Hour, 0)
	t.must(t.set().Store.Drop(t.Ctx, t.namespace()))
	t.reopen()
	t.cacheLacks("k")
	if r := t.countOnce("n", time.Hour, 0); r.Replayed || r.Number != 1 {
		t.Errorf("what was dropped came back: %+v", r)
	}
}

// testCacheLikeMap holds a store to a map with ends.
func testCacheLikeMap(t *T) {
	keys := modelKeys
	if t.harness.Wire {
		keys = slices.DeleteFunc(slices.Clone(keys), func(k string) bool { return !utf8.ValidString(k) })
	}
	t.property(10, func(r *rapid.T) error {
		m := cacheModel{}
		ns := t.another()
		for range 100 {
			if rapid.IntRange(0, 5).Draw(r, "pass") == 0 {
				t.pass(rapid.SampledFrom([]time.Duration{time.Millisecond, time.Second, time.Minute}).Draw(r, "by"))
			}
			ops := rapid.SliceOfN(rapid.Custom(func(r *rapid.T) driver.CacheOp { return drawCacheOp(r, keys, modelTTLs) }), 1, 4).Draw(r, "ops")
			results := make([]driver.CacheResult, len(ops))
			if err := t.set().Cache.Do(t.Ctx, ns, ops, results); err != nil {
				return err
			}
			for i := range ops {
				want := m.do(&ops[i], t.now())
				if got := results[i]; !sameCacheResult(got, want, sameTime) {
					return fmt.Errorf("%+v: got %+v, want %+v", ops[i], got, want)
				}
			}
		}
		return nil
	})
}
