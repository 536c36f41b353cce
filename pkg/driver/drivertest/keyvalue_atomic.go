package drivertest

import (
	"fmt"
	"math"
	"strings"
	"sync/atomic"

	"github.com/prism-data-layer/prism/pkg/driver"
	"github.com/prism-data-layer/prism/pkg/prism"
)

var atomicPromises = []promise{
	{"Increment adds, a missing key counting as 0", testIncrement, ""},
	{"Increment works on a number that Set stored", testIncrementSet, ""},
	{"Increment past either end is OVERFLOW and changes nothing", testIncrementOverflow, ""},
	{"Increment of what is no number is NOT_A_NUMBER and changes nothing", testIncrementWord, ""},
	{"100 goroutines lose no addition", testIncrementRace, ""},
	{"Append adds to the end and tells the size", testAppend, ""},
	{"Append past 1 MiB is refused and changes nothing", testAppendLimit, ""},
	{"concurrent appends lose nothing", testAppendRace, ""},
	{"SetIfAbsent stores only where nothing is", testSetIfAbsent, ""},
	{"of 100 SetIfAbsent at once exactly one applies", testSetIfAbsentRace, ""},
	{"GetAndSet returns the value before", testGetAndSet, ""},
	{"GetAndSet hands every value on exactly once", testGetAndSetRace, ""},
	{"each atomic change makes the version larger", testAtomicVersions, ""},
	{"receipts make atomics happen once", testReceiptAtomic, ""},
	{"receipts of atomics outlive a restart", testReceiptAtomicReopen, "reopen"},
	{"a value that GetAndSet returned belongs to the caller", testGetAndSetOwns, ""},
}

func (t *T) increment(name string, delta int64) (int64, error) {
	res, err := t.set().KeyValueAtomic.Increment(t.Ctx, t.key(name), delta, driver.Receipt{})
	return res.Number, err
}

func testIncrement(t *T) {
	var want int64
	for _, delta := range []int64{1, 1, 40, -50, 0, 1000} {
		want += delta
		got, err := t.increment("n", delta)
		t.must(err)
		if got != want {
			t.Errorf("Increment by %d gave %d, want %d", delta, got, want)
		}
		t.has("n", fmt.Sprint(want))
	}
	got, err := t.increment("zero", 0)
	t.must(err)
	if got != 0 {
		t.Errorf("Increment of a missing key by 0 gave %d", got)
	}
	t.has("zero", "0")
}

func testIncrementSet(t *T) {
	for _, n := range []int64{0, -1, 12345, math.MaxInt64 - 1, math.MinInt64} {
		t.put("n", fmt.Sprint(n))
		got, err := t.increment("n", 1)
		t.must(err)
		if got != n+1 {
			t.Errorf("%d and 1 is %d", n, got)
		}
	}
}

func testIncrementOverflow(t *T) {
	for _, c := range []struct{ have, delta int64 }{
		{math.MaxInt64, 1},
		{math.MaxInt64 - 1, 2},
		{1, math.MaxInt64},
		{math.MaxInt64, math.MaxInt64},
		{math.MinInt64, -1},
		{-2, math.MinInt64 + 1},
		{-1, math.MinInt64},
		{math.MinInt64, math.MinInt64},
	} {
		v := t.put("n", fmt.Sprint(c.have))
		_, err := t.increment("n", c.delta)
		t.refused(fmt.Sprintf("%d and %d", c.have, c.delta), err, prism.ReasonOverflow)
		t.has("n", fmt.Sprint(c.have))
		if got := t.get("n").Version; got != v {
			t.Errorf("the version went from %d to %d", v, got)
		}
	}
	for _, c := range []struct{ have, delta int64 }{{math.MaxInt64, math.MinInt64}, {0, math.MinInt64}, {0, math.MaxInt64}, {math.MaxInt64, 0}} {
		t.put("n", fmt.Sprint(c.have))
		got, err := t.increment("n", c.delta)
		t.must(err)
		if got != c.have+c.delta {
			t.Errorf("%d and %d is %d", c.have, c.delta, got)
		}
	}
}

func testIncrementWord(t *T) {
	for _, word := range []string{"", " ", "x", "1x", "1.5", "0x10", " 1", "1 ", "1e3", "9223372036854775808", "-9223372036854775809", "\x00", "-"} {
		v := t.put("n", word)
		_, err := t.increment("n", 1)
		t.refused(fmt.Sprintf("Increment of %q", word), err, prism.ReasonNotANumber)
		t.has("n", word)
		if got := t.get("n").Version; got != v {
			t.Errorf("the version went from %d to %d", v, got)
		}
	}
}

