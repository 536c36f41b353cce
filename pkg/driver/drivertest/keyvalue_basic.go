package drivertest

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"pgregory.net/rapid"

	"github.com/prism-data-layer/prism/pkg/driver"
	"github.com/prism-data-layer/prism/pkg/prism"
)

var basicPromises = []promise{
	{"Set stores a value and tells its version", testSet, ""},
	{"Get gives back what Set stored", testGet, ""},
	{"Get of a missing key says not found", testGetMissing, ""},
	{"Exists tells a key from a missing one", testExists, ""},
	{"Delete removes a key and says that it was there", testDelete, ""},
	{"Delete of a missing key is no error", testDeleteMissing, ""},
	{"Set over a key replaces its value", testOverwrite, ""},
	{"set, get, delete, get in turn", testSetGetDelete, ""},
	{"100 sequential updates are each seen", testSequential, ""},
	{"an empty value is not a missing key", testEmptyValue, ""},
	{"values come back byte for byte", testBinaryValues, ""},
	{"values from 1 byte to 1 MiB are kept", testSizes, ""},
	{"keys of 1 and of 1,024 bytes are kept", testKeySizes, ""},
	{"keys are compared byte by byte", testKeyBytes, ""},
	{"keys may be any bytes", testAnyKey, "anybytes"},
	{"special characters in keys mean nothing", testSpecialKeys, ""},
	{"100 goroutines set keys of their own", testConcurrentKeys, ""},
	{"100 goroutines set one key: one of them wins, each with a version of its own", testConcurrentKey, ""},
	{"a call that returned is visible to every later call", testVisible, ""},
	{"the caller may reuse the value it gave", testCallerReuses, ""},
	{"a value that was returned belongs to the caller", testCallerOwns, ""},
	{"a random mix of calls does what a map does", testLikeMap, ""},
	{"each change makes the version larger, and Get tells it", testVersionGrows, ""},
	{"a version is not used again after Delete", testVersionAfterDelete, ""},
	{"a version is not used again after a restart", testVersionAfterReopen, "reopen"},
	{"a receipt makes Set happen once", testReceiptSet, ""},
	{"a receipt makes Delete happen once", testReceiptDelete, ""},
	{"a receipt with another body is KEY_REUSED and changes nothing", testReceiptReused, ""},
	{"a receipt that was used for another key is KEY_REUSED and changes nothing", testReceiptOfAnother, "together"},
	{"receipts of other ids and other namespaces are strangers", testReceiptStrangers, ""},
	{"100 calls at once with one receipt have one effect", testReceiptRace, ""},
	{"receipts outlive a restart", testReceiptReopen, "reopen"},
	{"a receipt is forgotten after its time", testReceiptExpires, "clock"},
	{"receipts are bounded and the oldest go first", testReceiptBound, "bounds together"},
	{"a receipt may bound them further", testReceiptMax, "bounds together"},
	{"a context that has ended changes nothing", testEndedContext, ""},
}

func testSet(t *T) {
	if v := t.put("k", "v"); v == 0 {
		t.Errorf("Set gave version 0")
	}
}

func testGet(t *T) {
	v := t.put("k", "value")
	t.has("k", "value")
	e := t.get("k")
	if e.Version != v {
		t.Errorf("Get tells version %d, Set told %d", e.Version, v)
	}
	if !e.ExpiresAt.IsZero() {
		t.Errorf("Get tells an expiry, %v, of a key without one", e.ExpiresAt)
	}
}

func testGetMissing(t *T) {
	t.put("other", "v")
	for _, name := range []string{"missing", "othe", "other ", "others"} {
		e, found, err := t.set().KeyValue.Get(t.Ctx, t.key(name))
		if found || err != nil {
			t.Errorf("Get %q: %+v %v %v, want not found and no error", name, e, found, err)
		}
	}
	_, found, err := t.set().KeyValue.Get(t.Ctx, prism.Key{Namespace: t.another(), Name: "other"})
	if found || err != nil {
		t.Errorf("Get in an empty namespace: %v %v, want not found and no error", found, err)
	}
}

func testExists(t *T) {
	t.put("k", "")
	for name, want := range map[string]bool{"k": true, "missing": false} {
		got, err := t.set().KeyValue.Exists(t.Ctx, t.key(name))
		t.must(err)
		if got != want {
			t.Errorf("Exists %q: %v, want %v", name, got, want)
		}
	}
}

