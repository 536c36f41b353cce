package harness

import (
	"bytes"
	"fmt"
	"math"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/encoding"
	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	"github.com/prism-data-layer/prism/pkg/prism"
	"github.com/prism-data-layer/prism/pkg/wire"
	optionsv1 "github.com/prism-data-layer/prism/proto/prism/options/v1"
)

// A Value is a message with one field that is wrong, or just not.
type Value struct {
	Field string // its path: "spec.name", "items[0].key"
	What  string // the value, in words
	Raw   []byte // the whole message
	Good  bool   // the value stands at its limit
}

// Leaf is the field's own name.
func (v Value) Leaf() string {
	leaf := v.Field[strings.LastIndexByte(v.Field, '.')+1:]
	name, _, _ := strings.Cut(leaf, "[")
	return name
}

// Values makes every bad value, and those just within the limits, of every
// field of a message, from the rules in the fields' options alone. What is not
// under test holds a good value.
func Values(md protoreflect.MessageDescriptor) []Value {
	w := &walker{root: Valid(md)}
	w.walk(w.root, "", 0)
	return w.out
}

// Valid is a message whose required fields are set.
func Valid(md protoreflect.MessageDescriptor) protoreflect.Message {
	mt, err := protoregistry.GlobalTypes.FindMessageByName(md.FullName())
	if err != nil {
		panic(err) // a message that no program links
	}
	m := mt.New()
	for i := range md.Fields().Len() {
		f := md.Fields().Get(i)
		if !proto.GetExtension(f.Options(), optionsv1.E_Required).(bool) && !needed(f) {
			continue
		}
		switch {
		case f.IsList() || f.IsMap():
		case f.Message() != nil:
			m.Set(f, protoreflect.ValueOfMessage(Valid(f.Message())))
		default:
			m.Set(f, good(f))
		}
	}
	return m
}

// needed are fields that options do not mark and messages have no meaning
// without.
func needed(f protoreflect.FieldDescriptor) bool {
	switch f.FullName() {
	case "prism.keyvalue.v1.PipelineFrame.id", "prism.keyvalue.v1.PipelineOp.get",
		"prism.cache.v1.PipelineFrame.id", "prism.cache.v1.PipelineOp.get":
		return true
	}
	return false
}

func good(f protoreflect.FieldDescriptor) protoreflect.Value {
	switch f.Kind() {
	case protoreflect.StringKind:
		if f.Name() == "namespace" {
			return protoreflect.ValueOfString(namespaceOf(f))
		}
		return protoreflect.ValueOfString("mem")
	case protoreflect.BytesKind:
		return protoreflect.ValueOfBytes([]byte("v"))
	case protoreflect.Int64Kind:
		if f.Name() == "end_ns" {
			return protoreflect.ValueOfInt64(prism.MaxEventTime)
		}
		return protoreflect.ValueOfInt64(1000)
	case protoreflect.Int32Kind:
		return protoreflect.ValueOfInt32(1)
	case protoreflect.Uint64Kind:
		return protoreflect.ValueOfUint64(1)
	case protoreflect.EnumKind:
		return protoreflect.ValueOfEnum(1)
	case protoreflect.BoolKind:
		return protoreflect.ValueOfBool(true)
	}
	panic("no good value of kind " + f.Kind().String())
}

// namespaceOf is the namespace of Models for the model that a message belongs
// to.
func namespaceOf(f protoreflect.FieldDescriptor) string {
	switch f.ParentFile().Package() {
	case "prism.cache.v1":
		return "cache"
	case "prism.queue.v1":
		return "queue"
	case "prism.pubsub.v1":
		return "pubsub"
	case "prism.timeseries.v1":
		return "timeseries"
	}
	return "mem"
}

type walker struct {
	root protoreflect.Message
	out  []Value
}

// broken stands for bytes that are no UTF-8: proto.Marshal would refuse those.
const broken = "<NOT-UTF8>"

