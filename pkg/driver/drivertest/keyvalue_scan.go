package drivertest

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync/atomic"

	"pgregory.net/rapid"

	"github.com/prism-data-layer/prism/pkg/driver"
	"github.com/prism-data-layer/prism/pkg/prism"
)

var scanPromises = []promise{
	{"a scan without prefix sees every key, with value, size and version", testScanAll, ""},
	{"a scan sees the keys with its prefix and no other", testScanPrefix, ""},
	{"a prefix may be any bytes, also 0xFF to its end", testScanAnyPrefix, "anybytes"},
	{"a page holds no more than its limit, and the pages are the whole", testScanLimit, ""},
	{"a page holds no more than its bytes, but always one entry", testScanBytes, ""},
	{"a scan of keys only leaves values out and tells their size", testScanKeys, ""},
	{"Count counts what a scan walks", testCount, ""},
	{"an empty namespace and an unknown prefix have no entries", testScanEmpty, ""},
	{"a scan stays within its namespace", testScanNamespace, "anybytes"},
	{"deleted keys are in no scan", testScanDeleted, ""},
	{"a key of the whole walk is seen exactly once beside writers", testScanWriters, ""},
	{"a key deleted behind a page does not break the walk", testScanDeleteBehind, ""},
	{"pages of a thousand entries and more", testScanThousand, ""},
	{"a token that is not one is refused", testScanToken, ""},
	{"values of a page belong to the caller", testScanOwns, ""},
	{"a scan goes on after a restart", testScanReopen, "reopen"},
}

var orderedPromises = []promise{
	{"a scan walks in byte order", testScanOrder, ""},
	{"a reverse scan walks backwards", testScanReverse, ""},
	{"a scan keeps to its range: start inclusive, end exclusive", testScanRange, ""},
	{"range and prefix together are what is in both", testScanRangePrefix, ""},
	{"an empty or inverted range has no entries", testScanRangeEmpty, ""},
	{"First is the first entry in the order of the query", testFirst, ""},
	{"random queries see what a sorted map sees", testScanLikeMap, ""},
	{"byte order holds for any bytes", testScanOrderAnyBytes, "anybytes"},
}

// walk is the whole of a scan, page by page; it checks each page's bounds.
func (t *T) walk(q driver.Query) []driver.Entry {
	t.Helper()
	all, err := t.walkIn(t.namespace(), q)
	if err != nil {
		t.Fatalf("scan %+v: %v", q, err)
	}
	return all
}

func bounded(q driver.Query) driver.Query {
	if q.Limit == 0 {
		q.Limit = 100
	}
	if q.MaxBytes == 0 {
		q.MaxBytes = prism.MaxPageBytes
	}
	return q
}

func (t *T) walkIn(ns prism.Namespace, q driver.Query) ([]driver.Entry, error) {
	q = bounded(q)
	var all []driver.Entry
	var token []byte
	for pages := 0; ; pages++ {
		page, err := t.set().KeyValueScan.Scan(t.Ctx, ns, q, token)
		if err != nil {
			return all, err
		}
		if n := len(page.Entries); n > q.Limit {
			return all, fmt.Errorf("a page has %d entries, the limit is %d", n, q.Limit)
		}
		bytes := 0
		for _, e := range page.Entries {
			bytes += len(e.Key) + len(e.Value)
		}
		if bytes > q.MaxBytes && len(page.Entries) > 1 {
			return all, fmt.Errorf("a page has %d bytes in %d entries, the bound is %d", bytes, len(page.Entries), q.MaxBytes)
		}
		all = append(all, page.Entries...)
		if page.Next == nil {
			return all, nil
		}
		if pages > 100_000 {
			return all, fmt.Errorf("the walk does not end: %d entries in %d pages", len(all), pages)
		}
		token = page.Next
	}
}

func keysOf(entries []driver.Entry) []string {
	keys := make([]string, len(entries))
	for i, e := range entries {
		keys[i] = e.Key
	}
	return keys
}

// sees wants a walk and a count of exactly these keys, in any order.
func (t *T) sees(what string, q driver.Query, want ...string) {
	t.Helper()
	got := slices.Sorted(slices.Values(keysOf(t.walk(q))))
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("%s: got %s, want %s", what, list(got), list(want))
	}
	n, err := t.set().KeyValueScan.Count(t.Ctx, t.namespace(), q)
	t.must(err)
	if int(n) != len(want) {
		t.Errorf("%s: Count is %d, want %d", what, n, len(want))
	}
}

