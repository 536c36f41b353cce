package pebble

import (
	"encoding/binary"
	"time"

	"github.com/prism-data-layer/prism/pkg/driver"
)

// Messages are kept in pieces: what one group adds to one partition is one
// record. Their stamp is their time, which all of them share, and each message
// tells how many bytes of payloads were ever put before it, so that what
// retention is about is found by halving.

// streamed is a message as a piece keeps it. It aliases the piece.
type streamed struct {
	before     int64 // bytes of payloads that were put before it
	key        []byte
	attributes []byte // as they are written
	payload    []byte
}

func appendStreamed(dst []byte, before int64, m *driver.StreamMessage) []byte {
	dst = binary.AppendUvarint(dst, uint64(before))
	dst = appendText(dst, m.Key)
	dst = appendAttributes(dst, m.Attributes)
	dst = binary.AppendUvarint(dst, uint64(len(m.Payload)))
	return append(dst, m.Payload...)
}

// streamed reads the message that next has begun.
func (p *pieceReader) streamed() (m streamed, ok bool) {
	m.before = int64(p.uvarint())
	m.key = p.bytes(p.length())
	m.attributes = p.b
	for left := p.uvarint(); left > 0 && !p.bad; left-- {
		p.bytes(p.length())
		p.bytes(p.length())
	}
	m.attributes = m.attributes[:len(m.attributes)-len(p.b)]
	m.payload = p.bytes(p.length())
	if m.before < 0 {
		p.fail()
	}
	return m, !p.bad
}

func appendTopic(dst []byte, o driver.TopicOptions) []byte {
	dst = append(dst, make([]byte, sealSize)...)
	dst = binary.AppendUvarint(dst, uint64(o.Partitions))
	dst = binary.AppendVarint(dst, int64(o.Retention.Age))
	return binary.AppendVarint(dst, o.Retention.Bytes)
}

func parseTopicOptions(keySum uint32, record []byte) (o driver.TopicOptions, err error) {
	b, err := unseal(keySum, record)
	if err != nil {
		return o, err
	}
	r := reader{b: b}
	partitions := r.uvarint()
	o.Retention = driver.Retention{Age: time.Duration(r.varint()), Bytes: r.varint()}
	if r.bad || len(r.b) != 0 || partitions == 0 || partitions > maxPartitions {
		return driver.TopicOptions{}, errRecord
	}
	o.Partitions = int32(partitions)
	return o, nil
}

// maxPartitions is far above what is offered.
const maxPartitions = 1 << 16

// appendFloor writes where a partition begins.
func appendFloor(dst []byte, e *extent) []byte {
	dst = append(dst, make([]byte, sealSize)...)
	for _, n := range [...]int64{e.floor, e.base, e.stamp} {
		dst = binary.AppendUvarint(dst, uint64(n))
	}
	return dst
}

// parseFloor reads the extent of a partition that holds nothing.
func parseFloor(keySum uint32, record []byte) (e extent, err error) {
	b, err := unseal(keySum, record)
	if err != nil {
		return e, err
	}
	r := reader{b: b}
	e.floor, e.base, e.stamp = int64(r.uvarint()), int64(r.uvarint()), int64(r.uvarint())
	if r.bad || len(r.b) != 0 || e.floor < 0 || e.base < 0 || e.stamp < 0 {
		return extent{}, errRecord
	}
	e.next, e.bytes = e.floor, e.base
	return e, nil
}

func appendCommitted(dst []byte, offset int64) []byte {
	return binary.AppendUvarint(append(dst, make([]byte, sealSize)...), uint64(offset))
}

func parseCommitted(keySum uint32, record []byte) (int64, error) {
	b, err := unseal(keySum, record)
	if err != nil {
		return 0, err
	}
	r := reader{b: b}
	offset := int64(r.uvarint())
	if r.bad || len(r.b) != 0 || offset < 0 {
		return 0, errRecord
	}
	return offset, nil
}
