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

// coded writes r as the gateway does.
func (r *Events) coded(t *testing.T) []byte {
	t.Helper()
	c := CodedEvents{SubscriptionID: r.SubscriptionID, Position: r.Position, Dropped: r.Dropped}
	for i := range r.Events {
		if !c.Append(&r.Events[i], 1<<30) {
			t.Fatalf("no room for event %d", i)
		}
	}
	buf := make([]byte, c.SizeVT())
	if n, err := c.MarshalToSizedBufferVT(buf); err != nil || n != len(buf) {
		t.Fatalf("wrote %d of %d bytes: %v", n, len(buf), err)
	}
	return buf
}

func TestEventsKeepToTheirRoom(t *testing.T) {
	e, c := Event{Payload: make([]byte, 100)}, CodedEvents{}
	for range 3 {
		c.Append(&e, 250)
	}
	if want := 2 * (2 + 2 + 100); len(c.Events) != want {
		t.Errorf("%d bytes are coded, want %d: two events", len(c.Events), want)
	}
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
		buf := r.coded(t)
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
		var again Events
		if err := again.UnmarshalVT(r.coded(t)); err != nil || !proto.Equal(again.generated(), r.generated()) {
			t.Fatalf("wrote %v, read %v (%v)", r.generated(), again.generated(), err)
		}
	})
}