func list(keys []string) string {
	if len(keys) > 20 {
		return fmt.Sprintf("%d keys %q…", len(keys), keys[:20])
	}
	return fmt.Sprintf("%d keys %q", len(keys), keys)
}

func (t *T) fill(n int, format string) []string {
	t.Helper()
	names := make([]string, n)
	for i := range n {
		names[i] = fmt.Sprintf(format, i)
		t.put(names[i], "value of "+names[i])
	}
	return names
}

func testScanAll(t *T) {
	names := t.fill(10, "k%02d")
	t.sees("all", driver.Query{}, names...)
	for _, e := range t.walk(driver.Query{}) {
		got := t.get(e.Key)
		if string(e.Value) != string(got.Value) || e.Version != got.Version || e.Size != len(got.Value) || !sameTime(e.ExpiresAt, got.ExpiresAt) {
			t.Errorf("the scan shows %+v, Get %+v", e, got)
		}
	}
}

func testScanPrefix(t *T) {
	users := t.fill(5, "user:%d")
	t.fill(5, "post:%d")
	t.fill(3, "use%d")
	exact := "user:"
	t.put(exact, "the prefix itself")
	t.put("user", "shorter")
	t.put("user;", "next in order")
	t.sees("user:", driver.Query{Prefix: exact}, append(users, exact)...)
	t.sees("one", driver.Query{Prefix: "post:3"}, "post:3")
}

func testScanAnyPrefix(t *T) {
	names := []string{"\xff", "\xff\xff", "\xff\xffa", "\xff\xff\xff", "\xfe\xff", "\xfe\xff\x00", "\xfe", "a\xff", "a\xffb", "b", "\x00", "\x00\x00"}
	for _, name := range names {
		t.put(name, "v")
	}
	for _, prefix := range append([]string{""}, names...) {
		var want []string
		for _, name := range names {
			if strings.HasPrefix(name, prefix) {
				want = append(want, name)
			}
		}
		t.sees(fmt.Sprintf("prefix %q", prefix), driver.Query{Prefix: prefix}, want...)
	}
}

func testScanLimit(t *T) {
	names := t.fill(20, "k%02d")
	page, err := t.set().KeyValueScan.Scan(t.Ctx, t.namespace(), bounded(driver.Query{Limit: 10}), nil)
	t.must(err)
	if len(page.Entries) == 0 || page.Next == nil {
		t.Errorf("the first page of 20 keys has %d entries, next %v", len(page.Entries), page.Next)
	}
	for _, limit := range []int{1, 3, 10, 19, 20, 21, 1000} {
		t.sees(fmt.Sprintf("pages of %d", limit), driver.Query{Limit: limit}, names...)
	}
}

func testScanBytes(t *T) {
	var names []string
	for i := range 20 {
		names = append(names, fmt.Sprintf("k%02d", i))
		t.put(names[i], pattern(1000, i))
	}
	for _, most := range []int{1, 999, 1003, 5000, 100_000} {
		t.sees(fmt.Sprintf("pages of %d bytes", most), driver.Query{MaxBytes: most}, names...)
	}
}

func testScanKeys(t *T) {
	t.put("a", "")
	t.put("b", "12345")
	entries := t.walk(driver.Query{KeysOnly: true})
	sizes := map[string]int{}
	for _, e := range entries {
		if e.Value != nil {
			t.Errorf("%s has value %q", e.Key, e.Value)
		}
		if e.Version != t.get(e.Key).Version {
			t.Errorf("%s has version %d, want %d", e.Key, e.Version, t.get(e.Key).Version)
		}
		sizes[e.Key] = e.Size
	}
	if want := map[string]int{"a": 0, "b": 5}; !maps.Equal(sizes, want) {
		t.Errorf("sizes are %v, want %v", sizes, want)
	}
}

func testCount(t *T) {
	t.fill(10, "user:%d")
	t.fill(5, "post:%d")
	for prefix, want := range map[string]int64{"": 15, "user:": 10, "post:": 5, "none": 0} {
		n, err := t.set().KeyValueScan.Count(t.Ctx, t.namespace(), driver.Query{Prefix: prefix})
		t.must(err)
		if n != want {
			t.Errorf("Count of %q is %d, want %d", prefix, n, want)
		}
	}
}

