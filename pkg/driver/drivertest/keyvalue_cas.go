package drivertest

import (
	"fmt"
	"strconv"

	"github.com/prism-data-layer/prism/pkg/driver"
)

var casPromises = []promise{
	{"CompareAndSwap replaces the value that was expected", testCAS, ""},
	{"CompareAndSwap leaves any other value alone", testCASOther, ""},
	{"CompareAndSwap never applies to a missing key", testCASMissing, ""},
	{"an empty value can be expected", testCASEmpty, ""},
	{"10 to 20 applies, then 10 to 30 does not", testCASTwice, ""},
	{"CompareAndDelete removes only the value that was expected", testCompareAndDelete, ""},
	{"concurrent CompareAndSwap loses no addition", testCASRace, ""},
	{"of many CompareAndDelete at once exactly one applies", testCompareAndDeleteRace, ""},
	{"receipts make CompareAndSwap and CompareAndDelete happen once", testReceiptCAS, ""},
}

func (t *T) swap(name, expected, value string, r ...driver.Receipt) driver.Result {
	t.Helper()
	var receipt driver.Receipt
	if len(r) > 0 {
		receipt = r[0]
	}
	res, err := t.set().KeyValueCAS.CompareAndSwap(t.Ctx, t.key(name), []byte(expected), []byte(value), driver.SetOptions{}, receipt)
	t.must(err)
	return res
}

func (t *T) deleteValue(name, expected string, r ...driver.Receipt) driver.Result {
	t.Helper()
	var receipt driver.Receipt
	if len(r) > 0 {
		receipt = r[0]
	}
	res, err := t.set().KeyValueCAS.CompareAndDelete(t.Ctx, t.key(name), []byte(expected), receipt)
	t.must(err)
	return res
}

func testCAS(t *T) {
	v := t.put("k", "old")
	res := t.swap("k", "old", "new")
	if !res.Applied || res.Version <= v {
		t.Errorf("got %+v, want applied and a version above %d", res, v)
	}
	t.has("k", "new")
	if got := t.get("k").Version; got != res.Version {
		t.Errorf("the key has version %d, told was %d", got, res.Version)
	}
}

func testCASOther(t *T) {
	v := t.put("k", "value")
	for _, wrong := range []string{"", "valu", "value ", "Value", "other", "value\x00"} {
		res := t.swap("k", wrong, "new")
		if res.Applied || res.Version != v {
			t.Errorf("expected %q: %+v, want not applied and version %d", wrong, res, v)
		}
	}
	t.has("k", "value")
}

func testCASMissing(t *T) {
	for _, expected := range []string{"", "v"} {
		if res := t.swap("k", expected, "new"); res.Applied || res.Version != 0 {
			t.Errorf("expected %q of a missing key: %+v", expected, res)
		}
		if res := t.deleteValue("k", expected); res.Applied {
			t.Errorf("delete of %q of a missing key: %+v", expected, res)
		}
	}
	t.lacks("k")
}

func testCASEmpty(t *T) {
	t.put("k", "")
	if !t.swap("k", "", "v").Applied {
		t.Errorf("an empty value was not found equal to one")
	}
	if !t.swap("k", "v", "").Applied || !t.deleteValue("k", "").Applied {
		t.Errorf("an empty value cannot be swapped in or deleted")
	}
	t.lacks("k")
}

func testCASTwice(t *T) {
	t.put("k", "10")
	if !t.swap("k", "10", "20").Applied || t.swap("k", "10", "30").Applied {
		t.Errorf("10 to 20 must apply, 10 to 30 must not")
	}
	t.has("k", "20")
}

func testCompareAndDelete(t *T) {
	v := t.put("k", "v")
	if res := t.deleteValue("k", "w"); res.Applied {
		t.Errorf("deleted another value: %+v", res)
	}
	t.has("k", "v")
	if got := t.get("k").Version; got != v {
		t.Errorf("the version went from %d to %d", v, got)
	}
	if res := t.deleteValue("k", "v"); !res.Applied {
		t.Errorf("did not delete: %+v", res)
	}
	t.lacks("k")
	if next := t.put("k", "v"); next <= v+1 {
		t.Errorf("version %d: the deletion took none after %d", next, v)
	}
}

func testCASRace(t *T) {
	const writers, additions = 10, 20
	t.put("n", "0")
	set, k := t.set(), t.key("n")
	t.together(writers, func(int) error {
		for done := 0; done < additions; {
			e, _, err := set.KeyValue.Get(t.Ctx, k)
			if err != nil {
				return err
			}
			n, err := strconv.Atoi(string(e.Value))
			if err != nil {
				return err
			}
			res, err := set.KeyValueCAS.CompareAndSwap(t.Ctx, k, e.Value, fmt.Append(nil, n+1), driver.SetOptions{}, driver.Receipt{})
			if err != nil {
				return err
			}
			if res.Applied {
				done++
			}
		}
		return nil
	})
	t.has("n", fmt.Sprint(writers*additions))
}

func testCompareAndDeleteRace(t *T) {
	t.put("k", "v")
	set, k := t.set(), t.key("k")
	applied := make(chan bool, 50)
	t.together(50, func(int) error {
		res, err := set.KeyValueCAS.CompareAndDelete(t.Ctx, k, []byte("v"), driver.Receipt{})
		applied <- res.Applied
		return err
	})
	close(applied)
	n := 0
	for a := range applied {
		if a {
			n++
		}
	}
	if n != 1 {
		t.Errorf("%d applied, want 1", n)
	}
	t.lacks("k")
}

func testReceiptCAS(t *T) {
	t.put("k", "1")
	swap := func() driver.Result { return t.swap("k", "1", "2", t.receipt("swap", "1 to 2")) }
	first := swap()
	t.put("k", "1")
	t.replays("CompareAndSwap", first, swap())
	t.has("k", "1")

	// Not applied is an answer, and is kept.
	other := func() driver.Result { return t.swap("k", "7", "8", t.receipt("other", "7 to 8")) }
	first = other()
	t.put("k", "7")
	t.replays("CompareAndSwap that did not apply", first, other())
	t.has("k", "7")

	remove := func() driver.Result { return t.deleteValue("k", "7", t.receipt("delete", "7")) }
	first = remove()
	t.put("k", "7")
	t.replays("CompareAndDelete", first, remove())
	t.has("k", "7")
}
