package wire_test

import (
	"math"
	"slices"
	"strconv"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	"github.com/prism-data-layer/prism/pkg/prism"
	"github.com/prism-data-layer/prism/pkg/wire"
	adminv1 "github.com/prism-data-layer/prism/proto/prism/admin/v1"
	configv1 "github.com/prism-data-layer/prism/proto/prism/config/v1"
	keyvaluev1 "github.com/prism-data-layer/prism/proto/prism/keyvalue/v1"
	optionsv1 "github.com/prism-data-layer/prism/proto/prism/options/v1"
	sessionv1 "github.com/prism-data-layer/prism/proto/prism/session/v1"
)

// requests are the messages that come from outside: the inputs of all methods,
// and what they are made of.
func requests() []protoreflect.MessageDescriptor {
	var all []protoreflect.MessageDescriptor
	var add func(protoreflect.MessageDescriptor)
	add = func(d protoreflect.MessageDescriptor) {
		if slices.Contains(all, d) || d.IsMapEntry() {
			return
		}
		all = append(all, d)
		for i := range d.Fields().Len() {
			f := d.Fields().Get(i)
			if m := f.Message(); m != nil && wire.RuleOf(f) != optionsv1.Rule_RULE_EVENTS {
				add(m)
			}
		}
	}
	for _, m := range wire.Methods() {
		add(m.Descriptor.Input())
	}
	return all
}

// good and bad are the values at and beyond the edge of each rule, with what
// is said of the bad ones. Strings that are no UTF-8 come on top.
type edge struct {
	good []any
	bad  map[string][]any
}

func text(n int) string { return strings.Repeat("t", n) }

