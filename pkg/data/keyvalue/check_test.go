package keyvalue_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prism-data-layer/prism/pkg/clock"
	"github.com/prism-data-layer/prism/pkg/data"
	"github.com/prism-data-layer/prism/pkg/data/keyvalue"
	"github.com/prism-data-layer/prism/pkg/driver"
	"github.com/prism-data-layer/prism/pkg/prism"
)

// kinds are all kinds of operations, each as it is right.
func kinds() map[string]keyvalue.Op {
	return map[string]keyvalue.Op{
		"get":                {Kind: keyvalue.OpGet},
		"exists":             {Kind: keyvalue.OpExists},
		"expires at":         {Kind: keyvalue.OpExpiresAt},
		"set":                {Kind: keyvalue.OpSet},
		"set if":             {Kind: keyvalue.OpSetIf, If: keyvalue.Condition{Absent: true}},
		"delete":             {Kind: keyvalue.OpDelete},
		"delete if":          {Kind: keyvalue.OpDeleteIf, If: keyvalue.Condition{Version: 7}},
		"expire":             {Kind: keyvalue.OpExpire, Options: keyvalue.SetOptions{TTL: time.Second}},
		"persist":            {Kind: keyvalue.OpPersist},
		"touch":              {Kind: keyvalue.OpTouch},
		"increment":          {Kind: keyvalue.OpIncrement, Delta: 1},
		"append":             {Kind: keyvalue.OpAppend},
		"set if absent":      {Kind: keyvalue.OpSetIfAbsent},
		"get and set":        {Kind: keyvalue.OpGetAndSet},
		"compare and swap":   {Kind: keyvalue.OpCompareAndSwap},
		"compare and delete": {Kind: keyvalue.OpCompareAndDelete},
	}
}

func TestEveryKindTakesKeysAndValuesUpToTheirLimits(t *testing.T) {
	t.Parallel()
	s := fresh(t)
	if got, want := len(kinds()), int(keyvalue.OpCompareAndDelete); got != want {
		t.Fatalf("%d kinds, want %d", got, want)
	}
	for name, op := range kinds() {
		for _, key := range []string{"k", "\x00", "a\x00b", "../", "é", "\u202e", strings.Repeat("k", prism.MaxKeyBytes-1), strings.Repeat("k", prism.MaxKeyBytes)} {
			op.Key = key
			for _, n := range []int{0, 1, prism.MaxValueBytes - 1, prism.MaxValueBytes} {
				op.Value, op.Expected = make([]byte, n), make([]byte, n)
				if err := s.Check(&op); err != nil {
					t.Errorf("%s of a key of %d and a value of %d bytes: %v", name, len(key), n, err)
				}
			}
		}
		op.Value, op.Expected = nil, nil
		for _, key := range []string{"", strings.Repeat("k", prism.MaxKeyBytes+1), "\xff", "a\xc0\xaf", "\xed\xa0\x80"} {
			op.Key = key
			wants(t, s.Check(&op), prism.ReasonInvalidArgument, "key")
			if _, err := s.Do(t.Context(), &op); err == nil {
				t.Errorf("%s of key %.10q ran", name, key)
			}
		}
		op.Key, op.Value = "k", make([]byte, prism.MaxValueBytes+1)
		wants(t, s.Check(&op), prism.ReasonInvalidArgument, "value")
	}
	if _, err := s.Get(t.Context(), ""); err == nil {
		t.Error("Get of no key ran")
	}
}

func TestEveryWrongFieldIsNamedAtOnce(t *testing.T) {
	t.Parallel()
	over := make([]byte, prism.MaxValueBytes+1)
	op := keyvalue.Op{Kind: keyvalue.OpCompareAndSwap, Value: over, Expected: over, Options: keyvalue.SetOptions{TTL: -1}}
	err := fresh(t).Check(&op)
	wants(t, err, prism.ReasonInvalidArgument, "key", "value", "expected", "ttl_ms")
	if got := prism.From(err).Message; got != "key must not be empty" {
		t.Errorf("says %q", got)
	}
}

func TestAnUnknownKindIsRefused(t *testing.T) {
	t.Parallel()
	s := fresh(t)
	for _, k := range []keyvalue.OpKind{0, keyvalue.OpCompareAndDelete + 1, 255} {
		op := keyvalue.Op{Kind: k, Key: "k"}
		wants(t, s.Check(&op), prism.ReasonInvalidArgument, "op")
	}
}

