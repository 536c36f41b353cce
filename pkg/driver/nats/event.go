package nats

import (
	"encoding/binary"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/prism-data-layer/prism/pkg/driver"
)

// An event is a message without headers: JetStream takes 64 KiB of them, and
// attributes may have more. Its data are a format, all other fields, and the
// payload behind them.
const eventFormat = 1

// message is an event under a subject.
func message(subject string, e *driver.Event) *nats.Msg {
	n := 64 + len(e.ID) + len(e.CorrelationID) + len(e.ReplyTo) + len(e.OrderingKey) + len(e.Payload)
	for k, v := range e.Attributes {
		n += len(k) + len(v) + 8
	}
	b := make([]byte, 0, n)
	b = append(b, eventFormat)
	b = binary.AppendVarint(b, e.Time.UnixMilli())
	for _, s := range [...]string{e.ID, e.CorrelationID, e.ReplyTo, e.OrderingKey} {
		b = appendString(b, s)
	}
	b = append(b, e.Receipt.Body[:]...)
	b = binary.AppendUvarint(b, uint64(len(e.Attributes)))
	for k, v := range e.Attributes {
		b = appendString(appendString(b, k), v)
	}
	return &nats.Msg{Subject: subject, Data: append(b, e.Payload...)}
}

func appendString(b []byte, s string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

// parse reads an event out of a message's data, whose memory it keeps. Its
// receipt has the body alone.
func parse(topic string, data []byte) (driver.Event, error) {
	if len(data) == 0 || data[0] != eventFormat {
		return driver.Event{}, errRecord
	}
	d := decoder{b: data[1:]}
	e := driver.Event{Topic: topic, Time: time.UnixMilli(d.int())}
	e.ID, e.CorrelationID, e.ReplyTo, e.OrderingKey = d.string(), d.string(), d.string(), d.string()
	copy(e.Receipt.Body[:], d.take(uint64(len(e.Receipt.Body))))
	n := d.uint()
	if n > uint64(len(d.b)) {
		return driver.Event{}, errRecord
	}
	if n > 0 {
		e.Attributes = make(map[string]string, n)
	}
	for range n {
		k := d.string()
		e.Attributes[k] = d.string()
	}
	if d.bad {
		return driver.Event{}, errRecord
	}
	e.Payload = d.b
	return e, nil
}

// A decoder reads fields; bad says that the data did not hold what was read.
type decoder struct {
	b   []byte
	bad bool
}

func (d *decoder) take(n uint64) []byte {
	if d.bad || n > uint64(len(d.b)) {
		d.bad = true
		return nil
	}
	part := d.b[:n]
	d.b = d.b[n:]
	return part
}

func (d *decoder) string() string { return string(d.take(d.uint())) }

func (d *decoder) uint() uint64 {
	v, n := binary.Uvarint(d.b)
	if n <= 0 {
		d.bad = true
		return 0
	}
	d.b = d.b[n:]
	return v
}

func (d *decoder) int() int64 {
	v, n := binary.Varint(d.b)
	if n <= 0 {
		d.bad = true
		return 0
	}
	d.b = d.b[n:]
	return v
}
