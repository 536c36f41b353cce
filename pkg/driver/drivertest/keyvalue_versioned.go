package drivertest

import (
	"fmt"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/prism-data-layer/prism/pkg/driver"
	"github.com/prism-data-layer/prism/pkg/prism"
)

var versionedPromises = []promise{
	{"create-only stores a key that is not there", testCreate, ""},
	{"create-only on an existing key is ALREADY_EXISTS and changes nothing", testCreateExisting, ""},
	{"create-only works again after Delete", testCreateAfterDelete, ""},
	{"create-only takes an expired key for absent", testCreateAfterExpiry, "keyvalue_ttl"},
	{"of 100 creators at once exactly one wins", testCreateRace, ""},
	{"set if-version replaces the version that was read", testSetIfVersion, ""},
	{"set if-version tells VERSION_MISMATCH with the current version", testSetIfMismatch, ""},
	{"set if-version of a missing key tells version 0", testSetIfMissing, ""},
	{"delete if-version removes the version that was read", testDeleteIf, ""},
	{"delete if-version tells VERSION_MISMATCH with the current version", testDeleteIfMismatch, ""},
	{"a version from before Delete does not match after it", testSetIfOld, ""},
	{"set if-version obeys the options of Set", testSetIfOptions, "keyvalue_ttl"},
	{"read, add, set if-version loses no addition", testSetIfRace, ""},
	{"a condition must be exactly one", testConditionInvalid, "anybytes"},
	{"receipts make SetIf and DeleteIf happen once", testReceiptConditional, ""},
	{"a refusal leaves no receipt", testReceiptRefused, ""},
}

var absent = driver.Condition{Absent: true}

func ifVersion(v uint64) driver.Condition { return driver.Condition{Version: v} }

func (t *T) setIf(name, value string, c driver.Condition, r ...driver.Receipt) (driver.Result, error) {
	var receipt driver.Receipt
	if len(r) > 0 {
		receipt = r[0]
	}
	return t.set().KeyValueVersioned.SetIf(t.Ctx, t.key(name), []byte(value), c, driver.SetOptions{}, receipt)
}

// mismatch wants VERSION_MISMATCH that tells the current version.
func (t *T) mismatch(what string, err error, current uint64) {
	t.Helper()
	t.refused(what, err, prism.ReasonVersionMismatch)
	if err == nil {
		return
	}
	if got, want := prism.From(err).Meta["current_version"], strconv.FormatUint(current, 10); got != want {
		t.Errorf("%s: current_version is %q, want %q", what, got, want)
	}
}

func testCreate(t *T) {
	res, err := t.setIf("k", "v", absent)
	t.must(err)
	t.has("k", "v")
	if e := t.get("k"); e.Version != res.Version || res.Version == 0 {
		t.Errorf("Get tells version %d, SetIf told %d", e.Version, res.Version)
	}
}

func testCreateExisting(t *T) {
	v := t.put("k", "")
	_, err := t.setIf("k", "other", absent)
	t.refused("create-only", err, prism.ReasonAlreadyExists)
	t.has("k", "")
	if got := t.get("k").Version; got != v {
		t.Errorf("the version went from %d to %d", v, got)
	}
}

func testCreateAfterDelete(t *T) {
	t.put("k", "v")
	d := t.delete("k").Version
	res, err := t.setIf("k", "again", absent)
	t.must(err)
	if res.Version <= d {
		t.Errorf("version %d after the deletion's %d", res.Version, d)
	}
	t.has("k", "again")
}

func testCreateAfterExpiry(t *T) {
	v := t.put("k", "v", driver.SetOptions{TTL: t.second()})
	t.pass(t.second() + time.Millisecond)
	res, err := t.setIf("k", "again", absent)
	t.must(err)
	if res.Version <= v {
		t.Errorf("version %d after %d", res.Version, v)
	}
	t.pass(2 * t.second())
	t.has("k", "again")
}

func testCreateRace(t *T) {
	set, k := t.set(), t.key("k")
	var wins atomic.Int64
	var winner atomic.Value
	t.together(100, func(i int) error {
		_, err := set.KeyValueVersioned.SetIf(t.Ctx, k, fmt.Append(nil, i), absent, driver.SetOptions{}, driver.Receipt{})
		if err == nil {
			wins.Add(1)
			winner.Store(fmt.Sprint(i))
			return nil
		}
		if prism.From(err).Reason != prism.ReasonAlreadyExists {
			return err
		}
		return nil
	})
	if wins.Load() != 1 {
		t.Fatalf("%d creators won, want 1", wins.Load())
	}
	t.has("k", winner.Load().(string))
}

func testSetIfVersion(t *T) {
	v := t.put("k", "0")
	for i := range 5 {
		res, err := t.setIf("k", fmt.Sprint(i), ifVersion(v))
		t.must(err)
		if res.Version <= v {
			t.Errorf("version %d after %d", res.Version, v)
		}
		t.has("k", fmt.Sprint(i))
		v = res.Version
	}
}

func testSetIfMismatch(t *T) {
	old := t.put("k", "old")
	v := t.put("k", "new")
	for _, wrong := range []uint64{old, v + 1, 1} {
		_, err := t.setIf("k", "wrong", ifVersion(wrong))
		t.mismatch(fmt.Sprintf("if version %d", wrong), err, v)
	}
	t.has("k", "new")
	if got := t.get("k").Version; got != v {
		t.Errorf("the version went from %d to %d", v, got)
	}
}

