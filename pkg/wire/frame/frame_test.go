package frame

import (
	"bytes"
	"reflect"
	"testing"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	cachev1 "github.com/prism-data-layer/prism/proto/prism/cache/v1"
	commonv1 "github.com/prism-data-layer/prism/proto/prism/common/v1"
	kvv1 "github.com/prism-data-layer/prism/proto/prism/keyvalue/v1"
)

func request(ops ...*kvv1.PipelineOp) *kvv1.PipelineRequest {
	return &kvv1.PipelineRequest{Message: &kvv1.PipelineRequest_Frame{Frame: &kvv1.PipelineFrame{Id: 7, Ops: ops}}}
}

func get(key string) *kvv1.PipelineOp {
	return &kvv1.PipelineOp{Op: &kvv1.PipelineOp_Get{Get: &kvv1.GetRequest{Key: key}}, TimeoutMs: 30_000}
}

func set(s *kvv1.SetRequest) *kvv1.PipelineOp {
	return &kvv1.PipelineOp{Op: &kvv1.PipelineOp_Set{Set: s}, RetryId: []byte("0123456789abcdef")}
}

// requests that the generated code writes and ours must read.
func requests() []*kvv1.PipelineRequest {
	ttl, version := int64(5), uint64(9)
	return []*kvv1.PipelineRequest{
		{},
		{Message: &kvv1.PipelineRequest_Open{Open: &kvv1.PipelineOpen{Namespace: "kv"}}},
		request(),
		request(get("a"), get(""), get("é")),
		request(set(&kvv1.SetRequest{Namespace: "kv", Key: "k", Value: []byte("v"), IdempotencyKey: "once"})),
		request(set(&kvv1.SetRequest{Key: "k", TtlMs: &ttl}), set(&kvv1.SetRequest{Key: "k", KeepTtl: true}), set(&kvv1.SetRequest{Key: "k", IfVersion: &version}), set(&kvv1.SetRequest{CreateOnly: true})),
		request(&kvv1.PipelineOp{}, &kvv1.PipelineOp{Op: &kvv1.PipelineOp_Increment{Increment: &kvv1.IncrementRequest{Key: "n", Delta: -3}}, RetryId: []byte("r"), TimeoutMs: 4}),
	}
}

func cacheRequest(ops ...*cachev1.PipelineOp) *cachev1.PipelineRequest {
	return &cachev1.PipelineRequest{Message: &cachev1.PipelineRequest_Frame{Frame: &cachev1.PipelineFrame{Id: 7, Ops: ops}}}
}

// cacheRequests are the same of a cache.
func cacheRequests() []*cachev1.PipelineRequest {
	ttl := int64(5)
	set := func(s *cachev1.SetRequest) *cachev1.PipelineOp {
		return &cachev1.PipelineOp{Op: &cachev1.PipelineOp_Set{Set: s}, RetryId: []byte("0123456789abcdef")}
	}
	return []*cachev1.PipelineRequest{
		{},
		{Message: &cachev1.PipelineRequest_Open{Open: &cachev1.PipelineOpen{Namespace: "cache"}}},
		cacheRequest(),
		cacheRequest(&cachev1.PipelineOp{Op: &cachev1.PipelineOp_Get{Get: &cachev1.GetRequest{Key: "é"}}, TimeoutMs: 30_000}),
		cacheRequest(set(&cachev1.SetRequest{Namespace: "cache", Key: "k", Value: []byte("v"), IdempotencyKey: "once"})),
		cacheRequest(set(&cachev1.SetRequest{Key: "k", TtlMs: &ttl}), set(&cachev1.SetRequest{Key: "k", IfAbsent: true}), set(&cachev1.SetRequest{Lock: "l"})),
		cacheRequest(&cachev1.PipelineOp{}, &cachev1.PipelineOp{Op: &cachev1.PipelineOp_Touch{Touch: &cachev1.TouchRequest{Key: "t"}}, RetryId: []byte("r"), TimeoutMs: 4}),
	}
}

