package keyvalue_test

import (
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prism-data-layer/prism/pkg/data"
	"github.com/prism-data-layer/prism/pkg/data/keyvalue"
	"github.com/prism-data-layer/prism/pkg/driver"
	"github.com/prism-data-layer/prism/pkg/prism"
)

// once gives op a receipt and returns it.
func once(t testing.TB, op keyvalue.Op, principal, key, retry string) driver.Receipt {
	t.Helper()
	if err := keyvalue.Once(&op, principal, key, []byte(retry)); err != nil {
		t.Fatal(err)
	}
	return op.Receipt
}

func TestTheSameCallHasTheSameReceipt(t *testing.T) {
	t.Parallel()
	op := keyvalue.Op{Kind: keyvalue.OpSet, Key: "k", Value: []byte("v")}
	first := once(t, op, "dev", "id", "")
	if again := once(t, op, "dev", "id", ""); again != first || first.IsZero() {
		t.Errorf("got %v, then %v", first, again)
	}
	if first.Keep != 24*time.Hour {
		t.Errorf("a caller's key is kept %s", first.Keep)
	}
	if got := once(t, op, "dev", "", "id").Keep; got != 10*time.Minute {
		t.Errorf("a client's id is kept %s", got)
	}
	if both := once(t, op, "dev", "id", "other"); both != first {
		t.Error("the caller's key does not win over the client's id")
	}
	if got := once(t, op, "dev", "", ""); !got.IsZero() {
		t.Errorf("without a key: %v", got)
	}
}

func TestAReceiptIsOfOnePrincipalAndOneRPC(t *testing.T) {
	t.Parallel()
	op := keyvalue.Op{Kind: keyvalue.OpSet, Key: "k"}
	seen := map[[16]byte]string{}
	add := func(name string, r driver.Receipt) {
		if was, ok := seen[r.ID]; ok {
			t.Errorf("%s and %s have one id", name, was)
		}
		seen[r.ID] = name
	}
	add("set", once(t, op, "user:ann", "id", ""))
	add("another principal", once(t, op, "user:bob", "id", ""))
	add("another key", once(t, op, "user:ann", "id2", ""))
	add("a client's id", once(t, op, "user:ann", "", "id"))
	add("parts that run together", once(t, op, "user:an", "nid", ""))
	add("a NUL in the key", once(t, op, "user:ann", "id\x00", ""))
	rpcs := map[string]bool{"Set": true}
	for name, other := range kinds() {
		if rpc := keyvalue.RPC(other.Kind); !other.Kind.Reads() && !rpcs[rpc] {
			rpcs[rpc] = true
			other.Key = "k"
			add(name, once(t, other, "user:ann", "id", ""))
		}
	}
	if len(rpcs) != 11 {
		t.Errorf("%d RPCs: %v", len(rpcs), rpcs)
	}
	// An RPC is one, whichever way its condition goes.
	create := keyvalue.Op{Kind: keyvalue.OpSetIf, Key: "k", If: keyvalue.Condition{Absent: true}}
	if r := once(t, create, "user:ann", "id", ""); seen[r.ID] != "set" {
		t.Error("a conditional set has another scope than a set")
	}
}

func TestEveryFieldOfARequestIsInItsBody(t *testing.T) {
	t.Parallel()
	t.Run("small", func(t *testing.T) { everyFieldIsInTheBody(t, "") })
	t.Run("large", func(t *testing.T) { everyFieldIsInTheBody(t, strings.Repeat("x", 1000)) })
}

func everyFieldIsInTheBody(t *testing.T, more string) {
	t.Parallel()
	base := func() keyvalue.Op {
		return keyvalue.Op{Kind: keyvalue.OpSet, Key: "key", Value: []byte("value" + more), Expected: []byte("was"), Delta: 1}
	}
	seen := map[[16]byte]string{once(t, base(), "dev", "id", "").Body: "the first"}
	for name, change := range map[string]func(*keyvalue.Op){
		"kind":            func(op *keyvalue.Op) { op.Kind = keyvalue.OpSetIf },
		"key":             func(op *keyvalue.Op) { op.Key = "kez" },
		"value":           func(op *keyvalue.Op) { op.Value = []byte("valuf" + more) },
		"empty value":     func(op *keyvalue.Op) { op.Value = nil },
		"expected":        func(op *keyvalue.Op) { op.Expected = []byte("wat") },
		"delta":           func(op *keyvalue.Op) { op.Delta = -1 },
		"ttl":             func(op *keyvalue.Op) { op.Options.TTL = time.Second },
		"longer ttl":      func(op *keyvalue.Op) { op.Options.TTL = 2 * time.Second },
		"keep_ttl":        func(op *keyvalue.Op) { op.Options.KeepTTL = true },
		"create_only":     func(op *keyvalue.Op) { op.If.Absent = true },
		"if_version":      func(op *keyvalue.Op) { op.If.Version = 1 },
		"if_version high": func(op *keyvalue.Op) { op.If.Version = 1 << 63 },
		"key into value":  func(op *keyvalue.Op) { op.Key, op.Value = "keyv", []byte("alue"+more) },
		"value into was":  func(op *keyvalue.Op) { op.Value, op.Expected = []byte("value"+more+"w"), []byte("as") },
	} {
		op := base()
		change(&op)
		body := once(t, op, "dev", "id", "").Body
		if was, ok := seen[body]; ok {
			t.Errorf("%s and %s have one body", name, was)
		}
		seen[body] = name
	}
}