var edges = map[optionsv1.Rule]edge{
	optionsv1.Rule_RULE_NAME: {
		good: []any{"a", "a-9", text(prism.MaxNameBytes - 1), text(prism.MaxNameBytes)},
		bad: map[string][]any{"must match [a-z][a-z0-9-]{0,62}": {
			text(prism.MaxNameBytes + 1), text(4096), "A", "9", "-", ".", "..", "a/../b", "a%2fb", "a\x00b", "a\nb", "a b", " ",
			"__system", "café", "cafe\u0301", "\u0430b", "\ufeffa", "\u202ea", "{a}", "*?[", "$(x)", `'";--`, "\x1b[2J",
		}},
	},
	optionsv1.Rule_RULE_KEY: {
		good: []any{"k", "\x00", "a\x00b", " ", "\n", "../", "%00", "\ufeff", "cafe\u0301", text(prism.MaxKeyBytes - 1), text(prism.MaxKeyBytes)},
		bad:  map[string][]any{"must be at most 1024 bytes": {text(prism.MaxKeyBytes + 1), strings.Repeat("é", prism.MaxKeyBytes/2+1)}},
	},
	optionsv1.Rule_RULE_VALUE: {
		good: []any{[]byte{}, []byte("\xff\x00"), make([]byte, prism.MaxValueBytes-1), make([]byte, prism.MaxValueBytes)},
		bad:  map[string][]any{"must be at most 1 MiB": {make([]byte, prism.MaxValueBytes+1)}},
	},
	optionsv1.Rule_RULE_LIMIT: {
		good: []any{int64(0), int64(1), int64(math.MaxInt32)},
		bad:  map[string][]any{"must not be negative": {int64(-1), int64(math.MinInt32)}},
	},
	optionsv1.Rule_RULE_TTL: {
		good: []any{int64(1), wire.MaxTTL.Milliseconds() - 1, wire.MaxTTL.Milliseconds()},
		bad: map[string][]any{"must be 1 ms to 10 years": {
			int64(-1), int64(math.MinInt64), int64(math.MaxInt64), wire.MaxTTL.Milliseconds() + 1, int64(1e18),
		}},
	},
	optionsv1.Rule_RULE_TIMEOUT: {
		good: []any{int64(0), int64(1), wire.MaxTimeout.Milliseconds()},
		bad:  map[string][]any{"must be 0 to 1 hour": {int64(-1), int64(math.MinInt64), int64(math.MaxInt64), wire.MaxTimeout.Milliseconds() + 1}},
	},
	optionsv1.Rule_RULE_CURSOR: {
		good: []any{text(wire.MaxCursorBytes)},
		bad:  map[string][]any{"must be at most 4096 bytes": {text(wire.MaxCursorBytes + 1)}},
	},
	optionsv1.Rule_RULE_POSITION: {
		good: []any{text(wire.MaxCursorBytes)},
		bad:  map[string][]any{"must be at most 4096 bytes": {text(wire.MaxCursorBytes + 1)}},
	},
	optionsv1.Rule_RULE_IDEMPOTENCY_KEY: {
		good: []any{"i", text(prism.MaxIdempotencyKeyBytes)},
		bad:  map[string][]any{"must be at most 128 bytes": {text(prism.MaxIdempotencyKeyBytes + 1)}},
	},
	optionsv1.Rule_RULE_BOUND: {
		good: []any{"\x00", text(prism.MaxKeyBytes)},
		bad:  map[string][]any{"must be at most 1024 bytes": {text(prism.MaxKeyBytes + 1)}},
	},
	optionsv1.Rule_RULE_TEXT: {
		good: []any{"<script>", text(wire.MaxTextBytes)},
		bad:  map[string][]any{"must be at most 1024 bytes": {text(wire.MaxTextBytes + 1)}},
	},
	optionsv1.Rule_RULE_VERSION: {
		good: []any{uint64(1), uint64(math.MaxUint64)},
		bad:  map[string][]any{"must be at least 1": {uint64(0)}},
	},
	optionsv1.Rule_RULE_TOPIC: {
		good: []any{"a", "orders.eu", "é", text(prism.MaxKeyBytes)},
		bad: map[string][]any{"must be 1 to 1024 bytes of tokens parted by dots, without spaces, control characters, * and >": {
			text(prism.MaxKeyBytes + 1), ".", "a.", ".a", "a..b", "a b", "a\x00", "a\nb", "*", "a.*", ">", "a.>", "a*b", "\x1b[2J",
		}},
	},
	optionsv1.Rule_RULE_PATTERN: {
		good: []any{"a", "a.*.b", "*", ">", "a.>"},
		bad: map[string][]any{"must be a topic in which a token may be *, and the last one >": {
			text(prism.MaxKeyBytes + 1), ".", "a..b", "a b", "a\x00", "a*", ">.a", "a.b>",
		}},
	},
	optionsv1.Rule_RULE_TOKEN: {
		good: []any{"t", text(wire.MaxCursorBytes)},
		bad:  map[string][]any{"must be at most 4096 bytes": {text(wire.MaxCursorBytes + 1)}},
	},
	optionsv1.Rule_RULE_DELAY: {
		good: []any{int64(0), int64(1), wire.MaxDelay.Milliseconds()},
		bad:  map[string][]any{"must be 0 to 1 year": {int64(-1), int64(math.MinInt64), int64(math.MaxInt64), wire.MaxDelay.Milliseconds() + 1}},
	},
	optionsv1.Rule_RULE_LEASE: {
		good: []any{wire.MinLease.Milliseconds(), wire.MaxLease.Milliseconds()},
		bad:  map[string][]any{"must be 1 second to 12 hours": {int64(-1), wire.MinLease.Milliseconds() - 1, wire.MaxLease.Milliseconds() + 1, int64(math.MaxInt64)}},
	},
	optionsv1.Rule_RULE_PRIORITY: {
		good: []any{int64(0), int64(9)},
		bad:  map[string][]any{"must be 0 to 9": {int64(-1), int64(10), int64(math.MaxInt32)}},
	},
	optionsv1.Rule_RULE_TIME: {
		good: []any{int64(0), int64(prism.MaxEventTime)},
		bad: map[string][]any{"must be 0 to 9214646399999999999 (the end of 2261)": {
			int64(-1), int64(math.MinInt64), int64(prism.MaxEventTime) + 1, int64(math.MaxInt64),
		}},
	},
	optionsv1.Rule_RULE_LABEL: {
		good: []any{"l", "\x00", " ", "\ufeff", "'; DROP TABLE events; --", text(prism.MaxAttributeNameBytes)},
		bad:  map[string][]any{"must be at most 128 bytes": {text(prism.MaxAttributeNameBytes + 1)}},
	},
}

