package frame

import (
	"bytes"
	"reflect"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	pubsubv1 "github.com/prism-data-layer/prism/proto/prism/pubsub/v1"
)

// subscribed are messages with every field, none, and more than is copied at
// once.
func subscribed() []*pubsubv1.SubscribeResponse {
	full := &pubsubv1.Event{
		EventId: "1", Topic: "a.b", Payload: []byte("é"), Attributes: map[string]string{"k": ""}, TimeMs: -5,
		CorrelationId: "c", ReplyTo: "r.t", OrderingKey: "o", Position: "p",
	}
	large := &pubsubv1.Event{EventId: "2", Payload: bytes.Repeat([]byte("x"), together)}
	return []*pubsubv1.SubscribeResponse{
		{},
		{SubscriptionId: "sub_1", Position: "at", Dropped: 7},
		{Events: []*pubsubv1.Event{{}, full, {Attributes: map[string]string{"": "v"}}}},
		{Events: []*pubsubv1.Event{large, full}, Position: strings.Repeat("p", 200)},
	}
}

func (r *Events) generated() *pubsubv1.SubscribeResponse {
	m := &pubsubv1.SubscribeResponse{SubscriptionId: r.SubscriptionID, Position: r.Position, Dropped: r.Dropped}
	for i := range r.Events {
		e := &r.Events[i]
		m.Events = append(m.Events, &pubsubv1.Event{
			EventId: e.ID, Topic: e.Topic, Payload: e.Payload, Attributes: e.Attributes, TimeMs: e.TimeMs,
			CorrelationId: e.CorrelationID, ReplyTo: e.ReplyTo, OrderingKey: e.OrderingKey, Position: e.Position,
		})
	}
	return m
}

func TestEventsAreTheGeneratedCodesBothWays(t *testing.T) {
	for _, want := range subscribed() {
		data, err := proto.Marshal(want)
		if err != nil {
			t.Fatal(err)
		}
		var r Events
		if err := r.UnmarshalVT(data); err != nil {
			t.Fatalf("read %v: %v", want, err)
		}
		clear(data) // what was read is its own
		if got := r.generated(); !proto.Equal(got, want) {
			t.Errorf("read %v, want %v", got, want)
		}
		buf := make([]byte, r.SizeVT())
		if n, err := r.MarshalToSizedBufferVT(buf); err != nil || n != len(buf) {
			t.Fatalf("wrote %d of %d bytes: %v", n, len(buf), err)
		}
		got := &pubsubv1.SubscribeResponse{}
		if err := proto.Unmarshal(buf, got); err != nil || !proto.Equal(got, want) {
			t.Errorf("wrote %v (%v), want %v", got, err, want)
		}
		if r.Reset(); !reflect.DeepEqual(r, Events{}) {
			t.Errorf("left over: %+v", r)
		}
	}
}

func TestPayloadsOfEventsCannotReachIntoTheirNeighbours(t *testing.T) {
	data, _ := proto.Marshal(&pubsubv1.SubscribeResponse{Events: []*pubsubv1.Event{{Payload: []byte("a")}, {Payload: []byte("b")}}})
	var r Events
	if err := r.UnmarshalVT(data); err != nil {
		t.Fatal(err)
	}
	_ = append(r.Events[0].Payload, "longer than what is next"...)
	if got := string(r.Events[1].Payload); got != "b" {
		t.Errorf("the next payload became %q", got)
	}
}

func FuzzEvents(f *testing.F) {
	for _, r := range subscribed()[:3] {
		data, err := proto.Marshal(r)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		var r Events
		if r.UnmarshalVT(data) != nil {
			return
		}
		buf := make([]byte, r.SizeVT())
		if n, err := r.MarshalToSizedBufferVT(buf); err != nil || n != len(buf) {
			t.Fatalf("wrote %d of %d bytes: %v", n, len(buf), err)
		}
		var again Events
		if err := again.UnmarshalVT(buf); err != nil || again.SizeVT() != len(buf) {
			t.Fatalf("read again %d bytes, then %d: %v", len(buf), again.SizeVT(), err)
		}
	})
}