func testIncrementRace(t *T) {
	const goroutines, additions = 100, 20
	set, k := t.set(), t.key("n")
	t.together(goroutines, func(int) error {
		var last int64
		for range additions {
			res, err := set.KeyValueAtomic.Increment(t.Ctx, k, 1, driver.Receipt{})
			if err != nil {
				return err
			}
			if res.Number <= last {
				return fmt.Errorf("%d came after %d", res.Number, last)
			}
			last = res.Number
		}
		return nil
	})
	t.has("n", fmt.Sprint(goroutines*additions))
}

func (t *T) append(name, value string) (int64, error) {
	res, err := t.set().KeyValueAtomic.Append(t.Ctx, t.key(name), []byte(value), driver.Receipt{})
	return res.Number, err
}

func testAppend(t *T) {
	want := ""
	for _, part := range []string{"a", "", "bc", "\x00\xff", "d"} {
		want += part
		n, err := t.append("k", part)
		t.must(err)
		if int(n) != len(want) {
			t.Errorf("Append tells size %d, want %d", n, len(want))
		}
		t.has("k", want)
	}
	t.put("set", "from Set")
	_, err := t.append("set", ", and more")
	t.must(err)
	t.has("set", "from Set, and more")
	_, err = t.append("empty", "")
	t.must(err)
	t.has("empty", "")
}

func testAppendLimit(t *T) {
	full := strings.Repeat("x", prism.MaxValueBytes-1)
	t.put("k", full)
	v := t.get("k").Version
	_, err := t.append("k", "12")
	t.refused("Append past the limit", err, prism.ReasonInvalidArgument)
	t.has("k", full)
	if got := t.get("k").Version; got != v {
		t.Errorf("the version went from %d to %d", v, got)
	}
	n, err := t.append("k", "1")
	t.must(err)
	if n != prism.MaxValueBytes {
		t.Errorf("Append tells size %d, want %d", n, prism.MaxValueBytes)
	}
	_, err = t.append("k", "2")
	t.refused("Append to a full value", err, prism.ReasonInvalidArgument)
	t.has("k", full+"1")
}

func testAppendRace(t *T) {
	set, k := t.set(), t.key("k")
	t.together(26, func(i int) error {
		for range 10 {
			if _, err := set.KeyValueAtomic.Append(t.Ctx, k, []byte{byte('a' + i)}, driver.Receipt{}); err != nil {
				return err
			}
		}
		return nil
	})
	value := string(t.get("k").Value)
	for i := range 26 {
		if n := strings.Count(value, string(rune('a'+i))); n != 10 {
			t.Errorf("%c was appended 10 times and is there %d times", 'a'+i, n)
		}
	}
}

func testSetIfAbsent(t *T) {
	kv := t.set().KeyValueAtomic
	first, err := kv.SetIfAbsent(t.Ctx, t.key("k"), []byte("first"), driver.SetOptions{}, driver.Receipt{})
	t.must(err)
	second, err := kv.SetIfAbsent(t.Ctx, t.key("k"), []byte("second"), driver.SetOptions{}, driver.Receipt{})
	t.must(err)
	if !first.Applied || second.Applied {
		t.Errorf("applied %v, then %v", first.Applied, second.Applied)
	}
	t.has("k", "first")
	if v := t.get("k").Version; first.Version != v || second.Version != v {
		t.Errorf("told versions %d and %d, the key has %d", first.Version, second.Version, v)
	}
	t.delete("k")
	third, err := kv.SetIfAbsent(t.Ctx, t.key("k"), []byte("third"), driver.SetOptions{}, driver.Receipt{})
	t.must(err)
	if !third.Applied || third.Version <= first.Version {
		t.Errorf("after Delete: %+v", third)
	}
}

func testSetIfAbsentRace(t *T) {
	set, k := t.set(), t.key("k")
	var applied atomic.Int64
	var winner atomic.Value
	t.together(100, func(i int) error {
		res, err := set.KeyValueAtomic.SetIfAbsent(t.Ctx, k, fmt.Append(nil, i), driver.SetOptions{}, driver.Receipt{})
		if res.Applied {
			applied.Add(1)
			winner.Store(fmt.Sprint(i))
		}
		return err
	})
	if applied.Load() != 1 {
		t.Fatalf("%d applied, want 1", applied.Load())
	}
	t.has("k", winner.Load().(string))
}