func (w *walker) emit(field, what string, good bool) {
	raw, err := proto.MarshalOptions{AllowPartial: true, Deterministic: true}.Marshal(w.root.Interface())
	if err != nil {
		panic(fmt.Sprintf("%s %s: %v", field, what, err))
	}
	raw = bytes.ReplaceAll(raw, []byte(broken), []byte("\xff\xc0\x80\xed\xa0\x80bad\xfe"))
	w.out = append(w.out, Value{Field: field, What: what, Raw: raw, Good: good})
}

// with changes m, tells it, and changes it back.
func (w *walker) with(m protoreflect.Message, change func()) {
	saved := proto.Clone(m.Interface())
	change()
	proto.Reset(m.Interface())
	proto.Merge(m.Interface(), saved)
}

func (w *walker) walk(m protoreflect.Message, path string, depth int) {
	if depth > 6 {
		return
	}
	for i := range m.Descriptor().Fields().Len() {
		f := m.Descriptor().Fields().Get(i)
		name := path + string(f.Name())
		rule := wire.RuleOf(f)
		if proto.GetExtension(f.Options(), optionsv1.E_Required).(bool) {
			w.with(m, func() { m.Clear(f); w.emit(name, "absent", false) })
		}
		switch {
		case f.IsMap():
			w.with(m, func() {
				m.Mutable(f).Map().Set(protoreflect.ValueOfString(broken).MapKey(), protoreflect.ValueOfString("v"))
				w.emit(name, "a key that is no UTF-8", false)
			})
			w.with(m, func() {
				m.Mutable(f).Map().Set(protoreflect.ValueOfString("k").MapKey(), protoreflect.ValueOfString(broken))
				w.emit(name, "a value that is no UTF-8", false)
			})
			w.attributes(m, f, name, rule)
		case f.IsList():
			w.list(m, f, name, rule, depth)
		case f.Message() != nil:
			if rule == optionsv1.Rule_RULE_EVENTS {
				continue // the model refuses events one by one, and has tests of its own
			}
			w.with(m, func() {
				if !m.Has(f) {
					m.Set(f, protoreflect.ValueOfMessage(Valid(f.Message())))
				}
				w.walk(m.Mutable(f).Message(), name+".", depth+1)
			})
		default:
			for _, b := range of(f, rule) {
				if b.what == `""` && b.good && proto.GetExtension(f.Options(), optionsv1.E_Required).(bool) {
					continue // as good as absent
				}
				w.with(m, func() { m.Set(f, b.value); w.emit(name, b.what, b.good) })
			}
		}
	}
}

// attributes are the values of that rule.
func (w *walker) attributes(m protoreflect.Message, f protoreflect.FieldDescriptor, name string, rule optionsv1.Rule) {
	if rule != optionsv1.Rule_RULE_ATTRIBUTES {
		return
	}
	with := func(what string, good bool, n int, key, value string) {
		w.with(m, func() {
			entries := m.Mutable(f).Map()
			for i := range n {
				entries.Set(protoreflect.ValueOfString(fmt.Sprint(i)).MapKey(), protoreflect.ValueOfString("v"))
			}
			entries.Set(protoreflect.ValueOfString(key).MapKey(), protoreflect.ValueOfString(value))
			w.emit(name, what, good)
		})
	}
	x := func(n int) string { return strings.Repeat("x", n) }
	with("64 attributes", true, prism.MaxAttributes-1, "k", "v")
	with("65 attributes", false, prism.MaxAttributes, "k", "v")
	with("a name of no byte", false, 0, "", "v")
	with("a name of 128 bytes", true, 0, x(128), "")
	with("a name of 129 bytes", false, 0, x(129), "")
	with("a value of 1,024 bytes", true, 0, "k", x(1024))
	with("a value of 1,025 bytes", false, 0, "k", x(1025))
}

