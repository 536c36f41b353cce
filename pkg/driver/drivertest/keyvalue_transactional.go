package drivertest

import (
	"fmt"
	"strconv"
	"strings"
	"sync/atomic"

	"github.com/prism-data-layer/prism/pkg/driver"
	"github.com/prism-data-layer/prism/pkg/prism"
)

var transactionalPromises = []promise{
	{"Commit applies every write", testCommit, ""},
	{"results stand in the order of the writes", testCommitResults, ""},
	{"a failed check applies nothing: TRANSACTION_CONFLICT", testCommitConflict, ""},
	{"a check holds on a key that is read and not written", testCommitReadOnlyKey, ""},
	{"a check of an absent key fails once it is there", testCommitAbsent, ""},
	{"a check of a key that was made anew fails", testCommitABA, ""},
	{"Commit of checks alone tells whether they hold", testCommitChecksOnly, ""},
	{"128 writes fit a transaction", testCommitMany, ""},
	{"writes obey the options of Set", testCommitOptions, "keyvalue_ttl"},
	{"a key is written at most once, and only set or deleted", testCommitInvalid, "anybytes"},
	{"of two committers that read the same exactly one succeeds", testCommitRace, ""},
	{"money moves between accounts and none is lost", testCommitBank, ""},
	{"no reader sees half a transaction", testCommitHalf, "keyvalue_batch"},
	{"a receipt makes Commit happen once", testReceiptCommit, ""},
	{"a receipt of Commit with another body is KEY_REUSED", testReceiptCommitReused, ""},
	{"a conflict leaves no receipt", testReceiptCommitConflict, ""},
	{"a transaction and its receipt outlive a restart", testCommitReopen, "reopen"},
}

func (t *T) commit(checks []driver.Check, writes []driver.Op, r ...driver.Receipt) ([]driver.Result, error) {
	var receipt driver.Receipt
	if len(r) > 0 {
		receipt = r[0]
	}
	return t.set().KeyValueTransactional.Commit(t.Ctx, t.namespace(), checks, writes, receipt)
}

func testCommit(t *T) {
	a, b := t.put("a", "1"), t.put("b", "2")
	results, err := t.commit(
		[]driver.Check{{Key: "a", Version: a}, {Key: "b", Version: b}, {Key: "c"}},
		[]driver.Op{opSet("a", "changed"), opDelete("b"), opSet("c", "new")},
	)
	t.must(err)
	if len(results) != 3 {
		t.Fatalf("%d results, want 3", len(results))
	}
	t.has("a", "changed")
	t.lacks("b")
	t.has("c", "new")
}

func testCommitResults(t *T) {
	a, b := t.put("a", "1"), t.put("b", "2")
	results, err := t.commit(nil, []driver.Op{opDelete("b"), opSet("c", "3"), opDelete("missing"), opSet("a", "4")})
	t.must(err)
	if len(results) != 4 {
		t.Fatalf("%d results, want 4", len(results))
	}
	if r := results[0]; !r.Found || r.Version <= b {
		t.Errorf("Delete b: %+v, want found and a version above %d", r, b)
	}
	if r := results[1]; r.Version != t.get("c").Version {
		t.Errorf("Set c: %+v, want version %d", r, t.get("c").Version)
	}
	if r := results[2]; r.Found || r.Version != 0 {
		t.Errorf("Delete of a missing key: %+v, want not found and version 0", r)
	}
	if r := results[3]; r.Version != t.get("a").Version || r.Version <= a {
		t.Errorf("Set a: %+v, want version %d", r, t.get("a").Version)
	}
}

// unchanged wants keys to be as they were.
func (t *T) unchanged(values map[string]string, versions map[string]uint64) {
	t.Helper()
	for name, value := range values {
		t.has(name, value)
		if got := t.get(name).Version; got != versions[name] {
			t.Errorf("%s went from version %d to %d", name, versions[name], got)
		}
	}
}

func testCommitConflict(t *T) {
	values := map[string]string{"a": "1", "b": "2", "c": "3"}
	versions := map[string]uint64{}
	for name, value := range values {
		versions[name] = t.put(name, value)
	}
	// The check that fails stands first, in the middle and last.
	for wrong := range 3 {
		var checks []driver.Check
		for i, name := range []string{"a", "b", "c"} {
			v := versions[name]
			if i == wrong {
				v++
			}
			checks = append(checks, driver.Check{Key: name, Version: v})
		}
		_, err := t.commit(checks, []driver.Op{opSet("a", "x"), opDelete("b"), opSet("new", "x"), opSet("c", "x")})
		t.refused(fmt.Sprintf("check %d fails", wrong), err, prism.ReasonConflict)
		t.unchanged(values, versions)
		t.lacks("new")
	}
}

func testCommitReadOnlyKey(t *T) {
	v := t.put("read", "1")
	t.put("read", "2")
	_, err := t.commit([]driver.Check{{Key: "read", Version: v}}, []driver.Op{opSet("other", "x")})
	t.refused("a read key changed", err, prism.ReasonConflict)
	t.lacks("other")
	v = t.get("read").Version
	t.delete("read")
	_, err = t.commit([]driver.Check{{Key: "read", Version: v}}, []driver.Op{opSet("other", "x")})
	t.refused("a read key was deleted", err, prism.ReasonConflict)
	t.lacks("other")
}