func TestTimesToLiveAre1msTo10Years(t *testing.T) {
	t.Parallel()
	s := fresh(t)
	for _, name := range []string{"set", "set if", "set if absent", "get and set", "compare and swap", "expire"} {
		op := kinds()[name]
		op.Key = "k"
		for _, ttl := range []time.Duration{time.Millisecond, time.Hour, keyvalue.MaxTTL - 1, keyvalue.MaxTTL} {
			op.Options = keyvalue.SetOptions{TTL: ttl}
			if err := s.Check(&op); err != nil || op.Options.TTL != ttl {
				t.Errorf("%s for %s: %v, became %s", name, ttl, err, op.Options.TTL)
			}
		}
		for _, ttl := range []time.Duration{-1 << 63, -1, 1, time.Millisecond - 1, keyvalue.MaxTTL + 1, 1<<63 - 1} {
			op.Options = keyvalue.SetOptions{TTL: ttl}
			wants(t, s.Check(&op), prism.ReasonInvalidArgument, "ttl_ms")
		}
		op.Options = keyvalue.SetOptions{TTL: time.Second, KeepTTL: true}
		if name != "expire" {
			wants(t, s.Check(&op), prism.ReasonInvalidArgument, "keep_ttl")
		}
	}
	op := keyvalue.Op{Kind: keyvalue.OpExpire, Key: "k"}
	wants(t, s.Check(&op), prism.ReasonInvalidArgument, "ttl_ms")
}

func TestWhatTheBackendLacksIsRefusedWithAListOfWhatIsThere(t *testing.T) {
	t.Parallel()
	set := open(t, nil)
	all := set.NamesOf("keyvalue")
	for _, c := range driver.Capabilities() {
		if !slices.Contains(all, c.Name) {
			continue // of another model
		}
		s := on(set.Without(c.Name), none)
		for name, op := range kinds() {
			op.Key = "k"
			err := s.Check(&op)
			if keyvalue.Needs(op.Kind) != c.Name {
				if err != nil {
					t.Errorf("%s without %s: %v", name, c.Name, err)
				}
				continue
			}
			wants(t, err, prism.ReasonCapabilityMissing)
			e := prism.From(err)
			if e.Meta["missing"] != c.Name || e.Meta["capabilities"] != strings.Join(s.Capabilities(), ",") || e.Namespace != "kv" {
				t.Errorf("%s without %s: metadata %v of namespace %q", name, c.Name, e.Meta, e.Namespace)
			}
			if strings.Contains(e.Meta["capabilities"], c.Name) || len(s.Capabilities()) != len(all)-1 {
				t.Errorf("%s: what is there lists %v", c.Name, s.Capabilities())
			}
		}
		wants(t, s.Require(c.Name), prism.ReasonCapabilityMissing)
		if err := on(set, none).Require(c.Name); err != nil {
			t.Errorf("%s is there: %v", c.Name, err)
		}
	}
	_, err := fresh(t, "keyvalue_basic").Get(t.Context(), "k")
	wants(t, err, prism.ReasonCapabilityMissing)
}

// A field that asks for more than its method is refused where it is set, and
// only there.
func TestExpiryIsRefusedWhereItIsAskedForAndMissing(t *testing.T) {
	t.Parallel()
	s := fresh(t, "keyvalue_ttl")
	for _, name := range []string{"set", "set if", "set if absent", "get and set", "compare and swap"} {
		op := kinds()[name]
		op.Key = "k"
		if err := s.Check(&op); err != nil {
			t.Errorf("%s without expiry: %v", name, err)
		}
		for _, o := range []keyvalue.SetOptions{{TTL: time.Second}, {KeepTTL: true}} {
			op.Options = o
			err := s.Check(&op)
			wants(t, err, prism.ReasonCapabilityMissing)
			if e := prism.From(err); e.Meta["missing"] != "keyvalue_ttl" {
				t.Errorf("%s with %+v misses %q", name, o, e.Meta["missing"])
			}
		}
	}
}