func (w *walker) list(m protoreflect.Message, f protoreflect.FieldDescriptor, name string, rule optionsv1.Rule, depth int) {
	item := func() protoreflect.Value {
		if f.Message() != nil {
			return protoreflect.ValueOfMessage(Valid(f.Message()))
		}
		return good(f)
	}
	if rule == optionsv1.Rule_RULE_BATCH {
		for _, n := range []int{prism.MaxBatchItems - 1, prism.MaxBatchItems, prism.MaxBatchItems + 1} {
			w.with(m, func() {
				l := m.Mutable(f).List()
				for range n {
					l.Append(item())
				}
				w.emit(name, fmt.Sprint(n, " items"), n <= prism.MaxBatchItems)
			})
		}
	}
	w.with(m, func() {
		l := m.Mutable(f).List()
		l.Append(item())
		if f.Message() != nil {
			w.walk(l.Get(0).Message(), name+"[0].", depth+1)
			return
		}
		for _, b := range of(f, optionsv1.Rule_RULE_UNSPECIFIED) {
			l.Set(0, b.value)
			w.emit(name+"[0]", b.what, b.good)
		}
	})
}

type value struct {
	what  string
	value protoreflect.Value
	good  bool
}

// A listing gathers the values of a field.
type listing struct {
	f   protoreflect.FieldDescriptor
	out []value
}

func (v *listing) text(good bool, list ...string) {
	for _, s := range list {
		what := fmt.Sprintf("%q", s)
		if len(s) > 70 {
			what = fmt.Sprint(len(s), " bytes")
		}
		as := protoreflect.ValueOfString(s)
		if v.f.Kind() == protoreflect.BytesKind {
			as = protoreflect.ValueOfBytes([]byte(s))
		}
		v.out = append(v.out, value{what, as, good})
	}
}

// number leaves out what the field's kind cannot hold.
func (v *listing) number(good bool, list ...int64) {
	for _, n := range list {
		var as protoreflect.Value
		switch v.f.Kind() {
		case protoreflect.Int32Kind:
			if n != int64(int32(n)) {
				continue
			}
			as = protoreflect.ValueOfInt32(int32(n))
		case protoreflect.Uint64Kind:
			as = protoreflect.ValueOfUint64(uint64(n))
		default:
			as = protoreflect.ValueOfInt64(n)
		}
		v.out = append(v.out, value{fmt.Sprint(n), as, good})
	}
}

// of are the values of a rule, and of a kind.
func of(f protoreflect.FieldDescriptor, rule optionsv1.Rule) []value {
	v := &listing{f: f}
	switch f.Kind() {
	case protoreflect.StringKind:
		v.text(false, broken)
	case protoreflect.EnumKind:
		v.out = append(v.out, value{"99", protoreflect.ValueOfEnum(99), false}, value{"-1", protoreflect.ValueOfEnum(-1), false})
	}
	v.texts(rule)
	v.numbers(rule)
	return v.out
}

func x(n int) string { return strings.Repeat("x", n) }

