package telemetry

import (
	"encoding/binary"
	"encoding/hex"
	"math/rand/v2"
)

// A Trace is a place in a distributed trace, as in W3C Trace Context level 1.
type Trace struct {
	trace traceID
	span  spanID
	flags byte
}

type (
	traceID [16]byte
	spanID  [8]byte
)

// NewTrace starts a trace that nobody has asked to be recorded.
func NewTrace() Trace {
	var t Trace
	putUint64(t.trace[:8], rand.Uint64())
	putUint64(t.trace[8:], rand.Uint64()|1) // all zeros is no id
	t.span = newSpanID()
	return t
}

// Child is another span of the same trace.
func (t Trace) Child() Trace {
	t.span = newSpanID()
	return t
}

func newSpanID() (id spanID) {
	putUint64(id[:], rand.Uint64()|1)
	return id
}

// Valid reports whether t names a trace and a span.
func (t Trace) Valid() bool { return t.trace != traceID{} && t.span != spanID{} }

// Sampled reports whether the caller records this trace.
func (t Trace) Sampled() bool { return t.flags&1 != 0 }

// ID is the trace id as 32 hex digits.
func (t Trace) ID() string { return hex.EncodeToString(t.trace[:]) }

// SpanID is the span id as 16 hex digits.
func (t Trace) SpanID() string { return hex.EncodeToString(t.span[:]) }

// String is the traceparent header of t.
func (t Trace) String() string {
	var b [55]byte
	copy(b[:], "00-")
	hex.Encode(b[3:35], t.trace[:])
	b[35] = '-'
	hex.Encode(b[36:52], t.span[:])
	b[52] = '-'
	hex.Encode(b[53:], []byte{t.flags})
	return string(b[:])
}

// ParseTraceparent reads a traceparent header. Versions after 00 are read as
// far as 00 goes, as the standard asks; anything else is not ok.
func ParseTraceparent(s string) (Trace, bool) {
	var t Trace
	if len(s) < 55 || s[2] != '-' || s[35] != '-' || s[52] != '-' {
		return Trace{}, false
	}
	var version, flags [1]byte
	if !unhex(version[:], s[:2]) || version[0] == 0xff ||
		(version[0] == 0 && len(s) != 55) || (len(s) > 55 && s[55] != '-') {
		return Trace{}, false
	}
	if !unhex(t.trace[:], s[3:35]) || !unhex(t.span[:], s[36:52]) || !unhex(flags[:], s[53:55]) {
		return Trace{}, false
	}
	t.flags = flags[0] & 1 // only "sampled" has a meaning in level 1
	return t, t.Valid()
}

// unhex decodes lower-case hex only: upper case is not allowed here.
func unhex(dst []byte, s string) bool {
	for i := range dst {
		hi, ok1 := nibble(s[2*i])
		lo, ok2 := nibble(s[2*i+1])
		if !ok1 || !ok2 {
			return false
		}
		dst[i] = hi<<4 | lo
	}
	return true
}

func nibble(c byte) (byte, bool) {
	switch {
	case c >= '0' && c <= '9':
		return c - '0', true
	case c >= 'a' && c <= 'f':
		return c - 'a' + 10, true
	}
	return 0, false
}

func putUint64(b []byte, v uint64) { binary.BigEndian.PutUint64(b, v) }