func TestAttributesAreBounded(t *testing.T) {
	t.Parallel()
	many := func(n int) map[string]string {
		m := map[string]string{}
		for i := range n {
			m[strconv.Itoa(i)] = ""
		}
		return m
	}
	for _, c := range []struct {
		attributes map[string]string
		want       string
	}{
		{many(prism.MaxAttributes), ""},
		{many(prism.MaxAttributes + 1), "must have at most 64 attributes"},
		{map[string]string{text(prism.MaxAttributeNameBytes): text(prism.MaxAttributeBytes)}, ""},
		{map[string]string{text(prism.MaxAttributeNameBytes + 1): ""}, "must have names of 1 to 128 bytes and values of at most 1024"},
		{map[string]string{"": ""}, "must have names of 1 to 128 bytes and values of at most 1024"},
		{map[string]string{"a": text(prism.MaxAttributeBytes + 1)}, "must have names of 1 to 128 bytes and values of at most 1024"},
	} {
		found := 0
		for _, d := range requests() {
			for i := range d.Fields().Len() {
				f := d.Fields().Get(i)
				if wire.RuleOf(f) != optionsv1.Rule_RULE_ATTRIBUTES {
					continue
				}
				found++
				m := valid(t, d)
				for k, v := range c.attributes {
					m.Mutable(f).Map().Set(protoreflect.ValueOfString(k).MapKey(), protoreflect.ValueOfString(v))
				}
				check(t, m, f, len(c.attributes), string(f.Name()), c.want)
			}
		}
		if found < 3 {
			t.Errorf("only %d fields of attributes", found)
		}
	}
}

var notUTF8 = []string{"\xff", "a\x80", "\xc0\xaf", "\xed\xa0\x80", "\xf5\x80\x80\x80"}

// valueOf is v as a value of f, which may be narrower.
func valueOf(f protoreflect.FieldDescriptor, v any) protoreflect.Value {
	if n, ok := v.(int64); ok && f.Kind() == protoreflect.Int32Kind {
		return protoreflect.ValueOfInt32(int32(n))
	}
	return protoreflect.ValueOf(v)
}

// valid makes a message in which all that is required is there and right.
func valid(t *testing.T, d protoreflect.MessageDescriptor) protoreflect.Message {
	t.Helper()
	typ, err := protoregistry.GlobalTypes.FindMessageByName(d.FullName())
	if err != nil {
		t.Fatal(err)
	}
	m := typ.New()
	for i := range d.Fields().Len() {
		f := d.Fields().Get(i)
		if !proto.GetExtension(f.Options(), optionsv1.E_Required).(bool) {
			continue
		}
		switch {
		case f.Message() != nil:
			m.Set(f, protoreflect.ValueOfMessage(valid(t, f.Message())))
		case wire.RuleOf(f) == optionsv1.Rule_RULE_UNSPECIFIED:
			t.Fatalf("%s is required and has no rule", f.FullName())
		default:
			m.Set(f, valueOf(f, edges[wire.RuleOf(f)].good[0]))
		}
	}
	return m
}

// fieldsOf are the fields that Validate names.
func fieldsOf(err error) []prism.FieldError {
	if err == nil {
		return nil
	}
	return prism.From(err).Fields
}

func check(t *testing.T, m protoreflect.Message, f protoreflect.FieldDescriptor, v any, name, want string) {
	t.Helper()
	err := wire.Validate(m.Interface())
	got := fieldsOf(err)
	switch {
	case want == "" && err != nil:
		t.Errorf("%s = %.40q: got %v, want it taken", f.FullName(), v, err)
	case want != "" && !slices.Equal(got, []prism.FieldError{{Field: name, Message: want}}):
		t.Errorf("%s = %.40q: got %v, want %s %s", f.FullName(), v, got, name, want)
	case want != "":
		if e := prism.From(err); e.Reason != prism.ReasonInvalidArgument || e.Message != name+" "+want {
			t.Errorf("%s = %.40q: got %s %q", f.FullName(), v, e.Reason, e.Message)
		}
	}
}