func testDelete(t *T) {
	v := t.put("k", "v")
	t.put("other", "v")
	res := t.delete("k")
	if !res.Found {
		t.Errorf("Delete says that the key was not there")
	}
	if res.Version <= v {
		t.Errorf("the deletion has version %d, the value had %d", res.Version, v)
	}
	t.lacks("k")
	t.has("other", "v")
}

func testDeleteMissing(t *T) {
	t.put("other", "v")
	for range 2 {
		if res := t.delete("missing"); res.Found || res.Version != 0 {
			t.Errorf("Delete of a missing key: %+v, want not found and version 0", res)
		}
	}
	t.put("gone", "v")
	t.delete("gone")
	if res := t.delete("gone"); res.Found || res.Version != 0 {
		t.Errorf("second Delete: %+v, want not found and version 0", res)
	}
}

func testOverwrite(t *T) {
	t.put("k", "first and longer")
	t.put("k", "second")
	t.has("k", "second")
	t.put("k", "")
	t.has("k", "")
}

func testSetGetDelete(t *T) {
	for i := range 10 {
		t.lacks("k")
		t.put("k", fmt.Sprint(i))
		t.has("k", fmt.Sprint(i))
		t.delete("k")
	}
	t.lacks("k")
}

func testSequential(t *T) {
	for i := range 100 {
		t.put("k", fmt.Sprint(i))
		t.has("k", fmt.Sprint(i))
	}
}

func testEmptyValue(t *T) {
	for _, value := range [][]byte{nil, {}} {
		_, err := t.set().KeyValue.Set(t.Ctx, t.key("k"), value, driver.SetOptions{}, driver.Receipt{})
		t.must(err)
		t.has("k", "")
		if there, err := t.set().KeyValue.Exists(t.Ctx, t.key("k")); !there || err != nil {
			t.Errorf("Exists of an empty value: %v %v, want true", there, err)
		}
	}
	if !t.delete("k").Found {
		t.Errorf("Delete of an empty value says that it was not there")
	}
}

func testBinaryValues(t *T) {
	var all bytes.Buffer
	for b := range 256 {
		all.WriteByte(byte(b))
		t.put(fmt.Sprint(b), string([]byte{byte(b)}))
	}
	t.put("all", all.String())
	t.has("all", all.String())
	for b := range 256 {
		t.has(fmt.Sprint(b), string([]byte{byte(b)}))
	}
}

func testSizes(t *T) {
	for i, n := range []int{1, 100, 4095, 4096, 10_000, 65_535, 65_536, 500_000, prism.MaxValueBytes - 1, prism.MaxValueBytes} {
		t.put("k", pattern(n, i))
		t.has("k", pattern(n, i))
	}
}

func testKeySizes(t *T) {
	names := []string{"a", "b", strings.Repeat("k", prism.MaxKeyBytes-1), strings.Repeat("k", prism.MaxKeyBytes), strings.Repeat("k", prism.MaxKeyBytes-1) + "l"}
	for _, name := range names {
		t.put(name, "value of "+name)
	}
	for _, name := range names {
		t.has(name, "value of "+name)
	}
}

func testKeyBytes(t *T) {
	t.distinct([]string{
		"a", "A", "a ", " a", "a\x00", "a\x00b", "\x00", "\x00\x00", "ab", "a/b", "a//b", "a/",
		"é", "e\u0301", "\u202e", "\ufeff", "\u00e9\x00", "\U0010FFFF", "\u007f", "\n", "\r\n", "1", "01", "1.0",
	})
}

func testAnyKey(t *T) {
	names := []string{"\xff", "\xff\xff", "\xff\x00", "\xfe", "\xc3\x28", "\xed\xa0\x80", "\xc0\xaf", "\x80", "\x01", "\x00\xff"}
	for b := range 256 {
		names = append(names, "b"+string([]byte{byte(b)}))
	}
	t.distinct(names)
}

func testSpecialKeys(t *T) {
	t.distinct([]string{
		"a:b", "a-b", "a_b", "a.b", "a/b", "../a", "a/../b", "%00", "%61", "{a}", "{a}b", "*", "?", "[a]", "a*",
		"$(x)", "'", "\"", "\\", ";--", "`", "<a>", "&", "#", "=", "+", "~", "\x1b[2J", "a\tb", "a\nb", "__system", ".",
	})
}