func testScanEmpty(t *T) {
	t.sees("empty namespace", driver.Query{})
	t.put("k", "v")
	t.sees("unknown prefix", driver.Query{Prefix: "l"})
	t.delete("k")
	t.sees("emptied namespace", driver.Query{})
}

func testScanNamespace(t *T) {
	base := t.namespace()
	near := []prism.Namespace{base + "\x00", base + "/", base + "k", base + "\xff", base[:len(base)-1]}
	t.put("k", "v")
	for _, ns := range near {
		for _, name := range []string{"k", "\x00", "\xff"} {
			_, err := t.set().KeyValue.Set(t.Ctx, prism.Key{Namespace: ns, Name: name}, nil, driver.SetOptions{}, driver.Receipt{})
			t.must(err)
		}
	}
	t.sees("the namespace", driver.Query{}, "k")
	for _, ns := range near {
		entries, err := t.walkIn(ns, driver.Query{})
		t.must(err)
		if len(entries) != 3 {
			t.Errorf("namespace %q has %q, want 3 keys", ns, keysOf(entries))
		}
	}
}

func testScanDeleted(t *T) {
	names := t.fill(20, "k%02d")
	for i := 0; i < 20; i += 2 {
		t.delete(names[i])
	}
	var rest []string
	for i := 1; i < 20; i += 2 {
		rest = append(rest, names[i])
	}
	t.sees("after Delete", driver.Query{Limit: 3}, rest...)
}

// testScanWriters walks while other keys come, change and go around the ones
// that stay.
func testScanWriters(t *T) {
	const stay = 300
	names := t.fill(stay, "k%04d")
	set, ns := t.set(), t.namespace()
	var done atomic.Bool
	t.together(3, func(i int) error {
		if i == 0 {
			defer done.Store(true)
			for round := range 10 {
				entries, err := t.walkIn(ns, driver.Query{Limit: 7 + round})
				if err != nil {
					return err
				}
				seen := map[string]int{}
				for _, e := range entries {
					seen[e.Key]++
				}
				for _, name := range names {
					if seen[name] != 1 {
						return fmt.Errorf("%s was seen %d times in walk %d, want once", name, seen[name], round)
					}
				}
				for name, n := range seen {
					if n != 1 {
						return fmt.Errorf("%s was seen %d times in walk %d", name, n, round)
					}
				}
			}
			return nil
		}
		for n := 0; !done.Load(); n++ {
			k := prism.Key{Namespace: ns, Name: fmt.Sprintf("k%04d+%d", n%stay, i)}
			if _, err := set.KeyValue.Set(t.Ctx, k, []byte("v"), driver.SetOptions{}, driver.Receipt{}); err != nil {
				return err
			}
			if _, err := set.KeyValue.Set(t.Ctx, prism.Key{Namespace: ns, Name: names[(n*7)%stay]}, []byte("changed"), driver.SetOptions{}, driver.Receipt{}); err != nil {
				return err
			}
			if _, err := set.KeyValue.Delete(t.Ctx, k, driver.Receipt{}); err != nil {
				return err
			}
		}
		return nil
	})
}

func testScanDeleteBehind(t *T) {
	t.fill(30, "k%02d")
	q := bounded(driver.Query{Limit: 4})
	var token []byte
	seen := map[string]bool{}
	for {
		page, err := t.set().KeyValueScan.Scan(t.Ctx, t.namespace(), q, token)
		t.must(err)
		for _, e := range page.Entries {
			if seen[e.Key] {
				t.Errorf("%s was seen twice", e.Key)
			}
			seen[e.Key] = true
			t.delete(e.Key)
		}
		if token = page.Next; token == nil {
			break
		}
	}
	if len(seen) != 30 {
		t.Errorf("%d keys were seen, want 30", len(seen))
	}
}

func testScanThousand(t *T) {
	names := t.fill(1500, "k%04d")
	t.sees("pages of 1000", driver.Query{Limit: prism.MaxPageItems}, names...)
	t.sees("pages of 999", driver.Query{Limit: 999}, names...)
}

