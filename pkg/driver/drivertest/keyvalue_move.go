package drivertest

import (
	"bytes"
	"fmt"
	"strconv"
	"time"

	"github.com/prism-data-layer/prism/pkg/driver"
	"github.com/prism-data-layer/prism/pkg/prism"
)

// movePromises take parcels from one namespace to another of the same store:
// what a store hands out it can take in, and nothing else is asked of it.
var movePromises = []promise{
	{"Export gives the entries asked for with value, version, expiry and time to live", testExport, "keyvalue_ttl"},
	{"an imported entry has the value and the version it had", testImport, ""},
	{"an imported expiry is the same to the millisecond, and Touch starts the same time to live", testImportTTL, "keyvalue_ttl"},
	{"Import replaces what is there", testImportReplaces, "keyvalue_scan"},
	{"Import leaves no change, and what comes after it does", testImportHistory, "keyvalue_watch"},
	{"versions up to the parcel's are used up", testImportVersion, ""},
	{"the version of an imported entry is used up", testImportEntryVersion, "keyvalue_watch"},
	{"versions that an Import used up stay so after a restart", testImportVersionReopen, "reopen"},
	{"a parcel's version is no smaller than any that was given out", testExportVersion, ""},
	{"an Export of nothing tells first of what has ended", testExportEnded, "keyvalue_watch keyvalue_ttl"},
	{"an entry that ended before its Import is not there and leaves its expiry", testImportEnded, "keyvalue_watch keyvalue_ttl"},
	{"an imported receipt gives the first answer", testImportReceipt, "keyvalue_atomic"},
	{"an imported receipt with another body is KEY_REUSED", testImportReceiptBody, ""},
	{"a walk over the receipts sees each that is there", testExportReceipts, ""},
	{"an imported receipt of a transaction gives all its answers", testImportTransaction, "keyvalue_transactional"},
	{"imported entries and receipts outlive a restart", testImportReopen, "reopen"},
	{"a parcel of a thousand entries is taken whole", testImportMany, "keyvalue_scan"},
}

func (t *T) export(keys []string, receipts ...driver.ReceiptID) driver.Parcel {
	t.Helper()
	p, err := t.set().KeyValueMove.Export(t.Ctx, t.namespace(), keys, receipts)
	t.must(err)
	return p
}

func (t *T) imports(p driver.Parcel) {
	t.Helper()
	t.must(t.set().KeyValueMove.Import(t.Ctx, t.namespace(), p))
}

// entry is one for a parcel.
func entry(key, value string, version uint64) driver.ParcelEntry {
	return driver.ParcelEntry{Entry: driver.Entry{Key: key, Value: []byte(value), Size: len(value), Version: version}}
}

func testExport(t *T) {
	version := t.put("plain", "1")
	t.put("ends", "", driver.SetOptions{TTL: time.Hour})
	p := t.export([]string{"ends", "missing", "plain"})
	if len(p.Entries) != 2 || p.Entries[0].Key != "ends" || p.Entries[1].Key != "plain" {
		t.Fatalf("exported %d entries, want ends and plain: %+v", len(p.Entries), p.Entries)
	}
	ends, plain := p.Entries[0], p.Entries[1]
	if string(plain.Value) != "1" || plain.Version != version || plain.Size != 1 || !plain.ExpiresAt.IsZero() || plain.TTL != 0 {
		t.Errorf("plain is %+v, want value 1 of version %d without an end", plain, version)
	}
	at, err := t.set().KeyValueTTL.ExpiresAt(t.Ctx, t.key("ends"))
	t.must(err)
	if len(ends.Value) != 0 || !sameTime(ends.ExpiresAt, at) || ends.TTL != time.Hour {
		t.Errorf("ends is %+v, want an empty value, end %v and an hour to live", ends, at)
	}
}

func testImport(t *T) {
	before := t.put("other", "o")
	t.imports(driver.Parcel{Entries: []driver.ParcelEntry{entry("a", "1", 17), entry("b", "", before+1000)}, Version: before + 1000})
	for key, want := range map[string]driver.Entry{"a": {Value: []byte("1"), Version: 17}, "b": {Version: before + 1000}} {
		if e := t.get(key); !bytes.Equal(e.Value, want.Value) || e.Version != want.Version || !e.ExpiresAt.IsZero() {
			t.Errorf("%s is %s of version %d, want %s of %d", key, short(e.Value), e.Version, short(want.Value), want.Version)
		}
	}
	t.has("other", "o")
}