// models are what each model's generated code writes.
func models() map[*Model]struct{ requests, responses []proto.Message } {
	return map[*Model]struct{ requests, responses []proto.Message }{
		KeyValue: {plain(requests()), plain(responses())},
		Cache:    {plain(cacheRequests()), plain(cacheResponses())},
	}
}

func plain[M proto.Message](list []M) (out []proto.Message) {
	for _, m := range list {
		out = append(out, m)
	}
	return out
}

// generated turns what was read back into the generated message of that kind.
func (r *Request) generated(kind proto.Message) proto.Message {
	m := kind.ProtoReflect().New()
	field := func(of protoreflect.Message, name protoreflect.Name) protoreflect.FieldDescriptor {
		return of.Descriptor().Fields().ByName(name)
	}
	text := func(of protoreflect.Message, name protoreflect.Name, s string) {
		if s != "" {
			of.Set(field(of, name), protoreflect.ValueOfString(s))
		}
	}
	if r.Open != nil {
		text(m.Mutable(field(m, "open")).Message(), "namespace", r.Open.Namespace)
		return m.Interface()
	}
	if !r.Set {
		return m.Interface()
	}
	f := m.Mutable(field(m, "frame")).Message()
	f.Set(field(f, "id"), protoreflect.ValueOfUint64(r.ID))
	if len(r.Ops) == 0 {
		return m.Interface()
	}
	ops := f.Mutable(field(f, "ops")).List()
	for i := range r.Ops {
		o := &r.Ops[i]
		if o.Kind == Other {
			ops.Append(protoreflect.ValueOfMessage(o.Other.(proto.Message).ProtoReflect()))
			continue
		}
		op := ops.AppendMutable().Message()
		op.Set(field(op, "retry_id"), protoreflect.ValueOfBytes(o.RetryID))
		op.Set(field(op, "timeout_ms"), protoreflect.ValueOfInt64(o.TimeoutMs))
		text(op, "traceparent", o.Traceparent)
		name := protoreflect.Name("get")
		if o.Kind == Set {
			name = "set"
		}
		request := op.Mutable(field(op, name)).Message()
		text(request, "namespace", o.Namespace)
		text(request, "key", o.Key)
		text(request, "idempotency_key", o.IdempotencyKey)
		if o.Kind == Set {
			request.Set(field(request, "value"), protoreflect.ValueOfBytes(o.Value))
		}
	}
	return m.Interface()
}

func TestOperationsOfACacheArePlainWhereTheyCanBe(t *testing.T) {
	r := Request{Model: Cache}
	data, err := proto.Marshal(cacheRequest(
		&cachev1.PipelineOp{Op: &cachev1.PipelineOp_Get{Get: &cachev1.GetRequest{Key: "k"}}},
		&cachev1.PipelineOp{Op: &cachev1.PipelineOp_Set{Set: &cachev1.SetRequest{Key: "k"}}},
		&cachev1.PipelineOp{Op: &cachev1.PipelineOp_Set{Set: &cachev1.SetRequest{Key: "k", Lock: "l"}}},
	))
	if err != nil {
		t.Fatal(err)
	}
	if err := r.UnmarshalVT(data); err != nil {
		t.Fatal(err)
	}
	if r.Ops[0].Kind != Get || r.Ops[1].Kind != Set || r.Ops[2].Kind != Other {
		t.Errorf("read as %v, %v, %v", r.Ops[0].Kind, r.Ops[1].Kind, r.Ops[2].Kind)
	}
}

func TestRequestsReadAsTheGeneratedCodeReadsThem(t *testing.T) {
	for m, of := range models() {
		for _, want := range of.requests {
			data, err := proto.Marshal(want)
			if err != nil {
				t.Fatal(err)
			}
			r := Request{Model: m}
			if err := r.UnmarshalVT(data); err != nil {
				t.Fatalf("%v: %v", want, err)
			}
			for i := range data {
				data[i] = 0xAA // what was read must not hang on to the buffer
			}
			if got := r.generated(want); !proto.Equal(got, want) {
				t.Errorf("got  %v\nwant %v", got, want)
			}
		}
	}
}