// The table of bad values goes through every field of every request, found by
// its descriptor: an RPC that is new is covered.
func TestEveryFieldRefusesWhatItsRuleForbids(t *testing.T) {
	t.Parallel()
	seen := map[optionsv1.Rule]bool{}
	for _, d := range requests() {
		if err := wire.Validate(valid(t, d).Interface()); err != nil {
			t.Errorf("%s with all that is required: %v", d.FullName(), err)
		}
		for i := range d.Fields().Len() {
			f := d.Fields().Get(i)
			r := wire.RuleOf(f)
			seen[r] = true
			if r != optionsv1.Rule_RULE_UNSPECIFIED && r != optionsv1.Rule_RULE_BATCH && r != optionsv1.Rule_RULE_ATTRIBUTES && r != optionsv1.Rule_RULE_EVENTS {
				if _, ok := edges[r]; !ok {
					t.Fatalf("%s has %s, which has no table of values", f.FullName(), r)
				}
			}
			// put puts v into a valid message, the only item if f is a list.
			put := func(v any) (protoreflect.Message, string) {
				m := valid(t, d)
				if f.IsList() {
					m.Mutable(f).List().Append(valueOf(f, v))
					return m, string(f.Name()) + "[0]"
				}
				m.Set(f, valueOf(f, v))
				return m, string(f.Name())
			}
			if f.IsMap() {
				continue
			}
			for _, v := range edges[r].good {
				m, name := put(v)
				check(t, m, f, v, name, "")
			}
			for want, list := range edges[r].bad {
				for _, v := range list {
					m, name := put(v)
					check(t, m, f, v, name, want)
				}
			}
			if f.Kind() == protoreflect.StringKind {
				for _, v := range notUTF8 {
					m, name := put(v)
					check(t, m, f, v, name, "must be valid UTF-8")
				}
			}
			if f.Kind() == protoreflect.EnumKind {
				for v, want := range map[protoreflect.EnumNumber]string{0: "", 9999: "has no value 9999", -1: "has no value -1"} {
					m, name := put(v)
					check(t, m, f, v, name, want)
				}
			}
		}
	}
	for n := range optionsv1.Rule_name {
		if r := optionsv1.Rule(n); !seen[r] {
			t.Errorf("no field has %s", r)
		}
	}
}

func TestWhatIsRequiredMustBeSetAndIsNamedOnce(t *testing.T) {
	t.Parallel()
	for _, d := range requests() {
		for i := range d.Fields().Len() {
			f := d.Fields().Get(i)
			if !proto.GetExtension(f.Options(), optionsv1.E_Required).(bool) {
				continue
			}
			m := valid(t, d)
			m.Clear(f)
			check(t, m, f, nil, string(f.Name()), "must be set")
		}
	}
}

func TestBatchesHaveAtMostAThousandItems(t *testing.T) {
	t.Parallel()
	found := 0
	for _, d := range requests() {
		for i := range d.Fields().Len() {
			f := d.Fields().Get(i)
			if wire.RuleOf(f) != optionsv1.Rule_RULE_BATCH {
				continue
			}
			found++
			for n, want := range map[int]string{999: "", 1000: "", 1001: "must have at most 1000 items"} {
				m := valid(t, d)
				list := m.Mutable(f).List()
				for range n {
					if f.Message() != nil {
						list.Append(protoreflect.ValueOfMessage(valid(t, f.Message())))
					} else {
						list.Append(protoreflect.ValueOfString("k"))
					}
				}
				check(t, m, f, n, string(f.Name()), want)
			}
		}
	}
	if found < 4 {
		t.Errorf("only %d batches", found)
	}
}