func testImportTTL(t *T) {
	end := t.now().Add(time.Hour).Truncate(time.Millisecond)
	e := entry("k", "v", 3)
	e.ExpiresAt, e.TTL = end, 2*time.Hour
	t.imports(driver.Parcel{Entries: []driver.ParcelEntry{e}})
	at, err := t.set().KeyValueTTL.ExpiresAt(t.Ctx, t.key("k"))
	t.must(err)
	if !sameTime(at, end) {
		t.Errorf("it ends at %v, want %v", at, end)
	}
	res, err := t.set().KeyValueTTL.Touch(t.Ctx, t.key("k"), driver.Receipt{})
	t.must(err)
	if left := res.ExpiresAt.Sub(t.now()); left < time.Hour+time.Minute || left > 2*time.Hour+time.Minute {
		t.Errorf("after Touch %v are left, want two hours", left)
	}
}

func testImportReplaces(t *T) {
	t.put("k", "old", driver.SetOptions{})
	t.imports(driver.Parcel{Entries: []driver.ParcelEntry{entry("k", "new", 9)}})
	if e := t.get("k"); string(e.Value) != "new" || e.Version != 9 {
		t.Errorf("k is %s of version %d, want new of 9", short(e.Value), e.Version)
	}
	n, err := t.set().KeyValueScan.Count(t.Ctx, t.namespace(), driver.Query{Limit: 1, MaxBytes: 1})
	t.must(err)
	if n != 1 {
		t.Errorf("%d keys, want 1", n)
	}
}

func testImportHistory(t *T) {
	w := t.watch("", nil)
	t.imports(driver.Parcel{Entries: []driver.ParcelEntry{entry("k", "v", 5)}, Version: 6})
	version := t.put("k", "w")
	w.next(1, false)
	if c := w.seen[0]; c.Kind != driver.ChangeSet || c.Version != version || c.Previous != 5 {
		t.Errorf("the first change is %+v, want the set of version %d after 5", c, version)
	}
}

func testImportVersion(t *T) {
	floor := t.put("k", "v") + 1_000_000_000
	t.imports(driver.Parcel{Version: floor})
	if v := t.put("k", "w"); v <= floor {
		t.Errorf("version %d was given out, %d is used up", v, floor)
	}
}

func testImportEntryVersion(t *T) {
	large := t.put("k", "v") + 1_000_000_000
	t.imports(driver.Parcel{Entries: []driver.ParcelEntry{entry("e", "v", large)}})
	w := t.watch("", nil)
	version := t.delete("e").Version
	if version <= large {
		t.Errorf("the deletion has version %d, the entry had %d", version, large)
	}
	w.next(1, false)
	if c := w.seen[0]; c.Kind != driver.ChangeDelete || c.Version != version || c.Previous != large {
		t.Errorf("the change is %+v, want the deletion %d of version %d", c, version, large)
	}
}

func testImportVersionReopen(t *T) {
	floor := t.put("k", "v") + 1_000_000_000
	t.imports(driver.Parcel{Version: floor})
	t.reopen()
	if v := t.put("k", "w"); v <= floor {
		t.Errorf("version %d was given out, %d is used up", v, floor)
	}
}

func testExportVersion(t *T) {
	for i := range 10 {
		t.put("k", strconv.Itoa(i))
	}
	last := t.delete("k").Version
	p := t.export(nil)
	if p.Version < last {
		t.Errorf("the parcel says %d, the deletion has %d", p.Version, last)
	}
	if v := t.put("k", "again"); v <= p.Version {
		t.Errorf("version %d was given out after a parcel of %d", v, p.Version)
	}
}

func testExportEnded(t *T) {
	const keys = 50
	w := t.watch("", nil)
	end := t.now().Add(-time.Second)
	for i := range keys {
		e := entry(strconv.Itoa(i), "v", 3)
		e.ExpiresAt, e.TTL = end, time.Second
		t.imports(driver.Parcel{Entries: []driver.ParcelEntry{e}, Version: 3})
	}
	p := t.export(nil)
	w.next(keys, true)
	for _, c := range w.seen {
		if c.Kind != driver.ChangeExpire || c.Version > p.Version {
			t.Errorf("the change is %+v, want an end of at most version %d", c, p.Version)
		}
	}
}

func testImportEnded(t *T) {
	w := t.watch("", nil)
	e := entry("k", "v", 3)
	e.ExpiresAt, e.TTL = t.now().Add(-time.Second), time.Second
	t.imports(driver.Parcel{Entries: []driver.ParcelEntry{e}, Version: 3})
	t.lacks("k")
	w.next(1, true)
	if c := w.seen[0]; c.Kind != driver.ChangeExpire || c.Key != "k" || c.Previous != 3 {
		t.Errorf("the change is %+v, want the end of version 3", c)
	}
}