// distinct wants every name to be a key of its own.
func (t *T) distinct(names []string) {
	t.Helper()
	for i, name := range names {
		t.put(name, fmt.Sprint(i))
	}
	for i, name := range names {
		t.has(name, fmt.Sprint(i))
	}
	for i, name := range names {
		if !t.delete(name).Found {
			t.Errorf("Delete %q: not there any more", name)
		}
		t.lacks(name)
		if i+1 < len(names) {
			t.has(names[len(names)-1], fmt.Sprint(len(names)-1))
		}
	}
}

func testConcurrentKeys(t *T) {
	set := t.set()
	t.together(100, func(i int) error {
		k := t.key(fmt.Sprintf("k%d", i))
		for round := range 10 {
			value := fmt.Sprintf("%d %d", i, round)
			if _, err := set.KeyValue.Set(t.Ctx, k, []byte(value), driver.SetOptions{}, driver.Receipt{}); err != nil {
				return err
			}
			e, found, err := set.KeyValue.Get(t.Ctx, k)
			if err != nil || !found || string(e.Value) != value {
				return fmt.Errorf("Get %s: %q %v %w, want %q", k.Name, e.Value, found, err, value)
			}
		}
		return nil
	})
	for i := range 100 {
		t.has(fmt.Sprintf("k%d", i), fmt.Sprintf("%d 9", i))
	}
}

func testConcurrentKey(t *T) {
	set, k := t.set(), t.key("k")
	var mu sync.Mutex
	written := map[uint64]string{}
	t.together(100, func(i int) error {
		value := fmt.Sprint(i)
		res, err := set.KeyValue.Set(t.Ctx, k, []byte(value), driver.SetOptions{}, driver.Receipt{})
		if err != nil {
			return err
		}
		mu.Lock()
		defer mu.Unlock()
		if other, there := written[res.Version]; there {
			return fmt.Errorf("version %d was given to %s and %s", res.Version, other, value)
		}
		written[res.Version] = value
		return nil
	})
	e := t.get("k")
	if last := slices.Max(slices.Collect(maps.Keys(written))); e.Version != last {
		t.Errorf("the key has version %d, the last given out is %d", e.Version, last)
	}
	if written[e.Version] != string(e.Value) {
		t.Errorf("version %d is %q, but %q was told so", e.Version, e.Value, written[e.Version])
	}
}

func testVisible(t *T) {
	set, k := t.set(), t.key("k")
	written := make(chan string)
	t.together(2, func(i int) error {
		if i == 0 {
			defer close(written)
			for n := range 200 {
				value := fmt.Sprint(n)
				if _, err := set.KeyValue.Set(t.Ctx, k, []byte(value), driver.SetOptions{}, driver.Receipt{}); err != nil {
					return err
				}
				written <- value
			}
			return nil
		}
		var failed error
		for value := range written {
			e, found, err := set.KeyValue.Get(t.Ctx, k)
			if (err != nil || !found || len(e.Value) < len(value)) && failed == nil {
				failed = fmt.Errorf("after Set %s: Get %q %v %w", value, e.Value, found, err)
			}
		}
		return failed
	})
}

func testCallerReuses(t *T) {
	value := []byte("before")
	_, err := t.set().KeyValue.Set(t.Ctx, t.key("k"), value, driver.SetOptions{}, driver.Receipt{})
	t.must(err)
	copy(value, "after!")
	t.has("k", "before")
}

func testCallerOwns(t *T) {
	t.put("k", "before")
	e := t.get("k")
	copy(e.Value, "after!")
	_ = append(e.Value, "more"...)
	t.has("k", "before")
	kept := t.get("k").Value
	t.put("k", "other!")
	if string(kept) != "before" {
		t.Errorf("a value changed in the caller's hands: %q", kept)
	}
}

func testLikeMap(t *T) {
	model := map[string]string{}
	kv := t.set().KeyValue
	t.property(300, func(r *rapid.T) error {
		name := fmt.Sprintf("k%d", rapid.IntRange(0, 30).Draw(r, "key"))
		switch rapid.IntRange(0, 3).Draw(r, "call") {
		case 0, 1:
			value := pattern(rapid.IntRange(0, 2000).Draw(r, "size"), len(model))
			if _, err := kv.Set(t.Ctx, t.key(name), []byte(value), driver.SetOptions{}, driver.Receipt{}); err != nil {
				return err
			}
			model[name] = value
		case 2:
			res, err := kv.Delete(t.Ctx, t.key(name), driver.Receipt{})
			if _, there := model[name]; err != nil || res.Found != there {
				return fmt.Errorf("Delete %s: %v %w, want %v", name, res.Found, err, there)
			}
			delete(model, name)
		case 3:
			e, found, err := kv.Get(t.Ctx, t.key(name))
			if value, there := model[name]; err != nil || found != there || string(e.Value) != value {
				return fmt.Errorf("Get %s: %s %v %w, want %s %v", name, short(e.Value), found, err, short([]byte(value)), there)
			}
		}
		return nil
	})
	for name, value := range model {
		t.has(name, value)
	}
}

