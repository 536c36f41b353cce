package frame

import (
	"bytes"

	"google.golang.org/protobuf/encoding/protowire"
)

// Events is pubsubv1.SubscribeResponse as a client reads it.
type Events struct {
	SubscriptionID string
	Position       string
	Dropped        int64
	Events         []Event
}

// An Event is pubsubv1.Event.
type Event struct {
	ID            string
	Topic         string
	Payload       []byte
	Attributes    map[string]string
	TimeMs        int64
	CorrelationID string
	ReplyTo       string
	OrderingKey   string
	Position      string
}

// A CodedEvents is pubsubv1.SubscribeResponse as the gateway writes it: its
// events are coded when they join.
type CodedEvents struct {
	SubscriptionID string
	Position       string
	Dropped        int64
	Events         []byte // coded, one after the other
}

// Append codes an event, unless more than room bytes would be coded then.
func (c *CodedEvents) Append(e *Event, room int) bool {
	size := e.size()
	if len(c.Events)+1+protowire.SizeBytes(size) > room {
		return false
	}
	b := protowire.AppendTag(c.Events, eventsEvents, protowire.BytesType)
	c.Events = e.append(protowire.AppendVarint(b, uint64(size)))
	return true
}

// Field numbers, as in pubsub.proto.
const (
	eventsSubscription, eventsEvents, eventsPosition, eventsDropped = 1, 2, 3, 4

	eventID, eventTopic, eventPayload, eventAttributes = 1, 2, 3, 4
	eventTime, eventCorrelation, eventReply            = 5, 6, 7
	eventOrdering, eventPosition                       = 8, 9
	entryKey, entryValue                               = 1, 2
)

// size is how many bytes the event takes.
func (e *Event) size() int {
	n := sizeOf(len(e.ID)) + sizeOf(len(e.Topic)) + sizeOf(len(e.Payload)) + varintSize(e.TimeMs) +
		sizeOf(len(e.CorrelationID)) + sizeOf(len(e.ReplyTo)) + sizeOf(len(e.OrderingKey)) + sizeOf(len(e.Position))
	for k, v := range e.Attributes {
		n += 1 + protowire.SizeBytes(entrySize(k, v))
	}
	return n
}

// An entry of a map has both its fields, also when they are empty.
func entrySize(k, v string) int {
	return 2 + protowire.SizeBytes(len(k)) + protowire.SizeBytes(len(v))
}

func varintSize(v int64) int {
	if v == 0 {
		return 0
	}
	return 1 + protowire.SizeVarint(uint64(v))
}

func appendVarint(b []byte, field protowire.Number, v int64) []byte {
	if v == 0 {
		return b
	}
	b = protowire.AppendTag(b, field, protowire.VarintType)
	return protowire.AppendVarint(b, uint64(v))
}

// SizeVT is how many bytes the message takes.
func (c *CodedEvents) SizeVT() int {
	return sizeOf(len(c.SubscriptionID)) + len(c.Events) + sizeOf(len(c.Position)) + varintSize(c.Dropped)
}

// MarshalToSizedBufferVT fills buf, which is as long as SizeVT says.
func (c *CodedEvents) MarshalToSizedBufferVT(buf []byte) (int, error) {
	b := appendText(buf[:0], eventsSubscription, c.SubscriptionID)
	b = append(b, c.Events...)
	b = appendText(b, eventsPosition, c.Position)
	return len(appendVarint(b, eventsDropped, c.Dropped)), nil
}

func (e *Event) append(b []byte) []byte {
	b = appendText(b, eventID, e.ID)
	b = appendText(b, eventTopic, e.Topic)
	if len(e.Payload) > 0 {
		b = protowire.AppendTag(b, eventPayload, protowire.BytesType)
		b = protowire.AppendBytes(b, e.Payload)
	}
	for k, v := range e.Attributes {
		b = protowire.AppendTag(b, eventAttributes, protowire.BytesType)
		b = protowire.AppendVarint(b, uint64(entrySize(k, v)))
		b = protowire.AppendTag(b, entryKey, protowire.BytesType)
		b = protowire.AppendString(b, k)
		b = protowire.AppendTag(b, entryValue, protowire.BytesType)
		b = protowire.AppendString(b, v)
	}
	b = appendVarint(b, eventTime, e.TimeMs)
	b = appendText(b, eventCorrelation, e.CorrelationID)
	b = appendText(b, eventReply, e.ReplyTo)
	b = appendText(b, eventOrdering, e.OrderingKey)
	return appendText(b, eventPosition, e.Position)
}

// Reset empties r.
func (r *Events) Reset() { *r = Events{} }

// together is up to which size a message is copied at once: its events are
// parts of the copy, which is there for as long as any of them is.
const together = 64 << 10

// UnmarshalVT reads a message; what it keeps is its own.
func (r *Events) UnmarshalVT(data []byte) error {
	one := len(data) <= together
	if one {
		data = bytes.Clone(data)
	}
	return fields(data, func(num protowire.Number, typ protowire.Type, v []byte, n uint64) error {
		switch {
		case num == eventsSubscription && typ == protowire.BytesType:
			r.SubscriptionID = string(v)
		case num == eventsPosition && typ == protowire.BytesType:
			r.Position = string(v)
		case num == eventsDropped && typ == protowire.VarintType:
			r.Dropped = int64(n)
		case num == eventsEvents && typ == protowire.BytesType:
			if !one {
				v = bytes.Clone(v)
			}
			if r.Events == nil { // most events of a message are of one size
				r.Events = make([]Event, 0, min(len(data)/(len(v)+2)+1, mostResults))
			}
			r.Events = append(r.Events, Event{})
			return r.Events[len(r.Events)-1].read(v)
		}
		return nil
	})
}

// read reads an event, which becomes a part of data.
func (e *Event) read(data []byte) error {
	return fields(data, func(num protowire.Number, typ protowire.Type, v []byte, n uint64) error {
		if num == eventTime && typ == protowire.VarintType {
			e.TimeMs = int64(n)
		}
		if typ != protowire.BytesType {
			return nil
		}
		switch num {
		case eventID:
			e.ID = text(v)
		case eventTopic:
			e.Topic = text(v)
		case eventPayload:
			e.Payload = v
		case eventAttributes:
			return e.attribute(v)
		case eventCorrelation:
			e.CorrelationID = text(v)
		case eventReply:
			e.ReplyTo = text(v)
		case eventOrdering:
			e.OrderingKey = text(v)
		case eventPosition:
			e.Position = text(v)
		}
		return nil
	})
}

func (e *Event) attribute(data []byte) error {
	var name, value string
	err := fields(data, func(num protowire.Number, typ protowire.Type, v []byte, _ uint64) error {
		switch {
		case num == entryKey && typ == protowire.BytesType:
			name = text(v)
		case num == entryValue && typ == protowire.BytesType:
			value = text(v)
		}
		return nil
	})
	if e.Attributes == nil {
		e.Attributes = make(map[string]string)
	}
	e.Attributes[name] = value
	return err
}