func TestValuesCannotReachIntoTheirNeighbours(t *testing.T) {
	data, err := proto.Marshal(request(set(&kvv1.SetRequest{Key: "k", Value: []byte("v")}), get("next")))
	if err != nil {
		t.Fatal(err)
	}
	r := Request{Model: KeyValue}
	if err := r.UnmarshalVT(data); err != nil {
		t.Fatal(err)
	}
	_ = append(r.Ops[0].Value, "overwrites what follows"...)
	if r.Ops[1].Key != "next" {
		t.Errorf("key of the next operation is %q", r.Ops[1].Key)
	}
}

// message is what the codec writes.
type message interface {
	SizeVT() int
	MarshalToSizedBufferVT([]byte) (int, error)
}

func TestFramesReadAsTheGeneratedMessages(t *testing.T) {
	increment := &kvv1.PipelineOp{Op: &kvv1.PipelineOp_Increment{Increment: &kvv1.IncrementRequest{Key: "n", Delta: -3}}}
	const traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
	long := string(bytes.Repeat([]byte("k"), 300))
	var f Frame
	f.ID = 7
	f.AppendGet("a", 30_000, "")
	f.AppendGet("", 0, traceparent)
	f.AppendGet(long, 1, "")
	f.AppendSet("k", []byte(long), "once", nil, 0, traceparent)
	f.AppendSet("k", nil, "", []byte("0123456789abcdef"), 1<<40, "")
	if err := f.Append(increment, []byte("r"), 4, traceparent); err != nil {
		t.Fatal(err)
	}
	if err := f.Append(increment, nil, 0, ""); err != nil {
		t.Fatal(err)
	}
	want := request(
		get("a"),
		&kvv1.PipelineOp{Op: &kvv1.PipelineOp_Get{Get: &kvv1.GetRequest{}}, Traceparent: traceparent},
		&kvv1.PipelineOp{Op: &kvv1.PipelineOp_Get{Get: &kvv1.GetRequest{Key: long}}, TimeoutMs: 1},
		&kvv1.PipelineOp{Op: &kvv1.PipelineOp_Set{Set: &kvv1.SetRequest{Key: "k", Value: []byte(long), IdempotencyKey: "once"}}, Traceparent: traceparent},
		&kvv1.PipelineOp{Op: &kvv1.PipelineOp_Set{Set: &kvv1.SetRequest{Key: "k"}}, RetryId: []byte("0123456789abcdef"), TimeoutMs: 1 << 40},
		&kvv1.PipelineOp{Op: increment.Op, RetryId: []byte("r"), TimeoutMs: 4, Traceparent: traceparent},
		increment,
	)
	for _, c := range []struct {
		what string
		got  message
		want *kvv1.PipelineRequest
	}{
		{"operations of each kind", &f, want},
		{"an opening", &Open{Namespace: "kv"}, &kvv1.PipelineRequest{Message: &kvv1.PipelineRequest_Open{Open: &kvv1.PipelineOpen{Namespace: "kv"}}}},
		{"an opening of nothing", &Open{}, &kvv1.PipelineRequest{Message: &kvv1.PipelineRequest_Open{Open: &kvv1.PipelineOpen{}}}},
		{"a frame of nothing", &Frame{}, &kvv1.PipelineRequest{Message: &kvv1.PipelineRequest_Frame{Frame: &kvv1.PipelineFrame{}}}},
	} {
		buf := make([]byte, c.got.SizeVT())
		n, err := c.got.MarshalToSizedBufferVT(buf)
		if err != nil || n != len(buf) {
			t.Fatalf("%s: wrote %d of %d bytes: %v", c.what, n, len(buf), err)
		}
		got := &kvv1.PipelineRequest{}
		if err := proto.Unmarshal(buf, got); err != nil {
			t.Fatalf("%s: %v", c.what, err)
		}
		if !proto.Equal(got, c.want) || n != proto.Size(c.want) {
			t.Errorf("%s: got  %v\nwant %v", c.what, got, c.want)
		}
	}
}

