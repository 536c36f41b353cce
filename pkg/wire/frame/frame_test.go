package frame

import (
	"bytes"
	"reflect"
	"testing"

	"google.golang.org/protobuf/proto"

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

// generated turns what was read back into the generated message.
func (r *Request) generated() *kvv1.PipelineRequest {
	if r.Open != nil {
		return &kvv1.PipelineRequest{Message: &kvv1.PipelineRequest_Open{Open: r.Open}}
	}
	if !r.Set {
		return &kvv1.PipelineRequest{}
	}
	f := &kvv1.PipelineFrame{Id: r.ID}
	for i := range r.Ops {
		o := &r.Ops[i]
		op := &kvv1.PipelineOp{RetryId: o.RetryID, TimeoutMs: o.TimeoutMs}
		switch o.Kind {
		case Get:
			op.Op = &kvv1.PipelineOp_Get{Get: &kvv1.GetRequest{Namespace: o.Namespace, Key: o.Key}}
		case Set:
			op.Op = &kvv1.PipelineOp_Set{Set: &kvv1.SetRequest{Namespace: o.Namespace, Key: o.Key, Value: o.Value, IdempotencyKey: o.IdempotencyKey}}
		default:
			op = o.Other
		}
		f.Ops = append(f.Ops, op)
	}
	return &kvv1.PipelineRequest{Message: &kvv1.PipelineRequest_Frame{Frame: f}}
}

func TestRequestsReadAsTheGeneratedCodeReadsThem(t *testing.T) {
	for _, want := range requests() {
		data, err := proto.Marshal(want)
		if err != nil {
			t.Fatal(err)
		}
		var r Request
		if err := r.UnmarshalVT(data); err != nil {
			t.Fatalf("%v: %v", want, err)
		}
		for i := range data {
			data[i] = 0xAA // what was read must not hang on to the buffer
		}
		if got := r.generated(); !proto.Equal(got, want) {
			t.Errorf("got  %v\nwant %v", got, want)
		}
	}
}

func TestValuesCannotReachIntoTheirNeighbours(t *testing.T) {
	data, err := proto.Marshal(request(set(&kvv1.SetRequest{Key: "k", Value: []byte("v")}), get("next")))
	if err != nil {
		t.Fatal(err)
	}
	var r Request
	if err := r.UnmarshalVT(data); err != nil {
		t.Fatal(err)
	}
	_ = append(r.Ops[0].Value, "overwrites what follows"...)
	if r.Ops[1].Key != "next" {
		t.Errorf("key of the next operation is %q", r.Ops[1].Key)
	}
}

func TestFramesReadAsTheGeneratedMessages(t *testing.T) {
	increment := &kvv1.PipelineOp{Op: &kvv1.PipelineOp_Increment{Increment: &kvv1.IncrementRequest{Key: "n", Delta: -3}}, RetryId: []byte("r"), TimeoutMs: 4}
	long := string(bytes.Repeat([]byte("k"), 300))
	var f Frame
	f.ID = 7
	f.AppendGet("a", 30_000)
	f.AppendGet("", 0)
	f.AppendGet(long, 1)
	f.AppendSet("k", []byte(long), "once", nil, 0)
	f.AppendSet("k", nil, "", []byte("0123456789abcdef"), 1<<40)
	if err := f.Append(increment); err != nil {
		t.Fatal(err)
	}
	want := request(
		get("a"),
		&kvv1.PipelineOp{Op: &kvv1.PipelineOp_Get{Get: &kvv1.GetRequest{}}},
		&kvv1.PipelineOp{Op: &kvv1.PipelineOp_Get{Get: &kvv1.GetRequest{Key: long}}, TimeoutMs: 1},
		&kvv1.PipelineOp{Op: &kvv1.PipelineOp_Set{Set: &kvv1.SetRequest{Key: "k", Value: []byte(long), IdempotencyKey: "once"}}},
		&kvv1.PipelineOp{Op: &kvv1.PipelineOp_Set{Set: &kvv1.SetRequest{Key: "k"}}, RetryId: []byte("0123456789abcdef"), TimeoutMs: 1 << 40},
		increment,
	)
	for _, c := range []struct {
		what string
		got  Frame
		want *kvv1.PipelineRequest
	}{
		{"operations of each kind", f, want},
		{"a frame of nothing", Frame{}, &kvv1.PipelineRequest{Message: &kvv1.PipelineRequest_Frame{Frame: &kvv1.PipelineFrame{}}}},
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

func TestResponsesAreTheGeneratedCodesBitForBit(t *testing.T) {
	for _, want := range responses() {
		data, err := proto.MarshalOptions{Deterministic: true}.Marshal(want)
		if err != nil {
			t.Fatal(err)
		}
		var r Response
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

func TestResetForgetsEverything(t *testing.T) {
	data, err := proto.Marshal(requests()[4])
	if err != nil {
		t.Fatal(err)
	}
	var r Request
	if err := r.UnmarshalVT(data); err != nil {
		t.Fatal(err)
	}
	r.Reset()
	if len(r.Ops) != 0 || r.Set || r.ID != 0 || !reflect.DeepEqual(r.Ops[:1][0], Op{}) {
		t.Errorf("left over: %+v", r)
	}
	resp := Response{ID: 1, Results: []Result{{}}}
	if resp.Reset(); resp.ID != 0 || resp.Results != nil {
		t.Errorf("left over: %+v", resp)
	}
}

func FuzzRequest(f *testing.F) {
	for _, r := range requests() {
		data, err := proto.Marshal(r)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		var r Request
		if r.UnmarshalVT(append([]byte(nil), data...)) != nil {
			return
		}
		// What was read, written by the generated code, reads the same again.
		again, err := proto.MarshalOptions{AllowPartial: true}.Marshal(r.generated())
		if err != nil {
			return // keys that are not UTF-8: the checks above refuse them
		}
		var second Request
		if err := second.UnmarshalVT(again); err != nil {
			t.Fatal(err)
		}
		if len(second.Ops) != len(r.Ops) || second.Set != r.Set && len(again) > 0 {
			t.Fatalf("got %d operations, then %d", len(r.Ops), len(second.Ops))
		}
	})
}

func FuzzResponse(f *testing.F) {
	for _, r := range responses() {
		data, err := proto.Marshal(r)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		var r Response
		if r.UnmarshalVT(append([]byte(nil), data...)) != nil {
			return
		}
		buf := make([]byte, r.SizeVT())
		if n, err := r.MarshalToSizedBufferVT(buf); err != nil || n != len(buf) {
			t.Fatalf("wrote %d of %d bytes: %v", n, len(buf), err)
		}
	})
}