// What a series remembers of one operation changes no other's receipt.
func TestASeriesGivesTheReceiptsThatItsOperationsGetAlone(t *testing.T) {
	t.Parallel()
	s := keyvalue.Series{Principal: "dev"}
	for _, id := range []string{"", "1", "12345678", "123456789", "client-a00000001", "client-a00000002", "client-b00000002", "client-b0000002", "client-a00000001"} {
		for _, kind := range []keyvalue.OpKind{keyvalue.OpSet, keyvalue.OpSet, keyvalue.OpDelete, keyvalue.OpSet} {
			for _, key := range []string{"", "key"} {
				op := keyvalue.Op{Kind: kind, Key: "k"}
				if err := keyvalue.OnceOf(&s, &op, key, []byte(id)); err != nil {
					t.Fatal(err)
				}
				if want := once(t, keyvalue.Op{Kind: kind, Key: "k"}, "dev", key, id); op.Receipt != want {
					t.Errorf("kind %d, id %q, key %q: %x in a series, %x alone", kind, id, key, op.Receipt.ID, want.ID)
				}
			}
		}
	}
}

func TestKeysOfReceiptsAreBounded(t *testing.T) {
	t.Parallel()
	op := keyvalue.Op{Kind: keyvalue.OpSet, Key: "k"}
	for _, n := range []int{1, 127, 128} {
		once(t, op, "dev", strings.Repeat("i", n), "")
		once(t, op, "dev", "", strings.Repeat("\xff", n))
	}
	wants(t, keyvalue.Once(&op, "dev", strings.Repeat("i", 129), nil), prism.ReasonInvalidArgument, "idempotency_key")
	wants(t, keyvalue.Once(&op, "dev", "\xff", nil), prism.ReasonInvalidArgument, "idempotency_key")
	wants(t, keyvalue.Once(&op, "dev", "", make([]byte, 129)), prism.ReasonInvalidArgument, "retry_id")
	wants(t, keyvalue.Once(&keyvalue.Op{Kind: 200}, "dev", "id", nil), prism.ReasonInvalidArgument, "op")
	if !op.Receipt.IsZero() {
		t.Error("a refused key left a receipt")
	}
	get := keyvalue.Op{Kind: keyvalue.OpGet, Key: "k"}
	if err := keyvalue.Once(&get, "dev", "id", nil); err != nil || !get.Receipt.IsZero() {
		t.Errorf("a read got %v, %v", get.Receipt, err)
	}
}

// A replay answers what was answered, another request is refused, another
// principal and another namespace have keys of their own, and of a hundred at
// once one has the effect.
func TestAttack_A27_OneRequestIDHasOneEffect(t *testing.T) {
	t.Parallel()
	store := open(t, nil)
	s := on(store, none)
	other := keyvalue.New(store, "other", none, data.NewSealer(secret), nil)
	add := func(s *keyvalue.Store, principal string, delta int64) (keyvalue.Result, error) {
		op := keyvalue.Op{Kind: keyvalue.OpIncrement, Key: "n", Delta: delta}
		if err := keyvalue.Once(&op, principal, "id", nil); err != nil {
			return keyvalue.Result{}, err
		}
		return s.Do(t.Context(), &op)
	}
	var wg sync.WaitGroup
	var mu sync.Mutex
	first, replays := 0, 0
	for range 100 {
		wg.Go(func() {
			r, err := add(s, "user:ann", 5)
			mu.Lock()
			defer mu.Unlock()
			switch {
			case err != nil || r.Number != 5:
				t.Errorf("got %+v, %v", r, err)
			case r.Replayed:
				replays++
			default:
				first++
			}
		})
	}
	wg.Wait()
	if first != 1 || replays != 99 {
		t.Errorf("%d effects, %d replays", first, replays)
	}
	_, err := add(s, "user:ann", 6)
	wants(t, err, prism.ReasonKeyReused)
	if r, err := add(s, "user:bob", 5); err != nil || r.Replayed || r.Number != 10 {
		t.Errorf("another principal: %+v, %v", r, err)
	}
	if r, err := add(other, "user:ann", 7); err != nil || r.Replayed || r.Number != 7 {
		t.Errorf("another namespace: %+v, %v", r, err)
	}
}

// A default that the namespace gives is no part of the request: a retry is
// known again after the default has changed.
func TestARetryIsKnownAfterThePolicyChanged(t *testing.T) {
	t.Parallel()
	store := open(t, nil)
	write := func(p keyvalue.Policy) keyvalue.Result {
		op := keyvalue.Op{Kind: keyvalue.OpSet, Key: "k", Value: []byte("v")}
		if err := keyvalue.Once(&op, "dev", "id", nil); err != nil {
			t.Fatal(err)
		}
		return do(t, on(store, p), op)
	}
	first := write(none)
	if again := write(keyvalue.Policy{DefaultTTL: time.Hour}); !again.Replayed || again.Version != first.Version {
		t.Errorf("got %+v, then %+v", first, again)
	}
}