// texts are the values of the rules for strings and bytes.
func (v *listing) texts(rule optionsv1.Rule) {
	switch rule {
	case optionsv1.Rule_RULE_NAME:
		v.text(false, "A", "a_b", "a/../b", "a%2fb", "a\x00b", "é", "e\u0301", "а", ".", "..", "__system", "-a", "1a", " a", "a ", "a\n", x(64), x(4096), "\x1b[2J", "*", "{a}", "$(x)", "\ufeffa")
		v.text(true, namespaceOf(v.f))
	case optionsv1.Rule_RULE_KEY:
		v.text(false, x(1025), x(100_000))
		v.text(true, x(1023), x(1024), " ", "\x00", "a\x00b", "\ufeff", "\u202e", "e\u0301", "a\nb", "\x1b[2J", "../", "%00", "{a}", "*?[", "$(x)", "'\";--")
	case optionsv1.Rule_RULE_VALUE:
		v.text(false, x(prism.MaxValueBytes+1))
		v.text(true, "", x(prism.MaxValueBytes-1), x(prism.MaxValueBytes), "\x00\xff")
	case optionsv1.Rule_RULE_CURSOR, optionsv1.Rule_RULE_POSITION:
		v.text(false, x(4097))
		switch v.f.Parent().ParentFile().Package() {
		case "prism.keyvalue.v1", "prism.pubsub.v1", "prism.timeseries.v1":
			v.text(false, "AQ", "x", x(100), strings.Repeat("A", 64))
		}
	case optionsv1.Rule_RULE_TOKEN:
		v.text(false, x(4097))
	case optionsv1.Rule_RULE_TOPIC:
		v.text(false, ".", "a.", ".a", "a..b", "a b", "a\tb", "a\x00", "\u00a0", "*", "a.*", "a.>", "a>b", x(1025), x(100_000))
		v.text(true, "mem", "a.b.c", "é.ü", "$.{x}", x(1024))
	case optionsv1.Rule_RULE_PATTERN:
		v.text(false, ".", "a.", ".a", "a..b", "a b", "a\x00", "a*", "*a", ">.a", "a.>.b", "a>", "**", x(1025))
		v.text(true, "mem", "*", ">", "a.*", "a.>", "*.*.>", x(1024))
	case optionsv1.Rule_RULE_IDEMPOTENCY_KEY:
		v.text(false, x(129))
		v.text(true, "", x(127), x(128), "a\x00b")
	case optionsv1.Rule_RULE_BOUND:
		v.text(false, x(1025))
		v.text(true, "", x(1023), x(1024), "\x00")
	case optionsv1.Rule_RULE_TEXT:
		v.text(false, x(1025))
	case optionsv1.Rule_RULE_LABEL:
		v.text(false, x(129))
		v.text(true, x(127), x(128), "l\x00", "'; DROP TABLE events; --")
	}
}

// numbers are the values of the rules for numbers.
func (v *listing) numbers(rule optionsv1.Rule) {
	switch rule {
	case optionsv1.Rule_RULE_LIMIT:
		v.number(false, -1, math.MinInt32, math.MinInt64)
		v.number(true, 0, 1, math.MaxInt32)
	case optionsv1.Rule_RULE_TTL:
		most := wire.MaxTTL.Milliseconds()
		v.number(false, 0, -1, most+1, math.MaxInt64, math.MinInt64)
		v.number(true, 1, most-1, most)
	case optionsv1.Rule_RULE_TIMEOUT:
		v.number(false, -1, time.Hour.Milliseconds()+1, math.MaxInt64, math.MinInt64)
		v.number(true, 0, 60_000)
	case optionsv1.Rule_RULE_VERSION:
		v.number(false, 0)
	case optionsv1.Rule_RULE_DELAY:
		most := wire.MaxDelay.Milliseconds()
		v.number(false, -1, most+1, math.MaxInt64, math.MinInt64)
		v.number(true, 0, most)
	case optionsv1.Rule_RULE_LEASE:
		v.number(false, -1, wire.MinLease.Milliseconds()-1, wire.MaxLease.Milliseconds()+1, math.MaxInt64, math.MinInt64)
		v.number(true, wire.MinLease.Milliseconds(), wire.MaxLease.Milliseconds())
	case optionsv1.Rule_RULE_TIME:
		v.number(false, -1, prism.MaxEventTime+1, math.MaxInt64, math.MinInt64)
		if v.f.Name() == "start_ns" {
			v.number(true, 0, prism.MaxEventTime-1)
		} else {
			v.number(true, prism.MaxEventTime)
		}
	case optionsv1.Rule_RULE_PRIORITY:
		v.number(false, -1, 10, math.MaxInt32)
		v.number(true, 0, 9)
	}
}

// Raw sends and gets messages as they are: []byte out, *[]byte in.
func Raw() grpc.CallOption { return grpc.ForceCodecV2(rawCodec{}) }

type rawCodec struct{}

var _ encoding.CodecV2 = rawCodec{}

func (rawCodec) Name() string { return "proto" }

func (rawCodec) Marshal(v any) (mem.BufferSlice, error) {
	return mem.BufferSlice{mem.SliceBuffer(v.([]byte))}, nil
}

func (rawCodec) Unmarshal(data mem.BufferSlice, v any) error {
	*v.(*[]byte) = data.Materialize()
	return nil
}
