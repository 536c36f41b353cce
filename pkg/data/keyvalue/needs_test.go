package keyvalue_test

import (
	"slices"
	"testing"
	"time"

	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/prism-data-layer/prism/pkg/data/keyvalue"
	"github.com/prism-data-layer/prism/pkg/prism"
	"github.com/prism-data-layer/prism/pkg/wire"
	kvv1 "github.com/prism-data-layer/prism/proto/prism/keyvalue/v1"
)

// reads are the RPCs of the kinds that have no receipt.
var reads = map[keyvalue.OpKind]string{keyvalue.OpGet: "Get", keyvalue.OpExists: "Exists", keyvalue.OpExpiresAt: "GetTTL"}

func rpcOf(k keyvalue.OpKind) string {
	if name, ok := reads[k]; ok {
		return name
	}
	return keyvalue.RPC(k)
}

func method(t *testing.T, name string) *wire.Method {
	t.Helper()
	m := wire.Methods()["/prism.keyvalue.v1.KeyValueService/"+name]
	if m == nil {
		t.Fatalf("there is no method %s", name)
	}
	return m
}

// needsOf are the capabilities that fields of a method's request ask for.
func needsOf(m *wire.Method) map[protoreflect.Name]string {
	needs := map[protoreflect.Name]string{}
	fields := m.Descriptor.Input().Fields()
	for i := range fields.Len() {
		if n := wire.NeedsOf(fields.Get(i)); n != "" {
			needs[fields.Get(i).Name()] = n
		}
	}
	return needs
}

func TestTheTableOfNeedsIsWhatTheProtoSays(t *testing.T) {
	t.Parallel()
	for k := keyvalue.OpGet; k <= keyvalue.OpCompareAndDelete; k++ {
		m := method(t, rpcOf(k))
		want := m.Capability
		if k == keyvalue.OpSetIf || k == keyvalue.OpDeleteIf { // the same RPC with a condition
			want = needsOf(m)["if_version"]
		}
		if got := keyvalue.Needs(k); got != want {
			t.Errorf("kind %d needs %s, %s says %s", k, got, m.FullName, want)
		}
		if writes := m.Action == prism.ActionWrite; writes == k.Reads() {
			t.Errorf("kind %d reads: %v, and %s needs the permission %s", k, k.Reads(), m.FullName, m.Action)
		}
	}
}

// Each operation of a Pipeline is a unary call, so its method says what it
// needs; the two lists are the same.
func TestEveryOperationOfAPipelineIsAKind(t *testing.T) {
	t.Parallel()
	var kinds, ops []string
	for k := keyvalue.OpGet; k <= keyvalue.OpCompareAndDelete; k++ {
		kinds = append(kinds, rpcOf(k)+"Request")
	}
	of := (&kvv1.PipelineOp{}).ProtoReflect().Descriptor().Oneofs().ByName("op").Fields()
	for i := range of.Len() {
		ops = append(ops, string(of.Get(i).Message().Name()))
	}
	slices.Sort(kinds)
	slices.Sort(ops)
	if kinds = slices.Compact(kinds); !slices.Equal(kinds, ops) {
		t.Errorf("kinds %v, operations %v", kinds, ops)
	}
}

// Every field that the proto marks is refused by Check when its capability is
// missing. A field that is new and marked must be added here.
func TestFieldsThatNeedMoreAreRefusedWithoutIt(t *testing.T) {
	t.Parallel()
	set := map[protoreflect.Name]func(*keyvalue.Op){
		"ttl_ms":   func(op *keyvalue.Op) { op.Options.TTL = time.Second },
		"keep_ttl": func(op *keyvalue.Op) { op.Options.KeepTTL = true },
		"create_only": func(op *keyvalue.Op) {
			op.Kind, op.If.Absent = keyvalue.OpSetIf, true
		},
		"if_version": func(op *keyvalue.Op) {
			if op.If.Version = 1; op.Kind == keyvalue.OpDelete {
				op.Kind = keyvalue.OpDeleteIf
			} else {
				op.Kind = keyvalue.OpSetIf
			}
		},
	}
	found := 0
	for k := keyvalue.OpGet; k <= keyvalue.OpCompareAndDelete; k++ {
		for field, capability := range needsOf(method(t, rpcOf(k))) {
			ask := set[field]
			if ask == nil {
				t.Errorf("%s.%s needs %s, and this test does not know it", rpcOf(k), field, capability)
				continue
			}
			found++
			op := keyvalue.Op{Kind: k, Key: "k"}
			ask(&op)
			err := fresh(t, capability).Check(&op)
			if e := prism.From(err); e == nil || e.Reason != prism.ReasonCapabilityMissing || e.Meta["missing"] != capability {
				t.Errorf("%s.%s without %s: %v", rpcOf(k), field, capability, err)
			}
		}
	}
	if found < 8 {
		t.Errorf("only %d fields", found)
	}
	for field, capability := range needsOf(method(t, "Scan")) {
		q := keyvalue.Query{}
		switch field {
		case "start":
			q.Start = "a"
		case "end":
			q.End = "a"
		case "reverse":
			q.Reverse = true
		default:
			t.Errorf("Scan.%s needs %s, and this test does not know it", field, capability)
		}
		s := fresh(t, capability)
		_, err := s.Scan(t.Context(), "dev", q)
		wants(t, err, prism.ReasonCapabilityMissing)
		if _, err := s.Scan(t.Context(), "dev", keyvalue.Query{Prefix: "a"}); err != nil {
			t.Errorf("a scan without %s: %v", field, err)
		}
	}
}