// movedReceipt exports a receipt, drops the namespace and imports it again.
func (t *T) movedReceipt(r driver.Receipt) {
	t.Helper()
	p := t.export(nil, r.ID)
	if len(p.Receipts) != 1 {
		t.Fatalf("exported %d receipts, want 1", len(p.Receipts))
	}
	k := p.Receipts[0]
	if k.ID != r.ID || k.Body != r.Body {
		t.Errorf("the receipt is %x of %x, want %x of %x", k.ID, k.Body, r.ID, r.Body)
	}
	if left := k.Ends.Sub(t.now()); left < r.Keep-time.Minute || left > r.Keep+time.Minute {
		t.Errorf("the receipt is kept for %v more, want %v", left, r.Keep)
	}
	t.must(t.set().Store.Drop(t.Ctx, t.namespace()))
	t.imports(p)
}

func testImportReceipt(t *T) {
	kv, r := t.set().KeyValueAtomic, t.receipt("once", "add 2")
	first, err := kv.Increment(t.Ctx, t.key("n"), 2, r)
	t.must(err)
	swap := t.receipt("swap", "swap")
	t.put("s", "before")
	swapped, err := kv.GetAndSet(t.Ctx, t.key("s"), []byte("after"), driver.SetOptions{}, swap)
	t.must(err)
	p := t.export(nil, swap.ID)
	t.movedReceipt(r)
	t.imports(p)
	again, err := kv.Increment(t.Ctx, t.key("n"), 2, r)
	t.must(err)
	t.replays("Increment", first, again)
	t.lacks("n")
	again, err = kv.GetAndSet(t.Ctx, t.key("s"), []byte("after"), driver.SetOptions{}, swap)
	t.must(err)
	t.replays("GetAndSet", swapped, again)
}

func testImportReceiptBody(t *T) {
	kv, r := t.set().KeyValue, t.receipt("once", "a")
	_, err := kv.Set(t.Ctx, t.key("k"), []byte("v"), driver.SetOptions{}, r)
	t.must(err)
	t.movedReceipt(r)
	_, err = kv.Set(t.Ctx, t.key("k"), []byte("w"), driver.SetOptions{}, t.receipt("once", "b"))
	t.refused("another body", err, prism.ReasonKeyReused)
	t.lacks("k")
}

func testExportReceipts(t *T) {
	const n = 250
	want := map[driver.ReceiptID]bool{}
	for i := range n {
		r := t.receipt(fmt.Sprint("r", i), "b")
		if i%2 == 0 {
			r.Keep = 10 * time.Minute
		}
		_, err := t.set().KeyValue.Set(t.Ctx, t.key("k"), []byte("v"), driver.SetOptions{}, r)
		t.must(err)
		want[r.ID] = true
	}
	var token []byte
	for {
		p, next, err := t.set().KeyValueMove.ExportReceipts(t.Ctx, t.namespace(), token, 40)
		t.must(err)
		for _, k := range p.Receipts {
			delete(want, k.ID)
		}
		if next == nil {
			break
		}
		token = next
	}
	if len(want) > 0 {
		t.Errorf("%d of %d receipts were not seen", len(want), n)
	}
}

func testImportTransaction(t *T) {
	kv, r := t.set().KeyValueTransactional, t.receipt("tx", "two")
	writes := []driver.Op{{Kind: driver.OpSet, Key: "a", Value: []byte("1")}, {Kind: driver.OpSet, Key: "b", Value: []byte("2")}}
	first, err := kv.Commit(t.Ctx, t.namespace(), nil, writes, r)
	t.must(err)
	t.movedReceipt(r)
	again, err := kv.Commit(t.Ctx, t.namespace(), nil, writes, r)
	t.must(err)
	if len(again) != len(first) {
		t.Fatalf("%d answers, want %d", len(again), len(first))
	}
	for i := range first {
		t.replays(writes[i].Key, first[i], again[i])
	}
	t.lacks("a")
}

func testImportReopen(t *T) {
	kv, r := t.set().KeyValue, t.receipt("once", "a")
	first, err := kv.Set(t.Ctx, t.key("k"), []byte("v"), driver.SetOptions{}, r)
	t.must(err)
	t.movedReceipt(r)
	t.imports(driver.Parcel{Entries: []driver.ParcelEntry{entry("e", "v", 7)}})
	t.reopen()
	if e := t.get("e"); string(e.Value) != "v" || e.Version != 7 {
		t.Errorf("e is %s of version %d, want v of 7", short(e.Value), e.Version)
	}
	again, err := t.set().KeyValue.Set(t.Ctx, t.key("k"), []byte("v"), driver.SetOptions{}, r)
	t.must(err)
	t.replays("Set", first, again)
}

func testImportMany(t *T) {
	var p driver.Parcel
	for i := range 1000 {
		p.Entries = append(p.Entries, entry(fmt.Sprintf("k%04d", i), pattern(1000, i), uint64(i+1)))
	}
	t.imports(p)
	n, err := t.set().KeyValueScan.Count(t.Ctx, t.namespace(), driver.Query{Limit: 1, MaxBytes: 1})
	t.must(err)
	if n != 1000 {
		t.Errorf("%d keys, want 1000", n)
	}
	t.has("k0999", pattern(1000, 999))
}