func testCommitAbsent(t *T) {
	check := []driver.Check{{Key: "k", Version: 0}}
	_, err := t.commit(check, []driver.Op{opSet("first", "x")})
	t.must(err)
	t.put("k", "")
	_, err = t.commit(check, []driver.Op{opSet("second", "x")})
	t.refused("the key came", err, prism.ReasonConflict)
	t.lacks("second")
	t.delete("k")
	_, err = t.commit(check, []driver.Op{opSet("third", "x")})
	t.must(err)
	t.has("third", "x")
}

func testCommitABA(t *T) {
	v := t.put("k", "a")
	t.put("k", "b")
	t.put("k", "a")
	_, err := t.commit([]driver.Check{{Key: "k", Version: v}}, []driver.Op{opSet("w", "x")})
	t.refused("the value came back", err, prism.ReasonConflict)
	v = t.get("k").Version
	t.delete("k")
	t.put("k", "a")
	_, err = t.commit([]driver.Check{{Key: "k", Version: v}}, []driver.Op{opSet("w", "x")})
	t.refused("the key was made anew", err, prism.ReasonConflict)
	t.lacks("w")
}

func testCommitChecksOnly(t *T) {
	v := t.put("k", "v")
	results, err := t.commit([]driver.Check{{Key: "k", Version: v}, {Key: "missing"}}, nil)
	t.must(err)
	if len(results) != 0 {
		t.Errorf("%d results of no write", len(results))
	}
	_, err = t.commit([]driver.Check{{Key: "k", Version: v + 1}}, nil)
	t.refused("another version", err, prism.ReasonConflict)
}

func testCommitMany(t *T) {
	var writes []driver.Op
	for i := range prism.MaxTransactionWrites {
		writes = append(writes, opSet(fmt.Sprintf("k%d", i), fmt.Sprint(i)))
	}
	results, err := t.commit(nil, writes)
	t.must(err)
	if len(results) != len(writes) {
		t.Fatalf("%d results, want %d", len(results), len(writes))
	}
	for i, r := range results {
		t.has(writes[i].Key, fmt.Sprint(i))
		if v := t.get(writes[i].Key).Version; v != r.Version {
			t.Errorf("write %d told version %d, the key has %d", i, r.Version, v)
		}
	}
}

func testCommitOptions(t *T) {
	t.put("keep", "v", ttl(100*t.second()))
	t.put("clear", "v", ttl(100*t.second()))
	at := t.expiresAt("keep")
	keep, timed := opSet("keep", "w"), opSet("timed", "w")
	keep.Options.KeepTTL = true
	timed.Options.TTL = 50 * t.second()
	_, err := t.commit(nil, []driver.Op{keep, opSet("clear", "w"), timed})
	t.must(err)
	if got := t.expiresAt("keep"); !sameTime(got, at) {
		t.Errorf("keep_ttl made %v of %v", got, at)
	}
	t.stays("clear")
	t.ends("timed", 50*t.second())
}

func testCommitInvalid(t *T) {
	for what, writes := range map[string][]driver.Op{
		"a key twice": {opSet("a", "1"), opSet("b", "2"), opDelete("a")},
		"an append":   {opSet("a", "1"), {Kind: driver.OpAppend, Key: "b", Value: []byte("x")}},
		"a read":      {opSet("a", "1"), opGet("b")},
	} {
		_, err := t.commit(nil, writes)
		t.refused(what, err, prism.ReasonInvalidArgument)
		t.lacks("a")
		t.lacks("b")
	}
}

func testCommitRace(t *T) {
	set, ns := t.set(), t.namespace()
	for round := range 20 {
		v := t.put("k", "start")
		var wins atomic.Int64
		t.together(2, func(i int) error {
			value := fmt.Sprintf("%d %d", round, i)
			_, err := set.KeyValueTransactional.Commit(t.Ctx, ns,
				[]driver.Check{{Key: "k", Version: v}},
				[]driver.Op{opSet("k", value), opSet("other", value)}, driver.Receipt{})
			switch {
			case err == nil:
				wins.Add(1)
			case prism.From(err).Reason != prism.ReasonConflict:
				return err
			}
			return nil
		})
		if wins.Load() != 1 {
			t.Fatalf("%d committers won, want 1", wins.Load())
		}
		if k, other := t.get("k"), t.get("other"); string(k.Value) != string(other.Value) {
			t.Fatalf("k is %q of one transaction, other is %q of the other", k.Value, other.Value)
		}
	}
}