func testScanToken(t *T) {
	t.fill(10, "k%d")
	for _, token := range []string{"\x00", "nonsense", "\xff\xff\xff\xff"} {
		_, err := t.set().KeyValueScan.Scan(t.Ctx, t.namespace(), bounded(driver.Query{}), []byte(token))
		if err == nil {
			t.Errorf("token %q was taken", token)
		} else if s := prism.From(err).Reason.Info().Status; s != "INVALID_ARGUMENT" {
			t.Errorf("token %q: %s (%v), want INVALID_ARGUMENT", token, s, err)
		}
	}
}

func testScanOwns(t *T) {
	t.put("a", "first")
	t.put("b", "second")
	entries := t.walk(driver.Query{})
	for _, e := range entries {
		_ = append(e.Value, "more"...)
		copy(e.Value, "XXXXXX")
	}
	t.has("a", "first")
	t.has("b", "second")
	for _, e := range t.walk(driver.Query{}) {
		if strings.Contains(string(e.Value), "X") {
			t.Errorf("%s changed to %q through a page", e.Key, e.Value)
		}
	}
}

func testScanReopen(t *T) {
	names := t.fill(20, "k%02d")
	q := bounded(driver.Query{Limit: 8})
	page, err := t.set().KeyValueScan.Scan(t.Ctx, t.namespace(), q, nil)
	t.must(err)
	t.reopen()
	got := keysOf(page.Entries)
	for token := page.Next; token != nil; {
		page, err := t.set().KeyValueScan.Scan(t.Ctx, t.namespace(), q, token)
		t.must(err)
		got = append(got, keysOf(page.Entries)...)
		token = page.Next
	}
	slices.Sort(got)
	if !slices.Equal(got, names) {
		t.Errorf("got %s, want %s", list(got), list(names))
	}
}

// walks wants exactly these keys in this order.
func (t *T) walks(q driver.Query, want ...string) {
	t.Helper()
	for _, limit := range []int{1, 2, 100} {
		q.Limit = limit
		if got := keysOf(t.walk(q)); !slices.Equal(got, want) {
			t.Errorf("%+v: got %s, want %s", q, list(got), list(want))
		}
	}
	n, err := t.set().KeyValueScan.Count(t.Ctx, t.namespace(), q)
	t.must(err)
	if int(n) != len(want) {
		t.Errorf("%+v: Count is %d, want %d", q, n, len(want))
	}
}

func testScanOrder(t *T) {
	want := []string{"\x00", "1", "10", "2", "A", "B", "a", "a\x00", "a!", "aa", "ab", "b", "é", "\U0010FFFF"}
	for _, i := range []int{5, 0, 13, 7, 3, 10, 1, 12, 2, 9, 4, 11, 6, 8} {
		t.put(want[i], "v")
	}
	t.walks(driver.Query{}, want...)
}

func testScanReverse(t *T) {
	names := t.fill(10, "k%d")
	slices.Reverse(names)
	t.walks(driver.Query{Reverse: true}, names...)
	t.put("j", "v")
	t.put("l", "v")
	t.walks(driver.Query{Reverse: true, Prefix: "k"}, names...)
}

func testScanRange(t *T) {
	for _, name := range []string{"a", "b", "b\x00", "c", "d"} {
		t.put(name, "v")
	}
	t.walks(driver.Query{Start: "b"}, "b", "b\x00", "c", "d")
	t.walks(driver.Query{End: "c"}, "a", "b", "b\x00")
	t.walks(driver.Query{Start: "b", End: "c"}, "b", "b\x00")
	t.walks(driver.Query{Start: "b\x00", End: "z"}, "b\x00", "c", "d")
	t.walks(driver.Query{Start: "b", End: "d", Reverse: true}, "c", "b\x00", "b")
	t.walks(driver.Query{Start: "bb", Reverse: true}, "d", "c")
}

func testScanRangePrefix(t *T) {
	for _, name := range []string{"a1", "b1", "b2", "b3", "b4", "c1"} {
		t.put(name, "v")
	}
	t.walks(driver.Query{Prefix: "b", Start: "b2"}, "b2", "b3", "b4")
	t.walks(driver.Query{Prefix: "b", End: "b3"}, "b1", "b2")
	t.walks(driver.Query{Prefix: "b", Start: "a", End: "z"}, "b1", "b2", "b3", "b4")
	t.walks(driver.Query{Prefix: "b", Start: "b2", End: "b4", Reverse: true}, "b3", "b2")
	t.walks(driver.Query{Prefix: "b", Start: "c"})
	t.walks(driver.Query{Prefix: "b", End: "b"})
}