func testGetAndSet(t *T) {
	kv := t.set().KeyValueAtomic
	before := ""
	for i, value := range []string{"first", "", "third"} {
		res, err := kv.GetAndSet(t.Ctx, t.key("k"), []byte(value), driver.SetOptions{}, driver.Receipt{})
		t.must(err)
		if res.Found != (i > 0) || string(res.Value) != before {
			t.Errorf("GetAndSet %q: %q %v, want %q %v", value, res.Value, res.Found, before, i > 0)
		}
		t.has("k", value)
		if v := t.get("k").Version; v != res.Version {
			t.Errorf("told version %d, the key has %d", res.Version, v)
		}
		before = value
	}
}

func testGetAndSetRace(t *T) {
	set, k := t.set(), t.key("k")
	t.put("k", "start")
	handed := make(chan string, 100)
	t.together(100, func(i int) error {
		res, err := set.KeyValueAtomic.GetAndSet(t.Ctx, k, fmt.Append(nil, i), driver.SetOptions{}, driver.Receipt{})
		handed <- string(res.Value)
		return err
	})
	close(handed)
	seen := map[string]int{string(t.get("k").Value): 1}
	for value := range handed {
		seen[value]++
	}
	for value, n := range seen {
		if n != 1 {
			t.Errorf("%q was handed on %d times", value, n)
		}
	}
	if len(seen) != 101 {
		t.Errorf("%d values were seen, want 101", len(seen))
	}
}

func testAtomicVersions(t *T) {
	kv := t.set().KeyValueAtomic
	last := t.put("k", "1")
	for name, call := range map[string]func() (driver.Result, error){
		"Increment": func() (driver.Result, error) { return kv.Increment(t.Ctx, t.key("k"), 1, driver.Receipt{}) },
		"Append":    func() (driver.Result, error) { return kv.Append(t.Ctx, t.key("k"), []byte("1"), driver.Receipt{}) },
		"GetAndSet": func() (driver.Result, error) {
			return kv.GetAndSet(t.Ctx, t.key("k"), []byte("1"), driver.SetOptions{}, driver.Receipt{})
		},
	} {
		res, err := call()
		t.must(err)
		if res.Version <= last || t.get("k").Version != res.Version {
			t.Errorf("%s told version %d after %d, the key has %d", name, res.Version, last, t.get("k").Version)
		}
		last = res.Version
	}
}

// atomicCalls are the mutations of keyvalue_atomic, on keys a to d.
func (t *T) atomicCalls() map[string]func() (driver.Result, error) {
	kv := t.set().KeyValueAtomic
	return map[string]func() (driver.Result, error){
		"n": func() (driver.Result, error) {
			return kv.Increment(t.Ctx, t.key("n"), 5, t.receipt("n", "increment"))
		},
		"a": func() (driver.Result, error) {
			return kv.Append(t.Ctx, t.key("a"), []byte("x"), t.receipt("a", "append"))
		},
		"s": func() (driver.Result, error) {
			return kv.SetIfAbsent(t.Ctx, t.key("s"), []byte("x"), driver.SetOptions{}, t.receipt("s", "set if absent"))
		},
		"g": func() (driver.Result, error) {
			return kv.GetAndSet(t.Ctx, t.key("g"), []byte("x"), driver.SetOptions{}, t.receipt("g", "get and set"))
		},
	}
}

func testReceiptAtomic(t *T) {
	for _, name := range []string{"n", "a", "g"} {
		t.put(name, "7")
	}
	for name, call := range t.atomicCalls() {
		first, err := call()
		t.must(err)
		t.put(name, "9")
		second, err := call()
		t.must(err)
		t.replays(name, first, second)
		t.has(name, "9")
	}
}

func testReceiptAtomicReopen(t *T) {
	t.put("g", "before")
	first := map[string]driver.Result{}
	for name, call := range t.atomicCalls() {
		res, err := call()
		t.must(err)
		first[name] = res
	}
	t.reopen()
	for name, call := range t.atomicCalls() {
		second, err := call()
		t.must(err)
		t.replays(name, first[name], second)
	}
	t.has("n", "5")
	t.has("a", "x")
}

func testGetAndSetOwns(t *T) {
	t.put("k", "before")
	call := func() driver.Result {
		res, err := t.set().KeyValueAtomic.GetAndSet(t.Ctx, t.key("k"), []byte("after"), driver.SetOptions{}, t.receipt("r", "after"))
		t.must(err)
		return res
	}
	copy(call().Value, "XXXXXX")
	if got := call().Value; string(got) != "before" {
		t.Errorf("the replayed value is %q, want the one before", got)
	}
}
