package pebble

import (
	"encoding/binary"
	"time"

	"github.com/prism-data-layer/prism/pkg/driver"
	"github.com/prism-data-layer/prism/pkg/prism"
)

// inlinePayload is the largest payload that stands in its message's record,
// which is read when the store opens.
const inlinePayload = 4 << 10

// A workMessage is a message as it was published; it is written once. Times
// are Unix milliseconds.
type workMessage struct {
	published  int64
	due        int64 // 0: at once
	priority   int
	size       int // for the bounds of Receive
	key        string
	attributes map[string]string
	payload    []byte // nil if it is large: then it has a record of its own
	large      bool
}

const messageLarge = 1

func (m *workMessage) append(dst []byte) []byte {
	dst = append(dst, make([]byte, sealSize)...)
	var flags byte
	if m.large {
		flags |= messageLarge
	}
	dst = append(dst, flags, byte(m.priority))
	dst = binary.AppendUvarint(dst, uint64(m.published))
	dst = binary.AppendUvarint(dst, uint64(m.due))
	dst = binary.AppendUvarint(dst, uint64(m.size))
	dst = appendString(dst, m.key)
	dst = binary.AppendUvarint(dst, uint64(len(m.attributes)))
	for name, value := range m.attributes {
		dst = appendString(appendString(dst, name), value)
	}
	return append(dst, m.payload...)
}

func appendString(dst []byte, s string) []byte {
	return append(binary.AppendUvarint(dst, uint64(len(s))), s...)
}

func (r *reader) string() string {
	n := r.uvarint()
	if n > uint64(len(r.b)) {
		r.fail()
		return ""
	}
	return string(r.bytes(int(n)))
}

// parseMessage reads a message; its payload aliases the record.
func parseMessage(keySum uint32, record []byte) (m workMessage, err error) {
	b, err := unseal(keySum, record)
	if err != nil {
		return m, err
	}
	r := reader{b: b}
	flags := r.byte()
	m = workMessage{large: flags&messageLarge != 0, priority: int(r.byte()), published: int64(r.uvarint()), due: int64(r.uvarint()), size: int(r.uvarint())}
	m.key = r.string()
	n := r.uvarint()
	if r.bad || flags&^messageLarge != 0 || m.priority > driver.MaxPriority || m.size < 0 || n > uint64(len(r.b)) {
		return workMessage{}, errRecord
	}
	if n > 0 {
		m.attributes = make(map[string]string, n)
	}
	for range n {
		name := r.string()
		m.attributes[name] = r.string()
	}
	if r.bad {
		return workMessage{}, errRecord
	}
	m.payload = r.b
	return m, nil
}

// A workState is what became of a message, since it was first delivered.
type workState struct {
	state    driver.QueueState
	attempts int
	at       int64 // when it is due, or its lease ends
	fence    uint64
	born     int64 // when its retention began
	reason   string
}

func (s *workState) append(dst []byte) []byte {
	dst = append(dst, make([]byte, sealSize)...)
	dst = append(dst, byte(s.state))
	for _, n := range [...]uint64{uint64(s.attempts), uint64(s.at), s.fence, uint64(s.born)} {
		dst = binary.AppendUvarint(dst, n)
	}
	return append(dst, s.reason...)
}

func parseState(keySum uint32, record []byte) (s workState, err error) {
	b, err := unseal(keySum, record)
	if err != nil {
		return s, err
	}
	r := reader{b: b}
	s = workState{state: driver.QueueState(r.byte()), attempts: int(r.uvarint()), at: int64(r.uvarint()), fence: r.uvarint(), born: int64(r.uvarint())}
	if r.bad || s.state < driver.QueueReady || s.state > driver.QueueDead {
		return workState{}, errRecord
	}
	s.reason = string(r.b)
	return s, nil
}

func appendSettings(dst []byte, o driver.QueueOptions) []byte {
	dst = append(dst, make([]byte, sealSize)...)
	for _, n := range [...]int64{int64(o.Lease), int64(o.MaxAttempts), int64(o.Retention)} {
		dst = binary.AppendUvarint(dst, uint64(n))
	}
	return dst
}

func parseSettings(keySum uint32, record []byte) (o driver.QueueOptions, err error) {
	b, err := unseal(keySum, record)
	if err != nil {
		return o, err
	}
	r := reader{b: b}
	o = driver.QueueOptions{Lease: time.Duration(r.uvarint()), MaxAttempts: int(r.uvarint()), Retention: time.Duration(r.uvarint())}
	if r.bad || len(r.b) != 0 || o.Lease <= 0 || o.MaxAttempts < 0 || o.Retention < 0 {
		return driver.QueueOptions{}, errRecord
	}
	return o, nil
}

// queueReceipt is what a receipt says.
type queueReceipt struct {
	body    [16]byte
	message uint64
}

// append codes a run, which is stored under its first id.
func (r *queueRun) append(dst []byte) []byte {
	dst = append(dst, make([]byte, sealSize)...)
	for _, n := range [...]uint64{uint64(r.keep), uint64(r.expires), r.seq, uint64(len(r.list))} {
		dst = binary.AppendUvarint(dst, n)
	}
	last := uint64(0)
	for i := range r.list {
		dst = append(dst, r.list[i].body[:]...)
		dst = binary.AppendUvarint(dst, r.list[i].message-last)
		last = r.list[i].message
	}
	return dst
}

func parseRun(ns prism.Namespace, first [16]byte, keySum uint32, record []byte) (*queueRun, error) {
	b, err := unseal(keySum, record)
	if err != nil {
		return nil, err
	}
	r := reader{b: b}
	run := &queueRun{ns: ns, first: first, keep: int64(r.uvarint()), expires: int64(r.uvarint()), seq: r.uvarint()}
	n := r.uvarint()
	if r.bad || n == 0 || n > runLen || run.expires <= 0 {
		return nil, errRecord
	}
	run.list = make([]queueReceipt, n)
	last := uint64(0)
	for i := range run.list {
		copy(run.list[i].body[:], r.bytes(16))
		last += r.uvarint()
		run.list[i].message = last
	}
	if r.bad || len(r.b) != 0 {
		return nil, errRecord
	}
	return run, nil
}

// parsePlace reads where a run stands in the order: its first id, and how many
// of its receipts have gone.
func parsePlace(b []byte) (first [16]byte, gone int, err error) {
	if len(b) < len(first) {
		return first, 0, errRecord
	}
	r := reader{b: b[copy(first[:], b):]}
	n := r.uvarint()
	if r.bad || len(r.b) != 0 || n >= runLen {
		return first, 0, errRecord
	}
	return first, int(n), nil
}