func testCommitBank(t *T) {
	const accounts, start, movers, moves = 5, 100, 8, 20
	for i := range accounts {
		t.put(fmt.Sprint(i), fmt.Sprint(start))
	}
	set, ns := t.set(), t.namespace()
	read := func(i int) (int, driver.Check, error) {
		e, _, err := set.KeyValue.Get(t.Ctx, prism.Key{Namespace: ns, Name: fmt.Sprint(i)})
		if err != nil {
			return 0, driver.Check{}, err
		}
		n, err := strconv.Atoi(string(e.Value))
		return n, driver.Check{Key: fmt.Sprint(i), Version: e.Version}, err
	}
	t.together(movers, func(m int) error {
		for n := 0; n < moves; {
			from, to := (m+n)%accounts, (m+n*3+1)%accounts
			if from == to {
				n++
				continue
			}
			a, checkA, err := read(from)
			if err != nil {
				return err
			}
			b, checkB, err := read(to)
			if err != nil {
				return err
			}
			_, err = set.KeyValueTransactional.Commit(t.Ctx, ns, []driver.Check{checkA, checkB},
				[]driver.Op{opSet(checkA.Key, fmt.Sprint(a-1)), opSet(checkB.Key, fmt.Sprint(b+1))}, driver.Receipt{})
			switch {
			case err == nil:
				n++
			case prism.From(err).Reason != prism.ReasonConflict:
				return err
			}
		}
		return nil
	})
	sum := 0
	for i := range accounts {
		n, _, err := read(i)
		t.must(err)
		sum += n
	}
	if sum != accounts*start {
		t.Errorf("%d in all accounts, want %d", sum, accounts*start)
	}
}

// testCommitHalf reads b before a, while transactions write both: who sees a
// new b must then see an a at least as new.
func testCommitHalf(t *T) {
	t.put("a", "0")
	t.put("b", "0")
	set, ns := t.set(), t.namespace()
	var done atomic.Bool
	t.together(2, func(i int) error {
		if i == 0 {
			defer done.Store(true)
			for n := 1; n <= 200; n++ {
				// Written in either order, so that halves of both kinds would show.
				writes := []driver.Op{opSet("a", fmt.Sprint(n)), opSet("b", fmt.Sprint(n))}
				if n%2 == 0 {
					writes[0], writes[1] = writes[1], writes[0]
				}
				if _, err := set.KeyValueTransactional.Commit(t.Ctx, ns, nil, writes, driver.Receipt{}); err != nil {
					return err
				}
			}
			return nil
		}
		for !done.Load() {
			for _, order := range [][2]string{{"a", "b"}, {"b", "a"}} {
				var seen [2]int
				for j, name := range order {
					e, _, err := set.KeyValue.Get(t.Ctx, prism.Key{Namespace: ns, Name: name})
					if err != nil {
						return err
					}
					if seen[j], err = strconv.Atoi(string(e.Value)); err != nil {
						return err
					}
				}
				if seen[1] < seen[0] {
					return fmt.Errorf("%s was %d, and %s %d after it", order[0], seen[0], order[1], seen[1])
				}
			}
		}
		return nil
	})
}

func testReceiptCommit(t *T) {
	t.put("b", "2")
	call := func() []driver.Result {
		t.Helper()
		results, err := t.commit([]driver.Check{{Key: "a"}}, []driver.Op{opSet("a", "1"), opDelete("b"), opDelete("missing")}, t.receipt("r", "a and b"))
		t.must(err)
		if len(results) != 3 {
			t.Fatalf("%d results, want 3", len(results))
		}
		return results
	}
	first := call()
	t.put("a", "changed")
	t.put("b", "back")
	// The check of a would fail by now: a replay asks nothing.
	for i, r := range call() {
		t.replays(fmt.Sprintf("write %d", i), first[i], r)
	}
	t.has("a", "changed")
	t.has("b", "back")
}

func testReceiptCommitReused(t *T) {
	_, err := t.commit(nil, []driver.Op{opSet("a", "1")}, t.receipt("r", "first"))
	t.must(err)
	_, err = t.commit(nil, []driver.Op{opSet("a", "2"), opSet("b", "2")}, t.receipt("r", "second"))
	t.refused("a used receipt", err, prism.ReasonKeyReused)
	t.has("a", "1")
	t.lacks("b")
}

func testReceiptCommitConflict(t *T) {
	t.put("k", "v")
	call := func() ([]driver.Result, error) {
		return t.commit([]driver.Check{{Key: "k"}}, []driver.Op{opSet("w", "x")}, t.receipt("r", "w"))
	}
	_, err := call()
	t.refused("the first try", err, prism.ReasonConflict)
	t.delete("k")
	results, err := call()
	t.must(err)
	if len(results) != 1 || results[0].Replayed {
		t.Errorf("the second try is %+v, want an effect", results)
	}
	t.has("w", "x")
}

func testCommitReopen(t *T) {
	call := func() []driver.Result {
		results, err := t.commit(nil, []driver.Op{opSet("a", strings.Repeat("x", 1000)), opSet("b", "2")}, t.receipt("r", "a and b"))
		t.must(err)
		return results
	}
	first := call()
	t.reopen()
	t.has("a", strings.Repeat("x", 1000))
	t.has("b", "2")
	for i, r := range call() {
		t.replays(fmt.Sprintf("write %d", i), first[i], r)
	}
	if v := t.get("a").Version; v != first[0].Version {
		t.Errorf("a has version %d after a restart, had %d", v, first[0].Version)
	}
}