func testScanRangeEmpty(t *T) {
	t.fill(5, "k%d")
	for _, q := range []driver.Query{{Start: "k2", End: "k2"}, {Start: "k4", End: "k1"}, {Start: "z"}, {End: "a"}} {
		t.walks(q)
		q.Reverse = true
		t.walks(q)
		_, found, err := t.set().KeyValueOrderedScan.First(t.Ctx, t.namespace(), q)
		t.must(err)
		if found {
			t.Errorf("First of %+v found something", q)
		}
	}
}

func testFirst(t *T) {
	first := func(q driver.Query) driver.Entry {
		t.Helper()
		e, found, err := t.set().KeyValueOrderedScan.First(t.Ctx, t.namespace(), q)
		t.must(err)
		if !found && e.Key != "" {
			t.Errorf("First of %+v is %q and not found", q, e.Key)
		}
		return e
	}
	if e := first(driver.Query{}); e.Key != "" {
		t.Errorf("First in an empty namespace is %q", e.Key)
	}
	t.fill(5, "a%d")
	t.fill(5, "b%d")
	for want, q := range map[string]driver.Query{
		"a0": {}, "b4": {Reverse: true}, "b0": {Prefix: "b"}, "a4": {Prefix: "a", Reverse: true},
		"a3": {Start: "a3"}, "a2": {End: "a3", Reverse: true}, "b1": {Start: "b0\x00", End: "b2"},
	} {
		e := first(q)
		if got := t.get(want); e.Key != want || string(e.Value) != string(got.Value) || e.Version != got.Version || e.Size != len(got.Value) {
			t.Errorf("First of %+v is %+v, want %s", q, e, want)
		}
	}
	if e := first(driver.Query{KeysOnly: true}); e.Value != nil || e.Size == 0 {
		t.Errorf("First of keys only is %+v, want a size and no value", e)
	}
}

func testScanLikeMap(t *T) { t.likeSortedMap([]byte("ab~")) }

func testScanOrderAnyBytes(t *T) { t.likeSortedMap([]byte{0, 1, 'a', 0x7F, 0x80, 0xFE, 0xFF}) }

// likeSortedMap compares random queries over keys of few bytes, where bounds
// often meet keys.
func (t *T) likeSortedMap(alphabet []byte) {
	t.Helper()
	piece := func(least int) *rapid.Generator[string] {
		return rapid.Custom(func(r *rapid.T) string {
			return string(rapid.SliceOfN(rapid.SampledFrom(alphabet), least, 4).Draw(r, "bytes"))
		})
	}
	model := map[string]bool{}
	t.property(60, func(r *rapid.T) error {
		name := piece(1).Draw(r, "key")
		t.put(name, "v")
		model[name] = true
		return nil
	})
	t.property(80, func(r *rapid.T) error {
		q := bounded(driver.Query{
			Prefix:  rapid.OneOf(rapid.Just(""), piece(0)).Draw(r, "prefix"),
			Start:   rapid.OneOf(rapid.Just(""), piece(0)).Draw(r, "start"),
			End:     rapid.OneOf(rapid.Just(""), piece(0)).Draw(r, "end"),
			Reverse: rapid.Bool().Draw(r, "reverse"),
			Limit:   rapid.IntRange(1, 30).Draw(r, "limit"),
		})
		var want []string
		for name := range model {
			if strings.HasPrefix(name, q.Prefix) && name >= q.Start && (q.End == "" || name < q.End) {
				want = append(want, name)
			}
		}
		slices.Sort(want)
		if q.Reverse {
			slices.Reverse(want)
		}
		entries, err := t.walkIn(t.namespace(), q)
		if err != nil {
			return err
		}
		if got := keysOf(entries); !slices.Equal(got, want) {
			return fmt.Errorf("%+v: got %s, want %s", q, list(got), list(want))
		}
		n, err := t.set().KeyValueScan.Count(t.Ctx, t.namespace(), q)
		if err != nil || int(n) != len(want) {
			return fmt.Errorf("%+v: Count is %d %w, want %d", q, n, err, len(want))
		}
		return nil
	})
}
