package keyvalue_test

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"pgregory.net/rapid"

	"github.com/prism-data-layer/prism/pkg/clock"
	"github.com/prism-data-layer/prism/pkg/data"
	"github.com/prism-data-layer/prism/pkg/data/keyvalue"
	"github.com/prism-data-layer/prism/pkg/driver"
	"github.com/prism-data-layer/prism/pkg/prism"
)

// script runs each kind of operation once, in an order in which each has
// something to do.
var script = []keyvalue.Op{
	{Kind: keyvalue.OpGet, Key: "k"},
	{Kind: keyvalue.OpSet, Key: "k", Value: []byte("v1")},
	{Kind: keyvalue.OpGet, Key: "k"},
	{Kind: keyvalue.OpExists, Key: "k"},
	{Kind: keyvalue.OpExpiresAt, Key: "k"},
	{Kind: keyvalue.OpExpire, Key: "k", Options: keyvalue.SetOptions{TTL: time.Hour}},
	{Kind: keyvalue.OpTouch, Key: "k"},
	{Kind: keyvalue.OpPersist, Key: "k"},
	{Kind: keyvalue.OpSetIf, Key: "new", Value: []byte("v"), If: keyvalue.Condition{Absent: true}},
	{Kind: keyvalue.OpSetIf, Key: "new", Value: []byte("v"), If: keyvalue.Condition{Absent: true}},
	{Kind: keyvalue.OpDeleteIf, Key: "new", If: keyvalue.Condition{Version: 1}},
	{Kind: keyvalue.OpIncrement, Key: "n", Delta: 5},
	{Kind: keyvalue.OpAppend, Key: "k", Value: []byte("+")},
	{Kind: keyvalue.OpSetIfAbsent, Key: "k", Value: []byte("no")},
	{Kind: keyvalue.OpGetAndSet, Key: "k", Value: []byte("v2")},
	{Kind: keyvalue.OpCompareAndSwap, Key: "k", Expected: []byte("v2"), Value: []byte("v3")},
	{Kind: keyvalue.OpCompareAndDelete, Key: "k", Expected: []byte("v2")},
	{Kind: keyvalue.OpDelete, Key: "k"},
	{Kind: keyvalue.OpDelete, Key: "k"},
	{Kind: keyvalue.OpIncrement, Key: "", Delta: 5},
}

// plain is what of a result can be compared over two stores.
func plain(r keyvalue.Result, err error) string {
	reason := ""
	if e := prism.From(err); e != nil {
		reason = string(e.Reason)
	}
	return fmt.Sprintf("%v %v %v %d %q %v %s", r.Found, r.Applied, r.Version != 0, r.Number, r.Value, !r.ExpiresAt.IsZero(), reason)
}

var scripted = []string{
	`false false false 0 "" false NOT_FOUND`,
	`false false true 0 "" false `,
	`true false true 0 "v1" false `,
	`true false false 0 "" false `,
	`false false false 0 "" false `,
	`false false true 0 "" true `,
	`false false true 0 "" true `,
	`false true true 0 "" false `,
	`false false true 0 "" false `,
	`false false false 0 "" false ALREADY_EXISTS`,
	`false false false 0 "" false VERSION_MISMATCH`,
	`false false true 5 "" false `,
	`false false true 3 "" false `,
	`false false true 0 "" false `,
	`true false true 0 "v1+" false `,
	`false true true 0 "" false `,
	`false false true 0 "" false `,
	`true false true 0 "" false `,
	`false false false 0 "" false `,
	`false false false 0 "" false INVALID_ARGUMENT`,
}

func TestEveryOperationReachesTheDriver(t *testing.T) {
	t.Parallel()
	s := fresh(t)
	for i, op := range script {
		if got := plain(s.Do(t.Context(), &op)); got != scripted[i] {
			t.Errorf("%d, kind %d: got %s, want %s", i, op.Kind, got, scripted[i])
		}
	}
}