func testVersionGrows(t *T) {
	var last uint64
	for i := range 50 {
		v := t.put("k", "same")
		if v <= last {
			t.Fatalf("change %d has version %d, the one before %d", i, v, last)
		}
		last = v
		if got := t.get("k").Version; got != v {
			t.Errorf("Get tells version %d, Set told %d", got, v)
		}
	}
}

func testVersionAfterDelete(t *T) {
	var last uint64
	for range 20 {
		v := t.put("k", "v")
		if v <= last {
			t.Errorf("Set after Delete has version %d, the deletion had %d", v, last)
		}
		d := t.delete("k").Version
		if d <= v {
			t.Errorf("Delete has version %d, the value had %d", d, v)
		}
		last = max(v, d)
	}
}

func testVersionAfterReopen(t *T) {
	used := map[uint64]bool{}
	var last uint64
	note := func(v uint64) {
		if used[v] || v <= last {
			t.Errorf("version %d came after %d", v, last)
		}
		used[v], last = true, v
	}
	for round := range 3 {
		for range 5 {
			note(t.put("k", "v"))
			note(t.delete("k").Version)
		}
		if round == 1 {
			note(t.put("k", "stays"))
		}
		t.reopen()
	}
	note(t.put("k", "v"))
}

func testReceiptSet(t *T) {
	kv, r := t.set().KeyValue, t.receipt("r", "first")
	call := func() driver.Result {
		res, err := kv.Set(t.Ctx, t.key("k"), []byte("first"), driver.SetOptions{}, r)
		t.must(err)
		return res
	}
	first := call()
	t.replays("at once", first, call())
	v := t.put("k", "second")
	t.replays("after another change", first, call())
	t.has("k", "second")
	t.delete("k")
	t.replays("after Delete", first, call())
	t.lacks("k")
	if next := t.put("k", "third"); next <= v {
		t.Errorf("version %d after %d", next, v)
	}
}

func testReceiptDelete(t *T) {
	kv := t.set().KeyValue
	t.put("k", "first")
	call := func(name string, r driver.Receipt) driver.Result {
		res, err := kv.Delete(t.Ctx, t.key(name), r)
		t.must(err)
		return res
	}
	r := t.receipt("r", "delete k")
	first := call("k", r)
	t.put("k", "second")
	t.replays("Delete", first, call("k", r))
	t.has("k", "second")

	// That nothing was there is an answer too.
	missing := t.receipt("m", "delete missing")
	first = call("missing", missing)
	t.put("missing", "now there")
	t.replays("Delete of a missing key", first, call("missing", missing))
	t.has("missing", "now there")
}

func testReceiptReused(t *T) {
	kv := t.set().KeyValue
	_, err := kv.Set(t.Ctx, t.key("k"), []byte("first"), driver.SetOptions{}, t.receipt("r", "first"))
	t.must(err)
	_, err = kv.Set(t.Ctx, t.key("k"), []byte("second"), driver.SetOptions{}, t.receipt("r", "second"))
	t.refused("Set with a used receipt", err, prism.ReasonKeyReused)
	t.has("k", "first")
}

func testReceiptOfAnother(t *T) {
	kv := t.set().KeyValue
	_, err := kv.Set(t.Ctx, t.key("k"), []byte("first"), driver.SetOptions{}, t.receipt("r", "first"))
	t.must(err)
	_, err = kv.Set(t.Ctx, t.key("other"), []byte("second"), driver.SetOptions{}, t.receipt("r", "second"))
	t.refused("Set of another key with a used receipt", err, prism.ReasonKeyReused)
	t.has("k", "first")
	t.lacks("other")
}