func responses() []*kvv1.PipelineResponse {
	at := int64(1_700_000_000_000)
	return []*kvv1.PipelineResponse{
		{},
		{Id: 3, More: true},
		{Id: 300, Results: []*kvv1.PipelineResult{
			{Result: &kvv1.PipelineResult_Get{Get: &kvv1.GetResponse{Value: []byte("v"), Version: 1 << 40, ExpiresAtMs: &at}}},
			{Result: &kvv1.PipelineResult_Get{Get: &kvv1.GetResponse{}}},
			{Result: &kvv1.PipelineResult_Set{Set: &kvv1.SetResponse{Version: 2}}},
			{Result: &kvv1.PipelineResult_Set{Set: &kvv1.SetResponse{}}},
			{Result: &kvv1.PipelineResult_Error{Error: &commonv1.Error{Reason: "NOT_FOUND", Status: 5}}},
			{Result: &kvv1.PipelineResult_Increment{Increment: &kvv1.IncrementResponse{Value: -1, Version: 5}}},
		}},
	}
}

func cacheResponses() []*cachev1.PipelineResponse {
	at := int64(1_700_000_000_000)
	return []*cachev1.PipelineResponse{
		{},
		{Id: 3, More: true},
		{Id: 300, Results: []*cachev1.PipelineResult{
			{Result: &cachev1.PipelineResult_Get{Get: &cachev1.GetResponse{Found: true, Value: []byte("v"), ExpiresAtMs: &at}}},
			{Result: &cachev1.PipelineResult_Get{Get: &cachev1.GetResponse{}}},
			{Result: &cachev1.PipelineResult_Set{Set: &cachev1.SetResponse{Applied: true}}},
			{Result: &cachev1.PipelineResult_Set{Set: &cachev1.SetResponse{}}},
			{Result: &cachev1.PipelineResult_Error{Error: &commonv1.Error{Reason: "INTERNAL", Status: 13}}},
			{Result: &cachev1.PipelineResult_Touch{Touch: &cachev1.TouchResponse{Found: true, ExpiresAtMs: &at}}},
			{},
		}},
	}
}

func TestResponsesAreTheGeneratedCodesBitForBit(t *testing.T) {
	for m, of := range models() {
		for _, want := range of.responses {
			data, err := proto.MarshalOptions{Deterministic: true}.Marshal(want)
			if err != nil {
				t.Fatal(err)
			}
			r := Response{Model: m}
			if err := r.UnmarshalVT(data); err != nil {
				t.Fatal(err)
			}
			buf := make([]byte, r.SizeVT())
			n, err := r.MarshalToSizedBufferVT(buf)
			if err != nil || n != len(buf) {
				t.Fatalf("wrote %d of %d bytes: %v", n, len(buf), err)
			}
			if !bytes.Equal(buf, data) {
				t.Errorf("got  %x\nwant %x", buf, data)
			}
		}
	}
}

func TestResultsAreReadByHand(t *testing.T) {
	data, err := proto.Marshal(cacheResponses()[2])
	if err != nil {
		t.Fatal(err)
	}
	r := Response{Model: Cache}
	if err := r.UnmarshalVT(data); err != nil {
		t.Fatal(err)
	}
	got, miss, set, failed := r.Results[0], r.Results[1], r.Results[2], r.Results[4]
	switch {
	case got.Kind != Get || got.Number != 1 || string(got.Value) != "v" || !got.Expires:
		t.Errorf("an entry: %+v", got)
	case miss.Kind != Get || miss.Number != 0 || miss.Expires:
		t.Errorf("a missing entry: %+v", miss)
	case set.Kind != Set || set.Number != 1:
		t.Errorf("a set: %+v", set)
	case failed.Kind != Failed || failed.Error.GetReason() != "INTERNAL":
		t.Errorf("an error: %+v", failed)
	}
}

