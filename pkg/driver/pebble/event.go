package pebble

import (
	"encoding/binary"
	"maps"
	"slices"
	"time"

	"github.com/prism-data-layer/prism/pkg/driver"
	"github.com/prism-data-layer/prism/pkg/driver/broker"
)

// eventOverhead is about what an event takes beside its payload.
const eventOverhead = 100

// appendEvent writes an event with its stamp: its time, but never one before
// that of the event ahead of it.
func appendEvent(dst []byte, stamp int64, e *driver.Event) []byte {
	dst = append(dst, make([]byte, sealSize)...)
	dst = binary.AppendVarint(dst, stamp)
	dst = appendText(dst, e.Topic)
	dst = binary.AppendVarint(dst, e.Time.UnixMilli())
	for _, s := range [...]string{e.ID, e.CorrelationID, e.ReplyTo, e.OrderingKey} {
		dst = appendText(dst, s)
	}
	return append(appendAttributes(dst, e.Attributes), e.Payload...)
}

// appendAttributes writes a map in the order of its keys.
func appendAttributes(dst []byte, attributes map[string]string) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(attributes)))
	switch len(attributes) {
	case 0:
	case 1:
		for k, v := range attributes {
			dst = appendText(appendText(dst, k), v)
		}
	default:
		for _, k := range slices.Sorted(maps.Keys(attributes)) {
			dst = appendText(appendText(dst, k), attributes[k])
		}
	}
	return dst
}

// attributes reads what appendAttributes wrote; nil if there are none.
func (r *reader) attributes() map[string]string {
	n := r.uvarint()
	if n > uint64(len(r.b)) { // each takes more than a byte
		r.fail()
	}
	if n == 0 || r.bad {
		return nil
	}
	m := make(map[string]string, n)
	for range n {
		k := r.text()
		m[k] = r.text()
	}
	return m
}

func appendText(dst []byte, s string) []byte {
	return append(binary.AppendUvarint(dst, uint64(len(s))), s...)
}

func (r *reader) text() string {
	n := r.uvarint()
	if n > uint64(len(r.b)) {
		r.fail()
		return ""
	}
	return string(r.bytes(int(n)))
}

func parseStamp(keySum uint32, record []byte) (int64, error) {
	b, err := unseal(keySum, record)
	if err != nil {
		return 0, err
	}
	r := reader{b: b}
	stamp := r.varint()
	if r.bad {
		return 0, errRecord
	}
	return stamp, nil
}

func parseTopic(keySum uint32, record []byte) (stamp int64, topic string, err error) {
	b, err := unseal(keySum, record)
	if err != nil {
		return 0, "", err
	}
	r := reader{b: b}
	stamp, topic = r.varint(), r.text()
	if r.bad {
		return 0, "", errRecord
	}
	return stamp, topic, nil
}

// parseEvent reads an event, which shares nothing with record.
func parseEvent(keySum uint32, record []byte) (*driver.Event, error) {
	b, err := unseal(keySum, record)
	if err != nil {
		return nil, err
	}
	r := reader{b: b}
	r.varint()
	e := &driver.Event{Topic: r.text(), Time: time.UnixMilli(r.varint())}
	for _, s := range [...]*string{&e.ID, &e.CorrelationID, &e.ReplyTo, &e.OrderingKey} {
		*s = r.text()
	}
	e.Attributes = r.attributes()
	if r.bad {
		return nil, errRecord
	}
	e.Payload = append(make([]byte, 0, len(r.b)), r.b...)
	return e, nil
}

func (s *logState) append(dst []byte) []byte {
	dst = append(dst, make([]byte, sealSize)...)
	for _, n := range [...]uint64{s.Epoch, s.Floor, s.Last, uint64(s.bytes)} {
		dst = binary.AppendUvarint(dst, n)
	}
	return binary.AppendVarint(dst, s.stamp)
}

func parseLogState(keySum uint32, record []byte) (s logState, err error) {
	b, err := unseal(keySum, record)
	if err != nil {
		return s, err
	}
	r := reader{b: b}
	s.Extent = broker.Extent{Epoch: r.uvarint(), Floor: r.uvarint(), Last: r.uvarint()}
	s.bytes, s.stamp = int64(r.uvarint()), r.varint()
	if r.bad || len(r.b) != 0 || s.Epoch == 0 || s.Floor > s.Last || s.bytes < 0 {
		return logState{}, errRecord
	}
	return s, nil
}

func appendName(dst []byte, n *broker.Name) []byte {
	dst = append(dst, make([]byte, sealSize)...)
	dst = binary.AppendVarint(dst, n.Created.UnixMilli())
	dst = binary.AppendUvarint(dst, n.Start)
	dst = binary.AppendUvarint(dst, n.Acked)
	return append(dst, n.Pattern...)
}

func parseName(keySum uint32, record []byte) (*broker.Name, error) {
	b, err := unseal(keySum, record)
	if err != nil {
		return nil, err
	}
	r := reader{b: b}
	n := &broker.Name{Created: time.UnixMilli(r.varint()), Start: r.uvarint(), Acked: r.uvarint()}
	n.Pattern = string(r.b)
	if r.bad || n.Pattern == "" {
		return nil, errRecord
	}
	return n, nil
}