// A batch gives what its operations give one by one, the bad ones among them,
// whether the backend takes many at once or not.
func TestABatchAnswersEachOperationAsIfItWereAlone(t *testing.T) {
	t.Parallel()
	for _, without := range [][]string{nil, {"keyvalue_batch"}} {
		s := fresh(t, without...)
		ops := append([]keyvalue.Op(nil), script...)
		results := make([]keyvalue.Result, len(ops))
		results[0].Err = errors.New("left over")
		if err := s.Batch(t.Context(), ops, results); err != nil {
			t.Fatal(err)
		}
		for i, r := range results {
			if got := plain(r, r.Err); got != scripted[i] {
				t.Errorf("without %v: %d, kind %d: got %s, want %s", without, i, ops[i].Kind, got, scripted[i])
			}
		}
		wants(t, results[len(ops)-1].Err, prism.ReasonInvalidArgument, "key")
	}
}

func TestBatchesOfOnlyBadAndOnlyGoodAndNoOperations(t *testing.T) {
	t.Parallel()
	s := fresh(t)
	bad := []keyvalue.Op{{Kind: keyvalue.OpGet}, {Kind: keyvalue.OpExpire, Key: "k"}, {}}
	results := make([]keyvalue.Result, 3)
	if err := s.Batch(t.Context(), bad, results); err != nil {
		t.Fatal(err)
	}
	wants(t, results[0].Err, prism.ReasonInvalidArgument, "key")
	wants(t, results[1].Err, prism.ReasonInvalidArgument, "ttl_ms")
	wants(t, results[2].Err, prism.ReasonInvalidArgument, "op")

	good := []keyvalue.Op{{Kind: keyvalue.OpSet, Key: "k", Value: []byte("v")}, {Kind: keyvalue.OpGet, Key: "k"}, {Kind: keyvalue.OpGet, Key: "gone"}}
	if err := s.Batch(t.Context(), good, results); err != nil {
		t.Fatal(err)
	}
	if results[0].Err != nil || string(results[1].Value) != "v" {
		t.Errorf("got %+v", results)
	}
	wants(t, results[2].Err, prism.ReasonNotFound)
	if err := s.Batch(t.Context(), nil, nil); err != nil {
		t.Errorf("of nothing: %v", err)
	}
}

func TestABatchHasAtMostAThousandOperations(t *testing.T) {
	t.Parallel()
	s := fresh(t)
	for n, ok := range map[int]bool{999: true, 1000: true, 1001: false} {
		ops := make([]keyvalue.Op, n)
		for i := range ops {
			ops[i] = keyvalue.Op{Kind: keyvalue.OpSet, Key: fmt.Sprint(n, "-", i)}
		}
		err := s.Batch(t.Context(), ops, make([]keyvalue.Result, n))
		if ok && err != nil {
			t.Errorf("%d: %v", n, err)
		} else if !ok {
			wants(t, err, prism.ReasonInvalidArgument, "items")
		}
	}
}

// broken fails every call.
type broken struct {
	driver.KeyValue
	driver.KeyValueBatch
	driver.KeyValueWatch
	driver.KeyValueScan
}

var errBroken = prism.New(prism.ReasonBackendUnavailable, "the backend does not answer")

func (broken) Get(context.Context, prism.Key) (driver.Entry, bool, error) {
	return driver.Entry{}, true, errBroken
}

func (broken) Batch(context.Context, prism.Namespace, []driver.Op, []driver.Result) error {
	return errBroken
}

func (broken) Watch(context.Context, prism.Namespace, string, driver.Position) (driver.Watcher, error) {
	return nil, errBroken
}

func (broken) Scan(context.Context, prism.Namespace, driver.Query, []byte) (driver.Page, error) {
	return driver.Page{}, errBroken
}