func TestNestedFieldsAreNamedByTheirPathAllAtOnce(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		message proto.Message
		want    []prism.FieldError
	}{
		{
			&keyvaluev1.BatchSetRequest{Namespace: "A", Items: []*keyvaluev1.SetRequest{
				{Namespace: "kv", Key: "k"},
				{Namespace: "kv", Key: text(1025), TtlMs: proto.Int64(0)},
				{Namespace: "kv"},
			}},
			[]prism.FieldError{
				{Field: "namespace", Message: "must match [a-z][a-z0-9-]{0,62}"},
				{Field: "items[1].key", Message: "must be at most 1024 bytes"},
				{Field: "items[1].ttl_ms", Message: "must be 1 ms to 10 years"},
				{Field: "items[2].key", Message: "must be set"},
			},
		},
		{
			&adminv1.CreateNamespaceRequest{Spec: &adminv1.NamespaceSpec{
				Limits: &adminv1.NamespaceLimits{RequestRps: -1},
				Access: &adminv1.Access{Owners: []string{"a", "\xff"}, Consumers: []*adminv1.Grant{{}, {Principal: text(1025)}}},
			}},
			[]prism.FieldError{
				{Field: "spec.name", Message: "must be set"},
				{Field: "spec.limits.request_rps", Message: "must not be negative"},
				{Field: "spec.access.owners[1]", Message: "must be valid UTF-8"},
				{Field: "spec.access.consumers[1].principal", Message: "must be at most 1024 bytes"},
			},
		},
		{
			&sessionv1.CreateSessionRequest{
				Config:   &sessionv1.CreateSessionRequest_InlineConfig{InlineConfig: &configv1.ClientConfig{Pattern: 77}},
				Metadata: map[string]string{"a": "\xff", "b\xff": "", "c": "\xfe"},
			},
			[]prism.FieldError{
				{Field: "inline_config.pattern", Message: "has no value 77"},
				{Field: "metadata", Message: "must be valid UTF-8"},
			},
		},
		{&keyvaluev1.PipelineRequest{Message: &keyvaluev1.PipelineRequest_Frame{Frame: &keyvaluev1.PipelineFrame{Ops: []*keyvaluev1.PipelineOp{
			{TimeoutMs: -1, Op: &keyvaluev1.PipelineOp_Set{Set: &keyvaluev1.SetRequest{Namespace: "kv", Key: "k", IfVersion: proto.Uint64(0)}}},
		}}}}, []prism.FieldError{
			{Field: "frame.ops[0].set.if_version", Message: "must be at least 1"},
			{Field: "frame.ops[0].timeout_ms", Message: "must be 0 to 1 hour"},
		}},
		{&keyvaluev1.TransactionCommit{}, nil},
	} {
		got := fieldsOf(wire.Validate(c.message))
		byName := func(a, b prism.FieldError) int { return strings.Compare(a.Field, b.Field) }
		slices.SortFunc(got, byName)
		slices.SortFunc(c.want, byName)
		if !slices.Equal(got, c.want) {
			t.Errorf("%T:\n got %v\nwant %v", c.message, got, c.want)
		}
	}
}

// byName is the rule that a field of that name has, wherever it stands.
var byName = map[string][]optionsv1.Rule{
	"key":             {optionsv1.Rule_RULE_KEY},
	"namespace":       {optionsv1.Rule_RULE_NAME},
	"name":            {optionsv1.Rule_RULE_NAME},
	"backend":         {optionsv1.Rule_RULE_NAME},
	"value":           {optionsv1.Rule_RULE_VALUE},
	"expected":        {optionsv1.Rule_RULE_VALUE},
	"limit":           {optionsv1.Rule_RULE_LIMIT},
	"max_bytes":       {optionsv1.Rule_RULE_LIMIT},
	"cursor":          {optionsv1.Rule_RULE_CURSOR},
	"position":        {optionsv1.Rule_RULE_POSITION},
	"ttl_ms":          {optionsv1.Rule_RULE_TTL, optionsv1.Rule_RULE_LIMIT},
	"timeout_ms":      {optionsv1.Rule_RULE_TIMEOUT, optionsv1.Rule_RULE_LIMIT},
	"idempotency_key": {optionsv1.Rule_RULE_IDEMPOTENCY_KEY},
	"prefix":          {optionsv1.Rule_RULE_BOUND},
	"start":           {optionsv1.Rule_RULE_BOUND},
	"end":             {optionsv1.Rule_RULE_BOUND},
	"if_version":      {optionsv1.Rule_RULE_VERSION},
	"items":           {optionsv1.Rule_RULE_BATCH},
	"keys":            {optionsv1.Rule_RULE_BATCH},
	"ops":             {optionsv1.Rule_RULE_BATCH},
	"principal":       {optionsv1.Rule_RULE_TEXT},
	"description":     {optionsv1.Rule_RULE_TEXT},
	"traceparent":     {optionsv1.Rule_RULE_TEXT},
}