func TestResetForgetsEverything(t *testing.T) {
	data, err := proto.Marshal(requests()[4])
	if err != nil {
		t.Fatal(err)
	}
	r := Request{Model: KeyValue}
	if err := r.UnmarshalVT(data); err != nil {
		t.Fatal(err)
	}
	r.Reset()
	if r.Model != KeyValue || len(r.Ops) != 0 || r.Set || r.ID != 0 || !reflect.DeepEqual(r.Ops[:1][0], Op{}) {
		t.Errorf("left over: %+v", r)
	}
	resp := Response{Model: Cache, ID: 1, Results: []Result{{}}}
	if resp.Reset(); resp.Model != Cache || resp.ID != 0 || resp.Results != nil {
		t.Errorf("left over: %+v", resp)
	}
}

// either is the model that a fuzzed byte chooses.
func either(b byte) (*Model, proto.Message) {
	if b%2 == 1 {
		return Cache, &cachev1.PipelineRequest{}
	}
	return KeyValue, &kvv1.PipelineRequest{}
}

func addSeeds(f *testing.F, messages func(m *Model) []proto.Message) {
	f.Helper()
	for b := range byte(2) {
		m, _ := either(b)
		for _, r := range messages(m) {
			data, err := proto.Marshal(r)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(b, data)
		}
	}
}

func FuzzRequest(f *testing.F) {
	addSeeds(f, func(m *Model) []proto.Message { return models()[m].requests })
	f.Fuzz(func(t *testing.T, model byte, data []byte) {
		m, kind := either(model)
		r := Request{Model: m}
		if r.UnmarshalVT(append([]byte(nil), data...)) != nil {
			return
		}
		// What was read, written by the generated code, reads the same again.
		again, err := proto.MarshalOptions{AllowPartial: true}.Marshal(r.generated(kind))
		if err != nil {
			return // keys that are not UTF-8: the checks above refuse them
		}
		second := Request{Model: m}
		if err := second.UnmarshalVT(again); err != nil {
			t.Fatal(err)
		}
		if len(second.Ops) != len(r.Ops) || second.Set != r.Set && len(again) > 0 {
			t.Fatalf("got %d operations, then %d", len(r.Ops), len(second.Ops))
		}
	})
}

func FuzzResponse(f *testing.F) {
	addSeeds(f, func(m *Model) []proto.Message { return models()[m].responses })
	f.Fuzz(func(t *testing.T, model byte, data []byte) {
		m, _ := either(model)
		r := Response{Model: m}
		if r.UnmarshalVT(append([]byte(nil), data...)) != nil {
			return
		}
		buf := make([]byte, r.SizeVT())
		if n, err := r.MarshalToSizedBufferVT(buf); err != nil || n != len(buf) {
			t.Fatalf("wrote %d of %d bytes: %v", n, len(buf), err)
		}
	})
}

// Before a stream is open nobody knows whose operations a frame holds.
func TestAFrameOfNoModelIsNotLookedInto(t *testing.T) {
	t.Parallel()
	for i, m := range requests() {
		raw, err := proto.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		var r Request
		if err := r.UnmarshalVT(raw); err != nil || len(r.Ops) != 0 || r.Set != (m.GetFrame() != nil) {
			t.Errorf("%d: %+v, %v", i, r, err)
		}
	}
}

func TestAnOperationIsNamedLikeItsCall(t *testing.T) {
	for want, op := range map[string]Op{
		"Get": {Kind: Get}, "Set": {Kind: Set},
		"GetTTL":         {Other: &kvv1.PipelineOp{Op: &kvv1.PipelineOp_GetTtl{GetTtl: &kvv1.GetTTLRequest{}}}},
		"CompareAndSwap": {Other: &kvv1.PipelineOp{Op: &kvv1.PipelineOp_CompareAndSwap{CompareAndSwap: &kvv1.CompareAndSwapRequest{}}}},
		"Touch":          {Other: &cachev1.PipelineOp{Op: &cachev1.PipelineOp_Touch{Touch: &cachev1.TouchRequest{}}}},
		"Pipeline":       {Other: &kvv1.PipelineOp{}},
	} {
		if got := op.Name(); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}