func testReceiptStrangers(t *T) {
	kv := t.set().KeyValue
	here, there := t.key("k"), prism.Key{Namespace: t.another(), Name: "k"}
	r := t.receipt("r", "b")
	for _, c := range []struct {
		key prism.Key
		r   driver.Receipt
	}{{here, r}, {there, r}, {here, t.receipt("s", "b")}} {
		res, err := kv.Set(t.Ctx, c.key, []byte("v"), driver.SetOptions{}, c.r)
		t.must(err)
		if res.Replayed {
			t.Errorf("Set of %q was taken for another", c.key)
		}
	}
}

func testReceiptRace(t *T) {
	set, k, r := t.set(), t.key("k"), t.receipt("r", "v")
	var mu sync.Mutex
	var answers []driver.Result
	t.together(100, func(int) error {
		res, err := set.KeyValue.Set(t.Ctx, k, []byte("v"), driver.SetOptions{}, r)
		if err != nil {
			// A store may say that the first one is still running.
			if prism.From(err).Reason == prism.ReasonInProgress {
				return nil
			}
			return err
		}
		mu.Lock()
		defer mu.Unlock()
		answers = append(answers, res)
		return nil
	})
	effects := 0
	for _, a := range answers {
		if !a.Replayed {
			effects++
		}
		if a.Version != answers[0].Version {
			t.Errorf("answers with versions %d and %d", a.Version, answers[0].Version)
		}
	}
	if effects != 1 {
		t.Errorf("%d effects of one receipt, want 1", effects)
	}
	if v := t.get("k").Version; len(answers) > 0 && v != answers[0].Version {
		t.Errorf("the key has version %d, the answers say %d", v, answers[0].Version)
	}
}

func testReceiptReopen(t *T) {
	r := t.receipt("r", "first")
	call := func() driver.Result {
		res, err := t.set().KeyValue.Set(t.Ctx, t.key("k"), []byte("first"), driver.SetOptions{}, r)
		t.must(err)
		return res
	}
	first := call()
	t.put("k", "second")
	t.reopen()
	t.replays("after a restart", first, call())
	t.has("k", "second")
	_, err := t.set().KeyValue.Set(t.Ctx, t.key("k"), []byte("third"), driver.SetOptions{}, t.receipt("r", "third"))
	t.refused("another body after a restart", err, prism.ReasonKeyReused)
}

func testReceiptExpires(t *T) {
	kv, r := t.set().KeyValue, t.receipt("r", "v")
	call := func() bool {
		res, err := kv.Set(t.Ctx, t.key("k"), []byte("v"), driver.SetOptions{}, r)
		t.must(err)
		return res.Replayed
	}
	call()
	t.pass(r.Keep - time.Second)
	if !call() {
		t.Errorf("the receipt was gone a second before its time")
	}
	t.pass(2 * time.Second)
	if call() {
		t.Errorf("the receipt was there a second after its time")
	}
	if !call() {
		t.Errorf("the receipt was not kept anew")
	}
}

func testReceiptBound(t *T) {
	t.open(Options{Receipts: receiptBound})
	t.boundsReceipts(0)
}

func testReceiptMax(t *T) { t.boundsReceipts(receiptBound) }

const receiptBound = 10

// boundsReceipts writes with three times as many receipts as are kept.
func (t *T) boundsReceipts(asked int64) {
	call := func(i int) bool {
		r := t.receipt(fmt.Sprint(i), fmt.Sprint(i))
		r.Max = asked
		res, err := t.set().KeyValue.Set(t.Ctx, t.key("k"), fmt.Append(nil, i), driver.SetOptions{}, r)
		t.must(err)
		return res.Replayed
	}
	const all = 3 * receiptBound
	for i := range all {
		call(i)
	}
	for i := all - receiptBound/2; i < all; i++ {
		if !call(i) {
			t.Errorf("receipt %d of %d is gone, the bound is %d", i, all, receiptBound)
		}
	}
	if call(0) {
		t.Errorf("receipt 0 of %d is still there, the bound is %d", all, receiptBound)
	}
}

func testEndedContext(t *T) {
	t.put("k", "before")
	cancelled, cancel := context.WithCancel(t.Ctx)
	cancel()
	late, cancel := context.WithDeadline(t.Ctx, time.Now().Add(-time.Second))
	defer cancel()
	for _, c := range []struct {
		ctx    context.Context
		reason prism.Reason
	}{{cancelled, prism.ReasonCancelled}, {late, prism.ReasonDeadlineExceeded}} {
		for call, err := range everyCall(c.ctx, t.set(), t.key("k")) {
			t.refused(call, err, c.reason)
		}
	}
	t.has("k", "before")
}