// free are the fields without a rule, each with its reason. A new field of a
// request must have a rule or a line here.
var free = map[protoreflect.FullName]string{
	"prism.keyvalue.v1.IncrementRequest.delta":          "any number is one",
	"prism.cache.v1.IncrementRequest.delta":             "any number is one",
	"prism.cache.v1.IncrementRequest.initial":           "any number is one",
	"prism.keyvalue.v1.PipelineFrame.id":                "the caller's own",
	"prism.keyvalue.v1.PipelineOp.retry_id":             "bytes; bounded where the receipt is made",
	"prism.cache.v1.PipelineFrame.id":                   "the caller's own",
	"prism.cache.v1.PipelineOp.retry_id":                "bytes; bounded where the receipt is made",
	"prism.timeseries.v1.EventBatch.id":                 "the caller's own",
	"prism.timeseries.v1.EventBatch.retry_id":           "bytes; bounded where the receipt is made",
	"prism.timeseries.v1.Aggregate.quantile":            "0 to 1; checked with its function",
	"prism.session.v1.CreateSessionRequest.metadata":    "bounded by the session",
	"prism.session.v1.CreateSessionRequest.namespaces":  "names checked and bounded by the session",
	"prism.config.v1.BackendConfig.options":             "the driver's own",
	"prism.admin.v1.NamespaceSpec.model":                "one of a list; refused by the router",
	"prism.admin.v1.NamespaceSpec.default_kind":         "one of a list",
	"prism.admin.v1.Needs.durability":                   "one of a list",
	"prism.admin.v1.Access.owners":                      "checked with the access rules",
	"prism.admin.v1.Grant.permissions":                  "checked with the access rules",
	"prism.admin.v1.UpdateNamespaceRequest.update_mask": "one of a list",
	"prism.admin.v1.CreateKeyRequest.roles":             "one of a list",
	"prism.admin.v1.AddFaultRequest.calls":              "one of a list",
	"prism.admin.v1.AddFaultRequest.reason":             "one of a list",
	"prism.admin.v1.AddFaultRequest.latency_us":         "0 to a minute; refused by the fault",
	"prism.admin.v1.AddFaultRequest.jitter_us":          "0 to the latency; refused by the fault",
	"prism.admin.v1.AddFaultRequest.error_share":        "0 to 1; refused by the fault",
	"prism.admin.v1.AddFaultRequest.duration_ms":        "1 ms to 1 hour; refused by the fault",
	"prism.admin.v1.SetMaintenanceModeRequest.refuses":  "one of a list",
}

func TestEveryFieldOfARequestHasTheRuleOfItsName(t *testing.T) {
	t.Parallel()
	unused := map[protoreflect.FullName]bool{}
	for name := range free {
		unused[name] = true
	}
	for _, d := range requests() {
		for i := range d.Fields().Len() {
			f := d.Fields().Get(i)
			r := wire.RuleOf(f)
			if _, ok := free[f.FullName()]; ok {
				delete(unused, f.FullName())
				if r != optionsv1.Rule_RULE_UNSPECIFIED {
					t.Errorf("%s has %s, and stands among the fields without a rule", f.FullName(), r)
				}
				continue
			}
			if want, ok := byName[string(f.Name())]; ok && (f.Message() == nil || f.IsList()) {
				if !slices.Contains(want, r) {
					t.Errorf("%s has %s, want one of %v", f.FullName(), r, want)
				}
				continue
			}
			switch f.Kind() {
			case protoreflect.StringKind, protoreflect.BytesKind, protoreflect.Int32Kind, protoreflect.Int64Kind, protoreflect.Uint32Kind, protoreflect.Uint64Kind, protoreflect.FloatKind, protoreflect.DoubleKind:
				if r == optionsv1.Rule_RULE_UNSPECIFIED {
					t.Errorf("%s is a %s without a rule", f.FullName(), f.Kind())
				}
			}
		}
	}
	for name := range unused {
		t.Errorf("%s is no field of a request", name)
	}
}

// A secret is answered and never asked for: credentials travel in metadata.
func TestNoRequestHasASecret(t *testing.T) {
	t.Parallel()
	for _, d := range requests() {
		for i := range d.Fields().Len() {
			f := d.Fields().Get(i)
			name := string(f.Name())
			if proto.GetExtension(f.Options(), optionsv1.E_Secret).(bool) ||
				strings.Contains(name, "token") || strings.Contains(name, "password") || strings.Contains(name, "secret") {
				t.Errorf("%s", f.FullName())
			}
		}
	}
}

func TestFieldsThatAskForMoreSaySo(t *testing.T) {
	t.Parallel()
	fields := (&keyvaluev1.SetRequest{}).ProtoReflect().Descriptor().Fields()
	for name, want := range map[protoreflect.Name]string{"ttl_ms": "keyvalue_ttl", "create_only": "keyvalue_versioned", "value": ""} {
		if got := wire.NeedsOf(fields.ByName(name)); got != want {
			t.Errorf("%s needs %q, want %q", name, got, want)
		}
	}
}