func testSetIfMissing(t *T) {
	_, err := t.setIf("missing", "v", ifVersion(7))
	t.mismatch("set", err, 0)
	_, err = t.set().KeyValueVersioned.DeleteIf(t.Ctx, t.key("missing"), ifVersion(7), driver.Receipt{})
	t.mismatch("delete", err, 0)
	t.lacks("missing")
}

func testDeleteIf(t *T) {
	v := t.put("k", "v")
	res, err := t.set().KeyValueVersioned.DeleteIf(t.Ctx, t.key("k"), ifVersion(v), driver.Receipt{})
	t.must(err)
	if !res.Found || res.Version <= v {
		t.Errorf("got %+v, want found and a version above %d", res, v)
	}
	t.lacks("k")
}

func testDeleteIfMismatch(t *T) {
	old := t.put("k", "old")
	v := t.put("k", "new")
	_, err := t.set().KeyValueVersioned.DeleteIf(t.Ctx, t.key("k"), ifVersion(old), driver.Receipt{})
	t.mismatch("delete", err, v)
	t.has("k", "new")
}

func testSetIfOld(t *T) {
	v := t.put("k", "v")
	t.delete("k")
	_, err := t.setIf("k", "wrong", ifVersion(v))
	t.mismatch("after Delete", err, 0)
	again := t.put("k", "v")
	_, err = t.setIf("k", "wrong", ifVersion(v))
	t.mismatch("after it was made anew", err, again)
	t.has("k", "v")
}

func testSetIfOptions(t *T) {
	kv := t.set().KeyValueVersioned
	v := t.put("k", "v", driver.SetOptions{TTL: 100 * t.second()})
	at := t.get("k").ExpiresAt
	res, err := kv.SetIf(t.Ctx, t.key("k"), nil, ifVersion(v), driver.SetOptions{KeepTTL: true}, driver.Receipt{})
	t.must(err)
	if got := t.get("k").ExpiresAt; !sameTime(got, at) {
		t.Errorf("keep_ttl made %v of %v", got, at)
	}
	_, err = kv.SetIf(t.Ctx, t.key("k"), nil, ifVersion(res.Version), driver.SetOptions{}, driver.Receipt{})
	t.must(err)
	if got := t.get("k").ExpiresAt; !got.IsZero() {
		t.Errorf("the zero options kept expiry %v", got)
	}
	_, err = kv.SetIf(t.Ctx, t.key("new"), nil, absent, driver.SetOptions{TTL: t.second()}, driver.Receipt{})
	t.must(err)
	t.pass(t.second() + time.Millisecond)
	t.lacks("new")
}

func testSetIfRace(t *T) {
	const writers, additions = 10, 20
	t.put("k", "0")
	set, k := t.set(), t.key("k")
	t.together(writers, func(int) error {
		for n := 0; n < additions; {
			e, _, err := set.KeyValue.Get(t.Ctx, k)
			if err != nil {
				return err
			}
			have, err := strconv.Atoi(string(e.Value))
			if err != nil {
				return err
			}
			_, err = set.KeyValueVersioned.SetIf(t.Ctx, k, fmt.Append(nil, have+1), ifVersion(e.Version), driver.SetOptions{}, driver.Receipt{})
			switch {
			case err == nil:
				n++
			case prism.From(err).Reason != prism.ReasonVersionMismatch:
				return err
			}
		}
		return nil
	})
	t.has("k", fmt.Sprint(writers*additions))
}

func testConditionInvalid(t *T) {
	v := t.put("k", "v")
	for _, c := range []driver.Condition{{}, {Absent: true, Version: v}} {
		_, err := t.setIf("k", "wrong", c)
		t.refused(fmt.Sprintf("%+v", c), err, prism.ReasonInvalidArgument)
	}
	t.has("k", "v")
}

func testReceiptConditional(t *T) {
	v := t.put("k", "first")
	set := func() driver.Result {
		res, err := t.setIf("k", "second", ifVersion(v), t.receipt("set", "second"))
		t.must(err)
		return res
	}
	first := set()
	t.replays("SetIf", first, set())
	remove := func() driver.Result {
		res, err := t.set().KeyValueVersioned.DeleteIf(t.Ctx, t.key("k"), ifVersion(first.Version), t.receipt("delete", ""))
		t.must(err)
		return res
	}
	deleted := remove()
	t.put("k", "third")
	t.replays("DeleteIf", deleted, remove())
	t.replays("SetIf after DeleteIf", first, set())
	t.has("k", "third")
}

func testReceiptRefused(t *T) {
	v := t.put("k", "v")
	create := func() (driver.Result, error) { return t.setIf("k", "created", absent, t.receipt("r", "created")) }
	_, err := create()
	t.refused("create-only", err, prism.ReasonAlreadyExists)
	t.delete("k")
	res, err := create()
	t.must(err)
	if res.Replayed || res.Version <= v {
		t.Errorf("the second try is %+v, want an effect", res)
	}
	t.has("k", "created")
	again, err := create()
	t.must(err)
	t.replays("third try", res, again)
}