func TestErrorsOfTheBackendPassThrough(t *testing.T) {
	t.Parallel()
	set := open(t, nil)
	set.KeyValue, set.KeyValueBatch, set.KeyValueWatch, set.KeyValueScan = broken{}, broken{}, broken{}, broken{}
	s := on(set, none)
	get := keyvalue.Op{Kind: keyvalue.OpGet, Key: "k"}
	for name, call := range map[string]func() error{
		"get":          func() error { _, err := s.Get(t.Context(), "k"); return err },
		"do":           func() error { _, err := s.Do(t.Context(), &get); return err },
		"batch":        func() error { return s.Batch(t.Context(), []keyvalue.Op{get}, make([]keyvalue.Result, 1)) },
		"mixed batch":  func() error { return s.Batch(t.Context(), []keyvalue.Op{get, {}}, make([]keyvalue.Result, 2)) },
		"scan":         func() error { _, err := s.Scan(t.Context(), "dev", keyvalue.Query{}); return err },
		"watch":        func() error { _, err := s.Watch(t.Context(), "", "", false); return err },
		"a read in tx": func() error { tx, _ := s.Begin("dev", ""); _, _, err := tx.Get(t.Context(), "k"); return err },
	} {
		if err := call(); !errors.Is(err, errBroken) {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

func TestGetAndDoOfAGetAreTheSame(t *testing.T) {
	t.Parallel()
	s := fresh(t)
	do(t, s, keyvalue.Op{Kind: keyvalue.OpSet, Key: "k", Value: []byte("v"), Options: keyvalue.SetOptions{TTL: time.Hour}})
	e, err := s.Get(t.Context(), "k")
	if err != nil {
		t.Fatal(err)
	}
	r := do(t, s, keyvalue.Op{Kind: keyvalue.OpGet, Key: "k"})
	if got := (keyvalue.Entry{Value: r.Value, Version: r.Version, ExpiresAt: r.ExpiresAt}); !reflect.DeepEqual(got, e) || e.ExpiresAt.IsZero() {
		t.Errorf("got %+v and %+v", got, e)
	}
}

func TestNotFoundNamesTheKeyAsFarAsItFits(t *testing.T) {
	t.Parallel()
	s := fresh(t)
	for _, c := range []struct{ key, want string }{
		{"k", `key "k" not found`},
		{strings.Repeat("k", 64), `key "` + strings.Repeat("k", 64) + `" not found`},
		{strings.Repeat("k", 65), `key "` + strings.Repeat("k", 64) + `…" not found`},
		{strings.Repeat("k", 63) + "é", `key "` + strings.Repeat("k", 63) + `…" not found`},
		{"a\n\x1b[2J", `key "a\n\x1b[2J" not found`},
	} {
		_, err := s.Get(t.Context(), c.key)
		_, doErr := s.Do(t.Context(), &keyvalue.Op{Kind: keyvalue.OpGet, Key: c.key})
		for _, err := range []error{err, doErr} {
			e := prism.From(err)
			if e == nil || e.Reason != prism.ReasonNotFound || e.Message != c.want || !utf8.ValidString(e.Message) {
				t.Errorf("%q: got %v, want %s", c.key, err, c.want)
			}
		}
	}
}

// A namespace and a key never meet in a string: whatever the backend joins
// them with, two entries stay two. Keys are made of what drivers and users
// join with.
func TestAttack_A26_NamespacesAndKeysDoNotRunTogether(t *testing.T) {
	t.Parallel()
	const batch = 1000
	namespaces := []prism.Namespace{"a", "b", "a-b", "ab", "a-", "aa", "kv"}
	parts := []string{"a", "b", ":", "/", "-", "\x00", "{", "}", "%00", "a:b", "{a}", "é", "1", "kv"}
	pairs := 0
	set := open(t, clock.Real())
	rapid.Check(t, func(r *rapid.T) {
		keys := rapid.SliceOfN(rapid.SliceOfN(rapid.IntRange(0, len(parts)*len(namespaces)-1), 1, 4), batch, batch).Draw(r, "keys")
		stores := map[prism.Namespace]*keyvalue.Store{}
		for _, ns := range namespaces {
			stores[ns] = keyvalue.New(set, ns, none, data.NewSealer(secret), clock.Real())
		}
		model := map[prism.Key]string{}
		for i, draw := range keys {
			k := prism.Key{Namespace: namespaces[draw[0]%len(namespaces)]}
			for _, d := range draw {
				k.Name += parts[d/len(namespaces)]
			}
			model[k] = fmt.Sprint(i)
			op := keyvalue.Op{Kind: keyvalue.OpSet, Key: k.Name, Value: []byte(model[k])}
			if _, err := stores[k.Namespace].Do(t.Context(), &op); err != nil {
				r.Fatalf("%q: %v", k, err)
			}
		}
		pairs += batch
		for k, want := range model {
			if e, err := stores[k.Namespace].Get(t.Context(), k.Name); err != nil || string(e.Value) != want {
				r.Fatalf("%q: got %q, %v, want %q", k, e.Value, err, want)
			}
		}
	})
	if pairs < 100*batch {
		t.Errorf("only %d pairs", pairs)
	}
}