func TestTheNamespacesPolicyRulesExpiry(t *testing.T) {
	t.Parallel()
	const minute, hour = time.Minute, time.Hour
	type policy = keyvalue.Policy
	for _, c := range []struct {
		policy policy
		op     string
		given  keyvalue.SetOptions
		want   time.Duration // given to the driver
		reason prism.Reason
		field  string
	}{
		{policy{}, "set", keyvalue.SetOptions{}, 0, "", ""},
		{policy{DefaultTTL: minute}, "set", keyvalue.SetOptions{}, minute, "", ""},
		{policy{DefaultTTL: minute}, "set if", keyvalue.SetOptions{}, minute, "", ""},
		{policy{DefaultTTL: minute}, "set if absent", keyvalue.SetOptions{}, minute, "", ""},
		{policy{DefaultTTL: minute}, "get and set", keyvalue.SetOptions{}, minute, "", ""},
		{policy{DefaultTTL: minute}, "set", keyvalue.SetOptions{TTL: hour}, hour, "", ""},
		{policy{DefaultTTL: minute}, "set", keyvalue.SetOptions{KeepTTL: true}, 0, "", ""},
		{policy{DefaultTTL: minute}, "compare and swap", keyvalue.SetOptions{}, 0, "", ""}, // it keeps the expiry
		{policy{DefaultTTL: minute}, "persist", keyvalue.SetOptions{}, 0, "", ""},
		{policy{MaxTTL: hour}, "set", keyvalue.SetOptions{}, hour, "", ""},
		{policy{MaxTTL: hour}, "set", keyvalue.SetOptions{TTL: hour}, hour, "", ""},
		{policy{MaxTTL: hour}, "set", keyvalue.SetOptions{TTL: hour + 1}, 0, prism.ReasonInvalidArgument, "ttl_ms"},
		{policy{MaxTTL: hour}, "set", keyvalue.SetOptions{KeepTTL: true}, 0, "", ""},
		{policy{MaxTTL: hour}, "compare and swap", keyvalue.SetOptions{}, 0, "", ""},
		{policy{MaxTTL: hour}, "compare and swap", keyvalue.SetOptions{TTL: 2 * hour}, 0, prism.ReasonInvalidArgument, "ttl_ms"},
		{policy{MaxTTL: hour}, "expire", keyvalue.SetOptions{TTL: hour}, hour, "", ""},
		{policy{MaxTTL: hour}, "expire", keyvalue.SetOptions{TTL: 2 * hour}, 0, prism.ReasonInvalidArgument, "ttl_ms"},
		{policy{MaxTTL: hour}, "expire", keyvalue.SetOptions{}, 0, prism.ReasonInvalidArgument, "ttl_ms"},
		{policy{MaxTTL: hour}, "persist", keyvalue.SetOptions{}, 0, prism.ReasonFailedPrecond, ""},
		{policy{MaxTTL: hour, DefaultTTL: minute}, "set", keyvalue.SetOptions{}, minute, "", ""},
		{policy{MaxTTL: hour, DefaultTTL: minute}, "delete", keyvalue.SetOptions{}, 0, "", ""},
		{policy{MaxTTL: hour, DefaultTTL: minute}, "touch", keyvalue.SetOptions{}, 0, "", ""},
	} {
		op := kinds()[c.op]
		op.Key, op.Options = "k", c.given
		err := on(open(t, nil), c.policy).Check(&op)
		switch {
		case c.reason != "":
			var fields []string
			if c.field != "" {
				fields = []string{c.field}
			}
			wants(t, err, c.reason, fields...)
		case err != nil || op.Options.TTL != c.want:
			t.Errorf("%s with %+v under %+v: %v, ttl %s, want %s", c.op, c.given, c.policy, err, op.Options.TTL, c.want)
		}
	}
}

func TestADefaultEndsKeysThatAnAtomicMade(t *testing.T) {
	t.Parallel()
	for _, p := range []keyvalue.Policy{{DefaultTTL: time.Minute}, {MaxTTL: time.Minute}} {
		s := keyvalue.New(open(t, nil), "kv", p, data.NewSealer(secret), clock.Real())
		for i, op := range []keyvalue.Op{{Kind: keyvalue.OpIncrement, Delta: 1}, {Kind: keyvalue.OpAppend, Value: []byte("1")}} {
			op.Key = fmt.Sprint("k", i)
			if r := do(t, s, op); r.Number != 1 {
				t.Errorf("%+v gives %d", op, r.Number)
			}
			if at := do(t, s, keyvalue.Op{Kind: keyvalue.OpExpiresAt, Key: op.Key}).ExpiresAt; at.IsZero() {
				t.Errorf("%+v under %+v: the key stays for ever", op, p)
			}
		}
	}
}

func TestADefaultEndsKeysThatAskedForNothing(t *testing.T) {
	t.Parallel()
	c := clock.NewFake(start)
	s := keyvalue.New(open(t, c), "kv", keyvalue.Policy{DefaultTTL: time.Minute}, data.NewSealer(secret), c)
	set(t, s, "k", "v")
	at := do(t, s, keyvalue.Op{Kind: keyvalue.OpExpiresAt, Key: "k"}).ExpiresAt
	if got := s.TTLLeft(at); got != time.Minute {
		t.Errorf("left: %s", got)
	}
	c.Advance(time.Minute - time.Millisecond)
	if _, err := s.Get(t.Context(), "k"); err != nil {
		t.Errorf("a millisecond early: %v", err)
	}
	c.Advance(time.Millisecond)
	_, err := s.Get(t.Context(), "k")
	wants(t, err, prism.ReasonNotFound)
	if got := s.TTLLeft(at); got != time.Millisecond {
		t.Errorf("a key that is there has %s left, want at least a millisecond", got)
	}
}
