package keyvalue_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/prism-data-layer/prism/pkg/data/keyvalue"
	"github.com/prism-data-layer/prism/pkg/driver"
	"github.com/prism-data-layer/prism/pkg/prism"
)

func begin(t testing.TB, s *keyvalue.Store, key string) *keyvalue.Tx {
	t.Helper()
	tx, err := s.Begin("dev", key)
	if err != nil {
		t.Fatal(err)
	}
	return tx
}

func write(t testing.TB, tx *keyvalue.Tx, key, value string) int {
	t.Helper()
	n, err := tx.Write(keyvalue.Op{Kind: keyvalue.OpSet, Key: key, Value: []byte(value)})
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func remove(t testing.TB, tx *keyvalue.Tx, key string) int {
	t.Helper()
	n, err := tx.Write(keyvalue.Op{Kind: keyvalue.OpDelete, Key: key})
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// got is what the transaction reads: the value, or nothing.
func got(t testing.TB, tx *keyvalue.Tx, key string) string {
	t.Helper()
	e, found, err := tx.Get(t.Context(), key)
	if err != nil {
		t.Fatal(err)
	}
	if !found {
		return "(none)"
	}
	return string(e.Value)
}

func TestATransactionSeesItsOwnWritesAndNobodyElseDoes(t *testing.T) {
	t.Parallel()
	s := fresh(t)
	set(t, s, "a", "1")
	tx := begin(t, s, "")
	read := func(want ...string) {
		t.Helper()
		for i, k := range []string{"a", "b"} {
			if v := got(t, tx, k); v != want[i] {
				t.Errorf("%s is %q, want %q", k, v, want[i])
			}
		}
	}
	read("1", "(none)")
	if n := write(t, tx, "a", "2"); n != 1 {
		t.Errorf("%d keys written", n)
	}
	if n := write(t, tx, "b", "3"); n != 2 {
		t.Errorf("%d keys written", n)
	}
	read("2", "3")
	if n := remove(t, tx, "a"); n != 2 {
		t.Errorf("%d keys written after the second write of one", n)
	}
	read("(none)", "3")
	if e, err := s.Get(t.Context(), "a"); err != nil || string(e.Value) != "1" {
		t.Errorf("outside: %q, %v", e.Value, err)
	}
	written, err := tx.Commit(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if len(written) != 2 || written[0].Key != "a" || written[1].Key != "b" || written[0].Version == 0 || written[1].Version == 0 {
		t.Errorf("written: %+v", written)
	}
	_, err = s.Get(t.Context(), "a")
	wants(t, err, prism.ReasonNotFound)
	if e, err := s.Get(t.Context(), "b"); err != nil || string(e.Value) != "3" || e.Version != written[1].Version {
		t.Errorf("b is %+v, %v", e, err)
	}
}

func TestAKeyThatWasReadAndThenChangedIsAConflict(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		before, change func(*keyvalue.Store)
		conflict       bool
	}{
		"nothing":            {func(s *keyvalue.Store) { set(t, s, "k", "1") }, func(*keyvalue.Store) {}, false},
		"absent and still":   {func(*keyvalue.Store) {}, func(*keyvalue.Store) {}, false},
		"another key":        {func(s *keyvalue.Store) { set(t, s, "k", "1") }, func(s *keyvalue.Store) { set(t, s, "other", "1") }, false},
		"the same value":     {func(s *keyvalue.Store) { set(t, s, "k", "1") }, func(s *keyvalue.Store) { set(t, s, "k", "1") }, true},
		"deleted":            {func(s *keyvalue.Store) { set(t, s, "k", "1") }, func(s *keyvalue.Store) { do(t, s, keyvalue.Op{Kind: keyvalue.OpDelete, Key: "k"}) }, true},
		"absent and written": {func(*keyvalue.Store) {}, func(s *keyvalue.Store) { set(t, s, "k", "1") }, true},
		"written and back": {func(*keyvalue.Store) {}, func(s *keyvalue.Store) {
			set(t, s, "k", "1")
			do(t, s, keyvalue.Op{Kind: keyvalue.OpDelete, Key: "k"})
		}, false},
	} {
		s := fresh(t)
		c.before(s)
		tx := begin(t, s, "")
		got(t, tx, "k")
		write(t, tx, "result", "x")
		c.change(s)
		_, err := tx.Commit(t.Context())
		_, readErr := s.Get(t.Context(), "result")
		if c.conflict {
			wants(t, err, prism.ReasonConflict)
			wants(t, readErr, prism.ReasonNotFound)
		} else if err != nil || readErr != nil {
			t.Errorf("%s: %v, %v", name, err, readErr)
		}
	}
}

// counting counts what a commit is given.
type counting struct {
	driver.KeyValueTransactional
	checks, writes *int
}

func (c counting) Commit(ctx context.Context, ns prism.Namespace, checks []driver.Check, writes []driver.Op, r driver.Receipt) ([]driver.Result, error) {
	*c.checks, *c.writes = len(checks), len(writes)
	return c.KeyValueTransactional.Commit(ctx, ns, checks, writes, r)
}

// The first read of a key counts: a second one that sees another version must
// not make up for it.
func TestACheckIsRecordedOnceAndIsTheFirst(t *testing.T) {
	t.Parallel()
	set1 := open(t, nil)
	var checks, writes int
	set1.KeyValueTransactional = counting{set1.KeyValueTransactional, &checks, &writes}
	s := on(set1, none)
	tx := begin(t, s, "")
	for range 3 {
		got(t, tx, "k")
		got(t, tx, "absent")
	}
	write(t, tx, "w", "1")
	got(t, tx, "w") // its own write needs no check
	if _, err := tx.Commit(t.Context()); err != nil || checks != 2 || writes != 1 {
		t.Errorf("%d checks, %d writes, %v", checks, writes, err)
	}
	tx = begin(t, s, "")
	got(t, tx, "k")
	set(t, s, "k", "changed")
	got(t, tx, "k")
	write(t, tx, "w", "2")
	_, err := tx.Commit(t.Context())
	wants(t, err, prism.ReasonConflict)
}

func TestATransactionWritesAtMost128Keys(t *testing.T) {
	t.Parallel()
	s := fresh(t)
	tx := begin(t, s, "")
	for i := range prism.MaxTransactionWrites {
		if n := write(t, tx, fmt.Sprintf("k%03d", i), "v"); n != i+1 {
			t.Fatalf("%d keys after %d writes", n, i+1)
		}
	}
	_, err := tx.Write(keyvalue.Op{Kind: keyvalue.OpSet, Key: "one too many"})
	wants(t, err, prism.ReasonInvalidArgument, "writes")
	if n := write(t, tx, "k000", "again"); n != 128 {
		t.Errorf("a second write of a key made %d", n)
	}
	written, err := tx.Commit(t.Context())
	if err != nil || len(written) != 128 {
		t.Errorf("%d written, %v", len(written), err)
	}
	if n, err := s.Count(t.Context(), keyvalue.Query{}); err != nil || n != 128 {
		t.Errorf("%d keys, %v", n, err)
	}
}

func TestABadStepChangesNothingAndDoesNotEndATransaction(t *testing.T) {
	t.Parallel()
	s := fresh(t)
	tx := begin(t, s, "")
	_, _, err := tx.Get(t.Context(), "")
	wants(t, err, prism.ReasonInvalidArgument, "key")
	_, _, err = tx.Get(t.Context(), strings.Repeat("k", 1025))
	wants(t, err, prism.ReasonInvalidArgument, "key")
	_, err = tx.Write(keyvalue.Op{Kind: keyvalue.OpSet, Key: "", Value: make([]byte, prism.MaxValueBytes+1)})
	wants(t, err, prism.ReasonInvalidArgument, "key", "value")
	for k := range keyvalue.OpCompareAndDelete + 2 {
		if k != keyvalue.OpSet && k != keyvalue.OpDelete {
			_, err = tx.Write(keyvalue.Op{Kind: k, Key: "k"})
			wants(t, err, prism.ReasonInvalidArgument, "op")
		}
	}
	write(t, tx, "k", "v")
	if written, err := tx.Commit(t.Context()); err != nil || len(written) != 1 {
		t.Errorf("got %v, %v", written, err)
	}
}

func TestATransactionThatIsOverTakesNothingMore(t *testing.T) {
	t.Parallel()
	s := fresh(t)
	for name, end := range map[string]func(*keyvalue.Tx){
		"committed":   func(tx *keyvalue.Tx) { tx.Commit(t.Context()) }, //nolint:errcheck // conflict among them
		"rolled back": func(tx *keyvalue.Tx) { tx.Rollback() },
		"in conflict": func(tx *keyvalue.Tx) {
			got(t, tx, "c")
			set(t, s, "c", "changed")
			_, err := tx.Commit(t.Context())
			wants(t, err, prism.ReasonConflict)
		},
	} {
		tx := begin(t, s, "")
		write(t, tx, "k-"+name, "v")
		end(tx)
		_, _, err := tx.Get(t.Context(), "k")
		wants(t, err, prism.ReasonTransactionOver)
		_, err = tx.Write(keyvalue.Op{Kind: keyvalue.OpSet, Key: "k"})
		wants(t, err, prism.ReasonTransactionOver)
		_, err = tx.Commit(t.Context())
		wants(t, err, prism.ReasonTransactionOver)
		tx.Rollback()
		_, err = s.Get(t.Context(), "k-"+name)
		if (err == nil) != (name == "committed") {
			t.Errorf("%s: reading its write: %v", name, err)
		}
	}
}

func TestACommitThatIsSentAgainAnswersTheSame(t *testing.T) {
	t.Parallel()
	s := fresh(t)
	commit := func(s *keyvalue.Store, who, key, value string) ([]keyvalue.Written, error) {
		tx, err := s.Begin(who, key)
		if err != nil {
			t.Fatal(err)
		}
		got(t, tx, "a") // a replay reads what the first commit wrote
		write(t, tx, "a", value)
		write(t, tx, "b", value)
		return tx.Commit(t.Context())
	}
	first, err := commit(s, "dev", "id", "1")
	if err != nil || len(first) != 2 {
		t.Fatalf("got %v, %v", first, err)
	}
	again, err := commit(s, "dev", "id", "1")
	if err != nil || fmt.Sprint(again) != fmt.Sprint(first) {
		t.Errorf("got %v, %v, want %v", again, err, first)
	}
	_, err = commit(s, "dev", "id", "2")
	wants(t, err, prism.ReasonKeyReused)
	other, err := commit(s, "user:bob", "id", "1")
	if err != nil || fmt.Sprint(other) == fmt.Sprint(first) {
		t.Errorf("another principal got %v, %v", other, err)
	}
	fresh, err := commit(s, "dev", "", "1")
	if err != nil || fresh[0].Version <= first[0].Version {
		t.Errorf("without a key: %v, %v", fresh, err)
	}
}

func TestATransactionIsRefusedWhatTheNamespaceCannotDo(t *testing.T) {
	t.Parallel()
	for _, missing := range []string{"keyvalue_transactional", "keyvalue_basic"} {
		_, err := fresh(t, missing).Begin("dev", "")
		wants(t, err, prism.ReasonCapabilityMissing)
	}
	s := fresh(t)
	for _, key := range []string{strings.Repeat("i", 129), "\xff"} {
		_, err := s.Begin("dev", key)
		wants(t, err, prism.ReasonInvalidArgument, "idempotency_key")
	}
	begin(t, s, strings.Repeat("i", 128))
	tx := begin(t, fresh(t, "keyvalue_ttl"), "")
	_, err := tx.Write(keyvalue.Op{Kind: keyvalue.OpSet, Key: "k", Options: keyvalue.SetOptions{TTL: time.Second}})
	wants(t, err, prism.ReasonCapabilityMissing)
}

func TestATransactionGivesTheDefaultTimeToLive(t *testing.T) {
	t.Parallel()
	s := on(open(t, nil), keyvalue.Policy{DefaultTTL: time.Hour})
	tx := begin(t, s, "")
	write(t, tx, "k", "v")
	if _, err := tx.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	if e, err := s.Get(t.Context(), "k"); err != nil || e.ExpiresAt.IsZero() {
		t.Errorf("got %+v, %v", e, err)
	}
}

func TestAnEmptyTransactionCommits(t *testing.T) {
	t.Parallel()
	if written, err := begin(t, fresh(t), "id").Commit(t.Context()); err != nil || len(written) != 0 {
		t.Errorf("got %v, %v", written, err)
	}
}
